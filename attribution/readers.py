"""Counts and other series from any file: long or wide tables, cumulative counters, event files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from attribution.cells import coded, is_text, labels, missing, numbers
from attribution.counters import difference
from attribution.exports import swept, zone_of
from attribution.grids import Cells, lay_out
from attribution.intake import MAX_CELLS, MAX_REGIONS, choose_kind, drop, finish, times
from attribution.settings import seconds
from attribution.sources import Source, load, open_source
from attribution.tables import (
    CHANNEL,
    COUNT,
    CUMULATIVE,
    DEVICE,
    END,
    KIND,
    MEASURES,
    MENTIONS,
    REGION,
    SHOWN,
    TIME,
    VIEWERS,
    WIDTH,
    Ledger,
    find_columns,
    near,
    plain,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from attribution.counts import Counts

MAX_ROWS = 20_000_000
"""Rows of a table of counts. Measured: 5 million rows of Parquet take 2-4 s and .6 GB, so this is near 3 GB."""
MAX_TEXT = 2_000_000_000
"""Bytes of text of a table of counts (decompressed), about MAX_ROWS rows of 100 bytes."""


def read_counts(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    cumulative: bool | str | Sequence[str] = False,
    width: str | float | None = None,
    kind: str | None = None,
) -> Counts:
    """Read a table of counts, long (time, region, channel, device, count) or wide (one column a region).

    Parameters
    ----------
    data
        Path (CSV, TSV, JSON lines, plain or .gz or .zst; Parquet, Feather, Excel) or a DataFrame.
    columns
        ``{role: column}`` where the names say too little. Roles: time, count (a list of columns: one a region), region,
        channel, device, kind, width, end.
    tz
        Zone of times that carry none, e.g. ``"America/New_York"``.
    cumulative
        The counts only grow, and are differenced; or the names of the columns that do. Columns called ``..._cum`` are
        known by their name. A bin holds what came between its start and the next reading.
    width
        Width of a bin; by default the most common step.
    kind
        Which kind of event to keep, where a column tells them apart.

    Returns
    -------
    Counts
        NaN where the file is silent or wrong; ``findings`` account for every row, ``mapping`` for every column read.

    Raises
    ------
    ReadError
        When the file cannot be read as counts; the message says why and what to do.

    Examples
    --------
    >>> table = pd.DataFrame({"minute_utc": ["2026-02-08 20:41", "2026-02-08 20:42"], "conversions": [3, 4]})
    >>> read_counts(table).total.ravel()
    array([3., 4.])
    """
    with open_source(data, limit=MAX_TEXT) as source:
        return _read(source, COUNT, columns, tz, cumulative, width, kind)


def read_social(
    data: str | Path | pd.DataFrame, *, columns: Mapping[str, Any] | None = None, tz: str | None = None
) -> pd.DataFrame:
    """Read a social feed: counts of posts or mentions by time, and by region where it has them.

    Returns
    -------
    pd.DataFrame
        time, width_s, region ("all" when none), count; unknown bins are NaN. Parameters are those of
        :func:`read_counts`; ``attrs`` hold ``findings`` and ``mapping``.
    """
    with open_source(data, limit=MAX_TEXT) as source:
        counts = _read(source, MENTIONS, columns, tz, False, None, None)
    t, r = counts.total.shape
    frame = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(np.repeat(counts.start, r)).tz_localize("UTC"),
            "width_s": np.repeat(counts.width, r),
            "region": np.tile(np.array(counts.regions, dtype=object), t).astype(str),
            "count": counts.total.ravel(),
        }
    ).astype({"region": "str"})
    frame.attrs = {"findings": list(counts.findings), "mapping": dict(counts.mapping)}
    return frame


def read_audience(
    data: str | Path | pd.DataFrame, *, columns: Mapping[str, Any] | None = None, tz: str | None = None
) -> pd.DataFrame:
    """Read concurrent viewers by time, and by region where the file has them.

    Returns
    -------
    pd.DataFrame
        time, region ("all" when none), viewers; a negative or absent figure is unknown and left out.
        ``attrs`` hold ``findings`` and ``mapping``.
    """
    aliases = {"time": TIME, "viewers": VIEWERS, "region": REGION}
    with open_source(data, limit=MAX_TEXT) as source:
        ledger = source.ledger
        found = find_columns(ledger, source.columns, aliases, columns, needed=("time", "viewers"))
        rows, table = load(source, most=MAX_ROWS)
    moments, keep = times(table, found["time"], tz, ledger, rows)
    value, odd = numbers(table[found["viewers"]], name=found["viewers"], ledger=ledger)
    bad = {
        "is not a number": odd,
        "is empty": np.isnan(value) & ~odd,
        "is negative or infinite": ~np.isnan(value) & ((value < 0) | np.isinf(value)),
    }
    for reason, mask in bad.items():
        drop(ledger, table, found["viewers"], rows, keep & mask, reason, "left out")
        keep &= ~mask
    region = labels(table[found["region"]]) if "region" in found else np.full(len(rows), "all", object)
    frame = pd.DataFrame(
        {
            "time": pd.DatetimeIndex(moments[keep].view("datetime64[ns]")).tz_localize("UTC"),
            "region": region[keep].astype(str),
            "viewers": value[keep],
        }
    ).astype({"region": "str"})
    frame = frame.sort_values(["time", "region"], kind="stable", ignore_index=True)
    frame.attrs = {"findings": list(ledger.findings()), "mapping": dict(ledger.mapping)}
    return frame


def _read(
    source: Source,
    names: Sequence[str],
    columns: Mapping[str, Any] | None,
    tz: str | None,
    cumulative: bool | str | Sequence[str],
    width: str | float | None,
    kind: str | None,
) -> Counts:
    given = dict(columns or {})
    source, columns, export = swept(source, given) if names is COUNT else (source, given, None)
    ledger = source.ledger
    tz = zone_of(export, tz, ledger)
    aliases = {
        "time": TIME,
        "count": names,
        "region": REGION,
        "channel": CHANNEL,
        "device": DEVICE,
        "kind": KIND,
        "width": WIDTH,
        "end": END,
    }
    summed = [cumulative] if isinstance(cumulative, str) else [] if isinstance(cumulative, bool) else list(cumulative)
    chosen = {role: column for role, column in columns.items() if role in aliases or export is None or role in given}
    if summed and "count" not in chosen:
        chosen["count"] = summed
    found = find_columns(ledger, source.columns, aliases, chosen, needed=("time",))
    rows, table = load(source, most=MAX_ROWS)
    counted = _counted(table, found, names, ledger)
    wide = len(counted) > 1
    growing = _growing(counted, cumulative, summed, ledger)
    if wide:
        ledger.unit, ledger.read = "cell", ledger.read * len(counted)
    moments, keep = times(table, found["time"], tz, ledger, rows, repeat=len(counted))
    keep &= _kinds(table, found, kind, keep, ledger, rows, len(counted))
    cells = Cells.of(table, found, counted, growing, moments, keep, rows, ledger)
    if len(cells.regions) > MAX_REGIONS:
        raise ledger.fail(f"{len(cells.regions):,} regions; at most {MAX_REGIONS:,}: group them into markets")
    grid = lay_out(
        cells,
        table,
        found,
        seconds(width, name="width") if width is not None else export.width if export else None,
        ledger,
        MAX_CELLS,
        tz=tz,
        spare=_spare(table, found, counted),
        absent=export.name if export and export.zeros else "",
    )
    counts = difference(grid, cells, ledger) if any(growing) else grid
    return finish(replace(counts, kind=kind or ("conversion" if names is COUNT else "mention")), ledger)


def _growing(
    counted: Sequence[str], cumulative: bool | str | Sequence[str], summed: Sequence[str], ledger: Ledger
) -> list[bool]:
    """Which of the counted columns are cumulative, by the caller's word or by their name."""
    unknown = [name for name in summed if name not in counted]
    if unknown:
        raise ledger.fail(f"cumulative names {unknown[0]!r}, which is not read as a count{near(unknown[0], counted)}")
    if cumulative is not False:
        return [cumulative is True or name in summed for name in counted]
    growing = [bool(CUMULATIVE.search(name)) for name in counted]
    for name, grows in zip(counted, growing, strict=True):
        if grows:
            ledger.note("note", f"column {name!r} is cumulative by its name", mend="differenced")
    return growing


