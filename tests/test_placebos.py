"""Placebos: quiet where nothing happened, loud where something did, silent where there are too few."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, kstest

import attribution as at
from attribution.campaigns import shifts, together
from attribution.matching import Pool, breaks, pool
from attribution.model.series import Series, estimate, flat, lay, likelihoods, look, window_bins
from attribution.placebos import NEEDED, Placebos, compare, two_sided, widths

DAY = 1440
FAKES = 40


def wandering(seed: int, minutes: int = 4 * DAY, level: float = 60.0) -> np.ndarray:
    """Minutes of a rate that wanders as no model here assumes: an AR(1) in clumps, with a day's rhythm."""
    rng = np.random.default_rng(seed)
    step = rng.normal(size=minutes) * 0.12 * np.sqrt(1 - 0.85**2)
    path = np.empty(minutes)
    path[0] = step[0]
    for t in range(1, minutes):
        path[t] = 0.85 * path[t - 1] + step[t]
    rate = level * np.exp(path + 0.4 * np.sin(2 * np.pi * np.arange(minutes) / DAY))
    return rng.negative_binomial(20, 20 / (20 + rate)).astype(float)


def laid(y: np.ndarray, start: float = 0.0) -> Series:
    return lay(start + 60.0 * np.arange(len(y)), np.full(len(y), 60.0), y, np.isfinite(y) * 1.0, anchor=start)


def told_at(series: Series, place: int, comparison: Pool, **options) -> Placebos:
    found = compare(series, look(series, float(series.at(place)), at.Settings()), place, comparison, **options)
    assert found is not None
    return found


def judged(series: Series, place: int, **options) -> Placebos:
    window = look(series, float(series.at(place)), at.Settings())
    return told_at(series, place, pool(series, window, place), **options)


@pytest.fixture(scope="module")
def series() -> Series:
    return laid(wandering(1))


@pytest.fixture(scope="module")
def quiet(series):
    return judged(series, 3 * DAY)


def test_the_windows_of_the_table_in_the_methods():
    assert window_bins(20.0) == (90, 24, 45)
    assert window_bins(60.0) == (60, 8, 30)
    assert window_bins(300.0) == (30, 2, 12)
    assert window_bins(86400.0, length_s=30 * 86400.0) == (90, 30, 0)


def test_an_interval_contains_its_estimate_and_parts_add_up(series, quiet):
    assert quiet.lower < quiet.amount < quiet.upper
    inside = quiet.bins["share"] > 0
    assert quiet.bins["ad"].sum() == pytest.approx(quiet.amount)
    assert quiet.bins["counterfactual"][inside].sum() == pytest.approx(quiet.counterfactual)
    assert (quiet.bins["ad"][~inside] == 0).all()
    assert quiet.window_s == 480.0


def test_placebos_end_before_the_airing_and_hold_no_other(series):
    place = 3 * DAY
    window = look(series, float(series.at(place)), at.Settings())
    free = pool(series, window, place).place
    assert (free + window.response + window.after <= place).all()
    busy = np.zeros(len(series.y), dtype=bool)
    busy[free[::40] + 3] = True
    found = pool(replace(series, busy=busy), window, place).place
    assert not any(busy[m : m + window.response].any() for m in found)
    assert len(found) == len(free) == 199


def test_what_comes_later_changes_nothing(series, quiet):
    later = series.y.copy()
    later[3 * DAY + 8 + 30 :] = 0.0
    told = judged(replace(series, y=later), 3 * DAY)
    assert told.p == quiet.p
    pd.testing.assert_frame_equal(told.table, quiet.table)
    assert told.amount == quiet.amount


def test_a_clock_that_runs_a_week_ahead_changes_nothing(series, quiet):
    told = judged(laid(series.y, start=7 * 86400.0), 3 * DAY)
    assert (told.amount, told.p, told.watched_p) == (quiet.amount, quiet.p, quiet.watched_p)


