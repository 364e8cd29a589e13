"""What is said of a method: bias, error, coverage, claims, time and memory, one row a world and method."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "world": "name of the world",
    "method": "name of the method",
    "package": "what was installed, or ours",
    "version": "its version",
    "answers": "worlds answered",
    "failed": "worlds in which it raised an error; they count in no other column",
    "truth": "mean conversions that the ad added in the window",
    "bias": "mean error, as a share of the truth where there is an effect, else of the counterfactual",
    "rmse": "root of the mean squared error, the same share",
    "coverage": "share of the 95% intervals that hold the truth; empty where the method gives none",
    "claimed": "share of worlds in which it says there is an effect; empty where it cannot say",
    "caused": "share in which it says `caused`, a word only ours has",
    "cpu_s": "median CPU seconds of an answer",
    "peak_mb": "peak memory of its process",
    "seeds": "first and last",
    "events": "digest of the first event of its kind: rows with another one rest on other events",
    "date": "of the run",
    "note": "why there is nothing to show",
}


def scored(answers: pd.DataFrame) -> dict[str, object]:
    """Score the answers of one method to one world; the rows hold Answer, truth, counterfactual, cost and failure."""
    known = answers[answers["failure"] == ""]
    row: dict[str, object] = {"answers": len(known), "failed": len(answers) - len(known)}
    if known.empty:
        return row | {"note": f"failed: {answers['failure'].iloc[0]}"}
    truth = known["truth"].mean()
    error = (known["estimate"] - known["truth"]).to_numpy(float)
    effect = truth >= 0.1 * known["counterfactual"].mean()
    scale = truth if effect else known["counterfactual"].mean()
    bounded = known.dropna(subset=["lower", "upper"])
    covered = (bounded["lower"] <= bounded["truth"]) & (bounded["truth"] <= bounded["upper"])
    return row | {
        "truth": round(float(truth), 1),
        "bias": round(float(error.mean() / scale), 4),
        "rmse": round(float(np.sqrt((error**2).mean()) / scale), 4),
        "coverage": _share(covered),
        "claimed": _share(known["claimed"].dropna()),
        "caused": _share(known["caused"].dropna()),
        "cpu_s": float(f"{known['cpu_s'].median():.2g}"),
        "peak_mb": round(float(known["peak_mb"].max())),
        "note": "",
    }


def _share(said: pd.Series) -> float:
    return round(float(said.astype(bool).mean()), 4) if len(said) else float("nan")


def keep(rows: list[dict[str, object]], path: Path, *, worlds: list[str], methods: list[str]) -> pd.DataFrame:
    """Put the rows into the kept table and return it, in the order of the given worlds and methods.

    A row takes the place of an older one of the same world and method, unless that one rests on more events: a quick
    look does not undo a long run. What was measured on other events than the new rows of its world is dropped.
    """
    new = pd.DataFrame(rows).reindex(columns=list(COLUMNS)).assign(date=datetime.now(UTC).date().isoformat())
    table = pd.concat([read(path), new]) if path.exists() else new
    now = dict(zip(new["world"], new["events"], strict=True))
    table = table[table["events"] == table["world"].map(now).fillna(table["events"])]
    table = table.assign(tried=table["answers"].fillna(0) + table["failed"].fillna(0), age=range(len(table))[::-1])
    table = table.sort_values(["tried", "age"], ascending=[False, True]).drop_duplicates(["world", "method"])
    place = {"world": worlds, "method": methods}
    table = table.sort_values(["world", "method"], key=lambda names: names.map(place[str(names.name)].index))
    table = table[list(COLUMNS)].reset_index(drop=True)
    beside = path.with_suffix(".part")
    table.to_csv(beside, index=False)
    beside.replace(path)
    return table


def read(path: Path) -> pd.DataFrame:
    """Read the kept table; the names and notes are words, also where they are empty."""
    words = ["world", "method", "package", "version", "seeds", "events", "date", "note"]
    table = pd.read_csv(path, dtype=dict.fromkeys(words, str))
    return table.assign(**{name: table[name].fillna("") for name in words})


BEGIN, END = "<!-- peers: written by `make bench-peers` -->", "<!-- peers: end -->"
HEAD = (
    "method",
    "events",
    "bias, surge",
    "error (RMSE), surge",
    "covered, surge",
    "found, surge",
    "false claims, surge",
    "false claims, break",
    "error (RMSE), clean",
    "CPU, memory",
)


def shown(text: str, table: pd.DataFrame) -> str:
    """Return a text with the table put between its marks, a method a row and the worlds side by side."""
    before, rest = text.split(BEGIN)
    lines = [f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|"]
    lines += [f"| {' | '.join(cells(rows))} |" for _, rows in table.groupby("method", sort=False)]
    return "\n".join([before + BEGIN, "", *lines, "", END]) + rest.split(END)[1]


def cells(rows: pd.DataFrame) -> list[str]:
    """Return a method's row of the README: its name, what it got right and wrong, and what it cost."""
    by = rows.set_index("world")
    first = by.iloc[0]
    name = str(first["method"])
    if first["note"]:
        return [f"{name}: {first['note']}", *[""] * (len(HEAD) - 1)]
    surge, none, pause, clean = (by.loc[world] for world in ("surge", "surge without ad", "break without ad", "clean"))
    shares = [percent(surge[column]) for column in ("rmse", "coverage", "claimed")]
    shares += [percent(none["claimed"]), percent(pause["claimed"]), percent(clean["rmse"])]
    cost = f"{seconds(by['cpu_s'].max())} s, {by['peak_mb'].max():.0f} MB"
    return [name, f"{by['answers'].sum():.0f}", percent(surge["bias"], sign=True), *shares, cost]


def seconds(spent: float) -> str:
    """Write a duration with one digit, or whole from ten on."""
    return f"{spent:.0f}" if spent >= 9.5 else f"{spent:.1g}"


def percent(share: float, *, sign: bool = False) -> str:
    """Write a share in whole percent; a dash where it is unknown."""
    return "–" if np.isnan(share) else f"{share:{'+' if sign else ''}.0%}".replace("-", "−")
