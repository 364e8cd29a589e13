"""Evidence and the credibility of controls."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import attribution as at
from attribution.model import control, monitor, watching
from attribution.model.design import build
from attribution.model.fit import middle
from attribution.model.history import learn
from attribution.model.watching import evidence

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def test_the_half_normal_bayes_factor_equals_quadrature():
    for score, information, scale in ((3.0, 0.02, 40.0), (-1.0, 0.1, 5.0), (0.0, 1.0, 1.0)):
        direct, _ = quad(
            lambda a, t=score, i=information, s=scale: 2 * norm.pdf(a, scale=s) * np.exp(a * t - a * a * i / 2),
            0, 12 * scale, limit=400,
        )  # fmt: skip
        told = monitor.log_bayes(np.array([score]), np.array([information]), scale)[0]
        assert told == pytest.approx(np.log(direct), abs=1e-6)


def path(log_e: np.ndarray) -> monitor.Evidence:
    flat = np.zeros(len(log_e))
    return monitor.Evidence(
        time=np.arange(float(len(log_e))), log_e=log_e, log_plain=log_e, estimate=flat, lower=flat - 1, upper=flat + 1,
        sd=flat + 1, floor=flat + 1, expected=flat + 1, robust_lower=flat, one_region=flat,
        explained=("",) * len(log_e), kind=("",) * len(log_e), lasting=flat, joint=flat,
    )  # fmt: skip


def test_a_decision_needs_two_looks_in_a_row_or_one_half_as_high_again_and_stops_the_path():
    values = np.log([1.0, 29.0, 2.0, 25.0, 29.5, 3.0])
    found = path(values)
    assert found.decided(0.05) == 4.0
    assert np.exp(found.log_e[found.last(0.05)]) == pytest.approx(29.5)
    assert path(values[:3]).decided(0.05) is None
    assert path(values[:0]).last(0.05) == -1
    assert path(np.log([1.0, 29.9, 2.0])).decided(0.05) is None
    once = path(np.log([1.0, 30.1, 2.0]))
    assert once.decided(0.05) == 1.0
    assert once.last(0.05) == 1
    assert (np.diff(found.anytime_p) <= 0).all()
    assert found.anytime_p[0] == 1.0


def test_the_interval_over_time_is_a_normal_mixtures():
    """|est| beyond the half-width exactly where the mixture's likelihood ratio against 0 passes 1/alpha."""
    sd, scale, alpha = 3.0, 10.0, 0.05
    half = float(monitor.over_time(np.array([sd]), scale, alpha)[0])
    mixed = norm.logpdf(half, scale=np.hypot(sd, scale)) - norm.logpdf(half, scale=sd)
    assert mixed == pytest.approx(-np.log(alpha), rel=1e-9)


def test_looks_are_every_two_seconds_and_end_with_the_response(design):
    close = (design.start + design.width)[monitor.ticks(design, 0) - 1] - design.onset[0]
    np.testing.assert_allclose(close[:45], np.arange(2, 92, 2))
    assert (np.diff(close[45:]) >= 10 - 1e-9).all()
    assert close[-1] <= 600


def test_a_look_at_fewer_bins_is_the_look_of_a_shorter_feed(halftime, design):
    """The law of watching: what was known then, cut from a later design or built from the feed of the time."""
    cut = halftime.airings["start"].iloc[0] + pd.Timedelta(seconds=20)
    short = build(
        halftime.counts.between(end=cut), halftime.airings, BRIEF, members=np.array([0]), others=np.empty(0, dtype=int),
        social=halftime.social[halftime.social["time"] < cut],
        audience=halftime.audience[halftime.audience["time"] < cut], context=halftime.context,
    )  # fmt: skip
    noise = middle(learn(design))
    assert middle(learn(short)) == noise
    then = evidence(short, noise, 0, BRIEF)
    watching._kept.clear()  # so that nothing is remembered
    now = evidence(design, noise, 0, BRIEF)
    assert len(then.time) == 10
    for name in ("time", "log_e", "log_plain", "estimate", "lower", "upper", "sd"):
        np.testing.assert_allclose(getattr(then, name), getattr(now, name)[:10], rtol=1e-6, atol=1e-6, err_msg=name)


def test_what_was_looked_at_before_is_remembered_and_the_same(design):
    noise = middle(learn(design))
    whole = evidence(design, noise, 0, BRIEF)
    watching._kept.clear()
    for count in (5, 17, 17, 60):
        part = evidence(design.first(int(monitor.ticks(design, 0)[min(count, len(whole.time)) - 1])), noise, 0, BRIEF)
        np.testing.assert_allclose(part.log_e, whole.log_e[: len(part.log_e)], atol=1e-9)


def test_the_best_null_world_is_the_denominator(design):
    """E* never exceeds the plain mixture's e-value: its denominator is the largest of the mixture's parts."""
    found = evidence(design, middle(learn(design)), 0, BRIEF)
    assert (found.log_e <= found.log_plain + 1e-9).all()
    assert found.decided(0.05) is not None  # halftime has an effect


def test_a_control_that_followed_is_credible_and_one_that_did_not_is_not(design):
    noise = middle(learn(design))
    assert control.credibility(design, noise, 0).credible
    start, width, y = design.fine
    rng = np.random.default_rng(0)
    spared = [design.regions.index("eu-west")]
    jumps = np.repeat(np.exp(0.8 * rng.normal(size=len(start) // 30 + 1)), 30)[: len(start)]
    y = y.copy()
    y[spared] = rng.poisson(np.nan_to_num(y[spared]) * jumps)
    wild = replace(design, fine=(start, width, y))
    found = control.credibility(wild, noise, 0)
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
