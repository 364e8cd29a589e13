"""The record page shows what was kept: a dash for what a method cannot say, a reason where it could not answer."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from attribution.workbench import record

ROW = {
    "world": "surge", "method": "ours", "package": "this project", "version": "0.1.0", "answers": 40, "failed": 0,
    "truth": 393.4, "bias": -0.034, "rmse": 0.2, "coverage": 0.975, "claimed": 1.0, "caused": 1.0, "cpu_s": 0.12,
    "peak_mb": 240, "seeds": "70000-70039", "events": "0123456789ab", "date": "2026-11-28", "note": "",
}  # fmt: skip


class Cells(HTMLParser):
    """The texts of the body's cells, a list a row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in {"td", "th"}

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def rows(**change: object) -> list[list[str]]:
    return Cells(record.peers_html(pd.DataFrame([ROW | change]), "surge")).rows


def test_a_row_holds_what_was_measured():
    heads, cells = rows()
    assert heads == list(record.HEADS)
    assert cells == ["oursthis project 0.1.0, 40 events", "−3%", "20%", "98%", "100%", "0.12 s", "240 MB"]


def test_what_a_method_cannot_say_is_a_dash_and_never_a_number():
    _, cells = rows(coverage=None, claimed=None)
    assert cells[3:5] == ["—", "—"]
    _, refused = rows(note="not installable: <no wheel>", bias=None, rmse=None, cpu_s=None, peak_mb=None, truth=None)
    assert refused[1:] == ["not installable: <no wheel>"]
    assert "<no wheel>" not in record.peers_html(pd.DataFrame([ROW | {"note": "<no wheel>"}]), "surge")


def test_a_failure_is_counted_beside_the_name():
    assert rows(answers=38, failed=2)[1][0].endswith("38 events, 2 failed")


def test_only_the_chosen_world_is_shown_and_says_what_its_error_is_a_share_of():
    both = pd.DataFrame([ROW, ROW | {"world": "surge without ad", "truth": 0.0}])
    assert len(Cells(record.peers_html(both, "surge without ad")).rows) == 2
    assert "what the ad added" in record.peers_html(both, "surge")
    assert "the ad adds nothing" in record.peers_html(both, "surge without ad")


def test_the_kept_table_is_shown_whole():
    kept = record.read(record.PEERS)
    assert set(kept["world"]) == set(record.WORLDS)
    for world in record.WORLDS:
        html = record.peers_html(kept, world)
        assert len(Cells(html).rows) == 1 + (kept["world"] == world).sum()
        assert not re.search(r"\bnan\b", html)


@pytest.mark.parametrize(("dates", "said"), [(("a", "a"), "measured a"), (("a", "b"), "measured a to b")])
def test_the_dates_are_said(dates, said):
    assert record.dates(pd.DataFrame({"date": dates})) == said
