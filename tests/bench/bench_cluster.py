"""What an event costs and how long it takes on a stream that processes share, and how soon it counts again.

Brokers, gateway, workers and sender share the machine's cores with everybody else on it: latencies are what was seen,
beside those of bare messages of the same size, one at a time, just before; CPU seconds are what was spent, without the
sender's. Frames are made before the clock runs.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from bench_stream import batches
from nats.errors import Error as NatsError
from nats.js import api

from attribution.stream import cluster, owners, wire
from attribution.stream.book import SECOND
from attribution.stream.broker import Broker
from attribution.stream.gateway import Gateway
from attribution.stream.keeping import Refused
from attribution.stream.nats import Stream
from attribution.stream.node import prepare
from attribution.stream.partitions import Plan
from attribution.stream.reader import Reader
from attribution.stream.servers import Server, prepared, start

ELECTION = "nats-server waits 4 to 9 s, drawn anew each time, before it elects another: raft.go, minElectionTimeout"


def spent(pid: int) -> float:
    """CPU seconds of a process so far."""
    ran = (path.read_text(encoding="ascii").split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, ran)) / SECOND


def disk(folder: Path, seconds: float = 2.0) -> str:
    """Say how long the disk takes to keep a kilobyte: a lone broker does that before it acknowledges a message."""
    waits, body = [], os.urandom(1024)
    end = time.perf_counter() + seconds
    with (folder / "synced").open("ab", buffering=0) as file:
        while (begun := time.perf_counter()) < end:
            file.write(body)
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - begun)
    p50, p99 = np.quantile(waits, [0.5, 0.99]) * 1e3
    return f"the disk keeps a kilobyte in p50 {p50:.1f}, p99 {p99:.1f} ms"


def working(url: str, name: str, kept: Path) -> None:
    """Be a worker that notes when events of each moment were counted; what the noting costs is taken out."""
    times, counted, weights, noting = [], [], [], 0.0
    take = owners.Partition.take

    def timed(part: owners.Partition, body: bytes, position: int, at: int) -> int:
        nonlocal noting
        events, now, begun = take(part, body, position, at), time.time_ns(), time.thread_time()
        if events:
            some = np.concatenate([wire.decode(frame).rows["time"] for frame in wire.parts(body)])
            some = some[:: max(1, len(some) // 64)]
            times.append(some)
            counted.append(np.full(len(some), now))
            weights.append(np.full(len(some), events / len(some)))
        noting += time.thread_time() - begun
        return events

    owners.Partition.take = timed
    prepare()
    asyncio.run(cluster.work(Broker(servers=tuple(url.split(",")), name=name)))
    columns = {"time": times, "counted": counted, "weight": weights}
    np.savez(kept, noting=noting, **{key: np.concatenate(of or [np.zeros(0)]) for key, of in columns.items()})


async def paced(
    frames: list[bytes], begin: int, tick_s: float, put: Callable[[bytes], Awaitable[object]]
) -> tuple[np.ndarray, float]:
    """Hand a frame over each tick; moments of that (ns), and the share of ticks that were late."""
    sent, sending = np.zeros(len(frames), np.int64), set()
    for i, frame in enumerate(frames):
        due = begin + round(i * tick_s * SECOND)
        while (wait := due - time.time_ns()) > 0:
            await asyncio.sleep(wait / SECOND)
        sent[i] = time.time_ns()
        task = asyncio.create_task(put(frame))
        sending.add(task)
        task.add_done_callback(sending.discard)
    while sending:
        await asyncio.wait(set(sending))
    late = sent - (begin + np.round(np.arange(len(frames)) * tick_s * SECOND)) > tick_s * SECOND
    return sent, float(late.mean())


async def sender(frames: list[bytes], tick_s: float) -> float:
    """CPU seconds of handing frames over at this pace to nobody."""

    async def nobody(_: bytes) -> None:
        pass

    begun = time.process_time()
    few = frames[: max(1, round(2 / tick_s))]
    await paced(few, time.time_ns(), tick_s, nobody)
    return (time.process_time() - begun) * len(frames) / len(few)


async def bare(stream: Stream, size: int, seconds: float = 3.0) -> str:
    """Say how long a message of so many bytes takes to the broker's disk and back to a subscriber, one at a time."""
    await stream.js.add_stream(name="bare", subjects=["bare.*"], num_replicas=len(stream.broker.servers))
    waits: list[float] = []
    inbox, came = stream.nc.new_inbox(), asyncio.Event()

    async def arrived(_: object) -> None:
        came.set()

    sub = await stream.nc.subscribe(inbox, cb=arrived)
    await stream.js.add_consumer(
        "bare", api.ConsumerConfig(deliver_subject=inbox, ack_policy=api.AckPolicy.NONE, mem_storage=True)
    )
    body, end = os.urandom(size), time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        came.clear()
        await stream.nc.publish("bare.0", body)
        await came.wait()
        waits.append(time.perf_counter() - begun)
    await sub.unsubscribe()
    await stream.js.delete_stream("bare")
    p50, p99 = np.quantile(waits, [0.5, 0.99]) * 1e3
    return f"a bare message of {size:,} bytes through the broker: p50 {p50:.1f}, p99 {p99:.1f} ms"


