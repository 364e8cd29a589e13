"""One answer taken apart: each second, what is left over, the feed, the controls, and when it could have been known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2

from attribution.frames import moments
from attribution.model import control
from attribution.model.monitor import decision
from attribution.plotted import known_airing
from attribution.sentences import duration, needed

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.model.fit import Fit

PARTS = ("baseline", "break", "organic", "ad")
"""What a second is made of."""
SCALES_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Lengths of the blocks in which what is left over is looked at."""
LEAST_BLOCKS, ABOUT = 8, (0.79, 1.21)
"""Fewer blocks say nothing about a scale; a block may be so much shorter or longer than it."""
FEED_S = 5.0
"""Seconds of a bin of the feed."""
RISES = 3.0
"""Sds of the feed's own history beyond which it counts as risen, twice in a row."""
FOLLOWED_S = 30.0
"""Seconds of the blocks in which exposed and control regions are set against each other."""


def alone(result: Analysis, airing: str) -> Analysis:
    """Return the analysis with the table and the looks of one airing; everything else as it was.

    Raises
    ------
    ValueError
        When there is no such airing; the valid ones are listed.
    """
    name = known_airing(result, airing)
    return replace(
        result,
        table=result.table[result.table["airing"] == name],
        evidence=result.evidence[result.evidence["airing"] == name],
        verdicts=tuple(v for v in result.verdicts if v.airing == name),
    )


def apart(result: Analysis, airing: str) -> pd.DataFrame:
    """Take the bins of an airing's group apart.

    Returns
    -------
    time, width_s, observed, baseline, break, organic, ad, expected, left: conversions a bin in the exposed regions.
    The four parts add up to ``expected``, and ``left`` is what was observed beyond it. No rows where the airing was
    not modelled.
    """
    name, total = known_airing(result, airing), result.total
    columns = ["time", "width_s", "observed", *PARTS, "expected", "left"]
    if total.empty:
        return pd.DataFrame(columns=columns)
    start = result.table.loc[result.table["airing"] == name, "start"].iloc[0]
    end = total["time"] + pd.to_timedelta(total["width_s"], unit="s")
    near = total[(total["time"] <= start) & (end > start)]
    if near.empty:
        return pd.DataFrame(columns=columns)
    own = total[total["group"] == near["group"].iloc[-1]].sort_values("time")
    baseline = own["counterfactual"] - own["organic"] - own["break"]
    expected = own["counterfactual"] + own["ad"]
    found = own.assign(baseline=baseline, expected=expected, left=own["observed"] - expected)
    return found[columns].reset_index(drop=True)


def sums(bins: pd.DataFrame, start: pd.Timestamp, window_s: float) -> pd.Series:
    """Return the conversions of each part inside a window, and what was observed there.

    Parameters
    ----------
    bins
        From :func:`apart`. A bin that reaches over an end counts by the share of it that lies inside.

    Examples
    --------
    >>> time = pd.date_range("2026-02-08T20:00Z", periods=3, freq="10s")
    >>> even = pd.DataFrame({"time": time, "width_s": 10.0, "observed": 9.0} | dict.fromkeys(PARTS, 2.0))
    >>> told = sums(even.assign(expected=8.0, left=1.0), time[1], 15.0)
    >>> float(told["ad"]), float(told["observed"])
    (3.0, 13.5)
    """
    low = (bins["time"] - start).dt.total_seconds()
    inside = np.minimum(low + bins["width_s"], window_s) - np.maximum(low, 0.0)
    share = np.clip(np.asarray(inside / bins["width_s"], dtype=float), 0.0, 1.0)
    columns = [*PARTS, "expected", "observed", "left"]
    used = share > 0
    weight = share[used]
    return pd.Series({name: float(weight @ bins[name].to_numpy(float)[used]) for name in columns})


