"""An answer as Markdown: the page for the business and a short table, for a message or a wiki."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attribution.details import provenance
from attribution.figures import estimate, interval
from attribution.sheets import FIGURES, mark
from attribution.verdict import RUNGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.analysis import Analysis
    from attribution.briefing import Briefing

MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
SHOWN = ("incremental", "lift", "counterfactual", "e_value", "iroas", "roi")
"""Columns of the short table."""
MOST = 40
"""So many airings stand in it."""


def summary(result: Analysis, title: str, parts: Sequence[str], told: Briefing) -> str:
    """Write the summary.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    title
        The heading.
    parts
        Keys of :data:`attribution.sheets.PARTS`; what Markdown has no place for is left out.
    told
        The page for the business.
    """
    verdict = result.verdict
    rung = f" Rung {verdict.rung} of 5: {RUNGS[verdict.rung]}." if verdict.rung else ""
    lines = [f"# {plain(title)}", "", f"**{mark(verdict.word)} {verdict.word.upper()}**{rung}", ""]
    lines += [plain(verdict.sentence), ""]
    if "business" in parts:
        for heading, sentences in told.sections.items():
            lines += [f"## {heading}", "", *(f"- {plain(sentence)}" for sentence in sentences), ""]
    if "evidence" in parts:
        for heading, sentences in (
            ("For", verdict.evidence_for),
            ("Against", verdict.evidence_against),
            ("What would change it", verdict.would_change),
        ):
            lines += [f"## {heading}", "", *(f"- {plain(s)}" for s in sentences), ""] if sentences else []
    if "airings" in parts:
        lines += ["## Every airing", "", *_table(result), ""]
    if "findings" in parts and result.findings:
        found = [f"- {finding.level}: {plain(finding.what)}. {plain(finding.mend)}" for finding in result.findings]
        lines += ["## Findings in the data", "", *dict.fromkeys(found), ""]
    lines += ["## To have the same answer again", ""]
    lines += [f"- {name}: {plain(text)}" for name, text in provenance(result).items()]
    return "\n".join(lines) + "\n"


def _table(result: Analysis) -> list[str]:
    heads = ["Airing", "Verdict", *(FIGURES[name][0] for name in SHOWN)]
    rows = []
    for row in result.table.head(MOST).to_dict("records"):
        cells = [plain(str(row["airing"])), f"{mark(row['verdict'])} {row['verdict']}"]
        for name in SHOWN:
            _, kind, banded = FIGURES[name]
            span = interval(row, name, kind) if banded else ""
            cells.append(estimate(row, name, kind) + (f" ({span})" if span else ""))
        rows.append(f"| {' | '.join(cells)} |")
    left = len(result.table) - MOST
    more = ["", f"{left} further airings stand in the tables."] if left > 0 else []
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *rows, *more]


def plain(text: str) -> str:
    r"""Keep Markdown from reading a text as markup, or as a link; it stays on its line.

    Examples
    --------
    >>> print(plain("<b>a_b</b>"), plain("see http://x"))
    \<b\>a\_b\</b\> see http:\//x
    """
    return MARKUP.sub(r"\\\1", " ".join(text.split())).replace("://", ":\\//")
