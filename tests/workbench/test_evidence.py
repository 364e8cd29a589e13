"""The evidence page: an answer taken apart, from any address; what takes longer comes when it is there."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from attribution.exhibits import FeedView
from attribution.lab import Lab, empty
from attribution.verdict import Verdict
from attribution.workbench import bench, evidence, evidence_panels

HOSTILE = "<img src=x onerror=alert(1)>"
KNOWN = {"window": "60s", "response_peak": "10s", "response_peak_logsd": "0.2"}
COLUMNS = ["region", "role", "share", "incremental", "lift", "lower", "upper", "word", "why"]


def page(**query: str) -> AppTest:
    app = AppTest.from_string("from attribution.workbench import evidence\nevidence.show()", default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def settled(app: AppTest) -> str:
    """Run the page until nothing is waited for."""
    for _ in range(200):
        now = html(app.run())
        if "waiting" not in now.split("</style>")[-1] and 'class="ec waiting"' not in now:
            return now
        time.sleep(0.1)
    pytest.fail("the page still waits")


@pytest.fixture
def quick(monkeypatch):
    """Make what takes longer short: it has tests of its own."""
    moments = pd.date_range("2026-02-08T20:30Z", periods=3, freq="1min")
    table = pd.DataFrame({"time": moments, "kind": ["moment", "break", "moment"], "estimate": [5.0, 9.0, -300.0]})
    table = table.assign(lower=table["estimate"] - 99, upper=table["estimate"] + 99, sd=50.0, z=table["estimate"] / 50)
    own = pd.Series(
        {"time": moments[0], "kind": "airing", "estimate": 800.0, "lower": 600.0, "upper": 999.0, "sd": 90.0, "z": 8.9}
    )
    made = Lab(table=table, own=own, p=0.5, needed=79, false=1 / 3, false_lower=0.01, false_upper=0.9)
    left = pd.DataFrame(
        [
            ("", "", np.nan, 1.0, 0.2, 0.1, 0.3, "caused", ""),
            (HOSTILE, "control", 0.2, *[np.nan] * 4, "no data", "why"),
        ],
        columns=COLUMNS,
    )
    monkeypatch.setattr(bench, "PATIENCE_S", 60.0)
    monkeypatch.setattr(evidence, "placebo_lab", lambda *_, **__: made)
    monkeypatch.setattr(evidence, "leave_one_out", lambda *_, **__: left)
    monkeypatch.setattr(evidence, "tornado", lambda *_, **__: pd.DataFrame({"base": [np.nan]}))
    bench.work.clear()
    yield
    bench.work.clear()


def test_an_answer_is_taken_apart_and_the_address_keeps_it(quick):
    app = page(**KNOWN)
    assert not app.exception
    now = settled(app)
    assert not app.exception
    for words in (
        "Every second, taken apart", "When could we have known?", "The surge detector", "Do the controls follow?",
        "What is left over", "Placebo lab", "Without each region", "0 of 3 moments without the ad rose as far",
    ):  # fmt: skip
        assert words in now, words
    assert "▲ a false claim" in now  # the worst moment comes first
    assert HOSTILE not in now
    assert app.query_params["window"] == "60s" or app.query_params["window"] == ["60s"]
    chosen = next(box for box in app.selectbox if box.label.startswith("Look into"))
    assert chosen.value == "20:32:00"
    chosen.set_value("20:31:00").run()
    assert "20:31:00" in str(app.query_params["placebo"])
    assert "● zero lies inside" in html(app)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"world": "one_region_bare"}, "No region was spared"),
        ({"baseline": "brief", "kernel": "window", "response_peak": "10s", "window": "15s"}, "no interval and no test"),
        ({"world": "halftime", "until": "0", **KNOWN}, "not yet on air"),
        ({"data": "files"}, "holds no files"),
        ({"airing": "nobody"}, "choose one of HALFTIME_PRIME"),
        ({"colour": "red", **KNOWN}, "unknown setting"),
    ],
    ids=["one region", "brief", "not yet", "no files", "no such airing", "no such setting"],
)
def test_what_cannot_be_shown_is_told(quick, query, words):
    app = page(**query)
    assert not app.exception
    assert words in html(app)


def test_trouble_in_the_background_reaches_the_page():
    def breaks(tell):
        tell(1, 3)
        raise ValueError(HOSTILE)

    one = bench.Work(breaks)
    for _ in range(100):
        if one.finished:
            break
        time.sleep(0.02)
    assert (one.done, one.of, one.trouble) == (1, 3, HOSTILE)


def test_what_a_feed_types_is_escaped_everywhere():
    verdict = Verdict(airing=HOSTILE, word="caused", rung=3, sentence=HOSTILE, evidence_for=(HOSTILE,))
    worlds = pd.DataFrame({"world": [HOSTILE], "weight": [1.0]})
    written = [
        evidence_panels.case_html(verdict),
        evidence_panels.worlds_html(worlds, HOSTILE, 3.0),
        evidence_panels.lab_html(empty(HOSTILE), True),
        evidence_panels.feed_html(None, HOSTILE, decided_s=1.0),
        evidence_panels.left_out_html(
            pd.DataFrame([(HOSTILE, "control", 0.2, 1.0, 0.2, 0.1, 0.3, HOSTILE, "")], columns=COLUMNS), HOSTILE
        ),
    ]
    assert all("<img" not in text for text in written)


@pytest.mark.parametrize(
    ("rise", "decided", "words"),
    [
        (25.0, 10.0, "passed before the feed rose"),
        (25.0, 40.0, "had risen when the test passed"),
        (-9.0, 40.0, "9 s before the start"),
        (np.nan, 10.0, "never rose"),
    ],
    ids=["after", "before", "early", "never"],
)
def test_the_feed_is_told_beside_the_test(rise, decided, words):
    found = FeedView(bins=pd.DataFrame(), rise_s=rise, peak=1.2, explained=300.0)
    assert words in evidence_panels.feed_html(found, "", decided_s=decided)
