"""An answer in a terminal: words and tables for people, JSON for machines."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attribution.analysis import Analysis
    from attribution.planning import Plan
    from attribution.replay import Look
    from attribution.tables import Finding

WHOLE = 3
"""At most so many airings are answered in full; of more, the table and the summary are shown."""
PIPE_WIDTH = 150
"""Columns of text where no terminal says how wide it is."""
SHOWN = ("incremental", "counterfactual", "lift", "e_value", "iroas")
"""Figures of the printed table: where one is unknown, the reason is printed too."""


def out(*, stderr: bool = False) -> Console:
    """Make a console for the stream as it is now; text from files is never read as markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=not stream.isatty())


def clean(value: object) -> str:
    r"""Drop what a terminal would obey rather than show: names come from files.

    Examples
    --------
    >>> clean("half\x1b[31mtime")
    'half�[31mtime'
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


def remark(text: str) -> None:
    """Say on standard error what is being done, so that standard output holds the answer alone."""
    out(stderr=True).print(Text(clean(text), style="dim"))


def show(result: Analysis) -> None:
    """Print an analysis for a person: the answer, the figures, what to know about the data."""
    from attribution.figures import estimate, figure

    console = out()
    full = result.verdicts if len(result.verdicts) <= WHOLE else ()
    if len(full) != 1:
        console.print(Text(clean(result.verdict.sentence), style="bold"))
    for verdict in full:
        head, *rest = str(verdict).splitlines()
        console.print(Text(clean(head), style="bold"))
        for line in rest:
            console.print(Text("  " + clean(line)))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("airing", "start (UTC)", "verdict"):
        table.add_column(name, no_wrap=name != "airing", overflow="fold")
    for name in ("incremental", "expected", "lift", "e-value", "iROAS"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.table.to_dict("records"):
        table.add_row(
            Text(clean(row["airing"])),
            f"{row['start']:%Y-%m-%d %H:%M:%S}",
            Text(row["verdict"], style="bold"),
            _with_interval(row, "incremental", "count"),
            estimate(row, "counterfactual", "plain"),
            _with_interval(row, "lift", "percent"),
            figure(row["e_value"], "evidence"),
            estimate(row, "iroas", "ratio"),
        )
    console.print(table)
    unknown = Counter((row.column, row.reason) for row in result.reasons.itertuples() if row.column in SHOWN)
    for (name, reason), _ in unknown.most_common():
        console.print(Text(clean(f"  {name} is unknown: {reason}"), style="dim"))
    show_findings([finding for finding in result.findings if finding.level != "note"])
    console.print(
        Text(
            f"as of {result.as_of:%Y-%m-%d %H:%M:%S} UTC · version {result.version} · {result.fingerprint}", style="dim"
        )
    )


def show_findings(findings: Iterable[Finding], *, empty: str = "") -> None:
    """Print findings, errors first: what, where, the harm, the mend."""
    console = out()
    order = {"error": 0, "warning": 1, "note": 2}
    ranked = sorted(findings, key=lambda finding: order[finding.level])
    if not ranked and empty:
        console.print(Text(empty))
    for finding in ranked:
        style = {"error": "bold red", "warning": "bold", "note": "dim"}[finding.level]
        console.print(Text(f"{finding.level}: {clean(finding.what)}", style=style))
        for name, text in (("where", finding.rows), ("harm", finding.harm), ("mend", finding.mend)):
            if text:
                console.print(Text(f"  {name}: {clean(text)}"))


def show_plan(plan: Plan) -> None:
    """Print a plan: what is measured, on which airings against which controls, when it ends, under which hash."""
    console = out()
    spared = {name: ", ".join(regions) or "none" for name, regions in plan.controls}
    rows = [
        ("outcome", plan.outcome),
        ("window", plan.window),
        *(
            (name, f"{start}, {length_s:g} s, {regions or 'all regions'}; controls: {spared[name]}")
            for name, start, length_s, regions, _assignment in plan.airings
        ),
        ("judged together", ", ".join(plan.family)),
        ("stopping", plan.stopping),
        *(("data", rule) for rule in plan.data_rules),
        *((name, str(value)) for name, value in plan.settings if name != "window" and value is not None),
        ("locked", (plan.locked_at or "not yet") + (", after the first airing had begun" if plan.late else "")),
        ("SHA-256", plan.sha256 or "none"),
    ]
    for name, text in rows:
        console.print(Text(clean(f"{name}: {text}")))


def _with_interval(row: Mapping[Any, Any], name: str, kind: str) -> str:
    """Write an estimate with its interval, where that is known."""
    from attribution.figures import estimate, interval

    return f"{estimate(row, name, kind)} {interval(row, name, kind)}".strip()


def as_json(result: Analysis) -> dict[str, Any]:
    """Lay out an analysis for machines; an unknown figure is null, and ``reasons`` says why.

    Returns
    -------
    dict
        version, verdict (the word), sentence, as_of, fingerprint, settings, plan (what the locked plan says), gap,
        money, bounds and together (rows of those tables), findings, and airings: the rows of the table, each with its
        sentence, evidence for and against, what would change it, and reasons (column -> why).
    """
    rows = []
    for row, verdict in zip(result.table.to_dict("records"), result.verdicts, strict=True):
        why = result.reasons[result.reasons["airing"] == row["airing"]]
        rows.append(
            {str(name): plain_value(value) for name, value in row.items()}
            | {
                "sentence": verdict.sentence,
                "evidence_for": list(verdict.evidence_for),
                "evidence_against": list(verdict.evidence_against),
                "would_change": list(verdict.would_change),
                "reasons": dict(zip(why["column"], why["reason"], strict=True)),
            }
        )
    return {
        "version": result.version,
        "verdict": result.verdict.word,
        "sentence": result.verdict.sentence,
        "as_of": plain_value(result.as_of),
        "fingerprint": result.fingerprint,
        "settings": asdict(result.settings),
        "plan": list(result.plan_notes),
        **{
            name: [{str(k): plain_value(v) for k, v in row.items()} for row in getattr(result, name).to_dict("records")]
            for name in ("gap", "money", "bounds", "together")
        },
        "findings": [finding._asdict() for finding in result.findings],
        "airings": rows,
    }


def plain_value(value: Any) -> Any:
    """Make a value fit for JSON: moments as ISO 8601 in UTC, NaN and infinity as null.

    Examples
    --------
    >>> import pandas as pd
    >>> plain_value(float("nan")), plain_value(pd.Timestamp("2026-02-08T20:41Z"))
    (None, '2026-02-08T20:41:00Z')
    """
    if value != value:  # noqa: PLR0124  NaN and NaT differ from themselves
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(data: Mapping[str, Any], path: Path) -> None:
    """Write one JSON document to a file, or to standard output for ``-``."""
    text = json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False)
    if path == Path("-"):
        sys.stdout.write(text + "\n")
    else:
        path.write_text(text + "\n", encoding="utf-8")


def show_look(look: Look) -> None:
    """Print one line on a moment: time, rate, the latest airing that began; verdicts that changed first."""
    from attribution.figures import figure

    console = out()
    for name, before, after in look.changes:
        console.print(Text(f"{look.now:%H:%M:%S}  {clean(name)}: {before} -> {after}", style="bold"))
    if look.waiting:
        console.print(Text(f"{look.now:%H:%M:%S}  waiting for the first event{_set_aside(look)}"))
        return
    text = f"{look.now:%H:%M:%S}  {look.rate:8.1f}/s"
    row = latest(look)
    if row is not None:
        estimate = _with_interval(row, "incremental", "count")
        text += f"  {clean(row['airing'])}: {row['verdict']}, {estimate}, e-value {figure(row['e_value'], 'evidence')}"
    console.print(Text(text + _stream(look)))


def _stream(look: Look) -> str:
    """Write how the stream does, where events arrive one by one."""
    seen = look.metrics
    if not seen.received:
        return _set_aside(look)
    known = f"{seen.dropped:,} missing" if not math.isnan(seen.accuracy) else "completeness unknown"
    return f"  | {seen.received:,} events, {known}, {seen.duplicate:,} repeated, {seen.late:,} late{_set_aside(look)}"


def _set_aside(look: Look) -> str:
    if not look.rejected:
        return ""
    told = ", ".join(f"{n:,} {reason}" for reason, n in sorted(look.rejected.items()))
    return f"; set aside: {clean(told)}"


def look_json(look: Look) -> dict[str, Any]:
    """Lay out a moment as one JSON line; the last one holds the whole ``answer``."""
    names = ("airing", "verdict", "incremental", "incremental_lower", "incremental_upper", "e_value")
    rows = [] if look.result is None else look.result.table.to_dict("records")
    line = {
        "time": plain_value(look.now),
        "waiting": look.waiting,
        "rate": plain_value(look.rate),
        "airings": [{name: plain_value(row[name]) for name in names} for row in rows if row["start"] <= look.now],
        "changes": [change._asdict() for change in look.changes],
        "stream": {name: plain_value(value) for name, value in asdict(look.metrics).items()},
        "rejected": dict(look.rejected),
        "ended": look.ended,
    }
    return line | ({"answer": as_json(look.result)} if look.ended and look.result is not None else {})


def latest(look: Look) -> dict[Any, Any] | None:
    """Return the table's row of the airing that began last, or None before the first."""
    if look.result is None:
        return None
    begun = look.result.table[look.result.table["start"] <= look.now]
    return None if begun.empty else begun.sort_values("start", kind="stable").iloc[-1].to_dict()
