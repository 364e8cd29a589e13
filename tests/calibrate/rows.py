"""One world under one setting: a row an airing, with what was said, what is true and what an oracle would say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.analysis import analyze
from attribution.kernels import bin_mass, delayed
from attribution.model.brief import brief
from attribution.model.monitor import decision
from attribution.sequential import fixed_baseline_log_e
from attribution.settings import seconds
from attribution.trials import nuisances, trial
from attribution.verdict import CLAIMS
from calibrate.informed import informed
from calibrate.oracle import HORIZON_S, count_noise, decided, laid_out, looks
from calibrate.plan import ALPHA, FOILS, SETTINGS

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.settings import Settings
    from attribution.worlds import World

ASSUMED_LIFT = 0.2
"""What the oracle's test is built for where there is no effect."""

LIFTS = np.concatenate([[0.0], np.linspace(0.1, 2.2, 11)])
"""The lifts that the plug-in test mixes over: the twelve of methods, section 4."""
INFORMED = ("blind", "shared_surge", "clean")
"""Worlds, by the start of their names, for which the informed oracle is asked too."""
LOOK_S = 2.0
"""Shortest time between two looks."""

COLUMNS = (
    *("world", "settings", "seed", "airing", "truth", "baseline", "incremental", "lower", "upper"),
    *("robust_lower", "robust_upper", "sd", "counterfactual", "verdict", "rung", "watched", "caused_watched"),
    *("decided_s", "log_e", "looks", "uniform", "uniform_width", "oracle", "oracle_sd", "oracle_decided_s"),
    *("informed", "informed_sd", "peak", "peak_lower", "peak_upper", "true_peak", "shares", "shares_in"),
    *("iroas_true", "iroas_lower", "iroas_upper", "detectable", "cpu_s"),
)
"""Every column of a row but those of :func:`attribution.trials.nuisances`, which follow; NaN where unknown.

``truth`` and ``baseline`` are expected conversions inside the window as the log dates it, in the exposed regions: added
by the airing, and without it. ``watched`` is 1 where any look claimed an effect, ``caused_watched`` where the e-value
passed its line, ``decided_s`` when it first had. ``uniform`` is 1 where the interval held the truth so
far at every look, ``uniform_width`` its last width over that of the fixed-time interval. ``shares_in`` of ``shares``
intervals of shares hold the truth.
"""


def rows(world_name: str, label: str, seed: int) -> list[dict]:
    """Return the rows of one world, setting and seed."""
    world = trial(world_name, seed)
    key = {"world": world_name, "settings": label, "seed": seed}
    if label in FOILS:
        found = _foil(world, label)
    else:
        began = time.process_time()
        result = analyze(
            world.counts, world.airings, SETTINGS[label], social=world.social, audience=world.audience,
            context=world.context,
        )  # fmt: skip
        spent = time.process_time() - began
        found = _answers(world, result) | {"cpu_s": spent}
        found = [dict(zip(found, values, strict=True)) for values in _each(found, len(world.airings))]
        best = _oracles(world, SETTINGS[label], world_name.startswith(INFORMED))
        found = [row | known for row, known in zip(found, best, strict=True)]
    drawn = nuisances(world.scenario) if world_name == "blind" else {}
    return [key | row | drawn for row in found]


def _each(columns: dict, n: int) -> list[tuple]:
    """Rows out of columns; a single value belongs to every row."""
    return list(zip(*(np.broadcast_to(np.asarray(v, dtype=object), n) for v in columns.values()), strict=True))


def _window(settings: Settings) -> float:
    return seconds(settings.window)


def expected(world: World, j: int, low_s: float, high_s: float) -> tuple[float, float]:
    """Return what an airing adds in [low, high) seconds of the event, and what its regions have there without it."""
    truth = world.truth
    second = np.arange(len(truth.start), dtype=float)
    inside = np.clip(np.minimum(second + 1, high_s) - np.maximum(second, low_s), 0, 1)
    seen = np.isin(truth.regions, world.scenario.exposed(world.scenario.airings[j]))
    return float(truth.ad[j].sum(axis=1) @ inside), float(truth.counterfactual[:, seen].sum(axis=1) @ inside)


