"""The cells of one column as numbers or labels, whatever way they are written."""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported; a static reader does not see them

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from attribution.tables import Ledger

Column: TypeAlias = "pa.Array | pa.ChunkedArray"
MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "\\n", "#n/a", "nat", "<na>", ".")
"""How files write that a value is not known."""


def is_text(column: Column) -> bool:
    """Whether the cells are text."""
    return pa.types.is_string(column.type) or pa.types.is_large_string(column.type)


def missing(column: Column) -> np.ndarray:
    """(n,) bool: cells without a value."""
    out = column.is_null(nan_is_null=True)
    if is_text(column):
        written = pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column)), value_set=pa.array(MISSING))
        out = pc.or_(out, pc.fill_null(written, True))
    return _bools(out)


def numbers(column: Column, *, name: str, ledger: Ledger) -> tuple[np.ndarray, np.ndarray]:
    """Read cells as numbers.

    Thousands separators, a decimal comma, currency signs and percent are understood; which way the column is
    written is decided once for the column, and said.

    Returns
    -------
    (n,) float, (n,) bool
        The numbers (NaN where there is none) and the cells that hold something which is no number.
    """
    if not is_text(column):
        if pa.types.is_null(column.type):
            return np.full(len(column), np.nan), np.zeros(len(column), bool)
        if not (
            pa.types.is_integer(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_boolean(column.type)
            or pa.types.is_decimal(column.type)
        ):
            return np.full(len(column), np.nan), ~missing(column)
        return column.cast(pa.float64(), safe=False).to_pandas().to_numpy(dtype=float, na_value=np.nan), np.zeros(
            len(column), bool
        )
    text = pc.utf8_trim_whitespace(column)
    none = missing(text)
    out = _plain_numbers(text)
    odd = np.isnan(out) & ~none
    if not odd.any():
        return out, odd
    sample = [str(v) for v in text.filter(pa.array(odd))[:1000].to_pylist()]
    style = _style(sample)
    if style:
        out = _plain_numbers(_rewrite(text, style))
        mended = odd & ~np.isnan(out)
        if mended.any():
            shown = sample[0]
            ledger.note("note", f"column {name!r} writes numbers as {shown!r}", mend=f"read with a {style}")
    return out, np.isnan(out) & ~none


def _plain_numbers(text: Column) -> np.ndarray:
    usual = pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$")
    kept = pc.if_else(pc.fill_null(usual, False), text, pa.scalar(None, text.type))
    out = kept.cast(pa.float64()) if len(text) else pa.array([], pa.float64())
    return out.to_pandas().to_numpy(dtype=float, na_value=np.nan)


def _style(odd: list[str]) -> str:
    """How the numbers that are not plain are written; empty where no way explains them."""
    bare = [re.sub(r"[$€£¥%\s\u00a0\u202f']", "", value) for value in odd]
    commas = [value for value in bare if re.fullmatch(r"[+-]?[\d.,]+", value)]
    if not commas:
        return ""
    if any("," in v and "." in v and v.rindex(",") > v.rindex(".") for v in commas) or any(
        v.count(".") > 1 for v in commas
    ):
        return "decimal comma"
    if any("," in v and "." in v for v in commas):
        return "comma between thousands"
    with_comma = [v for v in commas if "," in v]
    if with_comma and all(re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", v) for v in with_comma):
        return "comma between thousands"
    return "decimal comma" if with_comma else "decimal point"


def _rewrite(text: Column, style: str) -> Column:
    percent = pc.match_substring_regex(text, r"^[+-]?[\d.,]+\s*%$")
    out = pc.replace_substring_regex(text, r"[$€£¥%'\s\x{a0}\x{202f}]", "")
    if style == "decimal comma":
        out = pc.replace_substring(pc.replace_substring(out, ".", ""), ",", ".")
    elif style == "comma between thousands":
        out = pc.replace_substring(out, ",", "")
    return pc.if_else(pc.fill_null(percent, False), pc.binary_join_element_wise(out, "e-2", ""), out)


def labels(column: Column) -> np.ndarray:
    """(n,) object: labels as text, trimmed; a cell without a value is ``(none)``."""
    text = column if is_text(column) else column.cast(pa.string())
    text = pc.utf8_trim_whitespace(text)
    text = pc.if_else(pa.array(missing(text)), "(none)", text) if len(text) else text
    return text.to_pandas().to_numpy(dtype=object)


def coded(column: Column) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes and sorted labels of a column; the labels are sorted so that the order of rows changes nothing."""
    codes, names = pd.factorize(labels(column))
    order = np.argsort(names.astype(str), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], tuple(str(names[i]) for i in order)


def _bools(mask: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(mask.to_pandas(), dtype=bool)
