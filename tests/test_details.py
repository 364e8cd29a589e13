"""What stands beside the answer: only where it has rows, its numbers those of the table, its words escaped."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest

from attribution import reports
from attribution.details import MOST, WHOLE, details
from attribution.figures import LONG, figure, html_table
from attribution.money import Money, money_frame

HOSTILE = "<script>alert(1)</script>"


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&gt;", ">")


def gap(names):
    ends = {"onset": 4.0, "mode": 10.0, "mean": 17.0}
    rows = [(name, what, s, s - 1, s + 2.5) for name in names for what, s in ends.items()]
    return pd.DataFrame(rows, columns=["airing", "what", "seconds", "lower", "upper"])


@pytest.fixture
def full(made):
    """An analysis in which every table has rows."""
    a, b = made.table["airing"]
    groups = pd.DataFrame(
        [("schedule", "all", 300, 5000.4, 4000.0, 6000.0, 0.0164, "association")],
        columns=["dimension", "category", "airings", "incremental", "lower", "upper", "p", "verdict"],
    )
    pair = pd.DataFrame([(a, b, -0.91, 210.0, 150.0, 270.0)] * 2)
    pair.columns = ["airing", "other", "correlation", "incremental", "lower", "upper"]
    return replace(
        made,
        gap=gap([a, b]),
        money=money_frame(a, Money(1000.0, 10.0, 0.5), (-50.0, 200.0, 400.0), 0.97),
        airings=made.airings.assign(spend=1000.0),
        bounds=pd.DataFrame([(a, 0.021, -30.0, 400.0)], columns=["airing", "loss", "lower", "upper"]),
        together=pair,
        groups=groups,
        plan_notes=("the plan was locked 2026-02-01T00:00:00Z.",),
    )


def test_only_what_has_rows_is_written(made, full):
    assert list(details(made)) == ["Regions"]
    assert list(details(full)) == [
        WHOLE,
        "Regions",
        "Causal gap",
        "Money",
        "Airings that cannot be told apart",
        "If more was lost than was counted",
        "The locked plan",
    ]


def test_figures_stand_with_their_interval_and_an_open_end_with_its_reason(full):
    words = {name: text(html) for name, html in details(full).items()}
    assert "300 +5,000 +4,000 to +6,000 0.016 association" in words[WHOLE]
    assert "4.0 s 3.0 s to 6.5 s 10.0 s 9.0 s to 12.5 s 17.0 s 16.0 s to 19.5 s" in words["Causal gap"]
    assert "1,000.00 5.00 no upper end: the interval of the incremental contains zero" in words["Money"]
    assert "2.0× −0.5× to 4.0× 0.0×" in words["Money"]
    assert words["Airings that cannot be told apart"].count("−0.91 +210 +150 to +270") == 1
    assert "2.1% −30 to +400" in words["If more was lost than was counted"]


def test_money_is_left_out_where_nobody_said_what_an_airing_cost(full):
    unknown = money_frame("A", Money(float("nan"), 10.0, 0.5), (50.0, 200.0, 400.0), 0.99)
    assert "Money" not in details(replace(full, money=unknown))


def test_many_airings_are_cut_and_counted(full, maker):
    names = [f"a{i}" for i in range(MOST + 3)]
    html = details(replace(full, gap=gap(names)))["Causal gap"]
    assert html.count("<tr>") == 1 + MOST
    assert f"The first {MOST} of {MOST + 3} stand here." in html


def test_a_long_table_scrolls_and_a_short_one_does_not():
    assert 'class="scroll long" ' in html_table(("A",), [("x",)] * (LONG + 1))
    assert 'class="scroll" ' in html_table(("A",), [("x",)] * LONG)


def test_the_report_holds_every_part_and_the_whole_schedule_before_the_airings(full):
    words = text(reports.report(full).html)
    places = [words.index(name) for name in (WHOLE, "Every airing", "Causal gap", "Money", "The locked plan")]
    assert places == sorted(places)
    assert places[0] < words.index("Evidence")


def test_words_are_escaped(full):
    hostile = full.groups.assign(category=HOSTILE, dimension=HOSTILE, verdict=HOSTILE)
    pair = full.together.assign(airing=HOSTILE, other=HOSTILE)
    bounds = full.bounds.assign(airing=HOSTILE)
    found = replace(full, groups=hostile, together=pair, bounds=bounds, gap=gap([HOSTILE]), plan_notes=(HOSTILE,))
    assert "<script" not in "".join(details(found).values())


def test_money_has_two_digits():
    assert figure(1234.5, "amount") == "1,234.50"
