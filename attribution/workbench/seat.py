"""Where a session sits: how deep it looks, and at which moment; no session moves another."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

if TYPE_CHECKING:
    from attribution.workbench.look import Look
    from attribution.workbench.watch import Watch

DEPTHS = ("operate", "analyse", "present")
"""Same numbers, other depth: what is happening; why; the story."""
SPEEDS = (1, 4, 16)
"""Seconds of the event in one second, when the past is played again."""
STEP_S = 10
"""Seconds that an arrow key goes back or forward."""
SCREENS = 5
"""Screens of the story."""
KEY, DEPTH, SCREEN, SEEN = "live-seat", "live-depth", "live-screen", "live-acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A moment of the past, which stands still or moves on from there.

    Attributes
    ----------
    moment
        Where it was when it was last moved.
    since
        Seconds of the machine's clock then.
    speed
        0 while it stands.
    """

    moment: pd.Timestamp
    since: float
    speed: float = 0.0

    def now(self, clock: float) -> pd.Timestamp:
        """Return where it is.

        Examples
        --------
        >>> at = pd.Timestamp("2026-02-08T20:41:00Z")
        >>> str(Seat(moment=at, since=10.0, speed=4.0).now(12.5))
        '2026-02-08 20:41:10+00:00'
        """
        return self.moment + pd.Timedelta(seconds=self.speed * (clock - self.since))


def open_at(query: dict[str, str]) -> dict[str, str]:
    """Take the depth out of an address, and the moment; once a session. Returns what is left: the view.

    Raises
    ------
    ValueError
        When the address names a depth that there is none of.
    """
    left = dict(query)
    depth, at = left.pop("depth", DEPTHS[0]), left.pop("at", "")
    if depth not in DEPTHS:
        raise ValueError(f"depth is {depth!r}; choose one of {', '.join(DEPTHS)}")
    if DEPTH not in st.session_state:
        st.session_state[DEPTH] = depth
        st.session_state["live-at"] = at
    return left


def arrive(feed: Watch) -> None:
    """Go to the moment that the address named, once the tape holds any; a moment that is none is left alone."""
    at, span = st.session_state.pop("live-at", ""), feed.tape.span
    if not at or span is None:
        return
    try:
        moment = pd.Timestamp(f"{span[1]:%Y-%m-%d}T{at}Z" if "T" not in at else at)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
        # A moment told to the second is that whole second.
        go(feed, moment if moment.microsecond else moment + seconds(0))
    except ValueError:
        return


def depth() -> str:
    """Return how deep this session looks."""
    return st.session_state.get(DEPTH, DEPTHS[0])


def deepen(name: str) -> None:
    """Look as deep as that; the address says so."""
    st.session_state[DEPTH] = name


def seat() -> Seat | None:
    """Return where this session stands in the past; None where it is live."""
    return st.session_state.get(KEY)


def seen(feed: Watch) -> Look:
    """Return what this session sees: what the feed shows now, or what it showed then."""
    now, at = feed.look(), seat()
    if at is None:
        return now
    moment = at.now(time.monotonic())
    if at.speed and moment >= now.now:
        live()
        return now
    return feed.tape.at(moment) or now


def stop(feed: Watch) -> None:
    """Stop time where it is, or let the past go on from where it stands."""
    at = seat()
    if at is None:
        go(feed, feed.look().now)
    else:
        moment = at.now(time.monotonic())
        _sit(Seat(moment=moment, since=time.monotonic(), speed=0.0 if at.speed else float(SPEEDS[0])))


def play(speed: float) -> None:
    """Play the past again, so many seconds in one."""
    at = seat()
    if at is not None:
        _sit(Seat(moment=at.now(time.monotonic()), since=time.monotonic(), speed=speed))


def go(feed: Watch, moment: pd.Timestamp) -> None:
    """Stand at a moment of what was shown, as near as there is one."""
    span = feed.tape.span
    if span is not None:
        _sit(Seat(moment=min(max(moment, span[0]), span[1]), since=time.monotonic()))


def step(feed: Watch, seconds: float) -> None:
    """Go back or forward by so many seconds, and stand there."""
    at = seat()
    here = feed.look().now if at is None else at.now(time.monotonic())
    go(feed, here + pd.Timedelta(seconds=seconds))


def seconds(count: int) -> pd.Timedelta:
    """Return a span that reaches to the end of a second, for a slider of whole seconds."""
    return pd.Timedelta(seconds=count + 0.999)


def live() -> None:
    """Come back to what is shown now."""
    st.session_state.pop(KEY, None)


def _sit(at: Seat) -> None:
    st.session_state[KEY] = at


def screen() -> int:
    """Return which screen of the story is shown, from 0."""
    return int(st.session_state.get(SCREEN, 0))


def turn(by: int) -> None:
    """Turn to another screen of the story; it ends at its ends."""
    st.session_state[SCREEN] = min(max(screen() + by, 0), SCREENS - 1)


def acknowledged() -> set[str]:
    """Return the alerts that this session has acknowledged."""
    return st.session_state.setdefault(SEEN, set())
