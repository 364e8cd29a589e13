"""The whole errand with bsts-causalimpact: bins of 10 s, the region without the spot and the feed as covariates."""

import sys
from pathlib import Path

import pandas as pd
from causal_impact import CausalImpact

folder = Path(sys.argv[1])
counts = pd.read_csv(folder / "conversions.csv", parse_dates=["time"])
spot = pd.read_csv(folder / "spots.csv", parse_dates=["start"]).iloc[0]
posts = pd.read_csv(folder / "posts.csv", parse_dates=["time"]).set_index("time")["count"]
saw = counts["region"].isin(spot["regions"].split("|"))
parts = {"y": counts[saw], "control": counts[~saw]}
lines = {name: part.groupby("time")["count"].sum() for name, part in parts.items()} | {"social": posts}
bins = pd.DataFrame(lines).resample("10s", origin=spot["start"]).sum().astype(float)
first = int(bins.index.searchsorted(spot["start"]))
frame = bins.iloc[1 : first + 6].reset_index(drop=True)
found = CausalImpact(frame, [0, first - 2], [first - 1, first + 4], model_args={"niter": 3000, "seed": 1})
last = found.inferences.iloc[-1]
amount, low, high = (last[f"cumulative_effect{end}"] for end in ("", "_lower", "_upper"))
print("claimed" if low > 0 else "not claimed", amount, low, high)
