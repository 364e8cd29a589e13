"""A durable node behind an engine: what the engine counts is on the disk first, and counted there a second time."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attribution.stream import wire
from attribution.stream.keeping import Keeping
from attribution.stream.node import Node, prepare

if TYPE_CHECKING:
    from attribution.events import EventBatch
    from attribution.stream.gauges import Health

KEPT = Keeping(log_bytes=64 * 2**20, log_s=600.0, segment=16 * 2**20)
"""Of an event that is only watched, ten minutes of its log are enough."""


class Vault:
    """Keeps what an engine is given; any thread may ask how that goes.

    Parameters
    ----------
    folder
        An earlier run is gone on from; by default a temporary one, which is removed when it is closed.

    Examples
    --------
    >>> from attribution.stream.wire import lines
    >>> vault = Vault()
    >>> vault.keep(lines(b'{"time": 1770583260, "seq": 9}')[0].batch(), 1_770_583_261 * 10**9)
    >>> vault.health().received, vault.health().dropped
    (1, 0)
    >>> vault.close()
    """

    def __init__(self, folder: Path | None = None) -> None:
        prepare()
        self._own = tempfile.TemporaryDirectory(prefix="event-command-stream-") if folder is None else None
        self._clock = _EventTime()
        self._lock = threading.Lock()
        self.node = Node(folder or Path(self._own.name if self._own else ""), keeping=KEPT, clock=self._clock)

    def keep(self, batch: EventBatch, until: int) -> None:
        """Write events to the log and count them; ``until`` is the time of the event by then, ns since 1970.

        Raises
        ------
        Refused
            When the disk does not take them.
        """
        with self._lock:
            self._clock.at = max(self._clock.at, until)
            self.node.offer(wire.encode(batch))
            self.node.step()
            self.node.tick()

    def health(self) -> Health:
        """How the node does, after what is due was done."""
        with self._lock:
            self.node.tick()
            return self.node.health()

    @property
    def alerts(self) -> list[tuple[int, str]]:
        """Moment (ns since 1970) and text, oldest first."""
        return list(self.node.alerts)

    def close(self) -> None:
        """Save and close; a temporary folder is removed."""
        with self._lock:
            self.node.close()
        if self._own is not None:
            self._own.cleanup()


class _EventTime:
    """The time of day is the event's; durations are the machine's."""

    def __init__(self) -> None:
        self.at = 0

    def wall(self) -> int:
        return self.at

    def now(self) -> float:
        return time.monotonic()
