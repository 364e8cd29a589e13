"""Charts of comparing and planning: the specification curve with its choices, what a plan could show."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from attribution.charts import ends
from attribution.moves import NAMES, shown
from attribution.plates import finished, named
from attribution.specs import CHOICES, DETECTOR
from attribution.theme import palette

if TYPE_CHECKING:
    from collections.abc import Sequence

CURVE, TICK = 210, 12
"""Heights, pixels: of the curve, of a row of choices."""
LABELS = 170
"""Pixels that the labels of both charts take, so that a column of choices stands under its estimate."""
SPELT = {**NAMES, "kernel": "Kernel", "controls": "Controls", "baseline": "Baseline"}


def _rank() -> alt.X:
    scale = alt.Scale(nice=False, zero=False, domain=ends("window", "rank"))
    return alt.X("rank:Q", title=None, scale=scale, axis=None)


@cache
def curve_spec(mode: str) -> dict[str, Any]:
    """Compile the specification curve: amounts in order with their intervals."""
    colours = palette(mode)
    scale = alt.Scale(nice=False, zero=False, domain=ends("window", "amount"))
    axis = alt.Axis(tickCount=6, format="+,.0f", minExtent=LABELS, maxExtent=LABELS)
    x, y = _rank(), alt.Y("amount:Q", title="incremental conversions", scale=scale, axis=axis)
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    zero = named("zero").mark_rule(color=colours.muted).encode(y="zero:Q")
    base = named("rows").encode(x=x)
    colour = {
        "condition": [
            {"test": "datum.yours", "value": colours.effect_text},
            {"test": "datum.detector", "value": colours.bad},
            {"test": "datum.low > 0", "value": colours.ink},
        ],
        "value": colours.muted,
    }
    span = base.mark_rule(strokeWidth=1.2, opacity=0.55).encode(y=alt.Y("low:Q"), y2="high:Q", color=colour)
    point = base.mark_point(filled=True, opacity=1).encode(y="amount:Q", color=colour, size=alt.value(22))
    mine = base.transform_filter("datum.yours").mark_point(
        filled=True, size=95, opacity=1, color=colours.effect, stroke=colours.ink, strokeWidth=1
    )
    chart = alt.layer(frame, zero, span, point, mine.encode(y="amount:Q"))
    return finished(chart, mode, "Amounts under every specification, in order, with their intervals.", CURVE)


@cache
def choices_spec(mode: str, rows: int) -> dict[str, Any]:
    """Compile the choices under the curve: a mark where a specification takes a value."""
    colours = palette(mode)
    axis = alt.Axis(domain=False, labelLimit=LABELS, labelOverlap=False, minExtent=LABELS, maxExtent=LABELS)
    y = alt.Y("label:N", title=" ", sort=None, axis=axis)  # as wide as the title of the curve's axis
    frame = named("window").mark_point(opacity=0).encode(x=_rank())
    colour = alt.condition("datum.yours", alt.value(colours.effect_text), alt.value(colours.muted))
    marks = named("marks").mark_tick(thickness=1.6, height=8, orient="vertical").encode(x=_rank(), y=y, color=colour)
    chart = alt.layer(frame, marks)
    return finished(chart, mode, "Which choices each specification takes.", TICK * rows + 4)


def curve_frames(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Build the data sets of both charts from :func:`attribution.specs.spec_curve`."""
    known = table.dropna(subset="amount").reset_index(drop=True)
    rank = np.arange(len(known)) + 1.0
    low, high = np.nanquantile(known["lower"], 0.05), np.nanquantile(known["upper"], 0.95)
    low = min(0.0, float(known["amount"].min()), float(np.nan_to_num(low)))
    high = max(0.0, float(known["amount"].max()), float(np.nan_to_num(high)))
    room = 0.06 * max(high - low, 1.0)
    span = [low - room, high + room]
    rows = pd.DataFrame(
        {
            "rank": rank, "amount": known["amount"], "low": known["lower"].clip(lower=span[0]),
            "high": known["upper"].clip(upper=span[1]), "yours": known["yours"],
            "detector": known["baseline"] == DETECTOR,
        }
    )  # fmt: skip
    marks = []
    for name in (*CHOICES, "baseline"):
        for value in dict.fromkeys(known[name]):
            label = spelt(name, value)
            taken = known[name] == value
            marks += [(r, label, bool(y)) for r, y in zip(rank[taken], known.loc[taken, "yours"], strict=True)]
    return {
        "rows": rows, "zero": pd.DataFrame({"zero": [0.0]}),
        "marks": pd.DataFrame(marks, columns=["rank", "label", "yours"]),
        "window": pd.DataFrame({"rank": [0.0, len(known) + 1.0], "amount": span}),
    }  # fmt: skip


