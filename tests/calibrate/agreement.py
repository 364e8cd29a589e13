"""The fast fit against the full posterior, world by world: `make calibrate-posterior`.

Resumable: finished rows lie in `.cache/calibrate`, in a file named by a hash of the code that made them. At the end
`data/calibration/agreement.csv` is written: a row an airing, with the difference of the means in sds, the ratio of the
sds, and how the chains did.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import attribution
from attribution.analysis import analyze
from attribution.jobs import job
from attribution.posteriors import run
from attribution.settings import seconds
from attribution.trials import TRIALS, trial
from calibrate import plan, readme
from calibrate.rows import expected
from calibrate.run import CACHE, FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEPT = readme.KEPT / "agreement.csv"
DRAWS, CHAINS = 500, 4
LEFT_OUT = ("minutes_null",)
"""Nothing of their own: the minutes have no response in the null world that a bin could show."""


def code_hash(*extra: str) -> str:
    """Return a hash of the modules that a posterior is made by."""
    model = sorted((readme.ROOT / "attribution" / "model").glob("*.py"))
    names = ("jobs", "posteriors", "inference", "kernels", "lags", "shares", "trials", "worlds", "scenarios")
    files = [*model, *(readme.ROOT / "attribution" / f"{name}.py" for name in names)]
    digest = hashlib.sha256("".join(extra).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def tasks(count: int) -> Iterator[tuple[str, str, int]]:
    """Yield (world, settings, seed): the blind family and, in turn with it, every other world of the calibration."""
    others = [name for name in TRIALS if name != "blind" and name not in LEFT_OUT]
    rounds = zip(cycle(others), range(count), strict=False)
    for number, (other, _) in enumerate(rounds):
        name = "blind" if number % 3 == 2 else other
        yield name, plan.settings_of(name)[0], FIRST + number


def row_of(name: str, label: str, seed: int) -> list[dict]:
    """Return the rows of one world: the fast fit and the posterior of each airing."""
    world = trial(name, seed)
    choices = plan.SETTINGS[label]
    result = analyze(
        world.counts, world.airings, choices, social=world.social, audience=world.audience, context=world.context
    )
    key = {"world": name, "settings": label, "seed": seed}
    if not result.given.fits:
        return [key | {"airing": "", "status": "no fit"}]
    work = job(result.given, result.airings)
    began = time.process_time()
    found = run(work, draws=DRAWS, chains=CHAINS, rng=seed)
    spent = time.process_time() - began
    rows, window = [], seconds(choices.window)
    fast = {int(a): (fit, j) for fit in result.given.fits for j, a in enumerate(fit.design.airings)}
    for place, (a, (fit, j)) in enumerate(sorted(fast.items())):
        own = found.incremental.iloc[place]
        mean = float(fit.weight @ fit.window_mean[:, j])
        each = fit.window_sd[:, j] / fit.wider[:, j]  # what the posterior says, not what is known of its errors
        spread = float(np.sqrt(fit.weight @ (each**2 + fit.window_mean[:, j] ** 2) - mean**2))
        at = world.scenario.airings[a].at_s + world.scenario.clock_off_s
        rows.append(
            key | {
                "airing": own["airing"], "status": "", "truth": expected(world, a, at, at + window)[0],
                "baseline": expected(world, a, at, at + window)[1], "fast_mean": mean, "fast_sd": spread,
                "mean": own["mean"], "sd": own["sd"], "lower": own["lower"], "upper": own["upper"],
                "difference": (own["mean"] - mean) / spread, "ratio": own["sd"] / spread, "rhat": own["rhat"],
                "ess_bulk": own["ess_bulk"], "ess_tail": own["ess_tail"], "divergences": found.divergences,
                "ebfmi": found.ebfmi, "optimal": int(found.optimal), "longer": found.idata.posterior.attrs["longer"],
                "parameters_above": found.idata.posterior.attrs["parameters_above_1.05"],
                "runs": sum(len(group.problems) for group in work.groups), "seconds": found.seconds["sample"],
                "cpu_s": spent,
            }
        )  # fmt: skip
    return rows


def kept_rows(path: Path) -> pd.DataFrame:
    """Return the finished rows."""
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"]) if path.exists() else pd.DataFrame()


def report(found: pd.DataFrame) -> None:
    """Print what the goals ask for, and write the table."""
    own = found[found["status"] == ""]
    print(
        f"{len(own)} airings of {own.groupby(['world', 'seed']).ngroups} worlds: difference of means, median "
        f"{own['difference'].abs().median():.3f} sd (mean {own['difference'].mean():+.3f}), sd ratio median "
        f"{own['ratio'].median():.3f} (5%, 95%: {own['ratio'].quantile(0.05):.2f}, {own['ratio'].quantile(0.95):.2f}); "
        f"optimal {own['optimal'].mean():.1%}, longer run {own['longer'].mean():.1%}; divergences in "
        f"{(own['divergences'] > 0).mean():.1%}; parameters above 1.05 in {(own['parameters_above'] > 0).mean():.1%}; "
        f"seconds, median {own['seconds'].median():.1f} ({own['cpu_s'].median():.1f} CPU); covered "
        f"{((own['lower'] <= own['truth']) & (own['truth'] <= own['upper'])).mean():.1%}"
    )
    date = datetime.now(UTC).date().isoformat()
    found.assign(version=attribution.__version__, date=date).to_csv(KEPT, index=False, float_format="%.6g")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make calibrate-posterior", description="Fast fit against full posterior")
    parser.add_argument("--worlds", type=int, default=150, help="how many worlds")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; run again to go on")
    given = parser.parse_args()
    path = CACHE / f"agreement-{code_hash()}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    there = kept_rows(path)
    have = set() if there.empty else set(zip(there["world"], there["seed"], strict=True))
    end = time.monotonic() + 60 * given.minutes
    for name, label, seed in islice(tasks(given.worlds), given.worlds):
        if (name, seed) in have:
            continue
        if time.monotonic() > end:
            break
        try:
            rows = row_of(name, label, seed)
        except Exception as error:  # a world that fails is a row that says so
            rows = [
                {"world": name, "settings": label, "seed": seed, "status": f"{type(error).__name__}: {error}"[:160]}
            ]
        there = pd.concat([there, pd.DataFrame(rows)], ignore_index=True)
        there.to_csv(path, index=False)
        last = there.iloc[-1]
        print(
            f"{name} {seed}: {last.get('difference', np.nan):+.2f} sd, ratio {last.get('ratio', np.nan):.2f}, "
            f"R-hat {last.get('rhat', np.nan):.3f}, {last.get('seconds', np.nan):.0f} s {last['status']}",
            flush=True,
        )
    if not there.empty:
        there["status"] = there["status"].fillna("")
        report(there)
    return 0


if __name__ == "__main__":
    sys.exit(main())
