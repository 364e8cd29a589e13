"""The fast fit: the mode of every world by Fisher scoring, then every kernel in closed form around it.

Posterior modes come from a banded Cholesky (field.py); at each mode the nuisances are integrated out, and the amounts,
their covariance and the evidence follow for every kernel of the bank at once (methods, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import cho_solve
from scipy.optimize import brentq
from scipy.special import ndtr

from attribution.model import layout as layouts
from attribution.model import mean as model
from attribution.model.field import quadratic, solve_upper
from attribution.model.history import Noise, learn
from attribution.model.linear import Mode, consider, linearise, marginal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.model.design import Design
    from attribution.settings import Settings

ITERATIONS = 40
TOLERANCE = 1e-3
"""The fit has converged when a full step would raise the log posterior by less than this."""

ASLEEP = 12.0
"""A world this many nats behind the best is fitted at one kernel only: it weighs less than 1e-5."""

CALM = layouts.World("nothing else at this time", 0.7, 0.15, 0.0, 0.0)
STEP = layouts.World("a lasting change of level", 0.3, 0.15, 0.0, 0.0, 0.5)
"""Without a control, a change that begins with the airing and stays is an explanation of its own (a goal, a kick-off,
an undeclared break); an ad's response fades."""


class Component(NamedTuple):
    """One world and one kernel: a normal posterior of the incrementals."""

    mode: int
    kernel: int
    log_weight: float
    mean: np.ndarray
    """(J,) incremental of the whole response."""
    cov: np.ndarray
    """(J, J)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The mixture over worlds and kernels.

    Attributes
    ----------
    design, noise
        What was fitted, and the scales learnt from its history.
    modes
        One for each world and anchor kernel that stayed awake.
    components
        One for each mode and kernel; weights ``weight`` (C,) sum to 1.
    mean, cov
        (C, J), (C, J, J): normal posterior of each component's incrementals.
    window_mean, window_sd
        (C, J): the same for the incremental inside each window.
    """

    design: Design
    noise: Noise
    modes: tuple[Mode, ...]
    components: tuple[Component, ...]
    weight: np.ndarray
    mean: np.ndarray
    cov: np.ndarray
    window_mean: np.ndarray
    window_sd: np.ndarray

    def kernel_weight(self) -> np.ndarray:
        """(M,) posterior weight of each kernel of the bank."""
        total = np.zeros(len(self.design.kernels))
        np.add.at(total, [c.kernel for c in self.components], self.weight)
        return total

    def world_weight(self) -> dict[str, float]:
        """Posterior weight of each world, by name."""
        total: dict[str, float] = {}
        for component, weight in zip(self.components, self.weight, strict=True):
            name = self.modes[component.mode].world.name
            total[name] = total.get(name, 0.0) + float(weight)
        return total

    def within(self, worlds: set[str]) -> Fit | None:
        """Return the fit restricted to some worlds; None when none of them stayed awake."""
        keep = np.array([self.modes[c.mode].world.name in worlds for c in self.components])
        if not keep.any():
            return None
        components = tuple(c for c, k in zip(self.components, keep, strict=True) if k)
        return Fit(
            design=self.design,
            noise=self.noise,
            modes=self.modes,
            components=components,
            weight=_normalised(components),
            mean=self.mean[keep],
            cov=self.cov[keep],
            window_mean=self.window_mean[keep],
            window_sd=self.window_sd[keep],
        )


def _normalised(components: Sequence[Component]) -> np.ndarray:
    """Return (C,) weights that sum to 1 from the components' log weights."""
    log = np.array([component.log_weight for component in components])
    weight = np.exp(log - log.max())
    return weight / weight.sum()


def worlds(design: Design) -> tuple[layouts.World, ...]:
    """Return the worlds that the data can speak about: hidden shocks need a control, surges a feed."""
    controlled, fed = bool((~design.exposed).any()), len(design.feed) > 0
    if not controlled and not fed:
        return CALM, STEP
    kept = [w for w in layouts.WORLDS if (controlled if w.shock else fed)]
    total = sum(w.weight for w in kept)
    kept = [w._replace(weight=w.weight / total) for w in kept]
    if not controlled:
        kept = [w._replace(weight=CALM.weight * w.weight) for w in kept] + [STEP]
    return tuple(kept)


