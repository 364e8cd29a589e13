"""What one spot could show, before it is aired: the smallest lift of it, from the history at hand.

At a few quiet moments of the history the model itself is asked, as if the spot had been aired there in the regions that
would get it: its sd is the sd of the plan. Nothing is assumed about the noise that the history does not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from attribution.analysis import one_thread
from attribution.figures import figure
from attribution.frames import moments
from attribution.model import design as designs
from attribution.model import fit as fast
from attribution.model.layout import baseline
from attribution.model.windows import window_seconds
from attribution.planning import minimum_detectable_lift
from attribution.settings import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attribution.counts import Counts
    from attribution.settings import Settings
    from attribution.tuning import Tuner

MOMENTS = 2
"""Quiet moments of the history that an option is asked at; their middle counts."""
WINDOWS = ("30s", "60s", "2min", "5min")
HISTORIES = ("5min", "10min", "20min", "30min")
MOST_REGIONS, PAIRS = 8, 6
"""So many regions, the largest, are tried as holdouts; pairs of them where there are no more than six."""
BLOCK_S = 60.0
"""Seconds of the blocks in which regions are compared."""
LARGEST_SHARE = 0.5
"""Holding out more of the conversions than this is no plan."""


class Option(NamedTuple):
    """One way to air a spot."""

    what: str
    """``plan``, ``holdout``, ``window`` or ``history``."""
    label: str
    holdouts: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What options could show.

    Attributes
    ----------
    table
        what, label, holdouts (``a|b``), window_s, history_s, expected (conversions in the window without the ad, in the
        regions that get it), sd, lift (the smallest that is shown four times out of five), share (of the conversions
        that get no ad), correlation (of the holdouts with the others), why (there is none).
    regions
        region, share, correlation (of its log rate with all others, blocks of a minute about a straight line).
    history_s
        Seconds of history at hand.
    """

    table: pd.DataFrame
    regions: pd.DataFrame
    history_s: float

    @property
    def plan(self) -> pd.Series:
        """The plan as it stands."""
        return self.table[self.table["what"] == "plan"].iloc[0]

    def of(self, what: str) -> pd.DataFrame:
        """Return the options of a kind that could be asked."""
        return self.table[(self.table["what"] == what) & self.table["lift"].notna()]


def power_of(
    tuner: Tuner,
    settings: Settings,
    holdouts: Sequence[str],
    *,
    length_s: float = 30.0,
    progress: Callable[[int, int], None] | None = None,
) -> Power:
    """Return what one spot could show, as planned and otherwise.

    Parameters
    ----------
    tuner
        The data; only what lies before the first airing is looked at.
    settings
        As the analysis will have them.
    holdouts
        Regions that get no ad.
    length_s
        Of the spot.
    progress
        Told how many options are asked, and of how many.

    Raises
    ------
    ValueError
        When a holdout is no region, or none is left for the ad.
    """
    labels = tuner.counts.regions
    unknown = sorted(set(holdouts) - set(labels))
    if unknown or set(holdouts) == set(labels):
        raise ValueError(f"holdouts are {list(holdouts)}; choose some of {', '.join(labels)}, and leave one for the ad")
    first = tuner.airings["start"].min() if len(tuner.airings) else tuner.counts.end
    past = tuner.counts.between(end=min(first, tuner.counts.end))
    chosen = settings.replace(baseline="latent")
    table = regions_of(past.total, past.width, labels)
    todo = _options(chosen, tuple(holdouts), table)
    rows = []
    for number, option in enumerate(todo, 1):
        rows.append(_asked(tuner, past, option, length_s))
        if progress:
            progress(number, len(todo))
    frame = pd.DataFrame(rows)
    known = table.set_index("region")
    held = [name.split("|") if name else [] for name in frame["holdouts"]]
    frame["share"] = [float(known["share"].reindex(names).sum()) for names in held]
    frame["correlation"] = [float(known["correlation"].reindex(names).mean()) if names else np.nan for names in held]
    return Power(table=frame, regions=table, history_s=float(past.width.sum()))


