"""Counting a stream on NATS: an owner a partition, fenced by the revision it knows; a worker is a process of owners.

Workers hear each other's beats and share the partitions by drawing numbers, so that nobody has to lead. Should two of
them believe that a partition is theirs, the bucket lets one of them write, and the other forgets what it counted.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError

from attribution.stream.gauges import Flow
from attribution.stream.nats import Fenced, Found
from attribution.stream.partitions import Partition, share
from attribution.stream.snapshots import pack_block, unpack, unpack_block

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

    from attribution.stream.nats import Stream
    from attribution.stream.partitions import Plan

BEAT_S, SILENT_S = 0.25, 1.5
"""Between two beats of a worker; without one for so long, it is gone."""
HEARTBEAT_S, STALLED_S = 0.5, 1.5
"""Between two signs of life of a delivery without events; without one for so long, it is asked for anew."""
PATIENT = 12
"""Of so many questions to a stream that may have no leader, one is patient: the others are repeated soon, so that an
election is over for us when it is over, and a broker that is merely slow gets to answer."""


class Tail:
    """Messages of a partition from a place on, in order and without holes, over any number of broken connections.

    Parameters
    ----------
    stream
        Open.
    partition
        Which.
    part
        Counts them, and knows where to go on.
    flow
        Notes how long they took.

    Attributes
    ----------
    openings
        How often a delivery was asked for.
    rewound
        Messages that the broker acknowledged and has lost since.
    """

    def __init__(self, stream: Stream, partition: int, part: Partition, flow: Flow) -> None:
        self._stream, self._partition, self._part, self._flow = stream, partition, part, flow
        self.openings = self.rewound = self._asked = 0
        self._wake = asyncio.Event()
        self._sub: Any = None
        self._next, self._heard = 1, 0.0
        self._at, self._came_at = part.book.now, time.monotonic()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._stream.on_reconnection(self._wake.set)
        try:
            while True:
                try:
                    await self._open()
                    await self._broken()
                except (OSError, NatsError):
                    await asyncio.sleep(0.05)  # the broker restarts, or elects
        finally:
            self._stream.off_reconnection(self._wake.set)
            await self._shut()

    def now(self) -> int:
        """Return the broker's time of day, ns: of the last message, and what went by since."""
        return self._at + round((time.monotonic() - self._came_at) * 1e9)

    async def _open(self) -> None:
        await self._shut()
        self._wake.clear()
        self._asked += 1
        js = self._stream.soon if self._asked % PATIENT else self._stream.js
        last = await self._last(js)
        if last < self._part.position:  # a broker without its disk: senders' repeats are known by their numbers
            self.rewound += self._part.position - last
            self._part.position = last
        self._next, self._heard = 1, time.monotonic()
        self.openings += 1
        inbox = self._stream.nc.new_inbox()
        self._sub = await self._stream.nc.subscribe(inbox, cb=partial(self._came, self.openings))
        await js.add_consumer(
            self._stream.broker.name,
            api.ConsumerConfig(
                deliver_subject=inbox,
                filter_subject=self._stream.subject(self._partition),
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._part.position + 1,
                ack_policy=api.AckPolicy.NONE,
                max_deliver=1,
                flow_control=True,
                idle_heartbeat=HEARTBEAT_S,
                inactive_threshold=10,
                mem_storage=True,
                num_replicas=1,
            ),
        )

    async def _last(self, js: JetStreamContext) -> int:
        """Last place of the stream; a leader that was just elected may need a moment to know it."""
        for _ in range(50):
            last = (await js.stream_info(self._stream.broker.name)).state.last_seq
            if last >= self._part.position:
                break
            await asyncio.sleep(0.1)
        return last

    async def _broken(self) -> None:
        """Return when the delivery has a hole or no sign of life, or the connection was made anew."""
        while time.monotonic() - self._heard < STALLED_S:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
                return

    async def _shut(self) -> None:
        if self._sub is not None:
            sub, self._sub = self._sub, None
            with suppress(OSError, NatsError):
                await sub.unsubscribe()

    async def _came(self, opening: int, message: Msg) -> None:
        """Count a message; answer the broker's question whether we keep up."""
        if opening != self.openings:
            return
        self._heard = time.monotonic()
        headers = message.headers or {}
        if headers.get("Status") == "100":
            if message.reply:
                await message.respond(b"")
            elif int(headers.get("Nats-Last-Consumer", 0)) >= self._next:
                self._wake.set()
            return
        tokens = message.reply.split(".")  # $JS.ACK, perhaps domain and account, stream, consumer, times delivered, ...
        begin = 5 if len(tokens) == 9 else 7
        position, number, at = (int(token) for token in tokens[begin : begin + 3])
        if number != self._next:
            self._wake.set()
            return
        self._next += 1
        events = self._part.take(message.data, position, at)
        self._at, self._came_at = at, self._heard
        self._flow.counted(events, at / 1e9, time.time())


