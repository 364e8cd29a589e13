"""Which channels and devices the incremental conversions came through: of the incremental, not of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from attribution.counts import Counts
    from attribution.settings import Settings

SWEEPS = 60
"""Gibbs sweeps for each draw of the total; only the last one is kept, so draws are independent."""


PRIOR_BLOCKS, PRIOR_DRIFT = 2.0, 0.03
"""Until there are many blocks, the drift of the mix is held near 3%, as if two blocks had shown it."""


def mix_drift(blocks: np.ndarray, *, dispersion: float) -> float:
    """Return how far the baseline's mix strays from its mean so far, from one block of the history to the next.

    Each block is forecast by the mean of those before it. What its counts n_c differ from n p_c beyond their noise,
    phi n p_c (1 - p_c) (1 + n / n_before), is drift: independent errors of sd s on each log share give
    n^2 p_c^2 s^2 (1 - 2 p_c + sum p^2); s by the sums over blocks and categories.

    Parameters
    ----------
    blocks
        (K, C) counts of each category in consecutive blocks as long as the window.
    dispersion
        Variance over mean of the counts.

    Returns
    -------
    float
        Sd of a log share.

    Examples
    --------
    >>> steady = np.tile([600.0, 400.0], (30, 1))
    >>> bool(mix_drift(steady, dispersion=1.0) < 0.01)
    True
    """
    count = blocks.sum(axis=1, keepdims=True)
    before = np.cumsum(blocks, axis=0) - blocks
    gone = before.sum(axis=1, keepdims=True)
    usable = (count[:, 0] > 0) & (gone[:, 0] > 0)
    n, past = count[usable], gone[usable]
    if not len(n):
        return PRIOR_DRIFT
    p = before[usable] / past
    away = (blocks[usable] - n * p) ** 2 - dispersion * n * p * (1 - p) * (1 + n / past)
    unit = (n * p) ** 2 * (1 - 2 * p + (p**2).sum(axis=1, keepdims=True))
    seen = float(away.sum() / max(unit.sum(), 1e-9))
    weight = len(n) / (len(n) + PRIOR_BLOCKS)
    return float(np.sqrt(max(weight * seen + (1 - weight) * PRIOR_DRIFT**2, 0.0)))


def split(
    window: np.ndarray,
    history: np.ndarray,
    incremental: np.ndarray,
    *,
    concentration: float,
    dispersion: float,
    drift: float = 0.0,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the ad's own mix over categories (cut posterior; methods, section 7).

    The window's counts n_c mix the baseline's mix p (a Dirichlet from the history) and the ad's mix q (a Dirichlet of
    the given concentration): n_c ~ N0 p_c + A q_c, with A from the fitted model and nothing flowing back into it.

    Parameters
    ----------
    window, history
        (C,) counts of each category in the window and in the history.
    incremental
        (S,) draws of A inside the window.
    concentration
        Dirichlet prior of each category.
    dispersion
        Variance over mean of the counts; they count as n / dispersion.
    drift
        Sd by which each log share of the baseline's mix may have strayed since the history (:func:`mix_drift`).

    Returns
    -------
    (S, C) draws of q; every row sums to 1.
    """
    categories, draws = len(window), len(incremental)
    counts = np.round(window / dispersion).astype(int)
    total = max(float(window.sum()), 1.0)
    part = np.clip(incremental / total, 0.0, 1.0)[:, None]  # the ad's part of the window's conversions
    base = rng.dirichlet(history / dispersion + 0.5, size=draws) * np.exp(
        drift * rng.standard_normal((draws, categories))
    )
    base /= base.sum(axis=1, keepdims=True)
    mix = np.full((draws, categories), 1.0 / categories)
    for _ in range(SWEEPS):
        chance = part * mix / np.maximum(part * mix + (1 - part) * base, 1e-12)
        ours = rng.binomial(counts, chance)
        shape = rng.standard_gamma(ours + concentration)
        mix = shape / shape.sum(axis=1, keepdims=True)
    return mix


def share_table(
    counts: Counts,
    airing: str,
    exposed: np.ndarray,
    inside: np.ndarray,
    before: np.ndarray,
    incremental: np.ndarray,
    settings: Settings,
    *,
    dispersion: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the shares of one airing's incremental by channel and by device.

    Parameters
    ----------
    exposed
        (R,) mask of regions; ``inside`` and ``before`` (T,) masks of bins: the window and the history.
    incremental
        (S,) draws of the incremental inside the window.

    Returns
    -------
    airing, dimension, category, share, lower, upper (of the incremental), raw (share of all conversions in the
    window, for contrast). A dimension with one category is left out: it has no shares.
    """
    rows = []
    for dimension, labels, mix, raw in share_draws(
        counts, exposed, inside, before, incremental, settings, dispersion=dispersion, rng=rng
    ):
        low, high = np.quantile(mix, [settings.alpha / 2, 1 - settings.alpha / 2], axis=0)
        rows += [
            (airing, dimension, label, mix[:, c].mean(), low[c], high[c], raw[c]) for c, label in enumerate(labels)
        ]
    return pd.DataFrame(rows, columns=["airing", "dimension", "category", "share", "lower", "upper", "raw"])


def share_draws(
    counts: Counts,
    exposed: np.ndarray,
    inside: np.ndarray,
    before: np.ndarray,
    incremental: np.ndarray,
    settings: Settings,
    *,
    dispersion: float,
    rng: np.random.Generator,
) -> list[tuple[str, tuple[str, ...], np.ndarray, np.ndarray]]:
    """Draw the shares of one airing's incremental by channel and by device; arguments as :func:`share_table`.

    Returns
    -------
    For each dimension with two categories or more: its name, its labels, (S, C) draws that sum to 1, and (C,) the
    categories' shares of all conversions in the window.
    """
    found = []
    for dimension, labels, axes, concentration in (
        ("channel", counts.channels, (0, 1, 3), settings.channel_concentration),
        ("device", counts.devices, (0, 1, 2), settings.device_concentration),
    ):
        if len(labels) < 2:
            continue
        window = np.nansum(counts.values[inside][:, exposed], axis=axes)
        past = np.nansum(counts.values[before][:, exposed], axis=axes[1:])
        drift = mix_drift(_blocks(past, int(inside.sum())), dispersion=dispersion)
        mix = split(
            window,
            past.sum(axis=0),
            incremental,
            concentration=concentration,
            dispersion=dispersion,
            drift=drift,
            rng=rng,
        )
        raw = window / window.sum() if window.sum() else np.full(len(labels), np.nan)
        found.append((dimension, labels, mix, raw))
    return found


def _blocks(past: np.ndarray, size: int) -> np.ndarray:
    """Sum the history's counts (T, C) over blocks as long as the window, the last one ending with the history."""
    size = max(size, 1)
    whole = len(past) // size
    kept = past[len(past) - whole * size :]
    return kept.reshape(whole, size, past.shape[1]).sum(axis=1)
