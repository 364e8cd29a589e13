"""A growing file: each whole line once, whatever is done to the file; its events are those the readers find."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attribution.logs import read_events
from attribution.readers import read_social
from attribution.stream.arrivals import ArrivalFeed
from attribution.stream.engine import Engine, ManualClock
from attribution.stream.feeds import no_table
from attribution.stream.rows import EventTail, TableTail
from attribution.stream.tail import LONGEST, Tail
from attribution.tables import ReadError

BEGIN = pd.Timestamp("2026-02-08T20:00:00Z")
LATER = lambda: (BEGIN + pd.Timedelta("1D")).value  # noqa: E731


@pytest.fixture
def tailed(tmp_path):
    tail = Tail(tmp_path / "log")
    yield tail, tail.path
    tail.close()


def append(path, text: str) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def test_a_half_written_line_waits_for_its_end(tailed):
    tail, path = tailed
    assert tail.lines() == []
    append(path, "one\r\ntwo\nth")
    assert tail.lines() == [b"one", b"two"]
    assert tail.waiting
    assert tail.lines() == []
    append(path, "ree\n")
    assert tail.lines() == [b"three"]
    assert not tail.waiting


def test_a_rotated_file_is_read_to_its_end_and_then_its_successor(tailed):
    tail, path = tailed
    append(path, "one\n")
    assert tail.lines() == [b"one"]
    append(path, "two\nlast")
    path.rename(path.with_suffix(".1"))
    assert tail.lines() == [b"two"]
    assert tail.lines() == []
    append(path, "three\n")
    assert tail.lines() == [b"last"]
    assert tail.lines() == [b"three"]
    assert tail.begun == 2


@pytest.mark.parametrize("after", ["new\n", "another beginning, longer than what was there before\n"])
def test_a_truncated_file_is_begun_anew(tailed, after):
    tail, path = tailed
    append(path, "first\nhal")
    assert tail.lines() == [b"first"]
    path.write_text(after)
    assert tail.lines() == [after.strip().encode()]


def test_a_line_without_end_does_not_fill_the_memory(tailed, monkeypatch):
    tail, path = tailed
    monkeypatch.setattr("attribution.stream.tail.CHUNK", 1 << 18)
    append(path, "x" * (3 * LONGEST) + "\nnext\n" + "y" * 10 + "\n")
    seen = [line for _ in range(40) for line in tail.lines()]
    assert seen == [b"next", b"y" * 10]
    assert tail.overlong == 1


def test_random_writing_loses_and_repeats_nothing(tailed):
    tail, path = tailed
    rng, seen, whole = random.Random(3), [], ""  # noqa: S311
    for i in range(300):
        text = f"line {i}\n"
        for cut in (text[: rng.randrange(len(text))],):
            append(path, cut)
            seen += tail.lines() if rng.random() < 0.5 else []
            append(path, text[len(cut) :])
        whole += text
        if rng.random() < 0.05:
            seen += [line for _ in range(3) for line in tail.lines()]
            path.rename(path.with_suffix(f".{i}"))
    seen += [line for _ in range(4) for line in tail.lines()]
    assert seen == whole.encode().splitlines()


def events(n: int = 3000, seed: int = 1, *, numbered: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    moments = np.sort(rng.integers(0, 90 * 10**9, n))
    frame = pd.DataFrame(
        {
            "event_timestamp": [f"{BEGIN + pd.Timedelta(int(ns), 'ns'):%Y-%m-%dT%H:%M:%S.%fZ}" for ns in moments],
            "geo.region": rng.choice(["south", "north", "west"], n),
            "device": rng.choice(["tv", "phone"], n),
            "event_name": rng.choice(["purchase", "visit"], n),
        }
    )
    return frame.assign(seq=np.arange(1, n + 1), source="web") if numbered else frame


def written(frame: pd.DataFrame, form: str) -> str:
    return frame.to_csv(index=False) if form == "csv" else frame.to_json(orient="records", lines=True)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("numbered", [False, True])
def test_the_counts_at_any_time_are_those_of_reading_what_was_written(tailed, form, numbered):
    tail, path = tailed
    text = written(events(numbered=numbered), form)
    rows = EventTail(tail)
    feed = ArrivalFeed(rows.take, now=LATER)
    engine, clock, done = None, ManualClock(), 0
    for cut in (30_000, 60_000, 60_123, 150_000, len(text)):
        append(path, text[done:cut])
        done = cut
        if engine is None and feed.begin():
            engine = Engine(feed, clock=clock)
        engine.step()
        seen = engine.snapshot()
        whole = path.with_suffix(".so_far")
        whole.write_text(text[: text.rindex("\n", 0, cut) + 1])
        batch = read_events(whole).between(end=seen.counts.end)
        assert seen.error == ""
        assert np.isnan(seen.counts.completeness).all() != numbered
        assert replace(seen.counts, completeness=batch.completeness).fingerprint == batch.fingerprint
    assert np.isnan(seen.metrics.accuracy) != numbered
    feed.finish()
    engine.step()
    assert engine.snapshot().state == "ENDED"
    batch = read_events(whole)
    assert replace(engine.snapshot().counts, completeness=batch.completeness).fingerprint == batch.fingerprint
    assert not feed.rejected + rows.rejected


def test_numbers_tell_what_is_missing_and_what_is_repeated(tailed):
    tail, path = tailed
    frame = events(numbered=True)
    lost = frame.drop(index=[500, 501, 1700])
    text = written(pd.concat([lost, lost[100:140]]), "csv")
    append(path, text)
    rows = EventTail(tail)
    feed = ArrivalFeed(rows.take, now=LATER)
    assert feed.begin()
    engine = Engine(feed, clock=ManualClock())
    engine.step()
    seen = engine.snapshot().metrics
    assert (seen.received, seen.dropped, seen.duplicate) == (2997, 3, 40)
    assert seen.accuracy == pytest.approx(1 - 3 / 3000)
    assert engine.snapshot().counts.completeness.min() < 1


def test_bad_rows_are_counted_under_their_reason_and_the_good_ones_are_all_there(tailed):
    tail, path = tailed
    frame = events(400, numbered=True)
    head, *good = written(frame, "csv").splitlines()
    rng, bad = random.Random(5), []  # noqa: S311
    for line in good[:200]:
        fields = line.split(",")
        bad.append(
            rng.choice(
                [
                    ",".join(fields[:-1]),
                    line + ",more",
                    ",".join(["soon", *fields[1:]]),
                    ",".join(["", *fields[1:]]),
                    ",".join([*fields[:4], "1.5", fields[5]]),
                    ",".join([*fields[:4], "x", fields[5]]),
                    ",".join(["2031-02-08T20:00:00.000000Z", *fields[1:4], "0", fields[5]]),
                    '"' + line + '"x',
                ]
            )
        )
    mixed = good + bad
    rng.shuffle(mixed)
    append(path, "\n".join([head, *mixed]) + "\n")
    rows = EventTail(tail)
    feed = ArrivalFeed(rows.take, now=LATER)
    assert feed.begin()
    engine = Engine(feed, clock=ManualClock())
    feed.finish()
    engine.step()
    seen = engine.snapshot()
    assert seen.metrics.received == len(good)
    assert (rows.rejected + feed.rejected).total() == len(bad)
    assert len(rows.rejected + feed.rejected) >= 6
    alone = path.with_suffix(".good")
    alone.write_text("\n".join([head, *good]) + "\n")
    assert seen.counts.total.sum() == read_events(alone).total.sum()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_random_bytes_in_a_file_stop_nothing(tailed, form):
    tail, path = tailed
    text = written(events(300), form).encode()
    rng = random.Random(7)  # noqa: S311
    rows = EventTail(tail)
    path.write_bytes(text)
    feed = ArrivalFeed(rows.take, now=LATER)
    assert feed.begin()
    engine = Engine(feed, clock=ManualClock())
    lines = text.splitlines(keepends=True)[1:]
    for _ in range(200):
        line = bytearray(rng.choice(lines))
        for _ in range(rng.choice([0, 1, 3, 30])):
            where = rng.randrange(len(line))
            line[where : where + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        with path.open("ab") as file:
            file.write(bytes(line))
        engine.step()
    with path.open("ab") as file:
        file.write(b"\n" + lines[-1])
    before = engine.snapshot().metrics.received
    engine.step()
    seen = engine.snapshot()
    assert seen.error == ""
    assert seen.metrics.received == before + 1
    assert (rows.rejected + feed.rejected).total() > 20


def test_a_file_that_holds_no_events_says_so_at_once(tailed):
    tail, path = tailed
    append(path, "colour,size\nred,3\n")
    with pytest.raises(ReadError, match="no column for time"):
        EventTail(tail).take()


def test_a_beginning_without_times_waits_for_some_rows_before_it_gives_up(tailed):
    tail, path = tailed
    append(path, "time,region\nsoon,north\n")
    rows = EventTail(tail)
    assert rows.take() == []
    append(path, "2026-02-08T20:00:00Z,north\n2026-02-08T20:00:01Z,north\n")
    assert [len(frame) for frame in rows.take()] == [2]
    assert rows.rejected.total() == 1
    other = EventTail(Tail(path.with_suffix(".bad")))
    append(path.with_suffix(".bad"), "time,region\n" + "soon,north\n" * 10)
    with pytest.raises(ReadError, match="no times"):
        other.take()
    other._tail.close()


def test_a_table_grows_with_its_file(tailed):
    tail, path = tailed
    feed = TableTail(tail, read_social, no_table("social"))
    assert len(feed.table()) == 0
    append(path, "time,mentions\n2026-02-08T20:00:00Z,3\n")
    assert len(feed.table()) == 0
    assert "width" in feed.trouble
    append(path, "2026-02-08T20:00:01Z,4\n2026-02-08T20:00:02Z,1")
    assert feed.table()["count"].tolist() == [3, 4]
    append(path, "7\n")
    assert feed.table()["count"].tolist() == [3, 4, 17]
    assert feed.trouble == ""
    path.rename(path.with_suffix(".1"))
    append(path, "time,mentions\n2026-02-08T20:00:03Z,5\n")
    assert feed.table()["count"].tolist() == [3, 4, 17, 5]


def test_events_of_the_future_and_of_long_ago_are_set_aside(tailed):
    tail, path = tailed
    lines = [json.dumps({"time": (BEGIN + pd.Timedelta(s, "s")).timestamp()}) for s in (0, 1, 500, -119, -121, 90_000)]
    append(path, "\n".join(lines[:2]) + "\n")
    feed = ArrivalFeed(EventTail(tail).take, now=LATER)
    assert feed.begin()
    append(path, "\n".join(lines[2:]) + "\n")
    engine = Engine(feed, clock=ManualClock())
    engine.step()
    assert engine.snapshot().metrics.received == 4
    assert feed.rejected == {"time is in the future": 1, "time lies before the beginning": 1}
    assert engine.snapshot().counts.total.sum() == 3  # the newest second is not over
