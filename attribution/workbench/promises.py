"""What was promised and what has become of it; in sentences, what fell short."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import pandas as pd
from scipy.special import bdtr, bdtrc

DASH = "—"
FALSE, COVERED, TOTAL = "<= 5%", ">= 93% and <= 97%", "<= 2%"
"""What is promised of real series and dense schedules: claims without an ad, intervals, the bias of a total."""
LEVEL = 0.01
"""A share breaks its promise when a binomial test rejects it at this level; until then it may lie outside so far."""
STATES = {
    "yes": ("● met", "good"),
    "no": ("▲ not met", "bad"),
    "outside": ("△ outside so far", "bad"),
    "open": ("○ open", "muted"),
    "not measured": (f"{DASH} not measured", "muted"),
}
"""What has become of a goal: its mark with words, and its colour."""


class Goal(NamedTuple):
    """A goal as it is written in ``goals.csv``: ``>= 93% and <= 97%``, ``<= 1.15 x``.

    Examples
    --------
    >>> goal = Goal.read(">= 93% and <= 97%")
    >>> goal.holds(0.95), goal.holds(0.92), goal.said(0.92), str(goal)
    (True, False, '92.0%', '93% to 97%')
    >>> str(Goal.read("<= 1.15 x")), Goal.read("<= 1.15 x").said(1.931)
    ('≤ 1.15×', '1.93×')
    """

    least: float
    most: float
    unit: str

    @classmethod
    def read(cls, text: str) -> Goal:
        """Read a goal; ValueError where it is not written as one."""
        parts = re.findall(r"(<=|>=)\s*([\d.]+)\s*(%|x|)", text)
        if not parts:
            raise ValueError(f"goal is {text!r}; write it like '<= 5%' or '>= 93% and <= 97%'")
        unit = parts[0][2]
        ends = {sign: float(size) / (100 if unit == "%" else 1) for sign, size, _ in parts}
        return cls(ends.get(">=", -math.inf), ends.get("<=", math.inf), unit)

    def holds(self, value: float) -> bool:
        """Say whether a value lies inside; the unknown lies nowhere."""
        return self.least <= value <= self.most

    def state(self, share: float, n: int) -> str:
        """Say what a share of ``n`` trials makes of this goal: a key of :data:`STATES`, never ``yes``.

        A range that so few trials cannot hit holds the two shares beside it.

        Examples
        --------
        >>> goal = Goal.read(">= 93% and <= 97%")
        >>> goal.state(1.0, 12), goal.state(0.75, 12), goal.state(0.5, 12), goal.state(float("nan"), 12)
        ('open', 'outside', 'no', 'not measured')
        """
        if pd.isna(share):
            return "not measured"
        k = round(share * n)
        low, high = math.ceil(self.least * n) if self.least > 0 else 0, math.floor(min(self.most, 1.0) * n)
        if self.holds(share) or (low > high and high <= k <= low):
            return "open"
        above, below = bdtrc(k - 1, n, min(self.most, 1.0)) if k else 1.0, bdtr(k, n, max(self.least, 0.0))
        return "no" if min(above, below) < LEVEL else "outside"

    def said(self, value: float) -> str:
        """Write a value in the unit of the goal."""
        if pd.isna(value):
            return DASH
        return percent(value) if self.unit == "%" else f"{value:.3g}{'×' if self.unit == 'x' else ''}"

    def __str__(self) -> str:
        """Write the goal itself."""
        unit = "×" if self.unit == "x" else self.unit
        ends = [f"{value * (100 if unit == '%' else 1):.4g}{unit}" for value in (self.least, self.most)]
        if self.least == -math.inf:
            return f"≤ {ends[1]}"
        return f"≥ {ends[0]}" if self.most == math.inf else " to ".join(ends)


def percent(share: float, sign: str = "") -> str:
    """Write a share; a dash where it is unknown.

    Examples
    --------
    >>> percent(0.9204), percent(-0.0286, "+"), percent(float("nan")), percent(0.0), percent(1.0)
    ('92.0%', '−2.9%', '—', '0%', '100%')
    """
    if pd.isna(share):
        return DASH
    return (f"{share:{sign}.0%}" if share in {0, 1} else f"{share:{sign}.1%}").replace("-", "−")


def number(value: float, form: str = ",.0f", unit: str = "") -> str:
    """Write a number with its unit; a dash where it is unknown."""
    return DASH if pd.isna(value) else f"{value:{form}}{unit}".replace("-", "−")


def states(goals: pd.DataFrame) -> pd.Series:
    """Return the key of :data:`STATES` for every goal: an open one may lie outside its goal so far."""
    inside = [Goal.read(goal).holds(value) for goal, value in zip(goals["goal"], goals["measured"], strict=True)]
    return goals["met"].where((goals["met"] != "open") | pd.Series(inside, index=goals.index), "outside")


def tally(goals: pd.DataFrame) -> str:
    """Count the goals by what has become of them, in one sentence.

    Examples
    --------
    >>> tally(pd.DataFrame({"goal": ["<= 5%"] * 2, "measured": [0.01, 0.2], "met": ["yes", "no"]}))
    'Of 2 goals set before the runs 1 is met and 1 is not.'
    """
    count = states(goals).value_counts().reindex(list(STATES), fill_value=0)
    are = {name: f"{n} {'is' if n == 1 else 'are'}" for name, n in count.items()}
    still = int(count["open"] + count["outside"])
    words = f"Of {len(goals)} goals set before the runs {are['yes']} met and {are['no']} not"
    if still:
        words += f"; {still} {'is' if still == 1 else 'are'} open, for the events are too few to say"
        words += f", {count['outside']} of them outside so far" * bool(count["outside"])
    return words + f"; {count['not measured']} not measured" * bool(count["not measured"]) + "."


def short_of(tables: dict[str, pd.DataFrame | None]) -> dict[str, list[str]]:
    """Say in sentences what fell short of its promise.

    Parameters
    ----------
    tables
        Kept tables by name: ``goals``, ``real``, ``published``, ``dense``; None where there is none.

    Returns
    -------
    dict
        Heading -> sentences; a heading without any is left out.
    """
    goals, real, published, dense = (tables.get(name) for name in ("goals", "real", "published", "dense"))
    found: dict[str, list[str]] = {}
    if goals is not None:
        state = states(goals)
        for name, heading in (("no", "Goals that are not met"), ("outside", "Goals outside so far: too few to say")):
            found[heading] = [_missed(row) for row in goals[state == name].to_dict("records")]
    if real is not None:
        fakes = real[real["added"] == 0].to_dict("records")
        found["Real series, at moments without an ad"] = [line for row in fakes for line in _real(row)]
    if published is not None:
        missed = published[~published["agrees"].astype(bool)]["table"]
        found["Published answers"] = [f"{name}: ours does not agree." for name in missed]
    if dense is not None:
        found["Dense schedules"] = [line for row in dense.to_dict("records") for line in _dense(row)]
    return {name: sentences for name, sentences in found.items() if sentences}


def _missed(row: dict) -> str:
    goal = Goal.read(row["goal"])
    where = row["where"].replace("_", " ")
    return f"{row['figure']}, {where}: {goal.said(row['measured'])} in {number(row['n'])} events; promised {goal}."


def _share(where: str, share: float, n: int, goal: str) -> list[str]:
    """Say that a share of n breaks its promise, or lies outside it so far; nothing where it does neither."""
    state = Goal.read(goal).state(share, n)
    far = ", in too few to say" * (state == "outside")
    said = f"{where} {percent(share)} of {n}{far}; promised {Goal.read(goal)}."
    return [said] if state in {"no", "outside"} else []


def _real(row: dict) -> list[str]:
    when = {"claimed": "at the end", "claimed_watched": "watched"}
    return [
        line
        for name, words in when.items()
        for line in _share(f"{row['group']}, claimed {words}:", row[name], row["moments"], FALSE)
    ]


def _dense(row: dict) -> list[str]:
    """Say where the totals of one kind of schedule fall short."""
    lines = _share(f"{row['cell']}, total covered:", row["covered"], row["worlds"], COVERED)
    if "no effect" in row["cell"]:
        return lines + _share(f"{row['cell']}, total claimed:", row["claimed"], row["worlds"], FALSE)
    goal = Goal.read(TOTAL)
    if not goal.holds(abs(row["bias"])):
        size = f"{percent(row['bias'], '+')} ± {percent(row['bias_se'])}"
        lines.append(f"{row['cell']}, bias of the total: {size} in {row['worlds']} weeks; promised {goal}.")
    return lines
