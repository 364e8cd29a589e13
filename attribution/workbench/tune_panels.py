"""The panels of the tune page as HTML: pure functions of answers. All text from data is escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from attribution.figures import between, estimate, figure, html_table, interval
from attribution.moves import Grade, changed, forks
from attribution.verdict import CLAIMS, RUNGS
from attribution.workbench import panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from attribution.analysis import Analysis
    from attribution.finger import Finger

DASH = panels.DASH


def verdict_bar(said: Finger, result: Analysis | None, *, count: int, locked: bool, old: str, trouble: str) -> str:
    """Write the verdict: of the whole analysis once it is there, else the word of the last look, named so.

    Parameters
    ----------
    count
        How many settings were looked at.
    locked
        Whether there is a locked plan.
    old
        Why this is an answer to earlier settings; empty when it is not.
    trouble
        Why there is no whole analysis.
    """
    verdict = said.verdict
    facts = [f"<b>▲ OLD</b> {escape(old)}"] if old else []
    if verdict.rung:
        facts.append(f"<b>RUNG {verdict.rung}/5</b> {escape(RUNGS[verdict.rung])}")
    facts.append(checked(said, result, trouble))
    walked = forks(count, locked=locked)
    if walked:
        facts.append(f"<b>FORKING PATHS</b> {escape(walked)}")
    if verdict.would_change:
        facts.append(f"what would change it: {escape(verdict.would_change[0])}")
    return panels.bar(verdict.word, verdict.sentence, facts, claims=verdict.word in CLAIMS)


def checked(said: Finger, result: Analysis | None, trouble: str) -> str:
    """Say what the word stands on: every look, or the last one while the others are being taken."""
    if trouble:
        return f"<b>NOT CHECKED</b> {escape(trouble)}"
    if result is None:
        return "<b>○ CHECKING</b> this is the last look alone; the looks before it are being taken"
    looks = int((result.evidence["airing"] == said.airing).sum()) if len(result.evidence) else 0
    return f"<b>● CHECKED</b> at {looks} looks" if looks else "<b>● CHECKED</b> by the whole analysis"


def figures(said: Finger) -> str:
    """Write the figures of the answer: incremental, lift, e-value, chance, each with what it is."""
    row = said.row
    level = f"{100 * (1 - said.settings.alpha):g}%"
    cells = [
        (
            "Incremental",
            estimate(row, "incremental", "count"),
            _spanned(level, interval(row, "incremental", "count")),
            "effect",
        ),
        ("Lift", estimate(row, "lift", "percent"), _spanned(level, interval(row, "lift", "percent")), ""),
        ("E-value, last look", figure(row["e_value"], "evidence"), f"{1 / said.settings.alpha:g} twice is needed", ""),
        ("P(lift &gt; 0)", figure(row["probability_positive"], "probability"), "given the model", ""),
    ]
    body = "".join(
        f'<div><div class="cap">{name}</div><div class="value {colour}">{value}</div><small>{note}</small></div>'
        for name, value, note, colour in cells
    )
    return f'<div class="ec"><div class="facts2">{body}</div></div>'


def _spanned(level: str, span: str) -> str:
    return f"{level} {span}" if span else "no interval"


def changed_html(before: Finger | None, now: Finger) -> str:
    """Write what changed since the last setting."""
    said = () if before is None else changed(before, now)
    body = "".join(f"<p>{escape(line)}</p>" for line in said)
    body = (
        body or "<p>Move a control: what it does to the answer is said here, and a dotted line keeps what was said.</p>"
    )
    return f'<div class="ec changed" aria-live="polite">{panels.title("What changed")}{body}</div>'


def key(*entries: tuple[str, str]) -> str:
    """Write the key of a chart: (style of the mark, words)."""
    marks = "".join(f'<span><i class="{style}"></i>{escape(words)}</span>' for style, words in entries)
    return f'<div class="ec"><div class="tkey">{marks}</div></div>'


def spoken(words: str) -> str:
    """Write a chart's text alternative, for those who hear the page."""
    return f'<p class="sr">{escape(words)}</p>'


