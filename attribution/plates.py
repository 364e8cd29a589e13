"""Charts that take an answer apart: constant specifications, and the named data sets that they draw."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from attribution.charts import ends
from attribution.plotted import headroom
from attribution.theme import chart_config, palette

if TYPE_CHECKING:
    from attribution.charts import Layers
    from attribution.exhibits import FeedView, Followed
    from attribution.lab import Lab
    from attribution.pooled import Pooling

PARTS_HEIGHT, HEIGHT, ROW = 320, 170, 13
"""Heights, pixels: of the decomposition, of a small chart, of a row of a forest."""
BESIDE_S = 150.0
"""So much before and after a window is drawn, seconds; more where bins are wide."""
BESIDE_BINS = 30
AXIS = 45
"""What an axis and its title take of a chart's height."""
CLIP = 1.35
"""Intervals that reach beyond the others by more than this are cut at the edge of a forest."""


def named(name: str) -> alt.Chart:
    """Return a chart of a named data set."""
    return alt.Chart(alt.NamedData(name))


def _x(title: str, field: str = "lag_s", *, form: str = ",.0f", ticks: int = 8) -> alt.X:
    scale = alt.Scale(nice=False, zero=False, domain=ends("window", field))
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=ticks, format=form))


def _y(title: str, field: str, *, ticks: int = 5) -> alt.Y:
    scale = alt.Scale(nice=False, zero=False, domain=ends("window", field))
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=ticks))


def finished(chart: Layers, mode: str, words: str, height: Any) -> dict[str, Any]:
    """Compile a chart that is as wide as its place, with its text alternative."""
    chart = chart.properties(width="container", height=height)
    chart.config = alt.Config.from_dict(chart_config(mode))
    return {**chart.to_dict(), "description": words}


SINCE = "seconds since the airing began"


@cache
def parts_spec(mode: str, unit: str) -> dict[str, Any]:
    """Compile the decomposition: what was observed over baseline, break, organic and ad, one upon the other."""
    colours = palette(mode)
    x, y = _x(SINCE), _y(f"conversions / {unit}", "rate")
    base = named("parts").encode(x=x)
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    shade = named("inside").mark_rect(color=colours.muted, opacity=0.10).encode(x="low:Q", x2="high:Q")
    looks = {
        "baseline": (colours.counterfactual, 0.16),
        "break": (colours.counterfactual, 0.45),
        "organic": (colours.muted, 0.5),
        "ad": (colours.effect, 0.6 if mode == "light" else 0.45),
    }
    areas = [
        base.mark_area(color=colour, opacity=opacity, interpolate="step-after").encode(
            y=alt.Y(f"{name}_from:Q"), y2=f"{name}_to:Q"
        )
        for name, (colour, opacity) in looks.items()
    ]
    expected = base.mark_line(
        color=colours.counterfactual, strokeDash=[5, 3], strokeWidth=1.4, interpolate="step-after"
    ).encode(y="without:Q")
    observed = base.mark_line(color=colours.observed, strokeWidth=1.3, interpolate="step-after").encode(y="observed:Q")
    start = named("inside").mark_rule(color=colours.effect_text, opacity=0.8).encode(x="low:Q")
    chart = alt.layer(frame, shade, *areas, expected, observed, start)
    return finished(chart, mode, "Each second: baseline, break, organic and ad, under what was observed.", PARTS_HEIGHT)


def parts_frames(bins: pd.DataFrame, start: pd.Timestamp, window_s: float, unit_s: float) -> dict[str, pd.DataFrame]:
    """Build the data sets of the decomposition from :func:`attribution.exhibits.apart`."""
    room = max(BESIDE_S, BESIDE_BINS * float(bins["width_s"].min()))
    lag = (bins["time"] - start).dt.total_seconds()
    near = bins[(lag >= -room) & (lag < window_s + room)]
    scale = unit_s / near["width_s"]
    upto = pd.Series(0.0, index=near.index)
    frame: dict[str, Any] = {"lag_s": lag[near.index], "observed": near["observed"] * scale}
    for name in ("baseline", "break", "organic", "ad"):
        frame[f"{name}_from"] = upto
        upto = upto + near[name] * scale
        frame[f"{name}_to"] = upto
    frame["without"] = (near["expected"] - near["ad"]) * scale
    parts = pd.DataFrame(frame)
    low = float(np.nanmin([parts["observed"].min(), parts["without"].min(), parts["baseline_to"].min()]))
    high = 1.06 * float(np.nanmax([parts["observed"].max(), parts["ad_to"].max(), 1e-9]))
    # From zero the parts would be a thin crust on a block of baseline.
    floor = 0.0 if low < 0.35 * high else float(np.floor(0.85 * low))
    window = pd.DataFrame({"lag_s": [-room, float(parts["lag_s"].max())], "rate": [floor, high]})
    parts["baseline_from"] = floor
    return {"parts": parts, "window": window, "inside": pd.DataFrame({"low": [0.0], "high": [window_s]})}


