"""The log density of one run and its gradient in the sampler's coordinates, in one pass over the bins.

It is the density that posterior.py writes in PyMC, to the digit: the same priors, the same expected counts, the same
likelihood, with the derivatives written out. A graph of hundreds of small steps costs minutes to compile and half of
its time in moving arrays; this costs a tenth of both. A test holds the two equal, gradient included.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from attribution.model.bending import (
    back_solve,
    forward_solve,
    give_way,
    give_way_slope,
    mediate,
    mediate_slope,
    post,
    post_slope,
)
from attribution.model.mean import LEAST_FACTOR
from attribution.model.packing import given_of
from attribution.model.padded import COLUMNS, MODES, PATHS, SCALES

LEAST_SHARE = 1e-3
"""An ad that takes conversions away leaves at least this share of the counterfactual (climb.py)."""

HIGHEST_LOG = 40.0
NONE_LEFT = 1e-10
"""Kernels of less weight are passed over."""


@njit(cache=True)
def _gamma(x):
    """Return log Gamma(x) up to a constant, and its derivative: Stirling's series from x >= 9 on."""
    shift, product, drop = 0.0, 1.0, 0.0
    while x < 9.0:
        product *= x
        drop += 1.0 / x
        x += 1.0
    if product != 1.0:
        shift = np.log(product)
    log, u = np.log(x), 1.0 / x
    v = u * u
    value = (x - 0.5) * log - x + u * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v / 1188))))
    slope = log - 0.5 * u - v * (1 / 12 - v * (1 / 120 - v * (1 / 252 - v * (1 / 240 - v / 132))))
    return value - shift, slope - drop


@njit(cache=True)
def _count(y, mean, dispersion, log_dispersion):
    """Return the log probability of a count of variance phi mu, up to a constant, and its slope by the mean."""
    size = mean / (dispersion - 1.0)
    upper, by_upper = _gamma(y + size)
    lower, by_lower = _gamma(size)
    slope = (by_upper - by_lower - log_dispersion) / (dispersion - 1.0)
    return upper - lower - size * log_dispersion, slope


@njit(cache=True)
def _path_prior(decay, rate, paths, slope):
    """Return the log prior of the paths (T, K); fill its slope."""
    bins, k = paths.shape
    total = 0.0
    for t in range(bins):
        for i in range(k):
            added = paths[t, i] - (decay[t, i] * paths[t - 1, i] if t else 0.0)
            pull = added * rate[t, i] * rate[t, i]
            total -= 0.5 * added * pull
            slope[t, i] -= pull
            if t:
                slope[t - 1, i] += decay[t, i] * pull
    return total


@njit(cache=True)
def _effect_prior(given, effects, scale, slope):
    """Return the log prior of the effects (P,), the scales of the regions a mixture; fill its slope."""
    total, count = 0.0, given.scale_sd.shape[1]
    for p in range(len(effects)):
        if scale <= p < scale + count:
            continue
        away = (effects[p] - given.prior[0, p]) / given.prior[1, p]
        total -= 0.5 * away * away
        slope[p] -= away / given.prior[1, p]
    each = given.scale_weight.copy()
    for w in range(SCALES):
        for c in range(count):
            each[w] -= 0.5 * (effects[scale + c] / given.scale_sd[w, c]) ** 2 + np.log(given.scale_sd[w, c])
    top = each.max()
    part = np.exp(each - top)
    for w in range(SCALES):
        for c in range(count):
            slope[scale + c] -= part[w] / part.sum() * effects[scale + c] / given.scale_sd[w, c] ** 2
    return total + top + np.log(part.sum())


@njit(cache=True)
def _softmax(x):
    out = np.exp(x - x.max())
    return out / out.sum()


@njit(cache=True)
def _reading(given, modes, shapes):
    """Return (J, Q): a response's weights on the columns of the bank."""
    out = np.zeros(given.basis.shape[:2])
    for g in range(MODES):
        if modes[g] < NONE_LEFT:
            continue
        for s in range(len(shapes)):
            weight = modes[g] * shapes[s]
            for j in range(out.shape[0]):
                for q in range(COLUMNS):
                    out[j, q] += weight * given.coefficient[g, s, j, q]
    return out


