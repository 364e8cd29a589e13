"""Which prior an answer leans on: the index against its definition, and against published figures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from attribution.model.sensitivity import POWERS, index

MEASURED = np.array(
    [9.5, 10.2, 9.1, 9.1, 10.3, 10.9, 11.7, 10.3, 9.6, 8.6, 9.1, 11.1, 9.3, 10.5, 9.7, 10.3, 10.0, 9.8, 9.6, 8.3, 10.2,
     9.8, 10.0, 10.0, 9.1]
)  # fmt: skip
"""Data of the example that priorsense documents: y ~ normal(mu, sigma), mu ~ normal(0, 1), sigma ~ normal+(0, 2.5)."""


def reweighted(draws, log_prior):
    """Return the index by its definition, step by step: every distribution function from its own sum over all draws."""
    order = np.sort(draws)
    found = []
    for power in POWERS:
        weight = np.exp((power - 1.0) * (log_prior - log_prior.mean()))
        ends = []
        for sign in (1.0, -1.0):
            steps = np.sort(sign * order)
            apart = bound = 0.0
            for low, high in pairwise(steps):
                below = sign * draws <= low
                p, q = below.mean(), weight[below].sum() / weight.sum()
                middle = (p + q) / 2
                one = p * np.log2(p / middle) + (q - p) / (2 * np.log(2))
                other = q * np.log2(q / middle) + (p - q) / (2 * np.log(2))
                apart += (high - low) * (one + other)
                bound += (high - low) * (p + q)
            ends.append(np.sqrt(apart / bound))
        found.append(max(ends) / abs(np.log2(power)))
    return np.mean(found)


@pytest.mark.parametrize("skew", [0.0, 0.8])
def test_the_index_is_its_definition(skew):
    rng = np.random.default_rng(4)
    draws = np.exp(skew * rng.standard_normal(600)) if skew else 3.0 + rng.standard_normal(600)
    log_prior = -0.5 * (draws - 1.0) ** 2
    assert index(draws, log_prior) == pytest.approx(reweighted(draws, log_prior), rel=1e-6)


def posterior(count, seed):
    """Draw (mu, sigma) from the exact posterior of the example, on a fine grid; return them with both log densities."""
    mu, sigma = np.meshgrid(np.linspace(6.0, 12.0, 600), np.linspace(0.3, 5.0, 500), indexing="ij")

    def logs(mu, sigma):
        squares = ((MEASURED[:, None] - np.ravel(mu)) ** 2).sum(axis=0).reshape(np.shape(mu))
        return -0.5 * mu**2 - 0.5 * (sigma / 2.5) ** 2, -len(MEASURED) * np.log(sigma) - 0.5 * squares / sigma**2

    log = sum(logs(mu, sigma)).ravel()
    rng = np.random.default_rng(seed)
    chosen = rng.choice(log.size, count, p=np.exp(log - log.max()) / np.exp(log - log.max()).sum())
    inside = rng.uniform(-0.5, 0.5, (2, count))
    drawn = mu.ravel()[chosen] + inside[0] * 6.0 / 599, sigma.ravel()[chosen] + inside[1] * 4.7 / 499
    return (*drawn, *logs(*drawn))


def test_the_index_is_what_priorsense_publishes_of_its_example():
    """priorsense's pages print .39 to .43 (mu) and .27 to .36 (sigma) for the prior, .52 to .67 for the likelihood."""
    found = []
    for seed in range(4):
        mu, sigma, prior, likelihood = posterior(4000, seed)
        found.append([index(mu, prior), index(sigma, prior), index(mu, likelihood), index(sigma, likelihood)])
    mu, sigma, *likelihood = np.mean(found, axis=0)
    assert 0.37 < mu < 0.44
    assert 0.26 < sigma < 0.37
    assert all(0.48 < value < 0.68 for value in likelihood)


def test_a_prior_that_no_quantity_depends_on_moves_nothing():
    rng = np.random.default_rng(2)
    x, other = rng.standard_normal((2, 4000))
    assert index(x, np.zeros(4000)) == 0.0
    assert index(x, -0.5 * other**2) < 0.05 < index(x, -0.5 * x**2)
