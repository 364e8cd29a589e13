"""Counts, airings and settings become the arrays of the model: one design for each group of overlapping airings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from attribution.model import laid
from attribution.model.posts import Posts, posts
from attribution.model.windows import LONG_AIRING_S, adaptive_bins, history_seconds, response_bank, window_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.counts import Counts
    from attribution.kernels import Delayed, Kernel
    from attribution.settings import Settings

LEADS = np.array([-1.0, 2.0, 5.0])
"""Seconds by which the feed may lead the regions: N(2, 2) cut in three; between them a surge of 60 s moves by 1%."""

LEADS_BELOW_S = 4.0
"""In bins wider than this no lead of a few seconds can be told."""

LEAD_WEIGHT = np.array([0.227, 0.546, 0.227])


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The arrays of the model for one group of airings whose responses overlap.

    Attributes
    ----------
    airings
        (J,) positions in the airings' table.
    start, width
        (T,) adaptive bins, seconds since 1970 and seconds.
    y, exposure
        (R, T) counts, and the seconds in which they were observed (known width x completeness; 0 = missing).
    share
        (J, R) split of each airing's incremental over the regions; rows sum to 1, 0 where it was not seen.
    regions
        (R,) labels.
    onset, length
        (J,) seconds since 1970, seconds.
    window
        (J,) seconds after onset that the incremental is summed over, cut at the end of the data.
    ahead
        1 when the last bin lies behind the data: a feed that leads the regions says what they will feel then.
    feed, feed_exposure
        (L, T) social counts and their observed seconds, read each of ``leads`` seconds before the bin; L = 0 without.
    feed_variance
        (L, T) local excess variance of the feed's log, a second (methods, section 2, row G).
    leads, lead_weight
        (L,) seconds by which the feed may lead the regions, and their prior weights.
    posts
        The feed as it came, for a look at fewer of its seconds.
    breaks
        (B, T) share of each bin that lies in each declared break or organic moment; ``break_kind`` (B,) says which.
    kernels, peak, kernel_weight, mass
        The bank: (M,) kernels, the modes of their lags after delivery (s), their prior weights, and (M, J, T) the share
        of a response that falls into each bin.
    basis, coefficient
        (J, Q, T) and (M, J, Q): ``mass`` as a few columns and each kernel's weights on them.
    window_mass
        (M, J) the share of a response that falls into the window.
    full_window
        (J,) the windows, not cut at the end of the data.
    history
        (T,) mask of the bins before the first airing of the group that no earlier response reaches.
    fine
        The data's own bins, for the noise and the watched test: (T',) starts and widths in seconds, (R, T') counts,
        NaN where unknown.
    pulse
        (J, T') rate of the likeliest response in the data's own bins, 1 at its peak, wherever the data end.
    whole
        Whether the last bin with data is as wide as it will ever be: one that still grows is no look of its own.
    """

    airings: np.ndarray
    start: np.ndarray
    width: np.ndarray
    y: np.ndarray
    exposure: np.ndarray
    share: np.ndarray
    regions: tuple[str, ...]
    onset: np.ndarray
    length: np.ndarray
    window: np.ndarray
    full_window: np.ndarray
    ahead: int
    feed: np.ndarray
    feed_exposure: np.ndarray
    feed_variance: np.ndarray
    leads: np.ndarray
    lead_weight: np.ndarray
    posts: Posts | None
    breaks: np.ndarray
    break_kind: tuple[str, ...]
    kernels: tuple[Kernel | Delayed, ...]
    peak: np.ndarray
    kernel_weight: np.ndarray
    mass: np.ndarray
    basis: np.ndarray
    coefficient: np.ndarray
    window_mass: np.ndarray
    history: np.ndarray
    fine: tuple[np.ndarray, np.ndarray, np.ndarray]
    pulse: np.ndarray
    whole: bool = True
    memory: dict = field(default_factory=dict, repr=False, compare=False)
    """What was worked out of this design before, by name and arguments; see :func:`remembered`."""

    @property
    def mid(self) -> np.ndarray:
        """(T,) seconds: the middle of each bin."""
        return self.start + self.width / 2

    @property
    def fed(self) -> bool:
        """Whether there is a social feed."""
        return len(self.leads) > 0

    @property
    def known(self) -> int:
        """Number of bins with data: all but the one that may lie ahead."""
        return len(self.start) - self.ahead

    @property
    def exposed(self) -> np.ndarray:
        """(R,) mask of the regions that any airing of the group reached."""
        return self.share.sum(axis=0) > 0

    def inside(self, j: int) -> np.ndarray:
        """(T,) share of each bin that lies in the window of airing ``j``."""
        low, high = self.onset[j], self.onset[j] + self.window[j]
        overlap = np.minimum(self.start + self.width, high) - np.maximum(self.start, low)
        return np.clip(overlap / self.width, 0.0, 1.0)

    def begun(self, count: int) -> np.ndarray:
        """(J,) mask of the airings that had begun when the first ``count`` bins had arrived."""
        return self.onset < self.start[count - 1] + self.width[count - 1] - 1e-9

    def _of(self, some: np.ndarray) -> Design:
        """Return the design of some airings, (J,) mask."""
        if some.all():
            return self
        per_airing = ("airings", "share", "onset", "length", "window", "full_window", "pulse")
        own = {name: getattr(self, name)[some] for name in per_airing}
        return replace(self, memory={}, mass=self.mass[:, some], **own)

    def pooled(self, most: int) -> Design:
        """Return the design with its ``most`` largest regions, the others summed by the airings that they saw.

        A look at 60 regions costs a hundred times a look at 12; small regions add little to a control but their sum.
        """
        level = self.y[:, self.history].sum(axis=1)
        small = np.argsort(-level, kind="stable")[most:]
        if len(small) < 2:
            return self
        pattern = [tuple(saw) for saw in (self.share[:, small] > 0).T]
        single = np.setdiff1d(np.arange(len(level)), small)
        rows = [np.array([r]) for r in single]
        rows += [small[[p == want for p in pattern]] for want in sorted(set(pattern))]
        add = np.zeros((len(rows), len(level)))
        for g, row in enumerate(rows):
            add[g, row] = 1.0
        part = add * np.maximum(level, 1e-9)  # what a region's seconds count for in a sum: its level before the airing
        names = [self.regions[row[0]] for row in rows[: len(single)]]  # a world is known by its region's name
        names += [f"smaller regions ({len(row)} from {self.regions[row[0]]})" for row in rows[len(single) :]]
        return replace(
            self, memory={}, y=add @ self.y, exposure=(part / part.sum(axis=1, keepdims=True)) @ self.exposure,
            share=self.share @ add.T, regions=tuple(names), fine=(*self.fine[:2], add @ self.fine[2]),
        )  # fmt: skip

    def first(self, count: int) -> Design:
        """Return the design as it was when its first ``count`` bins had arrived: without what had not begun by then."""
        self = self._of(self.begun(count))  # noqa: PLW0642  from here on these airings are all there are
        close = float(self.start[count - 1] + self.width[count - 1])
        ahead = 1 if self.posts is not None and self.ahead else 0
        # The bin ahead is as wide as the longest lead and begins where the data end.
        start = np.append(self.start[:count], [close] * ahead)
        width = np.append(self.width[:count], self.width[-1:] if ahead else [])
        pad = lambda a: np.concatenate([a[..., :count], np.zeros((*a.shape[:-1], ahead))], axis=-1)  # noqa: E731
        first = float(self.onset.min(initial=close))
        feed, seen, variance = laid.read(self.posts, self.leads, start, start + width, close, first)
        window = np.clip(close - self.onset, 0.0, self.full_window)
        cut = replace(
            self, memory={}, start=start, width=width, y=pad(self.y), exposure=pad(self.exposure), window=window,
            ahead=ahead, feed=feed, feed_exposure=seen, feed_variance=variance, breaks=pad(self.breaks),
            mass=pad(self.mass), history=np.append(self.history[:count], np.zeros(ahead, dtype=bool)), whole=True,
        )  # fmt: skip
        inside = np.array([cut.inside(j) for j in range(len(window))])
        basis, coefficient = laid.basis(cut.mass, self.kernel_weight, 1e-5)
        within = np.einsum("mjt,jt->mj", cut.mass, inside)
        return replace(cut, memory={}, window_mass=within, basis=basis, coefficient=coefficient)


