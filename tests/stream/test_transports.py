"""One log, three ways: what an embedded node, a stream on NATS and one over the Kafka API count is the same."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.stream import wire
from attribution.stream.book import SECOND, Rules
from attribution.stream.node import Node, prepare
from attribution.stream.partitions import Plan

PLAN = Plan(partitions=4, save_s=0.2, rules=Rules(open_s=7200))


@pytest.fixture(scope="module")
def world():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture(scope="module")
def span(world):
    """Seconds in which it happens, moved so that it ends now."""
    last = time.time_ns() // SECOND
    return last - len(world.counts.start), last


@pytest.fixture(scope="module")
def log(world, span):
    """Frames of its conversions, some of them twice."""
    shift = span[0] * SECOND - int(world.counts.start[0].astype("int64"))
    arrived = list(world.events(kinds=("conversion",)))
    frames = []
    for i in range(0, len(arrived), 20):
        columns = {
            name: np.concatenate([getattr(batch, name) for batch in arrived[i : i + 20]])
            for name in ("time", "seq", "source", "region", "channel", "device", "kind", "weight")
        }
        batch = replace(arrived[i], **columns | {"time": columns["time"] + shift})
        frames += [wire.encode(batch, epochs=[1] * len(batch.labels.sources))] * (1 + (i % 7 == 0))
    return frames


@pytest.fixture(scope="module")
def embedded(world, log, span, tmp_path_factory):
    prepare()
    node = Node(tmp_path_factory.mktemp("node"), rules=PLAN.rules)
    for body in log:
        node.offer(body)
        node.step()
    counts = node.counts(*span)
    received = node.book.totals["received"]
    node.close()
    return counts, received, answer(world, counts)


def answer(world, counts):
    """Return the analysis, the counts moved back to when they happened."""
    return at.analyze(replace(counts, start=world.counts.start), world.airings, social=world.social)


def over_nats(log, span, many, folder):
    pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")
    from attribution.stream.gateway import Gateway  # noqa: PLC0415
    from attribution.stream.nats import Broker, Stream  # noqa: PLC0415
    from attribution.stream.owners import Worker  # noqa: PLC0415
    from attribution.stream.reader import Reader  # noqa: PLC0415
    from attribution.stream.servers import prepared, program, start  # noqa: PLC0415

    try:
        program()
    except ValueError as error:
        pytest.skip(str(error))
    server = start(*prepared(folder)[0])

    async def run() -> at.Counts:
        stream = await Stream(Broker(servers=(server.url,))).open()
        await stream.make(PLAN)
        stop = asyncio.Event()
        working = asyncio.create_task(Worker(stream, PLAN).run(stop))
        gateway = await Gateway(stream, PLAN).open()
        await asyncio.gather(*(gateway.put(body) for body in log))
        reader, end = Reader(stream, PLAN), time.monotonic() + 30
        while (await reader.read(fresh=True)).book.totals["received"] < many and time.monotonic() < end:
            await asyncio.sleep(0.1)
        stop.set()
        await working
        found = (await reader.read(*span)).counts(*span)
        await gateway.close()
        await stream.close()
        return found

    try:
        return asyncio.run(run())
    finally:
        server.process.end()


def over_kafka(log, span, many, folder):
    confluent = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: the extra brings it")
    from attribution.stream.kafka import Entrance, Reader, Worker  # noqa: PLC0415
    from attribution.stream.topics import Cluster  # noqa: PLC0415

    host = confluent.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    cluster = Cluster(servers=",".join(f"{b.host}:{b.port}" for b in host.list_topics(timeout=5).brokers.values()))
    for topic in (cluster.name, cluster.state):
        host.list_topics(topic, timeout=5)
    entrance, reader, stop = Entrance(cluster, PLAN), Reader(cluster, PLAN), threading.Event()
    working = threading.Thread(target=Worker(cluster, PLAN).run, args=(stop,))
    working.start()
    for sent in [entrance.send(body) for body in log]:
        sent.result(20)
    end = time.monotonic() + 30
    while reader.read(*span).book.totals["received"] < many and time.monotonic() < end:
        time.sleep(0.1)
    stop.set()
    working.join()
    found = reader.read(*span).counts(*span)
    entrance.close()
    reader.close()
    return found


@pytest.mark.parametrize("count", [over_nats, over_kafka], ids=["nats", "kafka"])
def test_the_same_log_gives_the_same_counts_and_the_same_answer(world, log, span, embedded, count, tmp_path):
    node, received, expected = embedded
    counts = count(log, span, received, tmp_path)
    assert (counts.regions, counts.channels, counts.devices) == (node.regions, node.channels, node.devices)
    np.testing.assert_array_equal(counts.values, node.values)
    np.testing.assert_array_equal(counts.completeness, node.completeness)
    ours = answer(world, counts)
    pd.testing.assert_frame_equal(ours.table, expected.table, rtol=1e-6)
    assert ours.table["incremental"].notna().all()
    assert received == counts.values.sum() == np.nansum(world.counts.values)
