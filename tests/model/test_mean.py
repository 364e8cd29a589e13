"""The expected counts against their own derivatives and sums."""

import numpy as np
import pytest

from attribution.model import layout as layouts
from attribution.model import mean as model
from attribution.model.fit import STEP
from attribution.model.history import learn
from attribution.model.nulls import NULLS, ONE_REGION

EVERY = [*layouts.WORLDS, *NULLS[3:], ONE_REGION._replace(struck=1), STEP]


@pytest.mark.parametrize("world", EVERY, ids=lambda w: w.name)
def test_derivatives_equal_differences(design, world):
    layout = layouts.frame(design, learn(design)[0][1], world, 3, lift_sd=1.0)
    rng = np.random.default_rng(3)
    start = layouts.initial(design, layout)
    effects = start.effects + 0.05 * rng.normal(size=len(start.effects))
    effects[layout.names["incremental"]] = 300.0
    state = layouts.State(0.05 * rng.normal(size=start.paths.shape), effects)
    mean = model.predict(design, layout, state)
    jacobian = model.differentiate(design, layout, state, mean)
    for _ in range(3):
        step = layouts.State(1e-6 * rng.normal(size=start.paths.shape), 1e-6 * rng.normal(size=len(effects)))
        up, down = (
            model.predict(design, layout, layouts.State(state.paths + s * step.paths, effects + s * step.effects))
            for s in (1, -1)
        )
        found = np.concatenate([(up.base + up.ad - down.base - down.ad).ravel(), up.feed - down.feed]) / 2
        latent = np.append(step.paths.ravel(), 0.0)
        told = (jacobian.coefficient * latent[jacobian.index]).sum(axis=1) + jacobian.effects @ step.effects
        np.testing.assert_allclose(told, found, atol=2e-5 * np.abs(found).max())


def test_regional_deviations_leave_the_total_alone(design):
    layout = layouts.frame(design, learn(design)[0][1], layouts.WORLDS[0], 0, lift_sd=1.0)
    effects = layouts.initial(design, layout).effects
    effects[layout.names["incremental"]] = 500.0
    plain = model.responses(design, layout, effects).sum()
    effects[layout.names["deviation"]] = 0.7
    effects[layout.names["misfit"]] = -0.4
    assert model.responses(design, layout, effects).sum() == pytest.approx(plain, rel=1e-9)


def test_nothing_of_the_ad_reaches_a_region_that_did_not_see_it(design):
    layout = layouts.frame(design, learn(design)[0][1], layouts.WORLDS[0], 0, lift_sd=1.0)
    effects = layouts.initial(design, layout).effects
    effects[layout.names["incremental"]] = 500.0
    assert model.responses(design, layout, effects)[0, ~design.exposed].sum() == 0.0