def _counted(table: pa.Table, found: dict[str, Any], names: Sequence[str], ledger: Ledger) -> list[str]:
    """Columns that hold the counts: the one named or known, or the regions of a wide table."""
    if "count" in found:
        return [found["count"]] if isinstance(found["count"], str) else list(found["count"])
    taken = set(found.values())
    rest = [name for name in table.column_names if name not in taken]
    growing = [name for name in rest if CUMULATIVE.search(name) and plain(CUMULATIVE.sub("", name)) in names]
    if growing:
        found["count"] = growing[0]
        ledger.mapping["count"] = growing[0]
        return growing[:1]
    numeric, other = [], []
    for name in rest:
        column = table[name]
        value, odd = numbers(column[:1000], name=name, ledger=Ledger(ledger.name))
        fits = not odd.mean() > 0.5 and (not np.isnan(value).all() or missing(column).all() or len(column) > 1000)
        (numeric if fits and not pa.types.is_temporal(column.type) else other).append(name)
    measures = [name for name in numeric if plain(name) in MEASURES or CUMULATIVE.search(name)]
    if not numeric or measures:
        some = ", ".join(map(repr, (numeric or rest)[:SHOWN]))
        why = f"several columns could be the count: {some}" if numeric else "no column of counts"
        raise ledger.fail(f"{why}; name it with columns={{'count': ...}} (a list is read as one region a column)")
    if other:
        ledger.note("note", f"columns not read: {', '.join(map(repr, other[:SHOWN]))}", mend="they hold no numbers")
    ledger.mapping["count"] = ", ".join(numeric)
    if len(numeric) > 1:
        ledger.note(
            "note",
            f"a wide table: each of {len(numeric)} columns is a region",
            rows=", ".join(numeric[:SHOWN]),
            mend="columns={'count': ...} reads fewer",
        )
    return numeric


def _spare(table: pa.Table, found: dict[str, Any], counted: list[str]) -> list[str]:
    """Columns that were not read but may tell rows apart."""
    taken = {*(v for v in found.values() if isinstance(v, str)), *counted}
    return [
        name
        for name in table.column_names
        if name not in taken and is_text(table[name]) and plain(name) not in MEASURES and plain(name) not in TIME
    ]


def _kinds(
    table: pa.Table,
    found: dict[str, Any],
    kind: str | None,
    keep: np.ndarray,
    ledger: Ledger,
    rows: np.ndarray,
    repeat: int,
) -> np.ndarray:
    if "kind" not in found:
        if kind is not None:
            raise ledger.fail(
                f"kind is {kind!r}, but no column tells kinds apart; name it with columns={{'kind': ...}}"
            )
        return keep
    codes, names = coded(table[found["kind"]])
    chosen, _ = choose_kind(names, kind, True, ledger)
    other = keep & ~np.isin(codes, chosen)
    drop(
        ledger,
        table,
        found["kind"],
        np.repeat(rows, repeat),
        np.repeat(other, repeat),
        "is another kind",
        "not counted; kind= chooses",
        repeat=repeat,
    )
    return ~other
