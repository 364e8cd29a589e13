"""The beat of a feed, for any number of browsers: ten times a second the newest is told, and nobody is waited for."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from attribution.workbench.strokes import changes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STREAM_S = 60.0
"""A stream ends after so long and is opened anew at once: a browser has few connections, and they go round."""
PULSES: weakref.WeakValueDictionary[str, Pulse] = weakref.WeakValueDictionary()
"""Every pulse by its token, which only those know who were shown the page."""


@dataclass(frozen=True)
class Beat:
    """One state of the chart.

    Attributes
    ----------
    number
        One more than that of the beat before.
    drawing, moving
        The chart; and what is newer than that.
    change
        The event for those who have the beat before.
    """

    number: int
    drawing: dict[str, Any]
    moving: dict[str, Any]
    change: bytes

    @cached_property
    def whole(self) -> bytes:
        """The event for everybody else."""
        return event(self.number, "whole", {**self.drawing, **self.moving})


def event(number: int, name: str, told: dict[str, Any]) -> bytes:
    r"""Write a server-sent event.

    Examples
    --------
    >>> event(7, "change", {"now": 1.5, "label": "a\nb"})
    b'id: 7\nevent: change\ndata: {"now":1.5,"label":"a\\nb"}\n\n'
    """
    return f"id: {number}\nevent: {name}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n".encode()


class Pulse:
    """The newest beat of a feed, and who waits for the next.

    There is no queue: a reader that is slow finds the newest beat when it comes back, whole.

    Attributes
    ----------
    token
        Part of the address at which it is heard; nobody guesses it.
    readers
        How many listen.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(18)
        self.readers = 0
        self._beat: Beat | None = None
        self._number = 0
        self._bells: dict[asyncio.AbstractEventLoop, asyncio.Event] = {}
        self._ended = False
        PULSES[self.token] = self

    def strike(self, drawing: dict[str, Any], moving: dict[str, Any]) -> None:
        """Make the newest beat and tell that there is one; returns at once, whoever listens."""
        before, self._number = self._beat, self._number + 1
        told = {**moving, "taken": round(time.time() * 1000, 1)}
        changed = {} if before is None or before.drawing is drawing else changes(before.drawing, drawing)
        self._beat = Beat(self._number, drawing, told, event(self._number, "change", {**changed, **told}))
        self._ring()

    def end(self) -> None:
        """Let every reader go; there will be no further beat."""
        self._ended = True
        self._ring()

    async def read(self, seen: int = -1) -> AsyncIterator[bytes]:
        """Yield events from the newest on: whole where the reader has not the one before.

        Parameters
        ----------
        seen
            Number of the last beat that the reader has; -1 for none.
        """
        until, self.readers = time.monotonic() + STREAM_S, self.readers + 1
        if self._beat is None or seen > self._beat.number:
            seen = -1
        try:
            while time.monotonic() < until and (beat := await self._newer(seen)) is not None:
                yield beat.change if seen >= 0 and beat.number == seen + 1 else beat.whole
                seen = beat.number
        finally:
            self.readers -= 1
            if not self.readers:  # nobody follows: who comes next hears of the next beat, not of this one
                self._beat = None

    async def _newer(self, seen: int) -> Beat | None:
        """Wait for a beat after ``seen``; None once it has ended."""
        while not self._ended:
            bell = self._bells.setdefault(asyncio.get_running_loop(), asyncio.Event())
            beat = self._beat
            if beat is not None and beat.number > seen:
                return beat
            await bell.wait()
        return None

    def _ring(self) -> None:
        for loop in list(self._bells):
            try:
                loop.call_soon_threadsafe(self._rung, loop)
            except RuntimeError:  # that loop is closed, and nobody waits in it
                self._bells.pop(loop, None)

    def _rung(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake all who wait; runs in their loop, so that nobody is between looking and waiting."""
        bell = self._bells.pop(loop, None)
        if bell is not None:
            bell.set()
