"""The few runs of a sampler that stand for all worlds of the fast fit, with their weights.

Worlds that differ only in how unequally regions feel a surge are one run: its prior of the scales is their mixture,
summed exactly. What remains apart (the learnt noise, the lead of the feed, whether the ad makes people post, a hidden
shock, a lasting step) are runs of their own, weighted by the evidence of the fast fit (methods, section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attribution.model.fit import Component, Fit
    from attribution.model.layout import World
    from attribution.model.linear import Mode

ENOUGH = 0.97
"""Runs are added, the heaviest first, until they hold this share of the weight."""

MOST = 4
"""But not more of them than this: each has a warm-up of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One run: worlds under one set of learnt scales and one lead of the feed.

    Attributes
    ----------
    weight
        Share of the posterior, among the runs that are sampled; they sum to 1.
    mode
        The mode of its likeliest component: where the run is centred.
    worlds
        Its worlds, each with its prior weight.
    components, parts
        Its components of the fast fit, and their shares of the run, which sum to 1.
    """

    weight: float
    mode: Mode
    worlds: tuple[World, ...]
    components: tuple[Component, ...]
    parts: np.ndarray

    @property
    def name(self) -> str:
        """What the run assumes, in words."""
        return " or ".join(world.name for world in self.worlds)


def families(fit: Fit) -> tuple[tuple[Family, ...], str]:
    """Choose the runs of a fit; returned with what was left out, in words (empty when nothing was).

    Parameters
    ----------
    fit
        The fast fit of one group of airings.
    """
    grouped: dict[tuple, list[int]] = {}
    for position, component in enumerate(fit.components):
        grouped.setdefault(_kind(fit.modes[component.mode]), []).append(position)
    total = {kind: float(fit.weight[own].sum()) for kind, own in grouped.items()}
    order = sorted(total, key=lambda kind: -total[kind])
    chosen, held = [], 0.0
    for kind in order:
        if held >= ENOUGH or len(chosen) == MOST:
            break
        chosen.append(kind)
        held += total[kind]
    found = tuple(_family(fit, grouped[kind], total[kind] / held) for kind in chosen)
    return found, _left_out(fit, grouped, total, order[len(chosen) :])


def _kind(mode: Mode) -> tuple:
    """Return what sets a run apart."""
    world = mode.world
    return (mode.noise, mode.layout.lead, world.mediator, world.shock, world.step, world.noise, world.struck)


def _family(fit: Fit, own: list[int], weight: float) -> Family:
    components = tuple(fit.components[i] for i in own)
    parts = fit.weight[own] / fit.weight[own].sum()
    worlds = {fit.modes[c.mode].world.name: fit.modes[c.mode].world for c in components}
    best = components[int(np.argmax(parts))]
    return Family(
        weight=weight, mode=fit.modes[best.mode], worlds=tuple(worlds.values()), components=components, parts=parts
    )


def _left_out(fit: Fit, grouped: dict[tuple, list[int]], total: dict[tuple, float], rest: list[tuple]) -> str:
    """Say which worlds are in no run and what they weigh together."""
    missing = sum(total[kind] for kind in rest)
    if missing < 0.0005:
        return ""
    names = dict.fromkeys(fit.modes[fit.components[i].mode].world.name for kind in rest for i in grouped[kind])
    return f"{missing:.1%} of the weight is in worlds that were not sampled: {', '.join(names)}."
