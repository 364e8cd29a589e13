"""Many JSON lines at once, where each is as plain as most are: a flat object whose fields have their usual type.

Whatever is not plain is left to be read line by line (:mod:`attribution.stream.entries`), which alone decides what is
wrong with it: what is read here reads the same there, only slower.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow

from attribution.stream.entries import HEAVIEST, LONGEST_LINE, moments_of

MANY, FEW = 2**20, 2**15
"""Bytes that are read at once; where something in them is not plain, the rest of so many is read line by line."""
FEWEST = 24
"""Fewer lines are read sooner one by one."""
PLACE = ("source", "epoch", "region", "channel", "device", "kind")
OTHER_NAMES = ("timestamp", "ts", "sequence", "value")
"""Of time, seq and weight: read line by line where they occur."""
_TEXT = pa.string()
_TYPES = {"seq": pa.uint64(), "epoch": pa.int64(), "weight": pa.float64()}
_MOMENTS = (pa.int64(), _TEXT, pa.float64())
_CODES = 2.0**62


class Plain(NamedTuple):
    """Columns of n lines.

    Attributes
    ----------
    time, good
        (n,) int64 nanoseconds since 1970; (n,) bool, which of them are moments.
    seq, weight
        (n,) uint64, float32.
    place
        (n,) which of ``places``.
    places
        Source, epoch, region, channel, device and kind as they stand in the lines, in the order in which they occur.
    """

    time: np.ndarray
    good: np.ndarray
    seq: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    places: list[tuple[Any, ...]]


def blocks(data: bytes, size: int) -> list[bytes]:
    r"""Cut a body at line ends into blocks of at most ``size`` bytes; a longer line is a block of its own.

    Examples
    --------
    >>> blocks(b"one\ntwo\na long line\nend", 9)
    [b'one\ntwo\n', b'a long line\n', b'end']
    """
    found, begin = [], 0
    while begin < len(data):
        end = len(data)
        if end - begin > size:
            last = data.rfind(b"\n", begin, begin + size)
            last = data.find(b"\n", begin) if last < 0 else last
            end = last + 1 if last >= 0 else end
        found.append(data[begin:end])
        begin = end
    return found


def plain(block: bytes) -> Plain | None:
    r"""Read the lines of a block at once; None when one of them is not plain.

    Parameters
    ----------
    block
        Of :func:`blocks`.

    Examples
    --------
    >>> found = plain(b"\n".join(b'{"time": %d, "region": "north"}' % (1_770_583_260 + i) for i in range(30)))
    >>> int(found.time[1]), found.places
    (1770583261000000000, [(None, None, 'north', None, None, None)])
    >>> plain(b'{"time": 1, "tags": ["a list"]}\n' * 30) is None
    True
    """
    text = block.strip(b" \t\r\n")
    text = text.replace(b"\r\n", b"\n") if b"\r" in text else text
    n = text.count(b"\n") + 1
    if n < FEWEST or not _flat(text, n):
        return None
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    if np.diff(ends, prepend=-1, append=len(text)).max() >= LONGEST_LINE:
        return None
    for kind in _MOMENTS:
        table = _table(text, kind)
        if table is not None:
            return _columns(table)
    return None


def _flat(text: bytes, n: int) -> bool:
    """Whether every line is one object, if all of it is JSON: no line end lies inside one, none holds another one."""
    ends = text.count(b"}\n{") == n - 1 and text.startswith(b"{") and text.endswith(b"}")
    if not ends or text.count(b"{") != n or any(sign in text for sign in (b"[", b"\r", b"\0")):
        return False
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _table(text: bytes, moment: pa.DataType) -> pa.Table | None:
    """Columns of the lines; None when one of them has another type, or is no JSON."""
    types = {name: _TYPES.get(name, _TEXT) for name in (*PLACE, "seq", "weight")}
    others = [name for name in OTHER_NAMES if b"\\" in text or name.encode() in text]  # a name may be escaped
    types |= {"time": moment, **dict.fromkeys(others, _TEXT)}
    try:
        return arrow.read_json(
            pa.BufferReader(text),
            read_options=arrow.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=arrow.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid:
        return None


def _columns(table: pa.Table) -> Plain | None:
    if table["time"].null_count or any(
        table[name].null_count < len(table) for name in OTHER_NAMES if name in table.column_names
    ):
        return None
    weight = pc.fill_null(table["weight"], 1.0).to_numpy()
    if not (np.abs(weight) <= HEAVIEST).all():
        return None
    moments = _moments(table["time"])
    codes = [_coded(table[name]) for name in PLACE]
    if moments is None or np.prod([len(known) for _, known in codes], dtype=float) >= _CODES:
        return None
    key = np.zeros(len(table), np.int64)
    for code, known in codes:
        key = key * len(known) + code
    place, places = pd.factorize(key)
    named = []
    for code, (_, known) in zip(np.unravel_index(places, [len(k) for _, k in codes]), codes, strict=True):
        named.append([known[i] for i in code.tolist()])
    return Plain(
        *moments,
        seq=pc.fill_null(table["seq"], 0).to_numpy(),
        weight=weight.astype(np.float32),
        place=place,
        places=list(zip(*named, strict=True)),
    )


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[Any]]:
    """(n,) positions, and the values they stand for; None among them where one is not given."""
    found = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return found.indices.to_numpy(), found.dictionary.to_pylist()


def _moments(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray] | None:
    """Nanoseconds, and which of them are moments; None where a number has to be looked at by itself."""
    if column.type == _TEXT:
        return moments_of(column.to_pylist())
    value = column.to_numpy()
    if column.type == pa.float64() and ((value == np.rint(value)) | ~np.isfinite(value)).any():
        return None  # 5 and 5.0 look the same here, and only one of them is exact
    size = np.abs(value)
    scale = np.select([size < 10**11, size < 10**14, size < 10**17], [10**9, 10**6, 1000], 1)
    if not (size <= (2**63 - 1025) // scale).all() or (size < 0).any():
        return None
    found = np.rint(value * scale).astype(np.int64) if column.type == pa.float64() else value * scale
    return found, np.ones(len(found), bool)
