"""The figures, the verdict and the tables of one airing, out of its group's fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from attribution.faults import unknown_loss, worst_case
from attribution.frames import bounds_frame, evidence_frame, gap_frame, kernel_frame, weighted_quantiles
from attribution.model import fit as fast
from attribution.model import control, monitor, watching, windows
from attribution.model.brief import brief
from attribution.model.decompose import centre
from attribution.money import money, money_frame
from attribution.planning import minimum_detectable_lift
from attribution.shares import share_table
from attribution.single import compared, instead
from attribution.verdict import Case, Verdict, decide, duration, judge, signed

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
    design, name = fit.design, str(airing["airing"])
    seen, inside = design.share[j] > 0, design.inside(j)
    low, middle, high = (
        fast.quantile(fit.weight, fit.window_mean[:, j], fit.window_sd[:, j], p) for p in _levels(settings)
    )
    expected = float(parts.counterfactual[seen].sum(axis=0) @ inside)
    spread = _mixture_sd(fit, j)
    slope = _trade(fit, j, seen, inside, spread)
    lift = {p: a / max(expected + slope * (a - middle), 0.05 * expected) for p, a in (("low", low), ("high", high))}
    watched = instead(told, design, j, settings.alpha) or watching.evidence(design, fit.noise, j, settings)
    trust = control.credibility(design, fit.noise, j)
    cash = money(airing, settings)
    peak = weighted_quantiles(design.peak, fit.kernel_weight(), _levels(settings))
    second = _second_opinion(fit, j, settings)
    amount = (low, middle, high)
    case = _case(counts, airing, settings, fit, parts, j, amount, lift, expected, spread, watched, trust, cash, second)
    case = case if told is None else compared(case, told, fed=design.fed)
    case = _faulty(case, counts, settings, float(design.start[0]), float(design.onset[j] + design.window[j]))
    verdict = judge(case)
    # A look compared with placebos would need placebos of its own: its word is not made up.
    looks = len(watched.time)
    said = _words(case, watched, settings, _arrived(fit, watched, j)) if told is None else [""] * looks
    row = _row(airing, counts.regions, case, watched, cash, peak, second)
    row |= {"rung": verdict.rung, "verdict": verdict.word}
    frames = {
        "evidence": evidence_frame(name, watched, said),
        "kernel": kernel_frame(name, fit, settings),
        "gap": gap_frame(name, fit, settings),
        "money": money_frame(name, cash, amount, case.probability_positive),
        "bounds": bounds_frame(name, case.worst_loss, case.worst_lower, case.worst_upper),
        "worlds": pd.DataFrame(
            [(name, *pair) for pair in fit.world_weight().items()], columns=["airing", "world", "weight"]
        ),
        "shares": _shares(counts, airing, fit, j, settings),
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


def _row(
    airing: pd.Series,
    regions: tuple[str, ...],
    case: Case,
    watched: monitor.Evidence,
    cash: Money,
    peak: list[float],
    second: tuple[float, float],
) -> dict:
    """Return the airing's row of the table, but for its rung and verdict."""
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
    }


def _trade(fit: fast.Fit, j: int, seen: np.ndarray, inside: np.ndarray, spread: float) -> float:
    """Return how many counterfactual conversions each incremental one replaces: -1 (all) to 0."""
    tilt = np.eye(len(fit.design.onset))[j]
    up, down = (centre(fit, tilt=sign * tilt).counterfactual[seen].sum(axis=0) @ inside for sign in (1, -1))
    return float(np.clip((up - down) / max(2 * spread, 1e-9), -1.0, 0.0))


def _case(
    counts: Counts,
    airing: pd.Series,
    settings: Settings,
    fit: fast.Fit,
    parts: Parts,
    j: int,
    amount: tuple[float, float, float],
    lift: dict[str, float],
    expected: float,
    spread: float,
    watched: monitor.Evidence,
    trust: control.Credibility,
    cash: Money,
    second: tuple[float, float],
) -> Case:
    """Collect the numbers the verdict is made of."""
    design = fit.design
    seen, inside = design.share[j] > 0, design.inside(j)
    low, middle, high = amount
    complete = float((design.exposure[seen] @ inside).sum() / max((design.width @ inside) * seen.sum(), 1e-9))
    controls = tuple(r for r, s in zip(design.regions, seen, strict=True) if not s)
    decided = watched.decided(settings.alpha)
    smallest, why = _smallest_lift(settings, cash, expected)
    last, story = watched.last(settings.alpha), _story(watched, settings.alpha)
    status = ""
    if not seen.any():
        status = f"{airing['airing']} ran in no region of the counts."
    elif complete < 0.5:
        status = f"only {complete:.0%} of the window of {airing['airing']} was observed."
    return Case(
        airing=str(airing["airing"]),
        status=status,
        rung=_rung(str(airing["assignment"]), bool(controls)),
        window_s=float(design.window[j]),
        counterfactual=expected,
        incremental=middle,
        lower=low,
        upper=high,
        robust_lower=second[0],
        robust_upper=second[1],
        watched_lower=float(watched.lower[-1]) if last >= 0 else np.nan,
        watched_upper=float(watched.upper[-1]) if last >= 0 else np.nan,
        lift=middle / expected,
        lift_lower=lift["low"],
        lift_upper=lift["high"],
        probability_positive=float(fit.weight @ ndtr(fit.window_mean[:, j] / fit.window_sd[:, j])),
        sd=spread,
        floor=monitor.floor(
            design, fit.noise, j, int(np.argmax(fit.kernel_weight())), parts.counterfactual * design.exposure / design.width
        ),
        log_e=float(watched.log_e[last]) if last >= 0 else 0.0,
        log_plain=float(watched.log_plain[last]) if last >= 0 else np.nan,
        explained=story[0],
        explained_kind=story[1],
        one_region=float(watched.one_region[last]) if last >= 0 else np.nan,
        decided_s=np.nan if decided is None else decided - float(design.onset[j]),
        credible=trust.credible,
        credible_ratio=trust.ratio,
        controls=controls,
        fed=design.fed,
        surge=float(parts.organic[seen].sum(axis=0) @ inside) if design.fed else np.nan,
        smallest_lift=smallest,
        smallest_why=why,
        detectable=minimum_detectable_lift(spread, expected, alpha=settings.alpha),
        alpha=settings.alpha,
        in_break=bool(len(design.breaks) and (design.breaks @ inside > 0).any()),
        complete=complete,
        arrived=float(fit.kernel_weight() @ design.window_mass[:, j]),
    )


