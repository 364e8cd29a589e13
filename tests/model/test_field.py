"""The banded algebra against dense matrices."""

import numpy as np
import pytest

from attribution.model.field import (
    accumulate,
    averaging,
    covariances,
    driven,
    factorise,
    ou,
    quadratic,
    solve_upper,
    stack,
)

MID = np.cumsum(np.array([1.0, 2.0, 2.0, 5.0, 10.0, 3.0, 1.0, 1.0]))


def dense(band: np.ndarray) -> np.ndarray:
    n = len(band)
    full = np.zeros((n, n))
    for i, row in enumerate(band):
        for offset, value in enumerate(row[: i + 1]):
            full[i, i - offset] = full[i - offset, i] = value
    return full


def test_the_precision_of_an_ou_path_inverts_to_its_covariance():
    chains = stack([ou(MID, 0.3, 7.0)])
    cover = 0.09 * np.exp(-np.abs(MID[:, None] - MID) / 7.0)
    np.testing.assert_allclose(np.linalg.inv(dense(chains.band)), cover, atol=1e-12)
    assert chains.log_det == pytest.approx(-np.linalg.slogdet(cover)[1])


def test_two_paths_side_by_side_do_not_touch():
    chains = stack([ou(MID, 0.3, 7.0), driven(MID, np.linspace(0.1, 0.5, len(MID)), 20.0, 0.4)])
    full = dense(chains.band)
    assert (full[::2, 1::2] == 0).all()
    assert chains.log_det == pytest.approx(np.linalg.slogdet(full)[1])
    paths = np.random.default_rng(0).normal(size=(len(MID), 2))
    told = quadratic(chains.first, chains.decay, chains.step, paths)
    assert told == pytest.approx(paths.ravel() @ full @ paths.ravel())


def test_a_driven_path_with_constant_innovations_is_an_ou_path():
    still = driven(MID, np.full(len(MID), 0.02), 10.0, 0.02 * 10 / 2)
    plain = ou(MID, np.sqrt(0.02 * 10 / 2), 10.0)
    np.testing.assert_allclose(still.step, plain.step)
    assert still.first == pytest.approx(plain.first)


def test_the_mean_of_a_bin_has_the_variance_of_a_simulated_one():
    width, tau = 30.0, 20.0
    rng = np.random.default_rng(1)
    at = np.arange(0, width, 0.25)
    root = np.linalg.cholesky(np.exp(-np.abs(at[:, None] - at) / tau) + 1e-10 * np.eye(len(at)))
    means = (root @ rng.normal(size=(len(at), 20_000))).mean(axis=0)
    assert averaging(np.array([width]), tau)[0] ** 2 == pytest.approx(means.var(), rel=0.04)


def test_accumulated_information_and_solves_equal_dense_ones():
    rng = np.random.default_rng(2)
    paths = 3
    band = stack([ou(MID, 0.5, 5.0), ou(MID, 0.2, 9.0), ou(MID, 0.1, 3.0)]).band
    n, k = 40, paths * len(MID)
    moment = rng.integers(0, len(MID), n) * paths
    index = np.stack([moment, moment + 1, np.where(rng.random(n) < 0.3, -1, moment + 2)], axis=1)
    coefficient, weight, columns = rng.normal(size=(n, 3)), rng.random(n), rng.normal(size=(n, 4))
    weight[3] = 0.0
    prior = dense(band)
    cross = np.zeros((k, 4))
    accumulate(band, cross, index, coefficient, weight, columns)
    jacobian = np.zeros((n, k))
    for row in range(n):
        for i, c in zip(index[row], coefficient[row], strict=True):
            if i >= 0:
                jacobian[row, i] += c
    precision = prior + jacobian.T @ (weight[:, None] * jacobian)
    np.testing.assert_allclose(dense(band), precision, atol=1e-12)
    np.testing.assert_allclose(cross, jacobian.T @ (weight[:, None] * columns), atol=1e-12)
    factor = factorise(band, cross.copy())
    np.testing.assert_allclose(solve_upper(factor, factor.white), np.linalg.solve(precision, cross), atol=1e-9)
    assert factor.log_det == pytest.approx(np.linalg.slogdet(precision)[1])
    inverse = np.linalg.inv(precision)
    for t, block in enumerate(covariances(factor.lower, paths)):
        own = slice(t * paths, (t + 1) * paths)
        np.testing.assert_allclose(block, inverse[own, own], atol=1e-10)


def test_a_precision_that_is_not_positive_is_an_error():
    with pytest.raises(FloatingPointError, match="not positive definite"):
        factorise(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros((2, 1)))
