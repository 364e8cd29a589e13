"""The wire: what is written is read, to the bit; whatever else arrives is refused with its reason."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.events import EventBatch, Labels
from attribution.stream import wire

LABELS = Labels(
    sources=("a", "b"), regions=("north", "süd"), channels=("app", "web", "tv"), devices=("x",), kinds=("visit", "sale")
)


def made(n: int, labels: Labels = LABELS, rng: int = 0) -> EventBatch:
    g = np.random.default_rng(rng)
    names = (labels.sources, labels.regions, labels.channels, labels.devices, labels.kinds)
    codes = [g.integers(0, len(known), n) for known in names]
    return EventBatch(
        time=g.integers(-(2**62), 2**62, n),
        seq=g.integers(0, 2**64, n, dtype=np.uint64),
        source=codes[0].astype(np.uint16),
        region=codes[1].astype(np.uint16),
        channel=codes[2].astype(np.uint8),
        device=codes[3].astype(np.uint8),
        kind=codes[4].astype(np.uint8),
        weight=g.random(n, dtype=np.float32),
        labels=labels,
    )


def same(one: EventBatch, other: EventBatch) -> None:
    assert one.labels == other.labels
    for name in ("time", "seq", "source", "region", "channel", "device", "kind", "weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def patched(frame: bytes, at: int, new: bytes) -> bytes:
    """A frame with other bytes and the checksum that belongs to them."""
    body = bytearray(frame)
    body[at : at + len(new)] = new
    struct.pack_into("<I", body, 16, zlib.crc32(body[24:], zlib.crc32(body[:16])))
    return bytes(body)


def refused(data: bytes) -> str:
    with pytest.raises(wire.Unreadable) as caught:
        wire.decode(data)
    return caught.value.reason


@pytest.mark.parametrize("n", [0, 1, 142, 5000])
def test_what_is_written_is_read(n):
    frame = wire.decode(wire.encode(made(n), epochs=(3, 2**62)))
    same(frame.batch(), made(n))
    assert frame.epochs == (3, 2**62)


def test_an_event_has_24_bytes():
    assert len(wire.encode(made(1000))) - len(wire.encode(made(0))) == 24_000
    assert wire.EVENT.itemsize == 24


def test_labels_with_more_cells_than_codes_are_listed():
    labels = replace(LABELS, regions=tuple(f"r{i}" for i in range(60_000)))
    same(wire.decode(wire.encode(made(300, labels))).batch(), made(300, labels))


def test_a_frame_is_read_wherever_it_lies_in_memory():
    whole = wire.encode(made(50))
    for shift in (0, 1, 5):
        moved = memoryview(b"x" * shift + whole)[shift:]
        same(wire.decode(moved).batch(), made(50))


def test_what_was_read_is_written_again():
    frame = wire.decode(wire.encode(made(70), epochs=(1, 2)))
    again = wire.decode(wire.frame(frame))
    same(again.batch(), frame.batch())
    assert again.epochs == (1, 2)


WHOLE = wire.encode(made(40))


def test_every_reason():
    assert refused(b"") == refused(b"GET / HTTP/1.1\r\n\r\nand more of it") == "not a frame"
    assert refused(patched(WHOLE, 4, struct.pack("<H", 2))) == "version"
    assert refused(WHOLE[:-1]) == refused(WHOLE[:30]) == "truncated"
    assert refused(WHOLE + b"\0") == "too long"
    assert refused(WHOLE[:-1] + bytes([WHOLE[-1] ^ 1])) == "checksum"
    assert refused(patched(WHOLE, 24, b"[")) == "labels"
    assert refused(patched(WHOLE, len(WHOLE) - 4, b"\2\0")) == "codes"
    assert refused(patched(WHOLE, len(WHOLE) - 2, b"\xff\0")) == "codes"


@given(st.integers(0, len(WHOLE) * 8 - 1))
@settings(max_examples=300, deadline=None)
def test_no_flipped_bit_gets_through(bit):
    body = bytearray(WHOLE)
    body[bit // 8] ^= 1 << bit % 8
    assert refused(bytes(body)) in {"not a frame", "version", "truncated", "too long", "checksum"}


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_dictionary_of_anything_is_refused_by_name(text, mend):
    book = text + b" " * (-len(text) % 8)
    head = struct.pack("<4sHHIIII", b"EVCF", 1, 0, 0, len(book), 0, 0)
    frame = patched(head + book, 0, b"EVCF") if mend else head + book
    assert refused(frame) in {"labels", "codes", "checksum"}


@pytest.mark.parametrize(
    "change",
    [
        {"sources": "ab"}, {"sources": [1, 2]}, {"epochs": [0]}, {"epochs": [0, -1]}, {"epochs": [0, True]},
        {"regions": []}, {"channels": ["c"] * 257}, {"cells": [[0, 0, 0]]}, {"cells": [[0, 0, 0, 2]]}, {"cells": "x"},
        {"cells": [[0, 0, 0, -1]]}, {"cells": [[0, 0, 0, 10**30]]}, {"kinds": None}, {"regions": ["r"] * 60_000},
        {"regions": ["x" * 500]}, {"cells": [[0, 0, 0, 0.5]]},
    ],
)  # fmt: skip
def test_a_wrong_dictionary_is_refused(change):
    book = {"sources": ["a", "b"], "epochs": [0, 0], "regions": ["r"], "channels": ["c"], "devices": ["d"]}
    book = book | {"kinds": ["k", "l"]} | change
    text = json.dumps(book).encode()
    text += b" " * (-len(text) % 8)
    head = struct.pack("<4sHHIIII", b"EVCF", 1, 0, 0, len(text), 0, 0)
    assert refused(patched(head + text, 0, b"EVCF")) in {"labels", "codes"}


def test_a_batch_that_does_not_fit_says_so():
    with pytest.raises(ValueError, match="split it"):
        wire.encode(made(700_000))
    with pytest.raises(ValueError, match="one for each of 2 sources"):
        wire.encode(made(1), epochs=(1,))


def body(*objects: object) -> bytes:
    return b"\n".join(json.dumps(one).encode() if not isinstance(one, bytes) else one for one in objects)


def test_lines_are_read():
    frame, rejected = wire.lines(
        body(
            {"time": "2026-02-08T20:41:00.123456789Z", "seq": 2**64 - 1, "source": "s", "epoch": 4, "region": "r"},
            {"ts": "2026-02-08T21:41:00+01:00", "sequence": 7.0, "device": 5, "value": 2.5},
            {"timestamp": 1770583260, "source": "s", "kind": "visit"},
            {"time": 1770583260.5}, {"time": 1770583260500}, {"time": 1770583260500000}, {"time": 1770583260500000001},
            b"  ", b"\r",
        )
    )  # fmt: skip
    assert rejected == Counter()
    at = 1770583260 * 10**9
    assert frame.rows["time"].tolist() == [at + 123456789, at, at, *[at + 5 * 10**8] * 3, at + 5 * 10**8 + 1]
    assert frame.rows["seq"].tolist() == [2**64 - 1, 7, 0, 0, 0, 0, 0]
    assert frame.rows["weight"].tolist() == [1, 2.5, 1, 1, 1, 1, 1]
    batch, labels = frame.batch(), frame.labels
    assert [labels.sources[i] for i in batch.source[:3]] == ["s", "feed", "s"]
    assert [frame.epochs[i] for i in batch.source[:3]] == [4, 0, 0]
    assert [labels.devices[i] for i in batch.device[:2]] == ["all", "5"]
    assert [labels.kinds[i] for i in batch.kind[:3]] == ["conversion", "conversion", "visit"]
    assert len(wire.decode(wire.frame(frame))) == 7


WRONG = {
    "not JSON": [b"{", b"[" * 50_000, b'{"time": 1' + b"0" * 5000 + b"}", b"\xef\xbb"],
    "not UTF-8": [b'{"time": "\xff"}'],
    "not an object": [b"5", b"null", b"[]"],
    "no time": [{"seq": 1}, {"time": None}],
    "time is not a moment": [
        {"time": "soon"}, {"time": True}, {"time": [1]}, {"time": 1e300}, {"time": float("nan")}, {"time": ""},
        {"time": "3026-01-01"}, {"time": "0001-01-01"}, {"time": float("inf")}, {"time": 2**63}, {"time": {}},
    ],
    "seq is not a whole number": [{"time": 1, "seq": x} for x in (-1, 2**64, 1.5, "7", True, [], float("inf"))],
    "epoch is not a whole number": [{"time": 1, "epoch": x} for x in (-1, 2**63, "x")],
    "weight is not a number": [{"time": 1, "weight": x} for x in ("x", True, 1e39, float("nan"), [])],
    "label is not a text": [{"time": 1, "region": x} for x in (True, [], {})],
    "label is too long": [{"time": 1, "source": "x" * 201}],
    "label is not printable": [{"time": 1, "source": "a\0b"}, b'{"time": 1, "kind": "\\ud800"}'],
    "line is too long": [{"time": 1, "other": "x" * 70_000}],
}  # fmt: skip


@pytest.mark.parametrize("reason", WRONG)
def test_what_cannot_be_read_is_counted_under_its_reason_and_harms_no_other(reason):
    good = {"time": 1770583260, "region": "r"}
    mixed = [part for bad in WRONG[reason] for part in (bad, good)]
    frame, rejected = wire.lines(body(good, *mixed))
    assert len(frame) == 1 + len(WRONG[reason])
    assert sum(rejected.values()) == len(WRONG[reason])
    assert rejected[reason] == len(WRONG[reason]) or reason == "not JSON"


def test_too_many_labels_are_counted():
    frame, rejected = wire.lines(body(*({"time": 1, "channel": f"c{i}"} for i in range(300))))
    assert (len(frame), rejected) == (256, Counter({"too many labels in one body": 44}))
    assert len(wire.decode(wire.frame(frame))) == 256


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_counted(parts):
    data = b"\n".join([*parts, b'{"time": 5}'])
    frame, rejected = wire.lines(data)
    assert len(frame) + sum(rejected.values()) == sum(bool(line.strip()) for line in data.split(b"\n"))
    assert len(frame) >= 1


def test_a_message_of_several_frames_comes_apart_and_what_is_no_frame_comes_last():
    whole = [wire.encode(made(n)) for n in (3, 0, 5)]
    for end in (b"", b"\0", b"EVCF", whole[0][:-1], whole[0][:4] + b"\x07\0" + whole[0][6:]):
        found = [bytes(part) for part in wire.parts(b"".join(whole) + end)]
        assert found == [*whole, *([end] if end else [])]
    assert [bytes(part) for part in wire.parts(b"")] == [b""]
    short = bytearray(whole[0])
    short[8:12] = (1).to_bytes(4, "little")  # says it has one event: the rest is what it is
    assert len(list(wire.parts(bytes(short)))) == 2
