"""The figures, the verdict and the tables of one airing, out of its group's fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from attribution.cases import arrived, faulty, gathered, words
from attribution.frames import bounds_frame, evidence_frame, gap_frame, kernel_frame, weighted_quantiles
from attribution.model import control, monitor, watching, windows
from attribution.model import fit as fast
from attribution.model.brief import brief
from attribution.model.decompose import centre
from attribution.money import money, money_frame
from attribution.shares import share_table
from attribution.single import compared, instead
from attribution.verdict import Case, Verdict, duration, judge, signed

if TYPE_CHECKING:
    from attribution.counts import Counts
    from attribution.model.decompose import Parts
    from attribution.money import Money
    from attribution.placebos import Placebos
    from attribution.settings import Settings

TABLE = [
    "airing",
    "start",
    "regions",
    "counterfactual",
    "incremental",
    "incremental_lower",
    "incremental_upper",
    "robust_lower",
    "robust_upper",
    "lift",
    "lift_lower",
    "lift_upper",
    "probability_positive",
    "e_value",
    "anytime_p",
    "placebo_p",
    "placebos",
    "response_peak",
    "response_peak_lower",
    "response_peak_upper",
    "minimum_detectable_lift",
    "iroas",
    "iroas_lower",
    "iroas_upper",
    "roi",
    "roi_lower",
    "roi_upper",
    "rung",
    "verdict",
]
"""Columns of :attr:`Analysis.table`, in their order."""


class Answer(NamedTuple):
    """What one airing adds to the Analysis."""

    row: dict
    verdict: Verdict
    reasons: dict[str, str]
    frames: dict[str, pd.DataFrame]


class Measured(NamedTuple):
    """The numbers of one airing that its row and its verdict are made of."""

    case: Case
    cash: Money
    peak: list[float]
    """Lower, middle and upper end of the response's mode, seconds."""
    second: tuple[float, float]
    """Interval in the worlds with a hidden shock alone."""
    amount: tuple[float, float, float]
    """Lower, middle and upper end of the model's windowed incremental."""

    def row(self, airing: pd.Series, regions: tuple[str, ...], watched: monitor.Evidence, verdict: Verdict) -> dict:
        """Return the airing's row of the table."""
        case, cash, peak, second = self.case, self.cash, self.peak, self.second
        ends = {"": case.incremental, "_lower": case.lower, "_upper": case.upper}
        return {
            "airing": case.airing,
            "start": airing["start"],
            "regions": airing["regions"] or "|".join(regions),
            "counterfactual": case.counterfactual,
            **{f"incremental{end}": amount for end, amount in ends.items()},
            "robust_lower": second[0],
            "robust_upper": second[1],
            "lift": case.lift,
            "lift_lower": case.lift_lower,
            "lift_upper": case.lift_upper,
            "probability_positive": case.probability_positive,
            "e_value": float(np.exp(min(case.log_e, 700.0))),
            "anytime_p": float(watched.anytime_p[-1]) if len(watched.log_e) else 1.0,
            "placebo_p": case.placebo_p,
            "placebos": case.placebos if case.placebo_kind else np.nan,
            "response_peak": peak[1],
            "response_peak_lower": peak[0],
            "response_peak_upper": peak[2],
            "minimum_detectable_lift": case.detectable,
            **{f"iroas{end}": cash.iroas(amount) for end, amount in ends.items()},
            **{f"roi{end}": cash.roi(amount) for end, amount in ends.items()},
            "rung": verdict.rung,
            "verdict": verdict.word,
        }


def measured(
    counts: Counts,
    airing: pd.Series,
    settings: Settings,
    fit: fast.Fit,
    parts: Parts,
    j: int,
    watched: monitor.Evidence,
    told: Placebos | None = None,
    *,
    slope: float | None = None,
) -> Measured:
    """Measure one airing: what the row and the verdict say are made of these numbers and no others.

    Parameters
    ----------
    watched
        The looks at the evidence.
    told
        What one series says by itself.
    slope
        Counterfactual conversions that each incremental one replaces, -1 to 0; worked out where absent.
    """
    design = fit.design
    seen, inside = design.share[j] > 0, design.inside(j)
    low, middle, high = (
        fast.quantile(fit.weight, fit.window_mean[:, j], fit.window_sd[:, j], p) for p in _levels(settings)
    )
    expected = float(parts.counterfactual[seen].sum(axis=0) @ inside)
    spread = _mixture_sd(fit, j)
    slope = _trade(fit, j, seen, inside, spread) if slope is None else slope
    lift = {p: a / max(expected + slope * (a - middle), 0.05 * expected) for p, a in (("low", low), ("high", high))}
    trust = control.credibility(design, fit.noise, j)
    cash = money(airing, settings)
    peak = weighted_quantiles(design.peak, fit.kernel_weight(), _levels(settings))
    second = _second_opinion(fit, j, settings)
    amount = (low, middle, high)
    case = gathered(airing, settings, fit, parts, j, amount, lift, expected, spread, watched, trust, cash, second)
    case = case if told is None else compared(case, told, fed=design.fed)
    case = faulty(case, counts, settings, float(design.start[0]), float(design.onset[j] + design.window[j]))
    return Measured(case, cash, peak, second, amount)


