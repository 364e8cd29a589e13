"""Saving beside counting: whatever the disk does and however long it takes, each reading is exact."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import threading
from collections import Counter

import duckdb
import numpy as np
import pytest
from faults.embedded import Turned, counted
from faults.workload import BEGIN, SECOND

from attribution.stream import wire
from attribution.stream.book import Rules
from attribution.stream.keeping import Keeping
from attribution.stream.node import Node
from attribution.stream.saving import Hand

T0 = BEGIN // SECOND


class Led(Hand):
    """A thread that works when the test says so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.job = None

    @property
    def busy(self) -> bool:
        return self.job is not None

    def do(self, job) -> None:
        assert self.job is None
        self.job = job

    def wait(self) -> None:
        job, self.job = self.job, None
        if job is not None:
            job()

    def close(self) -> None:
        self.wait()


def event(second: float, seq: int, region: str = "all") -> wire.Frame:
    text = b'{"time": %d, "seq": %d, "epoch": 1, "region": "%s"}' % (
        round(BEGIN + second * SECOND),
        seq,
        region.encode(),
    )
    return wire.lines(text)[0]


def cells(node: Node) -> Counter:
    slots = node.book.tallies.slots
    return Counter({
        (second - T0, slots[i].of[0]): int(row[i])
        for second, row in node.rows(0, 2**40).items()
        for i in np.flatnonzero(row)
        if slots[i].what == "cell"
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_at_any_step_of_a_save_every_reading_is_exact(tmp_path, seed):
    rng, clock = np.random.default_rng(seed), Turned()
    keeping = Keeping(save_s=1e6, log_s=1e6)
    node = Node(tmp_path, rules=Rules(open_s=3), keeping=keeping, clock=clock, hand=Led)
    truth: Counter = Counter()
    pages, failures = 2**20, 0
    for step in range(120):
        at = max(0.0, clock.now() - BEGIN / SECOND - rng.choice([0.0, 2.0, 8.0]))
        region = f"region {rng.integers(0, 1 + step // 4)}"
        node.offer(event(at, step + 1, region))
        node.step()
        truth[int(at), region] += 1
        clock.at += int(rng.integers(0, SECOND))
        node.tick(sync=False)
        dice = rng.random()
        if dice < 0.2 and not node._saver.busy:
            node._begin(clock.now(), tidy=False)
        elif dice < 0.4:
            node._store.limit(1 if rng.random() < 0.4 else pages)
            node._saving.wait()
            assert cells(node) == truth  # done, and not known to be done
            failures += "intake has stopped" in str(node.alerts)
            node._gather()
            node._full = ""
        assert cells(node) == truth
    assert failures
    node._store.limit(pages)
    assert node.save()
    assert cells(node) == truth
    node.close()
    again = Node(tmp_path, rules=Rules(open_s=3), clock=clock)
    assert cells(again) == truth
    assert again.recovered.frames == 0
    again.close()


def test_counting_goes_on_while_the_disk_is_waited_for(tmp_path):
    clock, held, entered = Turned(), threading.Event(), threading.Event()
    node = Node(tmp_path, clock=clock)
    save = node._store.save

    def slow(*given) -> None:
        entered.set()
        assert held.wait(10)
        save(*given)

    node._store.save = slow
    node.offer(event(0, 1))
    node.step()
    clock.at += SECOND
    node.tick()
    assert entered.wait(10)
    node.offer(event(0, 2))
    node.step()
    assert sum(cells(node).values()) == 2
    node.tick()
    assert node._store.number == 0
    held.set()
    assert node.save()
    assert node._store.number == 2
    node.close()


def test_an_error_of_a_save_is_raised_once_and_nothing_is_lost(tmp_path):
    node = Node(tmp_path, clock=Turned())
    save = node._store.save

    def broken(*_) -> None:
        raise ZeroDivisionError("division by zero")

    node._store.save = broken
    with pytest.raises(wire.Unreadable):
        node.offer(b"nonsense")
    node.offer(event(0, 1))
    node.step()
    with pytest.raises(ZeroDivisionError):
        node.save()
    node._store.save = save
    assert sum(cells(node).values()) == 1
    assert node.save()
    assert "the last save was broken off" in node.alerts[0][1]
    assert [reason for _, reason, *_ in node.quarantine()] == ["not a frame"]
    node.close()
    assert sum(counted(Node(tmp_path, clock=Turned()), tmp_path).values()) == 1


def test_an_hour_that_changed_after_the_last_save_is_not_counted_twice(tmp_path):
    clock = Turned()
    clock.at = (BEGIN // SECOND // 3600 * 3600 + 3590) * SECOND
    first = (clock.at - BEGIN) / SECOND
    node = Node(tmp_path, rules=Rules(open_s=5), keeping=Keeping(save_s=61.0), clock=clock)
    clock.at += 9 * SECOND
    node.offer(event(first + 9, 1))
    node.step()
    clock.at += 2 * SECOND
    node._begin(clock.now(), tidy=True)  # the hour is over, its last second is open
    assert node._gather(wait=True)
    assert node._store.history() == []
    node._due.tidy -= 62
    node.offer(event(first + 9, 2))  # into an open second that is on the disk already
    node.step()
    clock.at += 60 * SECOND
    node.tick()  # the second leaves the window, its hour is over, hours are tidied up
    clock.at += 62 * SECOND
    for _ in range(2):
        node._saving.wait()
        node.tick()
    node.save()
    assert len(node._store.history()) == 1
    (n,) = duckdb.execute(
        "SELECT sum(n)::INT FROM read_parquet(?) WHERE what = 'cell'", [str(tmp_path / "history" / "*.parquet")]
    ).fetchone()
    assert n + sum(cells(node).values()) == 2
    node.close()


def test_a_transaction_under_way_is_not_seen_half(tmp_path):
    node = Node(tmp_path, clock=Turned())
    node.offer(event(0, 1))
    node.step()
    node.save()
    node._store._base.execute("BEGIN IMMEDIATE")
    node._store._base.execute("DELETE FROM second")
    assert sum(cells(node).values()) == 1
    node._store._base.execute("ROLLBACK")
    with pytest.raises(sqlite3.ProgrammingError):
        node.close() or node._store.seen(0, 1)


def test_a_thread_ends_with_its_hand_and_keeps_nothing_alive():
    hand, done = Hand("short-lived"), threading.Event()
    hand.do(done.set)
    assert done.wait(10)
    (thread,) = (each for each in threading.enumerate() if each.name == "short-lived")
    assert thread.daemon
    del hand
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_the_end_of_a_process_is_not_held_up_and_quiet(tmp_path):
    program = (
        "import pathlib, sys, threading, time\n"
        "from attribution.stream import wire\n"
        "from attribution.stream.keeping import Keeping\n"
        "from attribution.stream.node import Node\n"
        "node = Node(pathlib.Path(sys.argv[1]), keeping=Keeping(sync_s=1e-4, save_s=1e-4))\n"
        "def run():\n"
        "    for i in range(10**9):\n"
        '        node.offer(wire.lines(b\'{"time": %d, "seq": %d, "epoch": 1}\' % (time.time_ns(), i + 1))[0])\n'
        "        node.step()\n"
        "        node.tick()\n"
        "threading.Thread(target=run, daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    node = Node(tmp_path)
    assert node.book.totals["received"] == node.book.gaps.high[0] > 0
    assert node.book.gaps.dropped == 0
    node.close()
