from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from faults.workload import LABELS, Faults, cells, workload

from attribution.stream import wire
from attribution.stream.book import Book, Rules
from attribution.stream.gathered import Reading, gather, needed, rows_of
from attribution.stream.partitions import Partition, Plan, home, share, split
from attribution.stream.snapshots import Snapshot, pack, pack_block, unpack, unpack_block

PLAN = Plan(partitions=4, block_s=3, rules=Rules(open_s=3, past_s=3600))
FAULTS = Faults(late_s=6.0, never=40)


@dataclass
class Kept:
    """What a broker would keep of one partition."""

    snapshot: bytes = b""
    blocks: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    revision: int = 0

    def open(self) -> Partition:
        return Partition(PLAN, unpack(self.snapshot) if self.snapshot else None)

    def save(self, part: Partition, end_before: str = "") -> None:
        """Save as an owner does, and end before one of its steps."""
        for block in part.wanted():
            part.lay(block, unpack_block(self.blocks[block][1])[0])
        data = part.snapshot("token")
        if end_before == "snapshot":
            return
        self.snapshot = data
        for block, rows in part.due.items():
            if end_before == "block":
                return
            self.revision += 1
            self.blocks[block] = self.revision, pack_block(rows, self.revision)
            if end_before == "note":
                return
            part.file(block, self.revision)

    def read(self) -> tuple[Snapshot, dict[int, np.ndarray]]:
        found = unpack(self.snapshot)
        wanted = needed(found, 0, 2**40, PLAN.block_s)
        assert {block: self.blocks[block][0] for block in wanted} == wanted
        blocks = [unpack_block(self.blocks[block][1])[0] for block in wanted]
        return found, rows_of(found, blocks, 0, 2**40)


def counted(reading: Reading) -> Counter:
    return cells(reading.rows, reading.book.tallies.slots)


@pytest.mark.parametrize("seed", range(2))
def test_an_owner_that_ends_anywhere_leaves_what_the_next_one_needs(seed):
    work = workload(seed, seconds=10, eps=400, faults=FAULTS)
    rng = np.random.default_rng(seed)
    kept = [Kept() for _ in range(PLAN.partitions)]
    logs: list[list[tuple[bytes, int]]] = [[] for _ in kept]
    parts = [each.open() for each in kept]
    ends: Counter[str] = Counter()
    for at, body in work.frames:
        try:
            pieces = list(split(wire.decode(body), PLAN.partitions))
        except wire.Unreadable:
            pieces = []
            logs[0].append((body, at))  # someone else wrote it into the stream
        for p, piece in pieces:
            logs[p].append((wire.frame(piece), at))
        for p, part in enumerate(parts):
            for position in range(part.position, len(logs[p])):
                part.take(logs[p][position][0], position + 1, logs[p][position][1])
            if rng.random() < 0.05:
                part.look("somebody")  # a look changes nothing
            if rng.random() < 0.1:
                end = str(rng.choice(["", "snapshot", "block", "note"], p=[0.7, 0.1, 0.1, 0.1]))
                kept[p].save(part, end)
                ends[end] += 1
                if end:
                    parts[p] = kept[p].open()
    for p, part in enumerate(parts):
        for position in range(part.position, len(logs[p])):
            part.take(logs[p][position][0], position + 1, logs[p][position][1])
        part.book.tick(part.book.now + 4 * 10**9)
        kept[p].save(part)
        kept[p].save(part)
    reading = gather({p: each.read() for p, each in enumerate(kept)}, PLAN.rules)
    assert counted(reading) == work.truth
    assert reading.book.gaps.dropped == work.never
    assert reading.book.totals["received"] == sum(work.truth.values())
    assert sum(reading.book.aside.values()) >= work.poisoned
    assert min(ends.values()) > 3, "every way to end was tried"
    assert reading.book.totals["late"] > 0, "closed seconds were revised"
    assert sum(len(each.blocks) for each in kept) > 10


