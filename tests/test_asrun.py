"""As-run logs as stations write them: golden files to exact tables, every row accounted for."""

import datetime as dt
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pytest

from attribution.airings import read_airings
from attribution.broadcast import drop_frame_ns, read_clocks
from attribution.prices import read_prices
from attribution.tables import Ledger

GOLDEN = Path(__file__).parent / "golden" / "files"


def said(frame):
    return " | ".join(" ".join(f) for f in frame.attrs["findings"])


def starts(frame):
    return dict(zip(frame["airing"], frame["start"].dt.strftime("%d %H:%M:%S.%f").str[:-3], strict=True))


def test_the_worst_of_all_in_one_file():
    log = read_airings(GOLDEN / "as_run_worst.csv", tz="America/New_York", broadcast_day_start="06:00")
    assert starts(log) == {
        "S-101 (East)": "09 01:41:13.332",  # 20:41:13;12, drop-frame codes counted
        "S-101 (West)": "09 04:41:13.332",  # the same clock, in Pacific time
        "S-102": "09 04:59:29.883",
        "S-103": "09 05:10:04.984",  # 24:10:05;02
        "S-104": "09 06:11:59.982",  # 01:12 of the broadcast day
        "S-107": "09 10:15:44.872",  # 29:15
    }
    assert log["spend"].tolist() == [1234.56, 1234.56, 980.0, 980.0, 12000.0, 1000.0]
    assert log["length_s"].tolist() == [30, 30, 15, 15, 30, 30]
    assert log["creative"].tolist()[:2] == ["ABCD1234000H"] * 2
    assert log["regions"].tolist()[:2] == ["north", "south"]
    text = said(log)
    for words in (
        "12 rows read: 6 kept, 6 reported", "1 row: is blank", "1 row: is a total of the other rows",
        "1 row: repeats the header", "is planned, without an actual time", "'soon'", "'Pre-empted'",
        "the header takes two rows", "drop-frame codes at 29.97", "do not exist", "West is read in Pacific time",
        "airings began 73 s after their planned time (median of 7) from +5 s to +120 s",
        "neither Ad-ID nor ISCI PROMO-A",
        "writes a decimal comma",
    ):  # fmt: skip
        assert words in text, words
    assert "own total" not in text


def test_dates_that_look_like_broadcast_days_are_told():
    log = read_airings(GOLDEN / "as_run_worst.csv", tz="America/New_York")
    assert starts(log)["S-104"] == "08 06:11:59.982"
    assert 'broadcast_day_start="06:00" puts them into the next day' in said(log)


def test_a_workbook_with_merged_cells_and_excels_numbers(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["A1"], sheet["A2"], sheet["B2"], sheet["D2"], sheet["E2"] = "Post log", "Spot", "Aired", "Cost", "Length"
    sheet["B3"], sheet["C3"] = "Date", "Time"
    sheet.merge_cells("A1:E1")
    sheet.merge_cells("B2:C2")
    rows = [
        ("a", dt.date(2026, 2, 8), dt.time(20, 41, 13), 1200.5, dt.timedelta(seconds=30)),
        ("b", None, dt.timedelta(hours=25, minutes=10), "$1,000.00", 30),
        ("c", 46061, 0.8618055556, 12, "0:15"),
        ("Total", None, None, 2500, None),
    ]
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            sheet.cell(4 + i, 1 + j, value)
    book.save(tmp_path / "log.xlsx")
    log = read_airings(tmp_path / "log.xlsx", tz="America/New_York")
    assert starts(log) == {"c": "09 01:41:00.000", "a": "09 01:41:13.000", "b": "09 06:10:00.000"}
    assert log["spend"].tolist() == [12.0, 1200.5, 1000.0]
    assert log["length_s"].tolist() == [15, 30, 30]
    assert "the log's own total is 2,500.00, its rows add up to 2,212.50" in said(log)
    assert "4 rows read: 3 kept, 1 reported" in said(log)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.234,56 €", 1234.56), ("$1,234.56", 1234.56), ("1 234,56", 1234.56), ("CHF 1'234.50", 1234.5),
        ("₹1,23,456.78", 123456.78), ("(1,234.00)", -1234.0), ("EUR 12,5", 12.5), ("1,250", 1250.0), ("980,-", 980.0),
        ("1.234.567", 1234567.0), ("0.125", 0.125), ("US$ 7", 7.0),
    ],
)  # fmt: skip
def test_money_of_any_country(written, value):
    assert read_prices(pa.array([written]), name="cost", ledger=Ledger("")).value.tolist() == [value]


