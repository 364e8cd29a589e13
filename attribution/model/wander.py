"""How one long series wanders without any ad: two Matern-3/2 paths and noise, learnt from the series; whitening.

The log of the rate is a few fixed columns (level, daily harmonics) + a slow path + a fast path. Both paths are Markov
in (value, slope), so one Kalman filter of four states whitens the series and any column beside it (Hartikainen and
Sarkka 2010; methods, section 2.4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.optimize import minimize

PRIOR = (
    (np.log(0.25), 1.0),
    (np.log(300.0), 1.0),
    (np.log(0.1), 1.0),
    (np.log(3.0), 0.7),
    (np.log(0.01), 1.5),
    (np.log(1.3), 0.5),
)
"""Mean and sd of the logs of `Wander`'s fields; spans are in bins. Seen on real minutes: .24, 343, .10, 2.8."""


class Wander(NamedTuple):
    """Hyper-parameters of one series."""

    slow_sd: float
    slow_span: float
    """Bins."""
    fast_sd: float
    fast_span: float
    """Bins."""
    white: float
    """Variance of the log rate from bin to bin, whatever the level."""
    dispersion: float
    """Variance of a count over its mean."""


class Gain(NamedTuple):
    """The Kalman filter of one series, ready to whiten columns: everything but the columns themselves."""

    decay: np.ndarray
    """(T, 2) e^-a of each path from bin t to t + 1, a = sqrt(3) gap / span."""
    turn: np.ndarray
    """(T, 2) a."""
    gain: np.ndarray
    """(T, 4) Kalman gains; 0 where the bin is unknown."""
    root: np.ndarray
    """(T,) 1 / sd of the innovation; 0 where the bin is unknown."""
    spread: np.ndarray
    """(T, 4, 4) predicted covariance of the states."""


