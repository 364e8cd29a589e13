"""The stream on NATS JetStream: gateways write it down, owners count it, readers put the parts together.

A gateway acknowledges an event once the broker has stored it; an owner acknowledges nothing to the broker. What an
owner has counted, which numbers have arrived, and up to which place of the stream, is one value of a key-value bucket,
replaced only at the revision that the owner itself knows (compare and set). So counting is exact by construction:

* an owner that ends leaves the last snapshot; the next one counts the rest of the stream again, from its place on;
* of two owners at once, the one whose revision is passed over is fenced: it forgets everything, and has harmed nothing;
* an event that a gateway or a sender sent twice is known by its number.

The broker's own memory of message ids serves sources without numbers alone, for as long as it reaches.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from attribution.stream.asides import ROOM, Aside
from attribution.stream.book import Rules
from attribution.stream.broker import Broker, NotLetIn, refusal
from attribution.stream.partitions import Plan

try:
    import nats
    from nats.errors import ConnectionClosedError, MaxPayloadError, NoServersError
    from nats.errors import Error as NatsError
    from nats.js import api
    from nats.js.errors import APIError, NotFoundError
except ImportError as error:
    raise ImportError("NATS needs the extra `nats`: pip install 'event-command[nats]'") from error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nats.aio.client import Client
    from nats.js import JetStreamContext

OTHERS = (10071, 10164)
"""The broker's codes for: that is not the last sequence."""
FULL = (10047, 10077, 10122)
"""Its codes for: no room on disk or in the stream, or one message too large for it."""
TRANSIENT = (OSError, NatsError)
"""What a broker that restarts, or elects, makes its clients see."""
PLAN = "plan"


class Fenced(RuntimeError):  # noqa: N818  not an error: another one owns the partition now
    """Somebody else has written since: what is held in memory must be forgotten."""


class Found(NamedTuple):
    """A value, and the revision under which it was written."""

    revision: int
    data: bytes


class Stream:
    """A connection, and the stream behind it.

    Attributes
    ----------
    broker
        Where it is.
    js, soon
        The connection's JetStream; the same, for questions that are better asked again than waited for.
    reconnections
        How often the connection was made anew.
    errors
        The last thing that went wrong, in words.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.reconnections = 0
        self.errors = ""
        self._again: list[Callable[[], None]] = []
        self._refusals = 0
        self._nc: Client | None = None

    @property
    def nc(self) -> Client:
        """The connection."""
        if self._nc is None:
            raise ValueError("the stream is not connected; await open() first")
        return self._nc

    @property
    def js(self) -> JetStreamContext:
        """Its JetStream."""
        return self._js

    async def open(self, *, wait_s: float = 10.0) -> Stream:
        """Connect.

        Raises
        ------
        OSError
            When no broker is reached, or it does not let us in.
        """
        try:
            self._nc = await asyncio.wait_for(
                nats.connect(
                    **self.broker.options(),
                    error_cb=self._failed,
                    reconnected_cb=self._reconnected,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.05,  # pyright: ignore[reportArgumentType]  seconds; a part of one is right
                    connect_timeout=2,
                    ping_interval=2,
                    max_outstanding_pings=3,
                ),
                wait_s,
            )
        except NotLetIn as error:
            raise OSError(f"the broker at {self.broker.where} {error}") from error
        except (*TRANSIENT, NoServersError) as error:
            said = self.errors or f"{type(error).__name__} {error}".strip()
            raise OSError(
                f"no broker at {self.broker.where} ({said}); start one with `attribution stream up`"
            ) from error
        self._refusals = -1  # from here on, it is tried again
        self._js, self.soon = self.nc.jetstream(timeout=2), self.nc.jetstream(timeout=0.4)
        return self

    async def close(self) -> None:
        """Disconnect."""
        if self._nc is not None:
            await self._nc.close()

    def on_reconnection(self, call: Callable[[], None]) -> None:
        """Have something called whenever the connection was made anew."""
        self._again.append(call)

    def off_reconnection(self, call: Callable[[], None]) -> None:
        """Have it called no more."""
        self._again.remove(call)

    async def make(self, plan: Plan, *, replicas: int = 1, max_bytes: int = -1, max_age_s: float = 86_400.0) -> Plan:
        """Make the stream and its buckets, or find them; returns the plan they were made with.

        Parameters
        ----------
        plan
            Of the stream.
        replicas
            Brokers that keep each message: 1, 3 or 5.
        max_bytes, max_age_s
            Of the stream. When it is full it takes nothing more, and loses nothing.

        Raises
        ------
        ValueError
            When it was made with another plan.
        """
        name = self.broker.name
        await self.js.add_stream(
            name=name,
            subjects=[f"{name}.*"],
            storage=api.StorageType.FILE,
            num_replicas=replicas,
            discard=api.DiscardPolicy.NEW,
            max_bytes=max_bytes,
            max_age=max_age_s,
        )
        await self.js.create_key_value(bucket=f"{name}-state", history=1, replicas=replicas)
        await self.js.add_stream(
            name=f"{name}-aside", subjects=[f"{name}-aside.*"], num_replicas=replicas, max_bytes=2 * ROOM
        )
        try:
            await self.shelf().put(PLAN, json.dumps(asdict(plan)).encode(), 0)
        except Fenced:
            found = await self.plan()
            if found != plan:
                raise ValueError(
                    f"the stream {name!r} was made with {found}; make another one by another name, or leave it as it is"
                ) from None
        return plan

    async def plan(self) -> Plan:
        """Return what the stream was made with.

        Raises
        ------
        ValueError
            When there is no such stream.
        """
        try:
            found = await self.shelf().get(PLAN)
        except NotFoundError:
            found = None
        if found is None:
            raise ValueError(f"there is no stream {self.broker.name!r} here; make it with `attribution stream up`")
        told = json.loads(found.data)
        return Plan(**told | {"rules": Rules(**told["rules"])})

    async def set_aside(self, where: str, place: int, given: Aside) -> None:
        """Keep what could not be read; the same place of a partition once. The oldest give way."""
        told = {"Nats-Msg-Id": f"{where}.{place}", "At": str(given.at), "Reason": given.reason}
        told["Detail"] = json.dumps(given.detail)
        await self.soon.publish(f"{self.broker.name}-aside.{where}", given.body, headers=told)

    async def asides(self) -> list[Aside]:
        """Return what was set aside and is kept, oldest first."""
        name, found = f"{self.broker.name}-aside", {}
        state = (await self.js.stream_info(name)).state
        seq = state.first_seq
        while state.messages and seq <= state.last_seq:
            message = await self.js.get_msg(name, seq=seq, subject=f"{name}.*", next=True)
            told, seq = message.headers or {}, (message.seq or seq) + 1
            found[told["Nats-Msg-Id"]] = Aside(
                int(told["At"]), told["Reason"], json.loads(told["Detail"]), message.data or b""
            )
        return list(found.values())

    def shelf(self) -> Shelf:
        """Return the bucket of the partitions' state."""
        return Shelf(self)

    def subject(self, partition: int) -> str:
        """Return the subject of a partition."""
        return f"{self.broker.name}.{partition}"

    async def _failed(self, error: Exception) -> None:
        """Note what went wrong; before the first connection, end trying once every broker has refused."""
        self.errors = f"{type(error).__name__} {error}".strip()
        refused = refusal(error)
        if refused and self._refusals >= 0:
            self._refusals += 1
            if self._refusals >= len(self.broker.servers):
                raise NotLetIn(refused)

    async def _reconnected(self) -> None:
        self.reconnections += 1
        for call in list(self._again):
            call()


