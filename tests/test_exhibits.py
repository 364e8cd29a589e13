"""An answer taken apart: its parts add up, what is left over is what counting leaves, and looks are read in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import exhibits, plates

START = pd.Timestamp("2026-02-08T20:36:00Z")


@pytest.fixture(scope="module")
def halftime():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    settings = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
    return at.analyze(
        world.counts, world.airings, settings, social=world.social, audience=world.audience, context=world.context
    )


# -------------------- each second


def test_the_parts_of_every_bin_add_up_to_what_was_expected(halftime):
    bins = exhibits.apart(halftime, "HALFTIME_PRIME")
    assert np.allclose(bins[list(exhibits.PARTS)].sum(axis=1), bins["expected"])
    assert np.allclose(bins["observed"] - bins["expected"], bins["left"], equal_nan=True)


def test_the_sums_of_a_window_are_those_of_its_bins(halftime):
    bins = exhibits.apart(halftime, "HALFTIME_PRIME")
    row = halftime.table.iloc[0]
    told = exhibits.sums(bins, row["start"], 60.0)
    assert told[list(exhibits.PARTS)].sum() == pytest.approx(told["expected"])
    assert told["baseline"] + told["break"] + told["organic"] == pytest.approx(row["counterfactual"], rel=0.01)
    assert row["incremental_lower"] < told["ad"] < row["incremental_upper"]
    halves = [exhibits.sums(bins, row["start"] + pd.Timedelta(seconds=s), 30.0) for s in (0, 30)]
    assert np.allclose(halves[0] + halves[1], told)


def test_a_window_over_unknown_bins_has_an_unknown_sum(made):
    bins = exhibits.apart(made, made.table["airing"][0])
    start = made.table["start"][0]
    bins.loc[(bins["time"] - start).dt.total_seconds() == 5, "observed"] = np.nan
    assert np.isnan(exhibits.sums(bins, start, 30.0)["observed"])
    assert np.isfinite(exhibits.sums(bins, start, 5.0)["observed"])


def test_an_airing_that_was_not_modelled_has_no_bins(made):
    assert exhibits.apart(replace(made, total=made.total.iloc[:0]), made.table["airing"][0]).empty
    late = made.table.assign(start=made.as_of + pd.Timedelta("1h"))
    assert exhibits.apart(replace(made, table=late), made.table["airing"][0]).empty


def test_an_unknown_airing_is_refused_with_the_ones_there_are(made):
    with pytest.raises(ValueError, match="choose one of WWE_HALFTIME_1"):
        exhibits.alone(made, "nobody")


# -------------------- what is left over


def counted(rate: np.ndarray, expected: np.ndarray, *, seed: int = 1) -> pd.DataFrame:
    observed = np.random.default_rng(seed).poisson(rate).astype(float)
    time = START + pd.to_timedelta(np.arange(len(rate)), unit="s")
    frame = pd.DataFrame({"time": time, "width_s": 1.0, "observed": observed, "expected": expected})
    return frame.assign(left=frame["observed"] - frame["expected"])


def test_counts_around_their_own_rate_leave_over_what_counting_leaves():
    rate = 40 + 20 * np.sin(np.arange(3600) / 200)
    table = exhibits.dispersion(counted(rate, rate), alpha=0.001)
    assert list(table["scale_s"]) == list(exhibits.SCALES_S)
    assert ((table["model"] > table["low"]) & (table["model"] < table["high"])).all()
    assert table["line"].iloc[-1] > 20
    assert table["line"].is_monotonic_increasing


def test_a_rate_that_the_model_misses_shows_at_its_own_scale():
    seconds = np.arange(3600)
    rate = 40 * np.exp(0.15 * np.sin(2 * np.pi * seconds / 120))
    table = exhibits.dispersion(counted(rate, np.full(3600, rate.mean())), alpha=0.001).set_index("scale_s")
    assert table.loc[1.0, "model"] < 1.6
    assert table.loc[30.0, "model"] > 3 * table.loc[30.0, "high"]


def test_a_learnt_dispersion_widens_the_band_and_coarse_bins_have_no_fine_scale():
    bins = counted(np.full(1200, 30.0), np.full(1200, 30.0))
    once, twice = exhibits.dispersion(bins), exhibits.dispersion(bins, learnt=2.0)
    assert np.allclose(2 * once["high"], twice["high"])
    wide = bins.assign(time=START + pd.to_timedelta(20.0 * np.arange(1200), unit="s"), width_s=20.0)
    assert exhibits.dispersion(wide)["scale_s"].tolist() == [60.0]
    assert exhibits.dispersion(bins.iloc[:5]).empty


# -------------------- when could we have known


def looked(made, log_e, lower, words):
    name, start = made.table["airing"][0], made.table["start"][0]
    looks = pd.DataFrame(
        {
            "airing": name, "time": start + pd.to_timedelta(2.0 * (1 + np.arange(len(log_e))), unit="s"),
            "log_e": log_e, "lower": lower, "upper": np.array(lower) + 100.0, "word": words,
        }
    )  # fmt: skip
    return replace(made, evidence=looks), name


def test_milestones_stand_in_order_each_at_the_look_where_it_was_reached(made):
    result, name = looked(
        made, [0.0, 3.1, 1.0, 3.2, 3.3], [-9.0, 4.0, -1.0, 5.0, 6.0], ["undecided"] * 3 + ["caused"] * 2
    )
    told = {one.what: one.lag_s for one in exhibits.milestones(result, name)}
    assert list(told.values()) == sorted(told.values())
    assert told["the e-value first reached 20"] == 4.0
    assert told["it had reached 20 on two consecutive looks or 30 on one: the test had passed"] == 10.0
    assert told["from here on the interval over time left out zero"] == 8.0
    assert told["the word became “caused”"] == 8.0
    assert exhibits.known_when(result, name).startswith("After 10 s")


def test_what_never_passed_is_not_called_known(made):
    result, name = looked(made, [0.0, 3.1, 0.0, 3.2], [-9.0] * 4, ["undecided"] * 4)
    assert exhibits.known_when(result, name).startswith("Not within 4 looks")
    assert not any("passed" in one.what or "left out zero" in one.what for one in exhibits.milestones(result, name))
    none = replace(made, evidence=result.evidence.iloc[:0])
    assert exhibits.milestones(none, name) == ()
    assert exhibits.known_when(none, name).startswith("No look was taken")


# -------------------- the feed and the controls


def test_the_feed_rises_when_it_rises(halftime):
    start, social = halftime.table["start"][0], halftime.given.feeds["social"]
    lag = (social["time"] - start).dt.total_seconds()
    quiet = social.assign(count=np.random.default_rng(3).poisson(30.0, len(social)).astype(float))
    for onset in (20.0, -40.0):
        risen = quiet.assign(count=quiet["count"] + 60.0 * (lag >= onset))
        given = replace(halftime.given, feeds={**halftime.given.feeds, "social": risen})
        found = exhibits.feed_view(replace(halftime, given=given), "HALFTIME_PRIME", 60.0)
        assert found is not None
        assert found.rise_s == pytest.approx(onset, abs=exhibits.FEED_S)
        assert found.peak > 1.5
    given = replace(halftime.given, feeds={**halftime.given.feeds, "social": quiet})
    found = exhibits.feed_view(replace(halftime, given=given), "HALFTIME_PRIME", 60.0)
    assert found is not None
    assert np.isnan(found.rise_s)


def test_without_a_feed_there_is_no_view_of_it(halftime):
    given = replace(halftime.given, feeds={**halftime.given.feeds, "social": None})
    assert exhibits.feed_view(replace(halftime, given=given), "HALFTIME_PRIME", 60.0) is None


def test_the_controls_stay_where_counting_and_wandering_put_them(halftime):
    found = exhibits.controls_test(halftime, "HALFTIME_PRIME")
    assert found is not None
    assert found.controls == ("eu-west",)
    assert found.trust.ratio == found.blocks.loc[found.blocks["p"].idxmin(), "ratio"]
    assert ((found.path["ratio"] > found.path["lower"]) & (found.path["ratio"] < found.path["upper"])).mean() > 0.85
    assert found.path["time"].max() < halftime.table["start"][0]


# -------------------- the charts


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_specifications_are_constant_and_hold_no_data(mode):
    for spec in (
        plates.parts_spec(mode, "s"),
        plates.dispersion_spec(mode),
        plates.followed_spec(mode),
        plates.feed_spec(mode),
        plates.forest_spec(mode, "x", "+,.0f", 200),
    ):
        assert "datasets" not in spec
        assert spec["description"]


def test_the_areas_stand_one_upon_the_other(made):
    bins = exhibits.apart(made, made.table["airing"][0])
    frames = plates.parts_frames(bins, made.table["start"][0], 60.0, 1.0)
    parts = frames["parts"]
    for below, above in zip(exhibits.PARTS[:-1], exhibits.PARTS[1:], strict=True):
        assert np.allclose(parts[f"{below}_to"], parts[f"{above}_from"])
    assert frames["window"]["rate"].iloc[1] > parts["ad_to"].max()


def test_a_forest_is_not_squeezed_by_one_wild_interval():
    rows = pd.DataFrame(
        {"label": list("abcdefgh"), "value": 1.0, "low": 0.0, "high": [2.0] * 7 + [1e9], "kind": "", "text": ""}
    )
    window = plates.forest_frames(rows)["window"]["value"]
    assert window.iloc[1] < 10
