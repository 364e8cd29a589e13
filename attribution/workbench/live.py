"""The live page in three depths: laid out once; then its figures are written anew every second, or every five.

What does not move is sent once. What moves is written into its place, a message each: fewer is faster.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import streamlit as st

from attribution.sheets import explanation
from attribution.workbench import (
    actions,
    analyse,
    because,
    bell,
    cards,
    integrity,
    live_charts,
    matrix,
    moving,
    panels,
    seat,
    transport,
)
from attribution.workbench.event import View, view
from attribution.workbench.head import READY
from attribution.workbench.hero import begin, hero
from attribution.workbench.keys import listener
from attribution.workbench.live_style import sheet
from attribution.workbench.shell import mode, plain_markdown
from attribution.workbench.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamlit.delta_generator import DeltaGenerator
    from streamlit.elements.lib.mutable_popover_container import PopoverContainer

    from attribution.workbench.look import Look

Made = TypeVar("Made")
Places: TypeAlias = "dict[str, DeltaGenerator]"
"""Name -> where it is written."""
SHARES = {"channel": "Channel distribution", "device": "Device composition"}
FAST, SLOW = 1.0, 5.0
"""Seconds between refreshes of what moves, and of what is read."""

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
        st.page_link("app.py", label="Open the usual event")
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
    try:
        feed = opened()
        feed.look()
        seat.arrive(feed)
        _shown(feed)
    finally:  # also where the address is wrong and told so
        st.html(READY)


def _shown(feed: Watch) -> None:
    """Lay the page out and write it."""
    st.html(sheet(mode()))
    st.html(listener(), unsafe_allow_javascript=True)
    bell.listener()
    transport.bar(feed)
    begin()
    if seat.depth() == "present":
        _present(feed)
        return
    places: Places = {"top": st.container(key="top")}
    with st.container(key="kpis"):
        for name in cards.NAMES:
            with st.container(key=f"kpi-{name}"):
                places[name] = st.container(key=f"value-{name}")
                places[f"how-{name}"] = st.container(key=f"how-{name}")
    with st.container(key="main"):
        _lay_main(feed, places)
        (_lay_analyse if seat.depth() == "analyse" else _lay_operate)(places)
    if feed.simulated:
        places["proof"] = st.container(key="proof")
    every = _every()
    st.fragment(_moving, run_every=every)(feed, places, every)
    _slowly(feed, places)
    _explained(feed, places)


# ---------------------------------------------------------------------------------------------------- laid out once


def _head(places: Places, name: str, title: str, right: str | None = "", *, how: bool = True) -> None:
    """Lay out a panel's head: its name, a word on the right (None: it moves), the mark that says how we know."""
    with st.container(key=f"head-{name}", horizontal=True, gap="small"):
        if right is None:
            places[f"head-{name}"] = st.container(key=f"title-{name}")
        else:
            _titled(title, right)
        if how:
            places[f"how-{name}"] = st.container(key=f"how-{name}")


def _titled(title: str, right: str = "") -> None:
    st.html(f'<div class="ec">{panels.title(title, right)}</div>')


def _lay_main(feed: Watch, places: Places) -> None:
    left, right = st.columns([3, 1], gap="small")
    with left, st.container(key="hero"):
        with st.container(key="herohead", horizontal=True, horizontal_alignment="distribute"):
            st.html('<div class="ec"><h2>Conversion velocity</h2></div>', width="content")
            with st.container(key="herotools", horizontal=True, width="content", gap="small"):
                places["understanding"] = st.container(key="understanding", width="content")
                places["how-velocity"] = st.container(key="how-velocity")
        places["velocity"] = st.container(key="velocity-chart")
    with right:
        with st.container(key="panel-integrity"):
            _head(places, "integrity", "Stream_integrity", None)
            places["integrity"] = st.container(key="in-integrity")
        with st.container(key="log"):
            actions.telemetry(feed)
            places["log"] = st.container(key="lines")


def _lay_regions(places: Places) -> None:
    with st.container(key="regions"):
        _head(places, "regions", "Regional matrix", None)
        with st.container(key="matrix"):
            places["world"], places["regions"] = st.container(key="in-world"), st.container(key="in-regions")


