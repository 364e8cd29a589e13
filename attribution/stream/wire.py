"""Events on the wire: batches of 24 bytes an event with their labels in front; JSON lines at the edge.

A frame is, little-endian::

    4s  magic "EVCF"
    u16 version (1)
    u16 zero
    u32 n, events
    u32 bytes of the dictionary, a multiple of 8
    u32 CRC-32 of all other bytes
    u32 zero
    ..  dictionary: JSON in UTF-8, padded with spaces: sources, epochs, regions, channels, devices, kinds, cells
    ..  n events of 24 bytes

one frame or several of them behind one another make a message of a shared stream; and an event::

    i64 time    nanoseconds since 1970, UTC
    u64 seq     running number given by the source, from 1 in each epoch; 0: the source does not number
    f32 weight  what the event carries
    u16 source  position in sources; the same position in epochs is the numbering it belongs to
    u16 cell    position in cells

``cells`` lists quadruples of positions (region, channel, device, kind). It is left out when a cell is the position in
the whole product of the four lists, the last of them running fastest.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.events import EventBatch, Labels
from attribution.stream.entries import LONGEST_LABEL
from attribution.stream.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVENT = np.dtype([("time", "<i8"), ("seq", "<u8"), ("weight", "<f4"), ("source", "<u2"), ("cell", "<u2")])
MAGIC, VERSION = b"EVCF", 1
LARGEST = 16 * 2**20
"""Bytes of a frame, and of a body of JSON lines."""
_HEAD = struct.Struct("<4sHHIIII")
_CODES = 65_536
_DIMENSIONS = ("regions", "channels", "devices", "kinds")


class Unreadable(ValueError):  # noqa: N818  named after the frame: the error is the sender's
    """A frame that cannot be read; it is set aside, and the node goes on.

    Attributes
    ----------
    reason
        One of ``not a frame``, ``version``, ``truncated``, ``too long``, ``checksum``, ``labels``, ``codes``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Events as they travel.

    Attributes
    ----------
    rows
        (n,) of dtype :data:`EVENT`; in the order in which they were sent.
    labels
        Names behind the codes.
    epochs
        (S,) numbering of each source: a source that starts again from 1 takes another one.
    cells
        (m, 4) uint16: region, channel, device and kind of each cell.
    dictionary
        Labels, epochs and cells as they were written, of a frame that was read.
    """

    rows: np.ndarray
    labels: Labels
    epochs: tuple[int, ...]
    cells: np.ndarray
    dictionary: bytes = b""

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self) -> EventBatch:
        """Return the events as columns."""
        region, channel, device, kind = self.cells[self.rows["cell"]].T
        return EventBatch(
            time=np.ascontiguousarray(self.rows["time"]),
            seq=np.ascontiguousarray(self.rows["seq"]),
            source=np.ascontiguousarray(self.rows["source"]),
            region=np.ascontiguousarray(region),
            channel=channel.astype(np.uint8),
            device=device.astype(np.uint8),
            kind=kind.astype(np.uint8),
            weight=np.ascontiguousarray(self.rows["weight"]),
            labels=self.labels,
        )


def encode(batch: EventBatch, labels: Labels | None = None, *, epochs: Sequence[int] = ()) -> bytes:
    """Write a batch as one frame.

    Parameters
    ----------
    batch
        The events.
    labels
        Names behind the codes; the batch's own by default.
    epochs
        (S,) numbering of each source; 0 for all by default.

    Returns
    -------
    bytes
        A frame, 24 bytes an event behind its dictionary.

    Raises
    ------
    ValueError
        When there is not one epoch a source, or the events do not fit into one frame.

    Examples
    --------
    >>> one = np.zeros(2, np.uint8)
    >>> wide = one.astype(np.uint16)
    >>> batch = EventBatch(time=np.array([5, 7]), seq=np.array([1, 2], np.uint64), source=wide, region=wide,
    ...                    channel=one, device=one, kind=one, weight=np.ones(2, np.float32), labels=Labels())
    >>> decode(encode(batch)).rows["time"]
    array([5, 7])
    """
    labels = labels or batch.labels
    epochs = tuple(epochs) or (0,) * len(labels.sources)
    if len(epochs) != len(labels.sources):
        raise ValueError(f"epochs has {len(epochs)} entries; give one for each of {len(labels.sources)} sources")
    rows = np.empty(len(batch), EVENT)
    for name in ("time", "seq", "weight", "source"):
        rows[name] = getattr(batch, name)
    sizes = [len(getattr(labels, name)) for name in _DIMENSIONS]
    cell = batch.region.astype(np.int64)
    for codes, size in zip((batch.channel, batch.device, batch.kind), sizes[1:], strict=True):
        cell *= size
        cell += codes
    listed: bytes | None = None
    if np.prod(sizes, dtype=float) > _CODES:
        used, cell = np.unique(cell, return_inverse=True)
        if len(used) > _CODES:
            raise ValueError(f"the batch has {len(used)} cells; send at most {_CODES} in one frame")
        listed = np.stack(np.unravel_index(used, sizes), axis=1).astype("<u2").tobytes()
    rows["cell"] = cell
    return _framed(rows, _written(labels, epochs, listed))


def frame(given: Frame) -> bytes:
    """Write a frame that was read, of JSON lines for instance."""
    known = given.dictionary or _written(given.labels, given.epochs, given.cells.astype("<u2").tobytes())
    return _framed(given.rows, known)


def parts(data: bytes) -> Iterator[memoryview]:
    r"""Yield the frames of a message, which stand one behind the other; what is no whole frame comes last, as it is.

    Examples
    --------
    >>> one, _ = lines(b'{"time": 1, "seq": 1}')
    >>> [len(part) for part in parts(frame(one) * 2 + b"and more")] == [len(frame(one))] * 2 + [8]
    True
    """
    rest = memoryview(data)
    while True:
        length = len(rest)
        if length >= _HEAD.size and rest[:4] == MAGIC:
            _, version, _, n, size, _, _ = _HEAD.unpack_from(rest)
            if version == VERSION:
                length = min(length, _HEAD.size + size + n * EVENT.itemsize)
        yield rest[:length]
        rest = rest[length:]
        if not len(rest):
            return


def decode(data: bytes | bytearray | memoryview) -> Frame:
    """Read one frame.

    Parameters
    ----------
    data
        The whole frame and nothing else. The rows are views of it where it lies on a multiple of 8 bytes.

    Returns
    -------
    Frame
        Its codes all have a label.

    Raises
    ------
    Unreadable
        When anything about it is wrong; its ``reason`` is the name to count it under.

    Examples
    --------
    >>> try:
    ...     decode(b"GET / HTTP/1.1 and so on")
    ... except Unreadable as error:
    ...     print(error.reason)
    not a frame
    """
    whole = memoryview(data).cast("B")
    if len(whole) < _HEAD.size or whole[:4] != MAGIC:
        raise Unreadable("not a frame", f"{len(whole)} bytes do not begin with {MAGIC!r}; send frames of wire.encode")
    _, version, flags, n, size, check, spare = _HEAD.unpack_from(whole)
    if version != VERSION:
        raise Unreadable("version", f"the frame has version {version}; this node reads version {VERSION}")
    length = _HEAD.size + size + n * EVENT.itemsize
    if length > len(whole):
        raise Unreadable("truncated", f"the frame ends after {len(whole)} of {length} bytes; send it again")
    if length < len(whole) or length > LARGEST:
        raise Unreadable("too long", f"{len(whole)} bytes for a frame of {length}; the largest is {LARGEST}")
    if flags or spare or check != _checksum(whole):
        raise Unreadable("checksum", "the checksum does not match: the frame was damaged on its way; send it again")
    dictionary = bytes(whole[_HEAD.size : _HEAD.size + size])
    labels, epochs, cells = _read(dictionary)
    rows = np.frombuffer(whole, EVENT, n, _HEAD.size + size)
    if rows.ctypes.data % 8:
        rows = rows.copy()
    if n and (rows["source"].max() >= len(epochs) or rows["cell"].max() >= len(cells)):
        raise Unreadable("codes", "an event has a source or a cell that the dictionary does not list")
    return Frame(rows=rows, labels=labels, epochs=epochs, cells=cells, dictionary=dictionary)


def lines(data: bytes) -> tuple[Frame, Counter[str]]:
    r"""Read JSON lines, one event a line; what cannot be read is counted under its reason, and the rest is kept.

    An object has ``time`` (ISO 8601, UTC where no offset is given; or a number since 1970 in s, ms, us or ns, told by
    its size), and may have ``seq`` (from 1), ``epoch``, ``source``, ``region``, ``channel``, ``device``, ``kind`` and
    ``weight``. Other names are ignored.

    Parameters
    ----------
    data
        The body.

    Returns
    -------
    Frame, Counter
        What was read, in its order; and how many lines were not, by reason.

    Examples
    --------
    >>> got, lost = lines(b'{"time": "2026-02-08T20:41:00Z", "region": "us-east"}\nnonsense\n{"seq": 4}')
    >>> len(got), got.labels.regions, dict(lost)
    (1, ('us-east',), {'not JSON': 1, 'no time': 1})
    """
    sheet = Sheet()
    sheet.read(data)
    columns = sheet.columns()
    rows = np.empty(len(columns[0]), EVENT)
    for name, column in zip(EVENT.names or (), columns, strict=True):
        rows[name] = column
    sources, epochs, names, cells = sheet.labels()
    return Frame(rows=rows, labels=_labels([sources, *names]), epochs=epochs, cells=cells), sheet.rejected


def _labels(names: list[tuple[str, ...]]) -> Labels:
    return Labels(**dict(zip(("sources", *_DIMENSIONS), names, strict=True)))


def _framed(rows: np.ndarray, dictionary: bytes) -> bytes:
    whole = bytearray(_HEAD.size + len(dictionary) + rows.nbytes)
    if len(whole) > LARGEST:
        raise ValueError(
            f"the batch has {len(rows)} events, {len(whole)} bytes; split it: a frame has at most {LARGEST}"
        )
    _HEAD.pack_into(whole, 0, MAGIC, VERSION, 0, len(rows), len(dictionary), 0, 0)
    whole[_HEAD.size : _HEAD.size + len(dictionary)] = dictionary
    whole[_HEAD.size + len(dictionary) :] = rows.view(np.uint8).data
    struct.pack_into("<I", whole, 16, _checksum(memoryview(whole)))
    return bytes(whole)


def _checksum(whole: memoryview) -> int:
    return zlib.crc32(whole[24:], zlib.crc32(whole[:16]))


@lru_cache(maxsize=64)
def _written(labels: Labels, epochs: tuple[int, ...], listed: bytes | None) -> bytes:
    """Write the dictionary of a frame; a feed's frames all have the same one."""
    book: dict[str, Any] = {"sources": labels.sources, "epochs": epochs}
    book |= {name: getattr(labels, name) for name in _DIMENSIONS}
    if listed is not None:
        book["cells"] = np.frombuffer(listed, "<u2").reshape(-1, 4).tolist()
    text = json.dumps(book, ensure_ascii=False, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


@lru_cache(maxsize=64)
def _read(dictionary: bytes) -> tuple[Labels, tuple[int, ...], np.ndarray]:
    """Labels, epochs and cells of a dictionary."""
    try:
        book = json.loads(dictionary)
        names = [tuple(book[name]) for name in ("sources", *_DIMENSIONS)]
        epochs = tuple(book["epochs"])
        cells = book.get("cells")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable("labels", f"the dictionary cannot be read: {type(error).__name__}: {error}") from None
    texts = all(isinstance(book[name], list) for name in ("sources", *_DIMENSIONS))
    texts &= all(isinstance(name, str) and len(name) <= LONGEST_LABEL for known in names for name in known)
    whole = all(type(epoch) is int and 0 <= epoch < 2**63 for epoch in epochs)
    sizes = [len(known) for known in names[1:]]
    if not texts or not whole or len(epochs) != len(names[0]) or not all(sizes) or max(sizes[1:]) > 256:
        raise Unreadable("labels", "the dictionary needs lists of texts, and a whole number in epochs for each source")
    if cells is None:
        if np.prod(sizes, dtype=float) > _CODES:
            raise Unreadable("labels", f"labels of {sizes} have more than {_CODES} cells; list those in use")
        return _labels(names), epochs, np.indices(sizes).reshape(4, -1).T.astype(np.uint16)
    try:
        listed = np.array(cells).reshape(-1, 4)
    except (ValueError, TypeError):
        listed = np.empty((0, 4))
    if not listed.size or listed.dtype.kind != "i":
        raise Unreadable("labels", "cells is not a list of quadruples of whole numbers")
    if (listed < 0).any() or (listed >= sizes).any():
        raise Unreadable("codes", "a cell has a code without a label")
    return _labels(names), epochs, listed.astype(np.uint16)
