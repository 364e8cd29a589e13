"""All files of an event at once: what each is, one list of findings, three lines that do it again."""

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.alignment import clock_offset
from attribution.counts import Counts
from attribution.files import tell
from attribution.kinds import what_is
from attribution.lags import Kernel
from attribution.layouts import normalise
from attribution.mappings import recall, remember
from attribution.mends import mend_of, mendable
from attribution.tables import ReadError

BEGIN = pd.Timestamp("2026-02-08T16:00", tz="America/New_York")
AT = (95, 180, 262, 345, 430, 515, 598, 683)


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    """A GA4 export in New York's time, and an as-run log in broadcast days whose clock is 75 s behind."""
    place, rng = tmp_path_factory.mktemp("event"), np.random.default_rng(3)
    minutes = [(BEGIN + pd.Timedelta(minutes=m)).strftime("%Y%m%d%H%M") for m in range(14 * 60)]
    lines = ["# Account: Harbour", "", "dateHourMinute,region,eventName,eventCount", ",,,1,Grand total"]
    for region, level, seen in (("New York", 30, True), ("Texas", 21, True), ("Ohio", 18, False)):
        rate = np.full(len(minutes), float(level))
        for start in AT if seen else ():
            rate[start : start + 5] *= 1 + np.array([0.9, 1.4, 0.7, 0.35, 0.2])
        lines += [f"{m},{region},purchase,{n}" for m, n in zip(minutes, rng.poisson(rate), strict=True)]
    (place / "ga4.csv").write_text("\n".join(lines))
    log = ["WXYZ as-run;;;;;", ";Broadcast;;;;", "Spot ID;Date;Time;Length;Cost (EUR);Market"]
    for i, start in enumerate(AT):
        moment = BEGIN + pd.Timedelta(minutes=start, seconds=int(rng.integers(0, 60)) - 75)
        day = (moment - pd.Timedelta(hours=6)).strftime("%d.%m.%Y")
        log.append(f"S-{i + 1};{day};{moment:%H:%M:%S};:30;1.{200 + i},50 €;New York|Texas")
    (place / "as_run.csv").write_text("\n".join([*log, "Total spots: 8;;;;9.632,00 €;"]), encoding="utf-8")
    (place / "breaks.csv").write_text("kind,start,end\nbreak,2026-02-08T22:30Z,2026-02-08T22:34Z\n")
    return place


CUE = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="
SAID = {"tz": "America/New_York", "broadcast_day_start": "06:00"}


def test_three_lines_do_it_again_to_the_last_digit(event, monkeypatch):
    names = ("breaks.csv", "as_run.csv", "ga4.csv")
    files = at.read_files(*(event / name for name in names), **SAID)
    assert [m.role for m in files.members] == ["context", "airings", "counts"]
    code = files.code(at.Settings(window="180s"))
    assert len(code.splitlines()) == 3
    monkeypatch.chdir(event)
    monkeypatch.setattr(at, "analyze", lambda *tables, **feeds: (tables, feeds))
    space: dict = {}
    exec(code, space)  # noqa: S102 - the lines that the page shows
    (counts, airings, settings), feeds = space["result"]
    assert counts.fingerprint == files.counts.fingerprint
    pd.testing.assert_frame_equal(airings, files.airings)
    assert settings == at.Settings(window="180s")
    assert list(feeds) == ["context"]
    pd.testing.assert_frame_equal(feeds["context"], files.feeds["context"])
    assert space["files"].findings == files.findings


def test_the_clock_is_found_and_one_press_mends_it(event):
    files = at.read_files(event / "ga4.csv", event / "as_run.csv", **SAID)
    assert files.offset.needed
    assert files.offset.lower < 75 < files.offset.upper
    ((finding, mend),) = [pair for pair in mendable(files.findings) if pair[1].argument == "clock_offset"]
    assert "the clocks differ" in finding.what
    mended = at.read_files(event / "ga4.csv", event / "as_run.csv", **SAID, clock_offset=mend.value)
    assert not mended.offset.needed
    moved = (mended.airings["start"] - files.airings["start"]).dt.total_seconds().unique().tolist()
    assert moved == [float(mend.value.removesuffix("s"))]
    assert not [pair for pair in mendable(mended.findings) if pair[1].argument == "clock_offset"]


