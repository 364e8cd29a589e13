"""The view that an address names: which event, which seed, which settings; a link shares it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import attribution as at

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "halftime"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an address asks for.

    Attributes
    ----------
    event
        Name of a scenario: it says who advertises, what is on the air and what happens.
    seed
        Of the simulated world.
    settings
        Of the analysis.
    """

    event: str = DEFAULT
    seed: int = 7
    settings: at.Settings

    @property
    def scenario(self) -> at.Scenario:
        """The event's configuration."""
        return at.SCENARIOS[self.event]

    def query(self) -> dict[str, str]:
        """Return the view as query parameters, defaults left out where the settings leave them out."""
        changed = dict(parse_qsl(self.settings.to_url(), keep_blank_values=True))
        return {"event": self.event, "seed": str(self.seed), **changed}


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
    given = dict(query)
    event = given.pop("event", DEFAULT)
    seed = given.pop("seed", "7")
    if event not in at.SCENARIOS:
        raise ValueError(f"event is {event!r}; choose one of {', '.join(at.SCENARIOS)}")
    if not seed.isdecimal() or int(seed) >= 2**32:
        raise ValueError(f"seed is {seed!r}; write a whole number from 0 to {2**32 - 1}")
    return View(event=event, seed=int(seed), settings=at.Settings.from_url(given))