def dispersion(bins: pd.DataFrame, *, learnt: float = 1.0, alpha: float = 0.05) -> pd.DataFrame:
    """Return how far the counts lie from what was expected, by the length of the blocks they are summed in.

    Variance over mean: 1 for counts that know nothing of each other. Around a straight line it grows with the length of
    the blocks wherever the rate wanders; around the model it should not.

    Parameters
    ----------
    bins
        From :func:`apart`; bins wider than a block are left out of its scale.
    learnt
        Variance over mean of a bin that the model learnt.
    alpha
        With that and nothing else left over, 1 - alpha of such figures lie between ``low`` and ``high``.

    Returns
    -------
    scale_s, blocks, line, model, low, high; a row a scale with at least 8 blocks.
    """
    rows = []
    known = bins.dropna(subset=["observed", "expected"])
    for scale in SCALES_S:
        fine = known[known["width_s"] <= scale + 1e-9]
        if fine.empty:
            continue
        seconds = (fine["time"] - fine["time"].iloc[0]).dt.total_seconds()
        block = np.floor(seconds / scale + 1e-9)
        summed = fine[["width_s", "observed", "expected", "left"]].groupby(block.to_numpy()).sum()
        whole = summed[(summed["width_s"] / scale).between(*ABOUT)]  # 2-s bins make blocks of 4 and 6 s, not of 5
        if len(whole) < LEAST_BLOCKS:
            continue
        y, width, at = whole["observed"].to_numpy(), whole["width_s"].to_numpy(), whole.index.to_numpy()
        line = np.maximum(np.polyval(np.polyfit(at, y / width, 1), at) * width, 1e-9)
        n = len(whole)
        rows.append(
            {
                "scale_s": scale,
                "blocks": n,
                "line": float(((y - line) ** 2 / line).sum() / (n - 2)),
                "model": float((whole["left"] ** 2 / whole["expected"].clip(lower=1e-9)).mean()),
                "low": float(learnt * chi2.ppf(alpha / 2, n) / n),
                "high": float(learnt * chi2.ppf(1 - alpha / 2, n) / n),
            }
        )
    return pd.DataFrame(rows, columns=["scale_s", "blocks", "line", "model", "low", "high"])


class Milestone(NamedTuple):
    """Something that was known from a look on."""

    lag_s: float
    """Seconds after the start."""
    what: str


def milestones(result: Analysis, airing: str) -> tuple[Milestone, ...]:
    """Return when what could have been known, in order; empty without a look.

    The words are those of each look; the line of the e-value and the interval over time hold however often one looks.
    """
    looks = result.evidence[result.evidence["airing"] == known_airing(result, airing)]
    if looks.empty:
        return ()
    start = result.table.loc[result.table["airing"] == airing, "start"].iloc[0]
    lag = (looks["time"] - start).dt.total_seconds().to_numpy()
    log_e, low, high = (looks[name].to_numpy(float) for name in ("log_e", "lower", "upper"))
    line = f"{1 / result.alpha:g}"
    found = []
    over = np.flatnonzero(log_e >= -np.log(result.alpha))
    if len(over):
        found.append(Milestone(lag[over[0]], f"the e-value first reached {line}"))
    passed = decision(log_e, result.alpha)
    if passed is not None:
        found.append(Milestone(lag[passed], f"it had reached {needed(result.alpha)}: the test had passed"))
    clear = np.flatnonzero(~((low > 0) | (high < 0)))
    if clear.size == 0 or clear[-1] + 1 < len(lag):
        at = 0 if clear.size == 0 else clear[-1] + 1
        found.append(Milestone(lag[at], "from here on the interval over time left out zero"))
    narrow = np.flatnonzero(~((high - low) <= 1.25 * (high[-1] - low[-1])))
    at = 0 if narrow.size == 0 else narrow[-1] + 1
    if 0 < at < len(lag):
        found.append(Milestone(lag[at], "from here on the interval was within a quarter of its last width"))
    words = looks["word"].to_numpy(object)
    found += [
        Milestone(lag[k], f"the word became “{words[k]}”") for k in range(1, len(words)) if words[k] != words[k - 1]
    ]
    return tuple(sorted(found, key=lambda one: one.lag_s))


def known_when(result: Analysis, airing: str) -> str:
    """Say in a sentence when the answer could have been known."""
    told = milestones(result, airing)
    looks = result.evidence[result.evidence["airing"] == airing]
    if looks.empty:
        return "No look was taken while it ran: this answer was made afterwards, once."
    passed = next((one for one in told if "had passed" in one.what), None)
    if passed is None:
        return f"Not within {len(looks)} looks: the e-value never reached {needed(result.alpha)}."
    return f"After {duration(passed.lag_s)}: from then on stopping would have been right at level {result.alpha:g}."


