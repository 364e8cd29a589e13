"""By how much the airings' clock differs from the conversions': the whole evidence, or that it cannot be told.

Over all airings the counts are laid on top of each other around the starts, and a response of every plausible lag is
sought at every offset (a matched filter). Offset and lag are confounded: what is found is the moment of the response,
and the prior of its lag makes the interval. Chance is measured where it stands, at the offsets that are not the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.fft import next_fast_len
from scipy.linalg import solve_toeplitz

from attribution.faults import AIRINGS
from attribution.lags import Kernel
from attribution.layouts import normalise
from attribution.tables import count_of

if TYPE_CHECKING:
    from attribution.counts import Counts

REACH = 900.0
"""Seconds to either side that are searched; wrong zones are whole hours and are found by ``preflight``."""
SPAN = 300.0
"""Seconds of a response that are looked at."""
LEVEL = 1200.0
"""Seconds to either side of a bin whose mean is its level."""
MODES = np.geomspace(8.0, 90.0, 13)
"""Lags of the highest response, seconds."""
PEAK, LOGSD = 30.0, 0.7
"""Prior of that lag: the default of :class:`attribution.settings.Settings`."""
SHAPES = (2.0, 3.0, 5.0)
TEMPER = 0.3
"""Power of the likelihood: kernels and noise are not quite those of the data (tests hold the intervals to it)."""
MEMORY = 60.0
"""Seconds of the noise's memory that are taken out."""
LONGEST = 200_000
"""Steps of the series that the noise is learnt from."""
MISFIT = 5.0
"""Seconds that no interval is narrower than, to either side: no response is exactly one of these kernels."""
TINY = 1e-9
MOST = 300
"""Airings used at most, evenly taken: more change nothing that can be seen."""
CLIPPED = 3.0
"""Sd: one airing may not decide for all."""
FOUND = 4.5
"""Sd of the response at its best offset. About 30 offsets x 3 lags are independent: chance passes it in 1 of 3,000."""
WIDEST = 240.0
"""Seconds: an interval wider than this tells nothing that a start rounded to minutes does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How the two clocks differ.

    Attributes
    ----------
    seconds, lower, upper
        To be added to the airings' times: posterior median and central 95%; NaN where it cannot be told.
    told
        Whether the data tell it.
    why
        In words: what it rests on, or why it cannot be told.
    curve
        offset_s, score (sd of the response sought there, the best lag), density (per second; 0 where not told).
    airings
        How many airings it rests on.
    """

    seconds: float
    lower: float
    upper: float
    told: bool
    why: str
    curve: pd.DataFrame
    airings: int

    @property
    def needed(self) -> bool:
        """Whether the clocks differ for certain: the interval excludes 0."""
        return self.told and not self.lower <= 0 <= self.upper


