"""The plan page: what one spot could show, which regions to hold out, what it may cost; then the lock."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from attribution import curves, power
from attribution.figures import estimate, figure, html_table
from attribution.moves import NAMES, shown
from attribution.planning import Plan, difference, draft, kept, lock, spared, verify
from attribution.sentences import duration, number
from attribution.settings import Settings
from attribution.workbench import bench, panels
from attribution.workbench.evidence_style import SHEET
from attribution.workbench.live_charts import chart
from attribution.workbench.roles import barred
from attribution.workbench.shell import mode
from attribution.workbench.tune_more import PLAN

if TYPE_CHECKING:
    from attribution.workbench.bench import Bench

SHOWN = "smallest lift shown, %"
HEADS = ("Hold out", "Smallest lift shown", "Conversions without the ad", "Moves with the others")


def show() -> None:
    """Show the whole page."""
    st.html(SHEET)
    with st.container(key="case"):
        case = bench.opened(own=("hold",))
        if case is None:
            return
        held = _held(case)
        one = _power(case, held)
        if not one.finished:
            st.html(panels.bar("planning", "What one spot could show is being worked out.", [], claims=False, sign="○"))
        with st.container(key="planbar"):
            bench.panel("within-planbar", one, _bar, doing="Asking the history what one spot shows")
        left, right = st.columns([1, 1.1], gap="small")
        with left:
            _regions(case, held, one)
            _money(case, one)
        with right:
            with st.container(key="panel-curves"):
                st.html(f'<div class="ec">{panels.title("How long, since when, how often", SHOWN)}</div>')
                bench.panel("within-curves", one, _curves, doing="Trying windows and histories")
            _lock(case, held)
        bench.write(case.view, hold="|".join(held))


def _held(case: Bench) -> tuple[str, ...]:
    """Return the regions that are held out: of the address, of the session, or as the schedule has them."""
    labels = case.data.tuner.counts.regions
    key = f"hold {case.data.tuner.counts.fingerprint}"
    if key not in st.session_state:
        asked = [name for name in st.query_params.get("hold", "").split("|") if name in labels]
        st.session_state[key] = asked or list(_scheduled(case))
    chosen = tuple(name for name in labels if name in st.session_state[key])
    return chosen if len(chosen) < len(labels) else chosen[1:]


def _scheduled(case: Bench) -> tuple[str, ...]:
    row = case.result.airings[case.result.airings["airing"].astype(str) == case.airing].iloc[0]
    seen = str(row["regions"])
    return tuple(r for r in case.data.tuner.counts.regions if seen and r not in seen.split("|"))


def _power(case: Bench, held: tuple[str, ...]) -> bench.Work:
    tuner, settings = case.data.tuner, case.settings
    row = case.result.airings[case.result.airings["airing"].astype(str) == case.airing].iloc[0]
    length = float(row["length_s"])
    return bench.work(
        "power", f"{case.key} {held} {length}",
        lambda tell: power.power_of(tuner, settings, held, length_s=length, progress=tell),
    )  # fmt: skip


def _bar(found: power.Power) -> None:
    lift = found.plan["lift"]
    word = figure(lift, "percent") if math.isfinite(lift) else "no data"
    facts = [f"from <b>{duration(found.history_s)}</b> of history before the first airing"]
    facts.append("asked of the model at quiet moments there, as if the spot had run")
    st.html(panels.bar(word, power.told(found), facts, claims=False, sign="◇"))


def _regions(case: Bench, held: tuple[str, ...], one: bench.Work) -> None:
    """Let the analyst choose the regions that are held out, beside what each choice would show."""
    with st.container(key="panel-holdouts"):
        st.html(f'<div class="ec">{panels.title("Which regions to hold out", "level, correlation, cost")}</div>')
        key = f"hold {case.data.tuner.counts.fingerprint}"
        st.multiselect("Held out in this plan", case.data.tuner.counts.regions, key=key)
        bench.panel("within-holdouts", one, lambda found: _holdouts(found, held), doing="Trying every holdout")


def _holdouts(found: power.Power, held: tuple[str, ...]) -> None:
    options = found.of("holdout").sort_values("lift", kind="stable")
    if options.empty:
        st.html('<div class="ec"><p class="said">No holdout could be tried on so little history.</p></div>')
        return
    st.html(f'<div class="ec">{holdouts_html(options, held)}</div>')


def holdouts_html(options: pd.DataFrame, held: tuple[str, ...]) -> str:
    """Write the holdouts, the one that shows the smallest lift first; the plan's own is marked."""
    rows = []
    for r in options.to_dict("records"):
        mine = set(held) == {name for name in str(r["holdouts"]).split("|") if name}
        name = f"<b>▸ {escape(r['label'])}</b><small>this plan</small>" if mine else escape(r["label"])
        moves = f"{r['correlation']:.2f}" if math.isfinite(r["correlation"]) else panels.DASH
        rows.append((name, estimate(r, "lift", "percent"), figure(r["share"], "share"), moves))
    said = (
        "Held-out regions show what would have happened anyway: the larger and the more alike, the smaller a lift is "
        "shown, and the more conversions get no ad. “Moves with the others” is the correlation of the log rates, a "
        "minute at a time, about a straight line."
    )
    return f'{html_table(HEADS, rows)}<p class="said">{said}</p>'


