"""The command line: the same answers as in a notebook, in words for people and as JSON for machines."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

import attribution as at
from attribution.outcomes import holds, read_outcomes
from attribution.reports import figure, interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EXIT_CODES = (
    "Exit codes: 0 answered; 1 an input is missing or wrong, or preflight found an error, and one sentence says which; "
    "2 the command line is wrong; 130 stopped by Ctrl-C. The answer goes to standard output, remarks and errors to "
    "standard error; --json - puts JSON alone on standard output."
)
OPTION_OF = {"tz=": "--tz ZONE", "columns=": "--column ROLE=NAME", "kind=": "--kind NAME"}
"""What an argument named in an error is called here."""
WHOLE = 3
"""At most so many airings are answered in full; of more, the table and the summary are shown."""
PIPE_WIDTH = 150
"""Columns of text where no terminal says how wide it is."""

app = typer.Typer(
    help="Did this TV ad actually cause these conversions?",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

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
Kind = Annotated[str | None, typer.Option(help="Which kind of event to count, where a column tells them apart.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write JSON to this file; - is standard output.")]


def out(*, stderr: bool = False) -> Console:
    """Make a console for the stream as it is now; text from files is never read as markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=not stream.isatty())


def clean(value: object) -> str:
    r"""Drop what a terminal would obey rather than show: names come from files.

    Examples
    --------
    >>> clean("half\x1b[31mtime")
    'half�[31mtime'
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


def remark(text: str) -> None:
    """Say on standard error what is being done, so that standard output holds the answer alone."""
    out(stderr=True).print(Text(clean(text), style="dim"))


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
    path: Path, columns: dict[str, Any], tz: str | None, *, cumulative: bool, kind: str | None
) -> at.Counts:
    """Read events or counts, whichever the file holds, and say which and from which columns."""
    what, why = ("counts", "they only grow") if cumulative else holds(path, columns=columns)
    remark(f"{path.name}: read as {what} ({why})")
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"),
                   console=out(stderr=True), transient=True, disable=not sys.stderr.isatty())  # fmt: skip
    with bar:
        task = bar.add_task("reading", total=1.0)
        counts = read_outcomes(
            path, columns=columns, tz=tz, cumulative=cumulative, kind=kind,
            progress=lambda share, rows: bar.update(task, completed=share, description=f"{rows:,} rows"),
        )  # fmt: skip
    remark(f"{path.name}: {', '.join(f'{role} = {column}' for role, column in counts.mapping)}")
    remark(
        f"{path.name}: {len(counts.start):,} bins from {pd.Timestamp(counts.start[0]):%Y-%m-%d %H:%M:%S} UTC, "
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
    kind: Kind = None,
    report: Annotated[Path | None, typer.Option(help="Write the report: one HTML file that opens offline.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Answer for every airing whether it caused these conversions."""
    with one_sentence():
        choices = read_settings(settings)
        counts = read_conversions(conversions, pairs(column), tz, cumulative=cumulative, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        remark(f"{airings.name}: {len(log):,} airing{'s' * (len(log) != 1)}; fitting")
        result = at.analyze(
            counts,
            log,
            choices,
            social=None if social is None else at.read_social(social, tz=tz),
            audience=None if audience is None else at.read_audience(audience, tz=tz),
            context=None if context is None else at.read_context(context, tz=tz),
        )
        if json_file is not None:
            write_json(as_json(result), json_file)
        if report is not None:
            remark(f"report: {at.report(result).save(report)}")
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
    kind: Kind = None,
    json_file: JsonFile = None,
) -> None:
    """Say what in the data would harm the answer, where, and how to mend it. Exit code 1 on an error."""
    with one_sentence():
        counts = read_conversions(conversions, pairs(column), tz, cumulative=cumulative, kind=kind)
        log = at.read_airings(airings, columns=pairs(airings_column, "--airings-column"), tz=tz)
        moments = None if context is None else at.read_context(context, tz=tz)
        found = at.preflight(counts, log, context=moments)
        if json_file is not None:
            write_json({"version": at.__version__, "findings": [f._asdict() for f in found]}, json_file)
        if json_file != Path("-"):
            show_findings(found, empty="Nothing found that would harm the answer.")
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(1)


