"""The pushed chart: whole first, then what changed, the newest for whoever is slow; what a feed types stays text."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import pandas as pd
import pytest
from starlette.applications import Starlette

import attribution as at
from attribution import plotted
from attribution.stream.notices import LogEntry
from attribution.workbench import cards, moving, pulse, strokes, watch
from attribution.workbench.look import Answer, Look, look
from attribution.workbench.paths import beat as address
from attribution.workbench.pulse import PULSES, Pulse
from attribution.workbench.routes import routes

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def halftime():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture
def shown(halftime, made) -> Look:
    """A look in the middle of an analysis whose every number is known."""
    snapshot = watch.nothing_yet({"airings": made.airings, "context": halftime.context})
    snapshot = replace(snapshot, now=made.as_of + pd.Timedelta("1s"), state="LIVE")
    return look(halftime.scenario, at.Settings(), snapshot, Answer(words={}, changed={}, result=made))


def told(event: bytes) -> tuple[int, str, dict]:
    number, name, data = event.decode().rstrip("\n").split("\n")
    return int(number.removeprefix("id: ")), name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def drawn(second: int, **other) -> dict:
    line = {"t": list(range(second)), "each": [float(s) for s in range(second)], "mean": [1.0] * second}
    return {"zero": 0, "at": second * 1000, "span": 660.0, "line": line, **other}


def heard(beats, *, seen: int = -1, count: int) -> list[tuple[int, str, dict]]:
    """Read from a pulse while ``beats`` strikes it, a call before each event."""

    async def listen():
        found, reader = [], beats.pulse.read(seen)
        for _ in range(count):
            beats.strike()
            found.append(told(await asyncio.wait_for(anext(reader), timeout=30)))
        await reader.aclose()
        return found

    return asyncio.run(listen())


class Beats:
    """A pulse that is struck as a list says: so many beats each time."""

    def __init__(self, *counts: int) -> None:
        self.pulse, self.counts, self.second = Pulse(), list(counts), 0

    def strike(self) -> None:
        for _ in range(self.counts.pop(0)):
            self.second += 1
            self.pulse.strike(drawn(self.second), {"at": self.second * 1000})


def test_a_reader_gets_the_whole_chart_then_only_what_changed():
    found = heard(Beats(1, 1, 1), count=3)
    assert [name for _, name, _ in found] == ["whole", "change", "change"]
    assert found[0][2]["line"]["t"] == [0]
    assert found[2][2]["line"] == {"t": [2], "each": [2.0], "mean": [1.0]}
    assert "span" not in found[2][2]


def test_of_what_moves_around_the_chart_those_that_changed_are_told():
    before, after = drawn(3, panels={"verdict": "a", "log": "b"}), drawn(4, panels={"verdict": "a", "log": "c"})
    assert strokes.changes(before, after)["panels"] == {"log": "c"}
    assert "panels" not in strokes.changes(before, drawn(4, panels=before["panels"]))


def test_what_is_pushed_around_the_chart_is_the_pages_own_and_text_where_a_feed_typed_it(shown):
    event = replace(shown.event, title=HOSTILE, advertiser=HOSTILE)
    verdict = replace(shown.verdict, sentence=HOSTILE)
    told_ = [LogEntry(shown.now, kind, HOSTILE) for kind in ("ALERT", "MODEL_UPDATE")]
    found = moving.parts(replace(shown, event=event, verdict=verdict, log=told_))
    assert set(found) == {"verdict", "event", *cards.NAMES, "soundness", "integrity", "log", "decision"}
    assert "&lt;img" in found["verdict"]
    assert not [name for name, html in found.items() if "<img" in html]


def test_a_slow_reader_finds_the_newest_whole_and_nothing_waits_for_it():
    beats = Beats(1, 50, 1)
    (first, _, _), (newest, name, chart), (last, after, _) = heard(beats, count=3)
    assert (newest - first, name, chart["at"]) == (50, "whole", 51_000)
    assert (last - newest, after) == (1, "change")
    assert not vars(beats.pulse).keys() & {"queue"}


def test_a_browser_that_slept_is_given_what_it_missed_and_no_number_of_another_server_is_believed():
    beats = Beats(3, 0)
    beats.strike()
    assert heard(beats, seen=1, count=1)[0][1] == "whole"
    assert heard(Beats(3), seen=2, count=1)[0][0] == 3
    assert heard(Beats(3), seen=10**9, count=1)[0][1] == "whole"


def test_who_has_the_beat_before_is_told_the_change_alone():
    beats = Beats(2, 1)
    beats.strike()
    (number, name, _) = heard(beats, seen=2, count=1)[0]
    assert (number, name) == (3, "change")


def test_who_comes_when_nobody_listened_hears_of_no_old_beat():
    beats = Beats(1, 0, 1)
    heard(beats, count=1)
    beats.strike()
    assert heard(beats, count=1)[0][2]["at"] == 2000


def test_many_readers_in_several_threads_hear_the_same_beat():
    shared, met = Pulse(), threading.Barrier(3)
    found: list[tuple[int, str, dict]] = []

    def listen():
        async def first():
            reader = shared.read()
            waiting = asyncio.ensure_future(anext(reader))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(met.wait)
            found.append(told(await asyncio.wait_for(waiting, timeout=30)))
            await reader.aclose()

        asyncio.run(first())

    threads = [threading.Thread(target=listen) for _ in range(2)]
    for thread in threads:
        thread.start()
    met.wait()
    assert shared.readers == 2
    shared.strike(drawn(5), {"at": 5000})
    for thread in threads:
        thread.join(timeout=30)
    assert [chart["at"] for _, _, chart in found] == [5000, 5000]
    assert shared.readers == 0


def test_an_ended_pulse_lets_its_readers_go():
    beats = Pulse()

    async def listen():
        reading = asyncio.ensure_future(anext(beats.read(), None))
        await asyncio.sleep(0.05)
        beats.end()
        return await asyncio.wait_for(reading, timeout=30)

    assert asyncio.run(listen()) is None


def test_a_stream_ends_after_a_while_so_that_connections_go_round(monkeypatch):
    monkeypatch.setattr(pulse, "STREAM_S", 0.0)

    async def listen():
        return [event async for event in Pulse().read()]

    assert asyncio.run(listen()) == []


def test_the_route_streams_to_those_who_know_the_token_alone():
    beats = Pulse()
    assert get(address("guessed"))[0] == 404
    struck = threading.Thread(target=lambda: (waited(beats), beats.strike(drawn(3), {"at": 3000})))
    struck.start()
    status, headers, content = get(address(beats.token), (b"last-event-id", b"not a number"), until=beats)
    struck.join(timeout=30)
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    number, name, chart = told(content)
    assert (number, name, chart["line"]["t"]) == (1, "whole", [0, 1, 2])


def get(path: str, *headers: tuple[bytes, bytes], until: Pulse | None = None) -> tuple[int, dict[str, str], bytes]:
    """Ask the app's routes as a server does, and return status, headers and body; a pulse ends with its first event."""
    sent: list[dict] = []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": list(headers)}

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if until is not None and message.get("body"):
            until.end()

    asyncio.run(asyncio.wait_for(Starlette(routes=routes())(scope, receive, send), timeout=60))
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], named, b"".join(message.get("body", b"") for message in sent[1:])