@njit(cache=True)
def _reading_slope(given, modes, shapes, by_reading, by_shape):
    """Fill the slope by the log odds of the shapes; return that by the lag."""
    by_mode = np.zeros(MODES)
    raw = np.zeros(len(shapes))
    for g in range(MODES):
        if modes[g] < NONE_LEFT:
            continue
        for s in range(len(shapes)):
            along = 0.0
            for j in range(by_reading.shape[0]):
                for q in range(COLUMNS):
                    along += by_reading[j, q] * given.coefficient[g, s, j, q]
            by_mode[g] += shapes[s] * along
            raw[s] += modes[g] * along
    by_shape += shapes * (raw - (shapes * raw).sum())
    return by_mode - (modes * by_mode).sum()


@njit(cache=True)
def _responses(given, reading, misfit):
    """Return the response (J, T) of each airing, without and with its misfit."""
    airings, _, bins = given.basis.shape
    kernel = np.zeros((airings, bins))
    for j in range(airings):
        for q in range(COLUMNS):
            if reading[j, q] != 0.0:
                for t in range(bins):
                    kernel[j, t] += reading[j, q] * given.basis[j, q, t]
    shape = kernel.copy()
    for j in range(airings):
        for v in range(misfit.shape[1]):
            for t in range(bins):
                shape[j, t] += misfit[j, v] * given.bend[j, v, t]
    return kernel, shape


@njit(cache=True)
def _paths_felt(given, effects, paths, common, gain, scale):
    """Return what the regions share (T,), what moves them (T,), and how strongly each feels it (R,)."""
    bins, regions = len(paths), given.y.shape[0]
    shared, moved, felt = np.empty(bins), np.empty(bins), np.ones(regions)
    for t in range(bins):
        shared[t] = given.loading[t, 0] * paths[t, 0]
        moved[t] = effects[gain] * given.loading[t, 2] * paths[t, 2] + given.loading[t, 1] * paths[t, 1]
    for c in range(given.columns.shape[0]):
        for t in range(bins):
            shared[t] += effects[common + c] * given.columns[c, t]
    for r in range(regions):
        log = 0.0
        for c in range(given.contrast.shape[1]):
            log += given.contrast[r, c] * effects[scale + c]
        felt[r] = np.exp(log)
    return shared, moved, felt


@njit(cache=True)
def _regions(given, level, paths, shared, moved, felt, ad, by_level, by_paths, by_shared, by_moved, by_felt, by_ad):
    """Return the log likelihood of the regions' counts; fill its slopes by what the arguments before them hold."""
    total, phi = 0.0, given.dispersion[0]
    log_phi = np.log(phi)
    for r in range(given.y.shape[0]):
        k = PATHS + r
        for t in range(given.y.shape[1]):
            if given.exposure[r, t] <= 0.0:
                continue
            log = level[r] + shared[t] + given.loading[t, k] * paths[t, k]
            inside = -HIGHEST_LOG <= log <= HIGHEST_LOG
            plain = given.exposure[r, t] * np.exp(min(max(log, -HIGHEST_LOG), HIGHEST_LOG))
            growth = 1.0 + felt[r] * moved[t]
            rises = growth >= LEAST_FACTOR
            base = plain * (growth if rises else LEAST_FACTOR)
            mean = base + ad[r, t] * given.seen[r, t]
            least = LEAST_SHARE * base + 1e-12
            free = mean >= least
            value, slope = _count(given.y[r, t], mean if free else least, phi, log_phi)
            total += value
            if free:
                by_ad[r, t] = slope * given.seen[r, t]
            else:
                slope *= LEAST_SHARE
            if rises:
                by_moved[t] += slope * plain * felt[r]
                by_felt[r] += slope * plain * moved[t]
            if inside:
                by_level[r] += slope * base
                by_shared[t] += slope * base
                by_paths[t, k] += slope * base * given.loading[t, k]
    return total


