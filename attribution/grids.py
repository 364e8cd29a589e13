"""Laying the cells of a table on a grid of bins; differencing counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.cells import coded, numbers
from attribution.counts import Counts
from attribution.moments import NAT, find_clock
from attribution.tables import SHOWN, count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from attribution.tables import Ledger

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Values with their keys: time (ns UTC), codes of region, channel and device, the number, the row of the file."""

    time: np.ndarray
    key: np.ndarray
    value: np.ndarray
    row: np.ndarray
    at: np.ndarray
    """(n,) int: where the row stands in the table that was read (rows left out before have no place in it)."""
    blank: np.ndarray
    """(n,) bool: the cell is named by the file, but its value is unknown (reported)."""
    regions: tuple[str, ...]
    channels: tuple[str, ...]
    devices: tuple[str, ...]
    growing: np.ndarray
    """(R,) bool: the counter of this region is cumulative."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes of the three label axes."""
        return len(self.regions), len(self.channels), len(self.devices)

    @classmethod
    def of(
        cls,
        table: pa.Table,
        found: dict[str, Any],
        counted: Sequence[str],
        growing: Sequence[bool],
        moments: np.ndarray,
        keep: np.ndarray,
        rows: np.ndarray,
        ledger: Ledger,
    ) -> Cells:
        """Take the cells out of a long table, or one column a region out of a wide one; wrong ones are reported."""
        wide = len(counted) > 1
        coding = []
        for role in ("region", "channel", "device"):
            own = role in found and not (wide and role == "region")
            coding.append(coded(table[found[role]]) if own else (np.zeros(len(rows), np.int64), ("all",)))
        (region, regions), (channel, channels), (device, devices) = coding
        parts = []
        for position, (name, grows) in enumerate(zip(counted, growing, strict=True)):
            value, blank = _values(table, name, keep, rows, ledger, grows=grows)
            if wide:
                region = np.full(len(rows), position)
            key = (region * len(channels) + channel) * len(devices) + device
            parts.append((moments[keep], key[keep], value[keep], rows[keep], np.flatnonzero(keep), blank[keep]))
        regions = tuple(counted) if wide else regions
        flags = np.array(growing) if wide else np.full(len(regions), growing[0])
        time, key, value, row, at, blank = (np.concatenate(part) for part in zip(*parts, strict=True))
        return cls(
            time=time,
            key=key,
            value=value,
            row=row,
            at=at,
            blank=blank,
            regions=regions,
            channels=channels,
            devices=devices,
            growing=flags,
        )