async def flow(
    servers: list[Server], eps: int, seconds: float, tick_s: float, *, partitions: int = 1, workers: int = 1
) -> None:
    """Send at a pace, and print waits and costs: brokers, gateway and workers apart, the sender's taken out."""
    plan = Plan(partitions=partitions)
    urls = tuple(each.url for each in servers)
    broker = Broker(servers=urls, name=f"bench{eps}_{partitions}_{workers}")
    await cluster.make(broker, plan, replicas=len(servers))
    stream = await Stream(broker).open()
    gateway = await Gateway(stream, plan, flush_s=min(0.001, tick_s)).open()
    size, many = max(8, round(eps * tick_s)), round(seconds / tick_s)
    with tempfile.TemporaryDirectory() as folder:
        hired = [Path(folder) / f"{i}.npz" for i in range(workers)]
        processes = [
            subprocess.Popen([sys.executable, __file__, "worker", ",".join(urls), broker.name, str(path)])
            for path in hired
        ]
        limit = await bare(stream, 24 * size)
        reader = Reader(stream, plan)
        await owned(stream, plan)
        frames, begin = made(eps, size, many, tick_s)
        pids = [[each.process.pid for each in servers], [process.pid for process in processes]]
        before, ours = [sum(map(spent, some)) for some in pids], time.process_time()
        sent, late = await paced(frames, begin, tick_s, gateway.put)
        ours, total = time.process_time() - ours, many * size
        while (await reader.read(fresh=True)).book.totals["received"] < total:
            await asyncio.sleep(0.1)
        brokers, counting = (sum(map(spent, some)) - then for some, then in zip(pids, before, strict=True))
        ours -= await sender(frames, tick_s)
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        found = [np.load(path) for path in hired]
    waits = np.concatenate(
        [f["counted"] - sent[np.round((f["time"] - begin) / (tick_s * SECOND)).astype(int)] for f in found]
    )
    order, weight = np.argsort(waits), np.concatenate([f["weight"] for f in found])
    share = np.cumsum(weight[order]) / weight.sum()
    p50, p99 = (waits[order][np.searchsorted(share, q)] / 1e6 for q in (0.5, 0.99))
    counting -= sum(float(f["noting"]) for f in found)
    us = [1e6 * cpu / total for cpu in (brokers, ours, counting)]
    print(
        f"cluster   {len(servers)} broker{'s' * (len(servers) > 1)}, {partitions} partitions, {workers} workers, "
        f"{eps:,} events/s for {seconds:g} s: p50 {p50:.1f}, p99 {p99:.1f} ms from handing over to a readable count "
        f"({limit}); {sum(us):.2f} us of CPU an event (brokers {us[0]:.2f}, gateway {us[1]:.2f}, workers {us[2]:.2f}), "
        f"{gateway.messages:,} messages of {total / gateway.messages:.0f} events, "
        f"{(brokers + ours + counting) / gateway.messages * 1e6:.0f} us each; the sender, whose cost is taken out, "
        f"woke up late {late:.0%} of the time",
        flush=True,
    )
    await gateway.close()
    await stream.js.delete_stream(broker.name)
    await stream.close()


