"""Where a feed was out: stretches of zeros that the level around them makes incredible, and the rush after them."""

from __future__ import annotations

import numpy as np
from scipy.special import pdtr

IMPROBABLE = 1e-9
"""A stretch of zeros is an outage when chance makes it less often than this."""

LIKELY, AFTERMATH = 1e-4, 300
"""So many bins around a certain outage this is enough: a feed that has failed is likelier to fail again."""

ODD = 0.05
"""A run of zeros rarer than this may belong to an outage through which single events still came."""

STRAGGLERS = 4
"""Odd runs of zeros at most so many bins apart are one stretch."""

FADE_S = 60.0
"""Seconds before an outage that may already be part of it."""
SURPRISE, LONGEST = 4.0, 60
"""A rush after an outage: bins this many sd above the level, for as long as the outage was, and at most 60 bins."""


def silences(y: np.ndarray, *, near: int = 60) -> np.ndarray:
    """Find stretches of (almost) nothing that the local level makes incredible: the feed was out.

    A stretch of n bins with k events is an outage when Poisson(m) gives k or fewer with probability < 1e-9, where
    m = n x level x 1/2 / phi. The level is the lower of the means of the ``near`` bins before and after; the half
    allows for a wandering rate (two sd of .35 on the log scale), phi >= 1 for over-dispersion from bin to bin, measured
    by squared differences of neighbours. Stretches are runs of exact zeros, and such runs with a few stragglers between
    them; then the other odd runs are left out of the level, which an outage must not lower.

    Parameters
    ----------
    y
        (T,) counts; NaN where unknown.
    near
        Bins before and after a stretch that its level is taken from.

    Returns
    -------
    (T,) bool
        True where the count is to be treated as unknown.

    Examples
    --------
    >>> y = np.full(200, 9.0)
    >>> y[100:112] = 0
    >>> int(silences(y).sum())
    12
    """
    out = np.zeros(len(y), bool)
    first, last = _runs(y == 0)
    if not len(first):
        return out
    known = ~np.isnan(y)
    level, most, phi = _around(y, known, first, last, near)
    _mark(out, first, last, 0.5 * level * (last - first) / phi > -np.log(IMPROBABLE))
    # Another stretch of the same outage may fill one side: the busier side says whether a run is odd at all.
    odd = (0.5 * most * (last - first) / phi > -np.log(ODD)) & (last - first >= 3)
    first, last = _joined(first[odd], last[odd])
    if not len(first):
        return out
    healthy = known.copy()
    for a, b in zip(first, last, strict=True):
        healthy[a:b] = False
    level, _, phi = _around(y, healthy, first, last, near)
    events = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0.0))])
    came = events[last] - events[first]
    probability = pdtr(came, np.nan_to_num(0.5 * level * (last - first) / phi))
    _mark(out, first, last, probability < IMPROBABLE)
    certain = np.concatenate([[0], np.cumsum(out)])
    near_one = certain[np.minimum(last + AFTERMATH, len(y))] > certain[np.maximum(first - AFTERMATH, 0)]
    _mark(out, first, last, near_one & (probability < LIKELY))
    return out


def rush(y: np.ndarray, out: np.ndarray, *, near: int = 60) -> np.ndarray:
    """Find the rush after an outage: what had waited comes at once, or people try again; it is no effect.

    It begins in the first bin after the outage and lasts while every bin lies 4 sd above the level before the outage,
    at most as long as the outage was.

    Parameters
    ----------
    y
        (T,) counts; NaN where unknown.
    out
        (T,) mask of the outage.

    Returns
    -------
    (T,) bool
        True in the rush, which begins where the outage ends.

    Examples
    --------
    >>> y = np.full(100, 9.0)
    >>> y[50:60], y[60:63] = 0, 30
    >>> np.flatnonzero(rush(y, silences(y))).tolist()
    [60, 61, 62]
    """
    found = np.zeros(len(y), bool)
    silent = out | np.isnan(y)
    first, last = _runs(silent)
    for a, b in zip(first, last, strict=True):
        before = y[max(a - near, 0) : a][~silent[max(a - near, 0) : a]]
        if len(before) < 10:
            continue
        level = max(float(before.mean()), 1.0)
        spread = max(float((np.diff(before) ** 2).mean() / 2), level)
        end = min(b + min(b - a, LONGEST), len(y))
        calm = np.flatnonzero(~(y[b:end] > level + SURPRISE * np.sqrt(spread)))
        found[b : b + (int(calm[0]) if len(calm) else end - b)] = True
    return found


def fading(out: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Find what comes just before an outage: a service that is about to fail already counts less; it is no effect.

    As long as the outage was, and at most :data:`FADE_S`; what it does to false claims at real outages is a line of
    ``data/calibration/real.csv``.

    Parameters
    ----------
    out
        (T,) mask of the outages.
    width
        (T,) seconds of each bin.

    Returns
    -------
    (T,) bool
        True in the bins before an outage.

    Examples
    --------
    >>> out = np.zeros(20, bool)
    >>> out[10:13] = True
    >>> np.flatnonzero(fading(out, np.ones(20))).tolist()
    [7, 8, 9]
    """
    found = np.zeros(len(out), bool)
    ends = np.cumsum(width)
    for a, b in zip(*_runs(out), strict=True):
        began = ends[a] - width[a]
        found[np.searchsorted(ends, began - min(ends[b - 1] - began, FADE_S), side="right") : a] = True
    return found


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the runs of True begin, and where they have ended."""
    padded = np.concatenate([[False], mask, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return edges[::2], edges[1::2]


def _joined(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join runs that are at most ``STRAGGLERS`` bins apart."""
    if not len(first):
        return first, last
    apart = np.flatnonzero(first[1:] - last[:-1] > STRAGGLERS)
    return first[np.concatenate([[0], apart + 1])], last[np.concatenate([apart, [len(last) - 1]])]


def _mark(out: np.ndarray, first: np.ndarray, last: np.ndarray, chosen: np.ndarray) -> None:
    for a, b in zip(first[chosen], last[chosen], strict=True):
        out[a:b] = True


def _around(
    y: np.ndarray, healthy: np.ndarray, first: np.ndarray, last: np.ndarray, near: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the level around each stretch: the lower and the higher of before and after, and its over-dispersion."""
    kept = y[healthy]
    place = np.concatenate([[0], np.cumsum(healthy)])
    sums = np.concatenate([[0.0], np.cumsum(kept)])
    squares = np.concatenate([[0.0], np.cumsum(np.diff(kept, prepend=kept[:1]) ** 2 / 2)])
    a, b = place[first], place[last]
    low, high = np.maximum(a - near, 0), np.minimum(b + near, len(kept))
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = (sums[a] - sums[low]) / (a - low), (sums[high] - sums[b]) / (high - b)
        steps = np.maximum(squares[a] - squares[np.minimum(low + 1, a)], 0.0)
        steps = steps + np.maximum(squares[high] - squares[np.minimum(b + 1, high)], 0.0)
        phi = np.fmax(steps / (sums[a] - sums[low] + sums[high] - sums[b]), 1.0)
    return np.fmin(before, after), np.fmax(before, after), phi
