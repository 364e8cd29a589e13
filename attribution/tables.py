"""Reading any file or frame: findings, the account of every row, columns found by name or alias.

Every reading keeps a :class:`Ledger`. One law holds for it: rows read = rows kept + rows reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


class ReadError(ValueError):
    """A file or frame that cannot be read; the message names it, says why and what to do."""


SHOWN = 8
"""How many rows or moments a finding names before it counts the rest."""


@dataclass(slots=True, kw_only=True)
class _Drop:
    """Rows left out for one reason in one column."""

    count: int = 0
    rows: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    harm: str = ""
    mend: str = ""


class Ledger:
    """The account of one reading: what was read, what was left out and why, which column was taken for what.

    Examples
    --------
    >>> ledger = Ledger("sales.csv")
    >>> ledger.read = 3
    >>> ledger.drop([2], column="count", values=["abc"], reason="is not a number", mend="left out")
    >>> ledger.kept, ledger.findings()[0].what
    (2, "1 row: column 'count' is not a number")
    """

    def __init__(self, name: str, unit: str = "row") -> None:
        self.name = name
        self.unit = unit
        self.read = 0
        self.mapping: dict[str, str] = {}
        self._drops: dict[tuple[str, str], _Drop] = {}
        self._notes: list[Finding] = []

    @property
    def reported(self) -> int:
        """Rows (or cells) read but not kept."""
        return sum(drop.count for drop in self._drops.values())

    @property
    def kept(self) -> int:
        """Rows (or cells) that entered the result."""
        return self.read - self.reported

    def drop(
        self,
        rows: Sequence[int] | np.ndarray,
        *,
        column: str,
        values: Iterable[Any],
        reason: str,
        mend: str,
        harm: str = "",
    ) -> None:
        """Report rows that were read but not kept; each row is reported once only."""
        if len(rows) == 0:
            return
        entry = self._drops.setdefault((column, reason), _Drop(harm=harm, mend=mend))
        entry.count += len(rows)
        room = SHOWN - len(entry.rows)
        if room > 0:
            entry.rows += [int(row) for row in rows[:room]]
            entry.values += [_short(value) for value, _ in zip(values, range(room), strict=False)]

    def drop_many(
        self, count: int, *, column: str, values: Sequence[Any], reason: str, mend: str, harm: str = ""
    ) -> None:
        """Report rows by their number only (where an aggregation no longer knows which they were)."""
        if count:
            entry = self._drops.setdefault((column, reason), _Drop(harm=harm, mend=mend))
            entry.count += count
            entry.values += [_short(value) for value in values[: SHOWN - len(entry.values)]]

    def note(self, level: str, what: str, *, rows: str = "", harm: str = "", mend: str = "") -> None:
        """Add a finding that leaves no row out; the same words are kept once."""
        finding = Finding(level, what, rows, harm, mend)
        if finding not in self._notes:
            self._notes.append(finding)

    def findings(self) -> tuple[Finding, ...]:
        """All findings: rows left out, other findings, and the sum of the account."""
        out = []
        for (column, reason), drop in self._drops.items():
            where = f"column {column!r} {reason}" if column else reason
            out.append(
                Finding(
                    level="note" if drop.harm == "" else "warning",
                    what=f"{count_of(drop.count, self.unit)}: {where}",
                    rows=_where(drop),
                    harm=drop.harm,
                    mend=drop.mend,
                )
            )
        pairs = ", ".join(f"{role} = {column}" for role, column in self.mapping.items())
        total = f"{count_of(self.read, self.unit)} read: {self.kept:,} kept, {self.reported:,} reported"
        return (*out, *self._notes, Finding("note", total, f"columns read: {pairs}", "", "columns={...} overrides"))

    def fail(self, why: str) -> ReadError:
        """Make the error that says why this file cannot be read."""
        return ReadError(f"{self.name}: {why}")


def count_of(n: int, unit: str) -> str:
    """Write a number with its unit: ``1 row``, ``1,200 rows``."""
    return f"{n:,} {unit}" + ("" if n == 1 else "s")


def _short(value: Any) -> str:
    text = "(empty)" if value is None or value == "" else str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _where(drop: _Drop) -> str:
    if not drop.rows:
        return "values " + ", ".join(drop.values) if drop.values else ""
    named = [f"{row} ({value})" for row, value in zip(drop.rows, drop.values, strict=False)]
    more = drop.count - len(named)
    return f"row{'s' if drop.count > 1 else ''} " + ", ".join(named) + (f" and {more:,} more" if more > 0 else "")


TIME = (
    *("time", "datetime", "timestamp", "ts", "eventtimestamp", "eventtime", "datehourminute", "datehour"),
    *("minuteutc", "secondutc", "hourutc", "timeutc", "utctime", "utc", "minute", "second", "hour", "createdat"),
    *(
        "occurredat",
        "receivedat",
        "unixtime",
        "epoch",
        "bin",
        "starttime",
        "start",
        "date",
        "dateutc",
        "eventdate",
        "day",
    ),
    *("ds", "dt", "week", "year"),
)
REGION = (
    *("region", "geo", "location", "dma", "market", "georegion", "geocountry", "state", "country", "metro", "city"),
    *("area", "territory", "regionname", "geoid"),
)
CHANNEL = (
    *("channel", "sessiondefaultchannelgroup", "defaultchannelgroup", "channelgroup", "channelgrouping", "medium"),
    *("trafficsource", "trafficsourcemedium"),
)
DEVICE = ("device", "devicecategory", "devicetype", "platform")
KIND = ("kind", "eventname", "eventtype", "event", "type", "action")
COUNT = (
    *("count", "counts", "conversions", "conversion", "eventcount", "events", "orders", "purchases", "transactions"),
    *(
        "signups",
        "donors",
        "donations",
        "sales",
        "installs",
        "leads",
        "requests",
        "visits",
        "sessions",
        "hits",
        "n",
        "y",
    ),
)
MENTIONS = ("count", "mentions", "posts", "tweets", "chats", "messages", "volume", "n", "y")
VIEWERS = ("viewers", "audience", "concurrents", "concurrentviewers", "viewership", "count")
WIDTH = ("widths", "width", "binwidth", "binwidths")
END = ("end", "endtime", "stop", "finish", "endutc", "to")
MEASURES = {
    *COUNT,
    *MENTIONS,
    *VIEWERS,
    "usd",
    "revenue",
    "spend",
    "value",
    "amount",
    "emotes",
    "impressions",
    "clicks",
}
"""Names that say what was measured, so that a column of that name is never taken for a region."""
CUMULATIVE = re.compile(r"(?i)[_\s.-]*(?:cum|cumulative|cumul|running[_\s]?total)$")


def plain(name: str) -> str:
    """Lower-case letters and digits of a column's name: how aliases are compared."""
    return re.sub(r"[\W_]+", "", str(name).lower())


