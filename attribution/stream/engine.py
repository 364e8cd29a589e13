"""The engine: one thread takes what a feed has, counts it into a growing log, and measures itself doing so.

What it shows is a pure function of the feed and of the clock's readings: under a `ManualClock` every run is the same.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from attribution.stream.feeds import known_from
from attribution.stream.ledger import Ledger, Tally
from attribution.stream.notices import LogEntry, Notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.counts import Counts
    from attribution.events import EventBatch
    from attribution.stream.feeds import Delivery, Feed

TICK_S = 0.1
"""Half of it is the median latency: events wait for the next tick."""
RECENT_S = 10.0
"""Rate, latency and load are those of the last 10 s."""
SAMPLE = 128
"""Latencies kept of one delivery: evenly spaced events, the last among them."""


class Clock(Protocol):
    """Seconds that only rise."""

    def now(self) -> float:
        """Seconds from any fixed moment."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some moment before this process."""
        return time.monotonic()


class ManualClock:
    """A clock that a test turns.

    Examples
    --------
    >>> clock = ManualClock()
    >>> clock.advance(1.5)
    >>> clock.now()
    1.5
    """

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds it was advanced by, all told."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Turn it forward."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds is {seconds}; a clock only goes forward, choose 0 or more")
        self._now += seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How the stream does; NaN where nothing has been measured yet.

    Attributes
    ----------
    events_per_s
        Events that arrived, over the last 10 s of the clock.
    latency_p50_ms, latency_p95_ms, latency_p99_ms
        From the time of an event to its count being readable; over the last 10 s, late events included.
    load
        Share of the last 10 s that the engine was busy.
    uptime_s
        Since the first tick.
    buffer_events, buffer_ms
        What waited for the last tick, and how long the oldest of it waited.
    received, dropped, duplicate, late, refused
        Events since the feed began: counted once; missing by their numbers; repeated and left out; counted into a bin
        that was closed already; left out because their number is absurd.
    accuracy
        Events counted exactly once over those sent; NaN where a source does not number its events: nobody knows then.
    """

    events_per_s: float = math.nan
    latency_p50_ms: float = math.nan
    latency_p95_ms: float = math.nan
    latency_p99_ms: float = math.nan
    load: float = math.nan
    uptime_s: float = 0.0
    buffer_events: int = 0
    buffer_ms: float = 0.0
    received: int = 0
    dropped: int = 0
    duplicate: int = 0
    late: int = 0
    refused: int = 0
    accuracy: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything known at a moment; it does not change any more.

    Attributes
    ----------
    now
        Time of the event.
    state
        ``WAITING`` (before the first tick), ``LIVE``, ``ENDED`` (everything has arrived) or ``STOPPED`` (an error).
    error
        What stopped the engine; empty while it runs.
    counts
        The history and every closed second.
    social, audience
        Rows known by now.
    airings, context
        The whole schedule, also what lies ahead.
    metrics
        Of the stream.
    log
        Changes of state, oldest first.
    version
        Grows whenever something arrived.
    """

    now: pd.Timestamp
    state: str
    error: str
    counts: Counts
    social: pd.DataFrame
    audience: pd.DataFrame
    airings: pd.DataFrame
    context: pd.DataFrame
    metrics: Metrics
    log: tuple[LogEntry, ...]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tick:
    """What one tick did: the clock before and after, events taken, latencies of some and of the oldest (ms)."""

    begun: float
    done: float
    events: int
    latency: np.ndarray
    waited: float


