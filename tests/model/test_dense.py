"""A dense schedule in one fit: laws on small worlds whose truth is known, made by code of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.model import wander as wandering
from attribution.model.curve import airing_columns, banded, bandwidth, curve_prior, meeting
from attribution.model.dense import _inflation as beyond
from attribution.model.dense import fit_dense
from attribution.model.features import SCHEDULE
from attribution.model.pooling import Features, Own, System, alone, benchmark, between, leaning, log_evidence
from attribution.settings import Settings

_spec = importlib.util.spec_from_file_location(
    "schedules_of_minutes", Path(__file__).parents[1] / "calibrate" / "schedules.py"
)
assert _spec is not None
assert _spec.loader is not None
worlds = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(worlds)


def fitted(world, *, shifts=19, settings=None, factor=1.0, airings=None, **changes):
    n = len(world.y)
    start = worlds.START.value / 1e9 + 60.0 * np.arange(n)
    return fit_dense(
        start,
        np.full(n, 60.0),
        changes.get("y", world.y) * factor,
        np.ones(n),
        world.airings if airings is None else airings,
        settings or Settings(),
        shifts=shifts,
    )


@pytest.fixture(scope="module")
def strong():
    return worlds.simulate(901, days=3, airings=120, lift=1.0, rate=60.0)


@pytest.fixture(scope="module")
def answered(strong):
    return fitted(strong)


# ---- the pieces against their definitions ---------------------------------------------------------------------------


def matern(t, sd, span):
    d = np.sqrt(3.0) * np.abs(t[:, None] - t) / span
    return sd**2 * (1 + d) * np.exp(-d)


@pytest.fixture
def small():
    rng = np.random.default_rng(5)
    gap = rng.uniform(0.5, 2.0, 60)
    t = np.concatenate([[0.0], np.cumsum(gap[:-1])])
    wander = wandering.Wander(0.4, 20.0, 0.2, 2.0, 0.01, 1.5)
    level = rng.uniform(5, 50, 60)
    known = rng.random(60) > 0.2
    gain = wandering.filtered(wander, gap, wandering.noise(wander, level, known))
    cover = matern(t, 0.4, 20.0) + matern(t, 0.2, 2.0)
    noise = 1.5 / level + 0.01
    return gain, cover, noise, known, rng


def test_whitening_is_the_inverse_covariance(small):
    gain, cover, noise, known, rng = small
    X = rng.normal(size=(3, 60))
    white = wandering.whiten(gain, X, np.zeros(3, dtype=np.int64))
    S = (cover + np.diag(noise))[np.ix_(known, known)]
    np.testing.assert_allclose(white @ white.T, X[:, known] @ np.linalg.solve(S, X[:, known].T), rtol=1e-9)
    assert np.log(gain.root[known]).sum() == pytest.approx(-0.5 * np.linalg.slogdet(S)[1], rel=1e-10)


def test_smoothing_is_the_conditional_mean(small):
    gain, cover, noise, known, rng = small
    z = rng.normal(size=60)
    S = (cover + np.diag(noise))[np.ix_(known, known)]
    slow, both, sd = wandering.smooth(gain, z)
    np.testing.assert_allclose(wandering.slow_path(gain, z), slow, atol=1e-10)
    np.testing.assert_allclose(both, cover[:, known] @ np.linalg.solve(S, z[known]), atol=1e-9)
    left = np.diag(cover - cover[:, known] @ np.linalg.solve(S, cover[known]))
    np.testing.assert_allclose(sd, np.sqrt(left), rtol=1e-6)


def test_a_response_adds_up_to_one_over_its_bins():
    prior = curve_prior(Settings(), 60.0)
    start = 60.0 * np.arange(100)
    onset = np.array([600.0, 1234.5, 3000.1])
    values, first = airing_columns(onset, start, np.full(100, 60.0), np.ones(100), prior.edges, prior.mean, 40)
    np.testing.assert_allclose(values.sum(axis=1), 1.0, rtol=1e-12)
    assert (start[first] <= onset).all()
    assert (start[first] > onset - 60).all()
    assert prior.mean.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(prior.covariance.sum(axis=0), 0.0, atol=1e-12)


@pytest.fixture
def system():
    rng = np.random.default_rng(2)
    white, first = rng.normal(size=(7, 6)), np.array([0, 2, 3, 3, 9, 10, 14])
    long, z = rng.normal(size=(2, 20)), rng.normal(size=20)
    X = np.zeros((20, 7))
    for j in range(7):
        X[first[j] : first[j] + 6, j] = white[j]
    made = System(
        band=banded(white, first, bandwidth(first, 6)),
        beside=meeting(white, first, long),
        corner=long @ long.T + 0.5 * np.eye(2),
        right=meeting(white, first, z[None])[:, 0],
        below=long @ z,
    )
    return made, X, long.T, z


def test_the_band_holds_every_pair_that_meets(system):
    made, X, _, _ = system
    J = X.shape[1]
    H = np.zeros((J, J))
    for d, row in enumerate(made.band):
        H += np.diag(row[: J - d], -d) + (np.diag(row[: J - d], d) if d else 0)
    np.testing.assert_allclose(H, X.T @ X, atol=1e-12)


def test_alone_is_least_squares(system):
    made, X, D, z = system
    groups = np.column_stack([np.ones(7), np.arange(7) < 3]).astype(float)
    found = alone(made, groups)
    H = X.T @ X
    M = np.block([[H + 1e-3 * np.diag(np.diag(H)), X.T @ D], [D.T @ X, D.T @ D + 0.5 * np.eye(2)]])
    both = np.linalg.solve(M, np.concatenate([X.T @ z, D.T @ z]))
    V = np.linalg.inv(M)[:7, :7]
    np.testing.assert_allclose(found.estimate, both[:7], rtol=1e-8)
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(V)), rtol=1e-8)
    np.testing.assert_allclose(found.totals_covariance, groups.T @ V @ groups, rtol=1e-8)


def test_pooled_evidence_is_that_of_the_dense_covariance(system):
    made, X, D, z = system
    scale = np.linspace(0.5, 2.0, 7)
    features = Features(np.eye(2)[[0, 1, 0, 1, 1, 0, 0]], np.zeros(2, dtype=int))
    W = np.column_stack([np.ones(7), features.columns]) * scale[:, None]

    def by_covariance(omega2, tau2):
        C = X @ (np.diag(scale**2 * omega2) + W @ np.diag([1e7, tau2, tau2]) @ W.T) @ X.T + 2 * D @ D.T + np.eye(20)
        return -0.5 * z @ np.linalg.solve(C, z) - 0.5 * np.linalg.slogdet(C)[1]

    def by_band(omega2, tau2):
        before = -np.log(scale**2 * omega2).sum() - 2 * np.log(tau2)
        return log_evidence(leaning(made, scale, features, omega2, np.array([tau2])), before)

    apart = [by_covariance(*v) - by_band(*v) for v in ((0.01, 0.04), (1.0, 0.5), (4.0, 2.0))]
    np.testing.assert_allclose(apart, apart[0], atol=1e-4)


def test_benchmarked_draws_add_up_to_the_total():
    rng = np.random.default_rng(0)
    moved = benchmark(rng.normal(size=(4000, 5)), np.array([1.0, 1, 1, 1, 4]), 100.0, 3.0, rng)
    sums = moved.sum(axis=1)
    assert sums.mean() == pytest.approx(100.0, abs=0.2)
    assert sums.std() == pytest.approx(3.0, rel=0.05)


def test_heterogeneity_by_moments_finds_the_truth():
    rng = np.random.default_rng(1)
    sd, scale = rng.uniform(1, 3, 4000), rng.uniform(0.5, 2, 4000)
    own = scale * (5 + 2 * rng.normal(size=4000)) + sd * rng.normal(size=4000)
    made = Own(own, sd, np.empty(0), np.empty((0, 0)), np.empty(0), np.empty((0, 0)))
    b, omega2 = between(made, scale)
    assert b == pytest.approx(5.0, abs=0.2)
    assert omega2 == pytest.approx(4.0, rel=0.15)
    assert between(made._replace(estimate=scale * 5.0), scale)[1] == 0.0


# ---- laws of the whole ----------------------------------------------------------------------------------------------


def test_parts_add_up(answered):
    groups = answered.groups
    total = groups.loc[groups["dimension"] == SCHEDULE, "incremental"].iloc[0]
    for _, lines in groups[groups["dimension"] != SCHEDULE].groupby("dimension"):
        assert lines["incremental"].sum() == pytest.approx(total, rel=1e-9)
        assert lines["airings"].sum() == groups["airings"].iloc[0]
    assert answered.airings["incremental"].sum() == pytest.approx(total, rel=1e-9)
    assert answered.bins["ad"].sum() == pytest.approx(answered.airings["incremental"].sum(), rel=1e-6)
    assert answered.curve["share"].sum() == pytest.approx(1.0, abs=1e-3)


def test_intervals_contain_their_estimates(answered):
    for frame, middle in (
        (answered.airings, "incremental"),
        (answered.groups, "incremental"),
        (answered.curve, "density"),
    ):
        known = frame[middle].notna()
        assert (frame["lower"] <= frame[middle])[known].all()
        assert (frame[middle] <= frame["upper"])[known].all()
    assert (answered.bins["counterfactual_lower"] <= answered.bins["counterfactual_upper"]).all()


def test_a_known_schedule_is_found(strong, answered):
    line = answered.groups.iloc[0]
    known = answered.airings["incremental"].notna().to_numpy()
    assert line["lower"] < strong.truth[known].sum() < line["upper"]
    assert line["p"] == pytest.approx(1 / 20)  # no placebo schedule went as far
    assert (line["upper"] - line["lower"]) < strong.truth.sum()
    assert np.corrcoef(answered.airings["incremental"][known], strong.truth[known])[0, 1] > 0.8


def test_permuted_airings_permute_the_answer(strong, answered):
    order = np.random.default_rng(3).permutation(len(strong.airings))
    again = fitted(strong, airings=strong.airings.iloc[order].reset_index(drop=True))
    for name in ("incremental", "lower", "own", "own_sd", "p"):
        np.testing.assert_allclose(again.airings[name], answered.airings[name].to_numpy()[order], rtol=1e-6)


def test_no_effect_is_quiet():
    world = worlds.simulate(902, days=3, airings=120, rate=60.0)
    found = fitted(world)
    line = found.groups.iloc[0]
    assert line["p"] > 0.05
    assert line["lower"] < 0 < line["upper"]
    claims = (found.airings["p"] <= 0.05) & (found.airings["own"] > 0)
    assert claims.mean() <= 0.08  # binomial .999 quantile of 2.5% in 120


def test_the_whole_goes_as_far_as_its_placebos_do(strong, answered):
    """Another of their law passes the line that they draw as often as it should, however heavy its tails."""
    whole, plain = (found.groups.iloc[0] for found in (answered, fitted(strong, shifts=0)))
    beyond_normal = max(np.abs(answered.placebos).max() / 1.95996, 1.0)  # of 19 placebos the largest decides
    assert whole["upper"] - whole["lower"] == pytest.approx(beyond_normal * (plain["upper"] - plain["lower"]), rel=1e-4)
    assert whole["incremental"] == pytest.approx(plain["incremental"])
    rng = np.random.default_rng(1)
    passed = [abs(rng.standard_t(2)) > 1.95996 * beyond(rng.standard_t(2, 60), 0.05) for _ in range(2000)]
    assert np.mean(passed) < 0.065  # 4.9% expected, sd .5%


def test_without_placebo_schedules_nothing_is_widened_and_no_p_made_up(strong):
    found = fitted(strong, shifts=0)
    assert found.inflation == 1.0
    assert found.groups["p"].isna().all()


def test_missing_bins_are_left_out(strong, answered):
    y = strong.y.copy()
    y[1000:1200] = np.nan
    found = fitted(strong, y=y)
    at_s = (strong.airings["start"] - worlds.START).dt.total_seconds().to_numpy() / 60
    gone = (at_s > 1000) & (at_s < 1180)
    assert gone.any()
    assert found.airings.loc[gone, "incremental"].isna().all()
    assert found.airings.loc[~gone & (at_s < 990), "incremental"].notna().all()
    np.testing.assert_allclose(
        found.groups["incremental"].iloc[0],
        answered.airings.loc[~gone, "incremental"].sum(),
        atol=(answered.groups["upper"] - answered.groups["lower"]).iloc[0] / 2,
    )
    assert found.bins["counterfactual"].notna().all()


def test_what_cannot_be_fitted_says_so(strong):
    with pytest.raises(ValueError, match="known bins"):
        fitted(strong, y=np.full(len(strong.y), np.nan))
    with pytest.raises(ValueError, match="at least 2"):
        fitted(strong, airings=strong.airings.iloc[:1])
    with pytest.raises(ValueError, match="lengths"):
        fit_dense(np.arange(5.0), np.ones(4), np.ones(5), np.ones(5), strong.airings, Settings())


# ---- through the front door -----------------------------------------------------------------------------------------


def test_analyze_answers_a_dense_schedule(strong):
    plan = strong.airings.assign(start=strong.airings["start"].dt.floor("s"))
    kept = np.arange(len(strong.y))
    counts = at.read_counts(
        pd.DataFrame({"time": worlds.START + pd.to_timedelta(60 * kept, unit="s"), "count": strong.y})
    )
    close = plan.sort_values("start").iloc[:60].copy()
    close["start"] = plan["start"].min() + pd.to_timedelta(np.arange(60) * 90.0, unit="s")  # one chain of overlaps
    result = at.analyze(counts, at.read_airings(close))
    assert len(result.table) == 60
    assert result.groups["dimension"].iloc[0] == SCHEDULE
    assert set(result.table["verdict"]) <= {"association", "undecided", "no effect", "no data"}
    assert (result.table["rung"] <= 1).all()
    assert result.table["e_value"].isna().all()
    assert set(result.reasons.loc[result.reasons["column"] == "e_value", "airing"]) == set(result.table["airing"])
    assert len(result.total) == len(strong.y)
