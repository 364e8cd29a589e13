"""Airings and context as logs write them, in canonical form."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.airings import read_airings, read_context
from attribution.layouts import LAYOUTS, normalise
from attribution.tables import ReadError


def said(frame):
    return " ".join(f.what + " " + f.rows + " " + f.mend for f in frame.attrs["findings"])


def test_every_column_is_there_in_its_type():
    log = read_airings(pd.DataFrame({"start": ["2026-02-08T20:41:00Z"]}))
    assert tuple(log.columns) == LAYOUTS["airings"].order
    assert log["start"].dtype == "datetime64[ns, UTC]"
    assert log["airing"].iloc[0] == "airing-1"
    assert log["length_s"].iloc[0] == 30
    assert np.isnan(log[["spend", "impressions", "value", "margin"]].to_numpy()).all()
    assert "taken as 30 s" in said(log)
    assert "without a name" in said(log)


def test_aliases_and_money():
    log = read_airings(
        pd.DataFrame(
            {
                "Spot": ["a"],
                "Air Time": ["02/13/2026 3:41 PM"],
                "Duration": ["0:15"],
                "Station": ["WXYZ"],
                "Cost": ["$1,250.50"],
                "Market": ["north; south"],
                "ISCI": ["C1"],
                "Margin": ["40%"],
                "Imps": ["1,000,000"],
            }
        ),
        tz="America/New_York",
    )
    row = log.iloc[0]
    assert (row["airing"], row["creative"], row["network"], row["regions"]) == ("a", "C1", "WXYZ", "north|south")
    assert (row["length_s"], row["spend"], row["margin"], row["impressions"]) == (15, 1250.5, 0.4, 1e6)
    assert row["start"] == pd.Timestamp("2026-02-13T20:41:00Z")
    assert log.attrs["mapping"]["spend"] == "Cost"


@pytest.mark.parametrize(
    ("written", "length"), [("30", 30), ("0:30", 30), ("00:01:00", 60), ("15s", 15), ("12.5", 12.5)]
)
def test_lengths_as_logs_write_them(written, length):
    log = read_airings(pd.DataFrame({"start": ["2026-02-08T20:41:00Z"], "length": [written]}))
    assert log["length_s"].tolist() == [length]


def test_broadcast_hours_are_of_the_next_day():
    log = read_airings(pd.DataFrame({"date": ["2026-02-08", "2026-02-08"], "time": ["25:10:00", "20:41:00"]}), tz="UTC")
    assert log["start"].astype(str).tolist() == ["2026-02-08 20:41:00+00:00", "2026-02-09 01:10:00+00:00"]


def test_a_zone_a_row():
    log = read_airings(
        pd.DataFrame(
            {
                "start": ["2026-02-08 15:41"] * 2,
                "timezone": ["America/New_York", "America/Los_Angeles"],
                "spot": ["e", "w"],
            }
        )
    )
    assert log["start"].dt.hour.tolist() == [20, 23]


def test_naive_starts_need_a_zone():
    with pytest.raises(ReadError, match="give tz="):
        read_airings(pd.DataFrame({"start": ["2026-02-08 20:41:00"]}))


def test_bad_rows_are_reported_and_bad_money_is_unknown():
    table = pd.DataFrame(
        {
            "airing": ["a", "a", "b", "b", "c", "d"],
            "start": [
                "2026-02-08T20:41Z",
                "2026-02-08T20:41Z",
                "2026-02-08T20:42Z",
                "2026-02-08T20:43Z",
                "soon",
                "2026-02-08T20:45Z",
            ],
            "end": [
                "2026-02-08T20:42Z",
                "2026-02-08T20:42Z",
                "2026-02-08T20:43Z",
                "2026-02-08T20:44Z",
                "2026-02-08T20:44Z",
                "2026-02-08T20:44Z",
            ],
            "spend": ["1", "1", "-5", "free", "1", "1"],
            "assignment": ["", "", "randomized holdout", "coin", "", ""],
        }
    )
    log = read_airings(table)
    assert log["airing"].tolist() == ["a", "b", "b (2)"]
    assert np.isnan(log["spend"].iloc[1:]).all()
    assert log["assignment"].tolist() == ["", "randomised holdout", ""]
    assert "6 rows read: 3 kept, 3 reported" in said(log)
    assert "repeats an earlier airing" in said(log)
    assert "'2026-02-08T20:44Z'" in said(log)


def test_names_become_unique_whatever_they_are():
    names = ["a", "a", "a (2)", "a", "a (2)"]
    starts = pd.date_range("2026-02-08T20:00Z", periods=5, freq="7min").astype(str)
    log = read_airings(pd.DataFrame({"airing": names, "start": starts}))
    assert log["airing"].is_unique
    assert log["airing"].iloc[0] == "a"


def test_permuted_rows_give_the_same_airings():
    starts = pd.date_range("2026-02-08T20:00Z", periods=6, freq="7min").astype(str)
    table = pd.DataFrame({"airing": list("abcdef"), "start": starts})
    pd.testing.assert_frame_equal(read_airings(table), read_airings(table.sample(frac=1, random_state=7)))


def test_context_is_declared_or_refused():
    table = pd.DataFrame(
        {
            "kind": ["Break", "organic", "goal", "break"],
            "start": ["2026-02-08T20:41Z"] * 4,
            "end": ["2026-02-08T20:44Z"] * 3 + ["2026-02-08T20:40Z"],
            "label": list("abcd"),
        }
    )
    context = read_context(table)
    assert context["kind"].tolist() == ["break", "organic"]
    assert tuple(context.columns) == LAYOUTS["context"].order
    assert "4 rows read: 2 kept, 2 reported" in said(context)
    with pytest.raises(ReadError, match="no column for end"):
        read_context(table.drop(columns="end"))


def test_normalise_fills_and_refuses():
    for table, layout in LAYOUTS.items():
        row = pd.DataFrame({name: pd.to_datetime(["2026-02-08T20:41Z"]) for name in layout.times})
        assert tuple(normalise(row, table).columns) == layout.order
        assert tuple(normalise(row.iloc[:0], table).columns) == layout.order
    with pytest.raises(ValueError, match="no time zone"):
        normalise(pd.DataFrame({"start": pd.to_datetime(["2026-02-08T20:41"])}))
    with pytest.raises(ValueError, match="choose one of"):
        normalise(pd.DataFrame(), "spots")


TEXT = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.sampled_from(["2026-02-08T20:41Z", "2026-02-08 25:41", "30", "0:30", "north|south", "-1", "1e9"]),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), min_size=1, max_size=6))
def test_any_log_is_read_or_refused(rows):
    table = pd.DataFrame(
        [("2026-02-08T20:41Z", "a", "30", "5"), *rows], columns=["start", "airing", "length_s", "spend"], dtype=object
    )
    try:
        log = read_airings(table)
    except ReadError:
        return
    words = log.attrs["findings"][-1].what.split()
    assert int(words[0]) == len(table) == int(words[3]) + int(words[5])
    assert len(log) == int(words[3])
    assert log["airing"].is_unique
    assert (log["length_s"] > 0).all()
