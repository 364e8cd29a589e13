"""Gaussian algebra of the model: latent paths through time, with a banded precision, beside a few global effects.

A latent path is an Ornstein-Uhlenbeck process seen at the bins. All paths are ordered time first, so that the posterior
precision stays within a band as wide as there are paths, and one Cholesky costs (bins x paths) x paths^2
(Rue & Held 2005, chapter 2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit


class Chain(NamedTuple):
    """Prior of one latent path at T moments: x_0 ~ N(0, first), x_t+1 ~ N(decay_t x_t, step_t)."""

    first: float
    decay: np.ndarray
    step: np.ndarray


class Chains(NamedTuple):
    """K latent paths at T moments: (K,) ``first``, (K, T - 1) ``decay`` and ``step``, and their joint precision."""

    first: np.ndarray
    decay: np.ndarray
    step: np.ndarray
    band: np.ndarray
    """(T K, K + 1): lower band of the precision, diagonal first."""
    log_det: float


class Factor(NamedTuple):
    """Cholesky of a banded precision, with the whitened right-hand sides it was solved for."""

    lower: np.ndarray
    """(n, band + 1): row i holds L[i, i], L[i, i-1], ..."""
    white: np.ndarray
    """(n, p): L^-1 applied to the cross products with the p columns."""
    log_det: float
    """Log determinant of the precision."""


def ou(mid: np.ndarray, sd: float, tau: float) -> Chain:
    """Stationary Ornstein-Uhlenbeck path of the given sd and time constant (s) at moments ``mid`` (T,) in seconds."""
    decay = np.exp(-np.diff(mid) / tau)
    return Chain(sd**2, decay, sd**2 * -np.expm1(-2.0 * np.diff(mid) / tau))


def driven(mid: np.ndarray, innovation: np.ndarray, tau: float, first: float) -> Chain:
    """Ornstein-Uhlenbeck path whose innovation variance a second changes with time: (T,) ``innovation``."""
    gap = np.diff(mid)
    decay = np.exp(-gap / tau)
    mean = 0.5 * (innovation[1:] + innovation[:-1])
    return Chain(first, decay, mean * tau / 2.0 * -np.expm1(-2.0 * gap / tau))


def switched(mid: np.ndarray, sd: np.ndarray, tau: float) -> Chain:
    """Ornstein-Uhlenbeck path whose sd (T,) changes with time: nearly nothing outside the moments it is meant for."""
    path = ou(mid, 1.0, tau)
    return Chain(float(sd[0] ** 2), path.decay, path.step * sd[1:] ** 2)


def averaging(width: np.ndarray, tau: float) -> np.ndarray:
    """Return the loading (T,) that gives a bin's mean of an OU path its variance: sqrt of 2(x - 1 + e^-x)/x^2."""
    x = np.maximum(width / tau, 1e-6)
    return np.sqrt(np.where(x < 1e-3, 1.0 - x / 3.0, 2.0 * (x + np.expm1(-x)) / x**2))


@njit(cache=True)
def _band(first: np.ndarray, decay: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, float]:
    k, steps = decay.shape
    band, log_det = np.zeros((k * (steps + 1), k + 1)), 0.0
    for i in range(k):
        band[i, 0] += 1.0 / first[i]
        log_det -= np.log(first[i])
        for t in range(steps):
            inverse = 1.0 / step[i, t]
            band[t * k + i, 0] += decay[i, t] ** 2 * inverse
            band[(t + 1) * k + i, 0] += inverse
            band[(t + 1) * k + i, k] -= decay[i, t] * inverse
            log_det -= np.log(step[i, t])
    return band, log_det


def stack(chains: list[Chain]) -> Chains:
    """Stack K paths of equal length T into their joint precision."""
    first = np.array([c.first for c in chains])
    decay, step = np.array([c.decay for c in chains]), np.array([c.step for c in chains])
    band, log_det = _band(first, decay, step)
    return Chains(first, decay, step, band, float(log_det))


@njit(cache=True, nogil=True)
def quadratic(first: np.ndarray, decay: np.ndarray, step: np.ndarray, paths: np.ndarray) -> float:
    """Return sum over chains of x' Q x for paths (T, K)."""
    total = 0.0
    for i in range(len(first)):
        total += paths[0, i] ** 2 / first[i]
        for t in range(decay.shape[1]):
            total += (paths[t + 1, i] - decay[i, t] * paths[t, i]) ** 2 / step[i, t]
    return total


@njit(cache=True)
def accumulate(
    band: np.ndarray,
    cross: np.ndarray,
    index: np.ndarray,
    coefficient: np.ndarray,
    weight: np.ndarray,
    columns: np.ndarray,
) -> None:
    """Add J' W J to ``band`` and J' W columns to ``cross``, in place.

    Observation n reads latent ``index[n, a]`` with ``coefficient[n, a]`` (index -1: nothing); weight (N,);
    columns (N, p) hold the global effects and the working response.
    """
    for n in range(index.shape[0]):
        w = weight[n]
        if w == 0.0:
            continue
        for a in range(index.shape[1]):
            i = index[n, a]
            if i < 0 or coefficient[n, a] == 0.0:
                continue
            scaled = w * coefficient[n, a]
            for b in range(index.shape[1]):
                j = index[n, b]
                if 0 <= j <= i:
                    band[i, i - j] += scaled * coefficient[n, b]
            for c in range(columns.shape[1]):
                cross[i, c] += scaled * columns[n, c]


