"""The README's table is written from the kept calibration: no number is typed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from calibrate.plan import SHOWN

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "data" / "calibration"
BEGIN, END = "<!-- calibration: written by `make calibrate` -->", "<!-- calibration: end -->"


def block(table: pd.DataFrame) -> str:
    """Return the lines between the two marks, of the worlds that are shown."""
    head = "| world | prior of the lag | airings | truth | error (RMSE) | covered | caused | claimed | watched |"
    lines = [head, "| --- " * 9 + "|"]
    for world, label in SHOWN:
        part = table[(table["world"] == world) & (table["settings"] == label)]
        lines += [
            f"| {r.world} | {r.settings} | {r.n} | {r.truth:.0f} | {r.rmse:.1%} of {r.error_of} | {r.coverage:.0%} | "
            f"{r.caused:.0%} | {r.claimed:.0%} | {r.claimed_watched:.0%} |"
            for r in part.itertuples()
        ]
    return "\n".join([BEGIN, *lines, END])


def kept() -> pd.DataFrame:
    """Return the kept line of every world."""
    return pd.read_csv(KEPT / "worlds.csv", keep_default_na=False, na_values=[""])


def write() -> None:
    """Put the table into the README, between its marks."""
    place = ROOT / "README.md"
    text = place.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    place.write_text(before + block(kept()) + rest.split(END, 1)[1], encoding="utf-8")


if __name__ == "__main__":
    write()
