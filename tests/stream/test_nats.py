"""The stream on NATS: two owners at once, owners that end, brokers that restart; what is read is the truth."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest
from faults.workload import Faults, cells, workload

from attribution.stream import wire
from attribution.stream.asides import Aside, write_asides
from attribution.stream.book import SECOND, Rules
from attribution.stream.node import prepare
from attribution.stream.partitions import Partition, Plan
from attribution.stream.snapshots import unpack

nats = pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")

from attribution.stream.broker import Broker  # noqa: E402
from attribution.stream.gateway import Gateway  # noqa: E402
from attribution.stream.keeping import Refused  # noqa: E402
from attribution.stream.nats import Fenced, Stream  # noqa: E402
from attribution.stream.owners import Owner, Worker  # noqa: E402
from attribution.stream.reader import Reader  # noqa: E402
from attribution.stream.servers import prepared, program, start  # noqa: E402

RULES = Rules(open_s=3, past_s=3600)
FAULTS = Faults(reordered_s=0.3, late_s=3.0, never=30, skew_s=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A broker that keeps nothing after the tests."""
    try:
        program()
    except ValueError as error:
        pytest.skip(str(error))
    prepare()
    folder = tmp_path_factory.mktemp("broker")
    found = start(*prepared(folder)[0])
    yield found
    found.process.end()
    shutil.rmtree(folder)


@asynccontextmanager
async def opened(server, name, plan):
    """A stream of a test's own, made and open, with a gateway and a reader."""
    stream = await Stream(Broker(servers=(server.url,), name=name)).open()
    await stream.make(plan)
    gateway = await Gateway(stream, plan).open()
    try:
        yield stream, gateway, Reader(stream, plan)
    finally:
        await gateway.close()
        await stream.close()


def frame(first: int, last: int, *, at: float | None = None, source: str = "a") -> wire.Frame:
    """Events ``first`` to ``last`` of a source, all of one moment, by default now."""
    moment = round((time.time() if at is None else at) * SECOND)
    lines = [
        b'{"time": %d, "seq": %d, "epoch": 1, "source": "%s"}' % (moment, i, source.encode())
        for i in range(first, last + 1)
    ]
    found, rejected = wire.lines(b"\n".join(lines))
    assert not rejected
    return found


async def until(met, *, wait_s: float = 15.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + wait_s
    while not await met():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.02)


async def received(reader: Reader, many: int, **how) -> None:
    await until(lambda: _received(reader, many, **how))


async def _received(reader: Reader, many: int, **how) -> bool:
    return (await reader.read(**how)).book.totals["received"] >= many


def unreadable(body: bytes) -> bool:
    try:
        wire.decode(body)
    except wire.Unreadable:
        return True
    return False


def counted(reading) -> Counter:
    return cells(reading.rows, reading.book.tallies.slots)


def test_of_two_owners_at_once_one_is_fenced(server):
    plan = Plan(partitions=1, save_s=0.05, block_s=1, rules=RULES)

    async def run() -> None:
        async with opened(server, "two", plan) as (stream, gateway, reader):
            first, second, leave = Owner(stream, plan, 0, "first"), Owner(stream, plan, 0, "second"), asyncio.Event()
            one = asyncio.create_task(first.run(leave))
            await gateway.put(frame(1, 10))
            await received(reader, 10)
            two = asyncio.create_task(second.run(leave))
            await gateway.put(frame(5, 20))  # some of them again
            await received(reader, 20)
            with pytest.raises(Fenced):
                await asyncio.wait_for(one, 5)
            leave.set()
            await two
            found = await reader.read()
            assert found.book.totals == {"received": 20, "repeated": 6}

    asyncio.run(run())


def test_an_owner_that_slept_writes_nothing_when_it_wakes(server):
    """It holds a snapshot, and blocks of it, from before the other one came."""
    plan = Plan(partitions=1, save_s=0.05, block_s=1, rules=RULES)

    async def run() -> None:
        async with opened(server, "slept", plan) as (stream, gateway, reader):
            sleeper = Owner(stream, plan, 0, "sleeper")
            part = await sleeper._claim()
            now = time.time()
            bodies = [frame(1, 10, at=now - 10), frame(11, 30, at=now - 10)]
            places = [await gateway.put(body) for body in bodies]
            part.take(wire.frame(bodies[0]), places[0], round(now * SECOND))
            part.snapshot("asleep before its blocks were written")
            due = dict(part.due)
            assert due, "a block was about to be written"
            leave = asyncio.Event()
            other = asyncio.create_task(Owner(stream, plan, 0, "other").run(leave))
            await received(reader, 30)
            await gateway.put(frame(31, 40, at=now - 10))  # revises the block
            await received(reader, 40)
            stored = await stream.shelf().get("p0")
            with pytest.raises(Fenced):
                await sleeper._save(part)
            for block, rows in due.items():
                with pytest.raises(Fenced):
                    await sleeper._file(block, rows, sleeper._revision, 0)
            assert await stream.shelf().get("p0") == stored
            leave.set()
            await other
            assert sum(counted(await reader.read()).values()) == 40

    asyncio.run(run())


