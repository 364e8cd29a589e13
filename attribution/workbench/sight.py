"""What is read off a snapshot and an answer: the current airing, the audience, what comes next, each region."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from attribution.forecast import Forecast, next_break
from attribution.health import placed
from attribution.model.design import window_seconds
from attribution.money import money

if TYPE_CHECKING:
    from collections.abc import Mapping

    import attribution as at
    from attribution.stream.engine import Snapshot
    from attribution.stream.lags import Lag

AGO_MIN = 15
"""The audience is compared with what it was so many minutes ago."""
NOW_S = 10
"""Rates called "now" are means over so many seconds."""
RECENT_MIN = 5
"""Without a model, traffic is that of the last five minutes."""
APART_S = 240.0
"""Breaks and airings that begin within four minutes of one another are one break."""
REGIONAL = (
    *("counterfactual", "incremental", "incremental_lower", "incremental_upper"),
    *("lift", "lift_lower", "lift_upper"),
)
"""What is told of each region, with its interval."""
PARTS = ("baseline", "break", "organic", "ad")
"""What the conversions of a window are split into; the parts add up to what the model expects."""


class Upcoming(NamedTuple):
    """The next airing of the schedule, and the moment from which it is counted down."""

    name: str
    start: pd.Timestamp
    length_s: float
    since: pd.Timestamp


def windows(result: at.Analysis) -> np.ndarray:
    """Return the seconds after the start of each airing in which its conversions are summed."""
    lengths = result.airings.set_index("airing")["length_s"].reindex(result.table["airing"]).to_numpy(float)
    step = float(result.total["width_s"].min()) if len(result.total) else 1.0
    return window_seconds(result.settings, lengths, step)


def current(result: at.Analysis | None) -> dict[str, Any] | None:
    """Row of the airing that was last on the air."""
    if result is None:
        return None
    table = result.table.assign(window_s=windows(result))
    aired = table[table["start"] < result.as_of]
    return None if aired.empty else {str(k): v for k, v in aired.sort_values("start").iloc[-1].items()}


def passed(result: at.Analysis | None, row: dict[str, Any] | None) -> float | None:
    """Seconds after its start at which the airing's e-value first passed."""
    if result is None or row is None or result.evidence.empty:
        return None
    path = result.evidence[result.evidence["airing"] == row["airing"]]
    over = path[path["log_e"] >= -math.log(result.alpha)]
    return None if over.empty else (over["time"].iloc[0] - row["start"]).total_seconds()


def reached(snapshot: Snapshot, row: dict[str, Any] | None) -> list[str]:
    """Regions that the current (else the next) airing reaches."""
    named = "" if row is None else str(row["regions"])
    if row is None and len(snapshot.airings):
        named = str(snapshot.airings.sort_values("start")["regions"].iloc[0])
    return named.split("|") if named else list(snapshot.counts.regions)


def observed(snapshot: Snapshot, span: tuple[pd.Timestamp, pd.Timestamp], reached: list[str]) -> pd.DataFrame:
    """Conversions a bin in the regions that the airing reaches."""
    counts = snapshot.counts.between(*span)
    inside = np.isin(counts.regions, reached)
    return pd.DataFrame(
        {
            "time": pd.DatetimeIndex(counts.start).tz_localize("UTC"),
            "width_s": counts.width,
            "observed": counts.total[:, inside].sum(axis=1),
        }
    )


def audience(table: pd.DataFrame | None) -> pd.Series:
    """Viewers in all regions at each moment, oldest first."""
    if table is None or table.empty:
        return pd.Series(dtype=float, index=pd.DatetimeIndex([], tz="UTC"))
    return table.groupby("time")["viewers"].sum(min_count=1)


def viewers(total: pd.Series, now: pd.Timestamp) -> tuple[float, float, int]:
    """Latest audience, its relative change, and against how many minutes ago."""
    if total.empty:
        return math.nan, math.nan, AGO_MIN
    latest = float(total.iloc[-1])
    before = total[total.index <= now - pd.Timedelta(minutes=AGO_MIN)]
    if before.empty:
        return latest, math.nan, AGO_MIN
    return latest, latest / float(before.iloc[-1]) - 1, AGO_MIN


def upcoming(airings: pd.DataFrame, now: pd.Timestamp, since: pd.Timestamp) -> Upcoming | None:
    """Next airing of the schedule; None when none is left."""
    ahead = airings[airings["start"] > now].sort_values("start")
    if ahead.empty:
        return None
    first = ahead.iloc[0]
    earlier = airings.loc[airings["start"] <= now, "start"]
    return Upcoming(str(first["airing"]), first["start"], float(first["length_s"]), max([since, *earlier]))


def foretold(snapshot: Snapshot) -> Forecast | None:
    """When the next break comes, from the breaks of this broadcast; None while too few have begun."""
    declared = snapshot.context
    breaks = declared.loc[declared["kind"] == "break", "start"] if len(declared) else declared.get("start", [])
    starts = pd.DatetimeIndex([*breaks, *snapshot.airings["start"]]).as_unit("ns")
    seconds = np.unique(starts.asi8 / 1e9)
    # An airing inside a declared break is no break of its own.
    apart = np.diff(seconds, prepend=-np.inf) > APART_S
    return next_break(seconds[apart], snapshot.now.value / 1e9)


