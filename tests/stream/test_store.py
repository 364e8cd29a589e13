"""The store: all of a save or nothing, additions noted as revisions, hours moved to Parquet without a count changed."""

from __future__ import annotations

import sqlite3

import duckdb
import numpy as np
import pytest

from attribution.stream import wire
from attribution.stream.asides import aside
from attribution.stream.book import SECOND, Book
from attribution.stream.store import HOUR, Store
from attribution.stream.tallies import CELL

BEGIN = 1_770_580_800  # a whole hour


def book(lines: int = 3) -> Book:
    text = b"\n".join(
        b'{"time": %d, "seq": %d, "epoch": 2, "region": "r%d"}' % (BEGIN + i, i + 2, i) for i in range(lines)
    )
    made = Book()
    made.apply(wire.lines(text)[0], at=(BEGIN + lines) * SECOND)
    return made


def rows(book: Book) -> dict[int, np.ndarray]:
    return book.tallies.take()[0]


def test_what_was_saved_is_loaded(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 77, rows(made), {})
    store.close()
    found = Store(tmp_path).load()
    assert found["position"] == 77
    again = Book(state=found)
    assert again.tallies.slots == made.tallies.slots
    assert (again.tracks, again.regions, again.totals, again.now) == (made.tracks, made.regions, made.totals, made.now)
    np.testing.assert_array_equal(again.gaps.intervals(), made.gaps.intervals())
    assert again.gaps.dropped == made.gaps.dropped == 1
    np.testing.assert_array_equal(again.serves, made.serves)


def test_a_save_that_fails_changes_nothing(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 1, rows(made), {})
    before = store.seconds(0, 2**40)
    store.limit(8)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.save(made.state(), 2, {BEGIN + i: np.arange(1000) for i in range(500)}, {})
    store.limit(2**20)
    assert store.load()["position"] == 1
    assert store.seconds(0, 2**40).keys() == before.keys()
    store.save(made.state(), 3, {}, {})
    assert store.load()["position"] == 3


def test_additions_are_added_and_noted(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 1, {5: np.array([1, 2])}, {})
    store.save(made.state(), 2, {}, {5: np.array([0, 3, 4]), 6: np.array([7])})
    assert {k: v.tolist() for k, v in store.seconds(0, 10).items()} == {5: [1, 5, 4], 6: [7]}
    assert [(second, slot, many) for second, _, slot, many in store.revisions()] == [(5, 1, 3), (5, 2, 4), (6, 0, 7)]


def test_hours_move_to_parquet_and_are_read_by_duckdb(tmp_path):
    store, made = Store(tmp_path), book(5)
    cell = next(i for i, slot in enumerate(made.tallies.slots) if slot.what == CELL)
    row = np.zeros(len(made.tallies.slots), np.int64)
    row[cell] = 4
    seconds = {BEGIN + HOUR * h + s: row * (h + 1) for h in range(3) for s in range(10)}
    store.save(made.state(), 1, seconds, {})
    files = store.archive(BEGIN + 2 * HOUR + 30, made.tallies.slots)
    assert [path.name for path in files] == ["2026-02-08T20.parquet", "2026-02-08T21.parquet"]
    assert min(store.seconds(0, 2**40)) == BEGIN + 2 * HOUR
    store.save(made.state(), 2, {}, {BEGIN: row})  # late, into an hour that has gone
    assert store.archive(BEGIN + 2 * HOUR + 30, made.tallies.slots) == []
    query = (
        "SELECT sum(n)::INT, count(*), min(time)::VARCHAR, any_value(region) FROM read_parquet(?) WHERE what = 'cell'"
    )
    n, many, first, region = duckdb.execute(query, [str(tmp_path / "history" / "*.parquet")]).fetchone()
    assert (n, many, region) == (4 * 10 + 8 * 10, 20, "r0")
    assert first.startswith("2026-02-08 20:00:00")
    assert store.seconds(BEGIN, BEGIN + 1)[BEGIN][cell] == 4


def test_an_end_between_file_and_transaction_is_repaired(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 1, {BEGIN: rows(made)[BEGIN]}, {})
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "2026-02-08T20.parquet").write_bytes(b"half")
    assert len(store.archive(BEGIN + HOUR, made.tallies.slots)) == 1
    ((_, path),) = store.history()
    assert duckdb.execute("SELECT count(*) > 0 FROM read_parquet(?)", [str(path)]).fetchone() == (True,)


def test_history_is_kept_by_age_and_by_size(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 1, {BEGIN + HOUR * h: rows(made)[BEGIN] for h in range(4)}, {})
    files = store.archive(BEGIN + 5 * HOUR, made.tallies.slots)
    assert len(files) == 4
    assert store.forget(before=BEGIN + HOUR) == 1
    assert [path.exists() for path in files] == [False, True, True, True]
    assert store.forget(keep_bytes=2 * files[1].stat().st_size) == 1
    assert [first for first, _ in store.history()] == [BEGIN + 2 * HOUR, BEGIN + 3 * HOUR]


def test_what_is_set_aside_is_kept_with_its_reason_and_bounded(tmp_path):
    store = Store(tmp_path)
    for i in range(1005):
        store.set_aside(aside(i, "checksum", "damaged", b"x" * 70_000 if i == 1004 else b"y"))
    kept = store.quarantine()
    assert len(kept) == 1000
    assert kept[0][:3] == (5, "checksum", "damaged")
    assert len(kept[-1][3]) == 65_536


def test_a_reader_that_never_reads_holds_nothing_up(tmp_path):
    store, made = Store(tmp_path), book()
    store.save(made.state(), 1, rows(made), {})
    reader = sqlite3.connect(tmp_path / "hot.sqlite")
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM second").fetchone() == (3,)
    store.save(made.state(), 2, {1: np.array([1])}, {})
    assert store.load()["position"] == 2
    assert not store.settle()
    reader.close()
    assert store.settle()
