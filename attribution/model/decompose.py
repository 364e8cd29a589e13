"""Every second taken apart: draws of baseline, break, organic surge and ad from the fitted mixture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import mean as model
from attribution.model.field import solve_upper
from attribution.model.fit import consider
from attribution.model.layout import State

if TYPE_CHECKING:
    from attribution.model.fit import Bank, Component, Fit, Mode


class Parts(NamedTuple):
    """Draws (S, R, T) of expected counts per bin, as if every bin had been observed in full."""

    counterfactual: np.ndarray
    """Without the ad: baseline + break + organic."""
    broken: np.ndarray
    """The part that declared breaks add (or take)."""
    organic: np.ndarray
    """The part that the organic surge and declared moments add (or take)."""
    ad: np.ndarray
    """The part that the airings caused."""
    each: np.ndarray
    """(S, J) incremental of each airing inside its window."""


def draw(fit: Fit, count: int, *, rng: np.random.Generator) -> Parts:
    """Draw from the posterior: component, then incrementals, then effects and paths given them."""
    chosen = rng.choice(len(fit.components), size=count, p=fit.weight)
    full = replace(fit.design, exposure=np.broadcast_to(fit.design.width, fit.design.y.shape).copy())
    parts: list[tuple[np.ndarray, ...]] = []
    for position in np.unique([fit.components[c].mode for c in chosen]):
        mode = fit.modes[position]
        mine = [fit.components[c] for c in chosen if fit.components[c].mode == position]
        kernels = np.unique([c.kernel for c in mine])
        bank = consider(fit.design, fit.noise, mode, kernels)
        whole = replace(mode.layout, seen=np.ones_like(mode.layout.seen))
        for component, state in zip(mine, _states(fit, mode, bank, mine, rng), strict=True):
            mass = fit.design.mass[component.kernel]
            mean = model.predict(full, replace(whole, kernel=mass), state)
            amount = state.effects[whole.names["incremental"]] * fit.design.window_mass[component.kernel]
            parts.append((mean.base, mean.broken - mean.quiet, mean.base - mean.broken, mean.ad, amount))
    return Parts(*(np.array(column) for column in zip(*parts, strict=True)))


def _states(fit: Fit, mode: Mode, bank: Bank, components: list[Component], rng: np.random.Generator) -> list[State]:
    """Draw one state for each component around one mode."""
    airings = len(fit.design.onset)
    n = int(bank.nuisance.sum())
    place = {int(m): i for i, m in enumerate(bank.kernels)}
    inverse = np.linalg.inv(bank.lower)
    amounts, effects = [], []
    for component in components:
        root = np.linalg.cholesky(component.cov + 1e-12 * np.eye(airings) * np.trace(component.cov))
        amount = component.mean + root @ rng.standard_normal(airings)
        own = slice(place[component.kernel] * airings, (place[component.kernel] + 1) * airings)
        target = bank.target[:, -1] - bank.target[:, own] @ amount
        effects.append(inverse.T @ (inverse @ target + rng.standard_normal(n)))
        amounts.append(amount)
    white = bank.factor.white
    rows = np.zeros((white.shape[1] - 1, len(components)))
    rows[:n] = np.array(effects).T
    for s, component in enumerate(components):
        first = n + place[component.kernel] * airings
        rows[first : first + airings, s] = amounts[s]
    noise = rng.standard_normal((len(white), len(components)))
    paths = solve_upper(bank.factor, white[:, -1:] - white[:, :-1] @ rows + noise)
    states = []
    for s in range(len(components)):
        values = mode.state.effects.copy()
        values[bank.nuisance] = effects[s]
        values[mode.layout.names["incremental"]] = amounts[s]
        states.append(State(paths[:, s].reshape(mode.state.paths.shape), values))
    return states
