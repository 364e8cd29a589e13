"""What an event costs and how long it takes on a stream that processes share, and how soon it counts again.

Brokers, gateway, worker and sender share the machine's cores with everybody else on it: latencies are what was seen,
CPU seconds are what was spent, the sender's with them. Frames are made before the clock runs.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_stream import batches

from attribution.stream import cluster, owners, wire
from attribution.stream.book import SECOND
from attribution.stream.gateway import Gateway
from attribution.stream.nats import Broker, Stream
from attribution.stream.node import prepare
from attribution.stream.partitions import Plan
from attribution.stream.reader import Reader
from attribution.stream.servers import Server, prepared, start


def spent(pid: int) -> float:
    """CPU seconds of a process so far."""
    told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


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


async def flow(servers: list[Server], replicas: int, eps: int, seconds: float, tick_s: float) -> None:
    """Send at a pace, and print waits and costs."""
    plan = Plan(partitions=4)
    broker = Broker(servers=tuple(each.url for each in servers), name=f"bench{eps}")
    await cluster.make(broker, plan, replicas=replicas)
    stream = await Stream(broker).open()
    gateway = await Gateway(stream, plan, flush_s=0.001).open()
    stop, waits = asyncio.Event(), []
    take = owners.Partition.take

    def timed(part: owners.Partition, body: bytes, position: int, at: int) -> int:
        counted = take(part, body, position, at)
        if counted:
            due = wire.decode(body).rows["time"]
            waits.append((time.time_ns() - int(due[len(due) // 2]), counted))
        return counted

    owners.Partition.take = timed
    working = asyncio.create_task(owners.Worker(stream, plan).run(stop))
    await asyncio.sleep(2)
    size = max(8, round(eps * tick_s))
    many = round(seconds / tick_s)
    begin = time.time_ns() + SECOND // 2
    frames = []
    for i, batch in enumerate(batches(many * size, size, size / tick_s, begin)):
        batch.time[:] = begin + round(i * tick_s * SECOND)
        frames.append(wire.encode(batch, epochs=[1] * 8))
    brokers, ours = sum(spent(each.process.pid) for each in servers), time.process_time()
    sending, late = set(), 0
    for i, frame in enumerate(frames):
        due = begin + round(i * tick_s * SECOND)
        while (wait := due - time.time_ns()) > 0:
            await asyncio.sleep(wait / SECOND)
        late += time.time_ns() - due > tick_s * SECOND
        task = asyncio.create_task(gateway.put(frame))
        sending.add(task)
        task.add_done_callback(sending.discard)
    while sending:
        await asyncio.wait(set(sending))
    reader = Reader(stream, plan)
    while (await reader.read(fresh=True)).book.totals["received"] < many * size:
        await asyncio.sleep(0.05)
    brokers = sum(spent(each.process.pid) for each in servers) - brokers
    ours = time.process_time() - ours
    owners.Partition.take = take
    wait_ms, events = np.array(waits, dtype=float).T
    order = np.argsort(wait_ms)
    share = np.cumsum(events[order]) / events.sum()
    p50, p99 = (wait_ms[order][np.searchsorted(share, q)] / 1e6 for q in (0.5, 0.99))
    total = many * size
    cost = f"{(brokers + ours) / total * 1e6:.2f} us of CPU an event"
    parts = f"brokers {brokers / total * 1e6:.2f}, sender, gateway and worker {ours / total * 1e6:.2f}"
    print(
        f"cluster   {len(servers)} broker{'s' * (len(servers) > 1)}, {eps:,} events/s for {seconds:g} s: "
        f"p50 {p50:.1f}, p99 {p99:.1f} ms from sending to a readable count; {cost} "
        f"({parts}), {gateway.messages:,} messages of {total / gateway.messages:.0f} events; the sender woke up late "
        f"{late / many:.0%} of the time"
    )
    stop.set()
    await working
    await gateway.close()
    await stream.close()


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
    await gateway.put(frames[1])
    stored = time.perf_counter() - begun
    while (await reader.read(fresh=True)).book.totals["received"] < 1600:
        await asyncio.sleep(0.02)
    counted = time.perf_counter() - begun
    what = "the broker killed and started again" if replicas == 1 else "the leader of three killed"
    print(f"cluster   {what}: an event is stored again after {stored:.2f} s, counted after {counted:.2f} s; none lost")
    stop.set()
    await working
    await gateway.close()
    await stream.close()
    if replicas > 1:
        servers[i] = start(servers[i].url, servers[i].config)


def main() -> None:
    """Print the figures."""
    prepare()
    for replicas in (1, 3):
        with tempfile.TemporaryDirectory() as folder:
            print(f"cluster   limit: {disk(Path(folder))}")
            servers = [start(*each) for each in prepared(Path(folder), replicas=replicas)]
            try:
                asyncio.run(flow(servers, replicas, 14_200, 10.0, 0.001))
                if replicas == 1:
                    asyncio.run(flow(servers, replicas, 100_000, 10.0, 0.002))
                for _ in range(3):
                    asyncio.run(recovery(servers, replicas))
            finally:
                for each in servers:
                    each.process.end()
    print(f"cluster   load of the machine while this ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
