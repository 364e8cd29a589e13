"""The durable node: its counts are those of everything it received, whatever stops it."""

from __future__ import annotations

import asyncio
import errno
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from faults.embedded import Failing, Hasty, Turned, counted, drill
from faults.killed import kills
from faults.workload import BEGIN, LABELS, SECOND, Faults, workload
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.events import EventBatch, bin_batch
from attribution.stream import wire
from attribution.stream.arrivals import ArrivalFeed
from attribution.stream.book import Book, Rules
from attribution.stream.engine import Engine
from attribution.stream.gauges import Flow
from attribution.stream.keeping import Keeping, Refused
from attribution.stream.node import Node
from attribution.stream.readout import repeated_and_late
from attribution.stream.serving import Serving

T0 = BEGIN // SECOND


def lines(*events: dict) -> wire.Frame:
    frame, rejected = wire.lines(b"\n".join(json.dumps({"epoch": 1, **e}).encode() for e in events))
    assert not rejected
    return frame


def at(second: float, seq: int = 0, **more) -> dict:
    return {"time": round(BEGIN + second * SECOND), "seq": seq, **more}


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_drill(tmp_path, seed):
    work = workload(seed, eps=300, seconds=10, faults=Faults(late_s=20.0))
    outcome = drill(seed, work, tmp_path)
    assert outcome.exact, outcome
    assert outcome.kills > 0


def test_the_drill_has_teeth(tmp_path):
    work = workload(3, eps=300, seconds=10, faults=Faults(late_s=20.0))
    hasty = drill(3, work, tmp_path / "hasty", node_type=Hasty)
    assert hasty.missing > hasty.never
    assert hasty.wrong > 0
    forgetful = drill(3, work, tmp_path / "forgetful", dedupe=False)
    assert forgetful.wrong > 20


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path):
    work = workload(5, eps=300, seconds=5, faults=Faults(late_s=5.0))
    outcome, _, _ = kills(5, work, tmp_path, times=1)
    assert outcome.exact, outcome
    assert outcome.kills == 1


def test_counts_equal_the_batch_counts_of_everything_received(tmp_path, clock):
    work = workload(7, eps=500, seconds=8, faults=Faults(poisoned=0.0, skew_s=0.0, late_s=5.0))
    node = Node(tmp_path, clock=clock)
    received: list[EventBatch] = []
    for moment, body in work.frames:
        clock.at = max(clock.at, moment)
        node.offer(body)
        node.step()
        received.append(wire.decode(body).batch())
    node.tick()
    whole = {name: np.concatenate([getattr(b, name) for b in received]) for name in
             ("time", "seq", "source", "region", "channel", "device", "kind", "weight")}  # fmt: skip
    epoch = np.concatenate(
        [np.array(wire.decode(body).epochs)[wire.decode(body).rows["source"]] for _, body in work.frames]
    )
    _, once = np.unique(np.stack([whole["source"], epoch, whole["seq"]]), axis=1, return_index=True)
    batch = EventBatch(labels=LABELS, **{name: column[once] for name, column in whole.items()})
    expected = bin_batch(batch, start=np.datetime64(BEGIN, "ns"), n=8)
    counts = node.counts(T0, T0 + 8)
    assert (counts.regions, counts.channels, counts.devices) == (LABELS.regions, LABELS.channels, LABELS.devices)
    np.testing.assert_array_equal(counts.values, expected)
    late = counts.completeness < 1
    assert late.any()
    assert not np.isnan(counts.completeness).any()


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_no_order_and_no_repeat_changes_the_counts(order, again, cut):
    events = [at(0.3 * i, i + 1, region=f"r{i % 2}") for i in range(12)]
    book = Book(Rules(open_s=1, future_s=2, hold_s=10))
    sent = [*order, *again]
    for moment, part in enumerate([sent[:cut], sent[cut:]]):
        if part:
            book.apply(lines(*(events[i] for i in part)), at=BEGIN + (moment + 2) * SECOND)
    book.tick(BEGIN + 20 * SECOND)
    assert book.totals["received"] == 12
    assert book.totals["repeated"] == len(again)
    assert book.gaps.dropped == 0
    whole, added = book.tallies.take()
    total: Counter = Counter()
    for rows in (whole, added):
        for second, row in rows.items():
            for i in np.flatnonzero(row):
                total[second - T0, *book.tallies.slots[i]] += int(row[i])
    cells = {key[0]: 0 for key in total if key[1] == "cell"}
    for key, n in total.items():
        if key[1] == "cell":
            cells[key[0]] += n
    assert cells == {0: 4, 1: 3, 2: 3, 3: 2}
    assert not any(n for key, n in total.items() if key[1] == "missing")


