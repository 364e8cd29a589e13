"""Climbing to the posterior mode of one world by Fisher scoring, and the Laplace evidence there (methods, 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from attribution.model import layout as layouts
from attribution.model.equations import equations, penalty
from attribution.model.field import Factor, back_substitute, quadratic
from attribution.model.linear import Bank, Mode, nuisances, read
from attribution.model.rows import Expected, Given, expect, given

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise

ITERATIONS = 40
TOLERANCE = 0.03
"""A climb has arrived when a full step would raise the log posterior by less than this."""


@njit(cache=True, nogil=True)
def _fit_of(y: np.ndarray, exposure: np.ndarray, base: np.ndarray, ad: np.ndarray) -> float:
    """Poisson log likelihood of the regions' counts (R, T) up to a constant."""
    total = 0.0
    for r in range(y.shape[0]):
        for t in range(y.shape[1]):
            if exposure[r, t] > 0.0:
                mu = max(base[r, t] + ad[r, t], 1e-3 * base[r, t] + 1e-12)
                total += y[r, t] * np.log(mu / exposure[r, t]) - mu
    return total


@njit(cache=True, nogil=True)
def _fit_of_feed(feed: np.ndarray, exposure: np.ndarray, mean: np.ndarray) -> float:
    """Poisson log likelihood of the feed (T,) by its rate: comparable over leads, which cut the seconds differently."""
    total = 0.0
    for t in range(len(feed)):
        if exposure[t] > 0.0:
            nu = max(mean[t], 1e-12)
            total += feed[t] * np.log(nu / exposure[t]) - nu
    return total


@njit(cache=True, nogil=True)
def objective(own: Given, paths: np.ndarray, effects: np.ndarray, mean: Expected) -> float:
    """Return the quasi log likelihood plus log priors, up to constants."""
    total = _fit_of(own.y, own.exposure, mean.base, mean.ad) / own.dispersion
    if len(own.feed):
        total += _fit_of_feed(own.feed, own.feed_exposure, mean.feed) / own.feed_dispersion
    for p in range(len(effects)):
        if own.prior_sd[p] > 0.0:
            total -= 0.5 * ((effects[p] - own.prior_mean[p]) / own.prior_sd[p]) ** 2
    return total - 0.5 * quadratic(own.first, own.decay, own.step, paths)


