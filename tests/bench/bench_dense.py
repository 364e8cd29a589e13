"""What a dense schedule costs: a week of minutes with 300 airings, four weeks with 1,500.

Ratios stand beside a peer of the same run: one least-squares fit of distributed lags (15 minutes) and the hours of the
day on the same bins.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "calibrate"))
import schedules as worlds

import attribution as at
from attribution.model.dense import fit_dense

GOALS = {(7, 300): 5.0, (28, 1500): 60.0}


def distributed_lags(world: worlds.World) -> float:
    """Counts on airings begun 0 to 14 minutes ago and the hour: the schedule's total."""
    minutes = len(world.y)
    at_min = ((world.airings["start"] - worlds.START).dt.total_seconds() // 60).to_numpy().astype(int)
    begun = np.bincount(at_min, minlength=minutes)[:minutes].astype(float)
    lags = np.column_stack([np.concatenate([np.zeros(k), begun[: minutes - k]]) for k in range(15)])
    hours = np.eye(24)[np.arange(minutes) // 60 % 24]
    known = np.isfinite(world.y)
    found = np.linalg.lstsq(np.column_stack([lags, hours])[known], world.y[known], rcond=None)[0]
    return float(found[:15].sum() * len(world.airings))


def main() -> None:
    """Print the figures."""
    for (days, airings), goal in GOALS.items():
        world = worlds.simulate(80_000, days=days, airings=airings, lift=1.0, rate=60.0)
        n = len(world.y)
        start = worlds.START.value / 1e9 + 60.0 * np.arange(n)
        data = (start, np.full(n, 60.0), world.y, np.ones(n), world.airings, at.Settings())
        if days == 7:
            fit_dense(*data, shifts=2)  # compiles
        begun, spent = time.perf_counter(), time.process_time()
        found = fit_dense(*data)
        taken, spent = time.perf_counter() - begun, time.process_time() - spent
        begun = time.perf_counter()
        peer = distributed_lags(world)
        against = time.perf_counter() - begun
        line, truth = found.groups.iloc[0], world.truth[found.airings["own"].notna()].sum()
        print(f"dense  {n:,} bins x {airings:,} airings: {taken:.1f} s ({spent:.1f} s of CPU), goal {goal:.0f} s "
              f"({taken / against:.0f} x least squares of distributed lags, {against * 1e3:.0f} ms)")  # fmt: skip
        print(f"dense  total of {truth:,.0f}: off by {line['incremental'] / truth - 1:+.1%} "
              f"(least squares {peer / world.truth.sum() - 1:+.1%})")  # fmt: skip


if __name__ == "__main__":
    main()
