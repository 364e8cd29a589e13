"""The data page: bring a file, see what was read and what harms the answer, analyse, save the report."""

from __future__ import annotations

import hashlib
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

import attribution as at
from attribution import charts, plotted
from attribution.details import WHOLE, details
from attribution.reports import report
from attribution.sheets import cases_html, explanation, reason, table_html
from attribution.workbench import brought, desk, panels, tune_controls
from attribution.workbench.shell import ROOT, mode, plain_markdown
from attribution.workbench.tune_view import FILES, TuneView

if TYPE_CHECKING:
    from pathlib import Path

    from streamlit.delta_generator import DeltaGenerator

    from attribution.files import Files
    from attribution.kinds import Kind

BRING = "My own files"
BESIDE = 2
"""So many airings leave room beside their table."""
BRINGING = """
<table class="words"><tr><th>File</th><th>Columns, by these or similar names</th></tr>
<tr><td>Conversions</td><td>time, count; optional region, channel, device. Or wide: one column a region. Or one row an
event. Or an export of GA4, Adobe, Snowplow, Segment, Shopify or AppsFlyer, as it is.</td></tr>
<tr><td>Airings</td><td>An as-run or spot log: start (or date and time, planned and actual); optional
airing, length, regions (<b>north|south</b>; empty = everywhere), creative, cost, zone. Regions without the ad are the
controls.</td></tr>
<tr><td>Social, audience</td><td>time, mentions or viewers; optional region.</td></tr>
<tr><td>Breaks</td><td>kind (break or organic), start, end, label; or SCTE-35: a transport stream, or a log of
messages.</td></tr>
<tr><td>Insertions</td><td>One row a viewer's ad: session, ad, time; optional region.</td></tr></table>
<p class="lead">CSV, TSV, JSON lines (also .gz, .zst), Parquet, Feather or Excel, all at once, in any order. Nothing
leaves this machine.</p>
"""


def show() -> None:
    """Show the whole page."""
    answer = st.container(key="answer")
    left, right = st.columns([1, 1.6], gap="small")
    with left:
        paths = _paths()
    words = brought.said(paths)
    told: dict[Path, Kind] = {}
    with left:
        needed = ""
        if paths:
            with st.container(key="panel-read"):
                st.html(f'<div class="ec">{panels.title("2 · What they are")}</div>')
                told, needed = brought.table_of(paths, words)
                brought.how(paths, told, words)
                if needed:
                    st.caption(needed)
    if not paths or needed:
        with right:
            st.html(f'<div class="ec panel">{panels.title("What to bring")}{BRINGING}</div>')
        _waiting(answer)
        return
    with right:
        files = _read(paths, told, words)
    with left:
        settings = _settings()
    if files is None or settings is None:
        _waiting(answer)
        return
    desk.keep_words(told, words)
    st.session_state["material"] = files  # the tune page takes it from here
    with right:
        _beside(files, settings)
    with left:
        wanted = st.button("Analyse", type="primary", width="stretch")
    asked = (paths, desk.key(words))
    if wanted or st.session_state.get("asked") == asked:
        st.session_state["asked"] = asked
        with answer:
            _answer(files, settings)
    else:
        _waiting(answer)


def _waiting(answer: DeltaGenerator) -> None:
    """Hold the verdict's place until there is one."""
    words = "Choose a sample or drop your own files, look at what was read, and press Analyse."
    with answer:
        st.html(panels.bar("no data", words, [], claims=False))


def _paths() -> tuple[Path, ...]:
    """Let the analyst choose a sample or drop files."""
    with st.container(key="panel-files"):
        st.html(f'<div class="ec">{panels.title("1 · Files")}</div>')
        samples = desk.samples(ROOT / "data")
        chosen = st.selectbox("Sample", [*samples, BRING], key="sample", bind="query-params")
        return brought.uploads() if chosen == BRING else desk.paths_of(samples[chosen])


@st.cache_resource(show_spinner="Reading", max_entries=20)
def _files(paths: tuple[Path, ...], key: str, _words: desk.Said) -> Files:
    return desk.read(paths, _words)


def _read(paths: tuple[Path, ...], told: dict[Path, Kind], words: desk.Said) -> Files | None:
    """Read the files and show what was found; None, with the reason and its mend, where that cannot be done."""
    with st.container(key="panel-found"):
        st.html(f'<div class="ec">{panels.title("What was read")}</div>')
        try:
            files = _files(paths, desk.key(words), words)
        except ValueError as error:
            brought.mend_error(error, paths, told, words)
            return None
        brought.show(files, paths, words)
        return files


def _beside(files: Files, settings: at.Settings) -> None:
    with st.container(key="panel-clocks"):
        st.html(f'<div class="ec">{panels.title("The two clocks")}</div>')
        brought.clocks(files)
    with st.container(key="panel-did"):
        st.html(f'<div class="ec">{panels.title("What was done, to do it again")}</div>')
        brought.did(files, settings)


