"""The airings page: one or many, chosen to be taken apart; what cannot be judged says why."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from attribution.workbench import bench

KNOWN = {"window": "60s", "response_peak": "10s", "response_peak_logsd": "0.2"}


def page(**query: str) -> AppTest:
    app = AppTest.from_string("from attribution.workbench import airings\nairings.show()", default_timeout=90)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    monkeypatch.setattr(bench, "PATIENCE_S", 60.0)


def test_one_airing_has_a_table_and_nothing_to_pool():
    app = page(**KNOWN)
    assert not app.exception
    now = html(app)
    assert "Nothing to pool" in now
    assert "No two responses run into each other" in now
    assert "Every one can." in now
    assert [button.label for button in app.button if button.key == "apart"] == ["Take HALFTIME_PRIME apart"]
    assert app.dataframe[0].value["airing"].tolist() == ["HALFTIME_PRIME"]


def test_two_airings_that_overlap_are_told_together():
    app = page(world="overlap", **KNOWN)
    assert not app.exception
    now = html(app)
    assert "<li>HALFTIME_FIRST, HALFTIME_SECOND</li>" in now
    assert "By creative" in now
    app.segmented_control[0].set_value("By evidence").run()
    assert not app.exception
    assert "2 claim an effect" in now


def test_what_has_not_begun_says_why():
    app = page(until="0", **KNOWN)
    assert not app.exception
    assert "is not yet on air" in html(app)
    assert "No airing has an amount" in html(app)
