"""The looks of one airing, in order: each begins where the one before ended, and none is computed twice.

A look is a pure function of the bins that had arrived: a live event, growing, meets the looks of its past in the store.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from attribution.model.control import joint
from attribution.model.layout import baseline
from attribution.model.monitor import Evidence, Look, interval_scale, look, over_time, ticks
from attribution.model.nulls import MOST_REGIONS

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise
    from attribution.settings import Settings

KEPT, CONTINUED = 4096, 48
"""Looks kept in memory, and how many of the newest can be continued from."""

_kept: OrderedDict[bytes, Look] = OrderedDict()
_lock = Lock()


def evidence(design: Design, noise: Noise, airing: int, settings: Settings) -> Evidence:
    """Return the paths of the evidence of one airing at every look so far (methods, section 4)."""
    design = design.pooled(MOST_REGIONS)
    chosen = ticks(design, airing)
    marks = _marks(design, noise, airing, settings, chosen)
    found: list[Look | None] = []
    begin, before = 0, None
    for k in range(len(chosen) - 1, -1, -1):
        kept = _recall(marks[k])
        if kept is not None and (kept.starts or k == len(chosen) - 1) and all(_recall(m) for m in marks[:k]):
            begin, before = k + 1, kept
            break
    found = [_recall(mark) for mark in marks[:begin]]
    for k in range(begin, len(chosen)):
        position = int(design.begun(int(chosen[k]))[:airing].sum())
        now = look(design.first(int(chosen[k])), noise, position, before, k, settings)
        if now is not None:
            _keep(marks[k], now)
            before = now
        found.append(now)
    return _paths(design, noise, airing, settings, chosen, found)


def _paths(
    design: Design, noise: Noise, airing: int, settings: Settings, chosen: np.ndarray, found: list[Look | None]
) -> Evidence:
    """Return the looks as paths; looks at which no world could be fitted are left out."""
    close = design.start + design.width
    rows = [(float(close[n - 1]), now) for n, now in zip(chosen, found, strict=True) if now is not None]
    time = np.array([t for t, _ in rows])
    found_now = np.array([now.estimate for _, now in rows]).reshape(-1, 7).T
    estimate, sd, floor, expected, robust, robust_sd, lasting = found_now
    scale = interval_scale(float(baseline(design)[airing]), noise.dispersion)
    half = over_time(sd, scale, settings.alpha)
    at, path = joint(design, airing, time[-1]) if rows and not (design.share[airing] > 0).all() else ([], [])
    place = np.searchsorted(at, time + 1e-6) - 1
    return Evidence(
        time=time,
        log_e=np.array([now.log_e for _, now in rows]),
        log_plain=np.array([now.log_plain for _, now in rows]),
        estimate=estimate,
        lower=estimate - half,
        upper=estimate + half,
        sd=sd,
        floor=floor,
        expected=expected,
        robust_lower=robust - over_time(robust_sd, scale, settings.alpha),
        one_region=np.array([now.one_region for _, now in rows]),
        explained=tuple(now.explained for _, now in rows),
        kind=tuple(now.kind for _, now in rows),
        lasting=lasting,
        joint=np.where(place >= 0, np.asarray(path)[place], np.nan) if len(at) else np.full(len(time), np.nan),
    )


def _marks(design: Design, noise: Noise, airing: int, settings: Settings, chosen: np.ndarray) -> list[bytes]:
    """Return a digest of everything that each look reads: at the first ``chosen`` (L,) bins, of the airings begun."""
    found, begun, digest, rows, at = [], np.zeros(0, dtype=bool), hashlib.blake2b(), np.empty((0, 0)), 0
    told = design.posts
    feed = None if told is None else np.column_stack([told.edges, told.counted, told.observed])
    posts, read = hashlib.blake2b(digest_size=16), 0
    for n in map(int, chosen):
        now = design.begun(n)
        if not np.array_equal(now, begun):
            name = f"{noise}{int(now[:airing].sum())}{settings.to_json()}{design.regions}{design.break_kind}"
            begun, at, digest = now, 0, hashlib.blake2b(name.encode(), digest_size=16)
            for array in (design.share[now], design.onset[now], design.full_window[now]):
                digest.update(np.ascontiguousarray(array).tobytes())
            size = len(design.start)
            bins = (design.start, design.width, design.y, design.exposure, design.breaks, design.mass[:, now])
            rows = np.concatenate([array.reshape(-1, size) for array in bins]).T.copy()
        digest.update(rows[at:n].tobytes())
        at, whole = n, digest.copy()
        if feed is not None:
            arrived = int(np.searchsorted(feed[:, 0], design.start[n - 1] + design.width[n - 1] + 1e-9))
            posts.update(feed[read:arrived].tobytes())
            read = arrived
            whole.update(posts.digest())
        found.append(whole.digest())
    return found


def _recall(mark: bytes) -> Look | None:
    with _lock:
        return _kept.get(mark)


def _keep(mark: bytes, now: Look) -> None:
    """Keep a look; older ones lose what continues them, the oldest go."""
    with _lock:
        _kept[mark] = now
        names = list(_kept)
        for old in names[-CONTINUED - 2 : -CONTINUED]:
            _kept[old] = _kept[old]._replace(starts={})
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
