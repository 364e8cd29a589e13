"""The worlds an answer is tried in: one trap each, their versions without effect, and the blind family.

They share nothing with the model but the definition of a kernel: a model that is right here was not told the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from attribution.counts import Counts
from attribution.kernels import PRESETS, Kernel
from attribution.scenarios import SCENARIOS, Faults, Pause, Scenario, Spot
from attribution.worlds import World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

_SPOT = Spot(airing="SPOT", spend=8_000.0, value=64.0, margin=0.45)
ONE_SPOT = Scenario(
    title="One spot under an organic surge", airings=(_SPOT,), lift=0.2, surge="shared", surge_after_s=10.0,
    surge_rise_s=20.0, surge_half_s=80.0, surge_size=1.5, surge_gain=0.25, shared_sd=0.04,
)  # fmt: skip
"""45 minutes, 40 conversions a second, 4 regions of which one is a holdout; a surge of +38% begins 10 s into the spot,
which adds some 400 conversions (20% of an ordinary minute) with a mode of 10 s."""
CLEAN = replace(ONE_SPOT, title="One spot and nothing else", surge="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One world of the calibration.

    Attributes
    ----------
    scenario
        What every seed has in common.
    vary
        What a seed draws beside the noise: (scenario, generator) -> scenario.
    step_s
        Length of the bins that the analyst gets, seconds.
    separable
        Whether the ad can be told from the rest: True where a control shares what happens, or nothing happens; False
        where nobody could know; None between the two.
    """

    scenario: Scenario
    vary: Callable[[Scenario, np.random.Generator], Scenario] | None = None
    step_s: float = 1.0
    separable: bool | None = True

    @property
    def control(self) -> bool:
        """Whether a region is spared by every airing."""
        seen = {name for spot in self.scenario.airings for name in self.scenario.exposed(spot)}
        return len(seen) < len(self.scenario.regions)

    def without_effect(self) -> Trial:
        """Return the same trial where the airings add nothing."""
        return replace(self, scenario=replace(self.scenario, lift=0.0))

    def drawn(self, seed: int) -> Scenario:
        """Return the scenario of a seed."""
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1000,)))
        return self.vary(self.scenario, rng) if self.vary else self.scenario


def trial(name: str, seed: int) -> World:
    """Make the world of a trial and a seed.

    Parameters
    ----------
    name
        One of :data:`EVERY`.
    seed
        Decides what the trial draws, and all noise.

    Raises
    ------
    ValueError
        When there is no such trial.

    Examples
    --------
    >>> world = trial("shared_surge", 3)
    >>> round(world.truth.incremental("SPOT"))
    394
    """
    if name not in EVERY:
        near = get_close_matches(name, EVERY, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"trial is {name!r}; {hint}choose one of {', '.join(EVERY)}")
    world = simulate(EVERY[name].drawn(seed), rng=seed)
    return world if EVERY[name].step_s == 1 else coarser(world, EVERY[name].step_s)


def coarser(world: World, step_s: float) -> World:
    """Return a world whose counts and posts come in longer bins; the truth keeps its seconds.

    A bin with an unknown second is unknown. What does not fill a last bin is left out.

    Raises
    ------
    ValueError
        When the step is no whole number of seconds.
    """
    size = round(step_s)
    if size != step_s or size < 1:
        raise ValueError(f"step_s is {step_s}; choose a whole number of seconds, 1 or more")
    counts, n = world.counts, len(world.counts.start) // size
    kept, first, shape = slice(0, n * size), slice(0, n * size, size), (n, size, *counts.values.shape[1:])
    sent = world.traffic.sent[kept].reshape(n, size, -1)
    arrived = (sent * counts.completeness[kept].reshape(sent.shape)).sum(axis=1)
    binned = Counts(
        start=counts.start[first],
        width=np.full(n, float(size)),
        values=counts.values[: n * size].reshape(shape).sum(axis=1),
        regions=counts.regions,
        channels=counts.channels,
        devices=counts.devices,
        completeness=arrived / sent.sum(axis=1),
        kind=counts.kind,
    )
    social = world.social.iloc[first].copy()
    if len(social):
        social["count"] = world.social["count"].to_numpy()[: n * size].reshape(n, size).sum(axis=1)
        social["width_s"] = float(size)
    return replace(world, counts=binned, social=social.reset_index(drop=True))


def nuisances(scenario: Scenario) -> dict[str, float]:
    """Return what the blind family draws, by name: numbers, of a kernel the family too."""
    return {
        **{name: float(getattr(scenario, name)) for name in _DRAWN},
        "regions": float(len(scenario.regions)),
        "holdouts": float(len(scenario.holdouts)),
        "kernel": float(KERNELS.index(scenario.kernel.family)) if scenario.kernel.family in KERNELS else float("nan"),
        "mode": scenario.kernel.mode,
        "tail": scenario.kernel.tail,
    }


