"""The evidence page: one airing's answer taken apart, like a file in court."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import charts, dials, exhibits, plates, plotted
from attribution.lab import Lab, placebo_bins, placebo_lab
from attribution.leftout import hangs_on, leave_one_out
from attribution.model.windows import window_seconds
from attribution.moves import NAMES, tornado
from attribution.sheets import reason
from attribution.workbench import bench, panels, tune_panels
from attribution.workbench import evidence_panels as written
from attribution.workbench.evidence_style import SHEET
from attribution.workbench.live_charts import chart
from attribution.workbench.shell import mode

if TYPE_CHECKING:
    import pandas as pd

    from attribution.workbench.bench import Bench

PARTS_KEY = (("", "observed"), ("dash", "expected without the ad"), ("base", "baseline"), ("broken", "break"),
             ("organic", "organic"), ("area", "ad"))  # fmt: skip


def show() -> None:
    """Show the whole page."""
    st.html(SHEET)
    with st.container(key="case"):
        case = bench.opened(own=("placebo",))
        if case is None:
            return
        one = exhibits.alone(case.result, case.airing)
        verdict = one.verdicts[0]
        facts = [f"data to <b>{case.result.as_of:%Y-%m-%d %H:%M:%S}</b> UTC", escape(case.data.words)]
        st.html(panels.answer_bar(verdict, facts))
        with st.container(key="panel-court"):
            st.html(f'<div class="ec">{written.case_html(verdict)}</div>')
        window_s = _window(case)
        bins = exhibits.apart(one, case.airing)
        _parts(case, one, bins, window_s)
        left, right = st.columns(2, gap="small")
        with left:
            _known(case, one)
            _left_over(case, one, bins)
        with right:
            _feed(case, one, window_s)
            _controls(case, one)
        _lab(case)
        left, right = st.columns(2, gap="small")
        with left:
            _left_out(case)
        with right:
            _choices(case)
        bench.write(case.view, placebo=str(st.session_state.get("placebo-asked", "")))


def _window(case: Bench) -> float:
    """Return the seconds after the start in which the airing's conversions are summed."""
    found = exhibits.fitted(case.result, case.airing)
    if found is not None:
        return float(found[0].design.window[found[1]])
    row = case.result.airings[case.result.airings["airing"].astype(str) == case.airing]
    step = float(case.data.tuner.counts.width.min()) if len(case.data.tuner.counts.width) else 1.0
    return float(window_seconds(case.settings, row["length_s"].to_numpy(float), step)[0])


def _start(case: Bench) -> pd.Timestamp:
    table = case.result.table
    return table.loc[table["airing"] == case.airing, "start"].iloc[0]


def _titled(name: str, right: str = "") -> None:
    st.html(f'<div class="ec">{panels.title(name, right)}</div>')


def _said(html: str) -> None:
    st.html(f'<div class="ec">{html}</div>')


def _why(case: Bench, column: str) -> str:
    return reason(case.result, case.airing, column) or "this airing was not modelled"


def _parts(case: Bench, one: Any, bins: pd.DataFrame, window_s: float) -> None:
    """Draw every second apart, with what the window is made of beside it."""
    with st.container(key="panel-parts"):
        _titled("Every second, taken apart", "the model's parts add up to what it expects")
        if bins.empty:
            _said(f'<p class="lead muted">{escape(_why(case, "incremental"))}.</p>')
            return
        unit = plotted.rate_unit(bins["width_s"])
        left, right = st.columns([2.1, 1], gap="medium")
        told = exhibits.sums(bins, _start(case), window_s)
        with left:
            st.html(tune_panels.key(*PARTS_KEY))
            chart(
                plates.parts_spec(mode(), unit[0]),
                plates.parts_frames(bins, _start(case), window_s, unit[1]),
                key="parts",
            )
        with right:
            whole = (case.result.as_of - _start(case)).total_seconds() >= window_s
            _said(written.parts_html(told, window_s, known=whole))


