"""The Poisson MaxSPRT's critical value by exact recursion."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import pdtr

from attribution.arguments import integer, level, positive
from attribution.deviance import poisson_sides

_MOST_EXPECTED = 10_000.0  # beyond it the exact recursion takes minutes and the threshold hardly moves


def maxsprt_threshold(expected: float, *, alpha: float = 0.05, min_events: int = 1) -> float:
    """Exact critical value of the Poisson MaxSPRT watched continuously over a horizon.

    The statistic is ``max(0, n log(n/mu) + mu - n)``, n events where mu <= ``expected`` were expected (n > mu). With n
    events it signals up to the moment mu_n; the chance of passing every mu_n with fewer than n events is carried
    from moment to moment. Source: Kulldorff, Davis, Kolczak, Lewis, Lieu & Platt 2011.

    Parameters
    ----------
    expected
        Null events over the horizon, above 0, at most 10,000.
    alpha
        Chance of a signal under the null.
    min_events
        Events before which there is no signal.

    Returns
    -------
    The critical value of the log likelihood ratio.

    Examples
    --------
    >>> round(maxsprt_threshold(10.0), 5)
    3.46795
    """
    horizon, size = positive("expected", expected), level(alpha)
    if horizon > _MOST_EXPECTED:
        raise ValueError(f"expected is {expected}; choose a horizon of at most {_MOST_EXPECTED:g} null events")
    least = integer("min_events", min_events, remedy="choose a whole number of 1 or more")
    low, high = 1e-9, 4.0
    at_low = _signal_log_chance(low, horizon, least) - math.log(size)
    if at_low < 0:
        raise ValueError(
            f"min_events is {min_events}: within {expected} expected, so many are rarer than alpha; lower it"
        )
    while (at_high := _signal_log_chance(high, horizon, least) - math.log(size)) > 0:
        low, at_low, high = high, at_high, 2 * high
    for _ in range(200):  # regula falsi (Illinois) on the log of the chance, nearly a straight line
        middle = high - at_high * (high - low) / (at_high - at_low)
        value = _signal_log_chance(middle, horizon, least) - math.log(size)
        if abs(value) < 1e-13 or abs(high - low) < 1e-13:
            break
        if value * at_high < 0:
            low, at_low = high, at_high
        else:
            at_low *= 0.5
        high, at_high = middle, value
    return middle


def _signal_log_chance(threshold: float, horizon: float, least: int) -> float:
    """Log chance that a unit Poisson process watched to ``horizon`` signals at this threshold."""
    most = least + int(horizon + 12 * math.sqrt(threshold * (horizon + threshold))) + 20
    n = np.arange(least, most + 1, dtype=float)
    moment = np.minimum(poisson_sides(n, np.full(len(n), threshold))[0], horizon)
    moment = moment[: int(np.argmax(moment >= horizon)) + 1]
    # state[i]: chance of first + i events by now without a signal
    state, first, now, signalled = np.ones(1), 0, 0.0, 0.0
    for count, then in zip(range(least, least + len(moment)), moment, strict=True):
        step = then - now
        events = np.arange(int(step + 12 * math.sqrt(step) + 25))
        chance = np.diff(pdtr(events, step), prepend=0.0)
        state = np.convolve(state, chance)
        kept = max(count - first, 0)
        signalled += state[kept:].sum()
        state = state[:kept]
        drop = int(np.argmax(state > 1e-25)) if len(state) else 0
        state, first, now = state[drop:], first + drop, then
    return math.log(max(signalled, 1e-300))
