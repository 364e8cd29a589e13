"""The engine: what it shows at any time is what the world had by then, whatever the ticks."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attribution.scenarios import Faults, Pause, Scenario, Spot
from attribution.stream.engine import Engine, ManualClock
from attribution.stream.feeds import ReplayFeed, SimulatedFeed
from attribution.worlds import simulate

SCENARIO = Scenario(
    minutes=4, event_rate=400.0, lift=3.0, airings=(Spot(at_s=120.0, break_id="halftime"),), surge="shared",
    breaks=(Pause(break_id="halftime", at_s=110.0),),
)  # fmt: skip
WORLD = simulate(SCENARIO, rng=5)
START = WORLD.scenario.begin + pd.Timedelta(seconds=90)


def run(feed, times, *, every: int = 0) -> list:
    """Snapshots after each ``every``-th of these readings of the clock, or after the last."""
    clock = ManualClock()
    engine = Engine(feed, clock=clock)
    seen = []
    for i, at in enumerate(times, start=1):
        clock.advance(at - clock.now())
        engine.step()
        if i == len(times) or (every and i % every == 0):
            seen.append(engine.snapshot())
    return seen


@pytest.mark.parametrize("step", [0.1, 0.25, 0.9, 1.0, 7.3, 400.0])
@pytest.mark.parametrize("make", [SimulatedFeed, lambda world, **o: ReplayFeed(world.counts, **o)])
def test_counts_at_any_time_are_those_of_the_world_exactly(make, step):
    feed = make(WORLD, start=START)
    for seen in run(feed, np.arange(0, 150 + step, step), every=max(1, round(7 / step))):
        expected = WORLD.counts.between(end=seen.now)
        np.testing.assert_array_equal(seen.counts.values, expected.values)
        np.testing.assert_array_equal(seen.counts.completeness, expected.completeness)
        np.testing.assert_array_equal(seen.counts.start, expected.start)
        assert seen.counts.fingerprint == expected.fingerprint
        assert seen.error == ""


def test_without_history_it_begins_empty():
    first, later = run(SimulatedFeed(WORLD), [0.0, 10.0], every=1)
    assert not len(first.counts.start)
    assert later.counts.fingerprint == WORLD.counts.between(end=later.now).fingerprint


@pytest.mark.parametrize("step", [0.25, 1.3, 400.0])
def test_a_faulty_feed_ends_with_the_counts_of_the_world_and_the_true_number_of_missing_events(step):
    faults = Faults(loss=0.03, outage=(150, 158), duplicates=0.02, late=0.05, late_s=10.0)
    world = simulate(replace(SCENARIO, faults=faults), rng=5)
    seen = run(SimulatedFeed(world), np.arange(0, 240 + step, step))[-1]
    np.testing.assert_array_equal(seen.counts.values, world.counts.values)
    np.testing.assert_allclose(seen.counts.completeness, world.counts.completeness, atol=1e-12)
    lost = world.traffic.lost_conversions.sum() + world.traffic.lost_visits.sum() + 4 * world.traffic.out.sum()
    assert seen.metrics.dropped == lost
    assert seen.metrics.received == world.traffic.sent.sum() - lost
    assert seen.metrics.accuracy == pytest.approx(1 - lost / world.traffic.sent.sum())
    assert seen.metrics.duplicate > 0
    assert seen.metrics.late > 0
    assert seen.state == "ENDED"


def test_what_is_late_revises_a_closed_second_but_no_earlier_snapshot():
    world = simulate(replace(SCENARIO, faults=Faults(late=0.2, late_s=20.0)), rng=5)
    seen = run(SimulatedFeed(world), np.arange(0, 260, 5.0), every=1)
    early, last = seen[4], seen[-1]
    before = early.counts.values.copy()
    n = len(before)
    assert before.sum() < last.counts.values[:n].sum()
    assert early.counts.completeness.min() < 1
    np.testing.assert_array_equal(early.counts.values, before)
    np.testing.assert_array_equal(last.counts.values, world.counts.values)
    assert last.metrics.dropped == 0


def test_the_log_says_which_closed_seconds_were_revised_and_at_most_once_a_minute():
    world = simulate(replace(SCENARIO, faults=Faults(late=0.05, late_s=10.0)), rng=5)
    seen = run(SimulatedFeed(world), np.arange(0, 260, 1.0))[-1]
    told = [entry for entry in seen.log if "revised" in entry.text]
    apart = np.diff([entry.time.value for entry in told]) / 1e9
    assert len(told) >= 3
    assert apart.min() >= 60
    assert 0 < sum(int(entry.text.split()[1].replace(",", "")) for entry in told) <= seen.metrics.late
    for entry in told:
        oldest = pd.Timestamp(f"{entry.time:%Y-%m-%d} {entry.text.split()[-1]}", tz="UTC")
        assert pd.Timedelta(0) < entry.time - oldest <= pd.Timedelta(seconds=60 + 1 + 10 + 1)
    punctual = run(SimulatedFeed(WORLD), np.arange(0, 260, 1.0))[-1]
    assert not any("revised" in entry.text for entry in punctual.log)


def test_equal_runs_are_equal_and_the_log_does_not_depend_on_the_ticks():
    faults = Faults(loss=0.01, outage=(150, 158), late=0.05, late_s=10.0)
    world = simulate(replace(SCENARIO, faults=faults), rng=5)
    fine, again = (run(SimulatedFeed(world, start=START), np.arange(0, 151, 0.25))[-1] for _ in range(2))
    coarse = run(SimulatedFeed(world, start=START), np.arange(0, 157, 6.1))[-1]
    assert fine.metrics == again.metrics
    assert fine.log == again.log == coarse.log
    assert fine.version == again.version


def test_the_log_tells_each_change_of_state():
    world = simulate(replace(SCENARIO, faults=Faults(outage=(200, 210))), rng=5)
    log = run(SimulatedFeed(world, start=START), np.arange(0, 151, 0.5))[-1].log
    assert [entry.time for entry in log] == sorted(entry.time for entry in log)
    aired = [entry for entry in log if entry.kind == "TV_DETECTION"]
    assert [entry.time for entry in aired] == list(world.airings["start"])
    assert "HALFTIME_PRIME is on the air for 30 s in us-east, us-west, apac" in aired[0].text
    spikes = [entry for entry in log if entry.kind == "INGEST_SPIKE"]
    assert {entry.text.split(":")[0] for entry in spikes if entry.time < START + pd.Timedelta("60s")} >= {
        *("us-east", "us-west", "apac"),
    }
    silence = [(entry.time, entry.text) for entry in log if "collector-apac" in entry.text]
    begin = world.scenario.begin
    assert silence == [
        (begin + pd.Timedelta(seconds=201), "data: collector-apac is silent: its counts are unknown"),
        (begin + pd.Timedelta(seconds=211), "data: collector-apac is heard again"),
    ]
    assert [e.kind for e in log if "are missing" in e.text] == ["ALERT"]


def test_a_spike_is_what_the_rule_says():
    world = simulate(replace(SCENARIO, lift=0.0, surge="none"), rng=5)
    values = world.counts.values.copy()
    values[:] = np.array([3, 2, 1, 1])[:, None, None]
    traffic = replace(world.traffic, conversions=values.astype(int), lost_conversions=np.zeros_like(values, dtype=int))
    spiked = traffic.conversions.copy()
    spiked[150:155, 0, 0, 0] += 31
    log = run(SimulatedFeed(replace(world, traffic=replace(traffic, conversions=spiked))), np.arange(0, 241, 1.0))[
        -1
    ].log
    spikes = [entry for entry in log if entry.kind == "INGEST_SPIKE"]
    assert [entry.text.split(":")[0] for entry in spikes] == ["us-east"]
    # 36 a second before, then 67; the mean of 5 s passes 1.5 x 36 with the third of them, and not 1.5 x their own mean.
    assert spikes[0].time == world.scenario.begin + pd.Timedelta(seconds=153)


def test_tables_grow_with_the_clock_and_the_schedule_is_known_ahead():
    first, later = run(SimulatedFeed(WORLD, start=START), [0.0, 20.4], every=1)
    assert len(first.airings) == len(first.context) == 1
    assert len(first.social) == 90
    assert len(later.social) == 110
    assert first.audience["time"].max() <= first.now < first.audience["time"].max() + pd.Timedelta(seconds=15)
    assert later.version > first.version


def test_states_follow_the_feed():
    engine = Engine(SimulatedFeed(WORLD, start=START), clock=(clock := ManualClock()))
    seen = engine.snapshot()
    assert (seen.state, seen.metrics.uptime_s) == ("WAITING", 0.0)
    assert math.isnan(seen.metrics.events_per_s)
    assert seen.counts.end == seen.now == START
    engine.step()
    assert engine.snapshot().state == "LIVE"
    clock.advance(500)
    engine.step()
    seen = engine.snapshot()
    assert (seen.state, seen.now) == ("ENDED", WORLD.counts.end)


def test_metrics_are_measured():
    seen = run(SimulatedFeed(WORLD, start=START), np.arange(0, 60.1, 0.25))[-1].metrics
    sent = WORLD.traffic.sent[140:150].sum()
    assert seen.events_per_s == pytest.approx(sent / 10, rel=0.05)
    assert seen.latency_p50_ms == pytest.approx(125, abs=15)
    assert seen.latency_p50_ms < seen.latency_p95_ms < seen.latency_p99_ms <= 250
    assert seen.buffer_ms <= 250
    assert 0 < seen.buffer_events < seen.events_per_s
    assert seen.uptime_s == 60
    assert (seen.dropped, seen.duplicate, seen.late, seen.accuracy) == (0, 0, 0, 1.0)


def test_an_error_stops_the_engine_and_is_shown():
    feed = SimulatedFeed(WORLD, start=START)

    def broken(_):
        raise OSError("the line is dead")

    feed.poll = broken
    engine = Engine(feed, clock=ManualClock())
    engine.step()
    seen = engine.snapshot()
    assert (seen.state, seen.error) == ("STOPPED", "OSError: the line is dead")
    assert seen.log[-1].kind == "ALERT"
    assert "the line is dead" in seen.log[-1].text
    assert len(seen.counts.start) == 90


def test_the_thread_runs_to_the_end_and_closes():
    class Racing(ManualClock):
        """Every reading is half a second later: the thread needs no real time."""

        def now(self) -> float:
            self.advance(0.5)
            return super().now()

    engine = Engine(SimulatedFeed(WORLD, start=START), clock=Racing(), tick_s=0.0)
    engine.start()
    thread = next(t for t in threading.enumerate() if t.name == "engine")
    assert thread.daemon
    thread.join(timeout=60)
    seen = engine.snapshot()
    engine.close()
    assert not thread.is_alive()
    assert seen.state == "ENDED"
    assert seen.counts.fingerprint == WORLD.counts.fingerprint


def test_closing_ends_a_running_thread():
    engine = Engine(SimulatedFeed(WORLD, start=START))
    before = set(threading.enumerate())
    engine.start()
    engine.start()
    started = set(threading.enumerate()) - before
    assert len(started) == 1
    engine.close()
    assert not started & set(threading.enumerate())


def test_a_clock_only_goes_forward():
    with pytest.raises(ValueError, match="only goes forward"):
        ManualClock().advance(-1)
