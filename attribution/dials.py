"""Charts of the tune page: constant specifications and their data, the ghost of the setting before among them."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd
from scipy.stats import gaussian_kde

from attribution import charts, plotted
from attribution.theme import chart_config, palette

if TYPE_CHECKING:
    from attribution.finger import Finger

HERO, KERNEL, AMOUNT, PATH = 248, 148, 150, 150
"""Heights of the plots, pixels: fixed, so that nothing jumps."""
BESIDE_S, BESIDE_BINS = 150.0, 30
"""So much is drawn before and after a window: the longer of the two."""
BAR = 12
"""Height of a bar of the tornado."""
GHOST: dict[str, Any] = {"strokeWidth": 1.2, "strokeDash": [1.5, 2.5], "opacity": 0.95}
"""How what the previous setting said is drawn."""


def _finished(chart: charts.Layers, mode: str, words: str) -> dict[str, Any]:
    chart = chart.copy()
    chart.config = alt.Config.from_dict(chart_config(mode))
    return {**chart.to_dict(), "description": words}


def _invisible(x: Any, y: Any) -> alt.Chart:
    """Bring in the data set that holds the axes' span."""
    return alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x, y=y)


@cache
def hero_spec(mode: str, unit: tuple[str, float]) -> dict[str, Any]:
    """Compile the hero chart: observed, counterfactual with its band, incremental area, and the setting before."""
    spec = deepcopy(charts.velocity_spec(mode, unit))
    colour = palette(mode).muted
    ghost = [
        {
            "data": {"name": "ghost"},
            "mark": {"type": "line", "color": colour, "interpolate": "monotone", **GHOST},
            "encoding": {"x": {"field": "time", "type": "temporal"}, "y": {"field": field, "type": "quantitative"}},
        }
        for field in ("counterfactual", "with_ad")
    ]
    words = "Conversions over time: observed, expected without the ad with its band, and what the ad added."
    return {**spec, "layer": [*spec["layer"], *ghost], "height": HERO, "description": words}