class FeedView(NamedTuple):
    """What the social feed showed around an airing."""

    bins: pd.DataFrame
    """time, posts (a second), usual (a second), organic (conversions a second, what the model makes of it)."""
    rise_s: float
    """Seconds after the start of the airing at which the feed rose beyond its own history; NaN if it never did."""
    peak: float
    """Largest relative excess of the feed inside the bins shown."""
    explained: float
    """Organic conversions inside the window."""


def feed_view(result: Analysis, airing: str, window_s: float) -> FeedView | None:
    """Return the feed beside the organic conversions that the model reads off it; None without a feed.

    The feed has risen where two bins of 5 s in a row lie 3 sds of its history above its usual level (the median before
    the airing, the sd from the middle half). That is a detector, never a verdict.
    """
    social, bins = result.given.feeds.get("social"), apart(result, airing)
    if social is None or social.empty or bins.empty or not result.settings.social:
        return None
    start = result.table.loc[result.table["airing"] == airing, "start"].iloc[0]
    table = social.groupby("time").agg(count=("count", "sum"), width_s=("width_s", "first"), known=("count", "count"))
    table["count"] = table["count"].where(table["known"] == social.groupby("time").size())
    lag = (table.index - start).total_seconds().to_numpy()
    span = max(FEED_S, float(table["width_s"].median()))
    block = np.floor(lag / span + 1e-9)
    summed = table.groupby(block)[["count", "width_s"]].sum(min_count=1)
    rate = (summed["count"] / summed["width_s"]).to_numpy()
    at = summed.index.to_numpy() * span
    before = rate[(at < 0) & np.isfinite(rate)]
    if not len(before):
        return None
    usual = float(np.median(before))
    sd = max(float(np.subtract(*np.percentile(before, [75, 25])) / 1.349), 1e-9)
    high = rate > usual + RISES * sd
    last = (bins["time"].iloc[-1] - start).total_seconds()
    twice = np.flatnonzero(high[1:] & high[:-1] & (at[:-1] >= -60.0) & (at[:-1] <= max(window_s, last)))
    shown = (at >= (bins["time"].iloc[0] - start).total_seconds()) & (at <= last)
    middle = (bins["time"] - start).dt.total_seconds() + bins["width_s"] / 2
    frame = pd.DataFrame(
        {
            "time": moments((at[shown] + span / 2) + start.value / 1e9),
            "posts": rate[shown],
            "usual": usual,
            "organic": np.interp(at[shown] + span / 2, middle, bins["organic"] / bins["width_s"]),
        }
    )
    return FeedView(
        bins=frame,
        rise_s=float(at[twice[0]]) if len(twice) else np.nan,
        peak=float(np.nanmax(rate[shown]) / usual - 1.0) if shown.any() and usual > 0 else np.nan,
        explained=float(sums(bins, start, window_s)["organic"]),
    )


def fitted(result: Analysis, airing: str) -> tuple[Fit, int] | None:
    """Return the fit of an airing's group and its place there; None where there is none."""
    position = int(np.flatnonzero(result.airings["airing"].astype(str).to_numpy() == airing)[0])
    for fit in result.given.fits:
        place = np.flatnonzero(fit.design.airings == position)
        if len(place):
            return fit, int(place[0])
    return None


class Followed(NamedTuple):
    """How the controls stood to the exposed regions before the airing."""

    trust: control.Credibility
    blocks: pd.DataFrame
    """block_s, ratio, p, steps; a row a length of blocks."""
    path: pd.DataFrame
    """time, ratio, lower, upper: exposed over control about its mean, %, and where 95% of it should lie."""
    controls: tuple[str, ...]


def controls_test(result: Analysis, airing: str) -> Followed | None:
    """Return the test of the controls of an airing; None where no region was spared, or nothing was fitted."""
    found = fitted(result, airing)
    if found is None or (found[0].design.share[found[1]] > 0).all():
        return None
    fit, j = found
    design = fit.design
    time, log, sd = control.followed(design, fit.noise, j, span_s=FOLLOWED_S)
    frame = pd.DataFrame({"time": moments(time), "ratio": np.expm1(log) * 100})
    for name, z in (("lower", -1.96), ("upper", 1.96)):
        frame[name] = np.expm1(z * sd) * 100
    blocks = pd.DataFrame(control.by_block(design, fit.noise, j), columns=["block_s", "ratio", "p", "steps"])
    spared = tuple(r for r, s in zip(design.regions, design.share[j] > 0, strict=True) if not s)
    return Followed(control.credibility(design, fit.noise, j), blocks, frame, spared)
