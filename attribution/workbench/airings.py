"""The airings page: all of them side by side, what they share, what they cost, and which cannot be judged."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import plates, pooled
from attribution.details import WHOLE, details
from attribution.figures import figure, html_table
from attribution.money import cost_per_incremental
from attribution.sentences import number
from attribution.tables import count_of
from attribution.workbench import bench, panels, tune_bar, tune_panels
from attribution.workbench.evidence_style import SHEET
from attribution.workbench.live_charts import chart
from attribution.workbench.shell import mode

if TYPE_CHECKING:
    import pandas as pd

    from attribution.workbench.bench import Bench

ORDERS = {"As aired": ("start", True), "By effect": ("incremental", False), "By evidence": ("e_value", False)}
"""Ways to sort the forest: a column, and whether it rises."""
MOST = 40
"""So many airings are drawn."""
ROW, LONG = 22, 16
"""Pixels of a row of the forest; rows of the table beyond which it scrolls."""
EVENING = "evening"
"""The simulated world with many airings."""
TOGETHER = "Airings that cannot be told apart"


def show() -> None:
    """Show the whole page."""
    st.html(SHEET)
    with st.container(key="case"):
        case = bench.opened(single=False)
        if case is None:
            return
        rows = pooled.standings(case.result)
        facts = [f"data to <b>{case.result.as_of:%Y-%m-%d %H:%M:%S}</b> UTC", escape(case.data.words)]
        st.html(panels.answer_bar(case.result.verdict, facts))
        st.html(f'<div class="ec kpis five">{_kpis(pooled.tally(rows), case)}</div>')
        left, right = st.columns([1, 1], gap="small")
        with left, st.container(key="panel-forest"):
            _forest(rows, case)
        with right:
            _kinds(rows, case)
        with st.container(key="panel-table"):
            _table(rows)
        left, right = st.columns(2, gap="small")
        beside = details(case.result)
        with left, st.container(key="panel-together"):
            _overlaps(case, beside)
        with right, st.container(key="panel-unjudged"):
            _unjudged(rows)
        if WHOLE in beside:
            with st.container(key="panel-groups"):
                st.html(f'<div class="ec">{panels.title(WHOLE)}{beside[WHOLE]}</div>')
        bench.write(replace(case.view, airing=""))


def _kpis(told: pooled.Tally, case: Bench) -> str:
    """Write the figures above: how many, how sure together, what they cost."""
    cost = cost_per_incremental(told.spend, told.incremental, 1.0 if told.claimed else 0.0)
    alpha = case.settings.alpha
    cards = [
        (
            "Airings",
            f"{told.airings:,}",
            "claims an effect by itself"
            if told.claimed == told.airings == 1
            else f"{told.claimed:,} claim an effect alone",
        ),
        ("Survive together", f"{told.survive:,}", f"e-BH: of these at most {alpha:.0%} are expected to be false"),
        ("Cannot be judged", f"{told.unjudged:,}", "each with its reason below"),
        ("Incremental, all judged", figure(told.incremental, "count"), f"for a spend of {_money(told.spend)}"),
        ("Cost per incremental", figure(cost, "amount"), "spend of all / incremental of all judged"),
    ]
    return "".join(
        f'<div class="kpi"><div class="cap">{name}</div><div class="value">{value}</div>'
        f'<div class="note">{escape(note)}</div></div>'
        for name, value, note in cards
    )


def _money(value: float) -> str:
    return number(value) if math.isfinite(value) else "unknown"


def _forest(rows: pd.DataFrame, case: Bench) -> None:
    """Draw every airing with its interval."""
    st.html(f'<div class="ec">{panels.title("Every airing", "thick: survives when all are judged together")}</div>')
    order = st.segmented_control(
        "Order", list(ORDERS), default="As aired", required=True, key="order", label_visibility="collapsed"
    )
    column, rises = ORDERS[str(order)]
    drawn = plates.standing_rows(rows.sort_values(column, ascending=rises, kind="stable")).head(MOST)
    if drawn.empty:
        st.html('<div class="ec"><p class="said">No airing has an amount that could be drawn.</p></div>')
        return
    spec = plates.forest_spec(mode(), "incremental conversions, with interval", "+,.0f", ROW * len(drawn))
    chart(spec, plates.forest_frames(drawn), key="airings-forest")
    left = int(rows["incremental"].notna().sum()) - len(drawn)
    more = f" The first {len(drawn)} in this order; {left} more stand in the table." if left else ""
    level = f"{1 - case.settings.alpha:.0%}"
    st.html(f'<div class="ec"><p class="said">Intervals at {level}, each airing by itself.{more}</p></div>')


def _kinds(rows: pd.DataFrame, case: Bench) -> None:
    """Draw what the airings share, partially pooled."""
    found = {d: pooled.pool_by(rows, d, alpha=case.settings.alpha) for d in pooled.DIMENSIONS}
    with st.container(key="panel-kinds"):
        st.html(f'<div class="ec">{panels.title("What they share", "partially pooled")}</div>')
        known = {name: one for name, one in found.items() if one is not None}
        if not known:
            words = (
                "Nothing to pool: it takes two airings of different creatives, networks, positions or dayparts, "
                "whose windows are over."
            )
            st.html(f'<div class="ec"><p class="said">{words}</p></div>')
            if case.view.data == "world" and case.view.world != EVENING:
                st.button("Look at an evening of twelve airings", key="evening", on_click=_evening)
            return
        st.html(tune_panels.key(("dot", "by itself"), ("thick", "pooled"), ("dash", "common mean")))
        for name, one in known.items():
            st.html(f'<div class="ec"><p class="label">By {escape(name)}</p></div>')
            chart(plates.shrinkage_spec(mode(), len(one.table)), plates.shrinkage_frames(one), key=f"kinds-{name}")
            st.html(f'<div class="ec"><p class="said">{escape(pooled.told(one))}</p></div>')


def _evening() -> None:
    tune_bar.go(data="world", world=EVENING, until=None, airing="")


CONFIG = {
    "start": st.column_config.DatetimeColumn("Start, UTC", format="MMM DD, HH:mm:ss"),
    "incremental": st.column_config.NumberColumn("Incremental"),
    "lower": st.column_config.NumberColumn("From"),
    "upper": st.column_config.NumberColumn("To"),
    "lift": st.column_config.NumberColumn("Lift"),
    "e_value": st.column_config.NumberColumn("e-value"),
    "survives": st.column_config.CheckboxColumn("Survives"),
    "spend": st.column_config.NumberColumn("Spend"),
    "cost": st.column_config.NumberColumn("Cost per incremental"),
}
WRITTEN = {
    **dict.fromkeys(("incremental", "lower", "upper"), "count"),
    "lift": "percent",
    "e_value": "evidence",
    "spend": "plain",
    "cost": "amount",
}
"""Column of the table -> the kind of its figures."""
SHOWN = ("airing", "start", "creative", "network", "break position", "word", "rung", *list(CONFIG)[1:])


def _table(rows: pd.DataFrame) -> None:
    """Show the table, sortable; a row that is chosen can be taken apart."""
    st.html(
        f'<div class="ec">{panels.title("The table", "a click on a head sorts; choose a row to take it apart")}</div>'
    )
    shown: Any = rows[list(SHOWN)]
    heads = {name: name.capitalize() for name in SHOWN if name not in CONFIG}
    picked: Any = st.dataframe(
        shown.style.format({name: partial(figure, kind=kind) for name, kind in WRITTEN.items()}),
        hide_index=True, column_config=CONFIG | heads, on_select="rerun", selection_mode="single-row", key="table",
        height="content" if len(shown) <= LONG else 35 * LONG,
    )  # fmt: skip
    chosen = list(picked["selection"]["rows"])
    name = str(rows["airing"].iloc[chosen[0]]) if chosen else str(rows["airing"].iloc[0])
    with st.container(horizontal=True, gap="small"):
        if st.button(f"Take {name} apart", key="apart", type="primary"):
            tune_bar.go(airing=name)
            st.switch_page("pages/evidence.py")
        st.download_button("Save the table", rows.to_csv(index=False), "airings.csv", "text/csv", key="save-table")


def _overlaps(case: Bench, beside: dict[str, str]) -> None:
    """Show which airings were fitted together, and which of them cannot be told apart."""
    groups = [fit.design.airings for fit in case.result.given.fits if len(fit.design.airings) > 1]
    names = case.result.airings["airing"].astype(str).to_numpy()
    lines = [", ".join(names[list(group)]) for group in groups]
    body = "".join(f"<li>{escape(line)}</li>" for line in lines)
    said = (
        f'<p class="said">Their responses run into each other, so they were fitted together:</p><ul>{body}</ul>'
        if lines
        else '<p class="said">No two responses run into each other.</p>'
    )
    pairs = beside.get(TOGETHER, "")
    joint = (
        f'<p class="label">Joint credit</p>{pairs}'
        if pairs
        else '<p class="said">Each has a credit of its own: no two are so correlated that only their sum is known.</p>'
        if lines
        else ""
    )
    top = panels.title("Overlaps and joint credit", count_of(len(lines), "group"))
    st.html(f'<div class="ec">{top}{said}{joint}</div>')


def _unjudged(rows: pd.DataFrame) -> None:
    """Show which airings cannot be judged, and why; and those whose window is not over."""
    why = rows[rows["why"] != ""]
    early = rows[(rows["why"] == "") & ~rows["whole"]]
    cells = [(escape(str(r["airing"])), escape(str(r["word"])), escape(str(r["why"]))) for r in why.to_dict("records")]
    cells += [
        (escape(str(name)), "so far", "Its window was not over when the data ended: its lift is not pooled.")
        for name in early["airing"]
    ]
    body = html_table(("Airing", "Word", "Why"), cells, words=True) if cells else '<p class="said">Every one can.</p>'
    st.html(f'<div class="ec">{panels.title("Which cannot be judged, and why", str(len(cells)))}{body}</div>')
