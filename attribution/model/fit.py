"""The fast fit: the mode of every world, then every kernel in closed form around it (methods, section 2.1).

A mixture over the noise that the history allows (strata), the leads of the feed, anchor kernels and worlds; at each
mode the nuisances are integrated out, and the amounts, their covariance and the evidence follow for the whole bank.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr

from attribution.model import layout as layouts
from attribution.model.climb import climb
from attribution.model.history import Noise, learn
from attribution.model.linear import Bank, Mode, consider
from attribution.model.mean import predict

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.settings import Settings

ASLEEP = 12.0
"""A world this many nats behind the best is fitted once only: it weighs less than 1e-5."""

WARM = 0.1
"""Tolerance, in nats, of a climb that begins where an earlier fit's ended."""

APART = 5.0
"""Leads of the feed this many nats behind the best are left out."""

ALIKE = 0.1
"""Leads whose incrementals differ by less than this share of the prior's sd are fitted as one."""

LEAST = 1e-7
"""Components of less weight are left out."""

BEYOND, SURGED = 1.8, 0.1
"""What an amount's variance is multiplied by, but for the part that count noise alone makes, once a surge or a shock is
a tenth of what its window would have held; less for a smaller one.

A surge does not follow its feed as closely as the model has it, and intervals beside one were too narrow. Chosen on
events of the blind family with seeds below 100000."""

CALM = layouts.World("nothing else at this time", 0.7)
STEP = layouts.World("a lasting change of level", 0.3, step=0.5, kind="step")
"""Without a control, a change that begins with the airing and stays is an explanation of its own (a goal, a kick-off,
an undeclared break); an ad's response fades."""


