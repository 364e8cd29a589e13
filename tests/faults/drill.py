"""`make drill RUNS=n`: many nodes under faults, each held against the truth to the cell; the record in data/drill.csv.

python -m faults.drill --runs 100 --first 0      # a failing seed is run again with --runs 1 --first SEED
python -m faults.drill --nodes nats --runs 10    # in real time: on one broker, on three (nats3), over the Kafka API
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import attribution
from faults.embedded import Hasty, Outcome, drill
from faults.killed import kills
from faults.workload import Faults, workload

RECORD = Path(__file__).parents[2] / "data" / "drill.csv"
COLUMNS = (
    "drill", "runs", "first_seed", "exact", "events", "cells", "wrong_cells", "events_off", "never_sent",
    "reported_missing", "kills", "refused", "late", "replayed", "recovery_s", "recovery_max_s", "start_s", "version",
    "date",
)  # fmt: skip
SECONDS, EPS, TEETH_S = 12, 14_200, 20
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  a virtual clock does not wait for a disk


def row(name: str, outcomes: list[Outcome], events: int, **more: float) -> dict[str, object]:
    """One line of the record."""
    total = {key: sum(getattr(o, key) for o in outcomes) for key in ("cells", "kills", "refused", "late", "replayed")}
    return total | more | {
        "drill": name,
        "runs": len(outcomes),
        "first_seed": outcomes[0].seed,
        "exact": sum(o.exact for o in outcomes),
        "events": events,
        "wrong_cells": sum(o.wrong for o in outcomes),
        "events_off": sum(o.events_off for o in outcomes),
        "never_sent": sum(o.never for o in outcomes),
        "reported_missing": sum(o.missing for o in outcomes),
        "version": attribution.__version__,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
    }  # fmt: skip


def embedded(first: int, runs: int, name: str = "embedded", **how) -> tuple[dict[str, object], int]:
    """Run seeds under a virtual clock; prints every seed that is not exact."""
    outcomes, events = [], 0
    for seed in range(first, first + runs):
        work = workload(seed, seconds=SECONDS, eps=EPS)
        events += sum(work.truth.values())
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            outcomes.append(drill(seed, work, Path(folder), **how))
        if not outcomes[-1].exact:
            print(f"{name} seed {seed}: {outcomes[-1]}", flush=True)
    exact = sum(o.exact for o in outcomes)
    print(f"{name}: exact {exact} of {runs}, seeds {first} to {first + runs - 1}", flush=True)
    return row(name, outcomes, events), exact


def killed(first: int, times: int) -> tuple[dict[str, object], int]:
    """Kill a process ``times`` times during a minute of events."""
    work = workload(first, seconds=60, eps=EPS)
    with tempfile.TemporaryDirectory() as folder:
        outcome, recovery, start = kills(first, work, Path(folder), times=times)
    print(
        f"killed: {'exact' if outcome.exact else outcome}, {times} times, seed {first}; "
        f"recovery {np.median(recovery):.3f} s, at most {max(recovery):.3f} s; with Python {np.median(start):.2f} s",
        flush=True,
    )
    more = {"recovery_s": round(float(np.median(recovery)), 3), "recovery_max_s": round(max(recovery), 3)}
    more["start_s"] = round(float(np.median(start)), 2)
    return row("killed -9", [outcome], sum(work.truth.values()), **more), int(outcome.exact)


def site(nodes: str, seed: int, folder: Path, mode: str) -> Any:
    """Return brokers and workers to drill."""
    if nodes == "kafka":
        from faults.kafkaed import KafkaSite  # noqa: PLC0415  needs an extra

        return KafkaSite(seed, folder, mode=mode)
    from faults.clustered import Site  # noqa: PLC0415  needs an extra

    return Site(seed, folder, replicas=3 if nodes == "nats3" else 1, mode=mode)


def clustered(nodes: str, first: int, runs: int, record: Path, seconds: int, mode: str = "") -> int:
    """Run seeds on brokers in real time; prints every one, and writes them down. Returns how many were exact."""
    from faults.clustered import drill as real  # noqa: PLC0415  needs an extra

    teeth = {"": nodes, "forgetful": f"teeth: {nodes}, no dedupe", "trusting": f"teeth: {nodes}, acknowledge first"}
    outcomes, events, recoveries = [], 0, []
    for seed in range(first, first + runs):
        with tempfile.TemporaryDirectory() as folder:
            place = site(nodes, seed, Path(folder), mode)
            outcome, work = asyncio.run(real(place, seconds=seconds, eps=EPS))
        outcomes.append(outcome)
        events += sum(work.truth.values())
        recoveries += place.recoveries
        told = ", ".join(f"{seconds:.2f}" for seconds in place.recoveries) or "-"
        said = "exact" if outcome.exact else str(outcome)
        print(f"{teeth[mode]}, seed {seed}: {said}; {outcome.kills} kills; recovery {told} s", flush=True)
        more = {}
        if recoveries:
            more = {"recovery_s": round(float(np.median(recoveries)), 3), "recovery_max_s": round(max(recoveries), 3)}
        keep([row(teeth[mode], outcomes, events, **more)], record)
    return sum(outcome.exact for outcome in outcomes)


def on_brokers(nodes: str, first: int, runs: int, record: Path, seconds: int) -> int:
    """Drill on brokers, before that with teeth: workers that count repeats, workers that trust what was delivered."""
    for mode in ("forgetful", "trusting"):
        if clustered(nodes, first, 1, record, TEETH_S, mode):
            raise SystemExit(f"workers that are {mode} passed, which had to fail: the drill has no teeth")
    return clustered(nodes, first, runs, record, seconds)


def keep(rows: list[dict[str, object]], record: Path) -> None:
    """Write rows down in place of those of the same drills."""
    names = {found["drill"] for found in rows}
    before = []
    if record.exists():
        with record.open(encoding="utf-8", newline="") as file:
            before = [found for found in csv.DictReader(file) if found["drill"] not in names]
    with record.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows([*before, *rows])


def main() -> None:
    """Run every drill; the last line says how many were exact."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", choices=["embedded", "nats", "nats3", "kafka"], default="embedded")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60, help="of events, on brokers")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--record", type=Path, default=RECORD)
    given = parser.parse_args()
    begun = time.perf_counter()
    if given.nodes != "embedded":
        exact = on_brokers(given.nodes, given.first, given.runs, given.record, given.seconds)
        print(f"{time.perf_counter() - begun:.0f} s")
        print(f"exact {exact} of {given.runs}")
        raise SystemExit(int(exact < given.runs))
    rows, exact, wanted = [], 0, given.runs
    found, good = embedded(given.first, given.runs)
    rows.append(found)
    exact += good
    if given.kills:
        found, good = killed(given.first, given.kills)
        rows.append(found)
        exact, wanted = exact + good, wanted + 1
    # Teeth: a node that acknowledges before it writes, and one that counts repeats, must be caught.
    for name, how in (("teeth: acknowledge first", {"node_type": Hasty}), ("teeth: no dedupe", {"dedupe": False})):
        found, good = embedded(given.first, min(given.runs, 3), name, **how)
        rows.append(found)
        if good:
            raise SystemExit(f"{name}: {good} runs passed that had to fail: the drill has no teeth")
    keep(rows, given.record)
    print(f"{time.perf_counter() - begun:.0f} s; faults: {Faults()}")
    print(f"exact {exact} of {wanted}")
    if exact < wanted:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
