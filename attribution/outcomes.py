"""Events or counts: which of the two a file holds, told by its columns, and reading it as that."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from attribution.exports import find_export
from attribution.logs import read_events
from attribution.readers import read_counts
from attribution.sources import guarded, open_source
from attribution.tables import CHANNEL, COUNT, CUMULATIVE, DEVICE, END, KIND, MEASURES, REGION, TIME, WIDTH, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import pandas as pd

    from attribution.counts import Counts

ROLES = {*TIME, *REGION, *CHANNEL, *DEVICE, *KIND, *WIDTH, *END}
"""Names of columns that say when, where and what, in neither kind of file how many."""
IDENTIFIER = re.compile(r"(?:^|[\W_])(?:[iI][dD]|uuid|UUID|guid|GUID)$|[a-z](?:Id|ID)$")
LOOK = 1000
"""Rows looked at to tell numbers from text."""


def holds(data: str | Path | pd.DataFrame, *, columns: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Tell whether a file holds one row an event or counts that are made already.

    Counts have a column that is called so (``count``, ``conversions``, ``..._cum``), or are wide: beside the time
    stand columns of numbers, one a region. A column that identifies a row or names its kind speaks for events.

    Returns
    -------
    tuple of str
        ``"counts"`` or ``"events"``, and why.

    Examples
    --------
    >>> import pandas as pd
    >>> holds(pd.DataFrame({"minute_utc": ["2026-02-08T20:41Z"], "north": [3], "south": [4]}))
    ('counts', "'north', 'south' hold numbers, one column a region")
    >>> holds(pd.DataFrame({"ts": [1770583260], "order_id": [17]}))
    ('events', 'no column holds counts, so each row is one event')
    """
    chosen = dict(columns or {})
    if "count" in chosen:
        return "counts", f"{chosen['count']!r} was named as the count"
    if "id" in chosen:
        return "events", f"{chosen['id']!r} was named as the id of an event"
    source = open_source(data)
    export = find_export(source.columns)
    if export is not None:
        return export.form, f"a table of {export.name}, by its columns"
    given = {str(column) for column in chosen.values()}
    rest = [name for name in source.columns if name not in given]
    named = [name for name in rest if plain(name) in COUNT or CUMULATIVE.search(name)]
    if named:
        return "counts", f"column {named[0]!r} holds them"
    rest = [name for name in rest if plain(name) not in ROLES]
    kinds = any(plain(name) in KIND for name in source.columns)
    if rest and not kinds and not any(_identifies(name) for name in rest):
        wide = [name for name in rest if plain(name) not in MEASURES]
        rows = [row for _, batch in islice(guarded(source, wide), 1) for row in batch.slice(0, LOOK).to_pylist()]
        if wide and all(_numeric(row[name] for row in rows) for name in wide):
            shown = ", ".join(map(repr, wide[:3])) + (", ..." if len(wide) > 3 else "")
            return "counts", f"{shown} hold numbers, one column a region"
    return "events", "no column holds counts, so each row is one event"


def read_outcomes(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    cumulative: bool = False,
    width: str | None = None,
    kind: str | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Counts:
    """Read conversions from a file of events or of counts, whichever :func:`holds` says it is.

    The parameters are those of :func:`attribution.readers.read_counts` and
    :func:`attribution.logs.read_events`; only counts can be cumulative. Without ``width``, the bins of events are 1 s
    wide and those of counts as wide as their steps.
    """
    if cumulative or holds(data, columns=columns)[0] == "counts":
        return read_counts(data, columns=columns, tz=tz, cumulative=cumulative, width=width, kind=kind)
    return read_events(data, columns=columns, tz=tz, width=width or "1s", kind=kind, progress=progress)


def _identifies(name: str) -> bool:
    """Whether a column's name is that of an identifier: ``order_id``, ``orderId``, ``uuid``, ``seq``; not ``rapid``."""
    return plain(name) in {"seq", "sequence", "source"} or IDENTIFIER.search(name) is not None


def _numeric(values: Iterable[Any]) -> bool:
    """Whether all values that are there are numbers, and there are some."""
    there = [value for value in values if value is not None and str(value).strip() not in {"", "NaN", "nan", "NA"}]
    return bool(there) and all(_number(value) for value in there)


def _number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
