"""The door: good events reach the sink once, whatever else comes is counted and answered in words."""

from __future__ import annotations

import gzip
import json
import random
import string
from collections import Counter
from http.client import HTTPConnection

import numpy as np
import pytest

from attribution.events import EventBatch, Labels
from attribution.stream.book import Rules
from attribution.stream.door import Door, Server, _Gunzip
from attribution.stream.inbox import Inbox
from attribution.stream.keeping import Keeping, Refused
from attribution.stream.node import Node
from attribution.stream.wire import encode, lines

TIME = 1_770_583_260
LINE = json.dumps({"time": TIME, "region": "north", "seq": 1}).encode()
NDJSON = {"Content-Type": "application/x-ndjson"}
FRAME = {"Content-Type": "application/vnd.event-command.frame"}
PAYLOADS = 600
"""Mutated payloads here; the slow test sends ten thousand."""


def batch(n: int) -> EventBatch:
    one = np.zeros(n, np.uint8)
    wide = one.astype(np.uint16)
    time = TIME * 10**9 + np.arange(n)
    return EventBatch(
        time=time, seq=np.arange(1, n + 1, dtype=np.uint64), source=wide, region=wide, channel=one, device=one,
        kind=one, weight=np.ones(n, np.float32), labels=Labels(regions=("north",)),
    )  # fmt: skip


class Client:
    """Requests over one connection, which is opened anew when the server has closed it."""

    def __init__(self, address: str) -> None:
        self.line = HTTPConnection(address.removeprefix("http://"), timeout=10)

    def send(self, body: bytes, headers: dict[str, str], path: str = "/v1/events", method: str = "POST"):
        for attempt in (1, 2):
            try:
                self.line.request(method, path, body, headers)
                answer = self.line.getresponse()
                return answer.status, answer.read().decode(), answer.headers
            except (ConnectionError, OSError):
                self.line.close()
                if attempt == 2:
                    raise
        raise AssertionError


@pytest.fixture
def opened():
    """Makes doors; closes them at the end."""
    servers, clients = [], []

    def make(sink=None, **options):
        sink = sink or Inbox()
        servers.append(Server(Door(sink, **options)))
        servers[-1].start()
        clients.append(Client(servers[-1].address))
        return sink, servers[-1].door, clients[-1]

    yield make
    for client in clients:
        client.line.close()
    for server in servers:
        server.close()


def test_lines_and_frames_reach_the_sink_once_and_in_order(opened):
    inbox, door, client = opened()
    status, said, _ = client.send(LINE + b"\n" + LINE, NDJSON)
    assert (status, json.loads(said)) == (200, {"accepted": 2, "rejected": 0, "reasons": {}, "position": 2})
    status, said, _ = client.send(encode(batch(1000)), FRAME)
    assert (status, json.loads(said)["position"]) == (200, 1002)
    status, said, _ = client.send(
        gzip.compress(LINE) + gzip.compress(b"\n" + LINE), NDJSON | {"Content-Encoding": "gzip"}
    )
    assert (status, json.loads(said)["accepted"]) == (200, 2)
    frames = inbox.take()
    assert [len(frame) for frame in frames] == [2, 1000, 2]
    np.testing.assert_array_equal(frames[1].rows["seq"], np.arange(1, 1001))
    assert (door.accepted, door.answers) == (1004, {200: 3})


def test_the_good_events_of_a_body_are_taken_and_the_others_counted_under_their_reason(opened):
    inbox, door, client = opened()
    status, said, _ = client.send(b"\n".join([LINE, b"nonsense", b"[1]", b'{"region": "north"}', LINE]), NDJSON)
    said = json.loads(said)
    assert (status, said["accepted"], said["rejected"]) == (200, 2, 3)
    assert sum(said["reasons"].values()) == 3
    assert door.rejected == said["reasons"]
    assert sum(map(len, inbox.take())) == 2
    assert client.send(b"nonsense", NDJSON)[0] == 422


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", NDJSON, 400, "empty"),
        (LINE, {"Content-Type": "text/html"}, 415, "content type"),
        (LINE, NDJSON | {"Content-Encoding": "br"}, 415, "encoding"),
        (LINE, NDJSON | {"Content-Encoding": "gzip"}, 400, "gzip is damaged"),
        (gzip.compress(LINE)[:-9], NDJSON | {"Content-Encoding": "gzip"}, 400, "gzip is damaged"),
        (b"x" * 20_001, NDJSON, 413, "too large"),
        (gzip.compress(b"\n" * 50_000_000), NDJSON | {"Content-Encoding": "gzip"}, 413, "too large"),
        (b"EVCF and so on", FRAME, 400, "not a frame"),
        (encode(batch(5))[:-1], FRAME, 400, "truncated"),
    ],
    ids=["empty", "type", "encoding", "no gzip", "gzip cut", "large", "large unpacked", "no frame", "frame cut"],
)
def test_what_cannot_be_taken_is_refused_with_its_reason(opened, body, headers, status, reason):
    inbox, door, client = opened(limit=20_000)
    seen, said, _ = client.send(body, headers)
    assert (seen, json.loads(said)["reasons"]) == (status, {reason: 1})
    assert door.rejected == {reason: 1}
    assert client.send(LINE, NDJSON)[0] == 200
    assert sum(map(len, inbox.take())) == 1


