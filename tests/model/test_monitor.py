"""Evidence and the credibility of controls."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import attribution as at
from attribution.model import monitor
from attribution.model.history import learn


def test_the_half_normal_bayes_factor_equals_quadrature():
    for score, information, scale in ((3.0, 0.02, 40.0), (-1.0, 0.1, 5.0), (0.0, 1.0, 1.0)):
        direct, _ = quad(
            lambda a, t=score, i=information, s=scale: 2 * norm.pdf(a, scale=s) * np.exp(a * t - a * a * i / 2),
            0, 12 * scale, limit=400,
        )  # fmt: skip
        told = monitor.log_bayes(np.array([score]), np.array([information]), scale)[0]
        assert told == pytest.approx(np.log(direct), abs=1e-6)


def test_a_decision_needs_two_looks_in_a_row_and_stops_the_path():
    path = np.log([1.0, 30.0, 2.0, 25.0, 40.0, 3.0])
    found = monitor.Evidence(time=np.arange(6.0), log_e=path, method="joint filter")
    assert found.decided(0.05) == 4.0
    assert np.exp(found.stopped(0.05)) == pytest.approx(40.0)
    assert monitor.Evidence(time=np.arange(3.0), log_e=path[:3], method="").decided(0.05) is None
    assert (np.diff(found.anytime_p) <= 0).all()
    assert found.anytime_p[0] == 1.0


def test_a_control_that_followed_is_credible_and_one_that_did_not_is_not(design):
    noise = learn(design)
    assert monitor.credibility(design, noise, 0).credible
    start, width, y = design.fine
    rng = np.random.default_rng(0)
    control = [design.regions.index("eu-west")]
    jumps = np.repeat(np.exp(0.8 * rng.normal(size=len(start) // 30 + 1)), 30)[: len(start)]
    y = y.copy()
    y[control] = rng.poisson(np.nan_to_num(y[control]) * jumps)
    wild = replace(design, fine=(start, width, y))
    found = monitor.credibility(wild, noise, 0)
    assert not found.credible
    assert found.ratio > 2


def test_a_level_that_stays_is_not_claimed_and_a_response_that_fades_is():
    world = at.simulate(at.SCENARIOS["surge_only"], rng=3)
    begin = int(world.airings["start"].iloc[0].value / 1e9 - world.counts.seconds[0])
    rng = np.random.default_rng(4)
    second = np.arange(len(world.counts.start)) - begin
    for shape, claimed in (
        (1.0 * (second >= 0), False),
        (np.where(second >= 0, np.exp(-np.maximum(second, 0) / 30), 0), True),
    ):
        y = rng.poisson(40 * (1 + 0.8 * shape)).astype(float)
        counts = at.Counts(
            start=world.counts.start, width=world.counts.width, values=y[:, None, None, None],
            completeness=np.ones((len(y), 1)),
        )  # fmt: skip
        result = at.analyze(counts, world.airings.assign(regions=""), at.Settings(window="90s"))
        assert (result.verdict.word == "association") == claimed, result.verdict
        assert result.table["rung"].iloc[0] == 1