def answer(
    counts: Counts,
    airing: pd.Series,
    settings: Settings,
    fit: fast.Fit,
    parts: Parts,
    j: int,
    told: Placebos | None = None,
) -> Answer:
    """Return the figures, the verdict and the tables of one airing; ``told`` is what one series says by itself."""
    name = str(airing["airing"])
    watched = instead(told, fit.design, j, settings.alpha) or watching.evidence(fit.design, fit.noise, j, settings)
    found = measured(counts, airing, settings, fit, parts, j, watched, told)
    case, cash, amount = found.case, found.cash, found.amount
    verdict = judge(case)
    # A look compared with placebos would need placebos of its own: its word is not made up.
    looks = len(watched.time)
    said = words(case, watched, settings, arrived(fit, watched, j)) if told is None else [""] * looks
    row = found.row(airing, counts.regions, watched, verdict)
    frames = {
        "evidence": evidence_frame(name, watched, said),
        "kernel": kernel_frame(name, fit, settings),
        "gap": gap_frame(name, fit, settings),
        "money": money_frame(name, cash, amount, case.probability_positive),
        "bounds": bounds_frame(name, case.worst_loss, case.worst_lower, case.worst_upper),
        "worlds": pd.DataFrame(
            [(name, *pair) for pair in fit.world_weight().items()], columns=["airing", "world", "weight"]
        ),
        "shares": shares(counts, airing, fit, j, settings),
    }
    return Answer(row, verdict, _reasons(row, cash, told), frames)


def _second_opinion(fit: fast.Fit, j: int, settings: Settings) -> tuple[float, float]:
    """Return the interval in the worlds with a hidden shock alone; NaN without a control and a feed to compare."""
    shocks = {w.name for w in fast.worlds(fit.design) if w.shock > 0}
    robust = fit.within(shocks) if fit.design.fed and shocks else None
    if robust is None:
        return np.nan, np.nan
    low, _, high = (
        fast.quantile(robust.weight, robust.window_mean[:, j], robust.window_sd[:, j], p) for p in _levels(settings)
    )
    return low, high


def _trade(fit: fast.Fit, j: int, seen: np.ndarray, inside: np.ndarray, spread: float) -> float:
    """Return how many counterfactual conversions each incremental one replaces: -1 (all) to 0."""
    tilt = np.eye(len(fit.design.onset))[j]
    up, down = (centre(fit, tilt=sign * tilt).counterfactual[seen].sum(axis=0) @ inside for sign in (1, -1))
    return float(np.clip((up - down) / max(2 * spread, 1e-9), -1.0, 0.0))


def _mixture_sd(fit: fast.Fit, j: int) -> float:
    """Return the posterior sd of the windowed incremental over all worlds and kernels."""
    mean = fit.weight @ fit.window_mean[:, j]
    return float(np.sqrt(fit.weight @ (fit.window_sd[:, j] ** 2 + (fit.window_mean[:, j] - mean) ** 2)))


def _levels(settings: Settings) -> tuple[float, float, float]:
    return settings.alpha / 2, 0.5, 1 - settings.alpha / 2


def shares(counts: Counts, airing: pd.Series, fit: fast.Fit, j: int, settings: Settings) -> pd.DataFrame:
    """Return the shares of the incremental by channel and device."""
    design, at = fit.design, counts.seconds
    return share_table(
        counts,
        str(airing["airing"]),
        _reached(airing, counts.regions),
        (at >= design.onset[j]) & (at < design.onset[j] + design.window[j]),
        (at >= design.start[0]) & (at < design.onset.min()),
        _amounts(fit, j),
        settings,
        dispersion=fit.noise.dispersion,
        rng=np.random.default_rng(j),
    )


