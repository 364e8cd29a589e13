"""Climbing to the posterior mode of one world by Fisher scoring, and the Laplace evidence there (methods, 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.linalg import lapack

from attribution.model import layout as layouts
from attribution.model import mean as model
from attribution.model.field import quadratic, solve_upper
from attribution.model.linear import Bank, Mode, Pull, basis_columns, linearise, marginal, nuisances, pull, read

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise

ITERATIONS = 40
TOLERANCE = 0.03
"""A climb has arrived when a full step would raise the log posterior by less than this."""


@njit(cache=True)
def _fit_of(y: np.ndarray, exposure: np.ndarray, base: np.ndarray, ad: np.ndarray) -> float:
    """Poisson log likelihood of the regions' counts (R, T) up to a constant."""
    total = 0.0
    for r in range(y.shape[0]):
        for t in range(y.shape[1]):
            if exposure[r, t] > 0.0:
                mu = max(base[r, t] + ad[r, t], 1e-3 * base[r, t] + 1e-12)
                total += y[r, t] * np.log(mu / exposure[r, t]) - mu
    return total


@njit(cache=True)
def _fit_of_feed(feed: np.ndarray, exposure: np.ndarray, mean: np.ndarray) -> float:
    """Poisson log likelihood of the feed (T,) by its rate: comparable over leads, which cut the seconds differently."""
    total = 0.0
    for t in range(len(feed)):
        if exposure[t] > 0.0:
            nu = max(mean[t], 1e-12)
            total += feed[t] * np.log(nu / exposure[t]) - nu
    return total


def objective(design: Design, noise: Noise, layout: layouts.Frame, state: layouts.State, mean: model.Mean) -> float:
    """Return the quasi log likelihood plus log priors, up to constants."""
    total = _fit_of(design.y, design.exposure, mean.base, mean.ad) / noise.dispersion
    if design.fed:
        feed, seen = design.feed[layout.lead], design.feed_exposure[layout.lead]
        total += _fit_of_feed(feed, seen, mean.feed) / noise.feed_dispersion
    free = layout.prior_sd > 0
    away = (state.effects[free] - layout.prior_mean[free]) / layout.prior_sd[free]
    chains = layout.chains
    return total - 0.5 * float(away @ away) - 0.5 * quadratic(chains.first, chains.decay, chains.step, state.paths)


def _solve(layout: layouts.Frame, gram: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the free effects and the Cholesky of their posterior precision from the marginal gram (response last)."""
    precision = 1.0 / layout.prior_sd[free] ** 2
    lower = np.linalg.cholesky(gram[:-1, :-1] + np.diag(precision))
    right = gram[:-1, -1] + precision * layout.prior_mean[free]
    return lapack.dpotrs(lower, right, lower=1)[0], lower  # type: ignore[attr-defined]  made at build time


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
    n = int(free.sum())
    state.effects[~free] = 0.0
    mean = model.predict(design, layout, state)
    value = objective(design, noise, layout, state, mean)
    for _ in range(ITERATIONS):
        linear = linearise(design, noise, layout, state, mean)
        columns = [linear.jacobian.effects[:, free], linear.response[:, None]]
        if targets is not None:
            columns.insert(1, basis_columns(design, layout, state, targets))
        try:
            factor, gram = marginal(layout, linear, np.concatenate(columns, axis=1))
            # Anew at each step: scales that follow a slope from elsewhere run away by hundreds of nats.
            held = pull(design, layout, mean, linear, factor)
            held.into(layout, gram, free)
            own = gram if targets is None else _part(gram, np.arange(n), 1)
            effects, lower = _solve(layout, own, free)
        except (FloatingPointError, np.linalg.LinAlgError):
            return None
        paths = solve_upper(factor, (factor.white[:, -1] - factor.white[:, :n] @ effects)[:, None])[:, 0]
        step = layouts.State(paths.reshape(state.paths.shape) - state.paths, np.zeros_like(state.effects))
        step.effects[free] = effects - state.effects[free]
        rise, state, mean, value = _uphill(design, noise, layout, state, step, mean, value, held)
        if rise < tolerance:
            break
    evidence = value - factor.log_det / 2 + layout.chains.log_det / 2
    evidence -= np.log(np.diagonal(lower)).sum() + np.log(layout.prior_sd[free]).sum()
    amounts = state.effects[layout.names["incremental"]].copy()
    mode = Mode(world, noise, kernel, layout, state, float(evidence), amounts)
    if targets is None:
        return mode, None
    nuisance = nuisances(layout, targets)
    left = np.flatnonzero(nuisance[free])
    return mode, read(design, layout, nuisance, targets, factor, _part(gram, left, gram.shape[1] - n))


def _part(gram: np.ndarray, kept: np.ndarray, tail: int) -> np.ndarray:
    """Return the gram of some of its first columns and of its last ``tail``."""
    chosen = np.concatenate([kept, np.arange(len(gram) - tail, len(gram))])
    return gram[np.ix_(chosen, chosen)]


def _uphill(
    design: Design,
    noise: Noise,
    layout: layouts.Frame,
    state: layouts.State,
    step: layouts.State,
    mean: model.Mean,
    value: float,
    held: Pull,
) -> tuple[float, layouts.State, model.Mean, float]:
    """Take the longest of the steps 1, 1/2, 1/4, ... that raises the log posterior; (rise, state, mean, value)."""
    size, here = 1.0, value - held.of(layout, state.effects)
    for _ in range(8):
        trial = layouts.State(state.paths + size * step.paths, state.effects + size * step.effects)
        there = model.predict(design, layout, trial)
        reached = objective(design, noise, layout, trial, there)
        rise = reached - held.of(layout, trial.effects) - here
        if np.isfinite(rise) and rise >= 0:
            return rise, trial, there, reached
        size /= 2
    return 0.0, state, mean, value