def fit(design: Design, settings: Settings, *, noise: Noise | None = None) -> Fit:
    """Fit every world and kernel to one design.

    Parameters
    ----------
    noise
        The scales; learnt from the history when absent.
    """
    noise = noise or learn(design, dispersion=settings.dispersion)
    anchors = _anchors(design)
    modes: list[Mode] = []
    owner: list[int] = []
    best = -np.inf
    for world in worlds(design):
        for position, anchor in enumerate(anchors):
            start = modes[-1] if modes else None
            mode = climb(design, noise, world, anchor, lift_sd=settings.lift_sd, start=start)
            if mode is None:
                continue
            modes.append(mode)
            owner.append(position)
            best = max(best, mode.evidence)
            if mode.evidence < best - ASLEEP - np.log(max(world.weight, 1e-9)):
                break
    if not modes:
        raise FloatingPointError("no world could be fitted; look at the findings for what is wrong with the data")
    nearest = _nearest(design, anchors)
    found = [
        c
        for i, mode in enumerate(modes)
        for c in _components(design, noise, mode, i, np.flatnonzero(nearest == owner[i]))
    ]
    weight = _normalised(found)
    mean, cov = np.array([c.mean for c in found]), np.array([c.cov for c in found])
    inside = design.window_mass[[c.kernel for c in found]]
    return Fit(
        design=design,
        noise=noise,
        modes=tuple(modes),
        components=tuple(found),
        weight=weight,
        mean=mean,
        cov=cov,
        window_mean=mean * inside,
        window_sd=np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0.0)) * inside,
    )


