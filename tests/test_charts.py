"""Laws of the charts: what is drawn is what the tables hold, and what moves is data alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import vl_convert

from attribution import charts, plotted, theme

DRAWN = (charts.velocity, charts.evidence, charts.amount, charts.response, charts.airings)


@pytest.mark.parametrize("chart", DRAWN)
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_every_chart_renders_and_asks_no_other_machine(made, chart, mode):
    spec = chart(made, mode=mode).to_dict()
    drawing = vl_convert.vegalite_to_svg(spec)
    assert "<path" in drawing
    assert "NaN" not in drawing
    assert "url" not in json.dumps({k: v for k, v in spec.items() if k != "$schema"})


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_text_stands_out_from_what_it_is_written_on(mode):
    colours = theme.palette(mode)
    for ground in (colours.background, colours.panel):
        for text in ("ink", "muted", "effect_text", "counterfactual", "good", "bad"):
            assert theme.contrast(getattr(colours, text), ground) >= 5.3, (mode, text)


def test_incremental_area_is_the_ad_and_rates_are_counts_per_second(made):
    frames = plotted.velocity_frames(made.total, made.airings)
    area = (frames["model"]["with_ad"] - frames["model"]["counterfactual"]).sum()
    assert area == pytest.approx(made.total["ad"].sum())
    assert frames["line"]["each"].sum() == pytest.approx(made.total["observed"].sum())


@pytest.mark.parametrize(("width_s", "unit"), [(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "day")])
def test_rates_are_given_in_a_unit_that_suits_the_bins(maker, width_s, unit):
    result = maker(width_s=width_s, bins=120)
    assert f"conversions / {unit}" in json.dumps(charts.velocity(result).to_dict())


def test_constant_specification_holds_no_data_and_is_compiled_once():
    first = charts.velocity_spec("dark")
    assert first is charts.velocity_spec("dark")
    assert "datasets" not in first
    assert charts.velocity_spec("light") != first


def test_live_data_sets_are_all_that_the_constant_specification_names(made):
    frames = plotted.velocity_frames(made.total, made.airings)
    names = set(json.dumps(charts.velocity_spec("dark")).split('"name": "')[1:])
    named = {part.split('"')[0] for part in names}
    assert {*frames, "key"} >= named - {part for part in named if part.startswith("view")}
    evidence = plotted.evidence_frames(made)
    named = {part.split('"')[0] for part in json.dumps(charts.evidence_spec("dark")).split('"name": "')[1:]}
    assert set(evidence) >= {name for name in named if not name.startswith("view")}


def test_unknown_counts_leave_a_gap_and_are_never_zero(made):
    total = made.total.copy()
    total.loc[100:149, "observed"] = np.nan
    line = plotted.velocity_frames(total, made.airings)["line"]
    assert line["observed"].isna().sum() == 50
    assert plotted.records(line)[120]["observed"] is None
    assert line["observed"].min() > 10


def test_thinning_keeps_the_sums_and_an_unknown_part_makes_an_unknown_sum(maker):
    total = maker(bins=5000).total
    thin = plotted.thinned(total)
    assert len(thin) <= plotted.MAX_BINS
    assert thin["observed"].sum() == total["observed"].sum()
    assert thin["width_s"].sum() == total["width_s"].sum()
    total.loc[0, "observed"] = np.nan
    assert plotted.thinned(total)["observed"].isna().sum() == 1


def test_newer_observations_extend_the_line_and_the_span_cuts_everything(made):
    first, last = made.as_of - pd.Timedelta("60s"), made.as_of + pd.Timedelta("10s")
    newer = pd.DataFrame(
        {"time": pd.date_range(first, periods=70, freq="s"), "width_s": 1.0, "observed": np.full(70, 50.0)}
    )
    frames = plotted.velocity_frames(made.total, made.airings, observed=newer, span=(first, last))
    assert len(frames["line"]) == 70
    assert frames["model"]["time"].between(first, last).all()
    assert list(frames["window"]["time"]) == [first, last]
    assert frames["last"]["observed"].item() == pytest.approx(50)


def test_evidence_crosses_where_the_path_first_reaches_one_over_alpha(made):
    frames = plotted.evidence_frames(made)
    leading = made.evidence[made.evidence["airing"] == "WWE_HALFTIME_1"]
    first = leading[leading["log_e"] >= np.log(20)].iloc[0]
    lag = (first["time"] - made.table["start"][0]).total_seconds()
    assert frames["crossed"]["lag_s"].item() == lag
    assert frames["limit"]["text"].item() == "1/α = 20"
    stricter = plotted.evidence_frames(replace(made, alpha=1e-9))
    assert stricter["crossed"].empty


def test_evidence_without_a_path_still_draws_its_axes(made):
    frames = plotted.evidence_frames(replace(made, evidence=made.evidence.iloc[:0]))
    assert frames["path"].empty
    assert np.isfinite(frames["window"]["power"]).all()


def watched(made):
    """The made looks with what a model with a control has beside its e-value: an amount that closes in on 500."""
    looks = made.evidence
    number = looks.groupby("airing").cumcount().to_numpy(float)
    wide = 4000.0 / (1 + number) + 50
    return replace(
        made,
        evidence=looks.assign(joint_log_e=number, incremental=500.0, lower=500 - wide, upper=500 + wide),
    )


def test_the_joint_filter_is_drawn_for_the_leading_airing_alone_and_named_where_there_is_room(made):
    frames = plotted.evidence_frames(watched(made))
    joint = frames["joint"]
    assert len(joint) == 60
    assert joint["power"].max() == 12
    assert frames["window"]["power"].max() > 12
    assert frames["ending"][["text", "late"]].to_numpy().tolist() == [["joint filter", True]]
    assert plotted.evidence_frames(made)["joint"].empty


def test_the_amount_over_time_keeps_its_estimates_and_cuts_the_wildest_intervals(made):
    result = watched(made)
    frames = plotted.amount_frames(result)
    amount, (low, high) = frames["amount"], frames["window"]["count"]
    assert len(amount) == 60
    assert (amount["incremental"] == 500).all()
    assert (amount["lower"] >= low).all()
    assert (amount["upper"] <= high).all()
    assert low < 0
    assert 500 < high < 1000
    later = amount.iloc[20:]
    path = result.evidence[result.evidence["airing"] == "WWE_HALFTIME_1"].iloc[20:]
    assert later["lower"].to_numpy() == pytest.approx(path["lower"].to_numpy())
    assert plotted.amount_frames(made)["amount"].empty


def test_many_airings_are_shaded_without_labels(maker):
    few, many = (plotted.velocity_frames(r.total, r.airings)["breaks"] for r in map(made_with(maker), (12, 13)))
    assert (few["label"] != "").all()
    assert (many["label"] == "").all()
    assert len(many) == 13


def made_with(maker):
    return lambda airings: maker(airings=airings)


def test_forest_of_many_airings_says_what_it_leaves_out(maker):
    chart = charts.airings(maker(airings=60)).to_dict()
    assert chart["title"].startswith("40 of 60")
    assert len(chart["datasets"]["rows"]) == 40


def test_unknown_names_list_the_valid_ones(made):
    with pytest.raises(ValueError, match=r"region is 'west'; choose one of north, south"):
        charts.velocity(made, region="west")
    with pytest.raises(ValueError, match=r"airing is 'x'; choose one of WWE_HALFTIME_1"):
        charts.response(made, airing="x")
    with pytest.raises(ValueError, match=r"mode is 'blue'"):
        charts.velocity(made, mode="blue")


@pytest.mark.parametrize("highest", [1e-6, 0.5, 1.0, 71.2, 99.0, 4247.0])
def test_headroom_stays_above_and_never_doubles(highest):
    assert highest * 1.079 <= plotted.headroom(highest) <= highest * 2.2
