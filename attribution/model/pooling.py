"""Hundreds of amplitudes in one linear system: each on its own evidence, and partially pooled by what airings share.

The normal equations of the airings are a band (only airings near in time meet), with a few long columns beside it (the
shape of the curve, level, harmonics), which a Schur complement removes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import cho_solve_banded, cholesky_banded, lapack, solve_triangular
from scipy.optimize import minimize

RIDGE = 1e-3
"""Share added to an airing's information: keeps airings of the same minute apart without moving any total."""


class System(NamedTuple):
    """Normal equations of (A, p): airings' amplitudes (J,) and the parameters of P long columns."""

    band: np.ndarray
    """(W + 1, J) lower band of the airings' block."""
    beside: np.ndarray
    """(J, P) airings x long columns."""
    corner: np.ndarray
    """(P, P) with the priors of the long columns' parameters."""
    right: np.ndarray
    """(J,)"""
    below: np.ndarray
    """(P,)"""


class Own(NamedTuple):
    """Every airing on its own evidence: generalised least squares, nothing pooled."""

    estimate: np.ndarray
    """(J,)"""
    sd: np.ndarray
    """(J,); empty when not asked for."""
    totals: np.ndarray
    """(G,) sums over the groups."""
    totals_covariance: np.ndarray
    """(G, G)"""
    long: np.ndarray
    """(P,) parameters of the long columns."""
    long_covariance: np.ndarray


@njit(cache=True, nogil=True)
def inverse_diagonal(lower: np.ndarray) -> np.ndarray:
    """Return (J,) the diagonal of the inverse of a band, from the columns (W + 1, J) of its Cholesky factor.

    From the last row to the first (Takahashi, Fagan & Chin 1973): with l the column of L below its diagonal over that
    diagonal, and Z the inverse of the W rows that follow, the new row of Z is -Z l and its diagonal 1/L_jj^2 + l' Z l.
    The rows that follow are kept in a ring.
    """
    depth, n = lower.shape[0] - 1, lower.shape[1]
    size = max(depth, 1)
    found, near, own, below = np.empty(n), np.zeros((size, size)), np.zeros(size), np.zeros(size)
    for j in range(n - 1, -1, -1):
        root, here = 1.0 / lower[0, j], j % size
        for m in range(1, depth + 1):
            below[(j + m) % size] = lower[m, j] * root if j + m < n else 0.0
        own[:] = 0.0
        for a in range(size):
            scale = below[a]
            if scale != 0.0:
                for c in range(size):
                    own[c] -= scale * near[a, c]
        variance = root * root
        for a in range(size):
            variance -= below[a] * own[a]
        for a in range(size):
            near[a, here] = own[a]
            near[here, a] = own[a]
        near[here, here] = variance
        found[j] = variance
    return found


def alone(system: System, groups: np.ndarray, *, each: bool = True) -> Own:
    """Solve the system without pooling, with sums over ``groups`` (J, G) and their covariance."""
    band = system.band.copy()
    band[0] *= 1 + RIDGE
    factor = (cholesky_banded(band, lower=True, check_finite=False), True)
    P = len(system.corner)
    solved = cho_solve_banded(factor, np.column_stack([system.beside, system.right, groups]), check_finite=False)
    across, middle, sums = solved[:, :P], solved[:, P], solved[:, P + 1 :]
    schur = system.corner - system.beside.T @ across
    inverse = np.linalg.inv(schur)
    long = inverse @ (system.below - system.beside.T @ middle)
    estimate = middle - across @ long
    lean = groups.T @ across
    sd = np.empty(0)
    if each:
        sd = np.sqrt(inverse_diagonal(factor[0]) + ((across @ inverse) * across).sum(axis=1))
    covariance = groups.T @ sums + lean @ inverse @ lean.T
    return Own(estimate, sd, groups.T @ estimate, covariance, long, inverse)


def between(own: Own, scale: np.ndarray) -> tuple[float, float]:
    """Return b and omega^2 by moments: own/scale has mean b and variance omega^2 + sd^2 (Paule and Mandel 1982).

    Solves sum of w (own/scale - b)^2 = J - 1 with w = 1/(omega^2 + sd^2): no law of the deviations is assumed.
    """
    ratio, variance = own.estimate / scale, (own.sd / scale) ** 2

    def excess(omega2: float) -> tuple[float, float]:
        weight = 1.0 / (omega2 + variance)
        b = float(weight @ ratio / weight.sum())
        return float(weight @ (ratio - b) ** 2) - (len(ratio) - 1), b

    low, high = 0.0, float(np.var(ratio)) + 1e-12
    if excess(low)[0] <= 0:
        return excess(low)[1], 0.0
    while excess(high)[0] > 0:
        high *= 2
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle)[0] > 0 else (low, middle)
    return excess(high)[1], high


def shrunk(own: Own, scale: np.ndarray) -> np.ndarray:
    """Return (J,) estimates drawn towards b x scale as far as their errors ask for it; quick, on the way to the fit."""
    b, omega2 = between(own, scale)
    ratio = own.estimate / scale
    return scale * (b + (ratio - b) * omega2 / (omega2 + (own.sd / scale) ** 2))


