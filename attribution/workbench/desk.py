"""Reading what an analyst brings: files onto disk, readers with their overrides, samples. No Streamlit in here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attribution as at
from attribution.outcomes import read_outcomes
from attribution.sources import open_source

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = ["csv", "tsv", "txt", "gz", "zst", "parquet", "feather", "json", "jsonl", "ndjson", "xlsx"]
FEEDS = {"social": at.read_social, "audience": at.read_audience, "context": at.read_context}
"""Files that may accompany the counts and the airings."""
FORMS = ("Find out", "Counts per bin", "Events, one a row")
ROLES = ("time", "count", "region", "channel", "device", "kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How the files are to be read.

    Attributes
    ----------
    form
        One of :data:`FORMS`.
    tz
        Zone of times that carry none; empty for none.
    cumulative
        The counts only grow.
    columns
        (role, column) pairs that override what was found.
    """

    form: str = FORMS[0]
    tz: str = ""
    cumulative: bool = False
    columns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What was read: arguments of ``analyze``, and the findings on them."""

    counts: at.Counts
    airings: pd.DataFrame
    feeds: dict[str, Any]
    findings: list[at.Finding]


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


def shelve(folder: Path, role: str, name: str, data: bytes) -> Path:
    """Write an uploaded file where the readers can open it, under its own name without any path in it."""
    safe = re.sub(r"[^\w.\-]+", "_", Path(name.replace("\\", "/")).name).lstrip(".") or "upload"
    target = folder / role / safe
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def columns_of(path: Path) -> tuple[str, ...]:
    """Names of a file's columns.

    Raises
    ------
    ReadError
        When the file cannot be opened.
    """
    return open_source(path).columns


def read_outcome(path: Path, choices: Choices) -> at.Counts:
    """Read the conversions as the analyst chose.

    Raises
    ------
    ValueError
        When the file cannot be read so; the message says what to do.
    """
    options: dict[str, Any] = {"columns": dict(choices.columns) or None, "tz": choices.tz or None}
    form = choices.form
    if form == FORMS[0]:
        return read_outcomes(path, cumulative=choices.cumulative, **options)
    if form == FORMS[1]:
        return at.read_counts(path, cumulative=choices.cumulative, **options)
    return at.read_events(path, **options)


def gather(counts: at.Counts, airings: Path, feeds: dict[str, Path], tz: str) -> Material:
    """Read everything else and look for what would harm the answer."""
    schedule = at.read_airings(airings, tz=tz or None)
    tables = {name: FEEDS[name](path, tz=tz or None) for name, path in feeds.items()}
    findings = at.preflight(counts, schedule, context=tables.get("context"))
    return Material(counts=counts, airings=schedule, feeds=tables, findings=findings)