def test_two_currencies_and_two_ways_are_told():
    ledger = Ledger("log")
    prices = read_prices(pa.array(["1.234,56 €", "$1,234.56", "soon", None]), name="cost", ledger=ledger)
    assert prices.value[:2].tolist() == [1234.56, 1234.56]
    assert prices.odd.tolist() == [False, False, True, False]
    text = " ".join(f.what for f in ledger.findings())
    assert "2 currencies" in text
    assert "decimals in two ways" in text


def test_frame_codes_against_the_count_of_frames():
    frames = 0
    for minute in range(60):  # SMPTE ST 12-1: count every label of an hour one by one
        for second in range(60):
            for frame in range(30):
                if frame < 2 and second == 0 and minute % 10:
                    continue
                if frame == 7 and second == 3:
                    assert drop_frame_ns(0, minute, second, frame) == frames * 1001 * 10**9 // 30_000
                frames += 1
    assert frames == 107_892
    code = ["10:00:00:15", "10:00:00:29"]
    assert read_clocks(code).ns[0] / 1e9 == 36_000.5
    assert read_clocks(code, frame_rate=29.97).ns[0] / 1e9 == pytest.approx(36_036.5005, abs=1e-3)
    with pytest.raises(ValueError, match="frame_rate is 31"):
        read_clocks(code, frame_rate=31)


def test_wrong_clocks_are_no_times():
    good = read_clocks(["30:00", "12:60", "13:00 PM", "20:41:13;31", "20:41 XYZ", "noon", "29:59:59", "8:41 pm"]).good
    assert good.tolist() == [False] * 6 + [True, True]


def test_a_feed_three_hours_later_is_of_one_zone():
    table = pd.DataFrame(
        {"spot": ["a", "a"], "feed": ["East", "West"], "start": ["2026-02-08 20:41:13", "2026-02-08 23:41:13"]}
    )
    log = read_airings(table, tz="America/New_York")
    assert starts(log) == {"a (East)": "09 01:41:13.000", "a (West)": "09 04:41:13.000"}
    assert "West written 3 hours later" in said(log)


def test_zones_by_their_short_names_and_one_that_is_none():
    table = pd.DataFrame({"spot": list("abc"), "start": ["2026-02-08 20:41"] * 3, "tz": ["ET", "PT", "Mars"]})
    log = read_airings(table)
    assert log["start"].dt.hour.tolist() == [1, 4]
    assert "names no time zone" in said(log)
    assert read_airings(pd.DataFrame({"date": ["2/8/2026"], "air time": ["8:41 PM ET"]}))["start"].dt.hour.tolist() == [
        1
    ]


def test_only_planned_times_are_told():
    table = pd.DataFrame({"Spot": ["a"], "Scheduled Time": ["2026-02-08 20:41:00"], "Cost": [1]})
    assert "only planned times" in said(read_airings(table, tz="UTC"))
    with pytest.raises(ValueError, match="broadcast_day_start is '6am'"):
        read_airings(table, tz="UTC", broadcast_day_start="6am")


def test_a_hundred_thousand_rows_are_read_and_counted():
    n = 20_000
    minutes = np.arange(n)
    table = pd.DataFrame(
        {
            "spot": [f"s{i}" for i in minutes],
            "date": pd.Timestamp("2026-02-08").strftime("%m/%d/%Y"),
            "time": [f"{6 + i % 24:02d}:{i % 60:02d}:{i % 59:02d};{2 + i % 28:02d}" for i in minutes],
        }
    )
    log = read_airings(table, tz="America/New_York")
    assert len(log) == n
    assert f"{n:,} rows read: {n:,} kept" in said(log)
