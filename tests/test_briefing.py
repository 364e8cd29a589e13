"""The words of a report come from the numbers, and never claim more than the answer's rung."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_verdict import ALONE, MOMENTS, NOISE, NOTHING, PLACEBOS, STRONG

from attribution.briefing import SECTIONS, briefing
from attribution.details import details
from attribution.markdown import summary
from attribution.money import Money, money_frame
from attribution.sheets import PARTS, explanation
from attribution.verdict import CLAIMS, WORDS, annotated, judge, summarise

GOLDEN = Path(__file__).parent / "golden" / "briefings.md"
PAYS, LOSES, OPEN = Money(16000.0, 64.0, 0.45), Money(60000.0, 64.0, 0.45), Money(22000.0, 64.0, 0.45)
UNPAID = Money(np.nan, np.nan, np.nan)
LOCKED = ("the plan was locked 2026-02-08T18:00:00Z (SHA-256 0123456789ab), before the first airing.",)
DRAWN = np.linspace(500.0, 1100.0, 2000).reshape(4, 500)

TOLD = {
    "caused, and it pays; planned": (STRONG, PAYS, LOCKED, False),
    "caused at a loss": (STRONG, LOSES, (), False),
    "caused, by lot, whether it pays is open; sampled": (STRONG._replace(rung=5), OPEN, LOCKED, True),
    "suggestive, without a price": (NOISE, UNPAID, (), False),
    "suggestive against breaks, with a price": (ALONE._replace(**PLACEBOS, placebo_p=0.02), PAYS, LOCKED, False),
    "association, with a price": (ALONE, PAYS, (), False),
    "association against moments; sampled": (ALONE._replace(**MOMENTS, placebo_p=0.02), UNPAID, (), True),
    "no effect": (NOTHING, PAYS, LOCKED, False),
    "not separable": (NOISE._replace(explained="a hidden shock", explained_kind="shock"), PAYS, (), False),
    "not separable, for a loss": (
        STRONG._replace(worst_lower=-10.0, worst_upper=1500.0, worst_loss=0.2),
        PAYS,
        (),
        False,
    ),
    "undecided": (NOTHING._replace(lift_upper=0.3, upper=720.0), PAYS, (), True),
    "no data": (NOTHING._replace(status="only 12% of the window of HALFTIME was observed."), UNPAID, (), False),
}
"""Twelve verdicts: a case, what it cost and brings, what a plan says, and whether the full posterior was sampled."""


def told(maker, case, cash, notes):
    """An analysis whose one airing is this case."""
    verdict = annotated(judge(case), speaks_for=notes)
    made = maker(names=[case.airing], airings=1)
    ends = {"": case.incremental, "_lower": case.lower, "_upper": case.upper}
    row = {f"incremental{end}": value for end, value in ends.items()} | {
        "counterfactual": case.counterfactual, "lift": case.lift, "lift_lower": case.lift_lower,
        "lift_upper": case.lift_upper, "probability_positive": case.probability_positive, "rung": verdict.rung,
        "verdict": verdict.word, "minimum_detectable_lift": case.detectable, "placebo_p": case.placebo_p,
    }  # fmt: skip
    if case.status:
        row |= dict.fromkeys(("incremental", "lift", "lift_lower", "lift_upper", "probability_positive"), np.nan)
    money = money_frame(case.airing, cash, (case.lower, case.incremental, case.upper), case.probability_positive)
    return replace(
        made, table=made.table.assign(**row), verdict=verdict, verdicts=(verdict,), money=money, plan_notes=notes,
        airings=made.airings.assign(spend=cash.spend),
    )  # fmt: skip


def posterior(name: str) -> SimpleNamespace:
    """What a sampler gave: draws of one airing."""
    return SimpleNamespace(posterior=Group(Sampled(name)))


class Sampled:
    """Draws by chain and airing, as ArviZ holds them."""

    def __init__(self, name: str) -> None:
        self.values = DRAWN
        self.names = np.array([name])

    def __getitem__(self, name: str):
        assert name == "airing"
        return SimpleNamespace(values=self.names)

    def sel(self, airing: str):
        assert airing in self.names
        return self


class Group(dict):
    """The group ``posterior`` of what a sampler gave."""

    def __init__(self, drawn: Sampled) -> None:
        super().__init__(incremental=drawn)
        self.attrs = {"optimal": 1}


def pages(maker) -> dict[str, tuple]:
    """Name -> the analysis and its page, of each of the twelve."""
    made = {}
    for name, (case, cash, notes, sampled) in TOLD.items():
        result = told(maker, case, cash, notes)
        made[name] = result, briefing(result, posterior=posterior(case.airing) if sampled else None)
    return made


def sentences(result, page) -> list[str]:
    """Every sentence of both readings."""
    verdict = result.verdict
    return [
        *(sentence for section in page.sections.values() for sentence in section),
        *(verdict.sentence, *verdict.evidence_for, *verdict.evidence_against, *verdict.would_change),
        *explanation(result),
        *(re.sub(r"<[^>]+>", " ", html) for html in details(result).values()),
    ]


def test_the_pages_are_the_reviewed_ones(maker):
    """``GOLDEN=1`` writes them anew: read what has changed before it is kept."""
    parts = []
    for name, (result, page) in pages(maker).items():
        sections = "\n".join(f"{head}:\n" + "\n".join(f"- {s}" for s in page.sections[head]) for head in SECTIONS)
        parts.append(f"## {name}\n\n{result.verdict.word.upper()}: {result.verdict.sentence}\n\n{sections}\n")
    now = "\n".join(parts)
    if os.environ.get("GOLDEN"):
        GOLDEN.write_text(now, encoding="utf-8")
    assert now == GOLDEN.read_text(encoding="utf-8")


def test_the_twelve_hold_every_word(maker):
    assert len(TOLD) == 12
    assert {result.verdict.word for result, _ in pages(maker).values()} == set(WORDS)


CLAIMING = {
    "caused": r"\bthe ad (?:caused|added|brought|earned)\b|\bcame back in revenue\b|\bBook it\b|\bis a return of\b",
    "suggestive": r"\b[Pp]robably an effect\b|\bIf that was the ad\b",
    "association": r"\bjump at this time\b",
}
"""What a sentence says that claims so much; a weaker word may not say it."""
DENIED = re.compile(r"\b(?:not|never|neither|nothing|no)\b", re.IGNORECASE)


@pytest.mark.parametrize("name", TOLD)
def test_no_sentence_claims_more_than_its_rung(maker, name):
    case, cash, notes, sampled = TOLD[name]
    result = told(maker, case, cash, notes)
    word = result.verdict.word
    page = briefing(result, posterior=posterior(case.airing) if sampled else None)
    stronger = [c for c in CLAIMING if WORDS.index(c) < WORDS.index(word)]
    for sentence in sentences(result, page):
        for claim in stronger:
            found = re.search(CLAIMING[claim], sentence)
            hedged = word == "suggestive" and sentence.startswith("If that was the ad")
            assert not found or hedged or DENIED.search(sentence), f"{word} says: {sentence}"
    assert (result.verdict.rung >= 3) or word != "caused"
    if word not in CLAIMS:
        assert not any("revenue" in s or "return of" in s for s in sentences(result, page))


def test_what_pays_is_told_by_the_interval_and_not_by_the_middle(maker):
    def advice(cash) -> str:
        return " ".join(briefing(told(maker, STRONG, cash, ())).do)

    assert "Book it again at this price" in advice(PAYS)
    assert "Do not book it again at this price" in advice(LOSES)
    assert "Whether it pays is open" in advice(OPEN)
    assert "cannot be said (spend and value and margin unknown)" in advice(UNPAID)
    for cash in (PAYS, LOSES, OPEN):
        limit = float(re.search(r"spend below ([\d,]+)", advice(cash))[1].replace(",", ""))
        assert limit == pytest.approx(STRONG.incremental * cash.value * cash.margin, abs=1)


def test_of_several_airings_the_strongest_are_told_and_the_caution_stays(maker):
    made = maker(airings=3)
    verdicts = tuple(judge(STRONG._replace(airing=name)) for name in made.table["airing"])
    result = replace(made, verdicts=verdicts, verdict=summarise(verdicts, alpha=0.05))
    page = briefing(result)
    assert page.happened[0].startswith("Of 3 airings: 3 caused")
    assert [s for v in verdicts for s in page.happened if s == v.sentence]
    assert any("survive when all are judged together" in s for s in page.do)
    assert any("pick the best airing" in s for s in page.dont)


def test_a_log_without_an_airing_has_a_page(maker):
    made = maker(airings=1)
    empty = {name: getattr(made, name).iloc[:0] for name in ("table", "airings", "total", "evidence")}
    page = briefing(replace(made, **empty, verdicts=(), verdict=summarise((), alpha=0.05)))
    assert page.happened == ("There is no airing to judge.",)


def test_what_a_feed_types_is_no_markup_in_the_summary(maker):
    hostile = "<img src=x onerror=alert(1)> [a](http://x) `b` | # *c*"
    result = told(maker, STRONG._replace(airing=hostile), PAYS, ())
    text = summary(result, hostile, tuple(PARTS), briefing(result))
    assert "<img" not in text.replace("\\<img", "")
    assert not re.search(r"(?<!\\)[`|]b", text)
    assert "http://" not in text
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_the_plan_and_the_posterior_are_told_where_they_are(maker):
    plain = briefing(told(maker, STRONG, PAYS, ()))
    full = briefing(told(maker, STRONG, PAYS, LOCKED), posterior=posterior("HALFTIME"))
    assert "explored, not planned" in " ".join(plain.sure)
    assert "SHA-256 0123456789ab" in " ".join(full.sure)
    low, middle, high = np.quantile(DRAWN, (0.025, 0.5, 0.975))
    assert f"4 × 500 draws) has +{middle:,.0f} conversions (+{low:,.0f} to +{high:,.0f})" in " ".join(full.sure)
    assert "no figure of this airing" in " ".join(
        briefing(told(maker, STRONG, PAYS, ()), posterior=posterior("another")).sure
    )


def test_moments_and_regions_are_named(maker):
    page = briefing(told(maker, STRONG, PAYS, ()))
    row = told(maker, STRONG, PAYS, ()).table.iloc[0]
    assert f"{pd.Timestamp(row['start']):%H:%M:%S} UTC in north; south did not see it." in page.happened[0]
