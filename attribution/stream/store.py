"""What a node keeps between runs: hot state in SQLite, one transaction at a time; closed hours in Parquet.

A transaction holds the seconds that changed, the gap set and the position of the log they stand for: after any end,
the node goes on from that position, and nothing is counted twice or left out.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from attribution.stream.asides import KEPT, Aside
from attribution.stream.tallies import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

HOUR, SLICE = 3600, 300
_TABLES = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS slot (place INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS second (second INTEGER PRIMARY KEY, row BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS revision (second INTEGER NOT NULL, at INTEGER NOT NULL, slot INTEGER NOT NULL,
  many INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS aside (at INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, body BLOB);
CREATE TABLE IF NOT EXISTS history (hour INTEGER PRIMARY KEY, file TEXT NOT NULL);
"""
_ARRAYS = ("held", "serves", "unnumbered")
CACHE_KB = 256
WAIT_S = 0.05
"""A reader that holds an old state open is waited for no longer than this."""
_HISTORY = pa.schema(
    [
        ("time", pa.timestamp("ns", tz="UTC")),
        ("what", pa.string()),
        *((name, pa.string()) for name in ("source", "region", "channel", "device", "kind")),
        ("epoch", pa.int64()),
        ("n", pa.int64()),
    ]
)


class Store:
    """Hot state and history in a folder.

    Parameters
    ----------
    folder
        Made where it does not exist.

    Attributes
    ----------
    number
        Of the last save: each is one more than the one before.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(Path(folder))
    ...     found = store.load()
    ...     store.close()
    >>> found is None
    True
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(
            folder / "hot.sqlite", timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.executescript(_TABLES)
        # Read through a connection of its own: a transaction that is being written is not seen half.
        self._view = sqlite3.connect(
            folder / "hot.sqlite", timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        for base in (self._base, self._view):  # each would fill 2 MB with pages of seconds that nobody asks for again
            base.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._slots = int(self._base.execute("SELECT count(*) FROM slot").fetchone()[0])
        self.number = self._number(self._base)

    def load(self) -> dict[str, Any] | None:
        """Return the state that was saved last, with its ``position``; None where there is none."""
        found = dict(self._base.execute("SELECT name, value FROM state"))
        if not found:
            return None
        state: dict[str, Any] = json.loads(found["book"])
        with np.load(io.BytesIO(found["arrays"]), allow_pickle=False) as arrays:
            state |= {name: arrays[name] for name in _ARRAYS}
            state["gaps"] = {name.removeprefix("gaps."): arrays[name] for name in arrays if name.startswith("gaps.")}
        rows = self._base.execute("SELECT name FROM slot ORDER BY place")
        state["slots"] = [Slot(what, tuple(of)) for what, of in (json.loads(name) for (name,) in rows)]
        return state

    def save(
        self,
        state: Mapping[str, Any],
        position: int,
        whole: Mapping[int, np.ndarray],
        added: Mapping[int, np.ndarray],
        asides: Iterable[Aside] = (),
    ) -> None:
        """Keep everything in one transaction.

        Parameters
        ----------
        state
            Of :meth:`attribution.stream.book.Book.state`.
        position
            Of the log, up to which the state stands.
        whole, added
            Rows of seconds: as they are now; what is added to them, noted as a revision too.
        asides
            Frames set aside.

        Raises
        ------
        sqlite3.OperationalError
            When the disk is full; what was saved before stays.
        """
        text = {name: state[name] for name in ("now", "tracks", "regions", "totals", "aside")} | {"position": position}
        arrays = {name: state[name] for name in _ARRAYS} | {f"gaps.{k}": v for k, v in state["gaps"].items()}
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays)
        slots = list(enumerate(state["slots"]))[self._slots :]
        with self._transaction() as base:
            base.executemany("INSERT INTO slot VALUES (?, ?)", [(i, json.dumps(slot)) for i, slot in slots])
            kept = [("book", json.dumps(text)), ("arrays", packed.getvalue()), ("number", self.number + 1)]
            base.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
            rows = [(second, row.tobytes()) for second, row in whole.items()]
            base.executemany("INSERT OR REPLACE INTO second VALUES (?, ?)", rows)
            for second, row in added.items():
                self._add(second, row, state["now"])
            for each in asides:
                self.set_aside(each)
        self._slots += len(slots)
        self.number += 1

    def seconds(self, first: int, last: int) -> dict[int, np.ndarray]:
        """Rows of the seconds in ``[first, last)`` that are kept here; what history holds is not among them."""
        rows = self._base.execute("SELECT second, row FROM second WHERE second >= ? AND second < ?", (first, last))
        return {second: np.frombuffer(row, np.int64) for second, row in rows}

    def seen(self, first: int, last: int) -> tuple[int, dict[int, np.ndarray]]:
        """Return the number of the last save, and the same rows as it left them, while another thread may be saving."""
        self._view.execute("BEGIN")
        try:
            rows = self._view.execute("SELECT second, row FROM second WHERE second >= ? AND second < ?", (first, last))
            return self._number(self._view), {second: np.frombuffer(row, np.int64) for second, row in rows}
        finally:
            self._view.execute("COMMIT")

    def revisions(self) -> list[tuple[int, int, int, int]]:
        """Second, moment it was revised (ns), slot, and by how many; in that order."""
        return list(self._base.execute("SELECT second, at, slot, many FROM revision ORDER BY rowid"))

    def set_aside(self, given: Aside) -> None:
        """Keep what could not be read; the oldest give way."""
        self._base.execute("INSERT INTO aside VALUES (?, ?, ?, ?)", given)
        self._base.execute("DELETE FROM aside WHERE rowid <= (SELECT max(rowid) FROM aside) - ?", (KEPT,))

    def quarantine(self) -> list[Aside]:
        """Return what was set aside, oldest first; any thread may ask."""
        return [Aside(*row) for row in self._view.execute("SELECT at, reason, detail, body FROM aside ORDER BY rowid")]

    def archive(self, before: int, slots: list[Slot]) -> list[Path]:
        """Move whole hours that end by second ``before`` to Parquet; what is added later stays here as a correction.

        The file is complete before the hour is taken out, and counts only once the hour is: an end in between leaves
        a file that the next run writes anew.
        """
        done = dict(self._base.execute("SELECT hour, file FROM history"))
        found = self._base.execute(
            "SELECT DISTINCT second / ? FROM second WHERE second < ?", (HOUR, before // HOUR * HOUR)
        )
        files = []
        for (hour,) in sorted(found):
            if hour in done:
                continue
            path = self._folder / "history" / f"{pd.Timestamp(hour * HOUR, unit='s'):%Y-%m-%dT%H}.parquet"
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                with pq.ParquetWriter(file, _HISTORY) as writer:
                    for first in range(hour * HOUR, (hour + 1) * HOUR, SLICE):
                        writer.write_table(_long(self.seconds(first, first + SLICE), slots))
                file.flush()
                os.fsync(file.fileno())
            pa.default_memory_pool().release_unused()  # it is an hour until the next one
            part.replace(path)
            with self._transaction() as base:
                base.execute("INSERT INTO history VALUES (?, ?)", (hour, path.name))
                base.execute("DELETE FROM second WHERE second >= ? AND second < ?", (hour * HOUR, (hour + 1) * HOUR))
            files.append(path)
        return files

    def history(self) -> list[tuple[int, Path]]:
        """First second and Parquet file of each hour moved out, oldest first; DuckDB reads them by their folder."""
        rows = self._base.execute("SELECT hour, file FROM history ORDER BY hour")
        return [(hour * HOUR, self._folder / "history" / file) for hour, file in rows]

    def forget(self, *, before: int | None = None, keep_bytes: int | None = None) -> int:
        """Remove hours of history that end by second ``before``, and the oldest beyond ``keep_bytes``.

        Returns
        -------
        int
            Files removed.
        """
        kept = self.history()
        sizes = [path.stat().st_size if path.exists() else 0 for _, path in kept]
        removed = 0
        for i, (first, path) in enumerate(kept):
            old = before is not None and first + HOUR <= before
            if not old and (keep_bytes is None or sum(sizes[i:]) <= keep_bytes):
                break
            with self._transaction() as base:
                base.execute("DELETE FROM history WHERE hour = ?", (first // HOUR,))
                base.execute("DELETE FROM second WHERE second >= ? AND second < ?", (first, first + HOUR))
            path.unlink(missing_ok=True)
            removed += 1
        return removed

    def settle(self) -> bool:
        """Put every transaction on the disk for good; False while a reader holds an old one open."""
        return not self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def limit(self, pages: int) -> None:
        """Let the database have at most so many pages: a full disk, for tests and quotas."""
        self._base.execute(f"PRAGMA max_page_count = {int(pages)}")

    def close(self) -> None:
        """Close; what was saved stays."""
        self._view.close()
        self._base.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it, or nothing."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield self._base
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    @staticmethod
    def _number(base: sqlite3.Connection) -> int:
        found = base.execute("SELECT value FROM state WHERE name = 'number'").fetchone()
        return int(found[0]) if found else 0

    def _add(self, second: int, row: np.ndarray, at: int) -> None:
        found = self._base.execute("SELECT row FROM second WHERE second = ?", (second,)).fetchone()
        total = row.copy()
        if found:
            before = np.frombuffer(found[0], np.int64)
            total = np.zeros(max(len(row), len(before)), np.int64)
            total[: len(row)] += row
            total[: len(before)] += before
        self._base.execute("INSERT OR REPLACE INTO second VALUES (?, ?)", (second, total.tobytes()))
        noted = [(second, at, int(slot), int(row[slot])) for slot in np.flatnonzero(row)]
        self._base.executemany("INSERT INTO revision VALUES (?, ?, ?, ?)", noted)


def _long(rows: Mapping[int, np.ndarray], slots: list[Slot]) -> pa.Table:
    """One row a second and slot that is not zero."""
    seconds, places, many = [], [], []
    for second, row in sorted(rows.items()):
        used = np.flatnonzero(row)
        seconds.append(np.full(len(used), second))
        places.append(used)
        many.append(row[used])
    place = pa.array(np.concatenate([np.empty(0, np.int64), *places]))
    time = np.concatenate([np.empty(0, np.int64), *seconds]) * 1_000_000_000
    named = [_named(slot) for slot in slots]
    columns = {"time": pa.array(time, type=_HISTORY.field("time").type)}
    for name in _HISTORY.names[1:-1]:
        columns[name] = pa.array([each.get(name) for each in named], type=_HISTORY.field(name).type).take(place)
    columns["n"] = pa.array(np.concatenate([np.empty(0, np.int64), *many]))
    return pa.table(columns, schema=_HISTORY)


def _named(slot: Slot) -> dict[str, Any]:
    names = {1: ("region",), 2: ("source", "epoch"), 4: ("region", "channel", "device", "kind")}[len(slot.of)]
    return {"what": slot.what, **dict(zip(names, slot.of, strict=True))}
