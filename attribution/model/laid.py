"""Counts, feeds, airings and declared moments laid on the bins of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribution.kernels import Delayed, Kernel, bank, exposure_mass

if TYPE_CHECKING:
    import pandas as pd

    from attribution.counts import Counts
    from attribution.model.posts import Posts


def reach(counts: Counts, onset: np.ndarray, window: np.ndarray, before: float, after: float) -> tuple[int, int]:
    """Return the first bin that is used and the one behind the last; (0, 0) without history or without response."""
    begin, finish = onset.min() - before, (onset + window).max() + after
    ends = counts.seconds + counts.width
    first, last = int(np.searchsorted(counts.seconds, begin)), int(np.searchsorted(ends, finish + 1e-9, side="right"))
    airing = int(np.searchsorted(counts.seconds, onset.min()))
    return (first, last) if first < airing < last else (0, 0)


def observed(
    counts: Counts, airings: pd.DataFrame, members: np.ndarray, used: slice, left_out: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return labels, (T, R) counts and (T, R) observed seconds of the bins in use; 0 seconds where nothing is known.

    Regions stand in the order of their names: the order of a file's columns must not matter.
    """
    order = np.argsort(counts.regions)
    labels = tuple(counts.regions[r] for r in order)
    total = counts.values[used].sum(axis=(2, 3))[:, order]
    complete = np.nan_to_num(counts.completeness[used][:, order], nan=1.0)
    usable = (
        np.isfinite(total) & (complete > 0) & ~np.broadcast_to(left_out, (len(total), len(counts.regions)))[:, order]
    )
    width = counts.width[used]
    seconds_seen = np.where(usable, width[:, None] * complete, 0.0)
    total = np.where(usable, total, 0.0)
    if len(labels) > 1 and not _controlled(airings, members, labels):
        before = counts.seconds[used] < moments(airings)[0][members].min()
        return ("all",), *_together(total, seconds_seen, width, before)
    return labels, total, seconds_seen


def _controlled(airings: pd.DataFrame, members: np.ndarray, regions: tuple[str, ...]) -> bool:
    """Return whether some region was spared by some airing of the group."""
    named = [str(airings["regions"].iloc[j]) for j in members]
    return any(name and not set(regions) <= set(name.split("|")) for name in named)


