"""The data page: bring a file, see what was read and what harms the answer, analyse, save the report."""

from __future__ import annotations

import hashlib
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

import attribution as at
from attribution import charts, plotted
from attribution.details import WHOLE, details
from attribution.reports import report
from attribution.sheets import cases_html, explanation, findings_html, reason, table_html
from attribution.workbench import desk, panels, tune_controls
from attribution.workbench.shell import ROOT, mode, plain_markdown
from attribution.workbench.tune_view import FILES, TuneView

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

BRING = "My own files"
FOUND = "as found"
BESIDE = 2
"""So many airings leave room beside their table."""
BRINGING = """
<table class="words"><tr><th>File</th><th>Columns, by these or similar names</th></tr>
<tr><td>Conversions, counted</td><td>time, count; optional region, channel, device. Or wide: time and one column a
region.</td></tr>
<tr><td>Conversions, as events</td><td>time; optional region, channel, device, kind. One row an event.</td></tr>
<tr><td>Airings</td><td>start; optional airing, length_s, regions (<b>north|south</b>; empty = everywhere), spend,
impressions, value, margin, assignment. Regions that saw none of the ad are the controls.</td></tr>
<tr><td>Social, audience</td><td>time, count of mentions or viewers; optional region.</td></tr>
<tr><td>Declared moments</td><td>kind (break or organic), start, end, label.</td></tr></table>
<p class="lead">CSV, TSV, JSON lines (also .gz, .zst), Parquet, Feather or Excel. Nothing leaves this machine.</p>
"""


def show() -> None:
    """Show the whole page."""
    answer = st.container(key="answer")
    left, right = st.columns([1, 1.6], gap="small")
    with left:
        files = _files()
    if files is None:
        with right:
            st.html(f'<div class="ec panel">{panels.title("What to bring")}{BRINGING}</div>')
        _waiting(answer)
        return
    with left:
        choices = _choices(files)
    with right:
        material = _read(files, choices)
    with left:
        settings = _settings()
    if material is None or settings is None:
        _waiting(answer)
        return
    st.session_state["material"] = material  # the tune page takes it from here
    with left:
        wanted = st.button("Analyse", type="primary", width="stretch")
    if wanted or st.session_state.get("asked") == (files, choices):
        st.session_state["asked"] = (files, choices)
        with answer:
            _answer(material, settings)
    else:
        _waiting(answer)


def _waiting(answer: DeltaGenerator) -> None:
    """Hold the verdict's place until there is one."""
    words = "Choose a sample or bring your own files, look at what was read, and press Analyse."
    with answer:
        st.html(panels.bar("no data", words, [], claims=False))


def _files() -> tuple[tuple[str, Path], ...] | None:
    """Let the analyst choose a sample or bring files; None until there are enough."""
    with st.container(key="panel-files"):
        st.html(f'<div class="ec">{panels.title("1 · Files")}</div>')
        samples = desk.samples(ROOT / "data")
        options = [*samples, BRING]
        chosen = st.selectbox("Sample", options, key="sample", bind="query-params")
        if chosen != BRING:
            known = ("counts", "events", "airings", *desk.FEEDS)
            files = tuple((role, samples[chosen][role]) for role in known if role in samples[chosen])
            st.caption("Reads " + ", ".join(path.name for _, path in files))
            return files
        return _uploads()


def _uploads() -> tuple[tuple[str, Path], ...] | None:
    brought = {
        "counts": st.file_uploader("Conversions: counts per bin, or one event a row", type=desk.SUFFIXES),
        "airings": st.file_uploader("Airings: airing, start, length_s, regions, spend, …", type=desk.SUFFIXES),
    }
    with st.expander("Social, audience, declared breaks"):
        for name in desk.FEEDS:
            brought[name] = st.file_uploader(name.capitalize(), type=desk.SUFFIXES)
    if "shelf" not in st.session_state:
        st.session_state["shelf"] = tempfile.TemporaryDirectory(prefix="event-command-")
    shelf = Path(st.session_state["shelf"].name)
    files = tuple(
        (role, desk.shelve(shelf, f"{role}-{file.file_id}", file.name, file.getvalue()))
        for role, file in brought.items()
        if file is not None
    )
    missing = [role for role in ("counts", "airings") if brought[role] is None]
    if missing:
        st.caption(
            f"Still needed: {' and '.join('the conversions' if m == 'counts' else 'the airings' for m in missing)}."
        )
        return None
    return files


