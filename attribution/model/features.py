"""What airings of a schedule have in common: spend, creative, network, daypart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attribution.model.pooling import Features

LEAST = 3
"""Airings of a category of its own; rarer ones are ``other``."""
DIMENSIONS = ("creative", "network", "daypart", "spend band")
SCHEDULE = "schedule"
"""The dimension of the line that holds every airing."""


def relative_spend(airings: pd.DataFrame) -> np.ndarray:
    """Return (J,) spend over its median; 1 where it is unknown."""
    if "spend" not in airings:
        return np.ones(len(airings))
    spend = pd.to_numeric(airings["spend"], errors="coerce").to_numpy(float)
    known = np.isfinite(spend) & (spend > 0)
    return np.where(known, spend / np.median(spend[known]), 1.0) if known.any() else np.ones(len(airings))


def categories(airings: pd.DataFrame) -> pd.DataFrame:
    """Return (J,) categories in each dimension; rare ones are ``other``, missing ones ``unknown``."""
    hour = pd.to_datetime(airings["start"], utc=True).dt.hour.to_numpy() // 6 * 6
    found = {"daypart": [f"{h:02d}-{h + 6:02d} UTC" for h in hour]}
    for name in ("creative", "network"):
        if name in airings:
            label = airings[name].fillna("").astype(str).replace("", "unknown")
            found[name] = label.where(label.map(label.value_counts()) >= LEAST, "other").tolist()
    spend = relative_spend(airings)
    if np.ptp(spend):
        quarter = np.argsort(np.argsort(spend, kind="stable"), kind="stable") * 4 // len(spend)
        found["spend band"] = [("lowest", "second", "third", "highest")[q] + " quarter" for q in quarter]
    return pd.DataFrame({name: found[name] for name in DIMENSIONS if name in found})


def grouping(labels: pd.DataFrame) -> tuple[Features, np.ndarray, list[tuple[str, str]]]:
    """Return the shared effects, membership (J, G) with the whole schedule first, and each group's name."""
    names, groups, dimension = [(SCHEDULE, "all")], [np.ones(len(labels))], []
    for number, name in enumerate(labels.columns):
        for category in sorted(labels[name].unique()):
            names.append((name, category))
            groups.append((labels[name] == category).to_numpy(float))
            dimension.append(number)
    membership = np.array(groups).T
    return Features(membership[:, 1:], np.array(dimension)), membership, names