@njit(cache=True)
def _gains(decay, turn, first, noise):
    steps = len(noise)
    gain, root, spread = np.zeros((steps, 4)), np.zeros(steps), np.zeros((steps, 4, 4))
    P = np.zeros((4, 4))
    for i in range(4):
        P[i, i] = first[i // 2]
    A, B = np.zeros((4, 4)), np.zeros((4, 4))
    for t in range(steps):
        spread[t] = P
        if noise[t] < np.inf:
            S = P[0, 0] + 2.0 * P[0, 2] + P[2, 2] + noise[t]
            root[t] = 1.0 / np.sqrt(S)
            for i in range(4):
                gain[t, i] = (P[i, 0] + P[i, 2]) / S
            for i in range(4):
                for j in range(4):
                    A[i, j] = P[i, j] - gain[t, i] * gain[t, j] * S
        else:
            A[:] = P
        for c in range(2):  # rows of each path: F (A)
            e, a = decay[t, c], turn[t, c]
            for j in range(4):
                B[2 * c, j] = e * ((1.0 + a) * A[2 * c, j] + a * A[2 * c + 1, j])
                B[2 * c + 1, j] = e * (-a * A[2 * c, j] + (1.0 - a) * A[2 * c + 1, j])
        for c in range(2):  # columns: (F A) F'
            e, a = decay[t, c], turn[t, c]
            for i in range(4):
                P[i, 2 * c] = e * ((1.0 + a) * B[i, 2 * c] + a * B[i, 2 * c + 1])
                P[i, 2 * c + 1] = e * (-a * B[i, 2 * c] + (1.0 - a) * B[i, 2 * c + 1])
            q, e2 = first[c], decay[t, c] ** 2  # Q = P0 - F P0 F'
            P[2 * c, 2 * c] += q * (1.0 - e2 * ((1.0 + a) ** 2 + a**2))
            P[2 * c + 1, 2 * c + 1] += q * (1.0 - e2 * (a**2 + (1.0 - a) ** 2))
            cross = q * e2 * ((1.0 + a) * a - a * (1.0 - a))
            P[2 * c, 2 * c + 1] += cross
            P[2 * c + 1, 2 * c] += cross
    return gain, root, spread


@njit(cache=True)
def _told(K, t, v, a0, a1, a2, a3):
    """Return the state after an innovation ``v`` at bin ``t``."""
    return a0 + K[t, 0] * v, a1 + K[t, 1] * v, a2 + K[t, 2] * v, a3 + K[t, 3] * v


@njit(cache=True)
def _ahead(decay, turn, t, a0, a1, a2, a3):
    """Return the state expected at the bin after ``t``: F times it."""
    e, a = decay[t, 0], turn[t, 0]
    a0, a1 = e * ((1.0 + a) * a0 + a * a1), e * (-a * a0 + (1.0 - a) * a1)
    e, a = decay[t, 1], turn[t, 1]
    return a0, a1, e * ((1.0 + a) * a2 + a * a3), e * (-a * a2 + (1.0 - a) * a3)


@njit(cache=True)
def whiten(gain: Gain, columns: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Whiten rows ``columns`` (p, n), each beginning at bin ``first`` (p,) and 0 before it: S^-1/2 of each, (p, n)."""
    decay, turn, K, root = gain.decay, gain.turn, gain.gain, gain.root
    out = np.zeros(columns.shape)
    steps = len(root)
    for p in range(columns.shape[0]):
        a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
        for n in range(min(columns.shape[1], steps - first[p])):
            t = first[p] + n
            if root[t] > 0.0:
                v = columns[p, n] - a0 - a2
                out[p, n] = v * root[t]
                a0, a1, a2, a3 = _told(K, t, v, a0, a1, a2, a3)
            a0, a1, a2, a3 = _ahead(decay, turn, t, a0, a1, a2, a3)
    return out


@njit(cache=True)
def clip(gain: Gain, series: np.ndarray, most: float) -> np.ndarray:
    """Return the series (T,) with innovations beyond ``most`` sd pulled back to it: a burst is not a trend."""
    decay, turn, K, root = gain.decay, gain.turn, gain.gain, gain.root
    out = series.copy()
    a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
    for t in range(len(series)):
        if root[t] > 0.0:
            v = series[t] - a0 - a2
            if abs(v) * root[t] > most:
                v = np.sign(v) * most / root[t]
                out[t] = a0 + a2 + v
            a0, a1, a2, a3 = _told(K, t, v, a0, a1, a2, a3)
        a0, a1, a2, a3 = _ahead(decay, turn, t, a0, a1, a2, a3)
    return out


@njit(cache=True)
def slow_path(gain: Gain, series: np.ndarray) -> np.ndarray:
    """Return (T,) the slow path given the whole series: `smooth` without its sd, for the passes of a level."""
    decay, turn, K, root, spread = gain
    steps = len(series)
    state, inno = np.zeros((steps, 2)), np.zeros(steps)
    a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
    for t in range(steps):
        state[t, 0] = a0
        if root[t] > 0.0:
            v = series[t] - a0 - a2
            inno[t] = v
            a0, a1, a2, a3 = _told(K, t, v, a0, a1, a2, a3)
        a0, a1, a2, a3 = _ahead(decay, turn, t, a0, a1, a2, a3)
    slow = np.zeros(steps)
    r0, r1, r2, r3 = 0.0, 0.0, 0.0, 0.0
    for t in range(steps - 1, -1, -1):
        e, a = decay[t, 0], turn[t, 0]
        r0, r1 = e * ((1.0 + a) * r0 - a * r1), e * (a * r0 + (1.0 - a) * r1)  # F' r
        e, a = decay[t, 1], turn[t, 1]
        r2, r3 = e * ((1.0 + a) * r2 - a * r3), e * (a * r2 + (1.0 - a) * r3)
        if root[t] > 0.0:  # (I - K H)' F' r + H' v / S
            pulled = inno[t] * root[t] ** 2 - (K[t, 0] * r0 + K[t, 1] * r1 + K[t, 2] * r2 + K[t, 3] * r3)
            r0 += pulled
            r2 += pulled
        P = spread[t, 0]
        slow[t] = state[t, 0] + P[0] * r0 + P[1] * r1 + P[2] * r2 + P[3] * r3
    return slow


@njit(cache=True)
def smooth(gain: Gain, series: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (T,) the slow path, both paths together and the sd of both, given the whole series (Bryson-Frazier)."""
    decay, turn, K, root, spread = gain
    steps = len(series)
    state, inno = np.zeros((steps, 4)), np.zeros(steps)
    x, y = np.zeros(4), np.zeros(4)
    for t in range(steps):
        state[t] = x
        if root[t] > 0.0:
            inno[t] = series[t] - x[0] - x[2]
            x = x + K[t] * inno[t]
        for c in range(2):
            e, a = decay[t, c], turn[t, c]
            y[2 * c] = e * ((1.0 + a) * x[2 * c] + a * x[2 * c + 1])
            y[2 * c + 1] = e * (-a * x[2 * c] + (1.0 - a) * x[2 * c + 1])
        x = y.copy()
    slow, both, sd = np.zeros(steps), np.zeros(steps), np.zeros(steps)
    r, N = np.zeros(4), np.zeros((4, 4))
    L = np.zeros((4, 4))
    for t in range(steps - 1, -1, -1):
        L[:] = 0.0
        for c in range(2):
            e, a = decay[t, c], turn[t, c]
            L[2 * c, 2 * c], L[2 * c, 2 * c + 1] = e * (1.0 + a), e * a
            L[2 * c + 1, 2 * c], L[2 * c + 1, 2 * c + 1] = -e * a, e * (1.0 - a)
        if root[t] > 0.0:
            for i in range(4):
                moved = L[i, 0] * K[t, 0] + L[i, 1] * K[t, 1] + L[i, 2] * K[t, 2] + L[i, 3] * K[t, 3]
                L[i, 0] -= moved
                L[i, 2] -= moved
        r = L.T @ r
        N = L.T @ N @ L
        if root[t] > 0.0:
            w = root[t] ** 2
            for i in (0, 2):
                r[i] += inno[t] * w
                for j in (0, 2):
                    N[i, j] += w
        P = spread[t]
        moved = P @ r
        slow[t] = state[t, 0] + moved[0]
        both[t] = state[t, 0] + state[t, 2] + moved[0] + moved[2]
        h = P[0] + P[2]
        sd[t] = np.sqrt(max(h[0] + h[2] - h @ N @ h, 0.0))
    return slow, both, sd


def noise(wander: Wander, level: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return (T,) the variance of the working response: dispersion / level + white; infinite where unknown."""
    return np.where(known, wander.dispersion / level + wander.white, np.inf)


def filtered(wander: Wander, gap: np.ndarray, variance: np.ndarray) -> Gain:
    """Return the filter for bins ``gap`` (T,) apart (in bins; the last one is unused) with noise ``variance`` (T,)."""
    turn = np.sqrt(3.0) * gap[:, None] / np.array([wander.slow_span, wander.fast_span])
    decay = np.exp(-turn)
    first = np.array([wander.slow_sd, wander.fast_sd]) ** 2
    gain, root, spread = _gains(decay, turn, first, variance)
    return Gain(decay, turn, gain, root, spread)


def generalised(gain: Gain, series: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit the fixed columns (P, T) by generalised least squares.

    Returns
    -------
    (P,) coefficients, and the restricted log likelihood of the series (Patterson and Thompson 1971) but for a constant.
    """
    white = whiten(gain, np.vstack([series[None], fixed]), np.zeros(len(fixed) + 1, dtype=np.int64))
    z, X = white[0], white[1:]
    H = X @ X.T + 1e-9 * np.eye(len(X))
    r = X @ z
    coefficient = np.linalg.solve(H, r)
    rest = z @ z - r @ coefficient
    seen = gain.root[gain.root > 0]
    return coefficient, float(np.log(seen).sum() - 0.5 * rest - 0.5 * np.linalg.slogdet(H)[1])


def learn(
    series: np.ndarray, level: np.ndarray, known: np.ndarray, gap: np.ndarray, fixed: np.ndarray, start: Wander
) -> Wander:
    """Learn the hyper-parameters: the mode of restricted likelihood x log-normal prior, by Nelder and Mead.

    Parameters
    ----------
    series, level, known, gap
        (T,) working response, expected count, whether the bin may be used, distance to the next bin in bins.
    fixed
        (P, T) fixed columns.
    start
        Where the search begins.
    """
    centre, width = np.array(PRIOR).T

    def cost(theta: np.ndarray) -> float:
        if np.abs(theta - centre).max() > 12:
            return 1e12
        wander = Wander(*np.exp(theta))
        fit = generalised(filtered(wander, gap, noise(wander, level, known)), series, fixed)[1]
        return -fit + 0.5 * float((((theta - centre) / width) ** 2).sum())

    begin = np.log(np.array(start))
    simplex = np.vstack([begin, begin + 0.5 * np.eye(len(begin))])
    found = minimize(
        cost,
        begin,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.05, "fatol": 0.1, "maxfev": 140},
    )
    return Wander(*np.exp(found.x))
