"""What waits for the disk waits in a thread of its own: a snapshot is handed over, and counting goes on.

At most one snapshot is under way. It is whole when it is handed over, and what the disk does not take comes back, so
that neither a wait nor a failure changes a count.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from attribution.stream.asides import KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attribution.stream.asides import Aside
    from attribution.stream.book import Book
    from attribution.stream.journal import Journal
    from attribution.stream.keeping import Keeping
    from attribution.stream.store import Store

_Job: TypeAlias = "tuple[Callable[[], None], Future[None]]"
HELD_OPEN = "state: a reader holds an old state open; the log is kept until it lets go"


class Hand:
    """Does one job at a time in a thread of its own.

    Examples
    --------
    >>> hand, done = Hand("example"), []
    >>> hand.do(lambda: done.append("synced"))
    >>> hand.wait()
    >>> done, hand.busy
    (['synced'], False)
    >>> hand.close()
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # It holds nobody up at the end of the process either: what it breaks off was not acknowledged as saved.
        self._thread = threading.Thread(target=_work, args=(self._jobs,), name=name, daemon=True)
        self._end = weakref.finalize(self, self._jobs.put, None)
        self._done: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self._done is not None and not self._done.done()

    def do(self, job: Callable[[], None]) -> None:
        """Begin a job when the one before is done; raises what that one raised."""
        self.wait()
        if self._thread.ident is None:
            self._thread.start()
        self._done = Future()
        self._jobs.put((job, self._done))

    def wait(self) -> None:
        """Wait until the job is done; raises what it raised."""
        done, self._done = self._done, None
        if done is not None:
            done.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            self._end()


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (given := jobs.get()) is not None:
        job, done = given
        try:
            job()
        except BaseException as error:  # it is raised where the job is waited for
            done.set_exception(error)
        else:
            done.set_result(None)
        del given, job, done  # nothing is kept alive between two jobs


class Snapshot(NamedTuple):
    """What one transaction keeps; nothing in it changes any more.

    Attributes
    ----------
    number
        Of the transaction: each is one more than the last.
    state, position
        Of the book; of the log, up to which it stands.
    whole, added
        Rows of seconds: as they are now; what is added to them.
    asides
        Frames set aside since the last one.
    base
        First open second: all before it are closed, and saved with this.
    tidy
        The moment (s, rising clock) if hours and logs are to be tidied up too.
    """

    number: int
    state: dict[str, Any]
    position: int
    whole: dict[int, np.ndarray]
    added: dict[int, np.ndarray]
    asides: tuple[Aside, ...]
    base: int
    tidy: float | None


class Saved(NamedTuple):
    """How it went: what the disk said where it did not take it, and what else is to be told."""

    trouble: str
    told: str


class Saver:
    """Hands snapshots of a book to the store, one after the other.

    All of it is called from the thread that counts; the disk is waited for by ``hand``.

    Parameters
    ----------
    store, journal, keeping
        Where to; the log they stand for; what is kept of both.
    hand
        Who waits.
    position
        Up to which the store stands.
    """

    def __init__(self, store: Store, journal: Journal, keeping: Keeping, hand: Hand, position: int) -> None:
        self._store, self._journal, self._keeping, self._hand = store, journal, keeping, hand
        self.position = position
        self._number = store.number
        self._under_way: Snapshot | None = None
        self._outcome: Saved | None = None
        self._asides: deque[Aside] = deque(maxlen=KEPT)
        self._stamps: deque[tuple[int, float]] = deque()

    @property
    def busy(self) -> bool:
        """Whether a snapshot is under way, or its outcome was not gathered."""
        return self._under_way is not None

    def set_aside(self, given: Aside) -> None:
        """Keep what could not be read, with the next snapshot."""
        self._asides.append(given)

    def quarantine(self) -> list[Aside]:
        """Return what was set aside and is kept, saved or not; oldest first."""
        under_way = self._under_way.asides if self._under_way is not None else ()
        saved = self._store.quarantine()
        return [*saved, *(each for each in under_way if each not in saved), *self._asides][-KEPT:]

    def begin(self, book: Book, position: int, *, tidy: float | None = None) -> None:
        """Hand a snapshot over; the book forgets what has changed until then. None is under way."""
        whole, added = book.tallies.take()
        asides = tuple(self._asides)
        snapshot = Snapshot(
            self._number + 1, book.state(), position, whole, added, asides, book.tallies.base, tidy
        )  # fmt: skip
        book.tallies.taken()
        self._asides.clear()
        self._under_way = snapshot
        self._hand.do(lambda: self._save(snapshot))

    def gather(self, book: Book, *, wait: bool = False) -> Saved | None:
        """Return how the snapshot under way went, once that is known; what was not kept is back in the book."""
        if self._under_way is None or (self._hand.busy and not wait):
            return None
        self._hand.wait()
        snapshot, outcome = self._under_way, self._outcome
        self._under_way = self._outcome = None
        if outcome is None:  # it ended with an error of its own, which was raised
            outcome = Saved("the last save was broken off", "")
        if self._store.number == snapshot.number:
            self._number, self.position = snapshot.number, snapshot.position
        else:
            book.tallies.give_back(snapshot.whole, snapshot.added)
            self._asides = deque([*snapshot.asides, *self._asides], maxlen=KEPT)
        return outcome

    def rows(self, book: Book, first: int, last: int) -> dict[int, np.ndarray]:
        """Rows of the seconds ``[first, last)`` as they are now, wherever they lie; hours in Parquet apart."""
        under_way = self._under_way
        number, found = self._store.seen(first, last)
        if under_way is not None and number < under_way.number:
            _lay(found, under_way.whole, under_way.added, first, last)
        _lay(found, *book.tallies.take(), first, last)
        return found

    def _save(self, snapshot: Snapshot) -> None:
        """In the other thread: log, transaction, and what is to be tidied up."""
        told = ""
        try:
            self._journal.sync()  # never a state ahead of the log that proves it
            self._store.save(
                snapshot.state, snapshot.position, snapshot.whole, snapshot.added, snapshot.asides
            )  # fmt: skip
            if snapshot.tidy is not None:
                told = self._tidy(snapshot, snapshot.tidy)
        except (OSError, sqlite3.OperationalError) as error:
            self._outcome = Saved(str(error), told)
        else:
            self._outcome = Saved("", told)

    def _tidy(self, snapshot: Snapshot, moment: float) -> str:
        """Move closed hours to Parquet; remove what is older or larger than may be kept; says what is in the way."""
        now = snapshot.state["now"] // 1_000_000_000
        keeping = self._keeping
        self._store.archive(snapshot.base, snapshot.state["slots"])
        self._store.forget(before=now - round(keeping.history_s), keep_bytes=keeping.history_bytes)
        self._stamps.append((snapshot.position, moment))
        old = 0
        while self._stamps and moment - self._stamps[0][1] > keeping.log_s:
            old = self._stamps.popleft()[0]
        before = max(old, snapshot.position - keeping.log_bytes)
        if before <= 0:
            return ""
        if not self._store.settle():
            return HELD_OPEN
        self._journal.forget(before)
        return ""


def _lay(
    found: dict[int, np.ndarray],
    whole: Mapping[int, np.ndarray],
    added: Mapping[int, np.ndarray],
    first: int,
    last: int,
) -> None:
    """Lay newer rows over those found, and add what is added."""
    found |= {second: row for second, row in whole.items() if first <= second < last}
    for second, row in added.items():
        if first <= second < last:
            before = found.get(second, row[:0])
            total = np.zeros(max(len(row), len(before)), np.int64)
            total[: len(before)] += before
            total[: len(row)] += row
            found[second] = total
