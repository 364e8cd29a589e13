"""Faults of the data as part of the answer: clocks, losses that were counted, losses that were not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.faults import clock_sd, unknown_loss, worst_case

LAG_KNOWN = at.Settings(window="60s", kernel="gamma", response_peak="10s", response_peak_logsd=0.0)


def feed(values, width=1.0):
    """One region from 20:00 on."""
    start = np.datetime64("2026-02-08T20:00:00", "ns") + (np.arange(len(values)) * width * 1e9).astype(
        "timedelta64[ns]"
    )
    return at.Counts(
        start=start, width=np.full(len(values), width), values=np.asarray(values, float)[:, None, None, None],
        completeness=np.ones((len(values), 1)),
    )  # fmt: skip


def log(*seconds):
    start = pd.Timestamp("2026-02-08T20:00:00Z") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"airing": [f"a{s}" for s in seconds], "start": start, "length_s": 30.0, "regions": ""})


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        ((60, 600, 3000), 60.0), ((61, 600, 3000), 1.0), ((30, 600, 3090), 30.0), ((60.5, 600), 0.0), ((600,), 1.0),
        ((600, 1205), 1.0), ((600, 1205, 2410), 5.0), ((), 0.0),
    ],
)  # fmt: skip
def test_rounded_starts_leave_their_step_over_the_root_of_12(seconds, step):
    """One airing on a full minute proves nothing; three do, and so do three on multiples of five."""
    calm = feed(np.full(4000, 9.0))
    assert clock_sd(calm, log(*seconds)) == pytest.approx(step / np.sqrt(12))


def test_counts_that_rise_before_every_airing_widen_the_clock_and_one_early_rise_does_not():
    y = np.random.default_rng(2).poisson(9.0, 12_000).astype(float)
    starts = (2011, 5017, 8003, 11_009)
    for s in starts:
        y[s - 100 : s] += 12
    assert clock_sd(feed(y), log(*starts)) == pytest.approx(30.0)
    assert clock_sd(feed(y), log(2011)) == pytest.approx(1 / np.sqrt(12))


def test_the_clock_may_be_set_and_a_clock_that_failed_is_no_data():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    told = at.analyze(world.counts, world.airings, LAG_KNOWN.replace(clock_sd=40.0))
    assert told.verdict.word == "no data"
    assert "may differ by 40 s" in told.verdict.sentence
    with pytest.raises(ValueError, match="clock_sd is -1"):
        LAG_KNOWN.replace(clock_sd=-1.0)


def test_a_counted_loss_is_corrected_and_the_interval_grows():
    """Half of the events of the minutes after the airing are lost, and counted as lost; over three seeds.

    Told of the loss the estimate is that of the full counts, within their noise; not told, it says the ad took
    conversions away.
    """
    rng = np.random.default_rng(4)
    rows = []
    for seed in (11, 12, 13):
        world = at.simulate(at.SCENARIOS["halftime"], rng=seed)
        whole = at.analyze(world.counts, world.airings, LAG_KNOWN, social=world.social).table.iloc[0]
        hit = world.counts.seconds >= world.airings["start"].iloc[0].value / 1e9
        values, complete = world.counts.values.copy(), world.counts.completeness.copy()
        values[hit] = rng.binomial(values[hit].astype(int), 0.5)
        complete[hit] = 0.5
        known = replace(world.counts, values=values, completeness=complete)
        unknown = replace(known, completeness=np.ones_like(complete))
        rows.append(
            [
                (row["incremental"], row["incremental_upper"] - row["incremental_lower"], whole["incremental"])
                for row in (
                    whole,
                    *(
                        at.analyze(c, world.airings, LAG_KNOWN, social=world.social).table.iloc[0]
                        for c in (known, unknown)
                    ),
                )
            ]
        )
    (full, width, _), (told, told_width, _), (untold, _, _) = np.mean(rows, axis=0)
    assert abs(told - full) < width / 2
    assert told_width > 1.1 * width
    assert untold < full - width


def test_a_loss_of_2_percent_moves_the_estimate_by_nothing_once_it_is_counted():
    world = at.simulate(at.SCENARIOS["halftime"], rng=21)
    lossy = at.simulate(replace(at.SCENARIOS["halftime"], faults=replace(world.scenario.faults, loss=0.02)), rng=21)
    assert 0.9 < lossy.counts.completeness[lossy.counts.completeness > 0].mean() < 0.99
    full, told = (at.analyze(w.counts, w.airings, LAG_KNOWN, social=w.social).table.iloc[0] for w in (world, lossy))
    sd = (full["incremental_upper"] - full["incremental_lower"]) / 3.92
    assert abs(told["incremental"] - full["incremental"]) < sd
    assert told["counterfactual"] == pytest.approx(full["counterfactual"], rel=0.03)


def test_a_feed_of_unknown_completeness_is_taken_as_complete_and_said_to_be():
    world = at.simulate(at.SCENARIOS["halftime"], rng=21)
    whole = replace(world.counts, completeness=np.ones_like(world.counts.completeness))
    untold = replace(whole, completeness=np.full_like(whole.completeness, np.nan))
    known, unknown = (at.analyze(c, world.airings, LAG_KNOWN, social=world.social) for c in (whole, untold))
    pd.testing.assert_frame_equal(known.table, unknown.table)
    assert [f.what for f in at.preflight(untold, world.airings) if f.level == "note"] == ["completeness unknown"]


def test_an_unknown_loss_needs_a_hint_and_takes_the_larger_of_two():
    calm = feed(np.full(600, 9.0))
    t0 = calm.seconds[0]
    assert np.isnan(unknown_loss(calm, t0, t0 + 600))
    untold = np.full((600, 1), np.nan)
    assert np.isnan(unknown_loss(replace(calm, completeness=untold), t0, t0 + 600))
    dark = calm.values.copy()
    dark[100:130] = np.nan
    assert unknown_loss(replace(calm, values=dark, completeness=untold), t0, t0 + 600) == pytest.approx(0.05)
    assert np.isnan(unknown_loss(replace(calm, values=dark, completeness=untold), t0 + 200, t0 + 600))
    told = untold.copy()
    told[:60] = 0.9
    assert unknown_loss(replace(calm, values=dark, completeness=told), t0, t0 + 600) == pytest.approx(0.1)
    assert np.isnan(unknown_loss(calm, t0 - 100, t0 - 50))


def test_the_worst_case_holds_the_truth_whatever_was_lost():
    """Any loss up to the bound, before or after or both: the effect of the full counts lies in the bounds."""
    rng = np.random.default_rng(6)
    for _ in range(300):
        base, ad, loss = rng.uniform(100, 5000), rng.uniform(-50, 2000), rng.uniform(0.001, 0.4)
        before, after = rng.uniform(1 - loss, 1, 2)
        seen_base, seen = base * before, (base + ad) * after
        estimate = seen - seen_base
        low, high = worst_case(estimate, estimate, counterfactual=seen_base, incremental=estimate, loss=loss)
        assert low - 1e-9 <= ad <= high + 1e-9


def test_bounds_of_an_unknown_loss_are_in_the_answer():
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    complete = world.counts.completeness.copy()
    at_air = int(np.searchsorted(world.counts.seconds, world.airings["start"].iloc[0].value / 1e9))
    complete[at_air:] = np.nan
    complete[at_air - 300 : at_air] = 0.97
    values = world.counts.values.copy()
    told = at.analyze(
        replace(world.counts, completeness=complete, values=values), world.airings, LAG_KNOWN, social=world.social
    )
    row = told.bounds.iloc[0]
    assert 0 < row["loss"] <= 0.03
    assert row["lower"] < told.table["incremental_lower"].iloc[0]
    assert row["upper"] > told.table["incremental_upper"].iloc[0]
    assert any("how much was lost is unknown" in text for text in told.verdict.evidence_against)
    assert at.analyze(world.counts, world.airings, LAG_KNOWN, social=world.social).bounds.empty
