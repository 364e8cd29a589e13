"""A file that grows, line by line: rotated, truncated, or with a last line that is not yet whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 4 << 20
"""Bytes read at once."""
LONGEST = 1 << 20
"""Bytes of a line; a longer one is passed over."""
MARK = 256
"""Bytes by which a file is known again: one that begins otherwise is another file."""


class Tail:
    r"""Whole lines of a growing file, each once.

    A file that was renamed is read to its end before its successor is begun; one that was cut is begun anew. A last
    line without its end waits, and counts as whole when the file is replaced.

    Parameters
    ----------
    path
        The file; it need not be there yet.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "log"
    >>> tail = Tail(path)
    >>> tail.lines()
    []
    >>> _ = path.write_text("one\ntw")
    >>> tail.lines()
    [b'one']
    >>> with path.open("a") as file:
    ...     _ = file.write("o\n")
    >>> tail.lines()
    [b'two']
    >>> tail.close()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun = 0
        """How many files were begun: a new one may have a header of its own."""
        self.overlong = 0
        """Lines passed over for their length."""
        self._file: BinaryIO | None = None
        self._mark = b""
        self._rest = b""
        self._skipping = False

    def lines(self) -> list[bytes]:
        """Return the lines that are whole now, at most about `CHUNK` bytes of them; without their ends.

        All of them are of one file: those of its successor come next time.
        """
        if self._file is None and not self._open():
            return []
        data = self._read()
        if data:
            return self._cut(data)
        if not self._replaced():
            return []
        last = self._cut(b"\n") if self._rest else []
        self.close()
        return last or self.lines()

    def close(self) -> None:
        """Close the file; the next reading begins it anew."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest, self._mark, self._skipping = None, b"", b"", False

    @property
    def waiting(self) -> bool:
        """Whether a last line waits for its end."""
        return bool(self._rest)

    def _open(self) -> bool:
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            return False
        self.begun += 1
        return True

    def _read(self) -> bytes:
        file = self._opened()
        if self._anew(file):
            return b""
        if len(self._mark) < MARK:
            self._mark = os.pread(file.fileno(), MARK, 0)
        return file.read(CHUNK)

    def _anew(self, file: BinaryIO) -> bool:
        """Whether the file was cut, or written anew from its beginning."""
        cut = os.fstat(file.fileno()).st_size < file.tell()
        return cut or os.pread(file.fileno(), len(self._mark), 0) != self._mark

    def _replaced(self) -> bool:
        """Whether what was read is no longer what the path names."""
        file = self._opened()
        if self._anew(file):
            self._rest = b""  # its end is gone
            return True
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False  # between renaming and the first line of its successor
        here = os.fstat(file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _cut(self, data: bytes) -> list[bytes]:
        whole, end, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        lines = whole.split(b"\n") if end else []
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        if len(self._rest) > LONGEST or self._skipping:
            self.overlong += not self._skipping
            self._rest, self._skipping = b"", True
        short = [line.rstrip(b"\r") for line in lines if len(line) <= LONGEST]
        self.overlong += len(lines) - len(short)
        return short

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError("the file is not open")
        return self._file
