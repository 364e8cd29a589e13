"""Labels met on the way: one set of codes for the frames of many senders, each of which has its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from attribution.events import EventBatch, Labels

if TYPE_CHECKING:
    from attribution.stream.wire import Frame

MOST = {"regions": 5000, "channels": 256, "devices": 256, "kinds": 256}
"""Labels of each; more of them are rather an identifier in the wrong column."""
SOURCES, CELLS = 4096, 10_000
"""Numberings; and regions x channels x devices, which every second has a place for."""
UNMET = -2
KEPT = 64
"""Dictionaries whose translation is remembered."""


class Roll:
    """The labels so far; codes are given in the order of arrival and never change.

    A source with another epoch numbers anew, so it is a source of its own: ``feed``, then ``feed #1``.

    Examples
    --------
    >>> from attribution.stream.wire import lines
    >>> roll = Roll()
    >>> for body in (b'{"time": 1770583260, "region": "north"}', b'{"time": 1770583261, "region": "south"}'):
    ...     batch = roll.admit(lines(body)[0])
    >>> batch.region, roll.labels.regions
    (array([1], dtype=uint16), ('north', 'south'))
    """

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self._codes: dict[str, dict[str, int]] = {name: {} for name in ("sources", *MOST)}
        self._labels = Labels(**dict.fromkeys(self._codes, ()))
        self._known: dict[tuple[int, ...], tuple[Frame, np.ndarray, np.ndarray]] = {}

    @property
    def labels(self) -> Labels:
        """Names behind the codes; another object whenever one was added."""
        return self._labels

    def admit(self, frame: Frame) -> EventBatch:
        """Return the events of a frame under the codes of the roll; those without a place are in ``rejected``."""
        source_of, cell_of = self._translation(frame)
        cells, sources = cell_of[frame.rows["cell"]], source_of[frame.rows["source"]]
        good = (cells[:, 0] >= 0) & (sources >= 0)
        if not good.all():
            self.rejected["too many labels"] += int(len(good) - good.sum())
        whole = good.all()
        rows = frame.rows if whole else frame.rows[good]
        region, channel, device, kind = (cells if whole else cells[good]).T
        return EventBatch(
            time=np.ascontiguousarray(rows["time"]),
            seq=np.ascontiguousarray(rows["seq"]),
            source=(sources if whole else sources[good]).astype(np.uint16),
            region=region.astype(np.uint16),
            channel=channel.astype(np.uint8),
            device=device.astype(np.uint8),
            kind=kind.astype(np.uint8),
            weight=np.ascontiguousarray(rows["weight"]),
            labels=self._labels,
        )

    def _translation(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Codes in the roll of the frame's sources (S,) and cells (m, 4) that are in use; -1: there is no place."""
        key = (id(frame.labels), id(frame.epochs), id(frame.cells))
        if key not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            blank = np.full(len(frame.epochs), UNMET), np.full(frame.cells.shape, UNMET)
            self._known[key] = frame, *blank  # the frame is kept, so that no other one takes its identity
        _, sources, cells = self._known[key]
        met = sum(map(len, self._codes.values()))
        for i in _unmet(frame.rows["source"], sources):
            sources[i] = self._source(frame.labels.sources[i], frame.epochs[i])
        for i in _unmet(frame.rows["cell"], cells[:, 0]):
            codes = zip(MOST, frame.cells[i].tolist(), strict=True)
            cells[i] = self._place([getattr(frame.labels, name)[code] for name, code in codes])
        if met != sum(map(len, self._codes.values())):
            self._labels = Labels(**{name: tuple(known) for name, known in self._codes.items()})
        return sources, cells

    def _place(self, names: list[str]) -> tuple[int, ...]:
        """Codes of one cell; labels without a place leave no trace."""
        known = [self._codes[dimension] for dimension in MOST]
        sizes = [len(codes) + (name not in codes) for codes, name in zip(known, names, strict=True)]
        if any(size > most for size, most in zip(sizes, MOST.values(), strict=True)) or np.prod(sizes[:3]) > CELLS:
            return (-1, -1, -1, -1)
        return tuple(codes.setdefault(name, len(codes)) for codes, name in zip(known, names, strict=True))

    def _source(self, name: str, epoch: int) -> int:
        known, label = self._codes["sources"], f"{name} #{epoch}" if epoch else name
        if label in known:
            return known[label]
        if len(known) >= SOURCES:
            return -1
        return known.setdefault(label, len(known))


def _unmet(used: np.ndarray, codes: np.ndarray) -> list[int]:
    """Positions in use that have no code yet."""
    times = np.bincount(used, minlength=len(codes))
    return np.flatnonzero((times > 0) & (codes == UNMET)).tolist()
