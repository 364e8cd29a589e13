"""E-processes whose baseline drifts: discounted gamma-Poisson filters, a prediction a bin, no fit."""

from __future__ import annotations

import numpy as np

from attribution.arguments import dispersed, integer, number, numbers, positive, response, stream
from attribution.deviance import bulge, discounted, log_mean_exp, rest

_SHARE_BLOCKS = (1, 5, 15, 30)  # bins over which the exposed share's dispersion is taken
_WEIGHT_BINS = 200  # of the history, by which the discounts are weighted
_FLOOR = 1e-9  # a filter that saw nothing for minutes still expects something


def _discount(name: str, value: float) -> float:
    share = number(name, value)
    if not 0 < share <= 1:
        raise ValueError(f"{name} is {value}; choose values above 0 and at most 1")
    return share


def drifting_baseline_log_e(
    counts: np.ndarray,
    kernel: np.ndarray,
    lifts: np.ndarray,
    *,
    prior_count: float,
    prior_bins: float,
    discount: float,
) -> np.ndarray:
    """Test a lift over a baseline that drifts, learnt by a discounted gamma-Poisson filter.

    For each lift b, ``A <- d A, B <- d B``; then x is negative binomial with shape A and odds ``(1 + b k)/B``; then
    ``A <- A + x, B <- B + 1 + b k``. Log mean over lifts of the likelihood, over that of the filter with lift 0. A does
    not depend on b, so every gamma function cancels. Source: West & Harrison 1997, discount models.

    Parameters
    ----------
    counts, kernel
        (T,) counts a bin; response, 1 at its peak.
    lifts
        (B,) relative rises at the peak, each above -1.
    prior_count, prior_bins
        Events and bins that the prior is worth.
    discount
        Share of the past that each bin keeps, in (0, 1]; 1 is a constant baseline.

    Returns
    -------
    (T,) log e after each bin.

    Examples
    --------
    >>> x = np.random.default_rng(1).poisson(20, 60)
    >>> x[30:] += 10
    >>> kernel = (np.arange(60) >= 30) * 1.0
    >>> path = drifting_baseline_log_e(x, kernel, [0.5], prior_count=40, prior_bins=2, discount=0.98)
    >>> float(path[29]), bool(path[-1] > 3)
    (0.0, True)
    """
    x = stream("counts", counts)
    k, b = response(kernel, lifts, len(x))
    a0, b0 = positive("prior_count", prior_count), positive("prior_bins", prior_bins)
    d = _discount("discount", discount)
    rise = np.outer(k, b)
    a, plain = (d * np.r_[first, discounted(steps, d, first)[:-1]] for steps, first in ((x, a0), (np.ones(len(x)), b0)))
    extra = d * np.concatenate([np.zeros((1, len(b))), discounted(rise, d, 0.0)[:-1]])  # B of a lift less that of 0
    # x log(p/p0) + A log((1 - p)/(1 - p0)), p = q/(B + q), q = 1 + b k: the two meet in p/p0 - 1, large counts or small
    moved = (rise * plain[:, None] - extra) / (plain[:, None] + extra + 1.0 + rise)
    gain = x[:, None] * np.log1p(moved) + a[:, None] * np.log1p(-moved / plain[:, None])
    return log_mean_exp(np.cumsum(gain, axis=0), axis=1)