class Features(NamedTuple):
    """What airings share: one column a category, and which dimension each column belongs to."""

    columns: np.ndarray
    """(J, K) zeros and ones."""
    dimension: np.ndarray
    """(K,) number of the dimension."""


def leaning(system: System, scale: np.ndarray, features: Features, omega2: float, tau2: np.ndarray) -> System:
    """Return the system with A_j = s_j (b + sum of u + e_j) as its prior: b flat, e and u normal with these variances.

    Its solution is linear in the data, so a placebo schedule can be solved the very same way.
    """
    P, W = len(system.corner), np.column_stack([np.ones(len(scale)), features.columns])
    precision = 1.0 / (scale**2 * omega2)
    band = system.band.copy()
    band[0] += precision
    corner = np.zeros((P + W.shape[1], P + W.shape[1]))
    corner[:P, :P] = system.corner
    corner[P:, P:] = W.T @ W / omega2
    inner = np.arange(P + 1, len(corner))
    corner[inner, inner] += 1.0 / tau2[features.dimension]
    return System(
        band=band,
        beside=np.column_stack([system.beside, -(precision * scale)[:, None] * W]),
        corner=corner,
        right=system.right,
        below=np.concatenate([system.below, np.zeros(W.shape[1])]),
    )


def log_evidence(lean: System, before: float) -> float:
    """Return the log likelihood of a leaning system's variances; ``before`` is the log determinant of its prior."""
    lower = cholesky_banded(lean.band, lower=True, check_finite=False)
    solved, _ = lapack.dtbtrs(lower, np.column_stack([lean.beside, lean.right]), uplo="L")  # type: ignore[attr-defined]
    white, r = solved[:, :-1], solved[:, -1]
    root = np.linalg.cholesky(lean.corner - white.T @ white)
    p = solve_triangular(root, lean.below - white.T @ r, lower=True, check_finite=False)
    halves = np.log(lower[0]).sum() + np.log(np.diag(root)).sum()
    return float(0.5 * (r @ r + p @ p) - halves + 0.5 * before)


def variances(system: System, scale: np.ndarray, features: Features, spread: float) -> tuple[float, np.ndarray]:
    """Learn omega^2 and the tau^2 of each dimension: the mode of restricted likelihood x log-normal priors.

    ``spread`` is the size of a response of scale 1; omega is expected about half of it, tau a third.
    """
    dims = int(features.dimension.max(initial=-1)) + 1
    centre = np.log(spread * np.array([0.5, *[0.3] * dims]))
    width = np.array([1.5, *[0.7] * dims])
    counts = np.bincount(features.dimension, minlength=dims)

    def cost(theta: np.ndarray) -> float:
        if np.abs(theta - centre).max() > 6:
            return 1e12
        variance = np.exp(2 * theta)
        before = -float(np.log(scale**2 * variance[0]).sum() + counts @ np.log(variance[1:]))
        found = log_evidence(leaning(system, scale, features, variance[0], variance[1:]), before)
        return -found + 0.5 * float((((theta - centre) / width) ** 2).sum())

    simplex = np.vstack([centre, centre + 0.7 * np.eye(len(centre))])
    options = {"initial_simplex": simplex, "xatol": 0.05, "fatol": 0.05, "maxfev": 40 * len(centre)}
    variance = np.exp(2 * minimize(cost, centre, method="Nelder-Mead", options=options).x)
    return float(variance[0]), variance[1:]


def draw(lean: System, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draw (S, J) amplitudes from a leaning system's posterior."""
    lower = cholesky_banded(lean.band, lower=True, check_finite=False)
    solved, _ = lapack.dtbtrs(lower, np.column_stack([lean.beside, lean.right]), uplo="L")  # type: ignore[attr-defined]
    white, r = solved[:, :-1], solved[:, -1]
    root = np.linalg.cholesky(lean.corner - white.T @ white)
    p = solve_triangular(root, lean.below - white.T @ r, lower=True, check_finite=False)
    long = solve_triangular(root.T, p[:, None] + rng.standard_normal((len(p), draws)), check_finite=False)
    right = r[:, None] - white @ long + rng.standard_normal((len(r), draws))
    amount, _ = lapack.dtbtrs(lower, right, uplo="L", trans="T")  # type: ignore[attr-defined]  unknown to stubs
    return amount.T


def benchmark(pooled: np.ndarray, part: np.ndarray, total: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Move pooled draws (S, J) so that their sums are draws of the unpooled total, N(total, sd^2).

    Pooling moves single airings for the better and their sum for the worse; the correction is laid on the airings in
    proportion to ``part`` (J,) (Pfeffermann 2013, section 6.3).
    """
    rank = np.argsort(np.argsort(pooled.sum(axis=1)))  # the order of the draws is kept: no noise is added to shares
    normal = np.sort(rng.standard_normal(len(pooled)))
    wanted = total + sd * (normal - normal.mean())[rank]
    return pooled + (wanted - pooled.sum(axis=1))[:, None] * (part / part.sum())
