"""The view that an address names: which event, which seed, which settings; a link shares it exactly."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import pandas as pd

import attribution as at
from attribution.described import Described, described
from attribution.stream.feeds import SimulatedFeed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attribution.planning import Plan

DEFAULT, DESCRIBED = "halftime", "described"
"""Names of the usual event, and of the one that a file describes."""
VARIABLE = "ATTRIBUTION_EVENT"
"""Names the file of the described event, in the environment of the app."""
LEAD_S = 75.0
"""A viewer enters a simulated event so long before the first airing; what lies before is history."""


class Source(NamedTuple):
    """What a watch needs of an event."""

    event: Any
    """Has ``title`` and ``advertiser``."""
    feed: Any
    truth: at.Truth | None
    """Known of a simulated event alone."""
    plan: Plan | None
    close: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an address asks for.

    Attributes
    ----------
    event
        Name of a scenario: it says who advertises, what is on the air and what happens; or ``described``.
    seed
        Of the simulated world.
    settings
        Of the analysis.
    """

    event: str = DEFAULT
    seed: int = 7
    settings: at.Settings

    def open(self) -> Source:
        """Open the event's feed.

        Raises
        ------
        ValueError
            When the described event cannot be opened.
        """
        told = at_hand()
        if self.event == DESCRIBED and told is not None:
            opened = told.open()
            return Source(told, opened.feed, None, told.plan, opened.close)
        world = at.simulate(at.SCENARIOS[self.event], rng=self.seed)
        entered = world.airings["start"].min() - pd.Timedelta(seconds=LEAD_S)
        return Source(world.scenario, SimulatedFeed(world, start=entered), world.truth, None, lambda: None)

    def query(self) -> dict[str, str]:
        """Return the view as query parameters, defaults left out where the settings leave them out."""
        changed = dict(parse_qsl(self.settings.to_url(), keep_blank_values=True))
        return {"event": self.event, "seed": str(self.seed), **changed}


def at_hand() -> Described | None:
    """Return the event that the environment names a file of; None where it names none.

    Raises
    ------
    ValueError
        When the file is not what it should be.
    """
    path = os.environ.get(VARIABLE, "")
    return _read(path) if path else None


@lru_cache(maxsize=1)
def _read(path: str) -> Described:
    return described(path)


def view(query: Mapping[str, str]) -> View:
    """Read query parameters; what they do not name takes the default.

    Raises
    ------
    ValueError
        When they name an unknown event, a seed that is no whole number, or a setting that cannot be.

    Examples
    --------
    >>> view({"seed": "8", "alpha": "0.01"}).settings.alpha
    0.01
    """
    given, told = dict(query), at_hand()
    known = ([DESCRIBED] if told is not None else []) + list(at.SCENARIOS)
    event = given.pop("event", DEFAULT if told is None else DESCRIBED)
    seed = given.pop("seed", "7")
    if event not in known:
        raise ValueError(f"event is {event!r}; choose one of {', '.join(known)}")
    if not seed.isdecimal() or int(seed) >= 2**32:
        raise ValueError(f"seed is {seed!r}; write a whole number from 0 to {2**32 - 1}")
    if event == DESCRIBED and told is not None:
        given = dict(parse_qsl(told.settings.to_url(), keep_blank_values=True)) | given
    return View(event=event, seed=int(seed), settings=at.Settings.from_url(given))
