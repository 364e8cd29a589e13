"""The full posterior beside the fast answer: asked for with a button, followed while it runs, then compared."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from attribution import sampling
from attribution.figures import between, figure, html_table
from attribution.model.diagnosis import two_modes
from attribution.model.sensitivity import LEANS
from attribution.tables import count_of
from attribution.workbench import panels

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.finger import Finger
    from attribution.inference import Posterior
    from attribution.settings import Settings

DRAWS, CHAINS = 1000, 4
RUNNING = ("starting", "compiling", "sampling", "longer")
PART_SD, PART_RATIO = 0.25, 0.10
"""They part where the means differ by more of the fast answer's sd, or the sds by a larger share."""
KEY, REFUSED = "tune-run", "tune-refused"


class Asked(NamedTuple):
    """A run with the settings and the airing it was asked for."""

    settings: Settings
    airing: str
    run: sampling.Run


def ahead(result: Analysis) -> str:
    """Have the sampler compile for data of this shape, once a session and shape; returns its state in words."""
    shape = (len(result.total), result.series["region"].nunique() if len(result.series) else 0, len(result.table))
    try:
        if st.session_state.get("tune-warmed") != shape and len(result.total):
            st.session_state["tune-warmed"] = shape
            sampling.warm(result)
        return sampling.state()
    except ValueError as error:
        return f"failed: {error}"


def start(result: Analysis, said: Finger) -> None:
    """Start the full posterior with these very settings; one that runs for other settings is cancelled."""
    state = st.session_state
    before: Asked | None = state.get(KEY)
    if before is not None:
        before.run.cancel()
    state.pop(REFUSED, None)
    try:
        run = sampling.start(result, draws=DRAWS, chains=CHAINS, rng=0)
    except ValueError as error:
        state[REFUSED] = f"The full posterior cannot run: {error}."
        return
    state[KEY] = Asked(said.settings, said.airing, run)


def asked() -> Asked | None:
    """Return the run of this session; None where none was asked for."""
    return st.session_state.get(KEY)


def draws(said: Finger) -> np.ndarray | None:
    """Return the full posterior's draws of the incremental, where they are of the answer that is shown."""
    one = asked()
    if one is None or (one.settings, one.airing) != (said.settings, said.airing):
        return None
    if one.run.progress().state != "done":
        return None
    posterior = one.run.posterior()
    names = list(posterior.incremental["airing"])
    return np.asarray(posterior.draws)[:, names.index(said.airing)] if said.airing in names else None


def running() -> bool:
    """Whether the full posterior of this session is being worked on."""
    one = asked()
    return one is not None and one.run.progress().state in RUNNING


def show(said: Finger, result: Analysis | None, *, rested: bool) -> None:
    """Show the button, the progress, or the answer; the sampler is made ready once everything else is answered."""
    one = asked()
    state = ahead(result) if one is None and rested and result is not None and said.modelled else _state(one)
    st.html(f'<div class="ec">{panels.title("Full posterior · PyMC", state)}</div>')
    if REFUSED in st.session_state:
        st.html(f'<p class="ec wrong" role="alert">▲ {escape(st.session_state[REFUSED])}</p>')
    if running() and one is not None:
        st.html(progress_html(one.run.progress()))
        st.button("Cancel", key="tune-cancel", on_click=one.run.cancel)
        return
    if one is not None:
        old = (one.settings, one.airing) != (said.settings, said.airing)
        now = one.run.progress()
        if now.state == "done":
            st.html(posterior_html(one.run.posterior(), one.airing, None if old else said, old=old))
        else:
            st.html(f'<div class="ec"><p class="said">{escape(_ended(now))}</p></div>')
    wait = "" if result is not None else " (when the looks are checked)"
    st.button(
        f"Run the full posterior with these settings{wait}",
        key="tune-sample",
        type="primary",
        disabled=result is None or not said.modelled,
        on_click=start if result is not None else None,
        args=(result, said),
        width="stretch",
    )


def _state(one: Asked | None) -> str:
    return "not run" if one is None else str(one.run.progress().state)


def _ended(now: sampling.Progress) -> str:
    if now.state == "cancelled":
        return "The run was cancelled; the fast answer stands."
    return f"The full posterior failed: {str(now.message).rstrip('.')}. The fast answer stands."


def progress_html(now: sampling.Progress) -> str:
    """Write how far a run is: draws, divergences, time left."""
    share = min(now.draws / now.total, 1.0) if now.total else 0.0
    left = f"about {now.seconds_left:.0f} s left" if _finite(now.seconds_left) else "time left is not known yet"
    words = f"{now.state}: {now.draws:,} of {now.total:,} draws, {count_of(now.divergences, 'divergence')}, {left}"
    said = f'<p class="said">{escape(now.message)}</p>' if now.message else ""
    return (
        f'<div class="ec"><p class="said" role="status">{escape(words)}</p>'
        f'<div class="track wide"><i style="width:{share:.0%}"></i></div>{said}</div>'
    )


