"""One node under a virtual clock: stopped at random moments, its disk full, its clock set back, a reader in its way."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from attribution.stream import wire
from attribution.stream.book import Rules
from attribution.stream.gaps import NEW, GapSet, Verdicts
from attribution.stream.journal import Disk
from attribution.stream.keeping import Keeping, Refused
from attribution.stream.node import Node
from attribution.stream.saving import Hand
from attribution.stream.tallies import CELL
from faults.workload import BEGIN, SECOND, Workload, cells

if TYPE_CHECKING:
    from collections.abc import Callable


class Turned:
    """Clocks that the drill turns; the time of day may be set, the other only rises."""

    def __init__(self) -> None:
        self.at = BEGIN
        self.shift = 0

    def wall(self) -> int:
        return self.at + self.shift

    def now(self) -> float:
        return self.at / SECOND


class Failing(Disk):
    """A disk that is full while it is told so: the write that meets the end is torn."""

    def __init__(self) -> None:
        self.full = False

    def write(self, file: int, data: bytes, offset: int) -> int:
        if self.full:
            os.pwrite(file, data[: len(data) // 3], offset)
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(file, data, offset)


class Slow(Hand):
    """The thread that waits for the disk, drawn: a job takes some looks at it, and may never be begun."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.given: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        if self.given is not None and self.rng.random() < 0.3:
            self.wait()
        return self.given is not None

    def do(self, job: Callable[[], None]) -> None:
        assert self.given is None, "two jobs at once"
        self.given = job

    def wait(self) -> None:
        job, self.given = self.given, None
        if job is not None:
            job()

    def close(self) -> None:
        self.wait()


class Hasty(Node):
    """Teeth: acknowledges first, writes when it counts."""

    promised: tuple[bytes | wire.Frame, ...] = ()

    def offer(self, given: bytes | wire.Frame) -> int:
        self._read(given)
        self.promised = (*self.promised, given)
        return 0

    def step(self) -> int:
        given, self.promised = self.promised, ()
        for each in given:
            with suppress(Refused):
                super().offer(each)
        return super().step()


class Forgetful(GapSet):
    """Teeth: takes every event for a new one."""

    def admit(self, source, seq, bins, skip=None):
        found = super().admit(source, seq, bins, skip)
        skipped = skip if skip is not None and len(skip) else np.zeros(len(seq), bool)
        return Verdicts(np.where(skipped, 0, NEW).astype(np.uint8), found.charges)


@dataclass(kw_only=True)
class Outcome:
    """What a drill found; it is exact when nothing is wrong."""

    seed: int
    cells: int = 0
    wrong: int = 0
    events_off: int = 0
    missing: int = 0
    never: int = 0
    kills: int = 0
    refused: int = 0
    late: int = 0
    replayed: int = 0
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return not self.wrong and self.missing == self.never and not self.remarks


def counted(node: Node, folder: Path) -> Counter:
    """Return all cells of all seconds, those in Parquet too."""
    found = cells(node.rows(0, 2**40), node.book.tallies.slots)
    if (folder / "history").exists():
        query = (
            "SELECT epoch_ns(time) // 1000000000, region, channel, device, kind, n FROM read_parquet(?) WHERE what = ?"
        )
        for *cell, n in duckdb.execute(query, [str(folder / "history" / "*.parquet"), CELL]).fetchall():
            found[tuple(cell)] += n
    return found


def compare(outcome: Outcome, node: Node, folder: Path, work: Workload) -> Outcome:
    """Hold every second and cell against the truth."""
    found = counted(node, folder)
    keys = set(found) | set(work.truth)
    outcome.cells = len(keys)
    off = [abs(found[key] - work.truth[key]) for key in keys]
    outcome.wrong, outcome.events_off = sum(x > 0 for x in off), sum(off)
    outcome.missing, outcome.never = node.book.gaps.dropped, work.never
    charged = sum(
        int(row[i]) for _, row in node.rows(0, 2**40).items() for i in node.book._names.missing if i < len(row)
    )
    if charged != outcome.missing and not (folder / "history").exists():
        outcome.remarks.append(f"{charged} missing in the seconds, {outcome.missing} by the numbers")
    outcome.late = node.book.totals["late"]
    if node.book.totals["received"] != sum(work.truth.values()):
        outcome.remarks.append(f"{node.book.totals['received']} received of {sum(work.truth.values())}")
    return outcome


