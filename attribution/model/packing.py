"""All arrays of a problem in one vector, and the views that compiled code takes of it.

One vector and seven lengths are all that a compiled density is told: what it is compiled for has no shape of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from attribution.model.padded import COLUMNS, MODES, NAMES, PATHS, SCALES, Size

if TYPE_CHECKING:
    from attribution.model.padded import Problem


class Given(NamedTuple):
    """The arrays of a problem (padded.py), as views of one packed vector."""

    y: np.ndarray
    exposure: np.ndarray
    seen: np.ndarray
    feed: np.ndarray
    feed_exposure: np.ndarray
    posting: np.ndarray
    dispersion: np.ndarray
    path_decay: np.ndarray
    path_rate: np.ndarray
    loading: np.ndarray
    columns: np.ndarray
    share: np.ndarray
    turn: np.ndarray
    bend: np.ndarray
    contrast: np.ndarray
    node: np.ndarray
    coefficient: np.ndarray
    basis: np.ndarray
    prior: np.ndarray
    scale_sd: np.ndarray
    scale_weight: np.ndarray
    lower: np.ndarray
    lean: np.ndarray
    path_centre: np.ndarray
    centre: np.ndarray
    turned: np.ndarray
    yielding: np.ndarray
    smooth: np.ndarray
    urge: np.ndarray
    brought: np.ndarray


def shapes(size: Size) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array of :class:`Given`."""
    r, t, j, k, s = size.regions, size.bins, size.airings, size.paths, size.shapes
    effects = size.effects()
    total = sum(int(np.prod(shape)) for shape in effects.values())
    turns, bends = effects["deviation"][1], effects["misfit"][1]
    return {
        "y": (r, t), "exposure": (r, t), "seen": (r, t), "feed": (t,), "feed_exposure": (t,), "posting": (t,),
        "dispersion": (2,), "path_decay": (t, k), "path_rate": (t, k), "loading": (t, k),
        "columns": (size.columns, t), "share": (j, r), "turn": (j, turns, r), "bend": (j, bends, t),
        "contrast": (r, r - 1), "node": (3, MODES), "coefficient": (MODES, s, j, COLUMNS), "basis": (j, COLUMNS, t),
        "prior": (2, total), "scale_sd": (SCALES, r - 1), "scale_weight": (SCALES,), "lower": (t * k, k + 1),
        "lean": (t * k, total), "path_centre": (t, k), "centre": (total,), "turned": (total, total), "yielding": (t,),
        "smooth": (t, 2), "urge": (j + 1, j), "brought": (t * k, j),
    }  # fmt: skip


def packed(problem: Problem) -> np.ndarray:
    """Return all arrays of a problem in one vector, in the order of :class:`Given`."""
    data, wanted = problem.data, shapes(problem.size)
    own = dict(data)
    own["dispersion"] = np.array([data["dispersion"], data["feed_dispersion"]])
    own["node"] = np.stack([data["node"], data["node_weight"], np.full(MODES, data["node_width"])])
    empty = {"scale_mean": np.zeros(data["scale_sd"].shape[1]), "scale_sd": np.ones(data["scale_sd"].shape[1])}
    own["prior"] = np.stack(
        [np.concatenate([np.ravel((data | empty)[f"{name}_{what}"]) for name in NAMES]) for what in ("mean", "sd")]
    )
    own["lean"] = data["lean"] @ data["turned"]
    return np.concatenate([own[name].reshape(shape).ravel() for name, shape in wanted.items()])


def lengths(size: Size) -> np.ndarray:
    """Return (7,) what a compiled density is told: regions, bins, airings, columns, shapes, turns, bends."""
    effects = size.effects()
    own = (size.regions, size.bins, size.airings, size.columns, size.shapes)
    return np.array([*own, effects["deviation"][1], effects["misfit"][1]], dtype=np.int64)


@njit(cache=True)
def _cut(pack, at, size):
    return pack[at : at + size], at + size


@njit(cache=True)
def given_of(pack, size):
    """Return the views of a packed problem."""
    r, t, j, c, s, d, b = size
    k = r + PATHS
    p = r + c + 2 + (r - 1) + 1 + j * d + j * b + j + 1 + s
    y, at = _cut(pack, 0, r * t)
    exposure, at = _cut(pack, at, r * t)
    seen, at = _cut(pack, at, r * t)
    feed, at = _cut(pack, at, t)
    feed_exposure, at = _cut(pack, at, t)
    posting, at = _cut(pack, at, t)
    dispersion, at = _cut(pack, at, 2)
    decay, at = _cut(pack, at, t * k)
    rate, at = _cut(pack, at, t * k)
    loading, at = _cut(pack, at, t * k)
    columns, at = _cut(pack, at, c * t)
    share, at = _cut(pack, at, j * r)
    turn, at = _cut(pack, at, j * d * r)
    bend, at = _cut(pack, at, j * b * t)
    contrast, at = _cut(pack, at, r * (r - 1))
    node, at = _cut(pack, at, 3 * MODES)
    coefficient, at = _cut(pack, at, MODES * s * j * COLUMNS)
    basis, at = _cut(pack, at, j * COLUMNS * t)
    prior, at = _cut(pack, at, 2 * p)
    scale_sd, at = _cut(pack, at, SCALES * (r - 1))
    scale_weight, at = _cut(pack, at, SCALES)
    lower, at = _cut(pack, at, t * k * (k + 1))
    lean, at = _cut(pack, at, t * k * p)
    path_centre, at = _cut(pack, at, t * k)
    centre, at = _cut(pack, at, p)
    turned, at = _cut(pack, at, p * p)
    yielding, at = _cut(pack, at, t)
    smooth, at = _cut(pack, at, 2 * t)
    urge, at = _cut(pack, at, (j + 1) * j)
    brought, at = _cut(pack, at, t * k * j)
    return Given(
        y.reshape(r, t), exposure.reshape(r, t), seen.reshape(r, t), feed, feed_exposure, posting, dispersion,
        decay.reshape(t, k), rate.reshape(t, k), loading.reshape(t, k), columns.reshape(c, t), share.reshape(j, r),
        turn.reshape(j, d, r), bend.reshape(j, b, t), contrast.reshape(r, r - 1), node.reshape(3, MODES),
        coefficient.reshape(MODES, s, j, COLUMNS), basis.reshape(j, COLUMNS, t), prior.reshape(2, p),
        scale_sd.reshape(SCALES, r - 1), scale_weight, lower.reshape(t * k, k + 1), lean.reshape(t * k, p),
        path_centre.reshape(t, k), centre, turned.reshape(p, p), yielding, smooth.reshape(t, 2),
        urge.reshape(j + 1, j), brought.reshape(t * k, j),
    )  # fmt: skip
