"""The model's draws and weights become tidy tables: bins, evidence, response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from attribution.model import fit as fast
    from attribution.model import monitor
    from attribution.model.decompose import Parts
    from attribution.model.design import Design
    from attribution.settings import Settings


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
    order = np.argsort(density, axis=0)
    share = np.cumsum(weight[order], axis=0)
    ends = []
    for level in (settings.alpha / 2, 1 - settings.alpha / 2):
        at = np.minimum((share < level).sum(axis=0), len(weight) - 1)
        ends.append(np.take_along_axis(density, np.take_along_axis(order, at[None], axis=0), axis=0)[0])
    return pd.DataFrame({"airing": name, "lag_s": lag, "density": weight @ density, "lower": ends[0], "upper": ends[1]})
