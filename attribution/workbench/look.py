"""What the live page shows at one moment: a pure function of the engine's snapshot and the model's answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

import attribution as at
from attribution.model.design import window_seconds
from attribution.reports import reason

if TYPE_CHECKING:
    from attribution.scenarios import Scenario
    from attribution.stream.engine import Metrics, Snapshot
    from attribution.stream.notices import LogEntry
    from attribution.verdict import Verdict

STALE_S = 20.0
"""An answer that lies so far behind the feed is called stale."""
AGO_MIN = 15
"""The audience is compared with what it was so many minutes ago."""
SHOWN_S = 660.0
"""The velocity chart shows so many seconds."""
NOW_S = 10
"""Rates called "now" are means over so many seconds."""


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
    """

    result: at.Analysis | None = None
    first: pd.Timestamp | None = None
    words: dict[str, str]
    changed: dict[str, pd.Timestamp]
    past: tuple[Past, ...] = ()
    log: tuple[LogEntry, ...] = ()
    finished: tuple[Revealed, ...] = ()
    trouble: str = ""


class Upcoming(NamedTuple):
    """The next airing of the schedule, and the moment from which it is counted down."""

    name: str
    start: pd.Timestamp
    length_s: float
    since: pd.Timestamp


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
    regions
        A row a region: traffic, exposed, observed, counterfactual with band, difference, over ``span_words``.
    """

    event: Scenario
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
    upcoming: Upcoming | None
    airings: pd.DataFrame
    observed: pd.DataFrame
    span: tuple[pd.Timestamp, pd.Timestamp]
    rate_now: float
    rate_peak: float
    expected_now: float
    regions: pd.DataFrame
    span_words: str
    log: list[LogEntry]
    finished: tuple[Revealed, ...]
    trouble: str

    @property
    def counting(self) -> str:
        """Say how much of the current airing's window has passed; empty when it is over."""
        if self.row is None or self.result is None:
            return ""
        passed = (self.result.as_of - self.row["start"]).total_seconds()
        window = float(self.row["window_s"])
        return f"{passed:.0f} of {window:.0f} s counted" if passed < window else ""

    def why(self, column: str) -> str:
        """Say why a figure of the current airing is unknown."""
        if self.result is None:
            return self.trouble or "the first answer needs a few seconds of data"
        if self.row is None:
            return "no airing has been on the air yet"
        return reason(self.result, str(self.row["airing"]), column) or "not computed for this airing"


def look(event: Scenario, settings: at.Settings, snapshot: Snapshot, answer: Answer) -> Look:
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
    """
    result, now = answer.result, snapshot.now
    span = (now - pd.Timedelta(seconds=SHOWN_S), now)
    row = _current(result)
    name = None if row is None else row["airing"]
    reached = _reached(snapshot, row)
    observed = _observed(snapshot, span, reached)
    regions, words = _regions(result, row, snapshot, reached)
    rate = observed["observed"] / observed["width_s"]
    log = sorted([*snapshot.log, *answer.log], key=lambda entry: entry.time, reverse=True)
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
        passed_s=_passed(result, row),
        settings=settings,
        row=row,
        past=[p.figures for p in answer.past if p.airing == name],
        viewers=_viewers(snapshot.audience, now),
        upcoming=_upcoming(snapshot.airings, now, span[0]),
        airings=snapshot.airings,
        observed=observed,
        span=span,
        rate_now=float(rate.tail(NOW_S).mean()) if len(rate) else math.nan,
        rate_peak=float(rate.max()) if len(rate) else math.nan,
        expected_now=_expected(result),
        regions=regions,
        span_words=words,
        log=log,
        finished=answer.finished,
        trouble=snapshot.error or answer.trouble,
    )


def windows(result: at.Analysis) -> np.ndarray:
    """Return the seconds after the start of each airing in which its conversions are summed."""
    lengths = result.airings.set_index("airing")["length_s"].reindex(result.table["airing"]).to_numpy(float)
    step = float(result.total["width_s"].min()) if len(result.total) else 1.0
    return window_seconds(result.settings, lengths, step)


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


def _current(result: at.Analysis | None) -> dict[str, Any] | None:
    """Row of the airing that was last on the air."""
    if result is None:
        return None
    table = result.table.assign(window_s=windows(result))
    aired = table[table["start"] < result.as_of]
    return None if aired.empty else {str(k): v for k, v in aired.sort_values("start").iloc[-1].items()}


def _passed(result: at.Analysis | None, row: dict[str, Any] | None) -> float | None:
    """Seconds after its start at which the airing's e-value first passed."""
    if result is None or row is None or result.evidence.empty:
        return None
    path = result.evidence[result.evidence["airing"] == row["airing"]]
    over = path[path["log_e"] >= -math.log(result.alpha)]
    return None if over.empty else (over["time"].iloc[0] - row["start"]).total_seconds()