def _known(case: Bench, one: Any) -> None:
    """Draw the e-value and the amount look by look, and say when the answer could have been known."""
    with st.container(key="panel-known"):
        _titled("When could we have known?", f"1/α = {1 / one.alpha:g}")
        if one.evidence.empty:
            _said(f'<p class="said">{escape(_why(case, "e_value"))}.</p>')
            return
        _said(written.milestones_html(exhibits.known_when(one, case.airing), exhibits.milestones(one, case.airing)))
        chart(charts.evidence_spec(mode()), plotted.evidence_frames(one), key="evidence-path")
        _said(f'<p class="said">Incremental so far, with the {1 - one.alpha:.0%} interval that holds at all looks.</p>')
        chart(charts.amount_spec(mode()), plotted.amount_frames(one), key="evidence-amount")


def _left_over(case: Bench, one: Any, bins: pd.DataFrame) -> None:
    """Draw what is left over by scale."""
    found = exhibits.fitted(one, case.airing)
    learnt = found[0].noise.dispersion if found else 1.0
    table = exhibits.dispersion(bins, learnt=learnt) if len(bins) else exhibits.dispersion(bins)
    with st.container(key="panel-left"):
        _titled("What is left over, by scale", "variance / mean")
        if len(table):
            st.html(tune_panels.key(("", "around the model"), ("dot", "around a straight line"), ("band", "expected")))
            chart(plates.dispersion_spec(mode()), plates.dispersion_frames(table), key="dispersion")
        _said(written.dispersion_html(table, learnt))


def _feed(case: Bench, one: Any, window_s: float) -> None:
    """Draw the feed, and what else may have moved the counts."""
    found = exhibits.feed_view(one, case.airing, window_s)
    why = (
        "The settings leave the social feed out."
        if not case.settings.social
        else "There is no social feed: an organic surge would not be seen coming."
    )
    with st.container(key="panel-surge"):
        _titled("The surge detector's view", "a detector, never a verdict")
        passed = next((m.lag_s for m in exhibits.milestones(one, case.airing) if "had passed" in m.what), float("nan"))
        if found is not None:
            st.html(tune_panels.key(("", "posts"), ("dash", "their usual level")))
            chart(plates.feed_spec(mode()), plates.feed_frames(found, _start(case), window_s), key="feed")
        html = written.feed_html(found, why, decided_s=passed)
        worlds = one.worlds[one.worlds["airing"] == case.airing]
        if len(worlds):
            last = one.evidence.tail(1)
            story = (str(last["explained"].iloc[0]), float(last["log_e"].iloc[0])) if len(last) else ("", 0.0)
            html += written.worlds_html(worlds, *story)
        _said(html)


def _controls(case: Bench, one: Any) -> None:
    """Draw how the controls stood to the exposed regions before the airing."""
    found = exhibits.controls_test(one, case.airing)
    with st.container(key="panel-controls"):
        _titled("Do the controls follow?", "before the airing")
        if found is None:
            why = "No region was spared: nothing shows what would have happened at this moment without the ad."
            _said(f'<p class="said">{why}</p>')
            return
        if len(found.path):
            st.html(tune_panels.key(("", "exposed / control, blocks of 30 s"), ("band", "explained, 95%")))
            chart(plates.followed_spec(mode()), plates.followed_frames(found, _start(case)), key="followed")
        _said(written.controls_html(found))


def _lab(case: Bench) -> None:
    """Show the airing among moments without it."""
    tuner, settings, airing = case.data.tuner, case.settings, case.airing
    one = bench.work("lab", f"{case.key} {airing}", lambda tell: placebo_lab(tuner, settings, airing, progress=tell))
    spared = bool(exhibits.controls_test(case.result, airing))
    with st.container(key="panel-lab"):
        _titled("Placebo lab", "the same analysis where no ad ran")
        bench.panel("within-lab", one, lambda lab: _placebos(case, lab, spared), doing="Judging moments without the ad")