def amount_words(said: Finger) -> str:
    """Say what the chart of the incremental shows."""
    row = said.row
    return (
        f"Posterior of the incremental conversions of {said.airing}: median {estimate(row, 'incremental', 'count')}, "
        f"interval {interval(row, 'incremental', 'count')}, over a prior around zero."
    )


def kernel_words(said: Finger) -> str:
    """Say what the chart of the response shows."""
    row = said.row
    return (
        f"Response kernel: peak {estimate(row, 'response_peak', 'seconds')}, interval "
        f"{interval(row, 'response_peak', 'seconds')}, over the band of its prior."
    )


def tornado_words(table: pd.DataFrame, names: dict[str, str]) -> str:
    """Say what the tornado shows: the three choices that move the answer most."""
    parts = [
        f"{names[row['name']]} from {figure(row['least'], 'count')} to {figure(row['most'], 'count')}"
        for row in table.head(3).to_dict("records")
    ]
    return f"What moved the answer most, one choice at a time: {'; '.join(parts)}."


def refused(table: pd.DataFrame, names: dict[str, str]) -> str:
    """Say which choices could not be moved, and why."""
    rows = [f"{names[row['name']]}: {row['why']}" for row in table.to_dict("records") if row["why"]]
    return f'<p class="said">Not moved: {escape("; ".join(rows))}.</p>' if rows else ""


def truth_html(given: Grade, tally: Sequence[Grade]) -> str:
    """Write the truth beside the answer, and how the worlds dealt so far went."""
    state = '<b class="good">● covered</b>' if given.covered else '<b class="bad">▲ not covered</b>'
    of = "of the truth" if given.of_truth else "of the counterfactual: the truth is near zero"
    ends = (given.lower, given.upper)
    span = between(*ends, "count")
    true, guess = (figure(value, "count", ends) for value in (given.truth, given.estimate))
    told = f"true incremental <b>{true}</b>, said <b>{guess}</b>"
    lines = [
        f"{told} ({span}) {state}",
        f"error <b>{figure(given.error, 'percent')}</b> {of}",
    ]
    if len(tally) > 1:
        covered = sum(one.covered for one in tally)
        errors = [abs(one.error) for one in tally if math.isfinite(one.error)]
        mean = f", mean error {sum(errors) / len(errors):.0%}" if errors else ""
        lines.append(f"{len(tally)} worlds graded: {covered} covered{mean}")
    return f'<div class="ec truth">{"<br>".join(lines)}</div>'


def compared_html(rows: Sequence[tuple[str, str, Finger]], *, whole: bool = True) -> str:
    """Write answers side by side: (name, link, answer); lift and peak only where there is room for the whole."""
    heads = ("Settings", "Word", "Incremental", "E-value", "Lift", "Response peak")[: None if whole else 4]
    body = []
    for name, link, said in rows:
        cells = [
            f'<a href="{escape(link)}" target="_self">{escape(name)}</a>' if link else escape(name),
            escape(said.verdict.word),
            _with(said.row, "incremental", "count"),
            figure(said.row["e_value"], "evidence"),
            _with(said.row, "lift", "percent"),
            _with(said.row, "response_peak", "seconds"),
        ]
        body.append(cells[: len(heads)])
    foot = '<p class="said">From the fast fit; words and e-values are those of the last look.</p>'
    return f'<div class="ec">{html_table(heads, body)}{foot}</div>'


def _with(row: dict[str, Any], name: str, kind: str) -> str:
    span, said = interval(row, name, kind), estimate(row, name, kind)
    return f"{said}<small>{span}</small>" if span else said


def shares_html(table: pd.DataFrame) -> str:
    """Write the shares of the incremental by channel and device; empty where there are none."""
    if table.empty:
        return (
            '<div class="ec"><p class="said">These counts have one channel and one device: nothing to share.</p></div>'
        )
    body = [
        [
            f"{escape(str(r['category']))}<small>{escape(str(r['dimension']))}</small>",
            (
                f"{figure(r['share'], 'share')}<small>{figure(r['lower'], 'share')} to "
                f"{figure(r['upper'], 'share')}</small>"
            ),
            f"{figure(r['raw'], 'share')}<small>of all</small>",
        ]
        for r in table.to_dict("records")
    ]
    return f'<div class="ec">{html_table(("Category", "Of the incremental", "Of the window"), body)}</div>'
