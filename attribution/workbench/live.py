"""The live page: verdict, figures and the velocity chart at 1 Hz, the rest every 5 seconds; in three depths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution import charts, plotted
from attribution.reports import explanation
from attribution.workbench import actions, analyse, because, bell, cards, integrity, matrix, panels, seat, transport
from attribution.workbench.event import View, view
from attribution.workbench.keys import listener
from attribution.workbench.live_style import sheet
from attribution.workbench.shell import mode, plain_markdown
from attribution.workbench.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from attribution.workbench.look import Look

FAST, SLOW = 1.0, 5.0
"""Seconds between refreshes of what moves, and of what is read."""
EMBEDDED = 600
"""Vega keeps some memory at each of its updates: after so many the chart is embedded anew."""


WATCHED = "live-watched"
"""Holds, for a session, the view that it looked at last."""


@st.cache_resource(max_entries=4, show_spinner="Opening the feed", on_release=Watch.close)
def watch(wanted: View) -> Watch:
    """Return the one watch of a view, which all sessions share."""
    return Watch(wanted)


def opened() -> Watch:
    """Return the watch of the event that the address names; a wrong address is told, and ends the run."""
    try:
        wanted = view(seat.open_at(st.query_params.to_dict()))
        feed = watch(wanted)
    except ValueError as error:
        st.error(str(error))
        st.stop()
    if feed.forgotten:
        watch.clear(wanted)
        feed = watch(wanted)
    st.session_state[WATCHED] = wanted
    return feed


def watched() -> Watch:
    """Return the watch of what this session looked at last; of the usual event where it has looked at none."""
    return watch(st.session_state.get(WATCHED) or view({}))


def show() -> None:
    """Show the whole page."""
    feed = opened()
    feed.look()
    seat.arrive(feed)
    st.html(sheet(mode()))
    st.html(listener(), unsafe_allow_javascript=True)
    bell.listener()
    bell.bell(feed)
    transport.bar(feed)
    if seat.depth() == "present":
        _present(feed)
        return
    _top(feed)
    with st.container(key="main"):
        left, right = st.columns([3, 1], gap="small")
        with left, st.container(key="hero"):
            _hero(feed)
        with right:
            with st.container(key="panel-integrity"):
                _integrity(feed)
            with st.container(key="log"):
                actions.telemetry(feed)
        (_analyse if seat.depth() == "analyse" else _operate)(feed)
    if feed.simulated:
        with st.container(key="proof"):
            _truth(feed)


@st.fragment(run_every=FAST)
def _top(feed: Watch) -> None:
    now, past = seat.seen(feed), seat.seat() is not None
    waiting = len(actions.waiting(now))
    st.html(panels.verdict_bar(now))
    st.html(panels.event_header(now, waiting=waiting, past=past))
    if now.state == "ENDED" and feed.simulated and not past and st.button("Run again with a new seed", type="primary"):
        st.query_params["seed"] = str(feed.view.seed + 1)
        st.rerun()
    why = because.reasons(now)
    with st.container(key="kpis"):
        for name, html in cards.cards(now).items():
            with st.container(key=f"kpi-{name}"):
                st.html(html)
                how(name, why, now)


def how(name: str, why: dict[str, because.Why], now: Look) -> None:
    """Draw the mark that opens what stands behind a figure."""
    with st.container(key=f"how-{name}"), st.popover(f"? How do we know: {why[name].name}"):
        st.html(because.why_html(why[name], now))
        if why[name].model:
            st.page_link("pages/evidence.py", label="Take it apart", query_params={"data": "live"})
        else:
            st.page_link("pages/stream.py", label="How it is counted")


def _headed(title: str, right: str, name: str, why: dict[str, because.Why], now: Look) -> None:
    """Draw a panel's head: its name, a word on the right, the mark."""
    with st.container(key=f"head-{name}", horizontal=True, gap="small"):
        st.html(f'<div class="ec">{panels.title(title, right)}</div>')
        how(name, why, now)