def test_a_broadcast_day_is_mended_by_its_finding(event):
    files = at.read_files(event / "ga4.csv", event / "as_run.csv", tz="America/New_York")
    assert any("outside the data" in f.what for f in files.findings)
    mends = {mend.argument: mend.value for _, mend in mendable(files.findings)}
    assert mends["broadcast_day_start"] == "06:00"
    assert not any("outside" in f.what for f in at.read_files(event / "ga4.csv", event / "as_run.csv", **SAID).findings)


def test_what_is_missing_or_twice_is_told(event, tmp_path):
    with pytest.raises(ReadError, match="no file holds airings"):
        at.read_files(event / "ga4.csv", tz="UTC")
    with pytest.raises(ReadError, match="no file holds conversions"):
        at.read_files(event / "breaks.csv", event / "as_run.csv", tz="UTC")
    (tmp_path / "ga4 (1).csv").write_bytes((event / "ga4.csv").read_bytes())
    with pytest.raises(ReadError, match=r"a second file of counts; roles="):
        at.read_files(event / "ga4.csv", tmp_path / "ga4 (1).csv", event / "as_run.csv", **SAID)
    left = at.read_files(
        event / "ga4.csv", tmp_path / "ga4 (1).csv", event / "as_run.csv", **SAID, roles={"ga4 (1).csv": ""}
    )
    assert [m.path.name for m in left.members] == ["ga4.csv", "as_run.csv"]
    with pytest.raises(ReadError, match=r"did you mean 'as_run.csv'"):
        at.read_files(event / "ga4.csv", event / "as_run.csv", roles={"asrun.csv": "airings"})
    with pytest.raises(ReadError, match="choose one of counts"):
        at.read_files(event / "ga4.csv", event / "as_run.csv", roles={"as_run.csv": "spots"})
    with pytest.raises(ReadError, match="clock_offset is 'late'"):
        at.read_files(event / "ga4.csv", event / "as_run.csv", **SAID, clock_offset="late")


@pytest.mark.parametrize(
    ("name", "text", "role"),
    [
        ("a.csv", "time,mentions\n2026-02-08T20:41Z,3\n", "social"),
        ("social.csv", "time,count\n2026-02-08T20:41Z,3\n", "social"),
        ("b.csv", "time,viewers\n2026-02-08T20:41Z,3\n", "audience"),
        ("c.csv", "kind,start,end\nbreak,2026-02-08T20:41Z,2026-02-08T20:44Z\n", "context"),
        ("d.csv", "airing,start,length_s,value\na,2026-02-08T20:41Z,30,\n", "airings"),
        ("e.csv", "time,north,south\n2026-02-08T20:41Z,3,4\n", "counts"),
        ("f.csv", "ts,order_id\n2026-02-08T20:41Z,17\n", "events"),
        ("g.csv", "session_id,ad_id,ad_start\nv1,tea,2026-02-08T20:41Z\n", "exposures"),
        ("h.csv", "time,message\n2026-02-08T20:41Z," + CUE, "scte35"),
        ("i.csv", "time,message\n2026-02-08T20:41Z,hello\n", "events"),
    ],
    ids=list("abcdefghij"),
)  # fmt: skip
def test_a_file_is_told_by_its_content(tmp_path, name, text, role):
    (tmp_path / name).write_text(text)
    assert what_is(tmp_path / name).role == role


