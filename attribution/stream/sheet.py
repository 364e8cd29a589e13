"""A body of JSON lines as columns: plain lines at once, the others one by one, each of them kept or counted."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from attribution.stream.bulk import FEW, MANY, Plain, blocks, plain
from attribution.stream.entries import PLACES, Rejected, moments_of, parsed, placed

CODES = 65_536
"""The most sources, and the most cells, that a body may have."""
_NUMBERS = [("seq", np.uint64), ("weight", np.float32), ("source", np.uint16), ("cell", np.uint16)]
_PLAIN = (str, int, type(None))
"""Labels of these kinds are looked up as they stand: neither true nor 1.0 passes for 1."""


class Named(NamedTuple):
    """Names behind the codes of a body.

    Attributes
    ----------
    sources, epochs
        (S,) each.
    names
        Of regions, channels, devices, kinds.
    cells
        (m, 4) uint16, positions in ``names``.
    """

    sources: tuple[str, ...]
    epochs: tuple[int, ...]
    names: tuple[tuple[str, ...], ...]
    cells: np.ndarray


class Sheet:
    r"""Lines read so far, and the labels they brought.

    Attributes
    ----------
    rejected
        Lines that were not taken, by reason.

    Examples
    --------
    >>> sheet = Sheet()
    >>> sheet.read(b'{"time": 5, "region": "north"}\n{"seq": 1}')
    >>> sheet.columns()[0], dict(sheet.rejected), sheet.labels().names[0]
    (array([5000000000]), {'no time': 1}, ('north',))
    """

    def __init__(self) -> None:
        self._moments: list[Any] = []
        self._numbers: list[tuple[int, float, int, int]] = []
        self._sources: dict[tuple[str, int], int] = {}
        self._names: list[dict[str, int]] = [{} for _ in PLACES]
        self._cells: dict[tuple[int, ...], int] = {}
        self._known: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._parts: list[tuple[np.ndarray, ...]] = []
        self.rejected: Counter[str] = Counter()

    def read(self, data: bytes) -> None:
        """Read a body: one event a line."""
        for block in blocks(data, MANY):
            self._take(block)
        self._lay()

    def columns(self) -> list[np.ndarray]:
        """(n,) time (ns since 1970), seq, weight, and the codes of source and cell, of the lines in their order."""
        return [np.concatenate(column) for column in zip(*self._parts, strict=True)]

    def labels(self) -> Named:
        """Return the names behind the codes."""
        tracks = tuple(self._sources) or (("feed", 0),)
        return Named(
            sources=tuple(name for name, _ in tracks),
            epochs=tuple(epoch for _, epoch in tracks),
            names=tuple(tuple(known) or (default,) for known, default in zip(self._names, PLACES, strict=True)),
            cells=np.array(list(self._cells) or [(0, 0, 0, 0)], dtype=np.uint16),
        )

    def _take(self, block: bytes) -> None:
        """Take some lines: all at once where they are plain, else fewer at once, at last one by one."""
        found = plain(block)
        if found is not None and self._take_plain(found):
            return
        parts = blocks(block, FEW)
        for part in parts if len(parts) > 1 else ():
            self._take(part)
        for line in block.split(b"\n") if len(parts) == 1 else ():
            if line.strip():
                try:
                    self._enter(line)
                except Rejected as error:
                    self.rejected[str(error)] += 1

    def _take_plain(self, found: Plain) -> bool:
        """Take lines that are plain; False, and none of them is taken, when a label of theirs is wrong."""
        try:
            codes = np.array([self._codes_of(place) for place in found.places], dtype=np.uint16)
        except Rejected:
            return False
        self._lay()
        self._keep(found.good, found.time, found.seq, found.weight, *codes[found.place].T)
        return True

    def _enter(self, line: bytes) -> None:
        """Take one line; nothing of it is kept when it is rejected."""
        entry, place = parsed(line)
        codes = self._codes_of(place)
        self._moments.append(entry.moment)
        self._numbers.append((entry.seq, entry.weight, *codes))

    def _codes_of(self, place: tuple[Any, ...]) -> tuple[int, int]:
        """Codes of source and cell of labels as they stand in a line."""
        plainly = all(type(part) in _PLAIN for part in place)
        codes = self._known.get(place) if plainly else None
        if codes is None:
            codes = self._place(place)
            if plainly:
                self._known[place] = codes
        return codes

    def _place(self, place: tuple[Any, ...]) -> tuple[int, int]:
        """Codes of source and cell of labels that were not met yet, or not in this writing."""
        source, epoch, *names = placed(place)
        track = (source, epoch)
        full = len(self._sources) == CODES and track not in self._sources
        full |= len(self._cells) == CODES
        full |= any(
            len(known) == 256 and name not in known for known, name in zip(self._names[1:], names[1:], strict=True)
        )
        if full:
            raise Rejected("too many labels in one body")
        cell = tuple(known.setdefault(name, len(known)) for known, name in zip(self._names, names, strict=True))
        return self._sources.setdefault(track, len(self._sources)), self._cells.setdefault(cell, len(self._cells))

    def _lay(self) -> None:
        """Make rows of the lines that were taken one by one, texts into moments all at once."""
        numbers = np.array(self._numbers, dtype=_NUMBERS)
        text = np.array([isinstance(moment, str) for moment in self._moments], dtype=bool)
        time, good = np.empty(len(text), np.int64), np.ones(len(text), bool)
        time[~text] = np.array([m for m in self._moments if not isinstance(m, str)], dtype=np.int64)
        if text.any():
            time[text], good[text] = moments_of([m for m in self._moments if isinstance(m, str)])
        self._keep(good, time, *(numbers[name] for name, _ in _NUMBERS))
        self._moments, self._numbers = [], []

    def _keep(self, good: np.ndarray, *columns: np.ndarray) -> None:
        if not good.all():
            self.rejected["time is not a moment"] += int((~good).sum())
        self._parts.append(tuple(column[good] for column in columns))
