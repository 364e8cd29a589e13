"""Charts of an analysis: tables in, Altair charts out.

Every chart is built once from named data sets and a constant specification; what moves travels as data. So the same
chart serves a notebook, a report and a page that refreshes every second (:func:`velocity_spec` and
:func:`velocity_frames`, :func:`evidence_spec` and :func:`evidence_frames`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import altair as alt
import numpy as np
import pandas as pd

from attribution.plotted import (
    KEY,
    SMOOTHED_S,
    amount_frames,
    drawn,
    evidence_frames,
    known_airing,
    leading_airing,
    near,
    rate_unit,
    records,
    response_frames,
    scattered,
    velocity_frames,
)
from attribution.theme import chart_config, palette
from attribution.verdict import CLAIMS

if TYPE_CHECKING:
    from attribution.analysis import Analysis

Layers: TypeAlias = alt.LayerChart | alt.FacetChart
"""What Altair's :func:`altair.layer` returns."""
NAMED = 240
"""A name in a chart takes so many pixels at most: a longer one would squeeze the chart."""
MAX_AIRINGS = 40


def velocity(
    result: Analysis,
    *,
    mode: str = "light",
    region: str | None = None,
    airing: str | None = None,
    key: bool = True,
) -> Layers:
    """Conversions per unit of time: observed, counterfactual with its band, and between them the ad's effect.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    mode
        ``"light"`` or ``"dark"``.
    region
        One region's series; by default the exposed regions together.
    airing
        Only this airing and those analysed together with it. By default everything, or where airings lie so far apart
        that most of the chart would be empty, the airing with the largest e-value.
    key
        Draw the key above the plot; a page that writes its own leaves it out.

    Raises
    ------
    ValueError
        When the region or airing is not in the data; the valid ones are listed.
    """
    table = shown_bins(result, region=region, airing=airing)
    unit = rate_unit(table["width_s"])
    chart = _velocity_layers(mode, unit, key=key)
    return _with_data(chart, velocity_frames(table, result.airings, unit=unit), mode)


def shown_bins(result: Analysis, *, region: str | None = None, airing: str | None = None) -> pd.DataFrame:
    """Return the bins that the velocity chart draws; see :func:`velocity`."""
    table = drawn(result)
    if region is not None:
        regions = sorted(set(result.series["region"]))
        if region not in regions:
            raise ValueError(f"region is {region!r}; choose one of {', '.join(regions)}")
        table = result.series[result.series["region"] == region]
    if table.empty:
        raise ValueError("the analysis has no bins to draw: every airing lies outside the data, or has not begun")
    if airing is None and scattered(result):
        airing = leading_airing(result)
    if airing is not None:
        start = result.table.loc[result.table["airing"] == known_airing(result, airing), "start"]
        nearest = np.abs(table["time"].to_numpy() - start.to_numpy()[0]).argmin()
        table = table[table["group"] == table["group"].to_numpy()[nearest]]
    return near(table, result.table["start"])


def evidence(result: Analysis, *, mode: str = "light") -> Layers:
    """Path of the e-value since each airing began, against the line 1/alpha that it must cross.

    The thin line is the joint filter of the leading airing, the fast mSPRT: exposed regions against the control, a
    drifting baseline, no fit.
    """
    chart = _evidence_layers(mode)
    return _with_data(chart, evidence_frames(result), mode)


def amount(result: Analysis, *, mode: str = "light") -> Layers:
    """Incremental conversions so far at each look, of the leading airing, with the interval that holds at all looks."""
    return _with_data(_amount_layers(mode), amount_frames(result), mode)


def response(result: Analysis, *, airing: str | None = None, mode: str = "light") -> Layers:
    """Lag from delivered exposure to conversion: the response kernel with its band.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    airing
        Whose kernel; by default the airing with the largest e-value.
    mode
        ``"light"`` or ``"dark"``.
    """
    if result.kernel.empty:
        raise ValueError("the analysis has no response to draw: every airing lies outside the data, or has not begun")
    airing = leading_airing(result) if airing is None else known_airing(result, airing)
    return _with_data(_response_layers(mode), response_frames(result, airing), mode)


