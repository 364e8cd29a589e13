"""What one spot could show: more conversions, more controls and longer history show smaller lifts; no history, none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

import attribution as at
from attribution import power
from attribution.planning import draft, spared
from attribution.power import Power, best_holdout, power_of, regions_of, several, spending
from attribution.tuning import Tuner

START = pd.Timestamp("2026-02-08T20:00:00Z")
SETTINGS = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.0, kernel="gamma")


def tuner(rate: float, *, regions: int = 3, seconds: int = 1500, at_s: float = 1300.0, wander: float = 0.0) -> Tuner:
    rng = np.random.default_rng(1)
    path = lfilter([np.sqrt(1 - 0.98**2)], [1.0, -0.98], rng.standard_normal(seconds))  # a time constant of 50 s
    y = rng.poisson(rate * np.exp(wander * path)[:, None], (seconds, regions)).astype(float)
    start = START.tz_localize(None).to_datetime64() + np.arange(seconds).astype("timedelta64[s]")
    counts = at.Counts(
        start=start.astype("datetime64[ns]"), width=np.ones(seconds), values=y[:, :, None, None],
        regions=tuple("abcdefgh"[:regions]), completeness=np.ones(y.shape),
    )  # fmt: skip
    airings = at.read_airings(pd.DataFrame({"airing": ["A"], "start": [START + pd.Timedelta(seconds=at_s)]}))
    return Tuner(counts, airings, {})


@pytest.fixture
def few(monkeypatch):
    """Ask at one moment, for the plan and the holdouts alone."""
    monkeypatch.setattr(power, "MOMENTS", 1)
    monkeypatch.setattr(power, "WINDOWS", ())
    monkeypatch.setattr(power, "HISTORIES", ())


def test_the_plan_is_near_what_counting_alone_allows(few):
    told: list[tuple[int, int]] = []
    found = power_of(tuner(20.0), SETTINGS, ("c",), progress=lambda *far: told.append(far))
    plan = found.plan
    assert plan["expected"] == pytest.approx(60 * 40, rel=0.05)
    # Two regions against one: the amount is X less twice Y, whose variances add up; no method can do better than X.
    least = 2.8 * np.sqrt(60 * 40) / (60 * 40)
    assert least < plan["lift"] < 3 * least * np.sqrt(1 + 2)
    assert told[-1] == (len(found.table), len(found.table))
    assert found.history_s == 1300.0


def test_nothing_after_the_first_airing_is_looked_at(few):
    one, other = tuner(20.0), tuner(20.0)
    other.counts.values[1300:] += 500
    left, right = (power_of(t, SETTINGS, ("c",)).plan for t in (one, other))
    assert left["lift"] == right["lift"]


def test_more_conversions_show_a_smaller_lift_and_a_holdout_smaller_than_none(few):
    low, high = (power_of(tuner(rate), SETTINGS, ("c",)) for rate in (5.0, 80.0))
    assert high.plan["lift"] < 0.5 * low.plan["lift"]
    shared = power_of(tuner(80.0, wander=0.2), SETTINGS, ("c",))
    options = shared.of("holdout").set_index("label")["lift"]
    assert best_holdout(shared)["lift"] < 0.7 * options["none"]
    assert options[["a", "b", "c"]].max() < options["none"]


def test_holding_out_too_much_is_no_option(few):
    labels = power_of(tuner(20.0), SETTINGS, ()).of("holdout")["holdouts"]
    assert sorted(labels) == ["", "a", "b", "c"]  # two of three would be two thirds of the conversions


def test_too_little_history_is_said(few):
    found = power_of(tuner(20.0, at_s=30.0), SETTINGS, ("c",))
    assert np.isnan(found.plan["lift"])
    assert "too short" in power.told(found)
    assert best_holdout(found) is None
    with pytest.raises(ValueError, match="leave one for the ad"):
        power_of(tuner(20.0), SETTINGS, ("a", "b", "c"))
    with pytest.raises(ValueError, match="choose some of a, b, c"):
        power_of(tuner(20.0), SETTINGS, ("nowhere",))


def test_a_history_that_is_not_there_is_no_option(monkeypatch):
    monkeypatch.setattr(power, "MOMENTS", 1)
    monkeypatch.setattr(power, "WINDOWS", ("5s", "2min"))
    monkeypatch.setattr(power, "HISTORIES", ("10min", "60min"))
    table = power_of(tuner(20.0, regions=2), SETTINGS, ("b",)).table.set_index("label")
    assert "5s" not in table.index  # it ends before the response peaks
    assert np.isfinite(table.loc["10min", "lift"])
    assert table.loc["60min", "why"] == "there is no such history yet"
    assert table.loc["2min", "lift"] < table.loc["as planned", "lift"]


def test_regions_that_move_together_are_told_from_those_that_do_not():
    rng = np.random.default_rng(4)
    wave = np.exp(0.3 * np.sin(np.arange(7200) / 300))
    total = np.column_stack([rng.poisson(30 * wave), rng.poisson(60 * wave), rng.poisson(30, 7200)]).astype(float)
    found = regions_of(total, np.ones(7200), ("a", "b", "odd")).set_index("region")
    assert found["share"].sum() == pytest.approx(1.0)
    assert found.loc["a", "correlation"] > 0.9
    assert abs(found.loc["odd", "correlation"]) < 0.5
    assert np.isnan(regions_of(total[:60], np.ones(60), ("a", "b", "odd"))["correlation"]).all()


def made(lift: float = 0.1) -> Power:
    row = {"what": "plan", "label": "as planned", "holdouts": "c", "window_s": 60.0, "history_s": np.nan}
    row |= {"expected": 1000.0, "sd": 35.7, "lift": lift, "share": 0.2, "correlation": 0.9, "why": "too short"}
    other = row | {"what": "holdout", "label": "a", "holdouts": "a", "lift": 0.6 * lift, "share": 0.4}
    return Power(table=pd.DataFrame([row, other]), regions=pd.DataFrame(), history_s=1800.0)


def test_the_plan_is_told_with_what_would_show_more():
    said = power.told(made())
    assert "shows a lift of +10% or more" in said
    assert "100 conversions beyond 1,000" in said
    assert "With a held out instead it would be +6.0%, and 40% of the conversions would get no ad." in said


def test_what_pays_and_what_is_shown_meet_at_one_spend():
    found = spending(made().plan, 20.0, 0.5)
    assert found.enough == pytest.approx(0.1 * 1000 * 10)
    at_enough = np.interp(found.enough, found.table["spend"], found.table["break_even"])
    assert at_enough == pytest.approx(0.1)
    assert (found.table["roi_width"] * found.table["spend"]).std() == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="choose positive numbers"):
        spending(made().plan, 0.0, 0.5)


def test_four_airings_halve_the_lift_and_a_switchback_doubles_it():
    table = several(0.2, 4)
    assert table["y"].iloc[3] == pytest.approx(table["y"].iloc[0] / 2)
    assert table["high"].iloc[3] == pytest.approx(2 * table["y"].iloc[3])


def test_regions_held_out_enter_the_plan_that_is_locked():
    one = tuner(20.0)
    airings = spared(one.airings, ("b",), one.counts.regions)
    assert draft(SETTINGS, airings, one.counts).controls == (("A", ("b",)),)
    with pytest.raises(ValueError, match="leave a region"):
        spared(one.airings, ("a", "b", "c"), one.counts.regions)
