"""How the stream does, in words and figures made of its own numbers; and what became of it under the drills."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from attribution.figures import figure, lag

if TYPE_CHECKING:
    from pathlib import Path

    from attribution.stream.engine import Metrics
    from attribution.stream.gauges import Health

DASH = "—"
TOPOLOGY = (
    "One process: a feed, the log, the counts, the model and these pages. There is no server and no broker; every "
    "session reads the same engine."
)
WAY = "feed → log → each event counted once → counts, gaps and place in the log saved together → model → pages"
WORDS = {"LIVE": "counting", "WAITING": "waiting", "ENDED": "ended", "STOPPED": "stopped"}
"""What a state of the engine is called."""


class Tile(NamedTuple):
    """One figure of the stream: its name, its value, and what it means."""

    name: str
    value: str
    note: str


class Drilled(NamedTuple):
    """One drill of the record.

    Attributes
    ----------
    name, teeth
        Which; whether it has to fail.
    exact, runs
        How many were exact, of how many.
    cells
        The row as it is shown: see :data:`HEADS`.
    """

    name: str
    teeth: bool
    exact: int
    runs: int
    cells: list[str]


HEADS = ("Drill", "Exact", "Events", "Wrong cells", "Missing: told / true", "Killed", "Late", "Recovery")
"""Columns of the record of the drills."""


DRILLS = {
    "embedded": "one process",
    "killed -9": "one process, killed -9",
    "nats": "NATS, one broker",
    "nats3": "NATS, three brokers",
    "kafka": "Kafka API",
    "acknowledge first": "acknowledges too early",
    "no dedupe": "does not know repeats",
}
"""What a part of a drill's name is called."""


def drill_name(name: str) -> str:
    """Return what a drill is called.

    Examples
    --------
    >>> drill_name("nats3"), drill_name("teeth: kafka, no dedupe"), drill_name("new")
    ('NATS, three brokers', 'Kafka API: does not know repeats', 'new')
    """
    parts = name.removeprefix("teeth: ").split(", ")
    return ": ".join(DRILLS.get(part, part) for part in parts)


def headline(state: str, health: Health, error: str = "", *, counts: bool = False) -> tuple[str, str]:
    """Return the word for the stream and one sentence with its numbers.

    Parameters
    ----------
    counts
        Whether the feed brings counts instead of events.

    Examples
    --------
    >>> from attribution.stream.gauges import Health
    >>> headline("LIVE", Health(events_per_s=14_200.0, latency_p99_ms=0.61, received=900_000, dropped=3))[1]
    '14,200 events a second; 99 of 100 are counted within 0.6 ms of being taken in. 900,003 were sent, 3 are missing.'
    """
    if why := error or health.stopped:
        return "stopped", f"Nothing is taken in any more: {why}."
    word = WORDS.get(state, state.lower())
    if not health.received:
        told = "This feed brings counts, not events: none is numbered, so none can be missed or counted twice here."
        return word, told if counts else "No event has arrived yet."
    sent = health.received + health.dropped
    missing = {0: "none is missing", 1: "1 is missing"}.get(health.dropped, f"{health.dropped:,} are missing")
    total = f"{sent:,} were sent, {missing}."
    if state != "LIVE" or not isfinite(health.latency_p99_ms):
        return word, f"The feed has ended. {total}" if state == "ENDED" else total
    pace = f"{health.events_per_s:,.0f} events a second; 99 of 100 are counted within {_ms(health.latency_p99_ms)}"
    return word, f"{pace} of being taken in. {total}"


def tiles(health: Health, metrics: Metrics) -> list[Tile]:
    """Return the figures of the stream, those that are not known yet as dashes.

    Parameters
    ----------
    health
        Of the node that keeps the events.
    metrics
        Of the engine that counts them for the pages.
    """
    sent = health.received + health.dropped
    lost = f"of {sent:,} by their numbers" if sent else "no event has a number yet"
    return [
        Tile("Events a second", figure(health.events_per_s, "plain"), "counted, over the last 10 s"),
        Tile(
            "Taken in to counted",
            _ms(health.latency_p50_ms),
            f"log included; {_within(health.latency_p99_ms)}",
        ),
        Tile(
            "Event to page",
            _ms(metrics.latency_p50_ms),
            f"{_within(metrics.latency_p99_ms)}; the engine looks ten times a second",
        ),
        Tile(
            "Buffer",
            f"{metrics.buffer_events + health.waiting_events:,}",
            f"events that waited for the last look, the oldest for {_ms(metrics.buffer_ms)}",
        ),
        Tile("Missing", f"{health.dropped:,}", lost),
        Tile("Repeated", f"{health.repeated:,}", "came again, counted once"),
        Tile("Late", f"{health.late:,}", "counted into a second that was closed"),
        Tile(
            "Set aside", f"{sum(health.aside.values()):,}", ", ".join(sorted(health.aside)) or "nothing was unreadable"
        ),
        Tile(
            "On the disk", _age(health.sync_age_s), f"since the last sync; {_size(health.unsynced_bytes)} wait for one"
        ),
        Tile("Uptime", _span(health.uptime_s), f"saved {_age(health.save_age_s)} ago; {_size(health.position)} of log"),
    ]


def drills(path: Path) -> list[Drilled]:
    """Read the record of the last drill.

    Raises
    ------
    OSError
        When there is none.
    """
    table = pd.read_csv(path)
    return [_drilled(row) for row in table.to_dict("records")]


def passed(record: list[Drilled]) -> str:
    """Say how the drills went, and whether they could have failed.

    Examples
    --------
    >>> passed([Drilled("embedded", False, 3, 3, []), Drilled("teeth: no dedupe", True, 0, 2, [])])
    'Exact 3 of 3. Of 2 runs with a mistake built in, 0 passed.'
    """
    real, teeth = ([one for one in record if one.teeth == bad] for bad in (False, True))
    said = f"Exact {sum(one.exact for one in real):,} of {sum(one.runs for one in real):,}."
    tried = sum(one.runs for one in teeth)
    return f"{said} Of {tried:,} runs with a mistake built in, {sum(one.exact for one in teeth):,} passed."


def _drilled(row: dict) -> Drilled:
    name = str(row["drill"])
    told = [f"{int(row[n]):,}" for n in ("reported_missing", "never_sent")]
    recovery = row["recovery_s"]
    after = DASH if pd.isna(recovery) else f"{recovery:.2g} s, at most {row['recovery_max_s']:.2g} s"
    many = [f"{int(row[n]):,}" for n in ("events", "wrong_cells", "kills", "late")]
    cells = [f"{int(row['exact']):,} of {int(row['runs']):,}", many[0], many[1], " / ".join(told), *many[2:], after]
    return Drilled(drill_name(name), name.startswith("teeth"), int(row["exact"]), int(row["runs"]), cells)


def _ms(value: float) -> str:
    if not isfinite(value) or value == 0:
        return DASH if value else "0 ms"
    return lag(value) if value >= 10 else f"{value:.1f} ms" if value >= 0.095 else f"{value:.2f} ms"


def _within(p99_ms: float) -> str:
    return f"99 of 100 within {_ms(p99_ms)}, over the last 10 s" if isfinite(p99_ms) else "not measured yet"


def _age(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d} min"


def _size(many: int) -> str:
    return f"{many / 2**20:,.1f} MB" if many >= 2**20 else f"{many / 2**10:,.0f} kB"
