"""What an event is, batches of events, and counting events into bins: in memory, or by DuckDB out of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Names behind the codes of a batch: code ``i`` of a dimension is the label at position ``i``."""

    sources: tuple[str, ...] = ("feed",)
    regions: tuple[str, ...] = ("all",)
    channels: tuple[str, ...] = ("all",)
    devices: tuple[str, ...] = ("all",)
    kinds: tuple[str, ...] = ("conversion",)


_COLUMNS = {
    "time": np.int64,
    "seq": np.uint64,
    "source": np.uint16,
    "region": np.uint16,
    "channel": np.uint8,
    "device": np.uint8,
    "kind": np.uint8,
    "weight": np.float32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """Events as columns of equal length; row ``i`` of each is event ``i``.

    Attributes
    ----------
    time
        (n,) int64: when it happened, nanoseconds since 1970, UTC.
    seq
        (n,) uint64: running number given by the source; gaps are lost events, repeats are duplicates.
    source, region, channel, device, kind
        (n,) codes (uint16, uint16, uint8, uint8, uint8) into ``labels``.
    weight
        (n,) float32: what the event carries (a value, an amount); counting ignores it.
    labels
        The names behind the codes.
    """

    time: np.ndarray
    seq: np.ndarray
    source: np.ndarray
    region: np.ndarray
    channel: np.ndarray
    device: np.ndarray
    kind: np.ndarray
    weight: np.ndarray
    labels: Labels

    def __post_init__(self) -> None:
        n = len(self.time)
        for name, dtype in _COLUMNS.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != (n,):
                raise ValueError(f"{name} is {column.dtype} of shape {column.shape}; give {np.dtype(dtype)} of ({n},)")

    def __len__(self) -> int:
        return len(self.time)

    def to_arrow(self) -> pa.Table:
        """Arrow table: time (timestamp[ns], UTC), source, seq, region, channel, device, kind (dictionaries), weight."""
        labels = self.labels

        def named(codes: np.ndarray, names: tuple[str, ...]) -> pa.DictionaryArray:
            return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, type=pa.string()))

        return pa.table(
            {
                "time": pa.array(self.time).cast(pa.timestamp("ns", tz="UTC")),
                "source": named(self.source, labels.sources),
                "seq": pa.array(self.seq),
                "region": named(self.region, labels.regions),
                "channel": named(self.channel, labels.channels),
                "device": named(self.device, labels.devices),
                "kind": named(self.kind, labels.kinds),
                "weight": pa.array(self.weight),
            }
        )


def bin_batch(
    batch: EventBatch, *, start: np.datetime64, n: int, width_s: float = 1.0, kind: str = "conversion"
) -> np.ndarray:
    """Count the events of one kind in ``n`` equal half-open bins from ``start``.

    Parameters
    ----------
    batch
        The events, in any order.
    start
        Begin of the first bin, UTC.
    n
        Number of bins; events outside of them are not counted.
    width_s
        Width of a bin, seconds.
    kind
        Label of the kind to count.

    Returns
    -------
    (n, R, C, K) int64
        Events per bin, region, channel and device.

    Raises
    ------
    ValueError
        When no kind of the batch has that label.

    Examples
    --------
    >>> one = np.zeros(1, np.uint8)
    >>> wide = one.astype(np.uint16)
    >>> batch = EventBatch(time=np.array([1_500_000_000]), seq=np.array([1], np.uint64), source=wide, region=wide,
    ...                    channel=one, device=one, kind=one, weight=np.ones(1, np.float32), labels=Labels())
    >>> bin_batch(batch, start=np.datetime64(0, "ns"), n=3).ravel()
    array([0, 1, 0])
    """
    labels = batch.labels
    if kind not in labels.kinds:
        near = get_close_matches(kind, labels.kinds, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"kind is {kind!r}; this batch has {', '.join(labels.kinds)}{hint}")
    shape = (n, len(labels.regions), len(labels.channels), len(labels.devices))
    width = round(width_s * 1e9)
    if width <= 0:
        raise ValueError(f"width_s is {width_s}; choose a width above 0 seconds")
    row = (batch.time - start.astype("datetime64[ns]").astype(np.int64)) // width
    keep = (row >= 0) & (row < n) & (batch.kind == labels.kinds.index(kind))
    cell = row[keep]
    for codes, size in ((batch.region, shape[1]), (batch.channel, shape[2]), (batch.device, shape[3])):
        cell = cell * size + codes[keep]
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


CELL = pa.schema(
    [("bin", pa.int64()), *((name, pa.string()) for name in ("region", "channel", "device", "kind", "id"))]
)
"""What :func:`aggregate` takes of an event: the number of its bin, its labels, and an id where repeats are removed."""


def aggregate(
    batches: Iterable[pa.RecordBatch], *, distinct: bool = False, memory: str = "400MB", temp: str | None = None
) -> tuple[pa.Table, int]:
    """Count events by bin and labels; DuckDB keeps within ``memory`` and spills to ``temp``.

    Parameters
    ----------
    batches
        Record batches of schema :data:`CELL`; taken one at a time.
    distinct
        Count each id once: its first bin.

    Returns
    -------
    table, repeats
        bin, region, channel, device, kind, n; and how many events repeated an id.
    """
    caught: list[BaseException] = []

    def guarded() -> Iterable[pa.RecordBatch]:
        try:
            yield from batches
        except BaseException as error:  # DuckDB would turn it into text; it is raised again below
            caught.append(error)
            raise

    settings = {"memory_limit": memory, "threads": 2, "preserve_insertion_order": False}
    with duckdb.connect(config=settings | ({"temp_directory": temp} if temp else {})) as engine:
        with suppress(duckdb.InvalidInputException):  # without ipywidgets a notebook has no bar to switch off
            engine.execute("SET enable_progress_bar = false")
        engine.register("events", pa.RecordBatchReader.from_batches(CELL, guarded()))
        labels = "region, channel, device, kind"
        rows = "events"
        if distinct:
            rows = (
                f"(SELECT min(bin) bin, {', '.join(f'arg_min({c}, bin) {c}' for c in labels.split(', '))}, count(*) m "
            )
            rows += "FROM events GROUP BY id)"
        many = "sum(m - 1)::BIGINT" if distinct else "0::BIGINT"
        try:
            table = engine.sql(
                f"SELECT bin, {labels}, count(*) n, {many} repeats FROM {rows} GROUP BY bin, {labels} ORDER BY ALL"  # noqa: S608
            ).to_arrow_table()
        except duckdb.Error:
            if caught:
                raise caught[0] from None
            raise
    repeats = int(np.sum(table["repeats"].to_numpy())) if table.num_rows else 0
    return table, repeats
