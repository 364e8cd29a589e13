"""How the cost of an event grows: with the cells it may fall into, with partitions; and a plan for 10 M events/s.

CPU seconds throughout: the machine may be shared. A plan is arithmetic on what was measured here, in one process.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_stream import BEGIN, SECOND, batches, best

from attribution.events import EventBatch, Labels
from attribution.stream import wire
from attribution.stream.book import Book
from attribution.stream.node import Node, prepare
from attribution.stream.store import Store

N, EPS, SOURCES = 568_000, 14_200, 8
GRIDS = ((1, 1, 1), (2, 5, 1), (10, 5, 2), (50, 5, 4), (100, 10, 10))
PARTITIONS = (1, 4, 16, 64)
PLANNED = 10_000_000
HALF = 0.5
"""A core is planned to be busy no more than so much of its time."""


def spread(grid: tuple[int, int, int], size: int = EPS) -> list[bytes]:
    """Frames of ``size`` events, a second's worth, over all cells of regions x channels x devices."""
    rng = np.random.default_rng(2)
    names = [tuple(f"{axis}{i}" for i in range(many)) for axis, many in zip("rcd", grid, strict=True)]
    labels = Labels(
        sources=tuple(f"collector-{i}" for i in range(SOURCES)),
        regions=names[0], channels=names[1], devices=names[2], kinds=("conversion",),
    )  # fmt: skip
    region, channel, device = (rng.integers(0, many, N) for many in grid)
    whole = {
        "time": BEGIN + (np.arange(N) / EPS * SECOND).astype(np.int64),
        "seq": (np.arange(N) // SOURCES + 1).astype(np.uint64),
        "source": (np.arange(N) % SOURCES).astype(np.uint16),
        "region": region.astype(np.uint16),
        "channel": channel.astype(np.uint8),
        "device": device.astype(np.uint8),
        "kind": np.zeros(N, np.uint8),
        "weight": np.ones(N, np.float32),
    }
    parts = [{name: column[i : i + size] for name, column in whole.items()} for i in range(0, N, size)]
    return [wire.encode(EventBatch(labels=labels, **part), epochs=[1] * SOURCES) for part in parts]


def counted(frames: list[bytes], many: int = 1) -> list[Book]:
    """Count frames, dealt out to ``many`` books."""
    books = [Book() for _ in range(many)]
    for i, frame in enumerate(frames):
        books[i % many].apply(wire.decode(frame), at=BEGIN + (i * N // len(frames)) // EPS * SECOND)
    return books


def cells() -> None:
    """Print the cost of an event, of a save of the newest second, and of the memory of open seconds, by cells."""
    print(
        "growth    cells = regions x channels x devices    ns an event    ms a save    MB a save    MB of open seconds"
    )
    for grid in GRIDS:
        frames = spread(grid)
        spent = best(lambda frames=frames: counted(frames), 3) / N
        (book,) = counted(frames)
        book.tallies.taken()
        book.apply(wire.decode(frames[-1]), at=book.now)
        changed, added = book.tallies.take()
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            store.save(book.state(), 1, changed, added)
            saved = best(lambda: store.save(book.state(), 1, changed, added), 3)  # noqa: B023  called at once
            store.close()
        kept = sum(row.nbytes for row in changed.values()) / 2**20
        print(
            f"growth    {np.prod(grid):6,} = {grid[0]:3} x {grid[1]:2} x {grid[2]:2} {spent * 1e9:29.0f} "
            f"{saved * 1e3:12.1f} {kept:12.2f} {book.tallies._rows.nbytes / 2**20:17.1f}"
        )


def partitions() -> None:
    """Print the cost of an event by partitions in one process."""
    frames = [wire.encode(batch, epochs=[1] * SOURCES) for batch in batches(N, 1420, EPS * 100)]
    spent = {many: best(lambda many=many: counted(frames, many), 3) / N for many in PARTITIONS}
    told = ", ".join(f"{many}: {seconds * 1e9:.0f}" for many, seconds in spent.items())
    print(f"growth    ns an event, decode to counts, by partitions in one process, batches of 1,420: {told}")


def plan(size: int) -> None:
    """Print what log, counts and saves cost in batches of ``size``, and what 10 M events a second would take."""
    frames = [wire.encode(b, epochs=[1] * SOURCES) for b in batches(N, size, EPS, time.time_ns() - 40 * SECOND)]
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        begun = time.process_time()
        for frame in frames:
            node.offer(frame)
            node.step()
            node.tick()
        node.save()
        each = (time.process_time() - begun) / N
        node.close()
    cores, many = PLANNED * each, sum(map(len, frames)) / N
    print(
        f"growth    batches of {size:,}: {each * 1e9:.0f} ns an event to log, count and save; {PLANNED / 1e6:g} M "
        f"events/s keep {cores:.1f} cores busy: {int(np.ceil(cores / HALF))} partitions, a core each at most "
        f"{HALF:.0%} busy; {PLANNED * many / 2**20:.0f} MB/s into the logs ({many:.1f} bytes an event), "
        f"{PLANNED * many * 3600 / 2**40:.2f} TB an hour"
    )


def main() -> None:
    """Print the figures, and the plan made of them."""
    prepare()
    cells()
    partitions()
    for size in (142, 1420, 14_200):
        plan(size)
    print(f"growth    load of the machine while this ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
