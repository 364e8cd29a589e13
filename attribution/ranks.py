"""Evidence from comparison: the rank of a statistic among placebos, and e-BH over many e-values."""

from __future__ import annotations

import math

import numpy as np

from attribution.arguments import Array, finite_or_infinite, level


def placebo_p(path: Array, placebos: Array) -> Array:
    """Rank the running maximum of a statistic among placebos: ``(1 + #{placebo >= running max})/(M + 1)``.

    Valid at every look when each placebo is its own largest value over the whole horizon. Source: Phipson & Smyth 2010.

    Parameters
    ----------
    path
        (T,) statistic at each look.
    placebos
        (M,) largest value of each placebo's path, or (M, T) the paths, whose largest is taken.

    Returns
    -------
    (T,) p.

    Examples
    --------
    >>> placebo_p([0.0, 3.0, 1.0], np.arange(9) / 2).tolist()
    [1.0, 0.4, 0.4]
    """
    best, pool = _ranked(path, placebos)
    return (1 + len(pool) - np.searchsorted(np.sort(pool), best, side="left")) / (len(pool) + 1)


def soft_rank_e(path: Array, placebos: Array) -> Array:
    """Return the e-value of a rank: ``(M + 1) e^m/(sum e^placebo + e^m)``, m the running maximum of the path.

    Source: Fischer & Ramdas 2024 and the soft rank of Koning 2024: an e-value by exchangeability.

    Parameters
    ----------
    path, placebos
        As in `placebo_p`, on a log scale.

    Returns
    -------
    (T,) e, at most M + 1.

    Examples
    --------
    >>> soft_rank_e([0.0, 50.0], np.zeros(9)).round(3).tolist()
    [1.0, 10.0]
    """
    best, pool = _ranked(path, placebos)
    top = max(float(pool.max(initial=-math.inf)), float(best.max(initial=-math.inf)))
    if not math.isfinite(top):
        raise ValueError(f"path or placebos reach {top}; give finite log statistics")
    others = np.exp(pool - top).sum()
    with np.errstate(divide="ignore"):
        return (len(pool) + 1) * np.exp(best - top - np.logaddexp(np.log(others), best - top))


def _ranked(path: Array, placebos: Array) -> tuple[Array, Array]:
    """Return the running maximum of the path, and each placebo's largest value."""
    pool = finite_or_infinite("placebos", placebos, ndim=None)
    if pool.ndim not in {1, 2}:
        raise ValueError(f"placebos has shape {pool.shape}; give (M,) values or (M, T) paths")
    best = np.maximum.accumulate(finite_or_infinite("path", path))
    return best, pool if pool.ndim == 1 else pool.max(axis=1)


def e_bh(e_values: Array, *, alpha: float = 0.05) -> Array:
    """Reject by the e-BH procedure: the k largest of n where ``k e_(k)/n >= 1/alpha``, the largest such k.

    Controls the false discovery rate under any dependence. Source: Wang & Ramdas 2022.

    Parameters
    ----------
    e_values
        (n,) e-values, 0 or more (not logs).
    alpha
        False discovery rate.

    Returns
    -------
    (n,) bool.

    Examples
    --------
    >>> e_bh([100.0, 3.0, 45.0, 0.1]).tolist()
    [True, False, True, False]
    """
    e = finite_or_infinite("e_values", e_values)
    if (e < 0).any():
        raise ValueError(f"e_values holds {e.min()}; e-values are 0 or more (take exp of a log)")
    ranked = np.sort(e)[::-1]
    enough = np.flatnonzero(np.arange(1, len(e) + 1) * ranked * level(alpha) >= len(e))
    return e >= ranked[enough[-1]] if len(enough) else np.zeros(len(e), dtype=bool)
