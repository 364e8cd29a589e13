"""The schedule of a simulated event: its airings, its breaks, and the faults of its feed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One airing of the schedule.

    Attributes
    ----------
    airing
        Its name.
    at_s, length_s
        Seconds: from the start of the event to the airing, and how long it lasts.
    regions
        Where it is seen; empty: everywhere but in the holdouts.
    scale
        Its effect as a multiple of the scenario's lift.
    break_id, creative, network
        What an as-run log says of it.
    spend, value, margin
        Its cost; money one conversion brings; the share of that which is kept. NaN: unknown.
    impressions
        NaN: viewers of its regions when it begins.
    """

    airing: str = "HALFTIME_PRIME"
    at_s: float = 2100.0
    length_s: float = 30.0
    regions: tuple[str, ...] = ()
    scale: float = 1.0
    break_id: str = ""
    creative: str = "WWE_HALFTIME_PRIME"
    network: str = ""
    spend: float = math.nan
    value: float = math.nan
    margin: float = math.nan
    impressions: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A commercial break.

    Attributes
    ----------
    break_id
        Its name.
    at_s, length_s
        Seconds: from the start of the event to the break, and how long it lasts.
    declared
        Whether the analyst is told of it; a break that is not declared is in no table.
    """

    break_id: str
    at_s: float
    length_s: float = 120.0
    declared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong between the source of an event and the count.

    Attributes
    ----------
    loss
        Share of events that never arrive.
    outage
        (start, end) in whole seconds from the start of the event: nothing arrives; () for none.
    duplicates
        Share of events that arrive twice.
    late, late_s
        Share of events that arrive late, by up to so many seconds (uniform).
    """

    loss: float = 0.0
    outage: tuple[int, int] | tuple[()] = ()
    duplicates: float = 0.0
    late: float = 0.0
    late_s: float = 60.0


SOUND = Faults()
"""Nothing goes wrong."""
