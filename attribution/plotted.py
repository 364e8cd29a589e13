"""What a chart draws, as tables: rates, gaps, spans and marks, named data sets for a constant specification."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from attribution.analysis import Analysis

MAX_BINS = 1500
"""More bins than a wide screen has room for are summed into fewer."""
UNITS = ((12 * 3600.0, "day", 86400.0), (1800.0, "h", 3600.0), (30.0, "min", 60.0), (0.0, "s", 1.0))
"""Narrowest bin, name and seconds of the unit of time in which rates of such bins are given."""
SMOOTHED_S = 5
"""The observed line is a mean over so many seconds; each bin itself stands behind it, faint."""
HISTORY_S, HISTORY_BINS = 480.0, 40
"""So much of the time before an airing is drawn: the longer of the two."""
LABELLED = 12
"""More airings on one chart are shaded without a label and a line each: they would cover what they explain."""
COUNTED = ("observed", "counterfactual", "counterfactual_lower", "counterfactual_upper", "ad")
KEY = pd.DataFrame({"one": [1]})
"""The data set behind the key: constant marks need one row."""


def scattered(result: Analysis) -> bool:
    """Say whether the airings lie so far apart that most of a common time axis would be empty."""
    table = drawn(result).drop_duplicates("time")
    if table["group"].nunique() < 2:
        return False
    span = (table["time"].max() - table["time"].min()).total_seconds()
    return float(table["width_s"].sum()) < 0.5 * span


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
    known = np.array([*line["each"], *rates["counterfactual_upper"], *rates["with_ad"]], dtype=float)
    highest = np.nanmax([1e-9, *known]) if np.isfinite(known).any() else 1.0
    window = pd.DataFrame({"time": list(span), "rate": [0.0, headroom(float(highest))]})
    last = line.dropna().tail(1)
    parts = ["time", "counterfactual", "counterfactual_lower", "counterfactual_upper", "with_ad"]
    return {"line": line, "model": rates[parts], "breaks": breaks, "window": window, "last": last}


def evidence_frames(result: Analysis) -> dict[str, pd.DataFrame]:
    """Build the data sets of the evidence chart.

    A path for each airing, that of the joint filter beside the leading one, the threshold, where it was crossed.
    """
    looks = _looks(result)
    threshold = 1 / result.alpha
    # Beyond 1e12 a reader distinguishes nothing, and below 1/1000 the path would only squeeze the part that matters.
    looks["power"] = (looks["log_e"] / np.log(10)).clip(-3, 12)
    path = looks[["airing", "lag_s", "power", "leading"]].dropna()
    if len(path) > 2 * MAX_BINS:
        path = path.iloc[:: math.ceil(len(path) / (2 * MAX_BINS))]
    joint = looks[looks["leading"]].assign(power=(looks["joint_log_e"] / np.log(10)).clip(-3, 12))
    joint = joint[["lag_s", "power"]].dropna()
    crossed = path[path["leading"] & (path["power"] >= math.log10(threshold))].head(1).copy()
    crossed["text"] = [f"crossed at +{lag:.0f} s" for lag in crossed["lag_s"]]
    powers = [-1.0, math.log10(threshold) + 0.7, *path["power"], *joint["power"]]
    lags = [0.0, max([30.0, *path["lag_s"]])]
    # The name of the thin line stands after its end where there is room, else below it.
    ending = joint.tail(1).assign(text="joint filter", late=lambda end: end["lag_s"] > 0.75 * lags[1])
    limit = pd.DataFrame({"power": [math.log10(threshold)], "text": [f"1/α = {threshold:g}"]})
    window = pd.DataFrame({"lag_s": lags, "power": [min(powers), max(powers) * 1.05]})
    return {"path": path, "joint": joint, "ending": ending, "crossed": crossed, "limit": limit, "window": window}


def amount_frames(result: Analysis) -> dict[str, pd.DataFrame]:
    """Build the data sets of the amount over time: of the leading airing, with the interval that holds at all looks."""
    looks = _looks(result)
    amount = looks[looks["leading"]][["lag_s", "incremental", "lower", "upper"]].dropna()
    if len(amount) > MAX_BINS:
        amount = amount.iloc[:: math.ceil(len(amount) / MAX_BINS)]
    # The first looks know nothing yet: their intervals would squeeze all that follows, and are cut.
    later = amount.iloc[len(amount) // 4 :]
    ends = [0.0, *amount["incremental"], *later["lower"], *later["upper"]]
    room = 0.05 * max(1.0, max(ends) - min(ends))
    count = [min(ends) - room, max(ends) + room]
    amount = amount.assign(lower=amount["lower"].clip(lower=count[0]), upper=amount["upper"].clip(upper=count[1]))
    window = pd.DataFrame({"lag_s": [0.0, max([30.0, *amount["lag_s"]])], "count": count})
    return {"amount": amount, "zero": pd.DataFrame({"zero": [0.0]}), "window": window}


def response_frames(result: Analysis, airing: str) -> dict[str, pd.DataFrame]:
    """Build the data sets of the response chart of one airing: % of the response a second, and its peak."""
    kernel = result.kernel[result.kernel["airing"] == airing]
    shares = {name: kernel[name] * 100 for name in ("density", "lower", "upper")}
    row = result.table[result.table["airing"] == airing]
    peak = pd.DataFrame({"lag_s": row["response_peak"].astype(float)}).dropna()
    peak["text"] = [f"peak {value:.0f} s" for value in peak["lag_s"]]
    return {"kernel": kernel.assign(**shares)[["lag_s", "density", "lower", "upper"]], "peak": peak}


def _looks(result: Analysis) -> pd.DataFrame:
    """Return every look with seconds since its airing began, and whether that airing leads; unknown columns unknown."""
    columns = ["airing", "time", "log_e", "joint_log_e", "incremental", "lower", "upper"]
    looks = result.evidence.reindex(columns=columns)
    kinds = {"time": "datetime64[ns, UTC]"} | dict.fromkeys(columns[2:], float)
    looks = looks.merge(result.table[["airing", "start"]], on="airing").astype(kinds)
    leading = leading_airing(result) if len(result.table) else ""
    return looks.assign(lag_s=(looks["time"] - looks["start"]).dt.total_seconds(), leading=looks["airing"] == leading)


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


def known_airing(result: Analysis, airing: str) -> str:
    """Return the airing's name; ValueError lists the airings there are."""
    names = list(result.table["airing"])
    if airing not in names:
        raise ValueError(f"airing is {airing!r}; choose one of {', '.join(map(str, names))}")
    return airing


def near(table: pd.DataFrame, starts: pd.Series) -> pd.DataFrame:
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
    many = int(inside.sum()) > LABELLED
    return pd.DataFrame(
        {
            "time": airings["start"].where(airings["start"] > span[0], span[0])[inside],
            "end": end.where(end < span[1], span[1])[inside],
            "kind": "" if many else "AD_BREAK_SPIKE",
            "late": late[inside],
            "label": "" if many else airings.loc[inside, "airing"].astype(str),
            "many": many,
        }
    )


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
