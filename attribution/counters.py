"""Counters that only grow, turned into counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attribution.grids import SECOND, Cells
from attribution.tables import SHOWN, Ledger, count_of

if TYPE_CHECKING:
    from attribution.counts import Counts


def difference(counts: Counts, cells: Cells, ledger: Ledger) -> Counts:
    """Turn counters that only grow into counts: a bin holds what came until the next reading.

    A fall is a reset: the count of that step is unknown, and so is the step on which a counter that fell by mistake
    comes back.
    """
    levels = counts.values
    if len(levels) < 2:
        raise ledger.fail("a cumulative counter needs two readings or more")
    values = np.full_like(levels, np.nan)
    out = np.diff(levels, axis=0)
    falls = [0, ""]
    for region in np.flatnonzero(cells.growing):
        for channel, device in np.ndindex(levels.shape[2:]):
            step, level = out[:, region, channel, device], levels[:, region, channel, device]
            at = np.flatnonzero(step < 0)
            if len(at) > 0.05 * max(np.isfinite(step).sum(), 1) and len(at) > 1:
                raise ledger.fail(
                    f"{cells.regions[region]!r} falls {len(at):,} times; it does not look cumulative: cumulative=False"
                )
            for i in at:
                back = np.flatnonzero(level[i + 2 :] >= level[i])
                if len(back) and step[i + 1 + back[0]] >= 0.5 * (level[i] - level[i + 1]):
                    step[i + 1 + back[0]] = np.nan
            falls[0] += len(at)
            falls[1] = falls[1] or ", ".join(str(counts.start[i])[:19] + "Z" for i in at[:SHOWN])
            step[at] = np.nan
    if falls[0]:
        ledger.note(
            "warning",
            f"{count_of(int(falls[0]), 'reset')} of a cumulative counter",
            rows=str(falls[1]),
            harm="what was counted around a reset is unknown",
            mend="these bins are NaN",
        )
    grows = cells.growing
    values[:-1, grows] = out[:, grows]
    values[:, ~grows] = levels[:, ~grows]
    last = None if not grows.all() else -1
    width = counts.width.copy()
    width[:-1] = np.diff(counts.start.astype("int64")) / SECOND
    whole = width <= 1.5 * np.median(width)
    values[np.ix_(~whole, grows)] = np.nan
    width = np.where(whole, width, counts.width)
    complete = np.where(np.isnan(values).any(axis=(2, 3)), np.nan, 1.0)
    return replace(
        counts, start=counts.start[:last], width=width[:last], values=values[:last], completeness=complete[:last]
    )
