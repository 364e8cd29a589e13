"""The log that is written before anything is counted: append-only segments, a checksum a record, a torn tail cut off.

A record is, little-endian::

    u32 length of the body
    u32 CRC-32 of the rest of the head and the body
    i64 when it was taken in: nanoseconds since 1970, UTC
    u64 its position: bytes of the log before it
    ..  body

A segment's name is the position of its first record. Positions only grow; one is the place to read on from.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HEAD = struct.Struct("<IIqQ")
SEGMENT = 64 * 2**20
"""Bytes after which a segment is full."""


class Record(NamedTuple):
    """What was written: where it ends, when it was taken in, and its body."""

    end: int
    at: int
    body: bytes


class Disk:
    """The two calls that can fail for want of a disk; a test puts a failing one in their place."""

    def write(self, file: int, data: bytes, offset: int) -> int:
        """Write at an offset; returns how many bytes were."""
        return os.pwrite(file, data, offset)

    def sync(self, file: int) -> None:
        """Wait until what was written is on the disk."""
        os.fdatasync(file)


class Journal:
    """Append-only log in a folder; one writer.

    Opening it cuts off a record that was not written whole: the last one, when a process or machine stopped.

    Parameters
    ----------
    folder
        Made where it does not exist.
    disk
        For tests.
    segment
        Bytes after which a new file begins.

    Attributes
    ----------
    end
        Position behind the last record.
    synced
        Position up to which it survives a loss of power; up to ``end`` it survives the end of the process.
    cut
        Bytes cut off when it was opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder))
    ...     end = journal.append(b"first", at=7)
    ...     journal.close()
    ...     [(record.at, record.body, record.end == end) for record in Journal(Path(folder)).read(0)]
    [(7, b'first', True)]
    """

    def __init__(self, folder: Path, *, disk: Disk | None = None, segment: int = SEGMENT) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._segment = segment
        self._syncing = threading.Lock()
        self._failed = False
        folder.mkdir(parents=True, exist_ok=True)
        known = self.segments()
        self._begin = known[-1][0] if known else 0
        path = self._path(self._begin)
        good = sum(_HEAD.size + len(record.body) for record in _records(path, self._begin)) if known else 0
        self.cut = path.stat().st_size - good if known else 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if self.cut:
            os.ftruncate(self._file, good)
        _sync_folder(folder)
        self.end = self.synced = self._begin + good

    def segments(self) -> list[tuple[int, Path]]:
        """Return position and path of each segment, oldest first."""
        return sorted((int(path.stem), path) for path in self._folder.glob("*.log"))

    def append(self, body: bytes, *, at: int) -> int:
        """Write one record whole, or nothing.

        Parameters
        ----------
        body
            What to keep.
        at
            When it was taken in, ns.

        Returns
        -------
        int
            Position behind it.

        Raises
        ------
        OSError
            When the disk does not take it; the log is as before.
        """
        if self._failed:  # the system forgets what it could not write: a later sync would say yes to a hole
            raise OSError(errno.EIO, "the disk failed while it was waited for; open the node again")
        if self.end - self._begin >= self._segment:
            self._next_segment()
        rest = struct.pack("<qQ", at, self.end)
        record = struct.pack("<II", len(body), zlib.crc32(body, zlib.crc32(rest))) + rest + body
        offset, written = self.end - self._begin, 0
        try:
            while written < len(record):
                written += self._disk.write(self._file, record[written:] if written else record, offset + written)
        except OSError:
            os.ftruncate(self._file, offset)
            raise
        self.end += len(record)
        return self.end

    def sync(self) -> int:
        """Put what was appended on the disk; returns the position up to which it is. Any thread may call it."""
        with self._syncing:
            end = self.end
            if end > self.synced:
                try:
                    self._disk.sync(self._file)
                except OSError:
                    self._failed = True
                    raise
                self.synced = end
            return end

    def read(self, position: int) -> Iterator[Record]:
        """Yield the records behind ``position``; one that is damaged ends its segment.

        Raises
        ------
        ValueError
            When the log no longer, or not yet, has that position.
        """
        known = self.segments()
        first = known[0][0] if known else self.end
        if not first <= position <= self.end:
            raise ValueError(f"position is {position}; this log holds {first} to {self.end}")
        for i, (begin, path) in enumerate(known):
            if i + 1 < len(known) and known[i + 1][0] <= position:
                continue
            for record in _records(path, begin):
                if record.end > position:
                    yield record

    def forget(self, before: int) -> int:
        """Remove the segments that end at or before a position; returns how many bytes that freed."""
        known, freed = self.segments(), 0
        for (_, path), (following, _) in pairwise(known):
            if following <= before:
                freed += path.stat().st_size
                path.unlink()
        return freed

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        os.close(self._file)

    def _next_segment(self) -> None:
        self.sync()
        file = os.open(self._path(self.end), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        with self._syncing:
            os.close(self._file)
            self._file, self._begin = file, self.end
        _sync_folder(self._folder)

    def _path(self, begin: int) -> Path:
        return self._folder / f"{begin:020d}.log"


def _records(path: Path, begin: int) -> Iterator[Record]:
    """Yield the whole records of one segment, up to the first that is not."""
    position = begin
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, check, at, written = _HEAD.unpack(head)
            if written != position or length > path.stat().st_size:
                return
            body = file.read(length)
            if len(body) < length or zlib.crc32(body, zlib.crc32(head[8:])) != check:
                return
            position += _HEAD.size + length
            yield Record(position, at, body)


def _sync_folder(folder: Path) -> None:
    """Put a new file's name on the disk."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
