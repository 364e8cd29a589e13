"""The parts of an answer as HTML, for pages and for the one file that is handed on. Text from data is escaped."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution import plotted
from attribution.figures import estimate, html_table, interval
from attribution.verdict import WORDS

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.briefing import Briefing
    from attribution.verdict import Verdict

MARKS = {"caused": "●", "suggestive": "◐", "association": "◐", "no effect": "○"}
"""A mark beside each verdict's word; the words not named here mean that there is no answer yet, or none to be had."""
NO_ANSWER = "▲"
PARTS = {
    "business": "The page for the business",
    "velocity": "Conversion velocity",
    "evidence": "Evidence",
    "airings": "Every airing",
    "details": "Beside the answer",
    "findings": "Findings in the data",
    "settings": "Settings",
}
"""What a report is made of, in the order of reading: the first for the business, the others a diagnostic annex."""
FIGURES = {
    "incremental": ("Incremental conversions", "count", "interval"),
    "lift": ("Lift over the counterfactual", "percent", "interval"),
    "counterfactual": ("Counterfactual conversions", "plain", ""),
    "probability_positive": ("P(incremental > 0), given the model", "probability", ""),
    "e_value": ("e-value", "evidence", ""),
    "anytime_p": ("Always-valid p", "probability", ""),
    "placebo_p": ("Placebo p", "probability", ""),
    "response_peak": ("Response peak after delivery", "seconds", "interval"),
    "minimum_detectable_lift": ("Smallest lift this data could show", "percent", ""),
    "iroas": ("iROAS", "ratio", "interval"),
    "roi": ("ROI", "ratio", "interval"),
}
"""Column of the table -> its name for a reader, how it is written, and whether it has an interval."""


def reason(result: Analysis, airing: str, column: str) -> str:
    """Say why a figure is unknown; empty where the analysis gives no reason."""
    table = result.reasons
    found = table[(table["airing"] == airing) & (table["column"] == column)]["reason"]
    return str(found.iloc[0]) if len(found) else ""


def mark(word: str) -> str:
    """Return the mark that stands beside a verdict's word."""
    return MARKS.get(word, NO_ANSWER)


def findings_html(findings: tuple[Any, ...]) -> str:
    """Write findings as a table: what, where, harm, mend; worst first."""
    if not findings:
        return '<p class="muted">Nothing was found that harms the answer.</p>'
    order = {"error": 0, "warning": 1, "note": 2}
    signs = {"error": "▲ ERROR", "warning": "▲ WARNING", "note": "● NOTE"}
    heads = ("Level", "What", "Where", "Harm", "Mend")
    rows = [
        (
            f'<span class="level {escape(f.level)}">{signs.get(f.level, escape(f.level))}</span>',
            *(escape(text) for text in (f.what, f.rows, f.harm, f.mend)),
        )
        for f in sorted(dict.fromkeys(findings), key=lambda f: order.get(f.level, 3))
    ]
    return html_table(heads, rows, words=True)


def explanation(result: Analysis) -> list[str]:
    """Explain the velocity chart in sentences that hold this analysis' numbers."""
    total, table = plotted.drawn(result), result.table
    known = total["observed"].notna()
    name, seconds = plotted.rate_unit(total["width_s"])
    rate = (total["observed"] / total["width_s"] * seconds)[known]
    claimed = ", ".join(sorted(set(table["verdict"])))
    highest = f", up to {rate.max():,.1f} in one bin" if len(rate) else ""
    solid = f"The solid line is what was counted: conversions per {UNIT_WORDS[name]} where the ad was on air{highest}."
    dashed = (
        "The dashed line is the counterfactual: what the count would have been without the ad, as learnt from the time "
        f"before, from regions without the ad and from the feeds; its band holds {1 - result.alpha:.0%}."
    )
    sentences = [solid, dashed]
    told = table[np.isfinite(table["incremental"].to_numpy(float))]
    for row in told.head(MAX_EXPLAINED).to_dict("records"):
        span = interval(row, "incremental", "count")
        sentences.append(
            f"For {row['airing']} the area between them is {estimate(row, 'incremental', 'count')} conversions"
            + (f" ({span})." if span else ".")
        )
    if len(told) > MAX_EXPLAINED:
        sentences.append(f"The areas of {len(told) - MAX_EXPLAINED} further airings stand in the table.")
    sentences.append(
        "A rise inside the shaded break proves nothing by itself: a break, a goal or a trend can do the same. "
        f"The verdict ({claimed}) rests on the evidence, not on the shape."
    )
    return sentences


MAX_CASES, MAX_EXPLAINED = 12, 6
"""The evidence of so many airings is written out, and the area of so many explained."""
SIDE_BY_SIDE = 4
"""So many airings stand side by side in the table; more become its rows."""
UNIT_WORDS = {"s": "second", "min": "minute", "h": "hour", "day": "day"}


