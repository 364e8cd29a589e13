"""An airing that every region saw, through the whole way: minutes of one series."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.settings import Settings
from attribution.trials import TRIALS
from attribution.worlds import simulate

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
DAY = 1440


def minutes(seed: int, regions: int = 1, days: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    path = np.convolve(rng.normal(size=days * DAY + 12), np.ones(12) / 12, "valid")[: days * DAY]
    return rng.poisson(50 * np.exp(0.25 * path)[:, None] * np.ones(regions)).astype(float)


def counted(y: np.ndarray) -> at.Counts:
    start = (np.datetime64("2026-03-02", "m") + np.arange(len(y))).astype("datetime64[ns]")
    names = tuple(f"r{i}" for i in range(y.shape[1]))
    return at.Counts(
        start=start, width=np.full(len(y), 60.0), values=y[:, :, None, None], regions=names,
        completeness=np.ones(y.shape),
    )  # fmt: skip


def airing(counts: at.Counts, place: int, **more) -> pd.DataFrame:
    start = pd.Timestamp(counts.start[place], tz="UTC")
    return pd.DataFrame([{"airing": "SPOT", "start": start, "length_s": 30.0, "regions": ""} | more])


PLACE = DAY + 700
SHAPE = np.array([0.35, 0.3, 0.15, 0.1, 0.05, 0.03, 0.02, 0.0])


@pytest.fixture(scope="module")
def lifted():
    """Conversions double for two minutes' worth."""
    y = minutes(3)
    added = np.random.default_rng(0).poisson(100 * SHAPE)
    y[PLACE : PLACE + 8, 0] += added
    return counted(y), float(added.sum())


@pytest.fixture(scope="module")
def result(lifted):
    return at.analyze(lifted[0], airing(lifted[0], PLACE))


def test_a_jump_is_an_association_and_no_more(lifted, result):
    row = result.table.iloc[0]
    # Half the interval is 1.96 sd or more: twice that is beyond any seed.
    assert abs(row["incremental"] - lifted[1]) < row["incremental_upper"] - row["incremental_lower"]
    assert row["incremental_lower"] > 0
    assert row["placebo_p"] <= 0.05
    assert row["placebos"] == 199
    assert (row["rung"], row["verdict"]) == (1, "association")


def test_the_bins_are_those_of_the_table(lifted, result):
    row, total = result.table.iloc[0], result.total
    inside = (total["time"] >= row["start"]) & (total["time"] < row["start"] + pd.Timedelta("8min"))
    assert total["ad"].sum() == pytest.approx(row["incremental"])
    assert total["counterfactual"][inside].sum() == pytest.approx(row["counterfactual"])
    assert (total["counterfactual_lower"] <= total["counterfactual"]).all()
    pd.testing.assert_frame_equal(result.series.drop(columns="region"), total)
    assert row["lift"] == pytest.approx(row["incremental"] / row["counterfactual"])


def test_nothing_is_nothing():
    counts = counted(minutes(4))
    row = at.analyze(counts, airing(counts, PLACE)).table.iloc[0]
    assert row["incremental_lower"] < 0 < row["incremental_upper"]
    assert row["verdict"] in {"undecided", "no effect"}


def test_live_equals_batch_on_what_had_arrived(lifted):
    counts, _ = lifted
    log = airing(counts, PLACE)
    end = log["start"].iloc[0] + pd.Timedelta("4min")
    later = counted(np.where(np.arange(2 * DAY)[:, None] < PLACE + 4, counts.total, 900.0))
    live, batch = (at.analyze(c.between(end=end), log).table for c in (counts, later))
    pd.testing.assert_frame_equal(live, batch)
    assert live["incremental"].iloc[0] > 0


def test_the_split_into_regions_that_all_saw_it_changes_nothing(lifted, result):
    half = np.floor(lifted[0].total / 2)
    parts = counted(np.column_stack([half, lifted[0].total - half]))
    told = at.analyze(parts, airing(parts, PLACE)).table.iloc[0]
    for name in ("incremental", "incremental_lower", "counterfactual", "placebo_p"):
        assert told[name] == pytest.approx(result.table[name].iloc[0], rel=1e-9), name


def test_without_placebos_it_is_the_model_alone(lifted):
    told = at.analyze(lifted[0], airing(lifted[0], PLACE), at.Settings(placebos=False)).table.iloc[0]
    assert np.isnan(told["placebo_p"])
    assert np.isnan(told["placebos"])


def test_too_short_a_history_says_how_many_are_missing(lifted):
    counts = lifted[0].between(start=pd.Timestamp(lifted[0].start[PLACE - 120], tz="UTC"))
    told = at.analyze(counts, airing(counts, 120))
    reason = told.reasons.set_index("column").loc["placebo_p", "reason"]
    assert reason == f"not enough moments to compare with: {told.table['placebos'].iloc[0]} of 79"
    assert told.table["incremental_lower"].iloc[0] < told.table["incremental"].iloc[0]


def test_a_control_series_without_common_movement_is_no_region():
    """Where the control drifts by itself and moves nothing, dividing by it would be wrong by its whole drift."""
    rng = np.random.default_rng(2)
    days, post = 90, 60
    drift = np.exp(np.linspace(0.0, -0.6, days))
    sales = rng.poisson(400.0 * np.ones(days)).astype(float)
    sales[post:] += rng.poisson(80.0, days - post)
    start = (np.datetime64("2026-01-01", "D") + np.arange(days)).astype("datetime64[ns]")
    values = np.column_stack([sales, np.round(900 * drift)])[:, :, None, None]
    counts = at.Counts(
        start=start, width=np.full(days, 86400.0), values=values, regions=("sales", "visits"),
        completeness=np.ones((days, 2)),
    )  # fmt: skip
    log = airing(counts, post, length_s=(days - post) * 86400.0, regions="sales")
    row = at.analyze(counts, log).table.iloc[0]
    assert row["incremental_lower"] / 30 < 80 < row["incremental_upper"] / 30
    assert row["rung"] < 3


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_published_answers_are_met():
    folder = DATA / "published_benchmarks"
    table = pd.read_csv(folder / "google_data.csv")
    long = table.melt(id_vars="date", value_vars=["y", "x1", "x2"], var_name="region", value_name="count")
    counts = at.read_counts(long)
    log = airing(counts, 61, length_s=30 * 86400.0, regions="y")
    assert log["start"].iloc[0] == pd.Timestamp("2020-03-02", tz="UTC")
    assert 18 < at.analyze(counts, log).table["incremental"].iloc[0] / 30 < 36
    geo = at.read_counts(folder / "GeoLift_Test.csv")
    row = at.analyze(geo, airing(geo, 90, length_s=15 * 86400.0, regions="chicago|portland")).table.iloc[0]
    assert 0 < row["incremental_lower"] < 155.556 * 30 < row["incremental_upper"]


@pytest.mark.parametrize(("surge", "word"), [("shared", "not separable"), ("none", "association")])
def test_one_series_with_nothing_beside_it_abstains_when_the_jump_outlasts_a_response(surge, word):
    """A surge ten seconds into the spot, and a response alone: the shape is all that one series has to tell them by."""
    known = Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")
    said = []
    for seed in range(900, 904):
        bare = replace(TRIALS["one_region_bare"].scenario, surge=surge)
        world = simulate(bare, rng=seed)
        result = at.analyze(world.counts, world.airings, known)
        said.append(result.table["verdict"][0])
    assert said.count(word) >= 3, said
