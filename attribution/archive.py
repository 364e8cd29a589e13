"""A simulated world as files: events streamed to Parquet, tables as CSV with times in ISO text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from attribution.emission import join

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from attribution.events import EventBatch

GROUP = 60
"""Batches in one row group of a Parquet file."""


def write_events(batches: Iterable[EventBatch], path: Path) -> None:
    """Write events to a Parquet file, a row group at a time: only that much is in memory."""
    writer, group = None, []
    for batch in batches:
        group.append(batch)
        if len(group) == GROUP:
            writer = _append(writer, path, group)
            group = []
    if group:
        writer = _append(writer, path, group)
    if writer is not None:
        writer.close()


def _append(writer: pq.ParquetWriter | None, path: Path, batches: list[EventBatch]) -> pq.ParquetWriter:
    table = join(batches).to_arrow()
    writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
    writer.write_table(table)
    return writer


def write_table(frame: pd.DataFrame, path: Path, *, whole: str = "") -> None:
    """Write a table as CSV: times as ISO text in UTC, the column ``whole`` as whole numbers, unknown as empty."""
    out = frame.astype({whole: "Int64"}) if whole else frame.copy()
    for name in out.columns:
        if isinstance(out[name].dtype, pd.DatetimeTZDtype):
            codes, moments = pd.factorize(out[name])  # each different moment is written out once
            text = [moment.isoformat().replace("+00:00", "Z") for moment in moments]
            out[name] = np.array(text, dtype=object)[codes] if text else []
    out.to_csv(path, index=False, lineterminator="\n")
