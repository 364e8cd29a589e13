"""The command line: the same answers as in a notebook.

What a command needs is imported when it runs, so that ``--help`` is there at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
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
from attribution.onair import live
from attribution.options import (
    EXIT_CODES,
    AirColumns,
    AirLog,
    Audience,
    ClockOffset,
    Columns,
    Context,
    Cumulative,
    DayStart,
    FileColumns,
    FileRoles,
    FrameRate,
    JsonFile,
    Kind,
    More,
    Outcomes,
    PlanFile,
    SettingsFile,
    Social,
    StreamStart,
    Width,
    Zone,
    Zones,
    moment,
    one_sentence,
    pairs,
    read_conversions,
    read_event,
    read_settings,
)  # fmt: skip
from attribution.streams import streams

WRITTEN = ("events.parquet", "counts.csv", "airings.csv", "social.csv", "audience.csv", "context.csv", "truth.json")
"""Files of a simulated event."""

app = typer.Typer(
    help="Did this TV ad actually cause these conversions?",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

REPORTS = (
    "Write the report, in the form that the ending names: .html (one file that opens offline), .pdf, .md, .json (read "
    "back by at.load), .zip (tables, figures, the data and a notebook that answers anew); may be repeated."
)

app.command(epilog=EXIT_CODES)(live)

plans = typer.Typer(help="The plan: lock it before the airing, show it, compare two.", no_args_is_help=True)
app.add_typer(plans, name="plan")
app.add_typer(streams, name="stream")


@app.command(epilog=EXIT_CODES)
def analyze(
    conversions: Outcomes,
    airings: AirLog,
    more: More = None,
    *,
    social: Social = None,
    audience: Audience = None,
    context: Context = None,
    settings: SettingsFile = None,
    tz: Zones = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    cumulative: Cumulative = False,
    width: Width = None,
    kind: Kind = None,
    broadcast_day_start: DayStart = None,
    frame_rate: FrameRate = None,
    clock_offset: ClockOffset = None,
    stream_start: StreamStart = None,
    role: FileRoles = None,
    map_: FileColumns = None,
    plan: Annotated[Path | None, typer.Option(help="The locked plan: the answer says whether it was kept.")] = None,
    report: Annotated[list[Path] | None, typer.Option(help=REPORTS)] = None,
    json_file: JsonFile = None,
) -> None:
    """Answer for every airing whether it caused these conversions."""
    from attribution.planning import Plan

    with one_sentence():
        choices = read_settings(settings)
        files = read_event(
            conversions, airings, more, {"social": social, "audience": audience, "context": context},
            {"role": role, "map": map_, "column": column, "airings_column": airings_column, "tz": tz},
            {
                "cumulative": cumulative, "width": width, "kind": kind, "broadcast_day_start": broadcast_day_start,
                "frame_rate": frame_rate, "clock_offset": clock_offset, "stream_start": stream_start,
            },
        )  # fmt: skip
        given: dict[str, Any] = {**files.feeds, "plan": None if plan is None else Plan.load(plan)}
        result = at.analyze(files.counts, files.airings, choices, **given)
        if json_file is not None:
            write_json(as_json(result), json_file)
        written = at.report(result)
        for path in report or ():
            remark(f"report: {written.save(path)}")
        if json_file != Path("-"):
            show(result)


@app.command(epilog=EXIT_CODES)
def preflight(
    conversions: Outcomes,
    airings: AirLog,
    more: More = None,
    *,
    context: Context = None,
    tz: Zones = None,
    column: Columns = None,
    airings_column: AirColumns = None,
    cumulative: Cumulative = False,
    width: Width = None,
    kind: Kind = None,
    broadcast_day_start: DayStart = None,
    frame_rate: FrameRate = None,
    clock_offset: ClockOffset = None,
    stream_start: StreamStart = None,
    role: FileRoles = None,
    map_: FileColumns = None,
    json_file: JsonFile = None,
) -> None:
    """Say what in the data would harm the answer, where, and how to mend it. Exit code 1 on an error."""
    with one_sentence():
        files = read_event(
            conversions, airings, more, {"context": context},
            {"role": role, "map": map_, "column": column, "airings_column": airings_column, "tz": tz},
            {
                "cumulative": cumulative, "width": width, "kind": kind, "broadcast_day_start": broadcast_day_start,
                "frame_rate": frame_rate, "clock_offset": clock_offset, "stream_start": stream_start,
            },
        )  # fmt: skip
        found = list(files.findings)
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
    from attribution.replay import looks
    from attribution.stream.addresses import entry
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