def _choices(files: tuple[tuple[str, Path], ...]) -> desk.Choices:
    paths = dict(files)
    path = paths.get("counts") or paths["events"]
    with st.container(key="panel-read"):
        st.html(f'<div class="ec">{panels.title("2 · How to read them")}</div>')
        form = st.segmented_control("The conversions are", desk.FORMS, default=desk.FORMS[0], required=True, key="form")
        tz = st.text_input("Time zone of times that carry none", placeholder="America/New_York", key="tz")
        cumulative = st.toggle("The counts only grow (cumulative)", key="cumulative", disabled=form == desk.FORMS[2])
        with st.expander("Columns"):
            names = _names(path)
            picks = {role: st.selectbox(role, [FOUND, *names], key=f"column-{role}-{path}") for role in desk.ROLES}
    columns = tuple((role, str(pick)) for role, pick in picks.items() if pick != FOUND)
    return desk.Choices(form=str(form), tz=tz.strip(), cumulative=cumulative, columns=columns)


@st.cache_data(show_spinner=False, max_entries=50)
def _names(path: Path) -> tuple[str, ...]:
    try:
        return desk.columns_of(path)
    except ValueError:
        return ()  # the reader itself says what is wrong with the file


@st.cache_resource(show_spinner="Reading", max_entries=20)
def _material(files: tuple[tuple[str, Path], ...], choices: desk.Choices) -> desk.Material:
    paths = dict(files)
    counts = desk.read_outcome(paths.get("counts") or paths["events"], choices)
    feeds = {name: path for name, path in paths.items() if name in desk.FEEDS}
    return desk.gather(counts, paths["airings"], feeds, choices.tz)


def _read(files: tuple[tuple[str, Path], ...], choices: desk.Choices) -> desk.Material | None:
    """Read the files and show what was found; None, with the reason on the page, where that cannot be done."""
    with st.container(key="panel-found"):
        st.html(f'<div class="ec">{panels.title("What was read")}</div>')
        try:
            material = _material(files, choices)
        except ValueError as error:
            st.error(str(error))
            return None
        counts = material.counts
        mapped = [("conversions", dict(counts.mapping)), ("airings", material.airings.attrs.get("mapping", {}))]
        mapped += [(name, table.attrs.get("mapping", {})) for name, table in material.feeds.items()]
        pairs = "".join(
            f"<tr><td>{name}</td><td>{escape(', '.join(f'{r} = {c}' for r, c in mapping.items()))}</td></tr>"
            for name, mapping in mapped
        )
        first, width = counts.start[0].astype("datetime64[s]"), counts.width.min()
        sizes = ((counts.regions, "region"), (counts.channels, "channel"), (counts.devices, "device"))
        parts = ", ".join(f"{len(labels)} {name}{'s' * (len(labels) != 1)}" for labels, name in sizes)
        shape = (
            f"{len(counts.start):,} bins of {width:g} s, {parts}; {first} to {counts.end:%Y-%m-%dT%H:%M:%S} UTC; "
            f"{len(material.airings)} airing{'s' * (len(material.airings) != 1)}."
        )
        st.html(
            f'<div class="ec"><p class="lead">{escape(shape)}</p>'
            f'<div class="cap">Findings</div>{findings_html(tuple(material.findings))}'
            '<div class="cap later">Columns, as they were read</div>'
            f'<table class="words mapping">{pairs}</table></div>'
        )
        return material


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
def _analysis(_material: desk.Material, key: str, settings: at.Settings) -> at.Analysis:
    return at.analyze(_material.counts, _material.airings, settings, **_material.feeds)


@st.cache_data(show_spinner="Writing the report", max_entries=20)
def _report(_result: at.Analysis, key: str) -> str:
    return report(_result).html


def _answer(material: desk.Material, settings: at.Settings) -> None:
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
