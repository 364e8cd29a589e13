"""Evidence that survives watching: e-values and confidence sequences in closed form, arrays in, arrays out.

Every log is natural. An e-value of 20 rejects at level 1/20 whenever it is reached, however often one looks; an
interval holds at all looks together. Counts are whole numbers of 0 or more; refusals are ValueErrors that name the
argument, its value and the remedy. Counts up to 1e9 lose no digits: large logs meet as deviances, never as differences.
"""

from __future__ import annotations

import math

import numpy as np

from attribution.arguments import (
    Array,
    Number,
    dispersed,
    finite_or_infinite,
    inside,
    level,
    numbers,
    positive,
    response,
    stream,
    table,
    whole,
)
from attribution.deviance import binomial_sides, bulge, log_mean_exp, log_upper_gamma, poisson_sides, rest
from attribution.filters import drifting_baseline_log_e, joint_filter_log_e
from attribution.maxsprt import maxsprt_threshold
from attribution.ranks import e_bh, placebo_p, soft_rank_e

__all__ = [
    "always_valid_p",
    "control_log_e",
    "drifting_baseline_log_e",
    "e_bh",
    "fixed_baseline_log_e",
    "history_baseline_log_e",
    "increment_interval",
    "intensity_interval",
    "joint_filter_log_e",
    "maxsprt_threshold",
    "multinomial_log_e",
    "placebo_p",
    "poisson_log_e",
    "rate_ratio_interval",
    "share_interval",
    "soft_rank_e",
]


def multinomial_log_e(counts: Array, shares: Array, *, concentration: float = 100.0) -> Array:
    """Test that streams have the given shares of events, by a Dirichlet mixture.

    ``log B(a0 + n) - log B(a0) - sum_k n_k log theta_k`` with a0 = concentration x shares and n cumulative.
    Source: Lindon & Malek 2022, "Anytime-valid inference for multinomial count data".

    Parameters
    ----------
    counts
        (T, K) events of each stream in each bin.
    shares
        (K,) shares under the null, positive, summing to 1.
    concentration
        Weight of the prior in events: large expects small departures.

    Returns
    -------
    (T,) log e after each row.

    Examples
    --------
    >>> rows = np.random.default_rng(3).poisson([30, 20], (40, 2))
    >>> bool(multinomial_log_e(rows, [0.5, 0.5])[-1] > np.log(20))
    True
    """
    rows, theta = table(counts, shares)
    a = positive("concentration", concentration)
    n = np.cumsum(rows, axis=0)
    total = n.sum(axis=1)
    mean, prior = np.outer(total + a, theta), a * theta
    posterior = n + prior
    # z log(z/(Z theta)) summed is Z times the divergence of the posterior shares from theta
    divergence = (mean * bulge((n - total[:, None] * theta) / mean)).sum(axis=1)
    spread = np.log(posterior / prior).sum(axis=1) - np.log1p(total / a)
    small = (rest(posterior) - rest(prior)).sum(axis=1) - (rest(total + a) - rest(a))
    return divergence - 0.5 * spread + small


def always_valid_p(log_e: Array) -> Array:
    """Turn log e-values (T,) into p-values that may be watched: running minimum of 1/E, at most 1.

    Source: Johari, Koomen, Pekelis & Walsh 2022, "Always valid inference".

    Examples
    --------
    >>> always_valid_p(np.log([0.5, 20.0, 2.0])).round(3)
    array([1.  , 0.05, 0.05])
    """
    return np.exp(-np.maximum(np.maximum.accumulate(finite_or_infinite("log_e", log_e)), 0.0))


