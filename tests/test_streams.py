"""The command `attribution stream`: what it starts, says and ends."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

import pandas as pd
import pytest
from typer.testing import CliRunner

from attribution.cli import app
from attribution.stream import wire

pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")

from attribution.stream.broker import Broker
from attribution.stream.cluster import PROGRAM, hire, opened
from attribution.stream.gateway import Entrance, Gateway
from attribution.stream.gathered import Reading
from attribution.stream.owners import Worker
from attribution.stream.reader import Reader
from attribution.stream.servers import Process, launch, prepared, program, recall


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


def test_a_gateway_that_is_killed_and_started_again_loses_nothing_and_doubles_nothing(place, tmp_path):
    """Senders send again what was not answered; what was answered is stored."""
    assert run("--dir", place, "up", "--workers", 0, "--partitions", 2).exit_code == 0
    server = recall(place)[0][0].url
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "token").write_text("open sesame")
    told = ["--listen", f"127.0.0.1:{port}", "--token-file", str(tmp_path / "token")]
    command = [sys.executable, "-c", PROGRAM, "stream", "--server", server, "gateway", *told]
    first = launch(command, mark=str(port), log=tmp_path / "gateway.log")
    now = int(time.time())
    bodies = [b'{"time": %d, "seq": %d, "epoch": 1, "source": "s%d"}' % (now, i, i % 4) for i in range(1, 41)]
    answers = Counter()
    sending = threading.Thread(target=post, args=(port, bodies, answers))
    sending.start()
    while answers[200] < 10:
        time.sleep(0.01)
    first.end(wait_s=0)
    before = answers["again"]
    second = launch(command, mark=str(port), log=tmp_path / "gateway.log")
    sending.join()
    assert answers[200] == 40
    assert answers["again"] > before, "it was away meanwhile"
    assert post_once(port, bodies[0], "wrong") == 401
    assert post_once(port, b"nonsense") == 422
    assert post_once(port, bodies[0]) == 200  # once more
    second.end()
    found = asyncio.run(counted_of(Broker(servers=(server,)), now))
    assert found.counts(now, now + 1).values.sum() == found.book.totals["received"] == 40
    assert found.book.totals["repeated"] >= 1


def post(port: int, bodies: list[bytes], answers: Counter) -> None:
    """Send each until it is answered."""
    for body in bodies:
        while (status := post_once(port, body)) != 200:
            answers["again"] += 1
            time.sleep(0.05)
        answers[status] += 1


def post_once(port: int, body: bytes, token: str = "open sesame") -> int:  # noqa: S107  the test's own
    """Return the status; 0 where nobody answers."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  our own address
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


async def counted_of(broker: Broker, now: int) -> Reading:
    """Count with a worker of our own until nothing more comes."""
    async with opened(broker) as (stream, plan):
        stop, reader = asyncio.Event(), Reader(stream, plan)
        working = asyncio.create_task(Worker(stream, plan).run(stop))
        last = (await stream.js.stream_info(broker.name)).state.last_seq
        until = time.monotonic() + 20
        while max((found := await reader.read(now, now + 1, fresh=True)).positions.values()) < last:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        stop.set()
        await working
        return found


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
