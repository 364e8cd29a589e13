"""The report page: choose the parts, look at them, save them in any form, present; open a saved answer again."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import saved
from attribution.reports import QUESTION, Report
from attribution.reports import report as reported
from attribution.sheets import PARTS
from attribution.workbench import bench, desk, panels, tune_controls
from attribution.workbench.evidence_style import SHEET
from attribution.workbench.tune_view import FILES, LIVE, TuneView

if TYPE_CHECKING:
    from attribution.analysis import Analysis

FORMS = {
    ".html": ("HTML", "text/html", "one file that opens offline, for any browser"),
    ".pdf": ("PDF", "application/pdf", "A4 pages made for print"),
    ".md": ("Markdown", "text/markdown", "a summary for a message or a wiki"),
    ".json": ("JSON", "application/json", "the answer with its data; this page opens it again"),
    ".zip": ("Everything", "application/zip", "tables as CSV with a data dictionary, figures, JSON, notebook"),
}
"""Ending -> name, kind of file, and what it is."""
KEPT, TOLD, PRESENT = "report-opened", "report-refused", "report-present"
"""Where a session keeps the saved answer it has opened, why one was not opened, and whether it presents."""
TALL = 1100
"""Pixels of the preview."""
STYLE = """<style>
.st-key-forms [data-testid=stDownloadButton] button{justify-content:flex-start}
.st-key-forms .ec p{margin:-.35rem 0 .35rem}
.st-key-preview iframe{border:0;width:100%}
.st-key-onward{align-items:center;gap:.2rem .9rem;flex-wrap:wrap}
</style>"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """The answer that is reported.

    Attributes
    ----------
    result
        The answer.
    key
        Tells it from every other.
    words
        What its data are.
    view
        The address of its data; None for a file, which an address cannot hold.
    """

    result: Analysis
    key: str
    words: str
    view: TuneView | None


def show() -> None:
    """Show the whole page."""
    st.html(SHEET + STYLE)
    with st.container(key="case"):
        shown = _opened()
        if shown is None:
            return
        present = st.session_state.setdefault(PRESENT, st.query_params.get("present") == "yes")
        if not present:  # else the document itself begins with the verdict
            facts = [f"data to <b>{_ended(shown.result)}</b>", escape(shown.words)]
            st.html(panels.answer_bar(shown.result.verdict, facts))
        _onward(shown, present=present)
        title, parts = _title(), _parts()
        if present:
            with st.container(key="preview"):
                _frame(_made(shown.key, title, ("business",), _result=shown.result))
        else:
            left, right = st.columns([1, 2.6], gap="small")
            with left:
                _choose()
                made = _made(shown.key, title, parts, _result=shown.result)
                _forms(made)
            with right, st.container(key="panel-preview"):
                st.html(f'<div class="ec">{panels.title("Preview", "the HTML, as it is saved")}</div>')
                _frame(made)
        _write(shown, title, parts)


def _opened() -> Shown | None:
    """Return the saved answer that was opened, or the one on the bench."""
    kept: tuple[str, str, Analysis] | None = st.session_state.get(KEPT)
    if kept is not None:
        name, key, result = kept
        with st.container(key="source", horizontal=True, gap="small"):
            st.html(
                f'<div class="ec under"><span class="cap">Opened</span> <b>{escape(name)}</b></div>', width="content"
            )
            st.button("Close it", key="report-close", on_click=lambda: st.session_state.pop(KEPT, None))
        return Shown(result=result, key=key, words=f"the saved answer {name}", view=None)
    case = bench.opened(single=False, own=("parts", "title", "present"))
    _reopen()
    if case is None:
        return None
    return Shown(result=case.result, key=case.key, words=case.data.words, view=case.view)


def _reopen() -> None:
    """Let a saved answer be opened; one that cannot be says why."""
    with st.expander("Open a saved answer", expanded=TOLD in st.session_state):
        st.file_uploader(
            "JSON or zip that a report saved", type=["json", "zip"], key="report-file", on_change=_open_file
        )  # fmt: skip
        if TOLD in st.session_state:
            st.html(f'<p class="ec wrong" role="alert">▲ {escape(st.session_state[TOLD])}</p>')


def _open_file() -> None:
    file = st.session_state.get("report-file")
    st.session_state.pop(TOLD, None)
    if file is None:
        return
    data = file.getvalue()
    try:
        result = saved.opened(data, file.name)
    except ValueError as error:
        st.session_state[TOLD] = str(error)
        return
    st.session_state[KEPT] = (file.name, f"file {hashlib.sha256(data).hexdigest()}", result)


def _ended(result: Analysis) -> str:
    known = result.as_of == result.as_of
    return f"{result.as_of:%Y-%m-%d %H:%M:%S} UTC" if known else "no data"


def _onward(shown: Shown, *, present: bool) -> None:
    """Lead to the pages that take the answer apart; they lead back by the bar above."""
    with st.container(key="onward", horizontal=True, gap="small"):
        st.html('<div class="ec under"><span class="cap">Take it apart</span></div>', width="content")
        for name in ("evidence", "airings", "compare", "plan"):
            if st.button(name.capitalize(), key=f"to-{name}", type="tertiary"):
                _lay_out(shown)
                st.switch_page(f"pages/{name}.py")
        st.button("Back to the report" if present else "Present", key="press-present", on_click=_turn)
        if shown.view is not None and shown.view.data == LIVE:
            st.page_link("app.py", label="The live story", query_params={"depth": "present"})


def _turn() -> None:
    st.session_state[PRESENT] = not st.session_state[PRESENT]


def _lay_out(shown: Shown) -> None:
    """Lay the data of a saved answer on the bench of the other pages, in the place of the data page's files."""
    if shown.view is not None:
        return
    result, given = shown.result, shown.result.given
    feeds: dict[str, Any] = {name: feed for name, feed in given.feeds.items() if feed is not None}
    st.session_state["material"] = desk.Laid(given.counts, result.airings, feeds)
    st.session_state["tune-view"] = TuneView(data=FILES, settings=result.settings)
    tune_controls.put(result.settings)