KERNELS = ("gamma", "lognormal", "weibull", "biexponential")
_DRAWN = (
    *("shared_sd", "shared_tau_s", "region_sd", "region_tau_s", "dispersion", "conversion_rate"),
    *("surge_after_s", "surge_rise_s", "surge_half_s", "surge_size", "surge_gain", "surge_region_sd", "lead_s", "lift"),
)


def blind(seed: int) -> Scenario:
    """Return one event of the blind family: every nuisance is drawn, and four in ten ads have no effect.

    Scales are log-uniform, the rest uniform: sd and time constant of shared (.01-.10) and regional (.005-.06)
    wandering (20-180 s); variance over mean 1.1-3; 10-200 conversions a second; 3-8 regions with 1-3 holdouts; onset
    (-60..+40 s), rise (5-60 s), time constant of the decay (20-120 s), size (0-1.5) and regional log-sd (0-.35) of the
    surge; lead (-1..5 s) and gain (.05-.4) of the feed; family, mode (6-45 s) and tail (0-.25, 60 s) of the kernel.

    Examples
    --------
    >>> blind(1) == blind(1), blind(1) == blind(2)
    (True, False)
    """
    return _blind(ONE_SPOT, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1000,))))


def _blind(base: Scenario, rng: np.random.Generator) -> Scenario:
    def scale(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    number = int(rng.integers(3, 9))
    share = 0.03 + (1 - 0.03 * number) * rng.dirichlet(np.full(number, 4.0))
    spared = rng.permutation(number)[: min(int(rng.integers(1, 4)), number - 1)]
    return replace(
        base,
        title="Every nuisance drawn",
        regions=tuple((f"region-{i + 1}", float(part)) for i, part in enumerate(share / share.sum())),
        holdouts=tuple(f"region-{i + 1}" for i in sorted(spared)),
        conversion_rate=scale(10, 200),
        shared_sd=scale(0.01, 0.10),
        shared_tau_s=scale(20, 180),
        region_sd=scale(0.005, 0.06),
        region_tau_s=scale(20, 180),
        dispersion=float(rng.uniform(1.1, 3.0)),
        surge_after_s=float(rng.uniform(-60, 40)),
        surge_rise_s=scale(5, 60),
        surge_half_s=scale(20, 120) * float(np.log(2)),
        surge_size=float(rng.uniform(0, 1.5)),
        surge_region_sd=float(rng.uniform(0, 0.35)),
        lead_s=float(rng.uniform(-1, 5)),
        surge_gain=float(rng.uniform(0.05, 0.4)),
        kernel=Kernel(
            family=KERNELS[int(rng.integers(len(KERNELS)))], mode=scale(6, 45), tail=float(rng.uniform(0, 0.25))
        ),
        lift=0.0 if rng.random() < 0.4 else float(rng.uniform(0.1, 0.6)),
    )


def _break(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    """Everybody's traffic steps up by 15-45% at most 10 s before the spot, in a break that nobody declared."""
    pause = Pause(break_id="", at_s=_SPOT.at_s - float(rng.uniform(0, 10)), declared=False)
    return replace(scenario, breaks=(pause,), break_step=float(rng.uniform(0.15, 0.45)), break_step_sd=0.0)


def _independent(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    return replace(scenario, region_sd=float(rng.uniform(0.05, 0.12)), region_tau_s=20.0)


def _dark(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    """Nothing arrives for 40 s, somewhere from two minutes before the spot to half a minute after its start."""
    begin = int(_SPOT.at_s) + int(rng.integers(-120, 30))
    return replace(scenario, faults=Faults(outage=(begin, begin + 40)))


def _wrong_clock(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    return replace(scenario, clock_off_s=5.0 if rng.random() < 0.5 else -5.0)


def _two(apart_s: float) -> Scenario:
    second = replace(_SPOT, airing="SECOND", at_s=_SPOT.at_s + apart_s, scale=0.6)
    return replace(ONE_SPOT, title=f"Two spots {apart_s:.0f} s apart", airings=(_SPOT, second))


_EARLIER = tuple(Pause(break_id=f"break-{i + 1}", at_s=at) for i, at in enumerate((300.0, 780.0, 1260.0, 1680.0)))
_LATE = replace(ONE_SPOT, title="A late response", kernel=PRESETS["published"])
_LONG = replace(
    ONE_SPOT,
    title="Minutes, not seconds",
    minutes=310.0,
    airings=(replace(_SPOT, at_s=18_017.0),),
    start="2026-02-08T16:00:00Z",
)
_ALONE = replace(ONE_SPOT, title="One region", regions=(("all", 1.0),), holdouts=())


def _trials() -> dict[str, Trial]:
    """Name the trials; each gets a version without effect beside it, but for those that have it by another name."""

    def spot(**changes: object) -> Trial:
        return Trial(scenario=replace(ONE_SPOT, **changes))  # pyright: ignore[reportArgumentType]

    found = {
        "shared_surge": spot(),
        "surge_late": spot(surge_after_s=40.0),
        "surge_early": spot(surge_after_s=-5.0),
        "surge_before": spot(surge_after_s=-60.0),
        "surge_one_region": replace(spot(surge="regional", surge_region_sd=0.0), separable=False),
        "surge_scales": spot(surge_region_sd=0.35),
        "surge_hidden": spot(surge="hidden"),
        "clean": Trial(scenario=CLEAN),
        "break_common": Trial(scenario=CLEAN, vary=_break),
        "break_declared": spot(
            surge="none", break_step=0.3, airings=(replace(_SPOT, break_id="ours"),),
            breaks=(*_EARLIER, Pause(break_id="ours", at_s=_SPOT.at_s - 5)),
        ),
        "diurnal": spot(daily=1.5, start="2026-02-08T14:00:00Z"),
        "noise_shared": spot(surge="none", shared_sd=0.12, shared_tau_s=20.0),
        "noise_independent": Trial(scenario=CLEAN, vary=_independent, separable=None),
        "bursts": spot(surge="none", burst_every_s=120.0),
        "mediator": spot(mediator=3.0),
        "rate_5": spot(conversion_rate=5.0),
        "rate_10": spot(conversion_rate=10.0),
        "rate_400": spot(conversion_rate=400.0),
        "minutes": Trial(scenario=_LONG, step_s=60.0),
        "two_15": Trial(scenario=_two(15.0)),
        "two_45": Trial(scenario=_two(45.0)),
        "lognormal_as_gamma": spot(kernel=Kernel(family="lognormal", mode=10.0)),
        "gamma_as_lognormal": spot(),
        "late_response": Trial(scenario=_LATE),
        "no_holdout": replace(spot(holdouts=()), separable=None),
        "no_social": spot(social_rate=0.0),
        "one_region": Trial(scenario=_ALONE, separable=None),
        "one_region_bare": Trial(scenario=replace(_ALONE, social_rate=0.0), separable=False),
        "loss": spot(faults=Faults(loss=0.02)),
        "outage": Trial(scenario=ONE_SPOT, vary=_dark, separable=None),
        "clock": Trial(scenario=ONE_SPOT, vary=_wrong_clock),
    }  # fmt: skip
    alone = {"mediator"}  # without effect it is the shared surge
    null = {f"{name}_null": trial.without_effect() for name, trial in found.items() if name not in alone}
    lifts = {
        f"{name}_{lift * 100:.0f}": Trial(scenario=replace(base, lift=lift))
        for name, base in (("shared_surge", ONE_SPOT), ("clean", CLEAN))
        for lift in (0.1, 0.4, 0.6)
    }
    named = {name: Trial(scenario=scenario) for name, scenario in SCENARIOS.items()}
    named["regional_surge"] = replace(named["regional_surge"], separable=False)
    return {"blind": Trial(scenario=ONE_SPOT, vary=_blind), **found, **lifts, **null, **named}


TRIALS: dict[str, Trial] = _trials()
"""By name. ``..._null`` are the same traps where the ad has no effect; the last are the named scenarios."""


def _evening() -> Scenario:
    """Twelve airings of three creatives on two networks in nine breaks; some side by side, one at the very end."""
    breaks = tuple(Pause(break_id=f"break-{i + 1}", at_s=1200.0 + 840.0 * i, length_s=150.0) for i in range(9))
    worth = {"ARENA": 1.3, "BACKSTAGE": 0.8, "CREDITS": 0.2}
    order = [
        "ARENA",
        "BACKSTAGE",
        "CREDITS",
        "ARENA",
        "BACKSTAGE",
        "ARENA",
        "CREDITS",
        "BACKSTAGE",
        "ARENA",
        "CREDITS",
        "BACKSTAGE",
        "ARENA",
    ]
    # (break, seconds into it): two breaks hold a pair, whose responses run into each other.
    at = ("0 0", "1 0", "2 60", "3 0", "3 30", "4 110", "5 0", "6 60", "7 0", "7 45", "8 0")
    places = [tuple(map(int, place.split())) for place in at]
    spots = [
        replace(
            _SPOT, airing=f"SPOT_{i + 1:02d}", at_s=breaks[b].at_s + offset, break_id=breaks[b].break_id,
            creative=creative, network="broadcast" if i % 3 else "cable", scale=worth[creative],
            spend=6_000.0 + 1_000.0 * (i % 4),
        )
        for i, ((b, offset), creative) in enumerate(zip(places, order, strict=False))
    ]  # fmt: skip
    late = replace(_SPOT, airing="SPOT_12", at_s=8385.0, creative="ARENA", network="cable", spend=9_000.0)
    return replace(
        ONE_SPOT, title="An evening of twelve airings", airings=(*spots, late), breaks=breaks, break_step=0.08,
        minutes=140.0, lift=0.35, surge="none", start="2026-02-08T18:00:00Z",
    )  # fmt: skip


EVENINGS: dict[str, Trial] = {"evening": Trial(scenario=_evening(), step_s=5.0)}
"""Schedules of many airings, whose creatives differ; to look at, not counted in any error rate."""
EVERY: dict[str, Trial] = {**TRIALS, **EVENINGS}
"""Every world that :func:`trial` makes."""