def _placebos(case: Bench, lab: Lab, spared: bool) -> None:
    if not lab.n or lab.own is None:
        _said(written.lab_html(lab, spared))
        return
    left, right = st.columns([1, 1.15], gap="medium")
    with left:
        rows = plates.lab_rows(lab, case.airing)
        spec = plates.forest_spec(mode(), "incremental conversions, with interval", "+,.0f", plates.ROW * len(rows))
        chart(spec, plates.forest_frames(rows), key="lab")
    with right:
        _said(written.lab_html(lab, spared))
        if spared:
            _one_placebo(case, lab)


def _one_placebo(case: Bench, lab: Lab) -> None:
    """Let the analyst look into a moment, the worst first."""
    worst = plates.worst_first(lab)
    names = plates.moment_labels(worst["time"], lab.table["time"], _start(case))
    wanted = st.session_state.setdefault("placebo-asked", st.query_params.get("placebo", ""))
    chosen = st.selectbox(
        "Look into a moment, the worst first", names, index=names.index(wanted) if wanted in names else 0,
        key=f"placebo {case.key}", on_change=lambda: _look_into(f"placebo {case.key}"),
    )  # fmt: skip
    time = worst["time"].iloc[names.index(str(chosen))]
    bins = _bins_at(f"{case.key} {case.airing} {time}", case, time)
    if bins.empty:
        _said('<p class="said">This moment could not be drawn.</p>')
        return
    row = worst.iloc[names.index(str(chosen))]
    unit = plotted.rate_unit(bins["width_s"])
    made = bins.assign(
        baseline=bins["counterfactual"] - bins["organic"] - bins["break"], expected=bins["counterfactual"] + bins["ad"]
    )
    chart(
        plates.parts_spec(mode(), unit[0]), plates.parts_frames(made, time, _window(case), unit[1]), key="placebo-parts"
    )
    _said(
        f'<p class="said">At {escape(str(chosen))} UTC nothing of ours ran; the model reads {written.spanned(row)}.</p>'
    )


def _look_into(key: str) -> None:
    """Keep which moment is looked into: the address names it."""
    st.session_state["placebo-asked"] = st.session_state[key]


@st.cache_resource(show_spinner=False, max_entries=64)
def _bins_at(key: str, _case: Bench, _time: pd.Timestamp) -> pd.DataFrame:
    return placebo_bins(_case.data.tuner, _case.settings, _case.airing, _time)


def _left_out(case: Bench) -> None:
    """Show the answer without each region."""
    tuner, settings, airing = case.data.tuner, case.settings, case.airing
    one = bench.work(
        "left out", f"{case.key} {airing}", lambda tell: leave_one_out(tuner, settings, airing, progress=tell)
    )
    with st.container(key="panel-regions"):
        _titled("Without each region", "the fast fit, at the last look")
        bench.panel("within-regions", one, _without, doing="Answering without each region")


def _without(table: pd.DataFrame) -> None:
    rows = plates.left_out_rows(table)
    if len(rows) > 1:
        spec = plates.forest_spec(mode(), "lift, % of the counterfactual", "+,.0f", 22 * len(rows))
        chart(spec, plates.forest_frames(rows), key="left-out")
    _said(written.left_out_html(table, hangs_on(table)))


def _choices(case: Bench) -> None:
    """Show how far each choice moves the answer."""
    tuner, settings, airing = case.data.tuner, case.settings, case.airing
    one = bench.work(
        "choices", f"{case.key} {airing}",
        lambda tell: tornado(lambda other: tuner.amount(other, airing), settings, stale=lambda: False),
    )  # fmt: skip
    with st.container(key="panel-choices"):
        _titled("Does it lean on a choice?", "one at a time, from the fast fit")
        bench.panel("within-choices", one, _tornado, doing="Moving each choice")


def _tornado(table: pd.DataFrame) -> None:
    if table["base"].isna().all():
        _said('<p class="said">There is no answer here that a choice could move.</p>')
        return
    st.html(tune_panels.spoken(tune_panels.tornado_words(table, NAMES)))
    chart(dials.tornado_spec(mode()), dials.tornado_frames(table, NAMES), key="evidence-tornado")
    _said(f'<p class="said">{escape(tune_panels.tornado_words(table, NAMES))}</p>{tune_panels.refused(table, NAMES)}')
