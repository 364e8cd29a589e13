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

from attribution.theme import chart_config, palette

if TYPE_CHECKING:
    from attribution.analysis import Analysis

Layers: TypeAlias = alt.LayerChart | alt.FacetChart
"""What Altair's :func:`altair.layer` returns."""
MAX_BINS = 1500
"""More bins than a wide screen has room for are summed into fewer."""
MAX_AIRINGS = 40
UNITS = ((12 * 3600.0, "day", 86400.0), (1800.0, "h", 3600.0), (30.0, "min", 60.0), (0.0, "s", 1.0))
"""Narrowest bin, name and seconds of the unit of time in which rates of such bins are given."""
SMOOTHED_S = 5
"""The observed line is a mean over so many seconds; each bin itself stands behind it, faint."""
HISTORY_S, HISTORY_BINS = 480.0, 40
"""So much of the time before an airing is drawn: the longer of the two."""
CLAIMED = ("caused", "suggestive", "association")
COUNTED = ("observed", "counterfactual", "counterfactual_lower", "counterfactual_upper", "ad")


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
        start = result.table.loc[result.table["airing"] == _known_airing(result, airing), "start"]
        nearest = np.abs(table["time"].to_numpy() - start.to_numpy()[0]).argmin()
        table = table[table["group"] == table["group"].to_numpy()[nearest]]
    table = _near(table, result.table["start"])
    unit = rate_unit(table["width_s"])
    chart = _velocity_layers(mode, unit, key=key)
    return _with_data(chart, velocity_frames(table, result.airings, unit=unit), mode)


def scattered(result: Analysis) -> bool:
    """Say whether the airings lie so far apart that most of a common time axis would be empty."""
    table = drawn(result).drop_duplicates("time")
    if table["group"].nunique() < 2:
        return False
    span = (table["time"].max() - table["time"].min()).total_seconds()
    return float(table["width_s"].sum()) < 0.5 * span


def evidence(result: Analysis, *, mode: str = "light") -> Layers:
    """Path of the e-value since each airing began, against the line 1/alpha that it must cross."""
    chart = _evidence_layers(mode)
    return _with_data(chart, evidence_frames(result), mode)


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
    airing = leading_airing(result) if airing is None else _known_airing(result, airing)
    colours = palette(mode)
    if result.kernel.empty:
        raise ValueError("the analysis has no response to draw: every airing lies outside the data, or has not begun")
    kernel = result.kernel[result.kernel["airing"] == airing]
    kernel = kernel.assign(density=kernel["density"] * 100, lower=kernel["lower"] * 100, upper=kernel["upper"] * 100)
    row = result.table[result.table["airing"] == airing]
    peak = pd.DataFrame({"lag_s": row["response_peak"].astype(float)}).dropna()
    peak["text"] = [f"peak {value:.0f} s" for value in peak["lag_s"]]
    x = alt.X("lag_s:Q", title="seconds from delivered exposure to conversion", scale=alt.Scale(nice=False))
    base = alt.Chart(alt.NamedData("kernel")).encode(x=x)
    band = base.mark_area(color=colours.effect, opacity=0.28).encode(
        y=alt.Y("lower:Q", title="% of the response per second"), y2="upper:Q"
    )
    line = base.mark_line(color=colours.observed, strokeWidth=1.6).encode(y="density:Q")
    mark = alt.Chart(alt.NamedData("peak"))
    rule = mark.mark_rule(color=colours.muted, strokeDash=[2, 2]).encode(x="lag_s:Q")
    label = mark.mark_text(align="left", dx=5, dy=6, color=colours.ink).encode(
        x="lag_s:Q", y=alt.value(0), text="text:N"
    )
    chart = alt.layer(band, line, rule, label).properties(width=420, height=200)
    columns = ["lag_s", "density", "lower", "upper"]
    return _with_data(chart, {"kernel": kernel[columns], "peak": peak}, mode)


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
    rows["claimed"] = rows["verdict"].isin(CLAIMED)
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


def leading_airing(result: Analysis) -> str:
    """Name the airing with the largest e-value; the first where none has one."""
    values = result.table["e_value"].fillna(-1.0).to_numpy()
    return str(result.table["airing"].to_numpy()[values.argmax()])


