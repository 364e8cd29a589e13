"""What an event costs in the embedded node, beside what the memory allows, and beside a loop over JSON with pandas.

Made before the clock runs: events, frames, JSON. CPU seconds where a figure says so: the machine may be shared.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numba import njit

from attribution.events import EventBatch, Labels
from attribution.stream import wire
from attribution.stream.book import SECOND, Book
from attribution.stream.gaps import GapSet
from attribution.stream.node import Node, prepare

BEGIN = 1_770_583_260 * SECOND
LABELS = Labels(
    sources=tuple(f"collector-{i}" for i in range(8)),
    regions=("us-east", "us-west", "eu-west", "apac"),
    channels=("web", "app", "tv"),
    devices=("mobile", "desktop", "console", "tablet"),
    kinds=("visit", "conversion", "heartbeat"),
)


def batches(n: int, size: int, eps: float, begin: int = BEGIN) -> list[EventBatch]:
    """Events in order, numbered at eight sources; ``size`` in a batch."""
    rng = np.random.default_rng(0)
    source = (np.arange(n) % 8).astype(np.uint16)
    whole = {
        "time": begin + (np.arange(n) / eps * SECOND).astype(np.int64),
        "seq": (np.arange(n) // 8 + 1).astype(np.uint64),
        "source": source,
        "region": source // 2,
        "channel": rng.integers(0, 3, n).astype(np.uint8),
        "device": rng.integers(0, 4, n).astype(np.uint8),
        "kind": rng.integers(0, 2, n).astype(np.uint8),
        "weight": np.ones(n, np.float32),
    }
    return [
        EventBatch(labels=LABELS, **{k: v[i : i + size] for k, v in whole.items()}) for i in range(0, n, size)
    ]  # fmt: skip


def best(call, repeats: int = 7) -> float:
    """Least CPU seconds of a call."""
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return min(taken)


@njit
def histogram(time, cell, begin, out):
    """Count events by second and cell; nothing else."""
    for i in range(len(cell)):
        out[(time[i] - begin) // 1_000_000_000, cell[i]] += 1


def throughput(size: int, n: int = 1_420_000) -> None:
    """Decode to counts, beside a bare histogram of the very same cells."""
    made = batches(n, size, 14_200 * 100)
    frames = [wire.encode(batch, epochs=[1] * 8) for batch in made]
    rows = [wire.decode(frame).rows for frame in frames]
    out = np.zeros((200, 144), np.int64)

    def counted() -> None:
        book = Book()
        for frame in frames:
            book.apply(wire.decode(frame), at=BEGIN)

    def bare() -> None:
        for each in rows:
            histogram(each["time"], each["cell"], BEGIN, out)

    bare()
    ours, decode, limit = best(counted), best(lambda: [wire.decode(frame) for frame in frames]), best(bare)
    made_s = best(lambda: [wire.encode(batch, epochs=[1] * 8) for batch in made], 3)
    print(
        f"stream    batches of {size:7,}: {n / ours / 1e6:4.1f} M events/s/core, {ours / n * 1e9:5.1f} ns an event, "
        f"{decode / n * 1e9:4.1f} of it decoding with its checksum; a bare histogram of the same rows "
        f"{n / limit / 1e6:.0f} M/s: we reach 1/{ours / limit:.0f} of it (encoding, apart: {made_s / n * 1e9:.0f} ns)"
    )


def gap_set(n: int = 1_420_000) -> None:
    """Numbers alone, in order and disturbed."""
    source, seq, when = np.arange(n) % 8, np.arange(n) // 8 + 1, np.arange(n) // 14_200
    ordered = best(lambda: GapSet(np.zeros(8, np.int64)).admit(source, seq, when))
    rng = np.random.default_rng(1)
    order = np.argsort(np.arange(n) + np.where(rng.random(n) < 0.025, rng.random(n) * 28_400, 0), kind="stable")
    source, seq, when = source[order], seq[order], when[order]
    disturbed = best(lambda: GapSet(np.zeros(8, np.int64)).admit(source, seq, when), 3)
    spent = f"{ordered / n * 1e9:.1f} ns an event in order, {disturbed / n * 1e9:.1f} with 2.5% up to 2 s late"
    print(f"stream    gap set: {spent}")


def durable(n: int = 710_000) -> None:
    """Log, count and save; then end without a word, and open again."""
    frames = [wire.encode(batch, epochs=[1] * 8) for batch in batches(n, 1420, 14_200, time.time_ns() - 50 * SECOND)]
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        begun = time.process_time()
        for frame in frames:
            node.offer(frame)
            node.step()
            node.tick()
        spent = time.process_time() - begun
        print(f"stream    durable, batches of 1,420: {spent / n * 1e9:.0f} ns an event: log, count, sync, save")
        node.save()
        node._due.save = 1e18  # half a second without a save: the log alone has what follows
        more = [wire.encode(b, epochs=[2] * 8) for b in batches(7_100, 142, 14_200, time.time_ns() - SECOND)]
        for frame in more:
            node.offer(frame)
        node._store.close()
        begun = time.perf_counter()
        again = Node(Path(folder))
        taken = time.perf_counter() - begun
        print(f"stream    recovery: {taken * 1e3:.0f} ms, {again.recovered.events:,} events counted again from the log")
        assert again.book.totals["received"] == n + 7_100
        again.close()


def paced(given: list, tick_s: float, work, after) -> tuple[list[float], float, float]:
    """Hand one thing over each ``tick_s``, in real time; waits (s), CPU seconds, and the share of late wake-ups."""
    waits, spent, late = [], 0.0, 0
    begun = free = time.perf_counter()
    for i, each in enumerate(given):
        due = begun + i * tick_s
        while (now := time.perf_counter()) < due:
            time.sleep(max(0.0, due - now - 0.0002))
        since = due if free > due else now  # what waited for us waited; waking up late is the machine's
        late += free <= due and now - due > tick_s
        cpu = time.process_time()
        work(each)
        waits.append(time.perf_counter() - since)
        after()
        spent += time.process_time() - cpu
        free = time.perf_counter()
    return waits, spent, late / len(given)


def latency(seconds: float = 20.0, eps: int = 14_200, tick_s: float = 0.001) -> None:
    """From the moment a batch of 1 ms is handed over to its count being readable, in real time, with log and saves."""
    size = max(1, round(eps * tick_s))
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))

        def counted(frame: bytes) -> None:
            node.offer(frame)
            node.step()

        frames = [wire.encode(b, epochs=[1] * 8) for b in batches(int(seconds * eps), size, eps, time.time_ns())]
        waits, spent, late = paced(frames, tick_s, counted, node.tick)
        node.close()
    each = spent / len(frames)

    def idle(_: bytes) -> None:
        until = time.perf_counter() + each
        while time.perf_counter() < until:
            pass

    machine, _, _ = paced(frames[: len(frames) // 2], tick_s, idle, lambda: None)
    (p50, p99), (_, limit) = (np.quantile(found, (0.5, 0.99)) * 1e3 for found in (waits, machine))
    print(
        f"stream    {eps:,} events/s, a batch each ms: p50 {p50:.3f} ms, p99 {p99:.3f} ms to a readable count (a loop "
        f"that only passes the same time: p99 {limit:.3f}); {each / size * 1e6:.2f} us of CPU an event, saves included "
        f"(waking up late, {late:.0%} of the time, is the machine's and is left out)"
    )


def json_lines(made: EventBatch) -> list[str]:
    """Events as a sender without our encoder would write them."""
    return [
        json.dumps({
            "time": int(made.time[i]), "seq": int(made.seq[i]), "source": LABELS.sources[made.source[i]],
            "region": LABELS.regions[made.region[i]], "channel": LABELS.channels[made.channel[i]],
            "device": LABELS.devices[made.device[i]], "kind": LABELS.kinds[made.kind[i]],
        })
        for i in range(len(made))
    ]  # fmt: skip


def pandas_over_json(n: int = 14_200) -> None:
    """What one would write first: a line of JSON an event, a frame, a group."""
    made = batches(n, n, 14_200)[0]
    lines = json_lines(made)

    def loop() -> None:
        table = pd.DataFrame([json.loads(line) for line in lines]).drop_duplicates(["source", "seq"])
        table["second"] = table["time"] // SECOND
        table.groupby(["second", "region", "channel", "device", "kind"]).size()

    body = "\n".join(lines).encode()
    theirs, ours = best(loop, 3), best(lambda: Book().apply(wire.lines(body)[0], at=BEGIN + SECOND), 3)
    frame = wire.encode(made, epochs=[1] * 8)
    framed = best(lambda: Book().apply(wire.decode(frame), at=BEGIN + SECOND), 3)
    print(
        f"stream    {n:,} events, JSON lines: ours {ours / n * 1e6:.1f} us an event, pandas {theirs / n * 1e6:.1f} "
        f"({theirs / ours:.1f} x); as a frame {framed / n * 1e9:.0f} ns ({theirs / framed:.0f} x)"
    )


def main() -> None:
    """Print the figures."""
    prepare()
    gap_set()
    for size in (142, 1420, 14_200, 142_000):
        throughput(size)
    durable()
    latency()
    pandas_over_json()
    print(f"stream    load of the machine while this ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
