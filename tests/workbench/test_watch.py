"""The model loop remembers what changed, when, and what was resolved; it never loses an answer it had."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from attribution.scenarios import SCENARIOS
from attribution.settings import Settings
from attribution.stream.engine import Engine, ManualClock
from attribution.stream.feeds import SimulatedFeed
from attribution.workbench.look import Answer, look
from attribution.workbench.watch import KEPT_S, ended, follow, stopped
from attribution.worlds import simulate

NOTHING = Answer(words={}, changed={})


@pytest.fixture
def world():
    return SimpleNamespace(incremental=lambda airing, window_s: 1700.0)


def with_word(made, word, *, at=None):
    verdicts = tuple(replace(v, word=word) for v in made.verdicts)
    return replace(made, verdicts=verdicts, table=made.table.assign(verdict=word), as_of=at or made.as_of)


def test_a_first_word_is_no_change_and_a_second_is(made, world):
    begun = made.airings["start"][1] + pd.Timedelta("10s")
    first = follow(NOTHING, with_word(made, "undecided", at=begun), world)
    later = begun + pd.Timedelta("2s")
    second = follow(first, with_word(made, "caused", at=later), world)
    third = follow(second, with_word(made, "caused", at=later + pd.Timedelta("2s")), world)
    assert first.changed == {}
    assert first.first == third.first == begun
    assert set(third.changed.values()) == {later}
    told = [entry.text for entry in third.log if entry.kind == "MODEL_UPDATE"]
    assert len(told) == len(made.verdicts)
    assert all("undecided → caused" in text for text in told)


def test_a_window_that_is_over_is_resolved_once_beside_the_truth(made, world):
    late = replace(made, as_of=made.as_of + pd.Timedelta("1h"))
    answer = follow(follow(NOTHING, late, world), replace(late, as_of=late.as_of + pd.Timedelta("2s")), world)
    assert [revealed.airing for revealed in answer.finished] == list(made.table["airing"])
    assert all(r.truth == 1700.0 and r.lower <= r.estimate <= r.upper for r in answer.finished)
    assert [entry.kind for entry in answer.log].count("ATTR_LINK") == 2


def test_no_window_is_over_before_its_end(made):
    row = ended(replace(made, as_of=made.as_of + pd.Timedelta("1h")))[0]
    assert ended(replace(made, as_of=row["over"] - pd.Timedelta("1ns"))) == []
    assert len(ended(replace(made, as_of=row["over"]))) == 1


def test_past_figures_are_kept_for_thirty_seconds(made, world):
    answer = NOTHING
    for second in range(0, 60, 2):
        answer = follow(answer, replace(made, as_of=made.as_of + pd.Timedelta(seconds=second)), world)
    times = [past.time for past in answer.past]
    assert max(times) - min(times) == pd.Timedelta(seconds=KEPT_S)


def test_a_model_that_stops_keeps_its_last_answer_and_alerts_once(made, world):
    answer = follow(NOTHING, made, world)
    halted = stopped(stopped(answer, made.as_of, "no bins"), made.as_of, "no bins")
    assert halted.result is made
    assert halted.trouble == "no bins"
    assert [entry.kind for entry in halted.log].count("ALERT") == 1
    assert follow(halted, made, world).trouble == ""


def test_what_is_shown_is_a_function_of_seed_and_clock():
    shown = []
    for _ in range(2):
        world, clock = simulate(SCENARIOS["halftime"], rng=7), ManualClock()
        engine = Engine(SimulatedFeed(world, start=world.airings["start"].min() - pd.Timedelta("5s")), clock=clock)
        for _ in range(8):
            engine.step()
            clock.advance(1.0)
        shown.append(look(world.scenario, Settings(), engine.snapshot(), NOTHING))
    first, second = shown
    assert first.now == second.now > world.airings["start"].min()
    pd.testing.assert_frame_equal(first.observed, second.observed)
    assert first.log == second.log
    assert first.log[0].kind == "TV_DETECTION"
    assert first.upcoming is None