def rate_unit(width_s: pd.Series) -> tuple[str, float]:
    """Name and seconds of the unit of time in which rates over bins this wide read well.

    Examples
    --------
    >>> rate_unit(pd.Series([1.0, 2.0])), rate_unit(pd.Series([60.0]))
    (('s', 1.0), ('min', 60.0))
    """
    usual = float(width_s.min()) if len(width_s) else 1.0
    return next((name, seconds) for narrowest, name, seconds in UNITS if usual >= narrowest)


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
def velocity_spec(mode: str) -> dict[str, Any]:
    """Compile the live velocity chart once per mode; its data sets are what :func:`velocity_frames` returns."""
    chart = _velocity_layers(mode, ("s", 1.0), key=False).properties(width="container", height=330)
    return _configured(chart, mode).to_dict()


@cache
def evidence_spec(mode: str) -> dict[str, Any]:
    """Compile the live evidence chart once per mode; its data sets are what :func:`evidence_frames` returns."""
    return _configured(_evidence_layers(mode).properties(width="container", height=190), mode).to_dict()


def velocity_frames(
    table: pd.DataFrame,
    airings: pd.DataFrame,
    *,
    unit: tuple[str, float] = ("s", 1.0),
    observed: pd.DataFrame | None = None,
    span: tuple[pd.Timestamp, pd.Timestamp] | None = None,
) -> dict[str, pd.DataFrame]:
    """Build the data sets of the velocity chart.

    Parameters
    ----------
    table
        An analysis' ``total``, or one region of its ``series``: counts per bin.
    airings
        Canonical airings, shaded where they lie inside the span.
    unit
        From :func:`rate_unit`.
    observed
        Newer observations than the table holds (``time``, ``width_s``, ``observed``), which then draw the line.
    span
        First and last moment shown; by default those of the table.
    """
    if span is None:
        first, last = table["time"].min(), (table["time"] + pd.to_timedelta(table["width_s"], unit="s")).max()
        span = (first, last)
    inside = table[(table["time"] >= span[0]) & (table["time"] < span[1])]
    if "group" in inside:
        inside = inside.drop_duplicates("time").sort_values("time")
    inside = _with_gaps(thinned(inside))
    rates = _rates(inside, unit[1])
    seen = inside if observed is None else observed[(observed["time"] >= span[0]) & (observed["time"] < span[1])]
    line = _observed(_with_gaps(seen), unit[1])
    breaks = _breaks(airings, span)
    highest = np.nanmax([1e-9, *line["each"], *rates["counterfactual_upper"], *rates["with_ad"]])
    window = pd.DataFrame({"time": list(span), "rate": [0.0, headroom(float(highest))]})
    last = line.dropna().tail(1)
    parts = ["time", "counterfactual", "counterfactual_lower", "counterfactual_upper", "with_ad"]
    return {"line": line, "model": rates[parts], "breaks": breaks, "window": window, "last": last}


def evidence_frames(result: Analysis) -> dict[str, pd.DataFrame]:
    """Build the data sets of the evidence chart: a path for each airing, the threshold, where it was crossed."""
    looks = result.evidence if len(result.evidence) else pd.DataFrame(columns=["airing", "time", "log_e"])
    kinds = {"time": "datetime64[ns, UTC]", "log_e": float}
    path = looks.merge(result.table[["airing", "start"]], on="airing").astype(kinds)
    threshold = 1 / result.alpha
    path["lag_s"] = (path["time"] - path["start"]).dt.total_seconds()
    # Beyond 1e12 a reader distinguishes nothing, and below 1/1000 the path would only squeeze the part that matters.
    path["power"] = (path["log_e"] / np.log(10)).clip(-3, 12)
    path = path[["airing", "lag_s", "power"]].dropna()
    if len(path) > 2 * MAX_BINS:
        path = path.iloc[:: math.ceil(len(path) / (2 * MAX_BINS))]
    leading = leading_airing(result) if len(result.table) else ""
    path["leading"] = path["airing"] == leading
    crossed = path[path["leading"] & (path["power"] >= math.log10(threshold))].head(1).copy()
    crossed["text"] = [f"crossed at +{lag:.0f} s" for lag in crossed["lag_s"]]
    powers = [-1.0, math.log10(threshold) + 0.7, *path["power"]]
    lags = [0.0, max([30.0, *path["lag_s"]])]
    limit = pd.DataFrame({"power": [math.log10(threshold)], "text": [f"1/α = {threshold:g}"]})
    window = pd.DataFrame({"lag_s": lags, "power": [min(powers), max(powers) * 1.05]})
    return {"path": path, "crossed": crossed, "limit": limit, "window": window}


