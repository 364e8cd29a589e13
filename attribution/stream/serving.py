"""The node in an asyncio loop: senders wait while it is busy."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from attribution.stream.keeping import Refused

if TYPE_CHECKING:
    from attribution.stream import wire
    from attribution.stream.node import Node


class Serving:
    """Runs a node until it is cancelled.

    Parameters
    ----------
    node
        Opened; it is closed by :meth:`run` when that ends.
    tick_s
        Seconds between two looks at the clock; frames are counted as soon as the loop is free.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from attribution.stream.node import Node
    >>> from attribution.stream.wire import lines
    >>> async def once(folder):
    ...     serving = Serving(Node(folder))
    ...     running = asyncio.create_task(serving.run())
    ...     frame, _ = lines(b'{"time": "2026-02-08T20:41:00Z"}')
    ...     position = await serving.put(frame)
    ...     await asyncio.sleep(0.05)
    ...     running.cancel()
    ...     await asyncio.wait([running])
    ...     return serving.node.position == position > 0
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(once(Path(folder)))
    True
    """

    def __init__(self, node: Node, *, tick_s: float = 0.01) -> None:
        self.node = node
        self._tick_s = tick_s
        self._given = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, given: bytes | wire.Frame) -> int:
        """Take a frame in, waiting while the queue is full; returns its position in the log.

        Raises
        ------
        Unreadable, Refused
            As :meth:`attribution.stream.node.Node.offer`, but for a queue that is full.
        """
        while True:
            try:
                position = self.node.offer(given)
            except Refused as refusal:
                if refusal.reason != "busy":
                    raise
                self._room.clear()
                await self._room.wait()
            else:
                self._given.set()
                return position

    async def run(self) -> None:
        """Count what comes, and do what is due."""
        try:
            while True:
                self._given.clear()
                self.node.step()
                self.node.tick()
                self._room.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._given.wait(), self._tick_s)
        finally:
            self.node.close()
