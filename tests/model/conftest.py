"""One small simulated event and its design, shared by the model's tests."""

import numpy as np
import pytest

import attribution as at
from attribution.model.design import Design, build

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


@pytest.fixture(scope="session")
def halftime():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture(scope="session")
def design(halftime) -> Design:
    built = build(
        halftime.counts,
        halftime.airings,
        BRIEF,
        members=np.array([0]),
        others=np.empty(0, dtype=int),
        social=halftime.social,
        audience=halftime.audience,
        context=halftime.context,
    )
    assert built is not None
    return built
