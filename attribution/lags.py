"""Distributions of the lag from an exposure to the conversion it causes: five families, each in closed form.

The mean of the CDF over an interval, which bins of a spread-out exposure need, comes from
``int_0^t F = t F(t) - int_0^t u f(u) du``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gamma as gamma_function
from scipy.special import gammainc, gammaincinv, gammaln, ndtr, ndtri

if TYPE_CHECKING:
    from collections.abc import Callable

_TINY = 1e-300  # keeps log(0) out of densities that are 0 there anyway


class _Family(NamedTuple):
    """One family of lags; each function takes (lag >= 0, mode, shape) and broadcasts."""

    default: float
    least: float  # smallest admissible shape
    cdf: Callable
    pdf: Callable
    partial: Callable  # int_0^t u f(u) du
    mean: Callable  # (mode, shape)
    quantile: Callable  # (p, mode, shape)
    means: str  # what shape is


# ---- gamma: x = t (k - 1) / mode ------------------------------------------------------------------------------------


def _regular_gamma(k: float, x: np.ndarray) -> np.ndarray:
    """Regularised lower incomplete gamma function; whole k by the Erlang sum, some five times as fast."""
    if k != round(k) or k > 12:
        return gammainc(k, x)
    term = np.ones_like(x)
    total = np.ones_like(x)
    x = np.minimum(x, 800.0)  # exp(-800) is 0: keeps x^k finite
    for j in range(1, round(k)):
        term = term * x / j
        total += term
    return np.maximum(1.0 - total * np.exp(-x), 0.0)


def _gamma_pdf(t, mode, k):
    rate = (k - 1) / mode
    return rate * np.exp((k - 1) * np.log(np.maximum(t * rate, _TINY)) - t * rate - gammaln(k))


# ---- bi-exponential: the sum of a rise (exponential, r) and a decay (exponential, ratio r) --------------------------


def _rise_decay(mode, ratio):
    """Scales of rise and decay, ``mode = r ratio/(ratio - 1) log ratio``."""
    rise = mode * (ratio - 1) / (ratio * np.log(ratio))
    return rise, ratio * rise


def _biexponential_cdf(t, mode, ratio):
    rise, decay = _rise_decay(mode, ratio)
    return np.maximum((rise * np.expm1(-t / rise) - decay * np.expm1(-t / decay)) / (decay - rise), 0.0)


def _biexponential_pdf(t, mode, ratio):
    rise, decay = _rise_decay(mode, ratio)
    return (np.exp(-t / decay) - np.exp(-t / rise)) / (decay - rise)


def _exponential_partial(t, scale):
    return -scale * np.expm1(-t / scale) - t * np.exp(-t / scale)


def _biexponential_partial(t, mode, ratio):
    rise, decay = _rise_decay(mode, ratio)
    return (decay * _exponential_partial(t, decay) - rise * _exponential_partial(t, rise)) / (decay - rise)


def _biexponential_quantile(p, mode, ratio):
    _, decay = _rise_decay(mode, ratio)
    # P(lag > t) <= ratio/(ratio - 1) exp(-t/decay) bounds the root from above.
    high = decay * np.log(ratio / ((ratio - 1) * (1 - p)))
    return invert(lambda t: _biexponential_cdf(t, mode, ratio), p, np.zeros_like(p), high)


# ---- window: a triangle on [0, shape mode], highest at the mode ------------------------------------------------------


def _window_cdf(t, mode, shape):
    end = shape * mode
    t = np.minimum(t, end)
    falling = (end - t) ** 2 / (end * np.maximum(end - mode, _TINY))
    return np.where(t <= mode, t**2 / (end * mode), 1.0 - falling)


def _window_pdf(t, mode, shape):
    end = shape * mode
    falling = 2 * np.maximum(end - t, 0.0) / (end * np.maximum(end - mode, _TINY))
    return np.where(t <= mode, 2 * t / (end * mode), falling)


def _window_partial(t, mode, shape):
    end = shape * mode
    t = np.minimum(t, end)
    rising = 2 * np.minimum(t, mode) ** 3 / (3 * end * mode)
    after = np.maximum(t, mode)
    # int_m^t 2 u (end - u)/(end (end - m)) du, with the factor (t - m) taken out
    width = np.maximum(end - mode, _TINY)
    falling = (after - mode) * (end * (after + mode) - 2 * (after**2 + after * mode + mode**2) / 3) / (end * width)
    return rising + np.where(t > mode, falling, 0.0)


def _window_quantile(p, mode, shape):
    end = shape * mode
    return np.where(p <= mode / end, np.sqrt(p * end * mode), end - np.sqrt((1 - p) * end * (end - mode)))


# ---- log-normal and Weibull: standardised lag, scale, density  -----------------------------------------


def _log_z(t, mode, sd):
    """Standardised log lag; log of the mode is mu - sd^2."""
    return np.log(np.maximum(t, _TINY) / mode) / sd - sd


def _weibull_scale(mode, k):
    return mode * (k / (k - 1)) ** (1 / k)


def _weibull_pdf(t, mode, k):
    scale = _weibull_scale(mode, k)
    return k / scale * (t / scale) ** (k - 1) * np.exp(-((t / scale) ** k))


FAMILIES: dict[str, _Family] = {
    "gamma": _Family(
        default=3.0,
        least=1.01,
        cdf=lambda t, m, k: _regular_gamma(k, t * ((k - 1) / m)),
        pdf=_gamma_pdf,
        partial=lambda t, m, k: k * m / (k - 1) * _regular_gamma(k + 1, t * ((k - 1) / m)),
        mean=lambda m, k: k * m / (k - 1),
        quantile=lambda p, m, k: gammaincinv(k, p) * m / (k - 1),
        means="shape k of the gamma; mode = (k - 1) theta",
    ),
    "lognormal": _Family(
        default=0.5,
        least=0.01,
        cdf=lambda t, m, s: ndtr(_log_z(t, m, s)),
        pdf=lambda t, m, s: np.exp(-0.5 * _log_z(t, m, s) ** 2) / (math.sqrt(2 * math.pi) * s * np.maximum(t, _TINY)),
        partial=lambda t, m, s: m * math.exp(1.5 * s * s) * ndtr(_log_z(t, m, s) - s),
        mean=lambda m, s: m * math.exp(1.5 * s * s),
        quantile=lambda p, m, s: m * np.exp(s * s + s * ndtri(p)),
        means="sd of the log lag; mode = exp(mu - sd^2)",
    ),
    "weibull": _Family(
        default=2.0,
        least=1.01,
        cdf=lambda t, m, k: -np.expm1(-((t / _weibull_scale(m, k)) ** k)),
        pdf=_weibull_pdf,
        partial=lambda t, m, k: (
            _weibull_scale(m, k) * gamma_function(1 + 1 / k) * gammainc(1 + 1 / k, (t / _weibull_scale(m, k)) ** k)
        ),
        mean=lambda m, k: _weibull_scale(m, k) * gamma_function(1 + 1 / k),
        quantile=lambda p, m, k: _weibull_scale(m, k) * (-np.log1p(-p)) ** (1 / k),
        means="shape k of the Weibull; mode = scale ((k - 1)/k)^(1/k)",
    ),
    "biexponential": _Family(
        default=4.0,
        least=1.01,
        cdf=_biexponential_cdf,
        pdf=_biexponential_pdf,
        partial=_biexponential_partial,
        mean=lambda m, ratio: sum(_rise_decay(m, ratio)),
        quantile=_biexponential_quantile,
        means="time constant of the decay over that of the rise",
    ),
    "window": _Family(
        default=1.5,
        least=1.0,
        cdf=_window_cdf,
        pdf=_window_pdf,
        partial=_window_partial,
        mean=lambda m, shape: m * (1 + shape) / 3,
        quantile=_window_quantile,
        means="length of the window over its mode",
    ),
}
"""The families by name: a density that rises from 0 to one peak and falls."""


def invert(cdf: Callable, p: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Solve ``cdf(t) = p`` inside a bracket by bisection: slower than Newton, and it cannot leave the bracket."""
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    for _ in range(200):
        middle = 0.5 * (low + high)
        below = cdf(middle) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
        if (high - low <= 4e-16 * high).all():
            break
    return 0.5 * (low + high)