def joint_filter_log_e(
    exposed: np.ndarray,
    control: np.ndarray,
    kernel: np.ndarray,
    lifts: np.ndarray,
    *,
    ratio: float,
    discounts: tuple[float, ...] = (0.98, 0.9, 0.7, 0.4),
    dispersion: float = 1.0,
    history: int = 300,
) -> np.ndarray:
    """Test a lift in exposed regions against a control, the rate they share drifting: microseconds a second of data.

    For each discount d and lift b, ``e = 1 + b k + c`` and ``q = (1 + b k)/e``; the total N of a bin is negative
    binomial with mean ``m = (A/B) e`` and size ``r = m/(phi - 1 + m/(d A))``, the exposed part of it binomial with
    share q; then ``A <- d A + N/phi``, ``B <- d B + e/phi``. With l the log likelihood since the airing began,

        log E = [log sum_d v_d mean_b exp l(d, b) - max_d l(d, 0)]/phi_s

    where ``v_d`` is .8 x the posterior weight of d over the last 200 bins of the history + .2/(number of discounts),
    and ``phi_s`` >= 1 the largest dispersion of the exposed share about 1/(1 + c) over blocks of 1, 5, 15 and 30 bins
    of the history. Terms that depend on N alone cancel and are left out. The filter starts from one bin's worth of the
    mean of the history. An empirical, not a proven, e-value when the baseline wanders in one region only.
    Source: the discount filter of West & Harrison 1997 inside Robbins' mixture SPRT (1970); the weights v_d and the
    division by phi_s are this project's.

    Parameters
    ----------
    exposed, control
        (T,) counts a bin of both streams, whole: the history first.
    kernel
        (T,) response, 1 at its peak, 0 over the history.
    lifts
        (B,) relative rises at the peak, each above -1; the filter with lift 0 is always run beside them.
    ratio
        c, rate of the control over that of the exposed regions without an ad.
    discounts
        (D,) shares of the past that a bin keeps, in (0, 1].
    dispersion
        phi >= 1: variance of a bin's total over its mean at a known rate.
    history
        Bins before the airing, at least 1.

    Returns
    -------
    (T,) log e after each bin; 0 over the history.

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> kernel = np.r_[np.zeros(300), np.ones(60)]
    >>> exposed, control = rng.poisson(30 * (1 + 0.5 * kernel)), rng.poisson(30.0, 360)
    >>> path = joint_filter_log_e(exposed, control, kernel, [0.0, 0.3, 0.6, 1.0], ratio=1.0)
    >>> float(path[299]), bool(path[-1] > 3)
    (0.0, True)
    """
    x, y = stream("exposed", exposed), stream("control", control)
    k, b = response(kernel, lifts, len(x))
    c = positive("ratio", ratio)
    history = _history(history, k, y)
    d = np.array([_discount("discounts", value) for value in np.atleast_1d(numbers("discounts", discounts))])
    if not len(d):
        raise ValueError("discounts is empty; give one or more values above 0 and at most 1")
    phi = dispersed(dispersion)
    out = np.zeros(len(x))
    before, after = slice(0, history), slice(history, None)
    scale = _share_dispersion(x[before], y[before], c)
    n = x + y
    start = ((n[before].sum() + 0.5) / history / phi, (1 + c) / phi)
    null, state_a, state_b = _predict(n[before], np.full((history, 1), 1 + c), d, phi, *start)
    if history == len(x):
        return out
    past = null[-_WEIGHT_BINS:, :, 0].sum(axis=0)
    weight = np.exp(past - past.max())
    weight = 0.8 * weight / weight.sum() + 0.2 / len(d)

    rise = np.concatenate([np.zeros((len(x) - history, 1)), np.outer(k[after], b)], axis=1)  # lift 0 first
    e = 1 + rise + c
    total, _, _ = _predict(n[after], e, d, phi, state_a, state_b)
    # log q and log(1 - q) over those of lift 0, so that large counts lose no digits
    split = x[after, None] * np.log1p(rise) - n[after, None] * np.log1p(rise / (1 + c))
    path = np.cumsum(total + split[:, None, :], axis=0)  # (T, D, 1 + B)
    mixed = log_mean_exp(path[:, :, 1:], axis=2) + np.log(len(d) * weight)
    out[after] = (log_mean_exp(mixed, axis=1) - path[:, :, 0].max(axis=1)) / scale
    return out


def _history(history: int, kernel: np.ndarray, control: np.ndarray) -> int:
    """Return the number of bins before the airing, when kernel and control agree with it."""
    bins = len(kernel)
    if len(control) != bins:
        raise ValueError(f"control has {len(control)} bins; give the {bins} bins of exposed")
    remedy = f"give the number of bins before the airing, 1 to {bins}"
    before = integer("history", history, remedy=remedy)
    if before > bins:
        raise ValueError(f"history is {history}; {remedy}")
    if kernel[:before].any():
        raise ValueError(f"kernel is {kernel[:before].max()} in the history; it is 0 before the airing begins")
    return before


def _predict(
    n: np.ndarray, e: np.ndarray, discounts: np.ndarray, phi: float, a: np.ndarray | float, b: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log predictive probability of each total, (T, D, B), but for its terms in n alone; and the last A (D,), B (D, 1).

    ``a`` and ``b`` are the state before the first bin; ``e`` (T, B) the exposure of each bin under each lift.
    """
    a = np.broadcast_to(a, discounts.shape)
    b = np.broadcast_to(b, (len(discounts), 1))
    all_a = np.stack([discounted(n / phi, d, first) for d, first in zip(discounts, a, strict=True)], axis=1)
    all_b = np.stack([discounted(e / phi, d, first) for d, first in zip(discounts, b, strict=True)], axis=1)
    known_a = np.concatenate([a[None], all_a[:-1]])[:, :, None]
    known_b = np.concatenate([np.broadcast_to(b[None], (1, *all_b.shape[1:])), all_b[:-1]])
    known_a = np.maximum(known_a, _FLOOR)
    m = known_a / known_b * e[:, None, :]
    r = m / (phi - 1 + m / (discounts[:, None] * known_a))
    count = n[:, None, None]
    z = count + r
    # log NB by deviances: n log m - (n + r) log(r + m) + ... joins into -m bulge(u) + (m + r) bulge(u m/(m + r))
    deviance = m * bulge((count - m) / m) - (m + r) * bulge((count - m) / (m + r))
    return -deviance + 0.5 * np.log(r / z) + rest(z) - rest(r), all_a[-1], all_b[-1][:, :1]


def _share_dispersion(x: np.ndarray, y: np.ndarray, c: float) -> float:
    """Largest mean chi-square over blocks of the exposed share about 1/(1 + c), at least 1; empty blocks left out."""
    share = 1 / (1 + c)
    worst = 1.0
    for size in _SHARE_BLOCKS:
        blocks = len(x) // size
        if blocks < 2:
            continue
        keep = slice(len(x) - blocks * size, None)
        exposed, total = (v[keep].reshape(blocks, size).sum(axis=1) for v in (x, x + y))
        seen = total > 0
        if seen.any():
            chi = (exposed - share * total)[seen] ** 2 / (share * (1 - share) * total[seen])
            worst = max(worst, float(chi.mean()))
    return worst
