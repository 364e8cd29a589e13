"""What frames add up to: a pure function of the frames and of the moments at which they were taken in.

It knows no disk and no clock. Taking the same frames in at the same moments gives the same book, which is how a node
recovers; at other moments it gives the same counts.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from attribution.stream.gaps import FILLED, NEW, REFUSED, REPEATED, GapSet
from attribution.stream.tallies import CELL, LATE, MISSING, RECEIVED, REPEATS, Events, Names, Tallies

if TYPE_CHECKING:
    from attribution.events import Labels
    from attribution.stream.wire import Frame

SECOND = 1_000_000_000
SKEW_S = 60
"""A source's clock is judged by its quickest event in a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How long seconds stay open, and which events wait or are set aside.

    Attributes
    ----------
    open_s
        A second is closed so long after its end; what comes later revises it, and is late.
    future_s, hold_s
        An event further ahead than ``future_s`` is held until it no longer is; further than ``hold_s``: set aside.
    past_s
        An older event is set aside.
    slots
        The most numbers that a second may have; events with labels beyond them are set aside.
    """

    open_s: int = 120
    future_s: float = 2.0
    hold_s: float = 60.0
    past_s: float = 30 * 86_400.0
    slots: int = 200_000

    def __post_init__(self) -> None:
        if not 1 <= self.open_s <= 86_400:
            raise ValueError(f"open_s is {self.open_s}; choose whole seconds from 1 to 86400")
        if not 0 <= self.future_s <= self.hold_s:
            raise ValueError(f"future_s is {self.future_s}; choose from 0 to hold_s, which is {self.hold_s}")
        if not self.past_s >= self.open_s:
            raise ValueError(f"past_s is {self.past_s}; choose at least open_s, which is {self.open_s}")


class _Map(NamedTuple):
    """Codes of one dictionary -> places in the book; -1: not met yet."""

    labels: Labels
    epochs: tuple[int, ...]
    cells: np.ndarray
    cell: np.ndarray
    region: np.ndarray
    track: np.ndarray


class Book:
    r"""Counts of everything that frames brought, each event once.

    Parameters
    ----------
    rules
        When seconds close.
    state
        What :meth:`state` returned, to go on from there.

    Attributes
    ----------
    rules, tallies, gaps
        As given; the counts; which numbers have arrived.
    now
        Latest moment at which something was taken in, ns.
    totals
        ``received`` (counted once), ``repeated``, ``late``.
    aside
        Events set aside, by reason: ``future``, ``past``, ``number``, ``labels``.
    tracks, regions
        (source, epoch) and names, in the order of their places.

    Examples
    --------
    >>> from attribution.stream.wire import lines
    >>> frame, _ = lines(b'{"time": 100.5, "seq": 1, "epoch": 1}\n{"time": 100.6, "seq": 3, "epoch": 1}')
    >>> book = Book()
    >>> book.apply(frame, at=101 * SECOND)
    >>> book.apply(frame, at=101 * SECOND)
    >>> dict(book.totals), book.gaps.dropped
    ({'received': 2, 'repeated': 2}, 1)
    """

    def __init__(self, rules: Rules | None = None, state: dict[str, Any] | None = None) -> None:
        self.rules = rules or Rules()
        known = state or {}
        width = self.rules.open_s + int(np.ceil(self.rules.future_s)) + 2
        self.tallies = Tallies(width, known.get("slots", ()))
        self.now: int = known.get("now", 0)
        self.totals: Counter[str] = Counter(known.get("totals", {}))
        self.aside: Counter[str] = Counter(known.get("aside", {}))
        self.tracks: list[tuple[str, int]] = [(str(s), int(e)) for s, e in known.get("tracks", ())]
        self.regions: list[str] = list(known.get("regions", ()))
        self.gaps = GapSet.restore(known["gaps"]) if known else GapSet(np.zeros(0, np.int64))
        self.serves = np.zeros((64, 64), np.bool_)
        self.unnumbered = np.zeros(64, np.bool_)
        self._ahead: deque[tuple[int, np.ndarray]] = deque(maxlen=2)
        self._held = known.get("held", np.zeros((6, 0), np.int64))
        self._maps: dict[int, _Map] = {}
        self._track_at = {track: i for i, track in enumerate(self.tracks)}
        self._region_at = {region: i for i, region in enumerate(self.regions)}
        self._name()
        if known:
            for track, region in known["serves"]:
                self.serves[track, region] = True
            self.unnumbered[known["unnumbered"]] = True
            self._advance()

    @property
    def held(self) -> int:
        """Events whose time has not come."""
        return self._held.shape[1]

    def apply(self, frame: Frame, at: int) -> None:
        """Take a frame in at a moment (ns); one before the last counts as the last."""
        self.tick(at)
        if not len(frame):
            return
        known, places, times = self._unpack(frame)
        first, last = times
        skip = np.zeros(0, np.bool_)
        time = frame.rows["time"]
        latest, oldest = self.now + round(self.rules.future_s * SECOND), self.now - round(self.rules.past_s * SECOND)
        if last > latest or first < oldest or not known:
            held = (time > latest) & (places.cell >= 0)
            far = held & (time > self.now + round(self.rules.hold_s * SECOND))
            reasons = {"future": far, "past": (time < oldest) & (places.cell >= 0), "labels": places.cell < 0}
            self.aside.update({reason: int(found.sum()) for reason, found in reasons.items() if found.any()})
            kept = held & ~far
            self._held = np.concatenate([self._held, np.stack([time[kept], *(c[kept] for c in places)])], axis=1)
            skip = held | np.logical_or.reduce(list(reasons.values()))
        self._count(places, skip)

    def tick(self, at: int) -> None:
        """Let time pass up to a moment (ns): seconds close, held events come due."""
        self.now = max(self.now, at)
        self._advance()
        if self._held.shape[1]:
            due = self._held[0] <= self.now + round(self.rules.future_s * SECOND)
            if due.any():
                ready, self._held = self._held[:, due], self._held[:, ~due]
                self._count(Events(*(np.ascontiguousarray(column) for column in ready[1:])), np.zeros(0, np.bool_))

    def skew(self) -> dict[tuple[str, int], float]:
        """Seconds that each source's clock is ahead of ours, at least: by its quickest event of the last minute or two.

        The way of an event takes time too: a source whose clock is right seems a little behind.
        """
        if not self._ahead:
            return {}
        n = len(self.tracks)
        best = np.max([ahead[:n] for _, ahead in self._ahead if len(ahead) >= n], axis=0)
        return {track: best[i] / SECOND for i, track in enumerate(self.tracks) if best[i] > -(2**61)}

    def state(self) -> dict[str, Any]:
        """Everything but the rows of the seconds, as it is now: what :class:`Book` goes on from."""
        n = len(self.tracks)
        return {
            "now": self.now,
            "slots": list(self.tallies.slots),
            "tracks": list(self.tracks),
            "regions": list(self.regions),
            "totals": dict(self.totals),
            "aside": dict(self.aside),
            "gaps": self.gaps.state(),
            "held": self._held,
            "serves": np.argwhere(self.serves[:n]),
            "unnumbered": np.flatnonzero(self.unnumbered[:n]),
        }

    def _advance(self) -> None:
        self.tallies.advance(self.now // SECOND - self.rules.open_s)

    def _count(self, events: Events, skip: np.ndarray) -> None:
        found = self.gaps.admit(events.track, events.seq, events.second, skip)
        if found.charges.shape[1]:
            track, second, many = found.charges
            self.tallies.charge(second, self._names.missing[track], many)
        late = self.tallies.count(events, found.status, self._names)
        many = np.bincount(found.status, minlength=REFUSED + 1)
        self.totals.update({"received": int(many[NEW] + many[FILLED])})
        for name, n in (("repeated", int(many[REPEATED])), ("late", late)):
            if n:
                self.totals[name] += n
        if many[REFUSED]:
            self.aside["number"] += int(many[REFUSED])

    def _unpack(self, frame: Frame) -> tuple[bool, Events, tuple[int, int]]:
        """Columns of a frame by places in the book; whether all of them have one; first and last time."""
        found = self._maps.get(id(frame.cells))
        if found is None or found.cells is not frame.cells or found.epochs is not frame.epochs:
            if len(self._maps) >= 64:
                self._maps.clear()
            none = np.full(len(frame.cells), -1)
            track = self._enter_tracks(list(zip(frame.labels.sources, frame.epochs, strict=True)))
            found = _Map(frame.labels, frame.epochs, frame.cells, none, none.copy(), track)
            self._maps[id(frame.cells)] = found
        rows, n = frame.rows, len(frame)
        events = Events(*(np.empty(n, np.int64) for _ in range(5)))
        given = (rows["time"], rows["seq"], rows["source"], rows["cell"], found.track, found.cell, found.region)
        kept = (self.serves, self.unnumbered, self._recent(), self.now)
        first, last, unknown = _columns(*given, *kept, *events)
        if unknown and self._enter(found, np.unique(rows["cell"])):
            kept = (self.serves, self.unnumbered, self._recent(), self.now)
            first, last, unknown = _columns(*given, *kept, *events)
        return not unknown, events, (first, last)

    def _recent(self) -> np.ndarray:
        """(T,) how far ahead (ns) the quickest event of each source was in this minute."""
        minute, room = self.now // SECOND // SKEW_S, len(self.unnumbered)
        if not self._ahead or self._ahead[-1][0] != minute:
            self._ahead.append((minute, np.full(room, -(2**62))))
        elif len(self._ahead[-1][1]) < room:
            old = self._ahead.pop()[1]
            self._ahead.append((minute, np.r_[old, np.full(room - len(old), -(2**62))]))
        return self._ahead[-1][1]

    def _enter(self, found: _Map, cells: np.ndarray) -> bool:
        """Give the cells of a dictionary that are in use their slots, while there is room."""
        labels, entered = found.labels, False
        for code in cells[found.cell[cells] < 0]:
            if len(self.tallies.slots) + 3 > self.rules.slots:
                break
            r, c, d, k = found.cells[code]
            found.region[code] = self._region(labels.regions[r])
            found.cell[code] = self.tallies.slot(
                CELL, labels.regions[r], labels.channels[c], labels.devices[d], labels.kinds[k]
            )
            entered = True
        self._name()
        return entered

    def _enter_tracks(self, tracks: list[tuple[str, int]]) -> np.ndarray:
        """Places of sources and their epochs, made where they are new; -1 where there is no room."""
        before = len(self.tracks)
        for track in tracks:
            if (
                track not in self._track_at
                and len(self.tallies.slots) + 2 * (len(self.tracks) - before) < self.rules.slots
            ):
                self._track_at[track] = len(self.tracks)
                self.tracks.append(track)
        self.gaps.grow(np.array([0 if epoch else -1 for _, epoch in self.tracks[before:]], dtype=np.int64))
        self._name()
        return np.array([self._track_at.get(track, -1) for track in tracks], dtype=np.int64)

    def _region(self, name: str) -> int:
        place = self._region_at.setdefault(name, len(self.regions))
        if place == len(self.regions):
            self.regions.append(name)
        return place

    def _name(self) -> None:
        """Make room and slots for every track and region."""
        tracks, regions = len(self.tracks), len(self.regions)
        have = self.serves.shape
        grown = tuple(2 * n if n > room else room for room, n in zip(have, (tracks, regions), strict=True))
        if grown != have:
            old, self.serves = self.serves, np.zeros(grown, np.bool_)
            self.serves[: have[0], : have[1]] = old
            self.unnumbered = np.r_[self.unnumbered, np.zeros(grown[0] - len(self.unnumbered), np.bool_)]
        slot = self.tallies.slot
        self._names = Names(
            received=np.array([slot(RECEIVED, *track) for track in self.tracks], dtype=np.int64),
            missing=np.array([slot(MISSING, *track) for track in self.tracks], dtype=np.int64),
            repeats=np.array([slot(REPEATS, region) for region in self.regions], dtype=np.int64),
            late=np.array([slot(LATE, region) for region in self.regions], dtype=np.int64),
        )


@njit(cache=True, nogil=True)
def _columns(
    time: np.ndarray, seq: np.ndarray, source: np.ndarray, cell: np.ndarray,
    tracks: np.ndarray, cells: np.ndarray, regions: np.ndarray,
    serves: np.ndarray, unnumbered: np.ndarray, ahead: np.ndarray, now: int,
    second: np.ndarray, number: np.ndarray, track: np.ndarray, slot: np.ndarray, region: np.ndarray,
) -> tuple[int, int, bool]:  # fmt: skip
    """Fill the columns; returns first and last time, and whether a cell has no place yet."""
    first, last, unknown = time[0], time[0], False
    for i in range(len(time)):
        t, s, c = time[i], tracks[source[i]], cells[cell[i]]
        first, last = min(first, t), max(last, t)
        second[i] = t // 1_000_000_000
        number[i] = np.int64(seq[i])
        track[i] = s
        slot[i] = c
        region[i] = regions[cell[i]]
        if c < 0 or s < 0:
            unknown = True
            slot[i] = -1
        else:
            ahead[s] = max(ahead[s], t - now)
            serves[s, regions[cell[i]]] = True
            if seq[i] == 0:
                unnumbered[s] = True
    return first, last, unknown
