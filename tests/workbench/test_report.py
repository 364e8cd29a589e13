"""The report page: parts in the address, every form offered, a saved answer opened, what is no answer refused."""

from __future__ import annotations

from functools import cache
from html import escape
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import attribution as at
from attribution.reports import QUESTION
from attribution.saved import dump
from attribution.sheets import PARTS
from attribution.workbench import bench, report

BRIEF = {
    "kernel": "window",
    "response_peak": "10s",
    "response_peak_logsd": "0.0",
    "window": "15s",
    "baseline": "brief",
}
HOSTILE = "<img src=x onerror=alert(1)>.json"


def page(**query: str) -> AppTest:
    app = AppTest.from_string("from attribution.workbench import report\nreport.show()", default_timeout=90)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


@cache
def saved() -> bytes:
    world = at.simulate(at.SCENARIOS["halftime"], rng=8)
    return dump(at.analyze(world.counts, world.airings, at.Settings.preset("brief"))).encode()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(bench, "PATIENCE_S", 60.0)


def test_every_form_is_offered_and_the_address_is_that_of_everything():
    app = page(**BRIEF)
    assert not app.exception
    assert [button.proto.label for button in app.get("download_button")][:5] == [
        name for name, *_ in report.FORMS.values()
    ]
    assert app.text_input(key="report-title").value == QUESTION
    assert "parts" not in app.query_params
    assert len(app.get("iframe")) == 1


def test_the_parts_and_the_title_live_in_the_address():
    app = page(parts="business|settings|colour", title="Our halftime", **BRIEF)
    assert app.session_state["report-parts"] == ["business", "settings"]
    assert str(app.query_params["parts"]) == "business|settings"
    assert str(app.query_params["title"]) == "Our halftime"
    app.button_group(key="report-parts").set_value(list(PARTS)).run()
    assert "parts" not in app.query_params
    app.button(key="press-present").click().run()
    assert str(app.query_params["present"]) == "yes"
    assert not app.get("download_button")
    app.button(key="press-present").click().run()
    assert not app.exception
    assert len(app.get("download_button")) >= 5


def opened(monkeypatch, name: str, data: bytes) -> dict:
    """What a session holds after a file was brought."""
    state: dict = {"report-file": SimpleNamespace(name=name, getvalue=lambda: data)}
    monkeypatch.setattr(st, "session_state", state)
    report._open_file()
    return state


def test_a_saved_answer_is_opened_and_laid_on_the_bench(monkeypatch):
    name, _, result = opened(monkeypatch, "answer.json", saved())[report.KEPT]
    monkeypatch.undo()
    app = AppTest.from_string("from attribution.workbench import report\nreport.show()", default_timeout=90)
    app.session_state[report.KEPT] = (name, "file 1", result)
    app.run()
    assert not app.exception
    assert "the saved answer answer.json" in html(app)
    assert escape(result.verdict.sentence) in html(app)
    app.button(key="report-close").click().run()
    assert report.KEPT not in app.session_state


def test_what_is_no_saved_answer_says_so_and_opens_nothing(monkeypatch):
    state = opened(monkeypatch, HOSTILE, saved()[:1000])
    assert report.KEPT not in state
    told = state[report.TOLD]
    monkeypatch.undo()
    app = AppTest.from_string("from attribution.workbench import report\nreport.show()", default_timeout=90)
    for name, value in BRIEF.items():
        app.query_params[name] = value
    app.session_state[report.TOLD] = told
    app.run()
    assert "is not whole, or no JSON" in html(app)
    assert "<img" not in html(app)
