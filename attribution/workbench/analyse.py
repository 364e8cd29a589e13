"""What the live page adds for an analyst, and the five screens it shows to everybody else, as HTML."""

from __future__ import annotations

import math
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

from attribution.figures import estimate, figure, html_table, interval
from attribution.moves import NAMES, shown
from attribution.verdict import RUNGS
from attribution.workbench.panels import level

if TYPE_CHECKING:
    from attribution.verdict import Verdict
    from attribution.workbench.look import Look

TABLE = {
    "incremental": ("Incremental conversions", "count"),
    "counterfactual": ("Counterfactual in the window", "plain"),
    "lift": ("Lift", "percent"),
    "probability_positive": ("P(lift > 0 | model)", "probability"),
    "e_value": ("e-value", "evidence"),
    "anytime_p": ("Always-valid p", "probability"),
    "response_peak": ("Causal gap, peak", "seconds"),
    "minimum_detectable_lift": ("Smallest lift it could show", "percent"),
    "iroas": ("iROAS", "ratio"),
    "roi": ("ROI", "ratio"),
}
"""Column of the table -> its name, and how it is written."""


def answer(look: Look) -> str:
    """Write every figure of the current airing with its interval; a dash with the reason where one is unknown."""
    row = look.row
    if row is None:
        return f'<div class="ec"><p class="lead muted">{escape(look.why("incremental"))}</p></div>'
    rows = []
    for name, (told, kind) in TABLE.items():
        span = interval(row, name, kind) if f"{name}_lower" in row else ""
        known = math.isfinite(float(row[name]))
        rows.append((told, estimate(row, name, kind), span if known else escape(look.why(name))))
    heads = (f"{row['airing']}", "Estimate", f"{level(look)} interval")
    return f'<div class="ec">{html_table(heads, rows)}</div>'


def evidence(verdict: Verdict | None) -> str:
    """Write what speaks for and against the verdict, and what would change it."""
    if verdict is None:
        return '<div class="ec"><p class="lead muted">The first answer needs a few seconds of data.</p></div>'
    parts = (
        ("For", verdict.evidence_for),
        ("Against", verdict.evidence_against),
        ("What would change it", verdict.would_change),
    )
    lists = "".join(
        f'<p class="label">{name}</p><ul>{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'
        for name, lines in parts
        if lines
    )
    return f'<div class="ec">{lists}</div>'


def worlds(look: Look) -> str:
    """Write what else the model thought may have moved the counts, with the weight of each."""
    if look.result is None or look.row is None:
        return ""
    table = look.result.worlds
    own = table[(table["airing"] == look.row["airing"]) & (table["weight"] >= 0.005)].sort_values(
        "weight", ascending=False
    )
    rows = [(escape(str(row["world"])), figure(row["weight"], "share")) for row in own.to_dict("records")]
    return f'<div class="ec">{html_table(("World", "Weight"), rows)}</div>' if rows else ""


def priors(look: Look) -> str:
    """Write every choice of the analysis; those that are not the default are marked."""
    usual = asdict(type(look.settings)())
    cells = "".join(
        f"<div><dt>{escape(NAMES[name])}</dt><dd>{'<b>◆</b> ' * (value != usual[name])}"
        f"{escape(shown(name, value))}</dd></div>"
        for name, value in asdict(look.settings).items()
    )
    return f'<div class="ec choices"><dl>{cells}</dl></div>'


STORY = ("What happened", "What would have happened", "The difference", "How sure", "What it is worth")
"""Headings of the five screens."""


def screen(look: Look, number: int) -> str:
    """Write one screen of the story: a heading, one figure, a sentence."""
    row = look.row
    if row is None or not math.isfinite(row["incremental"]):
        word = "Not yet on air" if look.verdict is None else look.verdict.word
        sentence = look.why("incremental") if look.verdict is None else look.verdict.sentence
        return _screen(number, word, "", sentence)
    name = str(row["airing"])
    rest = look.counted - row["counterfactual"] - row["incremental"]
    chance = f" The rest of what was counted, {figure(rest, 'count')}, is chance." if math.isfinite(rest) else ""
    window = f"in the {row['window_s']:.0f} seconds after {name} began" + (
        f" ({look.counting})" if look.counting else ""
    )
    amount, ends = estimate(row, "incremental", "count"), interval(row, "incremental", "count")
    lift = estimate(row, "lift", "percent")
    told = (
        (figure(look.counted, "plain"), "conversions", f"{window}; up to {look.rate_peak:,.0f} a second."),
        (estimate(row, "counterfactual", "plain"), "conversions without the ad", WITHOUT),
        (amount, "conversions", f"added by the ad, {level(look)} interval {ends}: a lift of {lift}.{chance}"),
        ("no word" if look.verdict is None else look.verdict.word, "", _sure(look, row)),
        (estimate(row, "iroas", "ratio"), "earned back for each unit spent", _worth(look, row)),
    )
    value, unit, sentence = told[number]
    return _screen(number, value, unit, sentence)


WITHOUT = "as learnt from the time before, from regions that did not see it, and from what people were posting."


def _sure(look: Look, row: dict[str, Any]) -> str:
    """Say how sure the answer is."""
    needed = f"{1 / look.settings.alpha:g} is needed"
    odds = f"e-value {figure(row['e_value'], 'evidence')}, where {needed}"
    positive = figure(row["probability_positive"], "probability")
    rung = 0 if look.verdict is None else look.verdict.rung
    stands = f" Rung {rung} of 5: {RUNGS[rung]}." if rung else ""
    return f"{odds}; P(lift > 0 | model) {positive}.{stands}"


def _worth(look: Look, row: dict[str, Any]) -> str:
    """Say what the answer is worth."""
    if not math.isfinite(row["iroas"]):
        return f"What it is worth is unknown: {look.why('iroas')}."
    ends = f"{level(look)} interval {interval(row, 'iroas', 'ratio')}"
    return f"{ends}; ROI {estimate(row, 'roi', 'ratio')} ({interval(row, 'roi', 'ratio')})."


def _screen(number: int, value: str, unit: str, sentence: str) -> str:
    dots = "".join(f'<i class="{"on" if n == number else ""}"></i>' for n in range(len(STORY)))
    return (
        f'<section class="ec story s{number}" aria-label="{STORY[number]}"><p class="cap">{number + 1} of '
        f"{len(STORY)} · "
        f'{STORY[number]}</p><p class="big">{escape(value)}<small>{escape(unit)}</small></p>'
        f'<p class="told">{escape(sentence)}</p><p class="dots" aria-hidden="true">{dots}</p></section>'
    )
