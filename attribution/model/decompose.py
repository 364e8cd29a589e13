"""Every second taken apart: draws of baseline, break, organic surge and ad from the fitted mixture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import mean as model
from attribution.model.field import solve_upper
from attribution.model.layout import State
from attribution.model.linear import consider

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.fit import Component, Fit
    from attribution.model.linear import Bank, Mode


LEAST_WEIGHT = 0.003
"""Modes of less weight are left out of the middle: they would move it by less than its rounding."""


class Parts(NamedTuple):
    """Expected counts per bin, as if every bin had been observed in full: (S, R, T) draws, or (R, T) at the centre."""

    counterfactual: np.ndarray
    """Without the ad: baseline + break + organic."""
    broken: np.ndarray
    """The part that declared breaks add (or take)."""
    organic: np.ndarray
    """The part that the organic surge and declared moments add (or take)."""
    ad: np.ndarray
    """The part that the airings caused."""


def centre(fit: Fit, *, tilt: np.ndarray | None = None) -> Parts:
    """Return the parts at the middle of the mixture: every mode at its mean state, weighted; no draws, no noise.

    ``tilt`` (J,) moves each incremental by so many posterior sds, all else to what is then expected.
    """
    full, total, used = _full(fit), None, 0.0
    for position in sorted({c.mode for c in fit.components}):
        own = np.array([c.mode == position for c in fit.components])
        weight = float(fit.weight[own].sum())
        if weight < LEAST_WEIGHT:
            continue
        mine = [c for c, o in zip(fit.components, own, strict=True) if o]
        share = fit.weight[own] / weight
        best = mine[int(np.argmax(share))]
        mean = share @ np.array([c.mean for c in mine])
        amount = mean if tilt is None else mean + tilt * np.sqrt(np.diagonal(best.cov))
        mode = fit.modes[position]
        state = _states(fit, mode, consider(fit.design, mode), [best._replace(mean=amount)], None)[0]
        parts = _parts(fit, full, best, state)._replace(ad=_response(fit, full, mine, share, state))
        used += weight
        total = (
            [weight * p for p in parts]
            if total is None
            else [t + weight * p for t, p in zip(total, parts, strict=True)]
        )
    if total is None:
        raise FloatingPointError("no world holds any weight")
    return Parts(*(part / used for part in total))


def draw(fit: Fit, count: int, *, seed: int) -> Parts:
    """Draw from the posterior: component, then incrementals, then effects and paths given them.

    Components are taken systematically, and the noise of early bins does not depend on later ones, so that the bands
    of a growing log move only as far as the data make them.
    """
    chosen = np.searchsorted(np.cumsum(fit.weight), (np.arange(count) + 0.5) / count)
    full = _full(fit)
    parts: list[Parts] = []
    for position in np.unique([fit.components[c].mode for c in chosen]):
        mode = fit.modes[position]
        mine = [fit.components[c] for c in chosen if fit.components[c].mode == position]
        bank = consider(fit.design, mode)
        states = _states(fit, mode, bank, mine, np.random.default_rng([seed, int(position)]))
        parts += [_parts(fit, full, component, state) for component, state in zip(mine, states, strict=True)]
    return Parts(*(np.array(column) for column in zip(*parts, strict=True)))


def _full(fit: Fit) -> Design:
    """Return the design as if every bin had been observed in full."""
    return replace(fit.design, exposure=np.broadcast_to(fit.design.width, fit.design.y.shape).copy())


def _parts(fit: Fit, full: Design, component: Component, state: State) -> Parts:
    """Return the expected parts at one state of one component."""
    layout = fit.modes[component.mode].layout
    whole = replace(layout, seen=np.ones_like(layout.seen), kernel=fit.design.mass[component.kernel])
    base = model.baseline_at(full, whole, state)
    plain = State(state.paths.copy(), state.effects.copy())
    for name in ("G", "X"):
        if name in layout.paths:
            plain.paths[:, layout.paths.index(name)] = 0.0
    first = layout.names["common"].start + 2 + ("break" in full.break_kind)
    organic = [first + b for b, kind in enumerate(full.break_kind) if kind == "organic"]
    plain.effects[organic] = 0.0
    broken = model.baseline_at(full, whole, plain)
    plain.effects[layout.names["common"].start + 2 : first + len(full.break_kind)] = 0.0
    quiet = model.baseline_at(full, whole, plain)
    return Parts(base, broken - quiet, base - broken, model.responses(full, whole, state.effects).sum(axis=0))


def _response(fit: Fit, full: Design, mine: list[Component], share: np.ndarray, state: State) -> np.ndarray:
    """Return (R, T): what the airings add, over the kernels of one mode as they weigh, each with its own amount.

    While a response is young, a slow kernel says a large amount of which little has come, and a fast one the opposite:
    the mean amount on the likeliest kernel would draw more, or less, than any of them says has come.
    """
    layout = fit.modes[mine[0].mode].layout
    amounts = share[:, None] * np.array([c.mean for c in mine])
    came = np.einsum("cj,cjt->jt", amounts, fit.design.mass[[c.kernel for c in mine]])
    whole = replace(layout, seen=np.ones_like(layout.seen), kernel=came)
    plain = state.effects.copy()
    plain[layout.names["incremental"]], plain[layout.names["misfit"]] = 1.0, 0.0
    misfit = state.effects.copy()
    misfit[layout.names["incremental"]] = amounts.sum(axis=0)
    apart = model.responses(full, replace(whole, kernel=np.zeros_like(came)), misfit)
    return (model.responses(full, whole, plain) + apart).sum(axis=0)


def _states(
    fit: Fit, mode: Mode, bank: Bank, components: list[Component], rng: np.random.Generator | None
) -> list[State]:
    """Draw one state for each component around one mode; its mean where ``rng`` is None."""
    airings, n = len(fit.design.onset), int(bank.nuisance.sum())
    inverse = np.linalg.inv(bank.lower)
    white = bank.factor.white
    rows = np.zeros((white.shape[1] - 1, len(components)))
    amounts = np.empty((airings, len(components)))
    for s, component in enumerate(components):
        root = np.linalg.cholesky(component.cov + 1e-12 * np.eye(airings) * np.trace(component.cov))
        amounts[:, s] = component.mean + (0.0 if rng is None else root @ rng.standard_normal(airings))
        # The response in the basis of the kernels, airing after airing.
        rows[n:, s] = (amounts[:, s, None] * bank.coefficient[component.kernel]).ravel()
        target = bank.target[:, 0] - bank.target[:, 1:] @ rows[n:, s]
        rows[:n, s] = inverse.T @ (inverse @ target + (0.0 if rng is None else rng.standard_normal(n)))
    noise = 0.0 if rng is None else rng.standard_normal((len(white), len(components)))
    paths = solve_upper(bank.factor, white[:, :1] - white[:, 1:] @ rows + noise)
    states = []
    for s in range(len(components)):
        values = mode.state.effects.copy()
        values[bank.nuisance] = rows[:n, s]
        values[mode.layout.names["incremental"]] = amounts[:, s]
        states.append(State(paths[:, s].reshape(mode.state.paths.shape), values))
    return states
