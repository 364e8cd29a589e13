"""An address shows one exact view."""

from __future__ import annotations

import pytest

from attribution.settings import Settings
from attribution.workbench.event import View, view


def test_an_empty_address_is_the_default_view():
    assert view({}) == View(event="halftime", seed=7, settings=Settings())


def test_a_view_survives_its_address():
    wanted = View(event="null", seed=11, settings=Settings(alpha=0.01, window="60s", response_peak="10s"))
    assert view(wanted.query()) == wanted


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"event": "nope"}, "event is 'nope'; choose one of halftime"),
        ({"seed": "-1"}, "seed is '-1'; write a whole number"),
        ({"seed": "1" * 20}, "write a whole number from 0 to"),
        ({"alpha": "5"}, "alpha is 5"),
        ({"alhpa": "0.1"}, "did you mean 'alpha'"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(query, message):
    with pytest.raises(ValueError, match=message):
        view(query)
