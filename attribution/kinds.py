"""What a file is, told by its content: counts, events, airings, social, audience, context, markers, insertions."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from attribution.aliases import ACTUAL, AIRING_ALIASES, INSERTION_ALIASES, MARKER_ALIASES, PLANNED
from attribution.exports import find_export
from attribution.markers import is_stream
from attribution.outcomes import holds
from attribution.sources import Source, guarded, open_source
from attribution.tables import CUMULATIVE, END, TIME, bare, plain

ROLES = ("counts", "events", "airings", "social", "audience", "context", "scte35", "exposures")
"""What a file can be."""
HINTS = {
    "airings": r"air(ing|ed|log)|as[\W_]?run|spot|schedule|post[\W_]?log|sendeplan",
    "social": r"social|mention|tweet|chat|buzz",
    "audience": r"audience|viewer|viewership|concurrent|rating",
    "context": r"context|break|moments",
    "exposures": r"exposure|insertion|ssai",
    "scte35": r"scte|marker|cue",
}
"""Role -> what the name of its file may say; it decides where the columns leave it open."""
TALK = {"mentions", "posts", "tweets", "chats", "messages"}
WATCH = {"viewers", "concurrents", "concurrentviewers", "viewership", "audience"}
SPOT = ("length_s", "creative", "network", "spend", "planned", "status", "feed", "break_id", "impressions")
LOOK = 200


class Kind(NamedTuple):
    """What a file is."""

    role: str
    """One of :data:`ROLES`."""
    why: str
    """What says so."""
    columns: tuple[str, ...]
    """Its columns; none in a transport stream."""


def what_is(path: str | Path) -> Kind:
    """Tell what a file is.

    Raises
    ------
    ReadError
        When it cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log.csv"
    >>> _ = path.write_text("spot,air time,cost" + chr(10) + "a,2026-02-08 20:41:13,100")
    >>> what_is(path)[:2]
    ('airings', "columns 'air time', 'cost'")
    """
    path = Path(path)
    if is_stream(path):
        return Kind("scte35", "a transport stream", ())
    with open_source(path) as source:
        columns = source.columns
        found = _by_columns(source, _hint(path.name))
    if found is None:
        form, why = holds(path)
        found = (form, why)
    return Kind(found[0], found[1], columns)


def _hint(name: str) -> str:
    """Find the role that a file's name speaks of; empty where it speaks of none or of several."""
    said = [role for role, words in HINTS.items() if re.search(words, name.lower())]
    return said[0] if len(said) == 1 else ""


def _by_columns(source: Source, hint: str) -> tuple[str, str] | None:
    columns = source.columns
    names: dict[str, str] = {}
    for of in (plain, bare):
        for column in columns:
            names.setdefault(of(column), column)

    def first(aliases: tuple[str, ...]) -> str | None:
        return next((names[alias] for alias in aliases if alias in names), None)

    export = find_export(columns)
    if export is not None:
        return export.form, f"a table of {export.name}"
    cue = first(MARKER_ALIASES["cue"][:1]) or (first(MARKER_ALIASES["cue"]) if _cues(source, names) else None)
    if cue is not None:
        return "scte35", f"column {cue!r} holds markers"
    session, ad = first(INSERTION_ALIASES["session"]), first(INSERTION_ALIASES["airing"])
    if session is not None and ad is not None:
        return "exposures", f"columns {session!r}, {ad!r}: an ad of a viewer"
    if "exposures" in names or (hint == "exposures" and first(TIME)):
        return "exposures", "exposures by time"
    spot = [column for role in SPOT if (column := first(AIRING_ALIASES[role])) is not None]
    begin = first((*ACTUAL, *PLANNED, "start", "starttime", "starttimeutc", "startutc", "airtime", "airdatetime"))
    ends = first((*END, *AIRING_ALIASES["length_s"]))
    if begin is not None and "kind" in names and ends is not None and not first(("creative", "spend", "network")):
        return "context", f"columns {names['kind']!r}, {begin!r}: declared moments"
    return _plainer(names, hint, spot, begin)


def _plainer(names: dict[str, str], hint: str, spot: list[str], begin: str | None) -> tuple[str, str] | None:
    """Tell airings, social and audience by their columns, or by the file's name where these leave it open."""
    counted = [names[n] for n in names if n in {"count", "counts"}]
    talk, watch = ([names[n] for n in names if n in group] for group in (TALK, WATCH))
    conversions = any(CUMULATIVE.search(name) for name in names.values()) or {"conversions", "orders"} & set(names)
    if begin is not None and not counted and (spot or hint in {"airings", "context"} or "airing" in names):
        if hint == "context" and not spot:
            return "context", f"column {begin!r}, and its name"
        shown = ", ".join(map(repr, dict.fromkeys([begin, *spot][:3])))
        return "airings", f"column{'s' * (',' in shown)} {shown}"
    if len(spot) > 1 and not counted and not conversions:
        return "airings", f"columns {', '.join(map(repr, spot[:3]))}"
    if watch and not conversions and not talk:
        return "audience", f"column {watch[0]!r}"
    if talk and not conversions and not watch:
        return "social", f"column {talk[0]!r}"
    if hint in {"social", "audience"} and not conversions:
        return hint, "its name"
    return None


def _cues(source: Source, names: dict[str, str]) -> bool:
    """Whether a column that may hold markers does: base64 or hex that begins like one."""
    columns = [names[alias] for alias in MARKER_ALIASES["cue"] if alias in names]
    for _, batch in islice(guarded(source, columns), 1) if columns else ():
        for name in columns:
            cells = [str(value) for value in batch.column(name).slice(0, LOOK).to_pylist() if value]
            if any(re.match(r"/D[AB][A-Za-z0-9+/]{16}|(0x)?[Ff][Cc]3[0-9A-Fa-f]{20}", cell) for cell in cells):
                return True
    return False
