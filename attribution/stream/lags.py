"""How late each region's events arrive: a feed that notes it while it hands them on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.stream.feeds import Delivery, Feed

RECENT = 100
"""Lags are those of the last so many deliveries that held events: 10 s of an engine's ticks."""
OPTIMAL_MS, GOOD_MS = 250.0, 1000.0
"""A region whose median lag is at most 250 ms is OPTIMAL, at most 1 s GOOD, beyond that ELEVATED."""


class Lag(NamedTuple):
    """From an event to its being taken in, ms."""

    p50: float
    p95: float

    @property
    def state(self) -> str:
        """The word for the median.

        Examples
        --------
        >>> Lag(80.0, 90.0).state, Lag(300.0, 900.0).state, Lag(4000.0, 9000.0).state
        ('OPTIMAL', 'GOOD', 'ELEVATED')
        """
        if self.p50 <= OPTIMAL_MS:
            return "OPTIMAL"
        return "GOOD" if self.p50 <= GOOD_MS else "ELEVATED"


class Timed:
    """A feed whose lags are measured by region; in all else it is the feed it is given.

    Parameters
    ----------
    feed
        Any feed of an engine.

    Examples
    --------
    >>> from attribution.scenarios import SCENARIOS
    >>> from attribution.stream.feeds import SimulatedFeed
    >>> from attribution.worlds import simulate
    >>> feed = Timed(SimulatedFeed(simulate(SCENARIOS["halftime"], rng=7)))
    >>> done = [list(feed.poll(tenths / 10)) for tenths in range(1, 11)]
    >>> {region: lag.state for region, lag in feed.lags().items()}["apac"]
    'OPTIMAL'
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=RECENT)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the feed has."""
        return getattr(self._feed, name)

    def poll(self, elapsed_s: float) -> Iterator[Delivery]:
        """Yield what the feed has, and note how late it is on the feed's own clock."""
        moment = self._feed.moment(elapsed_s)
        for delivery in self._feed.poll(elapsed_s):
            batch = delivery.batch
            if batch is not None and len(batch):
                step = max(len(batch) // 256, 1)
                late = (moment - batch.time[::step]) / 1e6 / self._feed.speed
                self._recent.append((batch.region[::step], late))
            yield delivery

    def lags(self) -> dict[str, Lag]:
        """Return each region's lag over the last deliveries; a region that sent nothing is left out."""
        recent = list(self._recent)
        if not recent:
            return {}
        region, late = (np.concatenate(part) for part in zip(*recent, strict=True))
        found = {}
        for code, name in enumerate(self._feed.labels.regions):
            own = late[region == code]
            if len(own):
                found[name] = Lag(*(float(q) for q in np.quantile(own, (0.5, 0.95))))
        return found
