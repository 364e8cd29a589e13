"""The brief's literal engine: 5-min rolling average with outlier rejection, spikes at 3 sigma.

A detector, never a verdict: with breaks that double traffic and no ad effect at all it reports thousands of
"incremental" conversions. It is here so that the difference is visible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    import pandas as pd

    from attribution.counts import Counts

ROLLING_S = 300.0
"""Length of the rolling average, seconds."""

SIGMAS = 3.0
"""Outliers beyond this many sd are rejected from the average; spikes beyond it are reported."""


class Brief(NamedTuple):
    """What the brief's engine says; (T,) arrays over the bins of the counts."""

    baseline: np.ndarray
    """Rolling mean of the last 5 min before each bin, outliers rejected; NaN until half of it is there."""
    sd: np.ndarray
    """Sd of the same bins."""
    spike: np.ndarray
    """True where the count exceeds the baseline by 3 sd."""

    def incremental(self, total: np.ndarray, inside: np.ndarray) -> float:
        """Sum of count - baseline over the spikes among the bins ``inside`` (T,), as the brief's engine books it.

        ``total`` (T,) are the counts; a bin without a baseline books nothing.
        """
        booked = inside & self.spike & np.isfinite(self.baseline)
        return float((total - self.baseline)[booked].sum())


def brief(total: np.ndarray, *, step: float) -> Brief:
    """Run the brief's engine over one series.

    Parameters
    ----------
    total
        (T,) counts a bin, NaN where unknown.
    step
        Width of the bins, seconds.

    Returns
    -------
    Brief

    Raises
    ------
    ValueError
        When the bins are wider than the rolling average.

    Examples
    --------
    >>> counts = np.array([10.0, 11.0, 9.0, 10.0] * 100 + [90.0])
    >>> bool(brief(counts, step=1.0).spike[-1])
    True
    """
    size = round(ROLLING_S / step)
    if size < 2:
        raise ValueError(f"step is {step:g} s; the brief's 5-min average needs bins of at most {ROLLING_S / 2:g} s")
    padded = np.concatenate([np.full(size, np.nan), total])[:-1] if len(total) else np.full(size - 1, np.nan)
    past = sliding_window_view(padded, size)
    known = np.isfinite(past)
    count = known.sum(axis=1)
    filled = np.where(known, past, 0.0)
    mean, sd = _moments(filled, known)
    kept = known & (np.abs(past - mean[:, None]) <= SIGMAS * sd[:, None])
    mean, sd = _moments(filled, kept)
    enough = count >= size / 2
    baseline, sd = np.where(enough, mean, np.nan), np.where(enough, sd, np.nan)
    with np.errstate(invalid="ignore"):
        spike = total > baseline + SIGMAS * sd
    return Brief(baseline, sd, spike)


def _moments(value: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of each row (T, W) over the bins that are kept."""
    n = np.maximum(kept.sum(axis=1), 1)
    mean = np.where(kept, value, 0.0).sum(axis=1) / n
    return mean, np.sqrt((np.where(kept, value - mean[:, None], 0.0) ** 2).sum(axis=1) / n)


def brief_incremental(counts: Counts, airings: pd.DataFrame, *, window_s: float = 15.0) -> dict[str, float]:
    """Return what the brief's engine books for each airing in its window: name -> conversions, all regions together."""
    engine = brief(np.nansum(counts.total, axis=1), step=float(np.median(counts.width)))
    total = np.nansum(counts.total, axis=1)
    booked = {}
    for row in airings.itertuples():
        start = row.start.value / 1e9  # type: ignore[union-attr]  a Timestamp in the canonical frame
        inside = (counts.seconds >= start) & (counts.seconds < start + window_s)
        booked[str(row.airing)] = engine.incremental(total, inside)
    return booked
