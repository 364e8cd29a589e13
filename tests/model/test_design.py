"""What the arrays of the model must keep of the data."""

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.model.design import build
from attribution.model.windows import groups, history_seconds, response_bank, window_seconds
from attribution.tuning import Tuner

NONE = np.empty(0, dtype=int)
BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def test_bins_lose_no_conversion(halftime, design):
    inside = (halftime.counts.seconds >= design.start[0]) & (
        halftime.counts.seconds < design.start[-1] + design.width[-1]
    )
    order = np.argsort(halftime.counts.regions)
    np.testing.assert_array_equal(design.y.sum(axis=1), halftime.counts.total[inside].sum(axis=0)[order])
    np.testing.assert_allclose(design.start[1:], design.start[:-1] + design.width[:-1])


def test_an_airing_begins_a_bin_and_its_surroundings_are_fine(design):
    begin = int(np.argmin(np.abs(design.start - design.onset[0])))
    assert design.start[begin] == design.onset[0]
    assert design.width[begin : begin + 10].max() <= 2.0
    assert design.width[:20].min() > 10.0


def test_shares_cover_the_regions_that_saw_the_airing_and_no_other(design):
    assert design.share.sum() == pytest.approx(1.0)
    assert design.share[0, design.regions.index("eu-west")] == 0.0
    np.testing.assert_array_equal(design.exposed, [r != "eu-west" for r in design.regions])


def test_every_kernel_puts_its_whole_response_into_the_bins(design):
    assert (design.mass.sum(axis=2) <= 1 + 1e-9).all()
    assert (design.mass.sum(axis=2) > 0.99).all()
    rebuilt = np.einsum("mjq,jqt->mjt", design.coefficient, design.basis)
    np.testing.assert_allclose(rebuilt, design.mass, atol=1e-4 * design.mass.max())
    assert (design.window_mass <= design.mass.sum(axis=2) + 1e-9).all()
    assert design.kernel_weight.sum() == pytest.approx(1.0)


def test_without_a_spared_region_the_regions_are_one_series(halftime):
    everywhere = halftime.airings.assign(regions="")
    one = build(halftime.counts, everywhere, BRIEF, members=np.array([0]), others=NONE)
    assert one is not None
    assert one.regions == ("all",)
    np.testing.assert_allclose(one.exposure[0], one.width)


def test_missing_bins_have_no_observed_seconds(halftime):
    values = halftime.counts.values.copy()
    values[1000:1100, 0] = np.nan
    holed = at.Counts(
        start=halftime.counts.start,
        width=halftime.counts.width,
        values=values,
        regions=halftime.counts.regions,
        channels=halftime.counts.channels,
        devices=halftime.counts.devices,
        completeness=halftime.counts.completeness,
    )
    built = build(holed, halftime.airings, BRIEF, members=np.array([0]), others=NONE)
    assert built is not None
    row = built.regions.index(halftime.counts.regions[0])
    lost = built.width.sum() - built.exposure[row].sum()
    assert lost == pytest.approx(100.0)


def test_no_history_is_no_design(halftime):
    late = halftime.counts.between(start=halftime.airings["start"].iloc[0])
    assert build(late, halftime.airings, BRIEF, members=np.array([0]), others=NONE) is None


def test_a_feed_too_coarse_to_tell_a_surge_from_the_spot_is_left_out(halftime):
    coarse = pd.DataFrame(
        {
            "time": pd.date_range(halftime.counts.start[0], periods=3, freq="15min", tz="UTC").as_unit("ns"),
            "width_s": 900.0,
            "region": "all",
            "count": 5000.0,
        }
    )
    built = build(halftime.counts, halftime.airings, BRIEF, members=np.array([0]), others=NONE, social=coarse)
    assert built is not None
    assert not built.fed


def test_overlapping_responses_are_one_group_and_distant_ones_are_not():
    onset, reach = np.array([100.0, 0.0, 500.0, 130.0]), np.full(4, 60.0)
    assert [list(g) for g in groups(onset, reach)] == [[1], [0, 3], [2]]


def test_strong_data_find_their_mode_inside_the_grid_of_the_published_prior():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    settings = at.Settings.preset("published")
    said = Tuner(world.counts, world.airings, {"social": world.social, "context": world.context}).finger(settings)
    modes = np.unique(response_bank(settings)[1])
    assert len(modes) <= 25
    assert modes[0] < said.row["response_peak_lower"] < 10.0 < said.row["response_peak_upper"] < modes[-1]


def test_the_automatic_window_holds_most_of_the_response_in_whole_bins():
    short, day = np.array([30.0]), np.array([15 * 86400.0])
    span = window_seconds(at.Settings(response_peak="10s"), short, 1.0)[0]
    kernels, _, _, weight = response_bank(at.Settings(response_peak="10s"))
    assert kernels[int(np.argmax(weight))].cdf(span) >= 0.95
    assert window_seconds(at.Settings(), short, 60.0)[0] % 60 == 0
    assert window_seconds(at.Settings(), day, 86400.0)[0] >= 15 * 86400
    assert history_seconds(at.Settings(), 1.0) == 1800
    assert history_seconds(at.Settings(), 60.0) == pytest.approx(3600)
    assert history_seconds(at.Settings(history="10min"), 1.0) == 600


def test_the_feed_is_read_a_lead_earlier_and_never_from_the_future(halftime, design):
    middle = int(np.flatnonzero(design.leads == 2.0)[0])
    k = 60
    begin = halftime.counts.start[0].astype("datetime64[ns]").astype("int64") / 1e9
    low, high = (round(v - begin) for v in (design.start[k] - 2, design.start[k] + design.width[k] - 2))
    assert design.feed[middle, k] == halftime.social["count"].to_numpy()[low:high].sum()
    for lead in range(len(design.leads)):  # every lead explains the same posts, to the last second
        assert design.feed[lead].sum() == pytest.approx(design.feed[middle].sum(), rel=0.002)
    first = design.first(100)
    close = first.start[first.known - 1] + first.width[first.known - 1]
    arrived = halftime.social["count"].to_numpy()[: round(close - begin)].sum()
    assert (first.feed.sum(axis=1) <= arrived + 1e-6).all()
    assert first.exposure[:, first.known :].sum() == 0