def _settings() -> at.Settings | None:
    """Let the analyst make the choices that matter most; None, with the reason on the page, where they conflict."""
    with st.container(key="panel-settings"):
        st.html(f'<div class="ec">{panels.title("3 · Settings")}</div>')
        preset = st.selectbox("Response", ["learnt", "published", "brief"], key="preset", bind="query-params")
        delay = st.selectbox("Delivered by", ["none", "antenna", "cable", "stream"], key="delay", bind="query-params")
        value, margin = st.columns(2)
        worth = value.number_input("Value of a conversion", min_value=0.0, value=None, key="value")
        kept = margin.number_input("Margin, share of it", min_value=0.0, max_value=1.0, value=None, key="margin")
        try:
            return at.Settings.preset(preset).replace(stream_delay=delay, value=worth, margin=kept)
        except ValueError as error:
            st.error(str(error))
            return None


@st.cache_resource(show_spinner="Analysing", max_entries=20)
def _analysis(_material: Files, key: str, settings: at.Settings) -> at.Analysis:
    return at.analyze(_material.counts, _material.airings, settings, **_material.feeds)


@st.cache_data(show_spinner="Writing the report", max_entries=20)
def _report(_result: at.Analysis, key: str) -> str:
    return report(_result).html


def _answer(material: Files, settings: at.Settings) -> None:
    tables = (material.airings, *material.feeds.values())
    key = material.counts.fingerprint + hashlib.sha256("".join(t.to_csv() for t in tables).encode()).hexdigest()
    try:
        result = _analysis(material, key, settings)
    except ValueError as error:
        st.error(str(error))
        return
    st.html(panels.answer_bar(result.verdict, [f"data to <b>{result.as_of:%Y-%m-%d %H:%M:%S}</b> UTC"]))
    if len(plotted.drawn(result)):
        _velocity(result)
    left, right = st.columns(2, gap="small")
    with left, st.container(key="panel-case"):
        st.html(f'<div class="ec"><div>{panels.title("For and against")}</div>{cases_html(result)}</div>')
    beside = details(result)
    whole = beside.pop(WHOLE, "")
    with right:
        if whole:
            _panel("whole", WHOLE, whole)
        else:
            _evidence(result)
    # Few airings leave room at their side.
    places = (left, right) if len(result.table) <= BESIDE else (st.container(), st.container())
    with places[0], st.container(key="panel-table"):
        st.html(f'<div class="ec">{panels.title("Every airing")}{table_html(result)}</div>')
        with st.container(horizontal=True):
            name = result.fingerprint
            st.download_button(
                "Save the report", _report(result, name), f"report-{name}.html", "text/html", type="primary"
            )
            st.download_button("Save the table", result.table.to_csv(index=False), f"airings-{name}.csv", "text/csv")
            if st.button("Take it apart", key="apart"):
                _go(settings, "evidence")
            if st.button("More forms", key="forms"):
                _go(settings, "report")
    with places[1]:
        for number, (heading, html) in enumerate(beside.items()):
            _panel(f"beside-{number}", heading, html)


def _go(settings: at.Settings, page: str) -> None:
    """Go to another page with these files and settings."""
    st.session_state["tune-view"] = TuneView(data=FILES, settings=settings)
    tune_controls.put(settings)
    st.switch_page(f"pages/{page}.py")


def _panel(key: str, heading: str, html: str) -> None:
    with st.container(key=f"panel-{key}"):
        st.html(f'<div class="ec">{panels.title(heading)}{html}</div>')


def _evidence(result: at.Analysis) -> None:
    """Draw the path of the e-value and the amount over time; without a look, say why there is none."""
    with st.container(key="panel-evidence"):
        st.html(f'<div class="ec">{panels.title("Sequential evidence · mSPRT", f"1/α = {1 / result.alpha:g}")}</div>')
        if result.evidence.empty:
            why = reason(result, plotted.leading_airing(result), "e_value") or "no airing was watched"
            st.html(f'<div class="ec"><p class="lead muted">{escape(why)}.</p></div>')
            return
        thin = "; thin, the joint filter's, which only sets exposed regions against the control"
        held = f"incremental so far, with the {1 - result.alpha:.0%} interval that holds however often one looks"
        joint, amount = plotted.evidence_frames(result)["joint"], plotted.amount_frames(result)["amount"]
        drawn = [(charts.evidence, 190, f"e-value of the model{thin * bool(len(joint))}")]
        drawn += [(charts.amount, 150, held)] * bool(len(amount))
        for draw, height, words in drawn:
            st.html(f'<div class="ec"><p class="said">{escape(words)}</p></div>')
            chart = draw(result, mode=mode()).properties(width="container", height=height)
            st.vega_lite_chart(None, chart.to_dict(), theme=None)


def _velocity(result: at.Analysis) -> None:
    with st.container(key="panel-chart"):
        st.html(f'<div class="ec">{panels.title("Conversion velocity")}</div>')
        names = list(result.table["airing"])
        airing = (
            st.selectbox("Airing", names, index=names.index(plotted.leading_airing(result)), key="airing")
            if (plotted.scattered(result))
            else None
        )
        chart = charts.velocity(result, mode=mode(), airing=airing, key=False).properties(width="container")
        st.html(panels.chart_key(smoothed=result.total["width_s"].min() < plotted.SMOOTHED_S))
        st.vega_lite_chart(None, chart.to_dict(), theme=None)
        with st.popover("Understanding this chart"):
            st.markdown("\n".join(f"- {plain_markdown(s)}" for s in explanation(result)))
