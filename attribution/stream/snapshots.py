"""What one partition of a shared stream has counted, as one record: written whole or not at all.

A record holds the numbers that have arrived, the open seconds, and the place in the stream they stand for. Whoever
reads it goes on from that place, so that no acknowledgement of a broker has to be believed. Seconds that are over move
to blocks, records of their own; a snapshot keeps them until the block is known to be written, and remembers which
writing of the block that was.

A record is, little-endian::

    4s  magic "EVSN"
    u16 version (1)
    u16 zero
    u32 CRC-32 of the rest
    u64 bytes of the rest, unpacked
    ..  Zstandard: u32 bytes of the text; the text, JSON in UTF-8; arrays, one behind the other
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from attribution.stream.tallies import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC, VERSION = b"EVSN", 1
_HEAD = struct.Struct("<4sHHIQ")
_CODEC = pa.Codec("zstd", compression_level=1)
_TEXTS = ("now", "tracks", "regions", "totals", "aside")
_ARRAYS = ("held", "serves", "unnumbered")
_ROWS = ("window", "closed", "added")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A partition at one place of its stream.

    Attributes
    ----------
    token
        Made anew for each writing: tells our own from another's.
    position
        Place in the stream, up to which everything is counted.
    state
        Of :meth:`attribution.stream.book.Book.state`.
    window, closed
        Second since 1970 -> its row: still open; over, and not in a block yet.
    added
        Second -> what is added to its row, which lies in a block.
    filed
        Block -> revision under which it was written.
    """

    token: str
    position: int
    state: Mapping[str, Any]
    window: Mapping[int, np.ndarray] = field(default_factory=dict)
    closed: Mapping[int, np.ndarray] = field(default_factory=dict)
    added: Mapping[int, np.ndarray] = field(default_factory=dict)
    filed: Mapping[int, int] = field(default_factory=dict)


def pack(given: Snapshot) -> bytes:
    """Write a snapshot as bytes.

    Examples
    --------
    >>> from attribution.stream.book import Book
    >>> book = Book()
    >>> place = book.tallies.slot("late", "north")
    >>> found = unpack(pack(Snapshot(token="a", position=7, state=book.state(), window={5: np.array([300])})))
    >>> found.position, {second: row.tolist() for second, row in found.window.items()}
    (7, {5: [300]})
    """
    text = {name: given.state[name] for name in _TEXTS} | {"token": given.token, "position": given.position}
    text["slots"] = given.state["slots"]
    arrays = {name: given.state[name] for name in _ARRAYS} | {f"gaps.{k}": v for k, v in given.state["gaps"].items()}
    for name in _ROWS:
        arrays |= _laid(name, getattr(given, name), len(given.state["slots"]))
    arrays["filed"] = np.array(list(given.filed.items()), np.int64).reshape(-1, 2)
    return _packed(text, arrays)


def unpack(data: bytes) -> Snapshot:
    """Read a snapshot.

    Raises
    ------
    ValueError
        When it is damaged, or written by another version.
    """
    text, arrays = _unpacked(data)
    state: dict[str, Any] = {name: text[name] for name in _TEXTS} | {name: arrays[name] for name in _ARRAYS}
    state["slots"] = [Slot(what, tuple(of)) for what, of in text["slots"]]
    state["gaps"] = {name.removeprefix("gaps."): a for name, a in arrays.items() if name.startswith("gaps.")}
    return Snapshot(
        token=text["token"],
        position=text["position"],
        state=state,
        filed=dict(arrays["filed"].tolist()),
        **{name: _lifted(name, arrays) for name in _ROWS},
    )


def pack_block(rows: Mapping[int, np.ndarray], writing: int) -> bytes:
    """Write a block: rows of seconds that are over, as the snapshot of that number holds them."""
    width = max((len(row) for row in rows.values()), default=0)
    return _packed({"writing": writing}, _laid("block", rows, width))


def unpack_block(data: bytes) -> tuple[dict[int, np.ndarray], int]:
    """Read a block: its rows, and the number of its snapshot; raises ValueError as :func:`unpack`.

    Examples
    --------
    >>> rows, writing = unpack_block(pack_block({60: np.array([0, 2])}, 9))
    >>> writing, rows[60].tolist()
    (9, [0, 2])
    """
    text, arrays = _unpacked(data)
    return _lifted("block", arrays), text["writing"]


def _laid(name: str, rows: Mapping[int, np.ndarray], width: int) -> dict[str, np.ndarray]:
    """Rows as one table, in the smallest numbers that hold it."""
    table = np.zeros((len(rows), width), np.int64)
    for place, row in zip(table, rows.values(), strict=True):
        place[: len(row)] = row[:width]
    if table.size and table.min() >= 0:
        table = table.astype(np.min_scalar_type(table.max()))
    return {f"{name}.at": np.fromiter(rows, np.int64, len(rows)), f"{name}.row": table}


def _lifted(name: str, arrays: Mapping[str, np.ndarray]) -> dict[int, np.ndarray]:
    table = arrays[f"{name}.row"].astype(np.int64)
    return dict(zip(arrays[f"{name}.at"].tolist(), table, strict=True))


def _packed(text: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    text["arrays"] = [(name, array.dtype.str, array.shape) for name, array in arrays.items()]
    written = json.dumps(text, separators=(",", ":")).encode()
    parts = [struct.pack("<I", len(written)), written, *(np.ascontiguousarray(a).tobytes() for a in arrays.values())]
    whole = b"".join(parts)
    body = _CODEC.compress(whole, asbytes=True)
    return _HEAD.pack(MAGIC, VERSION, 0, zlib.crc32(body), len(whole)) + body


def _unpacked(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if len(data) < _HEAD.size or data[:4] != MAGIC:
        raise ValueError(f"{len(data)} bytes do not begin with {MAGIC!r}: this is no record of a partition")
    _, version, _, check, size = _HEAD.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"the record has version {version}; this program reads version {VERSION}")
    body = memoryview(data)[_HEAD.size :]
    if zlib.crc32(body) != check:
        raise ValueError("the checksum does not match: the record was damaged")
    whole = memoryview(_CODEC.decompress(bytes(body), size, asbytes=True))
    at = 4 + struct.unpack_from("<I", whole)[0]
    text: dict[str, Any] = json.loads(bytes(whole[4:at]))
    arrays = {}
    for name, dtype, shape in text["arrays"]:
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(whole, dtype, count, at).reshape(shape).copy()
        at += arrays[name].nbytes
    return text, arrays
