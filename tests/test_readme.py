"""The README's figures are those of the kept calibration: no number is typed."""

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]


def lines() -> list[str]:
    """The rows of the README's table, made from data/calibration/scenarios.csv."""
    table = pd.read_csv(ROOT / "data" / "calibration" / "scenarios.csv", keep_default_na=False)
    return [
        f"| {r.scenario} | {r.settings} | {r.airings} | {r.truth:.0f} | {r.rmse_of_counterfactual:.1%} | "
        f"{r.coverage:.0%} | {r.caused:.0%} | {r.claimed:.0%} |"
        for r in table.itertuples()
    ]


def test_the_readme_shows_the_kept_calibration():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for line in lines():
        assert line in text, line
