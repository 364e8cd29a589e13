"""One series, bin by bin: a Kalman filter that whitens counts and regressors, compiled, for many moments at once.

The log rate is ``c + s t + covariates + GP`` with a Matern-3/2 Gaussian process, a state of two numbers: the path and
its slope (Hartikainen & Sarkka 2010). Lengths are in bins. Everything else is least squares on what the filter leaves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PASSES = 4
"""Smoother passes behind the working response."""

CLIP = 4.0
"""Residuals count up to so many sd while the path is found: one burst must not bend it."""

FLOOR = 0.02
"""The path stays above this share of the window's mean: a rate of nothing has no logarithm."""

SMOOTH = (10.0, 0.5, 0.03)
"""Length in bins, sd, and extra noise variance of the smoother that finds the point of linearisation."""


@njit(cache=True, nogil=True)
def matern(length: float, sd: float) -> tuple:
    """Return transition (f11, f12, f21, f22), step noise (q11, q12, q22) and stationary variances of one bin."""
    a = np.sqrt(3.0) / length
    decay = np.exp(-a)
    f11, f12, f21, f22 = decay * (1.0 + a), decay, -decay * a * a, decay * (1.0 - a)
    p11, p22 = sd * sd, a * a * sd * sd
    q11 = p11 - (f11 * f11 * p11 + f12 * f12 * p22)
    q12 = -(f11 * f21 * p11 + f12 * f22 * p22)
    q22 = p22 - (f21 * f21 * p11 + f22 * f22 * p22)
    return f11, f12, f21, f22, q11, q12, q22, p11, p22


@njit(cache=True, nogil=True)
def ahead(c11: float, c12: float, c22: float, step: tuple) -> tuple:
    """Return the covariance of path and slope one bin later."""
    f11, f12, f21, f22, q11, q12, q22, _, _ = step
    return (
        f11 * f11 * c11 + 2 * f11 * f12 * c12 + f12 * f12 * c22 + q11,
        f11 * f21 * c11 + (f11 * f22 + f12 * f21) * c12 + f12 * f22 * c22 + q12,
        f21 * f21 * c11 + 2 * f21 * f22 * c12 + f22 * f22 * c22 + q22,
    )


@njit(cache=True, nogil=True)
def smooth(z: np.ndarray, noise: np.ndarray, use: np.ndarray, length: float, sd: float) -> np.ndarray:
    """Return (n,) smoothed path of observations (n,) with variances (n,), those not in use left out."""
    n = len(z)
    step = matern(length, sd)
    f11, f12, f21, f22, _, _, _, p11, p22 = step
    mean, cov = np.zeros((n, 2)), np.zeros((n, 3))
    next_mean, next_cov = np.zeros((n, 2)), np.zeros((n, 3))
    m1, m2, c11, c12, c22 = 0.0, 0.0, p11, 0.0, p22
    for i in range(n):
        if i > 0:
            m1, m2 = f11 * m1 + f12 * m2, f21 * m1 + f22 * m2
            c11, c12, c22 = ahead(c11, c12, c22, step)
        next_mean[i, 0], next_mean[i, 1] = m1, m2
        next_cov[i, 0], next_cov[i, 1], next_cov[i, 2] = c11, c12, c22
        if use[i]:
            s = c11 + noise[i]
            e = z[i] - m1
            g1, g2 = c11 / s, c12 / s
            m1, m2 = m1 + g1 * e, m2 + g2 * e
            c22 -= g2 * c12
            c12 -= g1 * c12
            c11 -= g1 * c11
        mean[i, 0], mean[i, 1] = m1, m2
        cov[i, 0], cov[i, 1], cov[i, 2] = c11, c12, c22
    path = np.empty(n)
    path[n - 1] = m1
    for i in range(n - 2, -1, -1):
        # Rauch-Tung-Striebel: gain = cov F' ahead^-1
        u11 = cov[i, 0] * f11 + cov[i, 1] * f12
        u12 = cov[i, 0] * f21 + cov[i, 1] * f22
        u21 = cov[i, 1] * f11 + cov[i, 2] * f12
        u22 = cov[i, 1] * f21 + cov[i, 2] * f22
        a, b, d = next_cov[i + 1, 0], next_cov[i + 1, 1], next_cov[i + 1, 2]
        det = max(a * d - b * b, 1e-300)
        g11, g12 = (u11 * d - u12 * b) / det, (u12 * a - u11 * b) / det
        g21, g22 = (u21 * d - u22 * b) / det, (u22 * a - u21 * b) / det
        e1, e2 = m1 - next_mean[i + 1, 0], m2 - next_mean[i + 1, 1]
        m1 = mean[i, 0] + g11 * e1 + g12 * e2
        m2 = mean[i, 1] + g21 * e1 + g22 * e2
        path[i] = m1
    return path


