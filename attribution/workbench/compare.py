"""The compare page: others' rules beside ours, each with how often it is wrong here; every choice made every way."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from attribution import curves, rules, specs
from attribution.figures import between, estimate, figure, html_table
from attribution.lab import Lab, placebo_lab
from attribution.sentences import duration
from attribution.verdict import CLAIMS
from attribution.workbench import bench, panels, tune_panels
from attribution.workbench.evidence_style import SHEET
from attribution.workbench.live_charts import chart
from attribution.workbench.shell import mode

if TYPE_CHECKING:
    import pandas as pd

    from attribution.workbench.bench import Bench

HEADS = ("Rule", "Books for this airing", "Claims an effect", "Wrong here", "What it does")


def show() -> None:
    """Show the whole page."""
    st.html(SHEET)
    with st.container(key="case"):
        case = bench.opened()
        if case is None:
            return
        verdict = next(v for v in case.result.verdicts if v.airing == case.airing)
        facts = [f"data to <b>{case.result.as_of:%Y-%m-%d %H:%M:%S}</b> UTC", escape(case.data.words)]
        st.html(panels.answer_bar(verdict, facts))
        _rules(case)
        _curve(case)
        bench.write(case.view)


def _rules(case: Bench) -> None:
    """Show the rules; ours is tried by the placebo lab, as on the evidence page."""
    tuner, settings, airing = case.data.tuner, case.settings, case.airing
    lab = bench.work("lab", f"{case.key} {airing}", lambda tell: placebo_lab(tuner, settings, airing, progress=tell))
    table = _compared(f"{case.key} {airing}", case)
    with st.container(key="panel-rules"):
        right = "tried at moments of these data at which no ad ran"
        st.html(f'<div class="ec">{panels.title("Others’ rules, and how often each is wrong here", right)}</div>')
        run = None if lab.finished else bench.POLL_S
        st.fragment(_table, run_every=run)(case, table, lab, lab.finished)


@st.cache_data(show_spinner=False, max_entries=32)
def _compared(key: str, _case: Bench) -> pd.DataFrame:
    tuner = _case.data.tuner
    return rules.compare_rules(tuner.counts, tuner.airings, _case.settings, _case.airing)


def _table(case: Bench, table: pd.DataFrame, one: bench.Work, was: bool) -> None:
    if one.finished and not was:
        st.rerun()
    row = case.result.table[case.result.table["airing"] == case.airing].iloc[0]
    lab: Lab | None = one.result if one.finished and not one.trouble else None
    ours = (lab.false, lab.n) if lab is not None and lab.n else None
    html = rules_html(table, row, lab, waiting=not one.finished, far=(one.done, one.of))
    st.html(f'<div class="ec"><p class="lead">{escape(rules.told(table, ours))}</p>{html}</div>')


def rules_html(table: pd.DataFrame, row: pd.Series, lab: Lab | None, *, waiting: bool, far: tuple[int, int]) -> str:
    """Write ours and the rules, a row each.

    Parameters
    ----------
    table
        From :func:`attribution.rules.compare_rules`.
    row
        The airing's row of the analysis.
    lab
        What tried ours; None while it runs, or where it cannot.
    waiting, far
        Whether it runs, and how far it is.
    """
    tried = f"○ being tried, {far[0]} of {far[1]}" if waiting else "not tried"
    if lab is not None and lab.n:
        tried = _wrong(lab.false, lab.false_lower, lab.false_upper, lab.n)
    elif lab is not None:
        tried = escape(lab.sentence)
    span = between(row["incremental_lower"], row["incremental_upper"], "count")
    word = str(row["verdict"])
    amount = f"{estimate(row, 'incremental', 'count')}<small>{span}</small>"
    said = (
        "regions without the ad, the feed and the history in one model; what is tried is whether its interval leaves "
        "out zero"
    )
    body = [("<b>Ours</b>", amount, _claims(word in CLAIMS, word), tried, said)]
    for r in table.to_dict("records"):
        first = f"{escape(r['rule'])}<small>{duration(r['window_s'])} after the start</small>"
        if not math.isfinite(r["amount"]):
            body.append((first, panels.DASH, panels.DASH, escape(r["why"]), escape(r["words"])))
            continue
        known = (r["lower"], r["upper"]) if math.isfinite(r["lower"]) else None
        ends = between(r["lower"], r["upper"], "count") if math.isfinite(r["lower"]) else "no interval"
        wrong = (
            _wrong(r["false"], r["false_lower"], r["false_upper"], r["moments"]) if r["moments"] else escape(r["why"])
        )
        booked = f"{figure(r['amount'], 'count', known)}<small>{ends}</small>"
        body.append((first, booked, _claims(r["claims"], "yes" if r["claims"] else "no"), wrong, escape(r["words"])))
    foot = (
        "Amounts are not of one window: each rule has its own. The moments overlap, so a share is known less well than "
        "its interval says."
    )
    return f'<div class="rules">{html_table(HEADS, body, words=True)}</div><p class="said">{foot}</p>'


def _claims(claims: bool, word: str) -> str:
    return f"{'●' if claims else '○'} {escape(word)}"


def _wrong(share: float, low: float, high: float, n: int) -> str:
    """Write a share of false claims as a bar with its interval."""
    state = "bad" if low > 0.05 else "good" if share <= 0.05 else "muted"
    sign = {"bad": "▲", "good": "●", "muted": "△"}[state]
    return (
        f'<div class="wrongbar"><i><u class="{state}" style="width:{share:.1%}"></u></i></div>'
        f'<b class="{state}">{sign} {figure(share, "share")}</b> of {n}<small>{figure(low, "share")} to '
        f"{figure(high, 'share')}</small>"
    )


def _curve(case: Bench) -> None:
    """Show the specification curve."""
    tuner, settings, airing = case.data.tuner, case.settings, case.airing
    one = bench.work(
        "curve", f"{case.key} {airing}", lambda tell: specs.spec_curve(tuner, settings, airing, progress=tell)
    )
    with st.container(key="panel-curve"):
        st.html(
            f'<div class="ec">{panels.title("Every defensible choice", "from the fast fit; yellow is yours")}</div>'
        )
        bench.panel("within-curve", one, _drawn, doing="Answering under every specification")


def _drawn(table: pd.DataFrame) -> None:
    st.html(f'<div class="ec"><p class="lead">{escape(specs.summary(table))}</p></div>')
    if table["amount"].notna().sum() < 2:
        return
    left, right = st.columns([2.1, 1], gap="medium")
    with left:
        frames = curves.curve_frames(table)
        st.html(
            tune_panels.key(
                ("own", "yours"), ("apart", "leaves out zero"), ("with", "holds zero"), ("bad", "detector, no interval")
            )
        )
        chart(curves.curve_spec(mode()), {k: frames[k] for k in ("rows", "zero", "window")}, key="spec-curve")
        rest = {k: frames[k] for k in ("marks", "window")}
        chart(curves.choices_spec(mode(), len(set(frames["marks"]["label"]))), rest, key="spec-choices")
    with right:
        st.html(f'<div class="ec">{leaning_html(specs.leaning(table))}</div>')


def leaning_html(table: pd.DataFrame) -> str:
    """Write how the middle of the curve moves with each choice."""
    rows = [
        (
            escape(curves.spelt(r["choice"], r["value"])),
            figure(r["median"], "count"),
            f"{figure(r['apart'], 'share')}<small>of {r['specifications']}</small>",
        )
        for r in table.to_dict("records")
    ]
    return html_table(("Choice", "Median amount", "Leave out zero"), rows)
