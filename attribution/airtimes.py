"""When airings began: dates and clock times of an as-run log as moments in UTC."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported; a static reader does not see them

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from attribution.broadcast import CLOCK, DAY, Clocks, day_start_ns, read_clocks, zone_named
from attribution.cells import is_text, labels
from attribution.intake import drop
from attribution.moments import EXCEL, EXCEL_ZERO, NAT, ZONED, find_clock, localise
from attribution.tables import SHOWN, Ledger, count_of, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.cells import Column

SPLIT = re.compile(r"(?P<date>.*?\S)(?:[T\s]|,\s)\s*(?P<clock>\d{1,2}:\d{2}.*)")
"""A date and a time of the day in one cell."""
SERIAL = re.compile(r"\d+(\.\d+)?")
EAST, WEST = "America/New_York", "America/Los_Angeles"
SMALL_HOURS = 6 * 3600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stations:
    """How a log writes its times.

    Attributes
    ----------
    tz
        Zone of times that carry none.
    day_start
        The hour the broadcast day begins, e.g. ``"06:00"``; None: dates are the calendar's.
    frame_rate
        Frames a second of non-drop codes that count from midnight; None: codes are clocks.
    """

    tz: str | None
    day_start: str | None = None
    frame_rate: float | None = None


def air_times(
    table: pa.Table,
    columns: tuple[str, str | None],
    zones: tuple[str | None, str | None],
    how: Stations,
    ledger: Ledger,
    rows: np.ndarray,
) -> dict[str, np.ndarray]:
    """Read one column of times of an as-run log.

    Parameters
    ----------
    columns
        The column of times, and the one of dates beside it, if there is one.
    zones
        Columns that say the zone of each row, and the feed (East, West).

    Returns
    -------
    dict
        ``ns`` (n,) int: nanoseconds UTC, ``NAT`` where none; every other entry is a reason (a clause) and the rows it
        holds for.

    Raises
    ------
    ReadError
        When no row has a time, or times carry no zone and none is given.
    """
    name, dates = columns
    texts = _texts(table[name])
    zoned = np.array([re.search(ZONED, text) is not None for text in texts])
    out = np.full(len(rows), NAT)
    if zoned.any():
        out[zoned] = find_clock(pa.array(np.array(texts)[zoned]), name=name, tz=None, ledger=ledger).read(
            pa.array(np.array(texts)[zoned])
        )[0]
    day, clocks, bad = _parts(texts, None if dates is None else _texts(table[dates]), zoned, columns, how, ledger)
    start = day_start_ns(how.day_start)
    wall = np.where(day == NAT, NAT, day + clocks.ns)
    early = (day != NAT) & clocks.good & ~clocks.late & (clocks.ns < start)
    wall[early] += DAY
    if start == 0:
        _broadcast_days(day, clocks, dates or name, ledger)
    zone, odd = _zones(table, zones, how, clocks, wall, ledger)
    bad["names no time zone"] = odd & ~zoned
    known = (wall != NAT) & ~odd & ~zoned
    bare = known & (zone == "")
    if bare.any():
        raise ledger.fail(
            f"the times of column {name!r} carry no zone ({texts[int(np.flatnonzero(bare)[0])]}); "
            'give tz=, e.g. tz="America/New_York" or tz="UTC"'
        )
    for one in sorted(set(zone[known])):
        mine = known & (zone == one)
        out[mine], gap, twice = localise(wall[mine], one)
        for reason, mask in (
            ("does not exist: the clock was put forward", gap),
            ("exists twice: the clock was put back", twice),
        ):
            bad.setdefault(reason, np.zeros(len(rows), bool))[mine] |= mask
    first, last = pd.Timestamp("1971-01-01").value, pd.Timestamp("2200-01-01").value
    far = (out != NAT) & ((out < first) | (out >= last))
    bad["lies outside 1971-2199"] = far
    out[far] = NAT
    return {"ns": out} | {reason: mask for reason, mask in bad.items() if mask.any()}


def dropped(
    found: dict[str, np.ndarray],
    table: pa.Table,
    name: str,
    ledger: Ledger,
    rows: np.ndarray,
    *,
    told: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Report the rows without a time that were not told before: (nanoseconds, kept)."""
    moments, seen = found["ns"], np.zeros(len(rows), bool) if told is None else told.copy()
    for reason, mask in found.items():
        if reason != "ns":
            drop(ledger, table, name, rows, mask & ~seen, reason, "left out", "this airing is not judged")
            seen |= mask
    rest = (moments == NAT) & ~seen
    drop(
        ledger, table, name, rows, rest, "is not a time in the column's format", "left out", "this airing is not judged"
    )
    if not (moments != NAT).any():
        raise ledger.fail(f"no row has a time in column {name!r}; the first problem: {ledger.findings()[0].what}")
    return moments, moments != NAT


