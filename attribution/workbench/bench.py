"""What lies on the analyst's bench, the same on every page of the workbench: data, airing, settings, and their answer.

The view is that of the tune page: what is chosen there is taken apart here. What takes longer than a page may is done
in a thread, one at a time on this server, and looked at while it runs.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution.analysis import Analysis, analyze, fingerprint
from attribution.moves import NAMES, differing, preset_of, shown
from attribution.settings import Settings
from attribution.workbench import panels, tune_bar
from attribution.workbench.tune_checker import TURN
from attribution.workbench.tune_sources import Subject, subject
from attribution.workbench.tune_view import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from attribution.workbench.tune_view import TuneView

PATIENCE_S = 2.0
"""A page waits so long for an analysis before it says that it is waiting."""
POLL_S = 1.0
"""Seconds between looks at work that runs."""
HELD = "bench-held"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """One answer on the bench.

    Attributes
    ----------
    view
        The address.
    data
        What was asked.
    airing
        The airing that is looked at.
    result
        The whole analysis, every look taken.
    key
        A hash over data, settings and version: what was worked out is kept under it.
    """

    view: TuneView
    data: Subject
    airing: str
    result: Analysis
    key: str

    @property
    def settings(self) -> Settings:
        """The choices."""
        return self.view.settings


def opened(*, single: bool = True, own: tuple[str, ...] = ()) -> Bench | None:
    """Draw the row that chooses the data, and return the answer; None, with the reason on the page, without one.

    Parameters
    ----------
    single
        Whether the page is about one airing, which is then chosen in the row.
    own
        Parameters of the address that the page reads for itself.
    """
    view = tune_bar.asked(own)
    data, why = _data(view)
    with st.container(key="source", horizontal=True, gap="small"):
        tune_bar.choose(view)
        if single and data is not None:
            tune_bar.pick_airing(view, data)
        if view.data == LIVE:
            st.button("Newer data", key="newer", on_click=lambda: st.session_state.pop(HELD, None))
        st.html(f'<div class="ec under">{_settings(view.settings)}</div>', width="content")
    for _, sentence in view.complaints:
        st.html(f'<p class="ec wrong" role="alert">▲ {escape(sentence)}</p>')
    if data is None:
        st.html(panels.bar("no data", why, [], claims=False))
        return None
    try:
        airing = data.tuner.named(view.airing)
    except ValueError as error:
        st.html(panels.bar("no data", str(error), [], claims=False))
        return None
    tuner, settings = data.tuner, view.settings
    key = fingerprint(tuner.counts, tuner.airings, settings, tuner.feeds)
    whole = lambda tell: analyze(tuner.counts, tuner.airings, settings, **tuner.given, progress=tell)  # noqa: E731
    one = work("whole", key, whole, _turn=nullcontext())
    one.wait(PATIENCE_S)
    if one.trouble or not one.finished:
        _waited(one, len(tuner.names))
        return None
    return Bench(view=view, data=data, airing=airing, result=one.result, key=key)


def _waited(one: Work, airings: int) -> None:
    """Hold the verdict's place while the analysis runs, looking again every second; or say why there is none."""
    many = f"{airings} airings" if airings > 1 else "the airing"
    words = one.trouble or f"Taking every look at {many}: some seconds an airing, once; longer just after a start."
    word, sign = ("no data", "") if one.trouble else ("analysing", "○")
    st.html(panels.bar(word, words, [], claims=False, sign=sign))
    if not one.trouble:
        st.fragment(_until, run_every=POLL_S)(one)


def _until(one: Work) -> None:
    if one.finished:
        st.rerun()
    far = f'<p class="said">○ {one.done} of {one.of}</p>{_track(one)}' if one.of > 1 else ""
    st.html(f'<div class="ec waiting">{far}</div>')


def _track(one: Work) -> str:
    """Write how far a work is as a bar."""
    share = one.done / one.of if one.of else 0.0
    return f'<div class="track wide"><i style="width:{share:.0%}"></i></div>'


