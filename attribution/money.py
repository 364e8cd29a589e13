"""Spend, value and margin become iROAS and ROI. No spend, no figure: never 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

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


def cost_per_incremental(spend: float, incremental: float, probability_positive: float) -> float:
    """Spend / incremental; NaN ("not estimable") when P(incremental <= 0) exceeds 5% (methods, section 7)."""
    return spend / incremental if probability_positive >= 0.95 and incremental > 0 else np.nan