class Owner:
    """Counts one partition and writes its snapshots, until it is told to leave or is fenced.

    Parameters
    ----------
    stream
        Open.
    plan
        Of the stream.
    partition
        Which.
    name
        Of the worker.

    Attributes
    ----------
    part
        What was counted; None before the partition is claimed.
    """

    def __init__(self, stream: Stream, plan: Plan, partition: int, name: str) -> None:
        self.part: Partition | None = None
        self.flow = Flow(time.time())
        self._stream, self._plan, self._partition = stream, plan, partition
        self._shelf = stream.shelf()
        self._key = f"p{partition}"
        self._token = f"{name}/{uuid.uuid4().hex}"
        self._writings = self._revision = self._written = 0

    async def run(self, leave: asyncio.Event) -> None:
        """Claim the partition, count it, save it.

        Raises
        ------
        Fenced
            When another one owns it now.
        """
        part = self.part = await self._claim()
        tail = Tail(self._stream, self._partition, part, self.flow)
        subject = f"{self._stream.broker.name}-now.{self._partition}"
        asked = await self._stream.nc.subscribe(subject, cb=self._answer)
        counting = asyncio.create_task(tail.run())
        try:
            while not leave.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(leave.wait(), self._plan.save_s)
                part.book.tick(tail.now())
                await self._save(part)
        finally:
            while not counting.done():  # before Python 3.12 wait_for may swallow one: it is told again
                counting.cancel()
                await asyncio.wait({counting}, timeout=0.2)
            with suppress(asyncio.CancelledError, OSError, NatsError):
                counting.result()
            with suppress(OSError, NatsError):
                await asked.unsubscribe()

    async def _claim(self) -> Partition:
        """Go on from the last snapshot, and write it anew: whoever owned the partition is fenced from here on."""
        while True:
            found = await self._shelf.get(self._key) or Found(0, b"")
            part = Partition(self._plan, unpack(found.data) if found.data else None)
            self._revision = found.revision
            with suppress(Fenced):  # it was not the last one after all: look again
                await self._save(part, always=True)
                return part
            await asyncio.sleep(0.02)

    async def _save(self, part: Partition, *, always: bool = False) -> None:
        """Write a snapshot where anything was counted since the last, then the blocks that it lets go."""
        for block in part.wanted():
            found = await self._shelf.get(f"{self._key}.{block}")
            if found is not None:
                part.lay(block, unpack_block(found.data)[0])
        await self._set_aside(part)
        if part.position == self._written and not part.unfiled and not always:
            return
        self._writings += 1
        written = part.position
        data = part.snapshot(f"{self._token}/{self._writings}")
        self._revision = await self._shelf.put(self._key, data, self._revision)
        self._written = written
        for block, rows in part.due.items():
            part.file(block, await self._file(block, rows, self._revision, part.filed.get(block, 0)))

    async def _set_aside(self, part: Partition) -> None:
        """Keep what could not be read, before the snapshot goes on from behind it; it is counted also where this fails.

        Another owner may write it once more: it is known by its place.
        """
        with suppress(OSError, NatsError):
            while part.asides:
                await self._stream.set_aside(str(self._partition), *part.asides[0])
                part.asides.popleft()

    async def _file(self, block: int, rows: Mapping[int, np.ndarray], writing: int, revision: int) -> int:
        """Write a block over the one we know, or over one of an earlier snapshot; never over one of a later.

        Snapshots are numbered by their own revisions, so each belongs to one owner. The place in the stream would not
        do: an owner that goes on from a snapshot lays blocks that it held additions to, and has read nothing new.
        """
        key, body = f"{self._key}.{block}", pack_block(rows, writing)
        while True:
            with suppress(Fenced):
                return await self._shelf.put(key, body, revision)
            found = await self._shelf.get(key)
            if found is not None and unpack_block(found.data)[1] > writing:
                raise Fenced(f"{key} was written by another one")
            revision = 0 if found is None else found.revision

    async def _answer(self, message: Msg) -> None:
        """Show what is counted by now, saved or not."""
        if self.part is not None:
            await message.respond(self.part.look(self._token))


