"""Lines of a CSV or JSON-lines file as frames: columns are found as the readers find them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from attribution.cells import labels as labels_of
from attribution.cells import numbers
from attribution.events import Labels
from attribution.moments import NAT, Clock, find_clock
from attribution.shapes import as_text, flat, unique_names
from attribution.stream.wire import EVENT, Frame
from attribution.tables import CHANNEL, DEVICE, KIND, REGION, TIME, Ledger, ReadError, find_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from attribution.stream.tail import Tail

ALIASES = {
    "time": TIME,
    "region": REGION,
    "channel": CHANNEL,
    "device": DEVICE,
    "kind": KIND,
    "seq": ("seq", "sequence", "sequencenumber", "seqno"),
    "source": ("source", "collector", "sender", "producer"),
}
DIMENSIONS = ("region", "channel", "device", "kind")
USUAL = {"region": "all", "channel": "all", "device": "all", "kind": "conversion", "source": "feed"}
LIMITS = {"region": 65_536, "channel": 256, "device": 256, "kind": 256, "source": 65_536}
PIECES = 16
"""Pieces of 4 MB read at most before what they hold is counted."""
HELD = 10
"""So many rows without a time are too many for a beginning."""


class EventTail:
    """Events of a growing file.

    Parameters
    ----------
    tail
        Its lines: CSV with a header, or one JSON object a line.
    columns, tz
        As in :func:`attribution.readers.read_counts`; roles are time, region, channel, device, kind, seq and source.

    Raises
    ------
    ReadError
        From `take`, when the first lines have no column of times, or none that can be read.
    """

    def __init__(self, tail: Tail, *, columns: Mapping[str, Any] | None = None, tz: str | None = None) -> None:
        self.ledger = Ledger(tail.path.name)
        self.rejected: Counter[str] = Counter()
        self._tail = tail
        self._columns = columns
        self._tz = tz
        self._begun = 0
        self._opened = False
        self._header: list[str] | None = None
        self._delimiter = ","
        self._found: dict[str, Any] = {}
        self._clock: Clock | None = None
        self._held: list[dict[str, str | None]] = []

    def take(self) -> list[Frame]:
        """Return the events of the lines that are new, a frame for each piece of the file."""
        frames = []
        for _ in range(PIECES):
            lines = self._tail.lines()
            if not lines:
                break
            if self._tail.begun != self._begun:
                self._begun, self._opened = self._tail.begun, False
            rows = self._rows([line for line in lines if line.strip()])
            if rows and self._clock is None:
                rows = self._first(rows)
            if rows:
                frames.append(self._frame(rows))
        if self._tail.overlong:
            self.rejected["line is too long"] += self._tail.overlong
            self._tail.overlong = 0
        return frames

    def _first(self, rows: list[dict[str, str | None]]) -> list[dict[str, str | None]]:
        """Find columns and how times are written; a few rows without any are held until others follow."""
        rows = self._held = self._held + rows
        names = list(dict.fromkeys(name for row in rows for name in row))
        self._found = find_columns(self.ledger, names, ALIASES, self._columns, needed=("time",))
        times = pa.array([row.get(self._found["time"]) for row in rows], pa.string())
        try:
            self._clock = find_clock(times, name=self._found["time"], tz=self._tz, ledger=self.ledger)
        except ReadError:
            if len(rows) >= HELD:
                raise
            return []
        self._held = []
        return rows

    def _rows(self, lines: list[bytes]) -> list[dict[str, str | None]]:
        """Cells by column; a line that is none is counted."""
        if not lines:
            return []
        if not self._opened:
            self._opened, self._header = True, None
            if not lines[0].lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
                head = lines.pop(0).decode("utf-8-sig", "replace")
                self._delimiter = max(",;\t|", key=head.count)
                self._header = unique_names(next(csv.reader([head], delimiter=self._delimiter)), self.ledger)
        texts = [line.decode("utf-8", "replace") for line in lines]
        return self._objects(texts) if self._header is None else self._fields(texts, self._header)

    def _fields(self, texts: list[str], header: list[str]) -> list[dict[str, str | None]]:
        rows = []
        for text in texts:
            try:
                fields = next(csv.reader([text], delimiter=self._delimiter, strict=True))
            except (csv.Error, StopIteration):
                self.rejected["quotes do not match"] += 1
                continue
            if len(fields) == len(header):
                rows.append(dict(zip(header, fields, strict=True)))
            elif fields != header:
                self.rejected["not as many fields as the header"] += 1
        return rows

    def _objects(self, texts: list[str]) -> list[dict[str, str | None]]:
        rows = []
        for text in texts:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                rows.append({name: as_text(cell) for name, cell in flat(value).items()})
            else:
                self.rejected["not a JSON object"] += 1
        return rows

    def _frame(self, rows: Sequence[Mapping[str, str | None]]) -> Frame:
        """Make events of rows; those without a time or with a wrong number are counted."""
        cells = {role: pa.array([row.get(name) for row in rows], pa.string()) for role, name in self._found.items()}
        moments, bad = self._timed(cells["time"])
        self.rejected.update({f"time {reason}": int(mask.sum()) for reason, mask in bad.items()})
        good = moments != NAT
        seq, fits = self._seq(cells.get("seq"), len(rows))
        good = self._keep(good, fits, "number is no whole number")
        codes, names = self._codes(cells)
        good = self._keep(good, np.all([codes[role] < LIMITS[role] for role in codes], axis=0), "too many labels")
        used, cell = np.unique(
            np.stack([codes[role][good] for role in DIMENSIONS], axis=1), axis=0, return_inverse=True
        )
        events = np.zeros(int(good.sum()), EVENT)
        events["time"], events["seq"], events["weight"] = moments[good], seq[good], 1.0
        events["source"], events["cell"] = codes["source"][good], cell.ravel()
        return Frame(
            rows=events,
            labels=Labels(**{f"{role}s": names[role] for role in codes}),
            epochs=(0,) * len(names["source"]),
            cells=used.astype(np.uint16).reshape(-1, 4),
        )

    def _keep(self, good: np.ndarray, fits: np.ndarray, reason: str) -> np.ndarray:
        lost = int((good & ~fits).sum())
        if lost:
            self.rejected[reason] += lost
        return good & fits

    def _timed(self, column: pa.Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        if self._clock is None:
            raise RuntimeError("rows before the first ones")
        return self._clock.read(column)

    def _seq(self, column: pa.Array | None, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(n,) uint64 numbers, 0 where there is none; and which are whole."""
        if column is None:
            return np.zeros(n, np.uint64), np.ones(n, bool)
        value, odd = numbers(column, name=self._found["seq"], ledger=self.ledger)
        value = np.nan_to_num(value)
        fits = ~odd & (value >= 0) & (value < 2**53) & (value == np.floor(value))
        return np.where(fits, value, 0).astype(np.uint64), fits

    def _codes(self, cells: Mapping[str, pa.Array]) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
        """Codes and names of every dimension; a source is only read where it numbers its events."""
        codes, names = {}, {}
        n = len(cells["time"])
        for role, usual in USUAL.items():
            if role not in cells or (role == "source" and "seq" not in cells):
                codes[role], names[role] = np.zeros(n, np.int64), (usual,)
            else:
                codes[role], known = pd.factorize(labels_of(cells[role]))
                names[role] = tuple(str(name) for name in known)
        return codes, names


class TableTail:
    """A growing file of a table, read anew when it has grown: small ones, such as a social feed or an audience.

    Parameters
    ----------
    tail
        Its lines.
    read
        Reads the file of the lines so far, :func:`attribution.readers.read_social` for instance.
    nothing
        What is known before the first rows.
    """

    def __init__(self, tail: Tail, read: Callable[[Path], pd.DataFrame], nothing: pd.DataFrame) -> None:
        self.trouble = ""
        """Why the last reading failed; the one before stays."""
        self._tail = tail
        self._read = read
        self._table = nothing
        self._lines: list[bytes] = []
        self._begun = 0

    def table(self) -> pd.DataFrame:
        """Return the table as far as its lines are whole."""
        fresh = self._tail.lines()
        if not fresh:
            return self._table
        if self._begun and self._tail.begun != self._begun and fresh[0] == self._lines[0]:
            del fresh[0]  # the header of a file that follows
        self._begun = self._tail.begun
        self._lines += fresh
        with TemporaryDirectory() as place:
            path = Path(place) / self._tail.path.name
            path.write_bytes(b"\n".join(self._lines) + b"\n")
            try:
                self._table, self.trouble = self._read(path), ""
            except ReadError as error:
                self.trouble = str(error)
        return self._table
