"""Model health: parts from 0 to 100 by written thresholds; the worst of them is the health (methods, section 9)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import control

if TYPE_CHECKING:
    import pandas as pd

    from attribution.analysis import Analysis
    from attribution.counts import Counts

RECENT_S = 300.0
"""Completeness is that of the last five minutes."""
CLOSE, FACTOR = 1.1, 2.0
"""A dispersion within 10% of the fitted one is sound; at a factor of 2 nothing is left."""
WHOLE, HOLED = 0.999, 0.95
"""Completeness of 99.9% is sound; at 95% nothing is left."""


class Part(NamedTuple):
    """One part of the health."""

    name: str
    score: float
    """0 to 100; NaN where it is unknown, and it is left out then."""
    said: str
    """What was measured, or why it is unknown."""


def score(value: float, sound: float, lost: float) -> float:
    """Return 100 at ``sound`` and beyond, 0 at ``lost``, linear between.

    Examples
    --------
    >>> score(0.97, 0.999, 0.95), score(1.0, 0.999, 0.95), score(1.55, 1.1, 2.0)
    (40.8, 100.0, 50.0)
    """
    return round(100 * float(np.clip((value - lost) / (sound - lost), 0.0, 1.0)), 1)


def parts(result: Analysis | None, counts: Counts, airing: str | None = None) -> tuple[Part, ...]:
    """Return every part of the health, the unknown ones named with their reason.

    Parameters
    ----------
    result
        The latest analysis; None before the first.
    counts
        What was counted by now.
    airing
        Whose model is judged; None before the first airing.
    """
    return (
        _completeness(counts),
        _dispersion(result, airing),
        Part("placebo false claims", math.nan, "needs like moments without an ad, which no live look has time for"),
        Part("placebo coverage", math.nan, "as above; the record page shows both for the method"),
        Part("posterior", math.nan, "no full posterior was sampled of this look (tune page)"),
    )


def worst(found: tuple[Part, ...]) -> Part | None:
    """Return the part with the lowest score; None where every one is unknown.

    Examples
    --------
    >>> worst((Part("a", 99.0, ""), Part("b", 80.0, ""), Part("c", math.nan, ""))).name
    'b'
    """
    known = [part for part in found if math.isfinite(part.score)]
    return min(known, key=lambda part: part.score) if known else None


def _completeness(counts: Counts) -> Part:
    name = "completeness"
    if not len(counts.start):
        return Part(name, math.nan, "nothing has been counted yet")
    recent = counts.seconds >= counts.seconds[-1] - RECENT_S
    share = counts.completeness[recent]
    if not np.isfinite(share).any():
        return Part(name, math.nan, "the feed does not number its events: nobody knows what is missing")
    mean = float(np.nanmean(share))
    return Part(name, score(mean, WHOLE, HOLED), f"{mean:.2%} of the events of the last 5 min were counted")


def _dispersion(result: Analysis | None, airing: str | None) -> Part:
    """Judge how the regions differ before the airing against what counting and the fitted wandering explain."""
    name = "residual dispersion"
    found = None if result is None or airing is None else placed(result, airing)
    if found is None:
        return Part(name, math.nan, "no airing has been modelled yet")
    fit, j = found
    ratio = float(control.credibility(fit.design, fit.noise, j).ratio)
    if not math.isfinite(ratio):
        return Part(name, math.nan, "there is no region without the ad to compare with")
    far = max(ratio, 1 / ratio)
    return Part(name, score(far, CLOSE, FACTOR), f"{ratio:.2f} of what the model expects between regions (1 is exact)")


def placed(result: Analysis, airing: str) -> tuple | None:
    """Return the fit that holds an airing, and its position there."""
    names: pd.Series = result.airings["airing"]
    for fit in () if result.given is None else result.given.fits:
        for j, a in enumerate(fit.design.airings):
            if names.iloc[a] == airing:
                return fit, j
    return None
