"""What began at a moment of one series: least squares on what the filter leaves, compiled, for many moments at once.

The likelihood of the scales leaves the response out; the amount is an average over kernels by their evidence, mixed
with the sum of the window less what is expected of it (methods, section 2.4).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from attribution.model.whitening import base_columns, eliminate, sweep, working


@njit(cache=True, nogil=True)
def log_likelihoods(
    y: np.ndarray,
    share: np.ndarray,
    covariates: np.ndarray,
    ridge: np.ndarray,
    before: int,
    response: int,
    grid: np.ndarray,
) -> np.ndarray:
    """Return (M, G) restricted log likelihood of M windows at G scales, their responses left out.

    ``y`` and ``share`` (M, n), ``covariates`` (M, n, V): the response is bins ``before`` to ``before + response``;
    ``grid`` (G, 3): length in bins, sd, extra noise variance.
    """
    n = y.shape[1]
    out = np.empty((len(y), len(grid)))
    none, marks = np.zeros(n), np.array([n - 1])
    width = 3 + covariates.shape[2]
    grams, sums, spreads = np.zeros((1, width, width)), np.zeros((1, width)), np.zeros(1)
    for m in range(len(y)):
        _, z, noise, use = working(y[m], share[m], before, before + response)
        columns = base_columns(z, covariates[m], 0)
        for g in range(len(grid)):
            row = (grid[g, 0], grid[g, 1], grid[g, 2])
            log_det = sweep(columns, noise, use, none, row, marks, grams, sums, spreads)
            pivots = eliminate(grams[0], 1, width, ridge)
            out[m, g] = -0.5 * (log_det + pivots + grams[0, 0, 0])
    return out


@njit(cache=True, nogil=True)
def mixed(gram: np.ndarray, base: int, prior: np.ndarray, inside: np.ndarray, scale: float) -> tuple:
    """Return mean and variance of the windowed amount, averaged over kernels by their evidence.

    ``gram`` is free of its base columns; kernel k is column ``base + k``; ``inside`` (K,) is the share of each response
    that falls into the window so far. Evidence under a normal amount of sd ``scale`` (the window's baseline).
    """
    count = len(prior)
    log_weight, mean, var = np.full(count, -np.inf), np.zeros(count), np.zeros(count)
    for k in range(count):
        info = gram[base + k, base + k]
        if info <= 1e-12 or inside[k] <= 1e-6:
            continue
        score = gram[base + k, 0]
        mean[k] = score / info * inside[k]
        var[k] = inside[k] ** 2 / info
        gain = 0.5 * score * score / (info + scale**-2) - 0.5 * np.log1p(scale**2 * info)
        log_weight[k] = np.log(prior[k]) + gain
    top = log_weight.max()
    if not np.isfinite(top):
        return np.nan, np.nan
    weight = np.exp(log_weight - top)
    weight /= weight.sum()
    centre = (weight * mean).sum()
    return centre, (weight * (var + (mean - centre) ** 2)).sum()


@njit(cache=True, nogil=True)
def joined(kernel: float, kernel_var: float, free: float, free_var: float, misfit: float) -> tuple:
    """Mix the kernel's answer with the shape-free one; return mean, variance and the kernel's weight.

    The kernel's error is contained in the free one's (Gauss-Markov: their covariance is the kernel's variance); its
    shape is wrong by ``misfit`` of the total (sd). The mix of least variance then gives the kernel
    ``w = (v2 - v1)/(v2 - v1 + misfit^2 E A^2)``.
    """
    if not np.isfinite(kernel):
        return free, free_var, 0.0
    if not np.isfinite(free):
        return kernel, kernel_var + misfit**2 * (kernel * kernel + kernel_var), 1.0
    gap = max(free_var - kernel_var, 1e-12)
    amount, w, wrong = kernel, 1.0, 0.0
    for _ in range(3):
        # The square of an amount known so far is that much larger: else a low estimate would seem a sure one.
        wrong = misfit**2 * (amount * amount + free_var)
        w = gap / (gap + wrong)
        amount = w * kernel + (1.0 - w) * free
    var = kernel_var + (1.0 - w) ** 2 * gap + w * w * wrong
    return amount, var, w


@njit(cache=True, nogil=True)
def at_look(
    gram: np.ndarray,
    outside: np.ndarray,
    sums: np.ndarray,
    spread: float,
    ridge: np.ndarray,
    mass: np.ndarray,
    prior: np.ndarray,
    inside: np.ndarray,
    rate: np.ndarray,
    observed: np.ndarray,
    misfit: float,
) -> tuple:
    """Return amount, variance, counterfactual and the kernel's weight at one look and one set of scales.

    ``gram`` holds the products of all columns with the response in use, ``outside`` those of the base columns without
    it; ``sums`` and ``spread`` are the window's sum less what is expected from outside. ``mass``, ``inside``, ``rate``
    and ``observed`` (counts, NaN unseen) end at the look; a window seen in part is scaled up to the whole.
    """
    base = len(outside)
    whole, known, booked = 0.0, 0.0, 0.0
    arrived = np.zeros(len(prior))
    for r in range(len(inside)):
        level = np.exp(rate[r]) * inside[r]
        whole += level
        if np.isfinite(observed[r]):
            known += level
            booked += observed[r] * inside[r]
        for k in range(len(prior)):
            arrived[k] += mass[k, r] * inside[r]
    eliminate(gram, 1, base, ridge)
    kernel, kernel_var = mixed(gram, base, prior, arrived, max(whole, 1.0))
    joint = np.zeros((base + 1, base + 1))
    joint[:base, :base] = outside
    joint[base, :base], joint[:base, base] = sums, sums
    eliminate(joint, 1, base, ridge)
    free, free_var, scale = np.nan, np.nan, 1.0
    if known > 0.5 * whole:
        scale = whole / known
        free, free_var = joint[base, 0] * scale, (spread - joint[base, base]) * scale**2
    amount, var, w = joined(kernel, kernel_var, free, free_var, misfit)
    # What was counted, less what it holds beyond expectation, is the counterfactual.
    expected = booked * scale - free if np.isfinite(free) else whole
    return amount, var, expected, w


@njit(cache=True, nogil=True)
def estimates(
    y: np.ndarray,
    share: np.ndarray,
    covariates: np.ndarray,
    ridge: np.ndarray,
    before: int,
    response: int,
    grid: np.ndarray,
    chosen: np.ndarray,
    weight: np.ndarray,
    mass: np.ndarray,
    prior: np.ndarray,
    inside: np.ndarray,
    misfit: float,
    live: bool,
) -> np.ndarray:
    """Return (M, L, 4) in M windows: amount, variance, counterfactual of the summed part, the kernel's weight.

    Parameters
    ----------
    y, share, covariates
        (M, n), (M, n), (M, n, V); the response is bins ``before`` to ``before + response``.
    chosen, weight
        (M, Q) rows of ``grid`` to average over, and their weights.
    mass
        (K, response) share of each kernel's response in each bin; ``prior`` (K,) weights.
    inside
        (response,) 1 where a bin belongs to the window that is summed.
    live
        One look after each bin of the response, on what had come by then; else one look at the end.
    """
    looks = response if live else 1
    n, kernels = y.shape[1], len(prior)
    base = 3 + covariates.shape[2]
    out = np.empty((len(y), looks, 4))
    marks = before + np.arange(response) if live else np.array([n - 1])
    for m in range(len(y)):
        rate, z, noise, use = working(y[m], share[m], before, before + response)
        columns = base_columns(z, covariates[m], kernels)
        everything = use.copy()
        weights, observed = np.zeros(n), np.full(response, np.nan)
        for r in range(response):
            i = before + r
            columns[i, base:] = mass[:, r] / np.exp(rate[i])
            everything[i] = np.isfinite(y[m, i]) and share[m, i] > 0
            if everything[i]:
                weights[i] = np.exp(rate[i]) * inside[r]
                observed[r] = y[m, i] / share[m, i]
        grams, sums, spreads = (
            np.zeros((looks, base + kernels, base + kernels)),
            np.zeros((looks, base + kernels)),
            np.zeros(looks),
        )
        outside, outside_sums = np.zeros((looks, base, base)), np.zeros((looks, base))
        total, square = np.zeros((looks, 4)), np.zeros(looks)
        for q in range(chosen.shape[1]):
            if weight[m, q] <= 0:
                continue
            row = (grid[chosen[m, q], 0], grid[chosen[m, q], 1], grid[chosen[m, q], 2])
            sweep(columns, noise, everything, np.zeros(n), row, marks, grams, sums, spreads)
            sweep(columns[:, :base].copy(), noise, use, weights, row, marks, outside, outside_sums, spreads)
            for look in range(looks):
                end = look + 1 if live else response
                found = at_look(
                    grams[look],
                    outside[look],
                    outside_sums[look],
                    spreads[look],
                    ridge,
                    mass[:, :end],
                    prior,
                    inside[:end],
                    rate[before : before + end],
                    observed[:end],
                    misfit,
                )
                total[look] += weight[m, q] * np.array(found)
                square[look] += weight[m, q] * found[0] ** 2
        out[m] = total
        out[m, :, 1] += np.maximum(square - total[:, 0] ** 2, 0.0)
    return out
