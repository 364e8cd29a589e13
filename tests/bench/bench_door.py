"""The HTTP door: events a second and core, beside decoding the same frames with no door in between."""

from __future__ import annotations

import os
import resource
import threading
import time
from http.client import HTTPConnection

import numpy as np

from attribution.events import EventBatch, Labels
from attribution.stream.door import Door, Server
from attribution.stream.wire import decode, encode

EVENTS, SECONDS = 14_200, 4.0


class Nowhere:
    """A sink that only counts."""

    events = 0

    def offer(self, frame) -> int:
        self.events += len(frame)
        return self.events


def batch(n: int) -> EventBatch:
    rng = np.random.default_rng(1)
    axes = {"regions": tuple("nswe"), "channels": tuple("abcd"), "devices": tuple("xyz")}
    return EventBatch(
        time=1_770_583_260 * 10**9 + np.sort(rng.integers(0, 10**9, n)), seq=np.arange(1, n + 1, dtype=np.uint64),
        source=np.zeros(n, np.uint16), region=rng.integers(0, 4, n).astype(np.uint16),
        channel=rng.integers(0, 4, n).astype(np.uint8), device=rng.integers(0, 3, n).astype(np.uint8),
        kind=rng.integers(0, 2, n).astype(np.uint8), weight=np.ones(n, np.float32),
        labels=Labels(**axes, kinds=("visit", "conversion")),
    )  # fmt: skip


def cpu(of: str) -> float:
    """CPU seconds of this thread or of the whole process."""
    if of == "thread":
        return time.thread_time()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(body: bytes, kind: str) -> tuple[float, float, float, list[float]]:
    """Events a second of wall time; of the server's CPU; the sender's CPU a request (us); waits (ms)."""
    sink = Nowhere()
    server = Server(Door(sink))
    server.start()
    line = HTTPConnection(server.address.removeprefix("http://"), timeout=30)
    waits: list[float] = []
    began, all_before, mine_before = time.monotonic(), cpu("process"), cpu("thread")
    while time.monotonic() - began < SECONDS:
        sent = time.monotonic()
        line.request("POST", "/v1/events", body, {"Content-Type": kind})
        line.getresponse().read()
        waits.append(1000 * (time.monotonic() - sent))
    wall, mine = time.monotonic() - began, cpu("thread") - mine_before
    theirs = cpu("process") - all_before - mine
    line.close()
    server.close()
    assert threading.active_count() < 10
    return sink.events / wall, sink.events / theirs, 1e6 * mine / len(waits), waits


def main() -> None:
    frame = encode(batch(EVENTS))
    lines = b"\n".join(
        b'{"time": %d, "seq": %d, "region": "n", "kind": "conversion"}' % (1_770_583_260_000_000_000 + i, i + 1)
        for i in range(EVENTS // 10)
    )
    began, times = time.thread_time(), 0
    while time.thread_time() - began < 1:
        decode(frame)
        times += 1
    bare = EVENTS * times / (time.thread_time() - began)
    print(f"decode alone, no door: {bare / 1e6:.1f} M events/s of CPU; load {os.getloadavg()[0]:.1f}")
    for name, body, kind, goal in (
        ("frames", frame, "application/vnd.event-command.frame", 1.0),
        ("JSON lines", lines, "application/x-ndjson", None),
    ):
        wall, core, sender, waits = measure(body, kind)
        p50, p99 = np.quantile(waits, (0.5, 0.99))
        print(
            f"{name}: {core / 1e6:.2f} M events/s and core of the server{f' (goal {goal} M)' if goal else ''}, "
            f"{core / bare:.2f} of decoding alone; {wall / 1e6:.2f} M/s seen by one sender; "
            f"its own cost {sender:.0f} us a request is taken out; wait p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        )


if __name__ == "__main__":
    main()
