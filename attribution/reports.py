"""A report: one HTML file made from an analysis, which opens offline and asks no other machine for anything."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution import charts, plotted
from attribution.details import WHOLE, details
from attribution.figures import estimate, html_table, interval
from attribution.theme import font_css, variables
from attribution.verdict import RUNGS, WORDS

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.verdict import Verdict

MARKS = {"caused": "●", "suggestive": "◐", "association": "◐", "no effect": "○"}
"""A mark beside each verdict's word; the words not named here mean that there is no answer yet, or none to be had."""
NO_ANSWER = "▲"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished report.

    Attributes
    ----------
    html
        The whole document, with its fonts and charts inside.
    title
        What it is called.
    """

    html: str
    title: str

    def save(self, path: str | Path) -> Path:
        """Write the document to a file and return its path."""
        target = Path(path)
        target.write_text(self.html, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        """Show the document inside a notebook, in a frame of its own so that the styles do not mix."""
        return f'<iframe srcdoc="{escape(self.html)}" width="100%" height="900" style="border:0"></iframe>'


def report(result: Analysis, *, title: str = "Did this TV ad actually cause these conversions?") -> Report:
    """Make the report of an analysis: verdict first, then chart, tables, findings, settings and fingerprint.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    title
        The heading. Like every text that comes from a file or a feed, it is escaped.
    """
    beside = details(result)
    whole = beside.pop(WHOLE, "")
    parts = [
        _verdict(result, title),
        _section("Conversion velocity", _velocity(result)),
        _section(WHOLE, whole) if whole else "",
        _section("Evidence", _columns(_evidence(result))),
        _section("Every airing", table_html(result) + _csv(result)),
        *(_section(name, html) for name, html in beside.items()),
        _section("Findings in the data", findings_html(result.findings)),
        _section("Settings", _settings(result)),
    ]
    body = "".join(parts)
    style = f"{font_css()}:root{{{variables('light')}}}{STYLE}"
    document = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body><main>{body}{_colophon(result)}</main></body></html>"
    )
    return Report(html=document, title=title)


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


def _verdict(result: Analysis, title: str) -> str:
    verdict = result.verdict
    names = ", ".join(map(str, result.table["airing"][:4])) + (" …" if len(result.table) > 4 else "")
    rung = f'<span class="rung">rung {verdict.rung} of 5: {escape(RUNGS.get(verdict.rung, "none"))}</span>'
    return (
        f'<header><p class="label">{escape(title)}</p>'
        f'<h1><span class="mark" aria-hidden="true">{mark(verdict.word)}</span> {escape(verdict.word)}</h1>'
        f'<p class="sentence">{escape(str(verdict.sentence))}</p>'
        f'<p class="muted">{rung} · {escape(names)} · data to {result.as_of:%Y-%m-%d %H:%M:%S} UTC</p></header>'
    )


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


def _evidence(result: Analysis) -> list[str]:
    drawn = []
    if len(result.evidence):
        drawn.append(_svg(charts.evidence(result).properties(width=420)))
    if len(plotted.amount_frames(result)["amount"]):
        drawn.append(_svg(charts.amount(result).properties(title="the interval holds however often one looks")))
    if len(result.kernel):
        drawn.append(_svg(charts.response(result)))
    drawn.append(_svg(charts.airings(result).properties(width=320)))
    return [cases_html(result), *drawn]


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


def _csv(result: Analysis) -> str:
    data = base64.b64encode(result.table.to_csv(index=False).encode()).decode()
    return f'<p><a download="airings.csv" href="data:text/csv;base64,{data}">Save the whole table as CSV</a></p>'


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


def _settings(result: Analysis) -> str:
    settings = asdict(result.settings)
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{'not set' if value is None else escape(str(value))}</dd></div>"
        for name, value in settings.items()
    )
    raw = escape(json.dumps(settings, indent=1))
    return f"<dl>{cells}</dl><details><summary>As JSON</summary><pre>{raw}</pre></details>"


def _velocity(result: Analysis) -> str:
    if plotted.drawn(result).empty:
        return '<p class="muted">There is nothing to draw: no airing has a bin of data around it.</p>'
    return _svg(charts.velocity(result)) + _understanding(result)


def _understanding(result: Analysis) -> str:
    sentences = "".join(f"<li>{escape(s)}</li>" for s in explanation(result))
    return f"<details open><summary>Understanding this chart</summary><ul>{sentences}</ul></details>"


def _colophon(result: Analysis) -> str:
    return (
        f'<footer class="muted">fingerprint <b>{escape(result.fingerprint)}</b> (data, settings and version) · '
        f"attribution {escape(result.version)} · intervals at {1 - result.alpha:.0%}</footer>"
    )


def _section(title: str, content: str) -> str:
    return f'<section><h2><span class="square" aria-hidden="true"></span>{escape(title)}</h2>{content}</section>'


def _columns(parts: list[str]) -> str:
    return f'<div class="columns">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def _svg(chart: charts.Layers) -> str:
    """Draw a chart as inline SVG. vl-convert is a compiled renderer that loads slowly: only when something is drawn."""
    import vl_convert  # noqa: PLC0415

    drawing = vl_convert.vegalite_to_svg(chart.to_dict())
    return f'<div class="chart">{drawing}</div>'


STYLE = """
*{box-sizing:border-box}
body{margin:0;background:var(--background);color:var(--ink);font:15px/1.55 var(--prose)}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1{font:600 40px/1.15 var(--mono);margin:6px 0 10px;text-transform:uppercase;letter-spacing:.02em}
h2{font:600 12px/1.3 var(--mono);letter-spacing:.12em;text-transform:uppercase;margin:0 0 14px}
h3{font:600 13px/1.4 var(--mono);margin:20px 0 2px}h3+p{margin:2px 0 8px}h3:first-child{margin-top:0}
.square{display:inline-block;width:7px;height:7px;background:var(--effect);margin-right:9px;vertical-align:1px}
header{border-left:6px solid var(--effect);padding:2px 0 2px 20px;margin-bottom:24px}
.label,th{font:400 11px/1.4 var(--mono);letter-spacing:.06em;color:var(--muted)}
.label{text-transform:uppercase;margin:0}.notes{margin-top:14px}
.sentence{font-size:19px;line-height:1.45;margin:0 0 8px;max-width:46em;white-space:pre-line}
.muted,footer{color:var(--muted)}
.rung{color:var(--ink);font-family:var(--mono);font-size:13px}
section{border:1px solid var(--line);border-radius:4px;padding:18px 20px;margin:16px 0}
.chart svg{max-width:100%;height:auto;display:block}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:12px 32px}
.columns>div:first-child{grid-column:1/-1}
ul,ol{padding-left:20px;margin:6px 0}
li{margin:3px 0}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font:13px/1.4 var(--mono);font-variant-numeric:tabular-nums}
.long{max-height:640px;overflow-y:auto}.long thead th{position:sticky;top:0;background:var(--background)}
table.many tbody th{white-space:nowrap;color:var(--ink)}
table.few{width:auto;min-width:min(100%,36em)}
td,th{text-align:right;padding:7px 10px;border-bottom:1px solid var(--line);vertical-align:top}
thead th{vertical-align:bottom;color:var(--ink)}
td{white-space:nowrap}
th:first-child,.words td,.words th{text-align:left}
small{display:block;color:var(--muted);font-size:11px;white-space:nowrap}
.words td{white-space:normal;font-family:var(--prose);min-width:9em}
.words .level{font:600 11px/1.7 var(--mono);white-space:nowrap}
.error,.warning{color:var(--bad)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:10px 20px;margin:0 0 10px}
dt{font:400 11px/1.4 var(--mono);color:var(--muted)}
dd{margin:0;font:13px/1.4 var(--mono)}
summary{cursor:pointer;font:600 12px/2 var(--mono)}
pre{font:12px/1.5 var(--mono);overflow-x:auto}
a{color:var(--counterfactual)}
footer{font:12px/1.6 var(--mono);margin-top:24px}
@media(max-width:700px){.columns{grid-template-columns:1fr}h1{font-size:30px}main{padding:16px 12px}}
@media print{.long{max-height:none}section{break-inside:avoid}main{max-width:none;padding:0}}
"""
