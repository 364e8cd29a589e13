"""Golden exports, written by us in the shapes of their makers, to exact tables."""

from pathlib import Path

import pandas as pd
import pytest

from attribution.exports import find_export
from attribution.outcomes import holds, read_outcomes
from attribution.tables import ReadError

GOLDEN = Path(__file__).parent / "golden" / "files"


def cells(counts):
    """(time, region, channel, device) -> count of what is not 0."""
    frame = counts.to_frame()
    frame = frame[frame["count"] != 0]
    keys = zip(frame["time"].dt.strftime("%H:%M:%S"), frame["region"], frame["channel"], frame["device"], strict=True)
    return dict(zip(keys, frame["count"], strict=True))


def said(counts):
    return " | ".join(" ".join(f) for f in counts.findings)


def test_ga4_minutes():
    counts = read_outcomes(GOLDEN / "ga4_minutes.csv", tz="America/New_York")
    assert cells(counts) == {
        ("01:40:00", "New York", "Direct", "mobile"): 12,
        ("01:40:00", "New York", "Paid Search", "desktop"): 5,
        ("01:40:00", "Texas", "Direct", "mobile"): 7,
        ("01:41:00", "New York", "Direct", "mobile"): 31,
        ("01:43:00", "New York", "Organic Search", "tablet"): 9,
        ("01:43:00", "Texas", "(not set)", "desktop"): 1050,
    }
    assert counts.values.sum() == 12 + 5 + 7 + 31 + 9 + 1050  # 01:42 and what is not written are 0, not unknown
    text = said(counts)
    for words in ("10 rows read: 6 kept, 4 reported", "is a total of the other rows", "'(not set)'", "'(other)'",
                  "GA4 leaves out what is 0", "'purchase' is counted"):  # fmt: skip
        assert words in text, words
    with pytest.raises(ReadError, match="give tz="):
        read_outcomes(GOLDEN / "ga4_minutes.csv")


def test_adobe_minutes():
    counts = read_outcomes(GOLDEN / "adobe_minutes.csv", tz="UTC")
    assert counts.total.ravel().tolist() == [6, 12, 0, 0, 10]
    assert str(counts.start[0])[:16] == "2026-02-08T20:40"
    assert "4 rows read: 3 kept, 1 reported" in said(counts)


def test_snowplow_events_by_the_clock_of_the_collector():
    counts = read_outcomes(GOLDEN / "snowplow.jsonl")
    assert cells(counts) == {
        ("20:41:13", "New York", "cpc", "web"): 1,
        ("20:41:15", "Texas", "(none)", "web"): 1,  # no device clock: the collector's
        ("20:41:20", "Texas", "(none)", "mob"): 1,  # 20:41:25 - (20:31:20 - 20:31:15)
    }
    assert "6 rows read: 3 kept, 3 reported" in said(counts)
    assert "repeats an id" in said(counts)


def test_segment_events_by_the_clock_of_receipt():
    counts = read_outcomes(GOLDEN / "segment.jsonl")
    assert cells(counts) == {
        ("20:41:13", "New York", "tv", "ios"): 1,  # the phone was ten minutes ahead
        ("20:41:14", "Texas", "(none)", "android"): 1,
        ("20:41:16", "Texas", "(none)", "(none)"): 1,
    }
    assert "off by more than 1 s in 3 of 5 rows" in said(counts)
    assert "5 rows read: 3 kept, 2 reported" in said(counts)


def test_shopify_orders_count_once():
    counts = read_outcomes(GOLDEN / "shopify_orders.csv")
    assert cells(counts) == {
        ("20:41:13", "all", "web", "all"): 1,
        ("20:41:20", "all", "web", "all"): 1,
        ("20:41:23", "all", "pos", "all"): 1,
    }
    text = said(counts)
    for words in ("7 rows read: 3 kept, 4 reported", "further line item", "voided or cancelled", "names no order",
                  "4 orders are worth 47.00 USD on average, refunds taken off"):  # fmt: skip
        assert words in text, words


def test_appsflyer_installs():
    counts = read_outcomes(GOLDEN / "appsflyer_installs.csv")
    assert cells(counts) == {
        ("20:41:13", "NY", "googleadwords_int", "android"): 1,
        ("20:41:15", "TX", "facebook_int", "ios"): 1,
    }
    assert "5 rows read: 2 kept, 3 reported" in said(counts)
    assert "a report asked for in another zone is hours off" in said(counts)


@pytest.mark.parametrize(
    ("file", "form"),
    [("ga4_minutes.csv", "counts"), ("adobe_minutes.csv", "counts"), ("segment.jsonl", "events"),
     ("snowplow.jsonl", "events"), ("shopify_orders.csv", "events"), ("appsflyer_installs.csv", "events")],
)  # fmt: skip
def test_an_export_is_told_by_its_columns(file, form):
    assert holds(GOLDEN / file)[0] == form


def test_the_callers_columns_win():
    table = pd.DataFrame({"dateHourMinute": ["202602082040"], "city": ["Austin"], "country": ["US"], "eventCount": [3]})
    assert find_export(list(table.columns)).roles["region"] == "city"
    assert read_outcomes(table, tz="UTC", columns={"region": "country"}).regions == ("US",)
