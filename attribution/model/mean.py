"""The expected counts of the model and their derivatives: methods, section 2, at one linearisation.

    mu_rt = E_rt exp(a_r + trend + breaks + D(t) + d_r(t) + x_r(t)) [1 + exp(u_r) (b G(t) + X(t))] + sum_j A_j s_jr K_jt
    nu_t  = F_t exp(c + e(t)) (1 + G(t)) + m sum_j A_j K_jt

G is the surge as the regions feel it: the feed is read ``lead`` seconds earlier (design.py), so that everything at a
bin reads the paths of that bin alone. Latent paths live in the banded field; everything else is a global effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.layout import Frame, State

LEAST_FACTOR = 0.05
"""A surge may halve a rate many times over, but never below this share of it: keeps the mean positive."""


class Mean(NamedTuple):
    """Expected counts at a state: (R, T) without the ad, (R, T) of the ad, (T,) of the feed."""

    base: np.ndarray
    ad: np.ndarray
    feed: np.ndarray
    growth: np.ndarray
    """(R, T): 1 + exp(u_r) (b G + X), at least ``LEAST_FACTOR``."""


class Jacobian(NamedTuple):
    """Derivatives of the expected counts: N = R x T (+ T) observations, in that order."""

    index: np.ndarray
    """(N, 5) position of each latent in the field (-1: none)."""
    coefficient: np.ndarray
    """(N, 5)."""
    effects: np.ndarray
    """(N, P)."""


@njit(cache=True, nogil=True)
def _felt(effects, scale, contrast, r):
    """Return exp(u_r), how strongly a region feels a surge; over regions the u_r sum to 0."""
    if scale < 0:
        return 1.0
    total = 0.0
    for c in range(contrast.shape[1]):
        total += effects[scale + c] * contrast[r, c]
    return np.exp(total)


@njit(cache=True, nogil=True)
def fill_expected(
    exposure, feed_exposure, slots, extra, contrast, columns, loading, paths, effects, base, growth, feed
):
    """Fill ``base`` and ``growth`` (R, T) and ``feed`` (T,), posts of the ads apart."""
    n_regions, n_bins = exposure.shape
    big_d, shock, surge, own_feed, first = slots[0], slots[1], slots[2], slots[3], slots[4]
    level, common, feed_level, gain, scale = slots[5], slots[6], slots[7], slots[8], slots[9]
    shared = np.zeros(n_bins)
    for c in range(columns.shape[0]):
        value = effects[common + c]
        if value != 0.0:
            for t in range(n_bins):
                shared[t] += value * columns[c, t]
    if big_d >= 0:
        for t in range(n_bins):
            shared[t] += loading[big_d, t] * paths[t, big_d]
    moved = np.zeros(n_bins)
    for t in range(n_bins):
        if surge >= 0:
            moved[t] += effects[gain] * paths[t, surge]
        if shock >= 0:
            moved[t] += loading[shock, t] * paths[t, shock]
    for r in range(n_regions):
        felt = _felt(effects, scale, contrast, r)
        k, e = first + r, extra[r]
        for t in range(n_bins):
            log = effects[level + r] + shared[t] + loading[k, t] * paths[t, k]
            if e >= 0:
                log += loading[e, t] * paths[t, e]
            growth[r, t] = max(1.0 + felt * moved[t], LEAST_FACTOR)
            base[r, t] = exposure[r, t] * np.exp(min(max(log, -40.0), 40.0)) * growth[r, t]
    for t in range(len(feed)):
        log = effects[feed_level] + loading[own_feed, t] * paths[t, own_feed]
        rise = max(1.0 + paths[t, surge], LEAST_FACTOR)
        feed[t] = feed_exposure[t] * np.exp(min(max(log, -40.0), 40.0)) * rise


@njit(cache=True)
def _derivatives(
    base, growth, feed, slots, extra, contrast, columns, loading, paths, effects, index, coefficient, matrix
):
    """Fill the derivatives by paths, levels, common effects, gain and scales, and the feed's rows."""
    n_regions, n_bins = base.shape
    k_count = paths.shape[1]
    big_d, shock, surge, own_feed, first = slots[0], slots[1], slots[2], slots[3], slots[4]
    level, common, feed_level, gain, scale = slots[5], slots[6], slots[7], slots[8], slots[9]
    for r in range(n_regions):
        felt = _felt(effects, scale, contrast, r)
        for t in range(n_bins):
            n, at, mu = r * n_bins + t, t * k_count, base[r, t]
            plain = mu / growth[r, t] * felt
            index[n, 0], coefficient[n, 0] = at + first + r, mu * loading[first + r, t]
            if big_d >= 0:
                index[n, 1], coefficient[n, 1] = at + big_d, mu * loading[big_d, t]
            if shock >= 0:
                index[n, 2], coefficient[n, 2] = at + shock, plain * loading[shock, t]
            if surge >= 0:
                index[n, 3], coefficient[n, 3] = at + surge, plain * effects[gain]
                matrix[n, gain] = plain * paths[t, surge]
            if extra[r] >= 0:
                index[n, 4], coefficient[n, 4] = at + extra[r], mu * loading[extra[r], t]
            matrix[n, level + r] = mu
            for c in range(columns.shape[0]):
                matrix[n, common + c] = mu * columns[c, t]
            if scale >= 0:
                for c in range(contrast.shape[1]):
                    matrix[n, scale + c] = mu / growth[r, t] * (growth[r, t] - 1.0) * contrast[r, c]
    for t in range(len(feed)):
        n, at = n_regions * n_bins + t, t * k_count
        index[n, 0], coefficient[n, 0] = at + own_feed, feed[t] * loading[own_feed, t]
        index[n, 1], coefficient[n, 1] = at + surge, feed[t] / max(1.0 + paths[t, surge], LEAST_FACTOR)
        matrix[n, feed_level] = feed[t]