def _values(
    table: pa.Table, name: str, keep: np.ndarray, rows: np.ndarray, ledger: Ledger, *, grows: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of one column, NaN where they cannot be counts, and which are blank."""
    value, odd = numbers(table[name], name=name, ledger=ledger)
    none = np.isnan(value) & ~odd
    with np.errstate(invalid="ignore"):
        infinite = np.isinf(value) | (np.abs(value) > 1e15)
        negative = (value < 0) & ~infinite
        fractional = ~none & ~odd & ~infinite & ~negative & (np.abs(value - np.round(value)) > 1e-6)
    usable = keep & ~none & ~odd
    if not grows and (fractional & usable).sum() > 0.5 * max(usable.sum(), 1):
        example = value[usable & fractional][0]
        what = f"column {name!r} holds fractions (e.g. {example:g}), not counts"
        raise ledger.fail(f"{what}; name the counts with columns={{'count': ...}}")
    if (odd & keep).sum() > 0.5 * max(keep.sum(), 1):
        example = table[name][int(np.flatnonzero(odd & keep)[0])].as_py()
        raise ledger.fail(
            f"column {name!r} holds text (e.g. {example!r}), not counts; name the counts with columns={{'count': ...}}"
        )
    for reason, mask in (
        ("is empty", none),
        ("is not a number", odd),
        ("is not finite", infinite),
        ("is negative", negative),
        ("is not a whole number", fractional),
    ):
        bad = np.flatnonzero(mask & keep)
        ledger.drop(
            rows[bad],
            column=name,
            values=[table[name][int(i)].as_py() for i in bad[:SHOWN]],
            reason=reason,
            mend="the bin is unknown",
            harm="unknown bins widen the interval",
        )
    blank = none | odd | infinite | negative | fractional
    return np.where(blank, np.nan, np.round(value)), blank


def lay_out(
    cells: Cells,
    table: pa.Table,
    found: dict[str, Any],
    width: float | None,
    ledger: Ledger,
    most: int,
    *,
    tz: str | None,
    spare: Sequence[str],
    absent: str = "",
) -> Counts:
    """Place cells in bins: the step is found, missing bins are NaN, repeated keys are settled and said.

    ``absent`` names the kind of export that leaves out rows of 0: what it does not hold is 0.
    """
    ordered = len(cells.time) < 2 or bool((np.diff(cells.time) > 0).all())
    starts, index = (cells.time, np.arange(len(cells.time))) if ordered else np.unique(cells.time, return_inverse=True)
    given = _given_widths(table, found, cells, starts, index, ledger, tz)
    step, widths = _step(starts, width, given, tz, ledger)
    grid, place = _regular(starts, step, given, ledger, most // max(int(np.prod(cells.shape)), 1), tz)
    shape = (len(grid), *cells.shape)
    if float(len(grid)) * np.prod([float(n) for n in cells.shape]) > most:
        raise ledger.fail(
            f"{shape[0]:,} bins x {shape[1]:,} regions x {shape[2]:,} channels x {shape[3]:,} devices; "
            f"at most {most:,} cells: wider bins, a shorter span or fewer labels"
        )
    size = int(np.prod(cells.shape))
    cell = place[index] * size + cells.key
    values = np.full(len(grid) * size, np.nan)
    good = ~cells.blank
    good = _settle(cell, good, cells, values, ledger, spare)
    if absent:
        _zeros(cell, values, ledger, absent)
    values = values.reshape(shape)
    if not absent:
        _absent(cell, values, ledger)
    full = np.full(len(grid), step / SECOND)
    full[place] = widths
    ends = grid[1:] - grid[:-1]
    full[:-1] = np.minimum(full[:-1], ends / SECOND)
    if not absent:
        _gaps(starts, full, place, grid, values, ledger)
    completeness = np.where(np.isnan(values).any(axis=(2, 3)), np.nan, 1.0)
    return Counts(
        start=grid.view("datetime64[ns]"),
        width=full,
        values=values,
        completeness=completeness,
        regions=cells.regions,
        channels=cells.channels,
        devices=cells.devices,
    )


def _zeros(cell: np.ndarray, values: np.ndarray, ledger: Ledger, export: str) -> None:
    """Read cells that an export leaves out as 0."""
    named = np.zeros(values.size, bool)
    named[cell] = True
    values[~named] = 0.0
    if not named.all():
        ledger.note(
            "note",
            f"{count_of(int((~named).sum()), 'cell')} absent: {export} leaves out what is 0",
            harm="an outage, or a threshold for small numbers, would look the same",
            mend="read as 0",
        )


def _absent(cell: np.ndarray, values: np.ndarray, ledger: Ledger) -> None:
    """Channels and devices that a bin of a region leaves out, while it names others, had nothing to count."""
    named = np.zeros(values.size, bool)
    named[cell] = True
    named = named.reshape(values.shape)
    absent = ~named & named.any(axis=(2, 3), keepdims=True)
    if absent.any():
        values[absent] = 0.0
        ledger.note(
            "warning",
            f"{count_of(int(absent.sum()), 'cell')} of channel and device absent in bins that have others",
            harm="if they were lost, not empty, counts are too low",
            mend="read as 0: exports leave out what is empty",
        )


def _given_widths(
    table: pa.Table,
    found: dict[str, Any],
    cells: Cells,
    starts: np.ndarray,
    index: np.ndarray,
    ledger: Ledger,
    tz: str | None,
) -> np.ndarray | None:
    """Widths the file states (ns), by bin; an end before its start is refused."""
    at = cells.at
    if "width" in found:
        value, _ = numbers(table[found["width"]], name=found["width"], ledger=ledger)
        wide = value[at] * SECOND
    elif "end" in found:
        ends, _ = find_clock(table[found["end"]], name=found["end"], tz=tz, ledger=ledger).read(table[found["end"]])
        wide = np.where(ends[at] == NAT, np.nan, ends[at] - cells.time.astype(float))
    else:
        return None
    bad = np.flatnonzero(~((wide > 0) & (wide <= 400 * DAY)))
    if len(bad):
        raise ledger.fail(
            f"row {int(cells.row[bad[0]])} ends before it starts, or has no width (or one of years); correct column "
            f"{found.get('width', found.get('end'))!r}"
        )
    out = np.zeros(len(starts))
    out[index] = wide
    return np.round(out).astype(np.int64)


def _step(
    starts: np.ndarray, width: float | None, given: np.ndarray | None, tz: str | None, ledger: Ledger
) -> tuple[int, np.ndarray]:
    """Usual width of a bin (ns) and the width of each (s)."""
    gaps = np.diff(starts)
    if width is not None:
        step = round(width * SECOND)
    elif given is not None:
        step = int(np.median(given))
    elif len(gaps) == 0:
        raise ledger.fail('one moment only; the width of its bin is unknown: give width=, e.g. width="60s"')
    else:
        sizes, many = np.unique(gaps, return_counts=True)
        step = int(sizes[np.argmax(many)])
        if many.max() < 0.2 * len(gaps):
            ledger.note(
                "warning",
                "the steps between bins vary",
                rows=f"from {sizes[0] / SECOND:g} s to {sizes[-1] / SECOND:g} s",
                harm="widths are uncertain, and so are rates",
                mend="give width=, or read one row an event with read_events",
            )
    if step < SECOND - 1000 and width is None and given is None:
        raise ledger.fail(
            f"bins of {step / SECOND:g} s; the narrowest is 1 s: are these events? read_events counts them"
        )
    if not 0 < step <= DAY + 3600 * SECOND:
        raise ledger.fail(f"bins of {step / DAY:g} days; the widest is one day")
    wide = np.full(len(starts), step) if given is None else given
    if (wide[:-1] > gaps + 1).any() and not (tz and step >= 23 * 3600 * SECOND):
        short = int((wide[:-1] > gaps + 1).sum())
        ledger.note(
            "warning",
            f"{count_of(short, 'bin')} narrower than the usual {step / SECOND:g} s",
            rows=", ".join(_when(s) for s in starts[:-1][wide[:-1] > gaps + 1][:SHOWN]),
            harm="rates of these bins are uncertain",
            mend="each ends where the next begins",
        )
    return step, wide / SECOND


def _regular(
    starts: np.ndarray, step: int, given: np.ndarray | None, ledger: Ledger, most: int, tz: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """All bins, missing ones included, and where each start stands among them."""
    if len(starts) < 2:
        return starts, np.arange(len(starts))
    if tz and tz != "UTC" and abs(step - DAY) <= 3600 * SECOND:
        local = pd.DatetimeIndex(starts.view("datetime64[ns]")).tz_localize("UTC").tz_convert(tz)
        days = pd.date_range(local[0], local[-1], freq="D").as_unit("ns").asi8
        if np.isin(starts, days).all():
            return days, np.searchsorted(days, starts)
    span = int(starts[-1] - starts[0]) // step + 1
    fits = given is None and not ((starts - starts[0]) % step).any()
    if fits and span <= most:
        return starts[0] + np.arange(span) * step, (starts - starts[0]) // step
    if fits:
        ledger.note(
            "warning",
            f"{span:,} bins from first to last, too many to lay out",
            harm="bins between are unknown",
            mend="only the bins of the file are kept; is one date wrong?",
        )
        return starts, np.arange(len(starts))
    return _filled(starts, step, given, most)


def _filled(starts: np.ndarray, step: int, given: np.ndarray | None, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Off the grid: whole missing bins are put in after each bin, as many as fit before the next one."""
    wide = np.full(len(starts), step) if given is None else given
    room = np.maximum((np.diff(starts) - wide[:-1]) // step, 0)
    if room.sum() + len(starts) > most:
        return starts, np.arange(len(starts))
    place = np.concatenate([[0], np.cumsum(room + 1)])
    origin = np.repeat(np.arange(len(starts)), np.append(room + 1, 1))
    rank = np.arange(len(origin)) - place[origin]
    grid = starts[origin] + np.where(rank > 0, wide[origin] + (rank - 1) * step, 0)
    return grid, place


def _settle(
    cell: np.ndarray, good: np.ndarray, cells: Cells, values: np.ndarray, ledger: Ledger, spare: Sequence[str]
) -> np.ndarray:
    """Write values into their cells; a key met twice is summed, kept once or unknown, and always said."""
    order = np.argsort(cell, kind="stable") if (np.diff(cell) <= 0).any() else np.arange(len(cell))
    order = order[good[order]]
    keys = cell[order]
    again = np.concatenate([[False], keys[1:] == keys[:-1]]) if len(keys) else np.zeros(0, bool)
    if not again.any():
        values[keys] = cells.value[order]
        return good
    heads = np.flatnonzero(~again)
    low = np.minimum.reduceat(cells.value[order], heads)
    high = np.maximum.reduceat(cells.value[order], heads)
    if spare and not cells.growing.any():
        values[keys[heads]] = np.add.reduceat(cells.value[order], heads)
        ledger.note(
            "note",
            f"{count_of(int(again.sum()), 'row')} share time and labels with another",
            mend=f"summed; they differ in columns not read ({', '.join(spare[:SHOWN])})",
        )
        return good
    values[keys[heads]] = np.where(low == high, low, np.nan)
    group = np.cumsum(~again) - 1
    clash = (low != high)[group]
    for mask, reason, mend in (
        (again & ~clash, "repeats an earlier row", "counted once"),
        (clash, "is one of several rows for the same bin with other counts", "the bin is unknown"),
    ):
        at = order[mask]
        ledger.drop(
            cells.row[at],
            column="",
            values=cells.value[at],
            reason=reason,
            mend=mend,
            harm="unknown bins widen the interval" if reason[0:2] == "is" else "",
        )
    return good


def _gaps(
    starts: np.ndarray, full: np.ndarray, place: np.ndarray, grid: np.ndarray, values: np.ndarray, ledger: Ledger
) -> None:
    """Say which bins the file does not have."""
    put_in = np.ones(len(grid), bool)
    put_in[place] = False
    step = float(np.median(full))
    steps = np.diff(starts) / SECOND
    wide = np.flatnonzero(steps > np.maximum(1.5 * step, 1.001 * full[place[:-1]]))
    if len(wide):
        spans = [
            f"{_when(int(starts[i]) + round(float(full[place[i]]) * SECOND))} to {_when(int(starts[i + 1]))}"
            for i in wide[:SHOWN]
        ]
        ledger.note(
            "warning",
            f"{count_of(len(wide), 'gap')} in time, {count_of(int(put_in.sum()), 'bin')} missing",
            rows=", ".join(spans) + (f" and {len(wide) - SHOWN} more" if len(wide) > SHOWN else ""),
            harm="what happened there is unknown",
            mend="NaN, not 0; write a 0 where nothing was counted",
        )
    partly = int((np.isnan(values).any(axis=(1, 2, 3)) & ~put_in).sum())
    if partly and values.shape[1] > 1:
        ledger.note("note", f"{count_of(partly, 'bin')} without a count in some region", mend="NaN, not 0")


def _when(moment: int) -> str:
    return str(np.int64(moment).view("datetime64[ns]"))[:19] + "Z"
