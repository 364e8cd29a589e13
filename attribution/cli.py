"""The command line: the same answers as in a notebook.

What a command needs is imported when it runs, so that ``--help`` is there at once.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

import attribution as at
from attribution.console import (
    as_json,
    clean,
    look_json,
    out,
    remark,
    show,
    show_findings,
    show_look,
    show_plan,
    write_json,
)  # fmt: skip

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
WRITTEN = ("events.parquet", "counts.csv", "airings.csv", "social.csv", "audience.csv", "context.csv", "truth.json")
"""Files of a simulated event."""

app = typer.Typer(
    help="Did this TV ad actually cause these conversions?",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

plans = typer.Typer(help="The plan: lock it before the airing, show it, compare two.", no_args_is_help=True)
app.add_typer(plans, name="plan")

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="A plan that `attribution plan lock` wrote.")]
Outcomes = Annotated[
    Path, typer.Argument(metavar="COUNTS_OR_EVENTS", help="Conversions: counts by time, or one row an event.")
]
AirLog = Annotated[Path, typer.Argument(metavar="AIRINGS", help="As-run log: airing, start, length_s, regions, ...")]
Social = Annotated[Path | None, typer.Option(help="Posts or mentions by time.")]
Audience = Annotated[Path | None, typer.Option(help="Viewers by time.")]
Context = Annotated[Path | None, typer.Option(help="Declared breaks and organic moments: kind, start, end, label.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings as JSON; absent ones keep defaults.")]
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


def read_settings(path: Path | None) -> at.Settings:
    """Read settings from a JSON file; without one, the defaults."""
    if path is None:
        return at.Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    return at.Settings.from_json(text)


@app.command(epilog=EXIT_CODES)
def analyze(
    conversions: Outcomes,
    airings: AirLog,
    *,
    social: Social = None,
    audience: Audience = None,
    context: Context = None,
    settings: SettingsFile = None,
    tz: Zone = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    cumulative: Cumulative = False,
    width: Width = None,
    kind: Kind = None,
    plan: Annotated[Path | None, typer.Option(help="The locked plan: the answer says whether it was kept.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report: one HTML file that opens offline.")] = None,
    notebook: Annotated[
        Path | None, typer.Option(help="Write a zip: the data, and a notebook that answers anew.")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Answer for every airing whether it caused these conversions."""
    from attribution.handover import pack
    from attribution.planning import Plan

    with one_sentence():
        choices = read_settings(settings)
        counts = read_conversions(conversions, pairs(column), tz, cumulative=cumulative, width=width, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        remark(f"{airings.name}: {len(log):,} airing{'s' * (len(log) != 1)}; fitting")
        given: dict[str, Any] = {
            "social": None if social is None else at.read_social(social, tz=tz),
            "audience": None if audience is None else at.read_audience(audience, tz=tz),
            "context": None if context is None else at.read_context(context, tz=tz),
            "plan": None if plan is None else Plan.load(plan),
        }
        result = at.analyze(counts, log, choices, **given)
        if json_file is not None:
            write_json(as_json(result), json_file)
        if report is not None:
            remark(f"report: {at.report(result).save(report)}")
        if notebook is not None:
            notebook.write_bytes(pack(result, counts, **given))
            remark(f"notebook: {notebook}")
        if json_file != Path("-"):
            show(result)


@app.command(epilog=EXIT_CODES)
def preflight(
    conversions: Outcomes,
    airings: AirLog,
    *,
    context: Context = None,
    tz: Zone = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    cumulative: Cumulative = False,
    width: Width = None,
    kind: Kind = None,
    json_file: JsonFile = None,
) -> None:
    """Say what in the data would harm the answer, where, and how to mend it. Exit code 1 on an error."""
    with one_sentence():
        counts = read_conversions(conversions, pairs(column), tz, cumulative=cumulative, width=width, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        moments = None if context is None else at.read_context(context, tz=tz)
        found = at.preflight(counts, log, context=moments)
        if json_file is not None:
            write_json({"version": at.__version__, "findings": [f._asdict() for f in found]}, json_file)
        if json_file != Path("-"):
            show_findings(found, empty="Nothing found that would harm the answer.")
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


@app.command(epilog=EXIT_CODES)
def replay(
    conversions: Outcomes,
    airings: AirLog,
    *,
    speed: Annotated[float, typer.Option(help="Seconds of the event in one second.")] = 10.0,
    start: Annotated[
        str | None,
        typer.Option(help="Moment to begin at; what lies before is history. Default: 75 s before an airing."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Moment to end at; by default the end of the data.")] = None,
    social: Social = None,
    audience: Audience = None,
    context: Context = None,
    settings: SettingsFile = None,
    tz: Zone = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    cumulative: Cumulative = False,
    width: Width = None,
    kind: Kind = None,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON document a line, for machines.")] = False,
) -> None:
    """Play a recorded event as if it happened now: a line a second, every change of a verdict, then the answer."""
    from attribution.replay import entry, looks
    from attribution.stream.feeds import ReplayFeed

    with one_sentence():
        choices = read_settings(settings)
        counts = read_conversions(conversions, pairs(column), tz, cumulative=cumulative, width=width, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        feed = ReplayFeed(
            counts.between(end=None if until is None else moment(until, tz, "--until")),
            airings=log,
            context=None if context is None else at.read_context(context, tz=tz),
            social=None if social is None else at.read_social(social, tz=tz),
            audience=None if audience is None else at.read_audience(audience, tz=tz),
            start=entry(log) if start is None else moment(start, tz, "--start"),
            speed=speed,
        )
        for look in looks(feed, choices):
            if json_lines:
                sys.stdout.write(json.dumps(look_json(look), allow_nan=False, ensure_ascii=False) + "\n")
                sys.stdout.flush()
            else:
                show_look(look)
                if look.ended and look.result is not None:
                    show(look.result)


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


@app.command(epilog=EXIT_CODES)
def simulate(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made if absent; files of these names are replaced.")
    ],
    *,
    scenario: Annotated[str, typer.Option(help="A named scenario; a wrong name lists them.")] = "halftime",
    seed: Annotated[int, typer.Option(min=0, help="The same seed writes the same files, to the byte.")] = 7,
) -> None:
    """Write an event with a known truth: events, counts, airings, feeds, context, truth.json."""
    from attribution.worlds import write_world

    with one_sentence():
        if scenario not in at.SCENARIOS:
            raise ValueError(f"scenario is {scenario!r}; choose one of {', '.join(at.SCENARIOS)}")
        place = write_world(at.simulate(at.SCENARIOS[scenario], rng=seed), directory)
        console = out()
        for path in sorted(place / name for name in WRITTEN):
            console.print(Text(f"{clean(path)}  {path.stat().st_size / 1e3:,.0f} kB"))
        feeds = " ".join(f"--{name} {place / name}.csv" for name in ("social", "audience", "context"))
        console.print(
            Text(clean(f"next: attribution analyze {place / 'events.parquet'} {place / 'airings.csv'} {feeds}"))
        )


@plans.command("lock", epilog=EXIT_CODES)
def plan_lock(
    conversions: Outcomes,
    airings: AirLog,
    plan: PlanFile,
    *,
    moment_of_lock: Annotated[
        str | None, typer.Option("--at", metavar="MOMENT", help="Moment of the lock; by default now.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="An airing to be judged together with the others named; all by default.")
    ] = None,
    late: Annotated[bool, typer.Option("--late", help="The first airing has begun; the plan is kept as late.")] = False,
    settings: SettingsFile = None,
    tz: Zone = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    kind: Kind = None,
) -> None:
    """Lock what will be done, before the airing: writes PLAN with its hash. Of the conversions only labels are used."""
    import pandas as pd

    from attribution.planning import lock

    with one_sentence():
        if plan.exists():
            raise ValueError(f"{plan} is there already; a locked plan is not replaced: give another name")
        counts = read_conversions(conversions, pairs(column), tz, cumulative=False, width=None, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        when = pd.Timestamp.now("UTC").floor("s") if moment_of_lock is None else moment(moment_of_lock, tz, "--at")
        locked = lock(read_settings(settings), log, counts, at=when, family=family, late=late)
        remark(f"plan: {locked.save(plan)}")
        show_plan(locked)


@plans.command("show", epilog=EXIT_CODES)
def plan_show(plan: PlanFile) -> None:
    """Show a plan and whether its hash fits. Exit code 1 when it does not."""
    from attribution.planning import Plan, verify

    with one_sentence():
        found = Plan.load(plan)
        show_plan(found)
        if not verify(found):
            raise ValueError(f"{plan}: the hash does not fit; the plan was altered after it was locked")


@plans.command("diff", epilog=EXIT_CODES)
def plan_diff(
    plan: PlanFile, other: Annotated[Path, typer.Argument(metavar="OTHER", help="The plan to compare with.")]
) -> None:
    """Say what differs between two plans, a line each."""
    from attribution.planning import Plan, difference

    with one_sentence():
        lines = difference(Plan.load(plan), Plan.load(other))
        for line in lines or ("nothing differs",):
            out().print(Text(clean(line)))
