"""Shares of the incremental and the money it brings."""

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.money import Money, cost_per_incremental, money, money_frame
from attribution.shares import mix_drift, share_table, split


def test_the_ads_mix_is_found_under_a_different_baseline_mix():
    """Truth: half of the window is the ad's, with another mix; the raw mix is far from it."""
    rng = np.random.default_rng(3)
    base, own = np.array([0.2, 0.5, 0.3]), np.array([0.7, 0.1, 0.2])
    covered, errors = [], []
    for _ in range(60):
        window = rng.poisson(800 * base + 800 * own)
        mix = split(
            window,
            rng.poisson(20_000 * base),
            800 + 60 * rng.normal(size=399),
            concentration=1.0,
            dispersion=1.0,
            rng=rng,
        )
        low, high = np.quantile(mix, [0.025, 0.975], axis=0)
        covered.append((low <= own) & (own <= high))
        errors.append(mix.mean(axis=0) - own)
        np.testing.assert_allclose(mix.sum(axis=1), 1.0)
    assert np.mean(covered) >= 0.85
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02


def test_a_mix_that_strays_is_learnt_from_the_history_and_widens_the_interval():
    """Log shares of sd .12 from block to block: found within a third; without it the interval is too narrow."""
    rng = np.random.default_rng(9)
    base, own, covered = np.array([0.3, 0.45, 0.25]), np.array([0.6, 0.15, 0.25]), []
    for _ in range(60):
        mix = base * np.exp(0.12 * rng.standard_normal((31, 3)))
        expected = 3000 * mix / mix.sum(axis=1, keepdims=True)
        expected[-1] += 700 * own
        counts = rng.poisson(expected)
        drift = mix_drift(counts[:-1], dispersion=1.0)
        amount = 700 + 70 * rng.standard_normal() + 70 * rng.standard_normal(399)
        row = [drift]
        for used in (drift, 0.0):
            found = split(
                counts[-1], counts[:-1].sum(axis=0), amount, concentration=1.0, dispersion=1.0, drift=used, rng=rng
            )
            low, high = np.quantile(found, [0.025, 0.975], axis=0)
            row.append(((low <= own) & (own <= high)).mean())
        covered.append(row)
    drift, with_it, without = np.mean(covered, axis=0)
    assert 0.08 < drift < 0.16
    assert with_it >= 0.88
    assert without < with_it - 0.1


def test_a_mix_that_does_not_stray_is_not_widened():
    rng = np.random.default_rng(10)
    found = [mix_drift(rng.poisson(1000 * np.full((30, 3), 1 / 3)), dispersion=1.0) for _ in range(40)]
    assert np.mean(found) < 0.02
    assert mix_drift(np.zeros((0, 3)), dispersion=1.0) == mix_drift(np.zeros((5, 3)), dispersion=1.0) == 0.03


def test_parts_add_up_to_the_whole_and_a_dimension_of_one_category_has_none():
    rng = np.random.default_rng(12)
    start = np.arange(600).astype("datetime64[s]").astype("datetime64[ns]")
    values = rng.poisson(4.0, (600, 2, 3, 1)).astype(float)
    counts = at.Counts(
        start=start, width=np.ones(600), values=values, regions=("a", "b"), channels=("web", "app", "store"),
        completeness=np.ones((600, 2)),
    )  # fmt: skip
    table = share_table(
        counts, "A", np.array([True, False]), counts.seconds >= 540, counts.seconds < 540,
        300 + 30 * rng.standard_normal(399), at.Settings(), dispersion=1.0, rng=rng,
    )  # fmt: skip
    assert set(table["dimension"]) == {"channel"}
    assert table["share"].sum() == pytest.approx(1.0)
    assert table["raw"].sum() == pytest.approx(1.0)
    assert ((table["lower"] <= table["share"]) & (table["share"] <= table["upper"])).all()


def test_no_incremental_leaves_the_prior():
    rng = np.random.default_rng(4)
    mix = split(
        np.array([50.0, 50.0]), np.array([5e3, 5e3]), np.full(2000, -10.0), concentration=1.0, dispersion=1.0, rng=rng
    )
    assert mix[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert mix[:, 0].std() == pytest.approx(np.sqrt(1 / 12), abs=0.02)


def test_an_airings_own_money_wins_over_the_settings():
    airing = pd.Series({"spend": 1000.0, "value": 12.0, "margin": np.nan})
    found = money(airing, at.Settings(value=5.0, margin=0.4))
    assert (found.value, found.margin) == (12.0, 0.4)
    assert found.iroas(100.0) == pytest.approx(1.2)
    assert found.roi(100.0) == pytest.approx(1.2 * 0.4 - 1)
    assert found.roi(found.break_even) == pytest.approx(0.0)


@pytest.mark.parametrize("spend", [np.nan, 0.0, -5.0])
def test_no_spend_no_figure(spend):
    found = money(pd.Series({"spend": spend, "value": 12.0, "margin": 0.3}), at.Settings())
    assert np.isnan(found.iroas(100.0))
    assert np.isnan(found.break_even)
    assert found.missing == ("spend",)


def test_cost_per_incremental_is_not_estimable_without_an_effect():
    assert cost_per_incremental(1000.0, 100.0, 0.99) == 10.0
    assert np.isnan(cost_per_incremental(1000.0, 100.0, 0.9))


CASH = Money(spend=1000.0, value=10.0, margin=0.5)


def by(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("what")[["value", "lower", "upper", "status"]]


def test_the_money_of_an_airing_is_in_one_table():
    told = by(money_frame("A", CASH, (50.0, 200.0, 400.0), 0.99))
    assert told.loc["iroas"].tolist() == [2.0, 0.5, 4.0, ""]
    assert told.loc["roi"].tolist() == [0.0, -0.75, 1.0, ""]
    assert told.loc["cost per incremental"].tolist() == [5.0, 2.5, 20.0, ""]


def test_a_cost_needs_an_effect_and_an_upper_end_an_interval_above_zero():
    unsure = by(money_frame("A", CASH, (-50.0, 200.0, 400.0), 0.94)).loc["cost per incremental"]
    assert np.isnan([unsure["value"], unsure["lower"], unsure["upper"]]).all()
    assert unsure["status"] == "not estimable: P(incremental <= 0) is 6.0%"
    open_ended = by(money_frame("A", CASH, (-10.0, 200.0, 400.0), 0.96)).loc["cost per incremental"]
    assert (open_ended["value"], open_ended["lower"]) == (5.0, 2.5)
    assert np.isnan(open_ended["upper"])
    assert "no upper end" in open_ended["status"]


def test_without_spend_no_money_is_known_and_each_row_says_why():
    told = by(money_frame("A", Money(spend=np.nan, value=10.0, margin=np.nan), (50.0, 200.0, 400.0), 0.99))
    assert told[["value", "lower", "upper"]].isna().all(axis=None)
    assert told["status"].tolist() == ["spend unknown", "spend and margin unknown", "spend unknown"]
