"""The social feed as it came: posts by time, read over any bins, and how much more than noise they jump about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_S, LEAST_POSTS = 60.0, 30.0
"""A feed with less than this many observed seconds or posts says nothing about a surge."""


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

    def excess(self, moment: np.ndarray, close: float) -> np.ndarray:
        """Return the excess variance a second of the feed's log over 4-s steps, by ``moment`` (methods, section 2).

        Only posts that had arrived by ``close`` are read.
        """
        block = max(1, round(4.0 / self.step))
        n = int(np.searchsorted(self.edges, close + 1e-9) - 1) // block
        if n < 3:
            return np.zeros_like(moment)
        sums = self.value[: n * block].reshape(n, block).sum(axis=1)
        log = np.log(sums + 0.5)
        noise = 1.0 / (sums[1:] + 0.5) + 1.0 / (sums[:-1] + 0.5)
        excess = (np.diff(log) ** 2 - 1.5 * noise) / (block * self.step)
        smooth = np.convolve(np.pad(excess, 2, mode="edge"), np.full(5, 0.2), mode="valid")
        return np.interp(moment, self.edges[block : n * block : block], np.maximum(smooth, 0.0))


def posts(social: pd.DataFrame | None, width: np.ndarray) -> Posts | None:
    """Return the feed of a canonical social table; None without one, or one too short or coarse for bins of ``width``.

    Parameters
    ----------
    social
        ``time``, ``width_s``, ``count``, as :func:`attribution.read_social` returns it.
    width
        (T,) seconds of the bins it is to be read over.
    """
    if social is None or social.empty:
        return None
    table = social.groupby("time", sort=True)[["count", "width_s"]].agg({"count": "sum", "width_s": "first"})
    begin = table.index.to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    size, value = table["width_s"].to_numpy(float), table["count"].to_numpy(float)
    if np.median(size) > np.median(width) * 4:
        return None  # too coarse to tell a surge from the spot
    known = np.isfinite(value)
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
