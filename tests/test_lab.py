"""The placebo lab: only moments without the ad, all of them over before it, judged as the airing was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import lab, plates
from attribution.lab import Lab, empty, placebo_lab, quiet_moments
from attribution.tuning import Tuner

SETTINGS = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
START = pd.Timestamp("2026-02-08T20:06:00Z")


def grid(minutes: int = 45, step: float = 1.0) -> at.Counts:
    n = int(minutes * 60 / step)
    start = START.tz_localize(None).to_datetime64() + (step * np.arange(n) * 1e9).astype("timedelta64[ns]")
    return at.Counts(
        start=start.astype("datetime64[ns]"), width=np.full(n, step), values=np.full((n, 1, 1, 1), 9.0),
        completeness=np.ones((n, 1)),
    )  # fmt: skip


def aired(*seconds: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "airing": [f"A{i}" for i in range(len(seconds))], "start": START + pd.to_timedelta(list(seconds), unit="s"),
            "length_s": 30.0,
        }
    )  # fmt: skip


def context(*spans: tuple[float, float]) -> pd.DataFrame:
    low, high = (START + pd.to_timedelta([s[i] for s in spans], unit="s") for i in (0, 1))
    return pd.DataFrame({"kind": "break", "start": low, "end": high, "label": ""})


def lags(found: pd.DataFrame) -> np.ndarray:
    return found["moment"].to_numpy() - START.value / 1e9


def test_every_moment_is_over_before_the_airing_and_far_from_any_other():
    found = quiet_moments(grid(), aired(900.0, 2100.0), SETTINGS, 1, None)
    at_ = lags(found)
    assert len(at_) > 15
    assert (np.diff(at_) > 0).all()
    assert at_.max() + 60 <= 2100
    assert not ((at_ > 900 - 60) & (at_ < 900 + 60)).any()
    assert at_.min() >= 0.2 * 1800
    assert len(at_) <= lab.MOST + 1


def test_earlier_breaks_are_taken_where_the_airing_was_in_its_own():
    declared = context((300.0, 420.0), (900.0, 1020.0), (2070.0, 2220.0))
    found = quiet_moments(grid(), aired(2100.0), SETTINGS, 0, declared)
    assert lags(found[found["kind"] == "break"]).tolist() == [930.0]
    outside = quiet_moments(grid(), aired(1500.0), SETTINGS, 0, declared)
    assert set(outside["kind"]) == {"moment"}


def test_coarse_bins_are_not_cut():
    found = quiet_moments(grid(60 * 20, 60.0), aired(60.0 * 1100), SETTINGS.replace(window="5min"), 0, None)
    assert (np.diff(lags(found)) >= 60.0).all()


@pytest.fixture(scope="module")
def found():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    tuner = Tuner(world.counts, world.airings, {"social": world.social, "context": world.context})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "MOST", 4)
        told: list[tuple[int, int]] = []
        return tuner, placebo_lab(tuner, SETTINGS, "HALFTIME_PRIME", progress=lambda *far: told.append(far)), told


def test_the_airing_itself_is_judged_as_the_analysis_judges_it(found):
    tuner, made, _ = found
    low, middle, high = tuner.amount(SETTINGS, "HALFTIME_PRIME")
    assert made.own["estimate"] == pytest.approx(middle, rel=0.08)
    assert made.own["lower"] == pytest.approx(low, rel=0.12)
    assert made.own["upper"] == pytest.approx(high, rel=0.12)


def test_moments_without_the_ad_show_less_than_the_ad(found):
    _, made, told = found
    assert made.n == told[-1][1] == told[-1][0]
    assert (made.table["z"].abs() < made.own["z"]).all()
    assert made.as_far == 0
    assert made.p == pytest.approx(2 / (made.n + 1))
    assert f"would need {made.needed}" in made.sentence
    assert made.false_lower <= made.false <= made.false_upper


def test_a_placebo_can_be_looked_into(found):
    tuner, made, _ = found
    time = made.table["time"].iloc[0]
    bins = lab.placebo_bins(tuner, SETTINGS, "HALFTIME_PRIME", time)
    assert bins["time"].max() < time + pd.Timedelta("60s")
    inside = bins[bins["time"] >= time]
    assert inside["ad"].sum() == pytest.approx(made.table["estimate"].iloc[0], abs=0.5 * made.table["sd"].iloc[0])


def test_the_forest_begins_with_the_airing_and_then_the_worst(found):
    _, made, _ = found
    rows = plates.lab_rows(made, "HALFTIME_PRIME")
    assert rows["kind"].iloc[0] == "own"
    worst = made.table.loc[made.table["z"].abs().idxmax()]
    assert rows["value"].iloc[1] == worst["estimate"]
    assert rows["label"].is_unique


def test_one_series_brings_the_moments_it_was_compared_with():
    rng = np.random.default_rng(5)
    n = 60 * 20
    start = START.tz_localize(None).to_datetime64() + (60 * np.arange(n)).astype("timedelta64[s]")
    y = rng.poisson(60.0, n).astype(float)
    y[1100:1104] += [40, 60, 30, 10]
    counts = at.Counts(
        start=start.astype("datetime64[ns]"), width=np.full(n, 60.0), values=y[:, None, None, None],
        completeness=np.ones((n, 1)),
    )  # fmt: skip
    airings = at.read_airings(pd.DataFrame({"airing": ["A"], "start": [START + pd.Timedelta(minutes=1100)]}))
    made = placebo_lab(Tuner(counts, airings, {}), at.Settings(), "A")
    assert made.n >= made.needed
    assert made.p <= 0.05
    assert made.as_far <= 2
    assert made.false <= 0.1
    assert "placebo p" in made.sentence


@pytest.mark.parametrize(
    ("settings", "airings", "words"),
    [
        (at.Settings(baseline="brief"), aired(2100.0), "brief's engine"),
        (SETTINGS, aired(99_000.0), "do not reach"),
    ],
    ids=["brief", "outside"],
)
def test_without_placebos_the_reason_is_given(settings, airings, words):
    full = at.read_airings(airings)
    made = placebo_lab(Tuner(grid(), full, {}), settings, "A0")
    assert words in made.sentence
    assert made.n == 0


def test_an_empty_lab_says_why():
    assert empty("nothing aired.").sentence == "nothing aired."
    assert isinstance(empty(""), Lab)
