"""A stream in parts, each counted by one owner at a time: what goes where, and what an owner holds in memory.

Nothing here knows a broker, a disk or a clock. A partition is a pure function of the messages of its part of the
stream, in their order; two owners at once hold the same, and the one that may write it is told by the broker.
"""

from __future__ import annotations

import zlib
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from attribution.stream import wire
from attribution.stream.asides import KEPT, Aside, aside
from attribution.stream.book import SECOND, Book, Rules
from attribution.stream.snapshots import Snapshot, pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MOST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What everybody at a stream agrees on; it is written down when the stream is made.

    Attributes
    ----------
    partitions
        Into how many the stream is cut; it stays so.
    block_s
        Seconds of a block of history.
    save_s
        Between two snapshots of a partition: what a new owner counts again.
    rules
        How long seconds stay open.
    """

    partitions: int = 8
    block_s: int = 60
    save_s: float = 0.5
    rules: Rules = field(default_factory=lambda: Rules(past_s=86_400.0))

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= MOST:
            raise ValueError(f"partitions is {self.partitions}; choose from 1 to {MOST}")
        if not 1 <= self.block_s <= 3600:
            raise ValueError(f"block_s is {self.block_s}; choose whole seconds from 1 to 3600")
        if not 0.01 <= self.save_s <= 60:
            raise ValueError(f"save_s is {self.save_s}; choose from 0.01 to 60 s")


def home(source: str, partitions: int) -> int:
    """Partition of a source: always the same one, so that one owner sees all its numbers.

    Examples
    --------
    >>> home("collector-1", 8) == home("collector-1", 8)
    True
    """
    return zlib.crc32(source.encode()) % partitions


def split(frame: wire.Frame, partitions: int) -> Iterator[tuple[int, wire.Frame]]:
    """Yield the parts of a frame, each with its partition."""
    place = _homes(frame.labels.sources, partitions)[frame.rows["source"]]
    used = np.flatnonzero(np.bincount(place)).tolist()
    if len(used) <= 1:
        yield from ((partition, frame) for partition in used)
        return
    for partition in used:
        yield partition, replace(frame, rows=frame.rows[place == partition])


@lru_cache(maxsize=64)
def _homes(sources: tuple[str, ...], partitions: int) -> np.ndarray:
    return np.array([home(source, partitions) for source in sources], dtype=np.int64)


def share(partitions: int, workers: Collection[str], me: str) -> set[int]:
    """Partitions of a worker: each goes to the worker with the highest number drawn for both.

    When a worker comes or goes, only what it gets or had changes hands.

    Examples
    --------
    >>> parts = [share(8, ["a", "b"], name) for name in ("a", "b")]
    >>> parts[0] | parts[1] == set(range(8)), parts[0] & parts[1]
    (True, set())
    """
    return {p for p in range(partitions) if max(workers, key=lambda name: (_drawn(p, name), name)) == me}


def _drawn(partition: int, name: str) -> int:
    """Finish a checksum as MurmurHash3 does (its finaliser): neighbours then share nothing."""
    h = zlib.crc32(f"{name}/{partition}".encode())
    h = (h ^ h >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    h = (h ^ h >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return h ^ h >> 16


class Partition:
    """What an owner holds of its part of the stream.

    Parameters
    ----------
    plan
        Of the stream.
    saved
        Where to go on from.

    Attributes
    ----------
    book
        What was counted.
    position
        Place in the stream, up to which it was.
    filed
        Block -> revision under which it was written last.
    asides
        Places and messages that could not be read, until their owner has kept them elsewhere.

    Examples
    --------
    >>> frame, _ = wire.lines(b'{"time": 100.5, "seq": 1, "epoch": 1}')
    >>> part = Partition(Plan())
    >>> part.take(wire.frame(frame), 1, 101_000_000_000), part.take(b"poison", 2, 101_000_000_000)
    (1, 0)
    >>> part.position, part.book.totals["received"], dict(part.book.aside)
    (2, 1, {'not a frame': 1})
    """

    def __init__(self, plan: Plan, saved: Snapshot | None = None) -> None:
        self.plan = plan
        self.book = Book(plan.rules, dict(saved.state) if saved else None)
        self.position = saved.position if saved else 0
        self._closed: dict[int, np.ndarray] = dict(saved.closed) if saved else {}
        self._added: dict[int, np.ndarray] = dict(saved.added) if saved else {}
        self.filed: dict[int, int] = dict(saved.filed) if saved else {}
        self._window: dict[int, np.ndarray] = dict(saved.window) if saved else {}
        self.asides: deque[tuple[int, Aside]] = deque(maxlen=KEPT)
        self._due: dict[int, dict[int, np.ndarray]] = {}
        for second, row in self._window.items():
            self.book.tallies.put(second, row)

    def take(self, body: bytes, position: int, at: int) -> int:
        """Count a message of the stream; returns its events. One that cannot be read whole is set aside whole.

        Parameters
        ----------
        body
            Frames, one behind the other.
        position
            Its place in the stream; one that was counted before is passed over.
        at
            When the broker took it in, ns.
        """
        if position <= self.position:
            return 0
        self.position = position
        try:
            frames = [wire.decode(part) for part in wire.parts(body)]
        except wire.Unreadable as error:
            self.book.aside[error.reason] += 1
            self.asides.append((position, aside(at, error.reason, str(error), body)))
            return 0
        for frame in frames:
            self.book.apply(frame, at)
        return sum(map(len, frames))

    def wanted(self) -> list[int]:
        """Blocks whose seconds were revised, and which :meth:`lay` has to bring before they can be written anew."""
        seconds = {*self._added, *self.book.tallies.added} - set(self._closed)
        return sorted({second // self.plan.block_s for second in seconds} & set(self.filed))

    def lay(self, block: int, rows: dict[int, np.ndarray]) -> None:
        """Bring the rows of a block back: from now on the snapshot holds them."""
        for second in self._seconds(block):
            if second in rows and second not in self._closed:
                self._closed[second] = rows[second]
            if second in self._added:
                self._closed[second] = _sum(self._closed.get(second), self._added.pop(second))

    def snapshot(self, token: str) -> bytes:
        """Everything as it is now, as one record that is about to be written."""
        horizon = (self.book.now // SECOND - round(self.book.rules.past_s)) // self.plan.block_s - 1
        for block in [block for block in self.filed if block < horizon]:
            del self.filed[block]  # no event can revise it
        tallies = self.book.tallies
        self._closed, self._added = self._gathered()
        self._window = {second: row for second, row in self._window.items() if second >= tallies.base}
        tallies.left, tallies.added = {}, {}
        self._due = self._over()
        return self.look(token)

    def look(self, token: str) -> bytes:
        """Everything as it is now, as one record to look at."""
        closed, added = self._gathered()
        return pack(
            Snapshot(
                token=token,
                position=self.position,
                state=self.book.state(),
                window=dict(self.book.tallies.open_seconds()),
                closed=closed,
                added=added,
                filed=self.filed,
            )
        )

    @property
    def due(self) -> dict[int, dict[int, np.ndarray]]:
        """Blocks that are over and whole in the last snapshot, with their rows: to be written once that is."""
        return self._due

    @property
    def unfiled(self) -> bool:
        """Whether seconds are over that no block holds yet, or no snapshot."""
        tallies, block_s = self.book.tallies, self.plan.block_s
        ready = any((second // block_s + 1) * block_s <= tallies.base for second in self._closed)
        return ready or bool(tallies.left or tallies.added)

    def file(self, block: int, revision: int) -> None:
        """Note that a block of :attr:`due` is written; the next snapshot no longer holds its rows."""
        self.filed[block] = revision
        for second in self._seconds(block):
            self._closed.pop(second, None)

    def _over(self) -> dict[int, dict[int, np.ndarray]]:
        blocks: defaultdict[int, dict[int, np.ndarray]] = defaultdict(dict)
        for second, row in self._closed.items():
            blocks[second // self.plan.block_s][second] = row
        base = self.book.tallies.base
        return {block: rows for block, rows in blocks.items() if (block + 1) * self.plan.block_s <= base}

    def _gathered(self) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Rows of closed seconds, and what is added to those in blocks: with what left the window since."""
        tallies, closed, added = self.book.tallies, dict(self._closed), dict(self._added)
        n = len(tallies.slots)
        left = {second: row for second, row in self._window.items() if second < tallies.base}  # as it was restored
        for second, row in (left | tallies.left).items():
            closed[second] = _sum(closed.get(second), row[:n])
        for second, row in tallies.added.items():
            filed = second // self.plan.block_s in self.filed and second not in closed
            kept = added if filed else closed
            kept[second] = _sum(kept.get(second), row[:n])
        return closed, added

    def _seconds(self, block: int) -> range:
        return range(block * self.plan.block_s, (block + 1) * self.plan.block_s)


def _sum(row: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    if row is None:
        return more.copy()
    total = np.zeros(max(len(row), len(more)), np.int64)
    total[: len(row)] += row
    total[: len(more)] += more
    return total
