"""The banded algebra against dense matrices."""

import numpy as np
import pytest

from attribution.model.field import accumulate, averaging, driven, factorise, ou, prior_band, quadratic, solve_upper

MID = np.cumsum(np.array([1.0, 2.0, 2.0, 5.0, 10.0, 3.0, 1.0, 1.0]))


def dense(band: np.ndarray) -> np.ndarray:
    n = band.shape[1]
    full = np.zeros((n, n))
    for i, row in enumerate(band):
        full += np.diag(row[: n - i], -i)
        if i:
            full += np.diag(row[: n - i], i)
    return full


def test_the_precision_of_an_ou_path_inverts_to_its_covariance():
    band, log_det = prior_band([ou(MID, 0.3, 7.0)], 1)
    cover = 0.09 * np.exp(-np.abs(MID[:, None] - MID) / 7.0)
    np.testing.assert_allclose(np.linalg.inv(dense(band)), cover, atol=1e-12)
    assert log_det == pytest.approx(-np.linalg.slogdet(cover)[1])


def test_two_paths_side_by_side_do_not_touch():
    chains = [ou(MID, 0.3, 7.0), driven(MID, np.linspace(0.1, 0.5, len(MID)), 20.0, 0.4)]
    band, log_det = prior_band(chains, 3)
    full = dense(band)
    assert (full[::2, 1::2] == 0).all()
    assert log_det == pytest.approx(np.linalg.slogdet(full)[1])
    paths = np.random.default_rng(0).normal(size=(len(MID), 2))
    assert quadratic(chains, paths) == pytest.approx(paths.ravel() @ full @ paths.ravel())


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
    chains = [ou(MID, 0.5, 5.0), ou(MID, 0.2, 9.0)]
    n, k = 20, 2 * len(MID)
    first = rng.integers(0, k - 5, n)
    index = np.stack([first, first + 3, np.where(rng.random(n) < 0.3, -1, first + 5)], axis=1)
    coefficient, weight, columns = rng.normal(size=(n, 3)), rng.random(n), rng.normal(size=(n, 4))
    weight[3] = 0.0
    band, _ = prior_band(chains, 6)
    prior = dense(band)
    cross = np.zeros((k, 4))
    accumulate(band, cross, index, coefficient, weight, columns)
    jacobian = np.zeros((n, k + 1))
    for row in range(n):
        for i, c in zip(index[row], coefficient[row], strict=True):
            jacobian[row, i] += c * (i >= 0)
    jacobian = jacobian[:, :k]
    precision = prior + jacobian.T @ (weight[:, None] * jacobian)
    np.testing.assert_allclose(dense(band), precision, atol=1e-12)
    np.testing.assert_allclose(cross, jacobian.T @ (weight[:, None] * columns), atol=1e-12)
    factor = factorise(band, cross)
    np.testing.assert_allclose(solve_upper(factor, factor.white), np.linalg.solve(precision, cross), atol=1e-9)
    assert factor.log_det == pytest.approx(np.linalg.slogdet(precision)[1])


def test_a_precision_that_is_not_positive_is_an_error():
    with pytest.raises(FloatingPointError, match="not positive definite"):
        factorise(np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros((2, 1)))
