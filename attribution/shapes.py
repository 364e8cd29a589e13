"""What programs hold (Python values, pandas columns, nested rows), in the shape that files have."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.tables import Ledger


DEEP = 4
"""Levels of a nested object that become columns."""


def flat(row: dict[str, Any], levels: int = DEEP) -> dict[str, Any]:
    """Turn the fields of a nested object into columns of their own: ``geo.region``, ``context.device.type``."""
    out = {}
    for name, value in row.items():
        if isinstance(value, dict) and levels > 1:
            out |= {f"{name}.{inner}": deep for inner, deep in flat(value, levels - 1).items()}
        else:
            out[name] = value
    return out


def as_text(value: Any) -> str | None:
    """Write one value as a file would; whole floats as whole numbers."""
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, timedelta):  # Excel's way to hold 25:10:00
        return _hours(value)
    out = str(value.isoformat()) if isinstance(value, date | time) else str(value)
    return out.encode("utf-8", "replace").decode()


def _hours(span: timedelta) -> str:
    """Write a span as hours, minutes, seconds, the hours past 24 too."""
    whole, parts = divmod(round(span.total_seconds() * 1000), 1000)
    text = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return text + (f".{parts:03d}" if parts else "")


def as_array(column: pd.Series) -> pa.Array | pa.ChunkedArray:
    """Turn a pandas column into Arrow; mixed values become text."""
    if column.dtype == object or not isinstance(column.dtype, np.dtype | pd.DatetimeTZDtype | pd.StringDtype):
        return pa.array([as_text(value) for value in column.astype(object)], pa.string())
    if isinstance(column.dtype, np.dtype) and column.dtype.kind not in "biufM":
        return pa.array([as_text(value) for value in column.astype(object)], pa.string())
    return pa.array(column, from_pandas=True)


def unique_names(header: Sequence[str], ledger: Ledger) -> list[str]:
    """Give each column a name of its own."""
    names: list[str] = []
    for position, raw in enumerate(header, 1):
        name = raw.strip() or f"column {position}"
        if name in names:
            twin = f"{name} ({position})"
            ledger.note("warning", f"two columns are called {name!r}", mend=f"the later one is read as {twin!r}")
            name = twin
        names.append(name)
    return names


def first_line(error: BaseException) -> str:
    """Shorten an error to what fits into a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
