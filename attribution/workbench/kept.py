"""The kept calibration as HTML: pure functions of the tables in ``data/calibration``, no number of their own."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from attribution.figures import html_table
from attribution.workbench.promises import COVERED, FALSE, STATES, Goal, number, percent, states

if TYPE_CHECKING:
    from pathlib import Path

WORDS = (
    *("figure", "where", "goal", "met", "world", "settings", "error_of", "nuisance", "range", "group", "table"),
    *("verdict", "cell", "seeds", "seed", "version", "date", "plant", "quantity"),
)
"""Columns that hold words, also where they are empty or look like numbers."""
FOILS = ("brief engine", "plug-in mSPRT")
"""Settings under which a method runs that must fail: it shows that these worlds find a wrong answer."""
VIEWS = {"effect": "An effect to find", "null": "No effect to find", "foils": "Methods that must fail"}
"""The worlds in three parts, and what each is called."""


def read(path: Path) -> pd.DataFrame | None:
    """Read a kept table; None where there is none."""
    if not path.exists():
        return None
    table = pd.read_csv(path, dtype=dict.fromkeys(WORDS, str))
    return table.assign(**{name: table[name].fillna("") for name in WORDS if name in table})


def marked(share: float, n: int, goal: str, *, held: bool = True) -> str:
    """Write a share of n; ▲ where it breaks its goal, △ where it lies outside so far. ``held``: whether it has one."""
    sign = {"no": "▲", "outside": "△"}.get(Goal.read(goal).state(share, n)) if held else None
    return f'<b class="bad">{sign} {percent(share)}</b>' if sign else percent(share)


def named(name: str, *small: str) -> str:
    """Write the first cell of a row: a name, and below it in small what belongs to it."""
    below = ", ".join(part for part in small if part)
    return f"{escape(name)}<small>{escape(below)}</small>"


def foot(table: pd.DataFrame) -> str:
    """Say with which seeds and version a table was made."""
    seeds = ", ".join(sorted(set(table.get("seeds", table.get("seed", pd.Series(dtype=str))))))
    return f'<p class="from">seeds {escape(seeds)} · version {escape(", ".join(sorted(set(table["version"]))))}</p>'


def goals_html(goals: pd.DataFrame) -> str:
    """Write every goal with what was measured, in the order of the plan."""
    rows = []
    for row, state in zip(goals.to_dict("records"), states(goals), strict=True):
        goal, (words, colour) = Goal.read(row["goal"]), STATES[state]
        rows.append(
            (
                named(row["figure"], row["where"].replace("_", " "), f"{number(row['n'])} events"),
                escape(str(goal)),
                goal.said(row["measured"]),
                f'<span class="{colour}">{words}</span>',
            )
        )
    return html_table(("Figure", "Promised", "Measured", "State"), rows) + foot(goals)


def worlds_html(worlds: pd.DataFrame, view: str) -> str:
    """Write one part of the simulated worlds; ``view`` is a key of :data:`VIEWS`."""
    foils = worlds["settings"].isin(FOILS)
    nothing = worlds["truth"] == 0
    chosen = worlds[{"effect": ~foils & ~nothing, "null": ~foils & nothing, "foils": foils}[view]]
    if chosen.empty:
        return f'<p class="lead muted">{VIEWS[view]}: none of these worlds has been run yet.</p>'
    shared = ("Covered (95%)", "“Caused”", "Any claim", "Any claim, watched", "“Not separable”")
    if view == "effect":
        heads = ("World", "Truth", "Bias", "Error (RMSE)", "Of the oracle's", *shared, "Median to decide")
    else:
        heads = ("World", "Bias", "Error (RMSE)", *shared)
    return html_table(heads, [_world(row, view) for row in chosen.to_dict("records")]) + foot(chosen)


def _world(row: dict, view: str) -> list[str]:
    """Write the cells of one world: where nothing is to be found, a claim over its goal is marked."""
    null = view == "null"
    cells = [percent(row["bias"], "+"), percent(row["rmse"])]
    if view == "effect":
        cells = [number(row["truth"]), *cells, number(row["rmse_ratio"], ".2f", "×")]
    claims = (marked(row[name], row["n"], FALSE, held=null) for name in ("caused", "claimed", "claimed_watched"))
    of = "" if row["error_of"] == "truth" else "errors of the counterfactual"
    first = named(row["world"].removesuffix("_null").replace("_", " "), row["settings"], f"{row['n']} events", of)
    cells = [first, *cells, percent(row["coverage"]), *claims, percent(row["not_separable"])]
    return [*cells, number(row["decided_s"], ".3g", " s")] if view == "effect" else cells


def blind_html(blind: pd.DataFrame, goal: str) -> str:
    """Write the blind family: all of it, then the coverage in each quarter of each nuisance, marked below ``goal``."""
    whole = blind[blind["nuisance"] == "all"]
    heads = (
        "Events",
        "Bias",
        "Error (RMSE)",
        "Of the oracle's",
        "Covered (95%)",
        "Oracle covered",
        "“Caused”",
        "Claimed",
    )
    rows = [
        (
            named(row["range"] or "all of them", f"{row['n']} events"),
            *(percent(row["bias"], "+"), percent(row["rmse"]), number(row["informed_ratio"], ".2f", "×")),
            *(percent(row[name]) for name in ("coverage", "informed_coverage", "caused", "claimed")),
        )
        for row in whole.to_dict("records")
    ]
    lines = "".join(
        f'<div class="strip"><span>{escape(_spoken(str(name)))}</span>'
        + "".join(_chip(row, goal) for row in part.to_dict("records"))
        + "</div>"
        for name, part in blind[blind["nuisance"] != "all"].groupby("nuisance", sort=False)
    )
    said = escape(str(Goal.read(goal)))
    caption = f'<p class="label">Coverage by one nuisance at a time · promised {said} in every part</p>'
    return html_table(heads, rows) + caption + f'<div class="strips">{lines}</div>' + foot(blind)


def _spoken(name: str) -> str:
    """Write a nuisance's name with its unit: ``surge_rise_s`` is in seconds."""
    return re.sub(r"_s$", ", s", name).replace("_", " ")


