"""Files reach the readers under a safe name, and what cannot be read says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attribution.workbench import desk

COUNTS = "time,region,count\n" + "".join(
    f"2026-02-08T20:{m:02d}:00Z,{r},{9 + m % 3}\n" for m in range(60) for r in "ab"
)
AIRINGS = "airing,start,length_s,regions\nspot,2026-02-08T20:40:00Z,30,a\n"


@pytest.fixture
def files(tmp_path):
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
    counts, airings = files
    material = desk.gather(desk.read_outcome(counts, desk.Choices()), airings, {}, "")
    assert material.counts.regions == ("a", "b")
    assert material.counts.total.sum() == sum(9 + m % 3 for m in range(60)) * 2
    assert list(material.airings["airing"]) == ["spot"]
    assert desk.columns_of(counts) == ("time", "region", "count")


def test_events_and_counts_are_told_apart_and_can_be_forced(files):
    events = desk.Choices(form=desk.FORMS[2])
    assert desk.read_outcome(files[0], events).total.sum() == 120


def test_an_override_that_names_no_column_says_so(files):
    choices = replace(desk.Choices(), columns=(("count", "nope"),))
    with pytest.raises(ValueError, match="nope"):
        desk.read_outcome(files[0], choices)


def test_samples_are_folders_with_counts_and_airings(tmp_path, files):
    place = tmp_path / "samples" / "halftime"
    place.mkdir(parents=True)
    (tmp_path / "samples" / "empty").mkdir()
    for path in files:
        (place / path.name).write_bytes(path.read_bytes())
    assert list(desk.samples(tmp_path / "samples")) == ["halftime"]
