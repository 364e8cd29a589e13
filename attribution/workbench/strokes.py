"""What the velocity chart draws at a moment, as JSON; and what has changed since another moment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution import plotted
from attribution.workbench import cards, panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.workbench.look import Look

DIGITS = 4
"""Decimals of a rate that travel; the chart writes one."""
BANDS = {"middle": "counterfactual", "low": "counterfactual_lower", "high": "counterfactual_upper", "with": "with_ad"}
"""Curve of the drawing -> column of the chart's data."""


def drawing(look: Look) -> dict[str, Any]:
    """Return what the chart shows of a look: curves, breaks, and the figures around it as HTML (escaped).

    ``at`` and ``zero``, a midnight, are ms since 1970 (UTC); other times are seconds since that midnight; rates are
    conversions a second, unknown ones None.
    The curves are those of :func:`attribution.plotted.velocity_frames`.
    """
    table = plotted.drawn(look.result)
    frames = plotted.velocity_frames(table, look.airings, observed=look.observed, span=look.span)
    zero, line, model, breaks = look.now.floor("D"), frames["line"], frames["model"], frames["breaks"]
    return {
        "zero": zero.value // 1_000_000,
        "at": look.now.value // 1_000_000,
        "span": (look.span[1] - look.span[0]).total_seconds(),
        "top": float(frames["window"]["rate"].iloc[1]),
        "smoothed": plotted.SMOOTHED_S,
        "old": panels.old(look),
        "line": {"t": _times(line["time"], zero), "each": _rates(line["each"]), "mean": _rates(line["observed"])},
        "model": {"t": _times(model["time"], zero), **{name: _rates(model[column]) for name, column in BANDS.items()}},
        "breaks": [
            {
                "from": _seconds(row["time"], zero),
                "to": _seconds(row["end"], zero),
                "kind": row["kind"],
                "label": row["label"],
                "many": bool(row["many"]),
            }
            for row in breaks.to_dict("records")
        ],
        "figures": cards.hero_figures(look),
        "split": cards.split(look),
        "heard": panels.chart_words(look),
    }


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a drawing that differ from the one before; of the line only its new end, of panels those.

    Whoever draws forgets the points of its line from the first of the new end on, and those that left the chart.

    Examples
    --------
    >>> before = {"zero": 0, "top": 80, "line": {"t": [1, 2, 3], "mean": [5, 5, 6]}}
    >>> changes(before, {"zero": 0, "top": 80, "line": {"t": [2, 3, 4], "mean": [5, 7, 7]}})
    {'line': {'t': [3, 4], 'mean': [7, 7]}}
    """
    if before["zero"] != after["zero"]:
        return after
    found = {name: value for name, value in after.items() if name != "line" and value != before[name]}
    if "panels" in found:
        found["panels"] = {name: html for name, html in after["panels"].items() if html != before["panels"].get(name)}
    if after["line"] != before["line"]:
        first = _first(before["line"], after["line"])
        found["line"] = {name: values[first:] for name, values in after["line"].items()}
    return found


def _first(before: dict[str, list], after: dict[str, list]) -> int:
    """Return the place in ``after`` from which on the two lines differ."""
    if not after["t"] or not before["t"] or after["t"][0] not in before["t"]:
        return 0
    skipped = before["t"].index(after["t"][0])
    rows = zip(*(values[skipped:] for values in before.values()), strict=True)
    for place, (old, new) in enumerate(zip(rows, zip(*after.values(), strict=True), strict=False)):
        if old != new:
            return place
    return min(len(before["t"]) - skipped, len(after["t"]))


def _seconds(moment: pd.Timestamp, zero: pd.Timestamp) -> float:
    return round((moment - zero).total_seconds(), 3)


def _times(times: pd.Series, zero: pd.Timestamp) -> list[float]:
    return ((pd.to_datetime(times, utc=True) - zero) / pd.Timedelta(seconds=1)).round(3).tolist()


def _rates(values: Sequence[float] | pd.Series) -> list[float | None]:
    return [round(float(value), DIGITS) if math.isfinite(value) else None for value in values]
