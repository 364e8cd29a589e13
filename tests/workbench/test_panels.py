"""The panels say what is known, dash what is not with its reason, and escape whatever a feed says."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from attribution.counts import Counts
from attribution.scenarios import SCENARIOS
from attribution.settings import Settings
from attribution.stream.engine import Metrics
from attribution.stream.notices import LogEntry
from attribution.workbench import cards, matrix, panels
from attribution.workbench.look import Answer, Look, Past, Revealed, look

HOSTILE = "<img src=x onerror=alert(1)>"


def kpis(now: Look) -> str:
    return "".join(cards.cards(now).values())


def seen(made, *, result=None, now=None, viewers=True, state="LIVE", **answer) -> Look:
    """Put a look together from a hand-made analysis, as if an engine had counted it."""
    now = made.as_of if now is None else now
    total = made.total
    values = np.repeat(total["observed"].to_numpy()[:, None, None, None], 2, axis=1)
    counts = Counts(
        start=total["time"].dt.tz_localize(None).to_numpy().astype("datetime64[ns]"),
        width=total["width_s"].to_numpy(),
        values=values,
        regions=("north", "south"),
        completeness=pd.DataFrame(values[:, :, 0, 0]).notna().to_numpy(float),
    )
    times = pd.date_range(now - pd.Timedelta("20min"), now, freq="1min")
    audience = pd.DataFrame({"time": times, "region": "all", "viewers": 1e6})
    audience.loc[audience.index[-1], "viewers"] = 1.1e6
    snapshot = SimpleNamespace(
        now=now,
        counts=counts.between(end=now),
        audience=audience if viewers else None,
        airings=made.airings,
        state=state,
        context=pd.DataFrame({"kind": [], "start": pd.DatetimeIndex([], tz="UTC")}),
        metrics=Metrics(latency_p50_ms=41.0, latency_p95_ms=87.0, events_per_s=14_200.0),
        error="",
        log=[LogEntry(now, "TV_DETECTION", HOSTILE)],
    )
    given = {"words": {}, "changed": {}, **answer}
    return look(SCENARIOS["halftime"], Settings(), snapshot, Answer(result=result, **given))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_header_shows_what_was_measured(made):
    words = text(panels.event_header(seen(made)))
    assert "STREAM_SYNC 41 / 87 ms" in words
    assert "0 ALERTS" in words


def test_before_the_first_answer_every_figure_is_a_dash_with_a_reason(made):
    now = seen(made)
    assert "WAITING" in panels.event_header(now)
    assert text(kpis(now)).count("—") == 2
    assert text(kpis(now)).count("the first answer needs a few seconds of data") == 2
    assert "waiting" in panels.verdict_bar(now)
    assert now.regions["counterfactual"].isna().all()
    assert text(matrix.regions(now)).count("—") == 6


def test_the_bar_is_about_the_airing_that_was_last_on_the_air(made):
    words = text(panels.verdict_bar(seen(made, result=made)))
    assert made.verdicts[1].sentence in words
    assert "RUNG 3/5" in words
    assert made.verdicts[1].would_change[0] in words


def test_figures_of_the_row_stand_on_the_cards(made):
    words = text(kpis(seen(made, result=made)))
    assert "3.1×" in words
    assert "30 s" in words
    assert "1.1M" in words
    assert "+10% against 15 min ago" in words
    assert "unscheduled" in words


def test_countdown_names_the_next_airing(made):
    start = made.airings["start"][1]
    words = text(kpis(seen(made, result=made, now=start - pd.Timedelta("3min 29s"))))
    assert "3:29" in words
    assert "WWE_HALFTIME_2" in words


def test_without_an_audience_feed_there_is_no_audience_figure(made):
    assert "there is no audience feed" in kpis(seen(made, viewers=False))


def test_a_state_is_a_tested_state(made):
    table = made.table.assign(roi_lower=-0.5, roi_upper=0.5)
    late = made.as_of + pd.Timedelta("1h")
    decided = cards.cards(seen(made, result=replace(made, as_of=late)))["roi"]
    open_ = cards.cards(seen(made, result=replace(made, as_of=late, table=table)))["roi"]
    begun = made.airings["start"][1] + pd.Timedelta("20s")
    counting = kpis(seen(made, result=replace(made, as_of=begun)))
    assert "OPTIMAL" in decided
    assert "OPTIMAL" not in open_
    assert "break-even" in open_
    assert "so far" in counting


def test_steadiness_needs_an_interval_and_two_looks():
    assert cards.steadiness([(1, 0, 2)]) == "SETTLING"
    assert cards.steadiness([(1, 0, 2), (1.1, 0, 2)]) == "METRIC_STABLE"
    assert cards.steadiness([(1, 0, 2), (1.6, 0.6, 2.6)]) == "SETTLING"
    assert cards.steadiness([(1, 0, 2), (1, 0.5, 1.5)]) == "SETTLING"
    assert cards.steadiness([(1, float("nan"), 2)]) == ""


def test_regions_add_up_and_say_who_saw_the_ad(made):
    now = seen(made, result=made)
    assert now.regions["traffic"].sum() == pytest.approx(1)
    assert dict(zip(now.regions["region"], now.regions["exposed"], strict=True)) == {"north": True, "south": False}
    words = matrix.regions(now)
    assert "● exposed" in words
    assert "○ control" in words


def test_text_of_a_feed_is_escaped(made, maker):
    hostile = maker(names=[HOSTILE, HOSTILE + "2"])
    revealed = (Revealed(HOSTILE, 1.0, 1.0, 0.0, 2.0),)
    now = seen(hostile, result=hostile, finished=revealed)
    for panel in (panels.verdict_bar, kpis, matrix.regions, panels.truth, cards.hero_figures):
        assert HOSTILE not in panel(now)
    assert "&lt;img" in panels.log(now.log, len(now.log))


def test_truth_says_whether_the_interval_holds_it(made):
    inside = panels.truth(seen(made, finished=(Revealed("a", 5.0, 6.0, 4.0, 8.0),)))
    outside = panels.truth(seen(made, finished=(Revealed("a", 9.0, 6.0, 4.0, 8.0),)))
    assert "inside the interval" in inside
    assert "outside the interval" in outside


def test_an_estimate_without_an_interval_is_not_judged(made):
    nan = float("nan")
    words = panels.truth(seen(made, finished=(Revealed("a", 9.0, 6.0, nan, nan),)))
    assert "without an interval" in words
    assert "outside" not in words


def test_log_is_newest_first_and_holds_feed_and_model(made):
    early = LogEntry(made.as_of - pd.Timedelta("1min"), "MODEL_UPDATE", "a: undecided → caused")
    now = seen(made, result=made, log=(early,))
    assert [entry.kind for entry in now.log] == ["TV_DETECTION", "MODEL_UPDATE"]


def test_a_stopped_model_says_why(made):
    now = seen(made, result=None, trouble="no bins")
    assert "CAUSAL_ANALYSIS::<b>STOPPED" in panels.event_header(now)
    assert "no bins" in kpis(now)


def test_an_answer_without_series_still_shows_every_panel(made):
    bare = replace(made, **{name: pd.DataFrame() for name in ("total", "series", "evidence", "kernel")})
    now = seen(made, result=bare)
    assert now.split == {}
    for panel in (panels.verdict_bar, panels.event_header, kpis, cards.hero_figures, matrix.regions):
        assert not re.search(r"\bnan\b", panel(now))


@pytest.mark.parametrize(("state", "shown"), [("LIVE", "● LIVE"), ("ENDED", "■ ENDED"), ("STOPPED", "▲ STOPPED")])
def test_a_state_is_a_mark_and_a_word(made, state, shown):
    assert shown in panels.event_header(seen(made, state=state))


def test_the_model_waits_once_the_event_is_over(made):
    assert seen(made, result=made).model_state == "ACTIVE"
    assert seen(made, result=made, state="ENDED").model_state == "WAITING"


def test_an_old_answer_is_stale(made):
    now = seen(made, result=replace(made, as_of=made.as_of - pd.Timedelta("1min")))
    assert now.model_state == "STALE"


def test_past_figures_are_those_of_the_current_airing(made):
    figures = {"iroas": (1.0, 0.0, 2.0), "response_peak": (1.0, 0.0, 2.0), "incremental": (1.0, 0.0, 2.0)}
    past = tuple(Past(made.as_of, name, figures) for name in ("WWE_HALFTIME_1", "WWE_HALFTIME_2"))
    assert len(seen(made, result=made, past=past).past) == 1
