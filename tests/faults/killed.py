"""A node in a process of its own, killed with SIGKILL at random moments while a sender goes on.

Run as a module it is the node: frames on standard input, an answer on standard output once one is in the log.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from attribution.stream import wire
from attribution.stream.book import Rules
from attribution.stream.node import Node, prepare
from faults.embedded import Outcome, Turned, compare
from faults.workload import SECOND, Workload

MESSAGE = struct.Struct("<qI")
RULES = Rules(open_s=30)
TAKEN, UNREADABLE = b"+", b"-"


def serve(folder: Path) -> None:
    """Be the node until the input ends."""
    prepare()
    clock, begun = Turned(), time.perf_counter()
    node = Node(folder, rules=RULES, clock=clock)
    answer, given = sys.stdout.buffer, sys.stdin.buffer
    answer.write(struct.pack("<dQ", time.perf_counter() - begun, node.recovered.events))
    answer.flush()
    while head := given.read(MESSAGE.size):
        at, length = MESSAGE.unpack(head)
        clock.at = max(clock.at, at)
        try:
            node.offer(given.read(length))
        except wire.Unreadable:
            answer.write(UNREADABLE)
        else:
            answer.write(TAKEN)
        answer.flush()
        node.step()
        node.tick()
    node.close()


class _Process:
    """The node's process, and how long it took to be ready: all of it, and from its log alone."""

    def __init__(self, folder: Path) -> None:
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "faults.killed", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.given, self.answers = self.process.stdin, self.process.stdout
        self.recovery, self.replayed = struct.unpack("<dQ", self.answers.read(16))
        self.started = time.perf_counter() - begun

    def send(self, at: int, body: bytes) -> None:
        self.given.write(MESSAGE.pack(at, len(body)) + body)
        self.given.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.given.close()
        self.answers.close()

    def end(self) -> None:
        self.given.close()
        code = self.process.wait(timeout=60)
        assert code == 0, f"the node ended with {code}"
        self.answers.close()


def kills(seed: int, work: Workload, folder: Path, *, times: int = 20) -> tuple[Outcome, list[float], list[float]]:
    """Send a workload to a process that is killed ``times`` times; seconds of recovery, and from the start to ready."""
    rng = np.random.default_rng([seed, 2])
    moments = set(rng.choice(len(work.frames), times, replace=False).tolist())
    outcome, recoveries, starts = Outcome(seed=seed), [], []
    node, at = _Process(folder), 0
    while at < len(work.frames):
        moment, body = work.frames[at]
        node.send(moment, body)
        if at in moments:
            moments.remove(at)
            time.sleep(rng.random() * 0.004)  # it may be anywhere: before the log, after it, in a transaction
            node.kill()
            node = _Process(folder)
            outcome.kills += 1
            outcome.replayed += node.replayed
            recoveries.append(node.recovery)
            starts.append(node.started)
            continue  # no answer came: the sender sends it again
        if not node.answers.read(1):
            raise RuntimeError(f"the node ended by itself at frame {at}")
        at += 1
    node.end()
    clock = Turned()
    clock.at = work.frames[-1][0] + 10 * SECOND
    last = Node(folder, rules=RULES, clock=clock)
    last.tick()
    compare(outcome, last, folder, work)
    last.close()
    return outcome, recoveries, starts


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
