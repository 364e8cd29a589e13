"""Rules by which others credit an ad, as presets: what each books here, and how often it is wrong on this very data.

A rule sees the conversions of the exposed regions and the clock, nothing else. It is tried at moments of the same data
at which no ad of ours ran: every claim there is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from attribution.lab import share_interval
from attribution.model.brief import ROLLING_S, brief
from attribution.model.windows import window_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.counts import Counts
    from attribution.settings import Settings

DAY_S = 86_400.0
EVERY_S, MOST = 10.0, 200
"""Seconds between two moments at which a rule is tried, at least; and how many of them at most."""
LEAST_DAYS, MOST_DAYS = 3, 28
"""Other days that a median of the same minutes needs, and takes."""
COLUMNS = ["rule", "words", "window_s", "amount", "lower", "upper", "claims", "moments", "false", "false_lower",
           "false_upper", "why"]  # fmt: skip


class Line(NamedTuple):
    """One line of counts: the exposed regions together."""

    start: np.ndarray
    """(T,) seconds since 1970."""
    step: float
    y: np.ndarray
    """(T,) counts; NaN where unknown."""
    running: np.ndarray
    """(T + 1,) running sum of the known counts."""
    unknown: np.ndarray
    """(T + 1,) running number of unknown bins."""

    def between(self, low: float, high: float) -> float:
        """Return the conversions between two moments; NaN where a bin of them is missing."""
        a, b = np.searchsorted(self.start, [low - 1e-6, high - 1e-6])
        whole = round((high - low) / self.step)
        if b - a < whole or self.unknown[b] > self.unknown[a]:
            return float("nan")
        return float(self.running[b] - self.running[a])

    def bins(self, low: float, count: int, width: float) -> np.ndarray:
        """Return (count,) sums over bins of ``width`` seconds from a moment on."""
        return np.array([self.between(low + k * width, low + (k + 1) * width) for k in range(count)])


class Booked(NamedTuple):
    """What a rule books for one moment; NaN where it has no interval."""

    amount: float
    claims: bool
    lower: float = np.nan
    upper: float = np.nan


class Rule(NamedTuple):
    """One rule.

    Attributes
    ----------
    name, words
        What it is called, and what it does.
    before_s, after_s
        Seconds before and after the start that it looks at.
    widest_s
        Widest bins that it can work with, seconds.
    book
        (line, moment) -> what it books.
    """

    name: str
    words: str
    before_s: float
    after_s: float
    widest_s: float
    book: Callable[[Line, float], Booked]


def _all_after(line: Line, moment: float) -> Booked:
    amount = line.between(moment, moment + 480.0)
    return Booked(amount, amount > 0)


def _t_test(line: Line, moment: float) -> Booked:
    after, before = line.bins(moment, 5, 60.0), line.bins(moment - 600.0, 10, 60.0)
    parts = np.array([part.var(ddof=1) / len(part) for part in (after, before)])
    if not parts.sum() > 0:  # a minute is unknown, or all are alike
        return Booked(float("nan"), claims=False)
    free = parts.sum() ** 2 / (parts**2 / (np.array([5, 10]) - 1)).sum()  # Welch 1947
    rise = float(after.mean() - before.mean())
    reach = float(student.ppf(0.975, free) * np.sqrt(parts.sum()))
    return Booked(5 * rise, rise - reach > 0, 5 * (rise - reach), 5 * (rise + reach))


def _lift(line: Line, moment: float) -> Booked:
    amount = line.between(moment, moment + 300.0) - line.between(moment - 300.0, moment)
    return Booked(amount, amount > 0)


def _median(line: Line, moment: float) -> Booked:
    days = np.array([line.between(moment - d * DAY_S, moment - d * DAY_S + 480.0) for d in range(1, MOST_DAYS + 1)])
    days = days[np.isfinite(days)]
    if len(days) < LEAST_DAYS:
        return Booked(float("nan"), claims=False)
    amount = line.between(moment, moment + 480.0) - float(np.median(days))
    return Booked(amount, amount > 0)


def _brief(line: Line, moment: float) -> Booked:
    a, b = np.searchsorted(line.start, [moment - 2 * ROLLING_S, moment + 15.0 - 1e-6])
    some = line.y[a:b]
    engine = brief(some, step=line.step)
    inside = line.start[a:b] >= moment - 1e-6
    if not inside.any() or not np.isfinite(engine.baseline[inside]).any():
        return Booked(float("nan"), claims=False)
    return Booked(engine.incremental(some, inside), bool((engine.spike & inside).any()))


RULES = (
    Rule("8 min, all of them", "every conversion of the eight minutes after the start is the ad's", 0.0, 480.0, 240.0,
         _all_after),
    Rule("5 against 10 min, t-test", "the five minutes after against the ten before, Welch's t-test at 5%", 600.0,
         300.0, 60.0, _t_test),
    Rule("5-min lift", "the five minutes after less the five before; any rise is the ad's", 300.0, 300.0, 150.0, _lift),
    Rule("Median of other days", "eight minutes less the median of the same minutes of other days", LEAST_DAYS * DAY_S,
         480.0, 240.0, _median),
    Rule("The brief", "spikes beyond 3 sd of a five-minute average without outliers, within 15 s", 300.0, 15.0, 15.0,
         _brief),
)  # fmt: skip
"""Rules that are in use, as they are described; the last is the copy of a live dashboard."""


def line_of(counts: Counts, regions: str) -> Line:
    """Return the conversions of some regions together; ``regions`` as the airings name them, empty for all."""
    named = np.isin(counts.regions, regions.split("|")) if regions else np.ones(len(counts.regions), dtype=bool)
    y = counts.total[:, named].sum(axis=1)
    known = np.isfinite(y)
    step = float(np.median(counts.width)) if len(counts.width) else 1.0
    sums = (np.concatenate([[0.0], np.cumsum(part)]) for part in (np.where(known, y, 0.0), ~known))
    return Line(counts.seconds, step, y, *sums)


def compare_rules(counts: Counts, airings: pd.DataFrame, settings: Settings, airing: str) -> pd.DataFrame:
    """Return what every rule books for an airing, and how often it claims where there was nothing.

    Parameters
    ----------
    airings
        Canonical airings.
    airing
        Name of one of them.

    Returns
    -------
    rule, words, window_s, amount, lower, upper, claims, moments, false (share of the moments that it claims),
    false_lower, false_upper (95%, as if the moments were independent: they overlap), why (a figure is unknown).
    All rules are tried at the same moments, but for one that needs days.

    Raises
    ------
    ValueError
        When there is no such airing.
    """
    names = airings["airing"].astype(str).tolist()
    if airing not in names:
        raise ValueError(f"airing is {airing!r}; choose one of {', '.join(names)}")
    place = names.index(airing)
    line = line_of(counts, str(airings["regions"].iloc[place]))
    onset = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    reach = window_seconds(settings, airings["length_s"].to_numpy(float), line.step)
    near = [rule for rule in RULES if rule.before_s < DAY_S and line.step <= rule.widest_s]
    spans = (max([r.before_s for r in near], default=0.0), max([r.after_s for r in near], default=0.0))
    shared = tried(line, onset, reach, place, spans)
    return pd.DataFrame([_row(rule, line, onset, reach, place, shared) for rule in RULES], columns=COLUMNS)


def _row(rule: Rule, line: Line, onset: np.ndarray, reach: np.ndarray, place: int, shared: np.ndarray) -> dict:
    """Return the row of a rule."""
    nan = float("nan")
    row = {"rule": rule.name, "words": rule.words, "window_s": rule.after_s, "claims": False, "moments": 0, "why": ""}
    row |= dict.fromkeys(("amount", "lower", "upper", "false", "false_lower", "false_upper"), nan)
    if line.step > rule.widest_s:
        return row | {"why": f"needs bins of at most {rule.widest_s:g} s; these are {line.step:g} s"}
    own = rule.book(line, float(onset[place]))
    row |= {"amount": own.amount, "lower": own.lower, "upper": own.upper, "claims": own.claims}
    far = rule.before_s >= DAY_S
    moments = tried(line, onset, reach, place, (rule.before_s, rule.after_s)) if far else shared
    booked = [one for moment in moments if np.isfinite((one := rule.book(line, float(moment))).amount)]
    if not np.isfinite(own.amount):
        needs = f"the same minutes of {LEAST_DAYS} other days" if far else "whole data around the airing"
        row["why"] = f"needs {needs}"
    elif not booked:
        row["why"] = "no stretch before the airing is long enough to try it"
    if booked:
        false = sum(one.claims for one in booked)
        low, high = share_interval(false, len(booked))
        row |= {"moments": len(booked), "false": false / len(booked), "false_lower": low, "false_upper": high}
    return row


def tried(line: Line, onset: np.ndarray, reach: np.ndarray, place: int, spans: tuple[float, float]) -> np.ndarray:
    """Return the moments before an airing at which a rule is tried, evenly spread.

    Parameters
    ----------
    onset, reach
        (J,) starts of all airings, seconds since 1970, and how long each works.
    spans
        Seconds before and after a moment that no airing may touch.

    Examples
    --------
    >>> even = Line(np.arange(0.0, 1000.0), 1.0, np.ones(1000), np.arange(1001.0), np.zeros(1001))
    >>> [float(m) for m in tried(even, np.array([500.0]), np.array([60.0]), 0, (100.0, 350.0))]
    [100.0, 110.0, 120.0, 130.0, 140.0, 150.0]
    """
    before, after = spans
    first, last = line.start[0] + before, onset[place] - after
    every = max(EVERY_S, line.step, (last - first) / MOST)
    at = np.arange(last, first - 1e-6, -every)[::-1]
    free = np.ones(len(at), dtype=bool)
    for o, far in zip(onset, reach, strict=True):
        free &= (at + after <= o + 1e-6) | (at - before >= o + far - 1e-6)
    return at[free]


def told(table: pd.DataFrame, ours: tuple[float, int] | None) -> str:
    """Say how often each is wrong here; ``ours`` is the share of false claims of our interval, and of how many."""
    known = table[table["moments"] > 0].sort_values("false", ascending=False, kind="stable")
    if known.empty:
        return "No rule could be tried: before this airing there is too little data without an ad."
    worst = known.iloc[0]
    said = (
        f"On these very data “{worst['rule']}” claims an effect at {worst['false']:.0%} of {worst['moments']} moments "
    )
    said += "at which no ad ran"
    if len(known) > 1:
        rest = "; ".join(f"“{row['rule']}” at {row['false']:.0%}" for row in known.iloc[1:].to_dict("records"))
        said += f"; {rest}"
    return f"{said}. Ours: {ours[0]:.0%} of {ours[1]}." if ours else f"{said}."