@njit(cache=True)
def _feed(given, level, rate, amount, paths, kernel, by_paths, by_amount, by_kernel):
    """Return the log likelihood of the feed and its slopes by level and mediator; fill the others."""
    total, by_level, by_rate, phi = 0.0, 0.0, 0.0, given.dispersion[1]
    log_phi = np.log(phi)
    for t in range(len(given.feed)):
        if given.feed_exposure[t] <= 0.0:
            continue
        log = level + given.loading[t, 3] * paths[t, 3]
        inside = -HIGHEST_LOG <= log <= HIGHEST_LOG
        plain = given.feed_exposure[t] * np.exp(min(max(log, -HIGHEST_LOG), HIGHEST_LOG))
        rise = 1.0 + given.loading[t, 2] * paths[t, 2]
        rises = rise >= LEAST_FACTOR
        base = plain * (rise if rises else LEAST_FACTOR)
        brought = 0.0
        for j in range(len(amount)):
            brought += amount[j] * kernel[j, t]
        mean = base + rate * brought * given.posting[t]
        free = mean >= 1e-12
        value, slope = _count(given.feed[t], mean if free else 1e-12, phi, log_phi)
        total += value
        if not free:
            continue
        if rises:
            by_paths[t, 2] += slope * plain * given.loading[t, 2]
        if inside:
            by_level += slope * base
            by_paths[t, 3] += slope * base * given.loading[t, 3]
        by_rate += slope * brought * given.posting[t]
        for j in range(len(amount)):
            by_amount[j] += slope * rate * given.posting[t] * kernel[j, t]
            by_kernel[j, t] += slope * rate * given.posting[t] * amount[j]
    return total, by_level, by_rate


@njit(cache=True)
def _ad(given, amount, change, shape):
    """Return the split (J, R) of each incremental, and what the ads add (R, T)."""
    airings, regions = given.share.shape
    split, ad = given.share.copy(), np.zeros(given.y.shape)
    for j in range(airings):
        for r in range(regions):
            turned = 1.0
            for d in range(change.shape[1]):
                turned += change[j, d] * given.turn[j, d, r]
            split[j, r] *= turned
            if split[j, r] != 0.0:
                for t in range(shape.shape[1]):
                    ad[r, t] += amount[j] * split[j, r] * shape[j, t]
    return split, ad


@njit(cache=True)
def _ad_slope(given, amount, split, shape, by_ad, by_amount, by_change, by_shape):
    """Fill the slopes by what the ads' expected counts are made of."""
    airings, regions = given.share.shape
    for j in range(airings):
        for r in range(regions):
            if given.share[j, r] == 0.0:
                continue
            along = 0.0
            for t in range(by_ad.shape[1]):
                along += by_ad[r, t] * shape[j, t]
                by_shape[j, t] += by_ad[r, t] * amount[j] * split[j, r]
            by_amount[j] += along * split[j, r]
            for d in range(by_change.shape[1]):
                by_change[j, d] += along * amount[j] * given.share[j, r] * given.turn[j, d, r]