@njit(cache=True, nogil=True)
def _solve(own: Given, gram: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the free effects and the Cholesky of their posterior precision from the gram (response first)."""
    n = len(free)
    matrix, found = gram[1 : n + 1, 1 : n + 1].copy(), gram[1 : n + 1, 0].copy()
    for i in range(n):
        precision = 1.0 / own.prior_sd[free[i]] ** 2
        matrix[i, i] += precision
        found[i] += precision * own.prior_mean[free[i]]
    lower = np.linalg.cholesky(matrix)
    for i in range(n):
        for j in range(i):
            found[i] -= lower[i, j] * found[j]
        found[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        found[i] /= lower[i, i]
        for j in range(i):
            found[j] -= lower[i, j] * found[i]
    return found, lower


@njit(cache=True, nogil=True)
def _uphill(own, paths, effects, path_step, effect_step, mean, value, held):
    """Take the longest of the steps 1, 1/2, 1/4, ... that raises the log posterior; (rise, state, mean, value)."""
    size, here = 1.0, value - penalty(own, held, effects)
    for _ in range(8):
        there, amounts = paths + size * path_step, effects + size * effect_step
        expected = expect(own, there, amounts)
        reached = objective(own, there, amounts, expected)
        rise = reached - penalty(own, held, amounts) - here
        if np.isfinite(rise) and rise >= 0.0:
            return rise, there, amounts, expected, reached
        size /= 2.0
    return 0.0, paths, effects, mean, value


@njit(cache=True, nogil=True)
def ascend(own: Given, paths: np.ndarray, effects: np.ndarray, tolerance: float) -> tuple:
    """Climb by Fisher scoring from a state (T, K), (P,) to the mode, in one piece.

    Returns
    -------
    paths, effects, value
        The mode, and the log posterior there without its pull.
    lower, white, log_det
        Factor of the last linearisation; the log determinant is NaN where the climb left the model's range.
    gram, root
        Its gram, and the Cholesky of the effects' posterior precision.
    """
    free = np.flatnonzero(own.prior_sd > 0.0)
    n, k = len(free), own.band.shape[1] - 1
    mean = expect(own, paths, effects)
    value = objective(own, paths, effects, mean)
    for turn in range(ITERATIONS):
        lower, white, log_det, gram, held = equations(own, paths, effects, mean)
        if not np.isfinite(log_det):
            return paths, effects, value, lower, white, log_det, gram, gram
        found, root = _solve(own, gram, free)
        aim = np.empty((len(white), 1))
        for i in range(len(white)):
            total = white[i, 0]
            for c in range(n):
                total -= white[i, c + 1] * found[c]
            aim[i, 0] = total
        back_substitute(lower, aim)
        path_step, effect_step = aim.reshape((len(white) // k, k)) - paths, np.zeros(len(effects))
        for i in range(n):
            effect_step[free[i]] = found[i] - effects[free[i]]
        rise, paths, effects, mean, value = _uphill(own, paths, effects, path_step, effect_step, mean, value, held)
        if rise < tolerance or turn == ITERATIONS - 1:
            break
    return paths, effects, value, lower, white, log_det, gram, root


def climb(
    design: Design,
    noise: Noise,
    world: layouts.World,
    kernel: int,
    *,
    lift_sd: float,
    lead: int = 0,
    start: Mode | None = None,
    amount: np.ndarray | None = None,
    gain: float | None = None,
    null: int | None = None,
    tolerance: float = TOLERANCE,
) -> Mode | None:
    """Climb to the posterior mode of one world around one kernel; None when the climb leaves the model's range.

    Parameters
    ----------
    start
        A mode of any world to begin at; else the history's levels.
    amount, gain
        Incrementals (J,) and gain of the surge to begin at, in the place of those of the start.
    null
        The airing that is held to have no effect.
    tolerance
        Rise of the log posterior below which the climb has arrived.
    """
    found = _climb(design, noise, world, kernel, lift_sd, lead, start, amount, null, tolerance, None, gain)
    return None if found is None else found[0]


def climb_and_read(
    design: Design,
    noise: Noise,
    world: layouts.World,
    kernel: int,
    targets: np.ndarray,
    *,
    lift_sd: float,
    lead: int,
    start: Mode | None,
    tolerance: float,
    amount: np.ndarray | None = None,
    null: int | None = None,
) -> tuple[Mode, Bank] | None:
    """Climb, and read every kernel of the airings ``targets`` off the last linearisation; else as :func:`climb`."""
    return _climb(design, noise, world, kernel, lift_sd, lead, start, amount, null, tolerance, targets)  # pyright: ignore[reportReturnType]  with targets there is a bank


def _climb(
    design: Design,
    noise: Noise,
    world: layouts.World,
    kernel: int,
    lift_sd: float,
    lead: int,
    start: Mode | None,
    amount: np.ndarray | None,
    null: int | None,
    tolerance: float,
    targets: np.ndarray | None,
    gain: float | None = None,
) -> tuple[Mode, Bank | None] | None:
    layout = layouts.frame(design, noise, world, kernel, lift_sd=lift_sd, lead=lead, null=null)
    state = layouts.transfer(start.state, start.layout, layout) if start else layouts.initial(design, layout)
    if amount is not None:
        state.effects[layout.names["incremental"]] = amount
    if gain is not None:
        state.effects[layout.names["gain"]] = gain
    free = layout.prior_sd > 0
    state.effects[~free] = 0.0
    own = given(design, noise, layout, free, targets)
    try:
        paths, effects, value, lower, white, log_det, gram, root = ascend(own, *state, tolerance)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(log_det):
        return None
    evidence = value - log_det / 2 + layout.chains.log_det / 2
    evidence -= np.log(np.diagonal(root)).sum() + np.log(layout.prior_sd[free]).sum()
    amounts = effects[layout.names["incremental"]].copy()
    mode = Mode(world, noise, kernel, layout, layouts.State(paths, effects), float(evidence), amounts)
    if targets is None:
        return mode, None
    nuisance = nuisances(layout, targets)
    left = np.concatenate([[0], 1 + np.flatnonzero(nuisance[free]), np.arange(own.begun, own.size)])
    factor = Factor(lower, white, float(log_det))
    return mode, read(design, layout, nuisance, targets, factor, gram[np.ix_(left, left)])
