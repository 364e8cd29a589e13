"""Ours, and simple methods of our own that must fail where methods of their kind fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

import attribution as at
from attribution import sequential
from attribution.model.brief import brief
from attribution.verdict import CLAIMS

from .samples import Answer, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE_S = 300
"""What simple methods compare with: the five minutes before the ad."""
LIFTS = np.linspace(0.05, 1.0, 20)
SETTINGS = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def ours(made: at.World) -> Answer:
    """`at.analyze`, with the lag known to 20% and everything the event holds."""
    row = at.analyze(
        made.counts, made.airings, SETTINGS, social=made.social, audience=made.audience, context=made.context
    ).table.iloc[0]
    word = row["verdict"]
    return Answer(
        float(row["incremental"]),
        float(row["incremental_lower"]),
        float(row["incremental_upper"]),
        claimed=word in CLAIMS,
        caused=word == "caused",
    )


def brief_engine(seen: Sample) -> Answer:
    """The brief's engine: 5-min mean of all conversions without outliers; any second above 3 sd is a spike."""
    every = seen.counts.sum(axis=(1, 2))
    engine = brief(every, step=1.0)
    inside = np.zeros(len(every), bool)
    inside[seen.onset : seen.onset + seen.window] = True
    return Answer(engine.incremental(every, inside), claimed=bool((engine.spike & inside).any()))


def t_test(seen: Sample) -> Answer:
    """Welch's t-test of the seconds of the window against those of the five minutes before."""
    second = seen.bins(1)
    after = second.exposed[second.first : second.last]
    before = second.exposed[second.first - BEFORE_S : second.first]
    low, high = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    return Answer.of((after.mean() - before.mean()) * len(after), low * len(after), high * len(after))


def did(seen: Sample) -> Answer:
    """Difference-in-differences in bins of 10 s: exposed minus holdout at its scale, window against ten minutes."""
    ten = seen.bins(10)
    before = slice(ten.first - 2 * BEFORE_S // ten.width, ten.first)
    scale = ten.exposed[before].sum() / ten.control[before].sum()
    gap = ten.exposed - scale * ten.control
    after, base = gap[ten.first : ten.last], gap[before]
    error = np.sqrt(base.var(ddof=1) * (1 / len(after) + 1 / len(base))) * len(after)
    reach = stats.t.ppf(0.975, len(base) - 1) * error
    total = (after.mean() - base.mean()) * len(after)
    return Answer.of(total, total - reach, total + reach)


def plug_in_msprt(seen: Sample) -> Answer:
    """A mixture SPRT whose baseline is the mean of five minutes, taken as known, and watched each second."""
    second = seen.bins(1)
    after = second.exposed[second.first : second.last]
    base = float(second.exposed[second.first - BEFORE_S : second.first].mean())
    path = sequential.fixed_baseline_log_e(after, np.ones(len(after)), LIFTS, baseline=base)
    lower, upper = sequential.intensity_interval(after.sum(), prior_shape=base)
    expected = base * len(after)
    return Answer(
        float(after.sum() - expected),
        float(lower - expected),
        float(upper - expected),
        claimed=bool(path.max() >= np.log(20)),
    )


RIVALS: dict[str, Callable[[Sample], Answer]] = {
    "difference-in-differences": did,
    "t-test before and after": t_test,
    "plug-in mSPRT": plug_in_msprt,
    "3 sigma (the brief's engine)": brief_engine,
}
