"""Counts, airings and settings become the arrays of the model: one design for each group of overlapping airings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.kernels import Delayed, Kernel, bank, exposure_mass
from attribution.model.windows import LONG_AIRING_S, adaptive_bins, history_seconds, response_bank, window_seconds

if TYPE_CHECKING:
    from attribution.counts import Counts
    from attribution.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The arrays of the model for one group of airings whose responses overlap.

    Attributes
    ----------
    airings
        (J,) positions in the airings' table.
    start, width
        (T,) adaptive bins, seconds since 1970 and seconds.
    y, exposure
        (R, T) counts, and the seconds in which they were observed (known width x completeness; 0 = missing).
    share
        (J, R) split of each airing's incremental over the regions; rows sum to 1, 0 where it was not seen.
    regions
        (R,) labels.
    onset, length
        (J,) seconds since 1970, seconds.
    window
        (J,) seconds after onset that the incremental is summed over, cut at the end of the data.
    feed, feed_exposure
        (T,) social counts and their observed seconds; both empty without a feed.
    feed_variance
        (T,) local excess variance of the feed's log, a second (methods, section 2, row G); empty without a feed.
    breaks
        (B, T) share of each bin that lies in each declared break or organic moment; ``break_kind`` (B,) says which.
    kernels, peak, kernel_weight, mass
        The bank: (M,) kernels, the modes of their lags after delivery (s), their prior weights, and (M, J, T) the share
        of a response that falls into each bin.
    window_mass
        (M, J) the share of a response that falls into the window.
    history
        (T,) mask of the bins before the first airing of the group that no earlier response reaches.
    fine
        The data's own bins, for the noise and the watched test: (T',) starts and widths in seconds, (R, T') counts,
        NaN where unknown.
    """

    airings: np.ndarray
    start: np.ndarray
    width: np.ndarray
    y: np.ndarray
    exposure: np.ndarray
    share: np.ndarray
    regions: tuple[str, ...]
    onset: np.ndarray
    length: np.ndarray
    window: np.ndarray
    feed: np.ndarray
    feed_exposure: np.ndarray
    feed_variance: np.ndarray
    breaks: np.ndarray
    break_kind: tuple[str, ...]
    kernels: tuple[Kernel | Delayed, ...]
    peak: np.ndarray
    kernel_weight: np.ndarray
    mass: np.ndarray
    window_mass: np.ndarray
    history: np.ndarray
    fine: tuple[np.ndarray, np.ndarray, np.ndarray]

    @property
    def mid(self) -> np.ndarray:
        """(T,) seconds: the middle of each bin."""
        return self.start + self.width / 2

    @property
    def exposed(self) -> np.ndarray:
        """(R,) mask of the regions that any airing of the group reached."""
        return self.share.sum(axis=0) > 0

    def inside(self, j: int) -> np.ndarray:
        """(T,) share of each bin that lies in the window of airing ``j``."""
        low, high = self.onset[j], self.onset[j] + self.window[j]
        overlap = np.minimum(self.start + self.width, high) - np.maximum(self.start, low)
        return np.clip(overlap / self.width, 0.0, 1.0)


