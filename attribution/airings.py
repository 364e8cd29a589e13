"""Airings and context in their canonical form: one row an airing, one row a declared moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from attribution.airtimes import Stations
from attribution.aliases import AIRING_ALIASES, CONTEXT_ALIASES
from attribution.asrun import check_sums, clear_furniture, settle_times, starts, tidy_codes, unaired, with_feeds
from attribution.cells import labels, numbers
from attribution.intake import drop, times
from attribution.layouts import normalise
from attribution.moments import NAT, find_clock
from attribution.prices import read_prices
from attribution.sources import load, open_source
from attribution.tables import Ledger, count_of, find_columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_AIRINGS = 100_000
"""Rows of an as-run log. Measured: 100,000 rows of CSV are read in about 1 s."""
MAX_TEXT = 200_000_000
"""Bytes of text of an as-run log or a context, decompressed: 2,000 a row."""
LONGEST = 366 * 86_400.0
"""Seconds; a longer airing or moment is a mistake."""
DEFAULT_LENGTH = 30.0
"""Seconds of a spot whose length the log does not say: the usual one."""
ASSIGNMENTS = ("randomised holdout", "randomised timing")


def read_airings(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    broadcast_day_start: str | None = None,
    frame_rate: float | None = None,
) -> pd.DataFrame:
    """Read an as-run or spot log: one row an airing.

    Parameters
    ----------
    data
        Path (CSV, TSV, JSON lines, plain or .gz or .zst; Parquet, Feather, Excel) or a DataFrame.
    columns
        ``{role: column}`` where the names say too little. Roles: airing, start, planned (the actual time wins), date
        (beside clock times), length_s, end, regions, feed (East, West), break_id, creative, network, spend,
        impressions, value, margin, assignment, status (what did not air is left out), zone (a time zone a row).
    tz
        Zone of times that carry none. Hours 24 to 29 are those of the next day.
    broadcast_day_start
        When the dates are broadcast days: the hour they begin, e.g. ``"06:00"``; earlier hours are of the next day.
    frame_rate
        Frames a second of codes like ``20:41:13:12`` that count since midnight; by default they are a clock.

    Returns
    -------
    pd.DataFrame
        The canonical airings, sorted by start; ``attrs`` hold ``findings`` and ``mapping``.

    Raises
    ------
    ReadError
        When the file cannot be read as airings.

    Examples
    --------
    >>> log = pd.DataFrame({"spot": ["a"], "start": ["2026-02-08 15:41:00"], "cost": ["$1,200"]})
    >>> read_airings(log, tz="America/New_York")[["start", "spend"]].iloc[0].tolist()
    [Timestamp('2026-02-08 20:41:00+0000', tz='UTC'), np.float64(1200.0)]
    """
    how = Stations(tz=tz, day_start=broadcast_day_start, frame_rate=frame_rate)
    with open_source(data, limit=MAX_TEXT) as source:
        ledger = source.ledger
        found = find_columns(ledger, source.columns, AIRING_ALIASES, columns)
        settle_times(found, source.columns, dict(columns or {}), ledger)
        rows, table = load(source, most=MAX_AIRINGS)
    table, rows, sums = clear_furniture(table, rows, found["start"], ledger)
    if not len(rows):
        raise ledger.fail(f"no row is an airing; {count_of(ledger.reported, 'row')} reported")
    start, keep = starts(table, found, how, ledger, rows)
    keep = unaired(table, found, rows, keep, ledger)
    length, keep = _lengths(table, found, start, keep, tz, ledger, rows)
    out = {"start": start, "length_s": length}
    for role in ("airing", "regions", "break_id", "creative", "network", "assignment"):
        if role in found:
            text = labels(table[found[role]])
            out[role] = np.where(text == "(none)", "", text)
    if "creative" in found:
        out["creative"] = tidy_codes(out["creative"], found["creative"], ledger)
    for role in ("spend", "impressions", "value", "margin"):
        if role in found:
            out[role] = _amounts(table, found[role], role, ledger, rows, keep)
    if "spend" in found:
        check_sums(sums, found["spend"], out["spend"], keep, _one_price, ledger)
    frame = pd.DataFrame(out)[keep]
    frame["row"] = rows[keep]
    if "feed" in found and "airing" in found:
        frame["airing"] = with_feeds(frame["airing"].astype("str"), labels(table[found["feed"]])[keep])
    frame["start"] = pd.DatetimeIndex(frame["start"].to_numpy().view("datetime64[ns]")).tz_localize("UTC")
    frame = _tidy(frame.sort_values(["start", "row"], ignore_index=True), ledger)
    frame.attrs = {"findings": list(ledger.findings()), "mapping": dict(ledger.mapping)}
    return normalise(frame, "airings")


def read_context(
    data: str | Path | pd.DataFrame, *, columns: Mapping[str, Any] | None = None, tz: str | None = None
) -> pd.DataFrame:
    """Read what the analyst declares: breaks and organic moments.

    Returns
    -------
    pd.DataFrame
        kind ("break" or "organic"), start, end, label; sorted by start. A row of another kind, or one that ends before
        it starts, is reported and left out. Parameters and errors are those of :func:`read_airings`.
    """
    with open_source(data, limit=MAX_TEXT) as source:
        ledger = source.ledger
        found = find_columns(ledger, source.columns, CONTEXT_ALIASES, columns, needed=("start",))
        if "end" not in found and "length_s" not in found:
            raise ledger.fail("no column for end; name it with columns={'end': ...} or give a length in seconds")
        rows, table = load(source, most=MAX_AIRINGS)
    start, keep = times(table, found["start"], tz, ledger, rows)
    length, keep = _lengths(table, found, start, keep, tz, ledger, rows)
    end = start + np.where(keep, np.round(np.where(keep, length, 0) * 1e9), 0).astype(np.int64)
    if "kind" in found:
        kind = np.array([str(k).lower() for k in labels(table[found["kind"]])], dtype=object)
        other = keep & ~np.isin(kind.astype(str), ["break", "organic"])
        drop(
            ledger,
            table,
            found["kind"],
            rows,
            other,
            "is neither break nor organic",
            "left out",
            "an undeclared moment may be taken for an effect",
        )
        keep &= ~other
    else:
        kind = np.full(len(rows), "break", dtype=object)
        ledger.note("note", "no column for kind", mend="all rows are read as breaks")
    text = labels(table[found["label"]]) if "label" in found else np.full(len(rows), "", dtype=object)
    frame = pd.DataFrame(
        {
            "kind": kind[keep],
            "start": pd.DatetimeIndex(start[keep].view("datetime64[ns]")).tz_localize("UTC"),
            "end": pd.DatetimeIndex(end[keep].view("datetime64[ns]")).tz_localize("UTC"),
            "label": text[keep],
        }
    ).sort_values("start", kind="stable", ignore_index=True)
    frame.attrs = {"findings": list(ledger.findings()), "mapping": dict(ledger.mapping)}
    return normalise(frame, "context")


def _lengths(
    table: pa.Table,
    found: dict[str, Any],
    start: np.ndarray,
    keep: np.ndarray,
    tz: str | None,
    ledger: Ledger,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in seconds, by a column of lengths or of ends; rows that end before they start are left out."""
    if "length_s" in found:
        name = found["length_s"]
        column = table[name]
        length, odd = _durations(column, name, ledger)
        wrong = keep & (odd | (length <= 0) | (length > LONGEST))
    elif "end" in found:
        name = found["end"]
        end, _ = find_clock(table[name], name=name, tz=tz, ledger=ledger).read(table[name])
        length = np.where(end == NAT, np.nan, (end - start) / 1e9)
        wrong = keep & ((length <= 0) | (length > LONGEST))
    else:
        ledger.note(
            "note",
            "no column for the length",
            mend=f"taken as {DEFAULT_LENGTH:g} s; name it with columns={{'length_s': ...}}",
        )
        return np.full(len(rows), DEFAULT_LENGTH), keep
    drop(
        ledger,
        table,
        name,
        rows,
        wrong,
        "gives no length between 0 and a year: it ends before it starts, or is no duration",
        "left out",
        "this row takes no part in the analysis",
    )
    keep = keep & ~wrong
    none = keep & np.isnan(length)
    if none.any():
        ledger.note(
            "note",
            f"{count_of(int(none.sum()), 'row')} without a length",
            rows=", ".join(map(str, rows[none][:8])),
            mend=f"taken as {DEFAULT_LENGTH:g} s",
        )
    return np.where(np.isnan(length), DEFAULT_LENGTH, length), keep