def _together(
    total: np.ndarray, seen: np.ndarray, width: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum regions (T, R) into one series (T, 1): without a control, contrasts between regions say nothing of the ad.

    Regions may be copies of one another (several collectors of one feed): only their sum has a learnable noise. Where
    some regions are missing the sum counts as observed by the share that the others hold ``before`` the airing, (T,)
    mask: what they do later must not change what was seen earlier.
    """
    level = total[before].sum(axis=0) / np.maximum(seen[before].sum(axis=0), 1e-9)
    part = level / max(level.sum(), 1e-9)
    covered = (seen / width[:, None]) @ part
    return total.sum(axis=1, keepdims=True), (covered * width)[:, None]


def moments(airings: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return onset and length of every airing in seconds."""
    at = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    return at, airings["length_s"].to_numpy(dtype=float)


def read(
    found: Posts | None, leads: np.ndarray, low: np.ndarray, high: np.ndarray, close: float, onset: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the feed's counts, observed seconds and excess variance (L, T), read ``leads`` seconds early.

    Only what had arrived by ``close`` is read. The first bin begins at the same second for every lead, so that all
    leads explain the same posts.
    """
    if found is None:
        return np.empty((0, len(low))), np.empty((0, len(low))), np.empty((0, len(low)))
    begin = low - leads[:, None]
    begin[:, 0] = low[0] - leads.max()
    end = np.minimum(high - leads[:, None], close)
    begin = np.minimum(begin, end)
    count, seen = found.between(begin, end)
    return count, seen, found.push((low + high) / 2 - leads[:, None], close, onset)


def basis(mass: np.ndarray, weight: np.ndarray, rest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (J, Q, T) columns and (M, J, Q) weights that give ``mass`` (M, J, T) to ``rest`` of its norm."""
    found = []
    for j in range(mass.shape[1]):
        u, s, v = np.linalg.svd(np.sqrt(weight)[:, None] * mass[:, j], full_matrices=False)
        keep = max(1, int((s > rest * max(s[0], 1e-300)).sum()))
        found.append((v[:keep], u[:, :keep] * s[:keep] / np.sqrt(weight)[:, None]))
    size = max(len(v) for v, _ in found)
    basis = np.array([np.pad(v, ((0, size - len(v)), (0, 0))) for v, _ in found])
    return basis, np.stack([np.pad(c, ((0, 0), (0, size - c.shape[1]))) for _, c in found], axis=1)


def declared(context: pd.DataFrame | None, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (B, T) coverage of the bins by each declared break or organic moment, and their kinds."""
    if context is None or context.empty:
        return np.empty((0, len(low))), ()
    begin = context["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    end = context["end"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    cover = np.clip((np.minimum(high, end[:, None]) - np.maximum(low, begin[:, None])) / (high - low), 0.0, 1.0)
    keep = cover.sum(axis=1) > 0
    return cover[keep], tuple(context["kind"].to_numpy()[keep])


def mass(
    airings: pd.DataFrame,
    members: np.ndarray,
    exposures: pd.DataFrame | None,
    kernels: tuple[Kernel | Delayed, ...],
    shift: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    onset: np.ndarray,
    cut: np.ndarray,
    length: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (M, J, T) and (M, J): the share of each response in each bin, and inside its window.

    ``shift`` (M,) is how much later than logged each kernel takes the airing to be, seconds. With per-viewer insertion
    times the response is exposures * F directly (methods, section 3).
    """
    mass, within = [], []
    groups = [(moved, np.flatnonzero(shift == moved)) for moved in np.unique(shift)]
    for j, begin, window, span in zip(members, onset, cut, length, strict=True):
        first, size = np.array([begin]), np.array([window])
        table = _insertions(exposures, str(airings["airing"].iloc[j]))
        here, inside = np.empty((len(kernels), len(low))), np.empty(len(kernels))
        for moved, chosen in groups:
            own = [kernels[m] for m in chosen]
            if table is None:
                here[chosen] = bank(own, low, high - low, begin + moved, span)
                inside[chosen] = bank(own, first, size, begin + moved, span)[:, 0]
            else:
                at, seen = table[0] + moved, table[1]
                here[chosen] = [exposure_mass(k, low, high - low, at, seen) / seen.sum() for k in own]
                inside[chosen] = [exposure_mass(k, first, size, at, seen)[0] / seen.sum() for k in own]
        mass.append(here)
        within.append(inside)
    return np.stack(mass, axis=1), np.stack(within, axis=1)


def _insertions(exposures: pd.DataFrame | None, airing: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return seconds and numbers of per-viewer exposures of an airing; None when there are none."""
    if exposures is None or exposures.empty:
        return None
    mine = exposures[exposures["airing"].isin(["", airing])]
    table = mine.groupby("time", sort=True)["exposures"].sum()
    table = table[table > 0]
    if table.empty:
        return None
    return table.index.to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9, table.to_numpy(float)


def share(
    airings: pd.DataFrame,
    members: np.ndarray,
    regions: tuple[str, ...],
    y: np.ndarray,
    exposure: np.ndarray,
    low: np.ndarray,
    audience: pd.DataFrame | None,
) -> np.ndarray:
    """Return (J, R): a common lift in the regions that saw the airing, so shares follow their level in the history.

    Where the audience of the regions is known, a region whose audience has grown since takes more of the share.
    """
    before = low < airings["start"].iloc[members].min().value / 1e9
    level = y[:, before].sum(axis=1) / np.maximum(exposure[:, before].sum(axis=1), 1e-9)
    rows = []
    for j in members:
        named = str(airings["regions"].iloc[j])
        everywhere = not named or len(regions) == 1
        seen = np.ones(len(regions), dtype=bool) if everywhere else np.isin(regions, named.split("|"))
        growth = _growth(audience, regions, low[before], airings["start"].iloc[j].value / 1e9)
        rate = np.where(seen, np.maximum(level, 1e-12) * growth, 0.0)
        rows.append(rate / rate.sum() if seen.any() else rate)
    return np.array(rows)


def _growth(audience: pd.DataFrame | None, regions: tuple[str, ...], history: np.ndarray, moment: float) -> np.ndarray:
    """Return (R,) each region's audience at a moment over its mean in the history; 1 where that is unknown."""
    growth = np.ones(len(regions))
    if audience is None or audience.empty or not len(history):
        return growth
    at = audience["time"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    past = (at >= history[0]) & (at < moment)
    for r, region in enumerate(regions):
        mine = past & (audience["region"] == region).to_numpy()
        viewers = audience["viewers"].to_numpy(float)[mine]
        if len(viewers) and np.nanmean(viewers) > 0 and np.isfinite(viewers[-1]):
            growth[r] = viewers[-1] / np.nanmean(viewers)
    return growth
