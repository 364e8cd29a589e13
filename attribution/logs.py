"""Event files of any size, one row an event, counted into bins."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from attribution.cells import coded
from attribution.counts import Counts
from attribution.events import CELL, aggregate
from attribution.exports import swept, zone_of
from attribution.intake import check_size, choose_kind, drop, finish
from attribution.moments import NAT, Clock, find_clock
from attribution.settings import seconds
from attribution.sources import Source, guarded, open_source
from attribution.tables import CHANNEL, DEVICE, KIND, REGION, TIME, Ledger, count_of, find_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd


def read_events(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    width: str | float = "1s",
    kind: str | None = None,
    memory: str = "400MB",
    temp: str | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Counts:
    """Read a file with one row an event and count it into bins; the file is never whole in memory.

    Parameters
    ----------
    data, columns, tz
        As in :func:`read_counts`; roles are time, region, channel, device, kind and id (only if named: repeats of an
        id are then counted once).
    width
        Width of the bins, .1 s to a day.
    kind
        Which kind to count. By default the one called conversion, purchase, order, ... if there is one, else all.
    memory, temp
        DuckDB's memory limit and the directory it spills to.
    progress
        Called with the share of the file read and the rows so far, about ten times a second. By default a bar on
        the terminal, where there is one, once the reading takes longer than 2 s.

    Raises
    ------
    ReadError
        As in :func:`read_counts`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = pd.DataFrame({"ts": [1770583260, 1770583260, 1770583262]})
    >>> read_events(log).total.ravel()
    array([2., 0., 1.])
    """
    step = round(seconds(width, name="width") * 1e9)
    if progress is None and sys.stderr is not None and sys.stderr.isatty():
        progress = progress_bar()
    with open_source(data) as opened:
        source, columns, export = swept(opened, columns)
        ledger = source.ledger
        if not 100_000_000 <= step <= 86_400_000_000_000:
            raise ledger.fail(f"width is {width!r}; choose .1 s to one day")
        aliases = {"time": TIME, "region": REGION, "channel": CHANNEL, "device": DEVICE, "kind": KIND, "id": ()}
        found = find_columns(ledger, source.columns, aliases, columns, needed=("time",))
        stream = _Stream(source, found, zone_of(export, tz, ledger), step, progress)
        table, repeats = aggregate(stream.cells(), distinct="id" in found, memory=memory, temp=temp)
    if table.num_rows == 0:
        raise ledger.fail(
            f"no row with a time; {count_of(ledger.reported, 'row')} reported: {ledger.findings()[0].what}"
        )
    ledger.drop_many(repeats, column=str(found.get("id", "")), values=[], reason="repeats an id", mend="counted once")
    many = table["n"].to_numpy()
    kinds, kind_names = coded(table["kind"])
    chosen, label = choose_kind(kind_names, kind, "kind" in found, ledger)
    keep = np.isin(kinds, chosen)
    ledger.drop_many(
        int(many[~keep].sum()),
        column=str(found.get("kind", "")),
        values=[n for i, n in enumerate(kind_names) if i not in chosen],
        reason="is another kind",
        mend="not counted; kind= chooses",
    )
    ledger.note(
        "note",
        "bins without an event hold 0: an event file is taken as a complete log",
        mend="outages show as runs of zeros and are reported",
    )
    counts = laid_out(table.filter(pa.array(keep)), many[keep], step, label, ledger)
    return finish(counts, ledger)


def laid_out(table: pa.Table, many: np.ndarray, step: int, kind: str, ledger: Ledger) -> Counts:
    """Lay counted cells on a full grid of bins, from the first event to the last."""
    codes = [coded(table[name]) for name in ("region", "channel", "device")]
    bins = table["bin"].to_numpy()
    first, shape = int(bins.min()), (int(bins.max() - bins.min()) + 1, *(len(names) for _, names in codes))
    check_size(shape, ledger)
    values = np.zeros(shape)
    np.add.at(values, (bins - first, *(c for c, _ in codes)), many)
    return Counts(
        start=((np.arange(shape[0]) + first) * step).view("datetime64[ns]"),
        width=np.full(shape[0], step / 1e9),
        values=values,
        completeness=np.ones(shape[:2]),
        regions=codes[0][1],
        channels=codes[1][1],
        devices=codes[2][1],
        kind=kind,
    )


def progress_bar() -> Callable[[float, int], None]:
    """Make a progress function that draws a line on a terminal's stderr once a reading takes longer than 2 s."""
    began = time.monotonic()

    def draw(share: float, rows: int) -> None:
        if time.monotonic() - began > 2:
            done = int(30 * share)
            end = "\n" if share >= 1 else ""
            sys.stderr.write(f"\rreading [{'#' * done}{'.' * (30 - done)}] {share:4.0%} {rows:,} rows{end}")
            sys.stderr.flush()

    return draw


class _Stream:
    """Batches of an event file on their way to DuckDB: times become bins, failures go to the ledger."""

    def __init__(
        self,
        source: Source,
        found: dict[str, Any],
        tz: str | None,
        step: int,
        progress: Callable[[float, int], None] | None,
    ) -> None:
        self.source, self.found, self.tz, self.step, self.progress = source, found, tz, step, progress
        self.clock: Clock | None = None

    def cells(self) -> Iterator[pa.RecordBatch]:
        """Yield one batch of cells per batch of rows."""
        wanted = list(dict.fromkeys(self.found.values()))
        told = time.monotonic()
        for rows, batch in guarded(self.source, wanted):
            yield self._cell(rows, batch)
            if self.progress is not None and time.monotonic() - told > 0.1:
                told = time.monotonic()
                self.progress(self.source.done(), self.source.ledger.read)
        if self.progress is not None:
            self.progress(1.0, self.source.ledger.read)

    def _cell(self, rows: np.ndarray, batch: pa.RecordBatch) -> pa.RecordBatch:
        ledger, name = self.source.ledger, self.found["time"]
        column = batch.column(name)
        if self.clock is None:
            self.clock = find_clock(column, name=name, tz=self.tz, ledger=ledger)
        moments, bad = self.clock.read(column)
        for reason, mask in bad.items():
            drop(ledger, batch, name, rows, mask, reason, "left out")
        good = moments != NAT
        arrays: list[pa.Array] = [pa.array(moments[good] // self.step)]
        keep = None if good.all() else pa.array(good)
        for role in ("region", "channel", "device", "kind", "id"):
            if role in self.found:
                text = batch.column(self.found[role])
                text = text if text.type == pa.string() else text.cast(pa.string())
                text = text if keep is None else text.filter(keep)
                arrays.append(text.fill_null("(none)"))
            else:
                arrays.append(pa.repeat(pa.scalar("all"), len(arrays[0])))
        return pa.RecordBatch.from_arrays(arrays, schema=CELL)
