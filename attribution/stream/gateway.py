"""The way into a stream on NATS: frames are cut by partition, put together for a moment, written, acknowledged."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from nats.js import api
from nats.js.errors import APIError

from attribution.stream import wire
from attribution.stream.keeping import Refused
from attribution.stream.nats import FULL, patiently
from attribution.stream.partitions import split

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from attribution.stream.nats import Stream
    from attribution.stream.partitions import Plan

FLUSH_S, HELD_S, ROWS = 0.002, 0.05, 1420
"""A message waits so long for more events, or for so many; and while the one before it is on its way, so long at most.

The broker's disk sets the pace: the longer it takes to store a message, the more events are in the next."""
_BYTES = np.dtype((np.void, wire.EVENT.itemsize))
Key = tuple[int, int, int]
"""Partition, and which dictionary of labels."""
WAITING = 4096
"""Frames that may wait to be acknowledged, before senders wait themselves."""


@dataclass(slots=True)
class _Batch:
    """Rows of one dictionary for one partition, and everybody who waits for their being stored."""

    frame: wire.Frame
    done: asyncio.Future[int]
    rows: list[np.ndarray] = field(default_factory=list)
    many: int = 0


class Gateway:
    """Takes frames in for a stream.

    Parameters
    ----------
    stream
        Open.
    plan
        Of the stream.
    flush_s
        Seconds that a message waits for more events.
    patience_s
        Seconds after which a sender is told that the broker does not answer.

    Attributes
    ----------
    unread
        Frames that could not be read, by reason.
    accepted, messages
        Events that the broker has stored, in how many messages.
    """

    def __init__(self, stream: Stream, plan: Plan, *, flush_s: float = FLUSH_S, patience_s: float = 30.0) -> None:
        self.unread: Counter[str] = Counter()
        self.accepted = self.messages = 0
        self._stream, self._plan = stream, plan
        self._flush_s, self._patience_s = flush_s, patience_s
        self._open: dict[Key, _Batch] = {}
        self._away: Counter[Key] = Counter()
        self._acks: dict[str, asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(WAITING)
        self._inbox = ""
        self._sent = 0

    async def open(self) -> Gateway:
        """Listen for the broker's acknowledgements."""
        self._inbox = self._stream.nc.new_inbox()
        await self._stream.nc.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
        self._stream.on_reconnection(self._ask_again)
        return self

    async def close(self) -> None:
        """Send what waits, and hear no more."""
        for key in list(self._open):
            self._send(key)
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._stream.off_reconnection(self._ask_again)

    async def put(self, given: bytes | wire.Frame) -> int:
        """Take a frame in; when this returns, the broker has stored all of it.

        Returns
        -------
        int
            Place in the stream of the last of it; 0 for a frame without events.

        Raises
        ------
        Unreadable
            The frame is counted under its reason.
        Refused
            The broker is full, or does not answer: send it again; what has numbers is counted once.
        """
        try:
            frame = wire.decode(given) if isinstance(given, bytes) else given
        except wire.Unreadable as error:
            self.unread[error.reason] += 1
            raise
        async with self._room:
            waits = [
                wait for partition, part in split(frame, self._plan.partitions) for wait in self._add(partition, part)
            ]
            if waits:
                await asyncio.wait(waits)
            position = max((wait.result() for wait in waits), default=0)
        self.accepted += len(frame)
        return position

    def _add(self, partition: int, part: wire.Frame) -> list[asyncio.Future[int]]:
        """Put rows with those that wait; returns what to wait for."""
        key = (partition, id(part.cells), id(part.epochs))
        waits = []
        for begin in range(0, len(part), ROWS):
            rows = part.rows[begin : begin + ROWS]
            batch = self._open.get(key)
            if batch is not None and batch.many + len(rows) > ROWS:
                self._send(key)
                batch = None
            if batch is None:
                loop = asyncio.get_running_loop()
                batch = self._open[key] = _Batch(part, loop.create_future())
                loop.call_later(self._flush_s, self._over, key, batch)
                loop.call_later(self._flush_s + HELD_S, self._over, key, batch, True)
            batch.rows.append(rows)
            batch.many += len(rows)
            waits.append(batch.done)
            if batch.many >= ROWS:
                self._send(key)
        return waits

    def _over(self, key: Key, batch: _Batch, held: bool = False) -> None:
        if self._open.get(key) is batch and (held or not self._away[key]):
            self._send(key)

    def _send(self, key: Key) -> None:
        batch = self._open.pop(key)
        self._away[key] += 1
        whole = np.concatenate([rows.view(_BYTES) for rows in batch.rows])  # as bytes: no fields to compare
        rows = whole.view(wire.EVENT)
        task = asyncio.create_task(self._publish(key[0], wire.frame(replace(batch.frame, rows=rows)), batch.done))
        self._tasks.add(task)
        task.add_done_callback(partial(self._arrived, key))

    def _arrived(self, key: Key, task: asyncio.Task[None]) -> None:
        """Send what waited for a message to be stored."""
        self._tasks.discard(task)
        self._away[key] -= 1
        if not self._away[key]:
            del self._away[key]
            if key in self._open:
                self._send(key)

    async def _publish(self, partition: int, body: bytes, done: asyncio.Future[int]) -> None:
        """Publish a message until it is stored; whatever ends that, those who wait are told."""
        self._sent += 1
        reply = f"{self._inbox}.{self._sent}"
        subject, headers = self._stream.subject(partition), {api.Header.MSG_ID.value: reply}

        async def once() -> int:
            answer = self._acks[reply] = asyncio.get_running_loop().create_future()
            await self._stream.nc.publish(subject, body, reply=reply, headers=headers)
            said = json.loads(await asyncio.wait_for(answer, 2.0) or b'{"error": {"code": 503}}')
            if "error" in said:
                raise APIError(**said["error"])
            return said["seq"]

        try:
            position = await patiently(once, patience_s=self._patience_s)
        except Exception as error:  # it is handed on to everybody who waits
            full = isinstance(error, APIError) and error.err_code in FULL
            why = "the broker has no room" if full else f"the broker does not answer ({type(error).__name__})"
            done.set_exception(Refused("disk" if full else "busy", f"{why}; send it again in a moment"))
            done.exception()  # it is known, also where nobody waits any more
        else:
            self.messages += 1
            done.set_result(position)
        finally:
            self._acks.pop(reply, None)

    async def _acknowledged(self, message: Msg) -> None:
        answer = self._acks.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message.data)

    def _ask_again(self) -> None:
        """Send again at once what was on its way when the connection broke."""
        for answer in list(self._acks.values()):
            if not answer.done():
                answer.set_exception(ConnectionResetError("the connection was made anew"))


class Entrance:
    """A gateway as the sink of an HTTP door: a request is answered once the broker has stored its events.

    The door's thread waits for the loop of the gateway.
    """

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop, *, patience_s: float = 40.0) -> None:
        self._gateway, self._loop, self._patience_s = gateway, loop, patience_s

    def offer(self, frame: wire.Frame) -> int:
        """Take a frame in and return its place in the stream; raises Refused as the gateway does."""
        wait = asyncio.run_coroutine_threadsafe(self._gateway.put(frame), self._loop)
        with suppress(TimeoutError):
            return wait.result(self._patience_s)
        raise Refused("busy", f"the broker did not answer in {self._patience_s:g} s; send it again")
