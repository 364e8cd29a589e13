"""Files of any kind: the same rows whatever the container; what cannot be read is one clear error."""

import gzip
import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from attribution.airings import read_airings, read_context
from attribution.readers import read_audience, read_counts, read_social
from attribution.sources import load, open_source
from attribution.tables import Finding, Ledger, ReadError, find_columns

ROWS = "time,count\n2026-02-08T20:41:00Z,3\n2026-02-08T20:42:00Z,4\n2026-02-08T20:43:00Z,5\n"


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def frame():
    return pd.read_csv(io.StringIO(ROWS))


@pytest.mark.parametrize(
    "kind",
    ["csv", "tsv", "gz", "zst", "parquet", "feather", "jsonl", "json", "xlsx", "frame", "utf-16", "bom", "semicolon"],
)
def test_every_container_gives_the_same_counts(tmp_path, kind):
    table = frame()
    path = tmp_path / f"f.{kind}"
    match kind:
        case "csv":
            path.write_text(ROWS)
        case "tsv":
            path.write_text(ROWS.replace(",", "\t"))
        case "gz":
            path.write_bytes(gzip.compress(ROWS.encode()))
        case "zst":
            path.write_bytes(pa.compress(ROWS.encode(), codec="zstd", asbytes=True))
        case "parquet":
            table.to_parquet(path)
        case "feather":
            pyarrow.feather.write_feather(table, str(path))
        case "jsonl":
            path.write_text(table.to_json(orient="records", lines=True))
        case "json":
            path.write_text(table.to_json(orient="records"))
        case "xlsx":
            table.to_excel(path, index=False)
        case "utf-16":
            path.write_bytes(ROWS.encode("utf-16"))
        case "bom":
            path.write_bytes(ROWS.encode("utf-8-sig"))
        case "semicolon":
            path.write_text(ROWS.replace(",", ";"))
    counts = read_counts(table if kind == "frame" else path)
    assert counts.total.ravel().tolist() == [3, 4, 5]
    assert counts.width.tolist() == [60, 60, 60]
    assert str(counts.start[0]) == "2026-02-08T20:41:00.000000000"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty"),
        ("header.csv", b"time,count\n", "header but no rows"),
        ("blank.csv", b"\n\n  \n", "no table"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, "PNG picture"),
        ("binary.csv", bytes(range(256)) * 40, "binary"),
        ("broken.csv.gz", gzip.compress(ROWS.encode() * 50, mtime=0)[:60], "damaged|cannot be read"),
        ("broken.xlsx", b"PK\x03\x04nonsense", "Excel"),
        ("broken.parquet", b"PAR1nonsense", "cannot be read"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(100), "old Excel"),
        ("noheader.csv", b"1770583260,3\n1770583261,4\n", "no header"),
        ("text.csv", b"time,count\n2026-02-08T20:41Z,many\n2026-02-08T20:42Z,few\n", "holds text"),
        ("fractions.csv", b"time,count\n2026-02-08T20:41Z,1.5\n2026-02-08T20:42Z,2.5\n", "fractions"),
        ("nocount.csv", b"time,name\n2026-02-08T20:41Z,a\n", "no column of counts"),
        ("notime.csv", b"count,name\n3,a\n", "no column for time"),
        ("nontime.csv", b"time,count\nsoon,3\nlater,4\n", "holds no times"),
        ("naive.csv", b"time,count\n2026-02-08 20:41,3\n2026-02-08 20:42,4\n", "give tz="),
        ("single.csv", b"time,count\n2026-02-08T20:41Z,3\n", "width="),
        ("weeks.csv", b"date,count\n2026-02-01,3\n2026-02-08,4\n2026-02-15,4\n", "widest is one day"),
        ("several.csv", b"time,viewers,tweets\n2026-02-08T20:41Z,3,4\n2026-02-08T20:42Z,3,4\n", "could be the count"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(tmp_path, name, content, words):
    with pytest.raises(ReadError, match=words) as caught:
        read_counts(write(tmp_path, name, content))
    assert name in str(caught.value)


def test_a_file_that_is_not_there():
    with pytest.raises(ReadError, match="check the path"):
        read_counts("/nowhere/x.csv")


def test_content_decides_and_not_the_name(tmp_path):
    frame().to_parquet(tmp_path / "f.parquet")
    assert read_counts((tmp_path / "f.parquet").rename(tmp_path / "f.csv")).total.sum() == 12


def test_windows_encoding_is_read_and_said(tmp_path):
    text = "time,region,count\n2026-02-08T20:41:00Z,Köln,3\n2026-02-08T20:42:00Z,Köln,4\n"
    counts = read_counts(write(tmp_path, "f.csv", text.encode("cp1252")))
    assert counts.regions == ("Köln",)
    assert any("not UTF-8" in f.what for f in counts.findings)


def test_ragged_rows_are_reported_by_number(tmp_path):
    more = "".join(f"2026-02-08T20:{m}:00Z,6\n" for m in range(44, 50))
    counts = read_counts(write(tmp_path, "f.csv", ROWS.replace("42:00Z,4", "42:00Z,4,9") + more))
    finding = next(f for f in counts.findings if "fields" in f.what)
    assert finding.rows.startswith("row 2 ")
    assert np.isnan(counts.total[1, 0])
    assert "9 rows read: 8 kept, 1 reported" in counts.findings[-1].what


def test_remarks_before_the_header_are_skipped(tmp_path):
    assert read_counts(write(tmp_path, "ga.csv", "# Property: shop\n# 2026\n\n" + ROWS)).total.sum() == 12
    assert read_counts(write(tmp_path, "xl.csv", "sep=;\n" + ROWS.replace(",", ";"))).total.sum() == 12


@pytest.mark.parametrize("kind", ["gz", "zst", "parquet", "feather", "xlsx"])
def test_damaged_files_of_every_kind_are_one_error(tmp_path, kind):
    """Damaged files of every kind: whichever byte is wrong, the answer is counts or a ReadError."""
    path = tmp_path / f"f.{kind}"
    table = frame().assign(region="north")
    text = table.to_csv(index=False).encode() * 3
    match kind:
        case "gz":
            path.write_bytes(gzip.compress(text))
        case "zst":
            path.write_bytes(pa.compress(text, codec="zstd", asbytes=True))
        case "parquet":
            table.to_parquet(path)
        case "feather":
            pyarrow.feather.write_feather(table, str(path), compression="uncompressed")
        case "xlsx":
            table.to_excel(path, index=False)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    for position in rng.integers(4, len(whole), 40):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            counts = read_counts(path)
        except ReadError:
            continue
        assert "read" in counts.findings[-1].what


def test_too_large_a_table_is_refused_with_a_sentence(tmp_path):
    path = write(tmp_path, "f.csv", ROWS)
    with pytest.raises(ReadError, match="read_events aggregates"):
        load(open_source(path), most=2)
    with pytest.raises(ReadError, match="GB of text"):
        load(open_source(path, limit=10), most=10)


def test_columns_are_checked():
    table = frame()
    with pytest.raises(ReadError, match="did you mean 'count'"):
        read_counts(table, columns={"count": "cuont"})
    with pytest.raises(ReadError, match=r"role 'counts'.*did you mean 'count'"):
        read_counts(table, columns={"counts": "count"})
    with pytest.raises(ReadError, match="twice"):
        read_counts(table, columns={"count": "count", "region": "count"})


def test_the_ledger_adds_up():
    ledger = Ledger("f")
    ledger.read = 10
    ledger.drop(np.arange(1, 5), column="a", values="wxyz", reason="is odd", mend="left out")
    ledger.drop([7], column="b", values=[None], reason="is empty", mend="left out", harm="less")
    assert (ledger.kept, ledger.reported) == (5, 5)
    assert ledger.findings()[-1].what == "10 rows read: 5 kept, 5 reported"
    assert ledger.findings()[1] == Finding(
        "warning", "1 row: column 'b' is empty", "row 7 ('(empty)')", "less", "left out"
    )


def test_aliases_take_the_first_that_fits():
    found = find_columns(
        Ledger("f"), ["event_date", "event_timestamp"], {"time": ("eventtimestamp", "eventdate")}, None
    )
    assert found == {"time": "event_timestamp"}


def test_nested_ga4_rows(tmp_path):
    rows = [
        {"event_timestamp": 1770583260_000000 + i * 60_000_000, "geo": {"region": "Ohio"}, "count": i} for i in range(3)
    ]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "ga.parquet")
    assert read_counts(tmp_path / "ga.parquet").regions == ("Ohio",)


def test_a_frame_is_left_as_it_was():
    table = pd.DataFrame({"count": [3, 4]}, index=pd.DatetimeIndex(["2026-02-08T20:41Z", "2026-02-08T20:42Z"]))
    before = table.copy()
    assert read_counts(table).total.sum() == 7
    pd.testing.assert_frame_equal(table, before)


def test_social_and_audience():
    social = read_social(pd.DataFrame({"minute_utc": ["2026-02-08 20:41", "2026-02-08 20:42"], "tweets": [3, None]}))
    assert list(social.columns) == ["time", "width_s", "region", "count"]
    assert social["count"].iloc[0] == 3
    assert np.isnan(social["count"].iloc[1])
    audience = read_audience(pd.DataFrame({"ts": [1770583260, 1770583261, 1770583262], "viewers": [5.5, -1, 7]}))
    assert audience["viewers"].tolist() == [5.5, 7]
    assert "1 reported" in audience.attrs["findings"][-1].what


@pytest.mark.parametrize("reader", [read_counts, read_social, read_audience, read_airings, read_context])
def test_every_reader_refuses_a_table_without_rows(reader):
    with pytest.raises(ReadError, match="no rows"):
        reader(pd.DataFrame({"time": [], "count": []}))
