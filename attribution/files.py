"""All files of an event at once: what each is, read, joined by time, with one list of findings.

What was done is one call, so it can be written down: :meth:`Files.code` gives the lines that do it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution.airings import read_airings, read_context
from attribution.alignment import Offset, clock_offset, shifted
from attribution.checks import preflight
from attribution.insertions import airings_of, read_exposures
from attribution.kinds import ROLES, Kind, what_is
from attribution.layouts import normalise
from attribution.logs import read_events
from attribution.markers import read_scte35
from attribution.outcomes import read_outcomes
from attribution.readers import read_audience, read_counts, read_social
from attribution.settings import Settings
from attribution.tables import Finding, ReadError, near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attribution.counts import Counts

FEEDS = ("social", "audience", "context", "exposures")
"""What ``analyze`` takes beside counts and airings."""
NOTHING = ""
"""Role of a file that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file.

    Attributes
    ----------
    path, role, why
        The file, what it is, and what says so.
    first, last
        What it spans; NaT where it holds no time.
    findings, mapping
        What its reader met, the sum of the account last; role -> column.
    """

    path: Path
    role: str
    why: str
    first: Any
    last: Any
    findings: tuple[Finding, ...]
    mapping: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What the files hold, as ``analyze`` takes it.

    Attributes
    ----------
    counts, airings
        The two tables.
    social, audience, context, exposures
        Feeds; None where no file holds them.
    members
        The files, as they were given.
    findings
        What harms the answer, worst first: of the readers, of the clocks, of both tables together.
    offset
        By how much the clocks differ, after any ``clock_offset`` that was given.
    options
        How they were read: the arguments that were given.
    """

    counts: Counts
    airings: pd.DataFrame
    social: pd.DataFrame | None
    audience: pd.DataFrame | None
    context: pd.DataFrame | None
    exposures: pd.DataFrame | None
    members: tuple[Member, ...]
    findings: tuple[Finding, ...]
    offset: Offset
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def feeds(self) -> dict[str, Any]:
        """The feeds there are, by the names ``analyze`` gives them."""
        return {name: table for name in FEEDS if (table := getattr(self, name)) is not None}

    def code(self, settings: Settings | None = None) -> str:
        """Write the lines of Python that read these files so and answer.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> place = pathlib.Path(tempfile.mkdtemp())
        >>> rows = ["minute,count", "2026-02-08T20:41Z,3", "2026-02-08T20:42Z,4"]
        >>> _ = (place / "n.csv").write_text(chr(10).join(rows))
        >>> _ = (place / "spots.csv").write_text("spot,start,length" + chr(10) + "a,2026-02-08T20:41Z,30")
        >>> print(read_files(place / "n.csv", place / "spots.csv").code().splitlines()[1])
        files = at.read_files("n.csv", "spots.csv")
        """
        names = [_quoted(member.path.name) for member in self.members]
        given = [f"{name}={_quoted(value)}" for name, value in self.options.items()]
        chosen = "" if settings is None or settings == Settings() else f", {_settings_code(settings)}"
        return "\n".join(
            [
                "import attribution as at",
                f"files = at.read_files({', '.join([*names, *given])})",
                f"result = at.analyze(files.counts, files.airings{chosen}, **files.feeds)",
            ]
        )


