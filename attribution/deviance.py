"""Logs of gamma functions and likelihood ratios for large counts, without subtracting one large number from another.

With ``log Gamma(z) = (z - 1/2) log z - z + log(2 pi)/2 + rest(z)`` the large parts of every mixture likelihood in this
package join into deviances, which are small and never negative; only the small ``rest`` remains to be subtracted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincc, gammaln, xlog1py

if TYPE_CHECKING:
    from collections.abc import Callable

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def rest(z: float | np.ndarray) -> np.ndarray:
    """Stirling remainder of log Gamma: ``log Gamma(z) - (z - 1/2) log z + z - log(2 pi)/2``, z > 0."""
    z = np.asarray(z, dtype=float)
    u = 1.0 / np.maximum(z, 16.0)
    v = u * u
    series = u * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v / 1188))))
    small = z < 16
    if not small.any():
        return series
    low = np.where(small, z, 16.0)  # here log Gamma is itself small
    return np.where(small, gammaln(low) - (low - 0.5) * np.log(low) + low - _HALF_LOG_2PI, series)


def bulge(u: np.ndarray) -> np.ndarray:
    """``(1 + u) log(1 + u) - u`` for u >= -1: 0 at 0, convex; m bulge((n - m)/m) is half a Poisson deviance."""
    return xlog1py(1.0 + u, u) - u


def log_mean_exp(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Log of the mean of exponentials along an axis; no overflow."""
    top = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - top).mean(axis=axis)) + np.squeeze(top, axis=axis)


def log_upper_gamma(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Log of the regularised upper incomplete gamma function Q(z, x), also where Q itself underflows."""
    z, x = np.broadcast_arrays(np.asarray(z, dtype=float), np.asarray(x, dtype=float))
    q = gammaincc(z, x)
    far = q < 1e-250
    out = np.log(np.where(far, 1.0, q))
    if far.any():
        a, b = z[far], x[far]
        # Legendre's continued fraction from its end; so far in the tail a few terms are exact.
        fraction = np.zeros_like(a)
        for j in range(60, 0, -1):
            fraction = j * (a - j) / (b - a + 2 * j + 1 + fraction)
        # Q(z, x) = x^z exp(-x)/Gamma(z) times the fraction, the power by the deviance
        head = -b * bulge((a - b) / b) + 0.5 * np.log(a) - _HALF_LOG_2PI - rest(a)
        out[far] = head - np.log(b - a + 1 + fraction)
    return out


def discounted(steps: np.ndarray, discount: float, first: np.ndarray | float) -> np.ndarray:
    """Return (T, ...) ``s_t = discount s_(t-1) + steps_t`` with ``s_(-1) = first``; blocks of 32 as one product."""
    length, size = len(steps), 32
    power = discount ** np.arange(size + 1)
    lag = np.arange(size)[:, None] - np.arange(size)[None, :]
    matrix = np.where(lag >= 0, power[np.maximum(lag, 0)], 0.0)
    flat = steps.reshape(length, -1)
    out = np.empty_like(flat)
    last = np.broadcast_to(np.asarray(first, dtype=float), steps.shape[1:]).reshape(-1)
    for i in range(0, length, size):
        n = min(size, length - i)
        out[i : i + n] = matrix[:n, :n] @ flat[i : i + n] + np.outer(power[1 : n + 1], last)
        last = out[i + n - 1]
    return out.reshape(steps.shape)


def rise_to(target: np.ndarray, function: Callable, high: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Solve ``f(s) = target`` for convex f, f(0) = 0, rising on [0, high]: Newton's steps kept inside a bracket.

    ``function(s)`` returns f and its slope.
    """
    low, high = np.zeros_like(high), high.copy()
    s = np.minimum(start, high)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(80):
            value, slope = function(s)
            above = ~(value <= target)
            high, low = np.where(above, s, high), np.where(above, low, s)
            new = s - (value - target) / slope
            new = np.where((new >= low) & (new <= high), new, 0.5 * (low + high))
            done = np.abs(new - s) <= 1e-12 * s  # quadratic: what is left is rounding
            s = new
            if done.all():
                break
    return s


def poisson_sides(count: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the means w x count, w below and above 1, with ``count (w - 1 - log w) = target`` (count > 0)."""
    ratio = target / count

    def side(sign: float) -> Callable:
        return lambda s: (sign * s - np.log1p(sign * s), s / (1 + sign * s))

    below = np.minimum(np.sqrt(2 * ratio), -np.expm1(-1 - ratio))  # both bound the root from above
    above = ratio + np.sqrt(ratio * (ratio + 2))
    low = rise_to(ratio, side(-1.0), np.minimum(below, 1.0), below)
    high = rise_to(ratio, side(1.0), above, above)
    return count * (1 - low), count * (1 + high)


def binomial_sides(count: np.ndarray, total: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares below and above count/total whose log likelihood lies ``target`` under the highest."""
    other = total - count
    share = count / np.maximum(total, 1.0)
    inside = np.where((share > 0) & (share < 1), share, 0.5)
    normal = np.sqrt(2 * target * inside * (1 - inside) / np.maximum(total, 1.0))
    p, q = np.where(count > 0, share, 1.0), np.where(other > 0, other / np.maximum(total, 1.0), 1.0)

    def side(sign: float) -> Callable:
        def function(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            up, down = sign * s / p, -sign * s / q
            value = -xlog1py(count, up) - xlog1py(other, down)
            return value, sign * (-count / (p * (1 + up)) + other / (q * (1 + down)))

        return function

    low = rise_to(target, side(-1.0), share, 0.9 * np.minimum(normal, share))
    high = rise_to(target, side(1.0), 1 - share, 0.9 * np.minimum(normal, 1 - share))
    unseen = total == 0
    return np.where(unseen | (count == 0), 0.0, share - low), np.where(unseen | (other == 0), 1.0, share + high)
