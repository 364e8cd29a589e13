"""The expected counts of the model and their derivatives: methods, section 2, at one linearisation.

    mu_rt = E_rt exp(a_r + trend + breaks + D(t) + d_r(t)) [1 + exp(u_r) (b G(t - l) + X(t))] + sum_j A_j x_jr K_jt
    nu_t  = E_t exp(c + e(t)) (1 + G(t)) + m sum_j A_j K_jt

Latent paths (D, d_r, G, e, X) live in the banded field; everything else is a global effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model.layout import LEAD_S

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.layout import Frame, State

LEAST_FACTOR = 0.05
"""A surge may halve a rate many times over, but never below this share of it: keeps the mean positive."""


class Mean(NamedTuple):
    """Expected counts at a state: (R, T) without the ad, (R, T) of the ad, (T,) of the feed, and the surge's factor."""

    quiet: np.ndarray
    """(R, T) without ad, surge, breaks and organic moments."""
    broken: np.ndarray
    """(R, T) the same with the declared breaks."""
    base: np.ndarray
    ad: np.ndarray
    feed: np.ndarray
    surge: np.ndarray
    """(R, T): exp(u_r) (b G(t - l) + X(t))."""


class Jacobian(NamedTuple):
    """Derivatives of the expected counts: N = R x T (+ T) observations, in that order."""

    index: np.ndarray
    """(N, Q) position of each latent in the field (-1: none)."""
    coefficient: np.ndarray
    """(N, Q)."""
    effects: np.ndarray
    """(N, P)."""