def regions_of(total: np.ndarray, width: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    """Return the share of each region, and how its log rate moves with that of all others.

    Parameters
    ----------
    total, width
        (T, R) counts and (T,) seconds.

    Examples
    --------
    >>> wave = 50 + 20 * np.sin(np.arange(3600) / 200)
    >>> found = regions_of(np.column_stack([wave, 2 * wave]), np.ones(3600), ("a", "b"))
    >>> found["share"].round(2).tolist(), found["correlation"].round(2).tolist()
    ([0.33, 0.67], [1.0, 1.0])
    """
    level = np.nansum(total, axis=0)
    block = np.floor(np.cumsum(width) / max(BLOCK_S, float(np.median(width)) if len(width) else 1.0) - 1e-9).astype(int)
    n = int(block.max()) + 1 if len(block) else 0
    summed = np.column_stack([np.bincount(block, np.nan_to_num(y), minlength=n) for y in total.T]) if n else total
    at, found = np.arange(n), []
    for r in range(len(labels)):
        pair = [np.log(part + 0.5) for part in (summed[:, r], np.delete(summed, r, axis=1).sum(axis=1))]
        if n < 8 or len(labels) < 2:
            found.append(np.nan)
            continue
        left, right = (part - np.polyval(np.polyfit(at, part, 1), at) for part in pair)
        spread = float(np.sqrt((left @ left) * (right @ right)))
        found.append(float(left @ right / spread) if spread > 0 else np.nan)
    return pd.DataFrame({"region": list(labels), "share": level / max(level.sum(), 1e-9), "correlation": found})


def _options(settings: Settings, holdouts: tuple[str, ...], regions: pd.DataFrame) -> list[Option]:
    """Return the plan and what stands beside it: other holdouts, windows, histories."""
    largest = regions.sort_values("share", ascending=False, kind="stable")["region"].head(MOST_REGIONS).tolist()
    share = regions.set_index("region")["share"]
    sets: list[tuple[str, ...]] = [()]
    if len(regions) > 1:
        sets += [(name,) for name in largest]
        sets += list(combinations(largest, 2)) if 2 < len(regions) <= PAIRS else []
    sets = [names for names in sets if not names or share[list(names)].sum() <= LARGEST_SHARE]
    found = [Option("plan", "as planned", holdouts, settings)]
    found += [Option("holdout", " + ".join(names) or "none", names, settings) for names in sets]
    for name in WINDOWS:
        if seconds(settings.response_peak) < seconds(name) + settings.delay[0]:
            found.append(Option("window", name, holdouts, settings.replace(window=name)))
    return [*found, *(Option("history", name, holdouts, settings.replace(history=name)) for name in HISTORIES)]


def _asked(tuner: Tuner, counts: Counts, option: Option, length_s: float) -> dict:
    """Ask the model at quiet moments of the history ``counts`` what it would know of a spot there."""
    step = float(np.median(counts.width)) if len(counts.width) else 1.0
    window = float(window_seconds(option.settings, np.array([length_s]), step)[0])
    row = {
        "what": option.what, "label": option.label, "holdouts": "|".join(option.holdouts), "window_s": window,
        "history_s": np.nan if option.settings.history == "auto" else seconds(option.settings.history),
        "expected": np.nan, "sd": np.nan, "lift": np.nan, "why": "",
    }  # fmt: skip
    if not len(counts.start):
        return row | {"why": "there is no history before the first airing"}
    end = counts.seconds[-1] + counts.width[-1]
    last = end - window
    if option.what == "history" and row["history_s"] > last - counts.seconds[0] + step:
        return row | {"why": "there is no such history yet"}
    found = []
    for k in range(MOMENTS):
        moment = last - k * max(60.0, window / 2)
        if moment - counts.seconds[0] < 0.1 * (end - counts.seconds[0]):
            break
        fit = _fit(tuner, option, moment, window, length_s)
        if fit is not None:
            found.append(_known(fit))
    if not found:
        return row | {"why": "the history is too short for this window"}
    sd, expected = np.median(np.array(found), axis=0)
    lift = minimum_detectable_lift(float(sd), float(expected), alpha=option.settings.alpha)
    return row | {"sd": float(sd), "expected": float(expected), "lift": lift}


def _fit(tuner: Tuner, option: Option, moment: float, window: float, length_s: float) -> fast.Fit | None:
    """Fit a spot that was never aired."""
    end = moments(np.array([moment + window]))[0]
    counts = tuner.counts.between(end=end)
    seen = [name for name in counts.regions if name not in option.holdouts]
    airing = pd.DataFrame(
        {
            "airing": ["planned"], "start": moments(np.array([moment])), "length_s": [length_s],
            "regions": ["|".join(seen) if option.holdouts else ""], "assignment": [""],
            "impressions": [np.nan], "spend": [np.nan],
        }
    )  # fmt: skip
    feeds = {
        name: table[table["time"] < end] if table is not None and "time" in table else table
        for name, table in tuner.feeds.items()
    }
    with one_thread().limit(limits=1, user_api="blas"):
        try:
            design = designs.build(
                counts, airing, option.settings.replace(clock_sd=option.settings.clock_sd or 0.0),
                members=np.array([0]), others=np.empty(0, dtype=int),
                masked=None if tuner.masked is None else tuner.masked[: len(counts.start)], **feeds,
            )  # fmt: skip
            return None if design is None else fast.fit(design, option.settings)
        except FloatingPointError:
            return None


def _known(fit: fast.Fit) -> tuple[float, float]:
    """Return the sd of the windowed incremental over all worlds and kernels, and the conversions without the ad."""
    mean, sd = fit.window_mean[:, 0], fit.window_sd[:, 0]
    middle = fit.weight @ mean
    return float(np.sqrt(fit.weight @ (sd**2 + (mean - middle) ** 2))), float(baseline(fit.design)[0])


def best_holdout(found: Power) -> pd.Series | None:
    """Return the holdouts with which the smallest lift is shown; None where no region can be spared."""
    options = found.of("holdout")
    options = options[options["holdouts"] != ""]
    return None if options.empty else options.sort_values("lift", kind="stable").iloc[0]


def several(lift: float, most: int = 20) -> pd.DataFrame:
    """Return what n airings show together: x (airings), y (%, every one aired), low, high (y, and of a switchback).

    n independent airings of the same lift divide the sd by sqrt(n). In a switchback half the breaks get no ad, by lot;
    what breaks do by themselves is then known from the other half: twice the lift of one, over sqrt(n).

    Examples
    --------
    >>> several(0.1, 4).round(1).values.tolist()[-1]
    [4.0, 5.0, 5.0, 10.0]
    """
    n = np.arange(1, most + 1, dtype=float)
    together = 100 * lift / np.sqrt(n)
    return pd.DataFrame({"x": n, "y": together, "low": together, "high": np.where(n > 1, 2 * together, together)})


class Spending(NamedTuple):
    """What a spend asks for, and how well its return would be known."""

    table: pd.DataFrame
    """spend, break_even (lift at which the margin pays it), roi_width (half the interval of the ROI)."""
    enough: float
    """Spend whose break-even is the smallest lift that is shown: above it, a spot that pays is seen."""


def spending(
    plan: pd.Series, value: float, margin: float, *, alpha: float = 0.05, most: float | None = None
) -> Spending:
    """Return what spends ask for, from the plan and the money of a conversion.

    Parameters
    ----------
    plan
        From :attr:`Power.plan`.
    value, margin
        Money a conversion brings, and the share of it that is kept; positive.
    most
        Largest spend; by default twice what is enough.

    Raises
    ------
    ValueError
        When value or margin is not positive.

    Examples
    --------
    >>> told = spending(pd.Series({"expected": 1000.0, "sd": 50.0, "lift": 0.14}), 10.0, 0.5)
    >>> told.enough, round(float(told.table["break_even"].iloc[-1]), 2)
    (700.0, 0.28)
    """
    if not (value > 0 and margin > 0):
        raise ValueError(f"value is {value} and margin {margin}; choose positive numbers")
    kept = value * margin
    enough = float(plan["lift"] * plan["expected"] * kept)
    top = most or 2 * enough
    spend = np.linspace(top / 40, top, 40)
    width = float(ndtri(1 - alpha / 2)) * float(plan["sd"]) * kept / spend
    table = pd.DataFrame({"spend": spend, "break_even": spend / kept / float(plan["expected"]), "roi_width": width})
    return Spending(table, enough)


def told(found: Power) -> str:
    """Say what the plan could show."""
    plan = found.plan
    if not np.isfinite(plan["lift"]):
        return f"Nothing can be said yet: {plan['why']}."
    held = " and ".join(str(plan["holdouts"]).split("|")) if plan["holdouts"] else ""
    where = f"with {held} held out" if held else "with no region held out"
    said = (
        f"One spot {where} shows a lift of {figure(plan['lift'], 'percent')} or more, four times out of five: "
        f"{plan['lift'] * plan['expected']:,.0f} conversions beyond {plan['expected']:,.0f} in {plan['window_s']:g} s."
    )
    best = best_holdout(found)
    if best is not None and best["lift"] < 0.97 * plan["lift"]:
        spared = f"{figure(best['share'], 'share')} of the conversions would get no ad."
        said += f" With {best['label']} held out instead it would be {figure(best['lift'], 'percent')}, and {spared}"
    return said
