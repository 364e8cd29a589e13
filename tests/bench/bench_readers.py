"""Count a large event file: peak memory, and rows per second beside a plain DuckDB scan of the same file.

Run: python tests/bench/bench_readers.py [million rows, default 100]. The file is made in a temporary directory.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

MAKE = """
COPY (SELECT make_timestamp(1770580800000000 + (i * 60)::BIGINT) AS event_timestamp, 's' || (i % 8) AS source, i AS seq,
 ['north', 'south', 'east', 'west'][1 + (i * 7919) % 4] AS region, ['web', 'app', 'store'][1 + (i * 31) % 3] AS channel,
 ['tv', 'phone', 'laptop'][1 + (i * 17) % 3] AS device, ['visit', 'conversion', 'heartbeat'][1 + (i * 13) % 3] AS kind
 FROM range({rows}) r(i)) TO '{path}' (FORMAT parquet)
"""
READ = """
import sys, time, resource
from attribution.logs import read_events
began = time.perf_counter()
counts = read_events(sys.argv[1], tz="UTC", temp=sys.argv[2])
spent = time.perf_counter() - began
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, int(counts.values.sum()), len(counts.start))
"""
SCAN = "SELECT count(*), bit_xor(hash(event_timestamp, region, channel, device, kind)) FROM '{path}'"


def main(millions: float) -> None:
    rows = int(millions * 1e6)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        with duckdb.connect(config={"memory_limit": "2GB", "threads": 2}) as engine:
            engine.execute("SET enable_progress_bar = false")
            engine.execute(MAKE.format(rows=rows, path=path))
            times = {}
            for name, query in (("count(*)", f"SELECT count(*) FROM '{path}'"), ("columns", SCAN.format(path=path))):  # noqa: S608 - our own path
                began = time.perf_counter()
                engine.execute(query).fetchall()
                times[name] = time.perf_counter() - began
        answer = subprocess.run(
            [sys.executable, "-c", READ, str(path), folder], capture_output=True, text=True, check=True
        )
        spent, peak, counted, bins = (float(word) for word in answer.stdout.split())
        print(f"rows {rows:,}, file {path.stat().st_size / 1e6:,.0f} MB, bins {bins:,.0f}, counted {counted:,.0f}")
        print(f"read_events: {spent:.1f} s, {rows / spent / 1e6:.2f} M rows/s, peak {peak / 1e6:,.0f} MB")
        print(f"plain SELECT count(*): {times['count(*)']:.3f} s; read_events takes {spent / times['count(*)']:,.0f} x")
        print(f"scan of the same columns: {times['columns']:.2f} s; read_events takes {spent / times['columns']:.1f} x")
        print(f"this process peaked at {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 100)
