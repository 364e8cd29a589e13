"""Spend, value and margin become iROAS and ROI. No spend, no figure: never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from attribution.settings import Settings


class Money(NamedTuple):
    """What one airing cost and what one conversion brings; NaN where unknown."""

    spend: float
    value: float
    margin: float

    def iroas(self, incremental: float) -> float:
        """Incremental revenue / spend.

        Examples
        --------
        >>> Money(spend=1000.0, value=10.0, margin=0.5).iroas(300.0)
        3.0
        """
        return incremental * self.value / self.spend if self.spend > 0 else np.nan

    def roi(self, incremental: float) -> float:
        """(Incremental margin - spend) / spend.

        Examples
        --------
        >>> Money(spend=1000.0, value=10.0, margin=0.5).roi(300.0)
        0.5
        """
        return self.iroas(incremental) * self.margin - 1.0

    @property
    def break_even(self) -> float:
        """Incremental conversions whose margin pays the spend; NaN when a figure is unknown."""
        kept = self.value * self.margin
        return self.spend / kept if kept > 0 and self.spend > 0 else np.nan

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the figures that are unknown."""
        return tuple(name for name in self._fields if not np.isfinite(getattr(self, name)))


def money(airing: pd.Series, settings: Settings) -> Money:
    """Return the airing's own spend, value and margin; the settings' where it has none.

    A spend of 0 or less is no spend.
    """
    spend = float(airing["spend"])
    own = {name: float(airing[name]) for name in ("value", "margin")}
    for name, fallback in (("value", settings.value), ("margin", settings.margin)):
        if not np.isfinite(own[name]) and fallback is not None:
            own[name] = float(fallback)
    return Money(spend if spend > 0 else np.nan, own["value"], own["margin"])


DOUBT = 0.05
"""Above this P(incremental <= 0) a cost per incremental conversion is not estimable (methods, section 7)."""


def cost_per_incremental(spend: float, incremental: float, probability_positive: float) -> float:
    """Spend / incremental; NaN ("not estimable") when P(incremental <= 0) exceeds 5% (methods, section 7).

    Examples
    --------
    >>> cost_per_incremental(1000.0, 100.0, 0.99), cost_per_incremental(1000.0, 100.0, 0.9)
    (10.0, nan)
    """
    return spend / incremental if 1 - probability_positive <= DOUBT and incremental > 0 else np.nan


def money_frame(
    name: str, cash: Money, amount: tuple[float, float, float], probability_positive: float
) -> pd.DataFrame:
    """Return what an airing brought for what it cost: iROAS, ROI and the cost of an incremental conversion.

    Parameters
    ----------
    amount
        Lower end, estimate and upper end of the incremental.
    probability_positive
        P(incremental > 0).

    Returns
    -------
    pd.DataFrame
        airing, what, value, lower, upper, status: why a figure is unknown, in words; empty where it is known.

    Examples
    --------
    >>> found = money_frame("A", Money(spend=1000.0, value=10.0, margin=0.5), (50.0, 200.0, 400.0), 0.99)
    >>> found["what"].tolist(), found["value"].tolist()
    (['iroas', 'roi', 'cost per incremental'], [2.0, 0.0, 5.0])
    """
    low, middle, high = amount
    rows: list[tuple] = [
        (name, what, figure(middle), figure(low), figure(high), _unknown(cash, needed))
        for what, figure, needed in (
            ("iroas", cash.iroas, {"spend", "value"}),
            ("roi", cash.roi, {"spend", "value", "margin"}),
        )
    ]
    cost, status = cost_per_incremental(cash.spend, middle, probability_positive), ""
    if not cash.spend > 0:
        status = _unknown(cash, {"spend"})
    elif np.isnan(cost):
        status = f"not estimable: P(incremental <= 0) is {1 - probability_positive:.1%}"
    elif low <= 0:
        status = "no upper end: the interval of the incremental contains zero"
    known = np.isfinite(cost)
    ends = (cash.spend / high if known else np.nan, cash.spend / low if known and low > 0 else np.nan)
    rows.append((name, "cost per incremental", cost, *ends, status))
    return pd.DataFrame(rows, columns=["airing", "what", "value", "lower", "upper", "status"])


def _unknown(cash: Money, needed: set[str]) -> str:
    """Return which of the figures that are needed is unknown, in words; empty when none is."""
    names = [name for name in cash.missing if name in needed]
    return f"{' and '.join(names)} unknown" if names else ""