class Component(NamedTuple):
    """One mode and one kernel: a normal posterior of the incrementals."""

    mode: int
    kernel: int
    log_weight: float
    mean: np.ndarray
    """(J,) incremental of the whole response."""
    cov: np.ndarray
    """(J, J)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The mixture over strata, leads, worlds and kernels.

    Attributes
    ----------
    design, noise
        What was fitted, and the scales learnt from its history (the middle of the strata).
    modes
        One for each stratum, lead, world and anchor kernel that stayed awake.
    components
        One for each mode and kernel; weights ``weight`` (C,) sum to 1.
    mean, cov
        (C, J), (C, J, J): normal posterior of each component's incrementals.
    window_mean, window_sd
        (C, J): the same for the incremental inside each window.
    wider
        (C, J): what the posterior's own sds were multiplied by: ``cov`` and ``window_sd`` hold ``BEYOND``.
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
    wider: np.ndarray
    reached: dict[tuple, Mode] = field(default_factory=dict, repr=False, compare=False)
    """Every mode that was climbed to, for a fit that starts here."""

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

    @property
    def lasting(self) -> float:
        """Probability that a lasting change of level began with the airing; NaN with a control or a feed beside it."""
        if self.design.fed or (~self.design.exposed).any():
            return float("nan")
        return self.world_weight().get(STEP.name, 0.0)

    def within(self, names: set[str]) -> Fit | None:
        """Return the fit restricted to some worlds; None when none of them stayed awake."""
        keep = np.array([self.modes[c.mode].world.name in names for c in self.components])
        if not keep.any() or not self.weight[keep].sum() > 0:
            return None
        return Fit(
            design=self.design,
            noise=self.noise,
            modes=self.modes,
            components=tuple(c for c, k in zip(self.components, keep, strict=True) if k),
            weight=self.weight[keep] / self.weight[keep].sum(),
            mean=self.mean[keep],
            cov=self.cov[keep],
            window_mean=self.window_mean[keep],
            window_sd=self.window_sd[keep],
            wider=self.wider[keep],
        )


def worlds(design: Design) -> tuple[layouts.World, ...]:
    """Return the worlds that the data can speak about: hidden shocks need a control, surges a feed."""
    controlled, fed = bool((~design.exposed).any()), design.fed
    if not controlled and not fed:
        return CALM, STEP
    kept = [w for w in layouts.WORLDS if (controlled if w.shock else fed)]
    total = sum(w.weight for w in kept)
    kept = [w._replace(weight=w.weight / total) for w in kept]
    if not controlled:
        kept = [w._replace(weight=CALM.weight * w.weight) for w in kept] + [STEP]
    return tuple(kept)


def fit(design: Design, settings: Settings, *, noise: Noise | None = None, start: Fit | None = None) -> Fit:
    """Fit every world and kernel to one design.

    Parameters
    ----------
    noise
        The scales; learnt from the history when absent.
    start
        A fit of much the same data under much the same settings: every climb begins where its own ended. Faster; the
        answer is the same within the tolerance of a climb.
    """
    strata = ((1.0, noise),) if noise else learn(design, dispersion=settings.dispersion)
    chosen, anchors = worlds(design), _anchors(design)
    nearest = _nearest(design, anchors)
    found: list[_Around] = []
    modes: list[Mode] = []
    leads: list[tuple[Mode, float]] = []
    climbs = _Climbs(design, anchors, settings.lift_sd, start.reached if start else {}, {})
    for stratum, (share, own) in enumerate(strata):
        leads = _leads(climbs, stratum, own, chosen, leads)
        block: list[_Around] = []
        best = -np.inf
        for first, log_prior in leads:
            for world in chosen:
                at = first
                for position, anchor in enumerate(anchors):
                    known = world == first.world and anchor == first.kernel
                    mode = first if known else climbs.to(stratum, own, world, position, first.layout.lead, at)
                    if mode is None:
                        continue
                    at = mode
                    modes.append(mode)
                    best = max(best, mode.evidence)
                    bank, kernels = consider(design, mode), np.flatnonzero(nearest == position)
                    block.append(_around(design, mode, bank, len(modes) - 1, kernels, log_prior))
                    if mode.evidence < best - ASLEEP - np.log(max(world.weight, 1e-9)):
                        break
        if block:
            shift = np.log(share) - logsumexp(np.concatenate([one.log_weight for one in block]))
            found += [one._replace(log_weight=one.log_weight + shift) for one in block]
    if not found:
        raise FloatingPointError("no world could be fitted; look at the findings for what is wrong with the data")
    return _mixture(design, middle(strata), modes, found, climbs.reached)


class _Climbs(NamedTuple):
    """The climbs of one fit, each from where an earlier fit's ended where there is one."""

    design: Design
    anchors: list[int]
    lift_sd: float
    earlier: dict[tuple, Mode]
    reached: dict[tuple, Mode]
    """The best mode of each stratum, world, anchor and lead, also of those that were left out."""

    def to(
        self,
        stratum: int,
        noise: Noise,
        world: layouts.World,
        position: int,
        lead: int,
        start: Mode | None,
        amount: np.ndarray | None = None,
    ) -> Mode | None:
        """Climb to the mode of a world around one anchor; without any start, twice, with and without a surge."""
        name = (stratum, world.name, position, lead)
        kernel, fixed = self.anchors[position], {"lift_sd": self.lift_sd, "lead": lead}
        if name in self.earlier:
            mode = climb(self.design, noise, world, kernel, start=self.earlier[name], tolerance=WARM, **fixed)
        elif start is not None:
            mode = climb(self.design, noise, world, kernel, start=start, **fixed)
        else:  # a climb may end beside the best mode: begin without a surge as well (methods, 2.1)
            gains = (None, 0.0) if self.design.fed else (None,)
            tried = [climb(self.design, noise, world, kernel, amount=amount, gain=gain, **fixed) for gain in gains]
            mode = max((m for m in tried if m is not None), key=lambda m: m.evidence, default=None)
        if mode is not None:
            self.reached[name] = mode
        return mode