def clock_offset(counts: Counts, airings: pd.DataFrame, *, reach: float = REACH) -> Offset:
    """Estimate what must be added to the airings' times to bring them onto the conversions' clock.

    Parameters
    ----------
    counts, airings
        As the readers return them.
    reach
        Seconds to either side that are searched.

    Returns
    -------
    Offset
        ``told`` is False with fewer than three airings, when nothing stands out, or when the interval is too wide.

    Examples
    --------
    >>> from attribution.counts import Counts
    >>> rng, n = np.random.default_rng(7), 7200
    >>> rate = np.full(n, 20.0)
    >>> for start in (1500, 3300, 5100):
    ...     rate[start + 60 + 20:start + 60 + 60] += 12.0  # the counts' clock is a minute ahead
    >>> feed = Counts(start=(1_770_000_000 + np.arange(n)).astype("datetime64[s]").astype("datetime64[ns]"),
    ...               width=np.ones(n), values=rng.poisson(rate)[:, None, None, None].astype(float),
    ...               completeness=np.ones((n, 1)))
    >>> starts = pd.to_datetime(1_770_000_000 + np.array([1500, 3300, 5100]), unit="s", utc=True)
    >>> found = clock_offset(feed, pd.DataFrame({"airing": list("abc"), "start": starts, "regions": ""}))
    >>> found.told, found.needed, abs(found.seconds - 60) < 30
    (True, True, True)
    """
    step = float(np.clip(np.round(np.median(counts.width) / 10), 1.0, 10.0)) if len(counts.start) else 1.0
    offsets = np.arange(-round(reach / step), round(reach / step) + 1) * step
    nothing = pd.DataFrame({"offset_s": offsets, "score": np.nan, "density": 0.0})
    rows, noise = _around(counts, airings, offsets, step)
    if len(rows) < AIRINGS:
        few = count_of(len(rows), "airing")
        why = f"{few} with counts for {reach / 60:g} min before and after; {AIRINGS} are needed"
        return _untold(why, nothing, len(rows))
    score, sure = _scores(rows, noise, step, float(np.median(counts.width)), len(offsets))
    curve = nothing.assign(score=score.max(axis=0))
    if sure.max() < FOUND:
        why = f"no response stands out ({sure.max():.1f} sd at best, {FOUND:g} are needed)"
        return _untold(why, curve, len(rows))
    mass = _posterior(score)
    total = np.cumsum(mass) - mass / 2
    blur = max(float(np.median(counts.width)) / 2, MISFIT)
    middle, lower, upper = (float(np.interp(p, total, offsets)) for p in (0.5, 0.025, 0.975))
    lower, upper = min(lower, middle - blur), max(upper, middle + blur)
    if upper - lower > WIDEST or max(-lower, upper) > reach - SPAN / 2:
        return _untold(f"it could be anything from {lower:+.0f} s to {upper:+.0f} s", curve, len(rows))
    rests = f"the responses of {count_of(len(rows), 'airing')} together ({sure.max():.1f} sd)"
    late = f"come {abs(middle):.0f} s {'later' if middle > 0 else 'earlier'} than they should"
    why = f"{rests} {'fit where they are' if lower <= 0 <= upper else late}"
    curve = curve.assign(density=mass / step)
    return Offset(seconds=middle, lower=lower, upper=upper, told=True, why=why, curve=curve, airings=len(rows))


