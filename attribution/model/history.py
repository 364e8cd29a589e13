"""What the history says about the noise: over-dispersion, and how far and how fast the rates wander.

Fixed values look perfect in the world they were tuned on and collapse outside it; here every scale is learnt from the
data before the airing by exact Kalman likelihoods on a grid (methods, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from attribution.model.design import Design

BLOCK_S = 10.0
"""Width of the bins that the grids look at, seconds; wider data are taken as they come."""

GUARD_S = 90.0
"""Seconds before the airing that stay out: an early surge must not pass for noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The learnt scales. Each pair is (sd of the log rate, time constant in seconds)."""

    dispersion: float
    """Variance over mean of a region's bin, beyond the wandering."""
    shared: tuple[float, float]
    """Wandering common to all regions; (0, 1) for one series."""
    regional: tuple[float, float]
    """Wandering of each region by itself."""
    feed: tuple[float, float]
    """Wandering of the social feed."""
    feed_dispersion: float
    """Variance over mean of the feed's counts."""


def learn(design: Design, *, dispersion: float | None = None) -> Noise:
    """Learn the scales from the bins before the first airing of the group; ``dispersion`` fixes the over-dispersion."""
    start, width, y = _quiet(design)
    step = float(np.median(width)) if len(width) else 1.0
    regions = len(design.regions)
    block, count, gap = _blocks(start, width, y, step)
    scale = max(1.0, step / BLOCK_S)
    phis = _dispersions(dispersion, y, count, step)
    level, residual = _detrended(block, count)
    if regions == 1:
        sds, taus = np.geomspace(0.01, 0.8, 10), np.geomspace(48.0, 1800.0, 6) * max(1.0, step / 60.0)
        best = _best(residual, level, gap, phis, sds, taus, prior=(0.08, 1.2, 300.0 * max(1.0, step / 60.0), 1.2))
        phi, regional, shared = best[0], best[1:], (0.0, 1.0)
    else:
        sds, taus = np.geomspace(0.002, 0.3, 10), np.array([20.0, 50.0, 110.0, 250.0]) * scale
        best = _best(residual, level, gap, phis, sds, taus, prior=(0.02, 1.2, 70.0 * scale, 1.0), white=True)
        phi, regional = best[0], best[1:]
        sds, taus = np.geomspace(0.004, 0.5, 10), np.array([15.0, 30.0, 60.0, 120.0, 240.0]) * scale
        shared = _best(
            residual, level, gap, np.array([phi]), sds, taus, prior=(0.03, 1.2, 60.0 * scale, 1.0), regional=regional
        )[1:]
    feed, feed_phi = _feed_noise(design)
    return Noise(dispersion=float(phi), shared=shared, regional=regional, feed=feed, feed_dispersion=feed_phi)


def _dispersions(given: float | None, y: np.ndarray, count: np.ndarray, step: float) -> np.ndarray:
    """Return the dispersions to try: what is given; the fine bins' own; and more where blocks are burstier than bins.

    Requests that come in clumps of a few seconds leave a bin's variance near its mean and a block's far above: no
    wandering of a minute's time constant can stand in for them.
    """
    if given:
        return np.array([given])
    if step > 20.0:
        return np.geomspace(1.0, 64.0, 9)
    base = fano(y)
    return base * np.geomspace(1.0, 12.0, 7) if fano(count) > 1.3 * base else np.array([base])


def _quiet(design: Design) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the data's own bins before the first airing, declared breaks and organic moments unknown."""
    start, width, y = design.fine
    before = start + width <= design.onset.min() + 1e-9
    start, width, y = start[before], width[before], y[:, before].copy()
    if len(design.breaks):
        where = np.clip(np.searchsorted(design.start, start, side="right") - 1, 0, len(design.start) - 1)
        y[:, design.breaks[:, where].any(axis=0)] = np.nan
    return start, width, y


