"""The way into a stream on NATS: frames are put together for a moment, cut by partition, written, acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError

from attribution.stream import wire
from attribution.stream.asides import aside
from attribution.stream.keeping import Refused
from attribution.stream.nats import FULL, patiently
from attribution.stream.partitions import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nats.aio.msg import Msg

    from attribution.stream.nats import Stream
    from attribution.stream.partitions import Plan

FLUSH_S, HELD_S, ROWS = 0.002, 0.05, 16_384
"""Events wait so long for more of them, or for so many; and while those before them are on their way, so long at most.

A message costs the broker and us the same, whatever is in it; and its disk sets the pace: the longer it takes to store
a message, the more events are in the next."""
LARGEST = 2**20
"""Bytes of a message, unless a single frame is larger."""
_BYTES = np.dtype((np.void, wire.EVENT.itemsize))
WAITING = 4096
"""Frames that may wait to be acknowledged, before senders wait themselves."""


@dataclass(slots=True, eq=False)
class _Batch:
    """Frames that are written together, how many events they hold, and everybody who waits for that."""

    frames: list[wire.Frame] = field(default_factory=list)
    many: int = 0
    waits: list[asyncio.Future[int]] = field(default_factory=list)


def messages_of(frames: list[wire.Frame], partitions: int) -> Iterator[tuple[int, bytes]]:
    """Yield messages, each with its partition: frames with the same labels become one, and stand behind one another.

    Examples
    --------
    >>> frames = [wire.lines(b'{"time": 1, "seq": %d, "region": "%s"}' % each)[0] for each in ((1, b"a"), (2, b"b"))]
    >>> [(place, len(list(wire.parts(body)))) for place, body in messages_of(frames, 1)]
    [(0, 2)]
    """
    alike: dict[tuple[int, int], list[wire.Frame]] = {}
    for frame in frames:
        alike.setdefault((id(frame.cells), id(frame.epochs)), []).append(frame)
    bodies: dict[int, bytes] = {}
    for several in alike.values():
        whole = several[0]
        if len(several) > 1:  # as bytes: no fields to compare
            rows = np.concatenate([frame.rows.view(_BYTES) for frame in several]).view(wire.EVENT)
            whole = replace(whole, rows=rows)
        for partition, part in split(whole, partitions):
            body, before = wire.frame(part), bodies.pop(partition, b"")
            if before and len(before) + len(body) > LARGEST:
                yield partition, before
                before = b""
            bodies[partition] = before + body
    yield from bodies.items()


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
        self._open: _Batch | None = None
        self._away = 0
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
        if self._open is not None:
            self._send(self._open)
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
        frame = await self._read(given) if isinstance(given, bytes) else given
        position = 0
        async with self._room:
            for wait in self._add(frame):
                position = max(position, await wait)
        self.accepted += len(frame)
        return position

    async def _read(self, body: bytes) -> wire.Frame:
        """Read a frame; one that cannot be read is counted, and kept where the broker takes it."""
        try:
            return wire.decode(body)
        except wire.Unreadable as error:
            self.unread[error.reason] += 1
            now = time.time_ns()
            with suppress(OSError, NatsError):
                await self._stream.set_aside("gateway", now, aside(now, error.reason, str(error), body))
            raise

    def _add(self, frame: wire.Frame) -> list[asyncio.Future[int]]:
        """Put a frame with those that wait; returns what to wait for."""
        waits, loop = [], asyncio.get_running_loop()
        for begin in range(0, len(frame), ROWS):
            part = frame if len(frame) <= ROWS else replace(frame, rows=frame.rows[begin : begin + ROWS])
            if self._open is not None and self._open.many + len(part) > ROWS:
                self._send(self._open)
            batch = self._open
            if batch is None:
                batch = self._open = _Batch()
                loop.call_later(self._flush_s, self._over, batch)
                loop.call_later(self._flush_s + HELD_S, self._send, batch)
            batch.frames.append(part)
            batch.many += len(part)
            batch.waits.append(loop.create_future())
            waits.append(batch.waits[-1])
        return waits

    def _over(self, batch: _Batch) -> None:
        if not self._away:
            self._send(batch)

    def _send(self, batch: _Batch) -> None:
        if self._open is not batch:
            return  # it has gone
        self._open = None
        self._away += 1
        task = asyncio.create_task(self._store(batch))
        self._tasks.add(task)
        task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        """Send what waited for a batch to be stored."""
        self._tasks.discard(task)
        self._away -= 1
        if not self._away and self._open is not None:
            self._send(self._open)

    async def _store(self, batch: _Batch) -> None:
        """Publish a batch until it is stored; whatever ends that, those who wait are told."""
        messages = messages_of(batch.frames, self._plan.partitions)
        places = await asyncio.gather(*(self._publish(*each) for each in messages), return_exceptions=True)
        refused = next((place for place in places if isinstance(place, BaseException)), None)
        last = max(place for place in places if isinstance(place, int)) if refused is None else 0
        for wait in batch.waits:
            if wait.done():
                continue  # the sender has left
            if refused is None:
                wait.set_result(last)
            else:
                wait.set_exception(refused)
                wait.exception()  # it is known, also where nobody waits any more

    async def _publish(self, partition: int, body: bytes) -> int:
        """Publish a message until it is stored; raises Refused where it is not."""
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
        except Exception as error:
            full = isinstance(error, APIError) and error.err_code in FULL
            why = "the broker has no room" if full else f"the broker does not answer ({type(error).__name__})"
            raise Refused("disk" if full else "busy", f"{why}; send it again in a moment") from error
        finally:
            self._acks.pop(reply, None)
        self.messages += 1
        return position

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
