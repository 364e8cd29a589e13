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


def split(
    window: np.ndarray,
    history: np.ndarray,
    incremental: np.ndarray,
    *,
    concentration: float,
    dispersion: float,
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

    Returns
    -------
    (S, C) draws of q; every row sums to 1.
    """
    categories, draws = len(window), len(incremental)
    counts = np.round(window / dispersion).astype(int)
    total = max(float(window.sum()), 1.0)
    part = np.clip(incremental / total, 0.0, 1.0)[:, None]  # the ad's part of the window's conversions
    base = rng.dirichlet(history / dispersion + 0.5, size=draws)
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
    for dimension, labels, axes, concentration in (
        ("channel", counts.channels, (0, 1, 3), settings.channel_concentration),
        ("device", counts.devices, (0, 1, 2), settings.device_concentration),
    ):
        if len(labels) < 2:
            continue
        window = np.nansum(counts.values[inside][:, exposed], axis=axes)
        history = np.nansum(counts.values[before][:, exposed], axis=axes)
        mix = split(window, history, incremental, concentration=concentration, dispersion=dispersion, rng=rng)
        low, high = np.quantile(mix, [settings.alpha / 2, 1 - settings.alpha / 2], axis=0)
        raw = window / window.sum() if window.sum() else np.full(len(labels), np.nan)
        rows += [
            (airing, dimension, label, mix[:, c].mean(), low[c], high[c], raw[c]) for c, label in enumerate(labels)
        ]
    return pd.DataFrame(rows, columns=["airing", "dimension", "category", "share", "lower", "upper", "raw"])
