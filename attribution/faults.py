"""Faults in the data that an answer has to carry: clocks that differ, events lost without a count of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.counts import masked

if TYPE_CHECKING:
    from attribution.counts import Counts

ROUNDINGS = (60.0, 30.0, 15.0, 10.0, 5.0, 1.0)
"""Steps, in seconds, that as-run logs are rounded to."""
COINCIDENCE = 0.01
"""Starts are taken as rounded to a step when chance puts them all on it less often than this."""
RESPONSE = 300.0
"""Seconds after an airing in which most of a response comes."""
TOO_EARLY = 4.0
"""Sd of the common rise before the airings, above which the clocks are suspected."""
AIRINGS = 3
"""One or two early rises are something else (a goal, a break); a clock that is off shows before every airing."""


def clock_sd(counts: Counts, airings: pd.DataFrame) -> float:
    """Return how well the airings' clock and the conversions' are known to agree: an sd in seconds.

    Starts that all lie on whole minutes (30 s, 10 s, ...) are rounded, which leaves the step / sqrt(12); starts that
    are told to the second leave .3 s. Where counts rise before at least three airings, the clocks themselves may
    differ by up to the length of that rise: a quarter of it is the sd.

    Parameters
    ----------
    counts, airings
        As the readers return them.

    Returns
    -------
    float
        Seconds; 0 for starts told to fractions of a second.

    Examples
    --------
    >>> from attribution.counts import Counts
    >>> feed = Counts(start=np.arange(60).astype("datetime64[s]").astype("datetime64[ns]"), width=np.ones(60),
    ...               values=np.ones((60, 1, 1, 1)), completeness=np.ones((60, 1)))
    >>> starts = pd.to_datetime(["2026-02-08T20:41Z", "2026-02-08T21:07Z", "2026-02-08T21:33Z"])
    >>> log = pd.DataFrame({"airing": ["a", "b", "c"], "start": starts, "length_s": 30.0, "regions": ""})
    >>> round(clock_sd(feed, log), 1)
    17.3
    """
    if not len(airings) or not len(counts.start):
        return 0.0
    sd = _rounding(_starts(airings)) / np.sqrt(12.0)
    scores, near = early_rises(counts, airings)
    if len(scores) >= AIRINGS and too_early(scores):
        sd = max(sd, near / 4)
    return float(sd)


def _starts(airings: pd.DataFrame) -> np.ndarray:
    """(J,) float: starts in seconds since 1970."""
    return pd.DatetimeIndex(airings["start"]).as_unit("ns").asi8 / 1e9


def _rounding(start: np.ndarray) -> float:
    """Return the step that all starts lie on, where chance would hardly put them there; 0 for fractions of a second."""
    for step in ROUNDINGS:
        unlikely = len(start) * np.log(step) > -np.log(COINCIDENCE) + 1e-9
        if not (start % step).any() and (unlikely or step == 1.0):
            return step
    return 0.0


def early_rises(counts: Counts, airings: pd.DataFrame) -> tuple[dict[str, float], float]:
    """Score the rise of the counts just before each airing, which no ad can make.

    Returns
    -------
    dict, float
        Airing -> sd by which the counts before its start exceed the level before that (rates wander by 20% from one
        minute to the next); airings in another's response are left out. And the seconds the rise is measured over.
    """
    width = float(np.median(counts.width))
    total = np.nansum(counts.total, axis=1)
    sums, known = np.concatenate([[0.0], np.cumsum(total)]), np.concatenate([[0.0], np.cumsum(counts.width)])
    near, far = max(120.0, width), max(900.0, 8 * width)
    start = _starts(airings)
    ordered = np.sort(start)
    scores = {}
    for name, moment in zip(airings["airing"], start, strict=True):
        if np.searchsorted(ordered, moment) > np.searchsorted(ordered, moment - far - RESPONSE):
            continue  # an earlier airing's response is part of this rise
        a, b, c = (np.searchsorted(counts.seconds, moment - lag) for lag in (far, near, 0.0))
        if b - a < 3 or c <= b:
            continue
        blocks = total[a:b]
        expected = (sums[b] - sums[a]) / (known[b] - known[a]) * (known[c] - known[b])
        spread = max(float(np.var(blocks)) / max(float(blocks.mean()), 1e-9), 1.0)
        if expected > 0:
            scores[str(name)] = float(
                (sums[c] - sums[b] - expected) / np.sqrt(spread * expected + (0.2 * expected) ** 2)
            )
    return scores, near


def too_early(scores: dict[str, float]) -> bool:
    """Return whether the rises before the airings are, together, more than wandering."""
    return bool(scores) and sum(scores.values()) / np.sqrt(len(scores)) > TOO_EARLY


def unknown_loss(counts: Counts, start: float, end: float) -> float:
    """Return how much may be lost where nobody counted it: NaN where every loss is known, or nothing hints at one.

    Bins that hold a count but no completeness may have lost events. How many is not in the data; the share of the
    time that the same feed was dark, or the loss that was counted in its other bins, is taken, whichever is larger.

    Parameters
    ----------
    start, end
        Seconds since 1970: history and window of one airing.

    Returns
    -------
    float
        Share of the events, in (0, 1); NaN as said.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from attribution.counts import Counts
    >>> feed = Counts(start=np.arange(60).astype("datetime64[s]").astype("datetime64[ns]"), width=np.ones(60),
    ...               values=np.full((60, 1, 1, 1), 9.0), completeness=np.ones((60, 1)))
    >>> share = np.ones((60, 1))
    >>> share[:20], share[20:] = 0.98, np.nan
    >>> unknown_loss(feed, 0, 60), round(unknown_loss(replace(feed, completeness=share), 0, 60), 3)
    (nan, 0.02)
    """
    span = (counts.seconds >= start) & (counts.seconds < end)
    if not span.any():
        return np.nan
    total, complete = counts.total[span], counts.completeness[span]
    if not (np.isnan(complete) & np.isfinite(total)).any():
        return np.nan
    dark = float((np.isnan(total) | masked(counts)[span]).mean())
    told = np.isfinite(complete)
    lost = 1.0 - float(complete[told].mean()) if told.any() else 0.0
    loss = max(dark, lost)
    return loss if 0 < loss < 1 else np.nan


def worst_case(
    lower: float, upper: float, *, counterfactual: float, incremental: float, loss: float
) -> tuple[float, float]:
    """Bound an interval when a share ``loss`` of the events may be missing, and nobody knows from where.

    All of it lost before the airing: the counterfactual is counterfactual / (1 - loss), and the effect smaller by the
    difference. All of it lost after: what was seen in the window is that much too little.

    Examples
    --------
    >>> worst_case(60.0, 100.0, counterfactual=980.0, incremental=80.0, loss=0.02)
    (40.0, 121.63265306122449)
    """
    more = loss / (1.0 - loss)
    return lower - counterfactual * more, upper + (counterfactual + max(incremental, 0.0)) * more
