"""An answer to hand on: one zip with its tables, figures and data, and a notebook that computes every figure anew."""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.markdown import plain
from attribution.saved import ANSWERED, INSIDE, dump
from attribution.tabled import tables_csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attribution.analysis import Analysis
    from attribution.pictures import Picture

NOTEBOOK = "answer.ipynb"
DIGITS = 9
"""So many leading digits of every figure must agree: more than any page shows. On the same machine all do; another
machine's linear algebra may round the last ones otherwise."""
ALL_DIGITS = 17
"""Two numbers that agree in so many digits are the same number."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every file in the zip bears this date: the same answer makes the same zip."""


def pack(
    result: Analysis,
    title: str = "Did this TV ad actually cause these conversions?",
    pictures: Iterable[Picture] = (),
    summary: str = "",
) -> bytes:
    """Pack an answer with all that it stands on into one zip.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    title
        The notebook's heading.
    pictures
        Figures, which are packed as SVG and PNG.
    summary
        Markdown that stands beside them.

    Returns
    -------
    bytes
        A zip that :func:`attribution.load` reads; the same answer makes the same bytes.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> result = at.analyze(world.counts, world.airings, at.Settings.preset("brief"))
    >>> zipfile.ZipFile(io.BytesIO(pack(result))).namelist()[:4]
    ['answer.ipynb', 'answer.json', 'tables/dictionary.csv', 'tables/table.csv']
    """
    files: dict[str, str | bytes] = {
        NOTEBOOK: json.dumps(_notebook(result, title), indent=1, ensure_ascii=False) + "\n",
        INSIDE: dump(result),
        **({"summary.md": summary} if summary else {}),
        **{f"tables/{name}": text for name, text in tables_csv(result).items()},
    }
    for picture in pictures:
        files |= {f"figures/{picture.name}.svg": picture.file(), f"figures/{picture.name}.png": picture.png()}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def compared(before: Analysis, now: Analysis) -> pd.DataFrame:
    """Hold every table of an answer against what it was.

    Parameters
    ----------
    before, now
        The answer that was read back, and the answer now.

    Returns
    -------
    pd.DataFrame
        table, rows, digits: how many leading digits agree in the figure that differs most; 17 where every figure is
        the same number, 0 where a word, a row or a column differs.
    """
    held = ((name, getattr(before, name), getattr(now, name)) for name in ANSWERED)
    rows = [(name, len(was), _digits(was, frame)) for name, was, frame in held]
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
    yield "markdown", f"# {plain(title)}\n\n{PREFACE}"
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
from attribution.handover import DIGITS, compared

alt.renderers.enable("svg")  # drawn on this machine, by nobody else's
saved = at.load("answer.json")
print(f"version {saved.version} answered, version {at.__version__} answers now")
print(saved.settings.to_json())"""
ANEW = """\
given = saved.given
result = at.analyze(given.counts, saved.airings, saved.settings, **given.feeds, plan=given.plan)
held = compared(saved, result)
held"""
HELD = """\
assert result.fingerprint == saved.fingerprint, "the data, the settings or the version are not those of the answer"
assert (held["digits"] >= DIGITS).all(), "a figure is not what it was: see the table above"
assert result.verdict.sentence == saved.verdict.sentence, f"the verdict was: {saved.verdict}"
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
