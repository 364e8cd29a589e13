"""What is said under the finger: the figures of one fit, and the evidence of the last look asked by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from attribution.model import fit as fast
from attribution.model import monitor
from attribution.model.climb import climb_and_read
from attribution.model.decompose import Parts, centre, draw
from attribution.model.layout import baseline
from attribution.model.nulls import MOST_REGIONS, nulls
from attribution.model.sofar import LOOSE, log_sum

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.linear import Mode
    from attribution.placebos import Placebos
    from attribution.settings import Settings
    from attribution.verdict import Verdict

DRAWS = 48
"""Draws behind the band under the finger; the middle and the figures of the row are no draws."""

POINTS = 241
"""Points at which a density is drawn."""

REACH = 0.999
"""The densities are drawn over this much of the posterior, and over zero."""


class Now(NamedTuple):
    """The evidence at the last look."""

    time: float
    log_e: float
    log_plain: float
    one_region: float
    explained: str
    kind: str
    modes: dict[str, Mode]
    """Where the climb of each null world ended, for a look that starts here."""


class Fitted(NamedTuple):
    """What depends on the data and on the choices of the model, not on those that decide."""

    design: Design
    fit: fast.Fit
    middle: Parts
    parts: Parts
    now: Now | None
    lag_s: np.ndarray
    density: np.ndarray
    """(M, N) of each kernel of the bank at these lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finger:
    """What is said under the finger.

    Attributes
    ----------
    settings, airing
        The choices and the airing's name.
    row
        The airing's row, as in :attr:`attribution.Analysis.table`; ``e_value`` is that of the last look.
    verdict
        The word that the last look earns by itself: provisional, see the module.
    window_s
        Seconds after the start over which conversions are summed.
    bins
        The exposed regions together, a row a bin, as :attr:`attribution.Analysis.total`.
    kernel
        lag_s, density, lower, upper of the response, and prior, prior_lower, prior_upper.
    amount
        incremental, posterior, prior: densities of the windowed incremental; the prior is NaN where there is none.
    took_ms
        Milliseconds of the computation; 0 when it was remembered.
    """

    settings: Settings
    airing: str
    row: dict[str, Any]
    verdict: Verdict
    window_s: float
    bins: pd.DataFrame
    kernel: pd.DataFrame
    amount: pd.DataFrame
    took_ms: float

    @property
    def modelled(self) -> bool:
        """Whether there is a fit behind the figures: with an interval, a kernel and a density."""
        return len(self.amount) > 0


def fitted(fit: fast.Fit, j: int, settings: Settings, *, before: Fitted | None = None) -> Fitted:
    """Work out everything that a fit alone decides, for the airing at position ``j`` of its group.

    ``before`` is what was worked out under settings that differ in numbers of priors alone: climbs begin where its own
    ended.
    """
    design, weight = fit.design, fit.kernel_weight()
    best = design.kernels[int(np.argmax(weight))]
    lag = np.linspace(0.0, float(best.quantile(0.98)) * 1.2, 161)
    with ThreadPoolExecutor(1) as pool:  # compiled climbs let the rest run beside them
        asked = pool.submit(now, fit, j, settings, before=None if before is None else before.now)
        middle, parts = centre(fit), draw(fit, DRAWS, seed=0)
        density = np.array([kernel.pdf(lag) for kernel in design.kernels])
        return Fitted(
            design=design, fit=fit, middle=middle, parts=parts, now=asked.result(), lag_s=lag, density=density
        )


def now(fit: fast.Fit, j: int, settings: Settings, *, before: Now | None = None) -> Now | None:
    """Ask the evidence at the last look, without the looks before it: every null world is climbed from the fit's mode.

    The statistic is E* of :mod:`attribution.model.monitor` (methods, section 4), at the feed's lead of the fit. None
    before the first look, and where no world could be fitted.
    """
    whole = fit.design.pooled(MOST_REGIONS)
    looks = monitor.ticks(whole, j)
    if not len(looks):
        return None
    last = int(looks[-1])
    design, at = whole.first(last), int(whole.begun(last)[:j].sum())
    chosen, anchor = nulls(design, at), int(np.argmax(design.kernel_weight))
    lead = fit.modes[fit.components[int(np.argmax(fit.weight))].mode].layout.lead
    scale = monitor.LIFT_SCALE * float(baseline(design)[at])
    earlier = {} if before is None else before.modes
    start, found, modes = None, {}, {}
    for world in chosen:
        reached = climb_and_read(
            design, fit.noise, world, anchor, np.array([at]), lift_sd=settings.lift_sd, lead=lead,
            start=earlier.get(world.name, start), tolerance=LOOSE, null=at,
        )  # fmt: skip
        if reached is not None:
            mode, bank = reached
            start = start or mode
            modes[world.name] = mode
            gain = monitor.log_bayes(bank.score[:, 0], bank.information[:, 0, 0], scale)
            found[world.name] = mode.evidence, log_sum(gain + np.log(design.kernel_weight))
    if not found:
        return None
    awake = [world for world in chosen if world.name in found]
    log_pi, level, gain = np.array([(np.log(w.weight), *found[w.name]) for w in awake]).T
    leader = awake[int(level.argmax())]
    one = np.array([w.kind == "one region" for w in awake])
    apart = (
        [log_sum(log_pi[m] + level[m]) - log_sum(log_pi[m]) for m in (one, ~one)] if one.any() and not one.all() else []
    )
    return Now(
        time=float(whole.start[last - 1] + whole.width[last - 1]),
        log_e=log_sum(log_pi + level + gain) - float(level.max()),
        log_plain=log_sum(log_pi + level + gain) - log_sum(log_pi + level),
        one_region=apart[0] - apart[1] if apart else -np.inf,
        explained=leader.name,
        kind=leader.kind,
        modes=modes,
    )


