"""Several airings side by side: each with what it cost and whether it survives; and what creatives and breaks share.

Partial pooling: lifts of airings vary around their category (how far: by moments, Paule and Mandel 1982), categories
around the whole; every category is drawn towards the common mean as far as its own error asks for it, averaged over how
far categories may differ (Rubin 1981).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from attribution.model.windows import window_seconds
from attribution.verdict import CLAIMS, chance, survivors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.analysis import Analysis

DIMENSIONS = ("creative", "network", "break position", "daypart")
"""What airings may have in common."""
OUTSIDE = "outside a break"
SPREAD = 0.10
"""Scale of the prior of how far categories differ: 10 points of lift."""
SURE = 0.9
"""Below this chance that the first category is better than the last, they are not told apart."""
POSITIONS = ("first third of a break", "middle of a break", "last third of a break")


def kinds(airings: pd.DataFrame, context: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what each airing is by creative, network, position in its declared break and daypart.

    Parameters
    ----------
    airings
        Canonical airings.
    context
        Declared moments; a break that holds the start of an airing is its break.

    Examples
    --------
    >>> start = pd.to_datetime(["2026-02-08T20:00Z", "2026-02-08T02:00Z"])
    >>> kinds(pd.DataFrame({"airing": ["a", "b"], "start": start, "creative": ["X", ""]}))["daypart"].tolist()
    ['18-24 UTC', '00-06 UTC']
    """
    hour = airings["start"].dt.hour.to_numpy() // 6 * 6
    found = {"airing": airings["airing"].astype(str).to_numpy()}
    for name in ("creative", "network"):
        label = airings[name].fillna("").astype(str) if name in airings else pd.Series("", index=airings.index)
        found[name] = label.replace("", "unknown").to_numpy()
    found["break position"] = np.array([_position(moment, context) for moment in airings["start"]], dtype=object)
    found["daypart"] = np.array([f"{h:02d}-{h + 6:02d} UTC" for h in hour], dtype=object)
    return pd.DataFrame(found)


def _position(moment: pd.Timestamp, context: pd.DataFrame | None) -> str:
    if context is None or context.empty:
        return OUTSIDE
    rows = context[(context["kind"] == "break") & (context["start"] <= moment) & (moment < context["end"])]
    if rows.empty:
        return OUTSIDE
    row = rows.iloc[0]
    return POSITIONS[min(2, int(3 * ((moment - row["start"]) / (row["end"] - row["start"]))))]