def test_late_events_revise_closed_seconds_and_are_told_by_region(tmp_path, clock):
    node = Node(tmp_path, rules=Rules(open_s=5), clock=clock)
    node.offer(lines(at(0.1, 1, region="north"), at(0.2, 3, region="north")))
    node.step()
    assert node.counts(T0, T0 + 1).completeness.tolist() == [[2 / 3]]
    clock.at += 30 * SECOND
    node.tick()
    node.save()
    node.offer(lines(at(0.15, 2, region="north"), at(0.15, 2, region="north")))
    node.step()
    assert node.counts(T0, T0 + 1).values.ravel().tolist() == [3]
    node.save()
    assert node.counts(T0, T0 + 1).completeness.tolist() == [[1.0]]
    assert node.book.totals == {"received": 3, "late": 1, "repeated": 1}
    told = repeated_and_late(node.rows(T0, T0 + 5), node.book.tallies.slots)
    assert told == {"late": {(T0, "north"): 1}, "repeats": {(T0, "north"): 1}}
    assert sorted(many for _, _, _, many in node._store.revisions()) == [-1, 1, 1, 1, 1]


def test_future_events_wait_and_those_too_far_are_set_aside(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(at(0, 1), at(1.9, 2), at(3, 3), at(3000, 4), at(-40 * 86_400, 5)))
    node.step()
    assert (node.book.totals["received"], node.book.held) == (2, 1)
    assert node.book.aside == {"future": 1, "past": 1}
    node.save()
    again = Node(tmp_path, clock=clock)
    assert again.book.held == 1
    clock.at += SECOND
    again.tick()
    assert (again.book.totals["received"], again.book.held) == (3, 0)
    assert counted(again, tmp_path)[T0 + 3, "all", "all", "all", "conversion"] == 1


def test_the_skew_of_a_clock_is_estimated(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(*(at(3 - 0.1 * i, source="ahead") for i in range(5)), at(-0.02, source="right")))
    node.step()
    skew = node.health().skew
    assert skew["ahead/1"] == pytest.approx(3.0)
    assert skew["right/1"] == pytest.approx(-0.02)


def test_without_numbers_everything_is_counted_and_completeness_is_unknown(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(at(0.1, region="a"), at(0.1, region="a"), at(0.2, 1, region="b", source="numbered")))
    node.step()
    counts = node.counts(T0, T0 + 1)
    assert counts.values.ravel().tolist() == [2, 1]
    assert np.isnan(counts.completeness[0, 0])
    assert counts.completeness[0, 1] == 1


def test_the_live_ledger_has_the_same_rule_of_completeness(tmp_path, clock):
    frames = [
        lines(at(0.1, 1, region="a", source="s"), at(0.2, 4, region="a", source="s"), at(0.3, region="b", source="t")),
        lines(at(1.1, 5, region="a", source="s"), at(1.2, region="b", source="t"), at(2.2, 1, region="c", source="u")),
        lines(at(2.3, 6, region="a", source="s"), at(2.4, 1, region="b", source="s2"), at(9, 7, source="s")),
    ]
    node, came = Node(tmp_path, clock=clock), list(frames)
    feed = ArrivalFeed(lambda: [came.pop(0)] if came else [], now=lambda: clock.at + 10 * SECOND, settle_s=0.0)
    assert feed.begin()
    engine = Engine(feed)
    clock.at += 10 * SECOND
    for frame in frames:
        node.offer(frame)
        node.step()
        engine.step()
    seen = engine.snapshot().counts.between(end=pd.Timestamp(BEGIN + 3 * SECOND, tz="UTC"))
    ours = node.counts(T0, T0 + 3)
    assert seen.regions == ours.regions == ("a", "all", "b", "c")
    np.testing.assert_array_equal(seen.values, ours.values)
    np.testing.assert_array_equal(seen.completeness, ours.completeness)
    assert np.isnan(ours.completeness).any(axis=0).tolist() == [False, False, True, False]
    assert ours.completeness[0, 0] == 0.5


