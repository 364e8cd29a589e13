"""Reading any file or frame: columns found, zones, bad rows, the mapping that was used."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """Something an analyst should know about the data before believing an answer."""

    level: str
    """``error`` (no answer possible), ``warning`` (the answer suffers) or ``note``."""
    what: str
    """What was found, with its numbers."""
    rows: str
    """Where: row numbers of the file (1 = first data row), columns, values or moments."""
    harm: str
    """What it does to the answer."""
    mend: str
    """What to do about it, or what was done."""