def fano(y: np.ndarray) -> float:
    """Return variance over mean at the bin, the wandering removed: (R, T) counts, NaN unknown; at least 1.

    With V(h) the mean square difference at lag h, 2 V(1) - V(2) = 2 x the white variance when the rest is locally
    a random walk.
    """
    one, two = np.diff(y, axis=1) ** 2, (y[:, 2:] - y[:, :-2]) ** 2
    seen = np.isfinite(one).sum()
    if seen < 30:
        return 1.0
    mean = np.nanmean(y)
    v1, v2 = np.nanmean(one), np.nanmean(two) if np.isfinite(two).any() else np.nanmean(one)
    white = np.clip(2.0 * v1 - v2, 0.5 * v1, v1) / 2.0
    return float(max(1.0, white / max(mean, 1e-9)))


def _blocks(
    start: np.ndarray, width: np.ndarray, y: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum fine bins into blocks of 10 s: (R, N) mean rate a second, (R, N) counts, (N,) seconds to the block before."""
    if len(start) == 0:
        return np.empty((len(y), 0)), np.empty((len(y), 0)), np.empty(0)
    guard = GUARD_S if step <= 20.0 else 0.0
    keep = start + width <= start[-1] + width[-1] - guard + 1e-9
    start, width, y = start[keep], width[keep], y[:, keep]
    size = max(1, round(BLOCK_S / step))
    n = len(start) // size
    start, width, y = start[-n * size :], width[-n * size :], y[:, -n * size :] if n else y[:, :0]
    if n == 0:
        return np.empty((len(y), 0)), np.empty((len(y), 0)), np.empty(0)
    known = np.isfinite(y).reshape(len(y), n, size)
    total = np.where(known, np.nan_to_num(y).reshape(len(y), n, size), 0.0).sum(axis=2)
    observed = (known * width.reshape(n, size)).sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(observed > 0.5 * step * size, total / observed, np.nan)
    moment = start.reshape(n, size)[:, 0]
    return rate, np.where(np.isfinite(rate), total, 0.0), np.diff(moment, prepend=moment[0])


def _detrended(rate: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (R, N) expected counts a block, and log rates less their level and a common quadratic trend."""
    regions, n = rate.shape
    if n < 3:
        return np.maximum(count, 0.5), np.full(rate.shape, np.nan)
    smooth = _smooth(rate, count)
    log = np.log(smooth) + (rate - smooth) / smooth  # linear in the count: a plain log of few counts leans low
    x = np.linspace(-1.0, 1.0, n)
    known = np.isfinite(log)
    with np.errstate(invalid="ignore"):
        log = log - np.nansum(np.where(known, log * count, 0), axis=1, keepdims=True) / np.maximum(
            np.where(known, count, 0).sum(axis=1, keepdims=True), 1e-9
        )
    columns = np.concatenate([np.tile(x, regions)[:, None], np.tile(x**2 - 1 / 3, regions)[:, None]], axis=1)
    weight = np.sqrt(np.where(known, count + 0.5, 0.0)).ravel()
    value = np.where(known, log, 0.0).ravel()
    slope = np.linalg.lstsq(columns * weight[:, None], value * weight, rcond=None)[0]
    residual = np.where(known, log - (columns @ slope).reshape(regions, n), np.nan)
    mean = np.where(known, count, np.nan)
    level = np.nanmean(mean, axis=1, keepdims=True) if known.any(axis=1).all() else np.full((regions, 1), 1.0)
    return np.broadcast_to(np.maximum(level, 0.5), rate.shape).copy(), residual


def _smooth(rate: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return (R, N) the mean of the blocks around each, what is unknown left out; positive.

    Seven blocks, or fifteen where a block holds few conversions: the mean's own noise must stay small.
    """
    half = 3 if count.mean() >= 100 else 7
    near = np.lib.stride_tricks.sliding_window_view(
        np.pad(rate, ((0, 0), (half, half)), constant_values=np.nan), 2 * half + 1, axis=1
    )
    known = np.isfinite(near)
    mean = np.where(known, near, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    level = np.maximum(np.where(np.isfinite(rate), rate, 0.0).mean(axis=1, keepdims=True), 1e-9)
    return np.maximum(mean, 0.02 * level)


@njit(cache=True)
def _log_likelihood(
    z: np.ndarray, noise: np.ndarray, gap: np.ndarray, regional: tuple, shared: tuple, white: bool
) -> float:
    """Exact Kalman log likelihood of (R, N) residuals: shared path (white: anew each bin) + one path a region."""
    r_count, n = z.shape
    size = r_count + 1
    mean, cov = np.zeros(size), np.zeros((size, size))
    cov[0, 0] = 100.0 if white else shared[0] ** 2
    for r in range(r_count):
        cov[r + 1, r + 1] = regional[0] ** 2
    total = 0.0
    for t in range(n):
        if t > 0:
            own = np.exp(-gap[t] / regional[1])
            common = 0.0 if white else np.exp(-gap[t] / shared[1])
            for i in range(size):
                mean[i] *= common if i == 0 else own
                for j in range(size):
                    cov[i, j] *= (common if i == 0 else own) * (common if j == 0 else own)
            cov[0, 0] += 100.0 if white else shared[0] ** 2 * (1.0 - common**2)
            for r in range(r_count):
                cov[r + 1, r + 1] += regional[0] ** 2 * (1.0 - own**2)
        for r in range(r_count):
            if not np.isfinite(z[r, t]):
                continue
            k = r + 1
            gain = cov[:, 0] + cov[:, k]
            s = gain[0] + gain[k] + noise[r, t]
            e = z[r, t] - mean[0] - mean[k]
            total -= 0.5 * (np.log(s) + e * e / s)
            mean += gain * (e / s)
            for i in range(size):
                for j in range(size):
                    cov[i, j] -= gain[i] * gain[j] / s
    return total


def _best(
    z: np.ndarray,
    level: np.ndarray,
    gap: np.ndarray,
    phis: np.ndarray,
    sds: np.ndarray,
    taus: np.ndarray,
    *,
    prior: tuple[float, float, float, float],
    white: bool = False,
    regional: tuple[float, float] | None = None,
) -> tuple[float, float, float]:
    """Return phi, sd, tau of a grid's posterior (geometric, quadratic, geometric mean); log-normal priors."""
    log_post = np.empty((len(phis), len(sds), len(taus)))
    for a, phi in enumerate(phis):
        noise = phi / level
        for b, sd in enumerate(sds):
            for c, tau in enumerate(taus):
                here = (float(sd), float(tau))
                if regional is None:
                    fit = _log_likelihood(z, noise, gap, here, (0.0, 1.0), white)
                else:
                    fit = _log_likelihood(z, noise, gap, regional, here, False)
                away = (np.log(sd / prior[0]) / prior[1]) ** 2 + (np.log(tau / prior[2]) / prior[3]) ** 2
                away += np.log(phi / phis[0]) ** 2 / 4.0
                log_post[a, b, c] = fit - 0.5 * away
    weight = np.exp(log_post - log_post.max())
    weight /= weight.sum()
    mean = [float(np.exp(weight.sum(axis=other) @ np.log(grid))) for grid, other in ((phis, (1, 2)), (taus, (0, 1)))]
    # The root mean square: a scale the data leave open must not be taken for a small one.
    return mean[0], float(np.sqrt(weight.sum(axis=(0, 2)) @ sds**2)), mean[1]


def _feed_noise(design: Design) -> tuple[tuple[float, float], float]:
    """Learn the feed's own wandering from its bins before the airing."""
    quiet = design.history & (design.start + design.width <= design.onset.min() - GUARD_S + 1e-9)
    if len(design.feed) == 0 or quiet.sum() < 5:
        return (0.1, 45.0), 1.5
    count, seen, at = design.feed[quiet], design.feed_exposure[quiet], design.mid[quiet]
    rate = np.where(seen > 0, count / np.maximum(seen, 1e-9), np.nan)[None, :]
    level, residual = _detrended(rate, np.where(seen > 0, count, 0.0)[None, :])
    level = np.maximum(np.nanmean(rate) * seen, 0.5)[None, :]
    sds, taus = np.geomspace(0.02, 0.4, 6), np.array([12.0, 25.0, 50.0, 100.0, 200.0])
    gap = np.diff(at, prepend=at[0])
    phi, sd, tau = _best(residual, level, gap, np.array([1.0, 1.5, 2.5, 4.0]), sds, taus, prior=(0.1, 1.0, 45.0, 1.0))
    return (sd, tau), phi
