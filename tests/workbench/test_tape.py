"""The past is shown as it was: figure for figure, chart row for chart row."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import pandas as pd
import pytest

import attribution as at
from attribution import health, plotted
from attribution.figures import estimate
from attribution.stream.engine import Engine, ManualClock
from attribution.stream.feeds import SimulatedFeed
from attribution.stream.lags import Timed
from attribution.workbench import analyse, because, cards, integrity, matrix, panels, tape
from attribution.workbench.look import Answer, look
from attribution.workbench.sight import current
from attribution.workbench.tape import Tape
from attribution.workbench.watch import follow

SECONDS = (0.0, 12.0, 40.0)


def shown(now) -> list:
    """Everything that the page draws of a look: panels as text, charts as rows."""
    html = [
        panels.verdict_bar(now), panels.event_header(now), panels.chart_words(now), panels.path_note(now),
        *cards.cards(now).values(), cards.hero_figures(now), cards.split(now), panels.log(now.log, len(now.log)),
        matrix.world(now), matrix.regions(now), matrix.shares(now, "channel"), matrix.shares(now, "device"),
        integrity.integrity(now), integrity.deployment(now), integrity.plan_html(now),
        integrity.alerts_html(integrity.alerts(now)), analyse.answer(now), analyse.evidence(now.verdict),
        analyse.worlds(now), *(analyse.screen(now, number) for number in range(5)), because.protocol(now),
        *(because.why_html(why, now) for why in because.reasons(now).values()),
    ]  # fmt: skip
    frames = plotted.velocity_frames(plotted.drawn(now.result), now.airings, observed=now.observed, span=now.span)
    if now.result is not None and now.row is not None:
        frames |= {f"path {name}": frame for name, frame in plotted.evidence_frames(now.result).items()}
        frames |= {f"amount {name}": frame for name, frame in plotted.amount_frames(now.result).items()}
        frames |= {f"lag {k}": v for k, v in plotted.response_frames(now.result, str(now.row["airing"])).items()}
    return [*html, {name: plotted.records(frame) for name, frame in frames.items()}]


@pytest.fixture(scope="module")
def looks():
    """Looks of a live event around its airing, as a watch makes them."""
    world, clock = at.simulate(at.SCENARIOS["halftime"], rng=7), ManualClock()
    feed = Timed(SimulatedFeed(world, start=world.airings["start"].min() - pd.Timedelta("3s")))
    engine, answer, seen, passed = Engine(feed, clock=clock), Answer(words={}, changed={}), [], 0.0
    engine.step()
    for second in SECONDS:
        clock.advance(second + 3.0 - passed)
        passed = second + 3.0
        engine.step()
        now = engine.snapshot()
        tables = {"social": now.social, "audience": now.audience, "context": now.context}
        result = at.analyze(now.counts, now.airings, at.Settings(), **tables)
        row = current(result)
        parts = health.parts(result, now.counts, None if row is None else row["airing"])
        answer = replace(follow(answer, result, world.truth), seconds=0.4, health=parts)
        seen.append(look(world.scenario, at.Settings(), now, answer, feed.lags()))
    return seen


def test_a_moment_of_the_past_is_shown_as_it_was_then(looks):
    kept, then = Tape(), []
    for now in looks:
        kept.keep(now)
        then.append(shown(now))
    for now, before in zip(looks, then, strict=True):
        found = kept.at(now.now + pd.Timedelta("0.3s"))
        assert found is not now
        assert shown(found) == before
    assert then[1] != then[2]


def test_between_two_looks_the_earlier_one_was_known_and_before_the_first_that_one(looks):
    kept = Tape()
    for now in looks:
        kept.keep(now)
    assert kept.at(looks[2].now - pd.Timedelta("1ms")).now == looks[1].now
    assert kept.at(looks[0].now - pd.Timedelta("1h")).now == looks[0].now
    assert kept.span == (looks[0].now, looks[2].now)
    assert Tape().at(looks[0].now) is None


def test_a_moment_that_is_shown_again_is_kept_as_it_was_shown_last(looks):
    kept = Tape()
    kept.keep(looks[1])
    assert kept.at(looks[1].now).state == "LIVE"
    kept.keep(replace(looks[1], state="SILENT"))
    assert len(kept) == 1
    assert kept.at(looks[1].now).state == "SILENT"


def test_the_tape_is_small_and_forgets_the_oldest(looks, monkeypatch):
    monkeypatch.setattr(tape, "MOST", 20)
    kept = Tape()
    for number in range(30):
        kept.keep(replace(looks[2], now=looks[2].now + pd.Timedelta(seconds=number)))
    assert len(kept) <= 20
    assert kept.at(looks[2].now).now == kept.span[0] > looks[2].now
    assert kept.size < 200_000 + 20 * 20_000


@pytest.mark.parametrize("name", ["incremental", "counterfactual", "iroas", "e_value", "probability_positive"])
def test_every_depth_shows_the_same_figure_to_the_digit(looks, name):
    now = looks[2]
    told = escape(estimate(now.row, name, analyse.TABLE[name][1]))
    operate = "".join((*cards.cards(now).values(), cards.hero_figures(now)))
    operate += "".join(because.why_html(why, now) for why in because.reasons(now).values())
    present = "".join(analyse.screen(now, number) for number in range(5))
    for page in (operate, analyse.answer(now), present):
        assert told in page.replace("> 0.999<", "&gt; 0.999<")


def test_what_the_window_is_split_into_adds_up(looks):
    now = looks[2]
    assert sum(now.split.values()) == pytest.approx(now.row["counterfactual"] + now.row["incremental"])
    regional = now.result.regional
    assert regional["incremental"].sum() == pytest.approx(now.row["incremental"], rel=0.05)
    exposed = regional.loc[regional["exposed"], "counterfactual"].sum()
    assert exposed == pytest.approx(now.row["counterfactual"], rel=0.05)
    assert (regional["incremental_lower"] <= regional["incremental"]).all()
    assert (regional["incremental"] <= regional["incremental_upper"]).all()
    assert (regional.loc[~regional["exposed"], "incremental"] == 0).all()


def test_what_is_unknown_is_never_nan(looks):
    for now in looks:
        for page in shown(now)[:-1]:
            assert "nan" not in page.lower().replace("<", " ").replace(">", " ").split()