def test_heartbeats_tell_silence_from_zero(tmp_path, clock):
    clock.at += 5 * SECOND
    node = Node(tmp_path, clock=clock)
    node.offer(
        lines(at(0.5, 1, kind="heartbeat"), at(1.5, 2, kind="heartbeat"), at(1.6, 3), at(3.5, 4, kind="heartbeat"))
    )
    node.step()
    counts = node.counts(T0, T0 + 4)
    np.testing.assert_array_equal(counts.values.ravel(), [0, 1, np.nan, 0])
    assert counts.completeness.ravel().tolist() == [1, 1, 0, 1]


def test_a_full_queue_refuses_and_an_acknowledged_frame_is_never_lost(tmp_path, clock):
    node = Node(tmp_path, clock=clock, keeping=Keeping(queue=2))
    for i in (1, 2):
        node.offer(lines(at(0, i)))
    with pytest.raises(Refused, match="send it again") as caught:
        node.offer(lines(at(0, 3)))
    assert caught.value.reason == "busy"
    assert node.health().waiting == 2
    again = Node(tmp_path, clock=clock)  # the first one ended without a word
    assert again.book.totals["received"] == 2
    assert again.recovered.events == 2


def test_a_full_disk_stops_intake_with_an_alert_and_goes_on_by_itself(tmp_path, clock):
    disk = Failing()
    node = Node(tmp_path, clock=clock, disk=disk)
    node.offer(lines(at(0, 1)))
    disk.full = True
    with pytest.raises(Refused, match="free some space") as caught:
        node.offer(lines(at(0, 2)))
    assert caught.value.reason == "disk"
    assert "intake has stopped" in node.alerts[-1][1]
    assert "attribution_stopped 1" in node.health().metrics_text()
    disk.full = False
    node.offer(lines(at(0, 2)))
    node.step()
    assert "intake goes on" in node.alerts[-1][1]
    assert (node.book.totals["received"], node.book.gaps.dropped) == (2, 0)
    assert Node(tmp_path, clock=clock).book.totals["received"] == 2


def test_a_full_database_stops_intake_too(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(*(at(0, i + 1, region=f"region {i}") for i in range(3000))))
    node.step()
    node._store.limit(8)
    assert not node.save()
    with pytest.raises(Refused, match="state"):
        node.offer(lines(at(0, 4000)))
    node._store.limit(2**20)
    assert node.save()
    node.offer(lines(at(0, 3001)))
    node.step()
    assert node.book.totals["received"] == 3001


def test_after_a_sync_that_failed_nothing_is_taken_in(tmp_path, clock):
    disk = Failing()

    def broken(file):
        raise OSError(errno.EIO, "Input/output error")

    disk.sync = broken
    node = Node(tmp_path, clock=clock, disk=disk)
    node.offer(lines(at(0, 1)))
    node.sync()
    assert "Input/output error" in node.alerts[-1][1]
    assert node.health().unsynced_bytes > 0
    with pytest.raises(Refused, match="open the node again"):
        node.offer(lines(at(0, 2)))
    assert Node(tmp_path, clock=clock).book.totals["received"] == 1


