"""Gaussian algebra of the model: latent paths through time, with a banded precision, beside a few global effects.

A latent path is an Ornstein-Uhlenbeck process seen at the bins. All paths are ordered time first, so that the posterior
precision stays within a narrow band and one Cholesky costs (bins x paths) x band^2 (Rue & Held 2005, chapter 2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import lapack


class Chain(NamedTuple):
    """Prior of one latent path at T moments: x_0 ~ N(0, first), x_t+1 ~ N(decay_t x_t, step_t)."""

    first: float
    decay: np.ndarray
    step: np.ndarray


class Factor(NamedTuple):
    """Cholesky of a banded precision, with the whitened right-hand sides it was solved for."""

    lower: np.ndarray
    """(band + 1, n) lower band of the Cholesky factor."""
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


def averaging(width: np.ndarray, tau: float) -> np.ndarray:
    """Return the loading (T,) that gives a bin's mean of an OU path its variance: sqrt of 2(x - 1 + e^-x)/x^2."""
    x = np.maximum(width / tau, 1e-6)
    return np.sqrt(np.where(x < 1e-3, 1.0 - x / 3.0, 2.0 * (x + np.expm1(-x)) / x**2))


def prior_band(chains: list[Chain], depth: int) -> tuple[np.ndarray, float]:
    """Stack chains of equal length T into the lower band (depth + 1, T x K) of their joint precision.

    Returns the band and the log determinant of the precision.
    """
    k, steps = len(chains), len(chains[0].decay)
    band = np.zeros((depth + 1, k * (steps + 1)))
    log_det = 0.0
    for i, chain in enumerate(chains):
        own = band[:, i::k]
        own[0, 0] += 1.0 / chain.first
        own[0, :-1] += chain.decay**2 / chain.step
        own[0, 1:] += 1.0 / chain.step
        own[k, :-1] -= chain.decay / chain.step
        log_det -= np.log(chain.first) + np.log(chain.step).sum()
    return band, float(log_det)


def quadratic(chains: list[Chain], paths: np.ndarray) -> float:
    """Return sum over chains of x' Q x for paths (T, K)."""
    total = 0.0
    for i, chain in enumerate(chains):
        x = paths[:, i]
        total += x[0] ** 2 / chain.first + float(((x[1:] - chain.decay * x[:-1]) ** 2 / chain.step).sum())
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
                    band[i - j, j] += scaled * coefficient[n, b]
            for c in range(columns.shape[1]):
                cross[i, c] += scaled * columns[n, c]


def factorise(band: np.ndarray, cross: np.ndarray) -> Factor:
    """Cholesky of the band, and L^-1 cross.

    Raises
    ------
    FloatingPointError
        When the precision is not positive definite: the linearisation has left the model's range.
    """
    lower, info = lapack.dpbtrf(band, lower=1)  # type: ignore[attr-defined]  made at build time, unknown to stubs
    if info != 0:
        raise FloatingPointError(f"precision not positive definite at row {info}")
    white, _ = lapack.dtbtrs(lower, cross, uplo="L")  # type: ignore[attr-defined]
    return Factor(lower, white, 2.0 * float(np.log(lower[0]).sum()))


def solve_upper(factor: Factor, white: np.ndarray) -> np.ndarray:
    """Return L^-T white for (n, p): modes from whitened cross products, or draws from standard normals."""
    return lapack.dtbtrs(factor.lower, white, uplo="L", trans="T")[0]  # type: ignore[attr-defined]