def felt_at_gain_one(layout: Frame, effects: np.ndarray, mean: Mean) -> np.ndarray:
    """Return (R T,): what a rise of G by 1 would add to each expected count, were the gain 1."""
    scale = effects[layout.names["scale"]]
    felt = np.exp(layout.contrast @ scale) if len(scale) else np.ones(len(mean.base))
    return (mean.base / mean.growth * felt[:, None]).ravel()


def responses(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, R, T): expected ad conversions of each airing by region and bin, of observed seconds."""
    amount = effects[layout.names["incremental"]]
    regions = split(design, layout, effects)
    shape = shapes(layout, effects)
    return amount[:, None, None] * regions[:, :, None] * shape[:, None, :] * layout.seen


def split(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, R): the split of each incremental over the regions, with the regions' own deviations."""
    if not len(layout.splitter):
        return design.share
    change = np.ones_like(design.share)
    spread_out(change, layout.splitter, effects[layout.names["deviation"]], layout.turn)
    return design.share * change


def shapes(layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (J, T): the response of each airing, its shape's misfit added."""
    if not len(layout.owner):
        return layout.kernel
    shape = layout.kernel.copy()
    spread_out(shape, layout.owner, effects[layout.names["misfit"]], layout.misfit)
    return shape


@njit(cache=True, nogil=True)
def spread_out(total, owner, value, rows):
    """Add ``value`` (V,) times ``rows`` (V, n) to the rows of ``total`` (J, n) that own them, in place."""
    for v in range(len(owner)):
        for t in range(rows.shape[1]):
            total[owner[v], t] += value[v] * rows[v, t]


def predict(design: Design, layout: Frame, state: State) -> Mean:
    """Return the expected counts at a state."""
    shape = design.y.shape
    base, growth = np.empty(shape), np.empty(shape)
    feed = np.empty(shape[1] if design.fed else 0)
    exposure = design.feed_exposure[layout.lead] if design.fed else feed
    ad = responses(design, layout, state.effects).sum(axis=0)
    fill_expected(
        design.exposure, exposure, layout.slots, layout.extra, layout.contrast, layout.columns, layout.loading,
        state.paths, state.effects, base, growth, feed,
    )  # fmt: skip
    if len(state.effects[layout.names["mediator"]]):
        feed += _posts(design, layout, state.effects)
    return Mean(base, ad, feed, growth)


def baseline_at(design: Design, layout: Frame, state: State) -> np.ndarray:
    """Return (R, T): the expected counts at a state without the ad's; ``base`` of :func:`predict` alone."""
    base, growth, none = np.empty(design.y.shape), np.empty(design.y.shape), np.empty(0)
    fill_expected(
        design.exposure, none, layout.slots, layout.extra, layout.contrast, layout.columns, layout.loading,
        state.paths, state.effects, base, growth, none,
    )  # fmt: skip
    return base


def _posts(design: Design, layout: Frame, effects: np.ndarray) -> np.ndarray:
    """Return (T,) posts that the ads themselves bring."""
    rate = effects[layout.names["mediator"]]
    if not len(rate):
        return np.zeros(len(design.mid))
    amount = effects[layout.names["incremental"]]
    return rate[0] * (amount @ layout.kernel) * design.feed_exposure[layout.lead] / design.width


def ad_columns(design: Design, layout: Frame, effects: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return (J, N): derivative of all expected counts by each airing's incremental, for the kernel ``mass`` (J, T)."""
    regions = split(design, layout, effects)
    column = (regions[:, :, None] * mass[:, None, :] * layout.seen).reshape(len(mass), -1)
    if not design.fed:
        return column
    rate = effects[layout.names["mediator"]]
    posts = (rate[0] if len(rate) else 0.0) * mass * design.feed_exposure[layout.lead] / design.width
    return np.concatenate([column, posts], axis=1)


def post_columns(design: Design, layout: Frame) -> np.ndarray:
    """Return (N, J): derivative of all expected counts by the posts that each airing brings; 0 without a mediator."""
    columns = np.zeros(((len(design.regions) + design.fed) * len(design.mid), len(layout.kernel)))
    if design.fed and (layout.prior_sd[layout.names["mediator"]] > 0).any():
        posts = layout.kernel * design.feed_exposure[layout.lead] / design.width
        columns[len(design.regions) * len(design.mid) :] = posts.T
    return columns


def differentiate(design: Design, layout: Frame, state: State, mean: Mean) -> Jacobian:
    """Return the derivatives of :func:`predict` at a state."""
    n_regions, n_bins = mean.base.shape
    n = (n_regions + design.fed) * n_bins
    index, coefficient = np.full((n, 5), -1, dtype=np.int64), np.zeros((n, 5))
    effects = np.zeros((n, len(layout.prior_mean)))
    feed = mean.feed
    if len(state.effects[layout.names["mediator"]]):
        feed = feed - _posts(design, layout, state.effects)
        amount = state.effects[layout.names["incremental"]]
        place = layout.names["mediator"].start
        effects[n_regions * n_bins :, place] = (
            (amount @ layout.kernel) * design.feed_exposure[layout.lead] / design.width
        )
    _derivatives(
        mean.base, mean.growth, feed, layout.slots, layout.extra, layout.contrast, layout.columns, layout.loading,
        state.paths, state.effects, index, coefficient, effects,
    )  # fmt: skip
    _ad_derivatives(design, layout, state, effects)
    return Jacobian(index, coefficient, effects)


def _ad_derivatives(design: Design, layout: Frame, state: State, effects: np.ndarray) -> None:
    """Fill the derivatives by the incremental, its regional deviations and its shape's misfit."""
    names, value = layout.names, state.effects
    amount = value[names["incremental"]]
    shaped = shapes(layout, value)
    effects[:, names["incremental"]] = ad_columns(design, layout, value, shaped).T
    used = layout.prior_sd > 0
    for name, owner, rows, columns in (
        ("deviation", layout.splitter, layout.turn, shaped),
        ("misfit", layout.owner, np.ones((len(layout.owner), len(design.regions))), layout.misfit),
    ):
        if len(owner):
            place = names[name].start
            _spread(design.share, layout.seen, amount, used, owner, rows, columns, name == "misfit", place, effects)


@njit(cache=True)
def _spread(share, seen, amount, used, owner, rows, columns, own, place, matrix):
    """Fill columns from ``place`` on: amount x share x ``rows`` (V, R) x a row of ``columns`` x share seen.

    That row is each direction's ``own``, or its airing's.
    """
    n_regions, n_bins = seen.shape
    for v in range(len(owner)):
        j = owner[v]
        if not used[place + v] or amount[j] == 0.0:
            continue
        for r in range(n_regions):
            level = amount[j] * share[j, r] * rows[v, r]
            if level != 0.0:
                for t in range(n_bins):
                    matrix[r * n_bins + t, place + v] = level * columns[v if own else j, t] * seen[r, t]
