"""Simulation-based calibration of the posterior: parameters and counts from the model's own prior, sampled again.

Where prior, likelihood and sampler belong together, the rank of what was drawn among the posterior's draws is uniform
(Talts et al. 2018). Draws come from the model as PyMC writes it, the sampler works on the density written by hand: an
error in either shows. `PLANT=wandering` halves the sd of every path for the sampler alone, and must be caught;
`PLANT=lag` doubles that of the lag's mode, which the counts tell by themselves: it is hardly seen.

Resumable; at the end `data/calibration/sbc.csv` holds the counts of the ranks with a chi-square test and the largest
gap of their distribution with its band, and `sbc.svg` draws them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
from scipy.stats import chi2

import attribution
from attribution.analysis import analyze
from attribution.model import posterior
from attribution.model.climb import climb
from attribution.model.coordinates import effects_at, kernel_weights, paths_at, problem
from attribution.model.diagnosis import split_rhat
from attribution.model.families import Family, families
from attribution.model.fit import rough
from attribution.model.padded import Problem
from attribution.shares import split
from attribution.trials import trial
from calibrate import plan, readme
from calibrate.agreement import code_hash
from calibrate.run import CACHE

if TYPE_CHECKING:
    from pathlib import Path

    from attribution.model.design import Design

KEPT = readme.KEPT / "sbc.csv"
DRAWS, TUNE, CHAINS, THIN = 200, 400, 4, 8
RANKS = CHAINS * DRAWS // THIN
"""Thinned draws: a rank is one of RANKS + 1."""

BINS = 20
LIFT_SD = 0.2
"""Prior sd of the lift here: by the default, 1, one world in six would lose all conversions of the window."""

LEVEL_SD = 0.1
"""Prior sd of the log levels here: the model's own, 10, would draw counts that no event has."""

WHITENING = posterior.WHITENING
PLANTS = {"": "as it is", "wandering": "paths' sd halved for the sampler", "lag": "lag's sd doubled for the sampler"}
QUANTITIES = ("incremental", "lag", "surge", "share")


@lru_cache(maxsize=1)
def scaffold() -> tuple[Design, Problem, Family, Any]:
    """Return the design whose bins, regions and feed are kept, its run with its priors, and the settings."""
    world = trial("shared_surge", 99_000)
    settings = plan.SETTINGS["lag vague"].replace(lift_sd=LIFT_SD)
    result = analyze(
        world.counts, world.airings, settings, social=world.social, audience=world.audience, context=world.context
    )
    fit = result.given.fits[0]
    family = families(fit)[0][0]
    own = problem(fit.design, settings, family)
    known = {f"{name}_sd": np.where(own.data[f"{name}_sd"] > 1.0, LEVEL_SD, own.data[f"{name}_sd"])
             for name in ("level", "feed_level")}  # fmt: skip
    history = fit.design.history
    rate = fit.design.y[:, history].sum(axis=1) / fit.design.exposure[:, history].sum(axis=1)
    feed = fit.design.feed[family.mode.layout.lead][history].sum()
    feed_rate = feed / fit.design.feed_exposure[family.mode.layout.lead][history].sum()
    known |= {"level_mean": np.log(rate), "feed_level_mean": np.log(feed_rate)}
    return fit.design, replace(own, data=own.data | known), family, settings


def drawn(count: int) -> dict[str, np.ndarray]:
    """Draw ``count`` sets of parameters and counts from the model's prior predictive."""
    model = posterior.model(scaffold()[1])
    found = pm.sample_prior_predictive(draws=count, model=model, random_seed=20_000)
    groups = [found["prior"], found["prior_predictive"]]
    return {str(name): group[name].to_numpy()[0] for group in groups for name in group.data_vars}


def refitted(counts: np.ndarray, posts: np.ndarray, *, plant: str) -> Problem:
    """Return the problem of simulated counts (R, T): centred at their mode, under the priors they were drawn from."""
    design, base, family, settings = scaffold()
    shape, bins = design.y.shape, len(design.start)
    feed = design.feed.copy()
    feed[family.mode.layout.lead] = posts[:bins]
    own = replace(design, y=counts[: shape[0], : shape[1]].copy(), feed=feed, memory={})
    mode = climb(
        own, family.mode.noise, family.mode.world, family.mode.kernel, lift_sd=settings.lift_sd,
        lead=family.mode.layout.lead, amount=rough(own),
    )  # fmt: skip
    data = base.data | {"y": counts, "feed": posts}
    if mode is not None:
        there = replace(family, mode=mode, components=(family.components[0]._replace(mean=mode.amount),),
                        parts=np.ones(1))  # fmt: skip
        data |= {name: value for name, value in problem(own, settings, there).data.items() if name in WHITENING}
    if plant == "lag":
        data = data | {"lag_sd": 2.0 * data["lag_sd"]}
    if plant == "wandering":
        data = data | {"path_rate": 2.0 * data["path_rate"]}
    return replace(base, data=data)


def ranks(number: int, truth: dict[str, np.ndarray], *, plant: str) -> dict[str, float]:
    """Return the ranks of one set of parameters among the posterior's draws."""
    design = scaffold()[0]
    own = refitted(truth["conversions"], truth["posts"], plant=plant)
    chain = posterior.sample(own, draws=DRAWS, tune=TUNE, chains=CHAINS, seed=number)
    z = chain.z[:, ::THIN].reshape(-1, chain.z.shape[-1])
    effects = effects_at(own, z)
    inside = design.inside(0)
    paths = np.array([paths_at(own, row)[: len(inside), 2] for row in z])
    modes, shapes = kernel_weights(own.data, effects["lag"], effects["shape"])
    within = own.data["within"].reshape(modes.shape[-1], shapes.shape[-1])
    amount = effects["amount"][:, 0] * np.einsum("dg,ds,gs->d", modes, shapes, within)
    rng = np.random.default_rng([number, 7])
    mix, shares = _mixes(truth, float(truth["incremental"][0]), amount, rng)
    pairs = {
        "incremental": (truth["incremental"][0], amount),
        "lag": (truth["lag"], effects["lag"]),
        "surge": (truth["gain"] * (truth["paths"][: len(inside), 2] @ inside), effects["gain"] * (paths @ inside)),
        "share": (mix[0], shares[:, 0]),
    }
    return {name: float((draws < value).sum()) for name, (value, draws) in pairs.items()} | {
        "divergences": float(chain.stats["diverging"].sum()),
        "rhat": float(split_rhat(chain.z).max()),
    }


