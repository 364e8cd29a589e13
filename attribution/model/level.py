"""A long series made linear: its level, its daily cycle and its wandering, learnt where no airing reaches.

zeta = log m0 + (y - m0)/m0 is linear in the counts once the level m0 is known (methods, section 2.4), so whatever
airings add to y stays a sum; one filter whitens zeta and every column beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import wander as wandering

if TYPE_CHECKING:
    from attribution.model.wander import Gain, Wander

DAY_S = 86_400.0
BURST = 4.0
"""Innovations beyond so many sd are pulled back."""
MISFIT = 0.2
"""Sd of a response in one bin about what the curve says of it, as a share of it: no two airings respond alike."""
NEAR = 61
"""Bins of the running mean that the level starts from."""


class Bins(NamedTuple):
    """One series of counts."""

    start: np.ndarray
    """(T,) seconds since 1970."""
    width: np.ndarray
    """(T,) seconds."""
    y: np.ndarray
    """(T,) counts, NaN where unknown."""
    exposure: np.ndarray
    """(T,) observed share of the bin, relative to a whole bin of median width."""

    @property
    def known(self) -> np.ndarray:
        """(T,) bins that say something."""
        return np.isfinite(self.y) & (self.exposure > 0.05)


class Series(NamedTuple):
    """A series made linear: zeta = log m0 + (y - m0)/m0, its fixed columns and its filter."""

    bins: Bins
    level: np.ndarray
    """(T,) m0, conversions a whole bin."""
    zeta: np.ndarray
    fixed: np.ndarray
    """(P, T) level and daily harmonics."""
    wander: Wander
    gain: Gain
    white: np.ndarray
    """(1 + P, T) zeta and the fixed columns, whitened."""


def fixed_columns(bins: Bins) -> np.ndarray:
    """Return the level and four harmonics of the day, or as many as the series is long enough to tell."""
    mid = bins.start + bins.width / 2
    span = mid[-1] - mid[0]
    angle = 2 * np.pi * (mid % DAY_S) / DAY_S
    waves = [wave(k * angle) for k in range(1, 5) if span >= 2 * DAY_S for wave in (np.cos, np.sin)]
    return np.array([np.ones(len(mid)), *waves])


def linearise(bins: Bins, quiet: np.ndarray, *, like: Series | None = None) -> Series:
    """Learn level and wandering from the ``quiet`` bins (T,), those that no response reaches.

    With ``like``, a series of the same bins, its hyper-parameters are kept and its level is where the passes start.
    """
    known = bins.known
    used = known & quiet
    rate = np.where(known, bins.y, 0.0) / np.maximum(bins.exposure, 0.05)
    fixed = fixed_columns(bins)
    mid = bins.start + bins.width / 2
    step = float(np.median(bins.width))
    gap = np.append(np.diff(mid), step) / step
    level = _rough(rate, used) if like is None else like.level
    wander = wandering.Wander(*np.exp([centre for centre, _ in wandering.PRIOR])) if like is None else like.wander
    for turn in range(4 if like is None else 2):
        zeta = np.log(level) + (rate - level) / level
        variance = wandering.noise(wander, level * bins.exposure, used)
        gain = wandering.filtered(wander, gap, variance)
        beta, _ = wandering.generalised(gain, zeta, fixed)
        zeta = wandering.clip(gain, zeta - beta @ fixed, BURST) + beta @ fixed
        if turn in (1, 2) and like is None:
            wander = wandering.learn(zeta, level * bins.exposure, used, gap, fixed, wander)
            gain = wandering.filtered(wander, gap, wandering.noise(wander, level * bins.exposure, used))
            beta, _ = wandering.generalised(gain, zeta, fixed)
        slow = wandering.slow_path(gain, zeta - beta @ fixed)
        level = np.exp(np.clip(beta @ fixed + slow, np.log(level).min() - 1, np.log(level).max() + 1))
    zeta = np.log(level) + (rate - level) / level
    return whitened(bins, level, zeta, fixed, wander, np.zeros(len(zeta)), ~quiet)


def whitened(
    bins: Bins,
    level: np.ndarray,
    zeta: np.ndarray,
    fixed: np.ndarray,
    wander: Wander,
    effect: np.ndarray,
    free: np.ndarray,
) -> Series:
    """Filter all known bins; ``effect`` (T,) of the airings, as a share of the level, raises the noise and is no burst.

    Bins that are ``free`` (T,) keep whatever they hold.
    """
    mid = bins.start + bins.width / 2
    step = float(np.median(bins.width))
    gap = np.append(np.diff(mid), step) / step
    known = bins.known
    own = wander.dispersion * np.maximum(1 + effect, 1) / (level * bins.exposure) + (MISFIT * effect) ** 2
    variance = np.where(known, own + wander.white, np.inf)
    gain = wandering.filtered(wander, gap, variance)
    beta, _ = wandering.generalised(gain, zeta - effect, fixed)
    rest = beta @ fixed + effect
    clipped = np.where(free, zeta, wandering.clip(gain, zeta - rest, BURST) + rest)
    white = wandering.whiten(gain, np.vstack([clipped[None], fixed]), np.zeros(len(fixed) + 1, dtype=np.int64))
    return Series(bins, level, clipped, fixed, wander, gain, white)


def _rough(rate: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return (T,) running means over the used bins, wide enough to hold some, as a first level."""
    ones = np.ones(NEAR)
    full = max(float(rate[used].mean()), 1e-3) if used.any() else 1.0
    total = np.convolve(np.where(used, rate, 0.0), ones, mode="same") + 3 * full
    return np.maximum(total / (np.convolve(used.astype(float), ones, mode="same") + 3), 1e-3)