def test_owners_that_keep_taking_it_from_each_other_count_everything_once(server):
    plan = Plan(partitions=1, save_s=0.02, block_s=1, rules=RULES)
    fenced = 0

    async def stubborn(stream: Stream, name: str, leave: asyncio.Event) -> None:
        nonlocal fenced
        while not leave.is_set():
            try:
                await Owner(stream, plan, 0, name).run(leave)
            except Fenced:
                fenced += 1
                await asyncio.sleep(0.05)

    async def run() -> None:
        async with opened(server, "stubborn", plan) as (stream, gateway, reader):
            leave, now = asyncio.Event(), time.time()
            owners = [asyncio.create_task(stubborn(stream, name, leave)) for name in "abc"]
            for i in range(60):
                age = 4.0 if i % 5 == 0 else 0.0  # revises a second that is closed, and in a block
                await gateway.put(frame(10 * i + 1, 10 * i + 10, at=now + i / 30 - age))
                await asyncio.sleep(0.01)
            await received(reader, 600)
            leave.set()
            await asyncio.wait_for(asyncio.gather(*owners), 20)
            found = await reader.read()
            assert found.book.totals["received"] == sum(counted(found).values()) == 600
            assert found.book.gaps.dropped == 0

    asyncio.run(run())
    assert fenced > 5


def test_a_stream_with_every_fault_is_read_as_the_truth(server):
    """Workers come and go meanwhile, one of them without a word."""
    plan = Plan(partitions=4, save_s=0.05, block_s=2, rules=RULES)
    begin = time.time_ns() - 4 * SECOND
    work = workload(3, seconds=4, eps=1000, faults=FAULTS, begin=begin)

    async def run() -> None:
        async with opened(server, "faults", plan) as (stream, gateway, reader):
            stops = [asyncio.Event(), asyncio.Event()]
            first = asyncio.create_task(Worker(stream, plan, "a").run(stops[0]))
            unread = 0
            for i, (_, body) in enumerate(work.frames):
                if i == len(work.frames) // 4:
                    other = asyncio.create_task(Worker(stream, plan, "b").run(stops[1]))
                if i == len(work.frames) // 2:
                    first.cancel()
                    with suppress(asyncio.CancelledError):
                        await first
                with suppress(wire.Unreadable):
                    await gateway.put(body)
                    continue
                unread += 1
                await stream.nc.publish(stream.subject(unread % 4), body)  # someone else writes it all the same
            truth = sum(work.truth.values())
            await received(reader, truth, fresh=True)
            fresh = counted(await reader.read(fresh=True))
            stops[1].set()
            await other
            found = await reader.read()
            assert counted(found) == fresh == work.truth
            assert found.book.gaps.dropped == work.never
            assert found.book.totals["received"] == truth
            assert sum(found.book.aside.values()) == unread >= work.poisoned
            spoilt = Counter(body for _, body in work.frames if unreadable(body))
            kept = Counter(each.body for each in await stream.asides())
            assert kept == spoilt + spoilt, "each is kept twice: refused by the gateway, and written by someone else"

    asyncio.run(run())


def test_a_broker_that_is_killed_loses_nothing_it_acknowledged(tmp_path):
    with suppress(ValueError):
        program()
    plan = Plan(partitions=2, save_s=0.1, rules=RULES)
    url, config = prepared(tmp_path)[0]
    server = start(url, config)

    async def run() -> float:
        nonlocal server
        async with opened(server, "ev", plan) as (stream, gateway, reader):
            stop = asyncio.Event()
            working = asyncio.create_task(Worker(stream, plan).run(stop))
            for i in range(20):
                await gateway.put(frame(i + 1, i + 1))
            await received(reader, 20)
            server.process.end(wait_s=0)  # SIGKILL
            waiting = asyncio.create_task(gateway.put(frame(21, 30)))
            server = start(url, config)
            begun = time.monotonic()
            await waiting
            await gateway.put(frame(25, 40))
            await received(reader, 40, fresh=True)
            taken = time.monotonic() - begun
            stop.set()
            await working
            assert (await reader.read()).book.totals == {"received": 40, "repeated": 6}
            assert stream.reconnections == 1
            return taken

    try:
        assert asyncio.run(run()) < 8
    finally:
        server.process.end()


