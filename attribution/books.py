"""Excel workbooks as one table: the first sheet that holds something, its header found, merged cells and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution.headers import LOOK, find_header, told
from attribution.shapes import as_text, first_line, unique_names

if TYPE_CHECKING:
    from pathlib import Path

    from attribution.tables import Ledger


def read_book(path: Path, ledger: Ledger) -> pd.DataFrame:
    """Read the first sheet of a workbook that holds something.

    Returns
    -------
    pd.DataFrame
        Objects, as the cells hold them; rows without any are left out.

    Raises
    ------
    ReadError
        When it is no workbook, is empty, or has a header only.
    """
    import openpyxl  # noqa: PLC0415 - only those who read Excel pay for it

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [(sheet.title, [list(row) for row in sheet.iter_rows(values_only=True)]) for sheet in book.worksheets]
        book.close()
    except Exception as error:  # openpyxl raises what its XML and zip readers raise, without a common class
        raise ledger.fail(f"not a readable Excel workbook: {first_line(error)}") from error
    filled = [(title, [row for row in rows if any(v is not None for v in row)]) for title, rows in sheets]
    filled = [(title, rows) for title, rows in filled if rows]
    if not filled:
        raise ledger.fail("the workbook is empty")
    title, rows = filled[0]
    if len(filled) > 1:
        ledger.note("note", f"{len(filled)} sheets hold data", mend=f"{title!r} was read; save another one as .csv")
    wide = max(i + 1 for row in rows for i, v in enumerate(row) if v is not None)
    padded = [(row + [None] * wide)[:wide] for row in rows]
    header = find_header([[_cell(v) for v in row] for row in padded[: LOOK + 1]])
    told(header, ledger)
    body = padded[header.row + 1 :]
    if not body:
        raise ledger.fail("the file has a header but no rows")
    return pd.DataFrame(body, columns=unique_names(header.names, ledger), dtype=object)


def _cell(value: Any) -> str:
    return as_text(value) or ""
