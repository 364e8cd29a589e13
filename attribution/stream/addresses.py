"""Feeds by their address: ``simulated``, ``replay:PATH``, ``tail:PATH``, ``http:HOST:PORT``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution.airings import read_airings, read_context
from attribution.outcomes import read_outcomes
from attribution.readers import read_audience, read_social
from attribution.scenarios import SCENARIOS
from attribution.stream.arrivals import ArrivalFeed
from attribution.stream.door import LOCAL, Door, Server
from attribution.stream.engine import Engine
from attribution.stream.feeds import ReplayFeed, SimulatedFeed, no_table
from attribution.stream.inbox import Inbox
from attribution.stream.logbook import Logbook, is_log, written
from attribution.stream.rows import EventTail, TableTail
from attribution.stream.tail import Tail
from attribution.tables import near
from attribution.worlds import simulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attribution.counts import Counts
    from attribution.stream.feeds import Feed
    from attribution.stream.wire import Frame

KINDS = ("simulated", "replay", "tail", "http")
LEAD_S = 75.0
"""A recorded or simulated event is entered so long before its first airing; what lies before is history."""
SERIES = (r"events\.", r"counts\.", r".*per_(second|minute|hour|\d+ ?min)")
"""Names of the file of conversions in a folder, the surest first."""
BESIDE = re.compile(r"(?i)(airings|as_?run|context|social|audience|truth|readme|labels|.*schedule)")
TABULAR = re.compile(r"(?i).*\.(csv|tsv|txt|jsonl|ndjson|json|parquet|feather|arrow|xlsx)(\.gz|\.zst)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What stands beside a feed.

    Attributes
    ----------
    airings, context, social, audience
        Files; the last two are followed while they grow, where the feed is followed.
    columns, kind, tz
        Of the conversions, as the readers take them; ``tz`` of all files.
    speed, start
        Of a replay or a simulated event: seconds in a second, and the moment at which it is entered.
    token
        That senders show.
    log
        Folder in which what comes over HTTP is written down; without it, it is kept in memory alone.
    """

    airings: Path | None = None
    context: Path | None = None
    social: Path | None = None
    audience: Path | None = None
    columns: Mapping[str, Any] | None = None
    kind: str | None = None
    tz: str | None = None
    speed: float = 1.0
    start: pd.Timestamp | None = None
    token: str | None = None
    log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A feed, what to say about it, and how to close what it holds open."""

    feed: Feed
    told: str
    close: Callable[[], None] = lambda: None


def open_feed(address: str, given: Given) -> Opened:
    """Open the feed of an address.

    Parameters
    ----------
    address
        ``simulated``, ``simulated:SCENARIO`` or ``simulated:SCENARIO:SEED``; ``replay:PATH`` of a file of events or
        counts, of a folder that holds one, or of a log that was kept; ``tail:PATH`` of a file that grows;
        ``http:HOST:PORT`` to listen on.
    given
        What stands beside it.

    Raises
    ------
    ValueError
        When the address names no feed, or what it names cannot be read. Also OSError, when a port is taken.

    Examples
    --------
    >>> open_feed("simulated:halftime:3", Given()).told
    'simulated: halftime, seed 3'
    """
    kind, _, rest = address.partition(":")
    if kind == "simulated":
        return _simulated(rest, given)
    if kind == "replay" and rest:
        return _replay(Path(rest), given)
    if kind == "tail" and rest:
        return _tail(Path(rest), given)
    if kind == "http" and rest:
        return _http(rest, given)
    known = "simulated, replay:PATH, tail:PATH or http:HOST:PORT"
    raise ValueError(f"feed is {address!r}; write {known}{near(kind, KINDS) if kind not in KINDS else ''}")


def entry(airings: pd.DataFrame) -> pd.Timestamp | None:
    """Return the moment a replay begins by default: a little before the first airing; None without airings."""
    return None if airings.empty else airings["start"].min() - pd.Timedelta(seconds=LEAD_S)


def _simulated(rest: str, given: Given) -> Opened:
    scenario, _, seed = rest.partition(":")
    scenario = scenario or "halftime"
    if scenario not in SCENARIOS:
        raise ValueError(f"scenario is {scenario!r}; choose one of {', '.join(SCENARIOS)}{near(scenario, SCENARIOS)}")
    if seed and not seed.isdecimal():
        raise ValueError(f"seed is {seed!r}; write a whole number, e.g. simulated:{scenario}:7")
    world = simulate(SCENARIOS[scenario], rng=int(seed or 7))
    start = given.start or entry(world.airings)
    return Opened(
        feed=SimulatedFeed(world, start=start, speed=given.speed), told=f"simulated: {scenario}, seed {seed or 7}"
    )


def _replay(path: Path, given: Given) -> Opened:
    found = recording(path)
    files = {name: getattr(given, name) or found.get(name) for name in ("airings", "context", "social", "audience")}
    tz = given.tz
    if is_log(path):
        counts = counted(written(path), kind=given.kind)
    else:
        counts = read_outcomes(found["conversions"], columns=given.columns, tz=tz, kind=given.kind)
    readers: dict[str, Callable[..., pd.DataFrame]] = {
        "airings": read_airings,
        "context": read_context,
        "social": read_social,
        "audience": read_audience,
    }
    tables = {name: readers[name](file, tz=tz) for name, file in files.items() if file is not None}
    start = given.start or entry(tables.get("airings", no_table("airings")))
    feed = ReplayFeed(counts, start=start, speed=given.speed, **tables)
    names = ", ".join(file.name for file in (found["conversions"], *files.values()) if file is not None)
    return Opened(feed=feed, told=f"replay of {names} at {given.speed:g} x")


def recording(path: Path) -> dict[str, Path]:
    """Find the files of a recorded event: the conversions, and in a folder what stands beside them by its name.

    Raises
    ------
    ValueError
        When the folder does not say which file holds the conversions, or which one the airings.
    """
    if not path.is_dir() or is_log(path):
        return {"conversions": path}
    files = sorted(file for file in path.iterdir() if file.is_file() and TABULAR.fullmatch(file.name))
    series = [file for file in files if not BESIDE.match(file.name)]
    ranked = ([file for file in series if re.match(pattern, file.name)] for pattern in SERIES)
    chosen = next((some for some in ranked if some), series)
    if len(chosen) != 1:
        some = ", ".join(file.name for file in chosen[:8]) or "none"
        raise ValueError(f"{path}: which file holds the conversions is not clear ({some}); name it: replay:{path}/FILE")
    found = {"conversions": chosen[0]}
    for name in ("airings", "context", "social", "audience"):
        beside = [file for file in files if file.name.lower().startswith(name)]
        if len(beside) > 1:
            raise ValueError(f"{path} holds {', '.join(f.name for f in beside)}; choose one with --{name} FILE")
        found |= {name: beside[0]} if beside else {}
    return found


def counted(frames: Iterable[Frame], *, kind: str | None = None) -> Counts:
    """Count frames as a live feed would have: each event once, by the time it carries.

    Raises
    ------
    ValueError
        When they hold no event.
    """
    came = list(frames)
    feed = ArrivalFeed(lambda: [came.pop(0) for _ in range(len(came))], kind=kind)
    if not feed.begin():
        raise ValueError("the log holds no event; nothing can be replayed")
    feed.finish()
    engine = Engine(feed)
    engine.step()
    return engine.snapshot().counts


def _tail(path: Path, given: Given) -> Opened:
    tail = Tail(path)
    rows = EventTail(tail, columns=given.columns, tz=given.tz)
    tables, close = _tables(given)
    feed = ArrivalFeed(rows.take, tables=tables, kind=given.kind, rejected=lambda: rows.rejected)
    return Opened(feed=feed, told=f"following {path}", close=_all(tail.close, close))


def _http(where: str, given: Given) -> Opened:
    host, _, port = where.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"feed is 'http:{where}'; write http:HOST:PORT, e.g. http:127.0.0.1:8600")
    if given.token is None and host not in LOCAL:
        raise ValueError(f"http:{where} is open to others; give --token-file FILE, or listen on http:127.0.0.1:{port}")
    inbox = Inbox() if given.log is None else Logbook(given.log)
    door = Door(inbox, token=given.token)
    server = Server(door, host=host, port=int(port))
    tables, close = _tables(given)
    feed = ArrivalFeed(inbox.take, tables=tables, kind=given.kind, rejected=lambda: door.rejected)
    server.start()
    return Opened(
        feed=feed, told=f"listening on {server.address}/v1/events", close=_all(server.close, inbox.close, close)
    )


def _tables(given: Given) -> tuple[dict[str, Callable[[], pd.DataFrame]], Callable[[], None]]:
    """Tables beside a feed that arrives: what is planned is read once, what is measured is followed."""
    fixed = {}
    if given.airings is not None:
        fixed["airings"] = read_airings(given.airings, tz=given.tz).sort_values(
            "start", kind="stable", ignore_index=True
        )
    if given.context is not None:
        fixed["context"] = read_context(given.context, tz=given.tz)
    tables: dict[str, Callable[[], pd.DataFrame]] = {name: _constant(table) for name, table in fixed.items()}
    tails = []
    for name, path, read in (("social", given.social, read_social), ("audience", given.audience, read_audience)):
        if path is not None:
            tails.append(Tail(path))
            tables[name] = TableTail(tails[-1], _zoned(read, given.tz), no_table(name)).table
    return tables, _all(*(tail.close for tail in tails))


def _all(*close: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        for one in close:
            one()

    return run


def _constant(table: pd.DataFrame) -> Callable[[], pd.DataFrame]:
    return lambda: table


def _zoned(read: Callable[..., pd.DataFrame], tz: str | None) -> Callable[[Path], pd.DataFrame]:
    return lambda path: read(path, tz=tz)
