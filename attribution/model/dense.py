"""A dense schedule in one fit: weeks of minutes, hundreds of airings that run into each other, nobody spared.

y_t ~ m_t + sum_j A_j f_jt, log m = level + daily harmonics + slow and fast wandering (methods, section 7). One curve f
is learnt across airings, amplitudes are partially pooled by what airings share. What no model of one series can
promise, that fake schedules are quiet, is learnt from the series itself: the whole schedule is shifted to where it did
not run, and as far as those totals go every interval goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr

from attribution.model import wander as wandering
from attribution.model.curve import CurvePrior, curve_prior
from attribution.model.features import categories, grouping, relative_spend
from attribution.model.level import Bins, Series, linearise
from attribution.model.pooling import Own, alone, benchmark, between, draw, leaning, variances
from attribution.model.schedule import (
    MOST_MISSING,
    Laid,
    Settled,
    Shifted,
    Weighing,
    effect,
    quiet_bins,
    reached,
    settle,
    shifted,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.settings import Settings

SHIFTS = 60
"""Placebo schedules: the least p is 1/61."""
GAMMAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Powers of spend that a response may grow with."""
STEPS = 4
"""Turns of amplitudes and curve around each other."""
BLOCK_S = 10_800.0
"""Seconds: longer than a burst, shorter than a day."""
DRAWS = 1000
BANDS = 100
"""Draws behind the bands of the bins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """One dense schedule, answered.

    Attributes
    ----------
    airings
        A row an airing, in the order given: position, incremental, lower, upper (pooled; the sums are right and the
        single interval is honest and wide), own, own_sd, z, p (its own evidence: nothing pooled; p from single airings
        of placebo schedules), counterfactual of the horizon, probability_positive. NaN where too little was observed.
    groups
        dimension, category, airings, incremental, lower, upper, p; the first line is the whole schedule. p is
        two-sided, from placebo schedules; the schedule's is not below that of its unevenness. Lines of a dimension
        add up to the schedule.
    curve
        lag_s, until_s, density (a second), lower, upper, share, share_lower, share_upper.
    tail
        Share of the response in minutes 4 to 15, with its interval.
    bins
        start (seconds since 1970), width_s, observed, counterfactual with its interval, ad with its interval:
        conversions a bin.
    placebos
        (K,) z of the schedule's total at places where it did not run.
    inflation
        At least 1: how many times as wide as the sd of the total would have it an interval of level 1 - alpha has to
        be to hold the placebos' totals.
    horizon_s
        Seconds after the start over which a response is summed.
    """

    airings: pd.DataFrame
    groups: pd.DataFrame
    curve: pd.DataFrame
    tail: tuple[float, float, float]
    bins: pd.DataFrame
    placebos: np.ndarray
    inflation: float
    horizon_s: float


class Fitted(NamedTuple):
    """A schedule settled, and what its responses are measured by."""

    series: Series
    laid: Laid
    own: Own
    shares: np.ndarray
    amount: np.ndarray
    scale: np.ndarray
    """(J,) s_j: spend to a learnt power."""
    spread: float
    """Size of a response of scale 1, or of its error where that is larger."""


def fit_dense(
    start: np.ndarray,
    width: np.ndarray,
    counts: np.ndarray,
    completeness: np.ndarray,
    airings: pd.DataFrame,
    settings: Settings,
    *,
    shifts: int = SHIFTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Dense:
    """Fit one series with a dense schedule of airings.

    Parameters
    ----------
    start, width
        (T,) bins: seconds since 1970, and seconds.
    counts
        (T,) conversions of the exposed regions together; NaN where unknown: such a bin is left out.
    completeness
        (T,) share of each bin's events that was counted, in [0, 1].
    airings
        One row an airing: start (UTC), and creative, network, spend where known.
    settings
        Level of the intervals, prior of the response, stream delay.
    shifts
        Placebo schedules.
    seed
        Of the draws.
    progress
        Told how many steps are done, and of how many: the schedule itself, then each placebo schedule.

    Returns
    -------
    Dense

    Raises
    ------
    ValueError
        When bins and counts differ in length, or fewer than 60 bins or 2 airings can be used.

    Examples
    --------
    >>> from attribution.settings import Settings
    >>> rng = np.random.default_rng(1)
    >>> start = 60.0 * np.arange(1440)
    >>> spots = pd.DataFrame({"start": pd.to_datetime(np.sort(rng.integers(0, 85000, 40)), unit="s", utc=True)})
    >>> quiet = rng.poisson(50.0, 1440).astype(float)
    >>> found = fit_dense(start, np.full(1440, 60.0), quiet, np.ones(1440), spots, Settings(), shifts=19)
    >>> line = found.groups.iloc[0]
    >>> line["dimension"], int(line["airings"]), bool(line["lower"] < 0 < line["upper"])
    ('schedule', 40, True)

    References
    ----------
    Pfeffermann (2013), New important developments in small area estimation, Statistical Science 28: benchmarking.
    """
    bins, onset = _checked(start, width, counts, completeness, airings)
    prior = curve_prior(settings, float(np.median(width)))
    heard = np.flatnonzero(reached(bins, onset, prior) > MOST_MISSING)
    heard = heard[np.lexsort((relative_spend(airings)[heard], onset[heard]))]
    if len(heard) < 2:
        raise ValueError(
            f"airings holds {len(heard)} whose response was observed; give at least 2, inside the counts' time"
        )
    labels = categories(airings.iloc[heard])
    fitted = _fit(bins, onset[heard], relative_spend(airings.iloc[heard]), prior)
    weighing, names = _weigh(fitted, labels)
    placebo = shifted(Settled(*fitted[:5]), onset[heard], weighing, prior, shifts=shifts, progress=progress)
    span = ndtri(1 - settings.alpha / 2)
    inflation = _inflation(placebo.total, settings.alpha) if shifts else 1.0
    total, sd = float(fitted.own.totals[0]), float(fitted.own.totals_covariance[0, 0] ** 0.5)
    draws = _draws(fitted, weighing, (total, sd * inflation), np.random.default_rng(seed))
    frame, ad = _bins(fitted, draws, span)
    sums = weighing.sums(fitted.laid, np.arange(len(heard)))
    even = _spread_p(fitted, onset[heard])
    curve, tail = _curve(fitted, prior, span)
    return Dense(
        airings=_airings(fitted, draws, placebo, frame, onset, heard, prior, settings.alpha),
        groups=_groups(draws, weighing.groups, names, placebo, (total, sd, inflation), sums, span, even),
        curve=curve,
        tail=tail,
        bins=frame.assign(**ad),
        placebos=placebo.total,
        inflation=inflation,
        horizon_s=float(prior.edges[-1] - prior.edges[0]),
    )


def _inflation(z: np.ndarray, alpha: float) -> float:
    """Return the |z| that a share alpha of placebos passes over the one of a normal law, at least 1; z is (K,).

    The real schedule is one more place among theirs: its error passes the ceil((1 - alpha)(K + 1))-th of them with a
    chance of alpha at most, whatever their law (Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World).
    """
    rank = min(int(np.ceil((1 - alpha) * (len(z) + 1))), len(z))
    return float(max(np.sort(np.abs(z))[rank - 1] / ndtri(1 - alpha / 2), 1.0))


def _weigh(fitted: Fitted, labels: pd.DataFrame) -> tuple[Weighing, list[tuple[str, str]]]:
    """Learn how much airings share; of deviations, what moments say if that is more than the likelihood allows."""
    features, groups, names = grouping(labels)
    omega2, tau2 = variances(fitted.laid.system, fitted.scale, features, fitted.spread)
    omega2 = max(omega2, between(fitted.own, fitted.scale)[1])
    return Weighing(fitted.scale, features, omega2, tau2, groups), names


def _draws(fitted: Fitted, weighing: Weighing, whole: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Return (S, J) draws of the amplitudes, around their exact mean, whose sums are draws of the whole."""
    lean = leaning(fitted.laid.system, fitted.scale, weighing.features, weighing.omega2, weighing.tau2)
    found = draw(lean, DRAWS, rng)
    found += alone(lean, np.zeros((found.shape[1], 1)), each=False).estimate - found.mean(axis=0)
    return benchmark(found, fitted.scale, *whole, rng)


