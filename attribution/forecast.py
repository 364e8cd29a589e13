"""When the next commercial break comes where no schedule says so: a distribution, and how well it did so far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

LEAST = 3
"""Fewer breaks than this, two gaps between them, foretell nothing."""
PRIOR_SD, PRIOR_WEIGHT = 0.4, 2.0
"""Until a broadcast has shown its own rhythm, the log of a gap varies by 0.4, as if two gaps had said so."""
INSIDE = 0.8
"""Share of the breaks that the interval is meant to hold."""


class Forecast(NamedTuple):
    """When the next break is expected, in seconds from now, and what became of earlier forecasts of this broadcast."""

    seconds: float
    """Median."""
    lower: float
    upper: float
    inside: int
    """Earlier breaks that fell into the interval foretold when the one before them began."""
    tried: int


def next_break(starts: np.ndarray, now: float) -> Forecast | None:
    """Foretell the next break from the gaps between the breaks so far.

    The log of a gap is normal with unknown mean and variance (the variance with a weak prior), so the next gap is a
    Student t around the mean log gap, cut to what is longer than the time that has passed already.

    Parameters
    ----------
    starts
        (K,) seconds, rising: where the breaks began, all of them by ``now``.
    now
        Seconds, on the same clock.

    Returns
    -------
    Forecast or None
        None where fewer than three breaks are known.

    Examples
    --------
    >>> found = next_break(np.array([0.0, 600.0, 1200.0, 1800.0]), 1900.0)
    >>> round(found.seconds), found.lower < found.seconds < found.upper, (found.inside, found.tried)
    (501, True, (1, 1))
    """
    starts = np.asarray(starts, dtype=float)
    starts = starts[starts <= now]
    if len(starts) < LEAST:
        return None
    passed = float(now - starts[-1])
    low, middle, high = _ahead(starts, passed)
    held = [_ahead(starts[:k], 0.0) for k in range(LEAST, len(starts))]
    gaps = np.diff(starts)[LEAST - 1 :]
    inside = sum(first <= gap <= last for (first, _, last), gap in zip(held, gaps, strict=True))
    return Forecast(middle - passed, low - passed, high - passed, int(inside), len(held))


def _ahead(starts: np.ndarray, passed: float) -> tuple[float, float, float]:
    """Return lower end, median and upper end of the gap after the last break, given that it is longer than ``passed``.

    Student t with n - 1 + PRIOR_WEIGHT degrees of freedom (Gelman et al., Bayesian Data Analysis, section 3.2).
    """
    gaps = np.log(np.diff(starts))
    n, free = len(gaps), len(gaps) - 1 + PRIOR_WEIGHT
    spread = PRIOR_WEIGHT * PRIOR_SD**2 + ((gaps - gaps.mean()) ** 2).sum()
    scale = float(np.sqrt(spread / free * (1 + 1 / n)))
    gone = float(stdtr(free, (np.log(passed) - gaps.mean()) / scale)) if passed > 0 else 0.0
    levels = gone + (1 - gone) * np.array([(1 - INSIDE) / 2, 0.5, (1 + INSIDE) / 2])
    low, middle, high = np.exp(gaps.mean() + scale * stdtrit(free, np.minimum(levels, 1 - 1e-9)))
    return float(low), float(middle), float(high)
