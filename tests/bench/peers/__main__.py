"""Run every method over every world and print them side by side: ``make bench-peers``.

In the environment: ``SEEDS`` worlds of each kind (40), ``ONLY`` a comma-separated choice of methods, ``SLOW=1`` the
slow ones too. Answers are kept in ``.cache/peers`` and are not asked for twice as long as the world and whoever answers
are the same, so that a run may be broken off; the table goes to ``data/calibration/peers.csv`` and into the README.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from . import arena, rooms, score
from .guests import GUESTS
from .rivals import RIVALS

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = ROOT / ".venv-peers"
CACHE = ROOT / ".cache" / "peers" / "answers.jsonl"
README = ROOT / "README.md"
KEPT = ROOT / "data" / "calibration" / "peers.csv"
METHODS = ["ours", *GUESTS, *RIVALS]


class Job(NamedTuple):
    """One world: where its sample lies, what it is made from, and its truth."""

    file: str
    world: str
    seed: int
    digest: str
    truth: float
    counterfactual: float


def mark(method: str) -> str:
    """Return a digest of whoever answers: of the code that does (its words apart), and of the package it names."""
    found = hashlib.sha256(method.encode())
    here = Path(__file__).parent
    own = [here / "samples.py", here / "guests.py"] if method in GUESTS else [here / "samples.py", here / "rivals.py"]
    if method == "ours":
        own += sorted((ROOT / "attribution").rglob("*.py"))
    for path in own:
        found.update(ast.dump(_wordless(ast.parse(path.read_bytes()))).encode())
    return found.hexdigest()[:12]


def _wordless(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a module: what they say changes no answer."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def remembered() -> dict[tuple[str, str, str], dict]:
    """Return the answers of earlier runs, by digest of the world, method and its mark."""
    if not CACHE.exists():
        return {}
    kept = [json.loads(line) for line in CACHE.read_text(encoding="utf-8").splitlines()]
    return {(row["digest"], row["method"], row["mark"]): row for row in kept}


def prepare(world: str, seeds: range, folder: Path) -> list[Job]:
    """Make the worlds and write what a method may see of each."""
    jobs = []
    for seed in seeds:
        made = arena.world(world, seed)
        seen = arena.sample(made)
        path = folder / f"{seed}.npz"
        seen.save(path)
        jobs.append(Job(str(path), world, seed, arena.digest(seen), *arena.truth(made)))
    return jobs


def ask(method: str, python: Path, jobs: list[Job]) -> list[dict]:
    """Let a child process answer the jobs; each answer is kept as it comes."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])])}
    env |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = [str(python), "-m", "peers.runner", method]
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    told: list[dict] = []
    signed = mark(method)
    began = time.monotonic()
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as asked,
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaint,
        CACHE.open("a", encoding="utf-8") as cache,
    ):
        asked.writelines(json.dumps({"file": job.file, "world": job.world, "seed": job.seed}) + "\n" for job in jobs)
        asked.seek(0)
        with subprocess.Popen(
            command, stdin=asked, stdout=subprocess.PIPE, stderr=complaint, text=True, env=env
        ) as child:
            for job, line in zip(jobs, child.stdout or (), strict=False):
                row = json.loads(line) | {"method": method, "mark": signed, "digest": job.digest}
                told.append(row)
                cache.write(json.dumps(row) + "\n")
                left = (time.monotonic() - began) / len(told) * (len(jobs) - len(told))
                print(f"\r{job.world}: {method} {len(told)}/{len(jobs)}, {left:.0f} s left   ", end="", file=sys.stderr)
        complaint.seek(0)
        words = complaint.read().strip().splitlines()
    why = f"the process ended: {words[-1] if words else child.returncode}"[:200]
    lost = {"estimate": float("nan"), "failure": why, "version": "", "cpu_s": float("nan"), "peak_mb": float("nan")}
    return told + [lost | {"lower": None, "upper": None, "claimed": None, "caused": None}] * (len(jobs) - len(told))


def answers(method: str, python: Path, jobs: list[Job]) -> pd.DataFrame:
    """Return one answer a job: a remembered one where there is one."""
    known, sign = remembered(), mark(method)
    missing = [job for job in jobs if (job.digest, method, sign) not in known]
    fresh = {job.digest: row for job, row in zip(missing, ask(method, python, missing), strict=True)} if missing else {}
    rows = [fresh.get(job.digest) or known[job.digest, method, sign] for job in jobs]
    table = pd.DataFrame(rows).assign(truth=[j.truth for j in jobs], counterfactual=[j.counterfactual for j in jobs])
    return table.astype({"lower": float, "upper": float, "estimate": float})


def row(world: str, method: str, jobs: list[Job]) -> dict[str, object]:
    """Score one method in one world."""
    package = GUESTS[method].package if method in GUESTS else "this project"
    seeds = f"{jobs[0].seed}-{jobs[-1].seed}"
    head = {
        "world": world,
        "method": method,
        "package": package.split("==")[0],
        "seeds": seeds,
        "events": jobs[0].digest,
    }
    room = rooms.furnish(package, ENVIRONMENTS) if method in GUESTS else rooms.Room(Path(sys.executable))
    if room.refusal:
        return head | {"version": package.split()[0].split("==")[-1], "note": f"not installable: {room.refusal}"}
    table = answers(method, room.python, jobs)
    return head | {"version": table["version"].max()} | score.scored(table)


def main() -> None:
    """Run, print and keep."""
    only = [name.strip() for name in os.environ.get("ONLY", "").split(",") if name.strip()]
    if unknown := sorted(set(only) - set(METHODS)):
        raise SystemExit(f"ONLY names {unknown}; choose from {METHODS}")
    slow = os.environ.get("SLOW", "0") not in {"", "0"}
    chosen = only or [name for name in METHODS if slow or name not in GUESTS or not GUESTS[name].slow]
    seeds = range(arena.FIRST_SEED, arena.FIRST_SEED + int(os.environ.get("SEEDS") or 40))
    rows = []
    for world in arena.WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            jobs = prepare(world, seeds, Path(folder))
            rows += [row(world, method, jobs) for method in chosen]
    kept = score.keep(rows, KEPT, worlds=list(arena.WORLDS), methods=METHODS)
    print(file=sys.stderr)
    shown = pd.DataFrame(rows).reindex(columns=list(score.COLUMNS))
    shown["version"] = shown["package"].where(shown["package"] == "this project", "") + " " + shown["version"]
    print(shown.drop(columns=["package", "date"]).to_string(index=False, na_rep="–"))
    README.write_text(score.shown(README.read_text(encoding="utf-8"), kept), encoding="utf-8")
    print(f"\nkept in {KEPT.relative_to(ROOT)} and shown in {README.name}")


if __name__ == "__main__":
    main()
