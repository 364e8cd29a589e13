"""What several tests share: an analysis made by hand, whose every number is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribution.settings import Settings
from attribution.tables import Finding
from attribution.verdict import Verdict

START = pd.Timestamp("2026-02-08T20:36:00Z")
BANDED = ("incremental", "lift", "response_peak", "iroas", "roi")
FIGURES = (
    *(f"{name}{end}" for name in BANDED for end in ("", "_lower", "_upper")),
    *("counterfactual", "robust_lower", "robust_upper", "probability_positive", "e_value", "anytime_p", "placebo_p"),
    *("placebos", "minimum_detectable_lift"),
)


@dataclass(frozen=True)
class MadeAnalysis:
    """The shape of :class:`attribution.analysis.Analysis`, filled by hand."""

    table: pd.DataFrame
    total: pd.DataFrame
    series: pd.DataFrame
    evidence: pd.DataFrame
    shares: pd.DataFrame
    kernel: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    verdict: Verdict
    reasons: pd.DataFrame
    airings: pd.DataFrame
    as_of: pd.Timestamp
    gap: pd.DataFrame = field(default_factory=pd.DataFrame)
    money: pd.DataFrame = field(default_factory=pd.DataFrame)
    bounds: pd.DataFrame = field(default_factory=pd.DataFrame)
    together: pd.DataFrame = field(default_factory=pd.DataFrame)
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    regional: pd.DataFrame = field(default_factory=pd.DataFrame)
    worlds: pd.DataFrame = field(default_factory=pd.DataFrame)
    given: Any = None
    plan_notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    settings: Settings = field(default_factory=Settings)
    fingerprint: str = "0123456789abcdef"
    version: str = "0.1.0"
    alpha: float = 0.05


def make_analysis(*, airings: int = 2, bins: int = 600, width_s: float = 1.0, names: Any = None) -> MadeAnalysis:
    """Build an analysis of evenly spaced airings with a known response over a flat counterfactual of 45 a second."""
    rng = np.random.default_rng(7)
    names = names or [f"WWE_HALFTIME_{i + 1}" for i in range(airings)]
    seconds = np.arange(bins) * width_s
    time = START + pd.to_timedelta(seconds, unit="s")
    onsets = np.linspace(0.25, 0.75, airings) * bins * width_s if airings else np.array([])
    counterfactual = 45 * width_s + 3 * np.sin(seconds / 120)
    lag = np.maximum(seconds[None, :] - onsets[:, None], 0)
    response = 22 * width_s * lag / 30 * np.exp(1 - lag / 30)
    ad = response.sum(0)
    observed = rng.poisson(counterfactual + ad).astype(float)
    total = pd.DataFrame(
        {
            "group": 0,
            "time": time,
            "width_s": width_s,
            "observed": observed,
            "counterfactual": counterfactual,
            "counterfactual_lower": counterfactual * 0.92,
            "counterfactual_upper": counterfactual * 1.08,
            "ad": ad,
            "ad_lower": ad * 0.8,
            "ad_upper": ad * 1.2,
            "organic": 0.0,
            "break": 0.0,
        }
    )
    starts = START + pd.to_timedelta(onsets, unit="s")
    table = pd.DataFrame({"airing": names, "start": starts, "regions": "north", **dict.fromkeys(FIGURES, np.nan)})
    table["incremental"] = response.sum(1)
    table["incremental_lower"] = response.sum(1) * 0.8
    table["incremental_upper"] = response.sum(1) * 1.2
    table["counterfactual"] = 5400.0
    table["lift"] = table["incremental"] / table["counterfactual"]
    table["lift_lower"], table["lift_upper"] = table["lift"] * 0.8, table["lift"] * 1.2
    table["probability_positive"] = 0.998
    table["e_value"] = [4820.0 / 10**i for i in range(airings)]
    table["anytime_p"] = 1 / table["e_value"].clip(lower=1)
    table["response_peak"], table["response_peak_lower"], table["response_peak_upper"] = 30.0, 21.0, 44.0
    table["iroas"], table["iroas_lower"], table["iroas_upper"] = 3.14, 2.5, 3.8
    table["roi"], table["roi_lower"], table["roi_upper"] = 0.57, 0.2, 0.9
    table["minimum_detectable_lift"] = 0.06
    regional = pd.DataFrame({"airing": names, "region": "north", "exposed": True, "counterfactual": 5400.0})
    for name in ("incremental", "lift"):
        for end in ("", "_lower", "_upper"):
            regional[f"{name}{end}"] = table[f"{name}{end}"].to_numpy()
    table["rung"], table["verdict"] = 3, ["caused", *["undecided"] * airings][:airings]
    reasons = pd.DataFrame(
        [(n, c, "fewer than 79 comparable moments") for n in names for c in ("placebo_p", "placebos")],
        columns=["airing", "column", "reason"],
    )
    looks = [
        pd.DataFrame(
            {
                "airing": n,
                "time": pd.date_range(s, periods=60, freq="2s"),
                "log_e": np.linspace(0, np.log(e), 60),
            }
        ).assign(anytime_p=1.0)
        for n, s, e in zip(names, starts, table["e_value"], strict=True)
    ]
    lags = np.arange(0, 180.0, 2)
    density = lags / 900 * np.exp(-lags / 30)
    kernels = [
        pd.DataFrame({"airing": n, "lag_s": lags, "density": density, "lower": density * 0.7, "upper": density * 1.3})
        for n in names
    ]
    columns = {
        "evidence": ["airing", "time", "log_e", "anytime_p"],
        "kernel": ["airing", "lag_s", "density", "lower", "upper"],
    }
    verdicts = tuple(
        Verdict(
            airing=n,
            word=w,
            rung=3,
            sentence=f"{n}: {w}, {i:+,.0f} conversions.",
            evidence_for=("The e-value is 4,820; 20 was needed.",),
            evidence_against=("The social feed rose 12% in the same minute.",),
            would_change=("A region without the ad that rises as much would refute it.",),
        )
        for n, w, i in zip(names, table["verdict"], table["incremental"], strict=True)
    )
    return MadeAnalysis(
        table=table,
        total=total,
        series=pd.concat([total.assign(region="north"), total.assign(region="south", ad=0.0)]),
        evidence=pd.concat(looks) if looks else pd.DataFrame(columns=columns["evidence"]),
        shares=pd.DataFrame(columns=["airing", "dimension", "category", "share", "lower", "upper", "raw"]),
        kernel=pd.concat(kernels) if kernels else pd.DataFrame(columns=columns["kernel"]),
        verdicts=verdicts,
        verdict=verdicts[0],
        reasons=reasons,
        regional=regional,
        airings=pd.DataFrame(
            {"airing": names, "start": starts, "length_s": 30.0, "regions": "north"}
            | dict.fromkeys(("spend", "value", "margin"), np.nan)
        ),
        as_of=START + pd.Timedelta(seconds=bins * width_s),
    )


@pytest.fixture
def made() -> MadeAnalysis:
    """Two airings, one region exposed and one control, ten minutes of seconds."""
    return make_analysis()


@pytest.fixture
def maker():
    """The maker itself, for other sizes."""
    return make_analysis
