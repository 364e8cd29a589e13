"""The specification curve: the same airing under every combination of choices that can be defended."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from attribution.figures import figure
from attribution.leftout import without
from attribution.tuning import Tuner, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.settings import Settings

CHOICES: dict[str, tuple[Any, ...]] = {
    "window": ("auto", "60s", "3min"),
    "history": ("auto", "15min"),
    "kernel": ("learnt", "gamma", "lognormal", "biexponential"),
    "controls": ("on", "off"),
    "social": ("on", "off"),
}
"""Choices that a careful analyst may make either way; ``controls`` off leaves the spared regions out."""
DETECTOR = "brief"
"""The baseline that is no model: it stands on the curve without an interval."""
COLUMNS = [*CHOICES, "baseline", "amount", "lower", "upper", "yours", "why"]


class Spec(NamedTuple):
    """One specification."""

    choices: dict[str, str]
    settings: Settings
    controls: bool
    yours: bool


def specifications(settings: Settings, *, controlled: bool, fed: bool) -> list[Spec]:
    """Return every combination, the analyst's own first.

    Parameters
    ----------
    settings
        Of the analysis: all else stays as it is there, and its own values join the choices.
    controlled, fed
        Whether there are spared regions, and a social feed: without them there is no choice about it.
    """
    own = {
        "window": settings.window,
        "history": settings.history,
        "kernel": settings.kernel,
        "controls": "on" if controlled else "off",
        "social": "on" if fed and settings.social else "off",
    }
    offered = {name: tuple(dict.fromkeys([own[name], *values])) for name, values in CHOICES.items()}
    offered["controls"] = offered["controls"] if controlled else ("off",)
    offered["social"] = offered["social"] if fed else ("off",)
    found = []
    for values in product(*offered.values()):
        made = dict(zip(offered, values, strict=True))
        with suppress(ValueError):  # a window that ends before the response peaks is none that could be defended
            asked = settings.replace(
                window=made["window"], history=made["history"], kernel=made["kernel"], social=made["social"] == "on",
                baseline="latent",
            )  # fmt: skip
            found.append(Spec({**made, "baseline": "latent"}, asked, made["controls"] == "on", False))
    for window in offered["window"]:
        made = own | {"window": window, "baseline": DETECTOR}
        with suppress(ValueError):
            found.append(Spec(made, settings.replace(window=window, baseline=DETECTOR), controlled, False))
    mine = own | {"baseline": settings.baseline}
    return sorted((one._replace(yours=one.choices == mine) for one in found), key=lambda one: not one.yours)


def spec_curve(
    tuner: Tuner, settings: Settings, airing: str, *, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Answer an airing under every specification: the analyst's own as the analysis has it.

    Specifications that differ in the kernel alone are asked in a row, each from where the one before ended.

    Returns
    -------
    window, history, kernel, controls, social, baseline, amount, lower, upper, yours, why (there is no amount); sorted
    by the amount. The detector has no interval.
    """
    named = str(tuner.airings.loc[tuner.airings["airing"].astype(str) == airing, "regions"].iloc[0])
    spared = [r for r in tuner.counts.regions if named and r not in named.split("|")]
    feed = tuner.feeds.get("social")
    todo = specifications(settings, controlled=bool(spared), fed=feed is not None and len(feed) > 0)
    bare = _without(tuner, spared)
    chains: dict[tuple, list[Spec]] = {}
    for spec in todo:
        alike = tuple(value for name, value in spec.choices.items() if name != "kernel")
        chains.setdefault(alike, []).append(spec)
    parts = list(chains.values())
    done = np.cumsum([len(part) for part in parts])
    asked = side_by_side(
        lambda part: (tuner if part[0].controls or not spared else bare).along([s.settings for s in part], airing),
        parts, progress=progress and (lambda chain, _: progress(int(done[chain - 1]), len(todo))),
    )  # fmt: skip
    rows = []
    for part, found in zip(parts, asked, strict=True):
        for spec, ends in zip(part, found, strict=True):
            why, (low, middle, high) = (ends, (np.nan, np.nan, np.nan)) if isinstance(ends, str) else ("", ends)
            known = {"amount": middle, "lower": low, "upper": high, "yours": spec.yours, "why": why}
            rows.append({**spec.choices, **known})
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("amount", kind="stable", ignore_index=True)


def _without(tuner: Tuner, spared: list[str]) -> Tuner:
    """Return the data without the spared regions."""
    counts, airings, feeds = tuner.counts, tuner.airings, dict(tuner.given)
    for region in spared:
        counts = without(counts, region)
    keep = set(counts.regions)
    seen = ["|".join(r for r in str(text).split("|") if r in keep) for text in airings["regions"]]
    alone = [bool(text) or not str(before) for text, before in zip(seen, airings["regions"], strict=True)]
    for name, frame in feeds.items():
        if frame is not None and "region" in frame:
            feeds[name] = frame[~frame["region"].isin(spared)]
    rest = airings.assign(regions=seen)[alone].reset_index(drop=True)
    return Tuner(replace(counts), rest, feeds)


def leaning(table: pd.DataFrame) -> pd.DataFrame:
    """Return how the median amount moves with each choice: choice, value, specifications, median, apart.

    ``apart`` is the share of its specifications whose interval leaves out zero; the choice that moves it most is first.
    The detector is left out.
    """
    known = table[(table["baseline"] != DETECTOR) & table["amount"].notna()]
    rows = []
    for name in CHOICES:
        parts = known.groupby(name, sort=False)
        medians = parts["amount"].median()
        if len(medians) < 2:
            continue
        span = float(medians.max() - medians.min())
        for value, part in parts:
            apart = float(((part["lower"] > 0) | (part["upper"] < 0)).mean())
            rows.append((name, str(value), len(part), float(part["amount"].median()), apart, span))
    frame = pd.DataFrame(rows, columns=["choice", "value", "specifications", "median", "apart", "span"])
    return frame.sort_values("span", ascending=False, kind="stable", ignore_index=True)


def summary(table: pd.DataFrame) -> str:
    """Say what the curve shows: how many agree, how far they lie apart, and where the analyst's own stands."""
    known = table[(table["baseline"] != DETECTOR) & table["amount"].notna()]
    if known.empty:
        return "No specification has an answer here."
    up, down = int((known["lower"] > 0).sum()), int((known["upper"] < 0).sum())
    ends = f"{figure(known['amount'].min(), 'count')} to {figure(known['amount'].max(), 'count')}"
    said = (
        f"{up} of {len(known)} specifications leave out zero from above"
        + (f", {down} from below" if down else "")
        + f"; the amounts reach from {ends}, half of them above {figure(known['amount'].median(), 'count')}."
    )
    mine = known[known["yours"]]
    if len(mine):
        rank = int((known["amount"] < mine["amount"].iloc[0]).sum()) + 1
        said += f" Yours, {figure(mine['amount'].iloc[0], 'count')}, is the {_nth(rank)} of {len(known)} from below."
    return said


def _nth(rank: int) -> str:
    """Write an ordinal.

    Examples
    --------
    >>> [_nth(n) for n in (1, 2, 3, 4, 11, 21, 112)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st', '112th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th") if rank % 100 not in {11, 12, 13} else "th"
    return f"{rank}{ending}"