@njit(cache=True)
def _at_effects(given, size, effects, paths, slope, by_paths):
    """Return the log density at effects (P,) and paths (T, K); fill both slopes."""
    r, _, j, c, s, d, b = size
    common, feed, gain = r, r + c, r + c + 1
    scale, rate = gain + 1, gain + 1 + r - 1
    change, bend = rate + 1, rate + 1 + j * d
    amount = bend + j * b
    lag, odds = amount + j, amount + j + 1
    total = _path_prior(given.path_decay, given.path_rate, paths, by_paths)
    total += _effect_prior(given, effects, scale, slope)
    width = given.node[2, 0]
    away = (effects[lag] - given.node[0]) / width
    modes, forms = _softmax(-0.5 * away**2 + given.node[1]), _softmax(effects[odds : odds + s])
    kernel, shape = _responses(given, _reading(given, modes, forms), effects[bend:amount].reshape(j, b))
    own, by_own = effects[amount:lag], slope[amount:lag]
    split, ad = _ad(given, own, effects[change:bend].reshape(j, d), shape)
    shared, moved, felt = _paths_felt(given, effects, paths, common, gain, scale)
    by_shared, by_moved, by_felt = np.zeros(len(paths)), np.zeros(len(paths)), np.zeros(r)
    by_ad, by_shape, by_kernel = np.zeros(ad.shape), np.zeros(kernel.shape), np.zeros(kernel.shape)
    total += _regions(
        given, effects[:r], paths, shared, moved, felt, ad, slope[:r], by_paths, by_shared, by_moved, by_felt, by_ad
    )
    fed = _feed(given, effects[feed], effects[rate], own, paths, kernel, by_paths, by_own, by_kernel)
    slope[feed] += fed[1]
    slope[rate] += fed[2]
    _ad_slope(given, own, split, shape, by_ad, by_own, slope[change:bend].reshape(j, d), by_shape)
    by_kernel += by_shape
    by_reading = np.zeros((j, COLUMNS))
    for a in range(j):
        for v in range(b):
            slope[bend + a * b + v] += (by_shape[a] * given.bend[a, v]).sum()
        for q in range(COLUMNS):
            by_reading[a, q] = (by_kernel[a] * given.basis[a, q]).sum()
    by_mode = _reading_slope(given, modes, forms, by_reading, slope[odds : odds + s])
    slope[lag] -= (modes * by_mode * away).sum() / width
    for t in range(len(paths)):
        by_paths[t, 0] += by_shared[t] * given.loading[t, 0]
        by_paths[t, 1] += by_moved[t] * given.loading[t, 1]
        by_paths[t, 2] += by_moved[t] * given.loading[t, 2] * effects[gain]
        slope[gain] += by_moved[t] * given.loading[t, 2] * paths[t, 2]
    for v in range(c):
        slope[common + v] += (by_shared * given.columns[v]).sum()
    for v in range(r - 1):
        slope[scale + v] += (by_felt * felt * given.contrast[:, v]).sum()
    return total + fed[0]


@njit(cache=True)
def log_density(z, pack, size):
    """Return the log density of a packed problem at z (n,), up to a constant, and its gradient (n,).

    ``size`` (7,) is what :func:`attribution.model.packing.lengths` returns.
    """
    given = given_of(pack, size)
    count, gain = len(given.centre), size[0] + size[3] + 1
    rate, last = gain + size[0], count - size[4] - 1
    first, sd = last - size[2], given.prior[1, rate]
    raw, paths = z[count:].copy(), given.path_centre.copy()
    effects = given.centre + given.turned @ z[:count]
    place, amount, middle = effects[rate], effects[first:last], given.centre[rate]
    effects[rate], stretched = mediate(given.urge, sd, middle, given.centre[first:last], amount, place)
    raw -= given.lean @ z[:count]
    post(given.brought, effects[rate] - middle, amount, raw)
    back_solve(given.lower, raw)
    paths += raw.reshape(paths.shape)
    away, rise = effects[gain] - given.centre[gain], paths[:, 2] - given.path_centre[:, 2]
    give_way(given.yielding, given.smooth, away, rise, paths)
    slope, by_paths = np.zeros(count), np.zeros(paths.shape)
    total = _at_effects(given, size, effects, paths, slope, by_paths) + stretched
    slope[gain] += give_way_slope(given.yielding, given.smooth, away, rise, by_paths)
    out = np.empty(len(z))
    by_raw, by_amount = out[count:], slope[first:last]
    by_raw[:] = by_paths.ravel()
    forward_solve(given.lower, by_raw)
    slope[rate] += post_slope(given.brought, effects[rate] - middle, amount, by_raw, by_amount)
    slope[rate] = mediate_slope(given.urge, sd, middle, given.centre[first:last], amount, place, slope[rate], by_amount)
    out[:count] = given.turned.T @ slope - given.lean.T @ by_raw
    return total, out
