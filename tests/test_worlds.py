"""Simulated worlds: laws first, then the numbers they are configured with."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import chi2, norm

from attribution.emission import KINDS
from attribution.events import bin_batch
from attribution.scenarios import SCENARIOS, Faults, Pause, Scenario, Spot
from attribution.worlds import simulate, write_world

SHORT = Scenario(
    minutes=4, event_rate=600.0, breaks=(Pause(break_id="b", at_s=60, length_s=60),), break_step=0.3, surge="shared",
    airings=(Spot(at_s=70.0, break_id="b", value=64.0), Spot(airing="SECOND", at_s=100.0, scale=0.5)), mediator=1.0,
)  # fmt: skip
SAMPLES = Path(__file__).parents[1] / "data"
WILD = replace(SHORT, faults=Faults(loss=0.02, outage=(150, 160), duplicates=0.01, late=0.02, late_s=20.0))


def bytes_of(world) -> list[bytes]:
    frames = [frame.to_csv().encode() for frame in (world.airings, world.audience, world.social, world.context)]
    return [world.counts.values.tobytes(), world.truth.ad.tobytes(), world.truth.counterfactual.tobytes(), *frames]


def binned(world, **options) -> tuple[np.ndarray, list]:
    batches = list(world.events(**options))
    n = len(world.counts.start)
    return sum(bin_batch(batch, start=world.counts.start[0], n=n) for batch in batches), batches


@pytest.mark.parametrize("scenario", [SHORT, WILD])
def test_one_seed_is_one_world_to_the_byte_and_another_seed_another(scenario):
    first, again, other = (simulate(scenario, rng=seed) for seed in (3, 3, 4))
    assert bytes_of(first) == bytes_of(again)
    assert all(a != b for a, b in zip(bytes_of(first)[:1], bytes_of(other)[:1], strict=True))
    for a, b in zip(first.events(), again.events(), strict=True):
        assert a.time.tobytes() == b.time.tobytes()
        assert a.seq.tobytes() == b.seq.tobytes()
        assert a.channel.tobytes() == b.channel.tobytes()


def test_a_generator_gives_the_seed():
    first, second = (simulate(SHORT, rng=np.random.default_rng(5)) for _ in range(2))
    assert first.seed == second.seed
    assert bytes_of(first) == bytes_of(simulate(SHORT, rng=first.seed))


@pytest.mark.parametrize("name", SCENARIOS)
def test_parts_of_the_counterfactual_add_up(name):
    world = simulate(SCENARIOS[name], rng=1)
    truth = world.truth
    plain = truth.counterfactual - truth.organic - truth.breaks
    assert (plain > 0).all()
    assert (truth.organic >= 0).all() and (truth.breaks >= 0).all()  # noqa: PT018 -- two of one kind
    assert (truth.organic.any(), truth.breaks.any()) == (
        world.scenario.surge != "none",
        world.scenario.break_step > 0,
    )
    assert truth.ad.shape == (len(world.airings), *truth.counterfactual.shape)
    assert truth.ad.any() == (name in {"halftime", "overlap"})


def test_the_lift_leaves_the_counterfactual_and_the_noise_as_they_are():
    none, some = simulate(replace(SHORT, lift=0.0), rng=9), simulate(replace(SHORT, lift=0.8), rng=9)
    np.testing.assert_array_equal(none.truth.counterfactual, some.truth.counterfactual)
    added = some.counts.total - none.counts.total
    assert (added >= 0).all()
    assert not added[:, none.truth.regions.index("eu-west")].any()
    expected = some.truth.ad.sum()
    assert abs(added.sum() - expected) < norm.ppf(0.9999) * np.sqrt(1.3 * expected)


def test_an_airing_adds_what_the_lift_says_where_it_is_seen_and_not_before_it_begins():
    world = simulate(replace(SHORT, minutes=20), rng=1)
    ordinary = 60 * 40.0 * (1 - 0.18)
    assert world.truth.incremental("HALFTIME_PRIME") == pytest.approx(0.4 * ordinary, rel=1e-6)
    assert world.truth.incremental("SECOND") == pytest.approx(0.2 * ordinary, rel=1e-6)
    windows = [world.truth.incremental("SECOND", w) for w in (0, 10, 10.5, 60, 5000)]
    assert windows == sorted(windows)
    assert windows[0] == 0
    assert windows[-1] == pytest.approx(world.truth.incremental("SECOND"))
    assert not world.truth.ad[1, :100].any()
    assert not world.truth.ad[:, :, world.truth.regions.index("eu-west")].any()


def test_counts_are_on_average_what_the_truth_says():
    scenario = replace(SHORT, dispersion=1.5)
    errors, scale = 0.0, 0.0
    for seed in range(40):
        world = simulate(scenario, rng=seed)
        expected = world.truth.counterfactual + world.truth.ad.sum(axis=0)
        errors = errors + (world.counts.total - expected).sum(axis=0)
        scale = scale + 1.5 * expected.sum(axis=0)
    assert (np.abs(errors) < norm.ppf(1 - 1e-4) * np.sqrt(scale)).all()


def test_wandering_leaves_the_rate_as_it_is_on_average():
    scenario = replace(
        SHORT, minutes=400, airings=(), surge="none", breaks=(), shared_sd=0.35, shared_tau_s=10.0, region_sd=0.0,
    )  # fmt: skip
    rate = simulate(scenario, rng=1).truth.counterfactual.sum(axis=1).mean()
    sd = 40 * np.sqrt(np.expm1(0.35**2) * 2 * 10 / 24_000)
    assert abs(rate - 40) < norm.ppf(0.9999) * sd


def test_a_harmful_airing_takes_away_what_the_truth_says():
    scenario = replace(SHORT, lift=-0.3, airings=SHORT.airings[:1])
    difference, variance = 0.0, 0.0
    for seed in range(20):
        harmed, spared = simulate(scenario, rng=seed), simulate(replace(scenario, lift=0.0), rng=seed)
        taken = harmed.counts.total - spared.counts.total
        assert (taken <= 0).all()
        difference += taken.sum() - harmed.truth.ad.sum()
        variance += -1.3 * harmed.truth.ad.sum()
    assert abs(difference) < norm.ppf(1 - 1e-4) * np.sqrt(variance)
    with pytest.raises(ValueError, match="takes away more than there is"):
        simulate(replace(scenario, lift=-3.0))


@pytest.mark.parametrize("dispersion", [1.0, 1.3, 2.5])
def test_counts_scatter_round_their_rate_as_configured(dispersion):
    world = simulate(replace(SHORT, minutes=30, dispersion=dispersion), rng=2)
    expected = world.truth.counterfactual + world.truth.ad.sum(axis=0)
    z = (world.counts.total - expected) ** 2 / (dispersion * expected)
    n = z.size
    # Var of z is 2 plus the excess kurtosis of an NB1, 6 (phi - 1)/mean + 1/(phi mean).
    sd = np.sqrt((2 + np.mean((6 * (dispersion - 1) + 1 / dispersion) / expected)) / n)
    assert abs(z.mean() - 1) < norm.ppf(1 - 1e-4) * sd


@pytest.mark.parametrize("width", [1, 10, 60])
def test_fano_factors_over_seconds_and_minutes_are_those_of_the_drift(width):
    scenario = Scenario(
        minutes=400, conversion_rate=5.0, event_rate=10.0, regions=(("all", 1.0),), holdouts=(), airings=(), daily=0.0,
        shared_sd=0.25, region_sd=0.0, social_rate=0.0, audience=0.0, lift=0.0, break_step=0.0,
    )  # fmt: skip
    y = simulate(scenario, rng=11).counts.total[:, 0].reshape(-1, width).sum(axis=1)
    x = width / scenario.shared_tau_s
    drift = 5.0 * width * np.expm1(scenario.shared_sd**2) * 2 * (x - 1 + np.exp(-x)) / x**2
    expected = scenario.dispersion + drift
    # The drift gives one independent look in two correlation times; the noise one a bin.
    looks = min(len(y), 24_000 / (2 * scenario.shared_tau_s)) if drift > 1 else len(y)
    low, high = chi2.ppf([1e-3, 1 - 1e-3], looks) / looks
    assert low < y.var() / y.mean() / expected < high


@pytest.mark.parametrize("scenario", [SHORT, WILD])
def test_events_bin_to_the_counts_exactly(scenario):
    world = simulate(scenario, rng=6)
    assert scenario.faults.duplicates > 0 or not np.isnan(world.counts.values).any()
    seen, batches = binned(world)
    if scenario is WILD:  # each number counts once
        key = [np.stack([b.source.astype(np.int64), b.seq.astype(np.int64)]) for b in batches]
        everything, first = np.unique(np.concatenate(key, axis=1), axis=1, return_index=True)
        assert everything.shape[1] < sum(map(len, batches))
        code = KINDS.index("conversion")
        kind = np.concatenate([b.kind for b in batches])[first]
        assert (kind == code).sum() == np.nansum(world.counts.values)
        assert seen.sum() > np.nansum(world.counts.values)
    else:
        np.testing.assert_array_equal(seen, world.counts.values)
        assert sum(map(len, batches)) == world.traffic.sent.sum()
        for batch in batches:
            assert (np.diff(batch.time) >= 0).all()
    only, _ = binned(replace_faults(world), kinds=("conversion",))
    np.testing.assert_array_equal(only, np.nan_to_num(world.counts.values))


def replace_faults(world):
    """The same traffic and losses, with nothing repeated or late."""
    return replace(world, scenario=replace(world.scenario, faults=replace(world.scenario.faults, duplicates=0, late=0)))


def test_a_second_is_the_same_wherever_the_stream_begins():
    world = simulate(SHORT, rng=6)
    late = next(world.events(start_s=100))
    for i, batch in enumerate(world.events()):
        if i == 100:
            assert batch.seq.tobytes() == late.seq.tobytes()
            assert batch.time.tobytes() == late.time.tobytes()


def test_faults_show_in_the_numbers():
    world = simulate(WILD, rng=8)
    traffic = world.traffic
    batches = list(world.events())
    source, seq = (np.concatenate([getattr(b, name) for b in batches]) for name in ("source", "seq"))
    for code in range(4):
        mine = seq[source == code]
        sent = traffic.sent[:, code].sum()
        lost = traffic.lost_conversions[:, code].sum() + traffic.lost_visits[:, code].sum() + traffic.out.sum()
        assert len(mine) > len(np.unique(mine))
        assert sent - len(np.unique(mine)) == lost
        assert mine.max() <= sent
        assert mine.min() >= 1
    assert np.isnan(world.counts.values[150:160]).all()
    assert not world.counts.completeness[150:160].any()
    there = ~traffic.out
    assert 0.9 < world.counts.completeness[there].mean() < 0.99
    late = [(b.time < world.counts.start[0].astype(np.int64) + i * 1_000_000_000).sum() for i, b in enumerate(batches)]
    assert sum(late) > 0


def test_a_sound_feed_has_no_gaps_and_beats_once_a_second():
    world = simulate(SHORT, rng=8)
    last = dict.fromkeys(range(4), 0)
    for batch in world.events():
        assert (batch.kind == KINDS.index("heartbeat")).sum() == 4
        for code in last:
            mine = batch.seq[batch.source == code].astype(np.int64)
            np.testing.assert_array_equal(mine, last[code] + 1 + np.arange(len(mine)))
            last[code] += len(mine)


def test_rates_are_those_asked_for():
    world = simulate(replace(SCENARIOS["null"], surge="none", break_step=0.0), rng=3)
    seconds = len(world.counts.start)
    assert world.traffic.sent.sum() / seconds == pytest.approx(14_200, rel=0.1)
    assert world.counts.values.sum() / seconds == pytest.approx(40, rel=0.1)
    shares = world.counts.total.sum(axis=0) / world.counts.values.sum()
    np.testing.assert_allclose(shares, [0.42, 0.28, 0.18, 0.12], atol=0.02)
    np.testing.assert_allclose(
        world.counts.by("channel").sum(axis=0) / world.counts.values.sum(), [0.46, 0.38, 0.16], atol=0.01
    )


def test_channels_of_the_ad_differ_from_the_ordinary_ones():
    none, some = (simulate(replace(SCENARIOS["halftime"], lift=lift), rng=5) for lift in (0.0, 4.0))
    for dimension, shares in (("channel", some.truth.channel_share), ("device", some.truth.device_share)):
        added = (some.counts.by(dimension) - none.counts.by(dimension)).sum(axis=0)
        np.testing.assert_allclose(added / added.sum(), list(shares.values()), atol=0.03)
        assert sum(shares.values()) == pytest.approx(1)


def test_the_feed_leads_and_hears_the_ad():
    scenario = replace(SHORT, minutes=10, social_sd=0.0, surge_region_sd=0.0, shared_sd=0.0, region_sd=0.0, daily=0.0)
    scenario = replace(scenario, break_step=0.0, mediator=0.0, lead_s=5.0, social_rate=1e6)
    world = simulate(scenario, rng=1)
    surge = world.social["count"].to_numpy() / 1e6 - 1
    organic = world.truth.organic[:, 0] / (world.truth.counterfactual - world.truth.organic)[:, 0]
    np.testing.assert_allclose(organic[5:], 0.15 * surge[:-5], atol=0.002)
    heard = simulate(replace(scenario, mediator=2.0), rng=1).social["count"].sum() - world.social["count"].sum()
    assert heard == pytest.approx(2 * world.truth.ad.sum(), abs=4 * np.sqrt(2 * world.truth.ad.sum()))


def test_a_regional_surge_strikes_one_exposed_region():
    truth = simulate(SCENARIOS["regional_surge"], rng=1).truth
    assert truth.organic.any(axis=0).tolist() == [True, False, False, False]


def test_breaks_double_the_traffic_where_nothing_else_moves():
    world = simulate(replace(SCENARIOS["break_only"], break_step_sd=0.0), rng=1)
    truth = world.truth
    share = truth.breaks / (truth.counterfactual - truth.breaks)
    assert share.max() == pytest.approx(1.0, abs=1e-3)
    inside = pd.DatetimeIndex(truth.start).tz_localize("UTC").floor("s")
    row = world.context.iloc[0]
    assert share[(inside >= row.start + pd.Timedelta(seconds=60)) & (inside < row.end)].min() > 0.99


def test_tables_are_canonical():
    world = simulate(SCENARIOS["overlap"], rng=1)
    assert list(world.airings.columns[:4]) == ["airing", "start", "length_s", "regions"]
    assert (world.airings["regions"] == "us-east|us-west|apac").all()
    assert (world.airings["start"].diff().dropna() == pd.Timedelta(seconds=35)).all()
    assert str(world.airings["start"].dtype) == str(world.context["end"].dtype) == "datetime64[ns, UTC]"
    assert world.airings["impressions"].iloc[0] == pytest.approx(18.4e6 * 0.82)
    viewers = world.audience.groupby("time")["viewers"].sum()
    start = world.airings["start"].iloc[0]
    assert viewers[start] / viewers[start - pd.Timedelta("15min")] - 1 == pytest.approx(0.122, abs=0.02)
    empty = simulate(replace(SHORT, airings=(), breaks=(), surge="none", audience=0.0, social_rate=0.0), rng=1)
    assert [len(f) for f in (empty.airings, empty.context, empty.social, empty.audience)] == [0, 0, 0, 0]
    assert str(empty.airings["start"].dtype) == "datetime64[ns, UTC]"


def test_stream_delay_moves_the_response():
    near, far = (simulate(replace(SHORT, minutes=20, stream_delay_s=d, stream_delay_sd=d / 3), rng=1) for d in (0, 60))
    lag = [
        float(w.truth.ad[0].sum(axis=1) @ np.arange(1200)) / w.truth.incremental("HALFTIME_PRIME") for w in (near, far)
    ]
    assert lag[1] - lag[0] == pytest.approx(60, abs=0.1)


def test_a_world_is_written_as_files(tmp_path):
    world = simulate(WILD, rng=2)
    place = write_world(world, tmp_path / "world")
    assert {p.name for p in place.iterdir()} == {
        *("events.parquet", "truth.json"),
        *(f"{name}.csv" for name in ("counts", "airings", "social", "audience", "context")),
    }
    truth = json.loads((place / "truth.json").read_text())
    assert truth["airings"]["SECOND"]["incremental"] == pytest.approx(world.truth.incremental("SECOND"), abs=1e-6)
    table = pd.read_csv(place / "counts.csv")
    np.testing.assert_array_equal(
        table["count"].to_numpy(float).reshape(world.counts.values.shape), world.counts.values
    )
    assert table["time"].iloc[0] == "2026-02-08T20:06:00Z"
    events = pq.read_table(place / "events.parquet").to_pandas()
    assert len(events.drop_duplicates(["source", "seq"])) == np.nansum(world.counts.values)
    assert set(events["kind"]) == {"conversion"}
    assert set(events["weight"]) == {64.0}
    again = write_world(simulate(WILD, rng=2), tmp_path / "again")
    assert all((again / p.name).read_bytes() == p.read_bytes() for p in place.iterdir())


@pytest.mark.parametrize("name", ["halftime", "null"])
def test_the_samples_are_what_the_simulator_writes(name, tmp_path):
    made = write_world(simulate(SCENARIOS[name], rng=7), tmp_path)
    files = {path.name: path.read_bytes() for path in (SAMPLES / name).iterdir()}
    files["counts.csv"] = gzip.decompress(files.pop("counts.csv.gz"))
    stale = [file for file, content in files.items() if content != (made / file).read_bytes()]
    assert not stale, "make the samples anew, as data/README.md says"
    assert set(files) == {path.name for path in made.iterdir()} - {"events.parquet"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"minutes": 0}, "minutes is 0"),
        ({"minutes": 10}, "HALFTIME_PRIME starts at 2100.0 s"),
        ({"lift": float("nan")}, "lift is nan"),
        ({"surge": "sharde"}, "did you mean 'shared'"),
        ({"holdouts": ("eu-wst",)}, "did you mean 'eu-west'"),
        ({"regions": (("a", 0.5), ("b", 0.6))}, "add up to 1"),
        ({"dispersion": 0.5}, "dispersion is 0.5"),
        ({"event_rate": 50}, "event_rate is 50"),
        ({"start": "2026-02-08T20:06:00"}, "without a zone"),
        ({"airings": (Spot(), Spot())}, "its own name"),
        ({"airings": (Spot(break_id="nowhere"),)}, "break_id of HALFTIME_PRIME is 'nowhere'"),
        ({"airings": (), "surge": "shared"}, "without an airing"),
        ({"faults": Faults(loss=1.5)}, "faults.loss is 1.5"),
        ({"faults": Faults(outage=(10, 5))}, "faults.outage"),
        ({"holdouts": ("us-east", "us-west", "eu-west", "apac")}, "seen nowhere"),
        ({"stream_delay_sd": 3.0}, "stream_delay_sd is positive"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_with_a_remedy(changes, words):
    with pytest.raises(ValueError, match=words):
        Scenario(**changes)


def test_unknown_names_are_refused():
    world = simulate(SHORT)
    with pytest.raises(ValueError, match="this world has 'HALFTIME_PRIME', 'SECOND'"):
        world.truth.incremental("THIRD")
    with pytest.raises(ValueError, match="kinds holds 'clicks'"):
        next(world.events(kinds=("clicks",)))
    with pytest.raises(ValueError, match="rng is -1"):
        simulate(SHORT, rng=-1)
