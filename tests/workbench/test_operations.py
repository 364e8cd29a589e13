"""The feed, the plan, the alerts, the log: what they say follows from what happened; what a feed types is text."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import planning
from attribution.described import described
from attribution.forecast import next_break
from attribution.health import Part, parts, worst
from attribution.places import place
from attribution.stream.notices import LogEntry
from attribution.workbench import actions, event, integrity, keys, matrix, panels, seat, watch
from attribution.workbench.look import Answer, Look, look

MOMENT = pd.Timestamp("2026-02-08T20:41:45Z")
HOSTILE = "<img src=x onerror=alert(1)>"
EVENT = """[event]
title = "T"
advertiser = "A"
[feed]
address = "simulated"
"""


@pytest.fixture(scope="module")
def halftime():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture
def waiting(halftime) -> Look:
    """What the page shows before anything has come."""
    snapshot = watch.nothing_yet({"airings": halftime.airings, "context": halftime.context})
    return look(halftime.scenario, at.Settings(), snapshot, Answer(words={}, changed={}))


def entry(kind: str, told: str) -> LogEntry:
    return LogEntry(MOMENT, kind, told)


def test_alerts_are_of_four_kinds_and_that_an_airing_begins_is_none(waiting):
    log = [
        entry("ALERT", "data: a source is silent"), entry("ALERT", "clock: agree to 17 s"),
        entry("ALERT", "model: no bins"), entry("MODEL_UPDATE", "a: undecided → caused, e-value 40"),
        entry("MODEL_UPDATE", "a: no data → undecided, e-value 1"), entry("TV_DETECTION", "a is on the air"),
    ]  # fmt: skip
    found = integrity.alerts(replace(waiting, log=log))
    assert sorted(alert.kind for alert in found) == sorted(integrity.KINDS)
    assert len({alert.key for alert in found}) == 4


def test_a_locked_plan_is_shown_with_its_hash_and_logged_once(halftime, waiting):
    moment = pd.Timestamp("2026-02-08T18:00Z")
    plan = planning.lock(at.Settings(), halftime.airings, halftime.counts, at=moment)
    answer = watch.locked(Answer(words={}, changed={}), plan, MOMENT)
    assert [line.kind for line in answer.log] == ["PLAN_LOCK"]
    assert plan.sha256[:12] in answer.log[0].text
    now = replace(waiting, plan=answer.plan)
    assert "LOCKED" in panels.event_header(now)
    assert plan.sha256[:16] in integrity.plan_html(now)
    assert "LOCKED" not in panels.event_header(waiting)


def test_the_log_is_filtered_by_kind_and_text_and_saved_without_formulas():
    log = [entry("ALERT", "=HYPERLINK(1)"), entry("TV_DETECTION", "spot, on the air")]
    assert actions.matching(log, ["TV_DETECTION"], "ON THE") == [log[1]]
    assert actions.matching(log, [], "nothing") == []
    rows = list(csv.reader(io.StringIO(actions.log_csv(log))))
    assert rows[1][1:] == ["ALERT", "'=HYPERLINK(1)"]
    assert rows[2][1:] == ["TV_DETECTION", "spot, on the air"]


def test_the_exports_hold_the_answer(made, waiting):
    now = replace(waiting, result=made)
    held = zipfile.ZipFile(io.BytesIO(actions.bundle(now)))
    saved = pd.read_csv(io.BytesIO(held.read("table.csv")))
    assert saved["incremental"].tolist() == pytest.approx(made.table["incremental"].tolist())
    assert {"telemetry.csv", "regions.csv", "regional.csv"} <= set(held.namelist())
    assert b"WWE_HALFTIME_1" in actions.document(now)


def test_losses_are_told_with_what_they_do_to_the_answer(waiting):
    now = replace(waiting, state="LIVE", row={"airing": "a"})
    whole = replace(now.metrics, received=1000, accuracy=1.0)
    lossy = replace(now.metrics, received=900, dropped=100, accuracy=0.9)
    assert "nothing had to be put right" in integrity.loss(replace(now, metrics=whole, lost=0.0))
    assert "42 conversions are missing" in integrity.loss(replace(now, metrics=lossy, lost=42.0))
    assert "worst-case bounds" in integrity.loss(replace(now, metrics=replace(lossy, accuracy=np.nan)))
    assert integrity.soundness(replace(now, metrics=whole)) == "● NOMINAL"
    assert integrity.soundness(replace(now, metrics=lossy)) == "▲ LOSING"
    assert integrity.soundness(replace(now, state="SILENT")) == "▲ SILENT"


def test_old_figures_are_marked_as_old(waiting):
    assert "data-old" in panels.event_header(replace(waiting, state="SILENT"))
    assert "data-old" not in panels.event_header(replace(waiting, state="LIVE"))


def test_what_a_feed_types_is_text_in_every_panel(maker, waiting):
    hostile = maker(names=[HOSTILE, HOSTILE + "2"])
    shares = pd.DataFrame(
        [(HOSTILE, "channel", HOSTILE, 1.0, 0.9, 1.0, 0.5)],
        columns=["airing", "dimension", "category", "share", "lower", "upper", "raw"],
    )
    row = hostile.table.iloc[0].to_dict() | {"window_s": 60.0}
    regions = pd.concat([waiting.regions] * 2).assign(region=[HOSTILE, "us-east"])
    now = replace(waiting, result=replace(hostile, shares=shares), row=row, regions=regions)
    now = replace(now, log=[entry("ALERT", HOSTILE), entry(HOSTILE, HOSTILE)])
    pages = {
        "map": matrix.world(now), "regions": matrix.regions(now), "shares": matrix.shares(now, "channel"),
        "deployment": integrity.deployment(now), "alerts": integrity.alerts_html(integrity.alerts(now)),
        "log": panels.log(now.log, 2), "path": panels.path_words(now),
    }  # fmt: skip
    for name, page in pages.items():
        assert HOSTILE not in page, name
        assert "&lt;img" in page, name


def test_a_region_without_a_known_place_is_named_beside_the_map(waiting):
    regions = pd.concat([waiting.regions] * 2).assign(region=["north", "us-east"])
    page = matrix.world(replace(waiting, regions=regions))
    assert "where: north" in page
    assert page.count('class="mark') == 1
    assert place("US_West") is not None


def test_parts_of_the_health_that_are_unknown_are_left_out_and_said(halftime):
    found = parts(None, halftime.counts)
    assert worst(found).name == "completeness"
    assert [part.name for part in found if np.isnan(part.score)] == [part.name for part in found[1:]]
    assert all(part.said for part in found)
    assert worst((Part("a", np.nan, "unknown"),)) is None


def test_the_next_break_is_foretold_as_well_as_it_says():
    rng, inside = np.random.default_rng(11), 0
    for _ in range(400):
        starts = np.cumsum(rng.lognormal(np.log(540), 0.4, size=7))
        found = next_break(starts[:6], starts[5] + 1.0)
        inside += found.lower <= starts[6] - starts[5] - 1.0 <= found.upper
    assert 294 <= inside <= 344  # 80% is foretold: the 0.1% and 99.9% points of that binomial
    assert next_break(np.array([0.0, 60.0]), 61.0) is None
    assert next_break(np.array([0.0, 600.0, 1200.0]), 2400.0).lower > 0


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('[event]\ntitle = "T"\nadvertiser = "A"\n', r"says no address"),
        (EVENT.replace('"T"', "7"), r"e.toml, line 2: title is 7; write text in quotes"),
        (EVENT + "speeed = 2\n", r"line 6: speeed is no key of \[feed\]; did you mean 'speed'"),
        (EVENT + '[[airings]]\nairing = "a"\nstart = "noon"\n', r"line 8: start is 'noon'"),
        (EVENT + '[[airings]]\nairing = "a"\nstart = "2026-02-08T20:41:00"\n', r"line 8: .*without a zone"),
        (EVENT + "[settings]\nalpha = 5\n", r"line 7: alpha is 5; choose a number between 0 and 1"),
        (EVENT + 'social = "none.csv"\n', r"line 6: social is 'none.csv', and there is no such file"),
        (EVENT + "[monney]\nvalue = 1\n", r"line 6: \[monney\] is no section; did you mean 'money'"),
        ("[event\n", r"line 1"),
    ],
)
def test_a_mistake_in_a_described_event_is_told_with_its_line(tmp_path, written, message):
    path = tmp_path / "e.toml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        described(path)


def test_the_example_opens(monkeypatch):
    monkeypatch.setenv(event.VARIABLE, str(Path(__file__).parents[2] / "data" / "event.toml"))
    wanted = event.view({})
    assert wanted.event == event.DESCRIBED
    assert (wanted.settings.value, wanted.settings.margin) == (64.0, 0.45)
    source = wanted.open()
    source.close()
    assert source.event.advertiser == "WWE"
    assert source.feed.tables["airings"]["spend"].tolist() == [16000.0]
    assert source.truth is None
    assert event.view({"event": "null", "alpha": "0.01"}).settings.value is None


def test_states_in_which_there_is_no_answer_say_why(waiting):
    assert "begins by itself" in panels.verdict_bar(waiting)
    assert "○ WAITING" in panels.event_header(waiting)
    bare = replace(waiting, state="LIVE", airings=waiting.airings.iloc[:0])
    assert "No airing is on the schedule" in panels.verdict_bar(bare)
    assert "Nothing has come" in panels.verdict_bar(replace(waiting, state="SILENT"))
    assert "stopped: no bins" in panels.verdict_bar(replace(waiting, trouble="no bins"))


def test_time_that_is_played_goes_on_from_where_it_stood():
    assert seat.Seat(moment=MOMENT, since=100.0, speed=4.0).now(101.0) - MOMENT == pd.Timedelta("4s")
    assert seat.Seat(moment=MOMENT, since=100.0).now(500.0) == MOMENT


def test_every_key_is_listed_and_listened_to():
    script, listed = keys.listener(), keys.keys_html()
    for _, said, where in keys.KEYS:
        assert f'"{where}"' in script
        assert said in listed