def _mixture(design: Design, noise: Noise, modes: list[Mode], found: list[_Around], reached: dict[tuple, Mode]) -> Fit:
    """Return the Fit of the components around all modes; those of no weight are left out."""
    log = np.concatenate([one.log_weight for one in found])
    mean, cov = np.concatenate([one.mean for one in found]), np.concatenate([one.cov for one in found])
    mode = np.repeat([one.mode for one in found], [len(one.kernel) for one in found])
    kernel = np.concatenate([one.kernel for one in found])
    weight = np.exp(log - logsumexp(log))
    shock = np.array([own.world.kind == "shock" for own in modes])[mode]
    apart = np.exp(log - (logsumexp(log[shock]) if shock.any() else 0.0))
    keep = np.flatnonzero((weight > LEAST) | (shock & (apart > 1e-4)))  # the robust answer is always at hand
    mean, cov, weight = mean[keep], cov[keep], weight[keep] / weight[keep].sum()
    wider = _wider(design, noise, modes[mode[keep[weight.argmax()]]], kernel[keep], cov)
    cov = cov * wider[:, :, None] * wider[:, None, :]
    inside = design.window_mass[kernel[keep]]
    parts = zip(mode[keep].tolist(), kernel[keep].tolist(), log[keep].tolist(), mean, cov, strict=True)
    return Fit(
        design=design,
        noise=noise,
        modes=tuple(modes),
        components=tuple(starmap(Component, parts)),
        weight=weight,
        mean=mean,
        cov=cov,
        window_mean=mean * inside,
        # A kernel of which nothing can have arrived yet says 0 for sure: a point, but one that quantiles can pass.
        window_sd=np.maximum(np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0.0)) * inside, 1e-9),
        wider=wider,
        reached=reached,
    )


