"""The tune page: one instrument. Every control answers where the hand is; the whole analysis follows when it rests."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from attribution import dials, plotted
from attribution.moves import NAMES, differing, preset_of
from attribution.settings import Settings
from attribution.tuning import DECIDING
from attribution.workbench import panels, tune_controls, tune_more, tune_panels, tune_run
from attribution.workbench.live_charts import chart
from attribution.workbench.shell import mode
from attribution.workbench.tune_bar import asked, source
from attribution.workbench.tune_checker import Checker
from attribution.workbench.tune_sources import Subject, subject
from attribution.workbench.tune_style import SHEET
from attribution.workbench.tune_view import LIVE, blamed
from attribution.workbench.watch import freeze

if TYPE_CHECKING:
    from attribution.finger import Finger
    from attribution.workbench.tune_view import TuneView

POLL_S = 1.0
"""Seconds between looks at what is being worked on."""
NEWER_S = 10.0
"""Live data are taken anew every so many seconds, while nothing is being worked on."""
KEY = (("", "observed"), ("dash", "expected without the ad"), ("area", "incremental"), ("dot", "setting before"))


def show() -> None:
    """Show the whole page."""
    view = asked()
    st.html(SHEET)
    data, why = _held(view)
    with st.container(key="tune"):
        source(view, data)
        for _, sentence in view.complaints:
            st.html(f'<p class="ec wrong" role="alert">▲ {escape(sentence)}</p>')
        if data is None:
            _write(view)
            st.html(panels.bar("no data", why, [], claims=False))
            return
        _instrument(data, view.airing or data.tuner.leading())
    _follow(live=view.data == LIVE)


def _held(view: TuneView) -> tuple[Subject | None, str]:
    """Return the data of the view, or why there are none; with other data, what was said of the last is forgotten.

    Live data are held until newer ones are asked for: they would move under the hand.
    """
    state = st.session_state
    data: Subject | None = state.get("tune-subject")
    asked_for = (view.data, view.until)
    if not (data is not None and view.data == LIVE and state.get("tune-held") == asked_for and not _newer()):
        try:
            data = subject(view)
            data.tuner.named(view.airing)
        except ValueError as error:
            return None, str(error)
        state["tune-held"] = asked_for
    if state.get("tune-subject") is not data:
        if "tune-checker" in state:
            state["tune-checker"].close()
        state["tune-checker"] = Checker(data.tuner)
        state["tune-subject"] = data
        for name in ("tune-said", "tune-before", "tune-drawn", "tune-path", "tune-moves"):
            state.pop(name, None)
    return data, ""


def _newer() -> bool:
    """Whether newer live data are asked for; asked once."""
    return bool(st.session_state.pop("tune-newer", False))


@st.fragment(run_every=POLL_S)
def _follow(*, live: bool) -> None:
    """Draw the page anew when what was worked on is there, and with newer live data once the last are answered."""
    state = st.session_state
    said: Finger | None = state.get("tune-said")
    if said is None:
        return
    rested = state["tune-checker"].done(said.settings, said.airing) and not tune_run.running()
    newer = live and rested and time.monotonic() - state["tune-drawn-at"] > NEWER_S
    if newer:
        state["tune-newer"] = True
    if newer or _mark(said) != state["tune-mark"]:
        st.rerun()


def _mark(said: Finger) -> tuple[bool, bool, str, str]:
    """Return what is there of the work behind an answer."""
    checker: Checker = st.session_state["tune-checker"]
    key = (said.settings, said.airing)
    one = tune_run.asked()
    run = "" if one is None else one.run.progress().state
    return checker.analysis(*key) is not None, checker.moves(*key) is not None, checker.trouble(*key), run


@st.cache_resource(show_spinner=False)
def _settled() -> bool:
    """Put what is loaded out of the garbage collector's sight, once a server."""
    freeze()
    return True