def bare(name: str) -> str:
    """Plain letters of a column's name without a unit in brackets: ``Cost (USD)`` is ``cost``."""
    return plain(re.sub(r"[\(\[][^)\]]*[\)\]]", "", str(name)))


def find_columns(
    ledger: Ledger,
    columns: Sequence[str],
    aliases: Mapping[str, Sequence[str]],
    chosen: Mapping[str, Any] | None,
    *,
    needed: Sequence[str] = (),
) -> dict[str, Any]:
    """Find the column of each role: those ``chosen`` by the caller, else by alias, the first alias first.

    Parameters
    ----------
    columns
        Names in the file.
    aliases
        Role -> plain names it goes by.
    chosen
        The caller's ``columns={role: column}``; a list of columns is allowed for ``count``.
    needed
        Roles without which the file cannot be read.

    Raises
    ------
    ReadError
        On an unknown role or column, a column with two roles, or a needed role without a column.
    """
    found: dict[str, Any] = {}
    for role, column in (chosen or {}).items():
        if role not in aliases:
            raise ledger.fail(f"columns names the role {role!r}; valid are {', '.join(aliases)}{near(role, aliases)}")
        for name in [column] if isinstance(column, str) else list(column):
            if name not in columns:
                raise ledger.fail(
                    f"columns gives {name!r} for {role}; the file has {_listed(columns)}{near(str(name), columns)}"
                )
        found[role] = column
    names = [n for column in found.values() for n in ([column] if isinstance(column, str) else column)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ledger.fail(f"columns gives {min(twice)!r} twice; give each column one role")
    by_plain: dict[str, str] = {}
    for name_of in (plain, bare):
        for column in columns:
            by_plain.setdefault(name_of(column), column)
    for role, names_of_role in aliases.items():
        if role in found:
            continue
        for alias in names_of_role:
            column = by_plain.get(alias)
            if column is not None and column not in names:
                found[role] = column
                names.append(column)
                break
    for role in needed:
        if role not in found:
            raise ledger.fail(f"no column for {role} among {_listed(columns)}; name it with columns={{{role!r}: ...}}")
    ledger.mapping.update({role: c if isinstance(c, str) else ", ".join(c) for role, c in found.items()})
    return found


def _listed(columns: Iterable[str]) -> str:
    names = [repr(str(c)) for c in columns]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def near(name: str, valid: Iterable[str]) -> str:
    """Hint at the valid name that is closest, if one is close."""
    match = get_close_matches(name, [str(v) for v in valid], n=1)
    return f"; did you mean {match[0]!r}?" if match else ""