@njit(cache=True, nogil=True)
def eliminate(band: np.ndarray, cross: np.ndarray, reach: np.ndarray) -> float:
    """Factorise the band in place and whiten ``cross`` in place; the log determinant, NaN when not positive.

    Of row i only the first ``reach[i]`` (n,) columns are anything but 0. The rows of L' are kept beside L, so that
    every inner loop runs along a row, which compilers turn into vectors.
    """
    n, depth = band.shape[0], band.shape[1] - 1
    along, row, log_det = np.zeros((n, depth + 1)), np.zeros(depth + 1), 0.0
    for i in range(n):
        low = max(0, i - depth)
        count = i - low
        for m in range(count + 1):
            row[m] = band[i, count - m]
        for j in range(count):
            value = row[j] / along[low + j, 0]
            row[j] = value
            if value != 0.0:
                along[low + j, count - j] = value
                for m in range(1, count - j + 1):
                    row[j + m] -= value * along[low + j, m]
        if not row[count] > 0.0:
            return np.nan
        root = np.sqrt(row[count])
        log_det += np.log(row[count])
        along[i, 0], band[i, 0] = root, root
        for m in range(count):
            band[i, count - m] = row[m]
        at = 0
        while at + 4 <= count:  # four rows at a time: half the reading and writing
            a, b, c, d, j = row[at], row[at + 1], row[at + 2], row[at + 3], low + at
            for m in range(reach[i]):
                cross[i, m] -= a * cross[j, m] + b * cross[j + 1, m] + c * cross[j + 2, m] + d * cross[j + 3, m]
            at += 4
        for j in range(low + at, i):
            for m in range(reach[i]):
                cross[i, m] -= row[j - low] * cross[j, m]
        for m in range(reach[i]):
            cross[i, m] /= root
    return log_det


def factorise(band: np.ndarray, cross: np.ndarray, reach: np.ndarray | None = None) -> Factor:
    """Cholesky of the band, and L^-1 cross; both arguments are overwritten.

    Parameters
    ----------
    reach
        (n,) so many of the first columns of a row of ``cross`` are not 0; never fewer than in a row above. All of them
        when absent.

    Raises
    ------
    FloatingPointError
        When the precision is not positive definite: the linearisation has left the model's range.
    """
    whole = np.full(len(band), cross.shape[1]) if reach is None else reach
    log_det = eliminate(band, cross, whole)
    if not np.isfinite(log_det):
        raise FloatingPointError("precision not positive definite")
    return Factor(band, cross, float(log_det))


@njit(cache=True, nogil=True)
def back_substitute(lower: np.ndarray, x: np.ndarray) -> None:
    """Overwrite x (n, p) by L^-T x."""
    n, depth, columns = lower.shape[0], lower.shape[1] - 1, x.shape[1]
    for i in range(n - 1, -1, -1):
        for c in range(columns):
            x[i, c] /= lower[i, 0]
        for j in range(max(0, i - depth), i):
            scale = lower[i, i - j]
            if scale != 0.0:
                for c in range(columns):
                    x[j, c] -= scale * x[i, c]


def solve_upper(factor: Factor, white: np.ndarray) -> np.ndarray:
    """Return L^-T white for (n, p): modes from whitened cross products, or draws from standard normals."""
    x = np.array(white, order="C")
    back_substitute(factor.lower, x)
    return x


@njit(cache=True, nogil=True)
def covariances(lower: np.ndarray, k: int) -> np.ndarray:
    """Return (T, k, k): the posterior covariance of the k paths at each moment.

    The part of the inverse inside the band, from the last row to the first (Takahashi, Fagan & Chin 1973): with l the
    column of L below its diagonal over that diagonal, and Z the covariance of the k latents that follow,
    Cov(x_i, those) = -Z l and Var(x_i) = 1/L_ii^2 + l' Z l. The latents that follow are kept by their path, so that at
    the first path of a moment they are all paths of that moment, in order.
    """
    n = lower.shape[0]
    bins = n // k
    found = np.zeros((bins, k, k))
    near, own, below = np.zeros((k, k)), np.zeros(k), np.zeros(k)
    for i in range(n - 1, -1, -1):
        here, root = i % k, 1.0 / lower[i, 0]
        for m in range(1, k + 1):
            below[(i + m) % k] = lower[i + m, m] * root if i + m < n else 0.0
        own[:] = 0.0
        for a in range(k):
            scale = below[a]
            if scale != 0.0:
                row = near[a]
                for c in range(k):
                    own[c] -= scale * row[c]
        variance = root * root
        for a in range(k):
            variance -= below[a] * own[a]
        for a in range(k):
            near[a, here], near[here, a] = own[a], own[a]
        near[here, here] = variance
        if here == 0:
            found[i // k] = near
    return found
