"""Rows become tables: one line a world, the blind family by nuisance; each figure defined once, here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from attribution.trials import KERNELS, TRIALS, nuisances
from attribution.verdict import CLAIMS
from calibrate.plan import ALPHA, FOILS

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGE = 0.1
"""Errors are shares of the truth where that is at least so much of the counterfactual, else of the counterfactual."""

DRAWN = tuple(nuisances(TRIALS["blind"].scenario))
FEW = 6
"""A nuisance with at most so many different values is split by value, any other into quarters."""


def inside(value: pd.Series, low: pd.Series, high: pd.Series) -> pd.Series:
    """1 where the interval holds the value, 0 where not, NaN where there is none."""
    return ((low <= value) & (value <= high)).astype(float).where(low.notna() & high.notna() & value.notna())


def scored(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with what each of them got right, beside them."""
    rows = rows.copy()
    per_world = rows.groupby(["world", "settings"], sort=False)
    large = per_world["truth"].transform("mean") >= LARGE * per_world["baseline"].transform("mean")
    unit = rows["truth"].where(large & (rows["world"] != "blind"), rows["baseline"])
    rows["error_of"] = np.where(large & (rows["world"] != "blind"), "truth", "counterfactual")
    for name in ("incremental", "oracle", "informed"):
        rows[f"{name}_error"] = (rows[name] - rows["truth"]) / unit
    real = rows["truth"] > 0
    rows["covered"] = inside(rows["truth"], rows["lower"], rows["upper"])
    reach = ndtri(1 - ALPHA / 2) * rows["informed_sd"]
    rows["informed_covered"] = inside(rows["truth"], rows["informed"] - reach, rows["informed"] + reach)
    rows["robust_covered"] = inside(rows["truth"], rows["robust_lower"], rows["robust_upper"])
    rows["peak_covered"] = inside(rows["true_peak"], rows["peak_lower"], rows["peak_upper"]).where(real)
    rows["iroas_covered"] = inside(rows["iroas_true"], rows["iroas_lower"], rows["iroas_upper"]).where(real)
    rows["excludes_zero"] = (rows["lower"] > 0).astype(float).where(rows["lower"].notna())
    # A minimum detectable lift of d says: a lift L excludes zero with probability Phi((z.975 + z.8) L/d - z.975).
    z = ndtri(1 - ALPHA / 2)
    rows["power_said"] = ndtr((z + ndtri(0.8)) * rows["truth"] / rows["baseline"] / rows["detectable"] - z)
    rows["failed"] = rows["verdict"].str.startswith("failed").astype(float)
    rows["caused"] = (rows["verdict"] == "caused").astype(float)
    rows["claimed"] = rows["verdict"].isin(CLAIMS).astype(float)
    # Without the word of every look, the e-value's decision and the last word are what can be known of them.
    known = rows["caused_watched"].fillna(0).clip(lower=rows["claimed"])
    rows["claimed_watched"] = rows["watched"].fillna(known)
    rows["by_90"] = (rows["decided_s"] <= 90).astype(float)
    rows["not_separable"] = (rows["verdict"] == "not separable").astype(float)
    rows["no_effect"] = (rows["verdict"] == "no effect").astype(float)
    rows["answered"] = (~rows["verdict"].isin(["not separable", "no data"]) & (rows["failed"] == 0)).astype(float)
    return rows


def rms(error: pd.Series) -> float:
    """Root of the mean square, of what is known."""
    return float(np.sqrt((error**2).mean()))


def middle(seconds: pd.Series) -> float:
    """Median time to a decision; a run that never decides counts as later than any other, NaN if most do not."""
    value = float(np.median(seconds.fillna(np.inf))) if len(seconds) else np.nan
    return value if np.isfinite(value) else np.nan


def ratio(a: float, b: float) -> float:
    """a/b, NaN where b is 0 or unknown."""
    return a / b if b else np.nan


