"""The model's draws and weights become tidy tables: bins, evidence, response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr

from attribution.kernels import Delayed

if TYPE_CHECKING:
    from attribution.model import fit as fast
    from attribution.model import monitor
    from attribution.model.decompose import Parts
    from attribution.model.design import Design
    from attribution.settings import Settings


TOGETHER_CORRELATION = 0.8
"""Two airings whose incrementals are correlated beyond this (either way) are told together (methods, section 7)."""

REGIONAL = (
    "airing region exposed counterfactual incremental incremental_lower incremental_upper lift lift_lower lift_upper"
)
"""Columns of what each region adds."""

ONSET = 0.05
"""Share of the responses that have come at the onset of the causal gap."""


def moments(seconds: np.ndarray) -> pd.DatetimeIndex:
    """Return seconds since 1970 as UTC moments."""
    return pd.DatetimeIndex((seconds * 1e9).round().astype("int64").astype("datetime64[ns]")).tz_localize("UTC")


def bins(
    design: Design, middle: Parts, parts: Parts, settings: Settings, group: int, region: str, chosen: np.ndarray
) -> pd.DataFrame:
    """Return a row a bin for some regions (R,) together: parts at the centre, bands from draws."""
    tails = [settings.alpha / 2, 1 - settings.alpha / 2]
    without, ad = parts.counterfactual[:, chosen].sum(axis=1), parts.ad[:, chosen].sum(axis=1)
    whole = design.exposure[chosen] / design.width
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.where(whole > 0.05, design.y[chosen] / whole, np.nan).sum(axis=0)
    low, high = np.quantile(without, tails, axis=0)
    ad_low, ad_high = np.quantile(ad, tails, axis=0)
    columns = {
        "group": group,
        "region": region,
        "time": moments(design.start),
        "width_s": design.width,
        "observed": observed,
        "counterfactual": middle.counterfactual[chosen].sum(axis=0),
        "counterfactual_lower": low,
        "counterfactual_upper": high,
        "ad": middle.ad[chosen].sum(axis=0),
        "ad_lower": ad_low,
        "ad_upper": ad_high,
        "organic": middle.organic[chosen].sum(axis=0),
        "break": middle.broken[chosen].sum(axis=0),
    }
    return pd.DataFrame(columns).iloc[: design.known]  # a bin ahead of the data has nothing to show


def evidence_frame(name: str, watched: monitor.Evidence, words: list[str]) -> pd.DataFrame:
    """Return a row a look: the e-process, its always-valid p, the amount with its interval over time, the word."""
    columns = {
        "airing": name,
        "time": moments(watched.time),
        "log_e": watched.log_e,
        "anytime_p": watched.anytime_p,
        "log_plain": watched.log_plain,
        "joint_log_e": watched.joint,
        "incremental": watched.estimate,
        "lower": watched.lower,
        "upper": watched.upper,
        "sd": watched.sd,
        "explained": list(watched.explained),
        "word": words,
    }
    return pd.DataFrame(columns)


def kernel_frame(name: str, fit: fast.Fit, settings: Settings) -> pd.DataFrame:
    """Return the response averaged over kernels, with the pointwise spread of the kernels (weights by evidence)."""
    design, weight = fit.design, fit.kernel_weight()
    best = design.kernels[int(np.argmax(weight))]
    lag = np.linspace(0.0, float(best.quantile(0.98)) * 1.2, 161)
    density = np.array([kernel.pdf(lag) for kernel in design.kernels])
    middle, low, high = pointwise(density, weight, settings.alpha)
    return pd.DataFrame({"airing": name, "lag_s": lag, "density": middle, "lower": low, "upper": high})


def pointwise(density: np.ndarray, weight: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (N,) mean, lower and upper end of densities (M, N) with weights (M,) that sum to 1, point by point.

    Examples
    --------
    >>> middle, low, high = pointwise(np.array([[1.0], [3.0]]), np.array([0.5, 0.5]), 0.05)
    >>> float(middle[0]), float(low[0]), float(high[0])
    (2.0, 1.0, 3.0)
    """
    order = np.argsort(density, axis=0)
    share = np.cumsum(weight[order], axis=0)
    ends = []
    for level in (alpha / 2, 1 - alpha / 2):
        at = np.minimum((share < level).sum(axis=0), len(weight) - 1)
        ends.append(np.take_along_axis(density, np.take_along_axis(order, at[None], axis=0), axis=0)[0])
    return weight @ density, ends[0], ends[1]


