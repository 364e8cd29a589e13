"""The same JSON lines counted by bytewax, a stream processor in Rust and Python, in an environment of its own.

It is told what it needs to know: time in the event, windows of a second, a key a cell, two seconds of patience. It is
not asked to leave out repeats or to keep a log, which ours does. quixstreams has no source but a Kafka broker.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_stream import BEGIN, SECOND, batches, best, json_lines
from peers.rooms import furnish

from attribution.stream import wire
from attribution.stream.book import Book
from attribution.stream.node import prepare

PACKAGE = "bytewax==0.21.1"
ENVIRONMENTS = Path(__file__).parents[2] / ".venv-peers"
GUEST = """
import json, sys, time
from datetime import datetime, timedelta, timezone
import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

lines = open(sys.argv[1]).read().splitlines()
begin = datetime.fromtimestamp(int(sys.argv[2]), timezone.utc)
spent = []
for _ in range(3):
    found = []
    flow = Dataflow("counts")
    events = op.map("read", op.input("in", flow, TestingSource(lines, batch_size=len(lines))), json.loads)
    clock = win.EventClock(
        lambda e: datetime.fromtimestamp(e["time"] / 1e9, timezone.utc), wait_for_system_duration=timedelta(seconds=2)
    )
    seconds = win.TumblingWindower(align_to=begin, length=timedelta(seconds=1))
    cell = lambda e: "|".join((e["region"], e["channel"], e["device"], e["kind"]))
    op.output("out", win.count_window("count", events, clock, seconds, key=cell).down, TestingSink(found))
    begun = time.process_time()
    run_main(flow)
    spent.append(time.process_time() - begun)
print(json.dumps({"spent": min(spent), "counts": {cell: n for cell, (_, n) in found}}))
"""


def main() -> None:
    """Print the figures of both; their counts are the same."""
    room = furnish(PACKAGE, ENVIRONMENTS)
    if room.refusal:
        print(f"stream    {PACKAGE} cannot be installed here: {room.refusal}")
        return
    prepare()
    n = 14_200
    lines = json_lines(batches(n, n, 14_200)[0])
    book = Book()
    book.apply(wire.lines("\n".join(lines).encode())[0], at=BEGIN + SECOND)
    with tempfile.TemporaryDirectory() as folder:
        file, guest = Path(folder) / "lines.jsonl", Path(folder) / "guest.py"
        file.write_text("\n".join(lines), encoding="utf-8")
        guest.write_text(GUEST, encoding="utf-8")
        command = [str(room.python), str(guest), str(file), str(BEGIN // SECOND)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bytewax ended with {done.returncode}:\n{done.stderr}")
    theirs = json.loads(done.stdout)
    ((_, row),) = book.tallies.take()[0].items()
    ours = {
        "|".join(map(str, slot.of)): int(row[i]) for i, slot in enumerate(book.tallies.slots) if slot.what == "cell"
    }
    assert ours == theirs["counts"], "the counts differ"
    body = "\n".join(lines).encode()
    spent = best(lambda: Book().apply(wire.lines(body)[0], at=BEGIN + SECOND), 3)
    print(
        f"stream    {n:,} events, JSON lines, {len(ours)} cells: ours {spent / n * 1e6:.1f} us of CPU an event, "
        f"repeats left out; {PACKAGE} {theirs['spent'] / n * 1e6:.1f} us ({theirs['spent'] / spent:.1f} x), repeats "
        "counted"
    )


if __name__ == "__main__":
    main()