def standings(result: Analysis, *, family: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a row an airing: what it is, what it added, whether it survives among all, what it cost.

    Parameters
    ----------
    family
        Names of the airings that are judged together; all of them when absent.

    Returns
    -------
    airing, start, creative, network, break position, daypart, word, rung, incremental, lower, upper, lift, lift_lower,
    lift_upper, e_value, survives (e-BH over the family), spend, cost, cost_lower, cost_upper (of an incremental
    conversion), whole (the window is over), why (it cannot be judged; empty where it can).
    """
    table = result.table
    stays = survivors(result.verdicts, alpha=result.alpha, family=family)
    cost = result.money[result.money["what"] == "cost per incremental"] if len(result.money) else result.money
    cost = cost.drop_duplicates("airing").set_index("airing") if len(cost) else pd.DataFrame()
    sentence = {verdict.airing: verdict.sentence for verdict in result.verdicts}
    rows = kinds(result.airings, result.given.feeds.get("context"))
    rows.insert(1, "start", table["start"].to_numpy())
    rows["word"], rows["rung"] = table["verdict"].to_numpy(), table["rung"].to_numpy()
    for name, column in (("incremental", "incremental"), ("lift", "lift")):
        for end in ("", "_lower", "_upper"):
            rows[f"{name}{end}" if name == "lift" else (end[1:] or name)] = table[f"{column}{end}"].to_numpy(float)
    rows["e_value"], rows["survives"] = table["e_value"].to_numpy(float), stays
    rows["spend"] = result.airings["spend"].to_numpy(float) if "spend" in result.airings else np.nan
    for name, end in (("cost", "value"), ("cost_lower", "lower"), ("cost_upper", "upper")):
        rows[name] = [float(cost[end].get(a, np.nan)) if len(cost) else np.nan for a in rows["airing"]]
    rows["whole"] = _over(result)
    judged = np.isfinite(rows["incremental"]) & ~rows["word"].isin(["no data", "not separable"])
    rows["why"] = ["" if ok else sentence.get(a, "") for ok, a in zip(judged, rows["airing"], strict=True)]
    return rows


def _over(result: Analysis) -> np.ndarray:
    """Return (J,) whether each window was over at the end of the data."""
    step = float(np.median(result.given.counts.width)) if len(result.given.counts.width) else 1.0
    window = window_seconds(result.settings, result.airings["length_s"].to_numpy(float), step)
    end = result.table["start"] + pd.to_timedelta(window, unit="s")
    return (end <= result.as_of + pd.Timedelta("1ms")).to_numpy()


class Pooling(NamedTuple):
    """What the airings of one dimension share. Lifts are shares of the counterfactual."""

    dimension: str
    mean: float
    """Lift of an airing of an average category."""
    between_airings: float
    between_categories: float
    """Sds of the true lifts: of airings around their category, of categories around the mean."""
    table: pd.DataFrame
    """category, airings, raw, raw_lower, raw_upper, pooled, sd, lower, upper, kept (share of its distance)."""

    @property
    def better(self) -> float:
        """P(the first category's lift is above the last's), as if their errors were independent."""
        first, last = self.table.iloc[0], self.table.iloc[-1]
        return float(ndtr((first["pooled"] - last["pooled"]) / np.hypot(first["sd"], last["sd"])))


def pool_by(rows: pd.DataFrame, dimension: str, *, alpha: float = 0.05) -> Pooling | None:
    """Pool the lifts of the airings of each category partially.

    Parameters
    ----------
    rows
        From :func:`standings`; airings without an interval are left out, and those whose window is not over: the
        lift of a part of a window is another.
    dimension
        One of :data:`DIMENSIONS`.

    Returns
    -------
    Pooling or None
        None with fewer than two airings, or a single category: there is nothing to pool over.

    Raises
    ------
    ValueError
        When there is no such dimension.
    """
    if dimension not in DIMENSIONS:
        raise ValueError(f"dimension is {dimension!r}; choose one of {', '.join(DIMENSIONS)}")
    z = float(ndtri(1 - alpha / 2))
    sd = (rows["lift_upper"] - rows["lift_lower"]) / (2 * z)
    known = rows[np.isfinite(sd) & (sd > 0) & rows["whole"]].assign(sd=sd)
    labels = known[dimension].drop_duplicates().tolist()
    if len(known) < 2 or len(labels) < 2:
        return None
    place = known[dimension].map({label: k for k, label in enumerate(labels)}).to_numpy()
    y, v = known["lift"].to_numpy(float), known["sd"].to_numpy(float) ** 2
    within = _within(y, v, place)
    weight = 1.0 / (v + within)
    total = np.bincount(place, weights=weight)
    raw, raw_v = np.bincount(place, weights=weight * y) / total, 1.0 / total
    mean, across, pooled, spread, kept = _shrunk(raw, raw_v)
    own = np.sqrt(raw_v)
    table = pd.DataFrame(
        {
            "category": labels, "airings": np.bincount(place), "raw": raw, "raw_lower": raw - z * own,
            "raw_upper": raw + z * own, "pooled": pooled, "sd": spread,
            "lower": pooled - z * spread, "upper": pooled + z * spread, "kept": kept,
        }
    )  # fmt: skip
    table = table.sort_values("pooled", ascending=False, kind="stable", ignore_index=True)
    return Pooling(dimension, mean, float(np.sqrt(within)), across, table)


def _shrunk(y: np.ndarray, v: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, sd between the K categories, and of each: pooled estimate, its sd, share of its distance kept.

    y_k ~ N(mu, v_k + omega^2), mu flat, omega half-Cauchy with scale 10 points (Gelman 2006), on a grid: how far the
    categories differ is itself uncertain, and few of them say little about it.
    """
    grid = np.concatenate([[0.0], np.geomspace(1e-3, 3.0, 120)])
    step = np.gradient(grid)
    total = v + grid[:, None] ** 2
    weight = 1.0 / total
    mean = (weight @ y) / weight.sum(axis=1)
    mean_v = 1.0 / weight.sum(axis=1)
    away = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    log = 0.5 * (np.log(weight).sum(axis=1) + np.log(mean_v) - away) - np.log1p((grid / SPREAD) ** 2)
    share = np.exp(log - log.max()) * step
    share /= share.sum()
    kept = grid[:, None] ** 2 / total
    each = mean[:, None] + kept * (y - mean[:, None])
    variance = kept * v + (1 - kept) ** 2 * mean_v[:, None]
    pooled = share @ each
    spread = np.sqrt(share @ (variance + (each - pooled) ** 2))
    return float(share @ mean), float(share @ grid), pooled, spread, share @ kept


def _within(y: np.ndarray, v: np.ndarray, place: np.ndarray) -> float:
    """Return the variance of airings around their own category's mean, beyond their errors.

    Solves sum of w (y - mean of its category)^2 = J - K with w = 1/(tau^2 + v); 0 where the errors explain it all.
    """
    free = len(y) - (place.max() + 1)
    if free < 1:
        return 0.0

    def excess(tau2: float) -> float:
        weight = 1.0 / (v + tau2)
        mean = np.bincount(place, weights=weight * y) / np.bincount(place, weights=weight)
        return float(weight @ (y - mean[place]) ** 2) - free

    low, high = 0.0, float(np.var(y)) + 1e-12
    if excess(low) <= 0:
        return 0.0
    while excess(high) > 0:
        high *= 2
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def told(found: Pooling) -> str:
    """Say what pooling found: how far the categories differ, and which leads.

    Examples
    --------
    >>> table = pd.DataFrame({"category": ["A", "B"], "pooled": [0.2, 0.1], "sd": 0.01})
    >>> print(told(Pooling("creative", 0.15, 0.0, 0.05, table)))
    By creative the true lifts differ by about 5 points from one category to another: A first at +20%, B last at +10%
    (better with probability > 0.999).
    """
    first, last = found.table.iloc[0], found.table.iloc[-1]
    span = f"{first['category']} first at {_percent(first['pooled'])}, {last['category']} last at "
    span += _percent(last["pooled"])
    better = found.better
    if better < SURE:
        return (
            f"By {found.dimension} the categories cannot be told apart (that the first is better than the last has "
            f"probability {better:.0%}): {span}."
        )
    return (
        f"By {found.dimension} the true lifts differ by about {100 * found.between_categories:.2g} points from one "
        f"category to another: {span} (better with probability {chance(better).lstrip('= ')})."
    )


def _percent(value: float) -> str:
    return f"{value:+.0%}".replace("-", "−")


class Tally(NamedTuple):
    """How many airings stand where."""

    airings: int
    claimed: int
    survive: int
    unjudged: int
    spend: float
    incremental: float
    """Sum over the airings that were judged; their errors need not be independent."""


def tally(rows: pd.DataFrame) -> Tally:
    """Count the airings of :func:`standings`."""
    judged = rows["why"] == ""
    return Tally(
        airings=len(rows),
        claimed=int(rows["word"].isin(CLAIMS).sum()),
        survive=int(rows["survives"].sum()),
        unjudged=int((~judged).sum()),
        spend=float(rows["spend"].sum(min_count=1)),
        incremental=float(rows.loc[judged, "incremental"].sum(min_count=1)),
    )