@njit(cache=True, nogil=True)
def working(y: np.ndarray, share: np.ndarray, begin: int, end: int) -> tuple:
    """Return log rate, working response and its count variance, and the bins outside the response in use; (n,) each.

    ``zeta = log m0 + (y - m0)/m0`` with variance ``1/m0``; m0 from smoother passes that skip the response window
    ``[begin, end)`` (methods, section 2.4). ``share`` (n,) is the observed share of each bin.
    """
    n = len(y)
    use = np.zeros(n, dtype=np.bool_)
    total, seen = 0.0, 0.0
    for i in range(n):
        use[i] = np.isfinite(y[i]) and share[i] > 0 and not (begin <= i < end)
        if use[i]:
            total += y[i]
            seen += share[i]
    level = np.log(max(total, 0.5) / max(seen, 1e-9))
    rate = np.full(n, level)
    z, noise = np.zeros(n), np.ones(n)
    for _ in range(PASSES):
        for i in range(n):
            if use[i]:
                m = share[i] * np.exp(rate[i])
                noise[i] = 1.0 / m + SMOOTH[2]
                bound = CLIP * np.sqrt(noise[i])
                z[i] = rate[i] - level + min(max((y[i] - m) / m, -bound), bound)
        path = smooth(z, noise, use, SMOOTH[0], SMOOTH[1])
        for i in range(n):
            rate[i] = level + max(path[i], np.log(FLOOR))
    for i in range(n):
        m = max(share[i], 1e-9) * np.exp(rate[i])
        noise[i] = 1.0 / m
        z[i] = rate[i] + ((y[i] - m) / m if np.isfinite(y[i]) else 0.0)
    return rate, z, noise, use


@njit(cache=True, nogil=True)
def sweep(
    columns: np.ndarray,
    noise: np.ndarray,
    use: np.ndarray,
    weight: np.ndarray,
    scale: tuple,
    marks: np.ndarray,
    grams: np.ndarray,
    sums: np.ndarray,
    spreads: np.ndarray,
) -> float:
    """Whiten (n, C) columns and add up their products; return the log determinant of the bins in use.

    At each bin of ``marks`` (L,): ``grams`` (L, C, C) holds the products so far; ``sums`` (L, C) the weighted sum of
    the columns less what the bins in use make one expect of it, ``spreads`` (L,) the variance of that difference.
    The sum rides along as a third state.
    """
    n, width = columns.shape
    step = matern(scale[0], scale[1])
    f11, f12, f21, f22, _, _, _, p11, p22 = step
    c11, c12, c22 = p11, 0.0, p22
    s1, s2, ss, own = 0.0, 0.0, 0.0, 0.0
    mean, white, gram = np.zeros((width, 2)), np.zeros(width), np.zeros((width, width))
    total, raw = np.zeros(width), np.zeros(width)
    log_det, mark = 0.0, 0
    for i in range(n):
        if i > 0:
            for c in range(width):
                m1 = mean[c, 0]
                mean[c, 0], mean[c, 1] = f11 * m1 + f12 * mean[c, 1], f21 * m1 + f22 * mean[c, 1]
            c11, c12, c22 = ahead(c11, c12, c22, step)
            s1, s2 = f11 * s1 + f12 * s2, f21 * s1 + f22 * s2
        w = weight[i]
        if w != 0.0:
            for c in range(width):
                total[c] += w * mean[c, 0]
                raw[c] += w * columns[i, c]
            ss += 2.0 * w * s1 + w * w * c11
            s1, s2 = s1 + w * c11, s2 + w * c12
            own += w * w * (noise[i] + scale[2])
        if use[i]:
            s = c11 + noise[i] + scale[2]
            log_det += np.log(s)
            g1, g2, g3 = c11 / s, c12 / s, s1 / s
            for c in range(width):
                e = columns[i, c] - mean[c, 0]
                white[c] = e
                mean[c, 0] += g1 * e
                mean[c, 1] += g2 * e
                total[c] += g3 * e
            for c in range(width):
                e = white[c] / s
                for d in range(c + 1):
                    gram[c, d] += e * white[d]
            ss -= g3 * s1
            s2 -= g3 * c12
            s1 -= g3 * c11
            c22 -= g2 * c12
            c12 -= g1 * c12
            c11 -= g1 * c11
        while mark < len(marks) and marks[mark] == i:
            grams[mark], sums[mark], spreads[mark] = gram + np.tril(gram, -1).T, raw - total, ss + own
            mark += 1
    return log_det


@njit(cache=True, nogil=True)
def eliminate(gram: np.ndarray, first: int, last: int, ridge: np.ndarray) -> float:
    """Sweep the columns ``[first, last)`` out of a gram matrix in place, with prior precisions; log of their pivots."""
    size, total = len(gram), 0.0
    for p in range(first, last):
        pivot = gram[p, p] + ridge[p - first]
        if pivot <= 1e-12:
            continue
        total += np.log(pivot)
        for r in range(size):
            if r == p or first <= r < p:
                continue
            factor = gram[r, p] / pivot
            if factor != 0.0:
                for c in range(size):
                    if c != p:
                        gram[r, c] -= factor * gram[p, c]
                gram[r, p] = 0.0
    return total


@njit(cache=True, nogil=True)
def base_columns(z: np.ndarray, covariates: np.ndarray, extra: int) -> np.ndarray:
    """Return (n, 3 + V + extra) columns: the working response, one, time from -1 to 1, covariates, room for more."""
    n, v = len(z), covariates.shape[1]
    columns = np.zeros((n, 3 + v + extra))
    for i in range(n):
        columns[i, 0] = z[i]
        columns[i, 1] = 1.0
        columns[i, 2] = 2.0 * i / max(n - 1, 1) - 1.0
        for c in range(v):
            columns[i, 3 + c] = covariates[i, c]
    return columns
