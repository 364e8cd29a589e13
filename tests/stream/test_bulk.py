"""Many lines at once read as they do one by one: the same events, the same codes, the same reasons."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.stream import bulk, sheet, wire

LABEL = st.one_of(
    st.sampled_from(["north", "süd", "", "a\tb", "x" * 201, "\ud800", "{", "[", "\\", "true", "5"]), st.none()
)
OTHER = st.sampled_from([5, 1.5, True, None, "", "text", [], [1], {}, {"a": {"b": 1}}, -1, 2**63, 2**64, 1e39, 1e400])
MOMENTS = (
    st.one_of(st.integers(0, 2**63 - 1), st.sampled_from([10**11, 10**14 - 1, 10**17, -5, 2**63, -(2**63)])),
    st.one_of(st.floats(0, 2e18, allow_nan=False), st.floats(1e9, 2e9), st.sampled_from([1770583260.25, 9.3e9, -0.5])),
    st.sampled_from(["2026-02-08T20:41:00Z", "2026-02-08 21:41:00.5+01:00", "soon", "", "2026-02-08", "3026-01-01"]),
)  # fmt: skip
FIELDS = {
    "seq": st.one_of(st.integers(0, 2**64 - 1), st.none()),
    "epoch": st.one_of(st.integers(0, 3), st.none()),
    "weight": st.one_of(st.floats(-1e38, 1e38), st.integers(-5, 2**80), st.none()),
    **dict.fromkeys(("source", "region", "channel", "device", "kind"), LABEL),
    "other": st.text(max_size=4),
}
RAW = (
    b"", b"  ", b"\r", b"nonsense", b"{", b"}", b"5", b"[]", b'{"time": 5}{"time": 6}', b'{"time": 5, "time": 6}',
    b'{"time": 5}, {"time": 6}', b'{"time": 5,}', b'{"time": 05}', b'{"time": 5, "kind": "a\x01b"}', b"\xef\xbb\xbf{}",
    b'{"time": 5, "kind": "\xff"}', b'{"time": 5, "kind": "\xed\xa0\x80"}', b'{"t\\u0069me": 5, "kind": "\\u00fc"}',
    b'{"time": 5, "v\\u0061lue": 7}', b'{"time": 5, "value": 7}', b'{"ts": 5}', b'{"time": NaN}', b'{"time": 5}\x0c',
    b'{"time": 5, "weight": Infinity}', b'{"time": 5 /* no */}', b"{'time': 5}", b'{"time": 5\r}', b'\0{"time": 5}',
    b'{"time":\t5 , "kind" : "\\ud83d\\ude00"}', b'{"time": -0}', b'{"time": 1e9}', b'{"time": 5.0}', b"{}",
    b'{"time": 5, "kind": "\\ud800"}', b'{"time": 5, "seq": 1.0}', b'{"time": 5, "seq": -0}', b'{"time": 5}  ',
    b'{"time": 5, "other": ' + b'{"a": ' * 3000 + b"1" + b"}" * 3001,
)  # fmt: skip


@st.composite
def bodies(draw) -> bytes:
    """Lines most of which are plain, so that both ways of reading are taken."""
    moment = draw(st.sampled_from(MOMENTS))
    names = draw(st.sets(st.sampled_from(list(FIELDS))))
    one = st.fixed_dictionaries({"time": moment, **{name: FIELDS[name] for name in names}})
    parts = [json.dumps(each, ensure_ascii=draw(st.booleans())) for each in draw(st.lists(one, max_size=8))]
    found = [part.encode("utf-8", "surrogatepass") for part in parts]
    if draw(st.booleans()):
        strange = st.one_of(
            st.sampled_from(RAW),
            st.builds(lambda k, x: json.dumps({"time": 5, k: x}).encode(), st.sampled_from([*FIELDS, "time"]), OTHER),
        )  # fmt: skip
        for each in draw(st.lists(strange, min_size=1, max_size=2)):
            found.insert(draw(st.integers(0, len(found))), each)
    return draw(st.sampled_from([b"\n", b"\r\n"])).join(found) + draw(st.sampled_from([b"", b"\n"]))


def eagerly(data: bytes):
    """Read few lines at once too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "FEWEST", 1)
        patch.setattr(sheet, "MANY", 200)
        patch.setattr(sheet, "FEW", 100)
        return wire.lines(data)


def slowly(data: bytes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheet, "plain", lambda _: None)
        return wire.lines(data)


@given(bodies())
@settings(max_examples=100, deadline=None)
def test_what_is_read_at_once_reads_the_same_one_by_one(data):
    (ours, lost), (theirs, theirs_lost) = eagerly(data), slowly(data)
    assert lost == theirs_lost
    assert ours.rows.tolist() == theirs.rows.tolist()
    assert (ours.labels, ours.epochs) == (theirs.labels, theirs.epochs)
    np.testing.assert_array_equal(ours.cells, theirs.cells)


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_a_strange_line_among_plain_ones_reads_the_same(raw):
    data = b"\n".join([b'{"time": 5, "kind": "visit"}', raw, b'{"time": 6, "kind": "visit"}'])
    ours, lost = eagerly(data)
    theirs, theirs_lost = slowly(data)
    assert (lost, ours.rows.tolist(), ours.labels) == (theirs_lost, theirs.rows.tolist(), theirs.labels)


def test_a_large_number_among_fractions_stays_exact():
    frame, _ = eagerly(b'{"time": 0.5}\n{"time": 1770583260123456789}')
    assert frame.rows["time"].tolist() == [5 * 10**8, 1770583260123456789]


def test_plain_lines_are_read_at_once(monkeypatch):
    monkeypatch.setattr(sheet, "parsed", None)
    for moment in (b"1770583260", b"1770583260.25", b'"2026-02-08T20:41:00Z"'):
        line = b'{"time": %s, "seq": 1, "source": "s", "region": "s\xc3\xbcd", "other": [1]}' % moment
        line = line.replace(b"[1]", b"1")
        frame, lost = wire.lines(b"\n".join([line] * 5000))
        assert (len(frame), dict(lost), frame.labels.regions) == (5000, {}, ("süd",))


def test_a_long_line_is_still_too_long():
    good = b'{"time": 5}'
    long = b'{"time": 5, "other": "%s"}' % (b"x" * 65_536)
    assert len(long) > 65_536
    for least in (long, long[:65_530] + b'"}'):
        data = b"\n".join([good] * 30 + [least] + [good] * 30)
        ours, theirs = wire.lines(data), slowly(data)
        assert (ours[1], len(ours[0])) == (theirs[1], len(theirs[0]))
    assert theirs[1] == {}
    assert slowly(long)[1] == {"line is too long": 1}
