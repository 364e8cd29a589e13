"""The record page: what each method got right and wrong on the same simulated events, ours among them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attribution.workbench import panels
from attribution.workbench.shell import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PEERS = ROOT / "data" / "calibration" / "peers.csv"
WORLDS = {
    "surge": "The ad, under a surge",
    "surge without ad": "A surge, no effect",
    "clean": "The ad alone",
    "break without ad": "A break, no effect",
}
"""The worlds of `make bench-peers`, and what happens in each."""
HEADS = ("Method", "Bias", "Error (RMSE)", "95% interval covered", "Claims an effect", "CPU", "Memory")
"""Columns of the table."""
MISSING = "There is no record yet: <b>make bench-peers</b> makes one, beside the data of the project."


def show() -> None:
    """Show the whole page."""
    with st.container(key="panel-peers"):
        if not PEERS.exists():
            st.html(f'<div class="ec">{panels.title("Beside other methods")}<p class="lead">{MISSING}</p></div>')
            return
        head = st.empty()
        names = list(WORLDS)
        world = st.segmented_control(
            "World", names, default=names[0], format_func=WORLDS.__getitem__, required=True, key="world"
        )
        kept = read(PEERS)
        head.html(f'<div class="ec">{panels.title("Beside other methods", dates(kept))}</div>')
        st.html(f'<div class="ec">{peers_html(kept, str(world))}</div>')


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
    heads = "".join(f"<th>{escape(name)}</th>" for name in HEADS)
    body = "".join(f"<tr>{_row(row)}</tr>" for _, row in rows.iterrows())
    known = rows.dropna(subset="truth")
    of = "what the ad added" if len(known) and known["truth"].iloc[0] else "what came without it: the ad adds nothing"
    foot = (
        f'<p class="label">{escape(WORLDS[world])}</p><p class="lead">One spot in 45 minutes, three regions of four. '
        f"Bias and error are shares of {of}. A method without an interval or a test cannot claim.</p>"
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>{foot}'


def _row(row: pd.Series) -> str:
    """Write the cells of one method."""
    which = " ".join(word for word in (row["package"], row["version"]) if word)
    name = f"<td>{escape(row['method'])}<small>{escape(which)}, {_events(row)}</small></td>"
    if row["note"]:
        return f'{name}<td colspan="{len(HEADS) - 1}">{escape(row["note"])}</td>'
    shares = [_percent(row["bias"], "+"), *(_percent(row[column]) for column in ("rmse", "coverage", "claimed"))]
    cost = [f"{row['cpu_s']:.2g} s", f"{row['peak_mb']:.0f} MB"]
    return name + "".join(f"<td>{cell}</td>" for cell in (*shares, *cost))


def _events(row: pd.Series) -> str:
    """Say on how many events a row stands."""
    failed = f", {row['failed']:.0f} failed" if row["failed"] else ""
    return f"{row['answers']:.0f} events{failed}"


def _percent(share: float, sign: str = "") -> str:
    """Write a share in whole percent; a dash where it is unknown."""
    return "—" if pd.isna(share) else f"{share:{sign}.0%}".replace("-", "−")
