"""The brief's engine does what the brief says, and fails where the brief is naive."""

import numpy as np
import pytest

from attribution.model.brief import brief


def test_a_steady_series_has_its_mean_and_few_spikes():
    y = np.random.default_rng(0).poisson(50, 3000).astype(float)
    engine = brief(y, step=1.0)
    assert np.isnan(engine.baseline[0])
    assert np.nanmean(engine.baseline) == pytest.approx(50, abs=1)
    assert engine.spike.mean() < 0.01


def test_the_average_looks_back_five_minutes_and_never_ahead():
    y = np.concatenate([np.full(600, 10.0), np.full(600, 20.0)])
    engine = brief(y, step=1.0)
    assert engine.baseline[600] == 10.0
    assert engine.baseline[1199] == 20.0


def test_outliers_do_not_move_the_average():
    y = np.random.default_rng(1).poisson(50, 1000).astype(float)
    spiked = y.copy()
    spiked[500] = 5000.0
    assert brief(spiked, step=1.0).baseline[600] == pytest.approx(brief(y, step=1.0).baseline[600], abs=0.5)


def test_missing_bins_are_left_out_and_bins_too_wide_refused():
    y = np.full(700, 10.0)
    y[100:200] = np.nan
    assert brief(y, step=1.0).baseline[650] == 10.0
    with pytest.raises(ValueError, match=r"step is 600 s"):
        brief(y, step=600.0)
