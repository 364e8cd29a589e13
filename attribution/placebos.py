"""The same fit where no ad ran: how often this series makes such a jump by itself (methods, section 5).

Placebos are earlier moments of the same series, matched to the airing: in a declared break if it ran in one; else the
nearest by rate, burstiness, hour and age. Their spread widens the interval, and their ranks are the p values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from attribution.frames import moments
from attribution.model.series import Estimates, Series, Window, estimate, excerpts, flat, learn, likelihoods, path
from attribution.ranks import placebo_p

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from attribution.matching import Pool

NEEDED = {"moments": 79, "breaks": 39}
"""Fewer give no verdict: the false-claim rate would move by over 3 points from one calibration to the next."""

SIGMAS = 1.96
"""A claim needs the statistic itself beyond this as well."""


PART = 25
"""Moments that are evaluated at a time."""

Memory = dict[tuple[int, int, int], dict[int, np.ndarray]]
"""Log likelihoods by (before, response, after) and bin position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebos:
    """What an airing adds, judged by the same fit at moments without it.

    Attributes
    ----------
    amount, sd, lower, upper
        Conversions beyond the counterfactual in the window so far, and the interval, widened where placebos say so.
    counterfactual
        Conversions expected without the ad in that window; in a break with what breaks by themselves do.
    z
        Amount over sd (in breaks: of the lift relative to other breaks').
    p, watched_p
        Two-sided rank of z among the placebos; the same for the largest |z| so far among the largest of a whole
        response, valid however often it was looked at. NaN where there are too few.
    n, needed, kind
        Placebos, how many a verdict needs, and ``"breaks"`` or ``"moments"``.
    factor
        Width of the interval over what the model alone would give; 1 without enough placebos.
    kernel_share
        Weight of the kernels' answer beside the one that assumes no shape.
    window_s
        Seconds from the airing's bin on that the amount is summed over.
    arrived
        Share of a response that is expected to have arrived by now.
    path
        (L, 3) after each bin so far: seconds since 1970, amount and sd on what had come by then.
    table
        time, estimate, sd, z, watched_z: a row a placebo.
    bins
        time, counterfactual, counterfactual_lower, counterfactual_upper, ad, share: a row a bin around the airing;
        inside the window the counterfactual and the ad add up to those of the answer, and share (of the ad) to 1.
    sentence
        The comparison in words.
    claimed
        Whether p <= alpha and |z| > 1.96.
    """

    amount: float
    sd: float
    lower: float
    upper: float
    counterfactual: float
    z: float
    p: float
    watched_p: float
    n: int
    needed: int
    kind: str
    factor: float
    kernel_share: float
    window_s: float
    arrived: float
    path: np.ndarray
    table: pd.DataFrame
    bins: pd.DataFrame
    sentence: str
    claimed: bool


def compare(
    series: Series,
    window: Window,
    place: int,
    comparison: Pool,
    *,
    alpha: float = 0.05,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    memory: Memory | None = None,
) -> Placebos | None:
    """Estimate what began at a bin, and rank it among placebos; None where nothing of the response has come.

    Parameters
    ----------
    series, window
        From :mod:`attribution.model.series`.
    place
        Position of the bin the airing began in.
    comparison
        From `pool` or `breaks`.
    executor
        Evaluates the placebos in parts; the compiled fit releases the interpreter, so threads are enough.
    progress
        Called with (placebos done, all of them).
    memory
        Keeps what was computed at moments of this series for the next airing in it.

    Returns
    -------
    Placebos
        At the end of the series, when the response is over, by all bins around it; before that by those so far.
    """
    arrived = min(window.response, len(series.y) - place)
    if arrived < 1 or not np.isfinite(series.y[place : place + arrived]).any():
        return None
    over = place + window.response + window.after <= len(series.y)
    at = np.append(comparison.place, place)
    watched, afterwards = _evaluated(series, window, at, executor, progress, {} if memory is None else memory)
    paths = watched.found
    fixed = afterwards.found if over else Estimates(*(part[:, arrived - 1 : arrived] for part in paths))
    told = _ranked(series, comparison, paths, fixed, arrived, alpha)
    bins = _bins(series, window if over else window.live(), place, afterwards if over else watched, told, arrived)
    ends = series.at(place + 1 + np.arange(arrived))
    return replace(
        told,
        path=np.column_stack([ends, paths.amount[-1, :arrived], paths.sd[-1, :arrived]]),
        bins=bins,
        window_s=float(window.inside[:arrived].sum() * series.step),
        arrived=float((window.prior @ window.mass[:, :arrived]).sum()),
    )