def _durations(column: Any, name: str, ledger: Ledger) -> tuple[np.ndarray, np.ndarray]:
    """Read ``30``, ``30s``, ``0:30``, ``:30`` or ``00:00:30`` as seconds, and tell the cells that are none of these."""
    text = pd.Series(labels(column), dtype="str")
    clock = text.str.fullmatch(r"(\d{1,2}:)?\d{0,2}:\d{2}(\.\d+)?")
    worded = text.str.fullmatch(r"\d+(\.\d+)?\s*(s|sec|min|m|h)")
    if pa.types.is_duration(column.type):
        length = column.to_pandas().dt.total_seconds().to_numpy()
        odd = np.zeros(len(length), bool)
    elif clock.any() or worded.any():
        padded = text.str.replace(r"^:", "0:", regex=True)
        written = padded.where(~clock, "00:" + padded).str.replace(r"^00:(\d+:\d+:)", r"\1", regex=True)
        length = pd.to_timedelta(written.where(clock | worded), errors="coerce").dt.total_seconds().to_numpy()
        plain = pd.to_numeric(text.where(~(clock | worded)), errors="coerce").to_numpy()
        length = np.where(np.isnan(length), plain, length)
        odd = np.isnan(length) & (text != "(none)").to_numpy()
    else:
        length, odd = numbers(column, name=name, ledger=ledger)
    return length, odd


