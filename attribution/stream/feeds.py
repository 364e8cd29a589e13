"""Feeds on a clock: given how much time has passed, everything that has arrived by then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pandas as pd

from attribution.airings import normalise
from attribution.emission import labels, take
from attribution.events import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.counts import Counts
    from attribution.events import EventBatch
    from attribution.worlds import World

SECOND = 1_000_000_000
CENTURY_S = 3.2e9
"""No event lasts longer; at any speed, moments stay within 64 bits."""
TABLES = ("airings", "context", "social", "audience")


class Delivery(NamedTuple):
    """What arrived up to a moment, at most a second's worth of events at a time."""

    until: int
    """Nanoseconds since 1970, UTC: all that happened before, but for late events, has been delivered."""
    batch: EventBatch | None = None
    counts: Counts | None = None


class Feed(Protocol):
    """What the engine asks of a feed.

    Attributes
    ----------
    origin
        Nanoseconds since 1970, UTC: where the feed begins.
    speed
        Seconds of the event in a second of the clock.
    met
        Labels are met on the way: ``labels`` and ``numbers`` grow, and there is no history.
    kind
        Kind of event that is counted.
    """

    origin: int
    speed: float
    met: bool
    kind: str

    @property
    def rejected(self) -> Counter[str]:
        """Events that could not be counted, by reason."""
        ...

    def begin(self) -> bool:
        """Whether the feed has begun; what it holds is not known before."""
        ...

    def finish(self) -> None:
        """End it: what has arrived by the next poll is everything."""
        ...

    @property
    def history(self) -> Counts:
        """Counts of the bins before the feed begins."""
        ...

    @property
    def labels(self) -> Labels:
        """Of its events, as far as they are known; without sources: it brings counts."""
        ...

    @property
    def numbers(self) -> np.ndarray:
        """(S,) the last number each source gave before ``origin``."""
        ...

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Canonical tables by name: airings and context (known ahead), social and audience (as far as they go)."""
        ...

    def moment(self, elapsed_s: float) -> int:
        """Return the event's time (ns since 1970, UTC) so long after the beginning: latencies are measured by it."""
        ...

    def poll(self, elapsed_s: float) -> Iterator[Delivery]:
        """Yield what is new ``elapsed_s`` seconds of the clock after the beginning."""
        ...

    @property
    def ended(self) -> bool:
        """Whether everything has been delivered."""
        ...


def known_from(table: pd.DataFrame, name: str) -> np.ndarray:
    """(n,) ns since 1970: when each row is known: a bin of posts when it is over, viewers at once, a schedule always.

    Parameters
    ----------
    table, name
        A canonical table, in the order of time, and its name.
    """
    if name not in {"social", "audience"}:
        return np.zeros(len(table), np.int64)
    time = table["time"].dt.as_unit("ns").astype("int64").to_numpy()
    if name == "social":
        time = time + np.round(np.nan_to_num(table["width_s"].to_numpy()) * SECOND).astype(np.int64)
    return time


class _Known:
    """What feeds have in common whose whole course is known beforehand."""

    met = False
    origin: int
    speed: float
    _over = False

    @property
    def rejected(self) -> Counter[str]:
        """None."""
        return Counter()

    def begin(self) -> bool:
        """Return True: it has begun."""
        return True

    def moment(self, elapsed_s: float) -> int:
        """Return the event's time, ns since 1970, ``elapsed_s`` seconds of the clock after the beginning."""
        return self.origin + round(min(elapsed_s * self.speed, CENTURY_S) * SECOND)

    def finish(self) -> None:
        """End it now."""
        self._over = True