def drawn(result: Analysis | None) -> pd.DataFrame:
    """Return an analysis' ``total``; where there is none, no bins but all columns."""
    if result is not None and len(result.total):
        return result.total
    columns = pd.DataFrame(columns=[*COUNTED, "width_s", "group"], dtype=float)
    return columns.assign(time=pd.DatetimeIndex([], tz="UTC"))


def thinned(table: pd.DataFrame, most: int = MAX_BINS) -> pd.DataFrame:
    """Sum neighbouring bins until at most ``most`` are left.

    The band's edges are summed too, as if they moved together: never narrower than the truth.

    Examples
    --------
    >>> table = pd.DataFrame({"time": pd.date_range("2026-02-08", periods=4, freq="s"), "observed": [1, 2, 3, 4]})
    >>> thinned(table, most=2)["observed"].tolist()
    [3, 7]
    """
    if len(table) <= most:
        return table
    block = np.arange(len(table)) // math.ceil(len(table) / most)
    columns = [c for c in (*COUNTED, "width_s") if c in table]
    summed = table.groupby(block)[columns].sum(skipna=False)  # a sum with an unknown part is unknown
    return summed.assign(time=table.groupby(block)["time"].first())


def headroom(highest: float) -> float:
    """Top of an axis: at least 8% above the highest value, on a round number, so that it seldom moves.

    Examples
    --------
    >>> headroom(71.2), headroom(0.03)
    (80.0, 0.04)
    """
    wanted = highest * 1.08
    step = 10 ** math.floor(math.log10(wanted))
    ladder = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return float(f"{next(step * m for m in ladder if step * m >= wanted * (1 - 1e-12)):.6g}")


# ----------------------------------------------------------------------------------------------------------- the layers


def _velocity_layers(mode: str, unit: tuple[str, float], *, key: bool) -> Layers:
    colours = palette(mode)
    clock = "%H:%M:%S" if unit[1] == 1 else "%b %d, %H:%M"
    x = alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False, domain=_moving("toNumber(toDate(data('window')[{}].time))")),
        axis=alt.Axis(tickCount=8, labelFlush=False, format=clock),
    )
    y = alt.Y(
        "rate:Q",
        title=f"conversions / {unit[0]}",
        scale=alt.Scale(nice=False, domain=_moving("data('window')[{}].rate")),
        axis=alt.Axis(tickCount=5),
    )
    # An invisible mark brings in the data set that holds the axes' span.
    frame = alt.Chart(alt.NamedData("window")).mark_point(opacity=0).encode(x=x, y=y)
    breaks = alt.Chart(alt.NamedData("breaks"))
    shade = breaks.mark_rect(color=colours.effect, opacity=0.14 if mode == "dark" else 0.28).encode(
        x="time:T", x2="end:T"
    )
    onset = breaks.mark_rule(color=colours.effect_text, opacity=0.7).encode(x="time:T")
    labels = []
    for late in (False, True):
        side = {"align": "right", "dx": -5} if late else {"align": "left", "dx": 5}
        word = breaks.transform_filter(f"datum.late === {str(late).lower()}").encode(x="time:T", y=alt.value(0))
        name = word.mark_text(baseline="top", dy=4, fontWeight=600, color=colours.effect_text, **side)
        detail = word.mark_text(baseline="top", dy=18, color=colours.muted, **side)
        labels += [name.encode(text="kind:N"), detail.encode(text="label:N")]
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
        band,
        effect.encode(y="counterfactual:Q", y2="with_ad:Q"),
        each.encode(x="time:T", y="each:Q"),
        line.encode(x="time:T", y="observed:Q"),
        expected.encode(y="counterfactual:Q"),
        onset,
        *labels,
        last.encode(x="time:T", y="observed:Q"),
        *(_key(mode, smoothed=unit[1] == 1) if key else []),
    ]
    return alt.layer(*layers).properties(width=860, height=300)


