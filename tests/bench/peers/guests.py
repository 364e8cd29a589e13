"""Other people's packages, each used as its documentation tells a careful user to; run where the package is installed.

Bins of 10 s (one minute for spotlift, which knows no other); the holdout, the feed and declared breaks as covariates
where a method takes them; a claim is an interval, or a test, that says the effect is above zero at 5%.
"""

# ruff: noqa: PLC0415 - each package is there in its own environment only
from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .samples import Answer, Bins, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH_S = 10
START = "2026-02-08T20:06:00Z"


def _frame(ten: Bins, *, end: int) -> pd.DataFrame:
    """The exposed regions' conversions and their covariates up to bin ``end``, a row a bin."""
    return pd.DataFrame({"y": ten.exposed, **ten.covariates}).iloc[:end].astype(float)


def bsts(seen: Sample) -> Answer:
    """bsts-causalimpact: Google's CausalImpact; local level, spike-and-slab over the covariates."""
    from causal_impact import CausalImpact

    ten = seen.bins(WIDTH_S)
    found = CausalImpact(
        _frame(ten, end=ten.last), [0, ten.first - 1], [ten.first, ten.last - 1], model_args={"niter": 3000, "seed": 1}
    ).inferences.iloc[-1]
    return Answer.of(found["cumulative_effect"], found["cumulative_effect_lower"], found["cumulative_effect_upper"])


def _causalimpact(seen: Sample, **options: object) -> Answer:
    """The interface that pycausalimpact and tfcausalimpact share."""
    from causalimpact import CausalImpact

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=ten.last)
    frame.index = pd.date_range("2026-02-08", periods=len(frame), freq=f"{WIDTH_S}s")
    moments = [str(frame.index[i]) for i in (0, ten.first - 1, ten.first, ten.last - 1)]
    found = CausalImpact(frame, moments[:2], moments[2:], **options).inferences.iloc[-1]
    names = ("post_cum_effects_means", "post_cum_effects_lower", "post_cum_effects_upper")
    names = names if names[0] in found else ("post_cum_effects", *names[1:])
    return Answer.of(*(found[name] for name in names))


def pycausalimpact(seen: Sample) -> Answer:
    """pycausalimpact: the same model by maximum likelihood."""
    return _causalimpact(seen)


def tfcausalimpact(seen: Sample) -> Answer:
    """tfcausalimpact: the same model in TensorFlow, by variational inference."""
    return _causalimpact(seen)


def tfp_causalimpact(seen: Sample) -> Answer:
    """tfp-causalimpact: Google's own port, by Gibbs sampling."""
    import causalimpact

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=ten.last)
    frame.index = pd.date_range("2026-02-08", periods=len(frame), freq=f"{WIDTH_S}s")
    found = causalimpact.fit_causalimpact(
        frame,
        pre_period=(frame.index[0], frame.index[ten.first - 1]),
        post_period=(frame.index[ten.first], frame.index[ten.last - 1]),
        seed=1,
    ).summary.loc["cumulative"]
    return Answer.of(found["abs_effect"], found["abs_effect_lower"], found["abs_effect_upper"])


def _panel_effect(seen: Sample, estimator: object) -> Answer:
    """An azcausal estimator over region x channel, each indexed to its mean before the ad, with the jackknife."""
    from azcausal.core.error import JackKnife
    from azcausal.core.panel import CausalPanel

    ten = seen.bins(WIDTH_S)
    level = ten.units[: ten.first].mean(axis=0)
    outcome = pd.DataFrame(ten.units[: ten.last] / level)
    ad = pd.DataFrame(np.zeros(outcome.shape, int))
    ad.loc[ten.first :, ten.treated] = 1
    panel = CausalPanel({"outcome": outcome, "intervention": ad}).setup(outcome="outcome", intervention="intervention")
    result = estimator.fit(panel)
    estimator.error(result, JackKnife())
    scale = level[ten.treated].sum() * ten.inside
    lower, upper = result.effect.ci(conf=95)
    return Answer.of(result.effect.value * scale, lower * scale, upper * scale)


def azcausal_did(seen: Sample) -> Answer:
    """azcausal DID."""
    from azcausal.estimators.panel.did import DID

    return _panel_effect(seen, DID())


def azcausal_sdid(seen: Sample) -> Answer:
    """azcausal SDID: synthetic difference-in-differences."""
    from azcausal.estimators.panel.sdid import SDID

    return _panel_effect(seen, SDID())


