"""Owners on a bucket of a test's own, in which it is known what happens between two of their questions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from attribution.stream import wire
from attribution.stream.book import SECOND, Rules
from attribution.stream.gathered import gather, needed, rows_of
from attribution.stream.partitions import Plan
from attribution.stream.snapshots import unpack, unpack_block

nats = pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")

from attribution.stream.nats import Fenced, Found  # noqa: E402
from attribution.stream.owners import Owner  # noqa: E402

PLAN = Plan(partitions=1, block_s=4, rules=Rules(open_s=3, past_s=3600))


class Bucket:
    """A key-value bucket without a broker; something may happen while it is asked."""

    def __init__(self) -> None:
        self.kept: dict[str, Found] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self._last = 0

    def shelf(self) -> Bucket:
        return self

    async def get(self, key: str) -> Found | None:
        self.meanwhile()
        return self.kept.get(key)

    async def put(self, key: str, data: bytes, revision: int) -> int:
        if revision != (self.kept[key].revision if key in self.kept else 0):
            raise Fenced(key)
        self._last += 1
        self.kept[key] = Found(self._last, data)
        return self._last

    def counted(self) -> dict[int, float]:
        """Events by second, as a reader puts them together."""
        found = unpack(self.kept["p0"].data)
        wanted = needed(found, 0, 2**40, PLAN.block_s)
        assert {block: self.kept[f"p0.{block}"].revision for block in wanted} == wanted
        blocks = [unpack_block(self.kept[f"p0.{block}"].data)[0] for block in wanted]
        reading = gather({0: (found, rows_of(found, blocks, 0, 2**40))}, PLAN.rules)
        values = reading.counts(100, 104).values.reshape(4, -1).sum(axis=1)
        return {100 + i: n for i, n in enumerate(values.tolist()) if n}


def event(second: int, seq: int) -> bytes:
    return wire.frame(wire.lines(b'{"time": %d, "seq": %d, "epoch": 1}' % (second, seq))[0])


def test_what_came_while_a_block_was_fetched_is_not_lost_when_the_owner_ends_before_it_is_noted():
    """The next owner lays the block anew at the very place of the stream at which it was written without that."""

    async def run() -> None:
        bucket = Bucket()
        first = Owner(bucket, PLAN, 0, "first")  # pyright: ignore[reportArgumentType]
        part = first.part = await first._claim()
        part.take(event(100, 1), 1, 101 * SECOND)
        part.book.tick(110 * SECOND)
        await first._save(part)
        assert list(part.filed) == [25]
        part.take(event(100, 2), 2, 110 * SECOND)  # revises the block, which is fetched; meanwhile:
        bucket.meanwhile = lambda: part.take(event(101, 3), 3, 110 * SECOND)
        await first._save(part)
        assert bucket.counted() == {100: 2, 101: 1}
        bucket.meanwhile = lambda: None
        second = Owner(bucket, PLAN, 0, "second")  # pyright: ignore[reportArgumentType]
        part = second.part = await second._claim()  # the first one ended without a word
        for _ in range(2):
            await second._save(part, always=True)
            assert bucket.counted() == {100: 2, 101: 1}
        with pytest.raises(Fenced):
            await first._file(25, {}, first._revision, 0)

    asyncio.run(run())
