"""Beneath the instrument: truth and grade, the locked plan, shares of the incremental, saved settings side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from attribution.handover import pack
from attribution.moves import Grade, grade
from attribution.planning import Plan, difference, draft, lock, verify
from attribution.settings import Settings
from attribution.workbench import panels, tune_panels
from attribution.workbench.roles import barred

if TYPE_CHECKING:
    from attribution.finger import Finger
    from attribution.workbench.tune_sources import Subject
    from attribution.workbench.tune_view import TuneView

PLAN = "tune-plan"


def plan() -> Plan | None:
    """Return the locked plan of this session; None without one."""
    return st.session_state.get(PLAN)


@st.fragment
def show(data: Subject, airing: str) -> None:
    """Show the panels."""
    left, middle, right = st.columns(3, gap="small")
    with left, st.container(key="panel-truth"):
        _truth(data, airing)
    with middle, st.container(key="panel-plan"):
        _plan(data, airing)
    with right, st.container(key="panel-shares"):
        st.html(f'<div class="ec">{panels.title("Shares of the incremental", "under the Dirichlet priors")}</div>')
        said: Finger | None = st.session_state.get("tune-said")
        if said is not None and said.modelled:
            st.html(tune_panels.shares_html(data.tuner.shares(said.settings, airing)))
    with st.container(key="panel-compare"):
        _compare(data, airing)
    with st.container(key="panel-handover"):
        _hand_on(data, airing)


def _truth(data: Subject, airing: str) -> None:
    """Reveal the truth of a simulated world and grade the answer; each world is graded once, at the first look."""
    st.html(f'<div class="ec">{panels.title("Truth and grade", "simulated worlds only")}</div>')
    said: Finger | None = st.session_state.get("tune-said")
    if data.world is None:
        st.html('<div class="ec"><p class="said">Nobody knows the truth of these data.</p></div>')
        return
    if said is None or not said.modelled:
        st.html('<div class="ec"><p class="said">There is no answer to grade yet.</p></div>')
        return
    if not st.toggle("Reveal the truth", key="tune-revealed"):
        words = "Answer first, then look: the first answer you reveal is the one that is graded."
        st.html(f'<div class="ec"><p class="said">{words}</p></div>')
        return
    given = grade(said, data.world.truth.incremental(airing, said.window_s))
    graded: dict[tuple, Grade] = st.session_state.setdefault("tune-graded", {})
    graded.setdefault((data.world.scenario.title, data.world.seed, airing), given)
    st.html(tune_panels.truth_html(given, list(graded.values())))


def _plan(data: Subject, airing: str) -> None:
    """Show locked and tuned answers side by side, or let a plan be brought or locked."""
    st.html(f'<div class="ec">{panels.title("Locked plan", "what was promised")}</div>')
    brought = st.file_uploader(
        "A plan that `attribution plan lock` wrote", type="json", key="tune-plan-file", max_upload_size=1
    )
    if brought is not None:
        try:
            st.session_state[PLAN] = Plan.from_json(brought.getvalue().decode("utf-8", "replace"))
        except ValueError as error:
            st.html(f'<p class="ec wrong" role="alert">▲ {escape(str(error))}</p>')
    if why := barred():
        st.html(panels.lead(why))
    else:
        st.button("Lock these settings", key="tune-lock", on_click=_lock, args=(data,))
    locked = plan()
    if locked is None:
        return
    st.download_button("Save the plan", locked.to_json(), "plan.json", "application/json", key="tune-plan-save")
    said: Finger | None = st.session_state.get("tune-said")
    try:
        promised = data.tuner.finger(Settings(**dict(locked.settings)), airing)
    except (TypeError, ValueError) as error:
        st.html(f'<p class="ec wrong" role="alert">▲ The plan cannot be answered here: {escape(str(error))}</p>')
        return
    if said is not None:
        st.html(tune_panels.compared_html([("locked", "", promised), ("tuned", "", said)], whole=False))
        st.html(f'<div class="ec"><p class="said">{escape(_kept(locked, data, said))}</p></div>')


def _lock(data: Subject) -> None:
    """Lock the settings at the end of the data: late where an airing had begun by then, and said so."""
    view: TuneView = st.session_state["tune-view"]
    tuner = data.tuner
    st.session_state[PLAN] = lock(view.settings, tuner.airings, tuner.counts, at=tuner.counts.end, late=True)


def _kept(locked: Plan, data: Subject, said: Finger) -> str:
    """Say whether the plan is what it was, when it was locked, and what differs from it."""
    if not verify(locked):
        return "The plan was altered after it was locked: its hash does not fit."
    when = f"Locked {locked.locked_at}{', after the first airing had begun' if locked.late else ''}."
    here = set(data.tuner.names)
    now = draft(said.settings, data.tuner.airings, data.tuner.counts, family=[n for n in locked.family if n in here])
    lines = difference(locked, now)
    return f"{when} {'Differs: ' + '; '.join(lines) if lines else 'Nothing was changed since'}."


def _compare(data: Subject, airing: str) -> None:
    """Show what is saved beside what is shown now."""
    view: TuneView = st.session_state["tune-view"]
    said: Finger | None = st.session_state.get("tune-said")
    st.html(f'<div class="ec">{panels.title("Saved settings, side by side", f"{len(view.saved)} saved")}</div>')
    if not view.saved or said is None:
        words = "Save settings under a name, and their answers stand here beside the present one, each with its link."
        st.html(f'<div class="ec"><p class="said">{words}</p></div>')
        return
    rows = [("now", "", said)]
    for name, settings in view.saved:
        data.trail.look(settings, airing)
        rows.append((name, view.link(settings), data.tuner.finger(settings, airing)))
    st.html(tune_panels.compared_html(rows))


def _hand_on(data: Subject, airing: str) -> None:
    """Offer the checked answer with its data and a notebook that gives every digit again; packed when asked for."""
    st.html(
        f'<div class="ec">{panels.title("Hand it on", "answer, data and a notebook that checks every figure")}</div>'
    )
    said: Finger | None = st.session_state.get("tune-said")
    result = None if said is None else st.session_state["tune-checker"].analysis(said.settings, airing)
    if result is None:
        words = (
            "Once every look is checked, this answer can be saved with its data and a notebook that computes it anew."
        )
        st.html(f'<div class="ec"><p class="said">{words}</p></div>')
        return
    st.download_button(
        "Save answer, data and notebook",
        lambda: pack(result),
        f"answer-{result.fingerprint[:8]}.zip",
        "application/zip",
        key="tune-handover",
        on_click="ignore",
    )