def _data(view: TuneView) -> tuple[Subject | None, str]:
    """Return the data of the view, or why there are none; live ones are held until newer ones are asked for."""
    held: tuple[tuple, Subject] | None = st.session_state.get(HELD)
    if held is not None and view.data == LIVE and held[0] == (view.data, view.until):
        return held[1], ""
    try:
        found = subject(view)
    except ValueError as error:
        return None, str(error)
    st.session_state[HELD] = ((view.data, view.until), found)
    return found, ""


def _settings(settings: Settings) -> str:
    """Say under which settings, in a few words, and where they are changed."""
    preset = preset_of(settings)
    said = preset or "; ".join(f"{NAMES[n]} {shown(n, getattr(settings, n))}" for n in differing(Settings(), settings))
    return f'<span class="cap">Settings</span> <b>{escape(said)}</b> <span class="muted">· changed on Tune</span>'


def write(view: TuneView, **own: str) -> None:
    """Write the view, and what the page adds to it, into the address, where it differs."""
    wanted = view.query() | {name: value for name, value in own.items() if value}
    now = {name: st.query_params.get_all(name) for name in st.query_params}
    if now != {name: value if isinstance(value, list) else [value] for name, value in wanted.items()}:
        st.query_params.from_dict(wanted)


class Work:
    """Something that takes longer than a page may: done in a thread of its own.

    Parameters
    ----------
    task
        Given a function to tell how far it is (done, of how many), it returns the result.
    turn
        Held while it runs: one thing at a time on this server, but for what a page cannot do without.
    """

    def __init__(self, task: Callable[[Callable[[int, int], None]], Any], turn: AbstractContextManager = TURN) -> None:
        self.done, self.of = 0, 0
        self.result: Any = None
        self.trouble = ""
        self._over = threading.Event()
        self._turn = turn
        threading.Thread(target=self._run, args=(task,), name="bench", daemon=True).start()

    @property
    def finished(self) -> bool:
        """Whether there is a result, or trouble."""
        return self._over.is_set()

    def wait(self, seconds: float) -> None:
        """Wait so long for the end, at most."""
        self._over.wait(seconds)

    def _tell(self, done: int, of: int) -> None:
        self.done, self.of = done, of

    def _run(self, task: Callable[[Callable[[int, int], None]], Any]) -> None:
        try:
            with self._turn:
                self.result = task(self._tell)
        except Exception as error:  # whatever stops it must reach the page, not end the thread unheard
            self.trouble = str(error) or type(error).__name__
        self._over.set()


@st.cache_resource(show_spinner=False, max_entries=64)
def work(
    kind: str, key: str, _task: Callable[[Callable[[int, int], None]], Any], _turn: AbstractContextManager = TURN
) -> Work:
    """Return the work of a kind for what is on the bench; begun once, shared by all sessions."""
    return Work(_task, _turn)


def panel(name: str, one: Work, draw: Callable[[Any], None], *, doing: str) -> None:
    """Draw what a work found inside a panel; while it runs, how far it is, looking again every second.

    Parameters
    ----------
    doing
        What is being done, in words.
    """
    with st.container(key=f"panel-{name}"):
        st.fragment(_look, run_every=None if one.finished else POLL_S)(one, draw, doing, one.finished)


def _look(one: Work, draw: Callable[[Any], None], doing: str, was: bool) -> None:
    if one.finished and not was:
        st.rerun()  # the page is drawn anew without looking again every second
    if one.trouble:
        st.html(f'<div class="ec"><p class="wrong" role="alert">▲ {escape(one.trouble)}</p></div>')
    elif one.finished:
        draw(one.result)
    else:
        far = f", {one.done} of {one.of}" if one.of else ", waiting for its turn" if not one.done else ""
        st.html(f'<div class="ec waiting"><p class="said">○ {escape(doing)}{far}</p>{_track(one)}</div>')
