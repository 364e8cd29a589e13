"""Others' rules: each books what its words say, and is tried only where no ad ran."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

import attribution as at
from attribution import rules
from attribution.rules import RULES, compare_rules, line_of, tried

START = pd.Timestamp("2026-02-08T20:00:00Z")
BY_NAME = {rule.name: rule for rule in RULES}


def counts(y: np.ndarray, step: float = 1.0) -> at.Counts:
    start = START.tz_localize(None).to_datetime64() + (step * np.arange(len(y)) * 1e9).astype("timedelta64[ns]")
    return at.Counts(
        start=start.astype("datetime64[ns]"), width=np.full(len(y), step), values=y[:, :, None, None],
        regions=tuple("abcd"[: y.shape[1]]), completeness=np.ones(y.shape),
    )  # fmt: skip


def flat(n: int = 3600, level: float = 10.0) -> np.ndarray:
    return np.full((n, 1), level)


def aired(*seconds: float, regions: str = "") -> pd.DataFrame:
    return at.read_airings(
        pd.DataFrame(
            {
                "airing": [f"A{i}" for i in range(len(seconds))],
                "start": START + pd.to_timedelta(list(seconds), unit="s"),
                "regions": regions,
            }
        )
    )


def booked(name: str, y: np.ndarray, at_s: float = 2400.0, step: float = 1.0) -> rules.Booked:
    return BY_NAME[name].book(line_of(counts(y, step), ""), START.value / 1e9 + at_s)


def test_each_rule_books_what_its_words_say():
    y = flat()
    y[2400:2460, 0] += 5  # 300 more in the minute after
    assert booked("8 min, all of them", y) == rules.Booked(480 * 10 + 300, True)
    assert booked("5-min lift", y)[:2] == (300.0, True)
    test = booked("5 against 10 min, t-test", y)
    assert test.amount == pytest.approx(300.0)
    assert test.lower < test.amount < test.upper
    assert not test.claims  # one minute of five is no steady rise


def test_the_t_test_is_that_of_minutes():
    rng = np.random.default_rng(3)
    y = rng.poisson(10.0, (3600, 1)).astype(float)
    y[2400:2700] += rng.poisson(3.0, (300, 1))
    after, before = y[2400:2700, 0].reshape(5, 60).sum(1), y[1800:2400, 0].reshape(10, 60).sum(1)
    found = booked("5 against 10 min, t-test", y)
    low, high = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert found.amount == pytest.approx(5 * (after.mean() - before.mean()))
    assert (found.lower, found.upper) == pytest.approx((5 * low, 5 * high))
    assert found.claims


def test_the_brief_books_spikes_within_its_window():
    y = np.random.default_rng(1).poisson(10.0, (3600, 1)).astype(float)
    assert not booked("The brief", np.where(y > 15, 15, y)).claims
    y[2405:2410] += 40
    found = booked("The brief", y)
    assert found.claims
    assert found.amount == pytest.approx(200, rel=0.2)


def test_the_median_is_of_the_same_minutes_of_other_days():
    minutes = 6 * 1440
    y = np.tile(10 + 5 * np.sin(np.arange(1440) / 229), 6)[:, None] + 20
    y[5 * 1440 + 600 : 5 * 1440 + 604] += 7
    found = booked("Median of other days", y[:minutes], at_s=60.0 * (5 * 1440 + 600), step=60.0)
    assert found.amount == pytest.approx(28.0)
    assert not np.isfinite(booked("Median of other days", y[: 2 * 1440], at_s=60.0 * 2000, step=60.0).amount)


def test_an_unknown_bin_is_no_zero():
    y = flat()
    y[2500] = np.nan
    assert np.isnan(booked("8 min, all of them", y).amount)
    assert not booked("8 min, all of them", y).claims
    assert np.isnan(booked("5-min lift", y[:2500]).amount)


def test_moments_keep_clear_of_every_airing():
    line = line_of(counts(flat(7200)), "")
    zero = START.value / 1e9
    onset, reach = zero + np.array([1800.0, 6000.0]), np.array([100.0, 100.0])
    at_ = tried(line, onset, reach, 1, (600.0, 480.0)) - zero
    assert len(at_) > 100
    assert at_.min() >= 600
    assert at_.max() + 480 <= 6000
    assert not ((at_ + 480 > 1800) & (at_ - 600 < 1900)).any()
    assert len(tried(line, onset, reach, 0, (600.0, 1300.0))) == 0


def test_every_claim_without_an_ad_is_counted():
    rng = np.random.default_rng(8)
    y = rng.poisson(20.0, (5400, 2)).astype(float)
    y[5000:5060, 0] += 30
    table = compare_rules(counts(y), aired(5000.0, regions="a"), at.Settings(window="60s"), "A0").set_index("rule")
    assert table.loc["8 min, all of them", "false"] == 1.0
    assert 0.3 < table.loc["5-min lift", "false"] < 0.7  # half of all differences are rises
    assert table.loc["5-min lift", "amount"] > 1200
    assert table.loc["Median of other days", "why"] == "needs the same minutes of 3 other days"
    known = table[table["moments"] > 0]
    assert len(set(known["moments"])) == 1
    assert ((known["false_lower"] <= known["false"]) & (known["false"] <= known["false_upper"])).all()
    assert "“8 min, all of them” claims an effect at 100%" in rules.told(table.reset_index(), (0.05, 30))
    assert "Ours: 5% of 30." in rules.told(table.reset_index(), (0.05, 30))


def test_only_the_regions_that_saw_the_ad_are_counted():
    y = np.column_stack([flat(level=3.0), flat(level=50.0)])
    assert line_of(counts(y), "a").between(START.value / 1e9, START.value / 1e9 + 10) == 30.0
    assert line_of(counts(y), "").between(START.value / 1e9, START.value / 1e9 + 10) == 530.0


def test_what_cannot_be_tried_says_why():
    early = compare_rules(counts(flat()), aired(300.0), at.Settings(), "A0").set_index("rule")
    assert "whole data" in early.loc["5 against 10 min, t-test", "why"]
    assert "no stretch" in early.loc["5-min lift", "why"]
    assert "too little data" in rules.told(early.reset_index(), None)
    coarse = compare_rules(counts(flat(200), 300.0), aired(300.0 * 100), at.Settings(), "A0").set_index("rule")
    assert "needs bins of at most 60 s" in coarse.loc["5 against 10 min, t-test", "why"]
    with pytest.raises(ValueError, match="choose one of A0"):
        compare_rules(counts(flat()), aired(300.0), at.Settings(), "nobody")
