"""Charts of files that were brought: what each spans, and where the responses say the clocks stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from attribution.theme import chart_config, palette

if TYPE_CHECKING:
    from attribution.alignment import Offset
    from attribution.charts import Layers
    from attribution.files import Files

ROW = 26
"""Pixels of a file's row."""
AXIS = 58
"""Pixels below the rows: a chart as wide as its panel holds its axis within its height."""
CURVE = 190


def spans(files: Files, *, mode: str = "light") -> Layers:
    """Draw what each file spans, the airings as ticks, on one axis of time."""
    colours = palette(mode)
    rows = pd.DataFrame(
        [
            {"file": m.path.name, "first": m.first, "last": m.last, "role": m.role}
            for m in files.members
            if not pd.isna(m.first)
        ]
    )
    starts = pd.DataFrame({"start": files.airings["start"], "airing": files.airings["airing"]})
    starts["file"] = next((m.path.name for m in files.members if m.role in {"airings", "exposures"}), "")
    order = list(rows["file"])
    y = alt.Y("file:N", title=None, sort=order, axis=alt.Axis(labelLimit=150, grid=False))
    short = len(rows) > 0 and rows["last"].max() - rows["first"].min() < pd.Timedelta("1D")
    axis = alt.Axis(tickCount=6, format="%H:%M" if short else "%d %b %H:%M", labelOverlap=True)
    x = alt.X("first:T", title="UTC", scale=alt.Scale(type="utc"), axis=axis)
    held = alt.Chart(rows).encode(y=y, tooltip=["file:N", "role:N", "first:T", "last:T"])
    bars = held.mark_bar(height=8, color=colours.counterfactual, opacity=0.75).encode(x=x, x2="last:T")
    ticks = alt.Chart(starts).mark_tick(color=colours.effect_text, thickness=2, height=16)
    marks = ticks.encode(x="start:T", y=y, tooltip=["airing:N", "start:T"])
    chart = alt.layer(bars, marks).properties(height=ROW * max(len(order), 1) + AXIS)
    return chart.configure(**chart_config(mode))


def offset_curve(offset: Offset, *, mode: str = "light") -> Layers:
    """Draw how well a response fits at each clock offset, the interval where it is told, and no offset at all."""
    colours = palette(mode)
    x = alt.X("offset_s:Q", title="added to the airings' times, s", axis=alt.Axis(tickCount=8, format="+d"))
    y = alt.Y("score:Q", title="response, sd", axis=alt.Axis(tickCount=4))
    line = alt.Chart(offset.curve).mark_line(color=colours.observed, strokeWidth=1.4).encode(x=x, y=y)
    zero = alt.Chart(pd.DataFrame({"at": [0.0]})).mark_rule(color=colours.muted, strokeDash=[3, 3]).encode(x="at:Q")
    layers = [zero, line]
    if offset.told:
        band = pd.DataFrame({"low": [offset.lower], "high": [offset.upper], "at": [offset.seconds]})
        area = alt.Chart(band).mark_rect(color=colours.effect, opacity=0.25).encode(x="low:Q", x2="high:Q")
        layers = [area, zero, line, alt.Chart(band).mark_rule(color=colours.effect_text).encode(x="at:Q")]
    return alt.layer(*layers).properties(height=CURVE).configure(**chart_config(mode))
