"""The durable engine: what it acknowledges is in its log, what it counts is counted once, whatever stops it.

A frame is taken in, written to the log, acknowledged, counted; counts, gap set and position are saved in one
transaction. Nothing here waits: a clock is asked, :meth:`Node.tick` begins what is due, and another thread waits for
the disk.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from attribution.stream import wire
from attribution.stream.asides import aside
from attribution.stream.book import SECOND, Book, Rules
from attribution.stream.gauges import Flow, Health
from attribution.stream.journal import Disk, Journal
from attribution.stream.keeping import Keeping, Moments, Refused, SystemMoments
from attribution.stream.readout import to_counts
from attribution.stream.saving import Hand, Saver
from attribution.stream.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from attribution.counts import Counts
    from attribution.stream.asides import Aside


@dataclass(slots=True)
class Recovered:
    """What opening a node found: frames and events counted again from the log, bytes cut off its end, seconds taken."""

    frames: int = 0
    events: int = 0
    cut: int = 0
    seconds: float = 0.0


class _Waiting(NamedTuple):
    end: int
    at: int
    frame: wire.Frame
    since: float


@dataclass(slots=True)
class _Due:
    """When, by the rising clock, something was done last."""

    sync: float
    save: float
    saved: float
    tidy: float


class Node:
    """One writer over one folder.

    Parameters
    ----------
    folder
        Made where it does not exist; what an earlier run left in it is gone on from.
    rules, keeping
        How long seconds stay open; what is kept.
    clock, disk, hand
        For tests.

    Attributes
    ----------
    book
        What was counted.
    recovered
        What opening it found.
    alerts
        The last hundred: moment (ns) and text.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> frame, _ = wire.lines(b'{"time": 100.5, "seq": 1, "epoch": 1, "region": "north"}')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     node = Node(Path(folder))
    ...     position = node.offer(frame)
    ...     _ = node.step()
    ...     node.close()
    ...     again = Node(Path(folder))
    ...     again.position == position, dict(again.book.aside)
    (True, {'past': 1})
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Rules | None = None,
        keeping: Keeping | None = None,
        clock: Moments | None = None,
        disk: Disk | None = None,
        hand: Callable[[str], Hand] = Hand,
    ) -> None:
        self.keeping = keeping or Keeping()
        self._clock = clock or SystemMoments()
        begun = self._clock.now()
        self.alerts: deque[tuple[int, str]] = deque(maxlen=100)
        self._store = Store(folder)
        self._journal = Journal(folder / "log", disk=disk, segment=self.keeping.segment)
        self.recovered = Recovered(cut=self._journal.cut)
        self.unread: Counter[str] = Counter()
        self._queue: deque[_Waiting] = deque()
        self._full = ""
        self._behind, self._last = False, 0
        self._flow = Flow(begun)
        self._due = _Due(begun, begun, begun, begun)
        self._syncing, self._saving = hand("sync"), hand("save")
        self._recover(rules or Rules())
        self.recovered.seconds = self._clock.now() - begun
        if self._journal.cut:
            self._alert(f"log: {self._journal.cut} bytes of a record that was not written whole are cut off")

    def offer(self, given: bytes | wire.Frame) -> int:
        """Take a frame in. When this returns, it survives the end of the process; after a sync, a loss of power.

        Parameters
        ----------
        given
            A frame as bytes, or one that was read (of JSON lines).

        Returns
        -------
        int
            Position in the log: what lies before it is acknowledged.

        Raises
        ------
        Unreadable
            The frame is set aside under its reason.
        Refused
            Nothing was taken; the same frame may come again, the events are numbered.
        """
        if len(self._queue) >= self.keeping.queue:
            raise Refused("busy", f"{len(self._queue)} frames wait to be counted; send it again in a moment")
        body, frame = self._read(given)
        at = self._stamp()
        if self._full.startswith("state"):
            raise Refused("disk", f"{self._full}; free some space, then send it again")
        try:
            end = self._journal.append(body, at=at)
            if self.keeping.sync_s == 0:
                self._journal.sync()
        except OSError as error:
            self._stop(f"log: {error.strerror or error}: intake has stopped")
            raise Refused("disk", f"{self._full}; free some space, then send it again") from error
        self._go_on("log")
        self._queue.append(_Waiting(end, at, frame, self._clock.now()))
        return end

    def step(self) -> int:
        """Count everything that waits; returns how many events."""
        events = 0
        while self._queue:
            end, at, frame, since = self._queue.popleft()
            self.book.apply(frame, at)
            self.position = end
            events += len(frame)
            self._flow.counted(len(frame), since, self._clock.now())
        return events

    def tick(self, *, sync: bool = True) -> None:
        """Let time pass: seconds close; sync (unless the caller does), save and tidy up begin when that is due."""
        now = self._clock.now()
        if not self._queue:
            self.book.tick(self._stamp())
        self._gather()
        if sync and now - self._due.sync >= self.keeping.sync_s and not self._syncing.busy:
            self._syncing.do(self.sync)
        if now - self._due.save >= self.keeping.save_s and not self._saver.busy:
            self._begin(now, tidy=now - self._due.tidy >= max(60.0, self.keeping.save_s))

    def sync(self) -> None:
        """Put the log on the disk."""
        try:
            self._journal.sync()
        except OSError as error:
            self._stop(f"log: {error.strerror or error}: intake has stopped")
        self._due.sync = self._clock.now()

    def save(self) -> bool:
        """Write counts, gap set and position in one transaction, and wait; False when the disk does not take it."""
        self._gather(wait=True)
        self._begin(self._clock.now())
        return self._gather(wait=True)

    def rows(self, first: int, last: int) -> dict[int, np.ndarray]:
        """Rows of the seconds in ``[first, last)`` with everything counted by now; hours in Parquet apart."""
        return self._saver.rows(self.book, first, last)

    def counts(self, first: int, last: int, *, kind: str = "conversion") -> Counts:
        """Return the counts of the seconds ``[first, last)`` since 1970, open ones included."""
        return to_counts(self.rows(first, last), self.book, first, last, kind=kind)

    def quarantine(self) -> list[Aside]:
        """Return what could not be read, with the reason, oldest first: the last thousand."""
        return self._saver.quarantine()

    def health(self) -> Health:
        """How it does."""
        now = self._clock.now()
        return Health(
            **self._flow.seen(now),
            waiting=len(self._queue),
            waiting_events=sum(len(one.frame) for one in self._queue),
            waiting_ms=1000 * (now - self._queue[0].since) if self._queue else 0.0,
            received=self.book.totals["received"],
            dropped=self.book.gaps.dropped,
            repeated=self.book.totals["repeated"],
            late=self.book.totals["late"],
            held=self.book.held,
            aside=self.book.aside + self.unread,
            skew={f"{source}/{epoch}": s for (source, epoch), s in self.book.skew().items()},
            position=self.position,
            unsynced_bytes=self._journal.end - self._journal.synced,
            sync_age_s=now - self._due.sync,
            save_age_s=now - self._due.saved,
            stopped=self._full,
        )

    def close(self) -> None:
        """Count what waits, save, close."""
        self.step()
        self.save()
        self._saving.close()
        self._syncing.close()
        self._journal.close()
        self._store.close()

    def _recover(self, rules: Rules) -> None:
        state = self._store.load()
        self.position: int = state["position"] if state else 0
        self._saver = Saver(self._store, self._journal, self.keeping, self._saving, self.position)
        self.book = Book(rules, state)
        tallies = self.book.tallies
        for second, row in self._store.seconds(tallies.base, tallies.base + tallies.width).items():
            tallies.put(second, row)
        for record in self._journal.read(self.position):
            try:
                frame = wire.decode(record.body)
            except wire.Unreadable as error:  # written by another version
                self._aside(record.at, error, record.body)
                continue
            self.book.apply(frame, record.at)
            self.recovered.frames += 1
            self.recovered.events += len(frame)
            self.position = record.end
        self.position = self._journal.end
        self._last = self.book.now

    def _read(self, given: bytes | wire.Frame) -> tuple[bytes, wire.Frame]:
        if isinstance(given, wire.Frame):
            return wire.frame(given), given
        try:
            return given, wire.decode(given)
        except wire.Unreadable as error:
            self._aside(self._stamp(), error, given)
            raise

    def _aside(self, at: int, error: wire.Unreadable, body: bytes) -> None:
        self.unread[error.reason] += 1
        self._saver.set_aside(aside(at, error.reason, str(error), body))

    def _stamp(self) -> int:
        """Moment of taking in: the time of day, which here never goes back."""
        wall, last = self._clock.wall(), self._last
        if wall < last - SECOND and not self._behind:
            self._alert(
                f"clock: the time of day went back {(last - wall) / SECOND:.1f} s; moments stand still until then"
            )
        self._behind = wall < last - SECOND
        self._last = max(wall, last)
        return self._last

    def _begin(self, now: float, *, tidy: bool = False) -> None:
        """Hand what has changed over to the thread that saves."""
        self._due.save = now
        if tidy:
            self._due.tidy = now
        self._saver.begin(self.book, self.position, tidy=now if tidy else None)

    def _gather(self, *, wait: bool = False) -> bool:
        """Take note of how the last save went, once that is known; whether it went well."""
        found = self._saver.gather(self.book, wait=wait)
        if found is None:
            return False
        if found.told:
            self._alert(found.told)
        if found.trouble:
            self._stop(f"state: {found.trouble}: intake has stopped")
            return False
        self._due.saved = self._clock.now()
        self._go_on("state")
        return True

    def _stop(self, why: str) -> None:
        if not self._full:
            self._alert(why)
        self._full = why

    def _go_on(self, where: str) -> None:
        if self._full.startswith(where):
            self._alert(f"{where}: the disk takes it again: intake goes on")
            self._full = ""

    def _alert(self, text: str) -> None:
        self.alerts.append((self._clock.wall(), text))


def prepare() -> None:
    """Load what is compiled, so that the first frame is counted as quickly as any other."""
    frame, _ = wire.lines(b'{"time": 1, "seq": 1, "epoch": 1}')
    for given in (frame, wire.decode(wire.frame(frame))):
        Book().apply(given, at=SECOND)
