"""Settings travel unchanged and refuse nonsense by name, value and remedy."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import attribution as at
from attribution.settings import KERNELS, PRESETS, seconds


@given(
    st.builds(
        at.Settings,
        kernel=st.sampled_from(KERNELS),
        response_peak=st.integers(1, 59).map(lambda s: f"{s}s"),
        window=st.sampled_from(["auto", "60s", "2min"]),
        alpha=st.floats(0.001, 0.999),
        value=st.none() | st.floats(0, 1e6),
        dispersion=st.none() | st.floats(0.2, 1000),
        social=st.booleans(),
        stream_delay=st.sampled_from(["none", "cable", "12s"]),
    )
)
def test_settings_survive_json_and_url(settings):
    assert at.Settings.from_json(settings.to_json()) == settings
    assert at.Settings.from_url(settings.to_url()) == settings


def test_settings_are_frozen_and_equal_by_value():
    assert at.Settings() == at.Settings()
    assert at.Settings().to_url() == ""
    with pytest.raises(dataclasses.FrozenInstanceError):
        at.Settings().alpha = 0.1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 5}, "alpha is 5; choose a number between 0 and 1"),
        ({"kernel": "gama"}, "did you mean 'gamma'"),
        ({"window": "soon"}, "window is 'soon'; write a duration"),
        ({"window": "-5s"}, "window is -5"),
        ({"response_peak": "90s", "window": "60s"}, "outside the window"),
        ({"response_peak_logsd": -1.0}, "response_peak_logsd is -1"),
        ({"margin": 1.5}, "margin is 1.5"),
        ({"baseline": "mean"}, "choose one of latent, brief"),
        ({"lift_sd": float("nan")}, "lift_sd is nan"),
        ({"value": float("inf")}, "value is inf"),
    ],
)
def test_nonsense_is_named_with_its_remedy(changes, message):
    with pytest.raises(ValueError, match=message):
        at.Settings(**changes)


def test_unknown_names_list_the_valid_ones():
    for make in (
        at.Settings().replace,
        lambda **k: at.Settings.from_url(k),
        lambda **k: at.Settings.from_json('{"alhpa": 1}'),
    ):
        with pytest.raises(ValueError, match=r"did you mean 'alpha'\? valid are kernel"):
            make(alhpa="1")
    with pytest.raises(ValueError, match="settings are not JSON"):
        at.Settings.from_json("{")
    with pytest.raises(ValueError, match="alpha is 'x'; write a number"):
        at.Settings.from_url("alpha=x")


def test_presets_and_delays():
    assert set(PRESETS) == {"learnt", "published", "brief"}
    assert at.Settings.preset("brief").window == "15s"
    assert at.Settings(stream_delay="antenna").delay[0] == 17.0
    assert at.Settings(stream_delay="20s", stream_delay_sd=4.0).delay == (20.0, 4.0)
    assert seconds("5min") == 300.0