def waited(beats: Pulse) -> None:
    for _ in range(3000):
        if beats.readers:
            return
        threading.Event().wait(0.01)


def test_a_pulse_that_nobody_holds_is_forgotten():
    token = Pulse().token
    assert token not in PULSES


def test_the_drawing_is_the_charts_own_numbers(shown):
    chart = strokes.drawing(shown)
    frames = plotted.velocity_frames(
        plotted.drawn(shown.result), shown.airings, observed=shown.observed, span=shown.span
    )
    model = frames["model"].reset_index(drop=True)
    assert chart["model"]["middle"] == [round(v, strokes.DIGITS) for v in model["counterfactual"]]
    assert chart["model"]["with"] == [round(v, strokes.DIGITS) for v in model["with_ad"]]
    moments = pd.to_datetime([chart["zero"] + 1000 * t for t in chart["model"]["t"]], unit="ms", utc=True)
    assert (abs(moments - model["time"]) < pd.Timedelta("2ms")).all()
    assert chart["top"] == frames["window"]["rate"].iloc[1]
    assert [b["label"] for b in chart["breaks"]] == list(frames["breaks"]["label"])
    assert chart["figures"] == cards.hero_figures(shown)
    assert chart["split"] == cards.split(shown)
    json.dumps(chart, allow_nan=False)


def test_changes_applied_to_the_drawing_before_make_the_drawing_after():
    long, short = drawn(30, top=80.0), drawn(31, top=90.0)
    short["line"] = {name: values[4:] for name, values in short["line"].items()}
    short["line"]["mean"][-3:] = [7.0, 8.0, 9.0]
    found = strokes.changes(long, short)
    assert found["top"] == 90.0
    assert found["line"]["t"] == [28, 29, 30]
    assert strokes.changes(long, long) == {}
    other_day = {**short, "zero": 1}
    assert strokes.changes(long, other_day) is other_day


def test_what_a_feed_types_is_text_in_every_part_of_the_drawing(halftime, maker):
    made = maker(names=[HOSTILE, f"{HOSTILE}2"])
    snapshot = watch.nothing_yet({"airings": made.airings, "context": halftime.context})
    snapshot = replace(snapshot, now=made.as_of + pd.Timedelta("1s"), state="LIVE")
    now = look(halftime.scenario, at.Settings(), snapshot, Answer(words={}, changed={}, result=made))
    chart = strokes.drawing(now)
    assert HOSTILE in {b["label"] for b in chart["breaks"]}  # the chart writes it on its canvas, as text
    html = chart["figures"] + chart["split"] + chart["heard"]
    assert "<img" not in html
    assert "&lt;img" in chart["heard"]
