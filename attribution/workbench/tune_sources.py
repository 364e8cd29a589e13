"""The data that are tuned: a simulated world, a sample, the data page's files or the live feed; whole or replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from attribution.moves import Trail
from attribution.trials import EVERY, trial
from attribution.tuning import Tuner
from attribution.workbench import desk, live
from attribution.workbench.shell import ROOT
from attribution.workbench.tune_view import FILES, LIVE, WORLD

if TYPE_CHECKING:
    from attribution.counts import Counts
    from attribution.files import Files
    from attribution.workbench.tune_view import TuneView
    from attribution.worlds import World

HELD = "material"
"""Where a session keeps what its data page has read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What is tuned.

    Attributes
    ----------
    tuner
        The data, ready to be asked.
    words
        What they are, in a few words.
    world
        The simulated world with its truth; None where nobody knows the truth.
    trail
        The settings that were looked at since these data came in, by whoever looks at them on this server.
    longest_s
        Seconds from the start of the first airing to the end of all data: how far a replay can run.
    """

    tuner: Tuner
    words: str
    world: World | None
    longest_s: int
    trail: Trail


def subject(asked: TuneView) -> Subject:
    """Return what an address asks for.

    Raises
    ------
    ValueError
        When there are no such data; the message says where they come from.
    """
    if asked.data == WORLD:
        return _world(asked.world, asked.seed, asked.until)
    if asked.data == LIVE:
        return _live(asked.until)
    material = st.session_state.get(HELD) if asked.data == FILES else _sample(asked.data)
    if material is None:
        raise ValueError("the data page holds no files in this session; bring some there, or choose other data here")
    return _material(asked.data, material.counts.fingerprint, asked.until, material)


@st.cache_resource(max_entries=4, show_spinner="Making the world")
def _world(name: str, seed: int, until: int | None) -> Subject:
    made = _simulated(name, seed)
    feeds = {"social": made.social, "audience": made.audience, "context": made.context}
    words = f"simulated: {EVERY[name].scenario.title}, seed {seed}"
    return _subject(made.counts, made.airings, feeds, until, words, _trail(f"{name} {seed}"), made)


@st.cache_resource(max_entries=6, show_spinner=False)
def _simulated(name: str, seed: int) -> World:
    return trial(name, seed)


@st.cache_resource(max_entries=4, show_spinner="Reading")
def _sample(name: str) -> Files:
    return desk.read(desk.paths_of(desk.samples(ROOT / "data")[name]), desk.Said())


@st.cache_resource(max_entries=4, show_spinner="Reading")
def _material(name: str, key: str, until: int | None, _material: Files | desk.Laid) -> Subject:
    words = "the files of the data page" if name == FILES else f"the sample {name}"
    return _subject(_material.counts, _material.airings, _material.feeds, until, words, _trail(key))


def _live(until: int | None) -> Subject:
    """Return the live event as far as it has come."""
    feed = live.watched()
    now = feed.snapshot()
    if not len(now.counts.start) or now.airings.empty:
        raise ValueError("the live event has no counts or no airing yet; choose other data, or wait")
    feeds = {"social": now.social, "audience": now.audience, "context": now.context}
    words = f"live: {feed.title}, data to {now.counts.end:%H:%M:%S} UTC"
    return _subject(now.counts, now.airings, feeds, until, words, _trail(f"live {feed.view.seed}"))


@st.cache_resource(max_entries=64, show_spinner=False)
def _trail(name: str) -> Trail:
    """Return the settings looked at since these data came in, however far they are replayed."""
    return Trail()


def _subject(
    counts: Counts,
    airings: pd.DataFrame,
    feeds: dict[str, Any],
    until: int | None,
    words: str,
    trail: Trail,
    world: World | None = None,
) -> Subject:
    """Cut the data where a replay stands, and make them ready."""
    first = airings["start"].min() if len(airings) else None
    longest = int((counts.end - first).total_seconds()) if first is not None and len(counts.start) else 0
    if until is not None and first is not None:
        end = first + pd.Timedelta(seconds=until)
        counts = counts.between(end=end)
        feeds = {
            name: frame[frame["time"] < end] if frame is not None and "time" in frame else frame
            for name, frame in feeds.items()
        }
        words = f"{words}, replayed to {end:%H:%M:%S} UTC"
    tuner = Tuner(counts, airings, feeds)
    return Subject(tuner=tuner, words=words, world=world, longest_s=max(longest, 0), trail=trail)
