"""What an analyst brings and says: files onto disk, samples, and how they are to be read. No Streamlit in here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attribution.files import NOTHING, Files, read_files, tell
from attribution.kinds import ROLES, Kind
from attribution.mappings import recall, remember
from attribution.mends import Mend, mend_of

if TYPE_CHECKING:
    import pandas as pd

    from attribution.counts import Counts

SUFFIXES = ["csv", "tsv", "txt", "gz", "zst", "parquet", "feather", "json", "jsonl", "ndjson", "xlsx", "ts"]
CHOICES = ("found", *ROLES, "leave out")
"""What a file can be said to be."""
COLUMNS = {
    "counts": ("time", "count", "region", "channel", "device", "kind"),
    "events": ("time", "region", "channel", "device", "kind", "id"),
    "airings": ("start", "planned", "date", "airing", "length_s", "regions", "creative", "network", "spend", "zone"),
    "social": ("time", "count", "region"),
    "audience": ("time", "viewers", "region"),
    "context": ("kind", "start", "end", "length_s", "label"),
    "scte35": ("cue", "time", "pts"),
    "exposures": ("time", "session", "airing", "region", "event", "exposures"),
}
"""Roles of columns that can be mended on the page."""


class Laid(NamedTuple):
    """The data of a saved answer, in the place of files: what the other pages take from either."""

    counts: Counts
    airings: pd.DataFrame
    feeds: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an analyst said about how files are to be read.

    Attributes
    ----------
    roles, zones
        File name -> role, or zone.
    columns
        File name -> {role: column}.
    rest
        Other arguments of :func:`attribution.files.read_files` by name.
    """

    roles: dict[str, str] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)

    def arguments(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the arguments of ``read_files`` for files of these names; what says nothing is left out.

        Examples
        --------
        >>> Said(zones={"a.csv": "UTC"}, rest={"kind": ""}).arguments(("a.csv", "b.csv"))
        {'tz': {'a.csv': 'UTC'}}
        """
        zones = {name: zone for name, zone in self.zones.items() if name in names and zone}
        alike = len(zones) == len(names) and len(set(zones.values())) == 1
        given = {
            "roles": {name: role for name, role in self.roles.items() if name in names},
            "columns": {name: roles for name, roles in self.columns.items() if name in names and roles},
            "tz": next(iter(zones.values())) if alike else zones,
            **self.rest,
        }
        return {name: value for name, value in given.items() if value}

    def mended(self, mend: Mend, value: Any, name: str = "") -> Said:
        """Return the same with one mend taken: of the file ``name``, where it is about one."""
        if mend.argument == "columns":
            roles = {**self.columns.get(name, {}), mend.role: str(value)}
            return replace(self, columns={**self.columns, name: roles})
        if mend.argument == "tz" and name:
            return replace(self, zones={**self.zones, name: str(value)})
        return replace(self, rest={**self.rest, mend.argument: value})


def samples(folder: Path) -> dict[str, dict[str, Path]]:
    """List the samples in a folder: name -> the files of its sub-folder, by their stem.

    A sub-folder is a sample when it holds ``airings`` and either ``counts`` or ``events``.
    """
    found = {}
    for place in sorted(p for p in folder.glob("*") if p.is_dir()):
        files = {p.name.split(".")[0]: p for p in sorted(place.iterdir()) if p.is_file()}
        if "airings" in files and {"counts", "events"} & set(files):
            found[place.name] = files
    return found


def paths_of(sample: dict[str, Path]) -> tuple[Path, ...]:
    """Return the files of a sample that are read: its counts, else its events, its airings and feeds."""
    outcome = "counts" if "counts" in sample else "events"
    return tuple(sample[name] for name in (outcome, "airings", "social", "audience", "context") if name in sample)


def shelve(folder: Path, role: str, name: str, data: bytes) -> Path:
    """Write an uploaded file where the readers can open it, under its own name without any path in it."""
    safe = re.sub(r"[^\w.\-]+", "_", Path(name.replace("\\", "/")).name).lstrip(".") or "upload"
    target = folder / role / safe
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def first_words(paths: tuple[Path, ...], said: Said) -> Said:
    """Add what was said before about files of these headers; what is said now wins."""
    for path in paths:
        try:
            columns = tell([path])[path].columns
        except ValueError:
            continue  # the reader itself says what is wrong with the file
        before = recall(columns) if columns else {}
        if "role" in before and path.name not in said.roles:
            said = replace(said, roles={**said.roles, path.name: before["role"]})
        if "tz" in before and path.name not in said.zones:
            said = replace(said, zones={**said.zones, path.name: before["tz"]})
        kept = {role: name for role, name in before.get("columns", {}).items() if name in columns}
        if kept and path.name not in said.columns:
            said = replace(said, columns={**said.columns, path.name: kept})
    return said


def keep_words(told: dict[Path, Kind], said: Said) -> None:
    """Remember what was said about each file, by its header."""
    for path, kind in told.items():
        words = {
            "role": said.roles.get(path.name),
            "tz": said.zones.get(path.name),
            "columns": said.columns.get(path.name),
        }
        if kind.columns and any(words.values()):
            remember(kind.columns, words)


def forget_words(told: dict[Path, Kind]) -> None:
    """Forget what was said about files of these headers."""
    for kind in told.values():
        if kind.columns:
            remember(kind.columns, {})


def read(paths: tuple[Path, ...], said: Said) -> Files:
    """Read the files as the analyst said.

    Raises
    ------
    ValueError
        When a file cannot be read so; the message says what to do.
    """
    return read_files(*paths, **said.arguments(tuple(path.name for path in paths)))


def trouble(error: ValueError, paths: tuple[Path, ...]) -> tuple[Path | None, Mend | None]:
    """Say which file an error is about, and its one mend."""
    text = str(error)
    about = next((path for path in paths if text.startswith((f"{path.name}:", f"{path}:"))), None)
    return about, mend_of(text)


def key(said: Said) -> str:
    """Write what was said as one text: what a cache knows it by."""
    return json.dumps([said.roles, said.zones, said.columns, said.rest], sort_keys=True)


def role_said(choice: str) -> str | None:
    """Return the role that a choice of :data:`CHOICES` means; None for what was found."""
    return None if choice == CHOICES[0] else NOTHING if choice == CHOICES[-1] else choice