@cache
def dispersion_spec(mode: str) -> dict[str, Any]:
    """Compile variance over mean by the length of the blocks: around a straight line, and around the model."""
    colours = palette(mode)
    x = alt.X(
        "scale_s:Q",
        title="seconds summed into a block",
        scale=alt.Scale(type="log", nice=False, domain=ends("window", "scale_s")),
        axis=alt.Axis(values=[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600], format=",.0f"),
    )
    y = alt.Y(
        "ratio:Q",
        title="variance / mean",
        scale=alt.Scale(type="log", nice=False, domain=ends("window", "ratio")),
        axis=alt.Axis(values=[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]),
    )
    base = named("rows").encode(x=x)
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    band = base.mark_area(color=colours.counterfactual, opacity=0.2).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(color=colours.muted, strokeDash=[1.5, 2.5], strokeWidth=1.6).encode(y="line:Q")
    model = base.mark_line(
        color=colours.observed, strokeWidth=1.8, point={"color": colours.observed, "filled": True, "size": 30}
    ).encode(y="model:Q")
    words = "How far counts lie from a straight line and from the model, by the length of the blocks."
    return finished(alt.layer(frame, band, line, model), mode, words, HEIGHT)


def dispersion_frames(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Build the data sets of the dispersion from :func:`attribution.exhibits.dispersion`."""
    rows = table[["scale_s", "line", "model", "low", "high"]].copy()
    rows[["line", "model", "low", "high"]] = rows[["line", "model", "low", "high"]].clip(lower=0.05)
    values = rows[["line", "model", "low", "high"]].to_numpy()
    window = pd.DataFrame(
        {
            "scale_s": [0.9 * float(rows["scale_s"].min()), 1.15 * float(rows["scale_s"].max())],
            "ratio": [0.8 * float(values.min()), 1.25 * float(values.max())],
        }
    )
    return {"rows": rows, "window": window}


@cache
def followed_spec(mode: str) -> dict[str, Any]:
    """Compile exposed over control before the airing, in the band that counts and learnt wandering explain."""
    colours = palette(mode)
    x, y = _x("minutes before the airing", "minute"), _y("% off its mean", "ratio")
    base = named("path").encode(x=x)
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    band = base.mark_area(color=colours.counterfactual, opacity=0.2).encode(y=alt.Y("lower:Q"), y2="upper:Q")
    zero = named("zero").mark_rule(color=colours.counterfactual, strokeDash=[5, 3]).encode(y="zero:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.4).encode(y="ratio:Q")
    outside = (
        base.transform_filter("datum.outside")
        .mark_point(filled=True, size=45, opacity=1, color=colours.bad)
        .encode(y="ratio:Q")
    )
    words = "How the exposed regions stood to the controls before the airing, and how far that may stray."
    return finished(alt.layer(frame, band, zero, line, outside), mode, words, HEIGHT)


def followed_frames(found: Followed, start: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Build the data sets of the controls' chart."""
    path = found.path.assign(minute=(found.path["time"] - start).dt.total_seconds() / 60)
    path["outside"] = (path["ratio"] < path["lower"]) | (path["ratio"] > path["upper"])
    far = 1.1 * float(path[["ratio", "lower", "upper"]].abs().max().max())
    window = pd.DataFrame({"minute": [float(path["minute"].min()), 0.0], "ratio": [-far, far]})
    return {"path": path.drop(columns="time"), "window": window, "zero": pd.DataFrame({"zero": [0.0]})}


@cache
def feed_spec(mode: str) -> dict[str, Any]:
    """Compile the social feed around the airing, against its usual level."""
    colours = palette(mode)
    x, y = _x(SINCE), _y("posts / s", "posts")
    base = named("feed").encode(x=x)
    frame = named("window").mark_point(opacity=0).encode(x=x, y=y)
    usual = base.mark_line(color=colours.counterfactual, strokeDash=[5, 3], strokeWidth=1.4).encode(y="usual:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.4).encode(y="posts:Q")
    start = named("inside").mark_rule(color=colours.effect_text, opacity=0.8).encode(x="low:Q")
    shade = named("inside").mark_rect(color=colours.muted, opacity=0.10).encode(x="low:Q", x2="high:Q")
    rise = named("rise").mark_rule(color=colours.bad, strokeDash=[2, 2]).encode(x="lag_s:Q")
    text = (
        named("rise")
        .mark_text(align="left", dx=5, dy=8, color=colours.ink)
        .encode(x="lag_s:Q", y=alt.value(0), text="text:N")
    )
    chart = alt.layer(frame, shade, usual, line, start, rise, text)
    return finished(chart, mode, "The social feed around the airing, and its usual level.", HEIGHT)


def feed_frames(found: FeedView, start: pd.Timestamp, window_s: float) -> dict[str, pd.DataFrame]:
    """Build the data sets of the feed's chart."""
    lag = (found.bins["time"] - start).dt.total_seconds()
    near = (lag >= -BESIDE_S * 2) & (lag < window_s + BESIDE_S)
    feed = found.bins.loc[near, ["posts", "usual"]].assign(lag_s=lag[near])
    high = headroom(float(np.nanmax([1e-9, *feed["posts"], *feed["usual"]])))
    window = pd.DataFrame({"lag_s": [float(feed["lag_s"].min()), float(feed["lag_s"].max())], "posts": [0.0, high]})
    rise = pd.DataFrame({"lag_s": [found.rise_s], "text": ["the feed has risen"]}).dropna()
    return {"feed": feed, "window": window, "rise": rise, "inside": pd.DataFrame({"low": [0.0], "high": [window_s]})}


@cache
def forest_spec(mode: str, title: str, form: str, height: int) -> dict[str, Any]:
    """Compile a forest: an interval a row around its estimate; the row that the others are there for in yellow."""
    colours = palette(mode)
    x = _x(title, "value", form=form, ticks=6)
    y = alt.Y("label:N", title=None, sort=None, axis=alt.Axis(domain=False, labelLimit=190, labelOverlap=False))
    base = named("rows").encode(y=y)
    frame = named("window").mark_point(opacity=0).encode(x=x)
    zero = named("zero").mark_rule(color=colours.muted).encode(x="zero:Q")
    colour = {
        "condition": [
            {"test": "datum.kind === 'own'", "value": colours.effect_text},
            {"test": "datum.kind === 'apart'", "value": colours.bad},
        ],
        "value": colours.muted,
    }
    span = base.mark_rule().encode(
        x=x, x2="high:Q", color=colour, size=alt.condition("datum.kind === 'own'", alt.value(3), alt.value(1.4))
    )
    span = span.encode(x=alt.X("low:Q"))
    point = base.mark_point(filled=True, opacity=1).encode(
        x="value:Q", color=colour, size=alt.condition("datum.kind === 'own'", alt.value(70), alt.value(26))
    )
    words = base.mark_text(align="left", dx=8, color=colours.ink).encode(x=alt.value("width"), text="text:N")
    chart = alt.layer(frame, zero, span, point, words)
    return finished(chart, mode, "Estimates with their intervals, one a row.", height + AXIS)


def forest_frames(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Build the data sets of a forest.

    Parameters
    ----------
    rows
        label, value, low, high, kind (``own``, ``apart`` or empty), text; in the order of drawing. Labels are unique.
    """
    known = rows.dropna(subset="value")
    spread = [0.0, *known["value"]]
    low, high = min(spread), max(spread)
    reach = np.nanquantile(np.concatenate([[1e-9], (known["high"] - known["low"]).to_numpy(float) / 2]), 0.8)
    reach = float(np.nan_to_num(reach)) * CLIP
    room = 0.03 * max(high - low + 2 * reach, 1e-9)
    window = [low - reach - room, high + reach + room]
    cut = known.assign(low=known["low"].clip(lower=window[0]), high=known["high"].clip(upper=window[1]))
    columns = ["label", "value", "low", "high", "kind", "text"]
    return {
        "rows": cut[columns], "zero": pd.DataFrame({"zero": [0.0]}), "window": pd.DataFrame({"value": window}),
    }  # fmt: skip


@cache
def shrinkage_spec(mode: str, rows: int) -> dict[str, Any]:
    """Compile categories side by side: each by itself, thin, and drawn towards the common mean, thick."""
    colours = palette(mode)
    x = _x("lift, % of the counterfactual", "value", form="+,.0f", ticks=6)
    axis = alt.Axis(domain=False, labelLimit=170, labelOverlap=False)
    low, high = (
        alt.Y("label:N", title=None, sort=None, axis=axis, scale=alt.Scale(type="band"), bandPosition=at)
        for at in (0.3, 0.68)
    )
    base = named("rows")
    frame = named("window").mark_point(opacity=0).encode(x=x)
    zero = named("zero").mark_rule(color=colours.muted).encode(x="zero:Q")
    mean = named("mean").mark_rule(color=colours.counterfactual, strokeDash=[5, 3]).encode(x="mean:Q")
    thin = base.mark_rule(color=colours.muted, strokeWidth=1.2).encode(y=low, x=alt.X("raw_lower:Q"), x2="raw_upper:Q")
    dot = base.mark_point(color=colours.muted, size=26, opacity=1).encode(y=low, x="raw:Q")
    thick = base.mark_rule(color=colours.effect_text, strokeWidth=2.6).encode(y=high, x=alt.X("lower:Q"), x2="upper:Q")
    point = base.mark_point(color=colours.effect_text, filled=True, size=55, opacity=1).encode(y=high, x="pooled:Q")
    words = base.mark_text(align="left", dx=8, color=colours.muted).encode(y=high, x=alt.value("width"), text="text:N")
    chart = alt.layer(frame, zero, mean, thin, dot, thick, point, words)
    return finished(chart, mode, "Lifts by category: each by itself, and partially pooled.", 34 * rows + AXIS)


def shrinkage_frames(found: Pooling) -> dict[str, pd.DataFrame]:
    """Build the data sets of :func:`shrinkage_spec`."""
    table = found.table
    numbers = ["raw", "raw_lower", "raw_upper", "pooled", "lower", "upper"]
    rows = (table[numbers] * 100).assign(label=table["category"].astype(str))
    rows["text"] = [f"{n} airing{'s' * (n != 1)}" for n in table["airings"]]
    spans = [*rows["raw"], *rows["lower"], *rows["upper"], 0.0]
    room = 0.25 * (max(spans) - min(spans))
    span = [min(spans) - room, max(spans) + room]
    rows = rows.assign(raw_lower=rows["raw_lower"].clip(lower=span[0]), raw_upper=rows["raw_upper"].clip(upper=span[1]))
    return {
        "rows": rows, "zero": pd.DataFrame({"zero": [0.0]}), "mean": pd.DataFrame({"mean": [100 * found.mean]}),
        "window": pd.DataFrame({"value": span}),
    }  # fmt: skip


def standing_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the forest of all airings from :func:`attribution.pooled.standings`: survivors stand out."""
    known = rows.dropna(subset="incremental")
    return pd.DataFrame(
        {
            "label": known["airing"], "value": known["incremental"], "low": known["lower"], "high": known["upper"],
            "kind": np.where(known["survives"], "own", ""),
            "text": known["word"] + np.where(known["survives"], " ●", ""),
        }
    )  # fmt: skip


def lab_rows(lab: Lab, airing: str, *, most: int = 30) -> pd.DataFrame:
    """Return the rows of the placebos' forest: the airing first, then the moments that moved most."""
    own, table = lab.own, lab.table
    if own is None:
        return pd.DataFrame(columns=["label", "value", "low", "high", "kind", "text"])
    worst = worst_first(lab).head(most)
    rows = pd.DataFrame(
        {
            "label": moment_labels(worst["time"], table["time"], own["time"]),
            "value": worst["estimate"],
            "low": worst["lower"],
            "high": worst["upper"],
            "kind": np.where((worst["lower"] > 0) | (worst["upper"] < 0), "apart", ""),
            "text": np.where(worst["kind"] == "break", "in a break", ""),
        }
    )
    first = {"label": airing, "value": own["estimate"], "low": own["lower"], "high": own["upper"], "kind": "own"}
    return pd.concat([pd.DataFrame([{**first, "text": ""}]), rows], ignore_index=True)


def worst_first(lab: Lab) -> pd.DataFrame:
    """Return the placebos, the largest |z| first."""
    return lab.table.loc[lab.table["z"].abs().sort_values(ascending=False, kind="stable").index]


def moment_labels(times: pd.Series, every: pd.Series, own: pd.Timestamp) -> list[str]:
    """Write moments, with their day where they are not all of one."""
    days = len({moment.date() for moment in (*every, own)}) > 1
    return [f"{t:%m-%d %H:%M:%S}" if days else f"{t:%H:%M:%S}" for t in times]


def left_out_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the forest of lifts without each region, in %; one with another word stands out."""
    known = table.dropna(subset="lift")
    words = known["word"].to_numpy(object)
    return pd.DataFrame(
        {
            "label": [name or "all regions" for name in known["region"]],
            "value": known["lift"] * 100,
            "low": known["lower"] * 100,
            "high": known["upper"] * 100,
            "kind": [
                "own" if not n else "apart" if w != words[0] else ""
                for n, w in zip(known["region"], words, strict=True)
            ],
            "text": known["word"],
        }
    )
