"""The scales learnt from the history against the scales it was simulated with."""

from dataclasses import replace

import numpy as np
import pytest

import attribution as at
from attribution.model.design import build
from attribution.model.fit import middle
from attribution.model.history import fano, learn


def noise_of(seed: int, **changes):
    scenario = replace(at.SCENARIOS["null"], breaks=(), airings=(at.SCENARIOS["surge_only"].airings), **changes)
    world = at.simulate(scenario, rng=seed)
    built = build(world.counts, world.airings, at.Settings(), members=np.array([0]), others=np.empty(0, dtype=int))
    assert built is not None
    return middle(learn(built))


@pytest.mark.parametrize("sd", [0.02, 0.08, 0.2])
def test_shared_wandering_is_learnt(sd):
    found = [noise_of(seed, shared_sd=sd, shared_tau_s=60.0, region_sd=0.01).shared[0] for seed in range(6)]
    assert np.exp(np.mean(np.log(found))) == pytest.approx(sd, rel=0.35)


@pytest.mark.parametrize("sd", [0.03, 0.1])
def test_regional_wandering_is_learnt(sd):
    found = [noise_of(seed, region_sd=sd, region_tau_s=70.0).regional[0] for seed in range(6)]
    assert np.exp(np.mean(np.log(found))) == pytest.approx(sd, rel=0.4)


def test_dispersion_is_told_from_wandering():
    rng = np.random.default_rng(5)
    rate = 40 * np.exp(np.cumsum(0.01 * rng.normal(size=4000)))
    for phi in (1.0001, 2.0, 4.0):
        y = rng.negative_binomial(rate / (phi - 1), 1 / phi).astype(float)[None]
        assert fano(y) == pytest.approx(phi, rel=0.12)


def test_bursts_of_requests_are_dispersion_not_a_minutes_wandering():
    rng = np.random.default_rng(6)
    world = at.simulate(at.SCENARIOS["null"], rng=1)
    clumps = np.zeros(len(world.counts.start))
    for begin in rng.integers(0, len(clumps) - 2, 900):
        clumps[begin : begin + 2] += rng.poisson(5, 2)
    counts = at.Counts(
        start=world.counts.start,
        width=world.counts.width,
        values=clumps[:, None, None, None],
        completeness=np.ones((len(clumps), 1)),
    )
    airings = world.airings.assign(regions="")
    built = build(counts, airings, at.Settings(), members=np.array([0]), others=np.empty(0, dtype=int))
    assert built is not None
    noise = middle(learn(built))
    rate, (sd, tau) = clumps.mean(), noise.regional
    truth = clumps[: len(clumps) // 60 * 60].reshape(-1, 60).mean(axis=1).var() / rate**2
    u = 60.0 / tau
    told = noise.dispersion / (60 * rate) + sd**2 * 2 * (u + np.expm1(-u)) / u**2
    assert noise.dispersion > 3
    assert told > 0.5 * truth  # a minute's mean rate is not taken for steadier than it was seen to be


def test_strata_are_parts_of_one_posterior(design):
    strata = learn(design)
    assert sum(weight for weight, _ in strata) == pytest.approx(1.0)
    sds = [noise.regional[0] for _, noise in strata]
    assert sds == sorted(sds)
    assert strata[0][1].regional[0] <= middle(strata).regional[0] <= strata[-1][1].regional[0]


def test_a_history_is_learnt_from_once_and_answers_alike(design):
    assert learn(design) is learn(design)
    assert learn(design, dispersion=2.0)[0][1].dispersion == pytest.approx(2.0)
