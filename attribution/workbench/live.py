"""The live page: verdict, event, figures and the velocity chart at 1 Hz; evidence and regions every 5 seconds."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import charts, plotted
from attribution.reports import explanation
from attribution.workbench import panels
from attribution.workbench.event import View, view
from attribution.workbench.shell import mode, plain_markdown
from attribution.workbench.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from attribution.workbench.look import Look

FAST, SLOW = 1.0, 5.0
"""Seconds between refreshes of what moves, and of what is read."""
EMBEDDED = 600
"""Vega keeps some memory at each of its updates: after so many the chart is embedded anew."""


@st.cache_resource(max_entries=4, show_spinner="Opening the feed", on_release=Watch.close)
def watch(wanted: View) -> Watch:
    """Return the one watch of a view, which all sessions share."""
    return Watch(wanted)


def opened() -> Watch:
    """Return the watch of the event that the address names; a wrong address is told, and ends the run."""
    try:
        wanted = view(st.query_params.to_dict())
    except ValueError as error:
        st.error(str(error))
        st.stop()
    feed = watch(wanted)
    if feed.forgotten:
        watch.clear(wanted)
        feed = watch(wanted)
    return feed


def show() -> None:
    """Show the whole page."""
    feed = opened()
    _top(feed)
    with st.container(key="main"):
        left, right = st.columns([3, 1], gap="small")
        with left, st.container(key="hero"):
            _hero(feed)
        with right, st.container(key="log"):
            _log(feed)
        left, right = st.columns(2, gap="small")
        with left, st.container(key="evidence"):
            _evidence(feed)
        with right, st.container(key="regions"):
            _regions(feed)
    with st.container(key="proof"):
        _truth(feed)


@st.fragment(run_every=FAST)
def _top(feed: Watch) -> None:
    now = feed.look()
    st.html(panels.verdict_bar(now))
    st.html(panels.event_header(now))
    if now.state == "ENDED" and st.button("Run again with a new seed", type="primary"):
        st.query_params["seed"] = str(feed.view.seed + 1)
        st.rerun()
    st.html(panels.kpis(now))


@st.fragment(run_every=FAST)
def _hero(feed: Watch) -> None:
    now = feed.look()
    with st.container(key="herohead", horizontal=True, horizontal_alignment="distribute"):
        st.html('<div class="ec"><h2>Conversion velocity</h2></div>', width="content")
        with st.popover("Understanding this chart"):
            st.markdown(_understanding(now))
    st.html(panels.hero_figures(now) + panels.chart_key())
    frames = plotted.velocity_frames(plotted.drawn(now.result), now.airings, observed=now.observed, span=now.span)
    chart(charts.velocity_spec(mode()), frames, key="velocity")


def _understanding(now: Look) -> str:
    if now.result is None:
        return now.why("incremental")
    return "\n".join(f"- {plain_markdown(sentence)}" for sentence in explanation(now.result))


def chart(spec: dict[str, Any], frames: dict[str, pd.DataFrame], *, key: str) -> None:
    """Draw a constant specification with fresh data: no compiling, no flicker."""
    count = st.session_state.get(f"drawn-{key}", 0) + 1
    st.session_state[f"drawn-{key}"] = count
    data = {name: plotted.records(frame) for name, frame in {**frames, "key": plotted.KEY}.items()}
    st.vega_lite_chart(None, {**spec, "datasets": data}, theme=None, key=f"{key}-{mode()}-{count // EMBEDDED}")


@st.fragment(run_every=FAST)
def _log(feed: Watch) -> None:
    st.html(panels.log(feed.look()))


@st.fragment(run_every=SLOW)
def _evidence(feed: Watch) -> None:
    now = feed.look()
    st.html(f'<div class="ec">{panels.title("Sequential evidence · mSPRT", f"1/α = {1 / now.settings.alpha:g}")}</div>')
    if now.result is None or now.row is None:
        words = f"The path of the e-value begins with the airing: {now.why('e_value')}."
        st.html(f'<div class="ec"><p class="lead muted">{escape(words)}</p></div>')
        return
    chart(charts.evidence_spec(mode()), plotted.evidence_frames(now.result), key="path")


@st.fragment(run_every=SLOW)
def _regions(feed: Watch) -> None:
    st.html(panels.regions(feed.look()))


@st.fragment(run_every=SLOW)
def _truth(feed: Watch) -> None:
    st.html(panels.truth(feed.look()))
