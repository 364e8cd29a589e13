"""The whole errand with a vendor's rule: five minutes after the spot against ten before, Welch's t-test."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

folder = Path(sys.argv[1])
counts = pd.read_csv(folder / "conversions.csv", parse_dates=["time"])
spot = pd.read_csv(folder / "spots.csv", parse_dates=["start"]).iloc[0]
seen = counts[counts["region"].isin(spot["regions"].split("|"))].groupby("time")["count"].sum()
minute = np.floor((seen.index - spot["start"]).total_seconds() / 60)
lines = seen.groupby(minute).sum()
after, before = lines.loc[0:4], lines.loc[-10:-1]
low, high = 5 * np.array(stats.ttest_ind(after, before, equal_var=False).confidence_interval())
print("claimed" if low > 0 else "not claimed", 5 * (after.mean() - before.mean()), low, high)
