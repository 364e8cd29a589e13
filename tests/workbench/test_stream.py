"""The stream page: every figure has its place, what a feed typed is escaped, and a drill that failed stands out."""

from __future__ import annotations

from attribution.stream.bulletin import Tile
from attribution.workbench import stream


def test_figures_and_alerts_are_escaped():
    html = stream.tiles_html([Tile("Set <aside>", "4", "<b>past</b>")])
    assert "Set &lt;aside&gt;" in html
    assert "<b>past" not in html
    told = stream.alerts_html([(0, "first"), (10**9, "<i>second</i>")])
    assert told.index("&lt;i&gt;second") < told.index("first")
    assert "None since" in stream.alerts_html([])


def test_the_record_marks_what_failed(tmp_path):
    html = stream.drill_html(stream.RECORD)
    text = stream.RECORD.read_text(encoding="utf-8").splitlines()
    assert html.count("has to fail") == sum("teeth: " in row for row in text) >= 2
    assert "▲" not in html
    names = text[0].split(",")
    for row, exact in ((1, "3"), (3, "1")):  # a drill that was not exact; a mistake that was not caught
        cells = text[row].split(",")
        cells[names.index("exact")] = exact
        broken = tmp_path / "drill.csv"
        broken.write_text("\n".join([*text[:row], ",".join(cells), *text[row + 1 :]]), encoding="utf-8")
        assert stream.drill_html(broken).count("▲") == 1


def test_without_a_record_it_says_what_makes_one(tmp_path):
    assert "make drill makes it" in stream.drill_html(tmp_path / "drill.csv")