@st.fragment(run_every=FAST)
def _hero(feed: Watch) -> None:
    now = seat.seen(feed)
    with st.container(key="herohead", horizontal=True, horizontal_alignment="distribute"):
        st.html('<div class="ec"><h2>Conversion velocity</h2></div>', width="content")
        with st.container(key="herotools", horizontal=True, width="content", gap="small"):
            with st.popover("Understanding this chart"):
                st.markdown(_understanding(now))
            how("velocity", because.reasons(now), now)
    st.html(cards.hero_figures(now) + panels.chart_key())
    velocity(now)
    st.html(cards.split(now))


def velocity(now: Look) -> None:
    """Draw the velocity chart of a look."""
    frames = plotted.velocity_frames(plotted.drawn(now.result), now.airings, observed=now.observed, span=now.span)
    chart(charts.velocity_spec(mode()), frames, key="velocity", alt=panels.chart_words(now))


def _understanding(now: Look) -> str:
    if now.result is None:
        return plain_markdown(now.why("incremental"))
    return "\n".join(f"- {plain_markdown(sentence)}" for sentence in explanation(now.result))


def chart(spec: dict[str, Any], frames: dict[str, pd.DataFrame], *, key: str, alt: str = "") -> None:
    """Draw a constant specification with fresh data: no compiling, no flicker. ``alt`` says what it shows, in words.

    The words stand beside the chart, for those who hear it: inside the specification they would embed it anew.
    """
    count = st.session_state.get(f"drawn-{key}", 0) + 1
    st.session_state[f"drawn-{key}"] = count
    data = {name: plotted.records(frame) for name, frame in {**frames, "key": plotted.KEY}.items()}
    st.vega_lite_chart(None, {**spec, "datasets": data}, theme=None, key=f"{key}-{mode()}-{count // EMBEDDED}")
    if alt:
        st.html(f'<p class="heard">{alt}</p>')


@st.fragment(run_every=FAST)
def _integrity(feed: Watch) -> None:
    now = seat.seen(feed)
    _headed("Stream_integrity", integrity.soundness(now), "integrity", because.reasons(now), now)
    st.html(integrity.integrity(now))


@st.fragment(run_every=SLOW)
def _operate(feed: Watch) -> None:
    now = seat.seen(feed)
    why = because.reasons(now)
    left, right = st.columns([5, 3], gap="small")
    with left, st.container(key="regions"):
        _regions(now, why)
    with right, st.container(key="evidence"):
        _path(now, why)
    columns = st.columns(2, gap="small")
    for column, dimension, name in zip(columns, ("channel", "device"), ("Channel distribution", "Device composition"),
                                       strict=True):  # fmt: skip
        with column, st.container(key=f"panel-{dimension}"):
            _shares(now, dimension, name, why)
    _ground(feed, now, why)


def _regions(now: Look, why: dict[str, because.Why]) -> None:
    words = f"{len(now.regions)} region{'s' * (len(now.regions) != 1)}"
    _headed("Regional matrix", words, "regions", why, now)
    with st.container(key="matrix"):
        st.html(f"<div>{matrix.world(now, mode())}</div>")
        st.html(matrix.regions(now))


def _path(now: Look, why: dict[str, because.Why]) -> None:
    _headed("mSPRT convergence", f"1/α = {1 / now.settings.alpha:g}", "path", why, now)
    if now.result is None or now.row is None:
        st.html(panels.lead(f"The path of the e-value begins with the airing: {now.why('e_value')}."))
        return
    chart(charts.evidence_spec(mode()), plotted.evidence_frames(now.result), key="path", alt=panels.path_words(now))
    st.html(panels.path_note(now))


def _shares(now: Look, dimension: str, title: str, why: dict[str, because.Why]) -> None:
    with st.container(key=f"head-{dimension}", horizontal=True, gap="small"):
        st.html(f'<div class="ec">{panels.title(title, "of the incremental")}</div>')
        how_ = why["shares"]._replace(name=f"{dimension} shares")
        how(f"{dimension}", {dimension: how_}, now)
    st.html(matrix.shares(now, dimension))