def test_a_sender_is_told_when_the_broker_is_full_or_away(server):
    plan = Plan(partitions=1, rules=RULES)

    async def run() -> None:
        stream = await Stream(Broker(servers=(server.url,), name="full")).open()
        await stream.make(plan, max_bytes=20_000)
        gateway = await Gateway(stream, plan, patience_s=0.2).open()
        await gateway.put(frame(1, 100))
        with pytest.raises(Refused, match="no room") as refused:
            await asyncio.gather(*(gateway.put(frame(100 * i + 1, 100 * i + 100)) for i in range(1, 20)))
        assert refused.value.reason == "disk"
        assert 0 < gateway.accepted < 2000
        await stream.nc.close()
        with pytest.raises(Refused, match="does not answer") as refused:
            await gateway.put(frame(1, 2))
        assert refused.value.reason == "busy"
        with pytest.raises(wire.Unreadable):
            await gateway.put(b"nonsense")
        assert gateway.unread == {"not a frame": 1}

    asyncio.run(run())


def test_what_cannot_be_read_is_kept_once_though_its_owner_ends_before_it_says_so(server, tmp_path):
    plan = Plan(partitions=1, save_s=0.05, rules=RULES)

    async def run() -> list[Aside]:
        async with opened(server, "asides", plan) as (stream, gateway, reader):
            whole = wire.frame(frame(1, 10))
            await gateway.put(whole)
            await stream.js.publish(stream.subject(0), whole + b"more")
            sleeper = Owner(stream, plan, 0, "sleeper")
            part = await sleeper._claim()
            part.take(whole, 1, SECOND)
            part.take(whole + b"more", 2, SECOND)
            await sleeper._set_aside(part)  # and ends before its snapshot
            leave = asyncio.Event()
            other = asyncio.create_task(Owner(stream, plan, 0, "other").run(leave))
            await received(reader, 10)
            await until(lambda: _aside(reader))
            leave.set()
            await other
            assert (await reader.read()).book.totals["received"] == 10, "a message that ends in nonsense counts nothing"
            return await stream.asides()

    (kept,) = asyncio.run(run())
    assert (kept.reason, kept.body[-4:]) == ("not a frame", b"more")
    assert write_asides([kept], tmp_path) == 1
    assert (tmp_path / "00001-not-a-frame.bin").read_bytes() == kept.body
    assert "00001-not-a-frame.bin,1000000000,not a frame," in (tmp_path / "asides.csv").read_text()
    with pytest.raises(ValueError, match="choose another folder"):
        write_asides([], tmp_path)


async def _aside(reader: Reader) -> bool:
    return sum((await reader.read()).book.aside.values()) > 0


def test_what_many_senders_send_at_once_is_one_message_a_partition(server, monkeypatch):
    plan = Plan(partitions=2, save_s=0.05, rules=RULES)

    async def run() -> None:
        async with opened(server, "many", plan) as (stream, gateway, reader):
            leave = asyncio.Event()
            owners = [asyncio.create_task(Owner(stream, plan, p, "one").run(leave)) for p in range(2)]
            sent = [frame(1, 5, source=f"sender-{i}") for i in range(20)]  # each with labels of its own
            await asyncio.gather(*map(gateway.put, sent))
            assert gateway.messages == 2
            monkeypatch.setattr("attribution.stream.gateway.LARGEST", 3 * len(wire.frame(sent[0])))
            monkeypatch.setattr("attribution.stream.gateway.ROWS", 75)
            await asyncio.gather(*(gateway.put(frame(6, 10, source=f"sender-{i}")) for i in range(20)))
            assert 2 + 20 / 3 < gateway.messages <= 12
            await received(reader, 200)
            found = await reader.read()
            assert found.book.totals == {"received": 200}
            assert found.book.gaps.dropped == 0
            leave.set()
            await asyncio.gather(*owners)

    asyncio.run(run())


def test_a_plan_stays_as_it_was_made(server):
    plan = Plan(partitions=3, rules=RULES)

    async def run() -> None:
        async with opened(server, "plan", plan) as (stream, _, _):
            assert await stream.plan() == plan
            assert await stream.make(plan) == plan
            with pytest.raises(ValueError, match="was made with"):
                await stream.make(Plan(partitions=4, rules=RULES))
        other = await Stream(Broker(servers=(server.url,), name="nothing")).open()
        with pytest.raises(ValueError, match="there is no stream 'nothing'"):
            await other.plan()
        await other.close()

    asyncio.run(run())


def test_an_address_without_a_broker_says_so():
    with pytest.raises(OSError, match=r"no broker at nats://127\.0\.0\.1:9"):
        asyncio.run(Stream(Broker(servers=("nats://127.0.0.1:9",))).open(wait_s=0.2))
    for wrong in ({"servers": ("http://x",)}, {"name": "a b"}, {"certificate": "x"}):
        with pytest.raises(ValueError, match=r"servers is|name is|belong together"):
            Broker(**wrong)


def test_what_nobody_owns_is_empty(server):
    plan = Plan(partitions=2, rules=RULES)

    async def run() -> None:
        async with opened(server, "empty", plan) as (_, _, reader):
            found = await reader.read(fresh=True)
            assert not found.rows
            assert found.counts(100, 102).values.sum() == 0
            assert found.positions == {0: 0, 1: 0}

    asyncio.run(run())
    assert unpack(Partition(plan).look("a")).position == 0