def _title() -> str:
    return str(st.session_state.get("report-title") or st.query_params.get("title") or QUESTION)


def _parts() -> tuple[str, ...]:
    """Return the parts: those chosen in this session, those of the address, or all."""
    asked = [name for name in st.query_params.get("parts", "").split("|") if name in PARTS]
    chosen = st.session_state.setdefault("report-parts", asked or list(PARTS))
    return tuple(name for name in PARTS if name in chosen)


def _choose() -> None:
    """Let the analyst choose what the report holds."""
    with st.container(key="panel-parts"):
        st.html(f'<div class="ec">{panels.title("Parts", "the verdict is always there")}</div>')
        st.session_state.setdefault("report-title", _title())
        st.text_input("Title", key="report-title", max_chars=120)
        st.pills(
            "What it holds", list(PARTS), selection_mode="multi", key="report-parts", format_func=PARTS.__getitem__
        )  # fmt: skip


@st.cache_resource(show_spinner="Writing the report", max_entries=12)
def _made(key: str, title: str, parts: tuple[str, ...], *, _result: Analysis) -> Report:
    return reported(_result, title=title, parts=parts)


def _forms(made: Report) -> None:
    """Offer every form; a file is made when it is asked for."""
    name = f"report-{made.result.fingerprint}"
    with st.container(key="panel-forms"), st.container(key="forms"):
        st.html(f'<div class="ec">{panels.title("Save")}</div>')
        for ending, (label, mime, what) in FORMS.items():
            st.download_button(
                label, lambda form=ending: made.made(form), f"{name}{ending}", mime, key=f"save{ending}",
                on_click="ignore", width="stretch", type="primary" if ending == ".html" else "secondary",
            )  # fmt: skip
            st.html(f'<div class="ec"><p class="said">{what}</p></div>')
        with st.popover("One figure", width="stretch"):
            for picture in made.pictures:
                with st.container(horizontal=True, gap="small"):
                    st.html(f'<div class="ec"><p class="said">{escape(picture.title)}</p></div>')
                    st.download_button(
                        "SVG", picture.file, f"{picture.name}.svg", "image/svg+xml", key=f"svg-{picture.name}",
                        on_click="ignore",
                    )  # fmt: skip
                    st.download_button(
                        "PNG", picture.png, f"{picture.name}.png", "image/png", key=f"png-{picture.name}",
                        on_click="ignore",
                    )  # fmt: skip


def _frame(made: Report) -> None:
    """Show the document in a frame of its own origin: what it holds cannot reach this page."""
    address = f"data:text/html;base64,{base64.b64encode(made.html.encode()).decode()}"
    st.iframe(address, height=TALL, alt=f"The report: {made.title}")


def _write(shown: Shown, title: str, parts: tuple[str, ...]) -> None:
    """Write parts and title into the address, where they differ from what is usual."""
    present = "yes" if st.session_state[PRESENT] else ""
    own = {"parts": "" if parts == tuple(PARTS) else "|".join(parts) or "none", "present": present}
    own["title"] = "" if title == QUESTION else title
    bench.write(shown.view or TuneView(), **own)
