"""A recorded event watched as if it happened now: the engine plays it on a clock, the model looks every second."""

from __future__ import annotations

import math
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from attribution.analysis import Analysis, analyze
from attribution.settings import Settings
from attribution.stream.engine import Clock, Engine, Metrics, Snapshot, SystemClock
from attribution.stream.feeds import ReplayFeed, SimulatedFeed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attribution.counts import Counts
    from attribution.stream.feeds import Feed

RECENT_S = 10.0
"""The rate is that of the last 10 s, or of the last bin where bins are wider."""


class Change(NamedTuple):
    """A verdict that became another."""

    airing: str
    before: str
    after: str


class Look(NamedTuple):
    """What is known at one moment."""

    now: pd.Timestamp
    """Time of the event."""
    rate: float
    """Conversions a second in all regions, over the last 10 s; NaN where unknown."""
    result: Analysis | None
    """The batch analysis of everything received; None before the first airing."""
    changes: tuple[Change, ...]
    """Verdicts that differ from the look before."""
    ended: bool
    """Whether this is the last look."""
    metrics: Metrics = Metrics()
    """Of the stream."""
    rejected: Mapping[str, int] = MappingProxyType({})
    """Events that could not be counted, by reason."""
    waiting: bool = False
    """Whether nothing has arrived yet."""


class Remote:
    """Pauses and moves a recorded or simulated event; any thread may call it.

    Parameters
    ----------
    clock
        The machine's by default.

    Examples
    --------
    >>> from attribution.stream.engine import ManualClock
    >>> hand = ManualClock()
    >>> remote = Remote(hand)
    >>> remote.pause()
    >>> hand.advance(5)
    >>> remote.play()
    >>> hand.advance(2)
    >>> remote.now()
    2.0
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lost = self._clock.now()
        self._held: float | None = None
        self._wanted: tuple[pd.Timestamp | None, float | None] | None = None

    def now(self) -> float:
        """Seconds that it has played."""
        return (self._clock.now() if self._held is None else self._held) - self._lost

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._held is not None

    def pause(self) -> None:
        """Stand still."""
        self._held = self._clock.now() if self._held is None else self._held

    def play(self) -> None:
        """Go on."""
        if self._held is not None:
            self._lost += self._clock.now() - self._held
            self._held = None

    def seek(self, moment: pd.Timestamp | None = None, *, speed: float | None = None) -> None:
        """Go to a moment of the event, forwards or back, or change its speed; the next look is there."""
        self._wanted = moment, speed

    def moved(self, feed: Feed, now: pd.Timestamp) -> Feed | None:
        """Return the feed that was asked for since the last call, or None."""
        wanted, self._wanted = self._wanted, None
        if wanted is None or not isinstance(feed, ReplayFeed | SimulatedFeed):
            return None
        moment, speed = wanted
        return feed.at(moment or now, speed=speed)


def looks(
    feed: Feed,
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    wait: Callable[[float], object] = time.sleep,
    every_s: float = 1.0,
    stopped: Callable[[], bool] = bool,
    remote: Remote | None = None,
) -> Iterator[Look]:
    """Count a feed on a clock and yield what is known, until everything has arrived.

    Parameters
    ----------
    feed
        :class:`attribution.stream.feeds.ReplayFeed`, or anything of its shape.
    settings
        Of the analysis.
    clock, wait
        The machine's by default; a test turns both by hand.
    every_s
        Seconds of the clock between two looks; a look that takes longer delays the next.
    stopped
        Once it says True, one last look takes in what has arrived.
    remote
        Pauses and moves the event; it is a clock too.
    """
    clock = clock or SystemClock()
    while not feed.begin():
        now = pd.Timestamp(feed.moment(0.0), unit="ns", tz="UTC")
        over = stopped()
        yield Look(now, math.nan, None, (), ended=over, rejected=feed.rejected, waiting=True)
        if over:
            return
        wait(every_s)
    engine = Engine(feed, clock=remote or clock)
    words: dict[str, str] = {}
    result, known = None, None
    while True:
        begun = clock.now()
        over = stopped()
        if over:
            feed.finish()
        engine.step()
        seen = engine.snapshot()
        if seen.error:
            raise ValueError(f"the feed stopped at {seen.now:%Y-%m-%d %H:%M:%S} UTC: {seen.error}")
        received = id(engine), seen.version, len(seen.social), len(seen.audience)
        if received != known:  # what is known already is not worked out again
            result, known = _analysed(seen, settings or Settings()), received
        now = {} if result is None else dict(zip(result.table["airing"], result.table["verdict"], strict=True))
        changes = tuple(Change(name, words[name], word) for name, word in now.items() if words.get(name, word) != word)
        words |= now
        ended = over or seen.state == "ENDED"
        yield Look(seen.now, rate(seen.counts), result, changes, ended, seen.metrics, feed.rejected)
        if ended:
            return
        wait(max(0.0, every_s - (clock.now() - begun)))
        moved = None if remote is None else remote.moved(feed, seen.now)
        if moved is not None:
            feed, words = moved, {}
            engine = Engine(feed, clock=remote or clock)


def _analysed(seen: Snapshot, settings: Settings) -> Analysis | None:
    """Analyse everything received, as a batch; None before the first airing."""
    if not len(seen.counts.start) or not (seen.airings["start"] < seen.counts.end).any():
        return None
    tables = {"social": seen.social, "audience": seen.audience, "context": seen.context}
    given: dict[str, Any] = {name: None if table.empty else table for name, table in tables.items()}
    return analyze(seen.counts, seen.airings, settings, **given)


def rate(counts: Counts, recent_s: float = RECENT_S) -> float:
    """Conversions a second over the last seconds: all regions, bins with an unknown count left out.

    Examples
    --------
    >>> import numpy as np
    >>> from attribution.counts import Counts
    >>> feed = Counts(start=np.arange(60).astype("datetime64[s]").astype("datetime64[ns]"), width=np.ones(60),
    ...               values=np.full((60, 2, 1, 1), 4.0), regions=("north", "south"), completeness=np.ones((60, 2)))
    >>> rate(feed)
    8.0
    """
    if not len(counts.start):
        return float("nan")
    end = counts.seconds[-1] + counts.width[-1]
    recent = max(int((counts.seconds >= end - recent_s).sum()), 1)
    total, width = counts.total[-recent:].sum(axis=1), counts.width[-recent:]
    known = ~np.isnan(total)
    return float(total[known].sum() / width[known].sum()) if known.any() else float("nan")
