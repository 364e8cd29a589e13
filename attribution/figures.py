"""Figures as a reader wants them: signs, thousands, units, intervals; a dash where one is unknown. Tables of them."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


TWO = 3.55
"""An uncertainty that begins with less than this keeps two digits, else one: 100-354, and 355-949, of three."""
FINEST = {"count": 0.1, "plain": 0.1, "percent": 0.001, "seconds": 0.1, "ratio": 0.01, "amount": 0.01}
"""No figure of a kind is written finer than this, however well it is known."""
Ends = tuple[float, float]


def figure(value: Any, kind: str, ends: Ends | None = None) -> str:
    """Write one figure as a reader wants it, with as many digits as it is known to; unknown is a dash.

    Parameters
    ----------
    value
        A number; NaN where it is unknown.
    kind
        ``count`` (signed), ``plain``, ``percent`` (signed), ``share``, ``probability``, ``evidence``, ``seconds``,
        ``ratio`` or ``amount`` (of money).
    ends
        The interval that it is known to, if it has one: see :func:`place`.

    Examples
    --------
    >>> figure(4247.0, "count"), figure(0.414, "percent"), figure(float("nan"), "ratio")
    ('+4,247', '+41%', '—')
    >>> figure(4247.0, "count", (3100.0, 5400.0)), figure(0.414, "percent", (0.30, 0.53))
    ('+4,200', '+41%')
    >>> figure(0.9999, "probability"), figure(0.00004, "probability"), figure(3.2e7, "evidence")
    ('> 0.999', '< 0.001', '3e7')
    >>> figure(0.004, "share"), figure(0.0, "share"), figure(0.264, "share"), figure(-0.2, "count", (-40.0, 40.0))
    ('< 1%', '0%', '26%', '−0.2')
    """
    number = float(value)
    if math.isnan(number):
        return "—"
    if kind in WORDED:
        return WORDED[kind](number).replace("-", "−")
    if math.isinf(number):
        return "−∞" if number < 0 else "∞"
    grain = None if ends is None else place(*ends, kind)
    if grain is None or (number and not round(number / grain)):  # what is not zero does not read as zero
        grain = _grain(number, kind)
    scale = 100 if kind == "percent" else 1
    decimals = max(0, -math.floor(math.log10(scale * grain) + 1e-9))
    text = f"{scale * round(number / grain) * grain:{'+' if kind in SIGNED else ''},.{decimals}f}"
    zero = not any(c in "123456789" for c in text)
    return (text.lstrip("+-") if zero else text).replace("-", "−") + UNITS.get(kind, "")


def place(low: float, high: float, kind: str) -> float | None:
    """Return the place of the last digit that an interval supports; None where it has no finite width.

    Half its width keeps two digits where it begins with 1, 2 or 3 (to 3.54), else one: the rule of the Particle Data
    Group (Review of Particle Physics, introduction, section 5.3). Never finer than :data:`FINEST`.

    Examples
    --------
    >>> place(640, 1041, "count"), place(0.22, 0.39, "percent"), place(7.1, 12.3, "seconds")
    (10.0, 0.01, 0.1)
    """
    half = (high - low) / 2
    if not (math.isfinite(half) and half > 0):
        return None
    power = math.floor(math.log10(half))
    found = 10.0 ** (power - (half / 10.0**power < TWO))
    return max(found, FINEST[kind])


def estimate(row: Any, name: str, kind: str) -> str:
    """Write a figure of a row with as many digits as its interval supports.

    What would have been counted without the ad is known as well as what the ad added.

    Examples
    --------
    >>> estimate({"lift": 0.1712, "lift_lower": 0.1, "lift_upper": 0.25}, "lift", "percent")
    '+17%'
    >>> row = {"counterfactual": 2757.6, "incremental_lower": 640.0, "incremental_upper": 1041.0}
    >>> estimate(row, "counterfactual", "plain")
    '2,760'
    """
    return figure(row[name], kind, _ends(row, "incremental" if name == "counterfactual" else name))


def interval(row: Any, name: str, kind: str) -> str:
    """Write the interval of a figure, with the digits of :func:`estimate`; empty where it is unknown.

    Examples
    --------
    >>> interval({"lift_lower": 0.1, "lift_upper": 0.25}, "lift", "percent")
    '+10% to +25%'
    """
    ends = _ends(row, name)
    return "" if ends is None else between(*ends, kind)


def between(low: float, high: float, kind: str) -> str:
    """Write an interval with the digits it supports.

    Examples
    --------
    >>> between(640.2, 1041.0, "count"), between(-0.012, 0.34, "percent")
    ('+640 to +1,040', '−1% to +34%')
    """
    return f"{figure(low, kind, (low, high))} to {figure(high, kind, (low, high))}"


LAGS = ((10_000.0, 1.0, "ms"), (600_000.0, 1e3, "s"), (7.2e6, 6e4, "min"), (1.728e8, 3.6e6, "h"))
"""Below so many ms: ms in a unit, the unit."""


def lag(*ms: float) -> str:
    """Write lags given in ms, all in the unit of the longest; a dash where one is unknown.

    Examples
    --------
    >>> lag(50.2, 94.6), lag(12_000.0), lag(2.5e10, 2.6e10), lag(float("nan"))
    ('50 / 95 ms', '12 s', '289 / 301 days', '—')
    """
    if not all(map(math.isfinite, ms)):
        return "—"
    size, unit = next(((size, unit) for end, size, unit in LAGS if max(ms) < end), (8.64e7, "days"))
    return f"{' / '.join(f'{value / size:,.0f}' for value in ms)} {unit}"


def _ends(row: Any, name: str) -> Ends | None:
    if f"{name}_lower" not in row:
        return None
    low, high = float(row[f"{name}_lower"]), float(row[f"{name}_upper"])
    return None if math.isnan(low) or math.isnan(high) else (low, high)


def _grain(number: float, kind: str) -> float:
    """Return the last place of a figure that has no interval: counts are whole from 20 on, percentages from 10."""
    if kind in {"count", "plain"}:
        return 1.0 if abs(number) >= 20 or number == round(number) else 0.1
    if kind == "percent":
        return 0.01 if abs(number) >= 0.1 or number == 0 else 0.001
    return FINEST[kind]


NARROW = 4
"""A table of so many columns stays a table on a narrow screen."""
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
    kind = "words stack" if words else "stack" if len(heads) > NARROW else "plain"
    table = f'<table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
    named = f'tabindex="0" role="group" aria-label="{escape(", ".join(heads))}"'
    return f'<div class="scroll{" long" * (len(rows) > LONG)}" {named}>{table}</div>'


def _cells(heads: Sequence[str], row: Sequence[str]) -> str:
    """Write the cells of a row; the last one of a short row is words, and takes what room is left."""
    left = len(heads) - len(row) + 1
    cells = [f'<td data-head="{escape(head)}">{cell}</td>' for head, cell in zip(heads, row, strict=False)]
    return "".join(cells[:-1]) + (cells[-1] if left == 1 else f'<td class="rest" colspan="{left}">{row[-1]}</td>')


def _probability(x: float) -> str:
    if x > 0.999:
        return "> 0.999"
    return "< 0.001" if x < 0.001 else f"{x:.3f}"


def _share(x: float) -> str:
    if 0 < x < 0.005:
        return "< 1%"
    return "> 99%" if 0.995 <= x < 1 else f"{x:.0%}"


def evidence(log_e: float) -> str:
    """Write an e-value, given its logarithm: two digits below 100, whole up to a million, then a power of ten.

    Examples
    --------
    >>> evidence(3.0), evidence(4.6), evidence(math.log(2585.4)), evidence(30.0), evidence(-40.0), evidence(math.nan)
    ('20', '99', '2,585', '1e13', '4e-18', '—')
    """
    if not math.isfinite(log_e):
        return "—" if math.isnan(log_e) else "0" if log_e < 0 else "∞"
    power = log_e / math.log(10)
    if power >= 6 or power < -3:
        whole = math.floor(power)
        first = round(10 ** (power - whole))
        return f"1e{whole + 1}" if first == 10 else f"{first}e{whole}"
    x = math.exp(log_e)
    return f"{x:,.0f}" if x >= 9.95 else f"{x:.1f}" if x >= 0.995 else f"{x:.2g}"


SIGNED = ("count", "percent")
UNITS = {"percent": "%", "seconds": " s", "ratio": "×"}
WORDED = {
    "probability": _probability,
    "share": _share,
    "evidence": lambda x: evidence(math.log(x) if x > 0 else -math.inf),
}
"""Kinds whose digits are their own."""
