"""A schedule too dense for the joint fit, answered: a row and a verdict an airing, a line a group, the whole.

A single airing is claimed on its own evidence, nothing pooled (its z against single airings of placebo schedules);
the pooled interval says how much, never whether.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from attribution.answers import TABLE, Answer, silent
from attribution.figures import between
from attribution.frames import moments
from attribution.model.dense import SHIFTS, Dense, fit_dense
from attribution.money import money
from attribution.verdict import Verdict, duration, number, percent, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from attribution.counts import Counts
    from attribution.settings import Settings

MANY, CLOSE, HORIZON_S = 60, 0.25, 900.0
"""A schedule of so many airings is dense when a quarter of them have another within the horizon of a response."""
FINEST_S = 20.0
"""Seconds; finer bins are summed to this width before a dense fit."""
GROUPS = "dimension category airings incremental lower upper p verdict"
"""Columns of :attr:`Analysis.groups`."""


class Scheduled(NamedTuple):
    """What one dense schedule adds to the Analysis."""

    answers: dict[int, Answer]
    bins: list[pd.DataFrame]
    """The exposed regions together, then as the series of the regions: one region, or ``all``."""
    groups: pd.DataFrame
    """A line a group, the whole schedule first; the columns are ``GROUPS``."""


def crowded(counts: Counts, airings: pd.DataFrame, groups: list[np.ndarray], most: int) -> bool:
    """Say whether airings run into each other beyond what is fitted jointly, while no region was ever spared.

    Either a group of over ``most`` overlaps; or there are ``MANY`` airings and the responses of a quarter of them are
    not over when the next one begins: then the curve is learnt across all of them.
    """
    members = np.concatenate(groups) if groups else np.empty(0, dtype=int)
    everywhere = set(counts.regions)
    if any(named and set(named.split("|")) != everywhere for named in airings["regions"].iloc[members]):
        return False
    onset = np.sort(airings["start"].iloc[members].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9)
    close = float((np.diff(onset) < HORIZON_S).mean()) if len(onset) > 1 else 0.0
    return any(len(group) > most for group in groups) or (len(members) >= MANY and close >= CLOSE)


def pieces(groups: list[np.ndarray], most: int) -> list[np.ndarray]:
    """Cut groups of over ``most`` airings.

    Examples
    --------
    >>> [len(part) for part in pieces([np.arange(5), np.arange(2)], 3)]
    [3, 2, 2]
    """
    return [part for group in groups for part in np.array_split(group, -(-len(group) // most))]


def with_whole(verdict: Verdict, groups: pd.DataFrame, *, alpha: float) -> Verdict:
    """Return the summary of a dense schedule led by the line of the whole schedule; others as they are."""
    if groups.empty:
        return verdict
    line = groups.iloc[0]
    ends = (line["lower"], line["upper"])
    told = (
        f"The whole schedule of {int(line['airings']):,} airings: {signed(line['incremental'], ends)} conversions "
        f"({100 * (1 - alpha):g}% interval {between(*ends, 'count')}; p {line['p']:.2g} among "
        f"the same schedule shifted to where it did not run): {line['verdict']}."
    )
    return replace(verdict, sentence=f"{told} {verdict.sentence}")


def answer_schedule(
    counts: Counts,
    airings: pd.DataFrame,
    settings: Settings,
    members: np.ndarray,
    *,
    masked: np.ndarray | None = None,
    shifts: int = SHIFTS,
    progress: Callable[[int, int], None] | None = None,
) -> Scheduled:
    """Answer every airing of a dense schedule and its groups.

    Parameters
    ----------
    members
        (J,) positions in ``airings`` that have begun.
    masked
        (T, R) bins that are no data, such as outages.
    shifts
        Placebo schedules.
    progress
        Told how many steps are done, and of how many: the schedule itself, then each placebo schedule.
    """
    chosen = airings.iloc[members]
    start, width, y, complete = _summed(counts, masked)
    try:
        found = fit_dense(start, width, y, complete, chosen, settings, shifts=shifts, progress=progress)
    except (ValueError, np.linalg.LinAlgError) as error:
        answers = {int(a): silent(counts, airings.iloc[a], why=str(error)) for a in members}
        return Scheduled(answers, [], pd.DataFrame(columns=GROUPS.split()))
    lines, curves = found.airings.to_dict("records"), _curves(found, [str(name) for name in chosen["airing"]])
    answers = {
        int(a): _answer(counts, airing, settings, found, line, curve)
        for a, (_, airing), line, curve in zip(members, chosen.iterrows(), lines, curves, strict=True)
    }
    region = counts.regions[0] if len(counts.regions) == 1 else "all"
    return Scheduled(answers, [_bins(found, ""), _bins(found, region)], _groups(found, settings))


def _summed(counts: Counts, masked: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, widths, counts and completeness of all regions together, in bins of at least ``FINEST_S``."""
    total = counts.total if masked is None else np.where(masked, np.nan, counts.total)
    y = total.sum(axis=1)
    whole = np.where(np.isnan(counts.completeness), 1.0, counts.completeness).mean(axis=1)
    place = np.floor(counts.seconds / FINEST_S)
    if np.median(counts.width) >= FINEST_S:
        return counts.seconds, counts.width, y, whole
    edge = np.flatnonzero(np.diff(place, prepend=-np.inf) > 0)
    known = np.isfinite(y)
    width = np.add.reduceat(counts.width, edge)
    seen = np.add.reduceat(np.where(known, counts.width * whole, 0.0), edge)
    summed = np.add.reduceat(np.where(known, y, 0.0), edge)
    return counts.seconds[edge], width, np.where(seen > 0, summed, np.nan), seen / width