def _checked(
    start: np.ndarray, width: np.ndarray, counts: np.ndarray, completeness: np.ndarray, airings: pd.DataFrame
) -> tuple[Bins, np.ndarray]:
    """Return the bins and the airings' starts (J,) in seconds."""
    sizes = {len(start), len(width), len(counts), len(completeness)}
    if len(sizes) > 1:
        raise ValueError(f"start, width, counts and completeness have lengths {sorted(sizes)}; give one value a bin")
    exposure = np.nan_to_num(completeness, nan=1.0) * width / np.median(width) if len(width) else width
    bins = Bins(np.asarray(start, float), np.asarray(width, float), np.asarray(counts, float), exposure)
    if bins.known.sum() < 60:
        raise ValueError(f"counts holds {bins.known.sum()} known bins; a dense fit needs at least 60")
    onset = pd.to_datetime(airings["start"], utc=True).to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    return bins, onset


def _fit(bins: Bins, onset: np.ndarray, spend: np.ndarray, prior: CurvePrior) -> Fitted:
    """Learn the baseline, the power of spend, the curve and every airing's own response."""
    series = linearise(bins, quiet_bins(bins, onset, prior))
    sizes = [size(series, onset, spend**gamma, prior) for gamma in (GAMMAS if np.ptp(spend) else GAMMAS[:1])]
    best = int(np.argmax([abs(b) / sd for b, sd in sizes]))
    scale, (b, sd) = spend ** GAMMAS[best], sizes[best]
    return Fitted(*settle(series, onset, scale, b, prior, STEPS), scale, max(abs(b), sd))


