"""Batches and event files: what is binned adds up to what was sent."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from attribution.events import EventBatch, Labels, bin_batch
from attribution.logs import progress_bar, read_events
from attribution.tables import ReadError

LABELS = Labels(
    sources=("a", "b"),
    regions=("north", "south"),
    channels=("web", "app", "store"),
    devices=("tv", "phone"),
    kinds=("visit", "conversion"),
)
START = np.datetime64("2026-02-08T20:00:00", "ns")


def batch(n=5000, seed=7):
    rng = np.random.default_rng(seed)
    return EventBatch(
        time=START.astype(np.int64) + rng.integers(-5_000_000_000, 65_000_000_000, n),
        seq=np.arange(n, dtype=np.uint64),
        source=rng.integers(0, 2, n).astype(np.uint16),
        region=rng.integers(0, 2, n).astype(np.uint16),
        channel=rng.integers(0, 3, n).astype(np.uint8),
        device=rng.integers(0, 2, n).astype(np.uint8),
        kind=rng.integers(0, 2, n).astype(np.uint8),
        weight=np.ones(n, np.float32),
        labels=LABELS,
    )


def test_bins_agree_with_a_count_by_hand():
    events = batch()
    binned = bin_batch(events, start=START, n=60)
    table = events.to_arrow().to_pandas()
    inside = (table["time"] >= pd.Timestamp(START, tz="UTC")) & (
        table["time"] < pd.Timestamp(START, tz="UTC") + pd.Timedelta("60s")
    )
    chosen = table[inside & (table["kind"] == "conversion")]
    assert binned.shape == (60, 2, 3, 2)
    assert binned.sum() == len(chosen)
    one = chosen[(chosen["region"] == "south") & (chosen["channel"] == "app") & (chosen["device"] == "phone")]
    seconds = (one["time"] - pd.Timestamp(START, tz="UTC")).dt.total_seconds().astype(int)
    np.testing.assert_array_equal(binned[:, 1, 1, 1], np.bincount(seconds, minlength=60))


def test_wide_bins_are_sums_of_narrow_ones():
    events = batch()
    narrow = bin_batch(events, start=START, n=60)
    np.testing.assert_array_equal(
        bin_batch(events, start=START, n=6, width_s=10), narrow.reshape(6, 10, 2, 3, 2).sum(axis=1)
    )


def test_batches_are_checked():
    with pytest.raises(ValueError, match="did you mean 'visit'"):
        bin_batch(batch(), start=START, n=1, kind="vist")
    with pytest.raises(ValueError, match="kind is int64"):
        replace(batch(), kind=np.zeros(5000, np.int64))
    with pytest.raises(ValueError, match="width_s"):
        bin_batch(batch(), start=START, n=1, width_s=0)


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "jsonl", "frame"])
def test_an_event_file_counts_what_the_batch_counts(tmp_path, form):
    events = batch()
    table = events.to_arrow()
    path = tmp_path / f"events.{form}"
    frame = table.to_pandas()
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=700)
    elif form == "jsonl":
        path.write_text(frame.assign(time=frame["time"].astype("int64")).to_json(orient="records", lines=True))
    elif form != "frame":
        text = frame.to_csv(index=False).encode()
        path.write_bytes(gzip.compress(text) if form.endswith("gz") else text)
    counts = read_events(frame if form == "frame" else path)
    expected = bin_batch(events, start=counts.start[0], n=len(counts.start))
    expected = expected[:, :, np.argsort(LABELS.channels)][..., np.argsort(LABELS.devices)]
    np.testing.assert_array_equal(counts.values, expected)
    assert (counts.regions, counts.kind) == (("north", "south"), "conversion")
    assert counts.values.sum() == (events.kind == 1).sum()


def test_kinds_are_chosen_or_said():
    table = batch(100).to_arrow().to_pandas()
    assert read_events(table, kind="visit").values.sum() == (table["kind"] == "visit").sum()
    with pytest.raises(ReadError, match="did you mean 'visit'"):
        read_events(table, kind="visits")
    assert read_events(table.drop(columns="kind")).values.sum() == 100
    other = read_events(table.assign(kind="scroll"))
    assert (other.kind, other.values.sum()) == ("scroll", 100)
    with pytest.raises(ReadError, match="no column tells kinds apart"):
        read_events(table.drop(columns="kind"), kind="visit")


def test_repeats_of_an_id_count_once():
    table = pd.DataFrame({"ts": [1770583260, 1770583261, 1770583260], "order_id": ["a", "b", "a"]})
    counts = read_events(table, columns={"id": "order_id"})
    assert counts.values.sum() == 2
    assert "3 rows read: 2 kept, 1 reported" in counts.findings[-1].what
    assert read_events(table).values.sum() == 3


def test_bad_rows_are_named_across_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("attribution.sources.BLOCK", 200)
    lines = [f"{1770583260 + i},x" for i in range(100)]
    lines[60] = "soon,x"
    lines[80] = "1,x"
    lines[90] += ",extra"
    path = tmp_path / "events.csv"
    path.write_text("ts,name\n" + "\n".join(lines) + "\n")
    counts = read_events(path)
    said = " ".join(f.rows for f in counts.findings)
    assert all(words in said for words in ("row 61 ('soon')", "row 81 ('1')", "row 91 "))
    assert "100 rows read: 97 kept, 3 reported" in counts.findings[-1].what


def test_progress_ends_at_one():
    told = []
    read_events(batch(10).to_arrow().to_pandas(), progress=lambda share, rows: told.append((share, rows)))
    assert told[-1] == (1.0, 10)


def test_a_long_reading_draws_a_line(monkeypatch, capsys):
    clock = iter([0.0, 1.0, 3.0, 4.0])
    monkeypatch.setattr("attribution.logs.time.monotonic", lambda: next(clock))
    draw = progress_bar()
    draw(0.1, 10)
    assert capsys.readouterr().err == ""
    draw(0.5, 1000)
    draw(1.0, 2000)
    shown = capsys.readouterr().err
    assert " 50% 1,000 rows" in shown
    assert shown.endswith("2,000 rows\n")


def test_width_is_checked_and_widens():
    table = pd.DataFrame({"ts": [1770583260 + i for i in range(120)]})
    assert read_events(table, width="60s").values.ravel().tolist() == [60, 60]
    with pytest.raises(ReadError, match=r"choose \.1 s to one day"):
        read_events(table, width="2D")


def test_large_labels_are_refused():
    table = pd.DataFrame({"ts": [1770583260 + i for i in range(6000)], "region": [f"r{i}" for i in range(6000)]})
    with pytest.raises(ReadError, match="6,000 regions"):
        read_events(table)


def test_arrow_tables_carry_labels():
    table = batch(10).to_arrow()
    assert table.schema.field("time").type == pa.timestamp("ns", tz="UTC")
    assert set(table["region"].to_pylist()) <= set(LABELS.regions)
