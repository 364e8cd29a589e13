"""The charts of the live page but the first: constant specifications, data packed once for all who look."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.dataframe_util import convert_anything_to_arrow_bytes as packed

from attribution import charts, plotted
from attribution.workbench import panels
from attribution.workbench.shell import mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from attribution.workbench.look import Look
    from attribution.workbench.watch import Watch

EMBEDDED = 600
"""Vega keeps some memory at each of its updates: after so many the chart is embedded anew."""


def chart(spec: dict[str, Any], frames: Mapping[str, pd.DataFrame | bytes], *, key: str, alt: str = "") -> None:
    """Draw a constant specification with fresh data: no compiling, no flicker. ``alt`` says what it shows, in words.

    The words stand beside the chart, for those who hear it: inside the specification they would embed it anew.
    """
    count = st.session_state.get(f"drawn-{key}", 0) + 1
    st.session_state[f"drawn-{key}"] = count
    spec = {**spec, "datasets": {**records(frames), **_key()}}
    st.vega_lite_chart(None, spec, theme=None, key=f"{key}-{mode()}-{count // EMBEDDED}")
    if alt:
        st.html(f'<p class="heard">{alt}</p>')


def records(frames: Mapping[str, pd.DataFrame | bytes]) -> dict[str, bytes]:
    """Return the data sets of a chart as Arrow carries them; what was packed before is taken as it is."""
    return {name: rows if isinstance(rows, bytes) else packed(plotted.records(rows)) for name, rows in frames.items()}


@cache
def _key() -> dict[str, bytes]:
    return records({"key": plotted.KEY})


def path(feed: Watch, now: Look) -> None:
    """Draw the path of the e-value against its threshold."""
    result = now.result
    if result is None or now.row is None:
        st.html(panels.lead(f"The path of the e-value begins with the airing: {now.why('e_value')}."))
        return
    frames = feed.once("path", result, lambda: records(plotted.evidence_frames(result)))
    chart(charts.evidence_spec(mode()), frames, key="path", alt=panels.path_words(now))
    st.html(panels.path_note(now))


def amount(feed: Watch, now: Look) -> None:
    """Draw the incremental so far, at every look."""
    result = now.result
    drawn = {} if result is None else feed.once("amounts", result, lambda: plotted.amount_frames(result))
    if result is None or now.row is None or drawn["amount"].empty:
        st.html(panels.lead(f"It begins with the airing: {now.why('incremental')}."))
        return
    frames = feed.once("amount", result, lambda: records(drawn))
    chart(charts.amount_spec(mode()), frames, key="amount", alt=panels.amount_words(now))


def response(feed: Watch, now: Look) -> None:
    """Draw the lag from exposure to conversion."""
    result, row = now.result, now.row
    if result is None or row is None or result.kernel.empty:
        st.html(panels.lead(f"It begins with the airing: {now.why('response_peak')}."))
        return
    frames = feed.once("response", result, lambda: records(plotted.response_frames(result, str(row["airing"]))))
    chart(charts.response_spec(mode()), frames, key="response", alt=panels.response_words(now))