def expected(result: at.Analysis | None) -> float:
    """Counterfactual rate over the latest seconds of the analysis."""
    if result is None or result.total.empty:
        return math.nan
    last = result.total.drop_duplicates("time").sort_values("time").tail(NOW_S)
    return float(last["counterfactual"].sum() / last["width_s"].sum())


def gap(result: at.Analysis | None, row: dict[str, Any] | None) -> dict[str, float]:
    """Seconds to the onset, the mode and the mean of the current airing's response; empty where unknown."""
    if result is None or row is None or result.gap.empty:
        return {}
    own = result.gap[result.gap["airing"] == row["airing"]]
    return {str(what): float(seconds) for what, seconds in zip(own["what"], own["seconds"], strict=True)}


def chance(result: at.Analysis | None, row: dict[str, Any] | None) -> float:
    """P(ROI > 0): that the incremental exceeds what pays the spend, under the model's mixture of normals."""
    if result is None or row is None or not math.isfinite(row["roi"]):
        return math.nan
    airing = result.airings[result.airings["airing"] == row["airing"]].iloc[0]
    needed = money(airing, result.settings).break_even
    found = placed(result, str(row["airing"]))
    if found is None or not math.isfinite(needed):
        return math.nan
    fit, j = found
    return float(fit.weight @ ndtr((fit.window_mean[:, j] - needed) / fit.window_sd[:, j]))


def inside(result: at.Analysis | None, row: dict[str, Any] | None) -> pd.DataFrame:
    """Bins of the current airing's window, the exposed regions together; none where there is no answer."""
    if result is None or row is None or result.total.empty:
        return pd.DataFrame()
    end = row["start"] + pd.Timedelta(seconds=float(row["window_s"]))
    total = result.total.drop_duplicates("time")
    return total[(total["time"] >= row["start"]) & (total["time"] < end)]


def counted(result: at.Analysis | None, row: dict[str, Any] | None) -> float:
    """Conversions that were counted in the current airing's window; NaN where a part of them is unknown."""
    bins = inside(result, row)
    return float(bins["observed"].sum(skipna=False)) if len(bins) else math.nan


def split(result: at.Analysis | None, row: dict[str, Any] | None) -> dict[str, float]:
    """Take the expected conversions of the current airing's window apart: a key for each of :data:`PARTS`."""
    bins = inside(result, row)
    if row is None or bins.empty or not math.isfinite(row["incremental"]):
        return {}
    sums = {name: float(bins[name].sum()) for name in ("break", "organic")}
    rest = float(row["counterfactual"]) - sum(sums.values())
    return {"baseline": rest, **sums, "ad": float(row["incremental"])}


def regions(
    result: at.Analysis | None,
    row: dict[str, Any] | None,
    snapshot: Snapshot,
    reached: list[str],
    lags: Mapping[str, Lag],
) -> pd.DataFrame:
    """One row a region: its part of the recent traffic, whether it saw the ad, what the ad added, how late its feed is.

    What the ad added is unknown before the first airing, and where no region was spared: the parts of one series
    cannot be told apart.
    """
    recent = snapshot.counts.between(snapshot.now - pd.Timedelta(minutes=RECENT_MIN), snapshot.now)
    table = pd.DataFrame({"region": recent.regions, "recent": np.nansum(recent.total, axis=0)})
    table["traffic"] = table["recent"] / table["recent"].sum() if table["recent"].sum() > 0 else math.nan
    table["exposed"] = table["region"].isin(reached)
    found = pd.DataFrame(columns=["region", *REGIONAL])
    if result is not None and row is not None:
        found = result.regional[result.regional["airing"] == row["airing"]]
    table = table.merge(found[["region", *REGIONAL]], on="region", how="left")
    table[list(REGIONAL)] = table[list(REGIONAL)].astype(float)
    table["lag_ms"] = [lags[name].p50 if name in lags else math.nan for name in table["region"]]
    table["lag_p95_ms"] = [lags[name].p95 if name in lags else math.nan for name in table["region"]]
    table["lag_state"] = [lags[name].state if name in lags else "" for name in table["region"]]
    return table.sort_values("traffic", ascending=False, ignore_index=True)


def heard(snapshot: Snapshot) -> float:
    """Share of the bins since the engine began whose count is known; NaN before the first."""
    since = snapshot.now - pd.Timedelta(seconds=snapshot.metrics.uptime_s)
    total = snapshot.counts.between(since).total
    return float(np.isfinite(total).all(axis=1).mean()) if len(total) else math.nan


def lost(snapshot: Snapshot, row: dict[str, Any] | None, reached: list[str]) -> float:
    """Conversions that the counts of the current airing's window lack because events were lost: what is put right.

    Each bin's count over its completeness, less the count; NaN where the completeness is unknown.
    """
    if row is None:
        return math.nan
    counts = snapshot.counts.between(row["start"], row["start"] + pd.Timedelta(seconds=float(row["window_s"])))
    inside = np.isin(counts.regions, reached)
    total, share = counts.total[:, inside], counts.completeness[:, inside]
    if not total.size or np.isnan(share).any():
        return math.nan
    return float(np.nansum(total / np.maximum(share, 0.05) - total))
