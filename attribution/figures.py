"""Figures as a reader wants them: signs, thousands, units, intervals; a dash where one is unknown. Tables of them."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def figure(value: Any, kind: str) -> str:
    """Write one figure as a reader wants it; unknown is a dash.

    Parameters
    ----------
    value
        A number; NaN where it is unknown.
    kind
        ``count`` (signed), ``plain``, ``percent`` (signed), ``probability``, ``evidence``, ``seconds``,
        ``ratio`` or ``amount`` (of money).

    Examples
    --------
    >>> figure(4247.0, "count"), figure(0.414, "percent"), figure(float("nan"), "ratio")
    ('+4,247', '+41.4%', '—')
    >>> figure(0.9999, "probability"), figure(0.00004, "probability"), figure(3.2e7, "evidence")
    ('> 0.999', '< 0.001', '3e7')
    """
    number = float(value)
    if math.isnan(number):
        return "—"
    text = {
        "count": lambda x: f"{x:+,.0f}",
        "plain": lambda x: f"{x:,.0f}",
        "percent": lambda x: f"{x:+.1%}",
        "probability": _probability,
        "evidence": _size,
        "seconds": lambda x: f"{x:.1f} s",
        "ratio": lambda x: f"{x:.2f}×",
        "amount": lambda x: f"{x:,.2f}",
    }[kind](number)
    return text.replace("-", "−")


def interval(row: Any, name: str, kind: str) -> str:
    """Write the interval of a figure; empty where it is unknown.

    Examples
    --------
    >>> interval({"lift_lower": 0.1, "lift_upper": 0.25}, "lift", "percent")
    '+10.0% to +25.0%'
    """
    low, high = float(row[f"{name}_lower"]), float(row[f"{name}_upper"])
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{figure(low, kind)} to {figure(high, kind)}"


LONG = 60
"""A longer table scrolls in a frame of its own, under its heads."""


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Write a table of cells (HTML); where the style sheet knows ``stack``, a row is a card on a narrow screen.

    ``words`` says that the cells are sentences, which are set from the left and may break.

    Examples
    --------
    >>> html_table(("Airing", "Lift"), [("spot", "+4%")]).count("data-head")
    2
    """
    rows = list(rows)
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{_cells(heads, row)}</tr>" for row in rows)
    kind = "words stack" if words else "stack"
    table = f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll{" long" * (len(rows) > LONG)}">{table}</div>'


def _cells(heads: Sequence[str], row: Sequence[str]) -> str:
    """Write the cells of a row; the last one of a short row is words, and takes what room is left."""
    left = len(heads) - len(row) + 1
    cells = [f'<td data-head="{escape(head)}">{cell}</td>' for head, cell in zip(heads, row, strict=False)]
    return "".join(cells[:-1]) + (cells[-1] if left == 1 else f'<td class="rest" colspan="{left}">{row[-1]}</td>')


def _probability(x: float) -> str:
    if x > 0.999:
        return "> 0.999"
    return "< 0.001" if x < 0.001 else f"{x:.3f}"


def _size(x: float) -> str:
    if x >= 1e6 or 0 < x < 1e-3:
        return f"{x:.0e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return f"{x:,.0f}" if x >= 100 else f"{x:.2g}"
