"""What could not be read, kept with its reason until somebody has looked; the last of it, so never without end."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEPT, BYTES = 1000, 65_536
"""The last of them that are kept, and how many bytes of each: enough to find the sender's mistake."""
ROOM = KEPT * BYTES
"""Bytes of all of them on brokers."""


class Aside(NamedTuple):
    """A frame or message that was set aside.

    Attributes
    ----------
    at
        When it was taken in, ns since 1970.
    reason, detail
        The name it is counted under; what was wrong, in words.
    body
        How it begins.
    """

    at: int
    reason: str
    detail: str
    body: bytes


def aside(at: int, reason: str, detail: str, body: bytes) -> Aside:
    """Keep the beginning of a body.

    Examples
    --------
    >>> aside(0, "checksum", "it was damaged", b"x" * 100_000).body == b"x" * BYTES
    True
    """
    return Aside(at, reason, detail, bytes(body[:BYTES]))


def write_asides(found: Iterable[Aside], folder: Path) -> int:
    """Write bodies to files that are named by number and reason, and beside them ``asides.csv``; returns how many.

    Raises
    ------
    ValueError
        When the folder holds an ``asides.csv``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "asides.csv").exists():
        raise ValueError(f"{folder} holds what was set aside before; choose another folder")
    many = 0
    with (folder / "asides.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "at_ns", "reason", "detail", "bytes"])
        for many, each in enumerate(found, 1):
            name = f"{many:05}-{re.sub(r'[^a-z]+', '-', each.reason)[:40]}.bin"
            (folder / name).write_bytes(each.body)
            table.writerow([name, each.at, each.reason, each.detail, len(each.body)])
    return many