def as_json(result: at.Analysis) -> dict[str, Any]:
    """Lay out an analysis for machines; an unknown figure is null, and ``reasons`` says why.

    Returns
    -------
    dict
        version, verdict (the word), sentence, as_of, fingerprint, settings, findings, and airings: the rows of the
        table, each with its sentence, evidence for and against, what would change it, and reasons (column -> why).
    """
    rows = []
    for row, verdict in zip(result.table.to_dict("records"), result.verdicts, strict=True):
        why = result.reasons[result.reasons["airing"] == row["airing"]]
        rows.append(
            {str(name): plain_value(value) for name, value in row.items()}
            | {
                "sentence": verdict.sentence,
                "evidence_for": list(verdict.evidence_for),
                "evidence_against": list(verdict.evidence_against),
                "would_change": list(verdict.would_change),
                "reasons": dict(zip(why["column"], why["reason"], strict=True)),
            }
        )
    return {
        "version": result.version,
        "verdict": result.verdict.word,
        "sentence": result.verdict.sentence,
        "as_of": plain_value(result.as_of),
        "fingerprint": result.fingerprint,
        "settings": asdict(result.settings),
        "findings": [finding._asdict() for finding in result.findings],
        "airings": rows,
    }


def plain_value(value: Any) -> Any:
    """Make a value fit for JSON: moments as ISO 8601 in UTC, NaN and infinity as null.

    Examples
    --------
    >>> plain_value(float("nan")), plain_value(pd.Timestamp("2026-02-08T20:41Z"))
    (None, '2026-02-08T20:41:00Z')
    """
    if isinstance(value, pd.Timestamp):
        return value.tz_convert("UTC").tz_localize(None).isoformat() + "Z"
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(data: Mapping[str, Any], path: Path) -> None:
    """Write one JSON document to a file, or to standard output for ``-``."""
    text = json.dumps(data, indent=2, allow_nan=False, ensure_ascii=False)
    if path == Path("-"):
        sys.stdout.write(text + "\n")
    else:
        path.write_text(text + "\n", encoding="utf-8")


def show(result: at.Analysis) -> None:
    """Print an analysis for a person: the answer, the figures, what to know about the data."""
    console = out()
    full = result.verdicts if len(result.verdicts) <= WHOLE else ()
    if len(full) != 1:
        console.print(Text(clean(result.verdict.sentence), style="bold"))
    for verdict in full:
        head, *rest = str(verdict).splitlines()
        console.print(Text(clean(head), style="bold"))
        for line in rest:
            console.print(Text("  " + clean(line)))
    console.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("airing", "start (UTC)", "verdict"):
        table.add_column(name, no_wrap=name != "airing", overflow="fold")
    for name in ("incremental", "expected", "lift", "e-value", "iROAS"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result.table.to_dict("records"):
        table.add_row(
            Text(clean(row["airing"])),
            f"{row['start']:%Y-%m-%d %H:%M:%S}",
            Text(row["verdict"], style="bold"),
            _with_interval(row, "incremental", "count"),
            figure(row["counterfactual"], "plain"),
            _with_interval(row, "lift", "percent"),
            figure(row["e_value"], "evidence"),
            figure(row["iroas"], "ratio"),
        )
    console.print(table)
    unknown = Counter((row.column, row.reason) for row in result.reasons.itertuples() if row.column in SHOWN)
    for (name, reason), _ in unknown.most_common():
        console.print(Text(clean(f"  {name} is unknown: {reason}"), style="dim"))
    show_findings([finding for finding in result.findings if finding.level != "note"])
    console.print(
        Text(
            f"as of {result.as_of:%Y-%m-%d %H:%M:%S} UTC · version {result.version} · {result.fingerprint}", style="dim"
        )
    )


SHOWN = ("incremental", "counterfactual", "lift", "e_value", "iroas")
"""Figures of the printed table: where one is unknown, the reason is printed too."""


def show_findings(findings: Iterable[at.Finding], *, empty: str = "") -> None:
    """Print findings, errors first: what, where, the harm, the mend."""
    console = out()
    order = {"error": 0, "warning": 1, "note": 2}
    ranked = sorted(findings, key=lambda finding: order[finding.level])
    if not ranked and empty:
        console.print(Text(empty))
    for finding in ranked:
        style = {"error": "bold red", "warning": "bold", "note": "dim"}[finding.level]
        console.print(Text(f"{finding.level}: {clean(finding.what)}", style=style))
        for name, text in (("where", finding.rows), ("harm", finding.harm), ("mend", finding.mend)):
            if text:
                console.print(Text(f"  {name}: {clean(text)}"))


def _with_interval(row: Mapping[Any, Any], name: str, kind: str) -> str:
    """Write an estimate with its interval, where that is known."""
    return f"{figure(row[name], kind)} {interval(row, name, kind)}".strip()