def read_files(
    *paths: str | Path,
    roles: Mapping[str, str] | None = None,
    columns: Mapping[str, Mapping[str, Any]] | None = None,
    tz: str | Mapping[str, str] | None = None,
    cumulative: bool = False,
    width: str | None = None,
    kind: str | None = None,
    broadcast_day_start: str | None = None,
    frame_rate: float | None = None,
    clock_offset: str | None = None,
    stream_start: str | None = None,
) -> Files:
    """Read all files of an event: each is told by its content, and they are joined by time.

    Parameters
    ----------
    paths
        Files, in any order: conversions (counts, events or an export), airings, and whatever there is of social,
        audience, context, SCTE-35 markers and per-viewer insertions.
    roles
        ``{file name: role}`` where the content says too little; an empty role leaves the file out. A path will do.
    columns
        ``{file name: {role: column}}``.
    tz
        Zone of times that carry none; or ``{file name: zone}``.
    cumulative, width, kind
        Of the conversions, as in :func:`attribution.outcomes.read_outcomes`.
    broadcast_day_start, frame_rate
        Of the airings, as in :func:`attribution.airings.read_airings`.
    clock_offset
        Added to the airings' times, e.g. ``"42s"`` or ``"-3.5s"``.
    stream_start
        When the first picture of a transport stream was on air.

    Returns
    -------
    Files
        ``analyze(files.counts, files.airings, **files.feeds)`` answers.

    Raises
    ------
    ReadError
        When a file cannot be read, two are the same thing, or conversions or airings are missing.
    """
    options: dict[str, Any] = {
        "roles": roles, "columns": columns, "tz": tz, "cumulative": cumulative, "width": width, "kind": kind,
        "broadcast_day_start": broadcast_day_start, "frame_rate": frame_rate, "clock_offset": clock_offset,
        "stream_start": stream_start,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value}
    told = tell([Path(path) for path in paths], roles)
    offset = _seconds(clock_offset)
    tables: dict[str, Any] = {}
    members = []
    first = {"counts": 0, "events": 0, "airings": 1}
    for path, what in sorted(told.items(), key=lambda item: first.get(item[1].role, 2)):
        if what.role == NOTHING:
            continue
        name = "counts" if what.role == "events" else what.role
        table = _read(path, what.role, options, tables.get("airings"))
        table = shifted(table, offset) if name == "airings" and offset else table
        if name in tables:
            raise ReadError(
                f"{path.name}: a second file of {name}; roles={{{path.name!r}: ...}} says what it is, or leaves it out"
            )
        tables[name] = table
        members.append(_member(path, what, table))
    order = [Path(path) for path in paths]
    return _joined(tables, sorted(members, key=lambda member: order.index(member.path)), offset, given)


def tell(paths: Sequence[Path], roles: Mapping[str, str] | None = None) -> dict[Path, Kind]:
    """Tell what each file is; the caller's word wins, and conversions are found where only one file can hold them.

    Raises
    ------
    ReadError
        When a file cannot be opened, or ``roles`` names an unknown file or role.
    """
    said = dict(roles or {})
    names = [path.name for path in paths]
    for name, role in said.items():
        if name not in names and Path(name) not in paths:
            raise ReadError(f"roles names {name!r}; the files are {', '.join(names)}{near(name, names)}")
        if role not in (*ROLES, NOTHING):
            raise ReadError(f"roles gives {role!r} for {name}; choose one of {', '.join(ROLES)}{near(role, ROLES)}")
    told = {}
    for path in paths:
        role = _about(said, path)
        try:
            told[path] = what_is(path)
        except ReadError:
            if role is None:
                raise
            told[path] = Kind(role, "", ())  # its reader says what is wrong with it
        if role is not None:
            told[path] = Kind(role, "you say so", told[path].columns)
    found = {what.role for what in told.values()}
    if not found & {"counts", "events"}:
        maybe = [p for p, what in told.items() if what.role in {"social", "audience"} and what.why == "its name"]
        if len(maybe) == 1 and _about(said, maybe[0]) is None:
            told[maybe[0]] = Kind("counts", "no other file holds conversions", told[maybe[0]].columns)
    return told


def _about(given: Mapping[str, Any], path: Path) -> Any:
    """Find what is said about a file, by its path or by its name; None where nothing is."""
    return given.get(str(path), given.get(path.name))


def _read(path: Path, role: str, options: Mapping[str, Any], airings: pd.DataFrame | None) -> Any:
    """Read one file as what it is."""
    tz = options["tz"]
    how: dict[str, Any] = {
        "columns": _about(options["columns"] or {}, path),
        "tz": tz if isinstance(tz, str) or tz is None else _about(tz, path),
    }
    if role in {"counts", "events"}:
        more = {"width": options["width"], "kind": options["kind"]}
        if role == "events":
            return read_events(path, **how, kind=options["kind"], width=options["width"] or "1s")
        if options["cumulative"]:
            return read_counts(path, **how, **more, cumulative=True)
        return read_outcomes(path, **how, **more) if not how["columns"] else read_counts(path, **how, **more)
    if role == "airings":
        station = {"broadcast_day_start": options["broadcast_day_start"], "frame_rate": options["frame_rate"]}
        return read_airings(path, **how, **station)
    if role == "scte35":
        return read_scte35(path, **how, start=options["stream_start"])
    if role == "exposures":
        return read_exposures(path, **how, airings=airings)
    return {"social": read_social, "audience": read_audience, "context": read_context}[role](path, **how)


def _member(path: Path, what: Kind, table: Any) -> Member:
    if what.role in {"counts", "events"}:
        first, last = pd.Timestamp(table.start[0]).tz_localize("UTC"), table.end
        return Member(path=path, role=what.role, why=what.why, first=first, last=last, findings=table.findings,
                      mapping=dict(table.mapping))  # fmt: skip
    column = "time" if "time" in table else "start"
    first, last = (table[column].min(), table[column].max()) if len(table) else (pd.NaT, pd.NaT)
    findings, mapping = table.attrs.get("findings", ()), table.attrs.get("mapping", {})
    return Member(path=path, role=what.role, why=what.why, first=first, last=last, findings=tuple(findings),
                  mapping=dict(mapping))  # fmt: skip