def share_interval(
    counts: Array, shares: Array, *, concentration: float = 100.0, alpha: float = 0.05
) -> tuple[Array, Array]:
    """Confidence sequence for the shares of K streams, all of them covered together.

    ``{theta_k: log E < log 1/alpha}``: the values of theta_k at which some theta is not rejected by the mixture of
    `multinomial_log_e` (its other parts at their best), intersected over time. A lower end above the upper end says
    that the shares did not stay constant. Source: Lindon & Malek 2022.

    Parameters
    ----------
    counts, shares, concentration
        As in `multinomial_log_e`; the shares centre the prior and are not themselves tested.
    alpha
        1 - level.

    Returns
    -------
    lower, upper
        (T, K).

    Examples
    --------
    >>> rows = np.random.default_rng(3).poisson([30, 20], (400, 2))
    >>> lower, upper = share_interval(rows, [0.5, 0.5])
    >>> bool(lower[-1, 0] < 0.6 < upper[-1, 0])
    True
    """
    limit = -math.log(level(alpha))
    at_null = multinomial_log_e(counts, shares, concentration=concentration)
    rows, theta = table(counts, shares)
    n = np.cumsum(rows, axis=0)
    total = n.sum(axis=1)
    # From the null to the shares seen, log E falls by the multinomial deviance N KL(seen, theta).
    expected = np.outer(np.maximum(total, 1.0), theta)
    fall = (expected * bulge(n / expected - 1)).sum(axis=1)
    target = np.where(total > 0, limit - at_null + fall, limit)[:, None]
    lower, upper = binomial_sides(n, np.broadcast_to(total[:, None], n.shape), np.broadcast_to(target, n.shape))
    return np.maximum.accumulate(lower, axis=0), np.minimum.accumulate(upper, axis=0)


def rate_ratio_interval(
    counts: Array, shares: Array, *, concentration: float = 100.0, alpha: float = 0.05
) -> tuple[Array, Array]:
    """Confidence sequence for the log of rate 0 over rate 1, exposure shares removed.

    ``logit theta_0 - log(s_0/s_1)`` over the interval of `share_interval`, K = 2. Source: Lindon & Malek 2022.

    Parameters
    ----------
    counts, shares
        (T, 2) events; the shares of events that equal rates would give (of exposure or traffic).
    concentration, alpha
        As in `share_interval`.

    Returns
    -------
    lower, upper
        (T,) natural log of the ratio of rates; infinite where nothing bounds it.

    Examples
    --------
    >>> rows = np.random.default_rng(3).poisson([30, 20], (400, 2))
    >>> lower, upper = rate_ratio_interval(rows, [0.5, 0.5])
    >>> bool(lower[-1] < np.log(1.5) < upper[-1])
    True
    """
    theta = numbers("shares", shares)
    if theta.shape != (2,):
        raise ValueError(f"shares has shape {theta.shape}; a ratio of rates needs two streams, shape (2,)")
    lower, upper = share_interval(counts, shares, concentration=concentration, alpha=alpha)
    offset = math.log(theta[0] / theta[1])
    with np.errstate(divide="ignore"):
        return np.log(lower[:, 0]) - np.log(upper[:, 1]) - offset, np.log(upper[:, 0]) - np.log(lower[:, 1]) - offset


def poisson_log_e(total: Number, expected: Number, *, prior_shape: float, alternative: str = "greater") -> Array:
    """Test a running count against its expectation by a gamma mixture over their ratio theta.

    ``log integral of theta^total exp(-(theta - 1) expected)`` under Gamma(a, a), a = prior_shape (mean 1, sd a^-1/2);
    ``"greater"`` truncates it to theta >= 1, ``"two-sided"`` does not. Source: Lindon & Kallus 2024, "Anytime-valid
    inference in N-of-1 trials and Poisson counting processes".

    Parameters
    ----------
    total, expected
        Cumulative count, and its expectation under the null (>= 0); scalars or arrays that broadcast.
    prior_shape
        a > 0: small expects large departures.
    alternative
        ``"greater"`` or ``"two-sided"``.

    Returns
    -------
    log e, of the shape of the arguments.

    Examples
    --------
    >>> float(poisson_log_e(150, 100.0, prior_shape=10.0).round(3))
    9.338
    """
    n, mu = whole("total", total), numbers("expected", expected)
    if not (np.isfinite(mu) & (mu >= 0)).all():
        raise ValueError(f"expected is {expected}; give finite expectations of 0 or more")
    if not (isinstance(alternative, str) and alternative in {"greater", "two-sided"}):
        raise ValueError(f'alternative is {alternative!r}; choose "greater" or "two-sided"')
    a = positive("prior_shape", prior_shape)
    z, x = a + n, a + mu
    # a^a/Gamma(a) Gamma(z)/x^z exp(expected): large parts joined into half a Poisson deviance
    free = x * bulge((n - mu) / x) - 0.5 * np.log(z / a) + rest(z) - rest(a)
    if alternative == "two-sided":
        return free
    return free + log_upper_gamma(z, x) - log_upper_gamma(np.asarray(a), np.asarray(a))


