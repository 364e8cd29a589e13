"""An answer to hand on: one zip with its data and a notebook that computes every figure anew and checks each."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.airings import normalise
from attribution.analysis import fingerprint
from attribution.counts import Counts
from attribution.planning import Plan
from attribution.settings import Settings
from attribution.tables import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attribution.analysis import Analysis

NOTEBOOK, DATA, ANSWER, REST = "answer.ipynb", "data", "answer", "data/given.json"
"""Inside the zip: the notebook, the folder of what was given, that of what came out, and all that is no table."""
FEEDS = ("social", "audience", "context", "exposures")
TABLES = (
    *("table", "total", "series", "evidence", "shares", "kernel", "worlds", "gap", "money", "bounds", "together"),
    *("groups", "reasons"),
)
"""Tables of an Analysis that are compared."""
DIGITS = 9
"""So many leading digits of every figure must agree: more than any page shows. On the same machine all do; another
machine's linear algebra may round the last ones otherwise."""
ALL_DIGITS = 17
"""Two numbers that agree in so many digits are the same number."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every file in the zip bears this date: the same answer makes the same zip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What was handed on: the arguments of :func:`attribution.analyze`, and what it answered.

    Attributes
    ----------
    counts, airings, settings, feeds, plan
        The arguments; ``feeds`` are the keyword arguments that were given, by name.
    answer
        Name -> table of the answer, as it was.
    fingerprint, version, sentence
        Of the answer; ``sentence`` is its verdict.
    """

    counts: Counts
    airings: pd.DataFrame
    settings: Settings
    feeds: dict[str, pd.DataFrame]
    plan: Plan | None
    answer: dict[str, pd.DataFrame]
    fingerprint: str
    version: str
    sentence: str


def pack(
    result: Analysis,
    counts: Counts,
    *,
    social: pd.DataFrame | None = None,
    audience: pd.DataFrame | None = None,
    context: pd.DataFrame | None = None,
    exposures: pd.DataFrame | None = None,
    plan: Plan | None = None,
    title: str = "Did this TV ad actually cause these conversions?",
) -> bytes:
    """Pack an answer, its data and a notebook that reproduces it into one zip.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    counts, social, audience, context, exposures, plan
        What it was given.
    title
        The notebook's heading.

    Returns
    -------
    bytes
        A zip; the same answer makes the same bytes.

    Raises
    ------
    ValueError
        When this is not the data the answer was made from.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> result = at.analyze(world.counts, world.airings, at.Settings.preset("brief"))
    >>> held = zipfile.ZipFile(io.BytesIO(pack(result, world.counts)))
    >>> held.namelist()[:4]
    ['answer.ipynb', 'data/given.json', 'data/counts.parquet', 'data/airings.parquet']
    """
    given = {"social": social, "audience": audience, "context": context, "exposures": exposures}
    feeds = {name: None if frame is None else normalise(frame, name) for name, frame in given.items()}
    if fingerprint(counts, result.airings, result.settings, feeds) != result.fingerprint:
        raise ValueError(
            f"the data do not have the fingerprint of the result, {result.fingerprint}; "
            "give the very counts and feeds that analyze was given"
        )
    tables = {
        f"{DATA}/counts": _long(counts),
        f"{DATA}/airings": result.airings,
        **{f"{DATA}/{name}": frame for name, frame in feeds.items() if frame is not None},
        **{f"{ANSWER}/{name}": getattr(result, name) for name in TABLES},
    }
    rest = {
        "settings": json.loads(result.settings.to_json()),
        "plan": None if plan is None else json.loads(plan.to_json()),
        **{name: getattr(counts, name) for name in ("regions", "channels", "devices", "kind", "mapping", "findings")},
        "airings": {name: result.airings.attrs[name] for name in ("findings", "mapping")},
        **{name: getattr(result, name) for name in ("fingerprint", "version")},
        "sentence": result.verdict.sentence,
    }
    files = {
        NOTEBOOK: json.dumps(_notebook(result, title), indent=1, ensure_ascii=False) + "\n",
        REST: json.dumps(rest, indent=1, ensure_ascii=False) + "\n",
        **{f"{path}.parquet": _parquet(frame) for path, frame in tables.items()},
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def reopen(folder: str | Path = ".") -> Handover:
    """Read what :func:`pack` wrote, from the folder it was unpacked into.

    Raises
    ------
    ValueError
        When a file is missing; the message names it.
    """
    place = Path(folder)
    try:
        rest = json.loads((place / REST).read_text(encoding="utf-8"))
        frames = {
            where: {path.stem: pd.read_parquet(path) for path in sorted((place / where).glob("*.parquet"))}
            for where in (DATA, ANSWER)
        }
        long, airings = frames[DATA].pop("counts"), frames[DATA].pop("airings")
        answer = {name: frames[ANSWER][name] for name in TABLES}
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{place.resolve()}: {error} is missing; unpack the whole zip and open its notebook in that folder"
        ) from error
    findings = [Finding(*row) for row in rest["airings"]["findings"]]
    airings.attrs = {"findings": findings, "mapping": rest["airings"]["mapping"]}
    return Handover(
        counts=_counts(long, rest),
        airings=airings,
        settings=Settings.from_json(json.dumps(rest["settings"])),
        feeds=frames[DATA],
        plan=None if rest["plan"] is None else Plan.from_json(json.dumps(rest["plan"])),
        answer=answer,
        fingerprint=rest["fingerprint"],
        version=rest["version"],
        sentence=rest["sentence"],
    )


