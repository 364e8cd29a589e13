"""Opening any file or frame as batches of rows, each row with its number; what a file is, its content decides."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported; a static reader does not see them

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.ipc
import pyarrow.parquet as pq

from attribution.books import read_book
from attribution.headers import SUM, is_total
from attribution.shapes import as_array, as_text, first_line, flat, unique_names
from attribution.tables import Ledger, ReadError, count_of
from attribution.texts import DAMAGED, HEAD, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

BATCH = 1 << 17
"""Rows a batch of Parquet, JSON lines or a frame: 100 million events pass at a peak of .8 GB (tests/bench)."""
BLOCK = 4 << 20
"""Bytes a block of CSV; no row may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An opened file or frame.

    Attributes
    ----------
    ledger
        The account of the reading.
    columns
        Names in the file, each once.
    rows
        Number of rows where the file says it beforehand, else None.
    batches
        ``batches(columns)`` yields (row numbers, RecordBatch); 1 is the first data row. It can be read once.
    done
        Share of the file read so far, 0 to 1.
    close
        Closes the file; leaving a ``with`` block does it too.
    """

    ledger: Ledger
    columns: tuple[str, ...]
    rows: int | None
    batches: Callable[[Sequence[str]], Iterator[tuple[np.ndarray, pa.RecordBatch]]]
    done: Callable[[], float]
    close: Callable[[], None] = lambda: None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(data: str | Path | pd.DataFrame, *, limit: int | None = None) -> Source:
    """Open a path (CSV, TSV, JSON lines, each plain, .gz or .zst; Parquet, Feather, Excel) or a DataFrame.

    Parameters
    ----------
    data
        Path or frame; a frame is never changed.
    limit
        Bytes of text (after decompression) that may be read; None reads any size.

    Raises
    ------
    ReadError
        When it cannot be opened, is empty, binary, or has a header only.
    """
    if isinstance(data, pd.DataFrame):
        return _open_frame(data, Ledger("DataFrame"))
    path = Path(data)
    ledger = Ledger(path.name)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ReadError(f"{data}: cannot be opened ({error.strerror}); check the path") from error
    if not head:
        raise ledger.fail("the file is empty")
    try:
        return _open_path(path, head, ledger, limit)
    except DAMAGED as error:
        raise ledger.fail(f"cannot be read: {first_line(error)}; is the file complete?") from error


def load(source: Source, columns: Sequence[str] | None = None, *, most: int) -> tuple[np.ndarray, pa.Table]:
    """Read a source into memory: (row numbers, table); more than ``most`` rows are refused with a sentence."""
    numbers, batches, total = [], [], 0
    for number, batch in guarded(source, columns or source.columns):
        total += len(number)
        if total > most:
            raise source.ledger.fail(
                f"more than {most:,} rows; count them first: read_events aggregates files of any size, "
                "or sum the table into wider bins"
            )
        numbers.append(number)
        batches.append(batch)
    if total == 0:
        bad = f"; {count_of(source.ledger.reported, 'row')} could not be read" if source.ledger.reported else ""
        raise source.ledger.fail(f"the file has a header but no rows{bad}")
    return np.concatenate(numbers), pa.Table.from_batches(batches).combine_chunks()


def guarded(source: Source, columns: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """Yield the batches of a source, counted in its ledger; a broken file becomes one ReadError."""
    try:
        for number, batch in source.batches(columns):
            source.ledger.read += len(number)
            if len(number):
                yield number, batch
    except DAMAGED as error:
        where = f"after row {source.ledger.read:,}" if source.ledger.read else "at its first rows"
        why = f"a row is longer than {BLOCK >> 20} MB; is a quote left open?" if "straddl" in str(error) else ""
        raise source.ledger.fail(f"cannot be read {where}: {why or first_line(error)}") from error


def _open_path(path: Path, head: bytes, ledger: Ledger, limit: int | None) -> Source:
    if head[:4] == b"PAR1":
        return _open_parquet(path, ledger)
    if head[:6] == b"ARROW1" or head[:4] == b"FEA1":
        return _open_feather(path, head, ledger)
    if head[:4] == b"PK\x03\x04":
        return _open_frame(read_book(path, ledger), ledger)
    if head[:4] == b"\xd0\xcf\x11\xe0":
        raise ledger.fail("an old Excel file (.xls); save it as .xlsx or .csv")
    text = Text.open(path, ledger, limit)
    try:
        first = text.peek().lstrip()[:1]
        if first == b"[":
            return _open_json_array(text, ledger)
        return _open_json(text, ledger) if first == b"{" else _open_csv(text, ledger)
    except BaseException:
        text.close()
        raise


def _open_parquet(path: Path, ledger: Ledger) -> Source:
    file = pq.ParquetFile(path)

    def batches(roots: list[str]) -> Iterable[pa.RecordBatch]:
        return file.iter_batches(batch_size=BATCH, columns=roots, use_threads=False)

    return _typed_source(ledger, file.schema_arrow, file.metadata.num_rows, batches, file.close)


def _open_feather(path: Path, head: bytes, ledger: Ledger) -> Source:
    if head[:4] == b"FEA1":
        raise ledger.fail("Feather version 1; save it again with version 2 or as Parquet")
    return _open_table(pa.ipc.open_file(pa.memory_map(str(path))).read_all(), ledger)


def _open_table(table: pa.Table, ledger: Ledger) -> Source:
    def batches(roots: list[str]) -> Iterable[pa.RecordBatch]:
        return table.select(roots).to_batches(max_chunksize=BATCH)

    return _typed_source(ledger, table.schema, table.num_rows, batches, lambda: None)


def _typed_source(
    ledger: Ledger,
    schema: pa.Schema,
    total: int,
    read: Callable[[list[str]], Iterable[pa.RecordBatch]],
    close: Callable[[], None],
) -> Source:
    columns = _flat_names(schema)
    seen = [0]

    def batches(wanted: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        for batch in read(sorted({columns[name] for name in wanted})):
            yield np.arange(seen[0] + 1, seen[0] + len(batch) + 1), _select(batch, wanted)
            seen[0] += len(batch)

    return Source(
        ledger=ledger,
        columns=tuple(columns),
        rows=total,
        batches=batches,
        done=lambda: seen[0] / max(total, 1),
        close=close,
    )


def _flat_names(schema: pa.Schema) -> dict[str, str]:
    """Leaf name -> column; the fields of a struct (GA4's geo, device) are columns of their own."""
    names = {}
    for item in schema:
        if pa.types.is_struct(item.type):
            names |= {f"{item.name}.{child.name}": item.name for child in item.type}
        else:
            names[item.name] = item.name
    return names


def _select(batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
    arrays = []
    for name in wanted:
        if name in batch.schema.names:
            array = batch.column(name)
        else:
            root = next(n for n in batch.schema.names if name.startswith(n + "."))
            array = pc.struct_field(batch.column(root), name[len(root) + 1 :])
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        wide = pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type)
        array = array.cast(pa.string()) if wide else array
        array.validate(full=pa.types.is_string(array.type))  # a damaged file may hold text that is no UTF-8
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(wanted))