class SimulatedFeed(_Known):
    """A simulated event that happens now.

    What lies before ``start`` is handed over as counts, at once; from then on each event is made when it is due (at
    14,200 events a second: the history as events would be thirty million of them). Late events of the history are in
    its counts.

    Parameters
    ----------
    world
        The event.
    start
        Moment of the event at which the feed begins; its beginning by default. It is cut to the whole second.
    speed
        Seconds of the event in a second of the clock.

    Raises
    ------
    ValueError
        When ``start`` lies outside the event or ``speed`` is not positive.
    """

    def __init__(self, world: World, *, start: pd.Timestamp | None = None, speed: float = 1.0) -> None:
        self._world = world
        begin = world.scenario.begin
        offset = 0.0 if start is None else (start - begin).total_seconds()
        if not 0 <= offset < world.scenario.seconds:
            raise ValueError(f"start is {start}; choose a moment from {begin} on, {world.scenario.seconds} s long")
        second = int(offset)
        self.origin = begin.value + second * SECOND
        self.history = world.counts.between(end=begin + pd.Timedelta(seconds=second))
        self.labels = labels(world.scenario)
        self.kind = "conversion"
        self.numbers = world.traffic.sent[:second].sum(axis=0)
        self.speed = _positive(speed)
        self.tables = {name: getattr(world, name) for name in TABLES}
        self._end = begin.value + world.scenario.seconds * SECOND
        self._events = world.events(start_s=second)
        self._second = self.origin
        self._batch: EventBatch | None = None
        self._due = np.empty(0, np.int64)
        self._taken = 0

    @property
    def ended(self) -> bool:
        """Whether everything has been delivered."""
        return self._over

    def poll(self, elapsed_s: float) -> Iterator[Delivery]:
        """Yield the events that are due, second by second."""
        until = min(self.moment(elapsed_s), self._end)
        while self._second + SECOND <= until:
            yield Delivery(self._second + SECOND, self._due_by(self._second + SECOND))
            self._second, self._batch = self._second + SECOND, None
        if self._second < until:
            yield Delivery(until, self._due_by(until))
        if until == self._end and not self._over:
            self._over = True
            for rest in self._events:  # late events, still on their way when the event ended
                yield Delivery(until, self._ours(rest))

    def at(self, start: pd.Timestamp, *, speed: float | None = None) -> SimulatedFeed:
        """Make the same feed, entered at another moment, at another speed."""
        return SimulatedFeed(self._world, start=start, speed=speed or self.speed)

    def _due_by(self, until: int) -> EventBatch | None:
        """Events of the present second that are due and were not taken; a late one is due when the second begins."""
        if self._batch is None:
            self._batch = self._ours(next(self._events))
            self._due = np.maximum(self._batch.time, self._second)
            self._taken = 0
        low, self._taken = self._taken, int(np.searchsorted(self._due, until, side="left"))
        return take(self._batch, slice(low, self._taken)) if self._taken > low else None

    def _ours(self, batch: EventBatch) -> EventBatch:
        old = batch.time < self.origin
        return take(batch, ~old) if old.any() else batch


class ReplayFeed(_Known):
    """Recorded counts, as if they were being counted now: each bin arrives when it is over.

    Parameters
    ----------
    counts
        Bins of any width.
    airings, context, social, audience
        Canonical tables; whatever is absent is empty.
    start
        Bins that end by this moment are history; by default none is.
    speed
        Seconds of the event in a second of the clock.

    Raises
    ------
    ValueError
        When there is no bin, or ``speed`` is not positive.
    """

    def __init__(
        self,
        counts: Counts,
        *,
        airings: pd.DataFrame | None = None,
        context: pd.DataFrame | None = None,
        social: pd.DataFrame | None = None,
        audience: pd.DataFrame | None = None,
        start: pd.Timestamp | None = None,
        speed: float = 1.0,
    ) -> None:
        if not len(counts.start):
            raise ValueError("counts hold no bin; give at least one to replay")
        first = pd.Timestamp(counts.start[0], tz="UTC")
        begin = first if start is None else max(start, first)
        self.history = counts.between(end=begin)
        self.origin = begin.value
        self.kind = counts.kind
        self.labels = Labels(sources=(), regions=counts.regions, channels=counts.channels, devices=counts.devices)
        self.numbers = np.zeros(0, np.int64)
        self.speed = _positive(speed)
        given = dict(zip(TABLES, (airings, context, social, audience), strict=True))
        self.tables = {
            name: (no_table(name) if table is None else table).sort_values(
                "start" if name in {"airings", "context"} else "time", kind="stable", ignore_index=True
            )
            for name, table in given.items()
        }
        self._counts = counts
        self._done = len(self.history.start)
        self._ends = counts.start.astype(np.int64) + np.round(counts.width * SECOND).astype(np.int64)

    @property
    def ended(self) -> bool:
        """Whether every bin has been delivered."""
        return self._over or self._done == len(self._ends)

    def poll(self, elapsed_s: float) -> Iterator[Delivery]:
        """Yield the bins that are over."""
        until = min(self.moment(elapsed_s), int(self._ends[-1]))
        low, self._done = self._done, max(self._done, int(np.searchsorted(self._ends, until, side="right")))
        if self._done > low:
            begin = pd.Timestamp(self._counts.start[low], tz="UTC")
            yield Delivery(until, None, self._counts.between(begin, pd.Timestamp(until, unit="ns", tz="UTC")))
        else:
            yield Delivery(until)

    def at(self, start: pd.Timestamp, *, speed: float | None = None) -> ReplayFeed:
        """Make the same feed, entered at another moment, at another speed."""
        return ReplayFeed(self._counts, start=start, speed=speed or self.speed, **self.tables)


def _positive(speed: float) -> float:
    if not 0 < speed < np.inf:
        raise ValueError(f"speed is {speed}; choose a positive number of event seconds in a second")
    return float(speed)


def no_table(name: str) -> pd.DataFrame:
    """Empty canonical table of a name."""
    return normalise(pd.DataFrame({n: pd.DatetimeIndex([], tz="UTC") for n in ("start", "end", "time")}), name)