def at_last(found: Fitted, j: int, alpha: float) -> monitor.Evidence:
    """Return the evidence of the last look as if the look before it had said the same: a path of two, or of none."""
    fit, seen = found.fit, found.now
    if seen is None:
        none = np.empty(0)
        return monitor.Evidence(
            time=none, log_e=none, log_plain=none, estimate=none, lower=none, upper=none, sd=none, floor=none,
            expected=none, robust_lower=none, one_region=none, explained=(), kind=(), lasting=none, joint=none,
        )  # fmt: skip
    mean = float(fit.weight @ fit.window_mean[:, j])
    spread = float(np.sqrt(fit.weight @ (fit.window_sd[:, j] ** 2 + (fit.window_mean[:, j] - mean) ** 2)))
    scale = monitor.interval_scale(float(baseline(fit.design)[j]), fit.noise.dispersion)
    half = float(monitor.over_time(np.array([spread]), scale, alpha)[0])
    twice = lambda value: np.full(2, float(value))  # noqa: E731
    unknown = twice(np.nan)
    return monitor.Evidence(
        time=np.array([seen.time - monitor.TICKS[0][1], seen.time]),
        log_e=twice(seen.log_e),
        log_plain=twice(seen.log_plain),
        estimate=twice(mean),
        lower=twice(mean - half),
        upper=twice(mean + half),
        sd=twice(spread),
        floor=unknown,
        expected=unknown,
        robust_lower=unknown,
        one_region=twice(seen.one_region),
        explained=(seen.explained,) * 2,
        kind=(seen.kind,) * 2,
        lasting=twice(fit.lasting),
        joint=unknown,
    )


def replaced(found: Fitted, j: int) -> float:
    """Return how many counterfactual conversions each incremental one replaces, from the draws: -1 (all) to 0."""
    design = found.design
    seen, inside = design.share[j] > 0, design.inside(j)
    without, ad = (part[:, seen].sum(axis=1) @ inside for part in (found.parts.counterfactual, found.parts.ad))
    spread = float(np.var(ad))
    return float(np.clip(np.cov(without, ad, bias=True)[0, 1] / spread, -1.0, 0.0)) if spread > 0 else 0.0


def densities(fit: fast.Fit, j: int, told: Placebos | None) -> pd.DataFrame:
    """Return the posterior of the windowed incremental against its prior.

    The prior is that of the fit: a normal around 0 whose sd is ``lift_sd`` window baselines, through what each kernel
    puts into the window. Where one series answers by itself there is no prior, and its column is NaN.

    Returns
    -------
    incremental, posterior, prior; densities per conversion.
    """
    design = fit.design
    alone = told is not None and not design.fed
    weight = np.ones(1) if alone else fit.weight
    mean = np.array([told.amount]) if alone and told else fit.window_mean[:, j]
    sd = np.array([told.sd * told.factor]) if alone and told else fit.window_sd[:, j]
    tail = (1 - REACH) / 2
    low, high = (fast.quantile(weight, mean, sd, p) for p in (tail, 1 - tail))
    room = 0.15 * max(high - low, 1e-6)
    at = np.linspace(min(low - room, -room), max(high + room, room), POINTS)
    posterior = _normal(at, mean, sd) @ weight
    prior = np.full(POINTS, np.nan)
    if not alone:
        within = np.maximum(fit_prior_sd(fit, j) * design.window_mass[:, j], 1e-9)
        prior = _normal(at, np.zeros(len(within)), within) @ design.kernel_weight
    return pd.DataFrame({"incremental": at, "posterior": posterior, "prior": prior})


def fit_prior_sd(fit: fast.Fit, j: int) -> float:
    """Return the prior sd of an airing's whole incremental."""
    layout = fit.modes[0].layout
    return float(layout.prior_sd[layout.names["incremental"]][j])


def _normal(at: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return (N, C) densities of normals."""
    z = (at[:, None] - mean) / sd
    return np.exp(-0.5 * z**2) / (sd * np.sqrt(2 * np.pi))
