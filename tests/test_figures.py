"""The one rule of how figures are written: an interval holds its estimate, and digits end where knowledge ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attribution.figures import FINEST, between, estimate, figure, place

KINDS = list(FINEST)


def read(text: str) -> float:
    """Read a figure back."""
    bare = text.replace("−", "-").replace(",", "").replace("+", "").replace("×", "").replace(" s", "")
    return float(bare[:-1]) / 100 if bare.endswith("%") else float(bare)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_holds_its_estimate_and_is_as_fine_as_it_is_known(kind):
    rng = np.random.default_rng(3)
    for _ in range(400):
        size = 10.0 ** rng.uniform(-2, 6)
        low, middle, high = np.sort(rng.normal(0.0, size, 3) + rng.normal(0.0, size)).tolist()
        grain = place(low, high, kind)
        row = {"x": middle, "x_lower": low, "x_upper": high}
        ends = [read(end) for end in between(low, high, kind).split(" to ")]
        told = read(estimate(row, "x", kind))
        assert ends[0] <= told <= ends[1] or math.isclose(ends[0], told) or math.isclose(ends[1], told)
        assert abs(told - middle) <= grain / 2 + 1e-9 * size
        assert grain <= max(FINEST[kind], (high - low) / 2 / 3.55 + 1e-12)
        assert grain >= (high - low) / 2 / 100 or grain == FINEST[kind]


def test_an_end_that_is_not_zero_does_not_read_as_zero():
    assert between(3.2, 1180.0, "count") == "+3.2 to +1,200"


def test_an_unknown_figure_is_a_dash_and_an_unknown_interval_is_empty():
    assert estimate({"x": math.nan}, "x", "count") == "—"
    assert figure(math.nan, "share") == figure(math.nan, "probability") == "—"
    assert place(1.0, math.inf, "count") is None
    assert place(2.0, 2.0, "count") is None