def build(
    counts: Counts,
    airings: pd.DataFrame,
    settings: Settings,
    *,
    members: np.ndarray,
    others: np.ndarray,
    social: pd.DataFrame | None = None,
    audience: pd.DataFrame | None = None,
    context: pd.DataFrame | None = None,
    exposures: pd.DataFrame | None = None,
    masked: np.ndarray | None = None,
) -> Design | None:
    """Build the design of one group of airings; None when its history or response window holds no data.

    Parameters
    ----------
    members
        (J,) positions in ``airings`` of the group.
    others
        (J',) positions of airings outside the group: their response windows are left out of the data.
    social, audience, context, exposures
        The feeds, as their readers return them.
    masked
        (T, R) bins of ``counts`` to leave out (an outage and its rebound), True = leave out.
    """
    step = float(np.median(counts.width)) if len(counts.width) else 1.0
    at, length = _moments(airings)
    onset, span = at[members], length[members]
    window = window_seconds(settings, span, step)
    first, last = _reach(counts, onset, window, history_seconds(settings, step), max(900.0, 30.0 * step))
    if last <= first:
        return None
    start, width = counts.seconds[first:last], counts.width[first:last]
    busy = np.zeros(len(start), dtype=bool)
    for j, far in zip(others, window_seconds(settings, length[others], step), strict=True):
        busy |= (start >= at[j]) & (start < at[j] + far)
    left_out = busy[:, None] | (False if masked is None else masked[first:last])
    labels, total, seconds_seen = _observed(counts, airings, members, slice(first, last), left_out)
    edge = adaptive_bins(start, width, onset, window)
    y = np.add.reduceat(total, edge, axis=0).T
    exposure = np.add.reduceat(seconds_seen, edge, axis=0).T
    low = start[edge]
    high = np.append(start[edge[1:] - 1] + width[edge[1:] - 1], start[-1] + width[-1])
    feed, feed_exposure, feed_variance = _feed(social if settings.social else None, low, high)
    kernels, peak, weight = response_bank(settings)
    exposed_length = np.where(span > LONG_AIRING_S, span, 0.0)
    cut = np.minimum(window, (start[-1] + width[-1]) - onset)
    mass, within = _mass(airings, members, exposures, kernels, low, high, onset, cut, exposed_length)
    named, kinds = _declared(context, low, high)
    return Design(
        airings=members,
        start=low,
        width=high - low,
        y=y,
        exposure=exposure,
        share=_share(airings, members, labels, y, exposure, low, audience),
        regions=labels,
        onset=onset,
        length=span,
        window=cut,
        feed=feed,
        feed_exposure=feed_exposure,
        feed_variance=feed_variance,
        breaks=named,
        break_kind=kinds,
        kernels=kernels,
        peak=peak,
        kernel_weight=weight,
        mass=mass,
        window_mass=within,
        history=high <= onset.min() + 1e-9,
        fine=(start, width, np.where(seconds_seen > 0.5 * width[:, None], total, np.nan).T),
    )


def _reach(counts: Counts, onset: np.ndarray, window: np.ndarray, before: float, after: float) -> tuple[int, int]:
    """Return the first bin that is used and the one behind the last; (0, 0) without history or without response."""
    begin, finish = onset.min() - before, (onset + window).max() + after
    ends = counts.seconds + counts.width
    first, last = int(np.searchsorted(counts.seconds, begin)), int(np.searchsorted(ends, finish + 1e-9, side="right"))
    airing = int(np.searchsorted(counts.seconds, onset.min()))
    return (first, last) if first < airing < last else (0, 0)


