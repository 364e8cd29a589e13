"""The numbers of one airing that a verdict is made of, at the end and at each look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from attribution.faults import unknown_loss, worst_case
from attribution.model import sofar
from attribution.planning import minimum_detectable_lift
from attribution.verdict import Case, decide

if TYPE_CHECKING:
    import pandas as pd

    from attribution.counts import Counts
    from attribution.model import control, monitor
    from attribution.model import fit as fast
    from attribution.model.decompose import Parts
    from attribution.model.design import Design
    from attribution.money import Money
    from attribution.settings import Settings

LEAST_OBSERVED = 0.5
"""A window of which less than this share was observed has no answer."""


def gathered(
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
    observed = design.exposure / design.width
    complete = float((design.exposure[seen] @ inside).sum() / max((design.width @ inside) * seen.sum(), 1e-9))
    controls = tuple(r for r, s in zip(design.regions, seen, strict=True) if not s)
    decided = watched.decided(settings.alpha)
    smallest, why = _smallest_lift(settings, cash, expected)
    last, other = watched.last(settings.alpha), story(watched, settings.alpha)
    return Case(
        airing=str(airing["airing"]),
        status=_status(str(airing["airing"]), bool(seen.any()), complete),
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
        floor=sofar.floor(design, fit.noise, j, int(np.argmax(fit.kernel_weight())), parts.counterfactual * observed),
        log_e=float(watched.log_e[last]) if last >= 0 else 0.0,
        log_plain=float(watched.log_plain[last]) if last >= 0 else np.nan,
        explained=other[0],
        explained_kind=other[1],
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
        in_break=_declared(design, inside, "break"),
        complete=complete,
        arrived=float(fit.kernel_weight() @ design.window_mass[:, j]),
        surge_overlaps=_declared(design, inside, "organic"),
        lasting=fit.lasting,
    )


def _status(name: str, reached: bool, complete: float) -> str:
    """Return why there can be no answer; empty where there can."""
    if not reached:
        return f"{name} ran in no region of the counts."
    return f"only {complete:.0%} of the window of {name} was observed." if complete < LEAST_OBSERVED else ""


def _declared(design: Design, inside: np.ndarray, kind: str) -> bool:
    """Return whether a declared moment of a kind overlaps the window."""
    chosen = np.array([k == kind for k in design.break_kind], dtype=bool)
    return bool((design.breaks[chosen] @ inside > 0).any())


def story(watched: monitor.Evidence, alpha: float, at: int | None = None) -> tuple[str, str]:
    """Return the null world, and its kind, that explains what the plain mixture would claim; empty where none does.

    ``at`` is the position of the look; by default the one at which watching stopped.
    """
    at = watched.last(alpha) if at is None else at
    if at < 0 or watched.log_plain[at] < -np.log(alpha) or watched.log_e[at] >= -np.log(alpha):
        return "", ""
    return (watched.explained[at], watched.kind[at]) if watched.kind[at] else ("", "")


def words(case: Case, watched: monitor.Evidence, settings: Settings, arrived: np.ndarray) -> list[str]:
    """Return the word that each look would have said by itself: the same ladder on what was known then."""
    said, z = [], float(ndtri(1 - settings.alpha / 2))
    decided = watched.decided(settings.alpha)
    for k, time in enumerate(watched.time):
        mean, sd, expected = watched.estimate[k], watched.sd[k], max(watched.expected[k], 1e-9)
        other = story(watched, settings.alpha, k)
        now = case._replace(
            status="", counterfactual=expected, incremental=mean, lower=mean - z * sd, upper=mean + z * sd,
            robust_lower=watched.robust_lower[k], robust_upper=np.nan,
            watched_lower=watched.lower[k], watched_upper=watched.upper[k],
            lift=mean / expected, lift_lower=watched.lower[k] / expected, lift_upper=watched.upper[k] / expected,
            sd=sd, floor=watched.floor[k], log_e=watched.log_e[k], log_plain=watched.log_plain[k],
            explained=other[0], explained_kind=other[1], one_region=watched.one_region[k], arrived=arrived[k],
            lasting=watched.lasting[k],
            decided_s=case.decided_s if decided is not None and time >= decided else np.nan,
        )  # fmt: skip
        said.append(decide(now))
    return said


def arrived(fit: fast.Fit, watched: monitor.Evidence, j: int) -> np.ndarray:
    """Return (L,) the share of the response that was expected to have arrived at each look."""
    design = fit.design
    so_far = np.cumsum(fit.kernel_weight() @ design.mass[:, j])
    close = design.start + design.width
    return so_far[np.searchsorted(close, watched.time - 1e-6)]


def faulty(case: Case, counts: Counts, settings: Settings, start: float, end: float) -> Case:
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
