"""Laws of the report: verdict first, everything in one file, nothing from a feed becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from attribution import charts, onefile, plotted, reports, sheets
from attribution.figures import estimate
from attribution.flowing import flowed
from attribution.pictures import pictures
from attribution.tables import Finding
from attribution.theme import DRAWN, Palette
from attribution.typefaces import printable
from attribution.vectors import _path
from attribution.verdict import Verdict

FIGURES = ("incremental", "incremental_lower", "incremental_upper", "e_value", "lift", "response_peak", "iroas", "roi")
HOSTILE = "<script>alert(1)</script>&\"'"


class Reader(HTMLParser):
    """Collects tags, addresses and the text of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "xlink:href", "data"} and value]

    def handle_data(self, data):
        self.text += data


def test_report_is_one_file_that_asks_for_nothing(made, tmp_path):
    path = reports.report(made).save(tmp_path / "report.html")
    document = path.read_text(encoding="utf-8")
    assert len(document.encode()) < 1_500_000
    reader = Reader(document)
    assert re.findall(r"<script[^>]*>(.*?)</script>", document, flags=re.DOTALL) == [onefile.SCRIPT]
    assert f'content="{onefile.POLICY}"' in document  # no script but this one runs, and nothing is loaded
    assert "link" not in reader.tags
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert all(part.startswith("data:") for part in re.findall(r"url\(['\"]?([^)'\"]*)", document) if part[0] != "#")
    assert "@import" not in document


