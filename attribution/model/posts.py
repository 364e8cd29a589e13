"""The social feed as it came: posts by time, read over any bins, and how much more than noise they jump about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_S, LEAST_POSTS = 60.0, 30.0
"""A feed with less than this many observed seconds or posts says nothing about a surge."""

SLOPE_S, LASTS_S = 8.0, 10.0
"""Seconds of the means whose slope is taken, and for which a slope is taken to last."""

NEAR_S, NEAR, FAR = 150.0, 3.0, 10.0
"""A slope counts from so many times the usual one: ``NEAR`` from 150 s before the airing on, ``FAR`` before that.

One slope in twelve passes ``NEAR`` by noise. A history has hundreds; each would be a surge that no region felt, and
the gain of the real one would be learnt to be nothing."""

LOUD = 0.2
"""Share above its usual level at which a feed's slope counts in full, and below whose beginning not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts:
    """A feed of counts.

    Attributes
    ----------
    edges
        (N + 1,) seconds since 1970 of the feed's own bins.
    counted, observed
        (N + 1,) posts and observed seconds up to each edge.
    value
        (N,) posts of each bin; 0 where unknown.
    step
        Seconds of a bin.
    """

    edges: np.ndarray
    counted: np.ndarray
    observed: np.ndarray
    value: np.ndarray
    step: float

    def between(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return posts and observed seconds of the spans from ``begin`` to ``end``, seconds since 1970, any shape."""
        take = lambda path: np.interp(end, self.edges, path) - np.interp(begin, self.edges, path)  # noqa: E731
        return take(self.counted), take(self.observed)

    def push(self, moment: np.ndarray, close: float, onset: float) -> np.ndarray:
        """Return the variance a second with which the surge is pushed about, by ``moment``: what the feed itself shows.

        The slope of the feed, relative to its usual level, between neighbouring means of ``SLOPE_S`` seconds; squared,
        less some times what is usual (counting noise and wandering alike), times the seconds for which a slope lasts.
        Without it the path of the surge is too stiff for a real one, which then counts as noise of the feed, and the
        rest of it as the ad. A feed below its usual level shows no surge, whatever its slope. Only posts that had
        arrived by ``close`` are read; ``onset`` is the first airing's.
        """
        block = max(1, round(SLOPE_S / self.step))
        n = int(np.searchsorted(self.edges, close + 1e-9) - 1)
        if n < 6 * block:
            return np.zeros_like(moment)
        span = block * self.step
        posts, seen = (path[block : n + 1] - path[: n + 1 - block] for path in (self.counted, self.observed))
        known = seen > 0.75 * span  # an outage of the feed is no slope
        mean = np.where(known, posts, 0.0) / np.where(known, seen, 1.0)
        both = known[block:] & known[:-block]
        if not both.any():
            return np.zeros_like(moment)
        level = max(float(np.median(mean[known])), 1e-9)
        slope = (mean[block:] - mean[:-block]) / level / span
        above = 0.5 * (mean[block:] + mean[:-block]) / level
        height = np.maximum(above, 0.2)
        usual = float(np.median((slope**2 / height)[both])) / 0.455  # the median of a squared normal: .455 of its mean
        at = self.edges[block : block + len(slope)]
        least = np.where(at < onset - NEAR_S, FAR, NEAR) * usual * height
        rough = np.where(both, np.maximum(slope**2 - least, 0.0), 0.0) * LASTS_S * np.clip((above - 1.0) / LOUD, 0, 1)
        near = np.lib.stride_tricks.sliding_window_view(np.pad(rough, block // 2, mode="edge"), 2 * (block // 2) + 1)
        return np.interp(moment, at, near.max(axis=1), right=0.0 if not len(rough) else float(near[-1].max()))


def posts(social: pd.DataFrame | None, step: float) -> Posts | None:
    """Return the feed of a canonical social table; None without one, or one too short or coarse for bins of ``step``.

    Parameters
    ----------
    social
        ``time``, ``width_s``, ``count``, as :func:`attribution.read_social` returns it.
    step
        Seconds of the counts' own bins.
    """
    if social is None or social.empty:
        return None
    begin, size, value, known = _moments(social)
    if np.median(size) > max(8.0, 4.0 * step):
        return None  # too coarse to tell a surge from the spot
    count, seen = np.where(known, value, 0.0), np.where(known, size, 0.0)
    if seen.sum() < LEAST_S or count.sum() < LEAST_POSTS:
        return None
    return Posts(
        edges=np.concatenate([begin, begin[-1:] + size[-1:]]),
        counted=np.concatenate([[0.0], np.cumsum(count)]),
        observed=np.concatenate([[0.0], np.cumsum(seen)]),
        value=count,
        step=float(np.median(size)),
    )


def _moments(social: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return of each moment of the feed, in order: seconds since 1970, width, posts of all regions, whether known.

    A moment of which one region is unknown is unknown: a sum would take it for 0.
    """
    begin = social["time"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    size, value = social["width_s"].to_numpy(float), social["count"].to_numpy(float)
    if (np.diff(begin) > 0).all():
        return begin, size, value, np.isfinite(value)
    moment, first, place = np.unique(begin, return_index=True, return_inverse=True)
    known = np.bincount(place, ~np.isfinite(value)) == 0
    return moment, size[first], np.bincount(place, np.nan_to_num(value)), known