def _observed(
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
        return ("all",), *_together(total, seconds_seen, width)
    return labels, total, seconds_seen


def _controlled(airings: pd.DataFrame, members: np.ndarray, regions: tuple[str, ...]) -> bool:
    """Return whether some region was spared by some airing of the group."""
    named = [str(airings["regions"].iloc[j]) for j in members]
    return any(name and not set(regions) <= set(name.split("|")) for name in named)


def _together(total: np.ndarray, seen: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum regions (T, R) into one series (T, 1): without a control, contrasts between regions say nothing of the ad.

    Regions may be copies of one another (several collectors of one feed): only their sum has a learnable noise. Where
    some regions are missing the sum counts as observed by the share that the others usually hold.
    """
    level = total.sum(axis=0) / np.maximum(seen.sum(axis=0), 1e-9)
    part = level / max(level.sum(), 1e-9)
    covered = (seen / width[:, None]) @ part
    return total.sum(axis=1, keepdims=True), (covered * width)[:, None]


def _moments(airings: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return onset and length of every airing in seconds."""
    at = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    return at, airings["length_s"].to_numpy(dtype=float)


def _feed(social: pd.DataFrame | None, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spread the social feed's counts over the bins; bins the feed does not cover have no observed seconds."""
    if social is None or social.empty:
        return np.empty(0), np.empty(0), np.empty(0)
    table = social.groupby("time", sort=True)[["count", "width_s"]].agg({"count": "sum", "width_s": "first"})
    begin = table.index.to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    size, value = table["width_s"].to_numpy(float), table["count"].to_numpy(float)
    if np.median(size) > np.median(high - low) * 4:
        return np.empty(0), np.empty(0), np.empty(0)  # too coarse to tell a surge from the spot
    known = np.isfinite(value)
    edges = np.concatenate([begin, begin[-1:] + size[-1:]])
    counted = np.concatenate([[0.0], np.cumsum(np.where(known, value, 0.0))])
    observed = np.concatenate([[0.0], np.cumsum(np.where(known, size, 0.0))])
    take = lambda path: np.interp(high, edges, path) - np.interp(low, edges, path)  # noqa: E731  two uses, one line
    feed, seen = take(counted), take(observed)
    if seen.sum() < 60 or feed.sum() < 30:
        return np.empty(0), np.empty(0), np.empty(0)
    return feed, seen, _excess(begin, size, value, (low + high) / 2)


def _excess(begin: np.ndarray, size: np.ndarray, value: np.ndarray, mid: np.ndarray) -> np.ndarray:
    """Return the local excess variance a second of the feed's log over 4-s steps, at ``mid`` (methods, section 2)."""
    block = max(1, round(4.0 / float(np.median(size))))
    n = len(value) // block
    if n < 3:
        return np.zeros(len(mid))
    sums = np.nan_to_num(value[: n * block]).reshape(n, block).sum(axis=1)
    log = np.log(sums + 0.5)
    noise = 1.0 / (sums[1:] + 0.5) + 1.0 / (sums[:-1] + 0.5)
    seconds_apart = block * float(np.median(size))
    excess = (np.diff(log) ** 2 - 1.5 * noise) / seconds_apart
    smooth = np.convolve(np.pad(excess, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    at = begin[block : n * block : block]
    return np.interp(mid, at, np.maximum(smooth, 0.0))


def _declared(context: pd.DataFrame | None, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return (B, T) coverage of the bins by each declared break or organic moment, and their kinds."""
    if context is None or context.empty:
        return np.empty((0, len(low))), ()
    begin = context["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    end = context["end"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    cover = np.clip((np.minimum(high, end[:, None]) - np.maximum(low, begin[:, None])) / (high - low), 0.0, 1.0)
    keep = cover.sum(axis=1) > 0
    return cover[keep], tuple(context["kind"].to_numpy()[keep])


def _mass(
    airings: pd.DataFrame,
    members: np.ndarray,
    exposures: pd.DataFrame | None,
    kernels: tuple[Kernel | Delayed, ...],
    low: np.ndarray,
    high: np.ndarray,
    onset: np.ndarray,
    cut: np.ndarray,
    length: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (M, J, T) and (M, J): the share of each response in each bin, and inside its window.

    With per-viewer insertion times the response is exposures * F directly (methods, section 3).
    """
    mass, within = [], []
    for j, begin, window, span in zip(members, onset, cut, length, strict=True):
        first, size = np.array([begin]), np.array([window])
        table = _insertions(exposures, str(airings["airing"].iloc[j]))
        if table is None:
            mass.append(bank(kernels, low, high - low, begin, span))
            within.append(bank(kernels, first, size, begin, span)[:, 0])
        else:
            at, seen = table
            mass.append(np.array([exposure_mass(k, low, high - low, at, seen) for k in kernels]) / seen.sum())
            within.append(np.array([exposure_mass(k, first, size, at, seen)[0] for k in kernels]) / seen.sum())
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


def _share(
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