def test_the_only_file_that_can_hold_conversions_does(tmp_path):
    (tmp_path / "mentions.csv").write_text("time,count\n2026-02-08T20:41Z,3\n")
    (tmp_path / "spots.csv").write_text("spot,start,length\na,2026-02-08T20:41Z,30\n")
    told = tell([tmp_path / "mentions.csv", tmp_path / "spots.csv"])
    assert [kind.role for kind in told.values()] == ["counts", "airings"]


def series(seed, lift, offset, airings=12, width=1):
    """Counts whose rate wanders, with a response of unknown lag ``offset`` seconds late."""
    rng = np.random.default_rng(seed)
    n = airings * 1500 + 3600
    start = np.sort(1800 + np.arange(airings) * 1500 + rng.uniform(0, 300, airings))
    log, a = np.zeros(n), np.exp(-1 / 90)
    noise = rng.normal(size=n) * np.sqrt(1 - a * a) * 0.2
    for i in range(1, n):
        log[i] = a * log[i - 1] + noise[i]
    kernel = Kernel(family="gamma", mode=float(np.exp(rng.normal(np.log(30), 0.5))), shape=3.0)
    edges = np.arange(n + 1)
    rate = 20 * np.exp(log) + lift * 2400 * sum(np.diff(kernel.cdf(edges - s - offset)) for s in start)
    y = rng.poisson(rate).reshape(-1, width).sum(axis=1).astype(float)
    first = 1_770_000_000
    counts = Counts(
        start=(first + np.arange(len(y)) * width).astype("datetime64[s]").astype("datetime64[ns]"),
        width=np.full(len(y), float(width)),
        values=y[:, None, None, None],
        completeness=np.ones((len(y), 1)),
    )
    names = [f"a{i}" for i in range(airings)]
    return counts, normalise(
        pd.DataFrame({"airing": names, "start": pd.to_datetime(first + start, unit="s", utc=True)})
    )


@pytest.mark.parametrize(("offset", "width"), [(0.0, 1), (75.0, 1), (-200.0, 1), (40.0, 60)])
def test_the_interval_holds_the_offset(offset, width):
    found = [clock_offset(*series(seed, 1.0, offset, width=width)) for seed in range(3)]
    assert all(one.told and one.lower <= offset <= one.upper for one in found)
    assert all(one.curve["density"].sum() > 0 and one.lower < one.seconds < one.upper for one in found)


def test_what_cannot_be_told_is_not_told():
    for seed in range(4):
        found = clock_offset(*series(seed, 0.0, 0.0))
        assert not found.told
        assert np.isnan(found.seconds)
        assert "no response stands out" in found.why
    counts, log = series(1, 1.0, 0.0, airings=3)
    assert "3 are needed" in clock_offset(counts, log.iloc[:2]).why
    assert not clock_offset(counts, log.iloc[:0]).told


def test_words_about_a_header_are_kept_and_forgotten(tmp_path):
    path = tmp_path / "deep" / "mappings.json"
    remember(["Time", "N"], {"role": "counts", "columns": {"count": "N"}, "tz": None}, path=path)
    assert recall(["n", "time"], path=path) == {"role": "counts", "columns": {"count": "N"}}
    assert recall(["n", "time", "region"], path=path) == {}
    remember(["n", "time"], {}, path=path)
    assert recall(["n", "time"], path=path) == {}
    path.write_text("{broken")
    assert recall(["n", "time"], path=path) == {}


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("a.csv: the times of column 'x' carry no zone (1); give tz=, e.g. tz=\"UTC\"", ("tz", None, "")),
        ("a.csv: no column for start among 'x'; name it with columns={'start': ...}", ("columns", None, "start")),
        ("read as a clock; frame_rate=29.97 counts them", ("frame_rate", 29.97, "")),
        ("'purchase' is counted; kind= chooses another", ("kind", None, "")),
    ],
    ids=["zone", "column", "frames", "kind"],
)
def test_a_mend_is_read_from_the_words(text, mend):
    assert mend_of(text) == mend
    assert mend_of("the file is empty") is None