def _mixes(
    truth: dict[str, np.ndarray], amount: float, draws: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw an ad's mix and a baseline's, the counts by category they give, and the posterior of the ad's mix."""
    design = scaffold()[0]
    seen, inside = design.share[0] > 0, design.inside(0)
    counted = truth["conversions"][: len(seen), : len(inside)][seen]
    total, past = counted.sum(axis=0) @ inside, counted[:, design.history].sum()
    mix, base = rng.dirichlet(np.ones(3)), rng.dirichlet(np.full(3, 20.0))
    ours = rng.binomial(round(total), np.clip(amount / max(total, 1.0), 0.0, 1.0))
    window = rng.multinomial(ours, mix) + rng.multinomial(round(total) - ours, base)
    history = rng.multinomial(round(past), base)
    return mix, split(window.astype(float), history.astype(float), draws, concentration=1.0, dispersion=1.0, rng=rng)


def summary(found: pd.DataFrame, plant: str) -> pd.DataFrame:
    """Return one row a quantity: the counts of the ranks in bins, chi-square, and the largest gap with its band."""
    edges, rows = np.linspace(0, RANKS + 1, BINS + 1), []
    rng = np.random.default_rng(1)
    for name in QUANTITIES:
        own = found[name].dropna().to_numpy()
        count = np.histogram(own, edges)[0]
        expected = len(own) * np.diff(np.ceil(edges)) / (RANKS + 1)
        statistic = float(((count - expected) ** 2 / expected).sum())
        gaps = [_gap(rng.integers(0, RANKS + 1, len(own))) for _ in range(2000)]
        rows.append(
            {"plant": plant, "quantity": name, "replicates": len(own), "chi2": statistic,
             "p": float(chi2.sf(statistic, BINS - 1)), "gap": _gap(own), "band": float(np.quantile(gaps, 0.95))}
            | {f"bin_{i + 1}": int(c) for i, c in enumerate(count)}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _gap(own: np.ndarray) -> float:
    """Return the largest gap between the ranks' distribution and the uniform one."""
    at = np.arange(RANKS + 1)
    return float(np.abs((own[:, None] <= at).mean(axis=0) - (at + 1) / (RANKS + 1)).max())


def keep(lines: pd.DataFrame) -> None:
    """Write the table, what was planted beside what was not, and its drawing."""
    if KEPT.exists():
        old = pd.read_csv(KEPT, keep_default_na=False)
        lines = pd.concat([old[~old["plant"].isin(lines["plant"])], lines], ignore_index=True)
    lines = lines.sort_values(["plant", "quantity"], kind="stable")
    lines.to_csv(KEPT, index=False, float_format="%.5g")
    import altair as alt  # noqa: PLC0415

    bins = [name for name in lines.columns if name.startswith("bin_")]
    long = lines.melt(["plant", "quantity", "replicates"], bins, "bin", "count")
    long["rank"] = long["bin"].str.removeprefix("bin_").astype(int)
    long["what"] = long["plant"].map(PLANTS)
    long["expected"] = long["replicates"] / BINS
    bars = (
        alt.Chart(long)
        .mark_bar()
        .encode(
            x=alt.X("rank:O", title="rank among the posterior's draws, in twentieths"),
            y=alt.Y("count:Q", title="replicates"),
        )
    )
    line = alt.Chart(long).mark_rule(strokeDash=[4, 3]).encode(y="mean(expected):Q")
    chart = alt.layer(bars, line).properties(width=220, height=110).facet(row="what:N", column="quantity:N")
    chart.save(str(KEPT.with_suffix(".svg")))


def main() -> int:
    parser = argparse.ArgumentParser(prog="make calibrate-posterior", description="Simulation-based calibration")
    parser.add_argument("--replicates", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; run again to go on")
    given = parser.parse_args()
    plant = os.environ.get("PLANT", "")
    if plant not in PLANTS:
        parser.error(f"PLANT is {plant!r}; choose one of {', '.join(filter(None, PLANTS))}, or leave it empty")
    path: Path = CACHE / f"sbc-{code_hash(plant)}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    there = pd.read_csv(path) if path.exists() else pd.DataFrame({"number": []})
    have, end = set(there["number"]), time.monotonic() + 60 * given.minutes
    truth = drawn(given.replicates)
    for number in range(given.replicates):
        if number in have:
            continue
        if time.monotonic() > end:
            break
        one = {name: value[number] for name, value in truth.items()}
        row = {"number": number} | ranks(number, one, plant=plant)
        there = pd.concat([there, pd.DataFrame([row])], ignore_index=True)
        there.to_csv(path, index=False)
        if number % 10 == 9:
            print(f"{len(there)} of {given.replicates}", flush=True)
    lines = summary(there, plant).assign(version=attribution.__version__, date=datetime.now(UTC).date().isoformat())
    with pd.option_context("display.width", 200):
        print(lines[["plant", "quantity", "replicates", "chi2", "p", "gap", "band"]].to_string(index=False))
    keep(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
