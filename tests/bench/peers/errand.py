"""From the files to an answer: the same three files, a whole script each, timed from the start of its interpreter.

``python -m peers.errand`` writes conversions, spots and posts of a simulated event as CSV, with and without an effect
of the spot under the same surge, lets every script of ``errands`` answer in an environment that has its package, and
writes the README's table: seconds (the best of three), statements a user writes, and what is said of both events.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from . import arena, rooms
from .__main__ import ENVIRONMENTS, README, ROOT
from .guests import GUESTS

SCRIPTS = Path(__file__).parent / "errands"
EVENTS = ("surge", "surge without ad")
TIMES = 3
ERRANDS = {
    "ours": ("ours", ""),
    "bsts-causalimpact": ("causalimpact", GUESTS["bsts-causalimpact"].package),
    "spotlift": ("spotlift", GUESTS["spotlift"].package),
    "a vendor's t-test, 5 against 10 min": ("t_test", ""),
}
"""Name -> its script, and the package it needs beside what this project has."""
BEGIN, END = "<!-- errand: written by `make bench-peers` -->\n", "<!-- errand: end -->"


class Errand(NamedTuple):
    """What one script took, and what it said of each event."""

    name: str
    seconds: float
    statements: int
    said: dict[str, str]


def written(event: str, folder: Path) -> float:
    """Write the three files of an event; return what the spot really added in the window."""
    made = arena.world(event, arena.FIRST_SEED)
    made.counts.to_frame().to_csv(folder / "conversions.csv", index=False)
    made.airings.to_csv(folder / "spots.csv", index=False)
    made.social.to_csv(folder / "posts.csv", index=False)
    return arena.truth(made)[0]


def statements(script: Path) -> int:
    """Count the statements of a script beyond its imports and its words."""
    body = ast.parse(script.read_text(encoding="utf-8")).body[1:]
    return sum(not isinstance(step, ast.Import | ast.ImportFrom) for step in body)


def ran(python: Path, script: Path, folder: Path) -> tuple[float, str]:
    """Return the seconds a script took, its start included, and the line it printed."""
    begun = time.perf_counter()
    done = subprocess.run([python, script, folder], capture_output=True, text=True, cwd=ROOT, check=False)
    spent = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"{script.name} failed: {done.stderr.strip().splitlines()[-1]}")
    return spent, done.stdout.strip().splitlines()[-1]


def told(line: str) -> str:
    """Write a script's line in words: its claim, its amount, its interval where it has one."""
    if line.startswith("- "):
        return f"{float(line[2:]):+,.0f}, no interval, no test"
    word, amount, low, high = line.rsplit(maxsplit=3)
    return f"{word}: {float(amount):+,.0f} ({float(low):+,.0f} to {float(high):+,.0f})"


def table(found: list[Errand], truths: dict[str, float]) -> str:
    """Write the table of the README."""
    heads = [f"said where the truth is {truth:+,.0f}" for truth in truths.values()]
    rows = [["", "seconds from files to answer", "statements to write", *heads]]
    rows += [[e.name, f"{e.seconds:.1f}", str(e.statements), *e.said.values()] for e in found]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def main() -> None:
    """Run every errand and write the table into the README."""
    found: list[Errand] = []
    with tempfile.TemporaryDirectory() as name:
        folders = {event: Path(name) / event.replace(" ", "-") for event in EVENTS}
        for folder in folders.values():
            folder.mkdir()
        truths = {event: written(event, folder) for event, folder in folders.items()}
        for who, (script, package) in ERRANDS.items():
            room = rooms.furnish(package, ENVIRONMENTS) if package else rooms.Room(Path(sys.executable))
            if room.refusal:
                print(f"{who} cannot be installed: {room.refusal}")
                continue
            runs = {
                event: [ran(room.python, SCRIPTS / f"by_{script}.py", f) for _ in range(TIMES)]
                for event, f in folders.items()
            }
            seconds = min(spent for tries in runs.values() for spent, _ in tries)
            said = {event: told(tries[0][1]) for event, tries in runs.items()}
            found.append(Errand(who, seconds, statements(SCRIPTS / f"by_{script}.py"), said))
    shown = table(found, truths)
    print(shown)
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    README.write_text(f"{before}{BEGIN}\n{shown}\n\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
