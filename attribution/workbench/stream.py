"""The stream page: how the engine does, what it is made of, and what became of it under the drills."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attribution.figures import html_table
from attribution.stream.bulletin import HEADS, TOPOLOGY, WAY, Drilled, Tile, drills, headline, passed, tiles
from attribution.workbench import panels
from attribution.workbench.cards import card
from attribution.workbench.live import FAST, opened
from attribution.workbench.shell import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from attribution.workbench.watch import Watch

RECORD = ROOT / "data" / "drill.csv"
SAID = (
    "Events reordered, late, sent twice, never sent, damaged; clocks set wrong; the disk full; the node killed at "
    "random moments. Afterwards every second and cell is held against the truth. A node that acknowledges before it "
    "writes, and one that does not know repeats, have to fail."
)


def show() -> None:
    """Show the whole page."""
    feed = opened()
    _now(feed)
    with st.container(key="panel-way"):
        st.html(f'<div class="ec">{way_html()}</div>')
    with st.container(key="panel-alerts"):
        _alerts(feed)
    with st.container(key="panel-drill"):
        st.html(f'<div class="ec">{drill_html(RECORD)}</div>')


@st.fragment(run_every=FAST)
def _now(feed: Watch) -> None:
    seen, health = feed.snapshot(), feed.vault.health()
    counts = len(seen.counts.start) > 0 and not seen.metrics.received
    word, sentence = headline(seen.state, health, seen.error, counts=counts)
    facts = [
        f"event <b>{seen.now:%H:%M:%S}</b> UTC",
        "topology <b>one process</b>",
        '<a href="#drill">the last drill</a>',
    ]
    sign, _ = panels.STATES.get(seen.state, ("▲", "bad"))
    st.html(panels.bar(word, sentence, facts, claims=False, sign=sign))
    st.html(tiles_html(tiles(health, seen.metrics)))


@st.fragment(run_every=FAST)
def _alerts(feed: Watch) -> None:
    st.html(f'<div class="ec">{alerts_html(feed.vault.alerts)}</div>')


def tiles_html(given: list[Tile]) -> str:
    """Write the figures."""
    return f'<div class="ec kpis even">{"".join(card(*map(escape, tile)) for tile in given)}</div>'


def way_html() -> str:
    """Write what the engine is made of."""
    said = f'<p class="lead">{escape(TOPOLOGY)}</p><p class="said">{escape(WAY)}</p>'
    return panels.title("Topology", "one process") + said


def alerts_html(alerts: list[tuple[int, str]]) -> str:
    """Write the alerts of the node, newest first."""
    top = panels.title("Alerts", f"{len(alerts)}")
    if not alerts:
        return f'{top}<p class="said">None since the engine was started.</p>'
    rows = [(f"{pd.Timestamp(at, unit='ns'):%H:%M:%S}", escape(text)) for at, text in reversed(alerts)]
    return top + html_table(("Time", "What"), rows, words=True)


def drill_html(path: Path) -> str:
    """Write the record of the last drill, or say what makes one."""
    try:
        record = drills(path)
    except OSError:
        missing = f"There is no {path.name} yet: make drill makes it, beside the data of the project."
        return f'<span id="drill"></span>{panels.title("Drill")}<p class="lead">{escape(missing)}</p>'
    made = pd.read_csv(path, dtype=str)
    date, version = (", ".join(sorted(set(made[name]))) for name in ("date", "version"))
    return (
        f'<span id="drill"></span>{panels.title("The last drill", f"measured {escape(date)}")}'
        f'<p class="lead">{escape(passed(record))}</p><p class="said">{escape(SAID)} <code>make drill</code></p>'
        f'{html_table(HEADS, [_row(one) for one in record])}<p class="from">version {escape(version)}</p>'
    )


def _row(one: Drilled) -> list[str]:
    """Write a drill; one that had to fail and did is no failure, and says so."""
    small = "<small>has to fail</small>" if one.teeth else ""
    good = (one.exact == 0) if one.teeth else (one.exact == one.runs)
    first, *rest = map(escape, one.cells)
    sign, colour = ("●", "good") if good else ("▲", "bad")
    return [f"{escape(one.name)}{small}", f'<b class="{colour}">{sign}</b> {first}', *rest]
