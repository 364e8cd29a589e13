"""Memory of a node that counts 14,200 events a second in real time: MB an hour once it is warm.

MINUTES=60 by default. An hour of the store lasts a twelfth of the run, so that what moves hours to Parquet, and keeps
some MB from its first time on, happens many times; the first fifth, which holds the first time, is warm-up.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_stream import batches

from attribution.stream import store, wire
from attribution.stream.keeping import Keeping
from attribution.stream.node import Node, prepare

EPS, TICK_S = 14_200, 0.01
MINUTES = float(os.environ.get("MINUTES", "60"))


def resident() -> float:
    """MB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def size(folder: Path) -> float:
    """MB of files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def main() -> None:
    """Count in real time, look every few seconds, print the slope."""
    prepare()
    many = round(EPS * TICK_S)
    made = batches(60 * EPS, many, EPS, 0)  # a minute of events, sent again and again under later times and numbers
    seconds = 60 * MINUTES
    store.HOUR = max(round(seconds / 12), 1)
    seen: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        node = Node(folder, keeping=Keeping(log_s=60.0))
        spent, begun, looked = time.process_time(), time.monotonic(), -1e9
        sent = 0
        while (now := time.monotonic() - begun) < seconds:
            due = int(now / TICK_S)
            while sent <= due:
                batch = made[sent % len(made)]
                batch.time[:] = time.time_ns()
                node.offer(wire.encode(batch, epochs=[1] * 8))
                batch.seq[:] += np.uint64(60 * EPS // 8)
                node.step()
                sent += 1
            node.tick()
            if now - looked >= seconds / 240:
                looked = now
                gc.collect()
                seen.append((now, resident()))
            time.sleep(TICK_S)
        spent = time.process_time() - spent
        received, dropped = node.book.totals["received"], node.book.gaps.dropped
        assert (received, dropped) == (sent * many, 0), f"{received} received of {sent * many}, {dropped} missing"
        node.close()
        kept = size(folder)
    at, mb = np.array(seen).T
    warm = at >= seconds / 5
    tenths = [float(np.median(part)) for part in np.array_split(mb, 10)]
    slope = np.polyfit(at[warm] / 3600, mb[warm], 1)[0]
    print(
        f"memory    {MINUTES:g} min at {EPS:,} events/s, {received:,} events: {slope:+.2f} MB/h after the first fifth "
        f"({mb[warm][0]:.0f} MB then, {mb[-1]:.0f} at the end, {mb.max():.0f} at most); {kept:.0f} MB of log, state "
        f"and history kept; {spent / received * 1e6:.2f} us of CPU an event, the sender's part included; medians "
        f"of the tenths: {', '.join(f'{tenth:.1f}' for tenth in tenths)} MB"
    )


if __name__ == "__main__":
    main()
