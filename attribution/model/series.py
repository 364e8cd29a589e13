"""One series and nothing to compare it with: what an airing adds, from the same series before, around and after it.

``log m = c + s t + GP``, the scales averaged over a grid by their likelihood without the response window, under a prior
learnt from earlier windows of the same series; the amount a mix of an average over kernels and a sum that assumes no
shape (methods, section 2.4). A thousand moments take a second: placebos ask for hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.kernels import Kernel, bank, delayed
from attribution.model import amounts, whitening
from attribution.model.windows import LONG_AIRING_S
from attribution.settings import seconds

if TYPE_CHECKING:
    from attribution.settings import Settings

FINE_S = 20.0
"""Finer data are summed to bins of this width, seconds."""

LENGTHS = np.geomspace(0.8, 30.0, 5)
"""Lengths of the wandering, minutes where bins are a minute or less; else in bins of 5/6 of their width."""

SDS = np.geomspace(0.02, 0.8, 6)
EXTRA = np.array([0.0, 0.02, 0.08, 0.2])
"""Sd of the wandering log rate; extra variance of a bin's log rate beyond the count noise."""

MODES_S = np.geomspace(12.0, 90.0, 6)
LOG_SDS = (0.4, 0.8)
"""Kernels that are averaged over: log-normals by mode (s) and log-sd."""

MISFIT = 0.25
"""Sd of the error of the kernels' shape, as a share of the total."""

KEPT = 5
"""Sets of scales that an estimate averages over: the likeliest of the grid."""

PRIOR_WEIGHT = 8.0
"""Windows that the grid's own flat prior is worth beside those it is learnt from."""

EM_STEPS = 30

FLAT = 0.05
"""An expected count stays above this share of the point it was linearised at."""

RIDGE = 1e-8
"""Prior precision of the level; of the trend over a window it is 1 (a factor e), of a covariate's slope 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Counts of one series on an even grid.

    Attributes
    ----------
    start
        Beginning of the first bin, seconds since 1970.
    step
        Width of a bin, seconds.
    y
        (T,) counts; NaN where unknown.
    share
        (T,) share of each bin that was observed; 0 where unknown.
    covariates
        (T, V) other series that move with this one and saw no ad: log rates about their mean; V may be 0.
    busy
        (T,) bins that airings or declared moments may have moved: outside a response itself they teach nothing.
    """

    start: float
    step: float
    y: np.ndarray
    share: np.ndarray
    covariates: np.ndarray
    busy: np.ndarray

    def place(self, moment: float) -> int:
        """Return the position of the bin that holds a moment (seconds since 1970)."""
        return int(np.floor((moment - self.start) / self.step + 1e-9))

    def at(self, place: np.ndarray | int) -> np.ndarray:
        """Seconds since 1970 at which bins begin."""
        return self.start + np.asarray(place) * self.step


class Window(NamedTuple):
    """What one look at a moment is made of, in bins of the series."""

    before: int
    response: int
    """Bins that a response may reach: left out of what the counterfactual learns from."""
    after: int
    inside: np.ndarray
    """(response,) 1 where a bin belongs to the window whose conversions are summed."""
    mass: np.ndarray
    """(K, response) share of each kernel's response in each bin."""
    prior: np.ndarray
    """(K,) weights of the kernels."""

    def live(self) -> Window:
        """Return the window as it is watched: nothing after the response."""
        return self._replace(after=0)


class Estimates(NamedTuple):
    """Amounts at M moments and L looks, (M, L) each."""

    amount: np.ndarray
    """Conversions beyond the counterfactual inside the window so far."""
    sd: np.ndarray
    counterfactual: np.ndarray
    kernel_share: np.ndarray
    """Weight of the kernels' answer beside the one that assumes no shape."""

    @property
    def z(self) -> np.ndarray:
        """(M, L) amount over its sd."""
        return self.amount / self.sd