def airings(result: Analysis, *, mode: str = "light") -> Layers:
    """Incremental conversions of every airing with its interval, and its verdict: a forest.

    Past 40 airings, the 40 with the largest effect in either direction are shown, and the chart says so.
    """
    colours = palette(mode)
    table = result.table
    shown = table
    if len(table) > MAX_AIRINGS:
        order = table["incremental"].abs().fillna(-1).sort_values(ascending=False).index[:MAX_AIRINGS]
        shown = table.loc[sorted(order)]
    rows = shown[["airing", "incremental", "incremental_lower", "incremental_upper", "verdict"]].copy()
    rows["label"] = [
        f"{signed(count)}  {word}" if math.isfinite(count) else str(word)
        for count, word in zip(rows["incremental"].to_numpy(float), rows["verdict"], strict=True)
    ]
    rows["claimed"] = rows["verdict"].isin(CLAIMS)
    y = alt.Y("airing:N", title=None, sort=None, axis=alt.Axis(domain=False, labelLimit=220, grid=False))
    base = alt.Chart(alt.NamedData("rows")).encode(y=y)
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color=colours.muted).encode(x="zero:Q")
    colour = alt.condition("datum.claimed", alt.value(colours.observed), alt.value(colours.muted))
    interval = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "incremental_lower:Q", title="incremental conversions, with interval", axis=alt.Axis(grid=True, tickCount=6)
        ),
        x2="incremental_upper:Q",
        color=colour,
    )
    point = base.mark_point(filled=True, size=60, opacity=1).encode(x="incremental:Q", color=colour)
    words = base.mark_text(align="left", dx=10).encode(
        x=alt.value("width"), text="label:N", color=alt.value(colours.ink)
    )
    chart = alt.layer(zero, interval, point, words).properties(width=560, height=alt.Step(26))
    if len(shown) < len(table):
        chart = chart.properties(title=f"{len(shown)} of {len(table)} airings: the largest effects, up or down")
    return _with_data(chart, {"rows": rows, "zero": pd.DataFrame({"zero": [0]})}, mode)


def signed(value: float) -> str:
    """Write a count with its sign and thousands; a dash where it is unknown.

    Examples
    --------
    >>> signed(1234.4), signed(-3.0), signed(float("nan"))
    ('+1,234', '−3', '—')
    """
    if not math.isfinite(value):
        return "—"
    return f"{value:+,.0f}".replace("-", "−")


# ---------------------------------------------------------------------------------------------- constant specifications


@cache
def velocity_spec(mode: str, unit: tuple[str, float] = ("s", 1.0), *, key: bool = False) -> dict[str, Any]:
    """Compile the velocity chart once per mode and unit; its data sets are what :func:`velocity_frames` returns."""
    chart = _velocity_layers(mode, unit, key=key).properties(width="container", height=330)
    return _configured(chart, mode).to_dict()


@cache
def evidence_spec(mode: str) -> dict[str, Any]:
    """Compile the live evidence chart once per mode; its data sets are what :func:`evidence_frames` returns."""
    return _configured(_evidence_layers(mode).properties(width="container", height=190), mode).to_dict()


@cache
def amount_spec(mode: str) -> dict[str, Any]:
    """Compile the chart of the amount over time once per mode; its data sets are those of :func:`amount_frames`."""
    return _configured(_amount_layers(mode).properties(width="container", height=190), mode).to_dict()


@cache
def response_spec(mode: str) -> dict[str, Any]:
    """Compile the response chart once per mode; its data sets are what :func:`response_frames` returns."""
    return _configured(_response_layers(mode).properties(width="container", height=190), mode).to_dict()


# ----------------------------------------------------------------------------------------------------------- the layers