def probabilities(p: float | np.ndarray) -> np.ndarray:
    """Validate probabilities as an array."""
    p = np.asarray(p, dtype=float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p is {p}; choose probabilities between 0 and 1")
    return p


def require(name: str, value: float, *, least: float, strict: bool, remedy: str) -> None:
    """Refuse a parameter that is not finite, or not above (``strict``) or at ``least``."""
    if not math.isfinite(value) or value < least or (strict and value == least):
        raise ValueError(f"{name} is {value}; {remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """Distribution of the lag from exposure to response: a family's core and, where asked, an exponential tail.

    Attributes
    ----------
    family
        ``gamma``, ``lognormal``, ``weibull``, ``biexponential`` or ``window`` (a triangle that ends: the 15-s window).
    mode
        Seconds from exposure to the peak of the core.
    shape
        Spread of the core relative to its mode, by family: gamma, shape k > 1 (3); lognormal, sd of the log lag (.5);
        weibull, shape k > 1 (2); biexponential, decay over rise > 1 (4); window, length over mode >= 1 (1.5).
        Empty takes the value in brackets.
    tail
        Share of responses that follow an exponential from the exposure on, in [0, 1).
    tail_scale
        Mean of that exponential, seconds.

    Raises
    ------
    ValueError
        When a parameter lies outside its range.

    Examples
    --------
    >>> kernel = Kernel(family="gamma", mode=10.0, shape=3.0)
    >>> kernel.mean
    15.0
    >>> round(float(kernel.cdf(kernel.quantile(0.5))), 12)
    0.5
    """

    family: str = "gamma"
    mode: float = 10.0
    shape: float = math.nan
    tail: float = 0.0
    tail_scale: float = 60.0

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family is {self.family!r}; choose one of {', '.join(FAMILIES)}")
        family = FAMILIES[self.family]
        if math.isnan(self.shape):
            object.__setattr__(self, "shape", family.default)
        require("mode", self.mode, least=0, strict=True, remedy="choose a positive number of seconds")
        remedy = f"choose {family.least:g} or more ({self.family}: {family.means})"
        require("shape", self.shape, least=family.least, strict=False, remedy=remedy)
        if not 0 <= self.tail < 1:
            raise ValueError(f"tail is {self.tail}; choose a share of at least 0 and less than 1")
        require("tail_scale", self.tail_scale, least=0, strict=True, remedy="choose a positive number of seconds")

    def cdf(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Share of responses within ``lag_s`` seconds; any shape; 0 for lags of 0 and less."""
        return mixture_cdf(self, np.maximum(np.asarray(lag_s, dtype=float), 0.0), self.mode, self.tail, self.tail_scale)

    def pdf(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Density per second at ``lag_s``; any shape; 0 for negative lags."""
        lag = np.asarray(lag_s, dtype=float)
        t = np.maximum(lag, 0.0)
        density = (1 - self.tail) * FAMILIES[self.family].pdf(t, self.mode, self.shape)
        if self.tail:
            density = density + self.tail * np.exp(-t / self.tail_scale) / self.tail_scale
        return np.where(lag < 0, 0.0, density)

    def cdf_integral(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Integral of the CDF from 0 to ``lag_s``, seconds: ``t F(t) - int_0^t u f(u) du``."""
        t = np.maximum(np.asarray(lag_s, dtype=float), 0.0)
        return mixture_integral(self, t, self.mode, self.tail, self.tail_scale)

    @property
    def mean(self) -> float:
        """Mean lag, seconds."""
        core = float(FAMILIES[self.family].mean(self.mode, self.shape))
        return (1 - self.tail) * core + self.tail * self.tail_scale

    @property
    def mode_s(self) -> float:
        """Lag of the highest density, seconds: the core's mode, or before it with a tail (which only falls)."""
        return self.mode if self.tail == 0 else peak(self.pdf, 0.0, self.mode)

    def quantile(self, p: float | np.ndarray) -> np.ndarray:
        """Lag below which a share ``p`` of the responses lies; any shape; closed form but for mixtures."""
        p = probabilities(p)
        inside = np.clip(p, 0.0, 1 - 1e-16)
        core = FAMILIES[self.family].quantile(inside, self.mode, self.shape)
        if self.tail:
            # The mixture's quantile lies between those of its two parts.
            other = -self.tail_scale * np.log1p(-inside)
            core = invert(self.cdf, inside, np.minimum(core, other), np.maximum(core, other))
        end = math.inf if self.tail or self.family != "window" else self.mode * self.shape
        return np.where(p == 0, 0.0, np.where(p == 1, end, core))


def mixture_cdf(like: Kernel, t, mode, tail, scale) -> np.ndarray:
    """CDF at lags t >= 0 of kernels of one family and shape; the other parameters broadcast."""
    core = FAMILIES[like.family].cdf(t, mode, like.shape)
    return (1 - tail) * core - tail * np.expm1(-t / scale) if np.any(tail) else core


def mixture_integral(like: Kernel, t, mode, tail, scale) -> np.ndarray:
    """Integral of that CDF from 0 to t."""
    partial = FAMILIES[like.family].partial(t, mode, like.shape)
    if np.any(tail):
        partial = (1 - tail) * partial + tail * _exponential_partial(t, scale)
    return t * mixture_cdf(like, t, mode, tail, scale) - partial


def peak(pdf: Callable, low: float, high: float) -> float:
    """Argmax of a density on [low, high]: a grid, then finer grids around its highest point."""
    for _ in range(8):
        grid = np.linspace(low, high, 65)
        best = int(np.argmax(pdf(grid)))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 64)])
    return 0.5 * (low + high) if low > 0 else low
