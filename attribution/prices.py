"""Money as any country writes it: 1.234,56 €, $1,234.56, 1 234,56, CHF 1'234.50, ₹1,23,456.78, (1,234.00)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.cells import is_text, labels, missing, numbers
from attribution.tables import count_of

if TYPE_CHECKING:
    from attribution.cells import Column
    from attribution.tables import Ledger

SIGNS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "$": "USD", "US$": "USD", "R$": "BRL", "A$": "AUD",
         "C$": "CAD", "CA$": "CAD", "zł": "PLN", "kr": "kr", "kr.": "kr", "Fr.": "CHF", "₩": "KRW"}  # fmt: skip
PRICE = re.compile(
    r"(?P<open>\()?\s*(?P<minus>[-\u2212])?\s*(?P<before>[A-Z]{3}|[A-Z]{0,2}\$|[€£¥₹₩]|zł|kr\.?|Fr\.)?\s*"
    r"(?P<sign>[-+\u2212])?"
    r"(?P<digits>\d[\d.,'\u2019 \u00a0\u202f\u2009]*)\s*(?P<after>[A-Z]{3}|[A-Z]{0,2}\$|[€£¥₹₩]|zł|kr\.?|Fr\.)?\s*"
    r"(?P<behind>[-\u2212])?(?P<close>\))?"
)
DASH = re.compile(r",[-\u2013]$")
"""Behind a round price: ``980,-``."""
SPACES = re.compile(r"['\u2019 \u00a0\u202f\u2009]")


class Prices(NamedTuple):
    """Amounts of one column."""

    value: np.ndarray
    """(n,) float, NaN where there is none."""
    odd: np.ndarray
    """(n,) bool: something is written there that is no amount."""
    currencies: tuple[str, ...]


def read_prices(column: Column, *, name: str, ledger: Ledger) -> Prices:
    """Read a column of money; how its decimals are written is decided by the cells that leave no doubt, and said.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from attribution.tables import Ledger
    >>> column = pa.array(["1.234,56 €", "980 €", "12.000 €"])
    >>> read_prices(column, name="Kosten", ledger=Ledger("log.csv")).value.tolist()
    [1234.56, 980.0, 12000.0]
    """
    if not is_text(column):
        value, odd = numbers(column, name=name, ledger=ledger)
        return Prices(value, odd, ())
    texts, none = [str(text) for text in labels(column)], missing(column)
    found = [None if empty else PRICE.fullmatch(DASH.sub("", text)) for text, empty in zip(texts, none, strict=True)]
    bare = ["" if match is None else SPACES.sub("", match["digits"]) for match in found]
    sure = [_decimal(digits) for digits in bare]
    commas, dots = sure.count(","), sure.count(".")
    codes = {c for m in found if m for c in (m["before"], m["after"]) if c}
    usual = "," if commas > dots else "." if dots > commas else "," if codes & {"€", "EUR"} else "."
    value = np.full(len(texts), np.nan)
    for i, (match, digits) in enumerate(zip(found, bare, strict=True)):
        if match is not None and digits:
            amount = _amount(digits, sure[i] or usual)
            negative = match["open"] or any(
                (match[part] or "") in "-\u2212" and match[part] for part in ("minus", "sign")
            )
            value[i] = amount if not (negative or match["behind"]) else -amount
    odd = np.isnan(value) & ~none
    _say(texts, bare, sure, usual, name, ledger)
    currencies = tuple(sorted({SIGNS.get(code, code) for code in codes}))
    if len(currencies) > 1:
        ledger.note(
            "warning",
            f"column {name!r} holds {len(currencies)} currencies",
            rows=", ".join(currencies),
            harm="sums and returns over them mean nothing",
            mend="read as they stand; write all in one currency",
        )
    return Prices(value, odd, currencies)


def _decimal(digits: str) -> str:
    """Give the decimal sign of one number, ``,`` or ``.``; empty where the number leaves it open."""
    comma, dot = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and dot >= 0:
        return "," if comma > dot else "."
    if comma < 0 and dot < 0:
        return ""
    sign = "," if comma >= 0 else "."
    other = "." if sign == "," else ","
    groups = digits.split(sign)
    if len(groups) > 2:
        return other
    return "" if len(groups[1]) == 3 and 1 <= len(groups[0]) <= 3 and groups[0] != "0" else sign


def _amount(digits: str, decimal: str) -> float:
    other = "." if decimal == "," else ","
    try:
        return float(digits.replace(other, "").replace(decimal, "."))
    except ValueError:
        return np.nan


def _say(texts: list[str], bare: list[str], sure: list[str], usual: str, name: str, ledger: Ledger) -> None:
    """Say how the column was read where that was not plain, and which cells left it open."""
    if "," in sure and "." in sure:
        shown = [text for text, sign in zip(texts, sure, strict=True) if sign][:2]
        ledger.note(
            "warning",
            f"column {name!r} writes decimals in two ways",
            rows=", ".join(map(repr, shown)),
            harm="amounts that could be either may be wrong a thousandfold",
            mend="each read by its own signs",
        )
    elif "," in sure:
        ledger.note("note", f"column {name!r} writes a decimal comma", mend="read as such")
    open_ones = [t for t, d, s in zip(texts, bare, sure, strict=True) if not s and ("," in d or "." in d)]
    if open_ones and not {",", "."} & set(sure):
        mark = "," if "," in open_ones[0] else "."
        ledger.note(
            "warning",
            f"column {name!r}: {count_of(len(open_ones), 'amount')} could be thousands or decimals",
            rows=", ".join(map(repr, open_ones[:3])),
            harm="a wrong reading is wrong a thousandfold",
            mend=f"{mark!r} read as {'a decimal sign' if mark == usual else 'a sign between thousands'}",
        )
