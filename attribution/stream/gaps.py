"""Which numbers of a source have arrived: the highest, and the intervals below it that are missing.

No window of time: a repeat is known after any delay, and what is missing is counted exactly. In order an event costs a
few nanoseconds; memory grows with the number of gaps, not with their length.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SKIP, NEW, FILLED, REPEATED, REFUSED = range(5)
"""What became of an event: passed over; first seen; a missing one that came after all; seen before; number absurd."""
LEAP = 10**12
"""A number further ahead than this is damaged: no source loses so many events at once."""
NOWHEN = -(2**62)
"""Bin of what is not charged: the numbers before the first of a source that does not say where it began."""


class Verdicts(NamedTuple):
    """What :meth:`GapSet.admit` found.

    Attributes
    ----------
    status
        (n,) uint8, one of ``SKIP``, ``NEW``, ``FILLED``, ``REPEATED``, ``REFUSED``.
    charges
        (3, m) int64: source, bin, and by how many its missing events change.
    """

    status: np.ndarray
    charges: np.ndarray


class GapSet:
    """Highest number and missing intervals of each source.

    A missing event is charged to the bin of the event after it, or to the first silent bin between its neighbours;
    when it does arrive it is taken off again, and tells that those before it are no younger.

    Parameters
    ----------
    numbers
        (S,) last number each source gave before the beginning; -1: unknown, the first one seen begins.
    before
        Bin they gave it in.

    Examples
    --------
    >>> gaps = GapSet(np.zeros(1, np.int64))
    >>> one = np.zeros(4, np.int64)
    >>> gaps.admit(one, np.array([1, 2, 5, 2]), one).status  # 3 and 4 are missing, 2 is repeated
    array([1, 1, 1, 3], dtype=uint8)
    >>> gaps.dropped, gaps.intervals()[:, 1:3].tolist()
    (2, [[3, 4]])
    """

    def __init__(self, numbers: np.ndarray, before: int = NOWHEN) -> None:
        sources = len(numbers)
        self.high = np.asarray(numbers, dtype=np.int64).copy()
        self._last = np.full(sources, before)
        self._at = np.zeros(sources, np.int64)
        self._room = np.zeros(sources, np.int64)
        self._size = np.zeros(sources, np.int64)
        self._pool = np.zeros((3, 64), np.int64)
        self._end = np.zeros(1, np.int64)
        self._charges = np.empty((3, 192), np.int64)

    @property
    def dropped(self) -> int:
        """Events missing by their numbers."""
        held = self.intervals()
        held = held[held[:, 3] != NOWHEN]
        return int((held[:, 2] - held[:, 1] + 1).sum())

    def grow(self, numbers: np.ndarray) -> None:
        """Add sources, with the last number each gave before (-1: unknown)."""
        more = len(numbers)
        self.high = np.r_[self.high, np.asarray(numbers, dtype=np.int64)]
        self._last = np.r_[self._last, np.full(more, NOWHEN)]
        for name in ("_at", "_room", "_size"):
            setattr(self, name, np.r_[getattr(self, name), np.zeros(more, np.int64)])

    def admit(self, source: np.ndarray, seq: np.ndarray, bins: np.ndarray, skip: np.ndarray | None = None) -> Verdicts:
        """Note events in the order of their arrival.

        Parameters
        ----------
        source, seq, bins
            (n,) int64: whose, its number (0: unnumbered, always new), and the bin of time it lies in.
        skip
            (n,) bool: events to pass over.

        Returns
        -------
        Verdicts
            What each event is, and how the missing ones change; the charges are valid until the next call.
        """
        n = len(seq)
        status = np.zeros(n, np.uint8)
        if self._charges.shape[1] < 3 * n:
            self._charges = np.empty((3, 3 * n), np.int64)
        filled, done = np.zeros(1, np.int64), 0
        none = np.zeros(0, np.bool_) if skip is None else skip
        while True:
            state = (self.high, self._last, self._at, self._room, self._size, self._end)
            done = _admit(source, seq, bins, none, status, done, self._charges, filled, self._pool, *state)
            if done == n:
                return Verdicts(status, self._charges[:, : filled[0]])
            self._make_room()

    def intervals(self) -> np.ndarray:
        """(m, 4) int64: source, first and last missing number, and the bin they are charged to."""
        source = np.repeat(np.arange(len(self._size)), self._size)
        place = np.arange(len(source)) - np.repeat(np.cumsum(self._size) - self._size, self._size)
        found = np.column_stack([source, self._pool[:, np.repeat(self._at, self._size) + place].T])
        return found[found[:, 2] >= found[:, 1]]

    def state(self) -> dict[str, np.ndarray]:
        """Everything that must be kept."""
        return {"high": self.high.copy(), "last": self._last.copy(), "intervals": self.intervals()}

    @classmethod
    def restore(cls, state: dict[str, np.ndarray]) -> GapSet:
        """Rebuild from what :meth:`state` returned."""
        made = cls(state["high"])
        made._last = np.asarray(state["last"], dtype=np.int64).copy()
        made._lay(np.asarray(state["intervals"], dtype=np.int64).reshape(-1, 4))
        return made

    def _make_room(self) -> None:
        """Lay the intervals anew, without the closed ones, each source with as much room again."""
        self._lay(self.intervals())

    def _lay(self, intervals: np.ndarray) -> None:
        self._size = np.bincount(intervals[:, 0], minlength=len(self.high))
        self._room = 2 * self._size
        self._at = np.cumsum(self._room) - self._room
        pool = np.zeros((3, 2 * int(self._room.sum()) + 8 * len(self.high) + 64), np.int64)
        place = np.arange(len(intervals)) - np.repeat(np.cumsum(self._size) - self._size, self._size)
        pool[:, self._at[intervals[:, 0]] + place] = intervals[:, 1:].T
        self._pool = pool
        self._end = np.array([self._room.sum()])


@njit(cache=True, nogil=True)
def _charge(charges: np.ndarray, filled: np.ndarray, source: int, when: int, many: int) -> None:
    if when != NOWHEN:
        k = filled[0]
        charges[0, k], charges[1, k], charges[2, k] = source, when, many
        filled[0] = k + 1


@njit(cache=True, nogil=True)
def _spare(s: int, pool: np.ndarray, at: np.ndarray, room: np.ndarray, size: np.ndarray, end: np.ndarray) -> bool:
    """Whether source ``s`` has room for one more interval, after moving its own to the end of the pool."""
    if size[s] < room[s]:
        return True
    wanted = max(2 * room[s], 4)
    if end[0] + wanted > pool.shape[1]:
        return False
    begin = end[0]
    for j in range(size[s]):
        for c in range(3):
            pool[c, begin + j] = pool[c, at[s] + j]
    at[s], room[s] = begin, wanted
    end[0] = begin + wanted
    return True


@njit(cache=True, nogil=True)
def _holder(first: np.ndarray, low: int, high: int, q: int) -> int:
    """Place of the last interval in ``[low, high)`` that begins at ``q`` or before; ``low - 1`` where none does."""
    while low < high:
        middle = (low + high) // 2
        if first[middle] <= q:
            low = middle + 1
        else:
            high = middle
    return low - 1


@njit(cache=True, nogil=True)
def _fill(
    s: int, q: int, when: int, j: int, charges: np.ndarray, filled: np.ndarray,
    pool: np.ndarray, at: np.ndarray, size: np.ndarray,
) -> None:  # fmt: skip
    """Take ``q`` out of the interval at ``j``; a part on either side of it stays. There is room for one more."""
    first, last, charged = pool[0, j], pool[1, j], pool[2, j]
    _charge(charges, filled, s, charged, -1)
    if first == q:
        pool[0, j] = q + 1
        if first == last:  # empty: kept in its place, so that the search stays right, while it is not the last
            pool[0, j] = q
            pool[1, j] = q - 1
            while size[s] > 0 and pool[1, at[s] + size[s] - 1] < pool[0, at[s] + size[s] - 1]:
                size[s] -= 1
        return
    if last > q:
        for i in range(at[s] + size[s], j + 1, -1):
            for c in range(3):
                pool[c, i] = pool[c, i - 1]
        pool[0, j + 1], pool[1, j + 1], pool[2, j + 1] = q + 1, last, charged
        size[s] += 1
    pool[1, j] = q - 1
    if charged > when:
        _charge(charges, filled, s, charged, first - q)
        pool[2, j] = when
        _charge(charges, filled, s, when, q - first)


@njit(cache=True, nogil=True)
def _admit(
    source: np.ndarray, seq: np.ndarray, bins: np.ndarray, skip: np.ndarray, status: np.ndarray, begin: int,
    charges: np.ndarray, filled: np.ndarray, pool: np.ndarray, high: np.ndarray, latest: np.ndarray,
    at: np.ndarray, room: np.ndarray, size: np.ndarray, end: np.ndarray,
) -> int:  # fmt: skip
    """Return n, or the place of the event for whose gap there is no room."""
    n = len(seq)
    for i in range(begin, n):
        s, q, when = source[i], seq[i], bins[i]
        if len(skip) and skip[i]:
            continue
        if q == high[s] + 1 and q > 0:
            high[s], latest[s] = q, when
            status[i] = NEW
        elif q == 0:
            status[i] = NEW
        elif q < 0 or (q > high[s] + LEAP and high[s] >= 0):
            status[i] = REFUSED
        elif q > high[s]:
            if not _spare(s, pool, at, room, size, end):
                return i
            unknown = high[s] < 0  # a source that does not say where it began
            gap = max(high[s], 0) + 1
            charged = when
            if unknown:
                charged = NOWHEN
            elif latest[s] != NOWHEN and when > latest[s] + 1:
                charged = latest[s] + 1
            if gap < q:
                j = at[s] + size[s]
                pool[0, j], pool[1, j], pool[2, j] = gap, q - 1, charged
                size[s] += 1
                _charge(charges, filled, s, int(charged), int(q - gap))
            high[s], latest[s] = q, when
            status[i] = NEW
        else:
            j = _holder(pool[0], int(at[s]), int(at[s] + size[s]), q)
            if j < at[s] or q > pool[1, j]:
                status[i] = REPEATED
                continue
            if not _spare(s, pool, at, room, size, end):
                return i
            j = _holder(pool[0], int(at[s]), int(at[s] + size[s]), q)
            _fill(s, q, when, j, charges, filled, pool, at, size)
            status[i] = FILLED
    return n
