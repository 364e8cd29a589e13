"""An event described in a TOML file: what is on the air, whose ad, which feeds, what it costs; checked line by line."""

from __future__ import annotations

import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution.airings import normalise
from attribution.planning import Plan
from attribution.settings import Settings
from attribution.stream.addresses import Given, open_feed
from attribution.tables import near

if TYPE_CHECKING:
    from attribution.stream.addresses import Opened

FILES = ("airings", "context", "social", "audience")
SECTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "event": {"title": str, "advertiser": str, "kind": str, "tz": str},
    "feed": {
        "address": str, "speed": (int, float), "start": str, "token_file": str, "keep": str, "airings": str,
        "context": str, "social": str, "audience": str,
    },
    "money": {"value": (int, float), "margin": (int, float)},
    "plan": {"file": str},
    "settings": {},
    "airings": {
        "airing": str, "start": str, "length_s": (int, float), "regions": list, "creative": str, "break_id": str,
        "network": str, "spend": (int, float), "value": (int, float), "margin": (int, float), "assignment": str,
    },
}  # fmt: skip
"""Every section, and every key in it with its type; ``settings`` holds those of :class:`attribution.Settings`."""
NEEDED = (("event", "title"), ("event", "advertiser"), ("feed", "address"))
LOCAL = ("replay", "tail")
"""Addresses of feeds that name a path; it is read from the folder of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An event as its file describes it.

    Attributes
    ----------
    title, advertiser
        What is on the air, and whose ad it is.
    address, given
        The feed, as ``attribution live --feed`` takes it, and what stands beside it.
    settings
        Of the analysis.
    plan
        What was locked before; None where nothing is named.
    """

    title: str
    advertiser: str
    address: str
    given: Given
    settings: Settings
    plan: Plan | None

    def open(self) -> Opened:
        """Open the feed."""
        return open_feed(self.address, self.given)