def _answers(world: World, result: Analysis) -> dict:
    """Columns of what was said and what is true."""
    table, scenario = result.table, world.scenario
    window, off = _window(result.settings), scenario.clock_off_s
    starts = [spot.at_s + off for spot in scenario.airings]
    truth, baseline = np.array([expected(world, j, at, at + window) for j, at in enumerate(starts)]).T
    peak = delayed(scenario.kernel, scenario.stream_delay_s, scenario.stream_delay_sd).mode_s - off
    worth = np.array([spot.value / spot.spend for spot in scenario.airings])
    seen = [_watched(world, result, j, at, window) for j, at in enumerate(starts)]
    shares = np.array([_shares(world, result, name) for name in table["airing"]])
    return {
        "airing": table["airing"],
        "truth": truth,
        "baseline": baseline,
        "incremental": table["incremental"],
        "lower": table["incremental_lower"],
        "upper": table["incremental_upper"],
        "robust_lower": table["robust_lower"],
        "robust_upper": table["robust_upper"],
        "sd": table.get("incremental_sd", np.nan),
        "counterfactual": table["counterfactual"],
        "verdict": table["verdict"],
        "rung": table["rung"],
        **{name: [look[name] for look in seen] for name in seen[0]},
        "peak": table["response_peak"],
        "peak_lower": table["response_peak_lower"],
        "peak_upper": table["response_peak_upper"],
        "true_peak": peak,
        "shares": shares[:, 0],
        "shares_in": shares[:, 1],
        "iroas_true": worth * truth,
        "iroas_lower": table["iroas_lower"],
        "iroas_upper": table["iroas_upper"],
        "detectable": table["minimum_detectable_lift"],
    }


def _watched(world: World, result: Analysis, j: int, at_s: float, window_s: float) -> dict:
    """Return what somebody saw who watched one airing, at the looks of methods, section 10."""
    name = str(result.table["airing"].iloc[j])
    path = result.evidence[result.evidence["airing"] == name]
    since = (path["time"] - world.scenario.begin).dt.total_seconds().to_numpy(float) - at_s
    kept = np.ones(len(path), dtype=bool)
    if len(path) > 1 and np.diff(since).min() < LOOK_S:  # a value a bin: only those at the looks count
        kept = np.isin(np.round(since, 1), looks(HORIZON_S))
    path, since = path[kept], since[kept]
    log_e = path["log_e"].to_numpy(float)
    passed = decision(log_e, ALPHA)
    found = {
        "watched": np.nan,
        "caused_watched": float(passed is not None) if len(path) else np.nan,
        "decided_s": np.nan if passed is None else float(since[passed]),
        "log_e": float(log_e.max()) if len(path) else np.nan,
        "looks": len(path),
        "uniform": np.nan,
        "uniform_width": np.nan,
    }
    if "word" in path and len(path):
        said = path["word"].isin(CLAIMS)
        found["watched"] = float(said.any() or result.table["verdict"].iloc[j] in CLAIMS)
        caused = np.flatnonzero(path["word"].to_numpy() == "caused")
        found["caused_watched"] = float(len(caused) > 0)
        found["decided_s"] = float(since[caused[0]]) if len(caused) else np.nan
    if {"lower", "upper"} <= set(path) and path["lower"].notna().any():
        low, high = path["lower"].to_numpy(float), path["upper"].to_numpy(float)
        true = np.array([expected(world, j, at_s, at_s + min(s, window_s))[0] for s in since])
        known = np.isfinite(low) & np.isfinite(high)
        found["uniform"] = float(((low <= true) & (true <= high))[known].all())
        row = result.table.iloc[j]
        fixed = row["incremental_upper"] - row["incremental_lower"]
        last = np.flatnonzero(known)[-1]
        found["uniform_width"] = float((high[last] - low[last]) / fixed)
    return found


