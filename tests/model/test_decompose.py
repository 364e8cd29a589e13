"""What is drawn second by second adds up to what the table says, at every age of a response."""

from __future__ import annotations

import pandas as pd
import pytest

import attribution as at

CLOSE = 0.03
"""Of half the interval: the table's middle is a median, what is drawn adds up to a mean."""


@pytest.fixture(scope="module")
def halftime():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.mark.parametrize("age_s", [15, 105])
def test_the_area_of_the_ad_is_the_incremental_of_the_table(halftime, age_s):
    start = halftime.airings["start"].min()
    now = start + pd.Timedelta(seconds=age_s)
    first = pd.Timestamp(halftime.counts.start[0], tz="UTC")
    feeds = {name: getattr(halftime, name) for name in ("social", "audience")}
    known = {name: table[table["time"] <= now] for name, table in feeds.items()}
    counts = halftime.counts.between(first, now)
    found = at.analyze(counts, halftime.airings, at.Settings(), **known, context=halftime.context)
    row, drawn = found.table.iloc[0], found.total.drop_duplicates("time")
    inside = (drawn["time"] >= start) & (drawn["time"] < start + pd.Timedelta("105s"))
    half = (row["incremental_upper"] - row["incremental_lower"]) / 2
    assert drawn.loc[inside, "ad"].sum() == pytest.approx(row["incremental"], abs=CLOSE * half)
    assert drawn.loc[inside, "counterfactual"].sum() == pytest.approx(row["counterfactual"], rel=0.01)