def _joined(tables: dict[str, Any], members: list[Member], moved: float, options: dict[str, Any]) -> Files:
    """Put the tables together, and look at them together."""
    if "counts" not in tables:
        held = ", ".join(f"{m.path.name} ({m.role})" for m in members) or "none"
        raise ReadError(f"no file holds conversions; the files are {held}; roles={{...}} says which does")
    exposures = tables.get("exposures")
    airings = tables.get("airings")
    if airings is None:
        if exposures is None:
            raise ReadError("no file holds airings; give an as-run log, or roles={...} to say which file is one")
        airings = airings_of(exposures)
    breaks = [t for name in ("context", "scte35") if (t := tables.get(name)) is not None]
    context = None if not breaks else _context(breaks)
    counts = tables["counts"]
    offset = clock_offset(counts, airings)
    findings = preflight(counts, airings, context=context)
    said = set(findings)
    feeds = (m for m in members if m.role not in {"counts", "events", "airings"})
    findings += [f for m in feeds for f in m.findings if f.level != "note" and f not in said]
    findings += _apart(members) + _clocks(offset, moved)
    rank = {"error": 0, "warning": 1, "note": 2}
    return Files(
        counts=counts,
        airings=airings,
        social=tables.get("social"),
        audience=tables.get("audience"),
        context=context,
        exposures=exposures,
        members=tuple(members),
        findings=tuple(sorted(findings, key=lambda finding: rank.get(finding.level, 2))),
        offset=offset,
        options=options,
    )


def _context(breaks: list[pd.DataFrame]) -> pd.DataFrame:
    out = pd.concat([normalise(table, "context") for table in breaks], ignore_index=True)
    out.attrs = {
        "findings": [f for table in breaks for f in table.attrs.get("findings", [])],
        "mapping": {k: v for table in breaks for k, v in table.attrs.get("mapping", {}).items()},
    }
    return normalise(out.sort_values("start", kind="stable", ignore_index=True), "context")


def _apart(members: list[Member]) -> list[Finding]:
    """Files that have no moment in common with the conversions."""
    counts = next(m for m in members if m.role in {"counts", "events"})
    out = []
    for member in members:
        if member is counts or member.role == "airings" or pd.isna(member.first):
            continue
        if member.first >= counts.last or member.last < counts.first:
            out.append(
                Finding(
                    "warning",
                    f"{member.path.name} shares no time with the conversions",
                    f"{member.first:%Y-%m-%d %H:%M} to {member.last:%Y-%m-%d %H:%M} UTC",
                    "it says nothing about them",
                    "check its dates and its zone (tz=)",
                )
            )
    return out


def _clocks(offset: Offset, moved: float) -> list[Finding]:
    """Tell how far the airings were moved, and whether they should be."""
    out = []
    if moved:
        out.append(Finding("note", f"airings moved by {moved:+g} s", "all airings", "", "clock_offset was given"))
    if offset.needed:
        out.append(
            Finding(
                "warning",
                f"the clocks differ: {offset.why}",
                f"{offset.airings} airings; 95% interval {offset.lower:+.0f} s to {offset.upper:+.0f} s",
                "the response is sought at the wrong time; a stream's delay looks the same",
                f'clock_offset="{moved + offset.seconds:.0f}s" moves the airings',
            )
        )
    return out


def _seconds(written: str | None) -> float:
    if not written:
        return 0.0
    try:
        span = pd.Timedelta(written)
    except ValueError as error:
        raise ReadError(f"clock_offset is {written!r}; write seconds, e.g. '42s' or '-3.5s'") from error
    seconds = span.total_seconds() if isinstance(span, pd.Timedelta) else float("nan")
    if not abs(seconds) < 7 * 86_400:
        raise ReadError(f"clock_offset is {written!r}; choose less than a week")
    return float(seconds)


def _quoted(value: Any) -> str:
    """Write a value as Python with double quotes."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _settings_code(settings: Settings) -> str:
    plain = Settings()
    changed = {name: getattr(settings, name) for name in Settings.__dataclass_fields__}
    parts = [f"{name}={_quoted(value)}" for name, value in changed.items() if value != getattr(plain, name)]
    return f"at.Settings({', '.join(parts)})"
