"""A stream on brokers in real time: workers and brokers killed, a leader too, a line that stalls, a reader in the way.

Run as a module it is a worker: python -m faults.clustered SERVER NAME [forgetful | trusting]
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from attribution.stream import cluster, owners, partitions, wire
from attribution.stream.book import Book, Rules
from attribution.stream.broker import Broker
from attribution.stream.gateway import Gateway
from attribution.stream.gathered import Reading
from attribution.stream.keeping import Refused
from attribution.stream.nats import Stream, patiently
from attribution.stream.partitions import Plan
from attribution.stream.reader import Reader
from attribution.stream.servers import prepared, start
from attribution.stream.tallies import MISSING
from faults.embedded import Forgetful, Outcome
from faults.workload import SECOND, Faults, Workload, cells, workload

PLAN = Plan(partitions=4, block_s=4, rules=Rules(open_s=5, past_s=3600))
FAULTS = Faults(reordered_s=2.0, late_s=8.0)
"""The late window is 5 s where a stream has 120: late are 8 s."""
WORKERS = 2
PATIENCE_S = 60.0


class Line:
    """A proxy that passes bytes on, until it is told to stall: then nothing moves, and nobody is told."""

    def __init__(self, url: str) -> None:
        self._host, port = url.removeprefix("nats://").split(":")
        self._port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stall(self, seconds: float) -> None:
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        for one, other in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


class Trusting(owners.Tail):
    """Teeth: believes what was delivered to be counted, and goes on from the end of the stream."""

    async def _open(self) -> None:
        if not self.openings:
            self._part.position = await self._last(self._stream.js)
        await super()._open()


class Site:
    """Brokers, workers and a sender, and what may happen to them."""

    def __init__(self, seed: int, folder: Path, *, replicas: int = 1, mode: str = "") -> None:
        self.rng = np.random.default_rng([seed, 3])
        self.outcome = Outcome(seed=seed)
        self.recoveries: list[float] = []
        self.starts: list[float] = []
        self.workers: list[subprocess.Popen] = []
        self._folder, self._replicas, self._mode = folder, replicas, mode
        self._killed_at: float | None = None

    async def open(self) -> None:
        self.servers = [start(*each) for each in prepared(self._folder, replicas=self._replicas)]
        self.urls = [each.url for each in self.servers]
        broker = Broker(servers=tuple(self.urls))
        await cluster.make(broker, PLAN, replicas=self._replicas)
        self.stream = await Stream(broker).open()
        self.gateway = await Gateway(self.stream, PLAN, patience_s=5.0).open()
        self.reader = Reader(self.stream, PLAN)
        self.line = Line(self.urls[0])
        self.line_url = await self.line.start()
        for i in range(WORKERS):
            self.hire(i)
        await self.until(self.owned)
        self.deaf = socket.create_connection(("127.0.0.1", int(self.urls[-1].rsplit(":", 1)[1])))
        self.deaf.sendall(b'CONNECT {"verbose":false}\r\nSUB ev.> 1\r\nPING\r\n')  # and never reads

    async def owned(self) -> bool:
        """Whether every partition has an owner that answers."""
        try:
            return all([
                await self.stream.nc.request(f"ev-now.{p}", timeout=1.0) for p in range(PLAN.partitions)
            ])  # fmt: skip
        except Exception:
            return False

    async def until(self, met: Any, wait_s: float = PATIENCE_S) -> bool:
        end = time.monotonic() + wait_s
        while not await met():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        return True

    def hire(self, i: int) -> None:
        """Start a worker; the first of them is behind the line."""
        url = self.line_url if i == 0 else ",".join(self.urls)
        process = subprocess.Popen(
            [sys.executable, "-m", "faults.clustered", url, f"worker-{i}-{time.time_ns():x}", self._mode],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=(self._folder / "workers.log").open("ab"),
        )
        self.workers[i : i + 1] = [process]

    async def send(self, body: bytes) -> None:
        """Send a frame as a sender does: again, when it is refused, and now and then when the answer was lost."""
        again = self.rng.random() < 0.002
        while True:
            begun = time.monotonic()
            try:
                await self.gateway.put(body)
            except wire.Unreadable:
                await self.spoil(body)  # past the gateway
                return
            except Refused:
                self.outcome.refused += 1
                await asyncio.sleep(0.3)
                continue
            if self._killed_at is not None and begun > self._killed_at:
                self.recoveries.append(time.monotonic() - self._killed_at)
                self._killed_at = None
            if not again:
                return
            again = False

    async def spoil(self, body: bytes) -> None:
        """Write what cannot be read into the stream, once."""
        subject, headers = f"ev.{len(body) % PLAN.partitions}", {"Nats-Msg-Id": uuid.uuid4().hex}
        await patiently(lambda: self.stream.js.publish(subject, body, headers=headers))

    async def kill_worker(self) -> None:
        i = int(self.rng.integers(WORKERS))
        self.workers[i].kill()
        self.workers[i].wait()
        self.outcome.kills += 1
        self.hire(i)

    async def kill_broker(self, i: int | None = None) -> None:
        i = int(self.rng.integers(len(self.servers))) if i is None else i
        self._killed_at = time.monotonic()
        self.servers[i].process.end(wait_s=0)
        self.outcome.kills += 1
        await asyncio.sleep(0 if len(self.servers) == 1 else 2)  # one broker alone is what everybody waits for
        self.servers[i] = start(self.servers[i].url, self.servers[i].config)

    async def kill_leader(self) -> None:
        info = await self.stream.js.stream_info("ev")
        leader = info.cluster.leader if info.cluster else None
        await self.kill_broker(int(str(leader or "broker-0").rsplit("-", 1)[1]))

    async def stall(self) -> None:
        """Let nothing pass between the first worker and the brokers, for longer than others wait for its beat."""
        await self.line.stall(3 + 2 * self.rng.random())

    def deeds(self) -> list[Any]:
        """What will go wrong, in any order."""
        brokers = [self.kill_broker] if len(self.servers) == 1 else [self.kill_broker, self.kill_leader]
        return [self.kill_worker, self.kill_worker, self.stall, *brokers]

    async def read(self) -> Reading:
        return await self.reader.read()

    async def close(self) -> None:
        self.deaf.close()
        await self.gateway.close()
        for process in self.workers:
            process.terminate()
        for process in self.workers:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        await self.stream.close()
        await self.line.close()
        for server in self.servers:
            server.process.end()


def plot(site: Any, seconds: float) -> list[tuple[float, Any]]:
    """Draw when what goes wrong."""
    deeds = site.deeds()
    moments = np.sort(site.rng.random(len(deeds))) * 0.5 + np.arange(len(deeds))
    order = site.rng.permutation(len(deeds))
    return [(1 + seconds * m / len(deeds), deeds[i]) for m, i in zip(moments, order, strict=True)]


async def drill(site: Any, *, seconds: int = 20, eps: int = 14_200) -> tuple[Outcome, Workload]:
    """Send a workload in real time while things go wrong, and hold what is read against the truth."""
    await site.open()
    try:
        begin = time.time_ns() + 3 * SECOND
        work = workload(site.outcome.seed, seconds=seconds, eps=eps, faults=FAULTS, begin=begin)
        loop_at, wall = time.monotonic(), time.time_ns()
        mischief = [asyncio.create_task(_at(loop_at + 3 + moment, deed)) for moment, deed in plot(site, seconds)]
        sending = set()
        for at, body in work.frames:
            wait = loop_at + (at - wall) / SECOND - time.monotonic()
            if wait > 0.002:
                await asyncio.sleep(wait)
            task = asyncio.create_task(site.send(body))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*mischief)
        while sending:
            await asyncio.wait(set(sending))
        truth = sum(work.truth.values())

        async def all_of_it() -> bool:
            return (await site.read()).book.totals["received"] >= truth

        await site.until(all_of_it)
        compare(site.outcome, await site.read(), work)
    finally:
        await site.close()
    return site.outcome, work


async def _at(moment: float, deed: Any) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await deed()


def compare(outcome: Outcome, reading: Reading, work: Workload) -> None:
    """Hold every second and cell against the truth."""
    slots = reading.book.tallies.slots
    found, missed = cells(reading.rows, slots), [i for i, slot in enumerate(slots) if slot.what == MISSING]
    charged = sum(int(row[i]) for row in reading.rows.values() for i in missed if i < len(row))
    keys = set(found) | set(work.truth)
    off = [abs(found[key] - work.truth[key]) for key in keys]
    outcome.cells, outcome.wrong, outcome.events_off = len(keys), sum(x > 0 for x in off), sum(off)
    outcome.missing, outcome.never = reading.book.gaps.dropped, work.never
    outcome.late = reading.book.totals["late"]
    aside = sum(reading.book.aside.values())
    if charged != outcome.missing:
        outcome.remarks.append(f"{charged} missing in the seconds, {outcome.missing} by the numbers")
    if reading.book.totals["received"] != sum(work.truth.values()):
        outcome.remarks.append(f"{reading.book.totals['received']} received of {sum(work.truth.values())}")
    if aside != work.poisoned:
        outcome.remarks.append(f"{aside} set aside of {work.poisoned} that cannot be read")


class ForgetfulBook(Book):
    """Teeth: counts whatever it is shown."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.gaps.__class__ = Forgetful


if __name__ == "__main__":
    if "forgetful" in sys.argv:
        partitions.Book = ForgetfulBook
    if "trusting" in sys.argv:
        owners.Tail = Trusting
    asyncio.run(cluster.work(Broker(servers=tuple(sys.argv[1].split(","))), sys.argv[2]))
