"""What the history says about the noise: over-dispersion, and how far and how fast the rates wander.

Fixed values look perfect in the world they were tuned on and collapse outside it; here every scale is learnt from the
data before the airing by exact Kalman likelihoods on a grid (methods, section 2.2).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from attribution.model.design import Design

BLOCK_S = 10.0
"""Width of the bins that the grids look at, seconds; wider data are taken as they come."""

GUARD_S = 90.0
"""Seconds before the airing that stay out: an early surge must not pass for noise."""


AVERAGED_S = 45.0
"""Strata are cut by how far a mean over so many seconds wanders: about the length of a response."""

STRATA = 2
"""Parts into which what the history allows for the regions' own wandering is cut; each is fitted, both are averaged."""

MOST_REGIONS = 12
"""Scales are learnt from at most so many regions, the largest."""


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


class _Posterior(NamedTuple):
    """A grid over (dispersion, sd, time constant) and its posterior weights, one a cell."""

    phi: np.ndarray
    sd: np.ndarray
    tau: np.ndarray
    weight: np.ndarray

    def strata(self, count: int) -> list[tuple[float, float, float, float]]:
        """Cut by the sd of a 45-s mean into parts of equal weight: (weight, phi, sd, tau) of each.

        Phi and tau by geometric mean; the sd by root mean square: a scale the data leave open must not be taken for
        a small one.
        """
        u = AVERAGED_S / self.tau
        order = np.argsort(self.sd**2 * (2.0 * (u + np.expm1(-u)) / u**2), kind="stable")
        upto = np.cumsum(self.weight[order])
        found = []
        for low in np.arange(count) / count:
            part = np.clip(np.minimum(upto, low + 1 / count) - np.maximum(upto - self.weight[order], low), 0.0, None)
            if part.sum() < 1e-6:
                continue
            share = part / part.sum()
            phi, tau = (float(np.exp(share @ np.log(v[order]))) for v in (self.phi, self.tau))
            found.append((float(part.sum()), phi, float(np.sqrt(share @ self.sd[order] ** 2)), tau))
        return found


_learnt: OrderedDict[bytes, tuple[tuple[float, Noise], ...]] = OrderedDict()
LEARNT = 64
"""Histories whose scales are remembered: a live event asks for the same one at every look."""


def learn(design: Design, *, dispersion: float | None = None) -> tuple[tuple[float, Noise], ...]:
    """Learn the scales from the bins before the first airing of the group: (weight, scales) of each stratum.

    Parameters
    ----------
    dispersion
        Fixes the over-dispersion.
    """
    start, width, y = _quiet(design)
    mark = hashlib.blake2b(digest_size=16)
    for array in (start, width, y, design.feed[..., design.history], design.feed_exposure[..., design.history]):
        mark.update(np.ascontiguousarray(array).tobytes())
    mark.update(f"{design.onset.min()}{dispersion}".encode())
    name = mark.digest()
    found = _learnt.get(name)
    if found is None:
        found = _learn(design, start, width, y, dispersion)
        _learnt[name] = found
        while len(_learnt) > LEARNT:
            _learnt.popitem(last=False)
    return found


def _learn(
    design: Design, start: np.ndarray, width: np.ndarray, y: np.ndarray, dispersion: float | None
) -> tuple[tuple[float, Noise], ...]:
    step = float(np.median(width)) if len(width) else 1.0
    block, count, gap = _blocks(start, width, y, step)
    scale = max(1.0, step / BLOCK_S)
    phis = _dispersions(dispersion, y, count, step)
    level, residual = _detrended(block, count)
    feed, feed_phi = _feed_noise(design)
    if len(design.regions) == 1:
        sds, taus = np.geomspace(0.01, 0.8, 10), np.geomspace(48.0, 1800.0, 6) * max(1.0, step / 60.0)
        grid = _grid(residual, level, gap, phis, sds, taus, prior=(0.08, 1.2, 300.0 * max(1.0, step / 60.0), 1.2))
        return tuple(
            (weight, Noise(dispersion=phi, shared=(0.0, 1.0), regional=(sd, tau), feed=feed, feed_dispersion=feed_phi))
            for weight, phi, sd, tau in grid.strata(1)
        )
    largest = np.sort(np.argsort(-np.nan_to_num(level).sum(axis=1), kind="stable")[:MOST_REGIONS])
    residual, level = residual[largest], level[largest]
    sds, taus = np.geomspace(0.002, 0.3, 10), np.array([20.0, 50.0, 110.0, 250.0]) * scale
    grid = _grid(residual, level, gap, phis, sds, taus, prior=(0.02, 1.2, 70.0 * scale, 1.0), white=True)
    sds, taus = np.geomspace(0.004, 0.5, 10), np.array([15.0, 30.0, 60.0, 120.0, 240.0]) * scale
    _, phi, *middle = grid.strata(1)[0]
    common = _grid(
        residual, level, gap, np.array([phi]), sds, taus, prior=(0.03, 1.2, 60.0 * scale, 1.0),
        regional=(middle[0], middle[1]),
    )  # fmt: skip
    _, _, *shared = common.strata(1)[0]
    return tuple(
        (
            weight,
            Noise(
                dispersion=phi, shared=(shared[0], shared[1]), regional=(sd, tau), feed=feed, feed_dispersion=feed_phi
            ),
        )
        for weight, phi, sd, tau in grid.strata(STRATA)
    )


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


def _grid(
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
) -> _Posterior:
    """Return the posterior over a grid of phi, sd and tau; log-normal priors (median, log-sd of sd; of tau)."""
    phi, sd, tau = (axis.ravel() for axis in np.meshgrid(phis, sds, taus, indexing="ij"))
    log_post = np.empty(len(phi))
    for i in range(len(phi)):
        here = (float(sd[i]), float(tau[i]))
        own, common = (here, (0.0, 1.0)) if regional is None else (regional, here)
        log_post[i] = _log_likelihood(z, phi[i] / level, gap, own, common, white)
    log_post -= 0.5 * ((np.log(sd / prior[0]) / prior[1]) ** 2 + (np.log(tau / prior[2]) / prior[3]) ** 2)
    log_post -= np.log(phi / phis[0]) ** 2 / 8.0
    weight = np.exp(log_post - log_post.max())
    return _Posterior(phi, sd, tau, weight / weight.sum())


def _feed_noise(design: Design) -> tuple[tuple[float, float], float]:
    """Learn the feed's own wandering from its bins before the airing."""
    quiet = design.history & (design.start + design.width <= design.onset.min() - GUARD_S + 1e-9)
    if not design.fed or quiet.sum() < 5:
        return (0.1, 45.0), 1.5
    middle = len(design.leads) // 2
    count, seen, at = design.feed[middle, quiet], design.feed_exposure[middle, quiet], design.mid[quiet]
    rate = np.where(seen > 0, count / np.maximum(seen, 1e-9), np.nan)[None, :]
    level, residual = _detrended(rate, np.where(seen > 0, count, 0.0)[None, :])
    level = np.maximum(np.nanmean(rate) * seen, 0.5)[None, :]
    sds, taus = np.geomspace(0.02, 0.4, 6), np.array([12.0, 25.0, 50.0, 100.0, 200.0])
    gap = np.diff(at, prepend=at[0])
    grid = _grid(residual, level, gap, np.array([1.0, 1.5, 2.5, 4.0]), sds, taus, prior=(0.1, 1.0, 45.0, 1.0))
    _, phi, sd, tau = grid.strata(1)[0]
    return (sd, tau), phi