def _shares(world: World, result: Analysis, name: str) -> tuple[float, float]:
    """Return how many channels have an interval of their share, and how many of these hold the truth."""
    part = result.shares[(result.shares["airing"] == name) & (result.shares["dimension"] == "channel")]
    if not len(part) or not world.truth.ad.any():
        return 0.0, np.nan
    true = part["category"].map(world.truth.channel_share).astype(float)
    known = part["lower"].notna() & part["upper"].notna()
    return float(known.sum()), float(((part["lower"] <= true) & (true <= part["upper"]))[known].sum())


def _oracles(world: World, settings: Settings, told: bool) -> list[dict]:
    window = _window(settings)
    bins = laid_out(world, window, world.scenario.clock_off_s)
    best, when = count_noise(bins), decided(world, bins, settings.alpha, ASSUMED_LIFT)
    more = informed(world, window) if told else None
    return [
        {
            "oracle": best.incremental[j],
            "oracle_sd": best.sd[j],
            "oracle_decided_s": when,
            "informed": more.incremental[0] if more else np.nan,
            "informed_sd": more.sd[0] if more else np.nan,
        }
        for j in range(len(best.sd))
    ]


def _foil(world: World, label: str) -> list[dict]:
    """Return what a method says that takes its baseline for known: exposed regions together, its first airing."""
    scenario = world.scenario
    spot = scenario.airings[0]
    seen = np.isin(world.truth.regions, scenario.exposed(spot))
    total = world.counts.total[:, seen].sum(axis=1)
    at, second = int(spot.at_s), np.arange(len(total), dtype=float)
    truth, baseline = expected(world, 0, spot.at_s, spot.at_s + 60)
    row = dict.fromkeys(COLUMNS[3:], np.nan) | {"airing": spot.airing, "truth": truth, "baseline": baseline, "rung": 0}
    if label == FOILS[0]:
        engine, inside = brief(total, step=1.0), (second >= at) & (second < at + 15)
        booked = engine.incremental(total, inside)
        claimed = booked > 0
        row |= {"incremental": booked, "decided_s": np.nan}
    else:
        mass = bin_mass(scenario.kernel, second[at:], np.ones(len(second) - at), spot.at_s)
        path = fixed_baseline_log_e(total[at:], mass / mass.max(), LIFTS, baseline=float(total[:at].mean()))
        when = looks(min(HORIZON_S, len(total) - at))
        passed = path[when.astype(int) - 1] >= -np.log(ALPHA)
        both = np.flatnonzero(passed[1:] & passed[:-1])
        claimed = len(both) > 0
        row |= {"decided_s": when[both[0] + 1] if claimed else np.nan, "log_e": path.max()}
    return [
        row
        | {"verdict": "caused" if claimed else "undecided", "watched": float(claimed), "caused_watched": float(claimed)}
    ]


def failed(world_name: str, label: str, seed: int, why: str) -> dict:
    """Return the row of an analysis that ended in an error: it counts as unanswered, and is shown."""
    truth = trial(world_name, seed)
    spot = truth.scenario.airings[0]
    at_s = spot.at_s + truth.scenario.clock_off_s
    true, baseline = expected(truth, 0, at_s, at_s + (_window(SETTINGS[label]) if label in SETTINGS else 60.0))
    row = {"world": world_name, "settings": label, "seed": seed, "airing": spot.airing, "verdict": f"failed: {why}"}
    return row | {"truth": true, "baseline": baseline}


def table(found: list[dict]) -> pd.DataFrame:
    """Return rows as a table with every column, in their order."""
    drawn = tuple(nuisances(trial("clean", 1).scenario))
    return pd.DataFrame(found, columns=[*COLUMNS, *drawn])
