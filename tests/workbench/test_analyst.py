"""The process that analyses says what this one would, tells what stops it, and is begun anew when it is lost."""

from __future__ import annotations

import pandas as pd
import pytest

import attribution as at
from attribution.workbench.analyst import Analyst, Question, answer


@pytest.fixture(scope="module")
def asked() -> Question:
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    start = world.airings["start"].min()
    counts = world.counts.between(start - pd.Timedelta("15min"), start + pd.Timedelta("40s"))
    tables = {"social": None, "audience": None, "context": world.context}
    settings = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
    return Question(counts, world.airings, settings, None, tables)


@pytest.fixture(scope="module")
def analyst():
    one = Analyst()
    one.begin()
    yield one
    one.close()


def test_the_process_answers_as_this_one_does(analyst, asked):
    found, here = analyst.ask(asked), answer(asked)
    pd.testing.assert_frame_equal(found.result.table, here.result.table)
    assert str(found.parts) == str(here.parts)  # a part that is not known is NaN
    assert found.result.given is not None


def test_what_stops_an_analysis_is_told_and_a_lost_process_is_begun_again(analyst, asked):
    wrong = asked._replace(airings=pd.DataFrame())
    with pytest.raises(ValueError, match=r"\w"):
        analyst.ask(wrong)
    first = analyst._process.pid
    analyst._process.kill()
    analyst._process.wait()
    with pytest.raises(ValueError, match=r"\w"):
        analyst.ask(wrong)
    assert analyst._process.pid != first
    analyst._pipe.close()
    with pytest.raises(RuntimeError, match="the next look begins another"):
        analyst.ask(wrong)
    with pytest.raises(ValueError, match=r"\w"):
        analyst.ask(wrong)