def intensity_interval(total: Number, *, prior_shape: float, alpha: float = 0.05) -> tuple[Array, Array]:
    """Confidence sequence for the expectation L of a running count: ``{L: two-sided log E(total, L) < log 1/alpha}``.

    No intersection over time: L grows with it. Source: Lindon & Kallus 2024.

    Parameters
    ----------
    total
        Cumulative count; any shape.
    prior_shape, alpha
        As in `poisson_log_e`; 1 - level.

    Returns
    -------
    lower, upper
        Of the shape of ``total``.

    Examples
    --------
    >>> lower, upper = intensity_interval(100, prior_shape=10.0)
    >>> float(lower.round(1)), float(upper.round(1))
    (72.3, 133.3)
    """
    n, a = whole("total", total), positive("prior_shape", prior_shape)
    z = np.atleast_1d(a + n)
    # log E = z (w - 1 - log w) - log(z/a)/2 + rest(z) - rest(a), w = (a + L)/z
    target = -math.log(level(alpha)) + 0.5 * np.log(z / a) - rest(z) + rest(a)
    low, high = poisson_sides(z, target)
    return np.maximum(low - a, 0.0).reshape(n.shape), (high - a).reshape(n.shape)


def fixed_baseline_log_e(counts: Array, kernel: Array, lifts: Array, *, baseline: float) -> Array:
    """Test a lift over a baseline that is known: mixture of Poisson likelihood ratios over the lifts.

    ``log mean_b exp[sum x log(1 + b k) - baseline sum b k]``. Source: Wald's SPRT, Robbins' mixture (1970).

    Parameters
    ----------
    counts, kernel
        (T,) counts a bin; response, 1 at its peak.
    lifts
        (B,) relative rises at the peak, each above -1.
    baseline
        Expected events a bin without the ad.

    Returns
    -------
    (T,) log e after each bin.

    Examples
    --------
    >>> x = np.random.default_rng(2).poisson(13, 60)
    >>> bool(fixed_baseline_log_e(x, np.ones(60), [0.1, 0.3], baseline=10.0)[-1] > 3)
    True
    """
    x = stream("counts", counts)
    k, b = response(kernel, lifts, len(x))
    rise = np.outer(b, k)
    return log_mean_exp(np.cumsum(x * np.log1p(rise) - positive("baseline", baseline) * rise, axis=1))


def history_baseline_log_e(
    counts: Array, kernel: Array, lifts: Array, *, history_count: float, history_bins: float
) -> Array:
    """Test a lift over a constant baseline learnt from a history, integrated under the prior 1/lambda.

    ``log mean_b exp[sum x log(1 + b k) - (A + S_t) log(1 + sum b k/(T0 + t))]``, A events in T0 bins of history and S_t
    events in t bins since. Source: Lindon & Kallus 2024, nuisance rate by invariance.

    Parameters
    ----------
    counts, kernel, lifts
        As in `fixed_baseline_log_e`.
    history_count, history_bins
        Events of the history (a whole number), and its length in bins.

    Returns
    -------
    (T,) log e after each bin.

    Examples
    --------
    >>> x = np.random.default_rng(2).poisson(13, 60)
    >>> path = history_baseline_log_e(x, np.ones(60), [0.1, 0.3], history_count=3000, history_bins=300)
    >>> bool(path[-1] > 3)
    True
    """
    x = stream("counts", counts)
    k, b = response(kernel, lifts, len(x))
    events = float(whole("history_count", history_count, shape=()))
    bins = positive("history_bins", history_bins) + np.arange(1, len(x) + 1)
    rise = np.outer(b, k)
    learnt = (events + np.cumsum(x)) * np.log1p(np.cumsum(rise, axis=1) / bins)
    return log_mean_exp(np.cumsum(x * np.log1p(rise), axis=1) - learnt)


