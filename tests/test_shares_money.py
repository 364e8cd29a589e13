"""Shares of the incremental and the money it brings."""

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.money import cost_per_incremental, money
from attribution.shares import split


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
