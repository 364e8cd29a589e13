"""The oracle: what could be known at best.

It knows the expected counterfactual of every bin, the kernel and the variance: its estimate is weighted least squares
of ``y - mu0`` on the kernel (its error is the floor that count noise sets), its decision the likelihood-ratio SPRT with
the true lift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import gammaln

from attribution.kernels import bin_mass, delayed

if TYPE_CHECKING:
    from attribution.worlds import World

HORIZON_S = 600.0
"""Nothing later than so many seconds after the last airing is looked at."""


class Estimate(NamedTuple):
    """Windowed incremental of each airing, and its sd."""

    incremental: np.ndarray
    sd: np.ndarray


def looks(end_s: float) -> np.ndarray:
    """Return the seconds after an airing at which one looks: every 2 s for 90 s, then every 10 s to 10 min."""
    every = np.concatenate([np.arange(2.0, 91.0, 2.0), np.arange(100.0, HORIZON_S + 1, 10.0)])
    return every[every <= end_s + 1e-9]


class Bins(NamedTuple):
    """The exposed regions' bins from the first airing to the horizon, one row a bin and region; all known."""

    start: np.ndarray
    """(n,) seconds from the start of the event."""
    y: np.ndarray
    without: np.ndarray
    """(n,) expected count without airings, of what arrives."""
    kernel: np.ndarray
    """(J, n) expected count of one incremental conversion of each airing, of what arrives."""
    ad: np.ndarray
    """(n,) expected count that all airings add."""
    dispersion: np.ndarray
    """(n,) variance over mean."""
    window: np.ndarray
    """(J,) share of each airing's response inside its window."""


def laid_out(world: World, window_s: float, off_s: float) -> Bins:
    """Lay the world out in the bins of its counts; the window begins where the log says, ``off_s`` late."""
    truth, scenario, counts = world.truth, world.scenario, world.counts
    step = round(float(counts.width[0]))
    n = len(counts.start)
    second = np.arange(len(truth.start), dtype=float)
    kernel = delayed(scenario.kernel, scenario.stream_delay_s, scenario.stream_delay_sd)
    share = np.array([s for _, s in scenario.regions])
    unit, window = [], []
    for spot in scenario.airings:
        mass = bin_mass(kernel, second, np.ones(len(second)), spot.at_s)
        reach = share * [name in scenario.exposed(spot) for name in truth.regions]
        unit.append(mass[:, None] * reach / reach.sum())
        low = spot.at_s + off_s
        inside = np.clip(np.minimum(second + 1, low + window_s) - np.maximum(second, low), 0, 1)
        window.append(mass @ inside)

    def binned(path: np.ndarray) -> np.ndarray:
        return path[: n * step].reshape(n, step, -1).sum(axis=1)

    start = np.arange(n) * float(step)
    first, last = min(truth.starts), max(truth.starts) + HORIZON_S
    rows = (start + step > first) & (start < last)
    complete = np.nan_to_num(counts.completeness)
    y = counts.total
    known = rows[:, None] & np.isfinite(y) & (complete > 0.05) & (np.sum(unit, axis=0).sum(axis=0) > 0)[None]
    kept = 1 - scenario.faults.loss
    return Bins(
        start=np.repeat(start[:, None], y.shape[1], axis=1)[known],
        y=y[known],
        without=(binned(truth.counterfactual) * complete)[known],
        kernel=np.array([(binned(u) * complete)[known] for u in unit]),
        ad=(binned(truth.ad.sum(axis=0)) * complete)[known],
        dispersion=np.full(int(known.sum()), 1 + (scenario.dispersion - 1) * kept),
        window=np.array(window),
    )


def count_noise(bins: Bins) -> Estimate:
    """Weighted least squares of ``y - mu0`` on the kernels: (J,) incrementals inside their windows."""
    variance = bins.dispersion * np.maximum(bins.without + bins.ad, 1e-9)
    scaled = bins.kernel / variance
    information = scaled @ bins.kernel.T
    cover = np.linalg.pinv(information)
    amount = cover @ (scaled @ (bins.y - bins.without))
    return Estimate(amount * bins.window, np.sqrt(np.diag(cover)) * bins.window)


def decided(world: World, bins: Bins, alpha: float, lift: float) -> float:
    """Seconds from the first airing to the decision of the likelihood-ratio SPRT; NaN if it never decides.

    A count is negative binomial with variance phi times its mean, so that the ratio is exact. Without an effect the
    alternative is ``lift``.
    """
    scenario = world.scenario
    effect = bins.ad
    if not effect.any():
        amounts = [60.0 * lift * spot.scale * scenario.conversion_rate for spot in scenario.airings]
        effect = np.array(amounts) @ bins.kernel
    gain = _log_nb(bins.y, bins.without + effect, bins.dispersion) - _log_nb(bins.y, bins.without, bins.dispersion)
    first, step = min(world.truth.starts), float(world.counts.width[0])
    after = bins.start + step - first
    path = np.bincount(np.round(after / step).astype(int).clip(0), weights=gain).cumsum()
    for look in looks(HORIZON_S):
        at = int(look / step + 1e-9)
        if at < len(path) and path[at] >= -np.log(alpha):
            return float(look)
    return float("nan")


def _log_nb(y: np.ndarray, mean: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Log density, but for terms in y alone, of a count of this mean whose variance is phi times it."""
    mean = np.maximum(mean, 1e-12)
    if phi[0] <= 1 + 1e-9:
        return y * np.log(mean) - mean
    size = mean / (phi - 1)
    return gammaln(y + size) - gammaln(size) - size * np.log(phi)