def _open_csv(text: Text, ledger: Ledger) -> Source:
    delimiter, header = text.read_header()
    names = unique_names(header, ledger)
    rejected: list[int] = []

    def reject(row: pacsv.InvalidRow) -> str:
        rejected.append(row.number)
        ledger.read += 1
        if len(row.text) < HEAD and is_total(next(csv.reader([row.text], delimiter=delimiter), [])):
            ledger.drop([row.number], column="", values=[row.text], reason=f"is {SUM}", mend="not read")
            return "skip"
        ledger.drop(
            [row.number],
            column="",
            values=[row.text],
            reason=f"not {count_of(row.expected_columns, 'field')} as in the header",
            mend="left out; look for a delimiter or a quote too many",
            harm="what these rows counted is missing",
        )
        return "skip"

    def batches(wanted: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        reader = pacsv.open_csv(
            pa.PythonFile(text, mode="r"),
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names, block_size=BLOCK),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=reject),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, include_columns=list(wanted)
            ),
        )
        following = 1
        for batch in reader:
            missing = np.array([r for r in rejected if r >= following], dtype=np.int64)
            numbers = np.setdiff1d(np.arange(following, following + len(batch) + len(missing)), missing)[: len(batch)]
            following = int(numbers[-1]) + 1 if len(numbers) else following
            _open_quotes(numbers, batch, ledger)
            yield numbers, batch

    if text.at_end():
        raise ledger.fail("the file has a header but no rows")
    return Source(ledger=ledger, columns=tuple(names), rows=None, batches=batches, done=text.done, close=text.close)