def compared(before: dict[str, pd.DataFrame], result: Analysis) -> pd.DataFrame:
    """Hold every table of an answer against what it was.

    Parameters
    ----------
    before
        Name -> table, as :attr:`Handover.answer`.
    result
        The answer now.

    Returns
    -------
    pd.DataFrame
        table, rows, digits: how many leading digits agree in the figure that differs most; 17 where every figure is
        the same number, 0 where a word, a row or a column differs.
    """
    rows = [(name, len(frame), _digits(frame, getattr(result, name))) for name, frame in before.items()]
    return pd.DataFrame(rows, columns=["table", "rows", "digits"])


def _digits(before: pd.DataFrame, now: pd.DataFrame) -> int:
    """Count the leading digits that all figures of two tables share."""
    if list(before.columns) != list(now.columns) or len(before) != len(now):
        return 0
    return min((_alike(before[name], now[name]) for name in before), default=ALL_DIGITS)


def _alike(before: pd.Series, now: pd.Series) -> int:
    """Count the leading digits that two columns share; words and moments are the same or share none."""
    if before.isna().to_numpy().tolist() != now.isna().to_numpy().tolist():
        return 0
    a, b = before.dropna().to_numpy(), now.dropna().to_numpy()
    if all(pd.api.types.is_numeric_dtype(pd.Series(x)) for x in (a, b)):
        a, b = a.astype(float), b.astype(float)
        with np.errstate(invalid="ignore"):
            apart = np.where(a == b, 0.0, np.abs(a - b) / np.maximum(np.abs(a), np.abs(b)))
        worst = float(apart.max(initial=0.0))
        return ALL_DIGITS if worst == 0 else int(np.clip(np.floor(-math.log10(worst)), 0, ALL_DIGITS - 1))
    return ALL_DIGITS if list(a) == list(b) else 0


def _long(counts: Counts) -> pd.DataFrame:
    """Lay counts out as a long table: all they hold but their labels' order."""
    each = len(counts.channels) * len(counts.devices)
    return counts.to_frame().assign(completeness=np.repeat(counts.completeness.ravel(), each))


def _counts(long: pd.DataFrame, rest: dict[str, Any]) -> Counts:
    """Read counts from their long table."""
    labels = {name: tuple(rest[name]) for name in ("regions", "channels", "devices")}
    shape = tuple(map(len, labels.values()))
    size = math.prod(shape)
    return Counts(
        start=long["time"].dt.tz_localize(None).to_numpy(dtype="datetime64[ns]")[::size],
        width=long["width_s"].to_numpy(float)[::size],
        values=long["count"].to_numpy(float).reshape(-1, *shape),
        completeness=long["completeness"].to_numpy(float)[:: size // shape[0]].reshape(-1, shape[0]),
        **labels,
        kind=rest["kind"],
        findings=tuple(Finding(*row) for row in rest["findings"]),
        mapping=tuple((role, column) for role, column in rest["mapping"]),
    )


def _parquet(frame: pd.DataFrame) -> bytes:
    """Write a table as Parquet, which keeps every bit of a float."""
    plain = frame.copy()
    plain.attrs = {}
    held = io.BytesIO()
    plain.to_parquet(held, index=False, compression="zstd")
    return held.getvalue()


# ---------------------------------------------------------------------------------------------------- the notebook


def _notebook(result: Analysis, title: str) -> dict[str, Any]:
    """Write the notebook (nbformat 4.5): no figure stands in it before it is run."""
    cells = [
        {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for number, (kind, source) in enumerate(_cells(result, title))
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cells(result: Analysis, title: str) -> Iterable[tuple[str, str]]:
    yield "markdown", f"# {' '.join(title.split())}\n\n{PREFACE}"
    yield "code", OPEN
    yield "markdown", "## The same answer?"
    yield "code", ANEW
    yield "code", HELD
    yield "markdown", "## The verdict"
    yield "code", "print(result.verdict)"
    yield "code", "result.table.T"
    for heading, name, code in DRAWN:
        if len(getattr(result, name)):
            yield "markdown", f"## {heading}"
            yield "code", code


PREFACE = """\
This notebook reads the data that lie beside it, answers anew with the same settings, and stops where a figure is not
what it was. It needs the package in the version that it names."""
OPEN = """\
import altair as alt

import attribution as at
from attribution.handover import DIGITS, compared, reopen

alt.renderers.enable("svg")  # drawn on this machine, by nobody else's
given = reopen(".")
print(f"version {given.version} answered, version {at.__version__} answers now")
print(given.settings.to_json())"""
ANEW = """\
result = at.analyze(given.counts, given.airings, given.settings, **given.feeds, plan=given.plan)
held = compared(given.answer, result)
held"""
HELD = """\
assert result.fingerprint == given.fingerprint, "the data, the settings or the version are not those of the answer"
assert (held["digits"] >= DIGITS).all(), "a figure is not what it was: see the table above"
assert result.verdict.sentence == given.sentence, f"the verdict was: {given.sentence}"
print(f"fingerprint {result.fingerprint}: every figure agrees in at least {held['digits'].min()} digits")"""
DRAWN = (
    ("Conversion velocity", "total", "at.charts.velocity(result)"),
    ("The evidence at each look", "evidence", "at.charts.evidence(result)"),
    ("The lag from exposure to conversion", "kernel", "at.charts.response(result)"),
    ("Every airing", "table", "at.charts.airings(result)"),
    ("Money", "money", "result.money"),
    ("Shares of the incremental", "shares", "result.shares"),
    ("Why a figure is unknown", "reasons", "result.reasons"),
)
"""Heading, the table without which there is nothing to show, and the cell."""
