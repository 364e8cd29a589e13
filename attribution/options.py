"""What every command takes: files, options, and how they are read; an error of the input is one sentence."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

import attribution as at
from attribution.console import clean, out, remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

EXIT_CODES = (
    "Exit codes: 0 answered; 1 an input is missing or wrong, or preflight found an error, and one sentence says which; "
    "2 the command line is wrong; 130 stopped by Ctrl-C. The answer goes to standard output, remarks and errors to "
    "standard error; --json - puts JSON alone on standard output."
)
OPTION_OF = {"tz=": "--tz ZONE", "columns=": "--column ROLE=NAME", "kind=": "--kind NAME", "width=": "--width 60s"}
"""What an argument named in an error is called here."""

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan that `attribution plan lock` wrote.")]
Outcomes = Annotated[
    Path, typer.Argument(metavar="COUNTS_OR_EVENTS", help="Conversions: counts by time, or one row an event.")
]
AirLog = Annotated[Path, typer.Argument(metavar="AIRINGS", help="As-run log: airing, start, length_s, regions, ...")]
Social = Annotated[Path | None, typer.Option(help="Posts or mentions by time.")]
Audience = Annotated[Path | None, typer.Option(help="Viewers by time.")]
Context = Annotated[Path | None, typer.Option(help="Declared breaks and organic moments: kind, start, end, label.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings as JSON; absent ones keep defaults.")]
More = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[MORE]...", help="Social, audience, breaks, SCTE-35, insertions: told by their content."),
]
DayStart = Annotated[
    str | None,
    typer.Option(
        "--broadcast-day-start", metavar="HH:MM", help="Dates of the airings are broadcast days from then on."
    ),
]
FrameRate = Annotated[
    float | None, typer.Option("--frame-rate", help="Frames a second of codes without drop in the airings.")
]
ClockOffset = Annotated[
    str | None, typer.Option("--clock-offset", metavar="SPAN", help="Added to the airings' times, e.g. 42s or -3.5s.")
]
StreamStart = Annotated[
    str | None, typer.Option("--stream-start", metavar="MOMENT", help="When a transport stream's first picture aired.")
]
FileRoles = Annotated[
    list[str] | None, typer.Option("--role", metavar="FILE=ROLE", help="What a file is; an empty role leaves it out.")
]
FileColumns = Annotated[
    list[str] | None, typer.Option("--map", metavar="FILE:ROLE=COLUMN", help="Which column of a file is what.")
]
Zones = Annotated[
    list[str] | None,
    typer.Option("--tz", metavar="ZONE", help="Zone of times that carry none, e.g. America/New_York; or FILE=ZONE."),
]
Zone = Annotated[str | None, typer.Option("--tz", help="Zone of times that carry none, e.g. America/New_York.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=NAME", help="Which column of the conversions is what; may be repeated."),
]
AirColumns = Annotated[
    list[str] | None,
    typer.Option("--airings-column", metavar="ROLE=NAME", help="Which column of the airings is what."),
]
Cumulative = Annotated[bool, typer.Option("--cumulative", help="The counts only grow: take differences.")]
Width = Annotated[
    str | None, typer.Option(help="Width of the bins, e.g. 60s; by default 1s, or the step of the counts.")
]
Kind = Annotated[str | None, typer.Option(help="Which kind of event to count, where a column tells them apart.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write JSON to this file; - is standard output.")]


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error of the input into one sentence and exit code 1, and Ctrl-C into 130."""
    try:
        yield
    except (ValueError, OSError) as error:
        text = " ".join(str(error).split())
        named = [option for argument, option in OPTION_OF.items() if f" {argument}" in text]
        text += f" (here: {', '.join(named)})" if named else ""
        out(stderr=True).print(Text(f"error: {clean(text)}", style="bold red"))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error


def pairs(given: Iterable[str] | None, option: str = "--column") -> dict[str, Any]:
    """Read ``role=name`` pairs; a role given twice holds several columns.

    Examples
    --------
    >>> pairs(["time=ts", "count=north", "count=south"])
    {'time': 'ts', 'count': ['north', 'south']}
    """
    found: dict[str, Any] = {}
    for pair in given or ():
        role, equals, name = pair.partition("=")
        if not (role and equals and name):
            raise typer.BadParameter(f"{pair!r} is not ROLE=NAME, e.g. count=orders", param_hint=option)
        found[role] = (
            name if role not in found else [*([found[role]] if isinstance(found[role], str) else found[role]), name]
        )
    return found


