"""The whole errand with spotlift: minutes of the regions that saw the spot, one number out."""

import sys
from pathlib import Path

import pandas as pd
import spotlift as sl

folder = Path(sys.argv[1])
counts = pd.read_csv(folder / "conversions.csv", parse_dates=["time"])
spot = pd.read_csv(folder / "spots.csv", parse_dates=["start"]).iloc[0]
seen = counts[counts["region"].isin(spot["regions"].split("|"))]
minutes = seen.set_index("time")["count"].resample("60s").sum()
telemetry = pd.DataFrame(
    {"timestamp": minutes.index, "value": minutes.to_numpy(), "channel_source": "ga4_direct_organic_sessions"}
)
airings = pd.DataFrame(
    {"spot_id": [spot["airing"]], "timestamp": [spot["start"].floor("60s")], "channel": ["tv"], "creative_id": ["c"],
     "cost": [spot["spend"]], "grp": [1.0], "duration_sec": [spot["length_s"]]}
)  # fmt: skip
found = sl.analyze_spots(
    airings, telemetry, window_minutes=1, apply_cr_model=False, baseline_fn=sl.simple_mean_baseline
)
print("-", found["incremental_lift"].iloc[0])
