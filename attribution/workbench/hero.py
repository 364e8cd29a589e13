"""The velocity chart of the live page: pushed by the server ten times a second, or drawn anew with its fragment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from attribution.workbench import paths, seat
from attribution.workbench.panels import chart_key

if TYPE_CHECKING:
    from attribution.workbench.look import Look
    from attribution.workbench.watch import Watch

WHOLE = "live-hero-whole"
"""Set while the page itself is drawn: its chart is then given all that it shows."""
PARTS = f"""<div class="velocity"><div class="told"></div>{chart_key()}
<div class="plot"><canvas role="img" aria-label="Conversion velocity"></canvas>
<div class="cursor" role="slider" tabindex="0" aria-label="Read the chart at a moment" aria-valuemin="0"
 aria-valuemax="0" aria-valuenow="0"></div><div class="tip ec" hidden></div><p class="late ec" role="status"></p></div>
<div class="parts-of"></div><p class="heard"></p></div>"""
"""What the chart is made of; ``hero.js`` fills it."""
CHART = st.components.v2.component(  # pyright: ignore[reportAttributeAccessIssue]  it is loaded when first asked for
    "event_command_velocity",
    html=PARTS,
    js=(Path(__file__).parent / "hero.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def begin() -> None:
    """Give the chart of this page all it shows, once."""
    st.session_state[WHOLE] = True


def hero(feed: Watch, now: Look, *, key: str, figures: bool = True) -> None:
    """Draw the chart of a look, which then follows the feed by itself where the browser hears it.

    Parameters
    ----------
    feed
        What is watched.
    now
        What this session sees: of the past, it stands still.
    key
        Of the chart on its page.
    figures
        Show the figures around it as well.
    """
    live = seat.seat() is None
    whole, heard = st.session_state.pop(WHOLE, False), bool(st.session_state.get(key, {}).get("pushed"))
    drawn: dict[str, Any] | None = None
    if whole or not heard or not live:
        drawn = {**feed.drawing(now), "taken": round(time.time() * 1000, 1)}
    data = {"address": paths.beat(feed.pulse.token) if live else "", "drawing": drawn, "figures": figures}
    CHART(data=data, key=key, on_pushed_change=lambda: None)
