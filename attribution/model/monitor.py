"""Evidence that survives watching: the model's e-process at each look, and the interval over time beside it.

At a look with data up to now, every null world w is fitted without the ad (log evidence l_w); one linearisation there
gives the score and the information of the ad's amount for every kernel m, hence a Bayes factor B_wm (methods, 4):

    log E* = log sum_wm pi_w pi_m exp(l_w + log B_wm) - max_w l_w

The denominator is the best of the null worlds, so E* holds under each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from attribution.model.climb import climb, climb_and_read
from attribution.model.layout import baseline
from attribution.model.nulls import nulls
from attribution.model.sofar import AWAKE_EVERY, LOOSE, Estimate, log_sum, so_far

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise
    from attribution.model.layout import World
    from attribution.model.linear import Mode
    from attribution.settings import Settings

TICKS = ((90.0, 2.0), (600.0, 10.0))
"""(seconds after the airing, seconds between looks): every 2 s to 90 s, then every 10 s to 10 min."""

WATCHED = 0.98
"""Watching ends when this share of a response has had time to arrive: nothing that comes later is the ad's."""

ASLEEP, AGAIN_EVERY, NEAR = 12.0, 3, 3.0
"""A null world 12 nats behind the best is fitted at every fifth look; the others at every third, and at every look
where the evidence is within 3 nats of the line or above it."""

AT_ONCE = 1.5
"""One look decides where E is so many times 1/alpha; else two in a row."""

LIFT_SCALE = 0.2
"""Sd of the half-normal of E*, in window baselines."""

NARROWEST = 0.1, 3.0
"""Sd of the normal mixture of the interval over time: in window baselines, and in sds of a window's own counts.

An interval over time is narrowest where its sd is a third of this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The paths of the evidence of one airing, a value a look.

    Attributes
    ----------
    time
        (L,) seconds since 1970: end of the data at each look.
    log_e
        (L,) natural log of E*.
    log_plain
        (L,) the same over the null mixture instead of the best null world: what a single story would claim.
    estimate, lower, upper
        (L,) the incremental inside the window so far, and its interval over time: it holds at all looks at once.
    sd, floor, expected
        (L,) its posterior sd, what that sd would be were only the count noise unknown, and the counterfactual so far.
    robust_lower
        (L,) lower end of the interval over time where a shock that no feed shows is allowed for; NaN without a control.
    one_region
        (L,) log evidence of a shock in one region over every other null world.
    explained, kind
        (L,) the null world that explains the data best, and its kind ("" = a plain one).
    lasting
        (L,) probability, with the ad, that a lasting change of level began with it; NaN with a control or a feed.
    joint
        (L,) log e of the joint filter at each look; NaN without a control.
    """

    time: np.ndarray
    log_e: np.ndarray
    log_plain: np.ndarray
    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    sd: np.ndarray
    floor: np.ndarray
    expected: np.ndarray
    robust_lower: np.ndarray
    one_region: np.ndarray
    explained: tuple[str, ...]
    kind: tuple[str, ...]
    lasting: np.ndarray
    joint: np.ndarray

    def last(self, alpha: float) -> int:
        """Position of the look at which watching stops: the decision if there was one, else the last; -1 before any.

        A decision is a stopping time, so the value there is an e-value whatever the path does afterwards.
        """
        at = decision(self.log_e, alpha)
        return len(self.log_e) - 1 if at is None else at

    @property
    def anytime_p(self) -> np.ndarray:
        """(L,) always-valid p at each look: the running minimum of 1/E, at most 1 (Johari et al. 2022)."""
        if not len(self.log_e):
            return np.empty(0)
        return np.exp(-np.maximum.accumulate(np.maximum(self.log_e, 0.0)))

    def decided(self, alpha: float) -> float | None:
        """Second after 1970 of the look that decided; None where none did."""
        at = decision(self.log_e, alpha)
        return None if at is None else float(self.time[at])


