"""The row above the instrument: which data, which world, how far a replay stands, presets, saving and sharing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from attribution.settings import PRESETS, Settings
from attribution.trials import EVERY
from attribution.workbench import desk, tune_controls
from attribution.workbench.shell import ROOT
from attribution.workbench.tune_sources import HELD
from attribution.workbench.tune_view import FILES, LIVE, WORLD, TuneView, tune_view

if TYPE_CHECKING:
    from attribution.workbench.tune_sources import Subject

KINDS = ("blind", *(name for name in EVERY if name != "blind"))
WORDS = {WORLD: "Simulated world", LIVE: "Live event", FILES: "Files of the data page"}


def asked(own: tuple[str, ...] = ()) -> TuneView:
    """Return the view: what the address asks for when a session begins, what the session made of it from then on.

    A browser's address lags behind the page that writes it, so it is read once; a link or a reload is a new session.
    ``own`` are parameters that a page reads for itself.
    """
    state = st.session_state
    if "tune-view" not in state:
        query = {name: st.query_params.get_all(name) for name in st.query_params if name not in own}
        state["tune-view"] = tune_view(query, desk.samples(ROOT / "data"))
    if any(tune_controls.PREFIX + control.name not in state for control in tune_controls.CONTROLS):
        tune_controls.put(state["tune-view"].settings)
    return state["tune-view"]


def go(**changes: Any) -> None:
    """Look at other data: the settings stay.

    The page writes the address: what a callback writes there is lost on its way to the browser.
    """
    st.session_state["tune-view"] = replace(st.session_state["tune-view"], complaints=(), **changes)


def deal() -> None:
    """Deal another world of the chosen kind; a named event becomes a blind one."""
    view: TuneView = st.session_state["tune-view"]
    seed = int(np.random.default_rng().integers(1, 100_000))
    st.session_state.pop("tune-revealed", None)
    go(data=WORLD, world=view.world if view.data == WORLD else "blind", seed=seed, until=None, airing="")


def source(view: TuneView, data: Subject | None) -> None:
    """Draw the row; without data there is nothing to replay."""
    with st.container(key="source", horizontal=True, gap="small"):
        choose(view)
        if data is not None:
            pick_airing(view, data)
            _replay(view, data)
        _presets()
        _saving(view)


def choose(view: TuneView) -> None:
    """Let the analyst choose the data: a world, live, a sample, files."""
    samples = desk.samples(ROOT / "data")
    kinds = [WORLD, *([FILES] if HELD in st.session_state or view.data == FILES else []), LIVE, *samples]
    st.selectbox(
        "Data", kinds, index=kinds.index(view.data), key="pick-data", label_visibility="collapsed", width=200,
        format_func=lambda name: WORDS.get(name, f"Sample {name}"),
        on_change=lambda: go(data=st.session_state["pick-data"], until=None, airing=""),
    )  # fmt: skip
    if view.data == WORLD:
        st.selectbox(
            "Kind of world", KINDS, index=KINDS.index(view.world), key="pick-world", label_visibility="collapsed",
            width=190, on_change=lambda: go(world=st.session_state["pick-world"], until=None, airing=""),
        )  # fmt: skip
        st.button("Deal me another world", key="deal", on_click=deal)


def pick_airing(view: TuneView, data: Subject) -> None:
    """Let the analyst choose the airing, where there is more than one."""
    names = data.tuner.names
    if len(names) > 1:
        now = view.airing if view.airing in names else data.tuner.leading()
        st.selectbox(
            "Airing", names, index=names.index(now), key="pick-airing", label_visibility="collapsed", width=170,
            on_change=lambda: go(airing=st.session_state["pick-airing"]),
        )  # fmt: skip


def _replay(view: TuneView, data: Subject) -> None:
    """Let the analyst stand anywhere in a replay."""
    if data.longest_s < 10:
        return
    whole = data.longest_s if view.until is None else max(data.longest_s, view.until)
    with st.popover("Replay" if view.until is None else f"Replay: +{view.until} s"):
        st.slider(
            "Replay to so many seconds after the first airing", 0, whole, whole if view.until is None else view.until,
            key="pick-until", on_change=lambda: go(until=_stand(whole)),
        )  # fmt: skip
        st.button("Everything", key="whole", on_click=lambda: go(until=None), disabled=view.until is None)


def _stand(whole: int) -> int | None:
    """Return where the replay stands; None at its end."""
    at = int(st.session_state["pick-until"])
    return None if at >= whole else at


def _presets() -> None:
    st.html('<div class="ec"><span class="cap">Presets</span></div>', width="content")
    for name in PRESETS:
        st.button(name, key=f"preset-{name}", on_click=_preset, args=(name,))


def _preset(name: str) -> None:
    st.session_state["tune-preset"] = name
    tune_controls.put(Settings.preset(name))


def _saving(view: TuneView) -> None:
    """Let the analyst name and save these settings; the address carries them."""
    with st.popover("Save · share"):
        st.text_input("Name", key="save-name", placeholder="what these settings are", max_chars=40)
        st.button("Save these settings", key="save", type="primary", on_click=_save)
        st.caption("The address of this page holds data, settings and what is saved: copy it to share this very view.")
        for name, _ in view.saved:
            st.button(f"Forget {name}", key=f"forget-{name}", on_click=_forget, args=(name,))


def _save() -> None:
    view: TuneView = st.session_state["tune-view"]
    name = str(st.session_state["save-name"]).strip().replace("|", "/") or f"setting {len(view.saved) + 1}"
    kept = tuple((n, s) for n, s in view.saved if n != name)
    go(saved=(*kept, (name, view.settings)))


def _forget(name: str) -> None:
    view: TuneView = st.session_state["tune-view"]
    go(saved=tuple((n, s) for n, s in view.saved if n != name))
