"""How often each named scenario is answered rightly, over many seeds; kept in data/calibration/scenarios.csv.

The seeds are other than those of the quick tests. SEEDS=n in the environment chooses how many a scenario gets.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binom

import attribution as at
from attribution.verdict import CLAIMS

SEEDS = int(os.environ.get("SEEDS", "100"))
FIRST = 50_000
KEPT = Path(__file__).parents[2] / "data" / "calibration" / "scenarios.csv"
SETTINGS = {
    "lag known": at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s"),
    "defaults": at.Settings(window="60s"),
}


def answers(name: str, settings: at.Settings) -> pd.DataFrame:
    tables = []
    for seed in range(FIRST, FIRST + SEEDS):
        world = at.simulate(at.SCENARIOS[name], rng=seed)
        table = at.analyze(
            world.counts, world.airings, settings, social=world.social, audience=world.audience, context=world.context
        ).table
        tables.append(table.assign(truth=[world.truth.incremental(a, 60.0) for a in table["airing"]]))
    return pd.concat(tables, ignore_index=True)


def summary(name: str, label: str, table: pd.DataFrame) -> dict[str, object]:
    error = table["incremental"] - table["truth"]
    scale = table["counterfactual"].mean()
    return {
        "scenario": name,
        "settings": label,
        "airings": len(table),
        "truth": round(table["truth"].mean(), 1),
        "bias_of_counterfactual": round(error.mean() / scale, 4),
        "rmse_of_counterfactual": round((error**2).mean() ** 0.5 / scale, 4),
        "coverage": round(table["truth"].between(table["incremental_lower"], table["incremental_upper"]).mean(), 4),
        "caused": round((table["verdict"] == "caused").mean(), 4),
        "claimed": round(table["verdict"].isin(CLAIMS).mean(), 4),
        "seeds": f"{FIRST}-{FIRST + SEEDS - 1}",
        "version": at.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def keep(row: dict[str, object]) -> None:
    """Put the row in the place of an older one of the same scenario and settings."""
    old = pd.read_csv(KEPT, keep_default_na=False) if KEPT.exists() else pd.DataFrame(columns=list(row))
    old = old[(old["scenario"] != row["scenario"]) | (old["settings"] != row["settings"])]
    new = pd.concat([old, pd.DataFrame([row])], ignore_index=True) if len(old) else pd.DataFrame([row])
    new.sort_values(["scenario", "settings"]).to_csv(KEPT, index=False)


@pytest.mark.slow
@pytest.mark.xdist_group("scenarios")
@pytest.mark.parametrize("label", SETTINGS)
@pytest.mark.parametrize("name", at.SCENARIOS)
def test_a_scenario_is_answered_rightly(name, label):
    table = answers(name, SETTINGS[label])
    row = summary(name, label, table)
    keep(row)
    n = len(table)
    assert row["coverage"] >= binom.ppf(0.001, n, 0.88) / n  # the floor below which the work is not done
    if at.SCENARIOS[name].lift == 0:
        assert row["caused"] <= binom.ppf(0.999, n, 0.05) / n
    else:
        assert row["caused"] >= 0.75
