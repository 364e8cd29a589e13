"""The notebook says what its files say: a broken promise is marked, nothing is counted twice or left out."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from scipy.stats import binom

from attribution.workbench import kept, promises, record, sampled
from attribution.workbench.promises import COVERED, FALSE, Goal

HOSTILE = "<img src=x onerror=alert(1)>"
TABLES = {name: kept.read(record.KEPT / one.file) for name, one in record.FILES.items() if name != "peers"}
GOAL = {
    "figure": "coverage", "where": "blind", "goal": COVERED, "measured": 0.95, "n": 1000, "met": "yes", "seeds": "1-9",
    "version": "0.1.0", "date": "2026-11-28",
}  # fmt: skip
REAL = {
    "group": "nab", "added": 0.0, "moments": 200, "claimed": 0.02, "claimed_watched": 0.03, "coverage": 0.97,
    "bias_of_level": 0.1, "three_sigma": 0.5, "t_test": 0.2, "poisson": 0.4, "seed": "1", "version": "0.1.0",
}  # fmt: skip


def table(row: dict, *changes: dict) -> pd.DataFrame:
    return pd.DataFrame([row | change for change in changes or ({},)])


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize(("share", "n"), [(0.05, 100), (0.051, 1000), (0.08, 100), (0.12, 100), (1.0, 3)])
def test_a_share_breaks_its_promise_when_a_binomial_test_says_so(share, n):
    rejected = binom.sf(round(share * n) - 1, n, 0.05) < promises.LEVEL
    state = Goal.read(FALSE).state(share, n)
    assert state == ("open" if share <= 0.05 else "no" if rejected else "outside")


def test_a_range_that_few_trials_cannot_hit_is_no_failure_and_a_share_further_off_is():
    goal = Goal.read(COVERED)
    assert [goal.state(k / 12, 12) for k in (12, 11, 10, 5)] == ["open", "open", "outside", "no"]
    assert goal.state(1.0, 1000) == "no"


def test_a_goal_that_cannot_be_read_says_how_to_write_one():
    with pytest.raises(ValueError, match="goal is 'soon'; write it like '<= 5%'"):
        Goal.read("soon")


def test_goals_are_all_counted_and_a_measured_failure_is_never_called_open():
    goals = table(GOAL, {}, {"met": "no"}, {"met": "open", "measured": 0.5}, {"met": "open"}, {"met": "not measured"})
    assert list(promises.states(goals)) == ["yes", "no", "outside", "open", "not measured"]
    assert promises.tally(goals) == (
        "Of 5 goals set before the runs 1 is met and 1 is not; 2 are open, for the events are too few to say, 1 of "
        "them outside so far; 1 not measured."
    )
    words = text(kept.goals_html(goals))
    assert [words.count(word) for word, _ in promises.STATES.values()] == [1, 1, 1, 1, 1]


def test_what_fell_short_holds_every_failure_and_nothing_else():
    dense = {"cell": "weeks, no effect", "worlds": 100, "covered": 0.95, "claimed": 0.2, "bias": 0.5, "bias_se": 0.1}
    found = promises.short_of(
        {
            "goals": table(GOAL, {}, {"met": "no", "measured": 0.4, "figure": "RMSE"}),
            "real": table(REAL, {}, {"group": "gdq", "claimed": 0.3}, {"group": "nasa", "added": 0.5, "claimed": 0.9}),
            "published": pd.DataFrame({"table": ["A", "B"], "agrees": [True, False]}),
            "dense": table(dense, {}, {"cell": "weeks, lift 1", "claimed": 1.0}),
        }
    )
    assert [line for lines in found.values() for line in lines] == [
        "RMSE, blind: 40.0% in 1,000 events; promised 93% to 97%.",
        "gdq, claimed at the end: 30.0% of 200; promised ≤ 5%.",
        "B: ours does not agree.",
        "weeks, no effect, total claimed: 20.0% of 100; promised ≤ 5%.",
        "weeks, lift 1, bias of the total: +50.0% ± 10.0% in 100 weeks; promised ≤ 2%.",
    ]
    assert promises.short_of(dict.fromkeys(TABLES)) == {}


def test_every_world_stands_in_one_part():
    worlds = TABLES["worlds"]
    rows = [kept.worlds_html(worlds, view).count("<tr>") - 1 for view in kept.VIEWS]
    assert sum(max(n, 0) for n in rows) == len(worlds)
    assert "none of these worlds has been run yet" in kept.worlds_html(worlds.iloc[:0], "foils")


def test_a_false_claim_is_marked_and_an_unmarked_one_is_a_claim_of_an_effect():
    worlds = TABLES["worlds"].head(2).assign(truth=[0.0, 100.0], n=1000, caused=0.5, settings="lag known")
    assert "▲ 50.0%" in kept.worlds_html(worlds, "null")
    assert "▲" not in kept.worlds_html(worlds, "effect")


def test_the_kept_tables_are_shown_whole_and_nothing_unknown_is_a_number():
    goals, blind = TABLES["goals"], TABLES["blind"]
    shown = {
        "goals": kept.goals_html(goals),
        "blind": kept.blind_html(blind, ">= 90%"),
        "real": kept.fakes_html(TABLES["real"]) + kept.added_html(TABLES["real"]),
        "published": kept.published_html(TABLES["published"]),
        "dense": kept.dense_html(TABLES["dense"]),
    }
    for name, html in shown.items():
        lines = html.count("<tr>") - html.count("<thead>") + html.count("<i>")
        assert lines == len(TABLES[name]), name
        assert not re.search(r"\bnan\b", html), name
    assert all(Goal.read(goal).said(0.5) for goal in goals["goal"])


AGREES = {
    "world": "clean", "difference": -0.2, "ratio": 0.95, "optimal": 1, "longer": 0, "seconds": 8.0, "seed": "1",
    "version": "0", "date": "2026-01-01",
}  # fmt: skip
RANKED = {
    "plant": "", "quantity": "lag", "replicates": 240, "p": 0.4, "gap": 0.05, "band": 0.08, "version": "0",
    "date": "2026-01-01",
}  # fmt: skip


def test_where_fast_fit_and_posterior_part_more_than_promised_is_marked():
    near, far = (text(sampled.agreement_html(table(AGREES, change))) for change in ({}, {"difference": 0.6}))
    assert "0.20 sd" in near
    html = sampled.agreement_html(table(AGREES, {"difference": 0.6}, {"world": "blind", "ratio": 1.3}))
    assert html.count('class="bad"') == 2 + 1 + 1  # all of them: both medians; clean: the means; blind: the sds
    assert "0.60 sd" in far


def test_ranks_that_are_not_uniform_are_marked_and_a_planted_error_is_caught():
    html = sampled.ranks_html(table(RANKED, {}, {"p": 1e-4}, {"gap": 0.2}, {"plant": "prior", "p": 1e-6}))
    assert html.count("▲ rejected") == html.count('class="bad"') == 2
    assert [html.count(word) for word in ("uniform", "caught")] == [1, 1]


def test_words_of_a_file_are_escaped():
    html = kept.goals_html(table(GOAL, {"figure": HOSTILE, "where": HOSTILE, "seeds": HOSTILE}))
    html += sampled.agreement_html(table(AGREES, {"world": HOSTILE})) + sampled.ranks_html(
        table(RANKED, {"quantity": HOSTILE})
    )
    html += kept.fakes_html(table(REAL, {"group": HOSTILE})) + kept.short_html({HOSTILE: [HOSTILE]})
    assert "<img" not in html


def test_a_table_that_is_not_there_is_told_with_the_command_that_makes_it(tmp_path):
    for one in record.FILES.values():
        assert kept.read(tmp_path / one.file) is None
        assert record.missing(one).startswith(f"There is no {one.file} yet: {one.command} makes it")
    makefile = (record.ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{one.command.removeprefix('make ')}: env" in makefile for one in record.FILES.values())