def _velocity_layers(mode: str, unit: tuple[str, float], *, key: bool) -> Layers:
    colours = palette(mode)
    clock = "%H:%M:%S" if unit[1] == 1 else "%b %d, %H:%M"
    x = alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False, domain=ends("window", "time", "toNumber(toDate({}))")),
        axis=alt.Axis(tickCount=8, labelFlush=False, format=clock),
    )
    y = alt.Y(
        "rate:Q",
        title=f"conversions / {unit[0]}",
        scale=alt.Scale(nice=False, domain=ends("window", "rate")),
        axis=alt.Axis(tickCount=5),
    )
    # An invisible mark brings in the data set that holds the axes' span.
    frame = alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x, y=y)
    breaks = alt.Chart(alt.NamedData("breaks"))
    shade = breaks.mark_rect(color=colours.effect, opacity=0.14 if mode == "dark" else 0.28).encode(
        x="time:T", x2="end:T"
    )
    onset = breaks.transform_filter("!datum.many").mark_rule(color=colours.effect_text, opacity=0.7).encode(x="time:T")
    thick = breaks.transform_filter("datum.many").mark_rule(color=colours.effect, opacity=0.35).encode(x="time:T")
    model = alt.Chart(alt.NamedData("model")).encode(x="time:T")
    band = model.mark_area(color=colours.counterfactual, opacity=0.2, interpolate="monotone").encode(
        y="counterfactual_lower:Q", y2="counterfactual_upper:Q"
    )
    effect = model.mark_area(color=colours.effect, opacity=0.32 if mode == "dark" else 0.55, interpolate="monotone")
    expected = model.mark_line(color=colours.counterfactual, strokeDash=[5, 3], strokeWidth=1.6, interpolate="monotone")
    line = alt.Chart(alt.NamedData("line")).mark_line(color=colours.observed, strokeWidth=1.8, strokeJoin="round")
    each = alt.Chart(alt.NamedData("line")).mark_line(color=colours.observed, strokeWidth=0.8, opacity=0.35)
    last = alt.Chart(alt.NamedData("last")).mark_point(filled=True, color=colours.observed, size=45, opacity=1)
    layers = [
        frame,
        shade,
        thick,
        band,
        effect.encode(y="counterfactual:Q", y2="with_ad:Q"),
        each.encode(x="time:T", y="each:Q"),
        line.encode(x="time:T", y="observed:Q"),
        expected.encode(y="counterfactual:Q"),
        onset,
        *_labels(breaks, mode),
        last.encode(x="time:T", y="observed:Q"),
        *(_key(mode, smoothed=unit[1] == 1) if key else []),
    ]
    return alt.layer(*layers).properties(width=860, height=300)


def _labels(breaks: alt.Chart, mode: str) -> list[alt.Chart]:
    """Write what each shaded break is, on the side where there is room."""
    colours = palette(mode)
    labels = []
    for late in (False, True):
        side = {"align": "right", "dx": -5} if late else {"align": "left", "dx": 5}
        word = breaks.transform_filter(f"datum.late === {str(late).lower()}").encode(x="time:T", y=alt.value(0))
        name = word.mark_text(baseline="top", dy=4, fontWeight=600, color=colours.effect_text, **side)
        detail = word.mark_text(baseline="top", dy=18, limit=NAMED, color=colours.muted, **side)
        labels += [name.encode(text="kind:N"), detail.encode(text="label:N")]
    return labels


def ends(name: str, field: str, end: str = "{}") -> Any:
    """Two ends of an axis, read from the rows of a data set: they move as data and never re-embed the chart."""
    return [alt.ExprRef(end.format(f"data('{name}')[{row}].{field}")) for row in (0, 1)]


def _key(mode: str, *, smoothed: bool) -> list[alt.Chart]:
    """One short key above the plot, drawn with the marks that it explains."""
    colours = palette(mode)
    one = alt.Chart(alt.NamedData("key"))
    observed = f"observed, {SMOOTHED_S}-s mean" if smoothed else "observed"
    entries = (
        (0, observed, {"color": colours.observed, "strokeWidth": 2}),
        (
            164 if smoothed else 92,
            "counterfactual and band",
            {"color": colours.counterfactual, "strokeWidth": 2, "strokeDash": [5, 3]},
        ),
        (350 if smoothed else 278, "incremental (ad)", {"color": colours.effect, "strokeWidth": 9, "opacity": 0.55}),
    )
    marks = []
    for left, text, style in entries:
        line = one.mark_rule(**style).encode(x=alt.value(left), x2=alt.value(left + 18), y=alt.value(-14))
        word = one.mark_text(align="left", baseline="middle", text=text, color=colours.muted)
        marks += [line, word.encode(x=alt.value(left + 24), y=alt.value(-14))]
    return marks