def dates_beside(columns: Sequence[str], name: str, chosen: str | None) -> str | None:
    """Find the column of dates that belongs to a column of times: of the same first word, else the one found."""
    word = plain(re.split(r"[\s_\-.]", name.strip())[0])
    for other in columns:
        text = plain(other)
        if other != name and text.startswith(word) and text.endswith("date") and len(word) > 3:
            return other
    return chosen if chosen != name else None


def needs(table: pa.Table, name: str, dates: str | None, how: Stations) -> bool:
    """Whether a column of times is more than whole times of one zone: clock times, frames, a broadcast day, numbers."""
    if how.day_start is not None or how.frame_rate is not None:
        return True
    column = table[name]
    if not is_text(column):
        return dates is not None and (pa.types.is_floating(column.type) or pa.types.is_time(column.type))
    texts = _texts(column)
    if any(re.search(r"\d{2}[;:,]\d{2}$", t) and t.count(":") + t.count(";") + t.count(",") > 2 for t in texts):
        return True
    if any(re.search(r"\d\s*[A-Z]{2,3}$", t) and not re.search(r"(UTC|GMT|[AP]M)$", t) for t in texts):
        return True
    return dates is not None and any(CLOCK.fullmatch(t) or (SERIAL.fullmatch(t) and float(t) < 2) for t in texts)


def _texts(column: Column) -> list[str]:
    if pa.types.is_date(column.type):
        column = pc.strftime(column.cast(pa.timestamp("s")), format="%Y-%m-%d")
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.string())
    return ["" if text == "(none)" else str(text) for text in labels(column)]


def _parts(
    texts: list[str], dates: list[str] | None, zoned: np.ndarray, names: tuple[str, str | None], how: Stations,
    ledger: Ledger,
) -> tuple[np.ndarray, Clocks, dict[str, np.ndarray]]:  # fmt: skip
    """Split each cell into the day (ns of its midnight) and the time of that day."""
    n = len(texts)
    day_text, clock_text, day = np.full(n, "", object), np.full(n, "", object), np.full(n, NAT)
    extra = np.zeros(n, np.int64)
    serial = False
    for i, text in enumerate(texts):
        if not text or zoned[i]:
            continue
        if SERIAL.fullmatch(text):
            value = float(text)
            if EXCEL[0] <= value < EXCEL[1]:
                serial, day[i] = True, EXCEL_ZERO + int(value) * DAY
                extra[i] = _fraction(value - int(value))
                clock_text[i] = "0:00"
            elif value < 1.25 and dates is not None:
                serial, extra[i], clock_text[i], day_text[i] = True, _fraction(value), "0:00", dates[i] or "^"
            continue
        split = None if CLOCK.fullmatch(text) else SPLIT.fullmatch(text)
        if split is not None:
            day_text[i], clock_text[i] = split["date"], split["clock"]
        elif dates is not None:
            day_text[i], clock_text[i] = re.sub(r"[T ]00:00:00(\.0+)?$", "", dates[i]) or "^", text
        else:
            day_text[i] = text
            clock_text[i] = "0:00"
    _above(day_text, names[1], ledger)
    if _days(day, day_text, names, ledger) or serial:
        ledger.note(
            "note",
            f"column {names[0]!r} holds Excel's numbers of days",
            harm="a file of the 1904 system is 4 years off",
            mend="read in the 1900 system",
        )
    clocks = read_clocks([str(text) for text in clock_text], frame_rate=how.frame_rate)
    clocks.ns[:] += extra
    clocks.late[:] |= clocks.ns >= DAY
    _frames(clocks, names[0], how, ledger)
    filled = np.array([bool(text) for text in texts])
    bad = {"is empty": ~filled, "stands beside no date": filled & (day_text == "^") & (day == NAT)}
    bad["is not a time in the column's format"] = (
        filled & ~zoned & ~bad["stands beside no date"] & ((day == NAT) | ~clocks.good)
    )
    day[~clocks.good] = NAT
    return day, clocks, {reason: mask for reason, mask in bad.items() if mask.any()}


def _fraction(part: float) -> int:
    """Nanoseconds of a fraction of a day, to the millisecond: a double holds no more of it."""
    return round(part * 86_400_000) * 1_000_000


def _above(day_text: np.ndarray, dates: str | None, ledger: Ledger) -> None:
    """Let a date that is written once for several rows (a merged cell) hold for the rows below it."""
    last, filled = "", 0
    for i, text in enumerate(day_text):
        if text == "^" and last:
            day_text[i], filled = last, filled + 1
        elif text not in {"", "^"}:
            last = text
    if filled:
        ledger.note(
            "note", f"{count_of(filled, 'row')} without a date in column {dates!r}", mend="taken from the row above"
        )