def _lay_path(places: Places) -> None:
    with st.container(key="evidence"):
        _head(places, "path", "mSPRT convergence", None)
        places["path"] = st.container(key="in-path")


def _lay_shares(places: Places) -> None:
    for column, (name, title) in zip(st.columns(2, gap="small"), SHARES.items(), strict=True):
        with column, st.container(key=f"panel-{name}"):
            _head(places, name, title, "of the incremental")
            places[name] = st.container(key=f"in-{name}")


def _lay_ground(places: Places) -> None:
    """Lay out what stands under everything: where it runs, what is locked, what calls, what can be done."""
    widths = st.columns([4, 4, 3], gap="small")
    with widths[0], st.container(key="panel-deployment"):
        _head(places, "deployment", "Global deployment", "1 process")
        places["deployment"] = st.container(key="in-deployment")
    with widths[1]:
        places["plan"] = st.container(key="panel-plan")
    with widths[2], st.container(key="panel-actions"):
        _titled("Quick actions")
        places["actions"] = st.container(key="in-actions")
    with st.container(key="panel-protocol"):
        _titled("Live correlation protocol", "what runs, in plain words")
        places["protocol"] = st.container(key="in-protocol")


def _lay_operate(places: Places) -> None:
    left, right = st.columns([5, 3], gap="small")
    with left:
        _lay_regions(places)
    with right:
        _lay_path(places)
    _lay_shares(places)
    _lay_ground(places)


def _panel(places: Places, name: str, title: str, right: str = "") -> None:
    with st.container(key=f"panel-{name}"):
        _titled(title, right)
        places[name] = st.container(key=f"in-{name}")


def _lay_analyse(places: Places) -> None:
    left, right = st.columns(2, gap="small")
    with left:
        _panel(places, "answer", "The answer, figure by figure")
    with right:
        _panel(places, "case", "For and against")
    columns = st.columns(3, gap="small")
    with columns[0]:
        _lay_path(places)
    with columns[1]:
        _panel(places, "amount", "Incremental so far, at every look")
    with columns[2]:
        _panel(places, "response", "Lag from exposure to conversion")
    _lay_regions(places)
    _lay_shares(places)
    left, right = st.columns([1, 2], gap="small")
    with left:
        _panel(places, "worlds", "What else may have moved it")
    with right:
        _panel(places, "priors", "Priors and choices", "◆ not the default")
    _lay_ground(places)


# --------------------------------------------------------------------------------------------------------- what moves


def _made(feed: Watch, now: Look, make: Callable[[Look], Made]) -> Made:
    """Return what a look shows in one place, made once for all sessions that see it."""
    return feed.once(f"{make.__module__}.{make.__qualname__}", now, lambda: make(now))


def _every() -> float:
    """Return how often what moves is written: seldom where the browser hears it, or has not yet said that it does not.

    What is heard is put into its places by the chart's script, ten times a second.
    """
    deaf = st.session_state.get("velocity", {}).get("pushed") is False
    return FAST if deaf or seat.seat() is not None else SLOW


def _moving(feed: Watch, places: Places, every: float) -> None:
    """Write what moves, all of it of one look; ``every`` is how often this is done."""
    if every != _every():
        st.rerun()
    bell.bell(feed.look())
    now = seat.seen(feed)
    past = seat.seat() is not None
    parts = feed.parts(now)
    place = (lambda _, html: html) if past else moving.place
    with places["top"]:
        event = panels.event_header(now, waiting=len(actions.waiting(now)), past=past)
        st.html(place("verdict", parts["verdict"]) + place("event", event))
        again = now.state == "ENDED" and feed.simulated and not past
        if again and st.button("Run again with a new seed", type="primary"):
            st.query_params["seed"] = str(feed.view.seed + 1)
            st.rerun()
    for name in cards.NAMES:
        places[name].html(place(name, parts[name]))
    with places["velocity"]:
        hero(feed, now, key="velocity")
    places["head-integrity"].html(place("soundness", parts["soundness"]))
    places["integrity"].html(place("integrity", parts["integrity"]))
    lines = actions.log(feed, now)
    places["log"].html(place("log", lines) if lines == parts["log"] else lines)


