"""Tables out of a fit: the causal gap, and airings that cannot be told apart."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.frames import bounds_frame, gap_frame, together_frame, weighted_quantiles
from attribution.kernels import Kernel, delayed

SETTINGS = at.Settings()


def made_fit(correlation, *, seed=0, components=3):
    """A mixture over two airings; its windows hold 90% of the first response and 80% of the second."""
    rng = np.random.default_rng(seed)
    sd = np.array([100.0, 80.0])
    one = np.outer(sd, sd) * np.array([[1.0, correlation], [correlation, 1.0]])
    cov = one * rng.uniform(0.8, 1.2, (components, 1, 1))
    mean = np.array([500.0, 300.0]) + 3.0 * rng.standard_normal((components, 2))
    inside = np.array([0.9, 0.8])
    weight = rng.dirichlet(np.ones(components))
    return SimpleNamespace(
        weight=weight, mean=mean, cov=cov, window_mean=mean * inside,
        window_sd=np.sqrt(np.diagonal(cov, axis1=1, axis2=2)) * inside,
    )  # fmt: skip


@pytest.mark.parametrize("correlation", [-0.95, 0.9])
def test_a_pair_that_cannot_be_told_apart_is_told_as_a_sum(correlation):
    """Against 200,000 draws of the mixture: correlation, median and interval of the sum."""
    fit, rng = made_fit(correlation), np.random.default_rng(1)
    row = together_frame(["A", "B"], fit, SETTINGS).iloc[0]
    chosen = rng.choice(len(fit.weight), 200_000, p=fit.weight)
    root = np.linalg.cholesky(fit.cov)
    draws = fit.mean[chosen] + np.einsum("nij,nj->ni", root[chosen], rng.standard_normal((200_000, 2)))
    draws *= np.array([0.9, 0.8])
    assert row["correlation"] == pytest.approx(np.corrcoef(draws.T)[0, 1], abs=0.01)
    spread = draws.sum(axis=1).std()
    for name, p in (("incremental", 0.5), ("lower", 0.025), ("upper", 0.975)):
        assert row[name] == pytest.approx(np.quantile(draws.sum(axis=1), p), abs=0.03 * spread), name


def test_airings_that_can_be_told_apart_are_not_summed():
    assert together_frame(["A", "B"], made_fit(-0.5), SETTINGS).empty
    assert together_frame(["A"], made_fit(0.99), SETTINGS).empty


def test_spots_that_start_together_are_told_together():
    """Two spots two seconds apart: one pair, its interval narrower than the two apart, and both verdicts say so."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    first = world.airings.iloc[0]
    twins = pd.DataFrame([first, first.copy()])
    twins["airing"] = ["A", "B"]
    twins["start"] = [first["start"], first["start"] + pd.Timedelta("2s")]
    settings = at.Settings(window="60s", kernel="gamma", response_peak="10s", response_peak_logsd=0.0)
    told = at.analyze(world.counts, twins.reset_index(drop=True), settings, social=world.social)
    (row,) = told.together.to_dict("records")
    assert (row["airing"], row["other"]) == ("A", "B")
    assert row["correlation"] < -0.8
    assert row["lower"] < row["incremental"] < row["upper"]
    width = (told.table["incremental_upper"] - told.table["incremental_lower"]).min()
    assert row["upper"] - row["lower"] < 0.7 * width
    for verdict in told.verdicts:
        assert any("A and B cannot be told apart" in text for text in verdict.evidence_against)


def test_the_gap_is_that_of_the_lag_itself_and_ordered():
    lags = [Kernel(family="gamma", mode=m, shape=3.0) for m in (8.0, 10.0, 14.0)]
    fit = lambda kernels: SimpleNamespace(  # noqa: E731  twice
        design=SimpleNamespace(kernels=kernels, peak=np.array([8.0, 10.0, 14.0])),
        kernel_weight=lambda: np.array([0.3, 0.5, 0.2]),
    )
    told = gap_frame("A", fit(lags), SETTINGS)
    assert told["what"].tolist() == ["onset", "mode", "mean"]
    assert told["seconds"].is_monotonic_increasing
    assert ((told["lower"] <= told["seconds"]) & (told["seconds"] <= told["upper"])).all()
    assert 8.0 <= told["seconds"][1] <= 14.0
    late = gap_frame("A", fit([delayed(lag, 30.0, 10.0) for lag in lags]), SETTINGS)
    pd.testing.assert_frame_equal(late, told)
    sure = gap_frame("A", fit(lags[1:2] * 3), SETTINGS).iloc[[0, 2]]
    assert sure["seconds"].tolist() == pytest.approx([float(lags[1].quantile(0.05)), float(lags[1].mean)])
    assert sure["lower"].tolist() == sure["upper"].tolist()


def test_quantiles_of_a_weighted_grid_do_not_depend_on_its_order():
    value, weight = np.array([10.0, 40.0, 20.0]), np.array([0.25, 0.25, 0.5])
    assert weighted_quantiles(value, weight, (0.5,)) == pytest.approx([20.0])
    assert weighted_quantiles(value[::-1], weight[::-1], (0.1, 0.9)) == pytest.approx(
        weighted_quantiles(value, weight, (0.1, 0.9))
    )


def test_no_bounds_where_every_loss_is_known():
    assert bounds_frame("A", np.nan, 1.0, 2.0).empty
    assert bounds_frame("A", 0.1, 1.0, 2.0).iloc[0].tolist() == ["A", 0.1, 1.0, 2.0]