def _curves(found: Dense, names: list[str]) -> list[pd.DataFrame]:
    """Return the response of each airing: the schedule's one curve, under its name."""
    one, size = found.curve, len(found.curve)
    columns = {"lag_s": 0.5 * (one["lag_s"] + one["until_s"]), **{c: one[c] for c in ("density", "lower", "upper")}}
    every = pd.DataFrame({"airing": np.repeat(np.array(names, dtype=object), size)})
    every = every.assign(**{name: np.tile(column, len(names)) for name, column in columns.items()})
    return [every.iloc[begin : begin + size] for begin in range(0, len(every), size)]


def _answer(
    counts: Counts, airing: pd.Series, settings: Settings, found: Dense, line: dict[Hashable, Any], curve: pd.DataFrame
) -> Answer:
    """Return row, verdict and tables of one airing."""
    if not np.isfinite(line["incremental"]):
        return silent(counts, airing, why="less than half of its response fell into known bins")
    verdict = _judge(airing, settings, found, line)
    expected, cash = float(line["counterfactual"]), money(airing, settings)
    ends = {"": "incremental", "_lower": "lower", "_upper": "upper"}
    peak = float(curve["lag_s"].iloc[int(np.argmax(curve["density"]))])
    row = dict.fromkeys(TABLE, np.nan) | {
        "airing": str(airing["airing"]),
        "start": airing["start"],
        "regions": airing["regions"] or "|".join(counts.regions),
        "counterfactual": expected,
        **{f"incremental{end}": line[name] for end, name in ends.items()},
        **{f"lift{end}": line[name] / expected for end, name in ends.items()},
        "probability_positive": line["probability_positive"],
        "placebo_p": line["p"],
        "placebos": float(len(found.placebos)),
        "response_peak": peak,
        "minimum_detectable_lift": float((ndtri(1 - settings.alpha / 2) + ndtri(0.8)) * line["own_sd"] / expected),
        **{f"iroas{end}": cash.iroas(line[name]) for end, name in ends.items()},
        **{f"roi{end}": cash.roi(line[name]) for end, name in ends.items()},
        "rung": verdict.rung,
        "verdict": verdict.word,
    }
    why = {
        "e_value": "a dense schedule is judged whole, not watched",
        "anytime": "a dense schedule is judged whole, not watched",
        "robust": "needs a control region and a social feed: without both there is no second opinion",
        "response": "the curve is known in stretches of lags",
        "iroas": f"{' and '.join(cash.missing)} unknown",
        "roi": f"{' and '.join(cash.missing)} unknown",
    }
    unknown = [c for c in TABLE if isinstance(row[c], float) and not np.isfinite(row[c])]
    reasons = {c: next((text for key, text in why.items() if c.startswith(key)), "not computed") for c in unknown}
    return Answer(row, verdict, reasons, {"kernel": curve})


def _judge(airing: pd.Series, settings: Settings, found: Dense, line: dict[Hashable, Any]) -> Verdict:
    """Return the verdict of one airing: on its own evidence alone."""
    name, alpha = str(airing["airing"]), settings.alpha
    span = ndtri(1 - alpha / 2) * line["own_sd"]
    low, high, expected = line["own"] - span, line["own"] + span, line["counterfactual"]
    smallest = 0.10 if settings.smallest_lift is None else settings.smallest_lift
    where = f"in the {duration(found.horizon_s)} after the start of {name}"
    level = f"{100 * (1 - alpha):g}% interval"
    own = f"{signed(line['own'], (low, high))} conversions ({level} {between(low, high, 'count')})"
    ends = (line["lower"], line["upper"])
    pooled = f"{signed(line['incremental'], ends)} ({between(*ends, 'count')})"
    claimed = bool(line["p"] <= alpha and low > 0)
    if claimed:
        word = "association"
        sentence = f"A jump at this time: {own} {where}. Nothing here can tell the ad from whatever else happened then."
    elif -smallest * expected < low and high < smallest * expected:
        word = "no effect"
        sentence = f"No effect worth knowing {where}: {own}, inside ±{smallest:.0%} of {number(expected)}."
    else:
        word = "undecided"
        sentence = f"Undecided {where}: by itself this airing shows {own}; together with its like, {pooled}."
    shifts = len(found.placebos)
    seen = f"its own z is {line['z']:.2f}; {line['p']:.1%} of single airings of {shifts} shifted schedules reach it."
    alone = percent((span + ndtri(0.8) * line["own_sd"]) / expected)
    return Verdict(
        airing=name,
        word=word,
        rung=4 if str(airing.get("assignment", "")) == "randomised timing" else 1,
        sentence=sentence,
        evidence_for=(seen,) if claimed else (),
        evidence_against=(
            *(() if claimed else (seen,)),
            "every region saw the ad: nothing shows what would have happened at this moment without it.",
        ),
        would_change=(
            "a region that does not get the ads, named in the airings' regions column, would lift this to rung 3.",
            f"alone it shows a lift of {alone} or more, four times out of five; its group shows less.",
        ),
    )


def _groups(found: Dense, settings: Settings) -> pd.DataFrame:
    """Return the groups with the word each deserves."""
    frame = found.groups.copy()
    claimed = (frame["p"].to_numpy() <= settings.alpha) & (frame["lower"].to_numpy() > 0)
    frame["verdict"] = np.where(claimed, "association", "undecided")
    return frame.reindex(columns=GROUPS.split())


def _bins(found: Dense, region: str) -> pd.DataFrame:
    """Return the bins of the schedule as the Analysis holds them."""
    frame = found.bins.assign(group=0, region=region, time=moments(found.bins["start"].to_numpy()), organic=0.0)
    frame["break"] = 0.0
    first = ["group", "region", "time"]
    return frame.reindex(columns=[*first, *[c for c in frame.columns if c not in {*first, "start"}]])
