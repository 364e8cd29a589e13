"""The node behind the engine of the pages counts what they show; the bulletin says it in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution.scenarios import Scenario
from attribution.spots import Faults, Spot
from attribution.stream.bulletin import HEADS, drill_name, drills, headline, passed, tiles
from attribution.stream.engine import Engine, ManualClock, Metrics
from attribution.stream.feeds import SimulatedFeed
from attribution.stream.gauges import Health
from attribution.stream.keeping import Refused
from attribution.stream.node import Node
from attribution.stream.vault import Vault
from attribution.worlds import simulate

FAULTS = Faults(loss=0.02, duplicates=0.02, late=0.05, late_s=8.0)
RECORD = Path(__file__).parents[2] / "data" / "drill.csv"


@pytest.fixture(scope="module")
def world():
    return simulate(Scenario(minutes=2, event_rate=400.0, airings=(Spot(at_s=60.0),), faults=FAULTS), rng=5)


def test_what_the_page_counts_is_on_the_disk_and_counted_there_too(world, tmp_path):
    vault, clock = Vault(tmp_path), ManualClock()
    engine = Engine(SimulatedFeed(world), clock=clock, keep=vault.keep)
    for _ in range(14):
        clock.advance(10.0)
        engine.step()
    seen, health = engine.snapshot(), vault.health()
    assert (seen.state, seen.error) == ("ENDED", "")
    first = int(seen.counts.seconds[0])
    kept = vault.node.counts(first, first + len(seen.counts.start))
    order = [
        [getattr(kept, axis).index(name) for name in getattr(seen.counts, axis)]
        for axis in ("regions", "channels", "devices")
    ]
    np.testing.assert_array_equal(kept.values[np.ix_(range(len(kept.values)), *order)], seen.counts.values)
    np.testing.assert_allclose(kept.completeness[:, order[0]], seen.counts.completeness, atol=1e-12)
    told = seen.metrics
    assert (health.received, health.dropped, health.repeated) == (told.received, told.dropped, told.duplicate)
    assert health.repeated > 0
    assert health.dropped > 0
    vault.close()
    again = Node(tmp_path)
    assert (again.book.totals["received"], again.recovered.frames) == (told.received, 0)
    again.close()


def test_a_disk_that_does_not_take_it_stops_the_engine_and_says_so(world, monkeypatch):
    vault = Vault()

    def full(_):
        raise Refused("disk", "log: No space left on device: intake has stopped; free some space, then send it again")

    monkeypatch.setattr(vault.node, "offer", full)
    clock = ManualClock()
    engine = Engine(SimulatedFeed(world), clock=clock, keep=vault.keep)
    engine.step()
    clock.advance(2.0)
    engine.step()
    seen = engine.snapshot()
    assert seen.metrics.received == 0
    word, sentence = headline(seen.state, vault.health(), seen.error)
    assert word == "stopped"
    assert "free some space" in sentence
    folder = Path(vault._own.name)
    vault.close()
    assert not folder.exists()


def test_words_come_from_the_numbers():
    assert headline("WAITING", Health()) == ("waiting", "No event has arrived yet.")
    assert headline("LIVE", Health(received=1, dropped=1))[1] == "2 were sent, 1 is missing."
    assert headline("ENDED", Health(received=9))[1] == "The feed has ended. 9 were sent, none is missing."
    assert headline("LIVE", Health(received=9, stopped="log: full"))[0] == "stopped"
    blank = {tile.name: tile.value for tile in tiles(Health(), Metrics())}
    assert blank["Events a second"] == blank["Taken in to counted"] == blank["Event to page"] == "—"
    shown = {
        tile.name: (tile.value, tile.note)
        for tile in tiles(
            Health(latency_p50_ms=0.04, latency_p99_ms=12.4, dropped=3, received=997, uptime_s=3720, aside={"past": 4}),
            Metrics(buffer_events=1420, buffer_ms=100.2),
        )
    }
    assert shown["Taken in to counted"] == ("0.04 ms", "log included; 99 of 100 within 12 ms, over the last 10 s")
    assert shown["Missing"] == ("3", "of 1,000 by their numbers")
    assert shown["Buffer"][0] == "1,420"
    assert shown["Set aside"] == ("4", "past")
    assert shown["Uptime"][0] == "1 h 02 min"


def test_the_record_is_read_as_it_was_written():
    record, table = drills(RECORD), pd.read_csv(RECORD)
    assert [one.name for one in record] == [drill_name(name) for name in table["drill"]]
    assert all(len(one.cells) == len(HEADS) - 1 for one in record)
    real = table[~table["drill"].str.startswith("teeth")]
    assert passed(record).startswith(f"Exact {real['exact'].sum()} of {real['runs'].sum()}.")
    assert passed(record).endswith(" 0 passed.")
    assert all(one.teeth == (one.exact == 0) for one in record)
    with pytest.raises(OSError, match=r"no\.csv"):
        drills(RECORD.with_name("no.csv"))
