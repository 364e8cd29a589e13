"""The canonical frames: airings, context, social, audience, exposures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns of a canonical frame, in order, and what stands where the source has none."""

    times: tuple[str, ...]
    texts: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    order: tuple[str, ...] = ()


LAYOUTS = {
    "airings": Layout(
        times=("start",),
        texts={"airing": "", "regions": "", "break_id": "", "creative": "", "network": "", "assignment": ""},
        numbers={"length_s": 30.0, "spend": np.nan, "impressions": np.nan, "value": np.nan, "margin": np.nan},
        order=(
            *("airing", "start", "length_s", "regions", "break_id", "creative", "network"),
            *("spend", "impressions", "value", "margin", "assignment"),
        ),
    ),
    "context": Layout(
        times=("start", "end"), texts={"kind": "break", "label": ""}, order=("kind", "start", "end", "label")
    ),
    "social": Layout(
        times=("time",),
        texts={"region": "all"},
        numbers={"width_s": np.nan, "count": np.nan},
        order=("time", "width_s", "region", "count"),
    ),
    "audience": Layout(
        times=("time",), texts={"region": "all"}, numbers={"viewers": np.nan}, order=("time", "region", "viewers")
    ),
    "exposures": Layout(
        times=("time",),
        texts={"region": "all", "airing": ""},
        numbers={"exposures": np.nan},
        order=("time", "region", "exposures", "airing"),
    ),
}
"""Canonical frames by name."""


def normalise(frame: pd.DataFrame, table: str = "airings") -> pd.DataFrame:
    """Give a frame the columns, order and types of a canonical table; the caller's frame stays as it was.

    Parameters
    ----------
    frame
        Columns under their canonical names; absent ones are filled (text with its default, numbers with NaN, unknown).
        Times carry a zone.
    table
        ``airings``, ``context``, ``social``, ``audience`` or ``exposures``.

    Returns
    -------
    pd.DataFrame
        Times are datetime64[ns, UTC], texts str, numbers float; ``attrs`` hold ``findings`` and ``mapping``.

    Raises
    ------
    ValueError
        When a time column is absent or has no zone, or the table is unknown.

    Examples
    --------
    >>> rows = pd.DataFrame({"airing": ["a"], "start": pd.to_datetime(["2026-02-08T20:41:00Z"])})
    >>> normalise(rows).iloc[0].length_s
    np.float64(30.0)
    """
    if table not in LAYOUTS:
        raise ValueError(f"table is {table!r}; choose one of {', '.join(LAYOUTS)}")
    layout = LAYOUTS[table]
    out = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    for name in layout.order:
        if name in layout.times:
            out[name] = _utc(frame, name, table)
        elif name in layout.texts:
            column = frame[name].astype("object") if name in frame else pd.Series(layout.texts[name], index=frame.index)
            out[name] = column.where(column.notna(), layout.texts[name]).astype("str").to_numpy()
        else:
            column = frame[name] if name in frame else pd.Series(layout.numbers[name], index=frame.index)
            out[name] = pd.to_numeric(column).to_numpy(dtype=float, na_value=np.nan)
    for name in layout.texts:
        out[name] = out[name].astype("str")
    out.attrs = {"findings": list(frame.attrs.get("findings", [])), "mapping": dict(frame.attrs.get("mapping", {}))}
    return out


def _utc(frame: pd.DataFrame, name: str, table: str) -> np.ndarray | pd.Series:
    """Read a time column as datetime64[ns, UTC]; naive times are refused."""
    if name not in frame:
        raise ValueError(f"{table} has no column {name!r}; it has {', '.join(map(str, frame.columns))}")
    column = frame[name] if len(frame) else frame[name].astype("datetime64[ns, UTC]")
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        try:
            column = pd.to_datetime(column)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{table}: {name} holds {column.iloc[0]!r}, which is not a time: {error}") from error
        if not isinstance(column.dtype, pd.DatetimeTZDtype):
            raise ValueError(f"{table}: {name} has no time zone; write it in UTC, e.g. 2026-02-08T20:41:00Z")
    return column.dt.tz_convert("UTC").dt.as_unit("ns").reset_index(drop=True)
