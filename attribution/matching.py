"""Which moments of a series an airing may be compared with (methods, section 5).

Earlier ones without an ad: in a declared break if it ran in one; else the nearest by rate, burstiness, hour and age.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from attribution.model.series import Series, Window

MOST = 199
"""Placebos an airing is compared with, where the pool holds as many."""

EVERY_S = 120.0
"""A moment of the pool every so many seconds, or every bin where bins are wider."""

SCALES = (0.4, 0.3, 3.0, 10.0)
"""Distances that count as one: log rate, log relative sd, hours of the day, days of age."""

SEEN = 0.5
"""Share of the bins before a moment that must be known; of its response all but one in ten."""


class Pool(NamedTuple):
    """Moments to compare an airing with."""

    kind: str
    """``breaks`` or ``moments``."""
    place: np.ndarray
    """(M,) bin positions, in the order of time."""


def pool(series: Series, window: Window, place: int) -> Pool:
    """Return the moments without an ad that end before the airing at bin ``place``, nearest first in likeness.

    A moment's response holds no busy bin; enough of what lies before it is known. The 199 nearest are kept.
    """
    every = max(1, round(EVERY_S / series.step))
    last = place - window.response - window.after
    at = np.arange(place, window.before, -every)[1:]
    at = np.sort(at[at <= last])
    if not len(at):
        return Pool("moments", at)
    known = np.isfinite(series.y) & (series.share > 0)
    learnt, busy = _runs(known & ~series.busy), _runs(series.busy)
    fits = learnt[at] - learnt[at - window.before] >= SEEN * window.before
    fits &= busy[at + window.response] == busy[at]
    seen = _runs(known)
    fits &= seen[at + window.response] - seen[at] >= 0.9 * window.response
    at = at[fits]
    near = np.argsort(_distance(series, window, place, at), kind="stable")[:MOST]
    return Pool("moments", np.sort(at[near]))


def _runs(mask: np.ndarray) -> np.ndarray:
    """Return (T + 1,) running sums, 0 first."""
    return np.concatenate([[0.0], np.cumsum(mask)])


def _distance(series: Series, window: Window, place: int, at: np.ndarray) -> np.ndarray:
    """Return (M,) squared distance of each moment from the airing, in units of ``SCALES``."""
    use = np.isfinite(series.y) & ~series.busy
    y = np.where(use, series.y, 0.0)
    n, one, two = _runs(use), _runs(y), _runs(y * y)

    def described(where: np.ndarray) -> np.ndarray:
        low = np.maximum(where - window.before, 0)
        size = np.maximum(n[where] - n[low], 1.0)
        mean = (one[where] - one[low]) / size
        var = np.maximum((two[where] - two[low]) / size - mean**2, 0.0)
        return np.array([np.log(mean + 0.5 / size), 0.5 * np.log(var + 0.1) - np.log(mean + 0.5 / size)])

    own = described(np.array([place]))
    away = (described(at) - own) / np.array(SCALES[:2])[:, None]
    ago = (place - at) * series.step
    hours = (ago / 3600.0 + 12.0) % 24.0 - 12.0
    return (away**2).sum(axis=0) + (hours / SCALES[2]) ** 2 + (ago / 86400.0 / SCALES[3]) ** 2


def breaks(series: Series, window: Window, place: int, declared: list[tuple[float, float]], aired: np.ndarray) -> Pool:
    """Return the same place in earlier declared breaks without an airing.

    Parameters
    ----------
    declared
        (start, end) of the breaks, seconds since 1970; the airing lies in one of them.
    aired
        (J,) starts of the airings, seconds since 1970.
    """
    moment = float(series.at(place))
    own = [b for b in declared if b[0] - series.step < moment < b[1]]
    offset = place - series.place(min(own)[0]) if own else 0
    last = place - window.response - window.after
    found = []
    for start, end in sorted(declared):
        at = series.place(start) + offset
        reach = float(series.at(at + window.response))
        free = not ((aired >= start) & (aired < max(end, reach))).any()
        if free and window.before // 2 <= at <= last and series.at(at) < end:
            known = np.isfinite(series.y[at : at + window.response])
            if known.mean() >= 0.9:
                found.append(at)
    return Pool("breaks", np.array(found[-MOST:], dtype=int))