def _amounts(table: pa.Table, name: str, role: str, ledger: Ledger, rows: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Money and numbers of an airing; what cannot be right is unknown, and said."""
    if role in {"spend", "value"}:
        value, odd, _ = read_prices(table[name], name=name, ledger=ledger)
    else:
        value, odd = numbers(table[name], name=name, ledger=ledger)
    with np.errstate(invalid="ignore"):
        wrong = keep & (odd | np.isinf(value) | (value < 0) | ((value > 1) if role == "margin" else False))
    if wrong.any():
        shown = ", ".join(f"{rows[i]} ({table[name][int(i)].as_py()!r})" for i in np.flatnonzero(wrong)[:8])
        ledger.note(
            "warning",
            f"column {name!r}: {count_of(int(wrong.sum()), 'value')} cannot be a {role}",
            rows=f"rows {shown}",
            harm=f"no figure that needs the {role} of these airings",
            mend="read as unknown; the airing is kept",
        )
    return np.where(wrong, np.nan, value)


def _one_price(text: str) -> float:
    return float(read_prices(pa.array([text]), name="", ledger=Ledger("")).value[0])


def _tidy(frame: pd.DataFrame, ledger: Ledger) -> pd.DataFrame:
    """Names for airings without one, no name twice, regions as ``a|b``, known assignments only."""
    frame = frame.copy()
    for role in ("airing", "regions"):
        frame[role] = (frame[role] if role in frame else pd.Series("", index=frame.index)).astype("str")
    frame["regions"] = frame["regions"].map(
        lambda text: "|".join(p.strip() for p in str(text).replace(";", "|").split("|") if p.strip())
    )
    same = frame.duplicated([c for c in frame.columns if c != "row"]) & (frame["airing"] != "")
    ledger.drop(
        frame["row"].to_numpy()[same],
        column="",
        values=frame["airing"][same],
        reason="repeats an earlier airing",
        mend="left out",
    )
    frame = frame[~same].reset_index(drop=True)
    nameless = frame["airing"] == ""
    if nameless.any():
        frame.loc[nameless, "airing"] = [f"airing-{i + 1}" for i in np.flatnonzero(nameless)]
        ledger.note(
            "note",
            f"{count_of(int(nameless.sum()), 'airing')} without a name",
            mend="named airing-1, airing-2, ... by time",
        )
    twice = frame["airing"].duplicated(keep="first")
    if twice.any():
        shown = ", ".join(frame["airing"][twice].unique()[:8])
        names = frame["airing"]
        while names.duplicated().any():
            order = names.groupby(names).cumcount() + 1
            names = names.where(order == 1, names + " (" + order.astype("str") + ")")
        frame["airing"] = names
        ledger.note(
            "note",
            f"{count_of(int(twice.sum()), 'airing')} share a name with another",
            rows=shown,
            mend="numbered: name (2), name (3)",
        )
    if "assignment" in frame:
        frame["assignment"] = _assignments(frame["assignment"], ledger)
    return frame.drop(columns="row")


def _assignments(written: pd.Series, ledger: Ledger) -> pd.Series:
    """Keep the declared assignments that are known; others are said and count as none."""
    clean = written.str.lower().str.replace("randomized", "randomised").str.strip()
    odd = (clean != "") & ~clean.isin(ASSIGNMENTS)
    if odd.any():
        ledger.note(
            "warning",
            f"{count_of(int(odd.sum()), 'airing')} with an unknown assignment",
            rows=", ".join(written[odd].unique()[:8]),
            harm="counts as not randomised",
            mend=f"write {' or '.join(ASSIGNMENTS)}",
        )
    return clean.where(~odd, "")