def read_conversions(
    path: Path, columns: dict[str, Any], tz: str | None, *, cumulative: bool, width: str | None, kind: str | None
) -> at.Counts:
    """Read events or counts, whichever the file holds, and say which and from which columns."""
    from attribution.outcomes import holds, read_outcomes

    what, why = ("counts", "they only grow") if cumulative else holds(path, columns=columns)
    remark(f"{path.name}: read as {what} ({why})")
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"),
                   console=out(stderr=True), transient=True, disable=not sys.stderr.isatty())  # fmt: skip
    with bar:
        task = bar.add_task("reading", total=1.0)
        counts = read_outcomes(
            path, columns=columns, tz=tz, cumulative=cumulative, width=width, kind=kind,
            progress=lambda share, rows: bar.update(task, completed=share, description=f"{rows:,} rows"),
        )  # fmt: skip
    remark(f"{path.name}: {', '.join(f'{role} = {column}' for role, column in counts.mapping)}")
    remark(
        f"{path.name}: {len(counts.start):,} bins from {counts.start[0].astype('datetime64[s]')} UTC, "
        f"{len(counts.regions):,} region{'s' * (len(counts.regions) != 1)}"
    )
    return counts


def read_event(
    conversions: Path,
    airings: Path,
    more: list[Path] | None,
    given: dict[str, Path | None],
    said: dict[str, list[str] | None],
    rest: dict[str, Any],
) -> at.Files:
    """Read all files of an event, and say what each was taken for.

    Parameters
    ----------
    given
        Feeds that an option names, by what they are.
    said
        The options ``role``, ``map``, ``column``, ``airings_column`` and ``tz`` as they were typed.
    rest
        Other arguments of :func:`attribution.files.read_files`.
    """
    from attribution.kinds import what_is
    from attribution.outcomes import holds

    named = {name: path for name, path in given.items() if path is not None}
    roles = {str(path): name for name, path in named.items()} | pairs(said["role"], "--role")
    columns: dict[str, dict[str, Any]] = {}
    for file, role, column in (mapped(text) for text in said["map"] or ()):
        columns.setdefault(file, {})[role] = column
    for path, option, typed in ((conversions, "--column", "column"), (airings, "--airings-column", "airings_column")):
        if said[typed]:
            columns.setdefault(str(path), {}).update(pairs(said[typed], option))
    zones = [text for text in said["tz"] or () if "=" not in text]
    tz = zones[-1] if zones else pairs([text for text in said["tz"] or () if "=" in text], "--tz") or None
    if not any(roles.get(name) for name in (str(airings), airings.name)):
        roles[str(airings)] = "airings"
        with suppress(ValueError):  # what is wrong with it, its reader says
            roles[str(airings)] = "exposures" if what_is(airings).role == "exposures" else "airings"
    paths = [conversions, airings, *(more or ()), *named.values()]
    if not any(roles.get(name) for name in (str(conversions), conversions.name)):
        cumulative = bool(rest.get("cumulative"))
        roles[str(conversions)] = (
            "counts" if cumulative else holds(conversions, columns=columns.get(str(conversions)))[0]
        )
    files = at.read_files(*dict.fromkeys(paths), roles=roles, columns=columns or None, tz=tz, **rest)
    for member in files.members:
        pairs_of = ", ".join(f"{role} = {column}" for role, column in member.mapping.items())
        remark(f"{member.path.name}: read as {member.role}{f' ({pairs_of})' if pairs_of else ''}")
    counts = files.counts
    remark(
        f"{len(counts.start):,} bins from {counts.start[0].astype('datetime64[s]')} UTC, {len(counts.regions):,} "
        f"region{'s' * (len(counts.regions) != 1)}; {len(files.airings):,} airing{'s' * (len(files.airings) != 1)}"
    )
    return files


def mapped(text: str) -> tuple[str, str, str]:
    """Read ``FILE:ROLE=COLUMN``.

    Examples
    --------
    >>> mapped("log.csv:start=Air Time")
    ('log.csv', 'start', 'Air Time')
    """
    place, equals, column = text.partition("=")
    file, colon, role = place.rpartition(":")
    if not (equals and colon and file and role and column):
        raise typer.BadParameter(f"{text!r} is not FILE:ROLE=COLUMN, e.g. log.csv:start=Aired", param_hint="--map")
    return file, role, column


def read_settings(path: Path | None) -> at.Settings:
    """Read settings from a JSON file; without one, the defaults."""
    if path is None:
        return at.Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    return at.Settings.from_json(text)


def moment(text: str, tz: str | None, option: str) -> pd.Timestamp:
    """Read a moment of the command line; one without a zone is in ``tz``."""
    import pandas as pd

    try:
        stamp = pd.Timestamp(text)
        stamp = stamp.tz_localize(tz) if stamp.tzinfo is None and tz is not None else stamp
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"{text!r} is no moment, e.g. 2026-02-08T20:41:00Z", param_hint=option) from error
    if stamp.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no zone; end it with Z, or give --tz", param_hint=option)
    return stamp
