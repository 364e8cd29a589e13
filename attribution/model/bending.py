"""Where two effects enter as a product, straight coordinates mix slowly: these bend with the product.

A surge's path times its gain: D gives way to it. An airing's amount times the posts it brings: the mediator is told as
its place in its own conditional normal, wide where the amount is near zero and says nothing of it, narrow where it is
not. The density is that of the model; only what the sampler moves along is changed.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def back_solve(lower, x):
    """Overwrite x (n,) by L^-T x for a banded L: row i of ``lower`` (n, band + 1) holds L[i, i], L[i, i-1], ..."""
    depth = lower.shape[1] - 1
    for i in range(lower.shape[0] - 1, -1, -1):
        x[i] /= lower[i, 0]
        for back in range(1, min(depth, i) + 1):
            x[i - back] -= lower[i, back] * x[i]


@njit(cache=True)
def forward_solve(lower, x):
    """Overwrite x (n,) by L^-1 x for a banded L (see :func:`back_solve`)."""
    depth = lower.shape[1] - 1
    for i in range(lower.shape[0]):
        total = x[i]
        for back in range(1, min(depth, i) + 1):
            total -= lower[i, back] * x[i - back]
        x[i] = total / lower[i, 0]


@njit(cache=True)
def give_way(yielding, smooth, away, rise, paths):
    """Let D give way to a gain ``away`` from the centre times a surge's ``rise`` (T,) above it; changes paths (T, K).

    What the counts see of a surge is the gain times its path. Where both leave the centre, so does their product, and D
    makes up for it as far as its prior lets it: by the smoother of its own tridiagonal precision, of which ``smooth``
    (T, 2) is the Cholesky and ``yielding`` (T,) what the counts weigh. Volume is kept.
    """
    shift = yielding * (away * rise)
    forward_solve(smooth, shift)
    back_solve(smooth, shift)
    paths[:, 0] -= shift


@njit(cache=True)
def give_way_slope(yielding, smooth, away, rise, by_paths):
    """Add to the slope of the surge's path, in place; return that by the gain."""
    by_shift = -by_paths[:, 0]
    forward_solve(smooth, by_shift)
    back_solve(smooth, by_shift)
    by_shift *= yielding
    by_paths[:, 2] += away * by_shift
    return (rise * by_shift).sum()


@njit(cache=True)
def _conditional(urge, sd, amount):
    """Return variance and mean of the mediator at some amounts (J,), and how its precision grows with each of them.

    ``urge`` (J + 1, J) holds the precision of the posts that the amounts bring, and what the feed says of them.
    """
    airings = len(amount)
    grown, precision, said = np.zeros(airings), 1.0 / sd**2, 0.0
    for j in range(airings):
        for i in range(airings):
            grown[j] += urge[j, i] * amount[i]
        precision += grown[j] * amount[j]
        said += urge[airings, j] * amount[j]
    return 1.0 / precision, said / precision, grown


@njit(cache=True)
def mediate(urge, sd, middle, centre, amount, place):
    """Return the mediator told as ``place`` in straight coordinates, and the log of how far these are stretched.

    ``middle`` is its mean, ``centre`` (J,) the amounts, where straight and bent coordinates are the same.
    """
    variance, mean, _ = _conditional(urge, sd, amount)
    stretch = np.sqrt(variance / _conditional(urge, sd, centre)[0])
    return mean + stretch * (place - middle), np.log(stretch)


@njit(cache=True)
def mediate_slope(urge, sd, middle, centre, amount, place, slope, by_amount):
    """Turn the slope by the mediator into that by its place, and add to the slopes by the amounts (J,), in place."""
    variance, mean, grown = _conditional(urge, sd, amount)
    stretch = np.sqrt(variance / _conditional(urge, sd, centre)[0])
    by_amount += slope * variance * (urge[-1] - (2.0 * mean + stretch * (place - middle)) * grown) - variance * grown
    return slope * stretch


@njit(cache=True)
def post(brought, moved, amount, raw):
    """Let the paths give way to the posts that ads bring: a mediator ``moved`` from its middle, times amounts (J,)."""
    for j in range(len(amount)):
        for n in range(len(raw)):
            raw[n] -= brought[n, j] * moved * amount[j]


@njit(cache=True)
def post_slope(brought, moved, amount, by_raw, by_amount):
    """Add to the slopes by the amounts (J,), in place; return that by the mediator."""
    total = 0.0
    for j in range(len(amount)):
        along = 0.0
        for n in range(len(by_raw)):
            along -= brought[n, j] * by_raw[n]
        by_amount[j] += moved * along
        total += amount[j] * along
    return total


@njit(cache=True)
def mediators(urge, sd, middle, centre, amount, place):
    """Return the mediators (D,) told as places (D,) at amounts (D, J)."""
    out = np.empty(len(place))
    for d in range(len(place)):
        out[d] = mediate(urge, sd, middle, centre, amount[d], place[d])[0]
    return out
