"""Files reach the readers under a safe name; what is said about them is kept, and what cannot be read says so."""

from __future__ import annotations

import pytest

from attribution.mends import Mend
from attribution.workbench import desk

COUNTS = "time,region,count\n" + "".join(
    f"2026-02-08T20:{m:02d}:00Z,{r},{9 + m % 3}\n" for m in range(60) for r in "ab"
)
AIRINGS = "airing,start,length_s,regions\nspot,2026-02-08T20:40:00Z,30,a\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENT_COMMAND_HOME", str(tmp_path / "home"))
    counts, airings = tmp_path / "counts.csv", tmp_path / "airings.csv"
    counts.write_text(COUNTS)
    airings.write_text(AIRINGS)
    return counts, airings


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a.csv", "a.csv"), ("../../etc/passwd", "passwd"), ("..\\x y.csv", "x_y.csv"), ("...", "upload")],
)
def test_an_uploaded_file_stays_on_its_shelf(tmp_path, name, safe):
    path = desk.shelve(tmp_path, "counts", name, b"x")
    assert path == tmp_path / "counts" / safe
    assert path.read_bytes() == b"x"


def test_what_is_read_is_what_the_readers_read(files):
    found = desk.read(files, desk.Said())
    assert found.counts.regions == ("a", "b")
    assert found.counts.total.sum() == sum(9 + m % 3 for m in range(60)) * 2
    assert list(found.airings["airing"]) == ["spot"]


def test_a_role_that_is_said_wins(files):
    assert desk.read(files, desk.Said(roles={"counts.csv": "events"})).counts.total.sum() == 120


def test_an_override_that_names_no_column_says_so(files):
    said = desk.Said().mended(Mend("columns", None, "count"), "nope", "counts.csv")
    with pytest.raises(ValueError, match="nope") as caught:
        desk.read(files, said)
    assert desk.trouble(caught.value, files)[0] == files[0]


def test_a_zone_is_asked_for_where_it_is_missing_and_remembered(files):
    airings = files[1]
    airings.write_text(AIRINGS.replace("Z", ""))
    with pytest.raises(ValueError, match="give tz=") as caught:
        desk.read(files, desk.Said())
    path, mend = desk.trouble(caught.value, files)
    assert path == airings
    said = desk.Said().mended(mend, "UTC", path.name)
    found = desk.read(files, said)
    assert found.options == {"tz": {"airings.csv": "UTC"}}
    told = desk.tell(list(files))
    desk.keep_words(told, said)
    again = desk.first_words(files, desk.Said())
    assert again.zones == {"airings.csv": "UTC"}
    assert desk.first_words(files, desk.Said(zones={"airings.csv": "Asia/Tokyo"})).zones == {
        "airings.csv": "Asia/Tokyo"
    }
    desk.forget_words(told)
    assert desk.first_words(files, desk.Said()) == desk.Said()


def test_samples_are_folders_with_counts_and_airings(tmp_path, files):
    place = tmp_path / "samples" / "halftime"
    place.mkdir(parents=True)
    (tmp_path / "samples" / "empty").mkdir()
    for path in files:
        (place / path.name).write_bytes(path.read_bytes())
    found = desk.samples(tmp_path / "samples")
    assert list(found) == ["halftime"]
    assert [path.name for path in desk.paths_of(found["halftime"])] == ["counts.csv", "airings.csv"]
