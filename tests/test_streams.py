"""The command `attribution stream`: what it starts, says and ends."""

from __future__ import annotations

import asyncio
import time

import pandas as pd
import pytest
from typer.testing import CliRunner

from attribution.cli import app
from attribution.stream import wire

pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")

from attribution.stream.cluster import hire, opened
from attribution.stream.gateway import Entrance, Gateway
from attribution.stream.nats import Broker
from attribution.stream.owners import Worker
from attribution.stream.servers import Process, prepared, program, recall


def run(*arguments: object):
    return CliRunner().invoke(app, ["stream", *(str(a) for a in arguments)])


@pytest.fixture
def place(tmp_path):
    try:
        program()
    except ValueError as error:
        pytest.skip(str(error))
    yield tmp_path / "stream"
    run("--dir", tmp_path / "stream", "down")


def test_a_stream_is_started_asked_and_ended(place, tmp_path):
    told = run("--dir", place, "up", "--workers", 0, "--partitions", 2)
    assert told.exit_code == 0, told.output
    assert "0 workers on nats://127.0.0.1:" in told.stderr
    servers, workers = recall(place)
    assert [server.process.alive() for server in servers] == [True]
    assert not workers
    now = int(time.time())
    asyncio.run(count(Broker(servers=(servers[0].url,)), now))
    told = run("--dir", place, "status")
    assert told.exit_code == 1
    assert "counted: 3 events; 1 missing, 0 repeated, 0 late" in told.stdout
    assert "2 of 2 partitions have no owner" in told.stderr
    file = tmp_path / "counts.csv"
    span = [pd.Timestamp(t, unit="s", tz="UTC").isoformat() for t in (now - 5, now + 5)]
    told = run("--dir", place, "counts", file, "--from", span[0], "--until", span[1])
    assert "3 events in 10 seconds" in told.stderr
    assert pd.read_csv(file)["count"].sum() == 3
    assert run("--dir", place, "counts", file, "--from", span[1], "--until", span[0]).exit_code == 1
    again = run("--dir", place, "up", "--workers", 0, "--partitions", 2)
    assert again.exit_code == 0, again.output
    assert recall(place)[0] == servers, "what runs is left running"
    told = run("--dir", place, "up", "--workers", 0, "--partitions", 3)
    assert told.exit_code == 1
    assert "was made with" in told.stderr
    told = run("--dir", place, "up", "--workers", 0, "--replicas", 3)
    assert "holds 1 broker" in told.stderr
    told = run("--dir", place, "down")
    assert "1 process" in told.stderr
    assert not servers[0].process.alive()


async def count(broker: Broker, now: int) -> None:
    """Send three events of four through the sink of a door, and count them."""
    async with opened(broker) as (stream, plan):
        stop = asyncio.Event()
        working = asyncio.create_task(Worker(stream, plan).run(stop))
        gateway = await Gateway(stream, plan).open()
        frame, _ = wire.lines(b"\n".join(b'{"time": %d, "seq": %d, "epoch": 1}' % (now, i) for i in (1, 2, 4)))
        entrance = Entrance(gateway, asyncio.get_running_loop())
        assert await asyncio.to_thread(entrance.offer, frame) > 0
        await asyncio.sleep(1.5)
        stop.set()
        await working
        await gateway.close()


def test_workers_are_hired_and_dismissed(tmp_path):
    hired = hire(tmp_path, ["--server", "nats://127.0.0.1:9"], 1)
    assert len(hired) == 1
    assert hired[0].alive()
    known = Process(pid=hired[0].pid, mark=hired[0].mark)
    assert known.alive(), "it is known again by its number and name"
    assert not Process(pid=hired[0].pid, mark="another").alive()
    assert [each.pid for each in recall(tmp_path)[1]] == [hired[0].pid]
    assert hire(tmp_path, [], 0) == []
    hired[0].end(wait_s=0)
    assert not hired[0].alive()


def test_what_was_not_started_cannot_be_asked(tmp_path):
    for command in ("status", "down"):
        told = run("--dir", tmp_path / "none", command)
        assert told.exit_code == 1
        assert "nothing was started" in told.stderr
    told = run("--server", "http://x", "status")
    assert told.exit_code == 1
    assert "give addresses such as nats://" in told.stderr
    told = run("--server", "nats://127.0.0.1:9", "gateway", "--listen", "0.0.0.0:8600")
    assert "is open to others" in told.stderr
    with pytest.raises(ValueError, match="choose 1 or 3"):
        prepared(tmp_path, replicas=2)
