"""The app over a world that stands still: every visit shows the very same look.

``python tests/e2e/frozen.py STATE PORT`` serves it; the pages are the real ones, the feed behind them does not move.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.web import cli

import attribution as at
from attribution import health
from attribution.planning import lock
from attribution.stream.engine import Engine, ManualClock, Snapshot
from attribution.stream.feeds import SimulatedFeed
from attribution.stream.lags import Timed
from attribution.stream.notices import LogEntry
from attribution.stream.vault import Vault
from attribution.workbench import live, seat
from attribution.workbench.event import view
from attribution.workbench.look import Answer, Look, look
from attribution.workbench.pulse import Pulse
from attribution.workbench.shell import ROOT
from attribution.workbench.sight import current
from attribution.workbench.tape import Tape
from attribution.workbench.watch import OPEN, Watch, follow, locked, stopped

STATES = ("answered", "waiting", "stale", "silent", "stopped", "locked", "hostile")
HOSTILE = '<img src=x onerror="window.hacked=1">\'**b**`$x$[a](javascript:hacked())</style>'
"""What a feed may say: markup, an attribute that runs, Markdown, the end of a style."""


class Frozen(Watch):
    """A watch whose look never changes: no thread, no clock."""

    def __init__(self, shown: Look, known: Snapshot) -> None:
        self.view, self.tape, self.vault, self.answer = view({}), Tape(), Vault(), Answer(words={}, changed={})
        self._still, self._known, self._held, self.pulse = shown, known, {}, Pulse()
        self.tape.keep(shown)

    @property
    def simulated(self) -> bool:
        """No truth is revealed."""
        return False

    @property
    def forgotten(self) -> bool:
        """It never ends."""
        return False

    def look(self) -> Look:
        """Return the look."""
        return self._still

    @property
    def title(self) -> str:
        """What is on the air."""
        return str(self._still.event.title)

    def snapshot(self) -> Snapshot:
        """Return what was counted."""
        return self._known

    def refresh(self) -> None:
        """Let a verdict become another."""
        words = f"{HOSTILE}: undecided → caused, e-value {len(self._still.log)}"
        told = LogEntry(self._still.now, "MODEL_UPDATE", words)
        self._still = replace(self._still, log=[told, *self._still.log])


def named(snapshot: Any) -> Any:
    """Give every name that a feed types the hostile one, told apart by a number."""
    counts, airings = snapshot.counts, snapshot.airings.copy()
    regions = {name: f"{number} {HOSTILE}" for number, name in enumerate(counts.regions)}
    renamed = replace(
        counts,
        regions=tuple(regions.values()),
        channels=tuple(f"{number} {HOSTILE}" for number in range(len(counts.channels))),
        devices=tuple(f"{number} {HOSTILE}" for number in range(len(counts.devices))),
    )
    spared = [[regions[name] for name in str(row).split("|")] for row in airings["regions"]]
    airings["regions"] = ["|".join(row) for row in spared]
    airings["airing"] = airings["creative"] = HOSTILE
    social = snapshot.social.assign(region=[regions.get(name, name) for name in snapshot.social["region"]])
    return replace(snapshot, counts=renamed, airings=airings, social=social)


def frozen(state: str, after_s: float = 40.0) -> Frozen:
    """Count the world until so long after the airing began, ask the model once, and make what the page shows then."""
    world, clock = at.simulate(at.SCENARIOS["halftime"], rng=7), ManualClock()
    feed = Timed(SimulatedFeed(world, start=world.airings["start"].min() - pd.Timedelta("30s")))
    engine, settings = Engine(feed, clock=clock), at.Settings()
    after_s = -10.0 if state == "waiting" else after_s
    for seconds in (0.0, 18.0 + after_s, *120 * (0.1,)):  # in small steps at last, as a running engine
        clock.advance(seconds)
        engine.step()
    now = engine.snapshot()
    if state == "waiting":
        now = replace(now, log=(*now.log, LogEntry(now.now, "ALERT", "data: 12 events are missing")))
        return Frozen(look(world.scenario, settings, now, Answer(words={}, changed={}), feed.lags()), now)
    if state == "hostile":
        now = named(now)
    tables = {"social": now.social, "audience": now.audience, "context": now.context}
    result = at.analyze(now.counts, now.airings, settings, **tables)
    row = current(result)
    parts = health.parts(result, now.counts, None if row is None else row["airing"])
    answer = replace(follow(Answer(words={}, changed={}), result, None), seconds=0.4, health=parts)
    if state == "locked":
        begins = now.airings["start"].min() - pd.Timedelta("20s")
        answer = locked(answer, lock(settings, now.airings, now.counts, at=begins), begins)
    if state == "stopped":
        answer = stopped(answer, now.now, "the counts of us-east are negative")
    if state == "silent":
        now = replace(now, state="SILENT")
    if state == "stale":
        now = replace(now, now=now.now + pd.Timedelta("45s"))
    event = world.scenario
    if state == "hostile":
        event = replace(event, title=HOSTILE, advertiser=HOSTILE)
    return Frozen(look(event, settings, now, answer, feed.lags()), now)


def main(state: str, port: str, *more: str) -> None:
    """Serve the app; ``more`` are options of Streamlit."""
    still = frozen(state)

    def opened() -> Frozen:
        seat.open_at(st.query_params.to_dict())
        return still

    live.opened, live.watched = opened, lambda: still
    OPEN[still.view] = still
    sys.argv = ["streamlit", "run", str(ROOT / "app.py"), "--server.port", port, "--server.address", "127.0.0.1", *more]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