Result = TypeVar("Result")
Given = ParamSpec("Given")


def remembered(
    work: Callable[Concatenate[Design, Given], Result],
) -> Callable[Concatenate[Design, Given], Result]:
    """Keep what a function of a design returns with the design: worlds share most of what they are made of."""

    @wraps(work)
    def asked(design: Design, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        name = (work.__name__, *args)
        if name not in design.memory:
            design.memory[name] = work(design, *args, **kwargs)
        return design.memory[name]

    return asked


def build(
    counts: Counts,
    airings: pd.DataFrame,
    settings: Settings,
    *,
    members: np.ndarray,
    others: np.ndarray,
    social: pd.DataFrame | None = None,
    audience: pd.DataFrame | None = None,
    context: pd.DataFrame | None = None,
    exposures: pd.DataFrame | None = None,
    masked: np.ndarray | None = None,
) -> Design | None:
    """Build the design of one group of airings; None when its history or response window holds no data.

    Parameters
    ----------
    members
        (J,) positions in ``airings`` of the group.
    others
        (J',) positions of airings outside the group: their response windows are left out of the data.
    social, audience, context, exposures
        The feeds, as their readers return them.
    masked
        (T, R) bins of ``counts`` to leave out (an outage and its rebound), True = leave out.
    """
    step = float(np.median(counts.width)) if len(counts.width) else 1.0
    at, length = laid.moments(airings)
    onset, span = at[members], length[members]
    window = window_seconds(settings, span, step)
    first, last = laid.reach(counts, onset, window, history_seconds(settings, step), max(900.0, 30.0 * step))
    if last <= first:
        return None
    start, width = counts.seconds[first:last], counts.width[first:last]
    busy = np.zeros(len(start), dtype=bool)
    for j, far in zip(others, window_seconds(settings, length[others], step), strict=True):
        busy |= (start >= at[j]) & (start < at[j] + far)
    left_out = busy[:, None] | (False if masked is None else masked[first:last])
    labels, total, seen = laid.observed(counts, airings, members, slice(first, last), left_out)
    found = posts(social if settings.social else None, step)
    leads, lead_weight = _leads(step) if found else (np.empty(0), np.empty(0))
    ahead = 1 if len(leads) and leads[-1] > 0 else 0
    close = float(start[-1] + width[-1])
    edge, whole = _bins(start, width, at, window_seconds(settings, length, step), members, others)
    low = np.append(start[edge], [close] * ahead)
    high = np.concatenate([start[edge[1:] - 1] + width[edge[1:] - 1], [close], [close + leads[-1]] if ahead else []])
    y, exposure = (np.pad(np.add.reduceat(a, edge, axis=0).T, ((0, 0), (0, ahead))) for a in (total, seen))
    feed, feed_exposure, feed_variance = laid.read(found, leads, low, high, close, float(onset.min()))
    cut = np.minimum(window, close - onset)
    named, kinds = laid.declared(context, low, high)
    return Design(
        airings=members,
        start=low,
        width=high - low,
        y=y,
        exposure=exposure,
        share=laid.share(airings, members, labels, y, exposure, low, audience),
        regions=labels,
        onset=onset,
        length=span,
        window=cut,
        full_window=window,
        ahead=ahead,
        feed=feed,
        feed_exposure=feed_exposure,
        feed_variance=feed_variance,
        leads=leads,
        lead_weight=lead_weight,
        posts=found,
        breaks=named,
        break_kind=kinds,
        history=high <= onset.min() + 1e-9,
        fine=(start, width, np.where(seen > 0.5 * width[:, None], total, np.nan).T),
        whole=whole,
        **_responses(airings, members, settings, exposures, low, high, onset, cut, span, ahead, (start, width)),
    )


def _bins(
    start: np.ndarray, width: np.ndarray, at: np.ndarray, window: np.ndarray, members: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return where the model's bins begin, and whether the last of them is complete.

    Bins are as fine before an airing that is due as they will be once it is on air: a look back must find the bins
    that the look of the time had. ``at`` and ``window`` (A,) are of all airings.
    """
    near, end = list(members), float((at + window)[members].max())
    for j in np.argsort(at, kind="stable"):
        if j not in members and j not in others and at[members].min() <= at[j] < end:
            near.append(int(j))
            end = max(end, float(at[j] + window[j]))
    edge = adaptive_bins(
        np.append(start, start[-1] + width[-1]), np.append(width, width[-1]), at[near], window[near]
    )  # a bin more: only what begins next ends the last
    whole = bool(edge[-1] == len(start))
    return edge[: len(edge) - whole], whole


def _leads(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the leads of a feed that bins of ``step`` seconds can tell, and their prior weights."""
    return (LEADS, LEAD_WEIGHT) if step <= LEADS_BELOW_S else (np.zeros(1), np.ones(1))


def _responses(
    airings: pd.DataFrame,
    members: np.ndarray,
    settings: Settings,
    exposures: pd.DataFrame | None,
    low: np.ndarray,
    high: np.ndarray,
    onset: np.ndarray,
    cut: np.ndarray,
    span: np.ndarray,
    ahead: int,
    fine: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """Return the design's fields about kernels: the bank, its masses in the bins and its basis."""
    kernels, peak, shift, weight = response_bank(settings)
    long = np.where(span > LONG_AIRING_S, span, 0.0)
    mass, within = laid.mass(airings, members, exposures, kernels, shift, low, high, onset, cut, long)
    mass[..., len(low) - ahead :] = 0.0
    basis, coefficient = laid.basis(mass, weight, 1e-6)
    best = int(np.argmax(weight))
    horizon = np.maximum(onset + 2 * float(kernels[best].quantile(0.5)) + long + shift[best], high[-1]).max() - high[-1]
    step = fine[1][-1]
    begin = np.concatenate([fine[0], fine[0][-1] + step * np.arange(1, 2 + int(np.ceil(horizon / step)))])
    size = np.concatenate([fine[1], np.full(len(begin) - len(fine[1]), step)])
    rate = (
        laid.mass(airings, members, exposures, (kernels[best],), shift[[best]], begin, begin + size, onset, cut, long)[
            0
        ][0]
        / size
    )
    rate /= np.maximum(rate.max(axis=1, keepdims=True), 1e-300)
    return {
        "pulse": rate[:, : len(fine[0])],
        "kernels": kernels,
        "peak": peak,
        "kernel_weight": weight,
        "mass": mass,
        "basis": basis,
        "coefficient": coefficient,
        "window_mass": within,
    }