class _Round(NamedTuple):
    """One way of looking at all moments."""

    found: Estimates
    like: np.ndarray
    """(G,) log likelihoods of the scales around the airing."""
    prior: np.ndarray


def _evaluated(
    series: Series,
    window: Window,
    at: np.ndarray,
    executor: Executor | None,
    progress: Callable[[int, int], None] | None,
    memory: Memory,
) -> tuple[_Round, _Round]:
    """Return the watched paths and the answers afterwards at (M + 1,) moments, the airing's last.

    The prior of the scales is learnt from the placebos: earlier windows of the same series that are like the airing's.
    """
    answers = []
    run = executor.map if executor else map
    done, total = 0, 2 * len(at)
    for look, live in ((window.live(), True), (window, False)):
        known = memory.setdefault((look.before, look.response, look.after), {})
        new = [place for place in at.tolist() if place not in known]
        done += len(at) - len(new)
        parts = [part for part in np.array_split(new, len(new) // PART + 1) if len(part)]
        for part, rows in zip(parts, run(likelihoods, repeat(series), parts, repeat(look)), strict=False):
            known.update(zip(part.tolist(), rows, strict=True))
            done += len(part)
            if progress:
                progress(done // 2, total // 2)
        log_likelihood = np.array([known[place] for place in at.tolist()])
        prior = learn(log_likelihood[:-1], flat(series.step))
        whole = estimate(series, at, look, log_likelihood, prior, live=live)
        answers.append(_Round(whole, log_likelihood[-1], prior))
    return answers[0], answers[1]


def _bins(series: Series, window: Window, place: int, one: _Round, told: Placebos, arrived: int) -> pd.DataFrame:
    """Lay the answer over the bins around the airing: each part adds up to the whole inside the window."""
    expected, relative = path(series, place, window, one.like, one.prior)
    y, share, _ = (part[0] for part in excerpts(series, np.array([place]), window))
    inside = np.zeros(len(y), dtype=bool)
    inside[window.before : window.before + arrived] = window.inside[:arrived] > 0
    expected[inside] *= told.counterfactual / max(expected[inside].sum(), 1e-9)
    shape = np.zeros(len(y))
    shape[window.before : window.before + window.response] = window.prior @ window.mass
    shape = np.where(inside, shape, 0.0)
    shape = shape / shape.sum() if shape.sum() > 0 else inside / inside.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.where(inside & np.isfinite(y), y / share - expected, 0.0)
    rough = (1.0 - told.kernel_share) * left
    reach = SIGMAS * told.factor * relative
    return pd.DataFrame(
        {
            "time": series.at(place - window.before + np.arange(len(y))),
            "counterfactual": expected,
            "counterfactual_lower": expected * np.exp(-reach),
            "counterfactual_upper": expected * np.exp(reach),
            "ad": rough + (told.amount - rough.sum()) * shape,
            "share": shape,
        }
    )


def _ranked(
    series: Series, comparison: Pool, paths: Estimates, fixed: Estimates, arrived: int, alpha: float
) -> Placebos:
    """Turn the estimates into ranks, widths and words; the airing is the last row."""
    broken = comparison.kind == "breaks" and len(comparison.place) >= 5
    fixed, z = against_breaks(fixed) if broken else (fixed, fixed.z)
    watched = against_breaks(paths)[1] if broken else paths.z
    own, others = float(z[-1, 0]), z[:-1, 0]
    kept = np.isfinite(others) & np.isfinite(watched[:-1]).any(axis=1)
    others, paths_z = others[kept], watched[:-1][kept]
    needed, n = NEEDED[comparison.kind], len(others)
    enough = n >= needed
    top = np.nanmax(paths_z, axis=1) if n else np.empty(0)
    low = np.nanmin(paths_z, axis=1) if n else np.empty(0)
    p = two_sided(np.array([own]), others, others) if enough else np.nan
    watched_p = two_sided(watched[-1, :arrived], top, low) if enough else np.nan
    up, down = widths(others, alpha) if enough else (SIGMAS, SIGMAS)
    amount, sd = float(fixed.amount[-1, 0]), float(fixed.sd[-1, 0])
    columns = {"estimate": fixed.amount[:-1, 0][kept], "sd": fixed.sd[:-1, 0][kept], "z": others}
    table = pd.DataFrame({"time": moments(series.at(comparison.place[kept])), **columns})
    return Placebos(
        amount=amount,
        sd=sd,
        lower=amount - up * sd,
        upper=amount + down * sd,
        counterfactual=float(fixed.counterfactual[-1, 0]),
        z=own,
        p=p,
        watched_p=watched_p,
        n=n,
        needed=needed,
        kind=comparison.kind,
        factor=(up + down) / (2 * SIGMAS),
        kernel_share=float(fixed.kernel_share[-1, 0]),
        window_s=0.0,
        arrived=1.0,
        path=np.empty((0, 3)),
        table=table.assign(watched_z=np.where(top > -low, top, low)),
        bins=pd.DataFrame(),
        sentence=_words(comparison.kind, n, needed, own, others, p, watched_p),
        claimed=bool(enough and p <= alpha and abs(own) > SIGMAS),
    )


def against_breaks(found: Estimates) -> tuple[Estimates, np.ndarray]:
    """Return amounts beyond what breaks do by themselves, and their statistics (methods, section 2.4).

    ``r = (A/B - mean)/sqrt(s^2/B^2 + tau^2)``, mean and tau^2 by random effects (DerSimonian & Laird 1986) over all
    rows, the airing's among them: the ranks are then exact where breaks are exchangeable.
    """
    lift, var = found.amount / found.counterfactual, (found.sd / found.counterfactual) ** 2
    weight = 1.0 / var
    fixed = (weight * lift).sum(axis=0) / weight.sum(axis=0)
    excess = (weight * (lift - fixed) ** 2).sum(axis=0) - (len(lift) - 1)
    tau2 = np.maximum(excess / (weight.sum(axis=0) - (weight**2).sum(axis=0) / weight.sum(axis=0)), 0.0)
    weight = 1.0 / (var + tau2)
    mean = (weight * lift).sum(axis=0) / weight.sum(axis=0)
    sd = np.sqrt(var + tau2)
    base = found.counterfactual
    beyond = Estimates((lift - mean) * base, sd * base, base * (1.0 + mean), found.kernel_share)
    return beyond, (lift - mean) / sd


def two_sided(path: np.ndarray, top: np.ndarray, low: np.ndarray) -> float:
    """Return the two-sided p of a path's largest and smallest value among placebos' (M,) largest and smallest.

    Examples
    --------
    >>> two_sided(np.array([0.0, 5.0]), np.arange(-2.0, 3.0), np.arange(-2.0, 3.0))
    0.3333333333333333
    """
    path = path[np.isfinite(path)]
    if not len(path):
        return float("nan")
    up = float(placebo_p(path, top)[-1])
    down = float(placebo_p(-path, -low)[-1])
    return min(1.0, 2.0 * min(up, down))


def widths(z: np.ndarray, alpha: float) -> tuple[float, float]:
    """Return how many sd the interval reaches below and above the amount: (M,) placebo z.

    Conformal quantiles: the interval leaves out zero only where the rank p is at most alpha.
    """
    order = np.sort(z)
    rank = int(np.ceil((len(z) + 1) * (1.0 - alpha / 2)))
    high = order[rank - 1] if rank <= len(z) else np.inf
    low = order[len(z) - rank] if rank <= len(z) else -np.inf
    widest = order[-1], order[0]
    return (
        float(max(SIGMAS, high if np.isfinite(high) else 1.2 * widest[0])),
        float(max(SIGMAS, -low if np.isfinite(low) else -1.2 * widest[1])),
    )


def _words(kind: str, n: int, needed: int, own: float, others: np.ndarray, p: float, watched_p: float) -> str:
    """Return the comparison as a sentence."""
    if n < needed:
        return f"not enough {kind} to compare with: {n} of {needed}"
    as_far = int((others >= own).sum() if own >= 0 else (others <= own).sum())
    where = "earlier breaks without the ad" if kind == "breaks" else "moments like this one without the ad"
    move = "rose" if own >= 0 else "fell"
    return f"{as_far} of {n} {where} {move} as far: placebo p {p:.2g}, {watched_p:.2g} if it was watched all along"