def lay(
    start: np.ndarray,
    width: np.ndarray,
    y: np.ndarray,
    share: np.ndarray,
    *,
    anchor: float,
    covariates: np.ndarray | None = None,
) -> Series:
    """Lay bins on an even grid: data finer than 20 s are summed, the others taken as they come.

    Parameters
    ----------
    start, width
        (T,) seconds since 1970 and seconds, in order.
    y, share
        (T,) counts and observed shares of the bins; NaN or 0 where unknown.
    anchor
        A moment (seconds since 1970) at which a summed bin shall begin: an airing's start.
    covariates
        (T, V) counts of series that move with this one.

    Examples
    --------
    >>> laid = lay(np.arange(60.0), np.ones(60), np.ones(60), np.ones(60), anchor=45.0)
    >>> laid.start, laid.step, laid.y.tolist()
    (5.0, 20.0, [20.0, 20.0])
    """
    fine = float(np.median(width))
    step = fine if fine > FINE_S / 2 else FINE_S
    begin = start[0] if step == fine else anchor - np.ceil((anchor - start[0]) / step) * step
    if step != fine and begin < start[0] - 1e-9:
        begin += step
    bins = int(np.floor((start[-1] + width[-1] - begin) / step + 1e-6))
    place = np.floor((start - begin) / step + 1e-6).astype(int)
    known = np.isfinite(y) & (share > 0)
    inside = (place >= 0) & (place < bins)
    add = lambda value: np.bincount(place[inside], weights=value[inside], minlength=bins)  # noqa: E731  three uses
    count, seen = add(np.where(known, y, 0.0)), add(np.where(known, width * share, 0.0)) / step
    lost = seen < 0.5 * np.maximum(add(width), step * 1e-9) / step
    others = [] if covariates is None else [add(np.nan_to_num(column)) for column in covariates.T]
    return Series(
        start=float(begin),
        step=step,
        y=np.where(lost | (seen <= 0), np.nan, count),
        share=np.where(lost, 0.0, np.minimum(seen, 1.0)),
        covariates=_logs(np.array(others).T) if others else np.empty((bins, 0)),
        busy=np.zeros(bins, dtype=bool),
    )


def _logs(counts: np.ndarray) -> np.ndarray:
    """Return (T, V) log counts about their mean."""
    log = np.log(counts + 0.5)
    return log - log.mean(axis=0)