def test_an_effect_is_found_and_measured(series):
    place, rng = 3 * DAY, np.random.default_rng(5)
    shape = np.array([0.35, 0.3, 0.15, 0.1, 0.05, 0.03, 0.02, 0.0])
    y = series.y.copy()
    truth = rng.poisson(2.0 * series.y[place - 60 : place].mean() * shape)
    y[place : place + 8] += truth
    told = judged(replace(series, y=y), place)
    assert told.claimed
    assert told.p == pytest.approx(2 / 200)
    assert told.watched_p <= 0.05
    assert told.lower < truth.sum() < told.upper
    # The placebos, all earlier, have not moved.
    pd.testing.assert_frame_equal(told.table, judged(series, place).table)
    fewer = series.y.copy()
    fewer[place : place + 8] = np.floor(0.4 * fewer[place : place + 8])
    assert judged(replace(series, y=fewer), place).upper < 0


def test_moments_without_an_ad_are_quiet():
    """p is uniform up to its grid, fixed and watched, over moments of series that no scale was tuned on."""
    told = []
    for seed in (11, 12):
        own, memory = laid(wandering(seed)), {}
        told += [judged(own, place, memory=memory) for place in range(2 * DAY, 4 * DAY - 60, 2820 // (FAKES // 2))]
    told = told[:FAKES]
    p = np.array([t.p for t in told])
    assert sum(t.claimed for t in told) <= binom.ppf(0.999, FAKES, 0.05)
    assert sum(t.watched_p <= 0.05 for t in told) <= binom.ppf(0.999, FAKES, 0.05)
    assert kstest(p, "uniform").pvalue > 0.001
    assert sum(t.lower <= 0 <= t.upper for t in told) >= binom.ppf(0.001, FAKES, 0.95)


def test_too_few_say_how_many_and_give_no_verdict(series):
    told = judged(series, 250)
    assert np.isnan(told.p)
    assert np.isnan(told.watched_p)
    assert not told.claimed
    assert told.sentence == f"not enough moments to compare with: {told.n} of {NEEDED['moments']}"
    assert 0 < told.n < NEEDED["moments"]
    assert told.factor == 1.0
    assert told.lower < told.amount < told.upper


def test_before_anything_has_come_there_is_no_answer(series):
    window = look(series, float(series.at(3 * DAY)), at.Settings())
    short = laid(series.y[: 3 * DAY])
    assert compare(short, window, 3 * DAY, pool(short, window, 3 * DAY)) is None


def test_an_executor_computes_the_same_and_progress_ends_at_all(series, quiet):
    seen = []
    with ThreadPoolExecutor(2) as executor:
        told = judged(series, 3 * DAY, executor=executor, progress=lambda done, total: seen.append((done, total)))
    assert (told.amount, told.p, told.watched_p) == (quiet.amount, quiet.p, quiet.watched_p)
    assert seen == sorted(seen)
    assert seen[-1] == (200, 200)


def with_breaks(rise: float, count: int = 45, *, extra: float = 0.0) -> tuple[Series, list[tuple[float, float]]]:
    """A break every 3 h in which conversions rise by ``rise`` (and vary); the last one also has an ad of ``extra``."""
    rng = np.random.default_rng(8)
    y = wandering(2, minutes=(count + 1) * 180 + 120)
    declared = []
    for b in range(count):
        first = 120 + 180 * b
        more = rise * np.exp(0.15 * rng.normal()) + (extra if b == count - 1 else 0.0)
        y[first : first + 8] = np.round(y[first : first + 8] * (1 + more))
        declared.append((60.0 * first, 60.0 * (first + 10)))
    made = laid(y)
    busy = np.zeros(len(y), dtype=bool)
    for low, high in declared:
        busy[int(low / 60) : int(high / 60)] = True
    return replace(made, busy=busy), declared


def in_last_break(series: Series, declared: list[tuple[float, float]]):
    moment = declared[-1][0]
    window, place = look(series, moment, at.Settings()), series.place(moment)
    return told_at(series, place, breaks(series, window, place, declared, np.array([moment])))


def test_a_break_that_breaks_explain_is_no_effect_and_an_ad_in_it_is():
    told = in_last_break(*with_breaks(0.6))
    assert told.kind == "breaks"
    assert told.n == 44
    assert not told.claimed
    assert told.lower < 0 < told.upper
    series, declared = with_breaks(0.6)
    place = series.place(declared[-1][0])
    window = look(series, declared[-1][0], at.Settings())
    wrong = told_at(series, place, pool(series, window, place))
    assert wrong.z > 1.96  # as if the break itself were the ad's doing
    assert in_last_break(*with_breaks(0.6, extra=0.8)).claimed


def test_too_few_breaks_give_no_verdict():
    told = in_last_break(*with_breaks(0.6, count=20))
    assert told.sentence == "not enough breaks to compare with: 19 of 39"
    assert not told.claimed


def test_the_interval_leaves_zero_out_exactly_where_the_ranks_do():
    rng = np.random.default_rng(0)
    for _ in range(200):
        z = 1.5 * rng.standard_t(4, size=99)
        own = rng.normal() * 3
        up, down = widths(z, 0.05)
        outside = own > up or own < -down
        assert outside == (two_sided(np.array([own]), z, z) <= 0.05 and abs(own) > 1.96)


def test_unknown_bins_widen_and_do_not_move():
    y = wandering(4)
    place = 3 * DAY
    whole = judged(laid(y), place)
    y[place - 30 : place] = np.nan
    holed = judged(laid(y), place)
    assert holed.sd > whole.sd
    assert abs(holed.amount - whole.amount) < 3 * holed.sd


def test_known_scales_are_learnt_and_cover():
    """Estimates of nothing, at scales learnt from elsewhere in the series, have the sd they claim."""
    series = laid(wandering(21, minutes=6 * DAY))
    window = look(series, 0.0, at.Settings())
    moments = np.arange(100, 6 * DAY - 60, 61)
    like = likelihoods(series, moments, window)
    found = estimate(series, moments, window, like, flat(series.step))
    z = found.z[:, 0]
    assert (np.abs(z) > 1.96).sum() <= binom.ppf(0.999, len(z), 0.07)
    assert 0.6 < z.std() < 1.3


def test_a_pool_of_nothing_is_no_comparison(series):
    told = told_at(series, 3 * DAY, Pool("moments", np.empty(0, dtype=int)))
    assert told.n == 0
    assert told.table.empty
    assert np.isfinite([told.amount, told.lower, told.upper]).all()


def test_a_campaign_adds_up_and_is_ranked_among_schedules():
    places = 3 * DAY + np.array([0, 97, 251, 330])
    y, rng = wandering(31), np.random.default_rng(1)
    truth = 0
    for place in places:
        extra = rng.poisson(0.6 * y[place - 60 : place].mean() * np.array([0.7, 0.6, 0.3, 0.2, 0.1, 0.1, 0.0, 0.0]))
        y[place : place + 8] += extra
        truth += extra.sum()
    quiet, lifted = laid(wandering(31)), laid(y)
    busy = np.zeros(len(y), dtype=bool)
    for place in places:
        busy[place : place + 8] = True
    window = look(quiet, 0.0, at.Settings())
    told, nothing = (together(replace(s, busy=busy), window, places) for s in (lifted, quiet))
    assert told.claimed
    assert not nothing.claimed
    assert told.lower < truth < told.upper
    assert (told.shifted, told.matched) == (199, 199)
    singles = [judged(replace(lifted, busy=busy), place).z for place in places]
    assert told.z > np.max(singles)
    moved = shifts(replace(quiet, busy=busy), window, places)
    assert (np.diff(moved, axis=1) == np.diff(places)).all()
    assert not any(busy[m : m + 8].any() for m in moved.ravel())


def test_a_campaign_without_enough_past_says_so(series):
    window = look(series, 0.0, at.Settings())
    told = together(series, window, np.array([200, 300]))
    assert not told.claimed
    assert told.sentence.startswith("not enough schedules to compare with: ")
    with pytest.raises(ValueError, match="places are"):
        together(series, window, np.array([20, 300]))
