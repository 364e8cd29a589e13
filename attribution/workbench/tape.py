"""What the page showed at every moment, kept small: the past is looked up, never worked out again."""

from __future__ import annotations

import pickle
import threading
import zlib
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.workbench.look import Look

MOST = 20_000
"""Moments that are kept: over five hours at one a second. The oldest go first."""
READY = 8
"""Moments of the past that stay unpacked, for all who look at them."""


class Tape:
    """Looks in the order of their moments, each one as it was shown.

    A look is packed without what no page shows: the data and fits behind its analysis. An analysis that several looks
    share is packed once.
    """

    def __init__(self) -> None:
        self._moments: list[pd.Timestamp] = []
        self._looks: list[tuple[bytes, int]] = []
        self._answers: dict[int, bytes] = {}
        self._last: Analysis | None = None
        self._count = 0
        self._ready: OrderedDict[int, Look] = OrderedDict()
        self._dropped = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._moments)

    def keep(self, look: Look) -> None:
        """Keep what was shown; a moment that was kept already is shown as it was last."""
        with self._lock:
            if look.result is not None and look.result is not self._last:
                self._count += 1
                self._answers[self._count] = _packed(_bare(look.result, look.span))
                self._last = look.result
            entry = _packed(replace(look, result=None)), 0 if look.result is None else self._count
            if self._moments and look.now <= self._moments[-1]:
                self._ready.pop(self._dropped + len(self._moments) - 1, None)
                self._looks[-1] = entry
            else:
                self._moments.append(look.now)
                self._looks.append(entry)
            if len(self._moments) > MOST:
                self._forget(MOST // 10)

    @property
    def span(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """First and last moment that is kept; None while there is none."""
        return (self._moments[0], self._moments[-1]) if self._moments else None

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        with self._lock:
            return sum(len(look) for look, _ in self._looks) + sum(map(len, self._answers.values()))

    def at(self, moment: pd.Timestamp) -> Look | None:
        """Return what was shown at a moment: the last look by then, else the first of all; None while there is none."""
        with self._lock:
            if not self._moments:
                return None
            place = max(bisect_right(self._moments, moment) - 1, 0)
            number = self._dropped + place
            if number in self._ready:
                self._ready.move_to_end(number)
                return self._ready[number]
            packed, answer = self._looks[place]
            result = _unpacked(self._answers[answer]) if answer else None
        look = replace(_unpacked(packed), result=result)
        with self._lock:
            self._ready[number] = look
            while len(self._ready) > READY:
                self._ready.popitem(last=False)
        return look

    def _forget(self, some: int) -> None:
        del self._moments[:some], self._looks[:some]
        self._dropped += some
        used = {answer for _, answer in self._looks}
        self._answers = {number: packed for number, packed in self._answers.items() if number in used}


def _bare(result: Analysis, span: tuple[pd.Timestamp, pd.Timestamp]) -> Analysis:
    """Leave out what no page shows of a past moment."""
    return replace(
        result, given=None, series=result.series.iloc[:0], total=result.total[result.total["time"] >= span[0]]
    )


def _packed(thing: object) -> bytes:
    return zlib.compress(pickle.dumps(thing, protocol=5), 1)


def _unpacked(data: bytes) -> Any:
    return pickle.loads(zlib.decompress(data))  # noqa: S301  packed above, in this process