def _chip(row: dict, goal: str) -> str:
    span = row["range"].replace("-", "−")
    return (
        f"<span><i>{marked(row['coverage'], row['n'], goal)}</i><small>{escape(span)} ·&nbsp;{row['n']}</small></span>"
    )


def fakes_html(real: pd.DataFrame) -> str:
    """Write what was claimed at moments of real series at which no ad ran, and what usual tests say of the same."""
    heads = ("Series", "Claimed", "Claimed, watched", "Covered (95%)", "t-test", "Poisson test", "3 sigma")
    rows = [
        (
            named(row["group"], f"{row['moments']} moments"),
            *(marked(row[name], row["moments"], FALSE) for name in ("claimed", "claimed_watched")),
            *(percent(row[name]) for name in ("coverage", "t_test", "poisson", "three_sigma")),
        )
        for row in real[real["added"] == 0].to_dict("records")
    ]
    return html_table(heads, rows)


def added_html(real: pd.DataFrame) -> str:
    """Write what was found of a known response that was added to real series."""
    found = real[real["added"] > 0].sort_values("group", kind="stable")
    heads = ("Series", "Added", "Found", "Found, watched", "Covered (95%)", "Bias, of the level")
    rows = [
        (
            named(row["group"], f"{row['moments']} moments"),
            percent(row["added"], "+"),
            *(percent(row[name]) for name in ("claimed", "claimed_watched", "coverage")),
            percent(row["bias_of_level"], "+"),
        )
        for row in found.to_dict("records")
    ]
    return html_table(heads, rows) + foot(real)


def published_html(published: pd.DataFrame) -> str:
    """Write the published answers beside ours."""
    heads = ("Table", "Ours, a day", "95% interval", "Published", "Agrees", "Excludes 0", "Verdict")
    rows = []
    for row in published.to_dict("records"):
        ends = list(dict.fromkeys(number(row[f"published_{end}"], ",.1f") for end in ("lower", "upper")))
        agrees = "● yes" if row["agrees"] else '<b class="bad">▲ no</b>'
        interval = f"{number(row['lower'], ',.1f')} to {number(row['upper'], ',.1f')}"
        said = named(row["verdict"], f"rung {row['rung']}")
        zero = "yes" if row["excludes_0"] else "no"
        rows.append(
            (escape(row["table"]), number(row["a_day"], ",.1f"), interval, " to ".join(ends), agrees, zero, said)
        )
    return html_table(heads, rows)


def dense_html(dense: pd.DataFrame) -> str:
    """Write what was found of whole dense schedules, of their groups and of their single airings."""
    heads = (
        *("Schedules", "Bias of the total", "Error (RMSE)", "Total covered", "Total claimed"),
        *("Groups covered", "Groups claimed", "Airings covered", "Airings claimed", "CPU"),
    )
    rows = []
    for row in dense.to_dict("records"):
        null = "no effect" in row["cell"]
        n = row["worlds"]
        sums = [marked(row["covered"], n, COVERED), marked(row["claimed"], n, FALSE, held=null)]
        parts = [percent(row[f"{part}_{what}"]) for part in ("groups", "singles") for what in ("covered", "claimed")]
        bias = f"{percent(row['bias'], '+')}<small>± {percent(row['bias_se'])}</small>"
        first = named(row["cell"], f"{row['worlds']} weeks")
        rows.append((first, bias, percent(row["rmse"]), *sums, *parts, number(row["cpu_s"], ".2g", " s")))
    return html_table(heads, rows) + foot(dense)


def short_html(found: dict[str, list[str]]) -> str:
    """Write what fell short as lists."""
    if not found:
        return '<p class="lead">Nothing that was measured lies outside its goal.</p>'
    return "".join(
        f'<p class="label">{escape(name)} · {len(lines)}</p><ul>{"".join(f"<li>{escape(s)}</li>" for s in lines)}</ul>'
        for name, lines in found.items()
    )
