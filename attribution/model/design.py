"""Counts, airings and settings become the arrays of the model: one design for each group of overlapping airings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.kernels import Delayed, Kernel, bank, delayed, exposure_mass
from attribution.settings import seconds

if TYPE_CHECKING:
    from attribution.counts import Counts
    from attribution.settings import Settings

LONG_AIRING_S = 120.0
"""A longer airing (a campaign of hours or days) exposes over its whole length; a spot exposes at its start."""

FINE_S = ((-20.0, 60.0, 2.0), (-60.0, 120.0, 4.0), (-180.0, 300.0, 8.0), (-600.0, 900.0, 15.0))
"""(from, to, width): bins of at most this width between these seconds around an airing; 30 s elsewhere."""

GAMMA_SHAPES = {(2.0, 0.0): 0.10, (3.0, 0.0): 0.30, (5.0, 0.0): 0.10, (3.0, 0.12): 0.25, (3.0, 0.25): 0.25}
"""(shape, share of a 60-s tail): prior weight, when the kernel is learnt (methods, section 2)."""


MODE_STEP = 0.15
"""Log steps of the grid over the mode of the lag (at most 25 points): finer than strong data can tell."""


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


def response_bank(settings: Settings) -> tuple[tuple[Kernel | Delayed, ...], np.ndarray, np.ndarray]:
    """Return the kernels to average over (stream delay folded in), their lags' modes before it, their prior weights.

    A grid over the log of the mode (a normal prior around ``response_peak``) times the shapes of the family.
    """
    peak, spread = seconds(settings.response_peak), settings.response_peak_logsd
    points = 2 * int(np.clip(np.ceil(2.4 * spread / MODE_STEP), 4, 12)) + 1
    steps = np.linspace(-2.4, 2.4, points) if spread > 0 else np.zeros(1)
    modes = peak * np.exp(spread * steps)
    mode_weight = np.exp(-0.5 * steps**2)
    if settings.kernel == "learnt":
        shapes = [("gamma", shape, tail, weight) for (shape, tail), weight in GAMMA_SHAPES.items()]
    else:
        shapes = [(settings.kernel, None, 0.0, 1.0)]
    delay, delay_sd = settings.delay
    kernels, weights, peaks = [], [], []
    for mode, outer in zip(modes, mode_weight, strict=True):
        for family, shape, tail, inner in shapes:
            own = {} if shape is None else {"shape": shape}
            kernel = Kernel(family=family, mode=float(mode), tail=tail, **own)
            kernels.append(delayed(kernel, delay, delay_sd) if delay > 0 or delay_sd > 0 else kernel)
            weights.append(outer * inner)
            peaks.append(mode)
    weight = np.array(weights)
    return tuple(kernels), np.array(peaks), weight / weight.sum()


def window_seconds(settings: Settings, length: np.ndarray, step: float) -> np.ndarray:
    """Return (J,) seconds after onset that hold 95% of the response (or as set), whole bins, at least one."""
    if settings.window == "auto":
        kernels, _, weight = response_bank(settings)
        central = kernels[int(np.argmax(weight))]
        span = float(central.quantile(0.95)) + np.where(length > LONG_AIRING_S, length, 0.0)
        span = np.ceil(span / 15.0) * 15.0
    else:
        span = np.full(len(length), seconds(settings.window))
    return np.maximum(np.ceil(span / step - 1e-9), 1.0) * step


def history_seconds(settings: Settings, step: float) -> float:
    """Return how much before an airing is used: 30 min of seconds, 60 of minutes, 150 of 5 minutes, 90 of days."""
    if settings.history != "auto":
        return seconds(settings.history)
    if step <= 20.0:
        return 1800.0
    return float(np.interp(np.log(step), np.log([20.0, 60.0, 300.0, 86400.0]), [120, 60, 30, 90]) * step)


def groups(onset: np.ndarray, reach: np.ndarray) -> list[np.ndarray]:
    """Split airings into groups whose responses overlap: (J,) onsets and reaches in seconds -> index arrays."""
    order = np.argsort(onset, kind="stable")
    found: list[list[int]] = []
    end = -np.inf
    for j in order:
        if onset[j] < end:
            found[-1].append(int(j))
        else:
            found.append([int(j)])
        end = max(end, onset[j] + reach[j])
    return [np.array(group) for group in found]


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
    before, after = history_seconds(settings, step), max(900.0, 30.0 * step)
    begin, finish = onset.min() - before, (onset + window).max() + after
    inside = (counts.seconds >= begin) & (counts.seconds + counts.width <= finish + 1e-9)
    if not (inside & (counts.seconds >= onset.min())).any() or not (inside & (counts.seconds < onset.min())).any():
        return None
    first, last = int(np.argmax(inside)), len(inside) - int(np.argmax(inside[::-1]))
    seen = slice(first, last)
    start, width = counts.seconds[seen], counts.width[seen]
    order = np.argsort(counts.regions)  # by name: the order of a file's columns must not matter
    labels = tuple(counts.regions[r] for r in order)
    total = counts.total[seen][:, order]
    complete = np.nan_to_num(counts.completeness[seen][:, order], nan=1.0)
    usable = np.isfinite(total) & (complete > 0)
    if masked is not None:
        usable &= ~masked[seen][:, order]
    reach = window_seconds(settings, length[others], step)
    for j, far in zip(others, reach, strict=True):
        usable[(start >= at[j]) & (start < at[j] + far)] = False
    seconds_seen = np.where(usable, width[:, None] * complete, 0.0)
    total = np.where(usable, total, 0.0)
    if len(labels) > 1 and not _controlled(airings, members, labels):
        labels, total, seconds_seen = ("all",), *_together(total, seconds_seen, width)
    edge = _bins(start, width, onset, window)
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


def _bins(start: np.ndarray, width: np.ndarray, onset: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the positions where adaptive bins begin: fine around each airing, coarse away from it, edges at onsets."""
    target = np.full(len(start), 30.0)
    for o, w in zip(onset, window, strict=True):
        for low, high, fine in FINE_S:
            near = (start >= o + low) & (start < o + high)
            target[near] = np.minimum(target[near], fine)
        response = (start >= o) & (start < o + w)
        target[response] = np.minimum(target[response], 8.0)
    anchor = {int(np.searchsorted(start, o - 1e-9)) for o in onset}
    edge, began = [0], start[0]
    for t in range(1, len(start)):
        reached = start[t] + width[t] / 2 - began > target[t]
        if reached or t in anchor or target[t] < target[edge[-1]]:
            edge.append(t)
            began = start[t]
    return np.array(edge)


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
