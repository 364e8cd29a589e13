"""Which prior does an answer lean on? Power-scaling from the draws, without another fit (Kallioinen et al. 2024).

A prior raised to a power a weights each draw by prior^(a - 1); how far the weighted distribution moves from the drawn
one, a doubling of the power, is the prior's index. Distance: the cumulative Jensen-Shannon distance of Nguyen and
Vreeken (2015), as a share of its bound, of the two ends from which a distribution may be cumulated the larger.
"""

from __future__ import annotations

import numpy as np

POWERS = (1 / 1.01, 1.01)
"""The powers that are compared, a little less and a little more of the prior: those of the published definition."""

LEANS = 0.05
"""From this index on an answer leans on a prior (Kallioinen et al. 2024)."""

LEANS_MUCH = 0.15


def index(draws: np.ndarray, log_prior: np.ndarray) -> float:
    """Return how far a quantity moves with the power of a prior, a doubling of it.

    Parameters
    ----------
    draws
        (D,) draws of the quantity.
    log_prior
        (D,) log density of the prior at each draw, up to a constant.

    Returns
    -------
    float
        Cumulative Jensen-Shannon distance to the weighted draws over the change of log2 power, the mean of a smaller
        and a larger power; NaN where the draws cannot be weighted.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal(4000)
    >>> strong, flat = index(x, -0.5 * x**2), index(x, np.zeros(4000))
    >>> bool(strong > 0.05), flat
    (True, 0.0)
    """
    if not np.isfinite(log_prior).all() or not np.isfinite(draws).all():
        return np.nan
    order = np.argsort(draws, kind="stable")
    x, log = draws[order], log_prior[order]
    moved = []
    for power in POWERS:
        raw = (power - 1.0) * log
        weight = _tamed(np.exp(raw - raw.max()))
        moved.append(_distance(x, weight / weight.sum()) / abs(np.log2(power)))
    return float(np.mean(moved))


def _tamed(weight: np.ndarray) -> np.ndarray:
    """Return the weights with the largest held at mean x sqrt(D): a few draws must not speak for all (Ionides 2008)."""
    return np.minimum(weight, weight.mean() * np.sqrt(len(weight)))


def _distance(x: np.ndarray, weight: np.ndarray) -> float:
    """Return the cumulative Jensen-Shannon distance of sorted draws (D,) and the same draws weighted.

    The larger of the two ends from which a distribution may be cumulated; between 0 and 1.
    """
    plain, gap = np.full(len(x), 1.0 / len(x)), np.diff(x)
    ends = []
    for own, other, step in ((plain, weight, gap), (plain[::-1], weight[::-1], gap[::-1])):
        p, q = np.cumsum(own)[:-1], np.cumsum(other)[:-1]
        mid = 0.5 * (p + q)
        apart = _entropy(p, mid) + _entropy(q, mid)
        ends.append(float((step * apart).sum() / max((step * (p + q)).sum(), 1e-300)))
    return float(np.sqrt(max(*ends, 0.0)))


def _entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.where(p > 0, p * np.log2(np.maximum(p, 1e-300) / np.maximum(q, 1e-300)), 0.0)


def sentence(prior: str, airing: str, value: float) -> str:
    """Say whether an airing's answer leans on a prior.

    Examples
    --------
    >>> sentence("lag", "SPOT", 0.08)
    'The answer for SPOT leans on the lag prior (index 0.08; from 0.05 on it matters).'
    """
    if not np.isfinite(value):
        return f"How much the answer for {airing} leans on the {prior} prior cannot be told from these draws."
    if value < LEANS:
        return f"The answer for {airing} does not lean on the {prior} prior (index {value:.2f})."
    much = " much" if value >= LEANS_MUCH else ""
    return f"The answer for {airing} leans{much} on the {prior} prior (index {value:.2f}; from {LEANS} on it matters)."