def control_log_e(counts: Array, kernel: Array, lifts: Array, *, control: Array, share: float) -> Array:
    """Test a lift against a control stream bin by bin, whatever the rate they share: the conditional binomial.

    ``log mean_b exp sum[x log(1 + b k) - N log(1 + share b k)]``, N = counts + control. Source: Przyborowski &
    Wilenski 1940, the conditional test, as a mixture over lifts.

    Parameters
    ----------
    counts, kernel, lifts
        As in `fixed_baseline_log_e`; counts are those of the exposed regions.
    control
        (T,) counts of the control in the same bins.
    share
        Exposed share of the null rate, in (0, 1).

    Returns
    -------
    (T,) log e after each bin.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> x, y = rng.poisson(13, 60), rng.poisson(10, 60)
    >>> bool(control_log_e(x, np.ones(60), [0.3], control=y, share=0.5)[-1] > 1)
    True
    """
    x, y = stream("counts", counts), stream("control", control)
    if len(y) != len(x):
        raise ValueError(f"control has {len(y)} bins; give the {len(x)} bins of counts")
    part = inside("share", share)
    k, b = response(kernel, lifts, len(x))
    rise = np.outer(b, k)
    return log_mean_exp(np.cumsum(x * np.log1p(rise) - (x + y) * np.log1p(part * rise), axis=1))


def increment_interval(
    exposed: Number,
    control: Number,
    *,
    ratio: float,
    dispersion: float = 1.0,
    alpha: float = 0.05,
    optimal_variance: float,
) -> tuple[Array, Array]:
    """Confidence sequence for the cumulative increment of the exposed over what the control predicts.

    ``D +- sqrt((V + rho) log((V + rho)/(rho alpha^2)))`` with D = X - Y/c, V = phi (X + Y/c^2) and
    ``rho = optimal_variance/(2 log(1/alpha) + log(1 + 2 log(1/alpha)))``; X and Y are the counts so far.
    Source: Howard, Ramdas, McAuliffe & Sekhon 2021 (normal mixture); Waudby-Smith et al. 2024 (asymptotic form).

    Parameters
    ----------
    exposed, control
        (T,) counts a bin, which are cumulated here; or one count each: the totals so far.
    ratio
        c, rate of the control over that of the exposed without an ad.
    dispersion
        phi >= 1, variance over mean.
    alpha
        1 - level.
    optimal_variance
        V at which the interval is to be narrowest.

    Returns
    -------
    lower, upper
        (T,), or scalars.

    Examples
    --------
    >>> lower, upper = increment_interval(2600, 2000, ratio=1.0, optimal_variance=4600.0)
    >>> float(lower.round(1)), float(upper.round(1))
    (394.1, 805.9)
    """
    x, y = whole("exposed", exposed), whole("control", control)
    if x.shape != y.shape or x.ndim > 1:
        raise ValueError(f"exposed has shape {x.shape}, control {y.shape}; give two series (T,) or two totals")
    c, optimal = positive("ratio", ratio), positive("optimal_variance", optimal_variance)
    phi, log_level = dispersed(dispersion), -math.log(level(alpha))
    if x.ndim:
        x, y = np.cumsum(x), np.cumsum(y)
    rho = optimal / (2 * log_level + math.log1p(2 * log_level))
    v = phi * (x + y / (c * c))
    half = np.sqrt((v + rho) * (np.log1p(v / rho) + 2 * log_level))
    centre = x - y / c
    return centre - half, centre + half
