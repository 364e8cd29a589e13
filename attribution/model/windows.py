"""How far an analysis looks: windows, history, groups of airings, widths of bins, and the kernels to average over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from attribution.kernels import Delayed, Kernel, delayed
from attribution.settings import seconds

if TYPE_CHECKING:
    from attribution.settings import Settings

LONG_AIRING_S = 120.0
"""A longer airing (a campaign of hours or days) exposes over its whole length; a spot exposes at its start."""

FINE_S = ((-20.0, 90.0, 2.0), (-60.0, 90.0, 4.0), (-180.0, 600.0, 10.0), (-600.0, 900.0, 20.0))
"""(from, to, width): bins of at most this width between these seconds around an airing; 30 s elsewhere."""

GAMMA_SHAPES = {(2.0, 0.0): 0.10, (3.0, 0.0): 0.30, (5.0, 0.0): 0.10, (3.0, 0.12): 0.25, (3.0, 0.25): 0.25}
"""(shape, share of a 60-s tail): prior weight, when the kernel is learnt (methods, section 2)."""


MODE_STEP, MOST_STEPS = 0.15, 12
"""Log steps of the grid over the mode of the lag, finer than strong data can tell; most of them to either side."""

REACH, FURTHEST = 2.4, 3.6
"""Sds of the log of the mode that the grid reaches to either side; where one family answers for all, and 25 points
hold them, further: strong data may speak for a mode that its prior holds for unlikely."""


CLOCK = {-1.3: 0.25, 0.0: 0.5, 1.3: 0.25}
"""Offset of the airings' clock in its sds, and weight: three points for a normal."""

CLOCK_MATTERS_S = 0.5
"""A clock surer than this is taken at its word."""


def response_bank(
    settings: Settings,
) -> tuple[tuple[Kernel | Delayed, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Return the kernels to average over (stream delay folded in), their modes before it, clock offsets and weights.

    A grid over the log of the mode (a normal prior around ``response_peak``) times the shapes of the family, times
    what the airings' clock may be off by (``clock_sd``; methods, section 8).
    """
    peak, spread = seconds(settings.response_peak), settings.response_peak_logsd
    alone = settings.kernel != "learnt" and spread > 0
    reach = float(np.clip(MOST_STEPS * MODE_STEP / spread, REACH, FURTHEST)) if alone else REACH
    points = 2 * int(np.clip(np.ceil(reach * spread / MODE_STEP - 1e-9), 4, MOST_STEPS)) + 1
    steps = np.linspace(-reach, reach, points) if spread > 0 else np.zeros(1)
    modes = peak * np.exp(spread * steps)
    mode_weight = np.exp(-0.5 * steps**2)
    if settings.kernel == "learnt":
        shapes = [("gamma", shape, tail, weight) for (shape, tail), weight in GAMMA_SHAPES.items()]
    else:
        shapes = [(settings.kernel, None, 0.0, 1.0)]
    delay, delay_sd = settings.delay
    unsure = settings.clock_sd if settings.clock_sd and settings.clock_sd >= CLOCK_MATTERS_S else 0.0
    offsets = {z * unsure: weight for z, weight in CLOCK.items()} if unsure else {0.0: 1.0}
    rows = []
    for mode, outer in zip(modes, mode_weight, strict=True):
        for family, shape, tail, inner in shapes:
            own = {} if shape is None else {"shape": shape}
            kernel = Kernel(family=family, mode=float(mode), tail=tail, **own)
            kernel = delayed(kernel, delay, delay_sd) if delay > 0 or delay_sd > 0 else kernel
            rows += [(kernel, float(mode), offset, outer * inner * weight) for offset, weight in offsets.items()]
    weight = np.array([row[3] for row in rows])
    return (
        tuple(row[0] for row in rows),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]),
        weight / weight.sum(),
    )


def window_seconds(settings: Settings, length: np.ndarray, step: float) -> np.ndarray:
    """Return (J,) seconds after onset that hold 95% of the response (or as set), whole bins, at least one."""
    if settings.window == "auto":
        kernels, _, _, weight = response_bank(settings)
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


def adaptive_bins(start: np.ndarray, width: np.ndarray, onset: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the positions where adaptive bins begin: fine around each airing, coarse away from it, edges at onsets."""
    target = np.full(len(start), 30.0)
    for o, w in zip(onset, window, strict=True):
        for low, high, fine in FINE_S:
            near = (start >= o + low) & (start < o + high)
            target[near] = np.minimum(target[near], fine)
        response = (start >= o) & (start < o + w)
        target[response] = np.minimum(target[response], 8.0)
    anchor = np.zeros(len(start) + 1, dtype=bool)
    anchor[np.searchsorted(start, onset - 1e-9)] = True
    return np.flatnonzero(_edges(start + width / 2, start, target, anchor))


@njit(cache=True)
def _edges(middle: np.ndarray, start: np.ndarray, target: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Return (T,) where an adaptive bin begins: its target is reached, the next is finer, or an airing begins."""
    edge = np.zeros(len(start), dtype=np.bool_)
    edge[0], last = True, 0
    for t in range(1, len(start)):
        reached = middle[t] - start[last] > min(target[t], target[last])
        if reached or anchor[t] or target[t] < target[last]:
            edge[t], last = True, t
    return edge