def test_partitions_add_up_to_what_one_book_counts():
    work = workload(7, seconds=5, eps=500, faults=Faults(never=20, poisoned=0))
    book, parts = Book(PLAN.rules), [Partition(PLAN) for _ in range(PLAN.partitions)]
    for i, (at, body) in enumerate(work.frames):
        book.apply(wire.decode(body), at)
        for p, piece in split(wire.decode(body), PLAN.partitions):
            parts[p].take(wire.frame(piece), i + 1, at)
    for part in parts:
        part.book.tick(book.now)
    found = {p: unpack(part.look("a")) for p, part in enumerate(parts)}
    reading = gather({p: (each, rows_of(each, [], 0, 2**40)) for p, each in found.items()}, PLAN.rules)
    assert reading.book.totals == book.totals
    assert reading.book.gaps.dropped == book.gaps.dropped == work.never
    first = min(reading.rows)
    ours = reading.counts(first, first + 8)
    whole = gather({0: (_snapshot(book), _rows(book))}, PLAN.rules).counts(first, first + 8)
    np.testing.assert_array_equal(ours.values, whole.values)
    np.testing.assert_allclose(ours.completeness, whole.completeness, rtol=1e-12)
    assert (ours.regions, ours.channels, ours.devices) == (whole.regions, whole.channels, whole.devices)


def _rows(book: Book) -> dict[int, np.ndarray]:
    whole, added = book.tallies.take()
    for second, row in added.items():
        total = whole.get(second, row * 0).copy()
        whole[second] = np.pad(total, (0, len(row) - len(total))) + row
    return whole


def _snapshot(book: Book) -> Snapshot:
    return Snapshot(token="", position=1, state=book.state())


def test_a_source_stays_in_its_partition_and_a_frame_keeps_its_events():
    frame = wire.decode(workload(1, seconds=1, eps=400, faults=Faults(never=1, poisoned=0)).frames[0][1])
    rng = np.random.default_rng(0)
    rows = np.repeat(frame.rows, 40)
    rows["source"] = rng.integers(0, len(LABELS.sources), len(rows))
    mixed = replace(frame, rows=rows)
    parts = dict(split(mixed, 5))
    assert sum(map(len, parts.values())) == len(mixed)
    for p, part in parts.items():
        assert {home(LABELS.sources[s], 5) for s in part.rows["source"]} == {p}
    assert dict(split(mixed, 1)) == {0: mixed}


def test_only_what_a_worker_had_or_gets_changes_hands():
    names = ["a", "b", "c"]
    before = {name: share(64, names, name) for name in names}
    after = {name: share(64, names[:2], name) for name in names[:2]}
    assert set().union(*before.values()) == set(range(64))
    assert sum(map(len, before.values())) == 64
    assert min(map(len, before.values())) >= 10
    for name in names[:2]:
        assert before[name] <= after[name]


def test_a_damaged_record_is_not_believed():
    data = pack(_snapshot(Book()))
    for wrong in (b"", data[:10], data[:-1], data[:30] + b"\0" + data[31:], data[:4] + b"\x09" + data[5:]):
        with pytest.raises(ValueError, match=r"record|bytes"):
            unpack(wrong)


@pytest.mark.parametrize(
    ("wrong", "said"), [({"partitions": 0}, "partitions is 0"), ({"block_s": 0}, "block_s"), ({"save_s": 0}, "save_s")]
)
def test_a_plan_says_what_is_wrong_with_it(wrong, said):
    with pytest.raises(ValueError, match=said):
        Plan(**wrong)


def test_a_message_is_counted_whole_or_set_aside_whole():
    part = Partition(PLAN)
    one, other = (
        wire.frame(wire.lines(b'{"time": 1, "seq": %d, "epoch": 1, "region": "%s"}' % of)[0])
        for of in ((1, b"a"), (2, b"b"))
    )
    assert part.take(one + other, 1, 2 * 10**9) == 2
    assert part.take(one + other[:-1], 2, 2 * 10**9) == 0
    assert part.book.totals == {"received": 2}
    assert dict(part.book.aside) == {"truncated": 1}
    ((place, kept),) = part.asides
    assert (place, kept.at, kept.reason, kept.body) == (2, 2 * 10**9, "truncated", one + other[:-1])