def _ground(feed: Watch, now: Look, why: dict[str, because.Why]) -> None:
    """Draw what stands under everything: where it runs, what is locked, what asks for attention, what can be done."""
    widths = st.columns([4, 4, 3], gap="small")
    with widths[0], st.container(key="panel-deployment"):
        _headed("Global deployment", "1 process", "deployment", why, now)
        st.html(integrity.deployment(now))
    with widths[1], st.container(key="panel-plan"):
        waiting = actions.waiting(now)
        words = f"{len(waiting)} alert{'s' * (len(waiting) != 1)}"
        st.html(f'<div class="ec">{panels.title("Plan and alerts", words)}</div>')
        st.html(integrity.plan_html(now))
        actions.locking(feed, now)
        st.html(integrity.alerts_html(waiting))
        actions.acknowledging(waiting)
        bell.switches()
    with widths[2], st.container(key="panel-actions"):
        st.html(f'<div class="ec">{panels.title("Quick actions")}</div>')
        actions.quick(feed)
    with st.container(key="panel-protocol"):
        st.html(f'<div class="ec">{panels.title("Live correlation protocol", "what runs, in plain words")}</div>')
        st.html(because.protocol(now))


@st.fragment(run_every=SLOW)
def _analyse(feed: Watch) -> None:
    now = seat.seen(feed)
    why = because.reasons(now)
    left, right = st.columns(2, gap="small")
    with left, st.container(key="panel-answer"):
        st.html(f'<div class="ec">{panels.title("The answer, figure by figure")}</div>{analyse.answer(now)}')
    with right, st.container(key="panel-case"):
        st.html(f'<div class="ec">{panels.title("For and against")}</div>{analyse.evidence(now.verdict)}')
    drawings: tuple[tuple[str, str, Callable[[Look], None]], ...] = (
        ("amount", "Incremental so far, at every look", _amount),
        ("response", "Lag from exposure to conversion", _response),
    )
    columns = st.columns(3, gap="small")
    with columns[0], st.container(key="evidence"):
        _path(now, why)
    for column, (key, title, draw) in zip(columns[1:], drawings, strict=True):
        with column, st.container(key=f"panel-{key}"):
            st.html(f'<div class="ec">{panels.title(title)}</div>')
            draw(now)
    with st.container(key="regions"):
        _regions(now, why)
    columns = st.columns(2, gap="small")
    for column, dimension, name in zip(columns, ("channel", "device"), ("Channel distribution", "Device composition"),
                                       strict=True):  # fmt: skip
        with column, st.container(key=f"panel-{dimension}"):
            _shares(now, dimension, name, why)
    left, right = st.columns([1, 2], gap="small")
    with left, st.container(key="panel-worlds"):
        st.html(f'<div class="ec">{panels.title("What else may have moved it")}</div>{analyse.worlds(now)}')
    with right, st.container(key="panel-priors"):
        st.html(f'<div class="ec">{panels.title("Priors and choices", "◆ not the default")}</div>{analyse.priors(now)}')
    _ground(feed, now, why)


def _amount(now: Look) -> None:
    if now.result is None or now.row is None or not len(plotted.amount_frames(now.result)["amount"]):
        st.html(panels.lead(f"It begins with the airing: {now.why('incremental')}."))
        return
    chart(charts.amount_spec(mode()), plotted.amount_frames(now.result), key="amount", alt=panels.amount_words(now))


def _response(now: Look) -> None:
    if now.result is None or now.row is None or now.result.kernel.empty:
        st.html(panels.lead(f"It begins with the airing: {now.why('response_peak')}."))
        return
    frames = plotted.response_frames(now.result, str(now.row["airing"]))
    chart(charts.response_spec(mode()), frames, key="response", alt=panels.response_words(now))


@st.fragment(run_every=SLOW)
def _truth(feed: Watch) -> None:
    st.html(panels.truth(seat.seen(feed)))


@st.fragment(run_every=FAST)
def _present(feed: Watch) -> None:
    now, number = seat.seen(feed), seat.screen()
    st.html(panels.verdict_bar(now))
    with st.container(key="story"):
        st.html(analyse.screen(now, number))
        if number == len(analyse.STORY) - 2 and now.result is not None and now.row is not None:
            chart(charts.evidence_spec(mode()), plotted.evidence_frames(now.result), key="path")
        elif number < len(analyse.STORY) - 1:
            st.html(panels.chart_key())
            velocity(now)
        else:
            st.html(matrix.shares(now, "channel"))
