"""The answer under the finger is the answer of the whole analysis, sooner."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import dials
from attribution.figures import estimate
from attribution.moves import MOVES, Grade, Trail, changed, differing, forks, grade, shown, tornado
from attribution.trials import trial
from attribution.tuning import NUMBERS, CrowdedError, Tuner

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")
SAME = ("counterfactual", "incremental", "incremental_lower", "incremental_upper", "robust_lower", "robust_upper")


def feeds(world: at.World) -> dict[str, pd.DataFrame]:
    return {"social": world.social, "audience": world.audience, "context": world.context}


def tuner(world: at.World) -> Tuner:
    return Tuner(world.counts, world.airings, feeds(world))


@pytest.fixture(scope="module")
def halftime() -> at.World:
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture(scope="module")
def hand(halftime) -> Tuner:
    return tuner(halftime)


@pytest.fixture(scope="module")
def result(halftime) -> at.Analysis:
    return at.analyze(halftime.counts, halftime.airings, BRIEF, **feeds(halftime))


@pytest.mark.parametrize("name", ["halftime", "no_holdout", "one_region_bare", "two_45"])
def test_the_figures_under_the_finger_are_those_of_the_whole_analysis(name):
    world = trial(name, 7)
    if name == "two_45":  # the second has just begun
        end = world.airings["start"].max() + pd.Timedelta("12s")
        world = replace(world, counts=world.counts.between(end=end))
    asked = tuner(world)
    whole = at.analyze(world.counts, world.airings, BRIEF, **feeds(world))
    for row, verdict in zip(whole.table.to_dict("records"), whole.verdicts, strict=True):
        said = asked.finger(BRIEF, row["airing"])
        for column in SAME:
            assert said.row[column] == pytest.approx(row[column], rel=1e-6, nan_ok=True), column
        # A word that the looks before the last decide is replaced when the whole analysis has taken them.
        assert said.verdict.word == verdict.word or name == "one_region_bare"
        assert asked.settled(said, whole).verdict == verdict
        assert asked.amount(BRIEF, row["airing"])[1] == pytest.approx(row["incremental"], rel=1e-6)


def test_a_step_back_is_answered_as_it_was_and_without_a_fit(hand):
    before = hand.finger(BRIEF)
    hand.finger(BRIEF.replace(lift_sd=0.3))
    again = hand.finger(BRIEF)
    assert again.row["incremental"] == before.row["incremental"]
    assert again.took_ms < before.took_ms


@pytest.mark.parametrize("move", [{"lift_sd": 0.2}, {"kernel": "lognormal"}, {"response_peak": "20s"}])
def test_what_moves_starts_at_the_fit_before_and_ends_where_a_new_one_does(halftime, hand, move):
    hand.finger(BRIEF)
    moved = BRIEF.replace(**move)
    warm, cold = hand.finger(moved).row, tuner(halftime).finger(moved).row
    sd = (cold["incremental_upper"] - cold["incremental_lower"]) / 3.92
    assert abs(warm["incremental"] - cold["incremental"]) < 0.1 * sd
    assert set(NUMBERS) <= set(MOVES)


def test_the_evidence_of_the_last_look_is_near_that_of_the_look_after_all_others(hand, result):
    said = math.log(hand.finger(BRIEF).row["e_value"])
    assert said == pytest.approx(result.evidence["log_e"].iloc[-1], abs=1.5)
    assert said > -math.log(BRIEF.alpha)


def test_deciding_otherwise_needs_no_fit_and_changes_the_interval_alone(hand, monkeypatch):
    before = hand.finger(BRIEF)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a fit was made")

    monkeypatch.setattr("attribution.tuning.fast.fit", refused)
    strict = hand.finger(BRIEF.replace(alpha=0.001, channel_concentration=5.0))
    assert strict.row["incremental"] == before.row["incremental"]
    assert strict.row["incremental_lower"] < before.row["incremental_lower"]
    with pytest.raises(AssertionError, match="a fit was made"):
        hand.finger(BRIEF.replace(lift_sd=0.31))


def test_posterior_and_prior_are_densities_and_the_posterior_holds_the_interval(hand):
    said = hand.finger(BRIEF)
    at_, posterior = said.amount["incremental"].to_numpy(), said.amount["posterior"].to_numpy()
    assert np.trapezoid(posterior, at_) == pytest.approx(1.0, abs=0.01)
    inside = (at_ >= said.row["incremental_lower"]) & (at_ <= said.row["incremental_upper"])
    assert np.trapezoid(posterior[inside], at_[inside]) == pytest.approx(0.95, abs=0.02)
    assert (said.amount["prior"] > 0).all()
    assert said.kernel["prior_upper"].ge(said.kernel["prior_lower"]).all()
    # What the data taught: the band of the response is narrower than that of its prior.
    width = [(said.kernel[f"{p}upper"] - said.kernel[f"{p}lower"]).sum() for p in ("", "prior_")]
    assert width[0] < width[1]


def test_the_whole_analysis_behind_it_is_analyze_and_stops_when_nobody_waits(halftime, hand, result):
    asked = hand.watched(BRIEF, None, lambda: False)
    assert asked is not None
    assert asked.table["incremental"].tolist() == result.table["incremental"].tolist()
    assert asked.evidence["log_e"].to_numpy() == pytest.approx(result.evidence["log_e"].to_numpy(), rel=1e-6)
    settled = hand.settled(hand.finger(BRIEF), result)
    assert settled.row["lift_upper"] == result.table["lift_upper"].iloc[0]
    assert settled.verdict == result.verdicts[0]
    assert hand.watched(BRIEF.replace(alpha=0.011), None, lambda: True) is None


def test_data_without_an_answer_say_so(halftime):
    early = Tuner(
        halftime.counts.between(end=halftime.airings["start"].min() - pd.Timedelta("1min")),
        halftime.airings,
        {"context": halftime.context},
    )
    said = early.finger(BRIEF)
    assert said.verdict.word == "no data"
    assert not said.modelled
    assert "not yet on air" in said.verdict.sentence
    assert np.isnan(early.amount(BRIEF)).all()


def test_the_brief_books_without_an_interval(hand):
    said = hand.finger(at.Settings.preset("brief"))
    assert said.verdict.word == "undecided"
    assert math.isfinite(said.row["incremental"])
    assert not said.modelled
    assert hand.shares(at.Settings.preset("brief")).empty


def test_shares_follow_the_dirichlet_prior(hand):
    loose, tight = (hand.shares(BRIEF.replace(channel_concentration=c)) for c in (1.0, 200.0))
    channels = [table[table["dimension"] == "channel"]["share"] for table in (loose, tight)]
    assert np.ptp(channels[1]) < np.ptp(channels[0])
    assert channels[1].sum() == pytest.approx(1.0)


def test_an_unknown_airing_and_a_dense_schedule_are_refused_in_words(halftime, hand):
    with pytest.raises(ValueError, match="airing is 'x'; choose one of HALFTIME_PRIME"):
        hand.finger(BRIEF, "x")
    rows = [halftime.airings.assign(airing=f"a{i}", regions="") for i in range(70)]
    many = pd.concat(rows, ignore_index=True)
    many["start"] += pd.to_timedelta(np.arange(70) * 5 - 120, unit="s")
    with pytest.raises(CrowdedError, match="too dense"):
        Tuner(halftime.counts, many, {}).finger(BRIEF)


def answers(settings: at.Settings) -> tuple[float, float, float]:
    """An answer that depends on the choices in a known way."""
    middle = 100.0 + 50.0 * settings.lift_sd - (20.0 if not settings.social else 0.0)
    return middle - 10, middle, middle + 10


def test_a_tornado_holds_what_is_said_now_and_begins_with_the_widest_bar():
    table = tornado(answers, at.Settings(), stale=lambda: False)
    assert table is not None
    assert set(table["name"]) == set(MOVES)
    assert table["name"].tolist()[:2] == ["lift_sd", "social"]
    assert (table["least"] <= table["base"]).all()
    assert (table["base"] <= table["most"]).all()
    first = table.iloc[0]
    assert (first["low"], first["base"], first["high"]) == (115.0, 150.0, 250.0)
    assert tornado(answers, at.Settings(), stale=lambda: True) is None


def test_a_choice_that_cannot_be_is_left_out_of_its_bar_with_the_reason():
    table = tornado(answers, at.Settings(window="50s"), stale=lambda: False)
    assert table is not None
    peak = table.set_index("name").loc["response_peak"]
    assert math.isnan(peak["high"])
    assert "outside the window" in peak["why"]
    assert peak["low"] == peak["base"]


def test_what_changed_is_said_with_both_figures(hand):
    before, now = hand.finger(BRIEF), hand.finger(BRIEF.replace(kernel="lognormal"))
    said = changed(before, now)
    assert said[0] == "Kernel family: learnt → lognormal."
    assert estimate(now.row, "incremental", "count") in said[1]
    assert said[-1].startswith("The word")
    assert changed(now, now) == ()
    assert differing(before.settings, now.settings) == ["kernel"]


def test_distinct_settings_are_counted_once():
    trail = Trail()
    for settings in (BRIEF, BRIEF.replace(alpha=0.1), BRIEF):
        trail.look(settings, "A")
    assert len(trail) == 2
    assert forks(len(trail), locked=False).startswith("2 settings were looked at")


@pytest.mark.parametrize(("truth", "covered", "error"), [(787.0, True, None), (0.0, False, "counterfactual")])
def test_a_grade_is_the_error_and_whether_the_truth_was_covered(hand, truth, covered, error):
    said = hand.finger(BRIEF)
    given = grade(said, truth)
    assert given.covered is covered
    whole = said.row["counterfactual"] if error else truth
    assert given.error == pytest.approx((said.row["incremental"] - truth) / whole)
    assert not Grade(truth=1.0, estimate=1.0, lower=math.nan, upper=math.nan, counterfactual=9.0).covered


def test_the_ghost_is_the_setting_before(hand, halftime):
    before, now = hand.finger(BRIEF), hand.finger(BRIEF.replace(lift_sd=0.1))
    frames = dials.amount_frames(now, before)
    known = before.amount.set_index("incremental")["posterior"]
    ghost = frames["ghost"].set_index("incremental")["posterior"]
    assert len(ghost) > 50
    assert (known.loc[ghost.index] == ghost).all()
    assert dials.amount_frames(now, None)["ghost"].empty
    drawn = dials.hero_frames(now, before, halftime.airings)
    assert drawn["ghost"]["time"].between(*drawn["window"]["time"]).all()
    assert len(dials.kernel_frames(now, before)["ghost"]) > 50


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_every_chart_has_its_data_and_a_description(hand, halftime, mode):
    said = hand.finger(BRIEF)
    table = tornado(answers, BRIEF, stale=lambda: False)
    drawn = (
        (dials.hero_spec(mode, ("s", 1.0)), {**dials.hero_frames(said, said, halftime.airings), "key": None}),
        (dials.kernel_spec(mode), dials.kernel_frames(said, None)),
        (dials.amount_spec(mode), dials.amount_frames(said, None, np.random.default_rng(1).normal(500, 90, 400))),
        (dials.tornado_spec(mode), dials.tornado_frames(table, dict.fromkeys(MOVES, "a choice"))),
    )
    for spec, frames in drawn:
        assert len(spec["description"]) > 20
        wanted = {layer["data"]["name"] for layer in spec["layer"] if "data" in layer}
        assert wanted <= set(frames), spec["description"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("response_peak", "90s", "90 s"), ("history", "10min", "10 min"), ("smallest_lift", None, "break-even")],
)
def test_values_are_written_for_readers(name, value, words):
    assert shown(name, value) == words
