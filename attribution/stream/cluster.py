"""A stream's processes: started together, asked how they do, ended together."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attribution.stream.broker import Broker
from attribution.stream.door import Door, Server
from attribution.stream.gateway import Entrance, Gateway
from attribution.stream.nats import Stream, patiently
from attribution.stream.node import prepare
from attribution.stream.owners import BEAT_S, Worker
from attribution.stream.reader import Reader
from attribution.stream.servers import STATE, Process, launch, prepared, recall, remember, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from nats.aio.msg import Msg

    from attribution.stream.asides import Aside
    from attribution.stream.gathered import Reading
    from attribution.stream.partitions import Plan

PROGRAM = "from attribution.cli import app; app()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a stream does.

    Attributes
    ----------
    plan
        It was made with.
    stored, stored_bytes
        Messages the broker keeps, and their size.
    last
        Place of the last message.
    replicas
        Brokers that keep each message.
    reading
        What is counted.
    workers
        What each worker said of itself.
    """

    plan: Plan
    stored: int
    stored_bytes: int
    last: int
    replicas: int
    reading: Reading
    workers: tuple[dict[str, Any], ...]

    @property
    def unowned(self) -> list[int]:
        """Partitions that no worker says are its own."""
        owned = {int(p) for worker in self.workers for p in worker["partitions"]}
        return sorted(set(range(self.plan.partitions)) - owned)


@asynccontextmanager
async def opened(broker: Broker) -> AsyncIterator[tuple[Stream, Plan]]:
    """Connect to a stream that was made; raises as :meth:`Stream.open` and :meth:`Stream.plan`."""
    stream = await Stream(broker).open()
    try:
        yield stream, await stream.plan()
    finally:
        await stream.close()


def brokers(folder: Path, *, replicas: int, port: int) -> Broker:
    """Start brokers of our own in a folder, those that do not run yet; returns where they are.

    Raises
    ------
    ValueError
        When another number of them was started there before.
    """
    servers, workers = recall(folder) if (folder / STATE).exists() else ([], [])
    if servers and len(servers) != replicas:
        many = f"{len(servers)} broker{'s' * (len(servers) != 1)}"
        raise ValueError(f"{folder} holds {many}; give --replicas {len(servers)}, or another --dir")
    if servers:
        servers = [each if each.process.alive() else start(each.url, each.config) for each in servers]
    else:
        servers = [start(*each) for each in prepared(folder.resolve(), replicas=replicas, port=port)]
    remember(folder, servers, workers)
    return Broker(servers=tuple(each.url for each in servers))


async def make(broker: Broker, plan: Plan, *, replicas: int, max_bytes: int = -1) -> Plan:
    """Make the stream, or find it: it stays as it was made. A cluster that was just started needs some seconds."""
    stream = await Stream(broker).open()
    try:
        return await patiently(lambda: stream.make(plan, replicas=replicas, max_bytes=max_bytes), patience_s=30)
    finally:
        await stream.close()


def hire(folder: Path, options: list[str], many: int) -> list[Process]:
    """Start workers beside those that run; returns all of them."""
    servers, workers = recall(folder) if (folder / STATE).exists() else ([], [])
    workers = [each for each in workers if each.alive()]
    for _ in range(many - len(workers)):
        mark = f"worker-{time.time_ns():x}"
        command = [sys.executable, "-c", PROGRAM, "stream", *options, "worker", "--name", mark]
        workers.append(launch(command, mark=mark, log=folder / f"{mark}.log"))
    for each in workers[many:]:
        each.end()
    remember(folder, servers, workers[:many])
    return workers[:many]


def end(folder: Path) -> int:
    """End the workers, then the brokers, that were started in a folder; what they keep stays. Returns how many."""
    servers, workers = recall(folder)
    running = [each for each in (*workers, *(server.process for server in servers)) if each.alive()]
    for each in running:
        each.end()
    return len(running)


async def work(broker: Broker, name: str | None = None) -> None:
    """Be a worker until told to end."""
    prepare()
    stop = _told_to_end()
    async with opened(broker) as (stream, plan):
        await Worker(stream, plan, name).run(stop)


async def admit(broker: Broker, host: str, port: int, token: str | None, told: Any = print) -> None:
    """Be a gateway with an HTTP door until told to end."""
    stop = _told_to_end()
    async with opened(broker) as (stream, plan):
        gateway = await Gateway(stream, plan).open()
        door = Server(Door(Entrance(gateway, asyncio.get_running_loop()), token=token), host=host, port=port)
        door.start()
        told(f"listening on {door.address}/v1/events")
        try:
            await stop.wait()
        finally:
            await asyncio.to_thread(door.close)
            await gateway.close()


async def standing(broker: Broker) -> Standing:
    """Ask how a stream does: the broker, what is counted, and the workers, for as long as a few of their beats take."""
    async with opened(broker) as (stream, plan):
        heard: dict[str, dict[str, Any]] = {}

        async def hear(message: Msg) -> None:
            said = json.loads(message.data)
            if "partitions" in said:
                heard[said["name"]] = said

        await stream.nc.subscribe(f"{broker.name}-beat", cb=hear)
        await asyncio.sleep(4 * BEAT_S)
        found = await stream.js.stream_info(broker.name)
        return Standing(
            plan=plan,
            stored=found.state.messages,
            stored_bytes=found.state.bytes,
            last=found.state.last_seq,
            replicas=found.config.num_replicas or 1,
            reading=await Reader(stream, plan).read(2**40, fresh=True),
            workers=tuple(heard[name] for name in sorted(heard)),
        )


async def counted(broker: Broker, first: int, last: int) -> Reading:
    """Read what is counted in the seconds ``[first, last)`` by now."""
    async with opened(broker) as (stream, plan):
        return await Reader(stream, plan).read(first, last, fresh=True)


async def asides(broker: Broker) -> list[Aside]:
    """Return what could not be read and is kept, oldest first."""
    async with opened(broker) as (stream, _):
        return await stream.asides()


def _told_to_end() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
