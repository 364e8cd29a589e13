"""One step's equations, compiled, against the same ones written down term by term; and what a warm start may move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.model import layout as layouts
from attribution.model import mean as model
from attribution.model.climb import ascend, climb, objective
from attribution.model.design import Design, build
from attribution.model.equations import equations, penalty
from attribution.model.field import covariances, factorise
from attribution.model.history import learn
from attribution.model.linear import linearise, marginal
from attribution.model.pooling import System, alone, inverse_diagonal
from attribution.model.rows import expect, given
from attribution.trials import ONE_SPOT
from attribution.worlds import simulate

SETTINGS = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")
WORLDS = {world.name: world for world in layouts.WORLDS}
CASES = ("surge felt differently", "ad makes people post", "hidden shock felt differently")


def made(airings: int, fed: bool = True) -> Design:
    spots = tuple(replace(ONE_SPOT.airings[0], airing=f"S{i}", at_s=1700.0 + 25.0 * i) for i in range(airings))
    world = simulate(replace(ONE_SPOT, airings=spots, minutes=33), rng=4)
    counts = world.counts.between(end=world.airings["start"].max() + pd.Timedelta("75s"))
    found = build(
        counts, world.airings, SETTINGS, members=np.arange(airings), others=np.empty(0, dtype=int),
        social=world.social if fed else None,
        masked=(counts.seconds[:, None] % 311 < 4) & np.array([True, False, False, False]),
    )  # fmt: skip
    assert found is not None
    return found


@pytest.fixture(scope="module", params=[(1, True), (3, True), (1, False)], ids=["one", "three", "no feed"])
def design(request) -> Design:
    return made(*request.param)


def state(design: Design, name: str) -> tuple[layouts.Frame, np.ndarray, np.ndarray]:
    """A state away from any mode, so that nothing cancels."""
    noise = learn(design)[0][1]
    kernel = int(np.argmax(design.kernel_weight))
    layout = layouts.frame(design, noise, WORLDS[name], kernel, lift_sd=1.0, lead=max(len(design.leads) - 2, 0))
    start, rng = layouts.initial(design, layout), np.random.default_rng(3)
    effects = start.effects + 0.05 * rng.normal(size=len(start.effects)) * np.minimum(layout.prior_sd, 1.0)
    effects[layout.names["incremental"]] = 300.0
    return layout, 0.05 * rng.normal(size=start.paths.shape), effects


def term_by_term(design: Design, layout: layouts.Frame, paths: np.ndarray, effects: np.ndarray, targets: np.ndarray):
    """The factor and the gram of [response | effects | basis], from the derivatives one by one."""
    noise, now = learn(design)[0][1], layouts.State(paths, effects)
    mean = model.predict(design, layout, now)
    linear = linearise(design, noise, layout, now, mean)
    columns = [linear.response, *linear.jacobian.effects[:, layout.prior_sd > 0].T]
    for j in targets:
        for row in design.basis[j]:
            one = np.zeros((len(design.onset), len(row)))
            one[j] = row
            columns.append(model.ad_columns(design, layout, effects, one)[j])
    return mean, marginal(layout, linear, np.array(columns).T)


@pytest.mark.parametrize("name", CASES)
def test_the_equations_are_those_written_down_term_by_term(design, name):
    layout, paths, effects = state(design, name)
    targets = np.arange(len(design.onset))
    own = given(design, learn(design)[0][1], layout, layout.prior_sd > 0, targets)
    mean, (factor, gram) = term_by_term(design, layout, paths, effects, targets)
    found = expect(own, paths, effects)
    for ours, theirs in zip((found.base, found.ad, found.feed, found.growth), mean, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    lower, white, log_det, whole, held = equations(own, paths, effects, found)
    np.testing.assert_allclose(lower, factor.lower, rtol=1e-9, atol=1e-9 * np.abs(factor.lower).max())
    np.testing.assert_allclose(white, factor.white, rtol=1e-9, atol=1e-9 * np.abs(factor.white).max())
    assert log_det == pytest.approx(factor.log_det, rel=1e-12)
    gain, scale = layout.names["gain"], layout.names["scale"]
    if design.fed:
        whole[own.place[gain], own.place[gain]] -= held.gain
        whole[0, own.place[gain]] += held.tilt
        whole[own.place[gain], 0] += held.tilt
    whole[0, own.place[scale]] += held.slope
    whole[own.place[scale], 0] += held.slope
    size = np.sqrt(np.maximum(np.diag(gram), 1e-12))  # three bases of unlike length are padded by columns of 0
    np.testing.assert_allclose(whole / np.outer(size, size), gram / np.outer(size, size), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_pull_is_the_slope_of_the_paths_log_determinant(design, name):
    layout, paths, effects = state(design, name)
    own = given(design, learn(design)[0][1], layout, layout.prior_sd > 0, None)
    mean = expect(own, paths, effects)
    held = equations(own, paths, effects, mean)[4]

    def half_log_det(moved: np.ndarray) -> float:
        """With the weights held."""
        return 0.5 * equations(own, paths, moved, mean)[2]

    if not design.fed:
        assert held.gain == 0.0
        return
    at_gain, step = layout.names["gain"].start, 1e-4
    up, down = effects.copy(), effects.copy()
    up[at_gain] += step
    down[at_gain] -= step
    slope = (half_log_det(up) - half_log_det(down)) / (2 * step)
    assert held.gain * effects[at_gain] + held.tilt == pytest.approx(slope, rel=1e-5)
    assert penalty(own, held, up) - penalty(own, held, down) == pytest.approx(slope * 2 * step, rel=1e-5)


def test_a_climb_ends_where_no_step_rises(design):
    layout, paths, effects = state(design, CASES[0])
    effects[layout.prior_sd == 0] = 0.0
    own = given(design, learn(design)[0][1], layout, layout.prior_sd > 0, None)
    before = objective(own, paths, effects, expect(own, paths, effects))
    found = ascend(own, paths, effects, 1e-8)
    assert found[2] > before
    again = ascend(own, found[0], found[1], 1e-8)
    np.testing.assert_allclose(again[1], found[1], rtol=1e-4, atol=1e-4)


def test_a_climb_that_leaves_the_models_range_is_none(design):
    noise = learn(design)[0][1]
    spoilt = replace(design, y=np.where(design.y > 0, np.nan, design.y), memory={})
    assert climb(spoilt, noise, WORLDS[CASES[0]], 0, lift_sd=1.0) is None


def test_columns_that_begin_late_are_whitened_as_if_they_had_been_there():
    rng = np.random.default_rng(0)
    band = np.zeros((30, 4))
    band[:, 0], band[1:, 1], band[3:, 3] = 3.0, 0.4, -0.8
    cross, reach = rng.normal(size=(30, 6)), np.repeat([2, 4, 6], 10)
    for i, count in enumerate(reach):
        cross[i, count:] = 0.0
    whole, some = factorise(band.copy(), cross.copy()), factorise(band.copy(), cross.copy(), reach)
    np.testing.assert_allclose(some.white, whole.white, rtol=0, atol=1e-14)
    assert covariances(some.lower, 3).shape == (10, 3, 3)


def test_the_diagonal_of_a_bands_inverse():
    rng = np.random.default_rng(1)
    for depth in (0, 1, 4):
        lower = np.zeros((depth + 1, 12))
        lower[0] = rng.uniform(1, 2, 12)
        dense = np.diag(lower[0])
        for m in range(1, depth + 1):
            lower[m, : 12 - m] = rng.normal(size=12 - m)
            dense += np.diag(lower[m, : 12 - m], -m)
        np.testing.assert_allclose(inverse_diagonal(lower), np.diag(np.linalg.inv(dense @ dense.T)), rtol=1e-10)


def test_each_airing_alone_has_the_sd_of_the_dense_solution():
    rng = np.random.default_rng(2)
    columns = rng.normal(size=(60, 9)) * (np.abs(np.arange(60)[:, None] / 6 - np.arange(9)) < 1.5)
    long = rng.normal(size=(60, 2))
    gram = columns.T @ columns + np.eye(9)
    band = np.array([np.append(np.diag(gram, -m), np.zeros(m)) for m in range(4)])
    kept = sum(np.diag(band[m, : 9 - m], -m) + (np.diag(band[m, : 9 - m], m) if m else 0) for m in range(4))
    found = alone(
        System(band, columns.T @ long, long.T @ long + np.eye(2), rng.normal(size=9), rng.normal(size=2)), np.eye(9)
    )
    kept[np.diag_indices(9)] *= 1 + 1e-3
    full = np.block([[kept, columns.T @ long], [long.T @ columns, long.T @ long + np.eye(2)]])
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(np.linalg.inv(full))[:9]), rtol=1e-9)
