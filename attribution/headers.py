"""Where a table's header stands, and what its columns are called when it takes two rows.

Exports put titles above the header, and merge its cells: ``Scheduled`` over ``Date`` and ``Time``. Below a table they
put totals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from attribution.aliases import KNOWN, known
from attribution.tables import SHOWN, count_of, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.tables import Ledger

LOOK = 25
"""Rows looked at for a header."""
TOTAL = re.compile(
    r"(?i)^\W*((grand|sub|report|weekly|daily)[\s-]?)?(totals?|summe|gesamt(summe)?|total g.n.ral|suma|somme)\b"
    r"[\s:=]*(spots?|cost|airings?|net|gross|general|rows?|count)?[\s:=\d.,$€£]*$"
)
"""A cell that says that its row adds up the rows above."""
SUM = "a total of the other rows"
"""What such a row is."""


class Header(NamedTuple):
    """Where the header is and what it says."""

    row: int
    """Index of the row above the first data row."""
    names: list[str]
    titles: list[str]
    """What stands above it and names no column."""
    merged: bool
    """Two rows were read as one."""


def find_header(rows: Sequence[Sequence[str]]) -> Header:
    """Find the header among the first rows of a table: the row with the most names of columns, if titles are above it.

    Parameters
    ----------
    rows
        The first rows, cells as text, empty where there is none.

    Returns
    -------
    Header
        Of the first row, where no later one is surer.

    Examples
    --------
    >>> find_header([["WXYZ as-run"], ["", "Scheduled", "", "Actual", ""], ["Spot", "Date", "Time", "Date", "Time"],
    ...              ["a", "2/8/26", "20:41", "2/8/26", "20:42"]]).names
    ['Spot', 'Scheduled Date', 'Scheduled Time', 'Actual Date', 'Actual Time']
    """
    best, score = 0, known(rows[0])
    for i, row in enumerate(rows[1:LOOK], 1):
        found = known(row)
        above = max(_filled(other) for other in rows[:i])
        if found > max(score, 1) and above < _filled(row) and not any(re.search(r"\d{2}", cell) for cell in row):
            best, score = i, found
    best += _goes_on(rows, best)
    names = [cell.strip() for cell in rows[best]]
    over = _over(rows, best)
    merged = over is not None
    if over is not None:
        names = _joined([cell.strip() for cell in over], names)
    titles = [" ".join(cell.strip() for cell in row if cell.strip()) for row in rows[: best - merged]]
    return Header(best, names, [title for title in titles if title], merged)


def told(header: Header, ledger: Ledger) -> None:
    """Say what was taken for the header where it is not the first row."""
    if header.titles:
        first = header.titles[0]
        ledger.note("note", f"{count_of(len(header.titles), 'line')} above the header", rows=first[:60], mend="skipped")
    if header.merged:
        ledger.note("note", "the header takes two rows", rows=", ".join(header.names[:SHOWN]), mend="read as one")


def is_total(cells: Sequence[str]) -> bool:
    """Whether a row adds up the rows above: one of its cells says so."""
    return any(TOTAL.match(cell) for cell in cells if cell)


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _goes_on(rows: Sequence[Sequence[str]], best: int) -> bool:
    """Whether the row below goes on with the header: it holds names only, and fills what merged cells left blank."""
    if best + 1 >= len(rows):
        return False
    top, low = rows[best], rows[best + 1]
    filled = [cell for cell in low if cell.strip()]
    fills = any(b.strip() and not a.strip() for a, b in zip(top, low, strict=False))
    return fills and known(filled) == len(filled)


def _over(rows: Sequence[Sequence[str]], best: int) -> Sequence[str] | None:
    """Give the row above the header if its cells are merged over the header's; None where it is a title or absent."""
    if best == 0:
        return None
    over, under = rows[best - 1], rows[best]
    twins = len({plain(cell) for cell in under if cell.strip()}) < _filled(under)
    bare = any(top.strip() and not low.strip() for top, low in zip(over, under, strict=False))
    return over if len(over) > 1 and (bare or (twins and _filled(over) > 1)) else None


def _joined(over: list[str], under: list[str]) -> list[str]:
    """Names of both rows: a name that stands once and is known stays; others take what stands over them."""
    plains = [plain(name) for name in under]
    names, group = [], ""
    for i, name in enumerate(under):
        top = over[i] if i < len(over) else ""
        group = top or group
        joint = f"{group} {name}".strip()
        if not name:
            names.append(top)
        elif (plains.count(plain(name)) > 1) or (plain(name) not in KNOWN and plain(joint) in KNOWN):
            names.append(joint)
        else:
            names.append(name)
    return names
