"""An inbox that writes down what it takes before it says so: started again, it goes on where it was ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attribution.stream.inbox import EVENTS, FRAMES, Inbox
from attribution.stream.journal import Journal
from attribution.stream.keeping import Refused
from attribution.stream.wire import decode, frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attribution.stream.wire import Frame

SYNC_S = 0.05
"""A frame survives the end of the process at once, a loss of power after so many seconds of traffic, or a look."""


class Logbook(Inbox):
    """An inbox with a log in a folder; the log's events are the first that it hands over.

    Parameters
    ----------
    folder
        Made where it does not exist.
    frames, events
        Most that waits, of each.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from attribution.stream.wire import lines
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     book = Logbook(Path(folder))
    ...     _ = book.offer(lines(b'{"time": 1770583260}')[0])
    ...     book.close()
    ...     again = Logbook(Path(folder))
    ...     [len(frame) for frame in again.take()], again.close()
    ([1], None)
    """

    def __init__(self, folder: Path, *, frames: int = FRAMES, events: int = EVENTS) -> None:
        super().__init__(frames=frames, events=events)
        self._old: Iterator[Frame] | None = written(folder)
        self._journal = Journal(folder)
        self._synced = time.monotonic()

    def keep(self, given: Frame) -> int:
        """Write a frame to the log; the position behind it is what the sender is told."""
        try:
            end = self._journal.append(frame(given), at=time.time_ns())
            if time.monotonic() - self._synced >= SYNC_S:
                self._sync()
        except OSError as error:
            raise Refused("disk", "the disk does not take it; free some space, then send it again") from error
        return end

    def take(self) -> list[Frame]:
        """Return what waits, and first of all what the log held when it was opened."""
        old, self._old = self._old, None
        with self._lock:
            before = [] if old is None else list(old)
            self._sync()
        return before + super().take()

    def close(self) -> None:
        """Close the log."""
        with self._lock:
            self._journal.close()

    def _sync(self) -> None:
        self._journal.sync()
        self._synced = time.monotonic()


def written(folder: Path) -> Iterator[Frame]:
    """Return the frames of a log, oldest first, as they are now.

    Parameters
    ----------
    folder
        Of a `Logbook`.
    """
    if not is_log(folder):
        return iter(())
    journal = Journal(folder)
    records = list(journal.read(journal.segments()[0][0]))
    journal.close()
    return (decode(record.body) for record in records)


def is_log(folder: Path) -> bool:
    """Whether a folder holds such a log."""
    return any(path.stem.isdecimal() for path in folder.glob("*.log"))