@st.fragment(run_every=SLOW)
def _slowly(feed: Watch, places: Places) -> None:
    """Write what is read rather than watched, all of it of one look."""
    now = seat.seen(feed)
    count = len(now.regions)
    title = panels.title("Regional matrix", f"{count} region{'s' * (count != 1)}")
    places["head-regions"].html(f'<div class="ec">{title}</div>')
    places["world"].html(_made(feed, now, matrix.world))
    places["regions"].html(_made(feed, now, matrix.regions))
    title = panels.title("mSPRT convergence", f"1/α = {1 / now.settings.alpha:g}")
    places["head-path"].html(f'<div class="ec">{title}</div>')
    with places["path"]:
        live_charts.path(feed, now)
    for dimension in SHARES:
        places[dimension].html(feed.once(dimension, now, partial(matrix.shares, now, dimension)))
    places["deployment"].html(_made(feed, now, integrity.deployment))
    with places["plan"]:
        _plan(feed, now)
    with places["actions"]:
        actions.quick(feed)
    places["protocol"].html(_made(feed, now, because.protocol))
    if "answer" in places:
        _analysed(feed, now, places)
    if "proof" in places:
        places["proof"].html(panels.truth(now))


@st.fragment
def _explained(feed: Watch, places: Places) -> None:
    """Write what stands behind each figure, anew whenever one of them is opened."""
    now = seat.seen(feed)
    why = because.reasons(now)
    for dimension in SHARES:
        why[dimension] = why["shares"]._replace(name=f"{dimension} shares")
    with places["understanding"]:
        opening = _opened("Understanding this chart", "understanding")
    if opening.open:
        opening.markdown(_understanding(now))
    for name in (place.removeprefix("how-") for place in places if place.startswith("how-")):
        with places[f"how-{name}"]:
            opening = _opened(f"? How do we know: {why[name].name}", f"how-{name}")
        if not opening.open:
            continue
        with opening:
            st.html(because.why_html(why[name], now))
            if why[name].model:
                st.page_link("pages/evidence.py", label="Take it apart", query_params={"data": "live"})
            else:
                st.page_link("pages/stream.py", label="How it is counted")


def _opened(label: str, key: str) -> PopoverContainer:
    """Draw what opens, and is written once it does."""
    return st.popover(label, key=f"open-{key}", on_change="rerun")


def _understanding(now: Look) -> str:
    if now.result is None:
        return plain_markdown(now.why("incremental"))
    return "\n".join(f"- {plain_markdown(sentence)}" for sentence in explanation(now.result))


def _plan(feed: Watch, now: Look) -> None:
    waiting = actions.waiting(now)
    title = panels.title("Plan and alerts", f"{len(waiting)} alert{'s' * (len(waiting) != 1)}")
    st.html(f'<div class="ec">{title}</div>{integrity.plan_html(now)}')
    actions.locking(feed, now)
    st.html(integrity.alerts_html(waiting))
    actions.acknowledging(waiting)
    bell.switches()


def _analysed(feed: Watch, now: Look, places: Places) -> None:
    """Write what an analyst sees beyond that."""
    written = {"answer": analyse.answer(now), "case": analyse.evidence(now.verdict)}
    written |= {"worlds": analyse.worlds(now), "priors": analyse.priors(now)}
    for name, html in written.items():
        places[name].html(f"<div>{html}</div>")  # there is nothing to write before the first answer
    with places["amount"]:
        live_charts.amount(feed, now)
    with places["response"]:
        live_charts.response(feed, now)


@st.fragment(run_every=FAST)
def _present(feed: Watch) -> None:
    bell.bell(feed.look())
    now, number = seat.seen(feed), seat.screen()
    st.html(panels.verdict_bar(now))
    with st.container(key="story"):
        st.html(analyse.screen(now, number))
        if number == len(analyse.STORY) - 2 and now.result is not None and now.row is not None:
            live_charts.path(feed, now)
        elif number < len(analyse.STORY) - 1:
            hero(feed, now, key="story-velocity", figures=False)
        else:
            st.html(matrix.shares(now, "channel"))