def shifted(airings: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """Move airings in time, seconds; the caller's frame stays as it was."""
    out = airings.copy()
    out["start"] = out["start"] + pd.Timedelta(seconds=seconds)
    out.attrs = {"findings": list(airings.attrs.get("findings", [])), "mapping": dict(airings.attrs.get("mapping", {}))}
    return normalise(out)


def _untold(why: str, curve: pd.DataFrame, n: int) -> Offset:
    return Offset(seconds=np.nan, lower=np.nan, upper=np.nan, told=False, why=why, curve=curve, airings=n)


def _around(counts: Counts, airings: pd.DataFrame, offsets: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Lay white counts around each start.

    Returns
    -------
    (J, G) float, (P,) float
        Steps around each start, airings without counts left out; the filter, bin by bin, that made them white.
    """
    grid = np.arange(len(offsets) + round(SPAN / step) + 1) * step + offsets[0]
    start = pd.DatetimeIndex(airings["start"]).as_unit("ns").asi8 / 1e9
    pick = np.unique(np.linspace(0, len(start) - 1, min(len(start), MOST)).round().astype(int)) if len(start) else []
    edges = np.append(counts.seconds, counts.seconds[-1] + counts.width[-1]) if len(counts.start) else np.zeros(1)
    sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    rows = []
    for j in pick:
        regions = str(airings["regions"].iloc[j])
        if regions not in sums:
            sums[regions] = _white(counts, regions)
        at = start[j] + grid
        if at[0] >= edges[0] - REACH / 2 and at[-1] <= edges[-1] + REACH / 2:
            rows.append(np.diff(np.interp(at, edges, sums[regions][0])))
    if not rows:
        return np.zeros((0, len(grid) - 1)), np.ones(1)
    return np.array(rows), next(iter(sums.values()))[1]


def _white(counts: Counts, regions: str) -> tuple[np.ndarray, np.ndarray]:
    """Sum up, over the exposed regions, the counts above their level, made white; and the filter that did it."""
    named = [part for part in regions.split("|") if part]
    mine = [r in named for r in counts.regions]
    total = counts.total[:, mine].sum(axis=1) if any(mine) else counts.total.sum(axis=1)
    known = np.isfinite(total)
    y, width = np.where(known, total, 0.0), np.where(known, counts.width, 0.0)
    ends = np.append(counts.seconds, counts.seconds[-1] + counts.width[-1])
    middle = counts.seconds + counts.width / 2
    sum_y, sum_w = (np.concatenate([[0.0], np.cumsum(v)]) for v in (y, width))
    low, high = middle - LEVEL, middle + LEVEL
    span = np.interp(high, ends, sum_w) - np.interp(low, ends, sum_w)
    rate = (np.interp(high, ends, sum_y) - np.interp(low, ends, sum_y)) / np.where(span > 0, span, np.inf)
    level = rate * width
    above = np.where(known & (level > 0), (y - level) / np.sqrt(np.maximum(level, TINY)), 0.0)
    noise = _whitener(above[:LONGEST], max(round(MEMORY / float(np.median(counts.width))), 1))
    return np.concatenate([[0.0], np.cumsum(np.convolve(above, noise)[: len(above)])]), noise


def _whitener(series: np.ndarray, order: int) -> np.ndarray:
    """Coefficients of the autoregression whose innovations the series is made of (Yule-Walker), 1 first."""
    series = series - series.mean()
    size = next_fast_len(2 * len(series), real=True)
    cov = np.fft.irfft(np.abs(np.fft.rfft(series, size)) ** 2, size)[: order + 1] / max(len(series), 1)
    if len(cov) <= order or cov[0] <= 0:
        return np.ones(1)
    cov[0] *= 1.0 + 1e-6
    return np.concatenate([[1.0], -solve_toeplitz(cov[:order], cov[1 : order + 1])])


def _scores(rows: np.ndarray, noise: np.ndarray, step: float, width: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Seek every kernel at every offset.

    Returns
    -------
    (K, n) float
        Sd of the response of all airings together: half its square is the log-likelihood.
    (n,) float
        The best kernel's, with no airing allowed more than its share, in units of its own chance.
    """
    lags, bins = np.arange(0, SPAN + step / 2, step), max(round(width / step), 1)
    spread = np.zeros((len(noise) - 1) * bins + 1)
    spread[::bins] = noise
    blur = np.ones(bins) / bins  # counts are known by the bin: laid around a start, they are spread over it
    found = []
    for shape in SHAPES:
        for mode in MODES:
            mass = np.diff(Kernel(family="gamma", mode=float(mode), shape=shape).cdf(lags))
            sought = np.convolve(np.convolve(mass, spread)[: len(mass)], blur)
            ahead = (bins - 1) // 2  # the blur is around its middle
            norm = np.convolve(sought, blur)
            found.append(_correlate(np.pad(rows, ((0, 0), (ahead, bins))), sought, n) / np.sqrt(float(norm @ norm)))
    chance = max(float(np.median([_sd(each) for each in found])), TINY)
    score, sure = [], []
    for raw in found:
        each = raw / chance
        peak = each.max(axis=1, keepdims=True)
        weight = np.minimum(1.0, 2.0 * np.median(peak) / np.maximum(peak, TINY))
        score.append((weight * each).sum(axis=0) / np.sqrt(float((weight**2).sum())))
        fair = np.clip(each, -CLIPPED, CLIPPED).sum(axis=0) / np.sqrt(len(each))
        sure.append(fair / max(_sd(fair), 1.0))
    scale = max(float(np.median([_sd(one) for one in score])), 1.0)
    return np.stack(score) / scale, np.stack(sure).max(axis=0)


def _sd(values: np.ndarray) -> float:
    """Sd by the median: what a response adds at few offsets does not raise it."""
    return float(np.median(np.abs(values - np.median(values))) * 1.4826)


def _correlate(rows: np.ndarray, kernel: np.ndarray, n: int) -> np.ndarray:
    """(J, n): sum over l of kernel[l] rows[:, o + l]."""
    size = next_fast_len(rows.shape[1] + len(kernel), real=True)
    return np.fft.irfft(np.fft.rfft(rows, size) * np.conj(np.fft.rfft(kernel, size)), size)[:, :n]


def _posterior(score: np.ndarray) -> np.ndarray:
    """(n,) mass of each offset: flat prior over offsets, the prior of the lag, the likelihood of a rise."""
    prior = np.tile(-0.5 * (np.log(MODES / PEAK) / LOGSD) ** 2, len(SHAPES))
    log = TEMPER * 0.5 * np.maximum(score, 0.0) ** 2 + prior[:, None]
    mass = np.exp(log - log.max()).sum(axis=0)
    return mass / mass.sum()