def made(eps: int, size: int, many: int, tick_s: float) -> tuple[list[bytes], int]:
    """Frames of one tick each, of events that carry the moment of their tick; the first one (ns) is soon."""
    ahead = 2
    while True:
        begin, frames = time.time_ns() + ahead * SECOND, []
        for i, batch in enumerate(batches(many * size, size, eps, begin)):
            batch.time[:] = begin + round(i * tick_s * SECOND)
            frames.append(wire.encode(batch, epochs=[1] * 8))
        if time.time_ns() < begin:
            return frames, begin
        ahead *= 2


async def owned(stream: Stream, plan: Plan) -> None:
    """Wait until every partition has an owner."""
    for partition in range(plan.partitions):
        while True:
            with suppress(OSError, NatsError):
                await stream.nc.request(f"{stream.broker.name}-now.{partition}", timeout=0.5)
                break
            await asyncio.sleep(0.1)


async def sent(gateway: Gateway, frame: bytes) -> None:
    """Send as a sender does: again, while it is asked to wait."""
    while True:
        with suppress(Refused):
            await gateway.put(frame)
            return
        await asyncio.sleep(0.02)


async def recovery(servers: list[Server], replicas: int) -> None:
    """Kill the broker that leads, and measure until an event sent after that is stored, and is counted."""
    plan = Plan(partitions=4)
    broker = Broker(servers=tuple(each.url for each in servers), name="killed")
    await cluster.make(broker, plan, replicas=replicas)
    stream = await Stream(broker).open()
    gateway, reader, stop = await Gateway(stream, plan).open(), Reader(stream, plan), asyncio.Event()
    working = asyncio.create_task(owners.Worker(stream, plan).run(stop))
    frames = [wire.encode(b, epochs=[1] * 8) for b in batches(1600, 800, 14_200, time.time_ns() - SECOND)]
    await gateway.put(frames[0])
    while (await reader.read(fresh=True)).book.totals["received"] < 800:
        await asyncio.sleep(0.02)
    info = await stream.js.stream_info("killed")
    i = int((info.cluster.leader or "-0").rsplit("-", 1)[1]) if info.cluster else 0
    begun = time.perf_counter()
    servers[i].process.end(wait_s=0)
    if replicas == 1:
        servers[i] = start(servers[i].url, servers[i].config)
    await sent(gateway, frames[1])
    stored = time.perf_counter() - begun
    while (await reader.read(fresh=True)).book.totals["received"] < 1600:
        await asyncio.sleep(0.02)
    counted = time.perf_counter() - begun
    what = "the broker killed and started again" if replicas == 1 else f"the leader of three killed ({ELECTION})"
    print(f"cluster   {what}: an event is stored again after {stored:.2f} s, counted after {counted:.2f} s; none lost")
    stop.set()
    await working
    await gateway.close()
    await stream.close()
    if replicas > 1:
        servers[i] = start(servers[i].url, servers[i].config)


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["worker"]:
        working(*sys.argv[2:4], Path(sys.argv[4]))
        return
    prepare()
    for replicas in (1, 3):
        with tempfile.TemporaryDirectory() as folder:
            print(f"cluster   limit: {disk(Path(folder))}")
            servers = [start(*each) for each in prepared(Path(folder), replicas=replicas)]
            try:
                asyncio.run(flow(servers, 14_200, 10.0, 0.001))
                if replicas == 1:
                    asyncio.run(flow(servers, 100_000, 10.0, 0.001))
                    asyncio.run(flow(servers, 1_000_000, 10.0, 0.002))
                    for partitions, workers in ((4, 1), (16, 1), (64, 1), (4, 2), (4, 4)):
                        asyncio.run(flow(servers, 14_200, 5.0, 0.001, partitions=partitions, workers=workers))
                for _ in range(3):
                    asyncio.run(recovery(servers, replicas))
            finally:
                for each in servers:
                    each.process.end()
    print(f"cluster   load of the machine while this ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