def posterior_html(posterior: Posterior, airing: str, said: Finger | None, *, old: bool) -> str:
    """Write the full posterior beside the fast answer, how well it converged, and whether the two part.

    Parameters
    ----------
    said
        The fast answer of the same settings; None where it has moved on.
    """
    table = posterior.incremental
    if airing not in set(table["airing"]):
        return f'<div class="ec"><p class="said">The posterior has no figure of {escape(airing)}.</p></div>'
    row = table[table["airing"] == airing].iloc[0]
    lines = [["full posterior", *_cells(row["mean"], row["sd"], row["lower"], row["upper"])]]
    parted = ""
    if said is not None:
        mean, sd = moments(said)
        lines.insert(0, ["fast fit", *_cells(mean, sd, said.row["incremental_lower"], said.row["incremental_upper"])])
        parted = parting(mean, sd, float(row["mean"]), float(row["sd"]))
    state = '<b class="good">● OPTIMAL</b>' if posterior.optimal else f'<b class="bad">▲</b> {escape(posterior.advice)}'
    health = (
        f"R-hat {row['rhat']:.3f} · ESS {row['ess_bulk']:,.0f} bulk, {row['ess_tail']:,.0f} tail · "
        f"{count_of(posterior.divergences, 'divergence')} · E-BFMI {posterior.ebfmi:.2f} · "
        f"{sum(posterior.seconds.values()):.0f} s"
    )
    said_old = '<p class="said"><b>▲ OLD</b> of the settings before; run it again for these</p>' if old else ""
    lag = two_modes(posterior.peak_draws[:, list(table["airing"]).index(airing)])
    parted += f'<p class="said">{lag}</p>' if lag else ""
    leaning = leanings(posterior.sensitivity[posterior.sensitivity["airing"] == airing])
    out = f'<p class="said">{escape(posterior.left_out)}</p>' if posterior.left_out else ""
    return (
        f'<div class="ec{" old" * old}">{said_old}{html_table(("Answer", "Mean", "Sd", "Interval"), lines)}'
        f'<p class="said">{state}</p><p class="said">{health}</p>{parted}{leaning}{out}</div>'
    )


def leanings(mine: pd.DataFrame) -> str:
    """Say which priors an answer leans on: a line each; those that it does not lean on in one line (HTML).

    Examples
    --------
    >>> leanings(pd.DataFrame({"prior": ["lift", "lag"], "index": [0.0, 0.02], "sentence": ["", ""]}))
    '<p class="said">It leans on none of the priors that were tried: lift 0.00, lag 0.02.</p>'
    """
    free = mine["index"] < LEANS
    lines = "".join(f"<li>{escape(str(line))}</li>" for line in mine.loc[~free, "sentence"])
    tried = ", ".join(f"{escape(p)} {value:.2f}" for p, value in mine.loc[free, ["prior", "index"]].to_numpy())
    if not tried:
        return f"<ul>{lines}</ul>" if lines else ""
    which = "not on these" if lines else "on none of the priors that were tried"
    return (f"<ul>{lines}</ul>" if lines else "") + f'<p class="said">It leans {which}: {tried}.</p>'


def moments(said: Finger) -> tuple[float, float]:
    """Return mean and sd of the fast answer's incremental, from its density."""
    at, weight = said.amount["incremental"].to_numpy(), said.amount["posterior"].to_numpy()
    mean = float(np.average(at, weights=weight))
    return mean, float(np.sqrt(np.average((at - mean) ** 2, weights=weight)))


def parting(mean: float, sd: float, full_mean: float, full_sd: float) -> str:
    """Say whether the fast answer and the full posterior part, and by how much (HTML).

    Examples
    --------
    >>> "They agree" in parting(100.0, 10.0, 101.0, 10.2), "They part" in parting(100.0, 10.0, 106.0, 10.0)
    (True, True)
    """
    away, ratio = (full_mean - mean) / sd, full_sd / sd
    words = f"the means differ by {abs(away):.2f} of the fast answer's sd, the sds have the ratio {ratio:.2f}"
    if abs(away) <= PART_SD and abs(ratio - 1) <= PART_RATIO:
        return f'<p class="said"><b class="good">● They agree</b>: {words}.</p>'
    return f'<p class="said"><b class="bad">▲ They part</b>: {words}. Report both, or the full posterior.</p>'


def _cells(mean: float, sd: float, lower: float, upper: float) -> list[str]:
    span = between(lower, upper, "count")
    return [figure(mean, "count", (lower, upper)), figure(sd, "plain", (lower, upper)), span]


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(value)