def drill(seed: int, work: Workload, folder: Path, *, node_type: type[Node] = Node, dedupe: bool = True) -> Outcome:
    """Run one node through a workload with faults of its own, all drawn from the seed."""
    rng = np.random.default_rng([seed, 1])
    run = _Run(seed, rng, folder, node_type, dedupe)
    run.open()
    pending = deque(work.frames)
    while pending or run.retry:
        while run.retry and (not pending or run.retry[0][0] <= pending[0][0]):
            at, body = run.retry.popleft()
            run.send(at, body, again=True)
        if pending:
            run.send(*pending.popleft())
    run.disk.full = False
    run.clock.at += 10 * SECOND
    run.clock.shift = 0
    run.node.step()
    run.node.tick()
    run.node.close()
    run.open()
    outcome = compare(run.outcome, run.node, folder, work)
    if run.reader is not None:
        run.reader.close()
    run.check(work)
    run.node.close()
    return outcome


class _Run:
    def __init__(self, seed: int, rng: np.random.Generator, folder: Path, node_type: type[Node], dedupe: bool) -> None:
        self.rng, self.folder, self.node_type, self.dedupe = rng, folder, node_type, dedupe
        self.clock, self.disk = Turned(), Failing()
        self.outcome = Outcome(seed=seed)
        self.retry: deque[tuple[int, bytes]] = deque()
        self.rules = Rules(open_s=int(rng.choice([5, 30, 120])))
        self.keeping = Keeping(
            save_s=float(rng.choice([0.5, 2.0, 7.0])), queue=int(rng.choice([8, 512])),
            segment=int(rng.choice([50_000, 2**26])), log_s=float(rng.choice([20.0, 1e5])),
        )  # fmt: skip
        self.slow = np.random.default_rng([seed, 2])
        self.unread = 0
        self.full_until = self.back_until = 0
        self.last = 0
        self.reader: sqlite3.Connection | None = None

    def open(self) -> None:
        self.node = self.node_type(
            self.folder,
            rules=self.rules,
            keeping=self.keeping,
            clock=self.clock,
            disk=self.disk,
            hand=lambda _: Slow(self.slow),
        )
        self.outcome.replayed += self.node.recovered.events
        if not self.dedupe:
            self.node.book.gaps.__class__ = Forgetful

    def send(self, at: int, body: bytes, *, again: bool = False) -> None:
        """Offer one frame, as a sender does: what is refused comes again."""
        rng, clock = self.rng, self.clock
        clock.at = max(clock.at, at)
        if not again:
            self.fault()
        self.disk.full = clock.at < self.full_until
        clock.shift = -5 * SECOND if clock.at < self.back_until else 0
        try:
            position = self.node.offer(body)
        except wire.Unreadable:
            self.unread += 1
        except Refused as refusal:
            self.outcome.refused += 1
            self.retry.append((clock.at + SECOND, body))
            if refusal.reason == "busy":
                self.node.step()
        else:
            if position < self.last:
                self.outcome.remarks.append("an acknowledged position went back")
            self.last = position
            if rng.random() < 0.002:  # the answer was lost: the sender asks again
                self.retry.append((clock.at + SECOND, body))
        if rng.random() < 0.7:
            self.node.step()
        self.node.tick()

    def fault(self) -> None:
        """Let something go wrong, rarely."""
        rng, clock = self.rng, self.clock
        dice = rng.random()
        if dice < 0.004:
            self.kill()
        elif dice < 0.005:
            self.full_until = clock.at + int(rng.integers(SECOND // 2, 4 * SECOND))
            self.outcome.faults.append("disk full")
        elif dice < 0.0055:
            self.back_until = clock.at + 5 * SECOND
            self.outcome.faults.append("clock back")
        elif dice < 0.006 and self.reader is None:
            self.reader = sqlite3.connect(self.folder / "hot.sqlite")
            self.reader.execute("BEGIN")
            self.reader.execute("SELECT count(*) FROM second").fetchone()
            self.outcome.faults.append("reader")

    def kill(self) -> None:
        """End the node where it stands: nothing is closed, nothing counted; a record may be half written."""
        old = self.node
        if self.slow.random() < 0.5:  # else what was handed over is never begun
            old._saving.wait()
        if self.rng.random() < 0.3:
            self.half_saved(old)
        if self.rng.random() < 0.5:
            os.pwrite(
                old._journal._file,
                self.rng.bytes(int(self.rng.integers(1, 500))),
                old._journal.end - old._journal._begin,
            )
        os.close(old._journal._file)
        old._store.close()
        self.outcome.kills += 1
        self.open()

    def half_saved(self, node: Node) -> None:
        """End in the middle of the transaction."""

        def broken(*_: object) -> None:
            raise KeyboardInterrupt

        node._store._add = broken
        node._store._slots = 0  # inserting the slots again fails: inside the transaction
        with suppress(KeyboardInterrupt, sqlite3.IntegrityError):
            node.save()

    def check(self, work: Workload) -> None:
        """Hold the other promises."""
        if self.unread < work.poisoned:
            self.outcome.remarks.append(f"{self.unread} unreadable frames seen of {work.poisoned}")