def _wider(design: Design, noise: Noise, leader: Mode, kernel: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return (C, J) what the sds of ``cov`` (C, J, J) are multiplied by; ``kernel`` (C,) is each component's."""
    now = predict(design, leader.layout, leader.state)
    counted = noise.dispersion * np.maximum(now.base + now.ad, 1e-9)
    told = design.share**2 @ ((design.exposure / design.width) ** 2 / counted)
    known = np.einsum("mjt,mjt,jt->mj", design.mass, design.mass, told)[kernel]
    inside = np.array([design.inside(j) for j in range(len(design.onset))])
    moved = now.base * np.abs(1 - 1 / now.growth)
    moved, whole = (np.einsum("jr,rt,jt->j", design.share > 0, rows, inside) for rows in (moved, now.base))
    beside = np.minimum(moved / np.maximum(SURGED * whole, 1e-9), 1.0)
    noise_alone = np.minimum(1.0 / np.maximum(known * np.diagonal(cov, axis1=1, axis2=2), 1e-300), 1.0)
    return np.sqrt(1.0 + (BEYOND - 1.0) * beside * (1.0 - noise_alone))


def middle(strata: tuple[tuple[float, Noise], ...]) -> Noise:
    """Return one set of scales for all strata: geometric means, the regional sd by root mean square."""
    weight = np.array([w for w, _ in strata])
    weight = weight / weight.sum()
    own = [noise for _, noise in strata]
    return replace(
        own[0],
        dispersion=float(np.exp(weight @ np.log([n.dispersion for n in own]))),
        regional=(
            float(np.sqrt(weight @ np.array([n.regional[0] for n in own]) ** 2)),
            float(np.exp(weight @ np.log([n.regional[1] for n in own]))),
        ),
    )


def _leads(
    climbs: _Climbs,
    stratum: int,
    noise: Noise,
    chosen: tuple[layouts.World, ...],
    before: list[tuple[Mode, float]],
) -> list[tuple[Mode, float]]:
    """Return a mode of the second world for each lead of the feed worth keeping, and the log prior it carries.

    A surge that leads or follows by other seconds is another explanation; leads that give the same amount are one.
    ``before`` holds what an earlier stratum kept.
    """
    design, middle = climbs.design, len(climbs.anchors) // 2
    world = chosen[min(1, len(chosen) - 1)] if chosen[0] is not CALM else chosen[0]
    if before:
        again = [(climbs.to(stratum, noise, world, middle, m.layout.lead, m), p) for m, p in before]
        return [(mode, p) for mode, p in again if mode is not None]
    amount = rough(design)
    if not design.fed:
        mode = climbs.to(stratum, noise, world, middle, 0, None, amount)
        return [] if mode is None else [(mode, 0.0)]
    tried: list[tuple[Mode, float]] = []
    for lead in np.argsort(-design.lead_weight, kind="stable"):
        mode = climbs.to(stratum, noise, world, middle, int(lead), tried[0][0] if tried else None, amount)
        if mode is not None:
            tried.append((mode, float(np.log(design.lead_weight[lead]))))
    tried.sort(key=lambda row: -(row[0].evidence + row[1]))
    kept: list[tuple[Mode, float]] = []
    scale = climbs.lift_sd * layouts.baseline(design) * ALIKE
    for mode, log_prior in tried:
        joint = mode.evidence + log_prior
        if kept and joint < kept[0][0].evidence + kept[0][1] - APART:
            continue
        twin = next((i for i, (m, _) in enumerate(kept) if (np.abs(m.amount - mode.amount) < scale).all()), None)
        if twin is None:
            kept.append((mode, log_prior))
        else:
            kept[twin] = (kept[twin][0], float(np.logaddexp(kept[twin][1], joint - kept[twin][0].evidence)))
    return kept


def rough(design: Design) -> np.ndarray:
    """Return (J,) a difference-in-differences of each window, as the incremental of the whole response: a start."""
    found = np.zeros(len(design.onset))
    before, spared = design.history, ~design.exposed
    if not spared.any():
        return found
    rate = design.y[:, before].sum(axis=1) / np.maximum(design.exposure[:, before].sum(axis=1), 1e-9)
    best = int(np.argmax(design.kernel_weight))
    for j in range(len(found)):
        inside, seen = design.inside(j), design.share[j] > 0
        expected = rate[:, None] * design.exposure
        level = (design.y[spared] @ inside).sum() / max((expected[spared] @ inside).sum(), 1e-9)
        found[j] = ((design.y[seen] - level * expected[seen]) @ inside).sum()
        found[j] /= max(float(design.window_mass[best, j]), 0.3)
    return np.clip(found, -0.5 * layouts.baseline(design), None)


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


class _Around(NamedTuple):
    """The components around one mode, one a kernel that is nearest to its anchor."""

    mode: int
    kernel: np.ndarray
    log_weight: np.ndarray
    mean: np.ndarray
    cov: np.ndarray


def _around(design: Design, mode: Mode, bank: Bank, position: int, kernels: np.ndarray, log_prior: float) -> _Around:
    """Return the normal posterior and the weight of each kernel around one mode."""
    layout = mode.layout
    prior = layout.prior_sd[layout.names["incremental"]] ** 2
    precision = bank.information + np.diag(1.0 / prior)
    cov = np.linalg.inv(precision)
    mean = np.einsum("mjk,mk->mj", cov, bank.score)
    gain = 0.5 * (bank.score * mean).sum(axis=1) - 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * np.log(prior).sum()
    base = mode.evidence + np.log(mode.world.weight) + log_prior - gain[mode.kernel]
    weight = base + gain + np.log(design.kernel_weight)
    cov = (cov + np.swapaxes(cov, 1, 2)) / 2
    return _Around(position, kernels, weight[kernels], mean[kernels], cov[kernels])


def quantile(weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, p: float) -> float:
    """Quantile of a mixture of normals: (C,) weights, means and sds."""
    low, high = float((mean - 12 * sd).min()), float((mean + 12 * sd).max())
    if not high > low:
        return low
    root = brentq(lambda x: float(weight @ ndtr((x - mean) / sd)) - p, low, high, xtol=1e-9 * (high - low))
    return float(root)  # type: ignore[arg-type]  full_output is off: brentq returns the root
