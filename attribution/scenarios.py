"""What a simulated event is made of: airings, breaks, a surge, noise and faults of the feed; and the named ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pandas as pd

from attribution.kernels import Kernel
from attribution.lags import require
from attribution.spots import SOUND, Faults, Pause, Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ASSIGNMENTS", "BRIEF_LAG", "LIFT_WINDOW_S", "SCENARIOS", "SURGES", "Faults", "Pause", "Scenario", "Spot"]

SURGES = ("none", "shared", "regional", "hidden")
LIFT_WINDOW_S = 60.0
"""A scenario's lift is an airing's whole incremental over the ordinary conversions of so many seconds."""
ASSIGNMENTS = ("", "randomised holdout", "randomised timing")


BRIEF_LAG = Kernel(family="gamma", mode=10.0)
"""The brief's peak, 10 s after the start, with a gamma around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that decides a world, but for the seed.

    The counterfactual of region r in second t is

    ``rate share_r daily_t wander_t wander_rt (1 + break_t) (1 + gain G(t - lead) exp(u_r))``

    and every airing adds its own conversions: ``lift`` x those of an ordinary minute, spread by the kernel.

    Attributes
    ----------
    title, advertiser
        The event and who advertises.
    start
        When it starts, with a zone.
    minutes
        How long it lasts.
    event_rate
        Events of every kind a second, on average: visits, conversions, heartbeats.
    conversion_rate
        Conversions a second, on average, without airings, breaks and surge.
    regions
        (name, share of the conversions); the shares add up to 1.
    holdouts
        Regions that see no airing unless it names them.
    assignment
        How holdouts or times were chosen, as the airings say it.
    airings, breaks
        The schedule. A break is declared in the context unless it says otherwise.
    clock_off_s
        Seconds by which the as-run log is late on the clock of the conversions; below 0 it is early.
    lift
        Incremental conversions of an airing over those of an ordinary minute in its regions; below 0 it does harm.
    break_step, break_step_sd
        Relative rise of traffic in a break whatever is aired, and the sd of its log from break to break.
    kernel
        Lag from the delivered start of an airing to the conversion.
    stream_delay_s, stream_delay_sd
        Mean and sd over viewers of the lag from transmission to screen, seconds.
    surge
        An organic surge: ``none``, ``shared`` by all regions, ``regional``: in the first exposed region alone, or
        ``hidden``: shared by all regions and unseen by the social feed.
    surge_after_s
        Seconds from the first airing to the onset of the surge; below 0 it comes first.
    surge_rise_s, surge_half_s
        Seconds from onset to peak, and from the peak to half of it.
    surge_size
        Relative rise G of the social feed at the peak.
    surge_gain
        Relative rise of conversions at a surge of 1.
    surge_region_sd
        Sd over regions of the log of the scale with which the surge is felt.
    lead_s
        Seconds by which the feed leads the conversions; below 0 it follows.
    social_rate
        Posts a second; 0: there is no feed.
    social_sd, social_tau_s
        Wandering of the feed: sd of the log rate and its correlation time.
    mediator
        Posts that each incremental conversion brings with it.
    daily
        Half the span of the log rate over a day; it peaks at 21:00 UTC.
    shared_sd, shared_tau_s
        Wandering of the log rate that all regions share: sd and correlation time, seconds.
    region_sd, region_tau_s
        The same for each region alone.
    burst_every_s, burst_size, burst_s
        Bursts that all regions share: mean seconds between them (0: none), the least relative rise (heavy-tailed
        above it: Pareto, index 2), and the time constant of their decay, seconds.
    dispersion
        Variance over mean of a second's count, given its rate.
    channels, devices
        (name, share of ordinary conversions, share of those an airing adds).
    audience, audience_growth
        Viewers when the first airing begins, and their rise over the 15 minutes before; 0: no audience feed.
    faults
        Of the feed.

    Raises
    ------
    ValueError
        Naming the field, its value and what to choose.

    Examples
    --------
    >>> Scenario(minutes=50, lift=0.2).exposed(Spot())
    ('us-east', 'us-west', 'apac')
    """

    title: str = "Halftime, live"
    advertiser: str = "WWE"
    start: str = "2026-02-08T20:06:00Z"
    minutes: float = 45.0
    event_rate: float = 14_200.0
    conversion_rate: float = 40.0
    regions: tuple[tuple[str, float], ...] = (("us-east", 0.42), ("us-west", 0.28), ("eu-west", 0.18), ("apac", 0.12))
    holdouts: tuple[str, ...] = ("eu-west",)
    assignment: str = ""
    airings: tuple[Spot, ...] = (Spot(),)
    breaks: tuple[Pause, ...] = ()
    clock_off_s: float = 0.0
    lift: float = 0.4
    break_step: float = 0.0
    break_step_sd: float = 0.2
    kernel: Kernel = BRIEF_LAG
    stream_delay_s: float = 0.0
    stream_delay_sd: float = 0.0
    surge: str = "none"
    surge_after_s: float = 10.0
    surge_rise_s: float = 60.0
    surge_half_s: float = 80.0
    surge_size: float = 2.0
    surge_gain: float = 0.15
    surge_region_sd: float = 0.1
    lead_s: float = 2.0
    social_rate: float = 30.0
    social_sd: float = 0.1
    social_tau_s: float = 45.0
    mediator: float = 0.0
    daily: float = 0.3
    shared_sd: float = 0.2
    shared_tau_s: float = 90.0
    region_sd: float = 0.03
    region_tau_s: float = 70.0
    burst_every_s: float = 0.0
    burst_size: float = 0.5
    burst_s: float = 8.0
    dispersion: float = 1.3
    channels: tuple[tuple[str, float, float], ...] = (
        ("mobile app", 0.46, 0.61),
        ("web", 0.38, 0.27),
        ("call centre", 0.16, 0.12),
    )
    devices: tuple[tuple[str, float, float], ...] = (
        ("mobile", 0.55, 0.68),
        ("desktop", 0.27, 0.12),
        ("tablet", 0.08, 0.08),
        ("tv", 0.10, 0.12),
    )
    audience: float = 18.4e6
    audience_growth: float = 0.122
    faults: Faults = SOUND

    def __post_init__(self) -> None:
        _check_rates(self)
        _check_labels(self)
        _check_schedule(self)
        _check_faults(self)

    @property
    def seconds(self) -> int:
        """Length of the event in whole seconds."""
        return round(self.minutes * 60)

    @property
    def begin(self) -> pd.Timestamp:
        """Start of the event, UTC."""
        return pd.Timestamp(self.start).tz_convert("UTC").as_unit("ns")

    def exposed(self, spot: Spot) -> tuple[str, ...]:
        """Regions that see an airing."""
        return spot.regions or tuple(name for name, _ in self.regions if name not in self.holdouts)

    def incremental(self, spot: Spot) -> float:
        """Return the conversions an airing is expected to add, all told."""
        share = sum(share for name, share in self.regions if name in self.exposed(spot))
        return self.lift * spot.scale * LIFT_WINDOW_S * self.conversion_rate * share


_POSITIVE = (
    *("minutes", "event_rate", "conversion_rate", "surge_rise_s", "surge_half_s", "social_tau_s"),
    *("shared_tau_s", "region_tau_s", "burst_s"),
)
_NOT_NEGATIVE = (
    *("break_step_sd", "stream_delay_s", "stream_delay_sd", "surge_size", "surge_gain", "surge_region_sd"),
    *("social_rate", "social_sd", "mediator", "daily", "shared_sd", "region_sd", "audience"),
    *("burst_every_s", "burst_size"),
)


def _check_rates(given: Scenario) -> None:
    """Numbers on their own."""
    for name in _POSITIVE:
        require(name, getattr(given, name), least=0, strict=True, remedy="choose a positive number")
    for name in _NOT_NEGATIVE:
        require(name, getattr(given, name), least=0, strict=False, remedy="choose 0 or a positive number")
    for name in ("lift", "surge_after_s", "lead_s", "clock_off_s"):
        require(name, getattr(given, name), least=-86_400, strict=False, remedy="choose a finite number")
    require("break_step", given.break_step, least=-1, strict=True, remedy="choose a relative rise above -1")
    require("audience_growth", given.audience_growth, least=-1, strict=True, remedy="choose a relative rise above -1")
    require("dispersion", given.dispersion, least=1, strict=False, remedy="choose 1 (Poisson) or more")
    if given.event_rate < 2 * given.conversion_rate:
        raise ValueError(
            f"event_rate is {given.event_rate} with conversion_rate {given.conversion_rate}; events of all kinds "
            "include the conversions: choose at least twice as many"
        )
    if given.stream_delay_sd > 0 and given.stream_delay_s == 0:
        raise ValueError("stream_delay_sd is positive with stream_delay_s 0; a delay that varies has a positive mean")
    if pd.Timestamp(given.start).tzinfo is None:
        raise ValueError(f"start is {given.start!r} without a zone; write it in UTC, e.g. 2026-02-08T20:06:00Z")


def _check_labels(given: Scenario) -> None:
    """Labels once each, and shares that add up to 1."""
    for name, columns in (("regions", (1,)), ("channels", (1, 2)), ("devices", (1, 2))):
        rows = getattr(given, name)
        labels = [row[0] for row in rows]
        if not rows or len(set(labels)) < len(labels):
            raise ValueError(f"{name} are {labels}; give at least one, each once")
        for column in columns:
            shares = [row[column] for row in rows]
            if min(shares) < 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
                raise ValueError(f"{name} have shares {shares}; choose shares of 0 or more that add up to 1")
    _choice("surge", given.surge, SURGES)
    _choice("assignment", given.assignment, ASSIGNMENTS)
    for region in given.holdouts:
        _choice("holdouts", region, [name for name, _ in given.regions])


def _check_schedule(given: Scenario) -> None:
    """Airings and breaks inside the event, names once each."""
    names = [name for name, _ in given.regions]
    pauses = [pause.break_id for pause in given.breaks]
    for kind, labels in (("airings", [spot.airing for spot in given.airings]), ("breaks", pauses)):
        if len(set(labels)) < len(labels):
            raise ValueError(f"{kind} are {labels}; give each its own name")
    for item in (*given.airings, *given.breaks):
        what = item.airing if isinstance(item, Spot) else item.break_id
        if not 0 <= item.at_s < given.seconds or not item.length_s >= 0:
            raise ValueError(
                f"{what} starts at {item.at_s} s and lasts {item.length_s} s; "
                f"choose a start inside the event of {given.seconds} s and a length of 0 or more"
            )
    for spot in given.airings:
        for region in spot.regions:
            _choice(f"regions of {spot.airing}", region, names)
        if spot.break_id:
            _choice(f"break_id of {spot.airing}", spot.break_id, pauses)
        if not given.exposed(spot):
            raise ValueError(f"{spot.airing} is seen nowhere: every region is a holdout; leave one out")
    if given.surge != "none" and not given.airings:
        raise ValueError(
            f"surge is {given.surge!r} without an airing to time it by; give an airing (lift=0 is allowed)"
        )


def _check_faults(given: Scenario) -> None:
    faults = given.faults
    for name in ("loss", "duplicates", "late"):
        if not 0 <= getattr(faults, name) < 1:
            raise ValueError(f"faults.{name} is {getattr(faults, name)}; choose a share of at least 0 and less than 1")
    require("faults.late_s", faults.late_s, least=0, strict=True, remedy="choose a positive number of seconds")
    if faults.outage:
        low, high = faults.outage
        if low != int(low) or high != int(high) or not 0 <= low < high <= given.seconds:
            raise ValueError(
                f"faults.outage is {faults.outage}; choose whole seconds from 0 to {given.seconds}, rising"
            )


def _choice(name: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        near = get_close_matches(value, valid, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(repr, valid))}{hint}")


def _pauses(*moments: float) -> tuple[Pause, ...]:
    return tuple(Pause(break_id=f"break-{i + 1}", at_s=at) for i, at in enumerate(moments))


_SPOT = Spot(break_id="halftime", network="broadcast", spend=16_000.0, value=64.0, margin=0.45)
_HALFTIME = Scenario(
    airings=(_SPOT,),
    breaks=(*_pauses(360, 900, 1440), Pause(break_id="halftime", at_s=2070, length_s=150)),
    break_step=0.1,
    surge="shared",
)

SCENARIOS: dict[str, Scenario] = {
    "halftime": _HALFTIME,
    "null": replace(_HALFTIME, title="Halftime, an ad without effect", lift=0.0),
    "surge_only": replace(
        _HALFTIME, title="An organic surge, no ad effect", lift=0.0, breaks=(), break_step=0.0, surge_gain=0.3,
        airings=(replace(_SPOT, break_id=""),),
    ),
    "break_only": replace(
        _HALFTIME, title="Breaks double the traffic, no ad effect", lift=0.0, break_step=1.0, surge="none",
        breaks=_pauses(300, 780, 1260, 1680, 2100),
        airings=(
            replace(_SPOT, airing="FOURTH_BREAK", at_s=1690.0, break_id="break-4"),
            replace(_SPOT, airing="FIFTH_BREAK", at_s=2110.0, break_id="break-5"),
        ),
    ),
    "regional_surge": replace(
        _HALFTIME, title="An organic surge in one region, no ad effect", lift=0.0, surge="regional", surge_gain=0.3,
        surge_region_sd=0.0,
    ),
    "overlap": replace(
        _HALFTIME, title="Two airings that run into each other",
        airings=(
            replace(_SPOT, airing="HALFTIME_FIRST"),
            replace(_SPOT, airing="HALFTIME_SECOND", at_s=2135.0, scale=0.6, creative="WWE_HALFTIME_2", spend=9_600.0),
        ),
    ),
}  # fmt: skip
"""``halftime`` has an ad effect in a break, under an organic surge; ``overlap`` has two of them, 35 s apart. All others
have none: ``null`` is halftime without effect, ``surge_only``, ``break_only`` and ``regional_surge`` are traps."""
