"""The tables of an answer as CSV, with a data dictionary. No cell begins like a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pandas as pd

from attribution.dictionary import COLUMNS, TABLES

if TYPE_CHECKING:
    from attribution.analysis import Analysis

FORMULA = ("=", "+", "-", "@", "\t")
"""A spreadsheet takes a text that begins so for a formula (OWASP, CSV injection)."""
BREAKS = str.maketrans("\r\n", "  ")
"""A line that a text begins anew would be a row of the table."""
DICTIONARY = "dictionary.csv"


def tables_csv(result: Analysis) -> dict[str, str]:
    """Write every table as CSV, and what each column means.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.

    Returns
    -------
    dict
        File name -> text: the dictionary first, then a file a table, also where it has no row.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> files = tables_csv(at.analyze(world.counts, world.airings, at.Settings.preset("brief")))
    >>> list(files)[:2], files["dictionary.csv"].splitlines()[1]
    (['dictionary.csv', 'table.csv'], 'table.csv,one row an airing,airing,text,name,the airing that is judged')
    """
    heads = ("file", "a row is", "column", "kind", "unit", "meaning")
    rows = [(f"{c.table}.csv", TABLES[c.table], c.name, c.kind, c.unit, c.meaning) for c in COLUMNS]
    told = csv_text(pd.DataFrame(rows, columns=list(heads)))
    return {DICTIONARY: told, **{f"{name}.csv": csv_text(getattr(result, name)) for name in TABLES}}


def csv_text(table: pd.DataFrame) -> str:
    """Write a table as CSV: numbers to the last digit, unknown ones empty, texts that a spreadsheet leaves alone.

    Examples
    --------
    >>> print(csv_text(pd.DataFrame({"airing": ["=1+1", "a, b"], "lift": [-0.5, float("nan")]})))
    airing,lift
    '=1+1,-0.5
    "a, b",
    <BLANKLINE>
    """
    plain = table.copy()
    for name in plain.columns:
        column = plain[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            plain[name] = column.map(lambda moment: moment.isoformat().replace("+00:00", "Z"), na_action="ignore")
        elif column.dtype == object or isinstance(column.dtype, pd.StringDtype):
            plain[name] = column.map(_harmless, na_action="ignore")
    held = io.StringIO()
    plain.to_csv(held, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    return held.getvalue()


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return value
    line = value.translate(BREAKS)
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line