def _open_quotes(numbers: np.ndarray, batch: pa.RecordBatch, ledger: Ledger) -> None:
    """Say where a value runs over lines: a quote left open swallows rows."""
    for name in batch.schema.names:
        spread = pc.match_substring(batch.column(name), "\n")
        if pc.any(spread).as_py():
            first = int(numbers[np.flatnonzero(spread.to_numpy(zero_copy_only=False))[0]])
            ledger.note(
                "warning",
                f"column {name!r} holds a value that runs over several lines",
                rows=f"row {first}",
                harm="if a quote was left open, the rows inside are lost",
                mend="check the quotes of this row",
            )


def _open_json(text: Text, ledger: Ledger) -> Source:
    lines = io.BufferedReader(text, BLOCK)
    pending: list[tuple[int, dict[str, Any]]] = []
    position = [0]

    def rows() -> Iterator[tuple[int, dict[str, Any]]]:
        for line in lines:
            if not line.strip():
                continue
            position[0] += 1
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield position[0], flat(value)
                continue
            ledger.read += 1
            ledger.drop(
                [position[0]],
                column="",
                values=[line[:60].decode(errors="replace").strip()],
                reason="not a JSON object",
                mend="left out",
                harm="what these rows counted is missing",
            )

    stream = rows()
    for number_and_row in stream:
        pending.append(number_and_row)
        if len(pending) == 1000:
            break
    if not pending:
        raise ledger.fail("no JSON object on any line")
    names = list(dict.fromkeys(name for _, row in pending for name in row))

    def batches(wanted: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        chunk = pending
        for item in stream:
            chunk.append(item)
            if len(chunk) == BATCH:
                yield _json_batch(chunk, wanted)
                chunk = []
        if chunk:
            yield _json_batch(chunk, wanted)

    return Source(ledger=ledger, columns=tuple(names), rows=None, batches=batches, done=text.done, close=text.close)


def _open_json_array(text: Text, ledger: Ledger) -> Source:
    try:
        with text:
            rows = json.loads(text.readall())
    except (ValueError, RecursionError) as error:
        raise ledger.fail(f"not JSON: {first_line(error)}") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ledger.fail("not an array of JSON objects; write one object a row")
    level = [flat(row) for row in rows]
    return _open_frame(pd.DataFrame(level, dtype=object), ledger)


def _json_batch(chunk: list[tuple[int, dict[str, Any]]], wanted: Sequence[str]) -> tuple[np.ndarray, pa.RecordBatch]:
    arrays = [pa.array([as_text(row.get(name)) for _, row in chunk], pa.string()) for name in wanted]
    return np.array([number for number, _ in chunk]), pa.RecordBatch.from_arrays(arrays, names=list(wanted))


def _open_frame(frame: pd.DataFrame, ledger: Ledger) -> Source:
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) or any(n is not None for n in frame.index.names):
        index = frame.index.to_frame(index=False, name=None if frame.index.nlevels > 1 else frame.index.name or "time")
        frame = pd.concat([index, frame.reset_index(drop=True)], axis=1)
    if frame.shape[1] == 0 or len(frame) == 0:
        raise ledger.fail("the table has no rows" if frame.shape[1] else "the table is empty")
    names = unique_names([".".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns], ledger)
    arrays = [as_array(frame.iloc[:, i]) for i in range(frame.shape[1])]
    return _open_table(pa.Table.from_arrays(arrays, names=names), ledger)