class Engine:
    """Counts a feed, live. It begins with the feed's history; its clock starts with the first tick.

    Parameters
    ----------
    feed
        `SimulatedFeed`, `ReplayFeed`, or anything of their shape.
    clock
        The machine's by default.
    tick_s
        Seconds between two ticks of the thread.
    kind
        Kind of event to count; the feed's by default.
    keep
        Is given events, and the time of the feed by then (ns since 1970), before they are counted.

    Examples
    --------
    >>> from attribution.scenarios import SCENARIOS
    >>> from attribution.stream.feeds import SimulatedFeed
    >>> from attribution.worlds import simulate
    >>> world, clock = simulate(SCENARIOS["halftime"], rng=7), ManualClock()
    >>> engine = Engine(SimulatedFeed(world, start=pd.Timestamp("2026-02-08T20:40:20Z")), clock=clock)
    >>> engine.step()
    >>> clock.advance(2.5)
    >>> engine.step()
    >>> seen = engine.snapshot()
    >>> seen.state, f"{seen.now:%X}", f"{seen.counts.end:%X}"
    ('LIVE', '20:40:22', '20:40:22')
    """

    def __init__(
        self,
        feed: Feed,
        *,
        clock: Clock | None = None,
        tick_s: float = TICK_S,
        kind: str | None = None,
        keep: Callable[[EventBatch, int], None] | None = None,
    ) -> None:
        self._feed = feed
        self._clock = clock or SystemClock()
        self._tick_s = tick_s
        self._keep = keep
        self._ledger = Ledger(feed.history, feed.origin, feed.labels, feed.numbers, kind or feed.kind, met=feed.met)
        self._notices = Notices(feed.tables["airings"], feed.origin)
        self._log: list[LogEntry] = []
        self._ticks: deque[_Tick] = deque()
        self._began: float | None = None
        self._until = feed.origin
        self._version = 0
        self._error = ""
        self._counted: tuple[int, Counts] = (-1, feed.history)
        self._lock = threading.Lock()
        self._done = 0
        self._ticked = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread; what was counted stays readable."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def step(self) -> None:
        """Run one tick: take everything that arrived by now. An error stops the engine, and the snapshot says so."""
        with self._lock:
            if self._error:
                return
            try:
                self._advance()
            except Exception as error:  # whatever it is, it must be seen on the page and not end a thread unseen
                logging.getLogger(__name__).exception("the engine has stopped")
                self._error = f"{type(error).__name__}: {error}"
                self._log.append(LogEntry(_moment(self._until), "ALERT", f"data: the engine has stopped: {error}"))
                self._version += 1
        with self._ticked:
            self._done += 1
            self._ticked.notify_all()

    def wait(self, done: int, timeout_s: float) -> int:
        """Wait until more than ``done`` ticks are over, or so many seconds; return how many are over."""
        with self._ticked:
            self._ticked.wait_for(lambda: self._done > done, timeout_s)
            return self._done

    @property
    def moment(self) -> pd.Timestamp:
        """Time of the event as of the last tick."""
        return _moment(self._until)

    def snapshot(self) -> Snapshot:
        """Everything known as of the last tick."""
        with self._lock:
            if self._counted[0] != self._version:
                self._counted = (self._version, self._ledger.counts())
            tables = {
                name: table.iloc[: int(np.searchsorted(known_from(table, name), self._until, side="right"))]
                for name, table in self._feed.tables.items()
            }
            return Snapshot(
                now=_moment(self._until),
                state=self._state(),
                error=self._error,
                counts=self._counted[1],
                metrics=self._metrics(),
                log=tuple(self._log),
                version=self._version,
                **tables,
            )

    def _state(self) -> str:
        if self._error:
            return "STOPPED"
        if self._began is None:
            return "WAITING"
        return "ENDED" if self._feed.ended else "LIVE"

    def _run(self) -> None:
        while not self._closed.is_set():
            begun = self._clock.now()
            self.step()
            if self._error or self._feed.ended:
                return
            self._closed.wait(max(0.0, self._tick_s - (self._clock.now() - begun)))

    def _advance(self) -> None:
        begun = self._clock.now()
        if self._began is None:
            self._began = begun
        picked, events, oldest = [np.empty(0, np.int64)], 0, self._feed.origin
        for delivery in self._feed.poll(begun - self._began):
            if delivery.batch is not None and len(delivery.batch):
                time_of = delivery.batch.time
                oldest = min(oldest, int(time_of.min())) if events else int(time_of.min())
                events += len(time_of)
                picked.append(time_of[:: -max(len(time_of) // SAMPLE, 1)])
            self._take(delivery)
        done = self._clock.now()
        # A count is readable once this tick is over: the event's clock has gone on by then.
        moment = self._feed.moment(done - self._began)
        latency = (moment - np.concatenate(picked)) / 1e6 / self._feed.speed
        waited = (moment - oldest) / 1e6 / self._feed.speed if events else 0.0
        self._ticks.append(_Tick(begun=begun, done=done, events=events, latency=latency, waited=waited))
        while done - self._ticks[0].done > RECENT_S:
            self._ticks.popleft()

    def _take(self, delivery: Delivery) -> None:
        """Put one delivery into the log of counts, and note what has changed."""
        if delivery.counts is not None:
            self._ledger.append(delivery.counts)
        if delivery.batch is not None:
            if self._feed.met and self._feed.labels != self._ledger.labels:
                self._ledger.grow(self._feed.labels, self._feed.numbers)
            if self._keep is not None:
                self._keep(delivery.batch, delivery.until)
            self._ledger.add(delivery.batch)
        if delivery.until > self._until or delivery.batch is not None:
            self._version += 1
        self._until = max(self._until, delivery.until)
        for row in self._ledger.close(self._until):
            self._log.extend(self._notices.closed(row, self._ledger))
        self._log.extend(self._notices.on_air(self._until))

    def _metrics(self) -> Metrics:
        tally: Tally = self._ledger.tally
        sent = tally.received + tally.dropped
        known = sent and self._ledger.numbered
        counted = {**tally._asdict(), "accuracy": tally.received / sent if known else math.nan}
        if self._began is None or not self._ticks:
            return Metrics(**counted)
        last = self._ticks[-1]
        span = min(RECENT_S, last.done - self._began)
        latency = np.concatenate([tick.latency for tick in self._ticks])
        quantiles = np.quantile(latency, (0.5, 0.95, 0.99)) if len(latency) else (math.nan,) * 3
        return Metrics(
            events_per_s=sum(tick.events for tick in self._ticks) / span if span > 0 else math.nan,
            latency_p50_ms=float(quantiles[0]),
            latency_p95_ms=float(quantiles[1]),
            latency_p99_ms=float(quantiles[2]),
            load=sum(tick.done - tick.begun for tick in self._ticks) / span if span > 0 else math.nan,
            uptime_s=last.done - self._began,
            buffer_events=last.events,
            buffer_ms=last.waited,
            **counted,
        )


def _moment(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, unit="ns", tz="UTC")