def test_verdict_stands_before_everything_else(made):
    text = Reader(reports.report(made).html).text
    order = [made.verdict.sentence, "What happened", "What not to conclude", "Diagnostic annex", "Conversion velocity"]
    order += ["Evidence", "Every airing", "Findings", "Settings", "To have the same answer again"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert made.fingerprint in text
    assert "rung 3 of 5" in text
    assert f"Event Command {made.version}" in text


def test_figures_carry_their_interval_and_an_unknown_one_its_reason(made):
    text = Reader(reports.report(made).html).text
    row = made.table.iloc[0]
    assert f"{row['incremental']:+,.0f}" in text
    assert sheets.interval(row, "incremental", "count") in text
    assert "fewer than 79 comparable moments" in text
    assert not re.search(r"\bnan\b", text.partition("Conversion velocity")[2].lower())


def test_text_from_feeds_is_escaped(maker):
    result = maker(names=[HOSTILE, "b"])
    result = replace(result, findings=(Finding("warning", HOSTILE, HOSTILE, HOSTILE, HOSTILE),))
    told = reports.report(result, title=HOSTILE)
    assert Reader(told.html).tags.count("script") == 1  # the page's own
    assert "<script>alert" not in told.html
    assert "<script>alert" not in told.markdown.replace("\\<", "")
    assert told.pdf[:5] == b"%PDF-"  # a word of markup would have ended the writing of it
    for picture in told.pictures:
        assert "script" not in {node.tag.rpartition("}")[2] for node in ET.fromstring(picture.svg()).iter()}  # noqa: S314  our own


def test_findings_stand_worst_first(made):
    found = tuple(Finding(level, f"{level} here", "", "", "") for level in ("note", "error", "warning"))
    text = Reader(reports.report(replace(made, findings=found)).html).text
    places = [text.index(f"{level} here") for level in ("error", "warning", "note")]
    assert places == sorted(places)


@pytest.mark.parametrize("airings", [1, 5])
def test_few_airings_stand_side_by_side_and_many_below_each_other(maker, airings):
    result = maker(airings=airings)
    html = reports.report(result).html
    begin = html.index("</span>Every airing")
    section = html[begin : html.index("</section>", begin)]
    assert section.count("<tr>") == (1 + 1 + len(sheets.FIGURES) if airings == 1 else 1 + airings)


def test_the_same_result_makes_the_same_report(made, maker):
    assert reports.report(made).html == reports.report(maker()).html


def test_of_many_airings_the_strongest_words_stand_first_and_the_caution_stays(maker):
    result = maker(airings=20)
    late = [*["undecided"] * 19, "association"]
    verdicts = tuple(replace(v, word=w) for v, w in zip(result.verdicts, late, strict=True))
    html = sheets.cases_html(replace(result, verdicts=verdicts))
    assert html.index("WWE_HALFTIME_20: association") < html.index("WWE_HALFTIME_1: undecided")
    assert "8 further airings" in html
    told = sheets.explanation(result)
    assert told[-1].startswith("A rise inside the shaded break proves nothing")
    assert told[-2] == f"The areas of {20 - sheets.MAX_EXPLAINED} further airings stand in the table."


def test_explanation_holds_the_numbers_of_the_table(made):
    words = " ".join(sheets.explanation(made))
    assert estimate(made.table.iloc[0], "incremental", "count") in words
    assert "95%" in words
    assert f"{made.total['observed'].max():,.1f}" in words


def test_an_airing_that_has_not_begun_still_makes_a_report(made):
    nothing = {name: pd.DataFrame() for name in ("total", "series", "evidence", "kernel", "shares")}
    unknown = made.table.assign(**dict.fromkeys(FIGURES, float("nan")), verdict="no data", rung=0)
    verdict = Verdict(airing="a", word="no data", rung=0, sentence="a is not yet on air")
    result = replace(made, **nothing, table=unknown, verdict=verdict, verdicts=(verdict,))
    text = Reader(reports.report(result).html).text
    assert "There is nothing to draw" in text
    assert "a is not yet on air" in text
    with pytest.raises(ValueError, match="no bins to draw"):
        charts.velocity(result)
    assert plotted.evidence_frames(result)["path"].empty


def test_the_parts_are_chosen_and_an_unknown_one_lists_the_others(made):
    short = reports.report(made, parts=["settings", "business"])
    assert short.parts == ("business", "settings")
    text = Reader(short.html).text
    assert "What to do" in text
    assert "response_peak_logsd" in text
    assert "Every airing" not in text
    assert made.fingerprint in text  # where it comes from is always told
    plain = reports.report(made, parts=["airings"])
    assert "What to do" not in Reader(plain.html).text
    assert "## What to do" not in plain.markdown
    with pytest.raises(ValueError, match="parts has 'charts'; choose from business, velocity"):
        reports.report(made, parts=["charts"])


def test_the_ending_names_the_form(made, tmp_path):
    told = reports.report(made)
    assert told.save(tmp_path / "a.HTML").read_text(encoding="utf-8") == told.html
    assert told.save(tmp_path / "a.md").read_text(encoding="utf-8") == told.markdown
    assert told.save(tmp_path / "a.pdf").read_bytes() == told.pdf
    with pytest.raises(ValueError, match=r"saved as \.html, \.pdf, \.md, \.json, \.zip, not as '\.docx'"):
        told.save(tmp_path / "a.docx")


def test_figures_take_the_colours_of_any_page(made):
    names = [getattr(DRAWN, name) for name in Palette.__dataclass_fields__]
    assert len(set(names)) == len(names)
    for picture in pictures(made):
        for mode in ("light", "dark", "adaptive"):
            assert not re.search("#F000", picture.svg(mode)), picture.name
        assert "var(--" in picture.svg("adaptive")
        ET.fromstring(picture.file("dark"))  # noqa: S314  our own


def test_what_is_read_off_stands_where_it_is_drawn(made):
    velocity = pictures(made)[0]
    places = [x for x, _ in velocity.readings]
    assert places == sorted(places)
    assert 0 <= places[0] < places[-1] <= velocity.across
    bins = plotted.drawn(made)
    at = bins["time"].searchsorted(made.table["start"][0])
    told = dict(velocity.readings)[
        min(dict(velocity.readings), key=lambda x: abs(x - velocity.across * (at + 0.5) / len(bins)))
    ]
    assert told[0] == f"{made.table['start'][0]:%H:%M:%S}"
    assert float(told[1]) == pytest.approx(bins["observed"][at], abs=0.06)


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_a_pdf_has_a_page_for_the_business_and_the_same_answer_makes_the_same_bytes(made, maker):
    told = reports.report(made)
    assert told.pdf == reports.report(maker()).pdf
    assert pages_of(reports.report(made, parts=["business"]).pdf) == 1
    assert pages_of(told.pdf) > 2
    assert b"/Image" not in told.pdf.replace(b"/ImageB", b"").replace(b"/ImageC", b"").replace(b"/ImageI", b"")


def test_of_a_season_the_strongest_stand_first_and_the_file_stays_small(maker):
    result = maker(airings=305, bins=3000)
    result = replace(result, table=result.table.assign(verdict=["undecided"] * 304 + ["suggestive"]))
    told = reports.report(result, parts=["business", "velocity", "airings"])
    assert len(told.html.encode()) < 1_500_000
    text = Reader(told.html).text
    assert f"{onefile.MOST} of 305 airings" in text
    first = sheets.leading_html(result, 60)
    assert first.index("WWE_HALFTIME_305") < first.index("WWE_HALFTIME_1<")
    assert first.count("<tr>") == 1 + 60
    table = next(part for part in flowed(first, 500) if type(part).__name__ == "Table")
    assert table.repeatRows == 1  # the heads stand on every page
    assert pages_of(told.pdf) >= 3


def test_print_takes_any_text(maker):
    typed = ["<b>bold", "</para>", "&amp;&lt;", "<img src='x'/>", "\x00\x1b[31m", "ハーフ", "Łódź"]
    told = reports.report(maker(names=typed, airings=len(typed)), title="".join(typed))
    assert told.pdf[:5] == b"%PDF-"
    assert all(c.isprintable() for text in typed for c in printable(text))
    assert printable("Łódź, Київ, α") == "Łódź, Київ, α"


def test_a_circle_of_arcs_comes_round():
    steps = list(_path("M5,0A5,5,0,1,1,-5,0A5,5,0,1,1,5,0Z"))
    assert [letter for letter, _ in steps] == ["M", "C", "C", "C", "C", "Z"]
    ends = [(round(goes[-2], 9) + 0, round(goes[-1], 9) + 0) for letter, goes in steps if letter == "C"]
    assert ends == [(0, 5), (-5, 0), (0, -5), (5, 0)]
    relative = list(_path("M1,2h3v-4l1,1"))
    assert [goes for _, goes in relative] == [[1, 2], [4, 2], [4, -2], [5, -1]]