def _days(day: np.ndarray, day_text: np.ndarray, names: tuple[str, str | None], ledger: Ledger) -> bool:
    """Read the dates, each way of writing once; whether some are Excel's numbers."""
    written = sorted({str(text) for text in day_text if text not in {"", "^"}})
    serials = {t: EXCEL_ZERO + int(float(t)) * DAY for t in written if SERIAL.fullmatch(t) and len(t) < 8
               and EXCEL[0] <= float(t) < EXCEL[1]}  # fmt: skip
    rest = [text for text in written if text not in serials and re.search(r"\d", text)]
    known = dict(serials)
    if rest:
        column = pa.array(rest)
        moments, _ = find_clock(column, name=names[1] or names[0], tz="UTC", ledger=ledger).read(column)
        known |= {text: int(ns // DAY * DAY) for text, ns in zip(rest, moments, strict=True) if ns != NAT}
    for i, text in enumerate(day_text):
        if text in known:
            day[i] = known[text]
    return bool(serials)


def _frames(clocks: Clocks, name: str, how: Stations, ledger: Ledger) -> None:
    drop_frames, others = int((clocks.frames == "drop").sum()), int((clocks.frames == "non-drop").sum())
    if drop_frames:
        ledger.note("note", f"column {name!r} holds drop-frame codes at 29.97", mend="frames counted as time")
    if clocks.absent.any():
        ledger.note(
            "warning", f"{count_of(int(clocks.absent.sum()), 'time')} in drop-frame codes that do not exist",
            harm="they are no codes of 29.97 frames a second; a twentieth of a second may be wrong",
            mend="read as if counted through",
        )  # fmt: skip
    if others and how.frame_rate is None:
        ledger.note(
            "warning",
            f"column {name!r} holds frame codes without drop",
            harm="if they count 29.97 frames a second since midnight, they are behind by 3.6 s an hour",
            mend="read as a clock; frame_rate=29.97 counts them",
        )


def _broadcast_days(day: np.ndarray, clocks: Clocks, name: str, ledger: Ledger) -> None:
    """Warn where small hours follow the evening under the same date: the date is then the broadcast day's."""
    good = np.flatnonzero((day != NAT) & clocks.good)
    a, b = good[:-1], good[1:]
    night = (day[a] == day[b]) & (clocks.ns[a] >= 18 * 3600 * 10**9) & (clocks.ns[b] < SMALL_HOURS)
    named = "broadcast" in plain(name) or "sendetag" in plain(name)
    small = (day != NAT) & clocks.good & (clocks.ns < SMALL_HOURS)
    if night.any() or (named and small.any()):
        ledger.note(
            "warning",
            f"column {name!r} looks like broadcast days: small hours under the evening's date",
            rows=f"{count_of(int(small.sum()), 'airing')} before 06:00",
            harm="those airings are a day early",
            mend='broadcast_day_start="06:00" puts them into the next day',
        )


def _zones(
    table: pa.Table,
    columns: tuple[str | None, str | None],
    how: Stations,
    clocks: Clocks,
    wall: np.ndarray,
    ledger: Ledger,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the zone of each row, and the rows whose zone is none."""
    zone = np.full(len(wall), how.tz or "", object)
    valid = zoneinfo.available_timezones()
    if how.tz is not None and zone_named(how.tz) not in valid:
        raise ledger.fail(f"tz is {how.tz!r}, which is no time zone; write e.g. 'America/New_York'")
    zone[:] = zone_named(how.tz or "")
    if columns[0] is not None:
        written = labels(table[columns[0]])
        zone = np.array(
            [z if text == "(none)" else zone_named(str(text)) for z, text in zip(zone, written, strict=True)]
        )
    zone = np.where(clocks.zones != "", clocks.zones, zone).astype(object)
    if columns[1] is not None and columns[0] is None:
        _feeds(zone, labels(table[columns[1]]), wall, ledger)
    odd = np.array([z != "" and z not in valid for z in zone])
    return zone, odd


def _feeds(zone: np.ndarray, feeds: np.ndarray, wall: np.ndarray, ledger: Ledger) -> None:
    """East and West carry the same at the same local time: where the log writes both alike, West is in its own zone."""
    word = np.array([plain(str(feed))[:1] for feed in feeds])
    east, west = (word == "e") & (wall != NAT), ((word == "w") | (word == "p")) & (wall != NAT)
    if not (east.any() and west.any()):
        return
    same, later = (np.isin(wall[west], wall[east] + shift).mean() for shift in (0, 3 * 3600 * 10**9))
    shown = ", ".join(sorted({str(feed) for feed in feeds})[:SHOWN])
    if same > later:
        zone[east] = np.where(zone[east] == "", EAST, zone[east])
        zone[west] = WEST
        ledger.note("note", f"two feeds ({shown}) write the same times", mend="West is read in Pacific time")
    elif later == 0:
        ledger.note(
            "warning", f"two feeds ({shown}), whose times do not show whether West is in its own zone",
            harm="West may be 3 hours off", mend="all read in one zone; a column of zones (zone) settles it",
        )  # fmt: skip
    else:
        ledger.note("note", f"two feeds ({shown}), West written 3 hours later", mend="all read in one zone")
