"""Counting where the events lie gives the counts of reading them; the SQL of each dialect is held to a file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution.logs import read_events
from attribution.tables import ReadError
from attribution.warehouse import DIALECTS, count_sql, count_table

ibis = pytest.importorskip("ibis", reason="needs the extra warehouse")
pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # Ibis 12 on DuckDB 2
GOLDEN = Path(__file__).parent / "golden"
SCHEMA = {"ts": "timestamp('UTC')", "region": "string", "event_type": "string", "order_id": "string"}
BEGIN = pd.Timestamp("2026-02-08T20:00:00Z")


def log(n: int = 20_000) -> pd.DataFrame:
    """Events over 5 minutes; a tenth of the orders are told twice, some regions are blank."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "ts": (BEGIN + pd.to_timedelta(rng.integers(0, 300 * 10**9, n), unit="ns")).floor("us"),
            "region": rng.choice(np.array(["north", " south", "west", None], dtype=object), n),
            "device": rng.choice(["tv", "phone"], n),
            "event_type": rng.choice(["purchase", "visit"], n),
            "order_id": np.arange(n),
        }
    )
    return pd.concat([frame, frame[::10]], ignore_index=True)


@pytest.fixture(scope="module")
def table():
    con = ibis.duckdb.connect()
    con.con.register("frame", log())
    con.raw_sql("CREATE TABLE events AS SELECT * FROM frame")
    yield con.table("events")
    con.disconnect()


@pytest.mark.parametrize(
    "options",
    [{}, {"width": "10s"}, {"kind": "visit"}, {"columns": {"id": "order_id"}}, {"columns": {"region": "event_type"}}],
)
def test_the_counts_are_those_of_reading_the_events(table, options):
    counted, read = count_table(table, **options), read_events(log(), **options)
    np.testing.assert_array_equal(counted.values, read.values)
    assert counted.fingerprint == read.fingerprint
    assert counted.mapping == read.mapping
    assert counted.findings[-1].what == read.findings[-1].what


def test_start_and_end_bound_what_is_counted(table):
    start, end = BEGIN + pd.Timedelta("60s"), BEGIN + pd.Timedelta("90s")
    part = count_table(table, start=start, end=end)
    whole = read_events(log()).between(start, end)
    np.testing.assert_array_equal(part.values, whole.values)
    assert part.end == end


def test_rows_without_a_time_are_reported(table):
    counted = count_table(table.mutate(ts=ibis.cases((table.order_id == 17, None), else_=table.ts)))
    assert "1 row: column 'ts' is empty" in {finding.what for finding in counted.findings}
    assert counted.values.sum() == read_events(log()[lambda rows: rows.order_id != 17]).values.sum()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_query_of_each_dialect_is_as_it_was_reviewed(dialect):
    unbound = ibis.table(SCHEMA, name="events")
    query = count_sql(unbound, dialect=dialect, columns={"id": "order_id"}, start=BEGIN, width="10s")
    assert query == (GOLDEN / f"counts_{dialect}.sql").read_text()


def test_the_query_that_was_reviewed_counts_the_same(table):
    query = (GOLDEN / "counts_duckdb.sql").read_text()
    rows = table.get_backend().raw_sql(query).df()
    read = read_events(log(), columns={"id": "order_id", "device": "region"}, width="10s", kind="purchase")
    assert rows.loc[rows.kind == "purchase", "n"].sum() == read.values.sum()


def test_what_cannot_be_counted_is_said(table):
    text = table.mutate(ts=table.ts.cast("string"))
    with pytest.raises(ReadError, match=r"column 'ts' holds string; make it a timestamp first"):
        count_table(text)
    with pytest.raises(ReadError, match="no column for time"):
        count_table(table.drop("ts"))
    with pytest.raises(ReadError, match="choose whole seconds"):
        count_table(table, width="0.5s")
    with pytest.raises(ReadError, match="no row with a time"):
        count_table(table, start=BEGIN + pd.Timedelta("1D"))
    with pytest.raises(ValueError, match="without a zone"):
        count_table(table, start=BEGIN.tz_localize(None))
    with pytest.raises(ValueError, match="dialect is 'nosql'; choose one of bigquery"):
        count_sql(table, dialect="nosql")


def test_without_the_extra_it_says_what_is_missing(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "ibis", None)
    with pytest.raises(ImportError, match=r"event-command\[warehouse\]"):
        count_table(table)
