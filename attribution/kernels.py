"""How long a viewer takes to respond: stream delay, exact masses of bins, presets.

Everything the model needs of a kernel is a difference of its CDF ``F`` or, for exposures spread over an interval, of
the integral of ``F``. Bins are never sampled at mid-points, so that they add up whatever their width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtri

from attribution.lags import FAMILIES, Kernel, invert, mixture_cdf, mixture_integral, peak, probabilities, require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["FAMILIES", "PRESETS", "Delayed", "Kernel", "bank", "bin_mass", "delayed", "exposure_mass"]

_CHUNK = 200_000  # lags evaluated at a time for irregular exposures: bounds memory, not the answer

PRESETS: dict[str, Kernel] = {
    "brief": Kernel(family="window", mode=10.0, shape=1.5),
    # 90% within 210 s with a mode of 45 s: s^2 + z s = log(210/45), z the normal quantile of .9
    "published": Kernel(
        family="lognormal",
        mode=45.0,
        shape=float(0.5 * (math.sqrt(ndtri(0.9) ** 2 + 4 * math.log(210 / 45)) - ndtri(0.9))),
    ),
}
"""``brief``: a 15-s window, highest at 10 s. ``published``: mode 45 s after the start, 90% inside 3.5 min."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delayed:
    """A kernel behind a stream delay: the distribution of the sum of both lags. Made by `delayed`.

    Attributes
    ----------
    kernel
        The lag from exposure to response.
    delay_mean, delay_sd
        Mean and sd over viewers of the delay from transmission to screen, seconds; a gamma; sd 0 is a pure shift.
    step
        Seconds between the points of the grid.
    grid, slope, area
        (n,) CDF of the sum, its derivative per step and its integral from 0, at ``0, step, 2 step, ...``.
    """

    kernel: Kernel
    delay_mean: float
    delay_sd: float
    step: float
    grid: np.ndarray
    slope: np.ndarray
    area: np.ndarray

    def _locate(self, lag_s: float | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Lag, cell of the grid, place in the cell (0-1), and whether the lag lies beyond the grid."""
        t = np.maximum(np.asarray(lag_s, dtype=float), 0.0)
        place = t / self.step
        cell = np.minimum(place.astype(np.int64), len(self.grid) - 2)
        return t, cell, np.minimum(place - cell, 1.0), place > len(self.grid) - 1

    def cdf(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Share of responses within ``lag_s`` seconds of transmission; cubic between the points of the grid."""
        if self.delay_sd == 0:
            return self.kernel.cdf(np.asarray(lag_s, dtype=float) - self.delay_mean)
        t, i, u, beyond = self._locate(lag_s)
        a, b, da, db = self.grid[i], self.grid[i + 1], self.slope[i], self.slope[i + 1]
        inside = a + u * (da + u * (3 * (b - a) - 2 * da - db + u * (2 * (a - b) + da + db)))
        return np.where(beyond, self.kernel.cdf(t - self.delay_mean), inside) if beyond.any() else inside

    def pdf(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Density per second: the derivative of the CDF."""
        lag = np.asarray(lag_s, dtype=float)
        if self.delay_sd == 0:
            return self.kernel.pdf(lag - self.delay_mean)
        t, i, u, beyond = self._locate(lag)
        a, b, da, db = self.grid[i], self.grid[i + 1], self.slope[i], self.slope[i + 1]
        inside = da + u * (2 * (3 * (b - a) - 2 * da - db) + 3 * u * (2 * (a - b) + da + db))
        density = np.where(beyond, self.kernel.pdf(t - self.delay_mean), inside / self.step)
        return np.where(lag < 0, 0.0, density)

    def cdf_integral(self, lag_s: float | np.ndarray) -> np.ndarray:
        """Integral of the CDF from 0 to ``lag_s``, seconds: the cubics integrated exactly."""
        if self.delay_sd == 0:
            return self.kernel.cdf_integral(np.asarray(lag_s, dtype=float) - self.delay_mean)
        t, i, u, beyond = self._locate(lag_s)
        a, b, da, db = self.grid[i], self.grid[i + 1], self.slope[i], self.slope[i + 1]
        cubic = a + u * (da / 2 + u * ((3 * (b - a) - 2 * da - db) / 3 + u * (2 * (a - b) + da + db) / 4))
        inside = self.area[i] + self.step * u * cubic
        if not beyond.any():
            return inside
        end = (len(self.grid) - 1) * self.step - self.delay_mean
        rest = self.kernel.cdf_integral(t - self.delay_mean) - self.kernel.cdf_integral(end)
        return np.where(beyond, self.area[-1] + rest, inside)

    @property
    def mean(self) -> float:
        """Mean lag from transmission, seconds."""
        return self.kernel.mean + self.delay_mean

    @property
    def mode_s(self) -> float:
        """Lag of the highest density, seconds from transmission."""
        if self.delay_sd == 0:
            return self.kernel.mode_s + self.delay_mean
        best = int(np.argmax(self.slope)) * self.step
        return peak(self.pdf, max(best - self.step, 0.0), best + self.step)

    def quantile(self, p: float | np.ndarray) -> np.ndarray:
        """Lag from transmission below which a share ``p`` of the responses lies."""
        p = probabilities(p)
        if self.delay_sd == 0:
            return self.kernel.quantile(p) + self.delay_mean
        inside = np.clip(p, 0.0, 1 - 1e-16)
        # P(X + Y > a + b) <= P(X > a) + P(Y > b): half of the rest each bounds the root.
        upper = 1 - (1 - inside) / 2
        high = self.kernel.quantile(np.minimum(upper, 1 - 1e-15)) + _delay_quantile(
            upper, self.delay_mean, self.delay_sd
        )
        return np.where(p == 0, 0.0, np.where(p == 1, math.inf, invert(self.cdf, inside, np.zeros_like(p), high)))


def _delay_quantile(p: np.ndarray, mean: float, sd: float) -> np.ndarray:
    """Quantile of the gamma with this mean and sd."""
    return gammaincinv((mean / sd) ** 2, p) * (sd * sd / mean)


@lru_cache(maxsize=4096)
def delayed(kernel: Kernel, mean: float, sd: float = 0.0) -> Kernel | Delayed:
    """Put a kernel behind a stream delay: the convolution with a gamma of this mean and sd (seconds).

    The kernel's CDF is interpolated linearly between points of a grid and integrated against the delay exactly (its
    mass under each hat function), by FFT; the known h^2/12 error of that interpolation is then taken off. Cached.

    Parameters
    ----------
    kernel
        The lag from exposure to response.
    mean, sd
        Of the delay over viewers; sd 0 is a pure shift, and no delay at all returns the kernel itself.

    Examples
    --------
    >>> stream = delayed(Kernel(mode=10.0), 50.0, 20.0)
    >>> stream.mean
    65.0
    >>> round(float(stream.cdf(stream.quantile(0.9))), 9)
    0.9
    """
    require("mean", mean, least=0, strict=False, remedy="choose a delay of 0 or more seconds")
    require("sd", sd, least=0, strict=False, remedy="choose a spread of 0 or more seconds")
    if mean == 0 and sd > 0:
        raise ValueError(f"mean is 0 with sd {sd}; a delay that varies has a positive mean")
    if mean == 0:
        return kernel
    if sd == 0:
        empty = np.empty(0)
        return Delayed(kernel=kernel, delay_mean=mean, delay_sd=sd, step=1.0, grid=empty, slope=empty, area=empty)
    span = float(kernel.quantile(1 - 1e-9) + _delay_quantile(np.asarray(1 - 1e-9), mean, sd))
    step = max(min(kernel.mode, 2 * sd) / 32, span / 2**15)
    grid = _convolved(kernel, mean, sd, np.arange(int(span / step) + 4) * step)
    slope = np.gradient(grid)
    slope[2:-2] = (8 * (grid[3:-1] - grid[1:-3]) - grid[4:] + grid[:-4]) / 12
    # Fritsch and Carlson: slopes within three times the secants keep the cubics rising.
    secant = np.diff(grid)
    slope = np.clip(slope, 0.0, 3 * np.minimum(np.r_[secant, secant[-1]], np.r_[secant[0], secant]))
    cells = step * (0.5 * (grid[1:] + grid[:-1]) + (slope[:-1] - slope[1:]) / 12)
    area = np.r_[0.0, np.cumsum(cells)]
    return Delayed(kernel=kernel, delay_mean=mean, delay_sd=sd, step=step, grid=grid, slope=slope, area=area)


def _convolved(kernel: Kernel, mean: float, sd: float, t: np.ndarray) -> np.ndarray:
    """CDF of kernel plus gamma delay on the regular grid ``t``; (n,), rising."""
    step, n = t[1], len(t)
    k, scale = (mean / sd) ** 2, sd * sd / mean
    edges = np.arange(min(n, int(gammaincinv(k, 1 - 1e-13) * scale / step) + 2) + 1) * step
    # int_0^t of the delay's CDF; its second differences are the delay's mass under the hats of the grid.
    area = edges * gammainc(k, edges / scale) - mean * gammainc(k + 1, edges / scale)
    hats = np.diff(np.r_[0.0, area], n=2) / step
    size = 1 << (n + len(hats) - 1).bit_length()
    raw = np.fft.irfft(np.fft.rfft(hats, size) * np.fft.rfft(kernel.cdf(t), size), size)[:n]
    bent = np.diff(np.r_[0.0, raw, 2 * raw[-1] - raw[-2]], n=2)
    cdf = np.maximum.accumulate(np.clip(raw - bent / 12, 0.0, 1.0))
    cdf[0] = 0.0  # but for the rounding of the transform
    return cdf


def bin_mass(
    kernel: Kernel | Delayed, start_s: np.ndarray, width_s: np.ndarray, onset_s: float, length_s: float = 0.0
) -> np.ndarray:
    """Share of the response to one unit of exposure that falls into each bin, exactly.

    With length 0, ``F(end - onset) - F(start - onset)``; with length L the exposure is spread evenly over
    ``[onset, onset + L)`` and F gives way to its mean over the last L seconds, by the integral of F.

    Parameters
    ----------
    kernel
        Distribution of the lag.
    start_s, width_s
        (T,) seconds: where bins start, and how long they are; in any order, with gaps or without.
    onset_s, length_s
        Seconds: when the exposure begins (on the clock of the bins), and how long it lasts.

    Returns
    -------
    (T,) float, each >= 0; together the share that arrives inside the bins.

    Raises
    ------
    ValueError
        When a width or the length is negative, or a time is not finite.

    Examples
    --------
    >>> mass = bin_mass(PRESETS["brief"], np.arange(15.0), np.ones(15), onset_s=0.0)
    >>> round(float(mass.sum()), 12), int(mass.argmax())
    (1.0, 9)
    """
    return bank((kernel,), start_s, width_s, onset_s, length_s)[0]


def bank(
    kernels: Sequence[Kernel | Delayed],
    start_s: np.ndarray,
    width_s: np.ndarray,
    onset_s: float,
    length_s: float = 0.0,
) -> np.ndarray:
    """Compute `bin_mass` for many kernels at once, those of one family and shape together.

    Returns
    -------
    (len(kernels), T) float.

    Examples
    --------
    >>> bank([Kernel(mode=m) for m in (5.0, 10.0)], np.array([0.0]), np.array([10.0]), 0.0).round(3)
    array([[0.762],
           [0.323]])
    """
    start, width = np.asarray(start_s, dtype=float), np.asarray(width_s, dtype=float)
    lags, n = _edges(start, width, onset_s, length_s)
    cumulative = np.empty((len(kernels), len(lags)))
    groups: dict[tuple[str, float], list[tuple[int, Kernel]]] = {}
    for i, kernel in enumerate(kernels):
        if isinstance(kernel, Kernel):
            groups.setdefault((kernel.family, kernel.shape), []).append((i, kernel))
        else:
            cumulative[i] = _spread(kernel.cdf, kernel.cdf_integral, lags, length_s)
    for members in groups.values():
        columns = np.array([(k.mode, k.tail, k.tail_scale) for _, k in members]).T[:, :, None]
        like = members[0][1]
        cumulative[[i for i, _ in members]] = _spread(
            lambda t, like=like, columns=columns: mixture_cdf(like, np.maximum(t, 0.0), *columns),
            lambda t, like=like, columns=columns: mixture_integral(like, np.maximum(t, 0.0), *columns),
            lags,
            length_s,
        )
    if len(lags) == n + 1:
        return np.maximum(np.diff(cumulative), 0.0)
    return np.maximum(cumulative[:, n:] - cumulative[:, :n], 0.0)


def _spread(cdf: Callable, integral: Callable, lags: np.ndarray, length: float) -> np.ndarray:
    """Response so far at each lag of an exposure that begins at lag 0 and lasts ``length`` seconds."""
    if length < 1e-3:  # a moment: dividing by less would only magnify rounding
        return cdf(lags - 0.5 * length)
    return (integral(lags) - integral(lags - length)) / length


def _edges(start: np.ndarray, width: np.ndarray, onset: float, length: float) -> tuple[np.ndarray, int]:
    """Lags of the edges of the bins from the onset: T + 1 where bins touch, else T starts and T ends."""
    if start.ndim != 1 or start.shape != width.shape:
        raise ValueError(f"start_s has shape {start.shape} and width_s {width.shape}; give two arrays of one length")
    if not (np.isfinite(start).all() and np.isfinite(width).all() and (width >= 0).all()):
        raise ValueError("start_s or width_s holds a value that is not finite or a negative width; give finite bins")
    if not math.isfinite(onset):
        raise ValueError(f"onset_s is {onset}; give a finite number of seconds on the clock of the bins")
    require("length_s", length, least=0, strict=False, remedy="give 0 or a positive number of seconds")
    low = start - onset
    high = low + width
    # A microsecond is finer than the clock of any feed and coarser than the rounding of seconds since 1970.
    if len(low) and (np.abs(low[1:] - high[:-1]) < 1e-6).all():
        return np.append(low, high[-1]), len(low)
    return np.concatenate([low, high]), len(low)


def exposure_mass(
    kernel: Kernel | Delayed,
    start_s: np.ndarray,
    width_s: np.ndarray,
    exposure_start_s: np.ndarray,
    exposure_counts: np.ndarray,
    *,
    exposure_width_s: float = 1.0,
) -> np.ndarray:
    """Response to exposures that arrive as counts per second (per-viewer insertion): exposures * F in each bin.

    Parameters
    ----------
    kernel
        Distribution of the lag.
    start_s, width_s
        (T,) seconds: the bins.
    exposure_start_s, exposure_counts
        (E,) seconds and counts: how many viewers were exposed from each moment on.
    exposure_width_s
        Seconds over which each count is spread evenly; 0 puts it at its moment.

    Returns
    -------
    (T,) float: expected responses at one response an exposure.

    Examples
    --------
    >>> second = np.arange(100.0)
    >>> round(float(exposure_mass(Kernel(mode=5.0), second, np.ones(100), second[:10], np.full(10, 30.0)).sum()), 6)
    300.0
    """
    start, width = np.asarray(start_s, dtype=float), np.asarray(width_s, dtype=float)
    begin, counts = np.asarray(exposure_start_s, dtype=float), np.asarray(exposure_counts, dtype=float)
    if begin.ndim != 1 or begin.shape != counts.shape:
        raise ValueError(f"exposure_counts has shape {counts.shape}; give one count for each of {begin.shape} moments")
    if not (np.isfinite(begin).all() and np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError("exposures hold a negative or unknown value; give finite moments and counts of 0 or more")
    edges, n = _edges(start, width, 0.0, exposure_width_s)

    def so_far(lags: np.ndarray) -> np.ndarray:
        return _spread(kernel.cdf, kernel.cdf_integral, lags, exposure_width_s)

    cumulative = np.zeros(len(edges))
    lattice = _lattice(edges, begin, exposure_width_s)
    if lattice is not None:
        offset, at_edge, at_exposure = lattice
        response = so_far(offset + exposure_width_s * np.arange(-at_exposure.max(), at_edge.max() + 1))
        dense = np.bincount(at_exposure, weights=counts)
        cumulative = np.convolve(dense, response)[at_exposure.max() :][at_edge]
    else:
        block = max(1, _CHUNK // max(len(edges), 1))
        for i in range(0, len(begin), block):
            cumulative += counts[i : i + block] @ so_far(edges - begin[i : i + block, None])
    high, low = (cumulative[1:], cumulative[:-1]) if len(edges) == n + 1 else (cumulative[n:], cumulative[:n])
    return np.maximum(high - low, 0.0)


def _lattice(edges: np.ndarray, begin: np.ndarray, step: float) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Edges and exposures as whole multiples of ``step``, counted from their first; None where they are not whole."""
    if step == 0 or not len(edges) or not len(begin):
        return None
    at_edge, at_exposure = (edges - edges.min()) / step, (begin - begin.min()) / step
    whole = [np.rint(a).astype(np.int64) for a in (at_edge, at_exposure)]
    if max(whole[0].max(), whole[1].max()) > 50 * (
        len(edges) + len(begin)
    ):  # sparse: the lattice would be mostly empty
        return None
    if max(np.abs(at_edge - whole[0]).max(), np.abs(at_exposure - whole[1]).max()) * step > 1e-6:
        return None
    return float(edges.min() - begin.min()), whole[0], whole[1]
