"""A simulated world as the files an analyst would have, and its truth beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from attribution.emission import join

if TYPE_CHECKING:
    from attribution.events import EventBatch
    from attribution.worlds import World

GROUP_S = 60
"""Seconds of events in one row group of the Parquet file."""


def write_world(world: World, directory: str | Path) -> Path:
    """Write a world as files an analyst would have, and the truth beside them.

    ``events.parquet`` (the conversions, one a row, streamed), ``counts.csv`` (a second, region, channel and device a
    row; empty where the count is unknown), ``airings.csv``, ``social.csv``, ``audience.csv``, ``context.csv`` and
    ``truth.json``. Files of these names are replaced.

    Returns
    -------
    Path
        The directory.
    """
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    writer, group = None, []
    for i, batch in enumerate(world.events(kinds=("conversion",)), start=1):
        group.append(batch)
        if i % GROUP_S == 0:
            writer = _append(writer, place / "events.parquet", group)
            group = []
    writer = _append(writer, place / "events.parquet", group) if group or writer is None else writer
    writer.close()
    counts = world.counts.to_frame()
    counts["count"] = counts["count"].astype("Int64")
    for name, frame in (
        ("counts", counts),
        ("airings", world.airings),
        ("social", world.social.astype({"count": "Int64"})),
        ("audience", world.audience.astype({"viewers": "Int64"})),
        ("context", world.context),
    ):
        _plain(frame).to_csv(place / f"{name}.csv", index=False, lineterminator="\n")
    (place / "truth.json").write_text(world.truth.to_json() + "\n", encoding="utf-8")
    return place


def _append(writer: pq.ParquetWriter | None, path: Path, batches: list[EventBatch]) -> pq.ParquetWriter:
    table = join(batches).to_arrow()
    writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
    writer.write_table(table)
    return writer


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Write times as ISO text in UTC, each different one once."""
    out = frame.copy()
    for name in out.columns:
        if isinstance(out[name].dtype, pd.DatetimeTZDtype):
            codes, moments = pd.factorize(out[name])
            text = [moment.isoformat().replace("+00:00", "Z") for moment in moments]
            out[name] = np.array(text, dtype=object)[codes] if text else []
    return out
