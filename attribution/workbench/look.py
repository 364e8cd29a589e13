"""What the live page shows at one moment: a pure function of the engine's snapshot and the model's answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pandas as pd

import attribution as at
from attribution import health
from attribution.sheets import reason
from attribution.workbench import sight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attribution.forecast import Forecast
    from attribution.planning import Plan
    from attribution.stream.engine import Metrics, Snapshot
    from attribution.stream.lags import Lag
    from attribution.stream.notices import LogEntry
    from attribution.verdict import Verdict

STALE_S = 20.0
"""An answer that lies so far behind the feed is called stale."""
SHOWN_S = 660.0
"""The velocity chart shows so many seconds."""


class Event(Protocol):
    """What a page says of an event: a scenario has it, and a described event."""

    @property
    def title(self) -> str:
        """What is on the air."""
        ...

    @property
    def advertiser(self) -> str:
        """Whose ad it is."""
        ...


class Revealed(NamedTuple):
    """An estimate beside the simulator's truth."""

    airing: str
    truth: float
    estimate: float
    lower: float
    upper: float


class Past(NamedTuple):
    """Estimate, lower and upper end of some figures of an airing at an earlier look."""

    time: pd.Timestamp
    airing: str
    figures: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model loop has found so far.

    Attributes
    ----------
    result
        The latest analysis.
    first
        Feed's time at the model's first look.
    words, changed
        Each airing's verdict, and when it last changed since that look.
    past
        Figures of the last seconds, oldest first.
    log
        What the model had to say, oldest first.
    finished
        Airings whose window is over and reported.
    trouble
        Why the model stopped; empty while it runs.
    plan
        What was locked; None while nothing is.
    seconds
        How long the last analysis took.
    health
        Parts of the model's health at the latest analysis.
    """

    result: at.Analysis | None = None
    first: pd.Timestamp | None = None
    words: dict[str, str]
    changed: dict[str, pd.Timestamp]
    past: tuple[Past, ...] = ()
    log: tuple[LogEntry, ...] = ()
    finished: tuple[Revealed, ...] = ()
    trouble: str = ""
    plan: Plan | None = None
    seconds: float = math.nan
    health: tuple[health.Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything the live page shows.

    Attributes
    ----------
    now
        Of the feed, UTC.
    state, model_state
        Of the feed, and of the model: ACTIVE, WAITING (for data), STALE or STOPPED.
    verdict, row, changed
        Of the airing that was last on the air; the verdict on all before the first.
    first
        When the model first looked.
    passed_s
        Seconds after its start at which that airing's e-value first passed 1/alpha; None if it never did.
    past
        Earlier figures of that airing.
    viewers
        Live audience, its relative change, and against how many minutes ago.
    observed
        Conversions a bin in the exposed regions, for the chart.
    rate_now, rate_peak, expected_now
        Conversions a second: now, the highest on the chart, and what is expected now without the ad.
    chance
        P(ROI > 0), given the model; NaN where spend, value or margin are unknown.
    gap
        Median seconds from seeing the ad to the onset, the mode and the mean of the response.
    counted
        Conversions of the current airing's window where the ad was seen; NaN where unknown.
    split
        Expected conversions of the current airing's window by what they come from.
    regions
        A row a region, as :func:`attribution.workbench.sight.regions` returns it.
    audience
        Viewers over the last minutes, for a small line.
    forecast
        When the next break comes, where no airing is on the schedule.
    health
        Parts of the model's health.
    clock_sd
        How well the clocks of airings and conversions agree, s (sd); NaN before the first analysis.
    heard
        Share of the seconds since the engine began whose count is known.
    lost
        Conversions that events lost in the window would have been; they are put right in the answer.
    plan
        What was locked; None while nothing is.
    seconds
        How long the latest analysis took.
    """

    event: Event
    now: pd.Timestamp
    state: str
    model_state: str
    metrics: Metrics
    result: at.Analysis | None
    verdict: Verdict | None
    first: pd.Timestamp | None
    changed: pd.Timestamp | None
    passed_s: float | None
    settings: at.Settings
    row: dict[str, Any] | None
    past: list[dict[str, tuple[float, float, float]]]
    viewers: tuple[float, float, int]
    upcoming: sight.Upcoming | None
    airings: pd.DataFrame
    observed: pd.DataFrame
    span: tuple[pd.Timestamp, pd.Timestamp]
    rate_now: float
    rate_peak: float
    expected_now: float
    chance: float
    gap: dict[str, float]
    counted: float
    split: dict[str, float]
    regions: pd.DataFrame
    audience: tuple[float, ...]
    forecast: Forecast | None
    health: tuple[health.Part, ...]
    clock_sd: float
    heard: float
    lost: float
    plan: Plan | None
    seconds: float
    log: list[LogEntry]
    finished: tuple[Revealed, ...]
    trouble: str

    @property
    def change(self) -> str:
        """Say what the current airing's last change of word was, with the evidence then; empty before any."""
        name = "" if self.row is None else str(self.row["airing"])
        told = (entry.text for entry in self.log if entry.kind == "MODEL_UPDATE" and entry.text.startswith(f"{name}: "))
        return next((text.removeprefix(f"{name}: ") for text in told if name), "")

    @property
    def counting(self) -> str:
        """Say how much of the current airing's window has passed; empty when it is over."""
        if self.row is None or self.result is None:
            return ""
        passed = (self.result.as_of - self.row["start"]).total_seconds()
        window = float(self.row["window_s"])
        return f"{passed:.0f} of {window:.0f} s counted" if passed < window else ""

    @property
    def waiting(self) -> str:
        """Say what the first answer waits for."""
        if self.trouble:
            return f"The model has stopped: {self.trouble}."
        if self.state == "WAITING":
            return "No event has come yet. This page begins by itself with the first one."
        if self.airings.empty:
            return (
                "No airing is on the schedule: there is nothing to answer. Counting goes on; name the airings to begin."
            )
        if self.state == "SILENT":
            return "Nothing has come for a while, and what came before is too little to answer from."
        return "The model looks for the first time: some seconds, longer just after a start."

    def why(self, column: str) -> str:
        """Say why a figure of the current airing is unknown."""
        if self.result is None and self.airings.empty:
            return self.trouble or "no airing is on the schedule"
        if self.result is None:
            return self.trouble or "the first answer needs a few seconds of data"
        if self.row is None:
            return "no airing has been on the air yet"
        return reason(self.result, str(self.row["airing"]), column) or "not computed for this airing"


