"""Steps that every reader of counts takes: moments, kinds, size, the last findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.cells import is_text
from attribution.counts import Counts, outages
from attribution.headers import SUM, is_total
from attribution.moments import NAT, find_clock, joined
from attribution.tables import SHOWN, Ledger, count_of, near, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CELLS = 60_000_000
"""Bins x regions x channels x devices: 8 bytes each, and three copies while reading."""
MAX_REGIONS = 5000
SOME = 1000
"""Rows without a time that are looked at for a total."""
CONVERSIONS = (
    "conversion",
    "conversions",
    "purchase",
    "order",
    "orders",
    "transaction",
    "generate_lead",
    "sign_up",
    *("order completed", "checkout_completed", "af_purchase", "install", "installs"),
)
"""Kinds taken for the outcome, the first that a file holds, where the caller names none."""


def times(
    table: Any, name: str, tz: str | None, ledger: Ledger, rows: np.ndarray, repeat: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Moments of a column (ns, UTC) and which rows have one; the others are reported."""
    column = table[name]
    dates = next(
        (n for n in table.column_names if plain(n) in {"date", "day", "airdate", "broadcastdate"} and n != name), None
    )
    both = joined(column, table[dates]) if dates else None
    if both is not None:
        column = both
        ledger.mapping["time"] = f"{dates} + {name}"
    moments, bad = find_clock(column, name=name, tz=tz, ledger=ledger).read(column)
    sums = _sums(table, moments, ledger, rows, repeat)
    for reason, mask in bad.items():
        drop(
            ledger,
            table,
            name,
            np.repeat(rows, repeat),
            np.repeat(mask & ~sums, repeat),
            reason,
            "left out",
            "what these rows counted is missing",
            repeat=repeat,
        )
    if not (moments != NAT).any():
        raise ledger.fail(f"no row has a time in column {name!r}; the first problem: {ledger.findings()[0].what}")
    return moments, moments != NAT


def _sums(table: Any, moments: np.ndarray, ledger: Ledger, rows: np.ndarray, repeat: int) -> np.ndarray:
    """(n,) bool: rows without a time that say that they add up the others; they are reported as that."""
    out = np.zeros(len(moments), bool)
    texts = [name for name in table.column_names if is_text(table[name])]
    for i in map(int, np.flatnonzero(moments == NAT)[:SOME]):
        out[i] = is_total([str(table[name][i].as_py() or "") for name in texts])
    told = np.repeat(out, repeat)
    values = [str(table[texts[0]][int(i)].as_py()) for i in np.flatnonzero(out)]
    ledger.drop(np.repeat(rows, repeat)[told], column="", values=values, reason=f"is {SUM}", mend="not read")
    return out


def drop(
    ledger: Ledger,
    table: Any,
    name: str,
    rows: np.ndarray,
    mask: np.ndarray,
    reason: str,
    mend: str,
    harm: str = "",
    repeat: int = 1,
) -> None:
    """Report the rows of a mask with the values that stand there."""
    at = np.flatnonzero(mask)
    if len(at):
        column = table.column(name) if name in table.schema.names else None
        shown = [] if column is None else [column[int(i) // repeat].as_py() for i in at[:SHOWN]]
        ledger.drop(rows[at], column=name, values=shown, reason=reason, mend=mend, harm=harm)


def choose_kind(names: Sequence[str], wanted: str | None, present: bool, ledger: Ledger) -> tuple[list[int], str]:
    """Codes of the kinds to count, and what to call them."""
    if not present:
        if wanted is not None:
            raise ledger.fail(
                f"kind is {wanted!r}, but no column tells kinds apart; name it with columns={{'kind': ...}}"
            )
        return list(range(len(names))), "conversion"
    if wanted is not None:
        if wanted not in names:
            raise ledger.fail(f"kind is {wanted!r}; the file has {', '.join(names[:SHOWN])}{near(wanted, names)}")
        return [list(names).index(wanted)], wanted
    for usual in CONVERSIONS:
        for code, name in enumerate(names):
            if name.lower() == usual:
                if len(names) > 1:
                    ledger.note(
                        "note",
                        f"{len(names)} kinds of event",
                        rows=", ".join(names[:SHOWN]),
                        mend=f"{name!r} is counted; kind= chooses another",
                    )
                return [code], name
    level = "warning" if len(names) > 1 else "note"
    ledger.note(
        level,
        f"{count_of(len(names), 'kind')} of event and none called conversion",
        rows=", ".join(names[:SHOWN]),
        harm="kinds that are no conversions dilute the lift" if len(names) > 1 else "",
        mend="all counted; kind= chooses one",
    )
    return list(range(len(names))), "conversion" if len(names) > 1 else names[0]


def check_size(shape: Sequence[int], ledger: Ledger) -> None:
    """Refuse counts that would not fit, with a sentence."""
    if float(np.prod([float(n) for n in shape])) > MAX_CELLS or shape[1] > MAX_REGIONS:
        words = f"{shape[0]:,} bins x {shape[1]:,} regions x {shape[2]:,} channels x {shape[3]:,} devices"
        raise ledger.fail(
            f"{words}; at most {MAX_CELLS:,} cells and {MAX_REGIONS:,} regions: choose wider bins (width=), "
            "a shorter span or fewer labels; one wrong date can stretch the span"
        )


def finish(counts: Counts, ledger: Ledger) -> Counts:
    """Add the findings that only the finished counts show."""
    out = outages(counts)
    for region in np.flatnonzero(out.any(axis=0)):
        edges = np.flatnonzero(np.diff(out[:, region].astype(int), prepend=0, append=0))
        spans = [
            f"{str(counts.start[a])[:19]}Z {(b - a) * counts.width[a]:g} s"
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]
        ledger.note(
            "warning",
            f"{count_of(len(spans), 'run')} of zeros inside a busy series, region {counts.regions[region]!r}",
            rows=", ".join(spans[:SHOWN]) + (f" and {len(spans) - SHOWN} more" if len(spans) > SHOWN else ""),
            harm="an outage reads as a fall, its end as a rise",
            mend="kept as read; outages(counts) marks these bins as unknown",
        )
    ledger.note("note", "no figure for lost events", mend="bins with a count are taken as complete")
    return replace(counts, findings=ledger.findings(), mapping=tuple(ledger.mapping.items()))