class _File:
    """A TOML file: what it says, and on which line it says it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
        self._lines = text.splitlines()
        try:
            self.said: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f'{path}: {error}; write TOML, e.g. title = "Halftime"') from error

    def wrong(self, what: str, section: str, key: str = "", number: int = 0) -> ValueError:
        """Return an error that names the line of a key, or of its section."""
        return ValueError(f"{self.path.name}, line {self._line(section, key, number)}: {what}")

    def _line(self, section: str, key: str, number: int) -> int:
        head = re.compile(r"\s*\[\[?\s*([\w-]+)")
        own = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        found, seen, inside = 1, -1, False
        for line, text in enumerate(self._lines, 1):
            if header := head.match(text):
                seen += header[1] == section
                inside = header[1] == section and seen == number
                found = line if inside else found
            elif inside and key and own.match(text):
                return line
        return found


def described(path: str | Path) -> Described:
    """Read and check the description of an event; paths in it are seen from its own folder.

    Parameters
    ----------
    path
        A TOML file with the sections of :data:`SECTIONS`; ``data/event.toml`` is an example.

    Raises
    ------
    ValueError
        Naming file, line, key, value and remedy, when something is not what it should be.
    """
    file = _File(Path(path))
    said = file.said
    _known(file, said)
    for section, key in NEEDED:
        if key not in said.get(section, {}):
            raise file.wrong(f'[{section}] says no {key}; write {key} = "..."', section)
    for number, row in enumerate(said.get("airings", [])):
        for key in ("airing", "start"):
            if key not in row:
                raise file.wrong(f'an airing says no {key}; write {key} = "..."', "airings", number=number)
    event, feed = said["event"], said["feed"]
    if "airings" in said and "airings" in feed:
        raise file.wrong("airings are named here and listed below; keep one of the two", "feed", "airings")
    return Described(
        title=event["title"],
        advertiser=event["advertiser"],
        address=_address(file, feed["address"]),
        given=_given(file, said),
        settings=_settings(file, said),
        plan=_plan(file, said),
    )


def _known(file: _File, said: dict[str, Any]) -> None:
    """Refuse sections and keys that nobody reads, and values of another type."""
    for section, content in said.items():
        if section not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise file.wrong(f"[{section}] is no section{near(section, tuple(SECTIONS))}; valid are {known}", section)
        rows = content if section == "airings" else [content]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            form = "[[airings]]" if section == "airings" else f"[{section}]"
            raise file.wrong(f"{section} is {content!r}; write a section {form}", section)
        keys = SECTIONS[section]
        for number, row in enumerate(rows):
            for key, value in row.items() if section != "settings" else ():
                if key not in keys:
                    what = f"{key} is no key of [{section}]{near(key, tuple(keys))}; valid are {', '.join(keys)}"
                    raise file.wrong(what, section, key, number)
                if not isinstance(value, keys[key]) or isinstance(value, bool):
                    raise file.wrong(f"{key} is {value!r}; write {_form(keys[key])}", section, key, number)


def _form(kind: type | tuple[type, ...]) -> str:
    return {str: 'text in quotes, "..."', list: 'a list, ["north", "south"]'}.get(kind, "a number")  # pyright: ignore[reportCallIssue, reportArgumentType]


def _address(file: _File, address: str) -> str:
    kind, _, rest = address.partition(":")
    return f"{kind}:{file.path.parent / rest}" if kind in LOCAL and rest else address


def _given(file: _File, said: dict[str, Any]) -> Given:
    feed, tz = said["feed"], said["event"].get("tz")
    paths: dict[str, Any] = {name: _path(file, feed, name) for name in FILES}
    if "airings" in said:
        paths["airings"] = _listed(file, said["airings"], tz)
    token = _path(file, feed, "token_file")
    keep = None if "keep" not in feed else file.path.parent / feed["keep"]
    return Given(
        **paths,
        kind=said["event"].get("kind"),
        tz=tz,
        speed=float(feed.get("speed", 1.0)),
        start=None if "start" not in feed else _moment(file, feed["start"], tz, "feed"),
        token=None if token is None else token.read_text(encoding="utf-8").strip(),
        log=keep,
    )


def _path(file: _File, feed: dict[str, Any], name: str) -> Path | None:
    if name not in feed:
        return None
    path = file.path.parent / feed[name]
    if not path.is_file():
        raise file.wrong(f"{name} is {feed[name]!r}, and there is no such file beside {file.path.name}", "feed", name)
    return path


def _moment(file: _File, text: str, tz: str | None, section: str, number: int = 0) -> pd.Timestamp:
    try:
        stamp = pd.Timestamp(text)
        stamp = stamp.tz_localize(tz) if stamp.tzinfo is None and tz else stamp
    except (ValueError, TypeError) as error:
        what = f"start is {text!r}; write a moment, e.g. 2026-02-08T20:41:00Z"
        raise file.wrong(what, section, "start", number) from error
    if stamp.tzinfo is None:
        what = f"start is {text!r}, without a zone; end it with Z, or give tz in [event]"
        raise file.wrong(what, section, "start", number)
    return stamp.tz_convert("UTC")


def _listed(file: _File, rows: list[dict[str, Any]], tz: str | None) -> Path:
    """Write the listed airings as a log of their own, which every feed can be given."""
    table = []
    for number, row in enumerate(rows):
        start = _moment(file, row["start"], tz, "airings", number)
        table.append(row | {"start": start, "regions": "|".join(map(str, row.get("regions", [])))})
    try:
        airings = normalise(pd.DataFrame(table), "airings")
    except ValueError as error:
        raise file.wrong(str(error), "airings") from error
    path = Path(tempfile.mkdtemp(prefix="event-")) / "airings.csv"
    airings.to_csv(path, index=False)
    return path


def _settings(file: _File, said: dict[str, Any]) -> Settings:
    chosen = dict(said.get("settings", {}))
    for key, value in said.get("money", {}).items():
        chosen[key] = float(value)
    made = Settings()
    for key, value in chosen.items():
        try:
            made = made.replace(**{key: value})
        except (ValueError, TypeError) as error:
            section = "money" if key in said.get("money", {}) else "settings"
            raise file.wrong(str(error), section, key) from error
    return made


def _plan(file: _File, said: dict[str, Any]) -> Plan | None:
    name = said.get("plan", {}).get("file")
    if name is None:
        return None
    try:
        return Plan.load(file.path.parent / name)
    except ValueError as error:
        raise file.wrong(str(error), "plan", "file") from error
