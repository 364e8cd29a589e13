"""Text files as a stream of UTF-8: compression, encodings, preamble, delimiter and header."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING

import pyarrow as pa

from attribution.headers import LOOK, Header, find_header, told

if TYPE_CHECKING:
    from pathlib import Path

    from attribution.tables import Ledger

HEAD = 1 << 16
"""Bytes looked at to tell what a file is."""
CHUNK = 1 << 20
DAMAGED = (pa.ArrowException, OSError, EOFError, UnicodeError, zlib.error)
"""What decoders raise on a damaged file."""
MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
    b"\x7fELF": "a program",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    b"\xfd7zXZ": "an xz archive",
}


class Text(io.RawIOBase):
    """A text file of any encoding, compressed or not, read as UTF-8 bytes; never whole in memory."""

    def __init__(
        self, raw: io.BufferedReader, inner: io.BufferedIOBase, size: int, ledger: Ledger, limit: int | None
    ) -> None:
        self._raw = raw
        self._inner = inner
        self._size = max(size, 1)
        self._ledger = ledger
        self._limit = limit
        self._taken = 0
        self._replaced = 0
        self._ended = False
        first = self._take(HEAD)
        if not first:
            raise ledger.fail("the file is empty")
        name, bom = _encoding(first, ledger)
        self._encoding = name
        self._decoder = codecs.getincrementaldecoder(name)("replace" if name != "utf-8" else "strict")
        self._buffer = self._decode(first[bom:])

    @classmethod
    def open(cls, path: Path, ledger: Ledger, limit: int | None) -> Text:
        """Open a path; gzip and zstandard are told by their first bytes."""
        raw = path.open("rb")
        try:
            head = raw.peek(8)[:8]
            inner: io.BufferedIOBase = raw
            if head[:2] == b"\x1f\x8b":
                inner = gzip.GzipFile(fileobj=raw)
            elif head[:4] == b"\x28\xb5\x2f\xfd":
                inner = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
            return cls(raw, inner, path.stat().st_size, ledger, limit)
        except DAMAGED as error:
            raw.close()
            raise ledger.fail(f"the compressed file is damaged: {error}") from error
        except ValueError:
            raw.close()
            raise

    def _take(self, size: int) -> bytes:
        data = self._inner.read(size)
        self._taken += len(data)
        if self._limit is not None and self._taken > self._limit:
            raise self._ledger.fail(
                f"more than {self._limit / 1e9:g} GB of text; read_events aggregates event files of any size, "
                "and a table of counts is smaller in wider bins or as Parquet"
            )
        if not data:
            self._ended = True
        return data

    def _decode(self, data: bytes) -> bytes:
        if self._encoding != "utf-8":
            return self._decoder.decode(data, final=not data).encode()
        pending, _ = self._decoder.getstate()
        try:
            return self._decoder.decode(data, final=not data).encode()
        except UnicodeDecodeError:
            self._decoder.reset()
            return self._mend(pending + data, final=not data)

    def _mend(self, data: bytes, *, final: bool) -> bytes:
        """Read the bytes that are not UTF-8 as Windows-1252, the usual other encoding of exports."""
        keep = b""
        if not final:
            tail = re.search(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z", data)
            keep = tail.group() if tail else b""
            data = data[: len(data) - len(keep)]
        text, before = "", self._replaced
        while data:
            try:
                text += data.decode()
                break
            except UnicodeDecodeError as error:
                text += data[: error.start].decode() + data[error.start : error.end].decode("cp1252", "replace")
                self._replaced += error.end - error.start
                data = data[error.end :]
                if self._replaced - before > CHUNK // 64:  # dense: one pass instead of one per byte
                    text += data.decode("cp1252", "replace")
                    break
        self._decoder.decode(keep)
        self._ledger.note(
            "note",
            "the file is not UTF-8",
            harm="names with accents may be wrong",
            mend="read as Windows-1252 where it is not UTF-8; save it as UTF-8 to be sure",
        )
        return text.encode()

    def _fill(self, size: int) -> None:
        while len(self._buffer) < size and not self._ended:
            self._buffer += self._decode(self._take(CHUNK))

    def readable(self) -> bool:
        """Tell the io protocol that this can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read up to ``len(buffer)`` bytes; 0 at the end."""
        self._fill(1)
        data, self._buffer = self._buffer[: len(buffer)], self._buffer[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def peek(self) -> bytes:
        """Show the bytes that come next, without taking them."""
        self._fill(HEAD)
        return self._buffer[:HEAD]

    def at_end(self) -> bool:
        """Whether nothing but white space is left (looks ahead at most 64 KB)."""
        return not self.peek().strip() and len(self._buffer) < HEAD

    def done(self) -> float:
        """Share of the file read so far, by bytes on disk."""
        return 1.0 if self._raw.closed else min(self._raw.tell() / self._size, 1.0)

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    def read_header(self) -> tuple[str, list[str]]:
        """Take the preamble and the header off the stream: (delimiter, names)."""
        sample = self.peek().decode(errors="ignore")
        skipped, delimiter = 0, ""
        lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", sample)
        for line in lines:
            bare = line.strip().strip('"').strip()
            if bare.lower().startswith("sep=") and len(bare) == 5:
                delimiter = bare[4]
            elif bare and not bare.startswith("#"):
                break
            skipped += len(line)
        rest = sample[skipped:]
        if not rest.strip():
            raise self._ledger.fail("the file holds no table: only blank lines or remarks")
        if skipped and sample[:skipped].strip():
            self._ledger.note(
                "note", "remarks stand before the header", rows=sample[:60].splitlines()[0], mend="skipped"
            )
        delimiter = delimiter or _delimiter(rest)
        if delimiter not in {",", "\t"}:
            self._ledger.note("note", f"the delimiter is {delimiter!r}")
        lines = list(io.StringIO(rest, newline=""))
        header, used = self._header(lines, delimiter)
        told(header, self._ledger)
        self._buffer = self._buffer[len(sample[:skipped].encode()) + len("".join(lines[:used]).encode()) :]
        names = header.names
        if len(names) > 1 and all(re.fullmatch(r"[\d.,:TZ+\s-]+", n.strip()) for n in names):
            raise self._ledger.fail(f"no header: the first row is {names[:4]}; write the columns' names above it")
        return delimiter, names

    def _header(self, lines: list[str], delimiter: str) -> tuple[Header, int]:
        """Find the header, and how many lines it and what stands above it take."""
        reader = csv.reader(lines, delimiter=delimiter)
        rows, ends = [], []
        try:
            for row in reader:
                rows.append(row)
                ends.append(reader.line_num)
                if len(rows) > LOOK:
                    break
        except csv.Error as error:
            if not rows:
                raise self._ledger.fail(f"the header cannot be read: {error}") from error
        header = find_header(rows)
        return header, ends[header.row]


def _encoding(head: bytes, ledger: Ledger) -> tuple[str, int]:
    """Tell encoding and length of the byte-order mark; binary files are refused."""
    for bom, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(bom):
            if name != "utf-8":
                ledger.note("note", f"the file is {name.upper()}", mend="read as such")
            return name, len(bom)
    for start, what in MAGIC.items():
        if head.startswith(start):
            raise ledger.fail(f"{what}, not a table; give CSV, Parquet, Feather, JSON lines or Excel")
    nul_even, nul_odd, half = head[::2].count(0), head[1::2].count(0), len(head) / 2
    if max(nul_even, nul_odd) > 0.6 * half and min(nul_even, nul_odd) < 0.05 * half:
        name = "utf-16-le" if nul_odd > nul_even else "utf-16-be"
        ledger.note("note", f"the file is {name.upper()} without a byte-order mark", mend="read as such")
        return name, 0
    control = sum(head.count(bytes([b])) for b in range(32) if b not in (9, 10, 11, 12, 13))
    if head.count(0) > 1 or control > 0.02 * len(head):
        raise ledger.fail("a binary file, not text; give CSV, Parquet, Feather, JSON lines or Excel")
    return "utf-8", 0


def _delimiter(sample: str) -> str:
    """Find the delimiter that splits the first rows most evenly; of equals, the one with the most columns."""
    best, score = ",", (0.0, 1)
    for delimiter in ",;\t|":
        lines = sample.splitlines()[:40]
        try:
            sizes = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not sizes or max(sizes) < 2:
            continue
        usual = max(set(sizes), key=lambda size: (sizes.count(size), size))
        size = sizes[0] if sizes[0] > 1 and sizes.count(sizes[0]) > 1 else usual
        even = round(sizes.count(size) / len(sizes), 1)
        if size > 1 and (even, size) > score:
            best, score = delimiter, (even, size)
    return best
