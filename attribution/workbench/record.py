"""The record page, a notebook: what was promised, what was measured (other methods beside ours), what fell short."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from attribution.figures import html_table
from attribution.workbench import kept, panels, promises, sampled
from attribution.workbench.shell import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEPT = ROOT / "data" / "calibration"
PEERS = KEPT / "peers.csv"
WORLDS = {
    "surge": "The ad, under a surge",
    "surge without ad": "A surge, no effect",
    "clean": "The ad alone",
    "break without ad": "A break, no effect",
}
"""The worlds of `make bench-peers`, and what happens in each."""
HEADS = ("Method", "Bias", "Error (RMSE)", "Covered (95%)", "Claims an effect", "CPU", "Memory")
"""Columns of the table."""


class Kept(NamedTuple):
    """A kept table: its file, the command that prints it, and what is measured, in a sentence."""

    file: str
    command: str
    said: str


FILES = {
    "goals": Kept(
        "goals.csv",
        "make calibrate",
        "Every goal stood before the runs, and none is moved. One is not met when a test on the events rejects it; it "
        "is open while they are too few to say.",
    ),
    "worlds": Kept(
        "worlds.csv",
        "make calibrate",
        "Each world sets one trap, and its truth is known. Errors are shares of what the ad adds, or of what came "
        "without it; the oracle knows everything but the noise of counting; watched is a claim at any look.",
    ),
    "blind": Kept(
        "blind.csv",
        "make calibrate",
        "Every nuisance of every event is drawn: noise, surge, rate, regions, kernel, the feed. Errors are shares of "
        "what came without the ad; the oracle is told kernel and hyper-parameters, which the model has to learn.",
    ),
    "real": Kept(
        "real.csv",
        "make calibrate-real",
        "Moments of real series at which no ad ran: any claim is false. Usual tests judged the same moments.",
    ),
    "published": Kept(
        "published.csv",
        "make calibrate-real",
        "Public tables whose answer is published, through the same analysis.",
    ),
    "dense": Kept(
        "dense.csv",
        "make calibrate-dense",
        "Weeks of minutes with hundreds of airings whose responses run into each other, no region spared: the total, "
        "the groups by creative and network, the single airings. Errors are shares of the truth; without an effect, of "
        "as many ordinary minutes.",
    ),
    "agreement": Kept(
        "agreement.csv",
        "make calibrate-posterior",
        "The same worlds answered twice: by the fast fit, and by the full posterior that it stands in for.",
    ),
    "ranks": Kept(
        "sbc.csv",
        "make calibrate-posterior",
        "Truths and counts drawn from the model's own prior, then sampled: the ranks of the truths among the draws are "
        "uniform where prior, likelihood and sampler belong together (Talts et al. 2018).",
    ),
    "peers": Kept(
        "peers.csv",
        "make bench-peers",
        "Every method answers for the same simulated events, used as its documentation tells a careful user.",
    ),
}
"""Every kept table that the page shows."""


def show() -> None:
    """Show the whole page."""
    tables = {name: kept.read(KEPT / one.file) for name, one in FILES.items() if name != "peers"}
    goals, short = tables["goals"], promises.short_of(tables)
    _bar(goals)
    _panel("goals", "1 · What was promised", goals, kept.goals_html)
    _worlds(tables["worlds"])
    _panel("blind", "2 · Measured: every nuisance drawn", tables["blind"], lambda t: kept.blind_html(t, _least(goals)))
    _panel("real", "2 · Measured: real series", tables["real"], _real)
    _panel("published", "2 · Measured: published answers", tables["published"], kept.published_html)
    _panel("dense", "2 · Measured: dense schedules", tables["dense"], kept.dense_html)
    _panel("agreement", "2 · Measured: fast fit and full posterior", tables["agreement"], sampled.agreement_html)
    _panel("ranks", "2 · Measured: the full posterior against its own prior", tables["ranks"], sampled.ranks_html)
    _peers()
    with st.container(key="panel-short"):
        title = panels.title("3 · What fell short", f"{sum(map(len, short.values()))} lines")
        st.html(f'<div class="ec" id="short">{title}{kept.short_html(short)}</div>')


def _bar(goals: pd.DataFrame | None) -> None:
    """Show how many goals are met, failures first."""
    if goals is None:
        st.html(panels.bar("no record", missing(FILES["goals"]), [], claims=False))
        return
    failed = int((goals["met"] == "no").sum())
    facts = [f"measured <b>{dates(goals).removeprefix('measured ')}</b>", '<a href="#short">what fell short</a>']
    st.html(panels.bar(f"{failed} not met", promises.tally(goals), facts, claims=False))


def missing(one: Kept) -> str:
    """Say that a table is not there, and what makes it."""
    return f"There is no {one.file} yet: {one.command} makes it, beside the data of the project."


def _head(name: str, title: str, table: pd.DataFrame | None) -> str:
    """Write the head of a panel: its title, what is measured, and the command that prints it."""
    one = FILES[name]
    if table is None:
        return f'{panels.title(title)}<p class="lead">{escape(missing(one))}</p>'
    said = f'<p class="said">{escape(one.said)} <code>{escape(one.command)}</code></p>'
    return panels.title(title, dates(table)) + said


def _panel(name: str, title: str, table: pd.DataFrame | None, write: Callable[[pd.DataFrame], str]) -> None:
    """Show one kept table, or say that it is not there."""
    with st.container(key=f"panel-{name}"):
        st.html(f'<div class="ec">{_head(name, title, table)}{"" if table is None else write(table)}</div>')


def _worlds(table: pd.DataFrame | None) -> None:
    """Show the simulated worlds, a part at a time."""
    with st.container(key="panel-worlds"):
        st.html(f'<div class="ec">{_head("worlds", "2 · Measured: simulated worlds", table)}</div>')
        if table is not None:
            part = _choice("Worlds", kept.VIEWS, "part")
            st.html(f'<div class="ec">{kept.worlds_html(table, part)}</div>')


def _real(table: pd.DataFrame) -> str:
    added = "A known response, added to the same series: whole events over two minutes."
    return f'{kept.fakes_html(table)}<p class="label">{added}</p>{kept.added_html(table)}'


def _least(goals: pd.DataFrame | None) -> str:
    """Return the goal of every part of the blind family, as it is promised; without goals, that of any interval."""
    found = [] if goals is None else goals.loc[goals["figure"] == "coverage in the worst quarter", "goal"].tolist()
    return found[0] if found else promises.COVERED


def _choice(label: str, names: dict[str, str], key: str) -> str:
    """Let the reader choose one of a few; the first to begin with."""
    chosen = st.segmented_control(
        label, list(names), default=next(iter(names)), format_func=names.__getitem__, required=True, key=key
    )
    return str(chosen)


def _peers() -> None:
    """Show what other methods made of the same events, a world at a time."""
    table = read(PEERS) if PEERS.exists() else None
    with st.container(key="panel-peers"):
        st.html(f'<div class="ec">{_head("peers", "2 · Measured: beside other methods", table)}</div>')
        if table is not None:
            st.html(f'<div class="ec">{peers_html(table, _choice("World", WORLDS, "world"))}</div>')


def read(path: Path) -> pd.DataFrame:
    """Read the kept table; its words are words, also where they are empty."""
    words = ["world", "method", "package", "version", "seeds", "events", "date", "note"]
    table = pd.read_csv(path, dtype=dict.fromkeys(words, str))
    return table.assign(**{name: table[name].fillna("") for name in words})


def dates(table: pd.DataFrame) -> str:
    """Say when the table was made."""
    first, last = table["date"].min(), table["date"].max()
    return f"measured {first}" if first == last else f"measured {first} to {last}"


def peers_html(table: pd.DataFrame, world: str) -> str:
    """Write one world's table, a method a row; a method that could not answer says why.

    Parameters
    ----------
    table
        As `make bench-peers` keeps it, a row a world and method.
    world
        A key of :data:`WORLDS`.

    Returns
    -------
    HTML; a dash stands where a method says nothing.
    """
    rows = table[table["world"] == world]
    body = html_table(HEADS, [_row(row) for _, row in rows.iterrows()])
    known = rows.dropna(subset="truth")
    of = "what the ad added" if len(known) and known["truth"].iloc[0] else "what came without it: the ad adds nothing"
    foot = (
        f'<p class="label">{escape(WORLDS[world])}</p><p class="said">One spot in 45 minutes, three regions of four. '
        f"Bias and error are shares of {of}. A method without an interval or a test cannot claim.</p>"
    )
    return body + foot


def _row(row: pd.Series) -> list[str]:
    """Write the cells of one method; one that could not answer says why in the place of its figures."""
    which = " ".join(word for word in (row["package"], row["version"]) if word)
    name = kept.named(row["method"], which, _events(row))
    if row["note"]:
        return [name, escape(row["note"])]
    shares = [_percent(row["bias"], "+"), *(_percent(row[column]) for column in ("rmse", "coverage", "claimed"))]
    return [name, *shares, f"{row['cpu_s']:.2g} s", f"{row['peak_mb']:.0f} MB"]


def _events(row: pd.Series) -> str:
    """Say on how many events a row stands."""
    failed = f", {row['failed']:.0f} failed" if row["failed"] else ""
    return f"{row['answers']:.0f} events{failed}"


def _percent(share: float, sign: str = "") -> str:
    """Write a share in whole percent; a dash where it is unknown."""
    return "—" if pd.isna(share) else f"{share:{sign}.0%}".replace("-", "−")
