"""What an analyst said about a file, kept for the next file with the same header.

Kept in one JSON file of the user's, so that next week's export is read as this week's was. Only the page uses it: in a
notebook and on the command line what is read depends on nothing but what is typed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attribution.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

VARIABLE = "EVENT_COMMAND_HOME"
"""Names the folder in the environment; by default one under the user's configuration."""
MOST = 500
"""Headers that are remembered; the oldest goes first."""
KEPT = ("role", "tz", "columns")


def header_fingerprint(columns: Iterable[str]) -> str:
    """Return 16 hex digits of a header: the same for the same names in any order and spelling of capitals.

    Examples
    --------
    >>> header_fingerprint(["Time", "Orders"]) == header_fingerprint(["orders", "time"])
    True
    """
    return hashlib.sha256("\\n".join(sorted(plain(name) for name in columns)).encode()).hexdigest()[:16]


def shelf() -> Path:
    """Return the path of the file that holds what is remembered."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own) / "mappings.json"
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "event-command" / "mappings.json"


def recall(columns: Iterable[str], *, path: Path | None = None) -> dict[str, Any]:
    """Return what was said about files of this header: role, tz, columns; empty where nothing was.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "mappings.json"
    >>> remember(["ts", "n"], {"columns": {"count": "n"}}, path=place)
    >>> recall(["n", "ts"], path=place)
    {'columns': {'count': 'n'}}
    """
    entry = _load(path or shelf()).get(header_fingerprint(columns), {})
    return {key: entry[key] for key in KEPT if key in entry}


def remember(columns: Iterable[str], said: dict[str, Any], *, path: Path | None = None) -> None:
    """Keep what was said about files of this header; an empty one forgets it. What cannot be written is not kept."""
    path = path or shelf()
    kept, name = _load(path), header_fingerprint(columns)
    kept.pop(name, None)
    if any(said.values()):
        kept[name] = {key: said[key] for key in KEPT if said.get(key)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(dict(list(kept.items())[-MOST:]), indent=1), encoding="utf-8")
        part.replace(path)
    except OSError:
        return


def _load(path: Path) -> dict[str, dict[str, Any]]:
    """Read what is kept; a file that is damaged holds nothing."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {str(name): entry for name, entry in kept.items() if isinstance(entry, dict)}
