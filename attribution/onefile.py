"""An answer as one HTML file: it opens offline, asks no other machine for anything, and prints.

The page's own few lines of script read figures off under the pointer; a policy in its head lets no other run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING

from attribution.details import WHOLE, details, provenance
from attribution.sheets import (
    PARTS,
    briefing_html,
    cases_html,
    findings_html,
    leading_html,
    mark,
    settings_html,
    understanding_html,
)
from attribution.tabled import csv_text
from attribution.theme import adaptive_variables, font_css, variables
from attribution.verdict import RUNGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attribution.analysis import Analysis
    from attribution.briefing import Briefing
    from attribution.pictures import Picture


MOST, MOST_CSV = 300, 200_000
"""So many airings are written out, and so many bytes of their table carried along: the file stays under 1.5 MB."""


def page(result: Analysis, title: str, parts: Sequence[str], told: Briefing, drawn: Iterable[Picture]) -> str:
    """Write the whole document.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    title
        The heading; escaped.
    parts
        Keys of :data:`attribution.sheets.PARTS`.
    told
        The page for the business.
    drawn
        The figures.
    """
    figures = {picture.name: picture for picture in drawn}
    shown = figures.pop("velocity", None) if "business" in parts else None  # one figure stands in one place
    business = _business(told, shown) if "business" in parts else ""
    annex = "".join(_annex(result, name, figures) for name in parts if name != "business")
    lead = f'<h2 class="annex">{"Diagnostic annex" if business else "Diagnostics"}</h2>' if annex else ""
    script = f"<script>{SCRIPT}</script>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{_style()}</style></head>'
        f"<body><main>{_head(result, title)}{business}{lead}{annex}{_colophon(result)}</main>{script}</body></html>"
    )


def _head(result: Analysis, title: str) -> str:
    verdict = result.verdict
    names = ", ".join(map(str, result.table["airing"][:4])) + (" …" if len(result.table) > 4 else "")
    rung = f'<span class="rung">rung {verdict.rung} of 5: {escape(RUNGS.get(verdict.rung, "none"))}</span>'
    ended = provenance(result)["Data to"]
    return (
        f'<header><p class="label">{escape(title)}</p>'
        f'<h1><span class="mark" aria-hidden="true">{mark(verdict.word)}</span> {escape(verdict.word)}</h1>'
        f'<p class="sentence">{escape(str(verdict.sentence))}</p>'
        f'<p class="muted">{rung} · {escape(names)} · data to {ended}</p></header>'
    )


def _business(told: Briefing, shown: Picture | None) -> str:
    """Write the page for the business, with the chart."""
    return f'<section class="business">{briefing_html(told)}{_figure(shown) if shown else ""}</section>'


def _annex(result: Analysis, name: str, figures: dict[str, Picture]) -> str:
    """Write one part of the annex, or the several sections of the details."""
    if name == "details":
        return "".join(_section(heading, html) for heading, html in details(result).items() if heading != WHOLE)
    if name == "airings":
        forest = _figure(figures["airings"]) if "airings" in figures else ""
        return _section(PARTS[name], forest + leading_html(result, MOST) + _csv(result))
    if name == "evidence":
        whole = details(result).get(WHOLE, "")
        first = _section(WHOLE, whole) if whole else ""
        return first + _section(PARTS[name], cases_html(result) + _columns(figures))
    made = {
        "velocity": lambda: _velocity(result, figures),
        "findings": lambda: findings_html(result.findings),
        "settings": lambda: settings_html(result),
    }
    return _section(PARTS[name], made[name]())


def _velocity(result: Analysis, figures: dict[str, Picture]) -> str:
    return (_figure(figures["velocity"]) if "velocity" in figures else "") + understanding_html(result)


def _columns(figures: dict[str, Picture]) -> str:
    made = [f"<div>{_figure(figure)}</div>" for figure in figures.values() if not figure.wide]
    return f'<div class="columns">{"".join(made)}</div>' if made else ""


def _figure(picture: Picture) -> str:
    """Write a figure; what can be read off it travels in an attribute, from which nothing becomes markup."""
    heads = json.dumps({"heads": picture.heads, "at": picture.readings}, separators=(",", ":"), ensure_ascii=False)
    read = f' tabindex="0" data-readings="{escape(heads)}"' if picture.readings else ""
    said = f"<figcaption>{escape(picture.said)}</figcaption>"
    hint = '<p class="reading" role="status"></p>' if picture.readings else ""
    label = f"{escape(picture.title)}: {escape(picture.said)}"
    return f'<figure class="chart" aria-label="{label}"{read}>{picture.svg("adaptive")}{hint}{said}</figure>'


def _csv(result: Analysis) -> str:
    text = csv_text(result.table).encode()
    if len(text) > MOST_CSV:
        return ""
    data = base64.b64encode(text).decode()
    return f'<p><a download="airings.csv" href="data:text/csv;base64,{data}">Save the whole table as CSV</a></p>'


def _colophon(result: Analysis) -> str:
    pairs = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in provenance(result).items())
    return f'<footer class="muted"><p class="label">To have the same answer again</p><dl>{pairs}</dl></footer>'


def _section(title: str, content: str) -> str:
    return f'<section><h2><span class="square" aria-hidden="true"></span>{escape(title)}</h2>{content}</section>'


def _style() -> str:
    adaptive = f"@supports (color:light-dark(red,red)){{:root{{{adaptive_variables()}}}}}"
    return f"{font_css()}:root{{{variables('light')}}}{adaptive}{STYLE}"


SCRIPT = """
for (const figure of document.querySelectorAll("figure[data-readings]")) {
  const {heads, at} = JSON.parse(figure.dataset.readings);
  const plot = figure.querySelector("svg g"), out = figure.querySelector(".reading");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const down = plot.querySelector("path.background").getBBox().height;
  for (const [name, value] of [["y1", 0], ["y2", down], ["stroke", "var(--ink)"], ["visibility", "hidden"]])
    line.setAttribute(name, value);
  plot.append(line);
  let now = -1;
  const show = (next) => {
    now = Math.min(at.length - 1, Math.max(0, next));
    const [x, texts] = at[now];
    for (const name of ["x1", "x2"]) line.setAttribute(name, x);
    line.setAttribute("visibility", "visible");
    out.textContent = texts.map((text, i) => `${heads[i]} ${text}`).join(" \\u00b7 ");
  };
  figure.addEventListener("pointermove", (event) => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse()).x;
    let next = at.findIndex(([place]) => place > x);
    if (next < 0) next = at.length - 1;
    else if (next > 0 && x - at[next - 1][0] < at[next][0] - x) next -= 1;
    show(next);
  });
  figure.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1, Home: -at.length, End: at.length}[event.key];
    if (!step) return;
    event.preventDefault();
    show(now < 0 ? 0 : now + step);
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
"""
"""Reading figures off: a line follows the pointer or the arrow keys, and its numbers stand below the chart."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
"""Nothing is loaded, and no script runs but the page's own."""
STYLE = """
*{box-sizing:border-box}
:root{color-scheme:light dark}
body{margin:0;background:var(--background);color:var(--ink);font:15px/1.55 var(--prose)}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1{font:600 40px/1.15 var(--mono);margin:6px 0 10px;text-transform:uppercase;letter-spacing:.02em}
h2{font:600 12px/1.3 var(--mono);letter-spacing:.12em;text-transform:uppercase;margin:0 0 14px}
h2.annex{font-size:13px;color:var(--muted);margin:40px 0 8px;padding-top:14px;border-top:1px solid var(--line)}
h3{font:600 13px/1.4 var(--mono);margin:20px 0 2px;overflow-wrap:anywhere}h3+p{margin:2px 0 8px}
h3:first-child{margin-top:0}
.square{display:inline-block;width:7px;height:7px;background:var(--effect);margin-right:9px;vertical-align:1px}
header{border-left:6px solid var(--effect);padding:2px 0 2px 20px;margin-bottom:24px}
.label,th{font:400 11px/1.4 var(--mono);letter-spacing:.06em;color:var(--muted)}
.label{text-transform:uppercase;margin:0}.notes{margin-top:14px}
.sentence{font-size:19px;line-height:1.45;margin:0 0 8px;max-width:46em;white-space:pre-line;overflow-wrap:anywhere}
.muted,footer{color:var(--muted)}
.rung{color:var(--ink);font-family:var(--mono);font-size:13px}
section{border:1px solid var(--line);border-radius:4px;padding:18px 20px;margin:16px 0;background:var(--panel)}
.brief{display:grid;grid-template-columns:1fr 1fr;gap:16px 36px;margin-bottom:14px}
.brief ul{margin-top:4px}
figure.chart{margin:0;outline-offset:4px}figure.chart:focus-visible{outline:2px solid var(--counterfactual)}
.chart svg{max-width:100%;height:auto;display:block;touch-action:pan-y}
figcaption,.said{font-size:13px;color:var(--muted);margin:2px 0 0}
.reading{font:12px/1.5 var(--mono);min-height:18px;margin:4px 0 0;font-variant-numeric:tabular-nums}
.columns{display:grid;grid-template-columns:1fr 1fr;gap:20px 32px;margin-top:14px}
ul,ol{padding-left:20px;margin:6px 0}
li{margin:3px 0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font:13px/1.4 var(--mono);font-variant-numeric:tabular-nums}
.long{max-height:640px;overflow-y:auto}.long thead th{position:sticky;top:0;background:var(--panel)}
table.many tbody th{white-space:nowrap;color:var(--ink)}
table.few{width:auto;min-width:min(100%,36em)}
td,th{text-align:right;padding:7px 10px;border-bottom:1px solid var(--line);vertical-align:top}
thead th{vertical-align:bottom;color:var(--ink)}
td{white-space:nowrap}
th:first-child,td:first-child,.words td,.words th{text-align:left}
small{display:block;color:var(--muted);font-size:11px;white-space:nowrap}
.words td{white-space:normal;font-family:var(--prose);min-width:9em}
.words .level{font:600 11px/1.7 var(--mono);white-space:nowrap}
.error,.warning{color:var(--bad)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:10px 20px;margin:0 0 10px}
dt{font:400 11px/1.4 var(--mono);color:var(--muted)}
dd{margin:0;font:13px/1.4 var(--mono);overflow-wrap:anywhere}
summary{cursor:pointer;font:600 12px/2 var(--mono)}
pre{font:12px/1.5 var(--mono);overflow-x:auto}
a{color:var(--counterfactual)}
footer{margin-top:24px}footer dl{margin-top:8px;grid-template-columns:repeat(auto-fill,minmax(280px,1fr))}
@media(max-width:700px){.columns,.brief{grid-template-columns:1fr}h1{font-size:30px}main{padding:16px 12px}
 section{padding:14px 12px}.sentence{font-size:17px}}
@page{size:A4;margin:14mm}
@media print{:root{color-scheme:light}body{font-size:12px}main{max-width:none;padding:0}section{border:0;padding:0}
 .sentence{font-size:15px}h1{font-size:28px}.reading,summary,a[download],pre{display:none}
 h2,h3,.label{break-after:avoid}tr,li,figure,.brief>div,dl>div{break-inside:avoid}thead{display:table-header-group}
 .long{max-height:none;overflow:visible}.scroll{overflow:visible}h2.annex{break-before:page;border:0}
 table{font-size:10px}small{font-size:9px}}
"""