def _anchors(design: Design) -> list[int]:
    """Return the kernels to linearise around: the middle of the prior, and both flanks when the mode is vague."""
    modes = design.peak
    distinct = np.unique(modes)
    if distinct[-1] < 3 * distinct[0]:
        chosen = distinct[[len(distinct) // 2]]
    else:
        chosen = distinct[np.round(np.array([0.2, 0.5, 0.8]) * (len(distinct) - 1)).astype(int)]
    return [int(np.argmax(np.where(modes == mode, design.kernel_weight, -1.0))) for mode in chosen]


def _nearest(design: Design, anchors: list[int]) -> np.ndarray:
    """Return (M,) the anchor whose mode is nearest on the log scale."""
    log = np.log(design.peak)
    return np.argmin(np.abs(log[:, None] - log[anchors]), axis=1)


def _objective(design: Design, noise: Noise, layout: layouts.Frame, state: layouts.State, mean: model.Mean) -> float:
    """Return the quasi log likelihood plus log priors, up to constants."""
    mu = np.maximum(mean.base + mean.ad, 1e-3 * mean.base + 1e-12)
    seen = design.exposure > 0
    total = float((design.y[seen] * np.log(mu[seen]) - mu[seen]).sum()) / noise.dispersion
    if len(design.feed):
        known, nu = design.feed_exposure > 0, np.maximum(mean.feed, 1e-12)
        total += float((design.feed[known] * np.log(nu[known]) - nu[known]).sum()) / noise.feed_dispersion
    free = layout.prior_sd > 0
    away = (state.effects[free] - layout.prior_mean[free]) / layout.prior_sd[free]
    return total - 0.5 * float(away @ away) - 0.5 * quadratic(list(layout.chains), state.paths)


def _solve(layout: layouts.Frame, gram: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the free effects and the Cholesky of their posterior precision from the marginal gram (response last)."""
    precision = 1.0 / layout.prior_sd[free] ** 2
    lower = np.linalg.cholesky(gram[:-1, :-1] + np.diag(precision))
    return cho_solve((lower, True), gram[:-1, -1] + precision * layout.prior_mean[free]), lower


def climb(
    design: Design,
    noise: Noise,
    world: layouts.World,
    kernel: int,
    *,
    lift_sd: float,
    start: Mode | None,
    null: int | None = None,
) -> Mode | None:
    """Climb to the posterior mode of one world around one kernel; None when the climb leaves the model's range.

    ``null`` is the airing that is held to have no effect.
    """
    layout = layouts.frame(design, noise, world, kernel, lift_sd=lift_sd)
    layout = layout if null is None else layouts.without_ad(layout, null)
    state = layouts.transfer(start.state, start.layout, layout) if start else layouts.initial(design, layout)
    state.effects[layout.prior_sd == 0] = 0.0
    free = layout.prior_sd > 0
    mean = model.predict(design, layout, state)
    value = _objective(design, noise, layout, state, mean)
    for _ in range(ITERATIONS):
        linear = linearise(design, noise, layout, state, mean, free)
        columns = np.column_stack([linear.jacobian.effects[:, free], linear.response])
        try:
            factor, gram, log_det = marginal(layout, linear, columns)
            effects, lower = _solve(layout, gram, free)
        except (FloatingPointError, np.linalg.LinAlgError):
            return None
        paths = solve_upper(factor, (factor.white[:, -1] - factor.white[:, :-1] @ effects)[:, None])[:, 0]
        step = layouts.State(paths.reshape(state.paths.shape) - state.paths, state.effects.copy())
        step.effects[:] = 0.0
        step.effects[free] = effects - state.effects[free]
        rise, state, mean, value = _uphill(design, noise, layout, state, step, mean, value)
        if rise < TOLERANCE:
            break
    evidence = (
        value
        - factor.log_det / 2
        + log_det / 2
        - np.log(np.diagonal(lower)).sum()
        - np.log(layout.prior_sd[free]).sum()
    )
    return Mode(world, layout, state, float(evidence), factor, gram)


def _uphill(
    design: Design,
    noise: Noise,
    layout: layouts.Frame,
    state: layouts.State,
    step: layouts.State,
    mean: model.Mean,
    value: float,
) -> tuple[float, layouts.State, model.Mean, float]:
    """Take the longest of the steps 1, 1/2, 1/4, ... that raises the log posterior; (rise, state, mean, value)."""
    size = 1.0
    for _ in range(8):
        trial = layouts.State(state.paths + size * step.paths, state.effects + size * step.effects)
        there = model.predict(design, layout, trial)
        reached = _objective(design, noise, layout, trial, there)
        if np.isfinite(reached) and reached >= value:
            return reached - value, trial, there, reached
        size /= 2
    return 0.0, state, mean, value


def _components(design: Design, noise: Noise, mode: Mode, position: int, kernels: np.ndarray) -> list[Component]:
    """Return the normal posterior and the weight of each kernel around one mode."""
    layout = mode.layout
    anchor = int(np.argmax([np.array_equal(design.mass[m], layout.kernel) for m in kernels]))
    bank = consider(design, noise, mode, kernels)
    prior = layout.prior_sd[layout.names["incremental"]] ** 2
    found, own = [], []
    for i, m in enumerate(kernels):
        precision = bank.information[i] + np.diag(1.0 / prior)
        cov = np.linalg.inv(precision)
        mean = cov @ bank.score[i]
        gain = 0.5 * bank.score[i] @ mean - 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * np.log(prior).sum()
        own.append(gain)
        found.append((int(m), mean, (cov + cov.T) / 2))
    base = mode.evidence + np.log(mode.world.weight) - own[anchor]
    return [
        Component(position, m, float(base + gain + np.log(design.kernel_weight[m])), mean, cov)
        for (m, mean, cov), gain in zip(found, own, strict=True)
    ]


def quantile(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, p: float) -> float:
    """Quantile of a mixture of normals: (C,) weights, means and sds."""
    low, high = float((mean - 12 * sd).min()), float((mean + 12 * sd).max())
    if not high > low:
        return low
    root = brentq(lambda x: float(weight @ ndtr((x - mean) / sd)) - p, low, high, xtol=1e-9 * (high - low))
    return float(root)  # type: ignore[arg-type]  full_output is off: brentq returns the root