def cases_html(result: Analysis) -> str:
    """Write what speaks for and against each verdict, and what would change it."""
    shown = result.verdicts
    if len(shown) > MAX_CASES:  # the strongest words first
        shown = sorted(shown, key=lambda verdict: WORDS.index(verdict.word))[:MAX_CASES]
    words = "".join(_case(verdict, named=len(result.verdicts) > 1) for verdict in shown)
    left = len(result.verdicts) - MAX_CASES
    if left > 0:
        words += f'<p class="muted">{left} further airings: their figures stand in the table.</p>'
    return words


def _case(verdict: Verdict, *, named: bool) -> str:
    """Write what speaks for and against one verdict, and what would change it."""
    sentence = escape(verdict.sentence)
    head = (
        f"<h3>{mark(verdict.word)} {escape(verdict.airing)}: {escape(verdict.word)}</h3><p>{sentence}</p>"
        if named
        else ""
    )
    lists = (
        ("For", verdict.evidence_for),
        ("Against", verdict.evidence_against),
        ("What would change it", verdict.would_change),
    )
    return head + "".join(
        f'<p class="label">{name}</p><ul>{"".join(f"<li>{escape(s)}</li>" for s in sentences)}</ul>'
        for name, sentences in lists
        if sentences
    )


def leading_html(result: Analysis, most: int) -> str:
    """Write the table of airings; of too many those with the strongest words, and among these the most evidence."""
    table = result.table
    if len(table) <= most:
        return table_html(result)
    order = table.assign(strength=table["verdict"].map(WORDS.index)).sort_values(
        ["strength", "e_value"], ascending=[True, False], kind="stable"
    )
    said = f"{most} of {len(table):,} airings, the strongest words first; the tables beside this report hold all."
    return f'<p class="muted">{said}</p>{table_html(replace(result, table=table.loc[order.index[:most]]))}'


def table_html(result: Analysis) -> str:
    """Write the table of airings with intervals, and the reason for every unknown figure.

    Few airings stand side by side, so that no figure needs scrolling; many are the rows.
    """
    notes: dict[str, int] = {}
    heads, columns = [], []
    for _, row in result.table.iterrows():
        start = pd.Timestamp(row["start"])
        heads.append(f"<th>{escape(str(row['airing']))}<small>{start:%Y-%m-%d %H:%M:%S} UTC</small></th>")
        word = escape(str(row["verdict"]))
        cells = [f"<td>{mark(row['verdict'])} {word}<small>rung {row['rung']:g}</small></td>"]
        columns.append(cells + [_cell(result, row, name, notes) for name in FIGURES])
    names = [f"<th>{escape(name)}</th>" for name in ("Verdict", *(name for name, _, _ in FIGURES.values()))]
    if len(heads) <= SIDE_BY_SIDE:
        top = f"<th></th>{''.join(heads)}"
        lines = [name + "".join(cells) for name, *cells in zip(names, *columns, strict=True)]
    else:
        top = f"<th>Airing</th>{''.join(names)}"
        lines = [head + "".join(cells) for head, cells in zip(heads, columns, strict=True)]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    many = len(heads) > SIDE_BY_SIDE
    table = f'<table class="{"many" if many else "few"}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    foot = "".join(f"<li>{escape(why)}</li>" for why in notes)
    reasons = f'<p class="label notes">Why a figure is unknown</p><ol class="muted">{foot}</ol>' if notes else ""
    return f'<div class="scroll{" long" * many}">{table}</div>{reasons}'


def _cell(result: Analysis, row: pd.Series, name: str, notes: dict[str, int]) -> str:
    """Write one figure with its interval; an unknown one points at its reason, which ``notes`` numbers."""
    _, kind, banded = FIGURES[name]
    text = estimate(row, name, kind)
    if text == "—":
        why = reason(result, row["airing"], name) or "not computed for this data"
        number = notes.setdefault(why, len(notes) + 1)
        return f'<td title="{escape(why)}">—<sup>{number}</sup></td>'
    span = f"<small>{interval(row, name, kind)}</small>" if banded else ""
    return f"<td>{text}{span}</td>"


def settings_html(result: Analysis) -> str:
    """Write every choice, and all of them as JSON."""
    settings = asdict(result.settings)
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{'not set' if value is None else escape(str(value))}</dd></div>"
        for name, value in settings.items()
    )
    raw = escape(json.dumps(settings, indent=1))
    return f"<dl>{cells}</dl><details><summary>As JSON</summary><pre>{raw}</pre></details>"


def understanding_html(result: Analysis) -> str:
    """Write what the velocity chart shows, with this answer's numbers."""
    if plotted.drawn(result).empty:
        return '<p class="muted">There is nothing to draw: no airing has a bin of data around it.</p>'
    sentences = "".join(f"<li>{escape(s)}</li>" for s in explanation(result))
    return f"<details open><summary>Understanding this chart</summary><ul>{sentences}</ul></details>"


def briefing_html(told: Briefing) -> str:
    """Write the page for the business, a block a section."""
    blocks = (
        f'<div><p class="label">{heading}</p><ul>{"".join(f"<li>{escape(s)}</li>" for s in sentences)}</ul></div>'
        for heading, sentences in told.sections.items()
        if sentences
    )
    return f'<div class="brief">{"".join(blocks)}</div>'
