"""Counts from tables: laws of the account, then times, widths, counters, repeats, outages."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribution.counts import Counts, masked, outages
from attribution.logs import read_events
from attribution.readers import read_counts
from attribution.tables import ReadError


def minutes(values, **more):
    time = pd.date_range("2026-02-08T20:00Z", periods=len(values), freq="min")
    return pd.DataFrame({"time": time, "count": values, **more})


def account(findings):
    words = findings[-1].what.replace(",", "").split()
    return int(words[0]), int(words[3]), int(words[5])


BASE = [f"2026-02-08T20:{m:02d}:00Z,{region},{m + 1}" for m in range(12) for region in ("north", "south")]
CELL = st.sampled_from(
    [
        "",
        "NaN",
        "inf",
        "-3",
        "1.5",
        "abc",
        '"',
        '"x',
        ";",
        "\x00",
        "9" * 30,
        "1e400",
        "\ufeff",
        "é",
        "1,2",
        "2026-13-45",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-02-08 20:01",
        "25:61",
        "\n",
        "1e5",
        "-",
        "17705832600000",
    ]
)


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=st.lists(st.tuples(st.integers(0, 23), st.integers(0, 2), CELL), max_size=6),
    cut=st.integers(0, 700),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-8-sig"]),
    swap=st.booleans(),
    junk=st.binary(max_size=6),
    reader=st.sampled_from([read_counts, read_events]),
)
def test_mutated_files_are_read_or_refused_and_every_row_is_accounted_for(
    tmp_path, edits, cut, encoding, swap, junk, reader
):
    rows = [row.split(",") for row in BASE]
    for row, column, text in edits:
        rows[row][column] = text
    text = "time,region,count\n" + "".join(("\t" if swap else ",").join(row) + "\n" for row in rows)
    content = text.encode(encoding, "replace")
    content = content[: len(content) - cut // 7] if cut % 3 == 0 else content
    content = content[: len(content) // 2] + junk + content[len(content) // 2 :] if cut % 5 == 0 else content
    path = tmp_path / "mutated.csv"
    path.write_bytes(content)
    try:
        counts = reader(path)
    except ReadError as error:
        assert str(error).startswith("mutated.csv: ")  # noqa: PT017 - an error is one of two right answers
        return
    read, kept, reported = account(counts.findings)
    assert read == kept + reported
    if reader is read_events:
        assert counts.total.sum() == kept
    elif not any("share time" in f.what for f in counts.findings):
        known = int(np.isfinite(counts.values).sum())
        assert known == kept


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(st.none(), st.integers(-2, 9), st.floats(allow_nan=True), st.text(max_size=3)),
        min_size=3,
        max_size=12,
    )
)
def test_any_column_of_counts_keeps_the_account(values):
    try:
        counts = read_counts(minutes(values))
    except ReadError:
        return
    read, kept, reported = account(counts.findings)
    assert read == len(values) == kept + reported
    assert np.isfinite(counts.total).sum() == kept


def test_the_order_of_rows_changes_nothing():
    table = pd.concat([minutes(range(10), region=[r] * 10) for r in "ab"])
    shuffled = table.sample(frac=1, random_state=7)
    assert read_counts(table).fingerprint == read_counts(shuffled).fingerprint


def test_long_frames_come_back_as_they_were():
    values = np.arange(24.0).reshape(3, 2, 2, 2)
    values[1, 0] = np.nan
    start = np.array(["2026-02-08T20:00", "2026-02-08T20:01", "2026-02-08T20:03"], dtype="datetime64[ns]")
    counts = Counts(
        start=start,
        width=np.array([60.0, 120, 60]),
        values=values,
        regions=("a", "b"),
        channels=("x", "y"),
        devices=("p", "q"),
        completeness=np.ones((3, 2)),
    )
    back = read_counts(counts.to_frame())
    np.testing.assert_array_equal(back.values, values)
    np.testing.assert_array_equal(back.width, counts.width)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epochs_are_told_apart_and_said(unit):
    stamp = pd.date_range("2026-02-08T20:00", periods=3, freq="s").as_unit(unit).astype("int64")
    for written in (stamp, stamp.astype(str), stamp.astype(float)):
        counts = read_counts(pd.DataFrame({"ts": written, "count": [1, 2, 3]}))
        assert str(counts.start[0])[:19] == "2026-02-08T20:00:00"
        assert any("since 1970" in f.what for f in counts.findings)


def test_ga4_minutes():
    table = pd.DataFrame({"dateHourMinute": ["202602082041", "202602082042"], "conversions": ["1,203", "1,100"]})
    counts = read_counts(table, tz="America/New_York")
    assert counts.total.ravel().tolist() == [1203, 1100]
    assert str(counts.start[0])[:16] == "2026-02-09T01:41"
    assert dict(counts.mapping) == {"time": "dateHourMinute", "count": "conversions"}


def test_clock_changes_are_findings_not_guesses():
    spring = pd.date_range("2026-03-08 01:30", periods=5, freq="30min").astype(str)
    counts = read_counts(pd.DataFrame({"time": spring, "count": range(5)}), tz="America/New_York")
    assert any("does not exist" in f.what and "2 ('2026-03-08 02:00:00')" in f.rows for f in counts.findings)
    assert counts.total.ravel().tolist() == [0, 3, 4]
    autumn = pd.date_range("2026-11-01 00:30", periods=5, freq="30min").astype(str)
    counts = read_counts(pd.DataFrame({"time": autumn, "count": range(5)}), tz="America/New_York")
    assert any("exists twice" in f.what for f in counts.findings)
    assert np.nansum(counts.total) == 0 + 3 + 4


def test_days_of_a_zone_last_23_to_25_hours():
    days = pd.DataFrame({"date": pd.date_range("2026-03-06", periods=4).astype(str), "count": [1, 2, 3, 4]})
    assert read_counts(days, tz="America/New_York").width.tolist() == [86400, 86400, 82800, 86400]
    assert read_counts(days).width.tolist() == [86400] * 4


def test_mixed_zones_and_naive_rows():
    table = pd.DataFrame(
        {"time": ["2026-02-08T20:41Z", "2026-02-08T21:42+01:00", "2026-02-08T20:43", "2026-02-08T20:44Z"], "count": 1}
    )
    counts = read_counts(table)
    assert counts.start.astype("datetime64[m]").astype(str).tolist()[:2] == ["2026-02-08T20:41", "2026-02-08T20:42"]
    assert account(counts.findings) == (4, 3, 1)
    assert account(read_counts(table, tz="UTC").findings) == (4, 4, 0)
    with pytest.raises(ReadError, match="did you mean 'America/New_York'"):
        read_counts(table, tz="America/NewYork")


def test_day_and_month_are_told_apart_or_said():
    clear = pd.DataFrame({"date": ["12/02/2026", "13/02/2026"], "count": [1, 2]})
    assert str(read_counts(clear).start[0])[:10] == "2026-02-12"
    unclear = pd.DataFrame({"date": ["02/03/2026 20:41"], "count": [1]})
    assert any("cannot be told apart" in f.what for f in read_counts(unclear, tz="UTC", width="60s").findings)


def test_missing_bins_are_unknown():
    counts = read_counts(minutes(range(10)).drop(index=[3, 4]))
    assert np.flatnonzero(np.isnan(counts.total[:, 0])).tolist() == [3, 4]
    assert np.isnan(counts.completeness[3, 0])
    assert any("2 bins missing" in f.what for f in counts.findings)


def test_wrong_counts_are_named_and_unknown():
    values = ["1", "-2", "3", "x", "5", "1.5", "7", "8", "inf", "10"]
    counts = read_counts(minutes(values))
    assert np.flatnonzero(np.isnan(counts.total[:, 0])).tolist() == [1, 3, 5, 8]
    said = " ".join(f.what + f.rows for f in counts.findings)
    for words in ("is negative", "row 2 ('-2')", "4 ('x')", "not a whole number", "row 6 ('1.5')"):
        assert words in said


def test_decimal_commas(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("time;count\n2026-02-08T20:41Z;1,0\n2026-02-08T20:42Z;2,0\n")
    assert read_counts(path).total.ravel().tolist() == [1, 2]


def test_repeats():
    twice = pd.concat([minutes([1, 2, 3]), minutes([1, 9, 3]).iloc[:2]])
    counts = read_counts(twice)
    assert counts.total[0, 0] == 1
    assert np.isnan(counts.total[1, 0])
    assert account(counts.findings) == (5, 2, 3)
    split = pd.concat([minutes([1, 2, 3], campaign="a"), minutes([1, 9, 3], campaign="b")])
    assert read_counts(split).total.ravel().tolist() == [2, 11, 6]


def test_wide_tables_and_several_counters():
    table = minutes(range(5)).drop(columns="count").assign(north=range(5), south=[5] * 5)
    assert read_counts(table).by("region").sum(axis=0).tolist() == [10, 25]
    table = table.assign(a_cum=[1, 3, 6, 10, 15], b_cum=[0, 0, 1, 1, 2])
    counts = read_counts(table, cumulative=["a_cum", "b_cum"])
    assert counts.total.T.tolist() == [[2, 3, 4, 5], [0, 1, 0, 1]]


def test_resets_and_slips_of_a_counter():
    level = np.arange(0, 200, 2).astype(float)
    level[40] = 3
    level[70:] -= level[70]
    counts = read_counts(minutes(level), cumulative=True)
    assert np.flatnonzero(np.isnan(counts.total[:, 0])).tolist() == [39, 40, 69]
    assert np.nansum(counts.total) == 2 * (99 - 3)
    assert any("2 resets" in f.what for f in counts.findings)
    with pytest.raises(ReadError, match="does not look cumulative"):
        read_counts(minutes([5, 3, 8, 1, 9, 2]), cumulative=True)


def test_an_end_before_its_start_is_refused():
    table = minutes([1, 2]).assign(end=pd.to_datetime(["2026-02-08T20:01Z", "2026-02-08T20:00Z"]))
    with pytest.raises(ReadError, match="row 2 ends before"):
        read_counts(table)


def test_stated_widths_follow_their_rows_past_rows_left_out(tmp_path):
    rows = [
        "2026-02-08T20:00Z,60,1",
        "2026-02-08T20:01Z,60,2,extra",
        "2026-02-08T20:02Z,60,3",
        "2026-02-08T20:03Z,120,4",
    ]
    path = tmp_path / "f.csv"
    path.write_text("time,width_s,count\n" + "\n".join(rows) + "\n")
    counts = read_counts(path)
    assert counts.width.tolist() == [60, 60, 60, 120]
    assert np.isnan(counts.total[1, 0])


def test_irregular_bins_keep_their_places():
    offsets = [0, 300, 600, 901, 1201, 2401]
    table = pd.DataFrame({"ts": [1770583260 + o for o in offsets], "count": range(6)})
    counts = read_counts(table)
    assert np.nansum(counts.total) == 15
    assert np.isnan(counts.total).sum() == 3


def test_a_span_that_cannot_fit_keeps_only_its_bins_and_a_wrong_date_is_no_hang():
    table = pd.DataFrame({"ts": [1770583260, 1770583261, 1770583262, 2770583262], "count": [1, 2, 3, 4]})
    counts = read_counts(table)
    assert len(counts.start) == 4
    assert any("wrong" in f.mend for f in counts.findings)
    with pytest.raises(ReadError, match="wrong date"):
        read_events(table[["ts"]])


def test_outages_are_found_and_quiet_nights_are_not():
    rng = np.random.default_rng(7)
    busy = rng.poisson(6, 4000).astype(float)
    busy[1000:1016] = 0
    quiet = rng.poisson(0.05, 4000).astype(float)
    values = np.stack([busy, quiet], axis=1)[:, :, None, None]
    counts = Counts(
        start=np.arange(4000).astype("datetime64[s]").astype("datetime64[ns]"),
        width=np.ones(4000),
        values=values,
        regions=("busy", "quiet"),
        completeness=np.ones((4000, 2)),
    )
    out = outages(counts)
    assert np.flatnonzero(out[:, 0]).tolist() == list(range(1000, 1016))
    assert not out[:, 1].any()


def feed(y):
    """One region, a bin a second."""
    start = np.arange(len(y)).astype("datetime64[s]").astype("datetime64[ns]")
    return Counts(start=start, width=np.ones(len(y)), values=y[:, None, None, None], completeness=np.ones((len(y), 1)))


def test_an_outage_through_which_single_events_came_is_an_outage():
    """Three short runs of zeros with stragglers between them; none of them is incredible by itself at 3 a second."""
    rng = np.random.default_rng(11)
    y = rng.poisson(3.5, 600).astype(float)
    y[300:340] = 0
    y[[306, 313, 321, 330]] = 1
    assert not any(outages(feed(np.where(np.arange(600) // 8 == 38, 0.0, rng.poisson(3.5, 600))))[:, 0])
    found = np.flatnonzero(outages(feed(y))[:, 0])
    assert set(range(303, 336)) <= set(found) <= set(range(297, 344))


def test_a_wandering_bursty_rate_is_no_outage():
    """Log rate of sd .35 and 60 s, over-dispersed, from .3 to 10 a second: fewer than one false outage in 100,000 s."""
    rng = np.random.default_rng(5)
    steps = rng.standard_normal((5, 20_000)) * 0.35 * np.sqrt(2 / 60)
    log = np.zeros((5, 20_000))
    for t in range(1, 20_000):
        log[:, t] = log[:, t - 1] * (1 - 1 / 60) + steps[:, t]
    level = np.array([0.3, 1.0, 2.0, 4.0, 10.0])[:, None] * np.exp(log)
    y = rng.negative_binomial(level / 1.0, 1 / 2.0).astype(float)  # variance twice the mean
    assert sum(int(outages(feed(row))[:, 0].any()) for row in y) == 0


def test_what_fades_before_an_outage_and_the_rush_after_it_are_left_out_and_a_rise_without_one_is_not():
    rng = np.random.default_rng(3)
    y = rng.poisson(9.0, 400).astype(float)
    y[200:210] += 60
    assert not masked(feed(y)).any()
    y[185:200] = 0
    found = np.flatnonzero(masked(feed(y))[:, 0])
    assert found.tolist() == list(range(170, 210))  # what fades before it, the outage, the rush
    y[185:200] = np.nan
    assert np.flatnonzero(masked(feed(y))[:, 0]).tolist() == list(range(200, 210))