def test_what_is_unpacked_is_never_much_larger_than_the_limit():
    assert len(_Gunzip(1000).feed(gzip.compress(b"\n" * 10**7) * 3)) == 1001


def test_a_body_without_a_length_is_held_to_the_limit_too(opened):
    _, _, client = opened(limit=20_000)
    client.line.request("POST", "/v1/events", iter([b"\n" * 9000] * 3), NDJSON, encode_chunked=True)
    assert client.line.getresponse().status == 413


@pytest.mark.parametrize(
    "shown", [None, "Bearer", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer s3cre"]
)
def test_strangers_are_refused(opened, shown):
    inbox, _, client = opened(token="s3cret")  # noqa: S106
    status, _, headers = client.send(LINE, NDJSON | ({"Authorization": shown} if shown else {}))
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.send(LINE, NDJSON | {"Authorization": "Bearer s3cret"})[0] == 200
    assert sum(map(len, inbox.take())) == 1


def test_a_full_queue_asks_the_sender_to_come_again_and_loses_nothing(opened):
    inbox, door, client = opened(Inbox(frames=2))
    assert [client.send(LINE, NDJSON)[0] for _ in range(3)] == [200, 200, 429]
    status, said, headers = client.send(LINE, NDJSON)
    assert (status, headers["Retry-After"]) == (429, "1")
    assert "send it again" in said
    assert sum(map(len, inbox.take())) == 2
    assert client.send(LINE, NDJSON)[0] == 200
    assert door.accepted == 3


@pytest.mark.parametrize(("error", "status"), [(Refused("disk", "the disk is full"), 503), (OSError("/secret"), 500)])
def test_a_sink_that_fails_shows_no_traceback_and_the_door_stays_open(opened, error, status, caplog):
    class Broken:
        failing = True

        def offer(self, _):
            if self.failing:
                raise error
            return 1

    sink, door, client = opened(Broken())
    seen, said, headers = client.send(LINE, NDJSON)
    assert seen == status
    assert ("Retry-After" in headers) == (status == 503)
    assert "Traceback" not in said
    assert "secret" not in said
    assert bool(caplog.records) == (status == 500)  # what we cannot explain is in our own log
    sink.failing = False
    assert client.send(LINE, NDJSON)[0] == 200
    assert door.accepted == 1


def test_a_durable_node_stands_behind_the_same_door(opened, tmp_path):
    node = Node(tmp_path, keeping=Keeping(queue=2), rules=Rules(past_s=1e9))
    _, door, client = opened(node, metrics=lambda: "node_events 7\n")
    first = json.loads(client.send(encode(batch(1000)), FRAME)[1])["position"]
    assert json.loads(client.send(encode(batch(1000)), FRAME)[1])["position"] > first  # the sender tries once more
    status, _, headers = client.send(LINE, NDJSON)
    assert (status, headers["Retry-After"]) == (429, "1")
    node.step()
    assert client.send(LINE, NDJSON)[0] == 200
    node.step()
    assert node.counts(TIME, TIME + 1).values.sum() == 1000
    assert door.accepted == 2001
    assert (node.health().received, node.health().repeated) == (1000, 1001)
    node.close()


def test_metrics_and_health_tell_how_it_goes(opened):
    wrong = []
    _, _, client = opened(metrics=lambda: "node_events 7\n", healthy=lambda: "; ".join(wrong))
    client.send(LINE + b"\nnonsense", NDJSON)
    status, text, headers = client.send(b"", {}, "/metrics", "GET")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["door_events_accepted_total"] == "1"
    assert sum(int(v) for k, v in values.items() if k.startswith("door_events_rejected_total")) == 1
    assert values['door_answers_total{status="200"}'] == "1"
    assert values["node_events"] == "7"
    assert client.send(b"", {}, "/health", "GET")[:2] == (200, '{"status": "ok"}')
    wrong.append("the disk is full")
    assert client.send(b"", {}, "/health", "GET")[0] == 503
    assert client.send(b"", {}, "/v2", "GET")[0] == 404


def test_the_queue_holds_events_as_well_as_frames():
    inbox = Inbox(frames=9, events=3)
    big, small = lines(b"\n".join([LINE] * 4))[0], lines(LINE)[0]
    assert inbox.offer(big) == 4
    with pytest.raises(Refused, match="send it again"):
        inbox.offer(small)
    assert inbox.events == 4
    assert len(inbox.take()) == 1
    assert [inbox.offer(small) for _ in range(3)] == [5, 6, 7]
    with pytest.raises(Refused, match="send it again"):
        inbox.offer(small)


def test_impossible_doors_are_refused(opened):
    with pytest.raises(ValueError, match="token is empty"):
        Door(Inbox(), token=" ")  # noqa: S106
    with pytest.raises(ValueError, match="limit is 0"):
        Door(Inbox(), limit=0)
    _, _, client = opened()
    taken = Server(Door(Inbox()), port=client.line.port)
    with pytest.raises(OSError, match="choose another port"):
        taken.start()


def mutated(rng: random.Random) -> tuple[bytes, dict[str, str]]:
    """A payload that began well: lines or a frame, with bytes changed, cut, repeated, nested, or headers that lie."""
    if rng.random() < 0.5:
        body = bytearray(b"\n".join([LINE] * rng.randint(1, 5)))
        headers = dict(NDJSON)
    else:
        body, headers = bytearray(encode(batch(rng.randint(1, 20)))), dict(FRAME)
    for _ in range(rng.choice([0, 1, 1, 2, 8, 64])):
        where = rng.randrange(len(body) + 1)
        match rng.randrange(7):
            case 0:
                body[where:where] = rng.randbytes(rng.randint(1, 9))
            case 1:
                del body[where : where + rng.randint(1, 40)]
            case 2 if where < len(body):
                body[where] ^= 1 << rng.randrange(8)
            case 3:
                body[where:where] = rng.choice(
                    [b"\xff\xfe", b"\x00", b"1e999", b"NaN", b"9" * 400, b'"\\ud800"', b"[" * 5000]
                )
            case 4:
                body[where:where] = body[: rng.randint(0, 200)]
            case 5:
                value = rng.choice(["-1", "1e30", "null", "true", "[]", "{}", '""', '"' + "x" * 300 + '"', str(2**70)])
                key = rng.choice(["time", "seq", "region", "source", "epoch", "weight", "kind", "nonsense"])
                body += f'\n{{"time": {TIME}, "{key}": {value}}}'.encode()
            case _:
                body = bytearray(rng.randbytes(rng.randint(0, 60)))
    if rng.random() < 0.2:
        headers["Content-Encoding"] = "gzip"
        body = bytearray(gzip.compress(bytes(body))) if rng.random() < 0.7 else body
    if rng.random() < 0.1:
        headers["Content-Type"] = "".join(rng.choices(string.printable[:94], k=rng.randint(0, 30))) or "x"
    return bytes(body), headers


def bombard(client: Client, payloads: int, seed: int) -> tuple[Counter[int], int, Counter[str]]:
    """Send mutated payloads: answers by status, events accepted, and rejected by reason, as the sender was told."""
    rng = random.Random(seed)  # noqa: S311
    answers, accepted, reasons = Counter(), 0, Counter()
    for _ in range(payloads):
        status, text, _ = client.send(*mutated(rng))
        assert "Traceback" not in text
        said = json.loads(text)
        answers[status] += 1
        accepted += said.get("accepted", 0)
        reasons.update(said.get("reasons", {}))
    return answers, accepted, reasons


@pytest.mark.parametrize("payloads", [PAYLOADS, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_payloads_neither_kill_the_door_nor_go_uncounted(opened, payloads):
    inbox, door, client = opened()
    taken = 0

    class Counting:
        def offer(self, frame):
            nonlocal taken
            taken += len(frame)
            inbox.take()
            return inbox.offer(frame)

    door._sink = Counting()
    answers, accepted, reasons = bombard(client, payloads, seed=11)
    assert set(answers) <= {200, 400, 413, 415, 422}, answers
    assert min(answers[200], answers[400], answers[422]) > 10
    assert accepted == door.accepted == taken
    assert reasons == door.rejected
    assert len(reasons) > 8
    assert client.send(LINE, NDJSON)[0] == 200
