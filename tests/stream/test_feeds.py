"""Feeds on a clock: everything that has happened, once, whatever the steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attribution.emission import join
from attribution.scenarios import Faults, Scenario, Spot
from attribution.stream.feeds import ReplayFeed, SimulatedFeed, known_from
from attribution.worlds import simulate

SCENARIO = Scenario(minutes=2, event_rate=500.0, airings=(Spot(at_s=70.0),), surge="shared")
WORLD = simulate(SCENARIO, rng=4)
AT_60 = WORLD.scenario.begin + pd.Timedelta(seconds=60)


def taken(feed, times) -> list:
    return [delivery for at in times for delivery in feed.poll(at)]


@pytest.mark.parametrize("step", [0.07, 0.25, 1.0, 3.3, 200.0])
def test_the_events_are_those_of_the_world_whatever_the_steps(step):
    feed = SimulatedFeed(WORLD, start=AT_60)
    got = join([d.batch for d in taken(feed, np.arange(0, 60 + step, step)) if d.batch is not None])
    expected = join(list(WORLD.events(start_s=60)))
    for name in ("time", "seq", "source", "region", "channel", "device", "kind"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    assert feed.ended


def test_nothing_comes_before_it_has_happened_and_nothing_twice():
    feed = SimulatedFeed(WORLD, start=AT_60, speed=2.0)
    now = AT_60.value + round(3.3 * 2 * 1e9)
    got = taken(feed, [1.0, 3.3])
    assert max(d.batch.time.max() for d in got) < now
    assert got[-1].until == now
    assert [d.until for d in got] == sorted(d.until for d in got)
    assert not [d for d in feed.poll(3.3) if d.batch is not None]
    assert not feed.ended


def test_history_is_what_lies_before_the_start():
    feed = SimulatedFeed(WORLD, start=AT_60 + pd.Timedelta(milliseconds=700))
    assert feed.history.end == AT_60
    assert feed.origin == AT_60.value
    first = next(iter(feed.poll(1.0))).batch
    for code, last in enumerate(feed.numbers):
        assert first.seq[first.source == code].min() == last + 1
    assert not len(SimulatedFeed(WORLD).history.start)


def test_late_events_come_late_with_their_own_time_and_the_last_after_the_end():
    world = simulate(replace(SCENARIO, faults=Faults(late=0.1, late_s=30.0)), rng=4)
    feed = SimulatedFeed(world)
    got = [d for d in taken(feed, np.arange(0, 121, 0.5)) if d.batch is not None]
    behind = [(d.until - d.batch.time).max() / 1e9 for d in got]
    assert max(behind) > 5
    assert sum(len(d.batch) for d in got) == world.traffic.sent.sum()
    later = SimulatedFeed(world, start=AT_60)
    got = [d.batch for d in taken(later, [70.0]) if d.batch is not None]
    assert min(batch.time.min() for batch in got) >= AT_60.value


@pytest.mark.parametrize("step", [0.25, 7.0, 500.0])
def test_a_replay_hands_over_each_bin_when_it_is_over(step):
    feed = ReplayFeed(WORLD.counts, start=AT_60, speed=1.5)
    assert feed.history.end == AT_60
    ends = []
    for at in np.arange(0, 40 + step, step):
        for delivery in feed.poll(at):
            if delivery.counts is not None:
                ends.append(delivery.counts.end)
                assert delivery.counts.end.value <= delivery.until <= AT_60.value + round(at * 1.5e9)
    assert feed.ended
    assert ends[-1] == WORLD.counts.end
    assert len(set(ends)) == len(ends)


def test_a_replay_without_tables_has_empty_ones():
    feed = ReplayFeed(WORLD.counts, social=WORLD.social)
    assert [len(feed.tables[name]) for name in ("airings", "context", "audience")] == [0, 0, 0]
    assert len(feed.tables["social"]) == 120
    assert not len(feed.history.start)


def test_rows_are_known_when_their_bin_is_over():
    begin = WORLD.scenario.begin.value
    assert known_from(WORLD.social, "social")[0] == begin + 1_000_000_000
    assert known_from(WORLD.audience, "audience")[0] == begin
    assert not known_from(WORLD.airings, "airings").any()


def test_impossible_feeds_are_refused():
    with pytest.raises(ValueError, match="choose a moment from"):
        SimulatedFeed(WORLD, start=AT_60 + pd.Timedelta(hours=1))
    with pytest.raises(ValueError, match="speed is 0"):
        SimulatedFeed(WORLD, speed=0)
    with pytest.raises(ValueError, match="counts hold no bin"):
        ReplayFeed(WORLD.counts.between(end=WORLD.scenario.begin))
