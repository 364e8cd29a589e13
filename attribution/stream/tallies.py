"""Counts of the seconds that are still open, in memory; what closed seconds are corrected by; names of both.

A second is one row of whole numbers, and a slot is the name of one of them: a cell (region, channel, device, kind),
what a source delivered or lost, what a region had repeated or late. Rows only grow to the right, so that an old row
stays readable after new labels came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from attribution.stream.gaps import FILLED, NEW, REPEATED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CELL, RECEIVED, MISSING, REPEATS, LATE = "cell", "received", "missing", "repeats", "late"


class Slot(NamedTuple):
    """Name of a number of a second.

    Attributes
    ----------
    what
        ``cell``, ``received`` or ``missing`` (of a source), ``repeats`` or ``late`` (of a region).
    of
        (region, channel, device, kind), (source, epoch) or (region,).
    """

    what: str
    of: tuple[str | int, ...]


class Events(NamedTuple):
    """Events as columns, (n,) int64 each.

    Attributes
    ----------
    second
        Since 1970, UTC.
    seq
        Number given by the source.
    track
        Source and epoch, by their place.
    cell
        Slot of region, channel, device and kind.
    region
        By its place.
    """

    second: np.ndarray
    seq: np.ndarray
    track: np.ndarray
    cell: np.ndarray
    region: np.ndarray


class Names(NamedTuple):
    """Slots: of what each track delivered and lost (T,), of what each region had repeated and late (R,)."""

    received: np.ndarray
    missing: np.ndarray
    repeats: np.ndarray
    late: np.ndarray


class Tallies:
    """Open seconds as a sliding window; a second that left it is changed by additions alone.

    Parameters
    ----------
    width
        How many seconds the window holds.
    slots
        Names known from before, in their order.

    Attributes
    ----------
    slots
        Names of the numbers, in their order.
    base
        First second of the window, since 1970.
    left
        Seconds that left the window since they were last taken: whole rows.
    added
        Additions to seconds before the window since they were last taken.
    """

    def __init__(self, width: int, slots: Sequence[Slot] = ()) -> None:
        self.width = width
        self.slots: list[Slot] = list(slots)
        self.base = 0
        self.left: dict[int, np.ndarray] = {}
        self.added: dict[int, np.ndarray] = {}
        self._place = {slot: i for i, slot in enumerate(self.slots)}
        self._rows = np.zeros((2 * width, max(64, 2 * len(self.slots))), np.int64)
        self._first = 0
        self._dirty = np.zeros(2 * width, np.bool_)

    def slot(self, what: str, *of: str | int) -> int:
        """Place of a number; made where it is new."""
        name = Slot(what, of)
        place = self._place.setdefault(name, len(self.slots))
        if place == len(self.slots):
            self.slots.append(name)
            if place == self._rows.shape[1]:
                self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)], axis=1)
        return place

    def advance(self, base: int) -> None:
        """Slide the window so that it begins at ``base``; the seconds before it are closed."""
        if base <= self.base:
            return
        gone = min(base - self.base, self.width)
        for i in np.flatnonzero(self._dirty[self._first : self._first + gone]):
            self.left[self.base + int(i)] = self._rows[self._first + i].copy()
        self._rows[self._first : self._first + gone] = 0
        self._dirty[self._first : self._first + gone] = False
        self._first += gone
        if self._first > self.width or gone == self.width:
            kept = self.width - gone
            for array in (self._rows, self._dirty):
                array[:kept] = array[self._first : self._first + kept]
                array[kept:] = 0
            self._first = 0
        self.base = base

    def count(self, events: Events, status: np.ndarray, names: Names) -> int:
        """Count events by what the gap set found of them.

        Parameters
        ----------
        events
            n of them.
        status
            (n,) of :mod:`attribution.stream.gaps`.
        names
            Slots of sources and regions.

        Returns
        -------
        int
            Events that were late: counted once, into a second that is closed.
        """
        outside = np.empty(len(status), np.int64)
        window, dirty = self._rows[self._first : self._first + self.width], self._dirty[self._first :]
        many = _count(*events, status, names.received, names.repeats, self.base, window, dirty, outside)
        late = 0
        for i in outside[:many]:
            row = self._addition(int(events.second[i]))
            if status[i] == REPEATED:
                row[names.repeats[events.region[i]]] += 1
                continue
            row[events.cell[i]] += 1
            row[names.received[events.track[i]]] += 1
            row[names.late[events.region[i]]] += 1
            late += 1
        return late

    def charge(self, second: np.ndarray, slot: np.ndarray, many: np.ndarray) -> None:
        """Add ``many`` (m,) to the numbers of ``slot`` in ``second``."""
        at = second - self.base
        inside = (at >= 0) & (at < self.width)
        rows = at[inside] + self._first
        np.add.at(self._rows, (rows, slot[inside]), many[inside])
        self._dirty[rows] = True
        for i in np.flatnonzero(~inside):
            self._addition(int(second[i]))[slot[i]] += many[i]

    def open_seconds(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the seconds of the window in which something is, with their rows; not copies."""
        n = len(self.slots)
        for i in range(self.width):
            row = self._rows[self._first + i, :n]
            if row.any():
                yield self.base + i, row

    def take(self) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Whole rows and additions since this was last asked: of every second that changed."""
        n = len(self.slots)
        whole = {second: row[:n] for second, row in self.left.items()}
        changed = np.flatnonzero(self._dirty[self._first : self._first + self.width])
        whole |= {self.base + int(i): self._rows[self._first + i, :n].copy() for i in changed}
        return whole, {second: row[:n] for second, row in self.added.items()}

    def taken(self) -> None:
        """Forget what :meth:`take` returned: it is kept elsewhere now."""
        self.left, self.added = {}, {}
        self._dirty[:] = False

    def give_back(self, whole: Mapping[int, np.ndarray], added: Mapping[int, np.ndarray]) -> None:
        """Take back what was handed out by :meth:`take` and :meth:`taken` and could not be kept."""
        for second, row in whole.items():
            if second >= self.base:
                self._dirty[self._first + second - self.base] = True
            else:  # one that left the window meanwhile, and changed, is newer
                self.left.setdefault(second, row)
        for second, row in added.items():
            self._addition(second)[: len(row)] += row

    def put(self, second: int, row: np.ndarray) -> None:
        """Lay a row of the window back that was kept elsewhere."""
        at = second - self.base
        if not 0 <= at < self.width:
            raise ValueError(f"second is {second}; the window holds {self.base} to {self.base + self.width - 1}")
        self._rows[self._first + at, : len(row)] = row

    def _addition(self, second: int) -> np.ndarray:
        row = self.added.get(second)
        if row is None or len(row) < self._rows.shape[1]:
            wide = np.zeros(self._rows.shape[1], np.int64)
            if row is not None:
                wide[: len(row)] = row
            row = self.added[second] = wide
        return row


@njit(cache=True, nogil=True)
def _count(
    second: np.ndarray, seq: np.ndarray, track: np.ndarray, cell: np.ndarray, region: np.ndarray, status: np.ndarray,
    received: np.ndarray, repeats: np.ndarray, base: int, window: np.ndarray, dirty: np.ndarray, outside: np.ndarray,
) -> int:  # fmt: skip
    """Count what lies in the window; note the places of the events that do not. Returns how many they are."""
    many = 0
    for i in range(len(seq)):
        s = status[i]
        if s not in (NEW, FILLED, REPEATED):
            continue
        at = second[i] - base
        if at < 0 or at >= len(window):
            outside[many] = i
            many += 1
            continue
        dirty[at] = True
        if s == REPEATED:
            window[at, repeats[region[i]]] += 1
        else:
            window[at, cell[i]] += 1
            window[at, received[track[i]]] += 1
    return many
