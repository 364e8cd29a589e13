"""Rows of seconds -> Counts, which the model reads: values, and how complete they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribution.counts import Counts
from attribution.stream.tallies import CELL, LATE, MISSING, RECEIVED, REPEATS, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attribution.stream.book import Book


def to_counts(rows: Mapping[int, np.ndarray], book: Book, first: int, last: int, *, kind: str = "conversion") -> Counts:
    """Lay seconds out as counts of one kind of event.

    Parameters
    ----------
    rows
        Second since 1970 -> its row; a second without a row has nothing in it.
    book
        Names of the slots, and which sources serve which regions.
    first, last
        Seconds ``[first, last)``.
    kind
        What to count.

    Returns
    -------
    Counts
        Labels sorted. ``completeness`` is received / (received + missing) of the sources of a region, and NaN where one
        of them does not number its events. Where sources send heartbeats, a second without any event is unknown.
    """
    slots = book.tallies.slots
    table = np.zeros((last - first, len(slots)), np.int64)
    for second, row in rows.items():
        if first <= second < last:
            table[second - first, : len(row)] = row
    cells = [(i, slot.of) for i, slot in enumerate(slots) if slot.what == CELL]
    axes = [sorted({str(of[axis]) for _, of in cells}) or ["all"] for axis in range(3)]
    place = [{name: i for i, name in enumerate(names)} for names in axes]
    values = np.zeros((last - first, *(len(names) for names in axes)))
    for i, (region, channel, device, what) in cells:
        if what == kind:
            at = (place[0][str(region)], place[1][str(channel)], place[2][str(device)])
            values[(slice(None), *at)] = table[:, i]
    received, missing = (_by_region(table, slots, book, what, axes[0]) for what in (RECEIVED, MISSING))
    completeness = np.where(received + missing > 0, received / np.maximum(received + missing, 1), 1.0)
    for track in np.flatnonzero(book.unnumbered[: len(book.tracks)]):
        for region in np.flatnonzero(book.serves[track]).tolist():
            completeness[:, place[0][book.regions[region]]] = np.nan
    if any(of[3] == "heartbeat" for _, of in cells):
        values[received == 0] = np.nan
        completeness[received == 0] = 0.0
    return Counts(
        start=(np.arange(first, last) * 1_000_000_000).astype("datetime64[ns]"),
        width=np.ones(last - first),
        values=values,
        regions=tuple(axes[0]),
        channels=tuple(axes[1]),
        devices=tuple(axes[2]),
        completeness=completeness,
        kind=kind,
    )


def repeated_and_late(rows: Mapping[int, np.ndarray], slots: Sequence[Slot]) -> dict[str, dict[tuple[int, str], int]]:
    """Events repeated and late, each by (second, region)."""
    found: dict[str, dict[tuple[int, str], int]] = {REPEATS: {}, LATE: {}}
    for second, row in rows.items():
        for i in np.flatnonzero(row).tolist():
            if slots[i].what in found:
                found[slots[i].what][second, str(slots[i].of[0])] = int(row[i])
    return found


def _by_region(table: np.ndarray, slots: list[Slot], book: Book, what: str, regions: list[str]) -> np.ndarray:
    """(T, R) a number of sources, added up over those that serve each region."""
    at = {slot.of: i for i, slot in enumerate(slots) if slot.what == what}
    columns = table[:, [at[track] for track in book.tracks]]
    order = [book.regions.index(region) for region in regions] if book.regions else []
    serves = book.serves[: len(book.tracks)][:, order] if order else np.zeros((len(book.tracks), len(regions)), bool)
    return columns @ serves.astype(np.int64)