def figures(part: pd.DataFrame) -> dict[str, float]:
    """Return the figures of scored rows: rates and coverages as shares, errors in their unit, seconds."""
    error = rms(part["incremental_error"])
    decided, oracle = middle(part["decided_s"]), middle(part["oracle_decided_s"])
    answers = part[part["answered"] == 1]
    return {
        "truth": part["truth"].mean(),
        "counterfactual": part["baseline"].mean(),
        "bias": part["incremental_error"].mean(),
        "rmse": error,
        "coverage": part["covered"].mean(),
        "coverage_answered": answers["covered"].mean(),
        "robust_coverage": part["robust_covered"].mean(),
        "caused": part["caused"].mean(),
        "claimed": part["claimed"].mean(),
        "claimed_watched": part["claimed_watched"].mean(),
        "caused_by_90": part["by_90"].mean(),
        "decided_s": decided,
        "decided_ratio": ratio(decided, oracle),
        "oracle_rmse": rms(part["oracle_error"]),
        "rmse_ratio": ratio(error, rms(part["oracle_error"])),
        "informed_ratio": ratio(error, rms(part["informed_error"])),
        "informed_coverage": part["informed_covered"].mean(),
        "uniform_coverage": part["uniform"].mean(),
        "uniform_width": part["uniform_width"].median(),
        "peak_coverage": part["peak_covered"].mean(),
        "share_coverage": ratio(part["shares_in"].sum(), part.loc[part["shares_in"].notna(), "shares"].sum()),
        "iroas_coverage": part["iroas_covered"].mean(),
        "not_separable": part["not_separable"].mean(),
        "no_effect": part["no_effect"].mean(),
        "failed": part["failed"].mean(),
        "detectable": part["detectable"].median(),
        "excludes_zero": part["excludes_zero"].mean(),
        "power_said": part["power_said"].mean(),
        "cpu_s": part["cpu_s"].median(),
    }


def worlds(rows: pd.DataFrame, *, date: str, version: str) -> pd.DataFrame:
    """Return one line a world and setting, in the order of the plan, with seeds, date and version."""
    lines = []
    for (world, label), part in scored(rows).groupby(["world", "settings"], sort=False):
        lines.append(
            {
                "world": world,
                "settings": label,
                "n": len(part),
                "seeds": f"{part['seed'].min()}-{part['seed'].max()}",
                "error_of": part["error_of"].iloc[0],
                **{name: rounded(value) for name, value in figures(part).items()},
                "version": version,
                "date": date,
            }
        )
    return ordered(pd.DataFrame(lines))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lines in the order of the worlds, the methods that must fail last."""
    place = {name: i for i, name in enumerate(TRIALS)}
    key = table["world"].map(place) + len(place) * table["settings"].isin(FOILS)
    return table.assign(_key=key).sort_values(["_key", "settings"], kind="stable").drop(columns="_key")


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}") if np.isfinite(value) else np.nan


def quarters(rows: pd.DataFrame) -> Iterable[tuple[str, str, pd.DataFrame]]:
    """Yield (nuisance, its range, the rows) of the blind family split by one nuisance at a time."""
    for name in DRAWN:
        value = rows[name]
        if value.nunique() <= FEW:
            for level in sorted(value.unique()):
                what = KERNELS[int(level)] if name == "kernel" else f"{level:g}"
                yield name, what, rows[value == level]
            continue
        rank = value.rank(method="first")
        for quarter in range(4):
            part = rows[(rank > quarter * len(rows) / 4) & (rank <= (quarter + 1) * len(rows) / 4)]
            yield name, f"{part[name].min():.3g} to {part[name].max():.3g}", part


BLIND = (
    "coverage",
    "bias",
    "rmse",
    "informed_ratio",
    "informed_coverage",
    "caused",
    "claimed",
    "claimed_watched",
    "not_separable",
    "failed",
)
"""Figures of the blind family that are shown by nuisance."""


def blind(rows: pd.DataFrame, *, date: str, version: str) -> pd.DataFrame:
    """Return the blind family: as a whole, with and without effect, by one nuisance at a time; empty without rows."""
    family = scored(rows[rows["world"] == "blind"])
    if family.empty:
        return pd.DataFrame(columns=["nuisance", "range", "n", *BLIND, "seeds", "version", "date"])
    parts = [
        ("all", "", family),
        ("all", "with effect", family[family["truth"] > 0]),
        ("all", "without effect", family[family["truth"] == 0]),
        *quarters(family),
    ]
    lines = []
    for name, what, part in parts:
        found = figures(part) if len(part) else dict.fromkeys(BLIND, np.nan)
        lines.append({"nuisance": name, "range": what, "n": len(part), **{f: rounded(found[f]) for f in BLIND}})
    seeds = f"{family['seed'].min()}-{family['seed'].max()}"
    return pd.DataFrame(lines).assign(seeds=seeds, version=version, date=date)