@st.fragment
def _instrument(data: Subject, airing: str) -> None:
    """Answer, and draw the answer: everything that a control moves."""
    state = st.session_state
    settings, told = _settings()
    said, why = _answer(data, settings, airing, told)
    view = replace(state["tune-view"], settings=said.settings)
    state["tune-view"] = view
    _write(view)
    drawn: Finger | None = state.get("tune-drawn")
    checker: Checker = state["tune-checker"]
    checker.want(said.settings, airing, _ahead(said, state.get("tune-before")))
    result = checker.analysis(said.settings, airing)
    if result is not None:
        said = data.tuner.settled(said, result)
        drawn = said if said.modelled else drawn
    count = data.trail.look(said.settings, airing)
    state["tune-mark"], state["tune-drawn-at"] = _mark(said), time.monotonic()
    with st.container(key="tuneverdict"):
        _verdict(said, count, why)
    rail, middle, right = st.columns([1.1, 2.0, 1.25], gap="small")
    with middle, st.container(key="panel-middle"):
        _middle(data, drawn, said)
    with right, st.container(key="panel-right"):
        _right(drawn, said)
        _path(said)
    with rail, st.container(key="panel-rail"):
        preset = preset_of(said.settings) or state.get("tune-preset", "learnt")
        tune_controls.rail(settings, Settings.preset(preset), told)
    left, run = st.columns([3.1, 1.25], gap="small")
    with left, st.container(key="panel-tornado"):
        _tornado(said)
    with run, st.container(key="panel-full"):
        st.html(tune_panels.changed_html(*_pair(data, airing)))
        st.fragment(_full, run_every=POLL_S if tune_run.running() else None)(said)
    tune_more.show(data, airing)
    _settled()


def _pair(data: Subject, airing: str) -> tuple[Finger | None, Finger]:
    """Return the setting before and this one, both as the whole analysis has them where it knows both."""
    state = st.session_state
    before, said = state.get("tune-before"), state["tune-said"]
    checker: Checker = state["tune-checker"]
    known = [None if one is None else checker.analysis(one.settings, airing) for one in (before, said)]
    if before is None or known[0] is None or known[1] is None:
        return before, said
    return data.tuner.settled(before, known[0]), data.tuner.settled(said, known[1])


def _ahead(said: Finger, before: Finger | None) -> tuple[Settings, ...]:
    """Return the settings one step on and one step back of the control that moved last."""
    moved = [] if before is None else differing(before.settings, said.settings)
    control = tune_controls.BY_NAME.get(moved[0]) if len(moved) == 1 else None
    if control is None or control.name in DECIDING:
        return ()
    now = getattr(said.settings, control.name)
    offered = tune_controls.options(control, now)
    beside = (offered.index(now) + step for step in (1, -1))
    found = []
    for value in (offered[i] for i in beside if 0 <= i < len(offered)):
        with suppress(ValueError):  # a step that cannot be is told when it is taken
            found.append(said.settings.replace(**{control.name: value}))
    return tuple(found)


def _settings() -> tuple[Settings, dict[str, str]]:
    """Return what the controls say; where that cannot be, the last settings that could, and the sentence."""
    last: Settings = st.session_state["tune-view"].settings
    given = tune_controls.chosen()
    try:
        return Settings(**given), {}
    except ValueError as error:
        moved = [name for name, value in given.items() if value != getattr(last, name)]
        named = blamed(str(error))
        return last, {named if named in moved or not moved else moved[0]: str(error)}


def _answer(data: Subject, settings: Settings, airing: str, told: dict[str, str]) -> tuple[Finger, str]:
    """Answer under these settings and note what was said before; also why what is drawn is old, if it is."""
    state = st.session_state
    before: Finger | None = state.get("tune-said")
    try:
        said = data.tuner.finger(settings, airing)
    except ValueError as error:
        if before is None or before.airing != airing:
            st.html(panels.bar("no data", str(error), [], claims=False))
            st.stop()
        told[blamed(str(error))] = str(error)
        said = before
    if before is not None and (before.settings, before.airing) != (said.settings, said.airing):
        state["tune-before"] = before if before.airing == airing else None
    state["tune-said"] = said
    if said.modelled:
        state["tune-drawn"] = said
    why = "the answer to the settings before; see the sentence beside the control" if told else ""
    if not said.modelled and settings.baseline != "brief":
        moved = [] if before is None else [n for n in asdict(settings) if _moved(n, settings, state.get("tune-drawn"))]
        for name in moved:
            told.setdefault(name, f"With this choice there is no answer: {said.verdict.sentence}")
    return said, why


def _moved(name: str, settings: Settings, last: Finger | None) -> bool:
    return last is not None and getattr(last.settings, name) != getattr(settings, name)


def _write(view: TuneView) -> None:
    """Write the view into the address, where it differs."""
    wanted = view.query()
    now = {name: st.query_params.get_all(name) for name in st.query_params}
    listed = {name: value if isinstance(value, list) else [value] for name, value in wanted.items()}
    if now != listed:
        st.query_params.from_dict(wanted)


