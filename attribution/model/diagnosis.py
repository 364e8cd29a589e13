"""Has the sampler converged? R-hat, effective draws and energy, by Vehtari et al. (2021) and Betancourt (2016)."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks
from scipy.special import ndtri
from scipy.stats import gaussian_kde, rankdata

HIGHEST_RHAT, LEAST_ESS = 1.01, 400.0
"""A posterior is optimal within these, for every incremental."""

VALLEY = 0.5
"""Two peaks of a lag's density are two modes where the valley between falls below this share of the lower one."""

LEAST_EBFMI = 0.3
"""Below this the energy moves too slowly for the tails to be believed (Betancourt 2016)."""


class Health(NamedTuple):
    """R-hat and effective draws of one quantity, in its bulk and in its tails."""

    rhat: float
    ess_bulk: float
    ess_tail: float

    @property
    def optimal(self) -> bool:
        """Whether R-hat is at most 1.01 and both numbers of effective draws at least 400."""
        return self.rhat <= HIGHEST_RHAT and min(self.ess_bulk, self.ess_tail) >= LEAST_ESS


def health(draws: np.ndarray) -> Health:
    """Judge one quantity by its draws (chains, draws).

    Examples
    --------
    >>> found = health(np.random.default_rng(1).standard_normal((4, 500)))
    >>> found.optimal, bool(found.rhat < 1.01)
    (True, True)
    >>> health(np.arange(4.0)[:, None] + np.zeros((4, 500)) + 0.01 * np.random.default_rng(1).random((4, 500))).optimal
    False
    """
    draws = np.asarray(draws, dtype=float)
    if draws.shape[1] < 4 or not np.isfinite(draws).all() or np.ptp(draws) == 0.0:
        return Health(np.nan, np.nan, np.nan)
    folded = np.abs(draws - np.median(draws))
    low, high = (_ess(_split(draws <= np.quantile(draws, p))) for p in (0.05, 0.95))
    rhat = max(float(split_rhat(_normal(x)[..., None])[0]) for x in (draws, folded))
    return Health(rhat, _ess(_split(_normal(draws))), min(low, high))


def split_rhat(draws: np.ndarray) -> np.ndarray:
    """Return R-hat (P,) of the halves of the chains: draws (chains, draws, P)."""
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, -half:]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / np.maximum(within, 1e-300))


def ebfmi(energy: np.ndarray) -> float:
    """Return the worst chain's energy fraction of missing information: energies (chains, draws)."""
    return float(((np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1)).min())


def modes(lag: np.ndarray) -> list[tuple[float, float]]:
    """Return each mode of a lag by its draws (D,), positive seconds: (seconds, share of the draws around it).

    Peaks of a Gaussian kernel density of the log; draws belong to the peak on their side of the valley.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> one, two = rng.normal(10.0, 1.0, 900), np.concatenate([rng.normal(10.0, 1.0, 900), rng.normal(40.0, 4.0, 300)])
    >>> [[(round(at), round(share, 2)) for at, share in modes(draws)] for draws in (one, two)]
    [[(10, 1.0)], [(10, 0.75), (40, 0.25)]]
    """
    log = np.log(lag)
    if not np.ptp(log) > 1e-9:
        return [(float(lag[0]), 1.0)]
    grid = np.linspace(log.min() - 0.5, log.max() + 0.5, 512)
    density = gaussian_kde(log)(grid)
    peaks, found = find_peaks(density, prominence=0.0)
    peaks = peaks[found["prominences"] >= (1.0 - VALLEY) * density[peaks]]
    valleys = [a + int(density[a:b].argmin()) for a, b in pairwise(peaks)]
    side = np.searchsorted(grid[valleys], log) if valleys else np.zeros(len(log), dtype=int)
    share = np.bincount(side, minlength=len(peaks)) / len(log)
    return [(float(np.exp(grid[peak])), float(part)) for peak, part in zip(peaks, share, strict=True)]