def _curves(found: power.Power) -> None:
    """Draw the smallest lift by window, by history and by the number of airings."""
    plan = found.plan
    if not math.isfinite(plan["lift"]):
        st.html(f'<div class="ec"><p class="said">{escape(str(plan["why"]))}.</p></div>')
        return
    now = 100 * float(plan["lift"])
    windows = found.of("window").sort_values("window_s")
    rows = pd.DataFrame({"x": windows["window_s"], "y": 100 * windows["lift"]})
    _small(
        "By the seconds that are counted",
        "seconds after the start",
        rows,
        [(float(plan["window_s"]), now, "this plan")],
    )
    histories = found.of("history").sort_values("history_s")
    rows = pd.DataFrame({"x": histories["history_s"] / 60, "y": 100 * histories["lift"]})
    _small("By the history before it", "minutes of history", rows, [])
    rows = power.several(float(plan["lift"]))
    _small("By the number of airings", "airings of the same lift", rows, [(1.0, now, "one spot")])
    words = (
        "The line: every break gets the ad. The upper edge of the band: a switchback, half the breaks by lot; what "
        "breaks do by themselves is then known."
    )
    st.html(f'<div class="ec"><p class="said">{words}</p></div>')


def _small(name: str, axis: str, rows: pd.DataFrame, now: list[tuple[float, float, str]]) -> None:
    st.html(f'<div class="ec"><p class="label">{name}</p></div>')
    if len(rows) < 2:
        st.html('<div class="ec"><p class="said">There is too little history to draw it.</p></div>')
        return
    chart(curves.plan_spec(mode(), axis, "lift, %"), curves.plan_frames(rows, now), key=f"plan-{axis}")


def _money(case: Bench, one: bench.Work) -> None:
    """Ask for the money of a conversion, and show what a spend asks for."""
    row = case.result.airings[case.result.airings["airing"].astype(str) == case.airing].iloc[0]
    with st.container(key="panel-money"):
        st.html(f'<div class="ec">{panels.title("What it may cost", "break-even against what is shown")}</div>')
        left, middle, right = st.columns(3)
        known = {name: _number(row, name, getattr(case.settings, name, None)) for name in ("value", "margin", "spend")}
        value = left.number_input("Value of a conversion", min_value=0.0, value=known["value"], key="plan-value")
        margin = middle.number_input(
            "Margin, of it", min_value=0.0, max_value=1.0, value=known["margin"], key="plan-margin"
        )
        spend = right.number_input(
            "Spend on the spot", min_value=0.0, value=known["spend"], key="plan-spend", format="%.0f"
        )
        bench.panel(
            "within-money", one, lambda found: _spending(found, value, margin, spend, case.settings.alpha),
            doing="Asking the history",
        )  # fmt: skip


def _number(row: pd.Series, name: str, fallback: float | None) -> float | None:
    value = float(row.get(name, math.nan))
    return value if math.isfinite(value) and value > 0 else fallback


def _spending(found: power.Power, value: float | None, margin: float | None, spend: float | None, alpha: float) -> None:
    if not value or not margin or not math.isfinite(found.plan["lift"]):
        words = "With the value of a conversion and its margin this says which spends could be seen to pay."
        st.html(f'<div class="ec"><p class="said">{words}</p></div>')
        return
    most = max(2 * power.spending(found.plan, value, margin).enough, 1.5 * (spend or 0.0))
    money = power.spending(found.plan, value, margin, alpha=alpha, most=most)
    table = money.table
    words = spending_words(found, money, value * margin, spend, alpha)
    st.html(f'<div class="ec"><p class="lead">{escape(words)}</p></div>')
    rows = pd.DataFrame({"x": table["spend"], "y": 100 * table["break_even"]})
    own = 100 * float(found.plan["lift"])
    points = [(money.enough, own, "shown from here on")]
    if spend:
        points.append((spend, 100 * spend / (value * margin) / float(found.plan["expected"]), "this spend"))
    _small("Lift that pays the spend", "spend", rows, points)


