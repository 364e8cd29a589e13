"""One response curve for a whole schedule: the share of a response in each stretch of lags, and the columns it lays.

The curve is free in shape. Its prior is what the kernels of the settings, with and without a long tail, have in
common: their mean and their covariance over the stretches. Shares add up to 1 inside the horizon, so that what is
learnt about the shape moves no total by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from attribution.model.wander import Gain, whiten
from attribution.model.windows import response_bank
from attribution.settings import seconds

if TYPE_CHECKING:
    from attribution.settings import Settings

EDGES_S = (0.0, 15.0, 30.0, 60.0, 90.0, 120.0, 180.0, 240.0, 360.0, 540.0, 900.0)
"""Stretches of lags after delivery, seconds; the last edge is the horizon. The last three are the tail's."""
TAIL_S = 240.0
"""The tail is what comes later than this."""
TAILS = ((0.0, 0.4), (0.1, 0.2), (0.2, 0.2), (0.3, 0.1), (0.45, 0.1))
"""(share of a response in the tail, prior weight)."""
TAIL_SPANS_S = (120.0, 300.0, 900.0)
"""Scales of the tail's exponential."""
ROUGH = 0.03
"""Sd of each stretch's share beyond what the kernels of the prior allow."""
REACH = 480
"""Bins after an airing over which its whitened column is kept at least; the filter has forgotten it by then."""

SUMS = {"reassoc", "contract"}
"""Lets a compiler add in several lanes at once; what is no number stays none."""


class CurvePrior(NamedTuple):
    """Shares of a response in stretches of lags, before any data."""

    edges: np.ndarray
    """(L + 1,) seconds after the airing's start."""
    mean: np.ndarray
    """(L,) adds up to 1."""
    covariance: np.ndarray
    """(L, L); rows add up to 0."""

    @property
    def late(self) -> np.ndarray:
        """(L,) mask of the stretches of the tail."""
        delivered = self.edges[:-1] - self.edges[0]
        return delivered >= TAIL_S * (self.edges[-1] - self.edges[0]) / EDGES_S[-1] - 1e-9


def curve_prior(settings: Settings, step: float) -> CurvePrior:
    """Return the prior of the response curve under these settings, for bins of ``step`` seconds."""
    kernels, _, _, weight = response_bank(settings.replace(stream_delay="0s", stream_delay_sd=0.0, clock_sd=0.0))
    reach = EDGES_S[-1] * max(1.0, step / 60.0, seconds(settings.response_peak) / 60.0)
    edges = np.array(EDGES_S) * reach / EDGES_S[-1]
    bodies = np.array([np.diff(kernel.cdf(edges)) for kernel in kernels])
    bodies /= bodies.sum(axis=1, keepdims=True)
    late = edges[:-1] >= TAIL_S * reach / EDGES_S[-1] - 1e-9
    rows, chances = [], []
    for share, chance in TAILS:
        for span in TAIL_SPANS_S if share else (1.0,):
            scale = span * reach / EDGES_S[-1]
            far = np.where(late, np.exp(-edges[:-1] / scale) - np.exp(-edges[1:] / scale), 0.0)
            far = far / far.sum() if share else far
            rows.append((1 - share) * bodies + share * far)
            chances.append(weight * chance / (len(TAIL_SPANS_S) if share else 1))
    curves, chance = np.vstack(rows), np.concatenate(chances)
    mean = chance @ curves / chance.sum()
    apart = curves - mean
    even = np.eye(len(mean)) - 1.0 / len(mean)
    covariance = (apart.T * chance) @ apart / chance.sum() + ROUGH**2 * even
    return CurvePrior(edges + settings.delay[0], mean, covariance)


@njit(cache=True)
def airing_columns(
    onset: np.ndarray,
    start: np.ndarray,
    width: np.ndarray,
    scale: np.ndarray,
    edges: np.ndarray,
    shares: np.ndarray,
    reach: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay the responses of airings (J,) on the bins: share of a response in each bin x ``scale`` (T,).

    Returns
    -------
    (J, reach) values from the first bin that each can touch, and (J,) those bins.
    """
    out = np.zeros((len(onset), reach))
    first = np.zeros(len(onset), dtype=np.int64)
    for j in range(len(onset)):
        begin = max(np.searchsorted(start, onset[j] + edges[0], side="right") - 1, 0)
        first[j] = begin
        l = 0
        for n in range(min(reach, len(start) - begin)):
            low = start[begin + n] - onset[j]
            high = low + width[begin + n]
            if low >= edges[-1]:
                break
            while l < len(shares) and edges[l] < high:
                inside = min(high, edges[l + 1]) - max(low, edges[l])
                if inside > 0.0:
                    out[j, n] += shares[l] * inside / (edges[l + 1] - edges[l]) * scale[begin + n]
                if edges[l + 1] > high:
                    break
                l += 1
    return out, first


@njit(cache=True)
def _stretched(onset, weight, start, width, scale, edges):
    out = np.zeros((len(edges) - 1, len(start)))
    for j in range(len(onset)):
        l = 0
        for t in range(max(np.searchsorted(start, onset[j] + edges[0], side="right") - 1, 0), len(start)):
            low = start[t] - onset[j]
            high = low + width[t]
            if low >= edges[-1]:
                break
            while l < len(out) and edges[l] < high:
                inside = min(high, edges[l + 1]) - max(low, edges[l])
                if inside > 0.0:
                    out[l, t] += weight[j] * inside / (edges[l + 1] - edges[l]) * scale[t]
                if edges[l + 1] > high:
                    break
                l += 1
    return out


@njit(cache=True, fastmath=SUMS)
def banded(white: np.ndarray, first: np.ndarray, band: int) -> np.ndarray:
    """Return the lower band (band + 1, J) of X' X for whitened columns (J, n) in the order of their first bins."""
    J, n = white.shape
    out = np.zeros((band + 1, J))
    for j in range(J):
        for d in range(min(band + 1, J - j)):
            shift = first[j + d] - first[j]
            if shift >= n:
                break
            total = 0.0
            for i in range(n - shift):
                total += white[j, shift + i] * white[j + d, i]
            out[d, j] = total
    return out


@njit(cache=True, fastmath=SUMS)
def meeting(white: np.ndarray, first: np.ndarray, long: np.ndarray) -> np.ndarray:
    """Return (J, P) products of the airings' whitened columns with long whitened columns (P, T)."""
    J, n = white.shape
    out = np.zeros((J, len(long)))
    for j in range(J):
        last = min(n, long.shape[1] - first[j])
        for p in range(len(long)):
            total = 0.0
            for i in range(last):
                total += white[j, i] * long[p, first[j] + i]
            out[j, p] = total
    return out


def bandwidth(first: np.ndarray, reach: int) -> int:
    """Return how many later airings a whitened column can meet, given first bins in order."""
    return int((np.searchsorted(first, first + reach) - np.arange(len(first))).max()) - 1


def stretches(
    gain: Gain,
    onset: np.ndarray,
    weight: np.ndarray,
    start: np.ndarray,
    width: np.ndarray,
    scale: np.ndarray,
    edges: np.ndarray,
) -> np.ndarray:
    """Lay every stretch of lags of every airing, weighted (J,), on the bins: (L, T), whitened."""
    columns = _stretched(onset, weight, start, width, scale, edges)
    return whiten(gain, columns, np.zeros(len(columns), dtype=np.int64))
