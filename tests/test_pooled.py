"""Partial pooling: nearer the truth than each by itself, intervals that hold, nothing pooled over nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import attribution as at
from attribution import plates, pooled
from attribution.pooled import OUTSIDE, POSITIONS, kinds, pool_by, standings, tally

Z = 1.959963984540054


def rows(lift: np.ndarray, sd: np.ndarray, labels: list[str], *, whole: bool = True) -> pd.DataFrame:
    return pd.DataFrame(
        {"lift": lift, "lift_lower": lift - Z * sd, "lift_upper": lift + Z * sd, "creative": labels, "whole": whole}
    )


def test_pooled_estimates_are_nearer_the_truth_and_their_intervals_hold():
    rng = np.random.default_rng(11)
    worlds, categories, each = 150, 8, 5
    raw, near, held = [], [], 0
    for _ in range(worlds):
        truth = 0.15 + 0.05 * rng.standard_normal(categories)
        labels = [f"c{k}" for k in range(categories) for _ in range(each)]
        sd = rng.uniform(0.05, 0.15, categories * each)
        own = np.repeat(truth, each) + 0.04 * rng.standard_normal(categories * each)
        found = pool_by(rows(own + sd * rng.standard_normal(len(sd)), sd, labels), "creative")
        table = found.table.set_index("category").loc[[f"c{k}" for k in range(categories)]]
        raw.append((table["raw"] - truth) ** 2)
        near.append((table["pooled"] - truth) ** 2)
        held += int(((table["lower"] <= truth) & (truth <= table["upper"])).sum())
    assert np.mean(near) < 0.85 * np.mean(raw)
    # 93%, not 95: how far airings differ within a category is taken as known.
    assert held >= binom.ppf(0.001, worlds * categories, 0.93)


def test_what_is_alike_is_drawn_together_and_what_is_known_stays():
    alike = pool_by(rows(np.full(6, 0.1), np.full(6, 0.05), list("aabbcc")), "creative")
    assert np.allclose(alike.table["pooled"], 0.1)
    assert alike.between_categories < 0.05
    assert alike.better == pytest.approx(0.5)
    assert "cannot be told apart" in pooled.told(alike)
    apart = pool_by(rows(np.array([0.0, 0.0, 0.5, 0.5]), np.full(4, 1e-3), list("aabb")), "creative")
    assert apart.table["kept"].min() > 0.99
    assert "first at +50%" in pooled.told(apart)
    assert "probability > 0.999" in pooled.told(apart)
    assert apart.table["category"].tolist() == ["b", "a"]


def test_airings_that_differ_more_than_their_errors_widen_their_category():
    lift = np.array([0.0, 0.4, 0.0, 0.4])
    found = pool_by(rows(lift, np.full(4, 0.01), list("aabb")), "creative")
    assert found.between_airings == pytest.approx(np.std([0.0, 0.4], ddof=1), rel=0.02)
    assert (found.table["raw_upper"] - found.table["raw_lower"]).min() > 0.7


def test_the_order_of_the_airings_does_not_matter():
    rng = np.random.default_rng(2)
    given = rows(rng.normal(0.1, 0.1, 9), rng.uniform(0.02, 0.1, 9), list("abcabcabc"))
    one, two = pool_by(given, "creative"), pool_by(given.sample(frac=1, random_state=1), "creative")
    columns = ["raw", "pooled", "lower", "upper"]
    left, right = (f.table.set_index("category").sort_index()[columns] for f in (one, two))
    assert np.allclose(left, right)


@pytest.mark.parametrize(
    "given",
    [
        rows(np.array([0.1]), np.array([0.1]), ["a"]),
        rows(np.array([0.1, 0.2]), np.array([0.1, 0.1]), ["a", "a"]),
        rows(np.array([0.1, 0.2]), np.array([0.1, np.nan]), ["a", "b"]),
        rows(np.array([0.1, 0.2]), np.array([0.1, 0.1]), ["a", "b"], whole=False),
    ],
    ids=["one airing", "one category", "unknown", "window not over"],
)
def test_there_is_nothing_to_pool(given):
    assert pool_by(given, "creative") is None


def test_an_unknown_dimension_is_refused():
    with pytest.raises(ValueError, match="choose one of creative"):
        pool_by(rows(np.array([0.1]), np.array([0.1]), ["a"]), "colour")


def test_the_position_in_a_break_is_that_of_the_break_that_holds_the_start():
    start = pd.Timestamp("2026-02-08T20:00:00Z")
    context = pd.DataFrame({"kind": ["break", "organic"], "start": start, "end": start + pd.Timedelta("90s")})
    moments = [start + pd.Timedelta(seconds=s) for s in (0, 29, 45, 89, 90)]
    made = kinds(pd.DataFrame({"airing": list("abcde"), "start": moments}), context)
    assert made["break position"].tolist() == [POSITIONS[0], POSITIONS[0], POSITIONS[1], POSITIONS[2], OUTSIDE]
    assert set(kinds(pd.DataFrame({"airing": ["a"], "start": [start]}))["creative"]) == {"unknown"}


@pytest.fixture(scope="module")
def overlap():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    settings = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
    cut = world.counts.between(end=world.airings["start"].iloc[0] + pd.Timedelta("40s"))
    return [at.analyze(counts, world.airings, settings, social=world.social) for counts in (world.counts, cut)]


def test_a_row_an_airing_with_what_the_analysis_says(overlap):
    whole, cut = (standings(result) for result in overlap)
    row, table = whole.iloc[0], overlap[0].table.iloc[0]
    assert (row["incremental"], row["lower"], row["upper"]) == tuple(
        table[f"incremental{end}"] for end in ("", "_lower", "_upper")
    )
    assert row["lift_upper"] == table["lift_upper"]
    assert row["cost"] == pytest.approx(row["spend"] / row["incremental"])
    assert row["cost_lower"] < row["cost"] < row["cost_upper"]
    assert (row["why"], bool(row["whole"]), bool(row["survives"])) == ("", True, True)
    assert not cut.iloc[0]["whole"]


def test_what_cannot_be_judged_says_why_and_is_not_summed(overlap):
    result = overlap[0]
    silent = result.verdicts[0].__class__(airing="HALFTIME_PRIME", word="no data", rung=0, sentence="No history.")
    made = standings(
        replace(result, verdicts=(silent,), table=result.table.assign(verdict="no data", incremental=np.nan))
    )
    assert made["why"].tolist() == ["No history."]
    told = tally(made)
    assert (told.airings, told.unjudged, told.survive) == (1, 1, 0)
    assert np.isnan(told.incremental)
    assert tally(standings(result)).unjudged == 0


def test_the_forest_marks_the_survivors_and_the_pools_draw_both(overlap):
    drawn = plates.standing_rows(standings(overlap[0]))
    assert drawn["kind"].tolist() == ["own"]
    found = pool_by(rows(np.array([0.1, 0.3, 0.2]), np.full(3, 0.05), list("abc")), "creative")
    frames = plates.shrinkage_frames(found)
    assert np.allclose(frames["rows"]["pooled"], 100 * found.table["pooled"])
    assert frames["window"]["value"].iloc[0] <= 0
    assert plates.shrinkage_spec("dark", 3)["description"]