def decision(log_e: np.ndarray, alpha: float) -> int | None:
    """Return the position of the look that decides: E >= 1/alpha as at the look before, or E >= 1.5/alpha by itself.

    E >= 1/alpha at any look would do in theory (Ville's inequality). A climb that ended too early can lift a look by
    some tenths of a nat, so what passes by less has to pass again.

    Examples
    --------
    >>> decision(np.log([1.0, 25.0, 10.0, 25.0, 25.0]), 0.05), decision(np.log([1.0, 35.0]), 0.05)
    (4, 1)
    """
    above = log_e >= -np.log(alpha)
    enough = log_e >= np.log(AT_ONCE / alpha)
    enough[1:] |= above[1:] & above[:-1]
    return int(enough.argmax()) if enough.any() else None


class Look(NamedTuple):
    """What one look says, and where its climbs ended."""

    log_e: float
    log_plain: float
    estimate: Estimate
    one_region: float
    explained: str
    kind: str
    lead: int
    starts: dict[str, Mode]
    known: dict[str, tuple[float, float]]
    """Of each null world: log evidence less the plain one's, and what the ad gains on it; as last fitted."""


def ticks(design: Design, airing: int) -> np.ndarray:
    """Return (L,) numbers of bins that had arrived at each look of an airing, so far."""
    close = (design.start + design.width)[: design.known] - design.onset[airing]
    arrived = np.einsum("m,mt->t", design.kernel_weight, np.cumsum(design.mass[:, airing, : design.known], axis=1))
    enough = close[np.searchsorted(arrived, WATCHED)] if arrived[-1] > WATCHED else np.inf
    chosen, due = [], 0.0
    last = design.known - (not design.whole)
    for t in np.flatnonzero(close[:last] > 1e-9):
        if close[t] >= due - 1e-9:
            chosen.append(t + 1)
            step = next((step for until, step in TICKS if close[t] < until - 1e-9), None)
            if step is None and close[t] > max(design.full_window[airing], TICKS[-1][0]):
                break
            due = close[t] + (step or TICKS[-1][1])
        if close[t] >= enough:
            break
    return np.array(chosen, dtype=int)


def log_bayes(score: np.ndarray, information: np.ndarray, scale: float) -> np.ndarray:
    """Log evidence for a half-normal A > 0 of sd ``scale`` against A = 0, from score and information (methods, 4)."""
    precision = information + scale**-2
    z = score / np.sqrt(precision)
    return np.log(2.0) - 0.5 * np.log1p(scale**2 * information) + 0.5 * z**2 + log_ndtr(z)


def look(design: Design, noise: Noise, airing: int, before: Look | None, turn: int, settings: Settings) -> Look | None:
    """Return what the data of ``design`` say now; None when no world could be fitted.

    Parameters
    ----------
    before
        The look before: climbs begin where its climbs ended.
    turn
        Number of the look. The plain world is fitted at every look; the others at every third, at every one while the
        evidence is within ``NEAR`` nats of the line or above it, and far behind at every fifth. In between a world
        keeps its distance to the plain one.
    """
    starts = dict(before.starts) if before else {}
    chosen = nulls(design, airing)
    base = chosen[min(1, len(chosen) - 1)]
    anchor = int(np.argmax(design.kernel_weight))
    lead = (
        before.lead if before and turn % AWAKE_EVERY else _lead(design, noise, airing, base, anchor, starts, settings)
    )
    known = dict(before.known) if before else {}
    fresh: dict[str, tuple[float, float]] = {}
    ask = partial(_ask, design, noise, airing, anchor, lead, base.name, starts, fresh, settings)
    ask(base)
    if base.name not in fresh:
        return None
    level = fresh[base.name][0]
    known[base.name] = (0.0, fresh[base.name][1])
    near = _plain(chosen, known) > -np.log(settings.alpha) - NEAR
    best = max(gap for gap, _ in known.values())
    for world in (w for w in chosen if w is not base):
        far = known.get(world.name, (best, 0.0))[0] < best - ASLEEP
        if world.name not in known or turn % (AWAKE_EVERY if far else 1 if near else AGAIN_EVERY) == 0:
            ask(world)
    known |= {name: (value - level, gain) for name, (value, gain) in fresh.items()}
    awake = [w for w in chosen if w.name in known]
    gaps = np.array([known[w.name][0] for w in awake])
    leader = awake[int(gaps.argmax())]
    mixed = log_sum([np.log(w.weight) + sum(known[w.name]) for w in awake])
    estimate = so_far(design, noise, airing, anchor, lead, starts, known, turn, settings)
    return Look(
        log_e=mixed - float(gaps.max()),
        log_plain=_plain(chosen, known),
        estimate=estimate,
        one_region=_alone(chosen, known),
        explained=leader.name,
        kind=leader.kind,
        lead=lead,
        starts=starts,
        known=known,
    )