def hero_frames(now: Finger, before: Finger | None, airings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Build the data sets of the hero chart."""
    table = around(now)
    unit = plotted.rate_unit(table["width_s"])
    frames = plotted.velocity_frames(table, airings, unit=unit)
    beside = frames["breaks"]["label"] != now.airing  # its own name is enough: airings may lie close together
    frames["breaks"].loc[beside, ["kind", "label"]] = ""
    ghost = pd.DataFrame(columns=["time", "counterfactual", "with_ad"])
    if before is not None and before.modelled:
        first, last = frames["window"]["time"]
        old = before.bins[(before.bins["time"] >= first) & (before.bins["time"] < last)]
        if len(old):
            ghost = plotted.velocity_frames(old, airings, unit=unit)["model"][["time", "counterfactual", "with_ad"]]
            high = max(frames["window"]["rate"].iloc[1], plotted.headroom(float(ghost.iloc[:, 1:].max().max())))
            frames["window"] = frames["window"].assign(rate=[0.0, high])
    return {**frames, "ghost": ghost}


def around(said: Finger) -> pd.DataFrame:
    """Return the bins around an answer's window: enough before it to see the baseline, enough after to see it end."""
    step = float(said.bins["width_s"].min())
    start, room = said.row["start"], pd.Timedelta(seconds=max(BESIDE_S, BESIDE_BINS * step))
    time = said.bins["time"]
    window = pd.Timedelta(seconds=said.window_s)
    return said.bins[(time >= start - room) & (time < start + window + room)]


@cache
def kernel_spec(mode: str) -> dict[str, Any]:
    """Compile the chart of the response kernel: its band over that of its prior, and the setting before."""
    colours = palette(mode)
    x = alt.X(
        "lag_s:Q",
        title="seconds from delivered exposure",
        scale=alt.Scale(nice=False, domain=charts.ends("window", "lag_s")),
        axis=alt.Axis(tickCount=8),
    )
    y = alt.Y(
        "density:Q",
        title="% per s",
        scale=alt.Scale(nice=False, domain=charts.ends("window", "density")),
        axis=alt.Axis(tickCount=3),
    )
    base = alt.Chart(alt.NamedData("kernel")).encode(x=x)
    prior = base.mark_area(color=colours.counterfactual, opacity=0.16).encode(y=y, y2="prior_upper:Q")
    prior = prior.encode(y=alt.Y("prior_lower:Q"))
    dashed = base.mark_line(color=colours.counterfactual, strokeDash=[5, 3], strokeWidth=1.3).encode(y="prior:Q")
    band = base.mark_area(color=colours.effect, opacity=0.3).encode(y="lower:Q", y2="upper:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.7).encode(y="density:Q")
    ghost = alt.Chart(alt.NamedData("ghost")).mark_line(color=colours.muted, **GHOST).encode(x="lag_s:Q", y="density:Q")
    chart = alt.layer(_invisible(x, y), prior, dashed, band, line, ghost).properties(width="container", height=KERNEL)
    return _finished(chart, mode, "Response kernel: posterior with its band, over the band of its prior.")


def kernel_frames(now: Finger, before: Finger | None) -> dict[str, pd.DataFrame]:
    """Build the data sets of the kernel chart, in % of the response a second."""
    parts = [str(c) for c in now.kernel if c != "lag_s"]
    kernel = now.kernel.assign(**{c: now.kernel[c] * 100 for c in parts})
    ghost = pd.DataFrame(columns=["lag_s", "density"])
    last = float(kernel["lag_s"].max())
    if before is not None and before.modelled:
        old = before.kernel[before.kernel["lag_s"] <= last]
        ghost = pd.DataFrame({"lag_s": old["lag_s"], "density": old["density"] * 100})
    # A prior that allows very short lags rises without bound at its first second; the posterior sets the scale.
    high = max(1.6 * float(kernel["upper"].max()), 1.15 * float(kernel["prior"].iloc[2:].max()), 1e-6)
    high = max(high, float(ghost["density"].max()) if len(ghost) else 0.0)
    top = plotted.headroom(high)
    kernel = kernel.assign(**{c: kernel[c].clip(upper=top) for c in parts})
    return {"kernel": kernel, "ghost": ghost, "window": pd.DataFrame({"lag_s": [0.0, last], "density": [0.0, top]})}


@cache
def amount_spec(mode: str) -> dict[str, Any]:
    """Compile the chart of the incremental: posterior over prior, interval, the setting before, the full posterior."""
    colours = palette(mode)
    x = alt.X(
        "incremental:Q",
        title="incremental conversions in the window",
        scale=alt.Scale(nice=False, zero=False, domain=charts.ends("window", "incremental")),
        axis=alt.Axis(tickCount=6, format="+,.0f"),
    )
    y = alt.Y(
        "posterior:Q", title=None, scale=alt.Scale(nice=False, domain=charts.ends("window", "posterior")), axis=None
    )
    base = alt.Chart(alt.NamedData("amount")).encode(x=x)
    prior = base.mark_area(color=colours.counterfactual, opacity=0.16).encode(y=alt.Y("prior:Q"))
    edge = base.mark_line(color=colours.counterfactual, strokeDash=[5, 3], strokeWidth=1.3).encode(y="prior:Q")
    area = base.mark_area(color=colours.effect, opacity=0.32).encode(y="posterior:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.7).encode(y="posterior:Q")
    ghost = (
        alt.Chart(alt.NamedData("ghost"))
        .mark_line(color=colours.muted, **GHOST)
        .encode(x="incremental:Q", y="posterior:Q")
    )
    full = (
        alt.Chart(alt.NamedData("full"))
        .mark_line(color=colours.ink, strokeWidth=1.5, strokeDash=[9, 3])
        .encode(x="incremental:Q", y="posterior:Q")
    )
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color=colours.muted).encode(x="zero:Q")
    ends = alt.Chart(alt.NamedData("interval"))
    foot = alt.value(alt.ExprRef("height - 3"))
    span = ends.mark_rule(color=colours.ink, strokeWidth=2.5).encode(x="low:Q", x2="high:Q", y=foot)
    point = ends.mark_point(filled=True, color=colours.ink, size=50, opacity=1).encode(x="middle:Q", y=foot)
    chart = alt.layer(_invisible(x, y), prior, edge, area, zero, line, ghost, full, span, point).properties(
        width="container", height=AMOUNT
    )
    return _finished(chart, mode, "Posterior of the incremental conversions over their prior, with the interval.")


def amount_frames(now: Finger, before: Finger | None, draws: np.ndarray | None = None) -> dict[str, pd.DataFrame]:
    """Build the data sets of the incremental's chart; ``draws`` (D,) are of the full posterior, where there is one."""
    row = now.row
    ghost = pd.DataFrame(columns=["incremental", "posterior"])
    low, high = float(now.amount["incremental"].min()), float(now.amount["incremental"].max())
    tops = [float(now.amount["posterior"].max())]
    if before is not None and before.modelled:
        old = before.amount
        ghost = old[(old["incremental"] >= low) & (old["incremental"] <= high)][["incremental", "posterior"]]
        tops.append(float(ghost["posterior"].max()) if len(ghost) else 0.0)
    full = pd.DataFrame(columns=["incremental", "posterior"])
    if draws is not None and np.ptp(draws) > 0:
        full = smoothed(draws, low, high)
        tops.append(float(full["posterior"].max()))
    ends = {"low": row["incremental_lower"], "middle": row["incremental"], "high": row["incremental_upper"]}
    window = pd.DataFrame({"incremental": [low, high], "posterior": [0.0, 1.1 * max(tops)]})
    return {
        "amount": now.amount, "ghost": ghost, "full": full, "zero": pd.DataFrame({"zero": [0.0]}),
        "interval": pd.DataFrame([ends]).astype(float), "window": window,
    }  # fmt: skip


def smoothed(draws: np.ndarray, low: float, high: float) -> pd.DataFrame:
    """Return the Gaussian kernel density of draws (D,), not all alike, between two ends.

    Examples
    --------
    >>> some = smoothed(np.linspace(-1.0, 1.0, 200), -3.0, 3.0)
    >>> float(np.round(some["posterior"].sum() * (some["incremental"][1] - some["incremental"][0]), 2))
    1.0
    """
    at = np.linspace(low, high, 161)
    return pd.DataFrame({"incremental": at, "posterior": gaussian_kde(draws)(at)})


@cache
def path_spec(mode: str) -> dict[str, Any]:
    """Compile the path of the e-value, small."""
    words = "Path of the e-value since the airing began, against the line it has to reach."
    return {**charts.evidence_spec(mode), "height": PATH, "description": words}


@cache
def tornado_spec(mode: str) -> dict[str, Any]:
    """Compile the tornado: a bar a choice, the incremental at its two values around what is said now."""
    colours = palette(mode)
    x = alt.X(
        "least:Q",
        title="incremental conversions when one choice moves",
        scale=alt.Scale(nice=False, zero=False, domain=charts.ends("window", "least")),
        axis=alt.Axis(tickCount=8, format="+,.0f", grid=True),
    )
    y = alt.Y(
        "label:N",
        title=None,
        sort=None,
        axis=alt.Axis(domain=False, labelLimit=150, grid=False, labelColor=colours.ink),
    )
    base = alt.Chart(alt.NamedData("rows")).encode(y=y)
    frame = alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x)
    bar = base.mark_bar(color=colours.counterfactual, opacity=0.45, height=8).encode(x=x, x2="most:Q")
    ends = alt.Chart(alt.NamedData("ends")).encode(y=alt.Y("label:N", sort=None), x="value:Q")
    dot = ends.mark_point(filled=True, size=34, opacity=1, color=colours.ink)
    left = ends.transform_filter("datum.side === 'left'").mark_text(align="right", dx=-7, color=colours.muted)
    right = ends.transform_filter("datum.side === 'right'").mark_text(align="left", dx=7, color=colours.muted)
    now = alt.Chart(alt.NamedData("now")).mark_rule(color=colours.effect_text, strokeWidth=1.4).encode(x="base:Q")
    chart = alt.layer(frame, bar, now, dot, left.encode(text="text:N"), right.encode(text="text:N"))
    chart = chart.properties(width="container", height=alt.Step(BAR))
    return _finished(chart, mode, "What moved the answer: the incremental when one choice at a time is moved.")


def tornado_frames(table: pd.DataFrame, names: dict[str, str]) -> dict[str, pd.DataFrame]:
    """Build the data sets of the tornado from what :func:`attribution.moves.tornado` returned."""
    known = table.dropna(subset=["least", "most"])
    rows = pd.DataFrame({"label": known["name"].map(names), "least": known["least"], "most": known["most"]})
    ends = []
    for row in known.to_dict("records"):
        label, low, high = names[row["name"]], float(row["low"]), float(row["high"])
        sides = ("right", "left") if low > high else ("left", "right")
        ends += [(label, low, row["low_value"], sides[0]), (label, high, row["high_value"], sides[1])]
    points = pd.DataFrame(ends, columns=["label", "value", "text", "side"]).dropna(subset="value")
    least, most = (float(known["least"].min()), float(known["most"].max())) if len(known) else (-1.0, 1.0)
    room = 0.22 * max(most - least, 1.0)
    base = pd.DataFrame({"base": known["base"].head(1)})
    return {"rows": rows, "ends": points, "now": base, "window": pd.DataFrame({"least": [least - room, most + room]})}
