"""The gap set against sets of numbers that remember everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.stream.gaps import FILLED, LEAP, NEW, NOWHEN, REFUSED, REPEATED, SKIP, GapSet

EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.integers(0, 6)), max_size=60)
BEFORE = (0, -1, 5)


def admit(gaps: GapSet, events: list[tuple[int, int, int]]):
    source, seq, bins = np.array(events, dtype=np.int64).reshape(-1, 3).T
    return gaps.admit(np.ascontiguousarray(source), np.ascontiguousarray(seq), np.ascontiguousarray(bins))


@given(st.lists(EVENTS, max_size=6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_number_is_new_once_and_the_rest_is_missing(batches, kept):
    gaps = GapSet(np.array(BEFORE))
    seen: list[set[int]] = [set(), set(), set()]
    charged: dict[tuple[int, int], int] = {}
    for events in batches:
        found = admit(gaps, events)
        for source, when, many in found.charges.T:
            charged[source, when] = charged.get((source, when), 0) + many
        for (source, seq, _), status in zip(events, found.status, strict=True):
            new = seq > BEFORE[source] and seq not in seen[source]
            assert (status in (NEW, FILLED)) == new
            assert new or status == REPEATED
            if new:
                seen[source].add(seq)
        missing = [set[int](), set[int](), set[int]()]
        for source, first, last, _ in gaps.intervals():
            missing[source] |= set(range(first, last + 1))
        for source, known in enumerate(seen):
            expected = set(range(max(BEFORE[source], 0) + 1, max(known))) - known if known else set()
            assert missing[source] == expected
        assert all(many >= 0 for many in charged.values())
        assert sum(charged.values()) == gaps.dropped
        if kept:
            gaps = GapSet.restore(gaps.state())


def test_a_missing_event_is_charged_where_it_was_lost():
    gaps = GapSet(np.zeros(1, np.int64), before=-1)
    assert admit(gaps, [(0, 1, 0), (0, 3, 0)]).charges.T.tolist() == [[0, 0, 1]]
    assert admit(gaps, [(0, 9, 7)]).charges.T.tolist() == [[0, 1, 5]]  # bins 1 to 6 are silent
    found = admit(gaps, [(0, 6, 0)])  # 4 and 5 were sent before it, so they are no younger
    net = {}
    for _, when, many in found.charges.T:
        net[when] = net.get(when, 0) + many
    assert net == {1: -3, 0: 2}
    assert gaps.intervals().tolist() == [[0, 2, 2, 0], [0, 4, 5, 0], [0, 7, 8, 1]]


def test_a_source_that_does_not_say_where_it_began_has_lost_nothing_before():
    gaps = GapSet(np.array([-1]))
    assert admit(gaps, [(0, 1000, 3), (0, 998, 3), (0, 998, 3), (0, 1002, 3)]).status.tolist() == [
        NEW, FILLED, REPEATED, NEW,
    ]  # fmt: skip
    assert gaps.dropped == 1
    assert gaps.intervals()[:, 3].tolist() == [NOWHEN, NOWHEN, 3]


def test_events_without_a_number_are_all_new_and_absurd_numbers_are_refused():
    gaps = GapSet(np.zeros(1, np.int64))
    events = [(0, 0, 1), (0, 0, 1), (0, -5, 1), (0, LEAP + 1, 1), (0, 1, 1)]
    assert admit(gaps, events).status.tolist() == [NEW, NEW, REFUSED, REFUSED, NEW]
    assert gaps.dropped == 0


def test_a_loss_of_billions_costs_one_interval():
    gaps = GapSet(np.zeros(1, np.int64))
    admit(gaps, [(0, 10**11, 4)])
    assert gaps.dropped == 10**11 - 1
    assert len(gaps.intervals()) == 1
    assert admit(gaps, [(0, 5, 4)]).status.tolist() == [FILLED]


def test_events_to_pass_over_leave_no_trace():
    gaps = GapSet(np.zeros(1, np.int64))
    one = np.zeros(2, np.int64)
    assert gaps.admit(one, one + 1, one, np.array([True, False])).status.tolist() == [SKIP, NEW]


@pytest.mark.parametrize("sources", [1, 50])
def test_many_gaps_are_kept_and_forgotten(sources):
    rng = np.random.default_rng(3)
    gaps = GapSet(np.zeros(sources, np.int64))
    n = 20_000
    source = rng.integers(0, sources, n)
    seq = np.empty(n, np.int64)
    for s in range(sources):
        seq[source == s] = np.arange(1, (source == s).sum() + 1)
    order = np.r_[np.arange(0, n, 3), rng.permutation(np.setdiff1d(np.arange(n), np.arange(0, n, 3)))]
    missing = 0
    for part in np.array_split(order, 40):
        found = gaps.admit(source[part], seq[part], part // 100)
        missing += found.charges[2].sum()
        assert np.isin(found.status, (NEW, FILLED)).all()
        assert gaps.dropped == missing
    assert gaps.dropped == 0
    assert (gaps.high == np.bincount(source, minlength=sources)).all()
