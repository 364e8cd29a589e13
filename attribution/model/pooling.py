"""Hundreds of amplitudes in one linear system: each on its own evidence, and partially pooled by what airings share.

The normal equations of the airings are a band (only airings near in time meet), with a few long columns beside it (the
shape of the curve, level, harmonics), which a Schur complement removes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded, solve_triangular
from scipy.linalg.lapack import dtbtrs

RIDGE = 1e-3
"""Share added to an airing's information: keeps airings of the same minute apart without moving any total."""
FREEDOM = 4.0
"""Degrees of freedom of an airing's own deviation: heavy tails, one spot in thirty does ten times as much."""
CHUNK = 256


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
        own = np.empty(len(estimate))
        for begin in range(0, len(own), CHUNK):
            some = np.arange(begin, min(begin + CHUNK, len(own)))
            unit = np.zeros((len(own), len(some)))
            unit[some, np.arange(len(some))] = 1.0
            own[some] = cho_solve_banded(factor, unit, check_finite=False)[some, np.arange(len(some))]
        sd = np.sqrt(own + ((across @ inverse) * across).sum(axis=1))
    covariance = groups.T @ sums + lean @ inverse @ lean.T
    return Own(estimate, sd, groups.T @ estimate, covariance, long, inverse)


def shrunk(own: Own, scale: np.ndarray) -> np.ndarray:
    """Return (J,) estimates drawn towards b x scale as far as their errors ask for it; quick, for the way to the fit.

    Moments: own/scale has mean b and variance omega^2 + sd^2 (DerSimonian and Laird 1986).
    """
    ratio, variance = own.estimate / scale, (own.sd / scale) ** 2
    between = 0.0
    for _ in range(5):
        weight = 1.0 / (between + variance)
        b = float(weight @ ratio / weight.sum())
        extra = weight @ ((ratio - b) ** 2 - variance)
        between = max(float(between + extra / weight.sum()), 0.0) if between == 0 else max(
            float(weight**2 @ ((ratio - b) ** 2 - variance) / (weight**2).sum()), 0.0
        )
    return scale * (b + (ratio - b) * between / (between + variance))


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


class Pooled(NamedTuple):
    """Draws of the joint posterior."""

    draws: np.ndarray
    """(S, J) amplitudes."""
    long: np.ndarray
    """(S, P) parameters of the long columns."""
    omega2: np.ndarray
    """(S,) variance scale of an airing's own deviation."""
    tau2: np.ndarray
    """(S, D) variance of the effects of each dimension."""


def pool(
    system: System,
    scale: np.ndarray,
    features: Features,
    *,
    size: float,
    spread: float,
    draws: int,
    burn: int,
    rng: np.random.Generator,
) -> Pooled:
    """Draw A_j = s_j (b + sum of u + e_j) given the data, variances learnt (methods, section 7).

    b has a flat prior, u of a dimension N(0, tau^2), e_j a t of 4 degrees of freedom with scale omega; tau and omega
    half-Cauchy (Wand et al. 2011). Given the scales all amplitudes, effects and long columns are one Gaussian, drawn
    at once, so that chains mix in tens of sweeps.

    Parameters
    ----------
    scale
        (J,) s_j, positive.
    size, spread
        Where b and the deviations begin, conversions of an airing of scale 1.
    """
    J, K = features.columns.shape
    P, dims = len(system.corner), int(features.dimension.max(initial=-1)) + 1
    W = np.column_stack([np.ones(J), features.columns])
    tau2, omega2 = np.full(dims, (0.3 * spread) ** 2), (0.5 * spread) ** 2
    width2 = spread**2
    mixed = np.ones(J)
    kept, longs, omegas = np.empty((draws, J)), np.empty((draws, P)), np.empty(draws)
    taus = np.empty((draws, dims))
    corner = np.zeros((P + 1 + K, P + 1 + K))
    for sweep in range(burn + draws):
        precision = 1.0 / (scale**2 * omega2 * mixed)
        band = system.band.copy()
        band[0] += precision
        lean = -(precision * scale)[:, None] * W
        corner[:P, :P] = system.corner
        corner[P:, P:] = (W * (precision * scale**2)[:, None]).T @ W
        corner[np.arange(P + 1, P + 1 + K), np.arange(P + 1, P + 1 + K)] += 1.0 / tau2[features.dimension]
        corner[P, P] += 1e-6 / (size**2 + width2)
        amount, beside = _draw(
            band,
            np.column_stack([system.beside, lean]),
            corner,
            system.right,
            np.concatenate([system.below, np.zeros(1 + K)]),
            rng,
        )
        effect = beside[P + 1 :]
        e = amount / scale - W @ beside[P:]
        mixed = (0.5 * (FREEDOM + e**2 / omega2)) / rng.gamma((FREEDOM + 1) / 2, size=J)
        omega2 = _scale(float((e**2 / mixed).sum()), J, omega2, width2, rng)
        for d in range(dims):
            own = effect[features.dimension == d]
            tau2[d] = _scale(float(own @ own), len(own), tau2[d], width2, rng)
        if sweep >= burn:
            kept[sweep - burn], longs[sweep - burn], omegas[sweep - burn] = amount, beside[:P], omega2
            taus[sweep - burn] = tau2
    return Pooled(kept, longs, omegas, taus)


def _scale(squares: float, n: int, before: float, width2: float, rng: np.random.Generator) -> float:
    """Draw a variance under a half-Cauchy prior of its root: two inverse gammas (Wand et al. 2011)."""
    auxiliary = (1.0 / before + 1.0 / width2) / rng.gamma(1.0)
    new = (0.5 * squares + 1.0 / auxiliary) / rng.gamma(0.5 * (n + 1))
    return float(np.clip(new, 1e-6 * width2, 1e6 * width2))


def _draw(
    band: np.ndarray,
    beside: np.ndarray,
    corner: np.ndarray,
    right: np.ndarray,
    below: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """One draw of the Gaussian with this bordered precision: airings (J,) and border (P,)."""
    lower = cholesky_banded(band, lower=True, overwrite_ab=True, check_finite=False)
    solved, _ = dtbtrs(lower, np.column_stack([beside, right]), uplo="L")
    white, r = solved[:, :-1], solved[:, -1]
    schur = corner - white.T @ white
    root = np.linalg.cholesky(schur + 1e-10 * np.diag(np.diag(schur)))
    p = solve_triangular(root, below - white.T @ r, lower=True, check_finite=False)
    p = solve_triangular(root.T, p + rng.standard_normal(len(p)), check_finite=False)
    amount, _ = dtbtrs(lower, r - white @ p + rng.standard_normal(len(r)), uplo="L", trans="T")
    return amount.ravel(), p


def benchmark(pooled: np.ndarray, total: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Move pooled draws (S, J) so that their sums are draws of the unpooled total, N(total, sd^2).

    Pooling moves single airings for the better and their sum for the worse; the correction is laid on the airings in
    proportion to their posterior variance (Pfeffermann 2013, section 6.3).
    """
    variance = pooled.var(axis=0) + 1e-300
    rank = np.argsort(np.argsort(pooled.sum(axis=1)))  # the order of the draws is kept: no noise is added to shares
    wanted = total + sd * np.sort(rng.standard_normal(len(pooled)))[rank]
    return pooled + (wanted - pooled.sum(axis=1))[:, None] * (variance / variance.sum())
