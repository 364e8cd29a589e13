"""Per-viewer insertions become exposures per second, which the model takes as they are."""

import pandas as pd

from attribution.insertions import airings_of, read_exposures
from attribution.layouts import normalise
from attribution.model.laid import _insertions


def beacons():
    rows = [
        ("v1", "tea", "north", "2026-02-08T20:41:00.2Z", "impression"),
        ("v1", "tea", "north", "2026-02-08T20:41:08Z", "firstQuartile"),
        ("v2", "tea", "south", "2026-02-08T20:41:31Z", "impression"),
        ("v2", "tea", "south", "2026-02-08T20:41:33Z", "impression"),
        ("v3", "tea", "north", "2026-02-08T20:41:00.9Z", "impression"),
        ("v1", "tea", "north", "2026-02-08T20:55:00Z", "impression"),
        ("v9", "tea", "north", "never", "impression"),
    ]
    return pd.DataFrame(rows, columns=["session_id", "ad_id", "region", "ad_start", "ad_event"])


def test_an_ad_of_a_viewer_counts_once_and_every_row_is_told():
    shown = read_exposures(beacons())
    seconds = list(
        zip(shown["time"].dt.strftime("%H:%M:%S"), shown["region"], shown["exposures"], shown["airing"], strict=True)
    )
    assert seconds == [
        ("20:41:00", "north", 2.0, "tea"), ("20:41:31", "south", 1.0, "tea"), ("20:55:00", "north", 1.0, "tea (2)")
    ]  # fmt: skip
    text = " ".join(f.what for f in shown.attrs["findings"])
    assert "7 rows read: 4 kept, 3 reported" in text
    assert "another beacon than 'impression'" in text
    log = airings_of(shown)
    assert log["airing"].tolist() == ["tea", "tea (2)"]
    assert log["regions"].tolist() == ["north|south", "north"]
    assert log["impressions"].tolist() == [3.0, 1.0]


def test_insertions_are_put_to_the_airings_of_a_log():
    log = normalise(
        pd.DataFrame({"airing": ["spot"], "creative": ["tea"], "start": [pd.Timestamp("2026-02-08T20:40:50Z")]})
    )
    shown = read_exposures(beacons(), airings=log)
    assert set(shown["airing"]) == {"spot"}
    assert shown["exposures"].sum() == 4
    late = normalise(log.assign(start=pd.Timestamp("2026-02-08T20:41:10Z")))
    assert read_exposures(beacons(), airings=late)["exposures"].sum() == 2


def test_the_model_takes_them():
    shown = read_exposures(beacons())
    seconds, numbers = _insertions(shown, "tea")
    assert (seconds - seconds[0]).tolist() == [0.0, 31.0]
    assert numbers.tolist() == [2.0, 1.0]