def excerpts(series: Series, at: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut (M, n) counts, (M, n) shares and (M, n, V) covariates around M moments; unknown where the series ends."""
    place = np.asarray(at, dtype=int)[:, None] + np.arange(-window.before, window.response + window.after)
    valid = (place >= 0) & (place < len(series.y))
    place = np.clip(place, 0, len(series.y) - 1)
    learnt = np.ones(place.shape[1], dtype=bool)
    learnt[window.before : window.before + window.response] = False
    known = valid & ~(series.busy[place] & learnt)
    y = np.where(known, series.y[place], np.nan)
    return y, np.where(np.isfinite(y), series.share[place], 0.0), np.ascontiguousarray(series.covariates[place])


def window_bins(step: float, *, length_s: float = 0.0) -> tuple[int, int, int]:
    """Return bins before, of and after a response by the width of a bin (methods, section 2.4).

    1 s (summed to 20 s) 30/8/15 min; 1 min 60/8/30; 5 min 150/10/60; between and beyond by the logarithm of the width;
    a day 90 bins before and none after. A long airing (a campaign) lengthens the response by its own length.

    Examples
    --------
    >>> window_bins(20.0), window_bins(60.0), window_bins(300.0), window_bins(86400.0, length_s=15 * 86400.0)
    ((90, 24, 45), (60, 8, 30), (30, 2, 12), (90, 15, 0))
    """
    known = np.log([FINE_S, 60.0, 300.0, 86400.0])
    at = np.log(step)
    before = round(float(np.interp(at, known, [90, 60, 30, 90])))
    response = float(np.interp(at, known[:3], [480.0, 480.0, 600.0])) if step <= 300.0 else step
    after = round(float(np.interp(at, known, [45, 30, 12, 0])))
    reach = length_s + response if step <= 300.0 else max(length_s, response)
    return before, max(1, int(np.ceil(reach / step - 1e-9))), after


def look(series: Series, onset: float, settings: Settings, *, length_s: float = 0.0) -> Window:
    """Return the window of an airing that began at ``onset`` (seconds since 1970) and ran ``length_s``.

    The prior of the lag's mode is that of the settings; a window they name is summed instead of the whole response.
    """
    span = length_s if length_s > LONG_AIRING_S else 0.0
    before, response, after = window_bins(series.step, length_s=span)
    place = series.place(onset)
    inside = np.ones(response)
    if settings.window != "auto":
        asked = seconds(settings.window)
        reach = int(np.ceil((onset + asked - series.at(place)) / series.step - 1e-6))
        response = max(response, reach)
        inside = np.where(np.arange(response) < max(reach, 1), 1.0, 0.0)
    begins = series.at(place + np.arange(response))
    peak, spread = seconds(settings.response_peak), settings.response_peak_logsd
    away = (np.log(MODES_S) - np.log(peak)) / max(spread, 0.25)
    weight = np.repeat(np.exp(-0.5 * np.minimum(away - away[np.argmin(np.abs(away))], 40.0) ** 2), len(LOG_SDS))
    delay, delay_sd = settings.delay
    kernels = [Kernel(family="lognormal", mode=float(m), shape=s) for m in MODES_S for s in LOG_SDS]
    lags = [delayed(k, delay, delay_sd) if delay > 0 or delay_sd > 0 else k for k in kernels]
    mass = bank(lags, begins, np.full(response, series.step), onset, span)
    return Window(before, response, after, inside, np.ascontiguousarray(mass), weight / weight.sum())


def scales(step: float) -> np.ndarray:
    """Return (G, 3) the grid of scales: length in bins, sd of the wandering, extra variance of a bin."""
    lengths = LENGTHS * (60.0 / step if step <= 60.0 else 1.2 if step >= 300.0 else 1.0)
    return np.array([(length, sd, extra) for length in lengths for sd in SDS for extra in EXTRA])


def flat(step: float) -> np.ndarray:
    """Return (G,) the prior of the grid before any window was seen: wide around a small wandering."""
    grid = scales(step)
    middle = np.sqrt(LENGTHS[0] * LENGTHS[-1]) * grid[0, 0] / LENGTHS[0]
    away = (np.log(grid[:, 1] / 0.12) / 1.2) ** 2 + (np.log(grid[:, 0] / middle) / 1.5) ** 2
    weight = np.exp(-0.5 * away)
    return weight / weight.sum()


def likelihoods(series: Series, at: np.ndarray, window: Window) -> np.ndarray:
    """Return (M, G) log likelihoods of the scales around M moments (bin positions), the responses left out."""
    y, share, covariates = excerpts(series, at, window)
    return amounts.log_likelihoods(
        y, share, covariates, _ridge(series), window.before, window.response, scales(series.step)
    )


def learn(log_likelihood: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return (G,) the prior of the grid that earlier windows teach, by EM: (M, G) log likelihoods, (G,) first prior.

    Examples
    --------
    >>> told = learn(np.array([[0.0, 5.0]] * 40), np.array([0.5, 0.5]))
    >>> bool(told[1] > 0.8)
    True
    """
    if not len(log_likelihood):
        return first
    like = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    prior = first
    for _ in range(EM_STEPS):
        post = like * prior
        post /= post.sum(axis=1, keepdims=True)
        prior = post.sum(axis=0) + PRIOR_WEIGHT * first
        prior /= prior.sum()
    return prior


def estimate(
    series: Series,
    at: np.ndarray,
    window: Window,
    log_likelihood: np.ndarray,
    prior: np.ndarray,
    *,
    live: bool = False,
) -> Estimates:
    """Return what was added at M moments (bin positions).

    Parameters
    ----------
    log_likelihood, prior
        (M, G) from `likelihoods`, (G,) from `learn`.
    live
        A look after each bin of the response, on what had come by then (the window has nothing after it, see
        `Window.live`); else one look at the end.
    """
    chosen, weight = posterior(log_likelihood, prior)
    out = amounts.estimates(
        *excerpts(series, at, window),
        _ridge(series),
        window.before,
        window.response,
        scales(series.step),
        chosen,
        weight,
        window.mass,
        window.prior,
        window.inside,
        MISFIT,
        live,
    )
    return Estimates(out[..., 0], np.sqrt(np.maximum(out[..., 1], 1e-12)), np.maximum(out[..., 2], 1e-9), out[..., 3])


def posterior(log_likelihood: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (M, Q) the likeliest rows of the grid at each moment, and their weights."""
    log_weight = log_likelihood + np.log(np.maximum(prior, 1e-300))
    chosen = np.argsort(-log_weight, axis=1, kind="stable")[:, :KEPT].astype(np.int64)
    top = np.take_along_axis(log_weight, chosen, axis=1)
    weight = np.exp(top - top[:, :1])
    return chosen, weight / weight.sum(axis=1, keepdims=True)


def _ridge(series: Series) -> np.ndarray:
    return np.array([RIDGE, 1.0, *np.ones(series.covariates.shape[1])])


def elasticity(series: Series, place: int, window: Window) -> tuple[float, float]:
    """Return slope and sd of the series' log rate on its first covariate, learnt from around a moment."""
    window = window.live()
    like = likelihoods(series, np.array([place]), window)
    (length, sd, extra), (y, share, covariates) = (
        scales(series.step)[posterior(like, flat(series.step))[0][0, 0]],
        (part[0] for part in excerpts(series, np.array([place]), window)),
    )
    _, z, noise, use = whitening.working(y, share, window.before, window.before + window.response)
    columns = whitening.base_columns(z, covariates, 0)[use, 1:]
    known = _matern(length, sd, len(y))[np.ix_(use, use)] + np.diag(noise[use] + extra)
    solved = np.linalg.solve(known, np.column_stack([z[use], columns]))
    precision = columns.T @ solved[:, 1:] + np.diag([RIDGE, 1.0, *np.full(covariates.shape[1], RIDGE)])
    slopes = np.linalg.solve(precision, columns.T @ solved[:, 0])
    return float(slopes[2]), float(np.sqrt(np.linalg.inv(precision)[2, 2]))


def _matern(length: float, sd: float, n: int) -> np.ndarray:
    """Return (n, n) the covariance of the wandering."""
    lag = np.sqrt(3.0) * np.abs(np.subtract.outer(np.arange(n), np.arange(n))) / length
    return sd**2 * (1.0 + lag) * np.exp(-lag)


def path(
    series: Series, place: int, window: Window, log_likelihood: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) expected counts a bin without the ad, and their relative sd, around one moment.

    The dense form of what the filter does, averaged over the same scales: ``log_likelihood`` (G,), ``prior`` (G,).
    """
    y, share, covariates = (part[0] for part in excerpts(series, np.array([place]), window))
    rate, z, noise, use = whitening.working(y, share, window.before, window.before + window.response)
    columns = whitening.base_columns(z, covariates, 0)[:, 1:]
    n, ridge = len(y), np.diag(_ridge(series))
    chosen, weight = posterior(log_likelihood[None], prior)
    mean, square = np.zeros(n), np.zeros(n)
    for (length, sd, extra), share_of in zip(scales(series.step)[chosen[0]], weight[0], strict=True):
        field = _matern(length, sd, n)
        known = field[np.ix_(use, use)] + np.diag(noise[use] + extra)
        solved = np.linalg.solve(known, np.column_stack([z[use], columns[use], field[use]]))
        own, base, gain = solved[:, 0], solved[:, 1 : 1 + columns.shape[1]], solved[:, 1 + columns.shape[1] :]
        precision = columns[use].T @ base + ridge
        effect = np.linalg.solve(precision, columns[use].T @ own)
        left = columns - gain.T @ columns[use]
        middle = columns @ effect + gain.T @ (z[use] - columns[use] @ effect)
        var = sd**2 - (field[use] * gain).sum(axis=0) + (left @ np.linalg.inv(precision) * left).sum(axis=1)
        mean += share_of * middle
        square += share_of * (var + middle**2)
    # The filter is linear in the log around ``rate``; so is this.
    return np.exp(rate) * np.maximum(1.0 + mean - rate, FLAT), np.sqrt(np.maximum(square - mean**2, 0.0))
