"""Tables as columns of JSON, and back to the last digit: each with its type, unknown values as null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.dictionary import columns
from attribution.layouts import LAYOUTS, normalise
from attribution.tables import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ("error", "warning", "note")
INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}


def columns_of(frame: pd.DataFrame) -> dict[str, Any]:
    """Lay a table out by columns; the type of each stands beside its values."""
    return {str(name): {"type": _type(frame[name]), "values": _values(frame[name])} for name in frame.columns}


def _type(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "time"
    kinds: dict[str, Callable[[Any], bool]] = {
        "flag": pd.api.types.is_bool_dtype,
        "whole": pd.api.types.is_integer_dtype,
        "number": pd.api.types.is_float_dtype,
    }
    kind = next((kind for kind, holds in kinds.items() if holds(column.dtype)), "")
    return kind or ("empty" if column.dtype == object and not len(column) else "text")


def _values(column: pd.Series) -> list[Any]:
    kind = _type(column)
    if kind == "time":
        return [None if v == np.iinfo("int64").min else v for v in column.dt.as_unit("ns").astype("int64").tolist()]
    if kind == "number":
        return numbers(column.to_numpy(dtype=float))
    return [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124  NaN


def numbers(values: np.ndarray) -> list[Any]:
    """Write numbers; whole ones without a point, unknown ones as null, infinite ones as words."""
    flat = values.ravel()
    whole = np.isfinite(flat).all() and (np.abs(flat) < 2**53).all() and (flat == np.rint(flat)).all()
    if whole and not (np.signbit(flat) & (flat == 0)).any():  # an integer has no minus zero
        return flat.astype("int64").tolist()
    return [x if math.isfinite(x) else None if x != x else str(x).replace("inf", "Infinity") for x in flat.tolist()]  # noqa: PLR0124  NaN


def array(values: list[Any]) -> np.ndarray:
    """Read what :func:`numbers` wrote."""
    try:
        return np.array([np.nan if v is None else v for v in values], dtype=float)
    except ValueError:
        return np.array([math.nan if v is None else INFINITE.get(v, v) for v in values], dtype=float)


def frame_of(table: dict[str, Any], name: str, order: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table; it has the columns of its kind and no others."""
    wanted = order or tuple(column.name for column in columns(name))
    if sorted(table) != sorted(wanted):
        raise ValueError(f"its table {name} has the columns {', '.join(table)}, and they must be {', '.join(wanted)}")
    made = {column: _series(**values) for column, values in table.items()}
    if len({len(series) for series in made.values()}) > 1:
        raise ValueError(f"the columns of its table {name} have different lengths")
    return pd.DataFrame(made, columns=list(table))


def _series(*, type: str, values: list[Any]) -> pd.Series:  # noqa: A002  the word of the document
    if not isinstance(values, list):
        raise TypeError("the values of a column are no list")
    if type == "time":
        if not all(v is None or isinstance(v, int) for v in values):
            raise TypeError("a moment is no whole number of nanoseconds")
        moments = pd.to_datetime(pd.array(values, dtype="Int64"), unit="ns", utc=True)
        return pd.Series(moments).astype("datetime64[ns, UTC]")
    if type == "text":
        return pd.Series([None if v is None else text_of(v) for v in values], dtype="str")
    kinds = {"number": float, "whole": "int64", "flag": bool, "empty": object}
    if type not in kinds or (type == "empty" and values):
        raise ValueError(f"a column is of the type {type!r}; choose one of {', '.join(kinds)}, text, time")
    return pd.Series(array(values) if type == "number" else values, dtype=kinds[type])


def feed_parts(frame: pd.DataFrame) -> dict[str, Any]:
    """Write a canonical frame with what its reader said."""
    return {
        "columns": columns_of(frame),
        "findings": [finding._asdict() for finding in frame.attrs.get("findings", [])],
        "mapping": {str(role): plain(column) for role, column in frame.attrs.get("mapping", {}).items()},
    }


def feed_of(content: dict[str, Any], name: str) -> pd.DataFrame:
    """Read what :func:`feed_parts` wrote of one of :data:`attribution.layouts.LAYOUTS`."""
    frame = frame_of(content["columns"], name, LAYOUTS[name].order)
    frame.attrs = {"findings": list(map(finding_of, content["findings"])), "mapping": dict(content["mapping"])}
    return normalise(frame, name)


def plain(value: Any) -> Any:
    """Write the name of a column, or the names of several."""
    return [str(v) for v in value] if isinstance(value, list | tuple) else str(value)


def finding_of(content: dict[str, Any]) -> Finding:
    """Read a finding."""
    found = Finding(**{name: text_of(value) for name, value in content.items()})
    if found.level not in LEVELS:
        raise ValueError(f"a finding is of the level {found.level!r}; choose one of {', '.join(LEVELS)}")
    return found


def text_of(value: Any) -> str:
    """Return a text; anything else is refused."""
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} stands where a text should")
    return value