def spending_words(found: power.Power, money: power.Spending, kept_of: float, spend: float | None, alpha: float) -> str:
    """Say which spends can be seen to pay, and how well the return of this one would be known."""
    said = (
        f"A spot of {number(money.enough)} or more has to bring as much lift as is shown to pay for itself; a cheaper "
        "one may pay without being seen to."
    )
    if not spend:
        return said
    need = spend / kept_of / float(found.plan["expected"])
    width = 1.96 * float(found.plan["sd"]) * kept_of / spend
    seen = "it would be seen" if need >= found.plan["lift"] else "it could pay and not be seen"
    return (
        f"A spend of {number(spend)} pays at a lift of {figure(need, 'percent')}: {seen}. Its ROI would be known to "
        f"±{width:.0%} ({1 - alpha:.0%} interval). {said}"
    )


def _lock(case: Bench, held: tuple[str, ...]) -> None:
    """Lock the plan, bring one, and show what differs from it."""
    tuner = case.data.tuner
    airings = spared(tuner.airings, held, tuner.counts.regions)
    with st.container(key="panel-lock"):
        st.html(f'<div class="ec">{panels.title("Lock it", "hashed and dated, before the break")}</div>')
        names = tuner.names
        family = st.multiselect("Judged together", names, default=names, key=f"family {tuner.counts.fingerprint}")
        now = draft(case.settings, airings, tuner.counts, family=family)
        st.html(f'<div class="ec">{plan_html(now)}</div>')
        with st.container(horizontal=True, gap="small"):
            if why := barred():
                st.html(panels.lead(why))
            else:
                args = (case, airings, family)
                st.button("Lock this plan", key="plan-lock", type="primary", on_click=_locked, args=args)
            plan: Plan | None = st.session_state.get(PLAN)
            if plan is not None:
                st.download_button("Save the plan", plan.to_json(), "plan.json", "application/json", key="plan-save")
        _bring()
        plan = st.session_state.get(PLAN)
        if plan is not None:
            st.html(f'<div class="ec">{locked_html(plan, now)}</div>')


def _locked(case: Bench, airings: pd.DataFrame, family: list[str]) -> None:
    """Lock at the end of the data: late where an airing had begun by then, and said so."""
    tuner = case.data.tuner
    st.session_state[PLAN] = lock(case.settings, airings, tuner.counts, at=tuner.counts.end, family=family, late=True)


def _bring() -> None:
    brought: Any = st.file_uploader("A plan that was locked before", type="json", key="plan-file", max_upload_size=1)
    if brought is None or brought.file_id == st.session_state.get("plan-brought"):
        return
    st.session_state["plan-brought"] = brought.file_id
    try:
        st.session_state[PLAN] = Plan.from_json(brought.getvalue().decode("utf-8", "replace"))
    except ValueError as error:
        st.html(f'<p class="ec wrong" role="alert">▲ {escape(str(error))}</p>')


def plan_html(plan: Plan) -> str:
    """Write what would be locked."""
    changed = {n: v for n, v in plan.settings if v != getattr(Settings(), n)}
    held = dict(plan.controls)
    spared_in = ", ".join(sorted({region for regions in held.values() for region in regions})) or "none"
    rows = (
        ("Outcome", plan.outcome),
        ("Window", shown("window", plan.window)),
        ("Airings", f"{len(plan.airings)}" + f", {len(plan.family)} judged together" * (len(plan.family) > 1)),
        ("Held out", spared_in),
        (
            "Choices that differ from the defaults",
            "; ".join(f"{NAMES[n]}: {shown(n, v)}" for n, v in changed.items()) or "none",
        ),
        ("Stopping", plan.stopping),
        ("Data", "; ".join(plan.data_rules)),
    )
    return html_table(("What", "As planned"), [(escape(a), escape(str(b))) for a, b in rows], words=True)


def locked_html(plan: Plan, now: Plan) -> str:
    """Write the locked plan, whether it is what it was, and what differs from it now."""
    good, bad = kept(plan, now)
    lines = difference(plan, now)
    state = "● LOCKED" if verify(plan) and not plan.late else "▲ LOCKED LATE" if verify(plan) else "▲ ALTERED"
    colour = "good" if verify(plan) and not plan.late else "bad"
    said = "".join(f"<li>{escape(text)}</li>" for text in (*good, *bad))
    moved = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>nothing</li>"
    return (
        f'<p class="lead"><b class="{colour}">{state}</b> {escape(plan.locked_at)}</p>'
        f'<p class="said"><code>SHA-256 {escape(plan.sha256[:32])}…</code></p><ul>{said}</ul>'
        f'<p class="label">What differs from it now</p><ul>{moved}</ul>'
    )
