"""The partitions of a stream put together again: their snapshots and blocks -> one book, whose rows become Counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.stream.book import Book, Rules
from attribution.stream.readout import to_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attribution.counts import Counts
    from attribution.stream.snapshots import Snapshot
    from attribution.stream.tallies import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What all partitions together have counted.

    Attributes
    ----------
    book
        Names, numbers and totals of all of them; not to be gone on with.
    rows
        Second since 1970 -> its row.
    positions
        Partition -> place in the stream at which it was read.
    """

    book: Book
    rows: Mapping[int, np.ndarray]
    positions: Mapping[int, int]

    def counts(self, first: int, last: int, *, kind: str = "conversion") -> Counts:
        """Return the counts of the seconds ``[first, last)`` since 1970."""
        return to_counts(self.rows, self.book, first, last, kind=kind)


def needed(snapshot: Snapshot, first: int, last: int, block_s: int) -> dict[int, int]:
    """Blocks that hold seconds of ``[first, last)``, with the revision that the snapshot goes with.

    A block that is about to be written anew is not among them: the snapshot then holds all of it.
    """
    held = {second // block_s for second in snapshot.closed}
    return {
        block: revision
        for block, revision in snapshot.filed.items()
        if block not in held and block * block_s < last and (block + 1) * block_s > first
    }


def rows_of(
    snapshot: Snapshot, blocks: Iterable[Mapping[int, np.ndarray]], first: int, last: int
) -> dict[int, np.ndarray]:
    """Rows of a partition in ``[first, last)``: what the snapshot holds goes before what its blocks hold."""
    found: dict[int, np.ndarray] = {}
    for rows in (*blocks, snapshot.closed, snapshot.window):
        found.update(rows)
    for second, more in snapshot.added.items():
        before = found.get(second, more[:0])
        found[second] = more.copy()
        found[second][: len(before)] += before
    return {second: row for second, row in found.items() if first <= second < last}


def gather(parts: Mapping[int, tuple[Snapshot, Mapping[int, np.ndarray]]], rules: Rules) -> Reading:
    """Add partitions up.

    Parameters
    ----------
    parts
        Partition -> its snapshot, and rows of its seconds.
    rules
        Of the stream.

    Examples
    --------
    >>> from attribution.stream import wire
    >>> from attribution.stream.partitions import Partition, Plan
    >>> from attribution.stream.snapshots import unpack
    >>> parts = {}
    >>> for place, source in enumerate((b"a", b"b")):
    ...     part = Partition(Plan())
    ...     frame, _ = wire.lines(b'{"time": 100, "seq": 2, "epoch": 1, "source": "%s"}' % source)
    ...     _ = part.take(wire.frame(frame), 1, 101_000_000_000)
    ...     snapshot = unpack(part.snapshot("once"))
    ...     parts[place] = snapshot, rows_of(snapshot, [], 0, 200)
    >>> reading = gather(parts, Rules())
    >>> reading.counts(100, 101).values.ravel(), reading.book.gaps.dropped, reading.book.totals["received"]
    (array([2.]), 2, 2)
    """
    places: dict[Slot, int] = {}
    rows: dict[int, np.ndarray] = {}
    moved = []
    for snapshot, _ in parts.values():
        slots: Sequence[Slot] = snapshot.state["slots"]
        moved.append(np.array([places.setdefault(slot, len(places)) for slot in slots], dtype=np.int64))
    for (_, own), move in zip(parts.values(), moved, strict=True):
        for second, row in own.items():
            total = rows.setdefault(second, np.zeros(len(places), np.int64))
            total[move[: len(row)]] += row
    book = Book(rules, _state([snapshot.state for snapshot, _ in parts.values()], list(places)))
    return Reading(book=book, rows=rows, positions={p: snapshot.position for p, (snapshot, _) in parts.items()})


def _state(states: list[Mapping[str, Any]], slots: list[Slot]) -> dict[str, Any]:
    """One state of many; what waits for its time is left with its partition."""
    regions = sorted({region for state in states for region in state["regions"]})
    tracks: list[Any] = []
    high, last, intervals, serves, unnumbered = [], [], [], [], []
    for state in states:
        n, gaps = len(tracks), state["gaps"]
        region = np.array([regions.index(name) for name in state["regions"]], dtype=np.int64)
        pairs = np.asarray(state["serves"], dtype=np.int64).reshape(-1, 2)
        serves.append(np.column_stack([pairs[:, 0] + n, region[pairs[:, 1]]]))
        unnumbered.append(np.asarray(state["unnumbered"], dtype=np.int64) + n)
        intervals.append(gaps["intervals"] + np.array([n, 0, 0, 0]))
        high.append(gaps["high"])
        last.append(gaps["last"])
        tracks += state["tracks"]
    none = np.zeros(0, np.int64)
    return {
        "now": max((state["now"] for state in states), default=0),
        "slots": slots,
        "tracks": tracks,
        "regions": regions,
        "totals": sum((Counter(state["totals"]) for state in states), Counter()),
        "aside": sum((Counter(state["aside"]) for state in states), Counter()),
        "gaps": {
            "high": np.concatenate([none, *high]),
            "last": np.concatenate([none, *last]),
            "intervals": np.concatenate([none.reshape(0, 4), *intervals]),
        },
        "held": np.zeros((6, 0), np.int64),
        "serves": np.concatenate([none.reshape(0, 2), *serves]),
        "unnumbered": np.concatenate([none, *unnumbered]),
    }
