"""The cells of one column as moments in UTC: formats, epochs, zones, clock changes."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported; a static reader does not see them

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from attribution.cells import Column, is_text, missing
from attribution.tables import near

if TYPE_CHECKING:
    from attribution.tables import Ledger

NAT = np.iinfo(np.int64).min
FIRST, LAST = pd.Timestamp("1971-01-01").value, pd.Timestamp("2200-01-01").value
"""Moments outside are mistakes: zeros read as 1970, or another unit."""
UNITS = {"seconds": 1_000_000_000, "milliseconds": 1_000_000, "microseconds": 1000, "nanoseconds": 1}
STAMPS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
EXCEL = (20_000, 80_000)
"""Excel's days since 1899-12-30 that are taken for dates: 1954 to 2119."""
EXCEL_ZERO = pd.Timestamp("1899-12-30").value
ZONED = r"(?i)(\d:\d{2}(:\d{2}([.,]\d+)?)?|[T ]\d{2}(\d{2}){0,2})\s*(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
DATES = (
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y"),
)
CLOCKS = (" %H:%M:%S", " %H:%M", "", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S.%f", ", %H:%M:%S", ", %H:%M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How a column writes its times; found once from a sample, then used for every batch.

    Attributes
    ----------
    name
        The column.
    form
        ``typed``, ``iso``, ``excel``, an epoch's unit (``seconds`` ...) or a strptime format.
    zone
        Zone of times that carry none; None where all carry one.
    days
        The times are dates without an hour.
    """

    name: str
    form: str
    zone: str | None
    days: bool = False

    def read(self, column: Column) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Read cells as int64 nanoseconds UTC (``NAT`` where none), with the cells that failed by reason."""
        bad = {"is empty": missing(column)}
        if self.form in UNITS:
            wall, naive = _epoch(column, UNITS[self.form]), np.zeros(len(column), bool)
        else:
            wall, naive = _wall(column, self.form)
        wall[bad["is empty"]] = NAT
        bad["is not a time in the column's format"] = (wall == NAT) & ~bad["is empty"]
        far = (wall != NAT) & ((wall < FIRST) | (wall >= LAST))
        bad["lies outside 1971-2199"] = far
        wall[far] = NAT
        if naive.any() and self.zone is None:
            lost = naive & (wall != NAT)
            bad["carries no zone while others do"] = lost
            wall[lost] = NAT
        elif naive.any() and self.zone != "UTC":
            placed, gap, twice = localise(wall[naive], str(self.zone))
            wall[naive] = placed
            for reason, mask in (
                ("does not exist: the clock was put forward", gap),
                ("exists twice: the clock was put back", twice),
            ):
                full = np.zeros(len(wall), bool)
                full[naive] = mask
                bad[reason] = full
        return wall, {reason: mask for reason, mask in bad.items() if mask.any()}


def find_clock(column: Column, *, name: str, tz: str | None, ledger: Ledger) -> Clock:
    """Find how a column writes its times, and say what was taken for granted.

    Parameters
    ----------
    column
        A sample, or all of it.
    tz
        Zone of times that carry none, e.g. ``"America/New_York"``.

    Raises
    ------
    ReadError
        When the column holds no times, the zone is unknown, or times carry no zone and ``tz`` is not given.
    """
    if tz is not None and tz != "UTC" and tz not in zoneinfo.available_timezones():
        hint = near(tz, zoneinfo.available_timezones())
        raise ledger.fail(f"tz is {tz!r}, which is no time zone; write e.g. 'America/New_York'{hint}")
    full = column.filter(pa.array(~missing(column)))
    if len(full) == 0:
        raise ledger.fail(f"column {name!r} is empty; no times to read")
    form = _find_form(full, name, ledger)
    days = pa.types.is_date(full.type)
    if form in UNITS:
        ledger.note("note", f"column {name!r} holds {form} since 1970", mend="read as such, in UTC")
        return Clock(name=name, form=form, zone=None)
    wall, naive = _wall(full, form)
    good = wall != NAT
    if not good.any():
        raise ledger.fail(f"column {name!r} holds no times, e.g. {full[0].as_py()!r}")
    days = days or bool(naive[good].all() and not np.any(wall[good] % 86_400_000_000_000))
    if not is_text(full):
        days = days and len(full) > 1
    if not naive[good].any():
        if tz is not None and tz != "UTC":
            ledger.note("note", f"the times of column {name!r} carry their zone", mend=f"tz={tz!r} was not needed")
        _offsets(full, name, ledger)
        return Clock(name=name, form=form, zone=None)
    return Clock(name=name, form=form, zone=_zone(full, naive & good, good, name, tz, days, ledger), days=days)


def _zone(
    full: Column, naive: np.ndarray, good: np.ndarray, name: str, tz: str | None, days: bool, ledger: Ledger
) -> str | None:
    """Zone of the times that carry none, and what is said about it."""
    if naive.sum() < good.sum():
        ledger.note(
            "warning",
            f"column {name!r} mixes times with and without a zone",
            harm="a wrong zone moves counts by hours",
            mend=f"those without are read in {tz}" if tz else "those without are left out; give tz= to keep them",
        )
        if tz is None and naive.sum() <= good.sum() / 2:
            return None
    if tz is not None:
        return tz
    if re.search(r"(?i)(^|[^a-z])(utc|gmt)([^a-z]|$)", name) or name.endswith("UTC"):
        ledger.note(
            "note", f"the times of column {name!r} carry no zone", mend="read as UTC, as the column's name says"
        )
        return "UTC"
    if days:
        ledger.note(
            "note", f"column {name!r} holds dates", mend="read as days in UTC; tz= gives the days of another zone"
        )
        return "UTC"
    example = full.filter(pa.array(naive))[0].as_py()
    raise ledger.fail(
        f'the times of column {name!r} carry no zone ({example}); give tz=, e.g. tz="America/New_York" or tz="UTC"'
    )


def localise(wall: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place wall-clock nanoseconds in a zone: (UTC, does not exist, exists twice); ``NAT`` where either."""
    index = pd.DatetimeIndex(wall.view("datetime64[ns]"))
    known = wall != NAT
    placed = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").asi8.copy()
    lost = known & (placed == NAT)
    gap = np.zeros(len(wall), bool)
    if lost.any():
        shifted = index[lost].tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
        gap[lost] = shifted.asi8 != NAT
    return placed, gap, lost & ~gap


def _find_form(full: Column, name: str, ledger: Ledger) -> str:
    kind = full.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "typed"
    if not (is_text(full) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise ledger.fail(f"column {name!r} holds {kind}, which are no times")
    sample = full[:: max(1, len(full) // 500)][:500]
    texts = [str(v).strip() for v in sample.to_pylist()]
    numeric = [t for t in texts if re.fullmatch(r"[+-]?\d+(\.\d*)?(e\+?\d+)?", t)]
    if len(numeric) > len(texts) / 2:
        return _numeric_form(numeric, name, ledger)
    if np.mean(_texts(sample, "iso")[0] != NAT) > 0.5:
        return "iso"
    return _find_format(texts, name, ledger)


def _numeric_form(numeric: list[str], name: str, ledger: Ledger) -> str:
    size = float(np.median([abs(float(t)) for t in numeric]))
    middle = sorted(numeric, key=len)[len(numeric) // 2].split(".")[0]
    form = STAMPS.get(len(middle))
    hours = len(middle) == 10 and re.search(r"(?i)hour", name)
    if form and (len(middle) != 10 or hours):
        try:
            if 1980 <= pd.to_datetime(middle, format=form).year < 2100:
                return form
        except ValueError:
            form = None
    if EXCEL[0] <= size < EXCEL[1] and len({float(t) for t in numeric}) > len(numeric) / 2:
        ledger.note(
            "note", f"column {name!r} holds Excel's numbers of days", harm="a file of the 1904 system is 4 years off",
            mend="read in the 1900 system",
        )  # fmt: skip
        return "excel"
    for unit, scale in UNITS.items():
        if 6e17 <= size * scale <= LAST:
            return unit
    raise ledger.fail(
        f"column {name!r} holds numbers such as {middle}, which are no time; "
        "epochs are seconds, milli-, micro- or nanoseconds since 1970"
    )


def _find_format(texts: list[str], name: str, ledger: Ledger) -> str:
    """Find the strptime format that reads most of a sample; an ambiguous order of day and month is said."""
    series = pd.Series(texts[:200], dtype=object)
    scores: dict[str, float] = {}
    few = texts[:200][:: max(1, len(series) // 16)]
    for form in (date + clock for clock in CLOCKS for date in DATES):
        if not any(_fits(text, form) for text in few):
            continue  # a form that reads more than half of all reads one of these
        read = pd.to_datetime(series, format=form, errors="coerce")
        share = float(read.notna().mean())
        if share > 0.5:
            back = float((read.dropna().diff() < pd.Timedelta(0)).mean()) if share else 1.0
            scores[form] = share - 0.1 * back
    if not scores:
        raise ledger.fail(f"column {name!r} holds no times, e.g. {texts[0]!r}; write them as 2026-02-08T20:41:00Z")
    best = max(scores, key=lambda form: scores[form])
    twin = best.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")
    if twin != best and scores.get(twin) == scores[best]:
        ledger.note(
            "warning",
            f"column {name!r}: day and month cannot be told apart in {texts[0]!r}",
            harm="a wrong order moves counts by months",
            mend=f"read as {best}; write dates as 2026-02-08 to be sure",
        )
    return best


def _fits(text: str, form: str) -> bool:
    """Whether a text may be of this form, told without pandas: a hundred forms are tried on every file."""
    if "%f" in form:
        return "." in text
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it can be read matters
    except ValueError:
        return False
    return True


def _offsets(full: Column, name: str, ledger: Ledger) -> None:
    if is_text(full):
        found = pc.extract_regex(pc.utf8_trim_whitespace(full[:100_000]), r"(?P<z>Z|[+-]\d{2}(?::?\d{2})?)$")
        zones = sorted(str(z) for z in pc.unique(pc.struct_field(found, "z")).to_pylist() if z is not None)
        if len(zones) > 1:
            ledger.note("note", f"column {name!r} mixes the offsets {', '.join(zones[:6])}", mend="all turned into UTC")


def _wall(column: Column, form: str) -> tuple[np.ndarray, np.ndarray]:
    """Read what is no epoch: nanoseconds on the wall, and which cells carry no zone."""
    if form == "typed":
        return _typed(column)
    if form == "excel":
        value = _plain(column)
        good = (value >= EXCEL[0]) & (value < EXCEL[1])
        out = np.full(len(value), NAT)
        out[good] = EXCEL_ZERO + np.round(value[good] * 86_400_000).astype(np.int64) * 1_000_000
        return out, np.ones(len(value), bool)
    return _texts(column, form)


def _plain(column: Column) -> np.ndarray:
    """Read numbers as they stand, NaN where there is none."""
    text = column if is_text(column) else column.cast(pa.string())
    return pd.to_numeric(text.to_pandas(), errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _typed(column: Column) -> tuple[np.ndarray, np.ndarray]:
    zoned = pa.types.is_timestamp(column.type) and column.type.tz is not None
    unit = column.type.unit if pa.types.is_timestamp(column.type) else "s"
    if not pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s"))
    raw = pc.fill_null(column.cast(pa.int64()), NAT).to_numpy(**_copy(column)).copy()
    return _scale(raw, {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]), np.full(len(raw), not zoned)


def _copy(column: Column) -> dict[str, bool]:
    return {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}


def _scale(raw: np.ndarray, scale: int) -> np.ndarray:
    """Multiply into nanoseconds; what would overflow becomes the last representable moment (and is reported as far)."""
    most = (2**63 - 2) // scale
    out = np.clip(raw, -most, most) * scale
    out[raw == NAT] = NAT
    return out


def _epoch(column: Column, scale: int) -> np.ndarray:
    if is_text(column):
        text = pc.utf8_trim_whitespace(column)
        whole = pc.fill_null(pc.match_substring_regex(text, r"^-?\d{1,18}$|^\d{19}$"), False)
        exact = pc.if_else(whole, text, pa.scalar(None, text.type))
        exact = pc.if_else(pc.fill_null(pc.less(pc.utf8_length(exact), 19), False), exact, _below_limit(exact))
        out = _scale(pc.fill_null(exact.cast(pa.int64()), NAT).to_numpy(**_copy(exact)).copy(), scale)
        rest = pc.fill_null(pc.match_substring_regex(text, r"^\d{1,18}\.\d*$|^\d(\.\d*)?[eE]\+?\d{1,2}$"), False)
        if pc.any(rest).as_py():
            floats = pc.if_else(rest, text, pa.scalar(None, text.type)).cast(pa.float64())
            out = np.where(out == NAT, _floats(floats, scale), out)
        return out
    if pa.types.is_integer(column.type):
        if pa.types.is_uint64(column.type):
            column = pc.if_else(
                pc.less(column, pa.scalar(2**63 - 1, pa.uint64())), column, pa.scalar(None, pa.uint64())
            )
        return _scale(pc.fill_null(column.cast(pa.int64()), NAT).to_numpy(**_copy(column)).copy(), scale)
    return _floats(column.cast(pa.float64()), scale)


def _below_limit(text: Column) -> Column:
    """Keep 19 digits only where they fit into int64."""
    fits = pc.fill_null(pc.less_equal(text, str(2**63 - 1)), False)
    return pc.if_else(fits, text, pa.scalar(None, text.type))


def _floats(column: Column, scale: int) -> np.ndarray:
    value = column.to_pandas().to_numpy(dtype=float, na_value=np.nan) * scale
    good = np.isfinite(value) & (np.abs(value) < 9.2e18)
    out = np.full(len(value), NAT)
    out[good] = np.round(value[good]).astype(np.int64)
    return out


def _texts(column: Column, form: str) -> tuple[np.ndarray, np.ndarray]:
    """Wall clock (or UTC where the text carries a zone) in nanoseconds, and which cells carry no zone."""
    text = pc.utf8_trim_whitespace(column if is_text(column) else column.cast(pa.string()))
    shift = np.zeros(len(text), np.int64)
    late = pc.fill_null(pc.match_substring_regex(text, r"[T ](2[4-9]):\d{2}"), False)
    if pc.any(late).as_py():
        text, shift = _next_day(text, late)
    if form == "iso":
        zoned = np.asarray(pc.fill_null(pc.match_substring_regex(text, ZONED), False).to_pandas(), dtype=bool)
        text = pc.replace_substring_regex(text, r"(?i)\s*(UTC|GMT)$", "Z")
        index = pd.to_datetime(text.to_pandas(), format="ISO8601", utc=True, errors="coerce")
        out, naive = _ns(pd.DatetimeIndex(index)), ~zoned
    else:
        series = text.to_pandas().astype(object)
        out, naive = (
            _ns(pd.DatetimeIndex(pd.to_datetime(series, format=form, errors="coerce"))),
            np.ones(len(text), bool),
        )
    return np.where(out == NAT, NAT, out + shift), naive


def _ns(index: pd.DatetimeIndex) -> np.ndarray:
    return _scale(index.asi8.copy(), {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[index.unit])


def _next_day(text: Column, late: Column) -> tuple[Column, np.ndarray]:
    """Hours 24 to 29 of a broadcast day are hours 0 to 5 of the next date."""
    out = text
    for hour in range(24, 30):
        out = pc.replace_substring_regex(out, rf"([T ]){hour}:(\d\d)", r"\1" + f"0{hour - 24}:" + r"\2")
    return out, np.asarray(late.to_pandas(), dtype=bool) * np.int64(86_400_000_000_000)


def joined(times: Column, dates: Column) -> Column | None:
    """Dates and clock times of two columns as one; None where the first column is more than a clock time."""
    if not is_text(times):
        return None
    clock = pc.match_substring_regex(
        pc.utf8_trim_whitespace(times[:1000]), r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$"
    )
    if not pc.any(clock).as_py():
        return None
    if not is_text(dates):
        dates = pc.strftime(dates.cast(pa.timestamp("s")), format="%Y-%m-%d")
    padded = pc.replace_substring_regex(pc.utf8_trim_whitespace(times), r"^(\d):", r"0\1:")
    return pc.binary_join_element_wise(pc.utf8_trim_whitespace(dates), padded, " ")