def test_a_poisoned_frame_is_set_aside_with_its_bytes(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    good = wire.frame(lines(at(0, 1)))
    with pytest.raises(wire.Unreadable):
        node.offer(good[:-3])
    node.offer(good)
    node.step()
    assert node.health().aside == {"truncated": 1}
    kept = node.quarantine()
    assert [(each.reason, each.body) for each in kept] == [("truncated", good[:-3])]
    assert "send it again" in kept[0].detail
    assert node.save()
    assert 'attribution_aside_total{reason="truncated"} 1' in node.health().metrics_text()
    assert node.quarantine() == kept
    assert node.book.totals["received"] == 1
    node.close()
    again = Node(tmp_path, clock=clock)
    assert again.quarantine() == kept
    for _ in range(1003):
        with pytest.raises(wire.Unreadable):
            again.offer(b"nonsense")
    assert again.save()
    assert {each.body for each in again.quarantine()} == {b"nonsense"}
    assert len(again.quarantine()) == 1000


def test_a_clock_set_back_is_an_alert_and_moments_stand_still(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(at(0, 1)))
    clock.shift = -5 * SECOND
    node.offer(lines(at(0.5, 2)))
    node.step()
    assert node.book.now == BEGIN
    assert "went back 5.0 s" in node.alerts[-1][1]
    node.tick()
    assert len(node.alerts) == 1
    assert node.book.totals["received"] == 2


def test_a_source_that_starts_again_takes_a_new_epoch(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    node.offer(lines(at(0, 1), at(0, 2), at(0, 1, epoch=2), at(0, 3, epoch=2), at(0, 2)))
    node.step()
    assert node.book.totals == {"received": 4, "repeated": 1}
    assert node.book.gaps.dropped == 1


def test_labels_without_end_are_set_aside(tmp_path, clock):
    node = Node(tmp_path, clock=clock, rules=Rules(slots=50))
    node.offer(lines(*(at(0, i + 1, region=f"r{i}") for i in range(60))))
    node.offer(lines(*(at(0, i + 1, source=f"s{i}") for i in range(60))))
    node.step()
    assert len(node.book.tallies.slots) < 250
    assert node.book.aside["labels"] > 50
    assert node.book.totals["received"] + node.book.aside["labels"] == 120


def test_hours_and_logs_are_tidied_up_and_nothing_changes(tmp_path, clock):
    node = Node(tmp_path, clock=clock, keeping=Keeping(segment=1000, log_s=100.0))
    for i in range(200):
        node.offer(lines(at(60 * i, i + 1)))
        node.step()
        clock.at += 60 * SECOND
        node.tick()
    node.save()
    assert len(node._store.history()) == 3
    assert node._journal.segments()[0][0] > 0
    before = counted(node, tmp_path)
    assert sum(before.values()) == 200
    node.close()
    assert counted(Node(tmp_path, clock=clock), tmp_path) == before


def test_metrics_are_measured(tmp_path, clock):
    node = Node(tmp_path, clock=clock)
    for i in range(20):
        node.offer(lines(*(at(0.1 * i, 10 * i + j + 1) for j in range(10))))
        clock.at += SECOND // 10
        node.step()
        node.tick()
    health = node.health()
    assert health.events_per_s == pytest.approx(100)
    assert health.latency_p50_ms == pytest.approx(100)
    assert health.uptime_s == pytest.approx(2)
    text = health.metrics_text()
    assert "attribution_received_total 200\n" in text
    assert all(line.startswith(("#", "attribution_")) for line in text.splitlines())


def test_what_was_measured_longer_ago_is_forgotten_without_anybody_asking():
    flow = Flow(0.0)
    for i in range(5000):
        flow.counted(1, since=0.1 * i, now=0.1 * i)
    assert len(flow._recent) < 110


def test_rules_and_keeping_say_what_is_wrong():
    for wrong in ({"open_s": 0}, {"future_s": 99}, {"past_s": 5}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            Rules(**wrong)
    for wrong in ({"queue": 0}, {"sync_s": -1}, {"save_s": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            Keeping(**wrong)


def test_senders_wait_while_it_is_busy(tmp_path):
    async def run() -> int:
        serving = Serving(Node(tmp_path, keeping=Keeping(queue=2, sync_s=0.005)))
        sending = [asyncio.create_task(serving.put(lines({"time": T0, "seq": i + 1}))) for i in range(20)]
        running = asyncio.create_task(serving.run())
        await asyncio.gather(*sending)
        await asyncio.sleep(0.05)
        assert serving.node._journal.synced == serving.node._journal.end
        running.cancel()
        await asyncio.wait([running])
        return serving.node.position

    position = asyncio.run(run())
    node = Node(tmp_path)
    assert node.position == position
    assert node.recovered.frames == 0
    assert sum(node.book.aside.values()) + node.book.totals["received"] == 20
