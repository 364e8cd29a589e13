"""A schedule laid on a series: a column an airing, one curve for all; and the same schedule where it did not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import wander as wandering
from attribution.model.curve import (
    REACH,
    CurvePrior,
    airing_columns,
    banded,
    bandwidth,
    meeting,
    stretches,
)
from attribution.model.level import Bins, Series, linearise, whitened
from attribution.model.pooling import Features, Own, System, alone, leaning, shrunk

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_MISSING = 0.5
"""An airing less of whose response fell into known bins is not judged."""
QUIET, LEAST_QUIET = 0.6, 0.2
"""Share of the horizon after an airing that the level is not learnt from (9 of 15 min), if a fifth of bins is left."""
DAMPING, PLACEBO_STEPS = 0.6, 2
"""How far the curve follows each turn; turns of a placebo schedule."""
OWN_Z = 4.0
"""An airing this far from nothing is no burst, whatever the others did."""


class Laid(NamedTuple):
    """A schedule laid on a series."""

    system: System
    columns: np.ndarray
    """(J, n) responses as shares of the level, before whitening."""
    first: np.ndarray


def lay(series: Series, onset: np.ndarray, amount: np.ndarray, shares: np.ndarray, prior: CurvePrior) -> Laid:
    """Return the normal equations of the airings (J,) in time order, with the curve's misfit and fixed columns beside.

    A f is linear around what is believed so far, amounts a (J,) and ``shares`` g (L,): A g + a (f - g). The misfit
    theta = f - g has one long column a stretch, and the prior of f seen from g.
    """
    bins = series.bins
    scale = 1.0 / series.level
    reach = max(REACH, int(np.ceil((prior.edges[-1] - prior.edges[0]) / bins.width.min())) + 2)
    values, first = airing_columns(onset, bins.start, bins.width, scale, prior.edges, shares, reach)
    white = wandering.whiten(series.gain, values, first)
    shape = stretches(series.gain, onset, amount, bins.start, bins.width, scale, prior.edges)
    long = np.vstack([shape, series.white[1:]])
    L = len(prior.mean)
    inverse = np.linalg.inv(prior.covariance + 1e-8 * np.eye(L))
    corner = long @ long.T
    corner[:L, :L] += inverse
    corner[L:, L:] += 1e-6 * np.eye(len(long) - L)
    below = long @ series.white[0]
    below[:L] += inverse @ (prior.mean - shares)
    system = System(
        band=banded(white, first, bandwidth(first, reach)),
        beside=meeting(white, first, long),
        corner=corner,
        right=meeting(white, first, series.white[:1])[:, 0],
        below=below,
    )
    return Laid(system, values, first)


def size(series: Series, onset: np.ndarray, weight: np.ndarray, prior: CurvePrior) -> tuple[float, float]:
    """Return estimate and sd of b were every response b x weight (J,) in the shape the prior expects."""
    bins, scale = series.bins, 1.0 / series.level
    white = prior.mean @ stretches(series.gain, onset, weight, bins.start, bins.width, scale, prior.edges)
    X = series.white[1:]
    inside = np.linalg.solve(X @ X.T + 1e-9 * np.eye(len(X)), X @ np.vstack([white, series.white[0]]).T)
    information = max(float(white @ white - (X @ white) @ inside[:, 0]), 1e-300)
    return float(white @ series.white[0] - (X @ white) @ inside[:, 1]) / information, information**-0.5


def effect(series: Series, laid: Laid, amount: np.ndarray) -> np.ndarray:
    """Return (T,) the airings' responses (J,) as a share of the level."""
    T = len(series.level)
    place = np.minimum(laid.first[:, None] + np.arange(laid.columns.shape[1]), T - 1)
    return np.bincount(place.ravel(), (amount[:, None] * laid.columns).ravel(), T)


class Settled(NamedTuple):
    """Amplitudes and curve that agree with each other."""

    series: Series
    laid: Laid
    own: Own
    shares: np.ndarray
    """(L,)"""
    amount: np.ndarray
    """(J,)"""


def quiet_bins(bins: Bins, onset: np.ndarray, prior: CurvePrior) -> np.ndarray:
    """Return (T,) bins that no response reaches; all of them where a schedule leaves hardly any."""
    horizon = prior.edges[-1] - prior.edges[0]
    ends = bins.start + bins.width
    heard = np.zeros(len(ends) + 1)
    np.add.at(heard, np.searchsorted(ends, onset + prior.edges[0], side="right"), 1)
    np.add.at(heard, np.searchsorted(bins.start, onset + prior.edges[0] + QUIET * horizon, side="left"), -1)
    quiet = np.cumsum(heard)[:-1] == 0
    enough = (quiet & bins.known).sum() >= LEAST_QUIET * bins.known.sum()
    return quiet if enough else np.ones(len(ends), dtype=bool)