def spelt(name: str, value: str) -> str:
    """Write a value of a choice with the name of the choice.

    Examples
    --------
    >>> spelt("window", "60s"), spelt("controls", "off")
    ('Decay window 60 s', 'Controls off')
    """
    said = value if name in {"controls", "social", "baseline"} else shown(name, value)
    return f"{SPELT[name]} {said}"


@cache
def plan_spec(mode: str, x_title: str, y_title: str) -> dict[str, Any]:
    """Compile what a plan could show: a line a way of planning, the point of the plan at hand."""
    colours = palette(mode)
    x = alt.X(
        "x:Q", title=x_title, scale=alt.Scale(nice=False, zero=False, domain=ends("window", "x")),
        axis=alt.Axis(tickCount=6),
    )  # fmt: skip
    y = alt.Y(
        "y:Q", title=y_title, scale=alt.Scale(nice=False, zero=False, domain=ends("window", "y")),
        axis=alt.Axis(tickCount=5),
    )  # fmt: skip
    base = named("rows").encode(x=x, detail="line:N")
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    band = base.mark_area(color=colours.counterfactual, opacity=0.2).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.6).encode(y="y:Q")
    dots = base.mark_point(filled=True, size=30, opacity=1, color=colours.observed).encode(y="y:Q")
    now = named("now").mark_point(filled=True, size=90, opacity=1, color=colours.effect_text).encode(x="x:Q", y="y:Q")
    told = named("now").encode(x="x:Q", y="y:Q", text="text:N")
    right = told.transform_filter("!datum.rises").mark_text(align="left", dx=9, dy=-7, color=colours.ink)
    left = told.transform_filter("datum.rises").mark_text(align="right", dx=-9, dy=-7, color=colours.ink)
    return finished(alt.layer(frame, band, line, dots, now, right, left), mode, f"{y_title} by {x_title}.", CURVE - 20)


def plan_frames(
    rows: pd.DataFrame, now: Sequence[tuple[float, float, str]] = (), *, floor: float | None = 0.0
) -> dict[str, pd.DataFrame]:
    """Build the data sets of :func:`plan_spec` from x, y and, where there is a band, low and high."""
    given = rows.assign(line=rows.get("line", "one"))
    for name in ("low", "high"):
        given[name] = given[name] if name in given else given["y"]
    given = given.dropna(subset=["x", "y"])
    points = pd.DataFrame(list(now), columns=["x", "y", "text"]).dropna()
    points["rises"] = len(given) > 1 and given["y"].iloc[-1] > given["y"].iloc[0]  # words stand off the line
    xs, ys = [*given["x"], *points["x"]], [*given["high"].dropna(), *given["y"], *points["y"]]
    wide = 0.04 * max(max(xs, default=1.0) - min(xs, default=0.0), 1e-9)
    top = 1.15 * max(ys, default=1.0)
    bottom = min(ys, default=0.0) * 0.9 if floor is None else floor
    window = pd.DataFrame({"x": [min(xs, default=0.0) - wide, max(xs, default=1.0) + 3 * wide], "y": [bottom, top]})
    return {"rows": given[["x", "y", "low", "high", "line"]], "now": points, "window": window}