def look(
    event: Event, settings: at.Settings, snapshot: Snapshot, answer: Answer, lags: Mapping[str, Lag] | None = None
) -> Look:
    """Put together what the page shows.

    Parameters
    ----------
    event
        From the configuration.
    settings
        Of the analysis.
    snapshot
        Of the engine.
    answer
        Of the model loop.
    lags
        How late each region's events arrive.
    """
    result, now = answer.result, snapshot.now
    span = (now - pd.Timedelta(seconds=SHOWN_S), now)
    row = sight.current(result)
    name = None if row is None else row["airing"]
    reached = sight.reached(snapshot, row)
    observed = sight.observed(snapshot, span, reached)
    rate = observed["observed"] / observed["width_s"]
    audience, upcoming = sight.audience(snapshot.audience), sight.upcoming(snapshot.airings, now, span[0])
    verdict = None if result is None else result.verdict
    if result is not None and name is not None:
        verdict = next(v for v in result.verdicts if v.airing == name)
    return Look(
        event=event,
        now=now,
        state=snapshot.state,
        model_state=_model_state(answer, snapshot),
        metrics=snapshot.metrics,
        result=result,
        verdict=verdict,
        first=answer.first,
        changed=answer.changed.get(name) if name else None,
        passed_s=sight.passed(result, row),
        settings=settings,
        row=row,
        past=[p.figures for p in answer.past if p.airing == name],
        viewers=sight.viewers(audience, now),
        upcoming=upcoming,
        airings=snapshot.airings,
        observed=observed,
        span=span,
        rate_now=float(rate.tail(sight.NOW_S).mean()) if len(rate) else math.nan,
        rate_peak=float(rate.max()) if len(rate) else math.nan,
        expected_now=sight.expected(result),
        chance=sight.chance(result, row),
        gap=sight.gap(result, row),
        counted=sight.counted(result, row),
        split=sight.split(result, row),
        regions=sight.regions(result, row, snapshot, reached, lags or {}),
        audience=tuple(audience[audience.index > now - pd.Timedelta(minutes=sight.AGO_MIN)]),
        forecast=None if upcoming is not None else sight.foretold(snapshot),
        health=answer.health or health.parts(None, snapshot.counts),
        clock_sd=_clock_sd(result),
        heard=sight.heard(snapshot),
        lost=sight.lost(snapshot, row, reached),
        plan=answer.plan,
        seconds=answer.seconds,
        log=sorted([*snapshot.log, *answer.log], key=lambda entry: entry.time, reverse=True),
        finished=answer.finished,
        trouble=snapshot.error or answer.trouble,
    )


def _clock_sd(result: at.Analysis | None) -> float:
    """Return the sd of the offset between the two clocks, as the data or the settings say it."""
    if result is None or result.given is None:
        return math.nan
    known = result.given.choices.clock_sd
    return math.nan if known is None else float(known)


def _model_state(answer: Answer, snapshot: Snapshot) -> str:
    """Say what the model loop does: it is ACTIVE while it keeps up with data that still come."""
    if answer.trouble:
        return "STOPPED"
    if answer.result is None:
        return "WAITING"
    behind = (snapshot.now - answer.result.as_of).total_seconds()
    if behind >= STALE_S:
        return "STALE"
    return "WAITING" if snapshot.state == "ENDED" and behind < 1 else "ACTIVE"
