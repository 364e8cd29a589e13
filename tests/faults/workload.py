"""What senders send and what becomes of it on the way, with the truth that a node has to arrive at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from attribution.events import EventBatch, Labels
from attribution.stream import wire
from attribution.stream.tallies import CELL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attribution.stream.tallies import Slot

SECOND = 1_000_000_000
BEGIN = 1_770_583_260 * SECOND
LABELS = Labels(
    sources=tuple(f"collector-{i}" for i in range(8)),
    regions=("apac", "eu-west", "us-east", "us-west"),
    channels=("app", "tv", "web"),
    devices=("desktop", "mobile"),
    kinds=("visit", "conversion"),
)
RESTARTS = 1
"""This source starts again from 1 halfway, in a new epoch."""


def cells(rows: Mapping[int, np.ndarray], slots: Sequence[Slot]) -> Counter:
    """Return events by (second, region, channel, device, kind), as the truth has them."""
    found: Counter = Counter()
    for second, row in rows.items():
        for i in np.flatnonzero(row).tolist():
            if slots[i].what == CELL:
                found[second, *slots[i].of] += int(row[i])
    return found


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Shares of the events, seconds, and how many events are never sent."""

    reordered: float = 0.02
    reordered_s: float = 2.0
    late: float = 0.005
    late_s: float = 60.0
    resent: float = 0.01
    retried: float = 0.01
    never: int = 100
    skew_s: float = 3.0
    poisoned: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Frames as they arrive, and the truth.

    Attributes
    ----------
    frames
        (moment of arrival ns, bytes), in the order of arrival; poisoned ones among them.
    truth
        (second, region, channel, device, kind) -> events.
    never
        Events that were numbered and never sent.
    repeats
        Copies beyond the first of an event, among the readable frames.
    poisoned
        Frames that cannot be read.
    """

    frames: list[tuple[int, bytes]]
    truth: Counter[tuple]
    never: int
    repeats: int
    poisoned: int


def workload(
    seed: int, *, seconds: int = 20, eps: int = 700, faults: Faults | None = None, tick_s: float = 0.1,
    begin: int = BEGIN,
) -> Workload:  # fmt: skip
    """Draw a workload that begins at a moment (ns); equal seeds and moments give equal ones."""
    faults, rng = faults or Faults(), np.random.default_rng(seed)
    batch, epoch = _sent(rng, seconds * eps, seconds, begin)
    source = batch.source.astype(int)
    skew = np.zeros(len(LABELS.sources))
    skew[0] = faults.skew_s * rng.choice([-1, 1])
    n = len(batch)
    arrival = batch.time + rng.integers(0, 20_000_000, n)
    batch = replace(batch, time=batch.time + (skew[source] * SECOND).astype(np.int64))
    slow = rng.random(n)
    arrival += np.where(slow < faults.reordered, rng.random(n) * faults.reordered_s * SECOND, 0).astype(np.int64)
    late = (slow >= faults.reordered) & (slow < faults.reordered + faults.late)
    arrival += np.where(late, faults.late_s * SECOND, 0).astype(np.int64)
    never = np.zeros(n, bool)
    last = {(s, e): i for i, (s, e) in enumerate(zip(source, epoch, strict=True))}
    never[rng.choice(np.setdiff1d(np.arange(n), list(last.values())), faults.never, replace=False)] = True
    again = np.flatnonzero((rng.random(n) < faults.resent) & ~never)
    delay = (rng.random(len(again)) * 1.5 * faults.late_s * SECOND).astype(np.int64)
    index = np.r_[np.flatnonzero(~never), again]
    frames, copies, poisoned = _framed(
        rng, batch, epoch, index, np.r_[arrival[~never], arrival[again] + delay], faults, tick_s, begin
    )
    sent = np.column_stack([batch.time // SECOND, batch.region, batch.channel, batch.device, batch.kind])[~never]
    rows, many = np.unique(sent, axis=0, return_counts=True)
    truth = Counter({
        (int(t), LABELS.regions[r], LABELS.channels[c], LABELS.devices[d], LABELS.kinds[k]): int(m)
        for (t, r, c, d, k), m in zip(rows, many, strict=True)
    })  # fmt: skip
    return Workload(frames=frames, truth=truth, never=int(never.sum()), repeats=len(again) + copies, poisoned=poisoned)


def _sent(rng: np.random.Generator, n: int, seconds: int, begin: int) -> tuple[EventBatch, np.ndarray]:
    """Events in the order of their times, numbered at their source from 1 in each epoch; (n,) epochs."""
    lapse = np.sort(rng.integers(0, seconds * SECOND, n))
    source = rng.integers(0, len(LABELS.sources), n).astype(np.uint16)
    epoch = np.where((source == RESTARTS) & (lapse > seconds * SECOND // 2), 2, 1)
    seq = np.zeros(n, np.uint64)
    for s in range(len(LABELS.sources)):
        for e in (1, 2):
            mine = (source == s) & (epoch == e)
            seq[mine] = np.arange(1, mine.sum() + 1, dtype=np.uint64)
    batch = EventBatch(
        time=begin + lapse,
        seq=seq,
        source=source,
        region=(source % 4).astype(np.uint16),
        channel=rng.integers(0, 3, n).astype(np.uint8),
        device=rng.integers(0, 2, n).astype(np.uint8),
        kind=rng.integers(0, 2, n).astype(np.uint8),
        weight=np.ones(n, np.float32),
        labels=LABELS,
    )
    return batch, epoch


def _framed(
    rng: np.random.Generator, batch: EventBatch, epoch: np.ndarray, index: np.ndarray, arrival: np.ndarray,
    faults: Faults, tick_s: float, begin: int,
) -> tuple[list[tuple[int, bytes]], int, int]:  # fmt: skip
    """One frame a source and tick; some come twice, some are damaged the first time. Counts both."""
    tick = (arrival - begin) // round(tick_s * SECOND)
    order = np.lexsort((arrival, epoch[index], batch.source[index], tick))
    index, arrival, tick = index[order], arrival[order], tick[order]
    key = np.column_stack([tick, batch.source[index], epoch[index]])
    edges = np.r_[0, np.flatnonzero((np.diff(key, axis=0) != 0).any(axis=1)) + 1, len(index)]
    frames, copies, poisoned = [], 0, 0
    columns = ("time", "seq", "source", "region", "channel", "device", "kind", "weight")
    for low, high in pairwise(edges):
        mine = index[low:high]
        part = EventBatch(labels=LABELS, **{name: getattr(batch, name)[mine] for name in columns})
        epochs = [1] * len(LABELS.sources)
        epochs[int(part.source[0])] = int(epoch[mine[0]])
        body, at = wire.encode(part, epochs=epochs), int(arrival[high - 1])
        if rng.random() < faults.poisoned:
            frames.append((at - 1, poison(body, rng)))
            poisoned += 1
        frames.append((at, body))
        if rng.random() < faults.retried:
            frames.append((at + int(rng.integers(0, 3 * SECOND)), body))
            copies += high - low
    frames.sort(key=lambda each: each[0])
    return frames, int(copies), poisoned


def poison(body: bytes, rng: np.random.Generator) -> bytes:
    """Damage a frame in one of the ways that a network or another version would."""
    way = rng.integers(0, 5)
    if way == 0:
        return body[: int(rng.integers(0, len(body)))]
    if way == 1:
        return body + b"\0"
    if way == 2:
        return body[:4] + b"\x07\0" + body[6:]
    if way == 3:
        return rng.bytes(200)
    at = int(rng.integers(0, len(body)))
    return body[:at] + bytes([body[at] ^ 1 << int(rng.integers(0, 8))]) + body[at + 1 :]
