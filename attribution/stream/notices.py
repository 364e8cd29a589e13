"""Lines of the log: an airing begins, a region's rate jumps, a source falls silent or loses, late events revise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from attribution.stream.ledger import Ledger

SECOND = 1_000_000_000
SPIKE_S, BEFORE_S = 5, 60
"""A region's rate over 5 s is compared with its mean over the 60 s before."""
SPIKE_RATIO, SPIKE_SD, CALM_RATIO = 1.5, 4.0, 1.2
"""A spike is 1.5 x that mean and 4 sd of a count above it; it is over below 1.2 x."""
LOSS, LOSS_S = 0.001, 60
"""More than one event in a thousand missing, over a minute, is an alert."""
REVISION_S = 60
"""Late events revise bins that are closed; the log says so at most once in so many seconds."""


class LogEntry(NamedTuple):
    """One line of the log: a change of state, at the time of the event when it came about."""

    time: pd.Timestamp
    kind: str
    """``TV_DETECTION``, ``INGEST_SPIKE`` or ``ALERT``."""
    text: str


class Notices:
    """Watches the closed bins one by one, so that the log does not depend on how often one looks.

    Parameters
    ----------
    airings
        The schedule.
    origin
        Nanoseconds since 1970, UTC, where the bins of 1 s begin.
    """

    def __init__(self, airings: pd.DataFrame, origin: int) -> None:
        ahead = airings[airings["start"] >= _moment(origin)]
        self._ahead: list[dict[Any, Any]] = ahead.sort_values("start", kind="stable").to_dict("records")
        self._origin = origin
        self._spiking: set[int] = set()
        self._silent: set[int] = set()
        self._losing = False
        self._told_row = -REVISION_S

    def on_air(self, until: int) -> list[LogEntry]:
        """Return the airings that begin by ``until``."""
        found = []
        while self._ahead and self._ahead[0]["start"].value <= until:
            row = self._ahead.pop(0)
            where = ", ".join(row["regions"].split("|")) if row["regions"] else "all regions"
            pod = f", {row['break_id']}" if row["break_id"] else ""
            text = f"{row['airing']} is on the air for {row['length_s']:g} s in {where}{pod}"
            found.append(LogEntry(row["start"], "TV_DETECTION", text))
        return found

    def closed(self, row: int, ledger: Ledger) -> list[LogEntry]:
        """Return the changes of state in a bin that has just closed."""
        at = _moment(self._origin + (row + 1) * SECOND)
        found = [*self._spikes(row, ledger), *self._silence(row, ledger), *self._loss(row, ledger)]
        found += self._revision(row, ledger)
        return [LogEntry(at, kind, text) for kind, text in found]

    def _spikes(self, row: int, ledger: Ledger) -> list[tuple[str, str]]:
        rates = ledger.rates(row + 1 - SPIKE_S - BEFORE_S, row + 1)
        if len(rates) < SPIKE_S + BEFORE_S:
            return []
        found = []
        now, mean = rates[-SPIKE_S:].mean(axis=0), rates[:-SPIKE_S].mean(axis=0)
        for i, region in enumerate(ledger.labels.regions):
            ratio = now[i] / mean[i] if mean[i] > 0 else math.nan
            noise = math.sqrt(mean[i] * (1 / SPIKE_S + 1 / BEFORE_S)) if mean[i] > 0 else math.nan
            if i not in self._spiking and ratio >= SPIKE_RATIO and now[i] - mean[i] >= SPIKE_SD * noise:
                self._spiking.add(i)
                text = f"{region}: {now[i]:.1f} conversions/s over {SPIKE_S} s, {ratio:.2f} x the minute before"
                found.append(("INGEST_SPIKE", text))
            elif i in self._spiking and ratio < CALM_RATIO:
                self._spiking.remove(i)
        return found

    def _silence(self, row: int, ledger: Ledger) -> list[tuple[str, str]]:
        if "heartbeat" not in ledger.labels.kinds:
            return []
        silent = set(np.flatnonzero(ledger.heard(row) == 0).tolist())
        changed, self._silent = sorted(silent ^ self._silent), silent
        return [
            (
                "ALERT",
                f"data: {ledger.labels.sources[i]} is "
                + ("silent: its counts are unknown" if i in silent else "heard again"),
            )
            for i in changed
        ]

    def _loss(self, row: int, ledger: Ledger) -> list[tuple[str, str]]:
        received, missing = ledger.missed(max(row + 1 - LOSS_S, 0), row + 1)
        losing = missing > LOSS * (received + missing)
        if losing == self._losing:
            return []
        self._losing = losing
        share = missing / (received + missing)
        word = "are missing" if losing else "are missing, fewer than the limit again"
        return [("ALERT", f"data: {share:.2%} of the events of the last {LOSS_S} s {word} (limit {LOSS:.1%})")]

    def _revision(self, row: int, ledger: Ledger) -> list[tuple[str, str]]:
        if row < self._told_row + REVISION_S:
            return []
        rows = ledger.revised()
        if not len(rows):
            return []
        self._told_row = row
        bins, first = len(np.unique(rows)), _moment(self._origin + int(rows.min()) * SECOND)
        events = f"{len(rows):,} event{'s' * (len(rows) != 1)} came late"
        text = f"data: {events}; {bins:,} closed bin{'s' * (bins != 1)} revised, back to {first:%H:%M:%S}"
        return [("ALERT", text)]


def _moment(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, unit="ns", tz="UTC")
