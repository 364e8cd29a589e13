"""Try every world on many seeds and keep how often the answer was right: `make calibrate`.

A finished row is kept in `.cache/calibrate`, in a file named by a hash of the code that made it, so that a run may be
stopped and taken up, and no row outlives a change of the model. All worlds advance together: an interrupted run has
equal seeds everywhere. At the end `data/calibration/*.csv` and the README's table are written, the goals printed,
and the exit code tells whether the floors hold.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import multiprocessing
import sys
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import attribution
from calibrate import goals, plan, readme, summary
from calibrate.rows import failed, rows, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CACHE = readme.ROOT / ".cache" / "calibrate"
FIRST = 100_000
"""First seed that is reported; what is tuned is tuned on smaller ones."""
QUICK_MINUTES, QUICK_SEEDS = 8.0, 400
PRINT_S = 15.0

Task = tuple[str, str, int]


def code_hash() -> str:
    """Return a hash of every module that a row depends on: those of analysis, worlds and this harness."""
    waiting, seen = ["attribution.analysis", "calibrate.rows"], {}
    while waiting:
        name = waiting.pop()
        home = readme.ROOT / "tests" if name.startswith("calibrate") else readme.ROOT
        path = home.joinpath(*name.split(".")).with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        seen[name] = path.read_bytes()
        for node in ast.walk(ast.parse(seen[name])):
            if isinstance(node, ast.ImportFrom):
                waiting += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
    return hashlib.sha256(b"".join(seen[name] for name in sorted(seen))).hexdigest()[:12]


def attempt(task: Task) -> list[dict]:
    """Return the rows of a task; a failure is a row that says so."""
    try:
        return rows(*task)
    except Exception as error:  # whatever goes wrong is counted against the model, not lost
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [failed(*task, f"{type(error).__name__} in {where.name}: {error}"[:160])]


def tasks(cells: list[tuple[str, str]], seeds: int, first: int, weight: dict[str, int]) -> Iterator[Task]:
    """Yield every task, seed by seed, so that all worlds advance together; a weighted world has several a round."""
    for turn in range(seeds):
        for world, label in cells:
            times = weight.get(world, 1)
            for seed in range(turn * times, min((turn + 1) * times, seeds)):
                yield world, label, first + seed


class Cache:
    """The finished rows of one version of the code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = [*table([]).columns, "done"]
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> pd.DataFrame:
        """Return the rows; one that was cut short is left out."""
        if not self.path.exists():
            return table([])
        found = pd.read_csv(self.path, keep_default_na=False, na_values=["", "nan"], on_bad_lines="skip")
        return found[found["done"] == 1].drop(columns="done")

    def append(self, found: list[dict]) -> None:
        new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(self.columns)
            writer.writerows(table(found).assign(done=1).itertuples(index=False))


def run(todo: list[Task], cache: Cache, pool: Executor, *, workers: int, minutes: float) -> None:
    """Work off the tasks in any executor, a row at a time into the cache, and say how far it is."""
    began, said, done = time.monotonic(), 0.0, 0
    end = began + minutes * 60
    left = iter(todo)
    running = {pool.submit(attempt, task) for task in islice(left, 3 * workers)}
    while running:
        ready, running = wait(running, return_when=FIRST_COMPLETED)
        for future in ready:
            cache.append(future.result())
        done += len(ready)
        now = time.monotonic()
        if now < end:
            running |= {pool.submit(attempt, task) for task in islice(left, len(ready))}
        if now - said > PRINT_S or not running:
            said = now
            rest = min((now - began) / done * (len(todo) - done), max(end - now, 0))
            print(f"{done:,} of {len(todo):,} done, {rest / 60:.1f} min left", flush=True)


