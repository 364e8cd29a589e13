"""What an address asks of the tune page: data, airing, settings, saved settings. What it cannot mean is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from attribution.settings import Settings
from attribution.trials import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WORLD, LIVE, FILES = "world", "live", "files"
OWN = ("data", "world", "seed", "until", "airing", "saved")
"""Parameters beside the settings."""
NAMES = frozenset(f.name for f in fields(Settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneView:
    """What is tuned, and how.

    Attributes
    ----------
    data
        ``world`` (simulated), ``live``, ``files`` (what the data page holds), or the name of a sample.
    world, seed
        Of a simulated world: a key of :data:`attribution.trials.EVERY`.
    until
        Seconds after the first airing at which a replay stands; None for everything.
    airing
        Name of the airing; empty for the leading one.
    settings
        The choices.
    saved
        Settings that were saved, by name.
    complaints
        Parameter -> why it was not taken.
    """

    data: str = WORLD
    world: str = "halftime"
    seed: int = 7
    until: int | None = None
    airing: str = ""
    settings: Settings = field(default_factory=Settings)
    saved: tuple[tuple[str, Settings], ...] = ()
    complaints: tuple[tuple[str, str], ...] = ()

    def query(self) -> dict[str, str | list[str]]:
        """Return the view as query parameters; what is at its default is left out."""
        plain = TuneView()
        given: dict[str, str | list[str]] = {}
        for name in ("data", "world", "seed", "until", "airing"):
            if getattr(self, name) != getattr(plain, name):
                given[name] = str(getattr(self, name))
        given |= dict(parse_qsl(self.settings.to_url(), keep_blank_values=True))
        if self.saved:
            given["saved"] = [f"{name}|{settings.to_url()}" for name, settings in self.saved]
        return given

    def link(self, settings: Settings) -> str:
        """Return an address of the same data under other settings, relative to the page."""
        return "?" + urlencode(replace(self, settings=settings).query(), doseq=True)


def tune_view(query: Mapping[str, Iterable[str]], samples: Iterable[str] = ()) -> TuneView:
    """Read an address; whatever it cannot mean takes its default, and a sentence says so.

    Parameters
    ----------
    query
        Every value of every parameter.
    samples
        Names of the samples there are.

    Examples
    --------
    >>> asked = tune_view({"seed": ["8"], "alpha": ["5"], "colour": ["red"]})
    >>> asked.seed, asked.settings.alpha, sorted(name for name, _ in asked.complaints)
    (8, 0.05, ['alpha', 'colour'])
    """
    given = {name: list(values) for name, values in query.items()}
    last = {name: values[-1] for name, values in given.items() if values}
    told: dict[str, str] = {}
    own = {
        "data": _one_of("data", last, (WORLD, LIVE, FILES, *samples), WORLD, told),
        "world": _one_of("world", last, tuple(EVERY), "halftime", told),
        "seed": _whole("seed", last, 7, 2**32 - 1, told),
        "until": _whole("until", last, None, 10**7, told),
    }
    settings, wrong = lenient({name: value for name, value in last.items() if name not in OWN})
    saved = []
    for text in given.get("saved", []):
        name, _, rest = text.partition("|")
        try:
            saved.append((name.strip() or "unnamed", Settings.from_url(rest)))
        except ValueError as error:
            told["saved"] = f"the saved settings {name!r} were left out: {error}"
    return TuneView(
        **own,  # pyright: ignore[reportArgumentType]  each value has its field's type
        airing=last.get("airing", ""),
        settings=settings,
        saved=tuple(saved),
        complaints=tuple({**wrong, **told}.items()),
    )


def lenient(pairs: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Read settings from an address one by one: a parameter that cannot be is left at its default, and told.

    Examples
    --------
    >>> lenient({"lift_sd": "-1", "window": "60s"})[0].window
    '60s'
    """
    left, told = dict(pairs), {}
    while True:
        try:
            return Settings.from_url(left), told
        except ValueError as error:
            name = next((n for n in left if n == blamed(str(error))), next(iter(left)))
            told[name] = f"{error}. The default is kept."
            del left[name]


def blamed(message: str) -> str:
    """Name the setting that an error is about: it begins with it, or quotes it when it is unknown.

    Examples
    --------
    >>> blamed("alpha is 5; choose a number between 0 and 1"), blamed("unknown setting 'colour'; valid are kernel")
    ('alpha', 'colour')
    """
    quoted = re.match(r"unknown setting '([^']*)'", message)
    return quoted[1] if quoted else message.split(" ", 1)[0]


def _one_of(name: str, last: Mapping[str, str], valid: tuple[str, ...], default: str, told: dict[str, str]) -> str:
    value = last.get(name, default)
    if value in valid:
        return value
    near = get_close_matches(value, valid, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(valid[:12])}"
    told[name] = f"{name} is {value!r}; {hint} The default, {default!r}, is kept."
    return default


def _whole(name: str, last: Mapping[str, str], default: int | None, most: int, told: dict[str, str]) -> int | None:
    value = last.get(name)
    if value is None:
        return default
    if value.isdecimal() and int(value) <= most:
        return int(value)
    told[name] = f"{name} is {value!r}; write a whole number from 0 to {most}. The default is kept."
    return default