def _spread_p(fitted: Fitted, onset: np.ndarray) -> float:
    """Return the p of the total against its own unevenness: an effect is everywhere, a burst is in one place.

    Deviations of the airings' own responses from b s_j are summed in blocks of three hours (Liang and Zeger 1986).
    """
    own, scale = fitted.own.estimate, fitted.scale
    _, block = np.unique(np.floor(onset / BLOCK_S), return_inverse=True)
    blocks = int(block.max()) + 1
    if blocks < 3:
        return 0.0
    apart = np.bincount(block, own - own.sum() / scale.sum() * scale)
    sd = np.sqrt(blocks / (blocks - 1) * (apart**2).sum())
    return float(2 * stdtr(blocks - 1, -np.abs(own.sum()) / max(sd, 1e-12)))


def _groups(
    draws: np.ndarray,
    groups: np.ndarray,
    names: list[tuple[str, str]],
    placebo: Shifted,
    whole: tuple[float, float, float],
    sums: np.ndarray,
    span: float,
    even: float,
) -> pd.DataFrame:
    """Return a line a group: the pooled sum, its interval, and how often a placebo schedule went as far."""
    totals = draws @ groups
    middle, sd = totals.mean(axis=0), totals.std(axis=0)
    middle[0], sd[0] = whole[0], whole[1] * whole[2]
    against = np.column_stack([placebo.total, placebo.groups[:, 1:]])
    z = np.concatenate([[whole[0] / whole[1]], sums[1:]])
    p = (1 + (np.abs(against) >= np.abs(z)).sum(axis=0)) / (1 + len(against))
    p[0] = max(p[0], even)
    return pd.DataFrame(
        {
            "dimension": [name for name, _ in names],
            "category": [category for _, category in names],
            "airings": groups.sum(axis=0).astype(int),
            "incremental": middle,
            "lower": middle - span * sd,
            "upper": middle + span * sd,
            "p": p if len(against) else np.nan,
        }
    )


