"""The command live: what it prints at any time is the batch analysis of everything received by then."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from http.client import HTTPConnection

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import attribution as at
from attribution.cli import app
from attribution.events import Labels
from attribution.onair import obey, token
from attribution.replay import Remote, looks
from attribution.stream.addresses import Given, counted, open_feed, recording
from attribution.stream.engine import ManualClock
from attribution.stream.wire import encode
from attribution.worlds import write_world

WIDE = {"source": np.uint16, "region": np.uint16}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The files of a simulated event."""
    return write_world(at.simulate(at.SCENARIOS["halftime"], rng=7), tmp_path_factory.mktemp("event"))


@pytest.fixture(scope="module")
def log(place):
    """Its conversions as lines of CSV, until two minutes after the airing began."""
    frame = pd.read_parquet(place / "events.parquet")
    frame = frame[frame["time"] < pd.Timestamp("2026-02-08T20:43:00Z")].drop(columns="weight")
    return frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")).to_csv(index=False)


def at_most(text: str, moment: str) -> str:
    """Lines of a log of events from before a moment, with the header."""
    head, *lines = text.splitlines(keepends=True)
    return head + "".join(line for line in lines if line[: len(moment)] < moment)


def same(live: at.Analysis, batch: at.Analysis) -> None:
    assert live.as_of == batch.as_of
    pd.testing.assert_frame_equal(live.table, batch.table, rtol=1e-6)
    pd.testing.assert_frame_equal(live.total, batch.total, rtol=1e-6)


@pytest.mark.parametrize("door", ["tail", "http"])
def test_live_equals_batch_on_everything_received(place, log, tmp_path, door):
    path, social = tmp_path / "log.csv", tmp_path / "social.csv"
    given = Given(airings=place / "airings.csv", social=social)
    opened = open_feed("http:127.0.0.1:0" if door == "http" else f"tail:{path}", given)
    whole_social = (place / "social.csv").read_text()
    stop, seen, sent = [], [], ""
    watch = looks(opened.feed, wait=lambda _: None, clock=ManualClock(), stopped=lambda: bool(stop))
    try:
        assert next(watch).waiting
        for moment in ("2026-02-08T20:41:40", "9"):
            text = at_most(log, moment)
            if door == "http":
                post(opened.told.split()[-1], text[len(sent) :], first=not sent)
            else:
                path.write_text(text) if not sent else append(path, text[len(sent) :])
            social.write_text(at_most(whole_social, moment))
            sent = text
            if moment == "9":
                stop.append(True)
            look = next(watch)
            written = tmp_path / "so_far.csv"
            written.write_text(text)
            counts = at.read_events(written).between(end=look.result.as_of)
            known = at.read_social(social)
            known = known[known["time"] + pd.to_timedelta(known["width_s"], unit="s") <= look.now]
            same(look.result, at.analyze(counts, at.read_airings(place / "airings.csv"), social=known))
            seen.append(look)
        assert seen[-1].ended
        assert seen[-1].result.as_of == at.read_events(written).end
        assert not seen[-1].rejected
        assert seen[-1].metrics.received == len(text.splitlines()) - 1
        assert next(watch, None) is None
    finally:
        opened.close()


