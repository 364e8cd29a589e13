"""The filter against the dense algebra it stands for."""

import numpy as np
import pytest

from attribution.model import amounts, whitening

BEFORE, RESPONSE, AFTER = 40, 6, 20
N = BEFORE + RESPONSE + AFTER
SCALE = (4.0, 0.15, 0.02)
RIDGE = np.array([1e-8, 1.0])


@pytest.fixture(scope="module")
def window():
    rng = np.random.default_rng(3)
    path = np.log(80) + 0.1 * np.cumsum(rng.normal(size=N)) / 3
    y = rng.poisson(np.exp(path)).astype(float)
    y[[7, BEFORE + RESPONSE + 3]] = np.nan
    share = np.where(np.isfinite(y), 1.0, 0.0)
    share[12] = 0.5
    y[12] = y[12] // 2
    return y, share


def dense(y, share, extra_columns=None):
    """Covariance, working response, regressors and the bins outside the response, written out in full."""
    rate, z, noise, use = whitening.working(y, share, BEFORE, BEFORE + RESPONSE)
    lag = np.sqrt(3) * np.abs(np.subtract.outer(np.arange(N), np.arange(N))) / SCALE[0]
    cov = SCALE[1] ** 2 * (1 + lag) * np.exp(-lag) + np.diag(noise + SCALE[2])
    columns = np.column_stack([np.ones(N), np.linspace(-1, 1, N)])
    if extra_columns is not None:
        columns = np.column_stack([columns, extra_columns(rate)])
    return rate, z, cov, columns, use


def least_squares(cov, columns, z, ridge):
    inverse = np.linalg.inv(cov)
    precision = columns.T @ inverse @ columns + np.diag(ridge)
    effect = np.linalg.solve(precision, columns.T @ inverse @ z)
    return effect, precision, inverse


def told(y, share, mass, misfit, live=False):
    grid, chosen, weight = np.array([SCALE]), np.array([[0]]), np.array([[1.0]])
    none = np.empty((1, len(y), 0))
    return amounts.estimates(
        y[None], share[None], none, RIDGE, BEFORE, RESPONSE, grid, chosen, weight, mass, np.ones(len(mass)) / len(mass),
        np.ones(RESPONSE), misfit, live,
    )[0]  # fmt: skip


def test_the_likelihood_is_that_of_the_normal_with_trend_integrated_out(window):
    y, share = window
    _, z, cov, columns, use = dense(y, share)
    effect, precision, inverse = least_squares(cov[np.ix_(use, use)], columns[use], z[use], RIDGE)
    square = z[use] @ inverse @ z[use] - effect @ precision @ effect
    expected = -0.5 * (np.linalg.slogdet(cov[np.ix_(use, use)])[1] + np.linalg.slogdet(precision)[1] + square)
    found = amounts.log_likelihoods(
        y[None], share[None], np.empty((1, N, 0)), RIDGE, BEFORE, RESPONSE, np.array([SCALE])
    )
    assert found[0, 0] == pytest.approx(expected, rel=1e-9)


def test_one_kernel_without_misfit_is_generalised_least_squares(window):
    y, share = window
    mass = np.array([[0.4, 0.3, 0.15, 0.1, 0.05, 0.0]])

    def kernel(rate):
        column = np.zeros(N)
        column[BEFORE : BEFORE + RESPONSE] = mass[0] / np.exp(rate[BEFORE : BEFORE + RESPONSE])
        return column

    _, z, cov, columns, _ = dense(y, share, kernel)
    seen = np.isfinite(y)
    effect, precision, _ = least_squares(cov[np.ix_(seen, seen)], columns[seen], z[seen], [*RIDGE, 0.0])
    amount, var, _, weight = told(y, share, mass, misfit=0.0)[0]
    assert amount == pytest.approx(effect[2] * mass.sum(), rel=1e-8)
    assert var == pytest.approx(np.linalg.inv(precision)[2, 2], rel=1e-8)
    assert weight == 1.0


def test_a_shape_that_is_never_right_leaves_the_sum_less_its_prediction(window):
    y, share = window
    rate, z, cov, columns, use = dense(y, share)
    effect, precision, inverse = least_squares(cov[np.ix_(use, use)], columns[use], z[use], RIDGE)
    gain = cov[np.ix_(~use, use)] @ inverse
    response = np.arange(N)[~use]
    keep = (response >= BEFORE) & (response < BEFORE + RESPONSE)
    left = columns[~use] - gain @ columns[use]
    error = (z[~use] - columns[~use] @ effect - gain @ (z[use] - columns[use] @ effect))[keep]
    spread = cov[np.ix_(~use, ~use)] - gain @ cov[np.ix_(use, ~use)] + left @ np.linalg.inv(precision) @ left.T
    level = np.exp(rate[BEFORE : BEFORE + RESPONSE])
    amount, var, expected, weight = told(y, share, np.full((1, RESPONSE), 1 / RESPONSE), misfit=1e9)[0]
    assert weight < 1e-6
    assert amount == pytest.approx(level @ error, rel=1e-6)
    assert var == pytest.approx(level @ spread[np.ix_(keep, keep)] @ level, rel=1e-6)
    assert amount + expected == pytest.approx(y[BEFORE : BEFORE + RESPONSE].sum(), rel=1e-6)


def test_a_watched_look_knows_nothing_of_what_came_later(window):
    y, share = window
    mass = np.full((2, RESPONSE), 1 / RESPONSE)
    cut = BEFORE + RESPONSE
    whole = told(y[:cut], share[:cut], mass, 0.25, live=True)
    for look in range(RESPONSE):
        early_y, early_share = y[:cut].copy(), share[:cut].copy()
        early_y[BEFORE + look + 1 :], early_share[BEFORE + look + 1 :] = np.nan, 0.0
        early = told(early_y, early_share, mass, 0.25, live=True)
        np.testing.assert_allclose(whole[look], early[look], rtol=1e-9)


def test_the_mix_lies_between_its_parts_and_leans_on_the_surer():
    kernel, free = (100.0, 4.0), (120.0, 400.0)
    amount, var, weight = amounts.joined(*kernel, *free, 0.25)
    assert kernel[0] < amount < free[0]
    assert kernel[1] < var < free[1]
    assert 0 < weight < 1
    assert amounts.joined(*kernel, *free, 0.0)[2] == 1.0
    assert amounts.joined(*kernel, 120.0, 4.1, 0.25)[2] < weight
    assert amounts.joined(np.nan, np.nan, *free, 0.25)[:2] == free
