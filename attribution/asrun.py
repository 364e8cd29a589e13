"""What as-run and spot logs hold beside airings: totals and headers among the rows, planned times, feeds, codes."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported; a static reader does not see them

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from attribution.airtimes import Stations, air_times, dates_beside, dropped, needs
from attribution.aliases import DATES
from attribution.cells import is_text, labels, missing
from attribution.headers import SUM, is_total
from attribution.intake import drop, times
from attribution.moments import NAT
from attribution.tables import SHOWN, Ledger, ReadError, count_of, plain

if TYPE_CHECKING:
    from typing import Any

NOT_AIRED = re.compile(
    r"(?i)\b(not?[\s_-]*air(ed)?|did[\s_-]*not[\s_-]*run|missed|pre-?empt(ed)?|cancel+ed|skipped|dropped|failed|dnr|"
    r"ausgefallen|unaired|no[\s_-]*run)\b"
)
"""What a log's status says of a spot that did not run."""
AD_ID = re.compile(r"[A-Z][A-Z0-9]{3}[A-Z0-9]{7}[HD]?")
"""11 letters and digits, 4 of them the advertiser's; H or D behind them for HD and 3D (ad-id.org)."""
ISCI = re.compile(r"[A-Z]{4}\d{4}[A-Z]?")
"""The older code: 4 letters, 4 digits."""
CODES = {"isci", "iscicode", "adid", "adidcode", "isciadid", "adidisci"}


def clear_furniture(
    table: pa.Table, rows: np.ndarray, start: str, ledger: Ledger
) -> tuple[pa.Table, np.ndarray, list[dict[str, str]]]:
    """Leave out what is no airing by its form: totals, repeated headers, blank rows; each is reported.

    Parameters
    ----------
    start
        Column of the times: a row that has one is an airing, whatever else it says.

    Returns
    -------
    pa.Table, (n,) int, list of dict
        What is left, its row numbers, and the totals (column -> cell) to hold the sums against.
    """
    empty = np.column_stack([missing(column) for column in table.columns])
    blank = empty.all(axis=1)
    text = {name: pc.utf8_trim_whitespace(table[name]) for name in table.column_names if is_text(table[name])}
    maybe, timed = np.zeros(len(rows), bool), ~missing(table[start])
    if start in text:
        timed &= _mask(pc.match_substring_regex(text[start], r"\d"))
    for column in text.values():
        maybe |= _mask(pc.match_substring_regex(column, r"(?i)^\W*(grand|sub|report|total|summe|gesamt|suma|somme)"))
    cells = {i: [str(text[n][i].as_py() or "") for n in text] for i in map(int, np.flatnonzero(maybe & ~timed))}
    total = np.zeros(len(rows), bool)
    total[[i for i, row in cells.items() if is_total(row)]] = True
    header = np.zeros(len(rows), bool)
    if start in text:
        worded = _mask(pc.match_substring_regex(text[start], r"^[^\d]+$"))
        for i in map(int, np.flatnonzero(worded & ~total)):
            again = [
                plain(name).endswith(plain(cell)) for name, cell in zip(text, _row(table, i), strict=False) if cell
            ]
            header[i] = len(again) > 1 and all(again)
    for reason, mask, mend in (
        ("is blank", blank, "not read"),
        (f"is {SUM}", total & ~blank, "not read"),
        ("repeats the header", header & ~total & ~blank, "not read"),
    ):
        at = np.flatnonzero(mask)
        values = [next((v.strip() for v in _row(table, int(i)) if v.strip()), "") for i in at[:SHOWN]]
        ledger.drop(rows[at], column="", values=values, reason=reason, mend=mend)
    keep = ~(blank | total | header)
    sums = [dict(zip(table.column_names, _row(table, int(i)), strict=True)) for i in np.flatnonzero(total)]
    return table.filter(pa.array(keep)), rows[keep], sums


def settle_times(found: dict[str, Any], columns: tuple[str, ...], chosen: dict[str, Any], ledger: Ledger) -> None:
    """Find the actual start, the planned one and their dates among the columns that were found."""
    dated = found.get("start") is not None and plain(found["start"]) in DATES
    if "planned" in found and ("start" not in found or (dated and "start" not in chosen)):
        if dated:
            found.setdefault("date", found["start"])
        found["start"] = found.pop("planned")
        ledger.mapping.pop("planned", None)
        ledger.note(
            "warning",
            f"only planned times ({found['start']!r})",
            harm="planned times are minutes off; the response is then sought in the wrong place",
            mend="use an as-run log, or estimate the clock offset",
        )
    if "start" not in found:
        raise ledger.fail(
            f"no column for start among {', '.join(map(repr, columns[:SHOWN]))}; name it with columns={{'start': ...}}"
        )
    beside = dates_beside(columns, found["start"], found.get("date"))
    found.pop("date", None)
    ledger.mapping.pop("date", None)
    ledger.mapping["start"] = found["start"]
    if beside is not None and beside != found.get("planned"):
        found["date"] = beside