def append(path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def post(address: str, text: str, *, first: bool) -> None:
    """Send lines of the log in two bodies, one of JSON lines and one frame, each of them twice where it is numbered."""
    names = ["time", "source", "seq", "region", "channel", "device", "kind"]
    rows = [dict(zip(names, line.split(","), strict=True)) for line in text.splitlines()[first:]]
    lines = "\n".join(json.dumps(row | {"seq": int(row["seq"])}) for row in rows)
    client = HTTPConnection(address.removeprefix("http://").partition("/")[0], timeout=20)
    for body, kind in ((lines, "application/x-ndjson"), (framed(rows[: len(rows) // 2]), "application/octet-stream")):
        client.request("POST", "/v1/events", body, {"Content-Type": kind})
        assert client.getresponse().read().startswith(b'{"accepted"')
    client.close()


def framed(rows: list[dict]) -> bytes:
    frame = pd.DataFrame(rows)
    codes = {name: pd.factorize(frame[name]) for name in ("source", "region", "channel", "device", "kind")}
    batch = at.EventBatch(
        time=pd.to_datetime(frame["time"]).dt.as_unit("ns").astype("int64").to_numpy(),
        seq=frame["seq"].astype("uint64").to_numpy(),
        weight=np.ones(len(frame), np.float32),
        labels=Labels(**{f"{name}s": tuple(known) for name, (_, known) in codes.items()}),
        **{
            name: code.astype(np.uint16 if name in {"source", "region"} else np.uint8)
            for name, (code, _) in codes.items()
        },
    )
    return encode(batch)


def test_what_was_kept_is_gone_on_with_and_can_be_replayed(place, log, tmp_path):
    given = Given(log=tmp_path / "kept")
    text, half = log, at_most(log, "2026-02-08T20:41:40")
    for part, first in ((half, True), (text[len(half) :], False)):
        opened = open_feed("http:127.0.0.1:0", given)  # started twice
        post(opened.told.split()[-1], part, first=first)
        opened.close()
    opened = open_feed("http:127.0.0.1:0", given)
    look = list(looks(opened.feed, stopped=lambda: True, clock=ManualClock()))[-1]
    opened.close()
    written = tmp_path / "log.csv"
    written.write_text(log)
    batch = at.read_events(written)
    assert look.metrics.received == len(log.splitlines()) - 1
    assert look.metrics.duplicate > 1000  # the frames repeat half of the lines
    replayed = open_feed(f"replay:{given.log}", Given()).feed
    assert replayed.at(batch.end).history.fingerprint == batch.fingerprint
    with pytest.raises(ValueError, match="no event"):
        counted([])


def test_a_folder_is_replayed_with_what_stands_beside_the_conversions(place):
    assert {name: path.name for name, path in recording(place).items()} == {
        "conversions": "events.parquet", "airings": "airings.csv", "context": "context.csv", "social": "social.csv",
        "audience": "audience.csv",
    }  # fmt: skip
    run = ["live", "--feed", f"replay:{place}", "--speed", "1e9", "--start", "2026-02-08T20:50:00Z", "--json"]
    lines = CliRunner().invoke(app, run).stdout.splitlines()
    last = json.loads(lines[-1])
    tables = {"social": at.read_social(place / "social.csv"), "audience": at.read_audience(place / "audience.csv")}
    batch = at.analyze(
        at.read_events(place / "events.parquet"), at.read_airings(place / "airings.csv"),
        context=at.read_context(place / "context.csv"), **tables,
    )  # fmt: skip
    assert last["ended"]
    assert last["answer"]["fingerprint"] == batch.fingerprint
    assert last["answer"]["airings"][0]["incremental"] == pytest.approx(batch.table["incremental"][0], rel=1e-6)


def test_a_folder_that_does_not_say_what_is_what_is_refused(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(ValueError, match=r"not clear \(a.csv, b.csv\); name it: replay:"):
        recording(tmp_path)
    for name in ("requests_per_minute.csv.gz", "airings_one.csv", "airings_two.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(ValueError, match="choose one with --airings FILE"):
        recording(tmp_path)
    (tmp_path / "airings_two.csv").unlink()
    assert recording(tmp_path)["conversions"].name == "requests_per_minute.csv.gz"


def test_a_remote_pauses_and_moves_a_replay(place):
    hand = ManualClock()
    remote = Remote(hand)
    opened = open_feed(f"replay:{place / 'counts.csv'}", Given(speed=10.0))
    watch = looks(opened.feed, clock=hand, wait=hand.advance, remote=remote)
    first, second = next(watch).now, next(watch).now
    assert second - first == pd.Timedelta("10s")
    obey(remote, "pause", "", None)
    assert [next(watch).now for _ in range(2)] == [second] * 2
    obey(remote, "play", "", None)
    assert next(watch).now == second + pd.Timedelta("10s")
    obey(remote, "seek", "2026-02-08T20:35:00Z", None)
    assert next(watch).now == pd.Timestamp("2026-02-08T20:35:00Z")
    obey(remote, "speed", "100", None)
    assert next(watch).now == pd.Timestamp("2026-02-08T20:35:00Z")
    assert next(watch).now == pd.Timestamp("2026-02-08T20:36:40Z")
    for word, rest in (("speed", "0"), ("speed", "fast"), ("hop", "")):
        with pytest.raises(ValueError, match=r"."):
            obey(remote, word, rest, None)


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        ("simulatd", "did you mean 'simulated'"),
        ("simulated:halftme", "did you mean 'halftime'"),
        ("simulated:halftime:x", "write a whole number"),
        ("replay:", "write simulated, replay:PATH"),
        ("replay:absent.csv", "cannot be opened"),
        ("http:8600x", "write http:HOST:PORT"),
        ("http:0.0.0.0:8600", "give --token-file FILE"),
    ],
)
def test_an_address_that_names_no_feed_is_one_sentence(feed, sentence):
    result = CliRunner().invoke(app, ["live", "--feed", feed])
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_an_empty_token_is_refused(tmp_path):
    (tmp_path / "token").write_text(" \n")
    with pytest.raises(ValueError, match="is empty"):
        token(tmp_path / "token")
    (tmp_path / "token").write_text("s3cret\n")
    assert token(tmp_path / "token") == "s3cret"


def test_ctrl_c_ends_it_with_everything_that_came(log, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(log)
    code = "from attribution.cli import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "live", "--feed", f"tail:{path}", "--json"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        lines = [process.stdout.readline()]
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=60)
        lines += rest.splitlines()
    finally:
        process.kill()
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert [json.loads(line)["ended"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = json.loads(lines[-1])
    assert last["stream"]["received"] == len(log.splitlines()) - 1
    assert last["time"] == "2026-02-08T20:43:00Z"