def two_modes(lag: np.ndarray) -> str:
    """Say where the modes of a lag lie, by its draws (D,), if it has more than one; else empty.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> two_modes(np.concatenate([rng.normal(10.0, 1.0, 900), rng.normal(40.0, 4.0, 300)]))
    'The lag has 2 modes: 10 s (75% of the draws) and 40 s (25%).'
    """
    found = modes(lag)
    if len(found) < 2:
        return ""
    named = [f"{at:.0f} s ({share:.0%}{' of the draws' if n == 0 else ''})" for n, (at, share) in enumerate(found)]
    return f"The lag has {len(found)} modes: {', '.join(named[:-1])} and {named[-1]}."


def _split(draws: np.ndarray) -> np.ndarray:
    half = draws.shape[1] // 2
    return np.concatenate([draws[:, :half], draws[:, -half:]]).astype(float)


def _normal(draws: np.ndarray) -> np.ndarray:
    """Return the normal scores of the draws' ranks."""
    return ndtri((rankdata(draws) - 0.375) / (draws.size + 0.25)).reshape(draws.shape)


def _ess(parts: np.ndarray) -> float:
    """Return the effective draws of split chains (M, N): Geyer's initial monotone sequence of the autocorrelations."""
    chains, count = parts.shape
    centred = parts - parts.mean(axis=1, keepdims=True)
    wave = np.fft.rfft(centred, n=2 * count, axis=1)
    cover = np.fft.irfft(wave * np.conj(wave), axis=1)[:, :count] / count
    within = cover[:, 0].mean() * count / (count - 1)
    total = within * (count - 1) / count + parts.mean(axis=1).var(ddof=1)
    if not total > 0:
        return float(parts.size)
    rho = 1.0 - (within - cover.mean(axis=0)) / total
    rho[0] = 1.0
    pairs = rho[: count // 2 * 2].reshape(-1, 2).sum(axis=1)
    stop = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: stop[0] if len(stop) else len(pairs)])
    tau = max(2.0 * pairs.sum() - 1.0, 1.0 / np.log10(parts.size))
    return float(chains * count / tau)


def advice(incremental: dict[str, Health], divergences: int, energy: float) -> str:
    """Say what to do about a posterior that is not optimal; empty where it is.

    Parameters
    ----------
    incremental
        The health of each airing's incremental, by its name.
    divergences, energy
        Draws that diverged, and the energy fraction of missing information.

    Examples
    --------
    >>> advice({"A": Health(1.0, 900.0, 800.0)}, 0, 1.0)
    ''
    >>> print(advice({"A": Health(1.2, 40.0, 90.0)}, 0, 1.0))
    The chains do not agree about A (R-hat 1.20; 1.01 is asked for): read the fast answer, and give the lag a narrower
    prior or the surge a feed, whichever is missing.
    """
    said = []
    apart = {name: h.rhat for name, h in incremental.items() if not h.rhat <= HIGHEST_RHAT}
    few = {n: min(h[1:]) for n, h in incremental.items() if n not in apart and not min(h[1:]) >= LEAST_ESS}
    if apart:
        said.append(
            f"The chains do not agree about {' and '.join(apart)} (R-hat {max(apart.values()):.2f}; {HIGHEST_RHAT} is "
            "asked for): read the fast answer, and give the lag a narrower prior or the surge a feed, whichever is "
            "missing."
        )
    if few:
        said.append(
            f"{min(few.values()):.0f} effective draws of {' and '.join(few)}; {LEAST_ESS:.0f} are asked for: ask for "
            f"{np.ceil(LEAST_ESS / max(min(few.values()), 40.0)):.0f} times as many draws."
        )
    if said and divergences:
        said.append(f"{divergences} draws diverged: the tails may be too short.")
    if said and energy < LEAST_EBFMI:
        said.append(f"The energy moves slowly (E-BFMI {energy:.2f}): the tails may be too short.")
    return " ".join(said)
