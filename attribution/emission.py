"""Events of a simulated feed, second by second: numbered at their source, then lost, repeated or late on the way."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from attribution.events import EventBatch, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.scenarios import Faults, Scenario

KINDS = ("visit", "conversion", "heartbeat")
VISIT, CONVERSION, HEARTBEAT = range(3)
SECOND = 1_000_000_000
_TABLE = 4096
"""Channel and device of a visit are looked up: shares are exact to 1/4096."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the sources sent each second, and what of it never arrived; besides, each source beats once a second.

    Attributes
    ----------
    conversions, lost_conversions
        (T, R, C, K) int64.
    visits, lost_visits
        (T, R) int64.
    out
        (T,) bool: nothing arrives, heartbeats neither.
    """

    conversions: np.ndarray
    visits: np.ndarray
    lost_conversions: np.ndarray
    lost_visits: np.ndarray
    out: np.ndarray

    @property
    def sent(self) -> np.ndarray:
        """(T, R) events of every kind that were sent."""
        return self.conversions.sum(axis=(2, 3)) + self.visits + 1

    @property
    def completeness(self) -> np.ndarray:
        """(T, R) share of the sent events that arrived."""
        lost = self.lost_conversions.sum(axis=(2, 3)) + self.lost_visits
        return np.where(self.out[:, None], 0.0, 1 - lost / self.sent)


def labels(scenario: Scenario) -> Labels:
    """Names behind the codes of a scenario's events: each region has its own source."""
    regions = tuple(name for name, _ in scenario.regions)
    return Labels(
        sources=tuple(f"collector-{name}" for name in regions),
        regions=regions,
        channels=tuple(name for name, *_ in scenario.channels),
        devices=tuple(name for name, *_ in scenario.devices),
        kinds=KINDS,
    )


def mixes(scenario: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Return the (C, K) shares of channel x device: of ordinary conversions, and of those an airing adds."""
    base, added = (
        np.outer(np.array([row[i] for row in scenario.channels]), np.array([row[i] for row in scenario.devices]))
        for i in (1, 2)
    )
    return base, added


def emit(
    traffic: Traffic, scenario: Scenario, seed: int, *, start_s: int = 0, kinds: tuple[str, ...] = KINDS
) -> Iterator[EventBatch]:
    """Yield the events second by second, in the order in which they arrive.

    Parameters
    ----------
    traffic
        How many are sent and lost.
    scenario, seed
        Equal ones give equal events, whatever the second one starts at.
    start_s
        First second of the event to yield.
    kinds
        Kinds to yield; each source numbers the events of these kinds alone.

    Yields
    ------
    EventBatch
        One a second, sorted by time; late events stand before the others, with the time when they happened. Those
        still on their way when the event is over follow in one last batch.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"kinds holds {min(unknown)!r}; choose from {', '.join(KINDS)}")
    mint = _Mint.make(traffic, scenario, seed, kinds)
    faults = scenario.faults
    waiting: dict[int, list[EventBatch]] = {}
    total = len(traffic.visits)
    for second in range(start_s, total):
        batch = mint.strike(second)
        if faults.duplicates or faults.late:
            batch = _hinder(batch, second, faults, mint.generator(2, second), waiting)
        if second in waiting:
            batch = join([*waiting.pop(second), batch])
        yield batch
    if waiting:
        yield join([batch for second in sorted(waiting) for batch in waiting[second]])


def join(batches: list[EventBatch]) -> EventBatch:
    """Put batches of one feed behind one another."""
    columns = [f.name for f in fields(EventBatch) if f.name != "labels"]
    whole = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in columns}
    return EventBatch(labels=batches[0].labels, **whole)


