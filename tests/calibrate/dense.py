"""How often a dense schedule is answered rightly; kept in data/calibration/dense.csv.

Run by ``make calibrate-dense``; SEEDS=n in the environment chooses how many worlds a cell gets, SHIFTS=n
how many placebo schedules a world gets, CELLS=a,b which cells. Every
world is written to a file as it is done, so a run that was stopped goes on where it was. The seeds are other than those
the model was tuned on (below 10,000).
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
import schedules as worlds

import attribution as at
from attribution.model.dense import fit_dense

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "data" / "calibration" / "dense.csv"
RUNS = ROOT / "build" / "dense_runs.csv"
REAL = ROOT.parent / "shared" / "data"
FIRST = 70_000
SEEDS = int(os.environ.get("SEEDS", "40"))
SHIFTS = int(os.environ.get("SHIFTS", "60"))
CELLS = {
    "simulated, no effect": {},
    "simulated, lift 1": {"lift": 1.0},
    "simulated, lift 1, 30% in minutes 4-15": {"lift": 1.0, "tail": 0.3},
    "simulated, lift 0.5": {"lift": 0.5},
    "gdq donations, no effect": {"real": "gdq"},
    "gdq donations, lift 2 injected": {"real": "gdq", "lift": 2.0},
    "wc98 requests, no effect": {"real": "wc98"},
    "wc98 requests, lift 1 injected": {"real": "wc98", "lift": 1.0},
}


def borrowed(seed: int, *, real: str, lift: float = 0.0, airings: int = 300) -> worlds.World:
    """A week of real minutes under a fake schedule, with responses added where lift > 0."""
    rng = np.random.default_rng([seed, 78])
    y = donations(rng) if real == "gdq" else requests(rng)
    plan = worlds.schedule(rng, len(y), airings)
    mass = worlds.kernel(rng, rng.uniform(0, 0.3))
    truth = worlds.amplitudes(rng, plan, lift * np.nanmean(y)) if lift else np.zeros(airings)
    return worlds.World(y + rng.poisson(worlds.add(len(y), plan, truth, mass)), plan, truth, mass)


def donations(rng: np.random.Generator) -> np.ndarray:
    """Donors a minute of one of the marathons; NaN at resets and gaps."""
    files = sorted((REAL / "gdq_donations_per_minute").glob("?gdq*.csv.gz"))
    frame = pd.read_csv(files[rng.integers(len(files))], parse_dates=["time"])
    series = frame.drop_duplicates("time").set_index("time")["donors_cum"].resample("1min").first()
    y = series.diff().to_numpy(float)
    return np.where(y >= 0, y, np.nan)


def requests(rng: np.random.Generator) -> np.ndarray:
    """Requests a minute of a week, from any midnight on."""
    frame = pd.read_csv(REAL / "wc98_per_minute" / "requests_per_minute.csv.gz", parse_dates=["minute_utc"])
    y = frame.set_index("minute_utc")["count"].resample("1min").sum(min_count=1).to_numpy(float)
    first = 1440 * rng.integers(len(y) // 1440 - 8)
    return y[first : first + 7 * 1440]


def one(cell: str, seed: int) -> dict[str, float | str]:
    """Fit one world and compare with its truth."""
    options = CELLS[cell]
    world = borrowed(seed, **options) if "real" in options else worlds.simulate(seed, **options)
    n = len(world.y)
    start = worlds.START.value / 1e9 + 60.0 * np.arange(n)
    begun = time.process_time()
    found = fit_dense(start, np.full(n, 60.0), world.y, np.ones(n), world.airings, at.Settings(), shifts=SHIFTS)
    taken = time.process_time() - begun
    lines = found.airings
    known = lines["incremental"].notna().to_numpy()
    truth = np.where(known, world.truth, 0.0)
    total, groups = found.groups.iloc[0], found.groups.iloc[1:]
    groups = groups[groups["dimension"].isin(["creative", "network"])]
    sums = [
        truth[(world.airings[d] == c).to_numpy()].sum()
        for d, c in zip(groups["dimension"], groups["category"], strict=True)
    ]
    claimed = (lines["p"] <= 0.05) & (lines["own"] > 1.96 * lines["own_sd"])
    return {
        "cell": cell,
        "seed": seed,
        "truth": truth.sum(),
        "estimate": total["incremental"],
        "sd": (total["upper"] - total["lower"]) / 3.92,
        "covered": float(total["lower"] <= truth.sum() <= total["upper"]),
        "claimed": float(total["p"] <= 0.05 and not total["lower"] <= 0 <= total["upper"]),
        "inflation": found.inflation,
        "groups_covered": float(np.mean((groups["lower"] <= sums) & (sums <= groups["upper"]))),
        "groups_claimed": float(np.mean((groups["p"] <= 0.05) & ~groups["lower"].le(0))),
        "singles_covered": float(((lines["lower"] <= world.truth) & (world.truth <= lines["upper"]))[known].mean()),
        "singles_claimed": float(claimed[known].mean()),
        "level": float(np.nanmean(world.y)),
        "tail_error": found.tail[0] - float(world.mass[64:].sum()),
        "seconds": taken,
        "shifts": SHIFTS,
    }


def summary(cell: str, rows: pd.DataFrame) -> dict[str, object]:
    """One line of the kept table; errors in shares of the truth, or of the schedule's minutes of level without one."""
    error = rows["estimate"] - rows["truth"]
    scale = rows["truth"] if rows["truth"].abs().max() > 0 else 300 * rows["level"]
    return {
        "cell": cell,
        "worlds": len(rows),
        "bias": round((error / scale).mean(), 4),
        "bias_se": round((error / scale).std() / len(rows) ** 0.5, 4),
        "rmse": round(((error / scale) ** 2).mean() ** 0.5, 4),
        "covered": round(rows["covered"].mean(), 3),
        "claimed": round(rows["claimed"].mean(), 3),
        "groups_covered": round(rows["groups_covered"].mean(), 3),
        "groups_claimed": round(rows["groups_claimed"].mean(), 3),
        "singles_covered": round(rows["singles_covered"].mean(), 3),
        "singles_claimed": round(rows["singles_claimed"].mean(), 4),
        "inflation": round(rows["inflation"].mean(), 2),
        "tail_error": round(rows["tail_error"].mean(), 3),
        "cpu_s": round(rows["seconds"].median(), 2),
        "shifts": f"{int(rows['shifts'].min())}-{int(rows['shifts'].max())}",
        "seeds": f"{int(rows['seed'].min())}-{int(rows['seed'].max())}",
        "version": at.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> None:
    """Run what is missing, keep and print the table."""
    chosen = [c for c in CELLS if not os.environ.get("CELLS") or any(w in c for w in os.environ["CELLS"].split(","))]
    if not REAL.exists():
        chosen = [c for c in chosen if "real" not in CELLS[c]]
    RUNS.parent.mkdir(exist_ok=True)
    done = pd.read_csv(RUNS) if RUNS.exists() else pd.DataFrame(columns=["cell", "seed"])
    have = set(zip(done["cell"], done["seed"], strict=True))
    todo = [(c, s) for s in range(FIRST, FIRST + SEEDS) for c in chosen if (c, s) not in have]
    begun = time.time()
    for number, (cell, seed) in enumerate(todo, 1):
        row = pd.DataFrame([one(cell, seed)])
        row.to_csv(RUNS, mode="a", header=not RUNS.exists(), index=False)
        left = (time.time() - begun) / number * (len(todo) - number)
        print(f"\r{number}/{len(todo)} {cell}, seed {seed}; {left / 60:.0f} min left   ", end="", file=sys.stderr)
    done = pd.read_csv(RUNS)
    table = pd.DataFrame([summary(c, done[done["cell"] == c]) for c in CELLS if (done["cell"] == c).any()])
    table.to_csv(KEPT, index=False)
    print("\n" + table.drop(columns=["seeds", "version", "date"]).to_string(index=False))


if __name__ == "__main__":
    main()