def _moving(end: str) -> Any:
    """Two ends of an axis, read from the rows of a data set: they move as data and never re-embed the chart."""
    return [alt.ExprRef(end.format(0)), alt.ExprRef(end.format(1))]


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
        scale=alt.Scale(nice=False, zero=False, domain=_moving("data('window')[{}].power")),
        axis=alt.Axis(tickCount=5, tickMinStep=1, labelExpr=label),
    )
    x = alt.X(
        "lag_s:Q",
        title="seconds since the airing began",
        scale=alt.Scale(nice=False, domain=_moving("data('window')[{}].lag_s")),
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
    return alt.layer(frame, rule, named, others, leading, dot, words).properties(width=860, height=200)


def _known_airing(result: Analysis, airing: str) -> str:
    names = list(result.table["airing"])
    if airing not in names:
        raise ValueError(f"airing is {airing!r}; choose one of {', '.join(map(str, names))}")
    return airing


def _near(table: pd.DataFrame, starts: pd.Series) -> pd.DataFrame:
    """Leave out history so long before the first airing that it would only squeeze the chart."""
    inside = starts[(starts >= table["time"].min()) & (starts <= table["time"].max())]
    if inside.empty:
        return table
    before = max(HISTORY_S, HISTORY_BINS * float(table["width_s"].min()))
    return table[table["time"] >= inside.min() - pd.Timedelta(seconds=before)]


def _rates(table: pd.DataFrame, unit_s: float) -> pd.DataFrame:
    """Turn counts per bin into rates at the middle of the bin; add what counterfactual and ad make together."""
    middle = table["time"] + pd.to_timedelta(table["width_s"] / 2, unit="s")
    scale = unit_s / table["width_s"]
    rates = pd.DataFrame({"time": middle, **{name: table[name] * scale for name in COUNTED}})
    rates["with_ad"] = rates["counterfactual"] + rates["ad"]
    return rates


def _with_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Put an unknown bin into every stretch without bins, so that no line is drawn across it."""
    end = table["time"] + pd.to_timedelta(table["width_s"], unit="s")
    silence = (table["time"].shift(-1) - end).dt.total_seconds()
    before = silence > 1.5 * table["width_s"]
    if not before.any():
        return table
    gaps = pd.DataFrame({"time": end[before], "width_s": silence[before]})
    return pd.concat([table, gaps]).sort_values("time", ignore_index=True)


def _observed(table: pd.DataFrame, unit_s: float) -> pd.DataFrame:
    """Observed rate of each bin, and its mean over the 5 seconds around it (the bin itself where bins are wider)."""
    middle = table["time"] + pd.to_timedelta(table["width_s"] / 2, unit="s")
    known = table["width_s"].where(table["observed"].notna())
    around = pd.DataFrame({"time": middle, "count": table["observed"], "seconds": known})
    around = around.rolling(f"{SMOOTHED_S}s", on="time", center=True, min_periods=1).sum()
    rate = table["observed"] / table["width_s"] * unit_s
    mean = (around["count"] / around["seconds"] * unit_s).where(table["observed"].notna())
    return pd.DataFrame({"time": middle, "each": rate, "observed": mean})


def _breaks(airings: pd.DataFrame, span: tuple[pd.Timestamp, pd.Timestamp]) -> pd.DataFrame:
    """Airings inside the span as shaded windows, cut to it."""
    end = airings["start"] + pd.to_timedelta(airings["length_s"].fillna(0.0), unit="s")
    inside = (airings["start"] < span[1]) & (end >= span[0])
    # Near the right edge a label turns to the left: marks that stick out would squeeze the plot.
    late = airings["start"] > span[1] - (span[1] - span[0]) * 0.2
    return pd.DataFrame(
        {
            "time": airings["start"].where(airings["start"] > span[0], span[0])[inside],
            "end": end.where(end < span[1], span[1])[inside],
            "kind": "AD_BREAK_SPIKE",
            "late": late[inside],
            "label": airings.loc[inside, "airing"].astype(str),
        }
    )


def _with_data(chart: Layers, frames: dict[str, pd.DataFrame], mode: str) -> Layers:
    """Give a chart its data and its look."""
    chart = _configured(chart, mode)
    chart.datasets = {name: records(frame) for name, frame in {"key": KEY, **frames}.items()}
    return chart


def _configured(chart: Layers, mode: str) -> Layers:
    chart = chart.copy()
    chart.config = alt.Config.from_dict(chart_config(mode))
    return chart


KEY = pd.DataFrame({"one": [1]})
"""The data set behind the key: constant marks need one row."""


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as Vega reads them: moments as ISO text in UTC, unknown as null."""
    plain = frame.copy()
    for name in plain.columns:
        column = plain[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            text = column.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
            plain[name] = text.astype(object).where(column.notna(), None)
        elif pd.api.types.is_float_dtype(column):
            plain[name] = column.astype(object).where(np.isfinite(column), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
