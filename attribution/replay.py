"""A recorded event watched as if it happened now: the engine plays it on a clock, the model looks every second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from attribution.analysis import Analysis, analyze
from attribution.settings import Settings
from attribution.stream.engine import Clock, Engine, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attribution.counts import Counts
    from attribution.stream.feeds import Feed

LEAD_S = 75.0
"""A replay begins so long before the first airing; what lies before is history."""
RECENT_S = 10.0
"""The rate is that of the last 10 s, or of the last bin where bins are wider."""


class Change(NamedTuple):
    """A verdict that became another."""

    airing: str
    before: str
    after: str


class Look(NamedTuple):
    """What is known at one moment of a replay."""

    now: pd.Timestamp
    """Time of the event."""
    rate: float
    """Conversions a second in all regions, over the last 10 s; NaN where unknown."""
    result: Analysis | None
    """The batch analysis of everything received; None before the first airing."""
    changes: tuple[Change, ...]
    """Verdicts that differ from the look before."""
    ended: bool
    """Whether everything has arrived."""


def looks(
    feed: Feed,
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    wait: Callable[[float], None] = time.sleep,
    every_s: float = 1.0,
) -> Iterator[Look]:
    """Play a feed on a clock and yield what is known, until everything has arrived.

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
    """
    clock = clock or SystemClock()
    engine = Engine(feed, clock=clock)
    words: dict[str, str] = {}
    while True:
        begun = clock.now()
        engine.step()
        seen = engine.snapshot()
        if seen.error:
            raise ValueError(f"the replay stopped at {seen.now:%Y-%m-%d %H:%M:%S} UTC: {seen.error}")
        result = None
        if len(seen.counts.start) and (seen.airings["start"] < seen.counts.end).any():
            tables = {"social": seen.social, "audience": seen.audience, "context": seen.context}
            given: dict[str, Any] = {name: None if table.empty else table for name, table in tables.items()}
            result = analyze(seen.counts, seen.airings, settings or Settings(), **given)
        now = {} if result is None else dict(zip(result.table["airing"], result.table["verdict"], strict=True))
        changes = tuple(Change(name, words[name], word) for name, word in now.items() if words.get(name, word) != word)
        words |= now
        ended = seen.state == "ENDED"
        yield Look(seen.now, rate(seen.counts), result, changes, ended)
        if ended:
            return
        wait(max(0.0, every_s - (clock.now() - begun)))


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


def entry(airings: pd.DataFrame) -> pd.Timestamp | None:
    """Return the moment a replay begins by default: a little before the first airing; None without airings."""
    return None if airings.empty else airings["start"].min() - pd.Timedelta(seconds=LEAD_S)
