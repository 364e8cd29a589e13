"""Events counted where they lie: one Ibis expression turns a warehouse's table of events into Counts.

Only the counted cells travel: a day of seconds in four regions, not its billion events. Needs the extra ``warehouse``.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from attribution.cells import coded
from attribution.intake import MAX_CELLS, choose_kind, finish
from attribution.logs import laid_out
from attribution.settings import seconds
from attribution.tables import CHANNEL, DEVICE, KIND, REGION, TIME, Ledger, count_of, find_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir
    import pandas as pd

    from attribution.counts import Counts

LABELS = ("region", "channel", "device", "kind")
DIALECTS = ("bigquery", "duckdb", "postgres", "pyspark", "snowflake")
"""Dialects of SQL that the tests hold to golden files; Ibis knows more."""


def count_table(
    table: ir.Table,
    *,
    columns: Mapping[str, str] | None = None,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    width: str | float = "1s",
    kind: str | None = None,
) -> Counts:
    """Count a table of events in the warehouse that holds it: the same counts as :func:`read_events` of its rows.

    Parameters
    ----------
    table
        An Ibis table of any backend, one row an event; the time is a timestamp.
    columns
        ``{role: column}`` where the names say too little; roles are time, region, channel, device, kind and id (only
        if named: repeats of an id are then counted once).
    start, end
        Events in ``[start, end)`` are counted; moments with a zone. A partition's bounds keep the scan small.
    width
        Width of the bins, whole seconds up to a day.
    kind
        Which kind to count, chosen as :func:`read_events` does.

    Raises
    ------
    ReadError
        When a column is missing or the time is no timestamp in UTC, the width is no whole number of seconds, or there
        are more cells than fit into memory.

    Examples
    --------
    >>> import ibis, pyarrow as pa
    >>> seconds = pa.array([1770583260, 1770583262]).cast(pa.timestamp("s", tz="UTC"))
    >>> count_table(ibis.memtable(pa.table({"ts": seconds}))).total.ravel()
    array([1., 0., 1.])
    """
    ledger = Ledger("table")
    found = _found(table, columns, ledger)
    step = _step(width, ledger)
    expression = _expression(table, found, step, start, end).limit(MAX_CELLS + 1)
    with warnings.catch_warnings():  # Ibis 12 calls what DuckDB 2 is about to rename
        warnings.simplefilter("ignore", DeprecationWarning)
        cells = expression.to_pyarrow()
    if cells.num_rows > MAX_CELLS:
        raise ledger.fail(f"more than {MAX_CELLS:,} cells; choose wider bins (width=), a shorter span or fewer labels")
    many = cells["n"].to_numpy()
    ledger.read = int(cells["m" if "id" in found else "n"].to_numpy().sum())
    ledger.drop_many(
        ledger.read - int(many.sum()), column=found.get("id", ""), values=[], reason="repeats an id",
        mend="counted once",
    )  # fmt: skip
    timed = cells["bin"].is_valid().to_numpy()
    ledger.drop_many(
        int(many[~timed].sum()), column=found["time"], values=[], reason="is empty", mend="left out",
        harm="what these rows counted is missing",
    )  # fmt: skip
    cells, many = cells.filter(pa.array(timed)), many[timed]
    if not len(many):
        raise ledger.fail(f"no row with a time among {count_of(ledger.read, 'row')}; check the table, start and end")
    codes, names = coded(cells["kind"])
    chosen, label = choose_kind(names, kind, "kind" in found, ledger)
    keep = np.isin(codes, chosen)
    ledger.drop_many(
        int(many[~keep].sum()), column=found.get("kind", ""), mend="not counted; kind= chooses",
        values=[n for i, n in enumerate(names) if i not in chosen], reason="is another kind",
    )  # fmt: skip
    ledger.note("note", "bins without an event hold 0: a table of events is taken as a complete log")
    return finish(laid_out(cells.filter(pa.array(keep)), many[keep], step * 1_000_000_000, label, ledger), ledger)


def count_sql(
    table: ir.Table,
    *,
    dialect: str,
    columns: Mapping[str, str] | None = None,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    width: str | float = "1s",
) -> str:
    """Write the query of :func:`count_table` in a dialect: to read it first, or to run it where Ibis does not reach.

    Parameters
    ----------
    table
        As in :func:`count_table`; a table that only has a schema, ``ibis.table({...}, name=...)``, is enough.
    dialect
        ``bigquery``, ``duckdb``, ``postgres``, ``pyspark``, ``snowflake``, or another one that Ibis knows.

    Returns
    -------
    str
        A query of bin (its number since 1970), region, channel, device, kind, n (events) and, with ids, m (rows).

    Raises
    ------
    ReadError
        As :func:`count_table`; and ValueError for a dialect that Ibis does not know.
    """
    ibis = load_ibis()
    ledger = Ledger("table")
    expression = _expression(table, _found(table, columns, ledger), _step(width, ledger), start, end)
    try:
        return str(ibis.to_sql(expression, dialect=dialect)) + "\n"
    except (AttributeError, ValueError) as error:
        raise ValueError(f"dialect is {dialect!r}; choose one of {', '.join(DIALECTS)}") from error


def load_ibis() -> Any:
    """Import Ibis, or say what is missing.

    Raises
    ------
    ImportError
        When the extra ``warehouse`` is not installed.
    """
    try:
        import ibis  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ImportError(
            "counting in a warehouse needs Ibis, which is not installed; run: pip install 'event-command[warehouse]' "
            "(and the extra of your warehouse: ibis-framework[bigquery], [snowflake], [postgres], [pyspark])"
        ) from error
    return ibis


def _expression(
    table: ir.Table, found: dict[str, str], step: int, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> ir.Table:
    """Events by bin and labels; a time is cut to its second first: some dialects round where they make it a number."""
    ibis = load_ibis()
    events, time = table, table[found["time"]]
    if start is not None:
        events = events.filter(time >= ibis.literal(_utc("start", start), type=time.type()))
    if end is not None:
        events = events.filter(time < ibis.literal(_utc("end", end), type=time.type()))
    events = events.select(
        time=found["time"],
        **{name: events[found[name]].cast("string") if name in found else ibis.literal("all") for name in LABELS},
        **({"id": events[found["id"]]} if "id" in found else {}),
    )
    counted: dict[str, Any] = {"n": lambda cells: cells.count()}
    if "id" in found:
        same = ibis.window(group_by=events.id, order_by=["time", *LABELS])
        events = events.mutate(first=(ibis.row_number().over(same) == 0).cast("int64"))
        counted = {"n": lambda cells: cells.first.sum(), "m": lambda cells: cells.count()}
    moment: Any = events.time
    bins = (moment.truncate("s").epoch_seconds() // step).cast("int64")
    return events.mutate(bin=bins).group_by("bin", *LABELS).agg(**counted).order_by("bin", *LABELS)


def _found(table: ir.Table, columns: Mapping[str, str] | None, ledger: Ledger) -> dict[str, str]:
    """Column of each role; the time is a timestamp in UTC."""
    load_ibis()
    aliases = {"time": TIME, "region": REGION, "channel": CHANNEL, "device": DEVICE, "kind": KIND, "id": ()}
    found = find_columns(ledger, table.columns, aliases, columns, needed=("time",))
    name, dtype = found["time"], table[found["time"]].type()
    if not dtype.is_timestamp():
        raise ledger.fail(
            f"column {name!r} holds {dtype}; make it a timestamp first: "
            f"table.mutate({name}=table[{name!r}].cast(\"timestamp('UTC')\"))"
        )
    if dtype.timezone not in {None, "UTC"}:
        raise ledger.fail(f"column {name!r} is in {dtype.timezone}; cast it to \"timestamp('UTC')\"")
    if dtype.timezone is None:
        ledger.note("note", f"column {name!r} carries no zone", mend="read as UTC, as warehouses keep timestamps")
    return found


def _step(width: str | float, ledger: Ledger) -> int:
    """Width of a bin in whole seconds."""
    step = seconds(width, name="width")
    if not (1 <= step <= 86_400 and float(step).is_integer()):
        raise ledger.fail(f"width is {width!r}; choose whole seconds, 1 s to one day")
    return int(step)


def _utc(name: str, moment: pd.Timestamp) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{name} is {moment}, without a zone; write it in UTC, e.g. 2026-02-08T20:41:00Z")
    return moment.tz_convert("UTC").strftime("%Y-%m-%d %H:%M:%S.%f")
