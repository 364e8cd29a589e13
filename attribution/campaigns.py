"""Several airings of one series together: their sum among the sums of schedules that nobody aired.

Two comparisons have to agree (methods, section 5): the whole schedule shifted into the past, which keeps its rhythm,
and sums of moments each matched to its own airing, which keep its circumstances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attribution.matching import EVERY_S, MOST, pool
from attribution.model.series import Estimates, Series, Window, estimate, flat, learn, likelihoods
from attribution.placebos import NEEDED, SIGMAS, two_sided, widths

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What several airings add together.

    Attributes
    ----------
    amount, sd, lower, upper
        Conversions beyond the counterfactual in all windows, and the interval, widened by the wider of the two
        comparisons.
    z
        Amount over sd.
    shifted_p, matched_p, p
        Two-sided ranks among shifted schedules and among sums of matched moments; the larger of both. NaN where there
        are too few.
    shifted, matched, needed
        How many of each, and how many a verdict needs.
    claimed
        Whether both p are at most alpha and |z| > 1.96.
    sentence
        The comparison in words.
    """

    amount: float
    sd: float
    lower: float
    upper: float
    z: float
    shifted_p: float
    matched_p: float
    p: float
    shifted: int
    matched: int
    needed: int
    claimed: bool
    sentence: str


def shifts(series: Series, window: Window, places: np.ndarray) -> np.ndarray:
    """Return (S, J) positions of the schedule moved into the past, nearest first: no busy bin in any response.

    Examples
    --------
    >>> from attribution.model.series import lay, window_bins
    >>> laid = lay(60.0 * np.arange(500), np.full(500, 60.0), np.full(500, 9.0), np.ones(500), anchor=0.0)
    >>> window = Window(*window_bins(60.0), np.ones(8), np.ones((1, 8)) / 8, np.ones(1))
    >>> shifts(laid, window, np.array([400, 420]))[:2].tolist()
    [[342, 362], [340, 360]]
    """
    every = max(1, round(EVERY_S / series.step))
    by = np.arange(every, int(places.min()) - window.before + 1, every)
    moved = places[None] - by[:, None]
    ends = moved + window.response + window.after
    busy = np.concatenate([[0], np.cumsum(series.busy)])
    seen = np.concatenate([[0], np.cumsum(np.isfinite(series.y))])
    free = busy[moved + window.response] == busy[moved]
    known = seen[moved + window.response] - seen[moved] >= 0.9 * window.response
    # Where a copy meets an airing of the schedule itself, its window would hold the ad.
    apart = ~((moved[:, :, None] <= places + window.response) & (ends[:, :, None] > places)).any(axis=2)
    return moved[(free & known & apart).all(axis=1)][:MOST]


def together(
    series: Series,
    window: Window,
    places: np.ndarray,
    *,
    alpha: float = 0.05,
    rng: int | np.random.Generator = 0,
    executor: Executor | None = None,
) -> Campaign:
    """Judge the sum of several airings.

    Parameters
    ----------
    series, window
        From :mod:`attribution.model.series`; the airings' responses are ``busy`` in it.
    places
        (J,) positions of the bins the airings began in, their windows whole and apart.
    rng
        Draws which matched moments make a sum.

    Raises
    ------
    ValueError
        When an airing has no whole window.
    """
    places = np.sort(np.asarray(places, dtype=int))
    if not len(places) or places[0] < window.before or places[-1] + window.response + window.after > len(series.y):
        raise ValueError(
            f"places are {places.tolist()} of {len(series.y)} bins; give airings with {window.before} bins before and "
            f"{window.response + window.after} from each on"
        )
    moved = shifts(series, window, places)
    pools = [pool(series, window, place).place for place in places]
    count = min([MOST, *(len(p) for p in pools)])
    draw = np.random.default_rng(rng)
    drawn = np.column_stack([draw.permutation(p)[:count] for p in pools]) if count else np.empty((0, len(places)), int)
    at, where = np.unique(np.concatenate([places, moved.ravel(), drawn.ravel()]), return_inverse=True)
    parts = np.array_split(at, max(1, len(at) // 50))
    run = executor.map if executor else map
    like = np.concatenate(list(run(likelihoods, [series] * len(parts), parts, [window] * len(parts))))
    own = np.isin(at, places)
    found = estimate(series, at, window, like, learn(like[~own], flat(series.step)))
    cuts = np.split(where.ravel(), [len(places), len(places) + moved.size])
    (own_sum, own_sd), *others_sums = [_summed(found, rows.reshape(-1, len(places))) for rows in cuts]
    amount, sd = float(own_sum[0]), float(own_sd[0])
    z = amount / sd
    others = [total / spread for total, spread in others_sums]
    needed = NEEDED["moments"]
    enough = min(len(moved), len(drawn)) >= needed
    p = [two_sided(np.array([z]), z_of, z_of) if enough else np.nan for z_of in others]
    reach = np.max([widths(z_of, alpha) for z_of in others], axis=0) if enough else np.array([SIGMAS, SIGMAS])
    return Campaign(
        amount=amount,
        sd=sd,
        lower=amount - reach[0] * sd,
        upper=amount + reach[1] * sd,
        z=z,
        shifted_p=p[0],
        matched_p=p[1],
        p=max(p),
        shifted=len(moved),
        matched=len(drawn),
        needed=needed,
        claimed=bool(enough and max(p) <= alpha and abs(z) > SIGMAS),
        sentence=_words(len(moved), len(drawn), needed, p),
    )


def _summed(found: Estimates, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (S,) sums over the airings of each schedule (S, J), and their sd."""
    return found.amount[rows, 0].sum(axis=1), np.sqrt((found.sd[rows, 0] ** 2).sum(axis=1))


def _words(shifted: int, matched: int, needed: int, p: list[float]) -> str:
    """Return the comparison as a sentence."""
    if min(shifted, matched) < needed:
        return f"not enough schedules to compare with: {min(shifted, matched)} of {needed}"
    return (
        f"among {shifted} shifts of the whole schedule p = {p[0]:.2g}, "
        f"among {matched} sums of like moments p = {p[1]:.2g}"
    )