def _story(watched: monitor.Evidence, alpha: float, at: int | None = None) -> tuple[str, str]:
    """Return the null world, and its kind, that explains what the plain mixture would claim; empty where none does.

    ``at`` is the position of the look; by default the one at which watching stopped.
    """
    at = watched.last(alpha) if at is None else at
    if at < 0 or watched.log_plain[at] < -np.log(alpha) or watched.log_e[at] >= -np.log(alpha):
        return "", ""
    return (watched.explained[at], watched.kind[at]) if watched.kind[at] else ("", "")


def _words(case: Case, watched: monitor.Evidence, settings: Settings, arrived: np.ndarray) -> list[str]:
    """Return the word that each look would have said by itself: the same ladder on what was known then."""
    words, z = [], float(ndtri(1 - settings.alpha / 2))
    decided = watched.decided(settings.alpha)
    for k, time in enumerate(watched.time):
        mean, sd, expected = watched.estimate[k], watched.sd[k], max(watched.expected[k], 1e-9)
        story = _story(watched, settings.alpha, k)
        now = case._replace(
            status="", counterfactual=expected, incremental=mean, lower=mean - z * sd, upper=mean + z * sd,
            robust_lower=np.nan, robust_upper=np.nan, watched_lower=watched.lower[k], watched_upper=watched.upper[k],
            lift=mean / expected, lift_lower=watched.lower[k] / expected, lift_upper=watched.upper[k] / expected,
            sd=sd, floor=watched.floor[k], log_e=watched.log_e[k], log_plain=watched.log_plain[k],
            explained=story[0], explained_kind=story[1], one_region=watched.one_region[k], arrived=arrived[k],
            decided_s=case.decided_s if decided is not None and time >= decided else np.nan,
        )  # fmt: skip
        words.append(decide(now))
    return words


def _arrived(fit: fast.Fit, watched: monitor.Evidence, j: int) -> np.ndarray:
    """Return (L,) the share of the response that was expected to have arrived at each look."""
    design = fit.design
    so_far = np.cumsum(fit.kernel_weight() @ design.mass[:, j])
    close = design.start + design.width
    return so_far[np.searchsorted(close, watched.time - 1e-6)]


def _faulty(case: Case, counts: Counts, settings: Settings, start: float, end: float) -> Case:
    """Return the case with what the clocks and the losses that nobody counted leave open (methods, section 8)."""
    loss = unknown_loss(counts, start, end)
    low, high = worst_case(
        case.lower, case.upper, counterfactual=case.counterfactual, incremental=case.incremental, loss=loss
    )
    timing = np.nan if settings.clock_sd is None else settings.clock_sd
    return case._replace(timing_sd_s=timing, worst_loss=loss, worst_lower=low, worst_upper=high)


def _rung(assignment: str, controlled: bool) -> int:
    """Return how the answer is identified; randomisation counts only as the airings' table declares it."""
    if assignment == "randomised holdout" and controlled:
        return 5
    if assignment == "randomised timing":
        return 4
    return 3 if controlled else 1


def _smallest_lift(settings: Settings, cash: Money, expected: float) -> tuple[float, str]:
    """Return the smallest lift worth knowing and where it comes from (methods, section 6)."""
    if settings.smallest_lift is not None:
        return settings.smallest_lift, "as set"
    if np.isfinite(cash.break_even) and expected > 0:
        return cash.break_even / expected, "break-even of its spend"
    return 0.10, "the default"


def _mixture_sd(fit: fast.Fit, j: int) -> float:
    """Return the posterior sd of the windowed incremental over all worlds and kernels."""
    mean = fit.weight @ fit.window_mean[:, j]
    return float(np.sqrt(fit.weight @ (fit.window_sd[:, j] ** 2 + (fit.window_mean[:, j] - mean) ** 2)))


def _levels(settings: Settings) -> tuple[float, float, float]:
    return settings.alpha / 2, 0.5, 1 - settings.alpha / 2


def _shares(counts: Counts, airing: pd.Series, fit: fast.Fit, j: int, settings: Settings) -> pd.DataFrame:
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