def settle(series: Series, onset: np.ndarray, scale: np.ndarray, b: float, prior: CurvePrior, steps: int) -> Settled:
    """Turn amplitudes and curve around each other until they agree: Gauss-Newton on A x f, from b x scale (J,)."""
    amount, shares, raw = b * scale, prior.mean, series.zeta
    every, L = np.ones((len(onset), 1)), len(prior.mean)
    for _ in range(steps):
        laid = lay(series, onset, amount, shares, prior)
        own = alone(laid.system, every)
        amount = shrunk(own, scale)
        shares = np.maximum(shares + DAMPING * own.long[:L], 0.0)
        shares = shares / shares.sum()
        felt = effect(series, laid, np.where(np.abs(own.estimate) > OWN_Z * own.sd, own.estimate, amount))
        none = np.zeros(len(raw), dtype=bool)
        series = whitened(series.bins, series.level, raw, series.fixed, series.wander, felt, none)
    laid = lay(series, onset, amount, shares, prior)
    own = alone(laid.system, every)
    return Settled(series, laid, own, shares, shrunk(own, scale))


class Shifted(NamedTuple):
    """The schedule where it did not run: K placebo schedules."""

    total: np.ndarray
    """(K,) z of the unpooled total."""
    groups: np.ndarray
    """(K, G) z of each group's sum."""
    each: np.ndarray
    """(M,) z of single airings."""


class Weighing(NamedTuple):
    """How a schedule's sums are estimated, the same at every place."""

    scale: np.ndarray
    """(J,) s_j."""
    features: Features
    omega2: float
    tau2: np.ndarray
    groups: np.ndarray
    """(J, G) membership."""

    def sums(self, laid: Laid, order: np.ndarray) -> np.ndarray:
        """Return (G,) z of the groups' sums, pooled linearly."""
        features = Features(self.features.columns[order], self.features.dimension)
        lean = leaning(laid.system, self.scale[order], features, self.omega2, self.tau2)
        found = alone(lean, self.groups[order], each=False)
        return found.totals / np.sqrt(np.diag(found.totals_covariance))


def shifted(
    settled: Settled,
    onset: np.ndarray,
    weighing: Weighing,
    prior: CurvePrior,
    *,
    shifts: int,
    progress: Callable[[int, int], None] | None = None,
) -> Shifted:
    """Fit the whole schedule at ``shifts`` other places of the series, from which the responses found are taken away.

    Moved round the clock of the series: what leaves at its end comes in at its beginning. Each place goes the way of
    the schedule itself (level learnt outside responses, bursts left alone inside, curve and amplitudes), but for the
    hyper-parameters of the wandering: what is not repeated is not exchangeable. ``progress`` is told how many steps
    are done and of how many; the schedule itself was the first.
    """
    found = settled.series
    felt = effect(found, settled.laid, settled.amount) * found.level * found.bins.exposure
    bins = found.bins._replace(y=found.bins.y - felt)
    begin, end = bins.start[0], bins.start[-1] + bins.width[-1]
    horizon = prior.edges[-1]
    total, groups, each = [], [], []
    for done, move in enumerate(np.linspace(horizon, end - begin - horizon, shifts + 2)[1:-1], 1):
        if progress:
            progress(done, shifts + 1)
        moved = begin + (onset - begin + move) % (end - begin)
        order = np.argsort(moved, kind="stable")
        order = order[reached(bins, moved[order], prior) > MOST_MISSING]
        there, scale = moved[order], weighing.scale[order]
        series = linearise(bins, quiet_bins(bins, there, prior), like=found)
        again = settle(series, there, scale, size(series, there, scale, prior)[0], prior, PLACEBO_STEPS)
        total.append(again.own.totals[0] / again.own.totals_covariance[0, 0] ** 0.5)
        groups.append(weighing.sums(again.laid, order))
        each.append(again.own.estimate / again.own.sd)
    if progress:
        progress(shifts + 1, shifts + 1)
    return Shifted(
        np.array(total),
        np.array(groups).reshape(shifts, weighing.groups.shape[1]),
        np.concatenate([np.empty(0), *each]),
    )


def reached(bins: Bins, onset: np.ndarray, prior: CurvePrior) -> np.ndarray:
    """Return (J,) the share of each response that fell into known bins."""
    reach = int(np.ceil(prior.edges[-1] / bins.width.min())) + 2
    values, _ = airing_columns(onset, bins.start, bins.width, bins.known.astype(float), prior.edges, prior.mean, reach)
    return values.sum(axis=1)
