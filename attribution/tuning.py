"""The answer under the finger: one airing under any settings, fast enough to follow a slider.

The figures are those of :func:`attribution.analyze`, from the same fit. The evidence is that of the last look alone,
asked without the looks before it; so the word is provisional until a whole analysis has watched every look.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from attribution.airings import normalise
from attribution.analysis import MOST_TOGETHER, Analysis, analyze, known_regions, one_thread, overlapping
from attribution.answers import Answer, detected, measured, shares, silent
from attribution.counts import masked
from attribution.crowds import crowded, pieces
from attribution.faults import clock_sd
from attribution.finger import Finger, Fitted, at_last, densities, fitted, replaced
from attribution.frames import bins, pointwise
from attribution.model import design as designs
from attribution.model import fit as fast
from attribution.model import monitor, watching
from attribution.model.nulls import MOST_REGIONS
from attribution.settings import Settings
from attribution.single import Alone, instead, overlaid
from attribution.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attribution.counts import Counts
    from attribution.model.design import Design
    from attribution.placebos import Placebos

KEPT, LIGHT = 36, 400
"""So many fits, and what follows from them, are kept for settings that come back (some 3 MB each); and so many amounts
and tables, which are small."""

DECIDING = ("alpha", "smallest_lift", "value", "margin", "channel_concentration", "device_concentration", "placebos")
"""Choices that no fit depends on: they decide what is said about it."""

OUTSIDE = ("lift_sd", "dispersion")
"""Numbers of priors that no design depends on."""

NUMBERS = (*OUTSIDE, "clock_sd", "response_peak_logsd")
"""Numbers of priors: evidence under settings that differ in these alone is climbed to from where it was."""

RESPONSE = (*NUMBERS, "kernel", "response_peak", "stream_delay")
"""Choices about the response alone: a fit that differs in these is climbed to from the one before, and ends within the
tolerance of a climb; any other begins anew, and ends where :func:`attribution.analyze` ends."""

Item = TypeVar("Item")
Made = TypeVar("Made")


class CrowdedError(ValueError):
    """A schedule too dense to be answered airing by airing: only a whole analysis answers it."""


class Tuner:
    """One data set, asked again and again under other settings.

    Parameters
    ----------
    counts, airings, feeds
        As :func:`attribution.analyze` takes them; the feeds by name.

    Raises
    ------
    ValueError
        When the airings name regions that the counts do not have.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> tuner = Tuner(world.counts, world.airings, {"social": world.social, "context": world.context})
    >>> said = tuner.finger(at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s"))
    >>> said.airing, said.verdict.word
    ('HALFTIME_PRIME', 'caused')
    """

    def __init__(self, counts: Counts, airings: pd.DataFrame, feeds: dict[str, Any]) -> None:
        self.counts, self.airings, self.given = counts, normalise(airings, "airings"), dict(feeds)
        self.feeds = {name: None if frame is None else normalise(frame, name) for name, frame in feeds.items()}
        known_regions(self.airings, counts)
        self.masked = masked(counts) if len(counts.start) else None
        self.clock_sd = clock_sd(counts, self.airings)
        self._last: dict[int, tuple[Settings, Fitted]] = {}
        self._kept: OrderedDict[tuple, Any] = OrderedDict()
        self._light: OrderedDict[tuple, Any] = OrderedDict()
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        """Names of the airings, in the order of the schedule."""
        return [str(name) for name in self.airings["airing"]]

    def leading(self) -> str:
        """Name the first airing that has begun; without one, the first of the schedule."""
        begun = self.airings["start"] < self.counts.end if len(self.counts.start) else []
        chosen = self.airings[begun] if np.any(begun) else self.airings
        return str(chosen.sort_values("start", kind="stable")["airing"].iloc[0]) if len(chosen) else ""

    def named(self, airing: str) -> str:
        """Return the airing's name; the leading one's where none is given.

        Raises
        ------
        ValueError
            When there is no such airing.
        """
        return self.names[self._position(airing or None)]

    def finger(self, settings: Settings, airing: str | None = None) -> Finger:
        """Answer for one airing (by default the leading one).

        Raises
        ------
        ValueError
            When there is no such airing; ``CrowdedError`` when the schedule can only be answered whole.
        """
        begun = time.perf_counter()
        a = self._position(airing)
        chosen = self._dated(settings)
        if settings.baseline == "brief":
            return self._unmodelled(settings, a, detected(self.counts, self.airings.iloc[a], settings), begun)
        with one_thread().limit(limits=1, user_api="blas"):
            try:
                found = self._fitted(chosen, a)
            except FloatingPointError as error:
                silence = silent(self.counts, self.airings.iloc[a], why=str(error))
                return self._unmodelled(settings, a, silence, begun)
            if found is None:
                return self._unmodelled(settings, a, silent(self.counts, self.airings.iloc[a]), begun)
            return self._said(settings, chosen, a, found, begun)

    def amount(self, settings: Settings, airing: str | None = None) -> tuple[float, float, float]:
        """Return lower end, median and upper end of the windowed incremental alone; NaN where there is no fit.

        The fit behind it is not kept: what moved an answer asks for many.
        """
        a, chosen = self._position(airing), self._dated(settings)
        return self._remember(("amount", chosen, a), lambda: self._amount(chosen, a), light=True)

    def along(self, chain: Sequence[Settings], airing: str | None = None) -> list[tuple[float, float, float] | str]:
        """Return :meth:`amount` under settings that differ in the kernel alone; why there is none, where there is none.

        Each fit begins where the one before ended, and ends within the tolerance of a climb of where it would have.
        """
        a, found, before = self._position(airing), [], None
        for settings in map(self._dated, chain):
            try:
                ends, before = self._asked(settings, a, before)
                found.append(ends)
            except ValueError as error:
                found.append(str(error))
        return found

    def _amount(self, settings: Settings, a: int) -> tuple[float, float, float]:
        return self._asked(settings, a, None)[0]

    def _asked(
        self, settings: Settings, a: int, before: fast.Fit | None
    ) -> tuple[tuple[float, float, float], fast.Fit | None]:
        """Return the amount, and the fit that the next may begin at; it begins at ``before``, where that is given."""
        if settings.baseline == "brief":
            booked = float(detected(self.counts, self.airings.iloc[a], settings).row["incremental"])
            return (np.nan, booked, np.nan), before
        with one_thread().limit(limits=1, user_api="blas"):
            try:
                core = _core(settings)
                fit = self._kept.get(("fit", core, a)) or self._made(core, a, before)
            except FloatingPointError:
                fit = None
            if fit is None:
                return (np.nan, np.nan, np.nan), before
            j = _place(fit.design, a)
            told = self._told(settings, fit.design, a)[0]
            if told is not None and not fit.design.fed:
                return (told.lower, told.amount, told.upper), fit
            levels = (settings.alpha / 2, 0.5, 1 - settings.alpha / 2)
            low, middle, high = (
                fast.quantile(fit.weight, fit.window_mean[:, j], fit.window_sd[:, j], p) for p in levels
            )
            return (low, middle, high), fit

    def shares(self, settings: Settings, airing: str | None = None) -> pd.DataFrame:
        """Return the shares of the incremental by channel and device, as :attr:`attribution.Analysis.shares`."""
        a = self._position(airing)
        chosen = self._dated(settings)
        with one_thread().limit(limits=1, user_api="blas"):
            fit = None if settings.baseline == "brief" else self._fit(chosen, a)
        if fit is None:
            return pd.DataFrame(columns=["airing", "dimension", "category", "share", "lower", "upper", "raw"])
        return self._remember(
            ("shares", chosen, a),
            lambda: shares(self.counts, self.airings.iloc[a], fit, _place(fit.design, a), chosen),
            light=True,
        )

    def watched(self, settings: Settings, airing: str | None, stale: Callable[[], bool]) -> Analysis | None:
        """Return the whole analysis, all looks taken one by one; None as soon as ``stale`` says that nobody waits.

        Looks are kept, so what was taken before it became stale is not taken again.
        """
        a, chosen = self._position(airing), self._dated(settings)
        with one_thread().limit(limits=1, user_api="blas"):
            try:
                fit = None if settings.baseline == "brief" else self._fit(chosen, a)
            except (CrowdedError, FloatingPointError):
                fit = None
            if fit is not None and not _looked(fit, chosen, stale):
                return None
        return None if stale() else analyze(self.counts, self.airings, settings, **self.given)

    def settled(self, said: Finger, result: Analysis) -> Finger:
        """Return an answer with the figures and the word of the whole analysis; the e-value stays the last look's.

        They differ by what the looks before the last add, and by the tolerance of a climb.
        """
        row = result.table[result.table["airing"] == said.airing]
        if row.empty:
            return said
        looks = result.evidence[result.evidence["airing"] == said.airing]
        last = float(np.exp(min(looks["log_e"].iloc[-1], 700.0))) if len(looks) else np.nan
        whole = {str(name): value for name, value in row.iloc[0].items()} | {"e_value": last}
        verdict = next(v for v in result.verdicts if v.airing == said.airing)
        return replace(said, row=whole, verdict=verdict)

    def _dated(self, settings: Settings) -> Settings:
        """Return the settings with the clock's uncertainty that the data show, where none is set."""
        return settings if settings.clock_sd is not None else settings.replace(clock_sd=self.clock_sd)

    def _position(self, airing: str | None) -> int:
        if not self.names:
            raise ValueError("airings is empty; bring a schedule with at least one airing")
        name = self.leading() if airing is None else airing
        if name not in self.names:
            raise ValueError(f"airing is {name!r}; choose one of {', '.join(self.names)}")
        return self.names.index(name)

    def _remember(self, key: tuple, work: Callable[[], Any], *, light: bool = False) -> Any:
        """Return what was worked out for this key before, or work it out and keep it."""
        store, most = (self._light, LIGHT) if light else (self._kept, KEPT)
        with self._lock:
            if key in store:
                store.move_to_end(key)
                return store[key]
        made = work()
        with self._lock:
            store[key] = made
            while len(store) > most:
                store.popitem(last=False)
        return made

    def _fit(self, settings: Settings, a: int) -> fast.Fit | None:
        """Return the fit of the airing's group; None where the data do not reach it."""
        core = _core(settings)
        return self._remember(("fit", core, a), lambda: self._made(core, a))

    def _made(self, core: Settings, a: int, before: fast.Fit | None = None) -> fast.Fit | None:
        started, groups = overlapping(self.counts, self.airings, core)
        if crowded(self.counts, self.airings, groups, MOST_TOGETHER):
            raise CrowdedError(
                "airings is too dense a schedule to tune one by one; run the whole analysis on the data page"
            )
        members = next((part for part in pieces(groups, MOST_TOGETHER) if a in part), None)
        if members is None:
            return None
        plain = core.replace(**{name: getattr(Settings(), name) for name in OUTSIDE})
        design = self._remember(("design", plain, a), lambda: designs.build(
            self.counts, self.airings, core, members=members, others=np.setdiff1d(started, members),
            masked=self.masked, **self.feeds,
        ))  # fmt: skip
        if design is None:
            return None
        near = self._near(core, a, RESPONSE)
        return fast.fit(design, core, start=before if near is None else near.fit)

    def _fitted(self, settings: Settings, a: int) -> Fitted | None:
        core = _core(settings)
        fit = self._fit(core, a)
        if fit is None:
            return None
        return self._remember(("fitted", core, a), lambda: self._worked(fit, core, a))

    def _worked(self, fit: fast.Fit, core: Settings, a: int) -> Fitted:
        """Work out what follows from a fit, and remember it as the place where the next one may begin."""
        made = fitted(fit, _place(fit.design, a), core, before=self._near(core, a, NUMBERS))
        self._last[a] = core, made
        return made

    def _near(self, core: Settings, a: int, free: tuple[str, ...]) -> Fitted | None:
        """Return what was worked out last, where these settings differ from it in the ``free`` choices alone."""
        before, made = self._last.get(a, (core, None))
        near = all(getattr(before, f.name) == getattr(core, f.name) for f in fields(core) if f.name not in free)
        return made if near else None

    def _told(self, settings: Settings, design: Design, a: int) -> tuple[Placebos | None, tuple[str, ...]]:
        """Return what one series says by itself, and the regions that it speaks for."""
        key = ("told", _core(settings).replace(alpha=settings.alpha, placebos=settings.placebos), a)
        started = overlapping(self.counts, self.airings, settings)[0]
        alone = Alone(
            self.counts, self.airings, settings, started=started, context=self.feeds.get("context"), masked=self.masked
        )
        return self._remember(key, lambda: alone.answer(design), light=True)

    def _said(self, settings: Settings, chosen: Settings, a: int, found: Fitted, begun: float) -> Finger:
        """Put the answer together from a fit."""
        design, fit, airing = found.design, found.fit, self.airings.iloc[a]
        j = _place(design, a)
        told, seen = self._told(chosen, design, a)
        watched = instead(told, design, j, settings.alpha) or at_last(found, j, settings.alpha)
        slope = replaced(found, j)
        case = measured(self.counts, airing, chosen, fit, found.middle, j, watched, told, slope=slope)
        verdict = judge(case.case)
        frame = bins(design, found.middle, found.parts, settings, 0, "", design.exposed)
        if told and not design.fed and seen:
            frame = overlaid(frame, told)
        middle, low, high = pointwise(found.density, fit.kernel_weight(), settings.alpha)
        prior = pointwise(found.density, design.kernel_weight, settings.alpha)
        kernel = pd.DataFrame({"lag_s": found.lag_s, "density": middle, "lower": low, "upper": high}).assign(
            prior=prior[0], prior_lower=prior[1], prior_upper=prior[2]
        )
        row = case.row(airing, self.counts.regions, watched, verdict)
        row["e_value"] = float(np.exp(min(watched.log_e[-1], 700.0))) if len(watched.log_e) else np.nan
        return Finger(
            settings=settings,
            airing=str(airing["airing"]),
            row=row,
            verdict=verdict,
            window_s=float(case.case.window_s),
            bins=frame.drop(columns=["region", "group"]),
            kernel=kernel,
            amount=densities(fit, j, told),
            took_ms=(time.perf_counter() - begun) * 1e3,
        )

    def _unmodelled(self, settings: Settings, a: int, answer: Answer, begun: float) -> Finger:
        """Return an answer without a model: the brief's detector, or none at all."""
        return Finger(
            settings=settings,
            airing=str(self.airings["airing"].iloc[a]),
            row=answer.row,
            verdict=answer.verdict,
            window_s=np.nan,
            bins=pd.DataFrame(),
            kernel=pd.DataFrame(),
            amount=pd.DataFrame(),
            took_ms=(time.perf_counter() - begun) * 1e3,
        )


def side_by_side(
    work: Callable[[Item], Made], items: Sequence[Item], *, progress: Callable[[int, int], None] | None = None
) -> list[Made]:
    """Return what ``work`` makes of each item, in their order, as many at a time as there are cores.

    In threads: the compiled climbs let one another run. ``progress`` is told how many are done, and of how many.
    """
    made: list[Made] = []
    with one_thread().limit(limits=1, user_api="blas"), ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        for one in pool.map(work, items):
            made.append(one)
            if progress:
                progress(len(made), len(items))
    return made


def _looked(fit: fast.Fit, settings: Settings, stale: Callable[[], bool]) -> bool:
    """Take every look at every airing of a fit, one by one; False as soon as nobody waits for them."""
    design = fit.design.pooled(MOST_REGIONS)
    for j in range(len(design.onset)):
        for n in map(int, monitor.ticks(design, j)):
            if stale():
                return False
            watching.evidence(design.first(n), fit.noise, int(design.begun(n)[:j].sum()), settings)
    return True


def _place(design: Design, a: int) -> int:
    """Return the position in its group of the airing at position ``a`` of the schedule."""
    return int(np.flatnonzero(design.airings == a)[0])


def _core(settings: Settings) -> Settings:
    """Return the settings with every choice that no fit depends on at its default."""
    plain = Settings()
    return settings.replace(**{name: getattr(plain, name) for name in DECIDING})
