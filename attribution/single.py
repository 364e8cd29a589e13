"""An airing that every region saw: its answer from the one series there is, and from placebos in it.

Without a region to compare with, the fit of :mod:`attribution.model.series` takes the place of the regional model's
amounts; ranks among placebos decide (methods, sections 2.4, 5 and 6).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from attribution.matching import breaks, pool
from attribution.model import monitor
from attribution.model.series import FINE_S, Series, elasticity, lay, look
from attribution.placebos import Memory, Placebos, compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from attribution.counts import Counts
    from attribution.ladder import Case
    from attribution.model.design import Design
    from attribution.settings import Settings

SHOWN = 2.6
"""The slope on the other regions has to be this many sd above none: p = .01."""

WIDE = 0.3
"""Sd of the normal mixture of the interval over time, in baselines: a series alone is known to a tenth of its level."""

COARSE_S = 3600.0
"""Bins at least this wide: an hour or a day of another series is a covariate; seconds of a region are a control."""

LEAST = 12
"""Known bins before an airing without which one series says nothing."""


class OneSeries:
    """One counted series with the airings in it: lays it out once for all airings of the same phase.

    Regions that are ``spared`` (R,) are a control series beside it: its log rate enters with a slope of its own.
    """

    def __init__(
        self,
        counts: Counts,
        airings: pd.DataFrame,
        settings: Settings,
        *,
        started: np.ndarray,
        context: pd.DataFrame | None = None,
        masked: np.ndarray | None = None,
        spared: np.ndarray | None = None,
    ) -> None:
        self.counts, self.settings = counts, settings
        self.onset = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
        self.length = airings["length_s"].to_numpy(dtype=float)
        self.started = started
        self.context = None if context is None or context.empty else context
        self._masked = masked
        self._spared = np.zeros(len(counts.regions), dtype=bool) if spared is None else spared
        self._laid: dict[float, Series] = {}
        self._known: dict[float, Memory] = {}

    def series(self, onset: float) -> Series:
        """Return the series laid out so that a bin begins at the onset, where the data are finer than its bins."""
        step = float(np.median(self.counts.width))
        phase = round(onset % FINE_S, 3) if step <= FINE_S / 2 else 0.0
        if phase not in self._laid:
            own, share = self._together(~self._spared)
            beside = self._together(self._spared)[0][:, None] if self._spared.any() else None
            laid = lay(self.counts.seconds, self.counts.width, own, share, anchor=onset, covariates=beside)
            busy = np.zeros(len(laid.y), dtype=bool)
            for low, high in self._moved(laid):
                busy[max(laid.place(low), 0) : max(int(np.ceil((high - laid.start) / laid.step - 1e-9)), 0)] = True
            self._laid[phase] = Series(
                start=laid.start, step=laid.step, y=laid.y, share=laid.share, covariates=laid.covariates, busy=busy
            )
        return self._laid[phase]

    def _together(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (T,) counts of the chosen regions, and the observed share by the level each of them usually has."""
        total = self.counts.total[:, chosen]
        complete = np.nan_to_num(self.counts.completeness[:, chosen], nan=1.0)
        usable = np.isfinite(total) & (complete > 0)
        if self._masked is not None:
            usable &= ~self._masked[:, chosen]
        seen = np.where(usable, complete, 0.0)
        total = np.where(usable, total, 0.0)
        level = total.sum(axis=0) / np.maximum((seen * self.counts.width[:, None]).sum(axis=0), 1e-9)
        share = seen @ (level / max(level.sum(), 1e-9)) if level.sum() > 0 else seen.mean(axis=1)
        return np.where(share > 0, total.sum(axis=1), np.nan), share

    def _moved(self, series: Series) -> list[tuple[float, float]]:
        """Return (from, to) seconds that airings and declared moments may have moved."""
        spans = []
        for j in self.started:
            window = look(series, self.onset[j], self.settings, length_s=self.length[j])
            spans.append((self.onset[j], self.onset[j] + window.response * series.step))
        return spans + self._declared(("break", "organic"))

    def _declared(self, kinds: tuple[str, ...]) -> list[tuple[float, float]]:
        if self.context is None:
            return []
        rows = self.context[self.context["kind"].isin(kinds)]
        ends = [rows[c].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9 for c in ("start", "end")]
        return list(zip(*ends, strict=True))

    def follows(self, j: int) -> bool:
        """Return whether the history shows that the series moves with the spared regions at all.

        A region is a control because what moves the one moves the other. A series of which that cannot be shown
        (visits, a rival's sales) may move otherwise; its slope is then learnt, for what it is worth.
        """
        onset = float(self.onset[j])
        series = self.series(onset)
        window, place = look(series, onset, self.settings, length_s=self.length[j]), series.place(onset)
        known = np.isfinite(series.y[max(place - window.before, 0) : max(place, 0)])
        if known.sum() < LEAST:
            return True
        slope, sd = elasticity(series, place, window)
        return slope > SHOWN * sd

    def judge(
        self, j: int, *, executor: Executor | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Placebos | None:
        """Return the answer of airing ``j``; None where the series has too little to say.

        An airing that follows within the response cuts it short.
        """
        onset = float(self.onset[j])
        series = self.series(onset)
        window, place = look(series, onset, self.settings, length_s=self.length[j]), series.place(onset)
        following = [series.place(o) for o in self.onset[self.started] if series.place(o) > place]
        cut = min([window.response, *(f - place for f in following)])
        window = window._replace(
            response=cut, inside=window.inside[:cut], mass=np.ascontiguousarray(window.mass[:, :cut])
        )
        before = slice(max(place - window.before, 0), max(place, 0))
        if (np.isfinite(series.y[before]) & ~series.busy[before]).sum() < LEAST:
            return None
        declared = self._declared(("break",))
        broken = any(low - series.step < onset < high for low, high in declared)
        comparison = (
            breaks(series, window, place, declared, self.onset[self.started]) if broken else pool(series, window, place)
        )
        return compare(
            series,
            window,
            place,
            comparison,
            alpha=self.settings.alpha,
            executor=executor,
            progress=progress,
            memory=self._known.setdefault(series.start, {}),
        )


class Alone:
    """The airings of an analysis that nothing but their own series can answer."""

    def __init__(
        self,
        counts: Counts,
        airings: pd.DataFrame,
        settings: Settings,
        *,
        started: np.ndarray,
        context: pd.DataFrame | None = None,
        masked: np.ndarray | None = None,
    ) -> None:
        self.counts, self.settings = counts, settings
        self._make = partial(OneSeries, counts, airings, settings, started=started, context=context, masked=masked)
        self._whole: OneSeries | None = None

    def answer(self, design: Design) -> tuple[Placebos | None, tuple[str, ...]]:
        """Return what one series says of a group's airing, and the regions it speaks for; None where it is not asked.

        It is asked of a single airing that reached every region; and of one exposed region in coarse bins (an hour or
        more) where the history does not show that it moves with the others: they are a control series then, no control.
        """
        if not self.settings.placebos or len(design.onset) != 1:
            return None, ()
        airing = int(design.airings[0])
        seen = tuple(r for r, share in zip(design.regions, design.share[0], strict=True) if share > 0)
        if len(seen) == len(design.regions):
            self._whole = self._whole or self._make()
            return self._whole.judge(airing), seen
        if float(np.median(self.counts.width)) < COARSE_S or len(seen) != 1:
            return None, ()
        own = self._make(spared=~np.isin(self.counts.regions, seen))
        return (None, ()) if own.follows(airing) else (own.judge(airing), seen)


def instead(told: Placebos | None, design: Design, airing: int, alpha: float) -> monitor.Evidence | None:
    """Return the e-process of one series where the regions that were spared are no control; else None.

    A half-normal amount of sd .2 of the window's baseline against none, as in the model's own (methods, section 4).
    """
    if told is None or (design.share[airing] > 0).all():
        return None
    time, amount, sd = told.path.T
    log_e = monitor.log_bayes(amount / sd**2, sd**-2.0, 0.2 * told.counterfactual)
    half = monitor.over_time(sd, WIDE * told.counterfactual, alpha)
    unknown = np.full(len(time), np.nan)
    return monitor.Evidence(
        time=time, log_e=log_e, log_plain=log_e, estimate=amount, lower=amount - half, upper=amount + half, sd=sd,
        floor=unknown, expected=unknown, one_region=unknown, robust_lower=unknown,
        explained=("",) * len(time), kind=("",) * len(time),
        lasting=unknown, joint=unknown,
    )  # fmt: skip


def compared(case: Case, told: Placebos, *, fed: bool) -> Case:
    """Return the case with the amounts of one series and what its placebos say.

    Where a feed shows surges (``fed``), the amounts stay those of the model that used it.
    """
    figures = {
        "rung": 2 if told.kind == "breaks" or case.controls else case.rung,
        "controls": (),
        "placebo_p": told.p,
        "placebos": told.n,
        "placebos_needed": told.needed,
        "placebo_kind": told.kind,
    }
    if np.isfinite(told.p):
        # Lasting changes of level happen at the placebos' moments too: their ranks have taken them into account.
        figures |= {"explained": "", "explained_kind": ""}
    if fed:
        return case._replace(**figures)
    base = max(told.counterfactual, 1e-9)
    spread = told.sd * told.factor
    reach = float(monitor.over_time(np.array([spread]), WIDE * base, case.alpha)[0])
    smallest = case.smallest_lift
    if case.smallest_why.startswith("break-even"):
        smallest *= case.counterfactual / base
    return case._replace(
        window_s=told.window_s,
        counterfactual=base,
        incremental=told.amount,
        lower=told.lower,
        upper=told.upper,
        watched_lower=told.amount - reach,
        watched_upper=told.amount + reach,
        lift=told.amount / base,
        lift_lower=told.lower / base,
        lift_upper=told.upper / base,
        probability_positive=float(ndtr(told.amount / spread)),
        arrived=told.arrived,
        sd=spread,
        smallest_lift=smallest,
        detectable=float((ndtri(1 - case.alpha / 2) + ndtri(0.8)) * spread / base),
        **figures,
    )


def overlaid(frame: pd.DataFrame, told: Placebos) -> pd.DataFrame:
    """Return a group's bins with the counterfactual and the ad of its one series where that reaches.

    Both are spread over finer bins evenly within each bin of the series, so that sums stay what they were.
    """
    begins = told.bins["time"].to_numpy()
    edges = np.append(begins, 2 * begins[-1] - begins[-2])
    low = frame["time"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    high = low + frame["width_s"].to_numpy()
    reached = (low >= edges[0] - 1e-6) & (high <= edges[-1] + 1e-6)

    def spread(column: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(column)])
        return np.interp(high, edges, total) - np.interp(low, edges, total)

    told_bins = {name: told.bins[name].to_numpy() for name in told.bins}
    share = spread(told_bins["share"])
    new = {name: spread(told_bins[name]) for name in ("counterfactual", "counterfactual_lower", "counterfactual_upper")}
    new["ad"] = spread(told_bins["ad"])
    new["ad_lower"] = new["ad"] + (told.lower - told.amount) * share
    new["ad_upper"] = new["ad"] + (told.upper - told.amount) * share
    for name in ("organic", "break"):
        new[name] = np.zeros(len(frame))
    return frame.assign(**{name: np.where(reached, value, frame[name]) for name, value in new.items()})
