"""What arrived, counted once: bins that grow, and the numbers that tell which events are missing or repeated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.counts import Counts
from attribution.emission import take
from attribution.stream.gaps import FILLED, NEW, REFUSED, REPEATED, GapSet

if TYPE_CHECKING:
    from attribution.events import EventBatch, Labels

SECOND = 1_000_000_000


class Tally(NamedTuple):
    """Events so far: counted once, missing by their numbers, repeated, counted late, and refused for their number."""

    received: int
    dropped: int
    duplicate: int
    late: int
    """Of those counted: into a bin already closed."""
    refused: int


class Ledger:
    """Bins of 1 s behind a history of whole bins; what arrives is counted once, by the number its source gave it.

    What is missing or repeated :class:`attribution.stream.gaps.GapSet` tells by the numbers.

    Parameters
    ----------
    history
        Bins that come first; their labels are those of the log. It may be empty.
    origin
        Nanoseconds since 1970 where the bins of 1 s begin: the end of the history.
    labels
        Of the events.
    numbers
        (S,) the last number each source gave before ``origin``.
    kind
        The kind of event that is counted; the others only prove that nothing is missing.
    met
        Labels and the first bin are met on the way: `grow` makes room, bins before the first event are not counts, and
        labels are handed over in alphabetical order.
    """

    def __init__(
        self, history: Counts, origin: int, labels: Labels, numbers: np.ndarray, kind: str, *, met: bool = False
    ) -> None:
        self._whole = [history]
        self._origin = origin
        self._met = met
        self._name = kind
        self._say(labels)
        sources = len(labels.sources)
        self._values = np.zeros((64, *history.values.shape[1:]), np.int64)
        self._received = np.zeros((64, sources), np.int64)
        self._missing = np.zeros((64, sources), np.int64)
        self._serves = np.zeros((sources, len(labels.regions)), bool)
        self._gaps = GapSet(numbers, before=-1)
        self._closed = 0
        self._received_all = self._duplicate = self._late = self._refused = 0
        self._revised: list[np.ndarray] = []
        self._unnumbered = np.zeros(sources, bool)
        self._first = 0 if not met else np.iinfo(np.int64).max

    def _say(self, labels: Labels) -> None:
        self._labels = labels
        self._kind = labels.kinds.index(self._name) if self._name in labels.kinds else -1
        self._beats = "heartbeat" in labels.kinds

    @property
    def labels(self) -> Labels:
        """Of the events so far."""
        return self._labels

    @property
    def numbered(self) -> bool:
        """Whether every event carried a number: else nobody knows how many are missing."""
        return not self._unnumbered.any()

    @property
    def tally(self) -> Tally:
        """Events counted once, missing, repeated, late, refused."""
        return Tally(self._received_all, self._gaps.dropped, self._duplicate, self._late, self._refused)

    @property
    def closed(self) -> int:
        """How many bins of 1 s are over."""
        return self._closed

    def grow(self, labels: Labels, numbers: np.ndarray) -> None:
        """Make room for labels that follow those known; there is no history then. ``numbers`` as at the beginning."""
        old = len(self._labels.sources)
        self._say(labels)
        room = (len(self._values), len(labels.regions), len(labels.channels), len(labels.devices))
        self._values = _padded(self._values, room)
        self._received = _padded(self._received, (room[0], len(labels.sources)))
        self._missing = _padded(self._missing, (room[0], len(labels.sources)))
        self._serves = _padded(self._serves, (len(labels.sources), room[1]))
        self._unnumbered = _padded(self._unnumbered, (len(labels.sources),))
        self._gaps.grow(numbers[old:])
        self._whole = [
            replace(
                self._whole[0],
                values=np.zeros((0, *room[1:])),
                completeness=np.zeros((0, room[1])),
                regions=labels.regions,
                channels=labels.channels,
                devices=labels.devices,
            )
        ]

    def append(self, counts: Counts) -> None:
        """Add bins that were counted elsewhere."""
        self._whole.append(counts)
        if len(self._whole) > 64:  # few parts make few pieces to put together
            self._whole = [_joined(self._whole)]

    def close(self, until: int) -> range:
        """Close the bins of 1 s that end by ``until`` (ns): all their events but the late are in. Returns their rows.

        A feed without sources has no such bins: it brings its own.
        """
        if not self._received.shape[1]:
            return range(0)
        before, self._closed = self._closed, max(self._closed, (until - self._origin) // SECOND)
        self._reserve(self._closed)
        return range(before, self._closed)

    def add(self, batch: EventBatch) -> None:
        """Count the events that were not counted before; they may be in any order, and none before the origin."""
        row = (batch.time - self._origin) // SECOND
        if not len(row):
            return
        self._reserve(int(row.max()) + 1)
        found = self._gaps.admit(batch.source.astype(np.int64), batch.seq.astype(np.int64), row)
        np.add.at(self._missing, (found.charges[1], found.charges[0]), found.charges[2])
        fresh = (found.status == NEW) | (found.status == FILLED)
        self._duplicate += int((found.status == REPEATED).sum())
        self._refused += int((found.status == REFUSED).sum())
        self._unnumbered[batch.source[batch.seq == 0]] = True
        if not fresh.all():
            batch, row = take(batch, fresh), row[fresh]
        self._received_all += len(row)
        self._first = min(self._first, int(row.min())) if len(row) else self._first
        late = row[row < self._closed]
        self._late += len(late)
        if len(late):
            self._revised.append(late)
        np.add.at(self._received, (row, batch.source), 1)
        self._serves[batch.source, batch.region] = True
        counted = batch.kind == self._kind
        cell = (row[counted], batch.region[counted], batch.channel[counted], batch.device[counted])
        np.add.at(self._values, cell, 1)

    def heard(self, row: int) -> np.ndarray:
        """(S,) events received of each source in a bin of 1 s."""
        return self._received[row]

    def missed(self, first: int, last: int) -> tuple[int, int]:
        """Events received and missing in the bins ``[first, last)`` of 1 s."""
        return int(self._received[first:last].sum()), int(self._missing[first:last].sum())

    def revised(self) -> np.ndarray:
        """(n,) rows of closed bins into which late events were counted since this was last asked, one an event."""
        rows = np.concatenate([np.empty(0, np.int64), *self._revised])
        self._revised = []
        return rows

    def rates(self, first: int, last: int) -> np.ndarray:
        """(n, R) counts of the bins ``[first, last)`` of 1 s; those below 0 are the last of the history."""
        live = self._values[max(first, min(self._first, last)) : last].sum(axis=(2, 3)).astype(float)
        if first >= 0 or self._met:
            return live
        return np.concatenate([self._whole[0].total[first:], live])

    def counts(self) -> Counts:
        """Return the history and the closed bins: a copy, which late events do not change any more.

        The completeness of a region is unknown, NaN, once one of its sources has sent an event without a number.
        """
        n = self._closed
        first = min(self._first, n)
        received, missing = self._received[first:n] @ self._serves, self._missing[first:n] @ self._serves
        values, sent = self._values[first:n].astype(float), received + missing
        completeness = np.where(sent > 0, received / np.maximum(sent, 1), 1.0)
        completeness[:, self._serves[self._unnumbered].any(axis=0)] = np.nan
        if self._beats:
            values[received == 0] = np.nan
            completeness[received == 0] = 0.0
        start = (self._origin + np.arange(first, n) * SECOND).astype("datetime64[ns]")
        live = replace(self._whole[0], start=start, width=np.ones(n - first), values=values, completeness=completeness)
        return _ordered(live) if self._met else _joined([*self._whole, live])

    def _reserve(self, rows: int) -> None:
        """Double the room until it holds ``rows`` bins of 1 s."""
        have = len(self._values)
        if rows <= have:
            return
        more = max(rows, 2 * have) - have
        for name in ("_values", "_received", "_missing"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)]))


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Put zeros behind, along every axis."""
    return np.pad(array, [(0, new - old) for new, old in zip(shape, array.shape, strict=True)])


def _ordered(counts: Counts) -> Counts:
    """Put the labels of every axis in alphabetical order, as the readers do; a copy."""
    regions, channels, devices = (
        np.argsort(np.array(labels)) for labels in (counts.regions, counts.channels, counts.devices)
    )
    return replace(
        counts,
        values=counts.values[:, regions][:, :, channels][:, :, :, devices],
        completeness=counts.completeness[:, regions],
        regions=tuple(counts.regions[i] for i in regions),
        channels=tuple(counts.channels[i] for i in channels),
        devices=tuple(counts.devices[i] for i in devices),
    )


def _joined(parts: list[Counts]) -> Counts:
    """Put bins behind one another; a copy."""
    names = ("start", "width", "values", "completeness")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
