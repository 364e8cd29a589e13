"""Where frames wait to be counted: a bounded queue that says no when it is full, so that nothing is lost unsaid."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Protocol

from attribution.stream.keeping import Refused

if TYPE_CHECKING:
    from attribution.stream.wire import Frame

FRAMES, EVENTS = 512, 2_000_000
"""Most that waits: 2 million events are 48 MB."""


class Sink(Protocol):
    """What stands behind a door: the in-memory inbox, or a node that keeps what it takes."""

    def offer(self, frame: Frame) -> int:
        """Take a frame and return its position, or raise `Refused`; what was taken is counted once."""
        ...


class Inbox:
    """A queue between the threads that receive and the engine that counts.

    Parameters
    ----------
    frames, events
        Most that waits, of each.

    Examples
    --------
    >>> from attribution.stream.wire import lines
    >>> inbox = Inbox(frames=1)
    >>> inbox.offer(lines(b'{"time": 1770583260}')[0])
    1
    >>> [len(frame) for frame in inbox.take()]
    [1]
    """

    def __init__(self, *, frames: int = FRAMES, events: int = EVENTS) -> None:
        self._most = frames, events
        self._waiting: deque[Frame] = deque()
        self._events = 0
        self._position = 0
        self._lock = threading.Lock()

    @property
    def events(self) -> int:
        """Events that wait."""
        return self._events

    def offer(self, frame: Frame) -> int:
        """Put a frame in the queue and return its position: how many events were taken by then.

        A frame that alone is larger than the queue fits when nothing else waits.

        Raises
        ------
        Refused
            When there is no room.
        """
        with self._lock:
            frames, events = self._most
            if len(self._waiting) >= frames or (self._waiting and self._events + len(frame) > events):
                raise Refused("busy", f"{len(self._waiting)} frames wait to be counted; send it again in a moment")
            position = self.keep(frame)
            self._waiting.append(frame)
            self._events += len(frame)
            return position

    def keep(self, frame: Frame) -> int:
        """Note what is about to wait: here, how many events were taken by then."""
        self._position += len(frame)
        return self._position

    def take(self) -> list[Frame]:
        """Return what waits, in order, and leave the queue empty."""
        with self._lock:
            taken, self._events = list(self._waiting), 0
            self._waiting.clear()
        return taken

    def close(self) -> None:
        """Nothing is held open."""