class Worker:
    """A process of owners: as many partitions as are its share among the workers that it hears.

    Parameters
    ----------
    stream
        Open.
    plan
        Of the stream.
    name
        Must be its own; drawn by default.

    Attributes
    ----------
    owners
        Partition -> its owner.
    fenced
        How often it was told that another one owns a partition.
    alerts
        The last hundred: moment (ns) and text.
    """

    def __init__(self, stream: Stream, plan: Plan, name: str | None = None) -> None:
        self.name = name or uuid.uuid4().hex[:8]
        self.owners: dict[int, Owner] = {}
        self.fenced = 0
        self.alerts: deque[tuple[int, str]] = deque(maxlen=100)
        self._stream, self._plan = stream, plan
        self._tasks: dict[int, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._heard: dict[str, float] = {}
        self._beats = f"{stream.broker.name}-beat"

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what was counted is saved then."""
        heard = await self._stream.nc.subscribe(self._beats, cb=self._hear)
        begun = time.monotonic()
        try:
            while not stop.is_set():
                await self._beat()
                if time.monotonic() - begun >= 2 * BEAT_S:  # by then it has heard those that were here before
                    self._rebalance()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), BEAT_S)
        finally:
            with suppress(OSError, NatsError):
                await self._stream.nc.publish(self._beats, json.dumps({"name": self.name, "gone": True}).encode())
                await heard.unsubscribe()
            for _, leave in self._tasks.values():
                leave.set()
            if self._tasks:
                await asyncio.wait([task for task, _ in self._tasks.values()], timeout=5)

    def told(self) -> dict[str, Any]:
        """How it does: what its beat says."""
        owned = {p: owner.part for p, owner in self.owners.items() if owner.part is not None}
        return {
            "name": self.name,
            "partitions": {p: part.position for p, part in owned.items()},
            "received": sum(part.book.totals["received"] for part in owned.values()),
            "events_per_s": sum(self.owners[p].flow.seen(time.time())["events_per_s"] for p in owned),
            "fenced": self.fenced,
        }

    async def _beat(self) -> None:
        with suppress(OSError, NatsError):
            await self._stream.nc.publish(self._beats, json.dumps(self.told()).encode())

    async def _hear(self, message: Msg) -> None:
        said = json.loads(message.data)
        if said.get("gone"):
            self._heard.pop(said["name"], None)
        else:
            self._heard[said["name"]] = time.monotonic()

    def _rebalance(self) -> None:
        """Own our share and nothing else."""
        now = time.monotonic()
        others = {name for name, at in self._heard.items() if now - at < SILENT_S}
        mine = share(self._plan.partitions, others | {self.name}, self.name)
        for partition, (task, leave) in list(self._tasks.items()):
            if task.done():
                self._ended(partition, task)
            elif partition not in mine:
                leave.set()
        for partition in mine - set(self._tasks):
            owner, leave = Owner(self._stream, self._plan, partition, self.name), asyncio.Event()
            self.owners[partition] = owner
            self._tasks[partition] = asyncio.create_task(owner.run(leave)), leave

    def _ended(self, partition: int, task: asyncio.Task[None]) -> None:
        del self._tasks[partition], self.owners[partition]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Fenced):
            self.fenced += 1
        elif error is not None:
            said = error.description if isinstance(error, APIError) else str(error)
            self.alerts.append(
                (time.time_ns(), f"partition {partition}: {type(error).__name__} {said}; it is tried again")
            )
