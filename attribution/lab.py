"""The placebo lab: the very same analysis at earlier moments at which no ad ran, and the airing's rank among them.

Where regions were spared, the regional model is asked again at each moment, with the same regions spared; where every
region saw the ad, the moments are those its one series was compared with (:mod:`attribution.placebos`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import beta

from attribution.analysis import MOST_TOGETHER, one_thread, overlapping
from attribution.crowds import crowded
from attribution.frames import bins, moments
from attribution.model import design as designs
from attribution.model import fit as fast
from attribution.model.decompose import centre, draw
from attribution.model.windows import history_seconds, window_seconds
from attribution.placebos import NEEDED, SIGMAS, two_sided
from attribution.single import Alone
from attribution.tuning import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.counts import Counts
    from attribution.model.design import Design
    from attribution.placebos import Placebos
    from attribution.settings import Settings
    from attribution.tuning import Tuner

MOST = 30
"""So many moments at most are judged by the regional model."""
APART_S = 20.0
"""Seconds between two moments, at least; the data's own bins where those are wider."""
LEAST_HISTORY = 0.2
"""A moment needs this share of the history that the settings ask for, before it."""
DRAWS = 48
COLUMNS = ["time", "kind", "estimate", "lower", "upper", "sd", "z"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """An airing among moments without it.

    Attributes
    ----------
    table
        time, kind (``moment``, or ``break`` inside a declared one), estimate, lower, upper, sd, z; a row a placebo, in
        the order of time. Conversions in the airing's own window.
    own
        The same of the airing; its ``kind`` is ``airing``.
    p
        Two-sided rank of the airing's z among the placebos; never below 2/(n + 1).
    needed
        Placebos that a verdict needs.
    false, false_lower, false_upper
        Share of the placebos whose interval leaves out zero, and its 95% interval (Clopper and Pearson 1934): the
        moments overlap, so it is wider still.
    why
        Why there are no placebos; empty where there are.
    """

    table: pd.DataFrame
    own: pd.Series | None
    p: float
    needed: int
    false: float
    false_lower: float
    false_upper: float
    why: str = ""

    @property
    def n(self) -> int:
        """Number of placebos."""
        return len(self.table)

    @property
    def as_far(self) -> int:
        """Placebos that moved as far as the airing, in its direction."""
        if self.own is None:
            return 0
        z, own = self.table["z"].to_numpy(float), float(self.own["z"])
        return int((z >= own).sum() if own >= 0 else (z <= own).sum())

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        if self.why:
            return self.why
        if not self.n or self.own is None:
            return "There is no moment without the ad that could be judged in the same way."
        moved = "rose" if self.own["z"] >= 0 else "fell"
        rank = f"{self.as_far} of {self.n} moments without the ad {moved} as far, by the same analysis"
        if self.n < self.needed:
            return f"{rank}. A verdict would need {self.needed}: these show, and do not decide."
        return f"{rank}: placebo p {self.p:.2g}."


def empty(why: str) -> Lab:
    """Return a lab without placebos, and why."""
    nan = float("nan")
    return Lab(
        table=pd.DataFrame(columns=COLUMNS), own=None, p=nan, needed=NEEDED["moments"], false=nan, false_lower=nan,
        false_upper=nan, why=why,
    )  # fmt: skip


def quiet_moments(
    counts: Counts, airings: pd.DataFrame, settings: Settings, place: int, context: pd.DataFrame | None
) -> pd.DataFrame:
    """Return moments before an airing at which none of ours was on air or still worked, evenly spread.

    Parameters
    ----------
    place
        Position of the airing in ``airings``.

    Returns
    -------
    moment (seconds since 1970), kind: ``break`` where the airing ran in a declared break and the moment lies as far
    into an earlier one, else ``moment``. All end before the airing begins.
    """
    step = float(np.median(counts.width))
    onset = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    reach = window_seconds(settings, airings["length_s"].to_numpy(float), step)
    own, window = onset[place], reach[place]
    history = min(history_seconds(settings, step), own - counts.seconds[0])
    first = counts.seconds[0] + max(LEAST_HISTORY * history, 10 * step)
    every = max(APART_S, step, (own - window - first) / MOST)
    grid = np.arange(own - window, first - 1e-9, -every)[::-1]
    free = np.ones(len(grid), dtype=bool)
    for o, far in zip(onset, reach, strict=True):
        if o < own:
            free &= (grid + window <= o) | (grid >= o + far)
    inside = _offsets(context, own, first, own - window)
    near = np.array([np.abs(inside - g).min() < every / 2 if len(inside) else False for g in grid], dtype=bool)
    chosen = np.concatenate([grid[free & ~near], inside])
    kind = np.concatenate([np.full((free & ~near).sum(), "moment"), np.full(len(inside), "break")])
    order = np.argsort(chosen, kind="stable")
    return pd.DataFrame({"moment": chosen[order], "kind": kind[order]})


def _offsets(context: pd.DataFrame | None, own: float, first: float, last: float) -> np.ndarray:
    """Return the moments as far into earlier declared breaks as the airing is into its own; none outside a break."""
    if context is None or context.empty:
        return np.empty(0)
    rows = context[context["kind"] == "break"]
    begin, end = (rows[c].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9 for c in ("start", "end"))
    mine = (begin <= own) & (own < end)
    if not mine.any():
        return np.empty(0)
    found = begin[~mine] + own - begin[mine].min()
    return np.sort(found[(found >= first) & (found <= last)])


def placebo_lab(
    tuner: Tuner,
    settings: Settings,
    airing: str,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Lab:
    """Judge an airing, and earlier moments without it, by the same analysis.

    Parameters
    ----------
    tuner
        The data.
    settings
        As of the analysis that is to be tried.
    airing
        Its name.
    progress
        Told how many moments are judged, and of how many.

    Returns
    -------
    Lab
        Without placebos, and with the reason, where there can be none.

    Raises
    ------
    ValueError
        When there is no such airing.
    """
    place = tuner.names.index(tuner.named(airing))
    chosen = settings if settings.clock_sd is not None else settings.replace(clock_sd=tuner.clock_sd)
    if settings.baseline == "brief":
        return empty("The brief's engine has no interval that could be tried at other moments.")
    if not len(tuner.counts.start):
        return empty("There are no counts.")
    started, groups = overlapping(tuner.counts, tuner.airings, chosen)
    if place not in started:
        return empty("The data do not reach this airing.")
    if crowded(tuner.counts, tuner.airings, groups, MOST_TOGETHER):
        return empty("A dense schedule is tried as a whole, shifted to where it did not run: see its groups.")
    moment = tuner.airings["start"].iloc[place].value / 1e9
    design, fit = _asked(tuner, chosen, place, moment)
    if design is None or fit is None:
        return empty("The data hold no history or no window of this airing.")
    if (design.share[0] > 0).all():
        return _of_series(tuner, chosen, design)
    return _of_regions(tuner, chosen, place, _row(fit, moment, "airing", chosen.alpha), progress)


def _of_regions(
    tuner: Tuner, settings: Settings, place: int, own: dict, progress: Callable[[int, int], None] | None
) -> Lab:
    """Ask the regional model at every quiet moment."""
    quiet = quiet_moments(tuner.counts, tuner.airings, settings, place, tuner.feeds.get("context"))
    asked = list(quiet.itertuples(index=False, name=None))
    found = side_by_side(lambda one: _asked(tuner, settings, place, one[0])[1], asked, progress=progress)
    rows = [_row(fit, moment, kind, settings.alpha) for (moment, kind), fit in zip(asked, found, strict=True) if fit]
    if not rows:
        return empty("Before this airing there is no stretch of data without the ad that is long enough to judge.")
    return _ranked(pd.DataFrame(rows, columns=COLUMNS), pd.Series(own), NEEDED["moments"])


def _of_series(tuner: Tuner, settings: Settings, design: Design) -> Lab:
    """Take the placebos that the one series of an airing was ranked among."""
    started = overlapping(tuner.counts, tuner.airings, settings)[0]
    asked = Alone(
        tuner.counts, tuner.airings, settings.replace(placebos=True), started=started,
        context=tuner.feeds.get("context"), masked=tuner.masked,
    )  # fmt: skip
    told = asked.answer(design)[0]
    if told is None or told.table.empty:
        return empty(told.sentence.capitalize() if told else "This series is too short to be compared with itself.")
    return from_series(told, tuner.airings["start"].iloc[int(design.airings[0])])


def from_series(told: Placebos, start: pd.Timestamp) -> Lab:
    """Return the lab of an airing that was ranked among moments of its one series; ``start`` is the airing's."""
    table, reach = told.table, SIGMAS * told.factor
    frame = pd.DataFrame(
        {
            "time": table["time"], "kind": told.kind.removesuffix("s"), "estimate": table["estimate"],
            "lower": table["estimate"] - reach * table["sd"], "upper": table["estimate"] + reach * table["sd"],
            "sd": table["sd"], "z": table["z"],
        }
    )  # fmt: skip
    own = {
        "time": start, "kind": "airing", "estimate": told.amount, "lower": told.lower, "upper": told.upper,
        "sd": told.sd, "z": told.z,
    }  # fmt: skip
    return _ranked(frame, pd.Series(own), told.needed)


def _ranked(table: pd.DataFrame, own: pd.Series, needed: int) -> Lab:
    """Rank the airing, and count how often an interval leaves out zero where nothing was aired."""
    table = table.sort_values("time", ignore_index=True)
    z, n = table["z"].to_numpy(float), len(table)
    false = int(((table["lower"] > 0) | (table["upper"] < 0)).sum())
    low, high = share_interval(false, n)
    return Lab(
        table=table, own=own, p=two_sided(np.array([float(own["z"])]), z, z), needed=needed, false=false / n,
        false_lower=low, false_upper=high,
    )  # fmt: skip


def share_interval(count: int, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return the exact interval of a share of ``n`` independent trials (Clopper and Pearson 1934).

    Examples
    --------
    >>> [round(end, 3) for end in share_interval(0, 30)], [round(end, 3) for end in share_interval(3, 30)]
    ([0.0, 0.116], [0.021, 0.265])
    """
    low = float(beta.ppf(alpha / 2, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - alpha / 2, count + 1, n - count)) if count < n else 1.0
    return low, high


def _asked(tuner: Tuner, settings: Settings, place: int, moment: float) -> tuple[Design | None, fast.Fit | None]:
    """Ask the model as if the airing had begun at a moment, and its window were over at the end of the data."""
    step = float(np.median(tuner.counts.width))
    window = float(window_seconds(settings, tuner.airings["length_s"].to_numpy(float)[[place]], step)[0])
    end = moments(np.array([moment + window]))[0]
    counts = tuner.counts.between(end=end)
    own = tuner.airings["start"].iloc[place]
    before = np.flatnonzero((tuner.airings["start"] < min(own, end)).to_numpy())
    before = before[before != place]
    frame = pd.concat(
        [tuner.airings.iloc[before], tuner.airings.iloc[[place]].assign(start=moments(np.array([moment])))]
    )
    feeds = {
        name: table[table["time"] < end] if table is not None and "time" in table else table
        for name, table in tuner.feeds.items()
    }
    with one_thread().limit(limits=1, user_api="blas"):
        design = designs.build(
            counts, frame, settings, members=np.array([len(before)]), others=np.arange(len(before)),
            masked=None if tuner.masked is None else tuner.masked[: len(counts.start)], **feeds,
        )  # fmt: skip
        if design is None or not (design.share[0] > 0).any():
            return design, None
        try:
            return design, fast.fit(design, settings)
        except FloatingPointError:
            return design, None


def _row(fit: fast.Fit, moment: float, kind: str, alpha: float) -> dict:
    """Return a row of the lab from a fit."""
    mean, sd = fit.window_mean[:, 0], fit.window_sd[:, 0]
    low, middle, high = (fast.quantile(fit.weight, mean, sd, p) for p in (alpha / 2, 0.5, 1 - alpha / 2))
    centre_of = float(fit.weight @ mean)
    spread = float(np.sqrt(fit.weight @ (sd**2 + (mean - centre_of) ** 2)))
    return {
        "time": moments(np.array([moment]))[0], "kind": kind, "estimate": middle, "lower": low, "upper": high,
        "sd": spread, "z": middle / spread,
    }  # fmt: skip


def placebo_bins(tuner: Tuner, settings: Settings, airing: str, time: pd.Timestamp) -> pd.DataFrame:
    """Return the bins around one placebo, as :attr:`attribution.Analysis.total`; no rows where it cannot be fitted."""
    chosen = settings if settings.clock_sd is not None else settings.replace(clock_sd=tuner.clock_sd)
    fit = _asked(tuner, chosen, tuner.names.index(airing), time.value / 1e9)[1]
    if fit is None:
        return pd.DataFrame()
    design = fit.design
    with one_thread().limit(limits=1, user_api="blas"):
        frame = bins(design, centre(fit), draw(fit, DRAWS, seed=0), chosen, 0, "", design.exposed)
    return frame.drop(columns="region")