def structural(seen: Sample) -> Answer:
    """statsmodels: local level and covariates, the ad as an intervention in the window, over the whole event."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=len(ten.exposed))
    frame["ad"] = 0.0
    frame.loc[ten.first : ten.last - 1, "ad"] = 1.0
    fit = UnobservedComponents(frame["y"], level="local level", exog=frame.drop(columns="y")).fit(disp=False)
    low, high = fit.conf_int().loc["beta.ad"]
    return Answer.of(fit.params["beta.ad"] * ten.inside, low * ten.inside, high * ten.inside)


def segmented(seen: Sample) -> Answer:
    """statsmodels: interrupted time series by least squares with covariates, trend and HAC errors."""
    import statsmodels.api as sm

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=ten.last)
    frame["trend"] = np.arange(len(frame)) / len(frame)
    frame["ad"] = (np.arange(len(frame)) >= ten.first).astype(float)
    fit = sm.OLS(frame["y"], sm.add_constant(frame.drop(columns="y"))).fit(cov_type="HAC", cov_kwds={"maxlags": 6})
    low, high = fit.conf_int().loc["ad"]
    return Answer.of(fit.params["ad"] * ten.inside, low * ten.inside, high * ten.inside)


def spotlift(seen: Sample) -> Answer:
    """spotlift: a minute's lift over the mean before, over the exposed regions; it gives neither interval nor test."""
    import spotlift as sl

    minute = seen.bins(60)
    time = pd.date_range(START, periods=len(minute.exposed), freq="60s")
    telemetry = pd.DataFrame(
        {"timestamp": time, "value": minute.exposed, "channel_source": "ga4_direct_organic_sessions"}
    )
    airings = pd.DataFrame(
        {"spot_id": ["spot"], "timestamp": [time[minute.first]], "channel": ["tv"], "creative_id": ["c"],
         "cost": [16_000.0], "grp": [1.0], "duration_sec": [30]}
    )  # fmt: skip
    found = sl.analyze_spots(
        airings, telemetry, window_minutes=seen.window // 60, apply_cr_model=False, baseline_fn=sl.simple_mean_baseline
    )
    return Answer(float(found["incremental_lift"].iloc[0]))


def causalpy(seen: Sample) -> Answer:
    """CausalPy: interrupted time series, Bayesian linear regression on covariates and trend."""
    import causalpy as cp

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=ten.last)
    frame["trend"] = np.arange(len(frame)) / len(frame)
    scaled = frame / frame.iloc[: ten.first].mean()
    names = [name for name in frame if name != "y"]
    sample = {"draws": 500, "tune": 500, "chains": 2, "cores": 1, "random_seed": 1, "progressbar": False}
    found = cp.InterruptedTimeSeries(
        scaled, ten.first, formula="y ~ 1 + " + " + ".join(names), model=cp.pymc_models.LinearRegression(sample)
    )
    impact = found.post_impact
    draws = impact.sum("obs_ind").to_numpy().ravel() * float(frame["y"].iloc[: ten.first].mean())
    return Answer.of(draws.mean(), *np.quantile(draws, [0.025, 0.975]))


def marketing_mix(seen: Sample) -> Answer:
    """pymc-marketing: a media mix model; adstock of a minute, saturation, the covariates as controls."""
    from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

    ten = seen.bins(WIDTH_S)
    frame = _frame(ten, end=ten.last).rename(columns={"y": "sales"})
    names = [name for name in frame if name != "sales"]
    frame["date"] = pd.date_range("2026-02-08", periods=len(frame), freq=f"{WIDTH_S}s")
    frame["tv"] = 0.0
    frame.loc[ten.first : ten.first + 2, "tv"] = 1.0
    for name in names:
        frame[name] = frame[name] / frame[name].abs().max()
    model = MMM(
        date_column="date", channel_columns=["tv"], control_columns=names,
        adstock=GeometricAdstock(l_max=ten.inside), saturation=LogisticSaturation(),
    )  # fmt: skip
    model.fit(
        frame.drop(columns="sales"), frame["sales"], draws=500, tune=500, chains=2, cores=1, random_seed=1,
        progressbar=False,
    )  # fmt: skip
    share = model.fit_result["channel_contribution"].sum(["date", "channel"]).to_numpy().ravel()
    draws = share * float(frame["sales"].abs().max())
    return Answer.of(draws.mean(), *np.quantile(draws, [0.025, 0.975]))


class Guest(NamedTuple):
    """A method of somebody else: what answers, what to install (the package first), and whether it is slow."""

    answer: Callable[[Sample], Answer]
    package: str
    slow: bool = False


GUESTS: dict[str, Guest] = {
    "bsts-causalimpact": Guest(bsts, "bsts-causalimpact==1.7.0"),
    "pycausalimpact": Guest(pycausalimpact, "pycausalimpact==0.1.1 pandas<3 statsmodels<0.15"),
    "azcausal DID": Guest(azcausal_did, "azcausal==0.2.5"),
    "azcausal SDID": Guest(azcausal_sdid, "azcausal==0.2.5"),
    "statsmodels local level": Guest(structural, "statsmodels==0.15.0"),
    "statsmodels segmented": Guest(segmented, "statsmodels==0.15.0"),
    "spotlift": Guest(spotlift, "spotlift==0.3.0"),
    "CausalPy": Guest(causalpy, "CausalPy==0.9.0", slow=True),
    "tfcausalimpact": Guest(tfcausalimpact, "tfcausalimpact==0.0.19", slow=True),
    "tfp-causalimpact": Guest(tfp_causalimpact, "tfp-causalimpact==0.2.0 tf-keras", slow=True),
    "pymc-marketing": Guest(marketing_mix, "pymc-marketing==0.19.2", slow=True),
}


def quietly(answer: Callable[[Sample], Answer], seen: Sample) -> Answer:
    """Answer without what the package prints: the child's output carries answers alone."""
    with contextlib.redirect_stdout(io.StringIO()):
        return answer(seen)
