"""The worlds without the ad that an e-value has to hold under (methods, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribution.model import fit as fast
from attribution.model.layout import World

if TYPE_CHECKING:
    from attribution.model.design import Design

NULLS = (
    World("shared surge", 0.22, 0.06),
    World("surge felt differently", 0.26, 0.15),
    World("surge felt very differently", 0.11, 0.40),
    World("a shock common to all regions", 0.12, 0.15, shock=0.35, shock_from=0.0, kind="shock"),
    World("a shock felt differently by regions", 0.12, 0.40, shock=0.35, shock_from=0.0, kind="shock"),
    World("regional noise", 0.04, noise=0.05, kind="noise"),
    World("strong regional noise", 0.04, noise=0.12, kind="noise"),
    World("a common shock and regional noise", 0.02, shock=0.35, shock_from=0.0, noise=0.12, kind="shock"),
    World("shocks of each region's own", 0.025, noise=0.35, noise_tau=30.0, kind="noise"),
)
"""Null worlds of an airing with controls; one-region worlds, ``ONE_REGION`` together, come on top."""

ONE_REGION = World("a shock in one region", 0.045, noise=0.5, noise_tau=30.0, kind="one region")
MOST_REGIONS = 12
"""At most so many regions, the largest, get a one-region world."""


def nulls(design: Design, airing: int) -> tuple[World, ...]:
    """Return the null worlds that the data can speak about."""
    seen = design.share[airing] > 0
    if seen.all():
        return fast.worlds(design)
    level = design.y[:, design.history].sum(axis=1)
    largest = np.sort(np.argsort(-level, kind="stable")[:MOST_REGIONS])
    one = [
        ONE_REGION._replace(
            name=f"{ONE_REGION.name}, {design.regions[r]}", struck=int(r), weight=ONE_REGION.weight / len(largest)
        )
        for r in largest
    ]
    worlds = [*NULLS, *one]
    if not design.fed:  # how differently a surge is felt cannot matter where none is seen
        plain = [w for w in worlds if not w.kind]
        worlds = [plain[1]._replace(name="nothing else", weight=sum(w.weight for w in plain)), *worlds[len(plain) :]]
    return tuple(worlds)
