"""One step's equations: the model linearised at a state, its paths integrated out, in one pass through time.

The same as :func:`attribution.model.linear.marginal` of what is linearised there, to rounding, and in one compiled
piece that lets other threads run meanwhile. Everything is weighted by 1/sqrt(phi mu) first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from attribution.model.field import covariances, eliminate
from attribution.model.rows import Expected, Given, rows_of_feed, rows_of_regions, rows_of_responses

PARTS = 6
"""Pieces of time, at most, whose columns are multiplied apart: each with those that have begun."""


class Pull(NamedTuple):
    """What integrating the surge's path adds to the equations of its gain and scales; zeros without a surge.

    The path G and the gain b enter as their product. A joint mode shrinks G and lets b run away; with the paths
    integrated out, -1/2 log det of their precision Q(b) holds b back. Its slope is
    ``-sum_n w_n c_n Cov(G, eta_n)``, with eta_n the latent part of observation n and c_n what G adds to it at gain 1;
    the part of it by G itself, ``-b sum w c^2 Var(G)``, is kept as a quadratic. Likewise for the scales.
    """

    gain: float
    """sum w c^2 Var(G)."""
    tilt: float
    """The rest of the slope by the gain."""
    slope: np.ndarray
    """(R - 1,) slopes by the scales."""


@njit(cache=True, nogil=True)
def _weigh(coefficient, rows, reach, each):
    """Multiply every row by the root of its weight, in place; what was not observed weighs nothing."""
    for t in range(len(reach)):
        for n in range(t * each, (t + 1) * each):
            root = coefficient[n, 6]
            for a in range(6):
                coefficient[n, a] *= root
            for c in range(reach[t]):
                rows[n, c] *= root


@njit(cache=True, nogil=True)
def _fold(band, cross, kinds, coefficient, rows, reach):
    """Add the observations to the band of the paths' precision and to its cross products, in place."""
    k, each = band.shape[1] - 1, len(kinds)
    for t in range(len(reach)):
        for m in range(each):
            n = t * each + m
            for a in range(5):
                i, own = kinds[m, a], coefficient[n, a]
                if i < 0 or own == 0.0:
                    continue
                for b in range(5):
                    j = kinds[m, b]
                    if 0 <= j <= i:
                        band[t * k + i, i - j] += own * coefficient[n, b]
                for c in range(reach[t]):
                    cross[t * k + i, c] += own * rows[n, c]


@njit(cache=True, nogil=True)
def _gram(rows, white, reach, each, k):
    """Return ``rows' rows - white' white``, piece of time by piece, each of the columns that have begun."""
    bins, low = len(reach), 0
    gram, pieces = np.zeros((rows.shape[1], rows.shape[1])), 1
    for t in range(1, bins + 1):
        last = t == bins
        if not last and (reach[t] == reach[t - 1] or pieces == PARTS):
            continue
        p = reach[t - 1]
        own = np.ascontiguousarray(rows[low * each : t * each, :p])
        taken = np.ascontiguousarray(white[low * k : t * k, :p])
        gram[:p, :p] += np.dot(own.T, own) - np.dot(taken.T, taken)
        low, pieces = t, pieces + 1
    return gram


@njit(cache=True, nogil=True)
def _along(own, coefficient, cover):
    """Return what integrating the paths adds (see :class:`Pull`), from their covariances (T, K, K)."""
    regions, each, contrast = len(own.y), len(own.kinds), own.contrast
    shock, surge, scale = own.slots[1], own.slots[2], own.slots[9]
    quadratic, tilt, slope = 0.0, 0.0, np.zeros(regions)
    for t in range(len(cover)):
        for r in range(regions):
            n, along_surge, along_shock = t * each + r, 0.0, 0.0
            if coefficient[n, 6] == 0.0:
                continue
            for a in range(5):
                other = own.kinds[r, a]
                if other >= 0:
                    if surge >= 0:
                        along_surge += coefficient[n, a] * cover[t, surge, other]
                    if shock >= 0:
                        along_shock += coefficient[n, a] * cover[t, shock, other]
            if surge >= 0:
                c, var = coefficient[n, 5], cover[t, surge, surge]
                quadratic += c * c * var
                tilt += c * (along_surge - coefficient[n, 3] * var)
                slope[r] += coefficient[n, 3] * along_surge
            if shock >= 0:
                slope[r] += coefficient[n, 2] * along_shock
    turned = np.zeros(contrast.shape[1] if scale >= 0 else 0)
    for c in range(len(turned)):
        for r in range(regions):
            turned[c] += slope[r] * contrast[r, c]
    return Pull(quadratic, tilt, turned)


@njit(cache=True, nogil=True)
def equations(own: Given, paths: np.ndarray, effects: np.ndarray, mean: Expected) -> tuple:
    """Linearise at a state and integrate the paths out (methods, section 2.1).

    Returns
    -------
    lower, white, log_det
        A :class:`attribution.model.field.Factor` of the paths' precision; its white columns are the response, the
        effects and the basis. The log determinant is NaN where the precision is not positive definite: all else is
        without meaning then.
    gram
        (p, p) of those columns, the paths integrated out and the pull added.
    held
        The pull.
    """
    bins, each = len(own.reach), len(own.kinds)
    k = own.band.shape[1] - 1
    coefficient, rows = np.zeros((bins * each, 7)), np.zeros((bins * each, own.size))
    rows_of_regions(own, paths, effects, mean, coefficient, rows)
    rows_of_responses(own, effects, mean, rows)
    rows_of_feed(own, paths, effects, mean, coefficient, rows)
    _weigh(coefficient, rows, own.reach, each)
    band, cross = own.band.copy(), np.zeros((bins * k, own.size))
    _fold(band, cross, own.kinds, coefficient, rows, own.reach)
    log_det = eliminate(band, cross, np.repeat(own.reach, k))
    held = Pull(0.0, 0.0, np.zeros(own.contrast.shape[1] if own.slots[9] >= 0 else 0))
    if not np.isfinite(log_det):
        return band, cross, log_det, np.zeros((own.size, own.size)), held
    gram = _gram(rows, cross, own.reach, each, k)
    if own.slots[2] >= 0 or (own.slots[1] >= 0 and own.slots[9] >= 0):
        held = _along(own, coefficient, covariances(band, k))
        _pulled(own, gram, held)
    return band, cross, log_det, gram, held


@njit(cache=True, nogil=True)
def _pulled(own, gram, held):
    """Add the pull to the gram, in place."""
    gain, scale = own.slots[8], own.slots[9]
    if gain >= 0 and own.place[gain] > 0:
        at = own.place[gain]
        gram[at, at] += held.gain
        gram[at, 0] -= held.tilt
        gram[0, at] -= held.tilt
    for c in range(len(held.slope)):
        at = own.place[scale + c]
        if at > 0:
            gram[at, 0] -= held.slope[c]
            gram[0, at] -= held.slope[c]


@njit(cache=True, nogil=True)
def penalty(own: Given, held: Pull, effects: np.ndarray) -> float:
    """Return what the pull takes from the log posterior at some effects (P,)."""
    gain, scale, total = own.slots[8], own.slots[9], 0.0
    if gain >= 0:
        total += 0.5 * held.gain * effects[gain] ** 2 + held.tilt * effects[gain]
    for c in range(len(held.slope)):
        total += held.slope[c] * effects[scale + c]
    return float(total)
