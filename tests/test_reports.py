"""Laws of the report: verdict first, everything in one file, nothing from a feed becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from attribution import charts, plotted, reports
from attribution.figures import estimate
from attribution.tables import Finding
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
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert all(part.startswith("data:") for part in re.findall(r"url\(['\"]?([^)'\"]*)", document) if part[0] != "#")
    assert "@import" not in document


def test_verdict_stands_before_everything_else(made):
    text = Reader(reports.report(made).html).text
    order = [made.verdict.sentence, "Conversion velocity", "Evidence", "Every airing", "Findings", "Settings"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert made.fingerprint in text
    assert "rung 3 of 5" in text
    assert f"attribution {made.version}" in text


def test_figures_carry_their_interval_and_an_unknown_one_its_reason(made):
    text = Reader(reports.report(made).html).text
    row = made.table.iloc[0]
    assert f"{row['incremental']:+,.0f}" in text
    assert reports.interval(row, "incremental", "count") in text
    assert "fewer than 79 comparable moments" in text
    assert not re.search(r"\bnan\b", text.partition("Conversion velocity")[2].lower())


def test_text_from_feeds_is_escaped(maker):
    result = maker(names=[HOSTILE, "b"])
    result = replace(result, findings=(Finding("warning", HOSTILE, HOSTILE, HOSTILE, HOSTILE),))
    document = reports.report(result, title=HOSTILE).html
    assert "script" not in Reader(document).tags
    assert "<script" not in document


def test_findings_stand_worst_first(made):
    found = tuple(Finding(level, f"{level} here", "", "", "") for level in ("note", "error", "warning"))
    text = Reader(reports.report(replace(made, findings=found)).html).text
    places = [text.index(f"{level} here") for level in ("error", "warning", "note")]
    assert places == sorted(places)


@pytest.mark.parametrize("airings", [1, 5])
def test_few_airings_stand_side_by_side_and_many_below_each_other(maker, airings):
    result = maker(airings=airings)
    html = reports.report(result).html
    section = html[html.index("Every airing") : html.index("Findings in the data")]
    assert section.count("<tr>") == (1 + 1 + len(reports.FIGURES) if airings == 1 else 1 + airings)


def test_the_same_result_makes_the_same_report(made, maker):
    assert reports.report(made).html == reports.report(maker()).html


def test_of_many_airings_the_strongest_words_stand_first_and_the_caution_stays(maker):
    result = maker(airings=20)
    late = [*["undecided"] * 19, "association"]
    verdicts = tuple(replace(v, word=w) for v, w in zip(result.verdicts, late, strict=True))
    html = reports.cases_html(replace(result, verdicts=verdicts))
    assert html.index("WWE_HALFTIME_20: association") < html.index("WWE_HALFTIME_1: undecided")
    assert "8 further airings" in html
    told = reports.explanation(result)
    assert told[-1].startswith("A rise inside the shaded break proves nothing")
    assert told[-2] == f"The areas of {20 - reports.MAX_EXPLAINED} further airings stand in the table."


def test_explanation_holds_the_numbers_of_the_table(made):
    words = " ".join(reports.explanation(made))
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
