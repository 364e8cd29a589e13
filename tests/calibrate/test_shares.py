"""How often the shares' intervals hold the ad's own mix, over worlds whose every nuisance is drawn.

Prints the coverage over all worlds and by each nuisance. The amount's draws are those of a fit with a counterfactual
known to 4%, and the baseline's mix strays from block to block, by an amount that the split has to learn.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest

from attribution.shares import mix_drift, split

WORLDS = int(os.environ.get("WORLDS", "400"))
BLOCKS = 30


def one(rng: np.random.Generator) -> pd.DataFrame:
    categories = int(rng.integers(2, 6))
    base, own = rng.dirichlet(np.full(categories, 3.0)), rng.dirichlet(np.full(categories, 1.5))
    phi, level, lift = rng.uniform(1.05, 3), 10 ** rng.uniform(2.5, 4), rng.uniform(0.1, 0.6)
    drift, tau = rng.choice([0.0, 0.03, 0.08, 0.15]), rng.choice([0.5, 5.0, 20.0])
    path = np.zeros((BLOCKS + 1, categories))
    path[0] = rng.standard_normal(categories)
    for k in range(1, BLOCKS + 1):
        step = rng.standard_normal(categories)
        path[k] = np.exp(-1 / tau) * path[k - 1] + np.sqrt(-np.expm1(-2 / tau)) * step
    mix = base * np.exp(drift * path)
    mix /= mix.sum(axis=1, keepdims=True)
    expected = level * mix
    expected[-1] += lift * level * own
    counts = rng.negative_binomial(expected / (phi - 1), 1 / phi)
    history, window = counts[:-1], counts[-1]
    error = 0.04 * level
    estimate = window.sum() - level + error * rng.standard_normal()
    amount = estimate + np.sqrt(phi * window.sum() + error**2) * rng.standard_normal(399)
    found = split(
        window, history.sum(axis=0), amount, concentration=1.0, dispersion=phi,
        drift=mix_drift(history, dispersion=phi), rng=rng,
    )  # fmt: skip
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "covered": (low <= own) & (own <= high),
            "drift": drift,
            "dispersion": "over 2" if phi > 2 else "to 2",
            "lift": "over 30%" if lift > 0.3 else "to 30%",
            "level": "over 2,000" if level > 2000 else "to 2,000",
        }
    )


@pytest.mark.slow
def test_shares_are_covered_in_every_kind_of_world():
    table = pd.concat([one(np.random.default_rng([77, seed])) for seed in range(WORLDS)])
    print(f"\nshares covered: {table['covered'].mean():.3f} of {len(table)} in {WORLDS} worlds")
    for nuisance in ("drift", "dispersion", "lift", "level"):
        print(table.groupby(nuisance)["covered"].mean().round(3).to_dict(), nuisance)
    assert 0.90 <= table["covered"].mean() <= 0.98