def _evidence_layers(mode: str) -> Layers:
    colours = palette(mode)
    # The scale is linear in powers of ten: a log scale would label its minor ticks and need its bounds in the spec.
    label = "abs(datum.value) > 4 ? '1e' + datum.value : format(pow(10, datum.value), ',')"
    y = alt.Y(
        "power:Q",
        title="e-value",
        scale=alt.Scale(nice=False, zero=False, domain=ends("window", "power")),
        axis=alt.Axis(tickCount=5, tickMinStep=1, labelExpr=label),
    )
    x = alt.X(
        "lag_s:Q",
        title="seconds since the airing began",
        scale=alt.Scale(nice=False, domain=ends("window", "lag_s")),
        axis=alt.Axis(tickCount=6),
    )
    frame = alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x, y=y)
    limit = alt.Chart(alt.NamedData("limit"))
    rule = limit.mark_rule(color=colours.counterfactual, strokeDash=[5, 3]).encode(y="power:Q")
    named = limit.mark_text(align="right", dy=-8, color=colours.counterfactual).encode(
        x=alt.value("width"), y="power:Q", text="text:N"
    )
    path = alt.Chart(alt.NamedData("path")).encode(x="lag_s:Q", y="power:Q", detail="airing:N")
    others = path.transform_filter("!datum.leading").mark_line(color=colours.muted, opacity=0.55, strokeWidth=1)
    leading = path.transform_filter("datum.leading").mark_line(color=colours.observed, strokeWidth=1.8)
    crossed = alt.Chart(alt.NamedData("crossed")).encode(x="lag_s:Q", y="power:Q")
    dot = crossed.mark_point(filled=True, size=55, opacity=1, color=colours.ink)
    words = crossed.mark_text(align="left", dx=8, dy=10, color=colours.ink).encode(text="text:N")
    joint = alt.Chart(alt.NamedData("joint")).encode(x="lag_s:Q", y="power:Q")
    thin = joint.mark_line(color=colours.muted, strokeWidth=1, opacity=0.7)
    ending = alt.Chart(alt.NamedData("ending")).encode(x="lag_s:Q", y="power:Q", text="text:N")
    after = ending.transform_filter("!datum.late").mark_text(align="left", dx=5, color=colours.muted)
    below = ending.transform_filter("datum.late").mark_text(align="right", dx=-4, dy=10, color=colours.muted)
    layers = [frame, rule, named, others, thin, after, below, leading, dot, words]
    return alt.layer(*layers).properties(width=860, height=200)


def _amount_layers(mode: str) -> Layers:
    colours = palette(mode)
    x = alt.X(
        "lag_s:Q",
        title="seconds since the airing began",
        scale=alt.Scale(nice=False, domain=ends("window", "lag_s")),
        axis=alt.Axis(tickCount=6),
    )
    scale = alt.Scale(nice=False, zero=False, domain=ends("window", "count"))
    y = alt.Y("lower:Q", title="incremental so far", scale=scale, axis=alt.Axis(tickCount=5))
    frame = alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x, y=alt.Y("count:Q", scale=scale))
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color=colours.muted).encode(y="zero:Q")
    base = alt.Chart(alt.NamedData("amount")).encode(x=x)
    band = base.mark_area(color=colours.effect, opacity=0.28).encode(y=y, y2="upper:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.6).encode(y="incremental:Q")
    return alt.layer(frame, band, zero, line).properties(width=420, height=200)


def _response_layers(mode: str) -> Layers:
    colours = palette(mode)
    x = alt.X("lag_s:Q", title="seconds from delivered exposure to conversion", scale=alt.Scale(nice=False))
    base = alt.Chart(alt.NamedData("kernel")).encode(x=x)
    band = base.mark_area(color=colours.effect, opacity=0.28).encode(y=alt.Y("lower:Q", title="% per s"), y2="upper:Q")
    line = base.mark_line(color=colours.observed, strokeWidth=1.6).encode(y="density:Q")
    peak = alt.Chart(alt.NamedData("peak"))
    rule = peak.mark_rule(color=colours.muted, strokeDash=[2, 2]).encode(x="lag_s:Q")
    label = peak.mark_text(align="left", dx=5, dy=6, color=colours.ink).encode(
        x="lag_s:Q", y=alt.value(0), text="text:N"
    )
    return alt.layer(band, line, rule, label).properties(width=420, height=200)


def _with_data(chart: Layers, frames: dict[str, pd.DataFrame], mode: str) -> Layers:
    """Give a chart its data and its look."""
    chart = _configured(chart, mode)
    chart.datasets = {name: records(frame) for name, frame in {"key": KEY, **frames}.items()}
    return chart


def _configured(chart: Layers, mode: str) -> Layers:
    chart = chart.copy()
    chart.config = alt.Config.from_dict(chart_config(mode))
    return chart
