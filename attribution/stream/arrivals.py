"""A feed of what arrives: frames of an inbox or of a growing file, counted by the time they carry."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.counts import Counts
from attribution.intake import CONVERSIONS, MAX_CELLS
from attribution.moments import FIRST
from attribution.stream.feeds import SECOND, TABLES, Delivery, no_table
from attribution.stream.roll import Roll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from attribution.events import EventBatch, Labels
    from attribution.stream.wire import Frame

SETTLE_S = 2.0
"""A second is over when an event of so many seconds later has come: events overtake each other on their way."""
FUTURE_S = 2.0
"""An event from further ahead of our clock is set aside: its own clock is wrong."""
BEFORE_S = 120
"""Events so much older than the first one are still counted."""


class ArrivalFeed:
    """Events as they arrive. The newest of them is the feed's clock, so that what it shows depends on nothing else.

    Without events no second passes: nobody knows then whether nothing happened or nothing came.

    Parameters
    ----------
    take
        Returns the frames that came since it was last asked.
    tables
        Functions that return the canonical tables as far as they are known, by name; absent ones are empty.
    kind
        Kind of event that is counted; by default, of those in the first frames, the usual name of a conversion.
    settle_s
        A second is over when an event of so many seconds later has come.
    now
        Nanoseconds since 1970: the clock that tells events of the future.
    rejected
        Returns what was rejected before it came here, by reason.

    Raises
    ------
    ValueError
        When ``settle_s`` is negative.

    Examples
    --------
    >>> from attribution.stream.wire import lines
    >>> came = [[lines(b'{"time": 1770583260}')[0]], []]
    >>> feed = ArrivalFeed(lambda: came.pop(0))
    >>> feed.begin(), feed.kind, feed.labels.regions
    (True, 'conversion', ('all',))
    """

    met = True
    speed = 1.0

    def __init__(
        self,
        take: Callable[[], list[Frame]],
        *,
        tables: Mapping[str, Callable[[], pd.DataFrame]] | None = None,
        kind: str | None = None,
        settle_s: float = SETTLE_S,
        now: Callable[[], int] = time.time_ns,
        rejected: Callable[[], Counter[str]] = Counter,
    ) -> None:
        if not 0 <= settle_s < np.inf:
            raise ValueError(f"settle_s is {settle_s}; choose 0 s or more")
        self._take = take
        self._given = dict(tables or {})
        self._wanted = kind
        self._settle = round(settle_s * SECOND)
        self._now = now
        self._before = rejected
        self._roll = Roll()
        self._lost: Counter[str] = Counter()
        self._batches: list[EventBatch] = []
        self._newest = self._until = 0
        self._last = self._over = False
        self.kind = kind or "conversion"
        self.origin = 0

    @property
    def labels(self) -> Labels:
        """Of the events so far."""
        return self._roll.labels

    @property
    def numbers(self) -> np.ndarray:
        """(S,) all -1: unknown, as a file may begin anywhere; the first number of a source begins."""
        return np.full(len(self.labels.sources), -1)

    @property
    def history(self) -> Counts:
        """No bin."""
        labels = self.labels
        axes = len(labels.regions), len(labels.channels), len(labels.devices)
        return Counts(
            start=np.empty(0, "datetime64[ns]"),
            width=np.empty(0),
            values=np.empty((0, *axes)),
            completeness=np.empty((0, axes[0])),
            regions=labels.regions,
            channels=labels.channels,
            devices=labels.devices,
            kind=self.kind,
        )

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Canonical tables as far as they are known."""
        return {name: self._given[name]() if name in self._given else no_table(name) for name in TABLES}

    @property
    def rejected(self) -> Counter[str]:
        """Events that could not be counted, by reason."""
        return self._before() + self._lost + self._roll.rejected

    @property
    def ended(self) -> bool:
        """Whether `finish` was called and everything has been delivered."""
        return self._over

    def begin(self) -> bool:
        """Look whether the first events have come, and settle where the feed begins and what it counts."""
        if not self.origin:
            waiting = [frame for frame in map(self._present, self._take()) if len(frame)]
            if waiting:
                first = min(int(frame.rows["time"].min()) for frame in waiting)
                self.origin = self._until = (first // SECOND - BEFORE_S) * SECOND
                self._batches = [self._roll.admit(frame) for frame in waiting]
                usual = [name for name in CONVERSIONS if name in self.labels.kinds]
                self.kind = self._wanted or (usual or ["conversion"])[0]
        return self.origin > 0

    def finish(self) -> None:
        """Let the next poll be the last: it delivers what is left and closes every second."""
        self._last = True

    def moment(self, elapsed_s: float) -> int:
        """Return the time now: events are from the present."""
        return self._now()

    def poll(self, elapsed_s: float) -> Iterator[Delivery]:
        """Yield what has arrived, frame by frame."""
        batches, self._batches = self._batches, []
        last = self._last
        for batch in batches:
            yield self._delivered(batch)
        for frame in self._take():
            yield self._delivered(self._roll.admit(self._placed(self._present(frame))))
        if last and not self._over:
            self._over = True
            self._until = max(self._until, (self._newest // SECOND + 1) * SECOND)
            yield Delivery(self._until)

    def _delivered(self, batch: EventBatch) -> Delivery:
        if len(batch):
            self._newest = max(self._newest, int(batch.time.max()))
            self._until = max(self._until, self._newest - self._settle)
        return Delivery(self._until, batch)

    def _present(self, frame: Frame) -> Frame:
        """Set aside what comes from the future, or from before this epoch of clocks."""
        time = frame.rows["time"]
        frame = self._keep(frame, time <= self._now() + round(FUTURE_S * SECOND), "time is in the future")
        return self._keep(frame, frame.rows["time"] >= FIRST, "time lies before 1971")

    def _placed(self, frame: Frame) -> Frame:
        """Set aside what lies before the first second, or so far off that the seconds between would not fit."""
        labels = self.labels
        cells = max(len(labels.regions) * len(labels.channels) * len(labels.devices), 1)
        end = self.origin + MAX_CELLS // cells * SECOND
        frame = self._keep(frame, frame.rows["time"] >= self.origin, "time lies before the beginning")
        return self._keep(frame, frame.rows["time"] < end, "time is far from the beginning")

    def _keep(self, frame: Frame, good: np.ndarray, reason: str) -> Frame:
        if good.all():
            return frame
        self._lost[reason] += int(len(good) - good.sum())
        return replace(frame, rows=frame.rows[good])
