"""What an analysis was made from, and what a sampler needs of it: arrays and small tables, quickly sent elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model.coordinates import problem
from attribution.model.families import families

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from attribution.counts import Counts
    from attribution.model.fit import Fit
    from attribution.model.padded import Problem, Size
    from attribution.planning import Plan
    from attribution.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Given:
    """What an analysis was made from.

    Attributes
    ----------
    counts, feeds
        The data, as they were given; feeds by name (social, audience, context, exposures), None where absent.
    choices
        The settings with what the data decided (the clock).
    plan
        What was locked before the airing; None where nothing was.
    fitted
        Gives the fast fits when they are first asked for: at hand after an analysis, made anew after reading one back.
    """

    counts: Counts
    feeds: dict[str, pd.DataFrame | None]
    choices: Settings
    plan: Plan | None = None
    fitted: Callable[[], tuple[Fit, ...]] = field(repr=False)

    @cached_property
    def fits(self) -> tuple[Fit, ...]:
        """The fast fits, one a group of airings; none in a dense schedule, or where the brief's engine answered."""
        return self.fitted()


class Group(NamedTuple):
    """One group of airings for the sampler."""

    problems: tuple[Problem, ...]
    left_out: str
    begin: float
    """Seconds since 1970: where its data begin."""
    onset: np.ndarray
    window: np.ndarray
    reached: np.ndarray
    """(J, R) which of the counts' regions saw each airing."""
    dispersion: float
    fed: bool


class Job(NamedTuple):
    """What a sampler needs of an analysis."""

    counts: Counts
    airings: pd.DataFrame
    settings: Settings
    groups: tuple[Group, ...]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The padded shapes that must be compiled."""
        return tuple(dict.fromkeys(p.size for group in self.groups for p in group.problems))


def job(given: Given, airings: pd.DataFrame) -> Job:
    """Gather what a sampler needs.

    Raises
    ------
    ValueError
        When there is no fast fit that a sampler could begin at.
    """
    if not given.fits:
        raise ValueError(
            "this analysis has no fit that a posterior could be sampled around (a dense schedule, the brief's engine, "
            "or no data around any airing); analyse fewer airings, or choose baseline='latent'"
        )
    return Job(
        given.counts,
        airings,
        given.choices,
        tuple(_group(fit, given.counts, airings, given.choices) for fit in given.fits),
    )


def _group(fit: Fit, counts: Counts, airings: pd.DataFrame, settings: Settings) -> Group:
    design = fit.design
    runs, left_out = families(fit)
    named = [str(airings["regions"].iloc[a]) for a in design.airings]
    every = np.ones(len(counts.regions), dtype=bool)
    return Group(
        problems=tuple(problem(design, settings, own) for own in runs),
        left_out=left_out,
        begin=float(design.start[0]),
        onset=design.onset,
        window=design.window,
        reached=np.array([np.isin(counts.regions, name.split("|")) if name else every for name in named]),
        dispersion=fit.noise.dispersion,
        fed=design.fed,
    )