def _lagged(
    design: Design, layout: Frame, state: State
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return G(t - l) (T,), its slope in t, and the two bins with weights it is read from."""
    g = state.paths[:, layout.paths.index("G")]
    lead = float(np.clip(state.effects[layout.names["lead"]][0], *LEAD_S))
    mid = design.mid
    left = np.clip(np.searchsorted(mid, mid - lead, side="right") - 1, 0, len(mid) - 2)
    gap = mid[left + 1] - mid[left]
    ahead = (mid - lead - mid[left]) / gap
    part, inside = np.clip(ahead, 0.0, 1.0), (ahead >= 0) & (ahead <= 1)
    return g[left] * (1 - part) + g[left + 1] * part, inside * (g[left + 1] - g[left]) / gap, left, 1 - part, part


def responses(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, R, T): expected ad conversions of each airing by region and bin, of observed seconds."""
    amount = effects[layout.names["incremental"]]
    split = _split(design, layout, effects)
    shape = _shape(layout, effects)
    return amount[:, None, None] * split[:, :, None] * shape[:, None, :] * layout.seen


def _split(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, R): the split of each incremental over the regions, with the regions' own deviations."""
    change = np.ones_like(design.share)
    np.add.at(change, layout.splitter, effects[layout.names["deviation"]][:, None] * layout.turn)
    return design.share * change


def _shape(layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, T): the response of each airing, its shape's misfit added."""
    shape = layout.kernel.copy()
    np.add.at(shape, layout.owner, effects[layout.names["misfit"]][:, None] * layout.misfit)
    return shape


def predict(design: Design, layout: Frame, state: State) -> Mean:
    """Return the expected counts at a state."""
    names, effects = layout.names, state.effects
    mid = design.mid
    x = (mid - mid[0]) / max(mid[-1] - mid[0], 1e-9) * 2 - 1
    log = effects[names["level"]][:, None] + effects[names["trend"]] @ np.stack([x, x**2 - 1 / 3])
    if len(effects[names["step"]]):
        log = log + effects[names["step"]][0] * lasting(design)
    for k, name in enumerate(layout.paths):
        if name == "D":
            log = log + layout.loading[k] * state.paths[:, k]
        elif name[0] == "d":
            log[int(name[1:])] += layout.loading[k] * state.paths[:, k]
    surge = np.zeros((1, len(mid)))
    if "G" in layout.paths:
        surge = surge + effects[names["gain"]] * _lagged(design, layout, state)[0]
    if "X" in layout.paths:
        k = layout.paths.index("X")
        surge = surge + layout.loading[k] * state.paths[:, k]
    scale = effects[names["scale"]]
    surge = (np.exp(scale)[:, None] if len(scale) else 1.0) * surge * np.ones((len(design.regions), 1))
    moments, declared = break_columns(design), effects[names["breaks"]]
    breaks = np.ones(len(moments), dtype=bool)  # the common break effect comes first
    breaks[len(moments) - len(design.break_kind) :] = [kind == "break" for kind in design.break_kind]
    quiet = design.exposure * np.exp(np.clip(log, -40, 40))
    broken = quiet * np.exp(declared[breaks] @ moments[breaks])
    base = broken * np.exp(declared[~breaks] @ moments[~breaks]) * np.maximum(1 + surge, LEAST_FACTOR)
    ad = responses(design, layout, effects).sum(axis=0)
    return Mean(quiet, broken, base, ad, _feed_mean(design, layout, state), surge)


def _feed_mean(design: Design, layout: Frame, state: State) -> np.ndarray:
    """Return (T,) expected posts; empty without a feed."""
    if not len(design.feed):
        return np.empty(0)
    k, g = layout.paths.index("e"), state.paths[:, layout.paths.index("G")]
    level = state.effects[layout.names["feed"]][0] + layout.loading[k] * state.paths[:, k]
    mean = design.feed_exposure * np.exp(np.clip(level, -40, 40)) * np.maximum(1 + g, LEAST_FACTOR)
    return mean + _posts(design, layout, state.effects)


def _posts(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (T,) posts that the ads themselves bring."""
    rate = effects[layout.names["mediator"]]
    if not len(rate):
        return np.zeros(len(design.mid))
    amount = effects[layout.names["incremental"]]
    return rate[0] * (amount @ layout.kernel) * design.feed_exposure / design.width


def break_columns(design: Design) -> np.ndarray:
    """Return (B', T): the common break effect first (where breaks are declared), then each moment's own deviation."""
    is_break = np.array([kind == "break" for kind in design.break_kind], dtype=bool)
    if not is_break.any():
        return design.breaks
    return np.concatenate([design.breaks[is_break].sum(axis=0, keepdims=True), design.breaks])


def lasting(design: Design) -> np.ndarray:
    """Return (T,) 0 before the first airing of the group, 1 from its start on."""
    return (design.start >= design.onset.min() - 1e-9).astype(float)


def ad_columns(design: Design, layout: Frame, effects: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return (J, N): derivative of all expected counts by each airing's incremental, for the kernel ``mass`` (J, T)."""
    split = _split(design, layout, effects)
    column = (split[:, :, None] * mass[:, None, :] * layout.seen).reshape(len(mass), -1)
    if not len(design.feed):
        return column
    rate = effects[layout.names["mediator"]]
    posts = (rate[0] if len(rate) else 0.0) * mass * design.feed_exposure / design.width
    return np.concatenate([column, posts], axis=1)


def differentiate(design: Design, layout: Frame, state: State, mean: Mean) -> Jacobian:
    """Return the derivatives of :func:`predict` at a state."""
    regions, t_count = mean.base.shape
    fed, k_count = len(design.feed) > 0, len(layout.paths)
    n = (regions + fed) * t_count
    index, coefficient = np.full((n, 5), -1, dtype=np.int64), np.zeros((n, 5))
    effects = np.zeros((n, len(layout.prior_mean)))
    row, bins = np.arange(regions * t_count), np.tile(np.arange(t_count), regions)
    base = mean.base.ravel()
    growth = np.maximum(1 + mean.surge, LEAST_FACTOR)
    level = (mean.base / growth).ravel()  # exposure x exp(log rate), before the surge
    scale = state.effects[layout.names["scale"]]
    felt = np.repeat(np.exp(scale), t_count) if len(scale) else np.ones(regions * t_count)
    own = np.repeat([layout.paths.index(f"d{r}") for r in range(regions)], t_count)
    index[row, 0], coefficient[row, 0] = bins * k_count + own, base * layout.loading[own, bins]
    for slot, name in ((1, "D"), (2, "X")):
        k = layout.path(name)
        if k is not None:
            index[row, slot] = bins * k_count + k
            coefficient[row, slot] = (base if name == "D" else level * felt) * np.tile(layout.loading[k], regions)
    names = layout.names
    for r in range(regions):
        effects[r * t_count : (r + 1) * t_count, names["level"].start + r] = mean.base[r]
        if len(scale):
            effects[r * t_count : (r + 1) * t_count, names["scale"].start + r] = (mean.base / growth * mean.surge)[r]
    x = (design.mid - design.mid[0]) / max(design.mid[-1] - design.mid[0], 1e-9) * 2 - 1
    common = np.concatenate([np.stack([x, x**2 - 1 / 3]), break_columns(design)])
    effects[row, names["trend"].start : names["breaks"].stop] = base[:, None] * np.tile(common, regions).T
    if names["step"].stop > names["step"].start:
        effects[row, names["step"].start] = base * np.tile(lasting(design), regions)
    if fed:
        _surge_derivatives(design, layout, state, index, coefficient, effects, level * felt)
    _ad_derivatives(design, layout, state, effects)
    return Jacobian(index, coefficient, effects)


def _surge_derivatives(
    design: Design,
    layout: Frame,
    state: State,
    index: np.ndarray,
    coefficient: np.ndarray,
    effects: np.ndarray,
    felt: np.ndarray,
) -> None:
    """Fill the derivatives by the surge, its gain and lead, and the feed's own rows."""
    t_count, k_count, regions = len(design.mid), len(layout.paths), len(design.regions)
    row, bins = np.arange(regions * t_count), np.tile(np.arange(t_count), regions)
    g, names = layout.paths.index("G"), layout.names
    value, slope, left, first, second = _lagged(design, layout, state)
    gain = state.effects[names["gain"]][0]
    index[row, 3], coefficient[row, 3] = left[bins] * k_count + g, felt * gain * first[bins]
    index[row, 4], coefficient[row, 4] = (left[bins] + 1) * k_count + g, felt * gain * second[bins]
    effects[row, names["gain"].start] = felt * value[bins]
    effects[row, names["lead"].start] = -felt * gain * slope[bins]
    row, bins = np.arange(regions * t_count, (regions + 1) * t_count), np.arange(t_count)
    e = layout.paths.index("e")
    surge = np.maximum(1 + state.paths[:, g], LEAST_FACTOR)
    posts = _feed_mean(design, layout, state) - _posts(design, layout, state.effects)
    index[row, 0], coefficient[row, 0] = bins * k_count + e, posts * layout.loading[e]
    index[row, 1], coefficient[row, 1] = bins * k_count + g, posts / surge
    effects[row, names["feed"].start] = posts
    if names["mediator"].stop > names["mediator"].start:
        amount = state.effects[names["incremental"]]
        effects[row, names["mediator"].start] = (amount @ layout.kernel) * design.feed_exposure / design.width


def _ad_derivatives(design: Design, layout: Frame, state: State, effects: np.ndarray) -> None:
    """Fill the derivatives by the incremental, its regional deviations and its shape's misfit."""
    names, value, _t_count = layout.names, state.effects, len(design.mid)
    amount = value[names["incremental"]]
    shaped = _shape(layout, value)
    columns = ad_columns(design, layout, value, shaped)
    effects[:, names["incremental"]] = columns.T
    for i, (j, row) in enumerate(zip(layout.splitter, layout.turn, strict=True)):
        column = (amount[j] * (design.share[j] * row)[:, None] * shaped[j] * layout.seen).ravel()
        effects[: len(column), names["deviation"].start + i] = column
    split = design.share
    for i, (row, j) in enumerate(zip(layout.misfit, layout.owner, strict=True)):
        column = (amount[j] * split[j][:, None] * row * layout.seen).ravel()
        effects[: len(column), names["misfit"].start + i] = column