def keep(found: pd.DataFrame) -> None:
    """Write the tables of data/calibration; a line whose world was not run now stays as it was."""
    date, version = datetime.now(UTC).date().isoformat(), attribution.__version__
    lines = summary.worlds(found, date=date, version=version)
    path = readme.KEPT / "worlds.csv"
    if path.exists():
        old = readme.kept()
        now = set(zip(lines["world"], lines["settings"], strict=True))
        valid = set(plan.cells())
        stays = [(w, s) in valid - now for w, s in zip(old["world"], old["settings"], strict=True)]
        lines = summary.ordered(pd.concat([lines, old[stays]], ignore_index=True)) if any(stays) else lines
    readme.KEPT.mkdir(parents=True, exist_ok=True)
    lines.to_csv(path, index=False)
    if (found["world"] == "blind").any():
        summary.blind(found, date=date, version=version).to_csv(readme.KEPT / "blind.csv", index=False)
    seeds = f"{found['seed'].min()}-{found['seed'].max()}"
    reached = goals.goals(found).assign(seeds=seeds, version=version, date=date)
    path = readme.KEPT / "goals.csv"
    if path.exists():
        reached = standing(reached, pd.read_csv(path))
    reached.to_csv(path, index=False)
    readme.write()


def standing(reached: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return the goals; one of which this run says nothing, as none of its worlds was run, stays as it was."""
    if list(reached["figure"]) != list(before["figure"]):
        return reached  # other goals, or in another order: nothing stays
    silent = (reached["n"] == 0).to_numpy()
    return pd.concat([reached[~silent], before[silent]]).sort_index()


def chosen(found: pd.DataFrame, cells: list[tuple[str, str]], first: int, seeds: int | None) -> pd.DataFrame:
    """Return the rows of some cells and seeds; what is reported is everything there is, whatever was run last."""
    here = pd.MultiIndex.from_frame(found[["world", "settings"]]).isin(cells)
    last = np.inf if seeds is None else first + seeds
    return found[here & (found["seed"] >= first) & (found["seed"] < last)]


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make calibrate", description="Try every world on many seeds")
    parser.add_argument("--worlds", default="", help="names, by commas; all when empty")
    parser.add_argument("--seeds", type=int, default=1000, help="seeds a world")
    parser.add_argument("--first", type=int, default=FIRST, help="first seed; below 100000 nothing is kept")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; run again to go on")
    parser.add_argument("--quick", action="store_true", help="the floors alone, at most 10 minutes, nothing is kept")
    parser.add_argument("--report", action="store_true", help="no new rows: tables and goals from those there are")
    given = parser.parse_args()
    if given.workers < 1 or given.seeds < 1:
        parser.error(f"--workers is {given.workers} and --seeds {given.seeds}; choose 1 or more of each")
    return given


def main() -> int:
    given = asked()
    names = tuple(name for name in given.worlds.split(",") if name)
    cells = plan.quick_cells() if given.quick else plan.cells(names)
    seeds, minutes = given.seeds, given.minutes
    if given.quick:
        seeds, minutes = min(seeds, QUICK_SEEDS), min(minutes, QUICK_MINUTES)
    cache = Cache(CACHE / f"{code_hash()}.csv")
    wanted = list(tasks(cells, seeds, given.first, plan.QUICK if given.quick else {}))
    there = cache.read()
    have = set(zip(there["world"], there["settings"], there["seed"], strict=True))
    todo = [] if given.report else [task for task in wanted if task not in have]
    print(
        f"{len(wanted):,} analyses in {len(cells)} cells, {len(wanted) - len(todo):,} kept or left; {cache.path.name}"
    )
    if todo:
        with ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            run(todo, cache, pool, workers=given.workers, minutes=minutes)
    reported = given.first >= FIRST and not given.quick
    found = chosen(cache.read(), plan.cells() if reported else cells, given.first, None if reported else seeds)
    if found.empty:
        print("no rows yet: run without --report")
        return 1
    if reported:
        keep(found)
    with pd.option_context("display.width", 200, "display.max_colwidth", 70, "display.max_rows", None):
        if not given.quick:
            print(goals.goals(found).to_string(index=False))
        held = goals.floors(found)
        print("\nFloors", held.to_string(index=False), sep="\n")
    for what, part in found[found["verdict"].str.startswith("failed")].groupby("verdict"):
        print(f"{len(part)} x {what}, e.g. {part['world'].iloc[0]} seed {part['seed'].iloc[0]}")
    return int((held["met"] == "no").any())


if __name__ == "__main__":
    sys.exit(main())