class Shelf:
    """Values that are replaced only by who knows the last revision.

    Parameters
    ----------
    stream
        Whose bucket it is.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._bucket = f"KV_{stream.broker.name}-state"
        self._prefix = f"$KV.{stream.broker.name}-state."

    async def get(self, key: str) -> Found | None:
        """Return a value as the leader of the bucket knows it; None where there is none."""

        async def once() -> Found | None:
            try:
                found = await self._stream.js.get_msg(self._bucket, subject=self._prefix + key)
            except NotFoundError as error:
                if error.err_code == 10037:
                    return None
                raise
            return Found(found.seq or 0, found.data or b"")

        return await patiently(once)

    async def put(self, key: str, data: bytes, revision: int) -> int:
        """Replace a value whose revision is known (0: there is none yet); returns the new one.

        When the answer is lost, it is asked again; when our own writing is found, that was it.

        Raises
        ------
        Fenced
            When another one has written.
        """
        expected = {api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(revision)}

        async def once() -> int:
            try:
                return (await self._stream.js.publish(self._prefix + key, data, headers=expected)).seq
            except APIError as error:
                if error.err_code not in OTHERS:
                    raise
            found = await self.get(key)
            if found is not None and found.data == data:
                return found.revision
            raise Fenced(f"{key} was written by another one")

        return await patiently(once)


async def patiently(once: Callable[[], Awaitable[Any]], *, patience_s: float = float("inf")) -> Any:
    """Do something until it is done, however often the broker restarts meanwhile.

    Raises
    ------
    Exception
        What the broker said, when it will say it again, or patience is at its end.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return await once()
        except TRANSIENT as error:
            lasting = isinstance(error, APIError) and (error.code or 503) < 500
            lasting |= isinstance(error, MaxPayloadError | ConnectionClosedError)
            lasting |= isinstance(error, APIError) and error.err_code in FULL
            if lasting or time.monotonic() > until:
                raise
        await asyncio.sleep(0.05)
