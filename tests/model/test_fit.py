"""The fast fit against laws, and against a brute-force posterior in a case that is linear."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

import attribution as at
from attribution.model import fit as fast
from attribution.model.climb import TOLERANCE, climb
from attribution.model.decompose import centre, draw
from attribution.model.design import build
from attribution.model.history import learn
from attribution.trials import trial

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


@pytest.fixture(scope="module")
def fitted(design):
    return fast.fit(design, BRIEF)


def test_weights_sum_to_one_and_every_component_is_finite(fitted):
    assert fitted.weight.sum() == pytest.approx(1.0)
    assert np.isfinite(fitted.mean).all()
    assert (fitted.window_sd > 0).all()
    assert sum(fitted.world_weight().values()) == pytest.approx(1.0)
    assert fitted.kernel_weight().sum() == pytest.approx(1.0)


def test_the_mixtures_quantile_inverts_its_distribution(fitted):
    for p in (0.025, 0.5, 0.975):
        x = fast.quantile(fitted.weight, fitted.window_mean[:, 0], fitted.window_sd[:, 0], p)
        assert fitted.weight @ ndtr((x - fitted.window_mean[:, 0]) / fitted.window_sd[:, 0]) == pytest.approx(
            p, abs=1e-6
        )


def test_at_the_mode_the_climb_has_nothing_left_to_gain(design):
    noise = learn(design)[0][1]
    mode = climb(design, noise, fast.worlds(design)[0], 3, lift_sd=1.0)
    assert mode is not None
    again = climb(design, noise, fast.worlds(design)[0], 3, lift_sd=1.0, start=mode)
    assert again is not None
    assert again.evidence == pytest.approx(mode.evidence, abs=2 * TOLERANCE)
    place = mode.layout.names["incremental"]
    spread = fast.fit(design, BRIEF, noise=noise).window_sd.min()
    np.testing.assert_allclose(again.state.effects[place], mode.state.effects[place], atol=0.05 * spread)


def test_the_closed_form_of_the_anchor_kernel_is_the_mode_itself(design, fitted):
    mode = fitted.modes[0]
    found = next(c for c in fitted.components if c.mode == 0 and c.kernel == mode.kernel)
    amount = mode.state.effects[mode.layout.names["incremental"]]
    np.testing.assert_allclose(found.mean, amount, atol=0.1 * np.sqrt(found.cov[0, 0]))


@pytest.mark.parametrize(("name", "surges"), [("shared_surge", True), ("clean", False)])
def test_an_interval_is_widened_beside_a_surge_and_not_in_a_quiet_event(name, surges):
    world = trial(name, 7)
    built = build(
        world.counts, world.airings, BRIEF, members=np.array([0]), others=np.empty(0, dtype=int), social=world.social,
        audience=world.audience, context=world.context,
    )  # fmt: skip
    assert built is not None
    found = fast.fit(built, BRIEF)
    wider = float(found.weight @ found.wider[:, 0])
    assert (1.08 < wider < np.sqrt(fast.BEYOND)) if surges else (1.0 <= wider < 1.04)
    np.testing.assert_allclose(
        found.window_sd, np.sqrt(found.cov[:, :, 0]) * built.window_mass[[c.kernel for c in found.components]]
    )


def test_draws_gather_around_the_centre(fitted, design):
    middle, parts = centre(fitted), draw(fitted, 300, seed=1)
    inside = design.inside(0)
    drawn = parts.counterfactual[:, design.exposed].sum(axis=1) @ inside
    assert middle.counterfactual[design.exposed].sum(axis=0) @ inside == pytest.approx(
        drawn.mean(), abs=4 * drawn.std() / 10
    )
    ad = parts.ad.sum(axis=1) @ inside
    wanted = fast.quantile(fitted.weight, fitted.window_mean[:, 0], fitted.window_sd[:, 0], 0.5)
    assert np.median(ad) == pytest.approx(wanted, abs=4 * ad.std() / np.sqrt(300) * 1.25)
    assert ad.std() == pytest.approx(float(fitted.weight @ fitted.window_sd[:, 0]), rel=0.35)


def test_a_doubled_ad_doubles_the_estimate(halftime):
    amounts = []
    for lift in (0.3, 0.6):
        world = at.simulate(replace(halftime.scenario, lift=lift), rng=11)
        result = at.analyze(world.counts, world.airings, BRIEF, social=world.social, context=world.context)
        amounts.append(result.table["incremental"].iloc[0] / world.truth.incremental("HALFTIME_PRIME", 60.0))
    assert amounts[0] == pytest.approx(amounts[1], abs=0.3)


def test_the_null_of_an_airing_holds_it_at_nothing(design):
    noise = learn(design)[0][1]
    mode = climb(design, noise, fast.worlds(design)[0], 3, lift_sd=1.0, null=0)
    assert mode is not None
    assert mode.state.effects[mode.layout.names["incremental"]][0] == 0.0
    free = climb(design, noise, fast.worlds(design)[0], 3, lift_sd=1.0)
    assert free is not None
    assert free.evidence > mode.evidence  # halftime has an effect


@pytest.mark.parametrize("gain", [0.0, 0.6])
def test_the_fit_is_no_worse_than_a_climb_begun_elsewhere(design, fitted, gain):
    mode = fitted.modes[0]
    other = climb(
        design, mode.noise, mode.world, mode.kernel, lift_sd=1.0, lead=mode.layout.lead, gain=gain, amount=np.zeros(1)
    )
    assert other is not None
    assert mode.evidence > other.evidence - 4 * TOLERANCE


@pytest.mark.parametrize("changes", [{"lift_sd": 0.5}, {"response_peak": "14s"}, {}])
def test_a_fit_that_starts_at_an_earlier_one_says_the_same(design, fitted, changes):
    settings = BRIEF.replace(**changes)
    cold, warm = fast.fit(design, settings), fast.fit(design, settings, start=fitted)
    spread = float(cold.window_sd.min())
    for p in (0.025, 0.5, 0.975):
        found = [fast.quantile(f.weight, f.window_mean[:, 0], f.window_sd[:, 0], p) for f in (cold, warm)]
        assert found[1] == pytest.approx(found[0], abs=0.05 * spread)
    assert set(warm.reached) == set(cold.reached)
    np.testing.assert_allclose(
        list(warm.world_weight().values()), [cold.world_weight()[name] for name in warm.world_weight()], atol=0.05
    )


def test_a_start_from_fewer_seconds_is_a_start_only(design):
    other = fast.fit(design.first(design.known - 8), BRIEF)
    cold, warm = fast.fit(design, BRIEF), fast.fit(design, BRIEF, start=other)
    assert warm.weight @ warm.window_mean[:, 0] == pytest.approx(
        cold.weight @ cold.window_mean[:, 0], abs=0.05 * cold.window_sd.min()
    )