def _reached(snapshot: Snapshot, row: dict[str, Any] | None) -> list[str]:
    """Regions that the current (else the next) airing reaches."""
    named = "" if row is None else str(row["regions"])
    if row is None and len(snapshot.airings):
        named = str(snapshot.airings.sort_values("start")["regions"].iloc[0])
    return named.split("|") if named else list(snapshot.counts.regions)


def _observed(snapshot: Snapshot, span: tuple[pd.Timestamp, pd.Timestamp], reached: list[str]) -> pd.DataFrame:
    """Conversions a bin in the regions that the airing reaches."""
    counts = snapshot.counts.between(*span)
    inside = np.isin(counts.regions, reached)
    return pd.DataFrame(
        {
            "time": pd.DatetimeIndex(counts.start).tz_localize("UTC"),
            "width_s": counts.width,
            "observed": counts.total[:, inside].sum(axis=1),
        }
    )


def _viewers(audience: pd.DataFrame | None, now: pd.Timestamp) -> tuple[float, float, int]:
    if audience is None or audience.empty:
        return math.nan, math.nan, AGO_MIN
    total = audience.groupby("time")["viewers"].sum(min_count=1)
    latest = float(total.iloc[-1])
    before = total[total.index <= now - pd.Timedelta(minutes=AGO_MIN)]
    if before.empty:
        return latest, math.nan, AGO_MIN
    return latest, latest / float(before.iloc[-1]) - 1, AGO_MIN


def _upcoming(airings: pd.DataFrame, now: pd.Timestamp, since: pd.Timestamp) -> Upcoming | None:
    ahead = airings[airings["start"] > now].sort_values("start")
    if ahead.empty:
        return None
    first = ahead.iloc[0]
    earlier = airings.loc[airings["start"] <= now, "start"]
    return Upcoming(str(first["airing"]), first["start"], float(first["length_s"]), max([since, *earlier]))


def _expected(result: at.Analysis | None) -> float:
    """Counterfactual rate over the latest seconds of the analysis."""
    if result is None or result.total.empty:
        return math.nan
    last = result.total.drop_duplicates("time").sort_values("time").tail(NOW_S)
    return float(last["counterfactual"].sum() / last["width_s"].sum())


def _regions(
    result: at.Analysis | None, row: dict[str, Any] | None, snapshot: Snapshot, reached: list[str]
) -> tuple[pd.DataFrame, str]:
    """Observed against counterfactual in each region since the airing began; without a model, the traffic alone."""
    if result is None or row is None or result.series.empty:
        recent = snapshot.counts.between(snapshot.now - pd.Timedelta(minutes=5), snapshot.now)
        table = pd.DataFrame({"region": recent.regions, "observed": recent.total.sum(axis=0)})
        table[["counterfactual", "counterfactual_lower", "counterfactual_upper"]] = math.nan
        words = "last 5 min"
    else:
        series = result.series[result.series["time"] >= row["start"]].drop_duplicates(["region", "time"])
        columns = ["observed", "counterfactual", "counterfactual_lower", "counterfactual_upper"]
        table = series.groupby("region", sort=False)[columns].sum(min_count=1).reset_index()
        words = f"since the start of {row['airing']}"
    table["exposed"] = table["region"].isin(reached)
    table["traffic"] = table["observed"] / table["observed"].sum()
    table["difference"] = table["observed"] - table["counterfactual"]
    return table.sort_values("traffic", ascending=False), words