def weighted_quantiles(value: np.ndarray, weight: np.ndarray, levels: tuple[float, ...]) -> list[float]:
    """Quantiles of a grid of values with weights, interpolated on the log scale between the grid's points.

    Examples
    --------
    >>> [round(q, 1) for q in weighted_quantiles(np.array([10.0, 20.0, 40.0]), np.array([0.25, 0.5, 0.25]), (0.5,))]
    [20.0]
    """
    points, position = np.unique(value, return_inverse=True)
    mass = np.bincount(position, weights=weight)
    if len(points) == 1:
        return [float(points[0])] * len(levels)
    middle = np.cumsum(mass) - mass / 2
    return [float(np.exp(np.interp(p, middle / mass.sum(), np.log(points)))) for p in levels]


def gap_frame(name: str, fit: fast.Fit, settings: Settings) -> pd.DataFrame:
    """Return the causal gap: seconds from exposure to the onset (5%), the mode and the mean of the response.

    Of the lag of a viewer who has seen the ad, without any stream delay; intervals over the kernels by their evidence.
    """
    lags = [kernel.kernel if isinstance(kernel, Delayed) else kernel for kernel in fit.design.kernels]
    weight, levels = fit.kernel_weight(), (0.5, settings.alpha / 2, 1 - settings.alpha / 2)
    moments_of = {
        "onset": np.array([float(lag.quantile(ONSET)) for lag in lags]),
        "mode": fit.design.peak,
        "mean": np.array([float(lag.mean) for lag in lags]),
    }
    rows = [(name, what, *weighted_quantiles(seconds, weight, levels)) for what, seconds in moments_of.items()]
    return pd.DataFrame(rows, columns=["airing", "what", "seconds", "lower", "upper"])


def bounds_frame(name: str, loss: float, lower: float, upper: float) -> pd.DataFrame:
    """Return the worst-case interval where a loss is unknown; no row where every loss is known."""
    rows = [(name, loss, lower, upper)] if np.isfinite(loss) else []
    return pd.DataFrame(rows, columns=["airing", "loss", "lower", "upper"])


def regional_frame(names: list[str], design: Design, parts: Parts, settings: Settings) -> pd.DataFrame:
    """Return what each region adds in each airing's window: mean and quantiles of the draws of the window's sums.

    Where responses overlap it is what all airings of the group add in that window. A region without the ad adds 0.
    """
    tails = [settings.alpha / 2, 1 - settings.alpha / 2]
    rows = []
    for j, name in enumerate(names):
        inside = design.inside(j)
        without, ad = parts.counterfactual @ inside, parts.ad @ inside
        ratio = ad / np.maximum(without, 1e-9)
        ends, lift = np.quantile(ad, tails, axis=0), np.quantile(ratio, tails, axis=0)
        for r, region in enumerate(design.regions):
            amount = (without[:, r].mean(), ad[:, r].mean(), ends[0, r], ends[1, r])
            share = (ratio[:, r].mean(), lift[0, r], lift[1, r])
            rows.append((name, region, bool(design.share[j, r] > 0), *amount, *share))
    return pd.DataFrame(rows, columns=REGIONAL.split())


def together_frame(names: list[str], fit: fast.Fit, settings: Settings) -> pd.DataFrame:
    """Return the pairs of a group that cannot be told apart, with their sum and its interval (methods, section 7).

    The correlation is that of the whole mixture: within its components, and between their means.
    """
    sd = np.sqrt(np.maximum(np.diagonal(fit.cov, axis1=1, axis2=2), 1e-300))
    inside = fit.window_sd / sd
    cov = fit.cov * inside[:, :, None] * inside[:, None, :]
    mean = fit.window_mean
    centre = fit.weight @ mean
    apart = mean - centre
    total = np.einsum("c,cij->ij", fit.weight, cov + apart[:, :, None] * apart[:, None, :])
    spread = np.sqrt(np.maximum(np.diagonal(total), 1e-300))
    rows = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            correlation = float(total[i, j] / (spread[i] * spread[j]))
            if abs(correlation) > TOGETHER_CORRELATION:
                both = cov[:, i, i] + cov[:, j, j] + 2 * cov[:, i, j]
                ends = _mixture_quantiles(fit.weight, mean[:, i] + mean[:, j], both, settings.alpha)
                rows.append((names[i], names[j], correlation, *ends))
    return pd.DataFrame(rows, columns=["airing", "other", "correlation", "incremental", "lower", "upper"])


def _mixture_quantiles(weight: np.ndarray, mean: np.ndarray, variance: np.ndarray, alpha: float) -> list[float]:
    """Return median, lower and upper end of a mixture of normals."""
    sd = np.sqrt(np.maximum(variance, 1e-12))
    low, high = float((mean - 12 * sd).min()), float((mean + 12 * sd).max())
    return [
        float(brentq(lambda x, p=p: float(weight @ ndtr((x - mean) / sd)) - p, low, high))  # pyright: ignore[reportArgumentType]  full_output is off
        for p in (0.5, alpha / 2, 1 - alpha / 2)
    ]
