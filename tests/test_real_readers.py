"""The readers on tables that nobody here wrote."""

from pathlib import Path

import numpy as np
import pytest

from attribution.airings import read_airings, read_context
from attribution.checks import preflight
from attribution.counts import outages
from attribution.readers import read_audience, read_counts, read_social
from attribution.tables import ReadError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
pytestmark = [pytest.mark.real, pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")]


def adds_up(findings):
    words = findings[-1].what.replace(",", "").split()
    return int(words[0]) == int(words[3]) + int(words[5])


@pytest.mark.parametrize(
    ("file", "options", "shape"),
    [
        ("au_events_multi_collector/nsw_election_2019-03-23.csv.gz", {}, (86401, 4)),
        ("au_events_multi_collector/qanda_2018-11-08.csv.gz", {}, (14393, 3)),
        ("nab_realtweets_5min/mentions_per_5min.csv.gz", {"tz": "UTC"}, (15902, 10)),
        ("wc98_per_minute/requests_per_minute.csv.gz", {}, (90870, 1)),
        ("published_benchmarks/GeoLift_Test.csv", {}, (105, 40)),
        ("published_benchmarks/google_data.csv", {}, (91, 1)),
        ("published_benchmarks/google_data.csv", {"columns": {"count": ["y", "x1", "x2"]}}, (91, 3)),
        ("nasa1995_per_second/requests_per_second.parquet", {}, (5356804, 1)),
    ],
)
def test_counts(file, options, shape):
    counts = read_counts(DATA / file, **options)
    assert counts.total.shape == shape
    assert adds_up(counts.findings)


def test_the_sums_of_the_launch_log_are_those_of_its_readme():
    counts = read_counts(DATA / "nasa1995_per_second/requests_per_second.parquet")
    assert np.nansum(counts.total) == 1_891_714 + 1_569_896
    out = outages(counts)[:, 0]
    first = int(np.searchsorted(counts.start, np.datetime64("1995-08-01T18:53:00")))
    assert out[first : first + 135_000].all()
    launch = int(np.searchsorted(counts.start, np.datetime64("1995-07-13T13:41:55")))
    for after in (65, 111, 124, 138, 264):  # zero runs of its broadcast: 13:43:00, 43:46, 43:59, 44:13, 46:19
        assert out[launch + after : launch + after + 9].all(), after
    assert not out[launch - 600 : launch + 50].any()


@pytest.mark.parametrize(
    "path", sorted(DATA.glob("gdq_donations_per_minute/*gdq????.csv.gz")), ids=lambda p: p.name[:8]
)
def test_donors_are_differenced(path):
    counts = read_counts(path)
    assert dict(counts.mapping)["count"] == "donors_cum"
    assert adds_up(counts.findings)
    assert np.nanmax(counts.total) < 1000
    assert np.isnan(counts.total).mean() < 0.1
    assert adds_up(read_social(path, columns={"count": "tweets"}).attrs["findings"])
    assert (read_audience(path)["viewers"] >= 0).all()


@pytest.mark.parametrize("path", sorted(DATA.glob("*/airings_*.csv")), ids=lambda p: p.name)
def test_airings(path):
    log = read_airings(path)
    assert len(log) == len(path.read_text().splitlines()) - 1
    assert (log["length_s"] == 30).all()


def test_half_times_are_declared_breaks():
    folder = DATA / "wc98_per_minute"
    log, context = read_airings(folder / "airings_half_times.csv"), read_context(folder / "context_half_times.csv")
    found = preflight(read_counts(folder / "requests_per_minute.csv.gz"), log, context=context)
    assert any(f.what == f"{len(log)} airings in a declared break" for f in found)


@pytest.mark.parametrize("file", ["comparison_data", "basque", "arma_data", "california_prop99", "volks_data"])
def test_tables_that_are_no_counts_are_refused(file):
    with pytest.raises(ReadError, match=file):
        read_counts(DATA / f"published_benchmarks/{file}.csv")