def _airings(
    fitted: Fitted,
    draws: np.ndarray,
    placebo: Shifted,
    frame: pd.DataFrame,
    onset: np.ndarray,
    heard: np.ndarray,
    prior: CurvePrior,
    alpha: float,
) -> pd.DataFrame:
    """Return a row an airing, in the order given."""
    own, sd = fitted.own.estimate, fitted.own.sd
    z = own / sd
    size = np.sort(np.abs(placebo.each))
    p = (1 + len(size) - np.searchsorted(size, np.abs(z), side="left")) / (1 + len(size))
    bins = fitted.series.bins
    ends = np.append(bins.start, bins.start[-1] + bins.width[-1])
    running = np.concatenate([[0.0], np.cumsum(frame["counterfactual"])])
    low, high = (np.interp(onset[heard] + edge, ends, running) for edge in prior.edges[[0, -1]])
    lower, upper = np.quantile(draws, [alpha / 2, 1 - alpha / 2], axis=0)
    middle = draws.mean(axis=0)
    rows = {
        "incremental": middle,
        "lower": np.minimum(lower, middle),
        "upper": np.maximum(upper, middle),
        "own": own,
        "own_sd": sd,
        "z": z,
        "p": p if len(size) else 2 * ndtr(-np.abs(z)),
        "counterfactual": high - low,
        "probability_positive": (draws > 0).mean(axis=0),
    }
    table = pd.DataFrame({name: np.full(len(onset), np.nan) for name in rows})
    for name, values in rows.items():
        table.loc[heard, name] = values
    table.insert(0, "position", np.arange(len(onset)))
    return table


def _curve(fitted: Fitted, prior: CurvePrior, span: float) -> tuple[pd.DataFrame, tuple[float, float, float]]:
    """Return the response curve, a row a stretch, and the share of the tail with its interval."""
    L = len(prior.mean)
    share, covariance = fitted.shares + fitted.own.long[:L], fitted.own.long_covariance[:L, :L]
    sd = np.sqrt(np.diag(covariance))
    width = np.diff(prior.edges)
    frame = pd.DataFrame(
        {
            "lag_s": prior.edges[:-1],
            "until_s": prior.edges[1:],
            "density": share / width,
            "lower": (share - span * sd) / width,
            "upper": (share + span * sd) / width,
            "share": share,
            "share_lower": share - span * sd,
            "share_upper": share + span * sd,
        }
    )
    late = prior.late.astype(float)
    tail, tail_sd = float(share @ late), float(np.sqrt(late @ covariance @ late))
    return frame, (tail, tail - span * tail_sd, tail + span * tail_sd)


def _bins(fitted: Fitted, draws: np.ndarray, span: float) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return what each bin would have held without the ads, and what they added, with bands."""
    series, laid = fitted.series, fitted.laid
    middle = draws.mean(axis=0)
    rest = series.zeta - effect(series, laid, middle)
    beta, _ = wandering.generalised(series.gain, rest, series.fixed)
    _, path, sd = wandering.smooth(series.gain, rest - beta @ series.fixed)
    without = series.bins.exposure * np.exp(beta @ series.fixed + path)
    frame = pd.DataFrame(
        {
            "start": series.bins.start,
            "width_s": series.bins.width,
            "observed": series.bins.y,
            "counterfactual": without,
            "counterfactual_lower": without * np.exp(-span * sd),
            "counterfactual_upper": without * np.exp(span * sd),
        }
    )
    reach = int(np.count_nonzero((laid.columns != 0).any(axis=0)))
    near = laid._replace(columns=laid.columns[:, :reach])
    scale = series.bins.exposure * series.level
    some = np.array([effect(series, near, draw) for draw in draws[:: max(len(draws) // BANDS, 1)]])
    ad, spread = effect(series, near, middle) * scale, some.std(axis=0) * scale
    return frame, {"ad": ad, "ad_lower": ad - span * spread, "ad_upper": ad + span * spread}