def starts(
    table: pa.Table, found: dict[str, Any], how: Stations, ledger: Ledger, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read the starts (ns, UTC) and which rows have one; actual times win over planned ones."""
    name, beside = found["start"], found.get("date")
    own = (found.get("zone"), found.get("feed"))
    if "planned" not in found and not any(own) and not needs(table, name, beside, how):
        return times(table, name, how.tz, ledger, rows)
    if beside is not None:
        ledger.mapping["start"] = f"{beside} + {name}"
    read = air_times(table, (name, beside), own, how, ledger, rows)
    if "planned" not in found:
        return dropped(read, table, name, ledger, rows)
    planned = found["planned"]
    quiet = Ledger(ledger.name)  # what is odd about planned times harms nothing
    try:
        dates = dates_beside(table.column_names, planned, beside)
        plan = air_times(table, (planned, dates), own, how, quiet, rows)["ns"]
    except ReadError:
        plan = np.full(len(rows), NAT)
    unseen = (plan != NAT) & read.get("is empty", np.zeros(len(rows), bool))
    drop(
        ledger, table, planned, rows, unseen, "is planned, without an actual time", "left out: not known to have aired"
    )
    moments, keep = dropped(read, table, name, ledger, rows, told=unseen)
    compare_planned(moments, plan, keep, ledger, planned)
    return moments, keep


def unaired(table: pa.Table, found: dict[str, Any], rows: np.ndarray, keep: np.ndarray, ledger: Ledger) -> np.ndarray:
    """(n,) bool: rows that the log's status leaves standing; the others are reported."""
    if "status" not in found:
        return keep
    out = keep & np.array(
        [NOT_AIRED.search(str(status)) is not None for status in labels(table[found["status"]])], bool
    )
    drop(ledger, table, found["status"], rows, out, "says that the spot did not run", "left out")
    return keep & ~out


def compare_planned(actual: np.ndarray, planned: np.ndarray, keep: np.ndarray, ledger: Ledger, name: str) -> None:
    """Say by how much the times that were kept differ from the planned ones."""
    both = keep & (actual != NAT) & (planned != NAT)
    if not both.any():
        return
    off = (actual[both] - planned[both]) / 1e9
    what = (
        f"airings began {abs(np.median(off)):.0f} s {'after' if np.median(off) >= 0 else 'before'} their planned time"
    )
    ledger.note(
        "note",
        f"{what} (median of {both.sum():,})",
        rows=f"from {off.min():+.0f} s to {off.max():+.0f} s; {int((np.abs(off) > 60).sum()):,} by more than 60 s",
        mend=f"the actual times are used; column {name!r} holds the planned ones",
    )


def tidy_codes(creative: np.ndarray, name: str, ledger: Ledger) -> np.ndarray:
    """Write Ad-ID and ISCI codes one way (capitals, no spaces or dashes), and name those that are neither."""
    if plain(name) not in CODES:
        return creative
    out = np.array([_code(str(text)) for text in creative], dtype=object)
    changed = int(sum(a != b for a, b in zip(creative, out, strict=True)))
    if changed:
        ledger.note("note", f"column {name!r}: {count_of(changed, 'code')} written another way", mend="made alike")
    odd = sorted({text for text in out if text and not (AD_ID.fullmatch(text) or ISCI.fullmatch(text))})
    if odd:
        ledger.note(
            "note",
            f"column {name!r}: {count_of(len(odd), 'code')} neither Ad-ID nor ISCI",
            rows=", ".join(odd[:SHOWN]),
            mend="kept as names of creatives",
        )
    return out


def check_sums(
    sums: list[dict[str, str]], column: str, told: np.ndarray, keep: np.ndarray, read_cell: Any, ledger: Ledger
) -> None:
    """Hold a log's own total of what it cost against the rows that were read.

    Parameters
    ----------
    told, keep
        (n,): amounts of the rows that are no totals, NaN where unknown; and which of them became airings. A log may add
        up either.
    read_cell
        Reads one cell as an amount.
    """
    stated = [amount for row in sums if np.isfinite(amount := read_cell(row.get(column, "")))]
    if not stated:
        return
    own, read = max(stated), float(np.nansum(told))
    if all(abs(own - sum_) > 0.005 * max(abs(own), 1.0) for sum_ in (read, float(np.nansum(told[keep])))):
        ledger.note(
            "warning",
            f"column {column!r}: the log's own total is {own:,.2f}, its rows add up to {read:,.2f}",
            harm="a row is missing, or an amount was read wrongly",
            mend="compare the rows with the log",
        )


def with_feeds(names: pd.Series, feeds: np.ndarray) -> pd.Series:
    """Tell airings of one name apart by the feed that carried them: ``spot (West)``."""
    twice = names.duplicated(keep=False) & (names != "") & (feeds != "(none)")
    return names.where(~twice, names + " (" + pd.Series(feeds, index=names.index).astype("str") + ")")


def _code(text: str) -> str:
    short = re.sub(r"[\s\-_.]", "", text).upper()
    return short if AD_ID.fullmatch(short) or ISCI.fullmatch(short) else text


def _row(table: pa.Table, i: int) -> list[str]:
    return [str(value) if (value := table[name][i].as_py()) is not None else "" for name in table.column_names]


def _mask(found: Any) -> np.ndarray:
    return np.asarray(pc.fill_null(found, False).to_pandas(), dtype=bool)