def _reasons(row: dict, cash: Money, told: Placebos | None) -> dict[str, str]:
    """Return why each unknown figure is unknown."""
    why = {
        "placebo": told.sentence if told else "not compared with placebos: the answer stands on its own model",
        "robust": "needs a control region and a social feed: without both there is no second opinion",
        "iroas": f"{' and '.join(cash.missing)} unknown" if cash.missing else "no finite incremental",
        "roi": f"{' and '.join(cash.missing)} unknown" if cash.missing else "no finite incremental",
    }
    unknown = [c for c in TABLE if isinstance(row.get(c), float) and not np.isfinite(row[c])]
    return {c: next((text for key, text in why.items() if c.startswith(key)), "not computed") for c in unknown}


def _amounts(fit: fast.Fit, j: int) -> np.ndarray:
    """Return (399,) evenly spaced quantiles of the windowed incremental: draws without noise."""
    level = (np.arange(399) + 0.5) / 399
    low, high = (fast.quantile(fit.weight, fit.window_mean[:, j], fit.window_sd[:, j], p) for p in (1e-4, 1 - 1e-4))
    grid = np.linspace(low, high, 401)
    cdf = ndtr((grid[:, None] - fit.window_mean[:, j]) / fit.window_sd[:, j]) @ fit.weight
    return np.interp(level, cdf, grid)


def _reached(airing: pd.Series, regions: tuple[str, ...]) -> np.ndarray:
    """Return (R,) mask of the regions that saw the airing; none named = all."""
    named = airing["regions"]
    return np.isin(regions, named.split("|")) if named else np.ones(len(regions), dtype=bool)


def detected(counts: Counts, airing: pd.Series, settings: Settings) -> Answer:
    """Return what the brief's engine books for one airing: figures without intervals, and no answer to the question."""
    name, onset = str(airing["airing"]), airing["start"].value / 1e9
    step = float(np.median(counts.width))
    window = float(windows.window_seconds(settings, np.array([airing["length_s"]]), step)[0])
    total = counts.total[:, _reached(airing, counts.regions)].sum(axis=1)
    engine = brief(total, step=step)
    inside = (counts.seconds >= onset) & (counts.seconds < onset + window)
    booked = engine.incremental(total, inside)
    expected = float(np.nansum(engine.baseline[inside])) if np.isfinite(engine.baseline[inside]).any() else np.nan
    cash = money(airing, settings)
    row = dict.fromkeys(TABLE, np.nan) | {
        "airing": name,
        "start": airing["start"],
        "regions": airing["regions"] or "|".join(counts.regions),
        "counterfactual": expected,
        "incremental": booked,
        "lift": booked / expected if expected > 0 else np.nan,
        "iroas": cash.iroas(booked),
        "roi": cash.roi(booked),
        "rung": 0,
        "verdict": "undecided",
    }
    verdict = Verdict(
        airing=name,
        word="undecided",
        rung=0,
        sentence=f"The brief's engine books {signed(booked)} conversions in the {duration(window)} after the start of "
        f"{name}: {int((engine.spike & inside).sum())} bins beyond 3 sigma of a 5-min average. It is a detector: it "
        "cannot say whether the ad caused them.",
        would_change=("the latent baseline (setting baseline), which has an interval and a test.",),
    )
    why = "the brief's engine has no interval and no test" if expected > 0 else "no 5-min average before the airing"
    return Answer(row, verdict, {c: why for c in TABLE if isinstance(row[c], float) and not np.isfinite(row[c])}, {})


def silent(counts: Counts, airing: pd.Series, *, why: str = "") -> Answer:
    """Return the answer of an airing that the data do not reach."""
    name, start = str(airing["airing"]), airing["start"]
    if why:
        status = f"The model could not be fitted around {name}: {why}."
    elif not len(counts.start):
        status = "There are no counts."
    elif start >= counts.end:
        status = (
            f"{name} is not yet on air: it is due at {start:%H:%M:%S} UTC, the data end at {counts.end:%H:%M:%S} UTC."
        )
    else:
        first = pd.Timestamp(counts.start[0], tz="UTC")
        span = f"{first:%Y-%m-%d %H:%M} to {counts.end:%Y-%m-%d %H:%M} UTC"
        status = f"The data, {span}, hold no history or no window of {name}."
    verdict = Verdict(
        airing=name,
        word="no data",
        rung=0,
        sentence=status,
        would_change=("data that reach from half an hour before the airing to the end of its window.",),
    )
    row = dict.fromkeys(TABLE, np.nan)
    row |= {
        "airing": name,
        "start": start,
        "regions": airing["regions"] or "|".join(counts.regions),
        "rung": 0,
        "verdict": "no data",
    }
    return Answer(row, verdict, {c: status for c in TABLE if isinstance(row[c], float)}, {})