def _verdict(said: Finger, count: int, why: str) -> None:
    checker: Checker = st.session_state["tune-checker"]
    result = checker.analysis(said.settings, said.airing)
    trouble = checker.trouble(said.settings, said.airing)
    locked = tune_more.plan() is not None
    st.html(tune_panels.verdict_bar(said, result, count=count, locked=locked, old=why, trouble=trouble))


def _old(drawn: Finger, said: Finger) -> str:
    """Say why a chart is of earlier settings; empty when it is not."""
    if drawn is said or drawn.settings == said.settings:
        return ""
    if said.settings.baseline == "brief":
        return "▲ OLD: the brief's engine has no band, no kernel and no density; this is the answer before"
    return "▲ OLD: these settings have no answer; this is the answer before"


def _middle(data: Subject, drawn: Finger | None, said: Finger) -> None:
    st.html(f'<div class="ec">{panels.title("Counterfactual and incremental", data.words)}</div>')
    if drawn is None:
        st.html(f'<div class="ec"><p class="lead muted">{escape(said.verdict.sentence)}</p></div>')
        return
    before: Finger | None = st.session_state.get("tune-before")
    old = _old(drawn, said)
    st.html(f'<div class="ec"><p class="wrong">{escape(old)}</p></div>' if old else tune_panels.key(*KEY))
    unit = plotted.rate_unit(dials.around(drawn)["width_s"])
    chart(dials.hero_spec(mode(), unit), dials.hero_frames(drawn, before, data.tuner.airings), key="tune-hero")
    st.html(f'<div class="ec">{panels.title("Response kernel", "posterior over prior")}</div>')
    st.html(
        tune_panels.key(("", "posterior"), ("area", "its band"), ("dash", "prior, its band"), ("dot", "setting before"))
        + tune_panels.spoken(tune_panels.kernel_words(drawn))
    )
    chart(dials.kernel_spec(mode()), dials.kernel_frames(drawn, before), key="tune-kernel")


def _right(drawn: Finger | None, said: Finger) -> None:
    draws = None if drawn is None else tune_run.draws(drawn)
    right = "posterior over prior" if draws is None else "long dashes: the full posterior"
    right = "▲ OLD: the answer before" if drawn is not None and _old(drawn, said) else right
    st.html(f'<div class="ec">{panels.title("Incremental", right)}</div>')
    st.html(tune_panels.figures(said))
    if drawn is None:
        return
    before: Finger | None = st.session_state.get("tune-before")
    st.html(tune_panels.spoken(tune_panels.amount_words(drawn)))
    chart(dials.amount_spec(mode()), dials.amount_frames(drawn, before, draws), key="tune-amount")


def _path(said: Finger) -> None:
    checker: Checker = st.session_state["tune-checker"]
    result = checker.analysis(said.settings, said.airing)
    if result is not None and len(result.evidence):
        st.session_state["tune-path"] = result
    shown = st.session_state.get("tune-path")
    right = "○ the looks are being taken" if result is None else f"1/α = {1 / said.settings.alpha:g}"
    st.html(f'<div class="ec">{panels.title("E-value, look by look", right)}</div>')
    if shown is None or (result is not None and result.evidence.empty):
        words = "" if result is None else "No look was taken: there is no e-value here."
        st.html(f'<div class="ec" style="height:{dials.PATH + 7}px"><p class="said">{words}</p></div>')
        return
    chart(dials.path_spec(mode()), plotted.evidence_frames(shown), key="tune-path")


def _tornado(said: Finger) -> None:
    checker: Checker = st.session_state["tune-checker"]
    table = checker.moves(said.settings, said.airing)
    right = "one choice at a time, from the fast fit" if table is not None else "○ being worked out"
    if table is not None:
        st.session_state["tune-moves"] = table
    table = st.session_state.get("tune-moves")
    st.html(f'<div class="ec">{panels.title("What moved the answer", right)}</div>')
    if table is None or table["base"].isna().all():
        words = "" if table is None else "There is no answer here that a choice could move."
        st.html(f'<div class="ec"><p class="said">{words}</p></div>')
        return
    st.html(tune_panels.spoken(tune_panels.tornado_words(table, NAMES)))
    chart(dials.tornado_spec(mode()), dials.tornado_frames(table, NAMES), key="tune-tornado")
    st.html(f'<div class="ec">{tune_panels.refused(table, NAMES)}</div>')


def _full(said: Finger) -> None:
    checker: Checker = st.session_state["tune-checker"]
    key = (said.settings, said.airing)
    tune_run.show(said, checker.analysis(*key), rested=checker.done(*key))