def _ask(
    design: Design,
    noise: Noise,
    airing: int,
    anchor: int,
    lead: int,
    base: str,
    starts: dict[str, Mode],
    fresh: dict[str, tuple[float, float]],
    settings: Settings,
    world: World,
) -> None:
    """Fit a null world and add to ``fresh`` its log evidence and what the ad gains on it; to ``starts`` its mode."""
    found = climb_and_read(
        design, noise, world, anchor, np.array([airing]), lift_sd=settings.lift_sd, lead=lead,
        start=starts.get(world.name) or starts.get(base), tolerance=LOOSE, null=airing,
    )  # fmt: skip
    if found is None:
        return
    mode, bank = found
    gain = log_bayes(bank.score[:, 0], bank.information[:, 0, 0], LIFT_SCALE * float(baseline(design)[airing]))
    starts[world.name] = mode
    fresh[world.name] = mode.evidence, log_sum(gain + np.log(design.kernel_weight))


def _plain(chosen: tuple[World, ...], known: dict[str, tuple[float, float]]) -> float:
    """Return the log of the mixture over all null worlds with the ad over the same mixture without it."""
    rows = [(np.log(w.weight), *known[w.name]) for w in chosen if w.name in known]
    return log_sum([pi + gap + gain for pi, gap, gain in rows]) - log_sum([pi + gap for pi, gap, _ in rows])


def _lead(
    design: Design,
    noise: Noise,
    airing: int,
    world: World,
    anchor: int,
    starts: dict[str, Mode],
    settings: Settings,
) -> int:
    """Return the lead of the feed that fits best without the ad; all null worlds of a look share it."""
    if len(design.leads) < 2:
        return 0
    joint = np.full(len(design.leads), -np.inf)
    for lead in range(len(design.leads)):
        name = f"lead {lead}"
        mode = climb(
            design, noise, world, anchor, lift_sd=settings.lift_sd, lead=lead, start=starts.get(name), null=airing,
            tolerance=LOOSE,
        )  # fmt: skip
        if mode is not None:
            starts[name] = mode
            joint[lead] = mode.evidence + np.log(design.lead_weight[lead])
    best = int(joint.argmax())
    if f"lead {best}" in starts:
        starts[world.name] = starts[f"lead {best}"]
    return best


def _alone(chosen: tuple[World, ...], known: dict[str, tuple[float, float]]) -> float:
    """Return the log evidence of the one-region worlds over the others."""
    worlds = [w for w in chosen if w.name in known]
    one = np.array([w.kind == "one region" for w in worlds])
    if not one.any() or one.all():
        return -np.inf
    log_pi, value = np.log([w.weight for w in worlds]), np.array([known[w.name][0] for w in worlds])
    average = [log_sum(log_pi[m] + value[m]) - log_sum(log_pi[m]) for m in (one, ~one)]
    return float(average[0] - average[1])


def interval_scale(base: float, dispersion: float) -> float:
    """Return the sd of the mixture of the interval over time for a window of ``base`` conversions, set before it opens.

    ``sqrt((.1 base)^2 + 3^2 dispersion base)``, with ``NARROWEST``.
    """
    share, noise = NARROWEST
    return float(np.sqrt((share * base) ** 2 + noise**2 * dispersion * base))


def over_time(sd: np.ndarray, scale: float, alpha: float) -> np.ndarray:
    """Return half-widths that hold at all looks at once, from posterior sds (L,): a normal mixture (methods, 4).

    ``sd sqrt((1 + sd^2/s^2) [log(1 + s^2/sd^2) + 2 log(1/alpha)])``, s = ``scale``.
    """
    ratio = np.maximum(sd / scale, 1e-9) ** 2  # before the first viewer is served nothing is uncertain
    return sd * np.sqrt((1 + ratio) * (np.log1p(1 / ratio) - 2 * np.log(alpha)))
