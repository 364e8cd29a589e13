"""The row above the page: how deep it looks, and time: stopped, gone back to, played again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution.workbench import seat
from attribution.workbench.keys import keys_html
from attribution.workbench.panels import ago

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.workbench.watch import Watch

SCRUB = "live-scrub"


def bar(feed: Watch) -> None:
    """Draw the row; buttons act at once, the clock of the past moves every second."""
    with st.container(key="transport", horizontal=True, gap="small"):
        with st.container(key="depths", horizontal=True, gap=None, width="content"):
            for name in seat.DEPTHS:
                chosen = "on" if seat.depth() == name else "off"
                with st.container(key=f"depth-{name}", width="content"), st.container(key=f"depth-{chosen}-{name}"):
                    st.button(name.capitalize(), key=f"to-{name}", on_click=seat.deepen, args=(name,))
        _time(feed)
        with st.container(key="keys", width="content"), st.popover("? Keys"):
            st.html(keys_html())
    if seat.depth() != st.query_params.get("depth", seat.DEPTHS[0]):
        st.query_params["depth"] = seat.depth()


def _time(feed: Watch) -> None:
    """Draw what moves time; the story has its own arrows."""
    at = seat.seat()
    story = seat.depth() == "present"
    with st.container(key="time", horizontal=True, gap="small", vertical_alignment="center"):
        if story:
            _button("back", "← Before", seat.turn, -1)
            _button("forward", "Next →", seat.turn, 1)
        with st.container(key="hold", width="content"):
            words = "Stop time" if at is None else "Play" if not at.speed else "Stop"
            st.button(words, key="press-hold", on_click=seat.stop, args=(feed,))
        if at is None:
            return
        if not story:
            _button("back", f"← {seat.STEP_S} s", seat.step, feed, -seat.STEP_S)
            _button("forward", f"{seat.STEP_S} s →", seat.step, feed, seat.STEP_S)
            for speed in seat.SPEEDS:
                _button(f"speed-{speed}", f"{speed}×", seat.play, speed)
        _button("tolive", "Back to live", seat.live)
        _scrub(feed)


def _button(place: str, label: str, act: Callable[..., None], *args: Any) -> None:
    with st.container(key=place, width="content"):
        st.button(label, key=f"press-{place}", on_click=act, args=args)


@st.fragment(run_every=1.0)
def _scrub(feed: Watch) -> None:
    """Draw the slider over what was shown, with the moment that is shown now."""
    at, span = seat.seat(), feed.tape.span
    if at is None or span is None:  # a run of the whole page is on its way: to ask for another would cut it off
        return
    shown = seat.seen(feed)
    if seat.seat() is None:
        st.rerun()
    first, last = span[0].floor("s"), span[1].floor("s")
    whole = max(int((last - first).total_seconds()), 1)
    st.session_state[SCRUB] = min(max(int((shown.now - first).total_seconds()), 0), whole)
    with st.container(key="scrub", horizontal=True, gap="small", vertical_alignment="center"):
        st.slider(
            "Moment shown, in seconds since the page began", 0, whole, key=SCRUB, label_visibility="collapsed",
            on_change=lambda: seat.go(feed, first + seat.seconds(st.session_state[SCRUB])),
        )  # fmt: skip
        behind = ago(last - shown.now) if last > shown.now else "now"
        told = f"what we knew at <b>{shown.now:%H:%M:%S}</b> · {behind}"
        st.html(f'<div class="ec when">{told}</div>', width="content")