def take(batch: EventBatch, which: np.ndarray | slice) -> EventBatch:
    """Keep some events of a batch, in the order given."""
    columns = [f.name for f in fields(EventBatch) if f.name != "labels"]
    return replace(batch, **{name: getattr(batch, name)[which] for name in columns})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mint:
    """Makes the events of any second, each from its own random stream."""

    traffic: Traffic
    labels: Labels
    seed: int
    begin: int
    kinds: tuple[str, ...]
    base: np.ndarray
    """(T, R) int64: number of the last event sent before each second."""
    places: np.ndarray
    """(4096,) cell of channel x device of a visit."""
    value: float

    @classmethod
    def make(cls, traffic: Traffic, scenario: Scenario, seed: int, kinds: tuple[str, ...]) -> _Mint:
        sent = np.zeros(traffic.visits.shape, np.int64)
        if "conversion" in kinds:
            sent += traffic.conversions.sum(axis=(2, 3))
        if "visit" in kinds:
            sent += traffic.visits
        if "heartbeat" in kinds:
            sent += 1
        mix = mixes(scenario)[0].ravel()
        edges = np.round(np.cumsum(mix) * _TABLE).astype(int)
        values = [spot.value for spot in scenario.airings if not np.isnan(spot.value)]
        return cls(
            traffic=traffic,
            labels=labels(scenario),
            seed=seed,
            begin=scenario.begin.value,
            kinds=kinds,
            base=np.cumsum(sent, axis=0) - sent,
            places=np.repeat(np.arange(len(mix)), np.diff(edges, prepend=0)),
            value=values[0] if values else 0.0,
        )

    def generator(self, purpose: int, second: int) -> np.random.Generator:
        """Random stream of one second for one purpose: 0 conversions, 1 visits, 2 faults."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(99, purpose, second)))

    def strike(self, second: int) -> EventBatch:
        """Make the events of one second that arrive; numbers are given before any is lost."""
        parts = []
        if "conversion" in self.kinds:
            parts.append(self._conversions(second))
        if "visit" in self.kinds:
            parts.append(self._visits(second))
        if "heartbeat" in self.kinds:
            parts.append(self._heartbeats())
        lapse, region, place, kind, lost = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(lapse)
        lapse, region, place, kind, lost = lapse[order], region[order], place[order], kind[order], lost[order]
        seq = np.empty(len(lapse), np.uint64)
        for code, last in enumerate(self.base[second]):
            mine = np.flatnonzero(region == code)
            seq[mine] = np.arange(last + 1, last + 1 + len(mine), dtype=np.uint64)
        width = len(self.labels.devices)
        batch = EventBatch(
            time=lapse + (self.begin + second * SECOND),
            seq=seq,
            source=region,
            region=region,
            channel=(place // width).astype(np.uint8),
            device=(place % width).astype(np.uint8),
            kind=kind,
            weight=np.where(kind == CONVERSION, np.float32(self.value), np.float32(0)),
            labels=self.labels,
        )
        if self.traffic.out[second]:
            return take(batch, slice(0, 0))
        return take(batch, ~lost) if lost.any() else batch

    def _conversions(self, second: int) -> tuple[np.ndarray, ...]:
        sent = self.traffic.conversions[second].ravel()
        cell = np.repeat(np.arange(len(sent)), sent)
        rank = np.arange(len(cell)) - np.repeat(np.cumsum(sent) - sent, sent)
        lost = rank < self.traffic.lost_conversions[second].ravel()[cell]
        return self._scattered(self.generator(0, second), cell // self._cells, cell % self._cells, CONVERSION, lost)

    def _visits(self, second: int) -> tuple[np.ndarray, ...]:
        sent = self.traffic.visits[second]
        region = np.repeat(np.arange(len(sent)), sent)
        lost = np.zeros(len(region), bool)
        if self.traffic.lost_visits[second].any():
            rank = np.arange(len(region)) - np.repeat(np.cumsum(sent) - sent, sent)
            lost = rank < self.traffic.lost_visits[second][region]
        generator = self.generator(1, second)
        place = self.places[generator.integers(0, _TABLE, len(region), dtype=np.uint16)]
        return self._scattered(generator, region, place, VISIT, lost)

    def _heartbeats(self) -> tuple[np.ndarray, ...]:
        """Each source beats in the last nanosecond: its number tells how many events the second had."""
        n = len(self.labels.regions)
        none = np.zeros(n, np.int64)
        return none + (SECOND - 1), np.arange(n, dtype=np.uint16), none, np.full(n, HEARTBEAT, np.uint8), none > 0

    @property
    def _cells(self) -> int:
        return len(self.labels.channels) * len(self.labels.devices)

    @staticmethod
    def _scattered(
        generator: np.random.Generator, region: np.ndarray, place: np.ndarray, kind: int, lost: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        lapse = (generator.random(len(region)) * (SECOND - 1)).astype(np.int64)
        return lapse, region.astype(np.uint16), place, np.full(len(region), kind, np.uint8), lost


def _hinder(
    batch: EventBatch, second: int, faults: Faults, generator: np.random.Generator, waiting: dict[int, list[EventBatch]]
) -> EventBatch:
    """Repeat some events and put others off; heartbeats are never late, so that gaps show at once."""
    batch = take(batch, np.repeat(np.arange(len(batch)), 1 + (generator.random(len(batch)) < faults.duplicates)))
    late = (generator.random(len(batch)) < faults.late) & (batch.kind != HEARTBEAT)
    delay = np.ceil(generator.random(len(batch)) * faults.late_s).astype(int)
    for seconds in np.unique(delay[late]):
        waiting.setdefault(second + int(seconds), []).append(take(batch, late & (delay == seconds)))
    return take(batch, ~late)
