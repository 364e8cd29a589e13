"""The compare page and the plan page: tables that say why, a lock that is kept, an address that holds the plan."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from attribution import power
from attribution.lab import empty
from attribution.planning import draft, lock
from attribution.rules import COLUMNS
from attribution.settings import Settings
from attribution.workbench import bench, compare, plan
from attribution.worlds import SCENARIOS, simulate

HOSTILE = "<img src=x onerror=alert(1)>"
KNOWN = {"window": "60s", "response_peak": "10s", "response_peak_logsd": "0.2"}


def page(name: str, **query: str) -> AppTest:
    app = AppTest.from_string(f"from attribution.workbench import {name}\n{name}.show()", default_timeout=90)
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def settled(app: AppTest) -> str:
    for _ in range(200):
        now = html(app.run())
        if 'class="ec waiting"' not in now and "being tried" not in now:
            return now
        time.sleep(0.05)
    pytest.fail("the page still waits")


def spec_table() -> pd.DataFrame:
    rows = [
        ("auto", "auto", kernel, "on", "on", "latent", amount, amount - 50, amount + 50, kernel == "learnt", "")
        for kernel, amount in (("learnt", 100.0), ("gamma", 130.0))
    ]
    columns = [
        "window",
        "history",
        "kernel",
        "controls",
        "social",
        "baseline",
        "amount",
        "lower",
        "upper",
        "yours",
        "why",
    ]
    return pd.DataFrame(rows, columns=columns)


def powers(*_: object, **__: object) -> power.Power:
    base = {"window_s": 60.0, "history_s": np.nan, "expected": 1000.0, "sd": 40.0, "correlation": 0.9, "why": ""}
    rows = [
        {"what": "plan", "label": "as planned", "holdouts": "eu-west", "lift": 0.11, "share": 0.18, **base},
        {"what": "holdout", "label": "eu-west", "holdouts": "eu-west", "lift": 0.11, "share": 0.18, **base},
        {"what": "holdout", "label": HOSTILE, "holdouts": "apac", "lift": 0.2, "share": 0.12, **base},
        {"what": "window", "label": "30s", "holdouts": "eu-west", "lift": 0.2, "share": 0.18, **base},
        {
            "what": "window",
            "label": "2min",
            "holdouts": "eu-west",
            "lift": 0.1,
            "share": 0.18,
            **base,
            "window_s": 120.0,
        },
    ]
    return power.Power(table=pd.DataFrame(rows), regions=pd.DataFrame(), history_s=1800.0)


@pytest.fixture
def quick(monkeypatch):
    """Make what takes longer short: it has tests of its own."""
    monkeypatch.setattr(bench, "PATIENCE_S", 60.0)
    monkeypatch.setattr(compare, "placebo_lab", lambda *_, **__: empty("no moments."))
    monkeypatch.setattr(compare.specs, "spec_curve", lambda *_, **__: spec_table())
    monkeypatch.setattr(plan.power, "power_of", powers)
    bench.work.clear()
    yield
    bench.work.clear()


def test_every_rule_stands_beside_ours(quick):
    app = page("compare", **KNOWN)
    now = settled(app)
    assert not app.exception
    for name in ("Ours", "8 min, all of them", "5 against 10 min", "5-min lift", "Median of other days", "The brief"):
        assert name in now
    assert "▲ 100%" in now
    assert "needs the same minutes of 3 other days" in now
    assert "no moments." in now
    assert "2 of 2 specifications leave out zero" in now


def test_a_rule_that_cannot_be_tried_has_a_reason_and_no_number():
    row = dict.fromkeys(COLUMNS, np.nan) | {
        "rule": HOSTILE, "words": HOSTILE, "window_s": 60.0, "claims": False, "moments": 0, "why": HOSTILE,
    }  # fmt: skip
    ours = pd.Series({"incremental": 1.0, "incremental_lower": 0.0, "incremental_upper": 2.0, "verdict": HOSTILE})
    written = compare.rules_html(pd.DataFrame([row]), ours, None, waiting=True, far=(1, 3))
    assert "<img" not in written
    assert "being tried, 1 of 3" in written


def test_a_plan_is_locked_and_what_changes_it_is_told(quick):
    app = page("plan", until="0", **KNOWN)
    now = settled(app)
    assert not app.exception
    assert "+11%" in now
    assert HOSTILE not in now
    assert "this plan" in now
    assert "pays at a lift of" in now
    next(b for b in app.button if b.key == "plan-lock").click().run()
    now = html(app)
    assert "▲ LOCKED LATE" in now  # the data end when the airing begins
    assert "<li>nothing</li>" in now
    box = next(m for m in app.multiselect if m.label.startswith("Held out"))
    assert box.value == ["eu-west"]
    box.set_value(["apac"]).run()
    now = html(app)
    assert "regions of HALFTIME_PRIME: us-east|us-west|apac -&gt; us-east|us-west|eu-west" in now
    assert "apac" in str(app.query_params["hold"])
    assert not app.exception


def test_a_plan_that_comes_after_the_airing_is_late_and_one_that_was_altered_says_so():
    world = simulate(SCENARIOS["halftime"], rng=7)
    now = draft(Settings(), world.airings, world.counts)
    late = lock(Settings(), world.airings, world.counts, at=world.counts.end, late=True)
    assert "▲ LOCKED LATE" in plan.locked_html(late, now)
    good = lock(Settings(), world.airings, world.counts, at=world.airings["start"].iloc[0] - pd.Timedelta("1h"))
    assert '<b class="good">● LOCKED</b>' in plan.locked_html(good, now)
    altered = type(late).from_json(late.to_json().replace('"window": "auto"', '"window": "60s"'))
    assert "▲ ALTERED" in plan.locked_html(altered, now)
    assert "window: 60s -&gt; auto" in plan.locked_html(altered, now)
