"""What one climb reads, and the rows of its equations: expected counts and their derivatives, compiled.

The same derivatives as :func:`attribution.model.linear.linearise` lays out term by term. Here nothing is laid out that
is 0: before an airing no column of it is touched. Columns are, in this order, the working response, the effects asked
for, and the basis of the kernels, airing after airing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from attribution.model.design import remembered
from attribution.model.mean import LEAST_FACTOR, fill_expected, spread_out

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise
    from attribution.model.layout import Frame


class Given(NamedTuple):
    """What stays the same through one climb; arrays as in Design and Frame."""

    y: np.ndarray
    exposure: np.ndarray
    feed: np.ndarray
    """(T,) posts at this lead; no bins without a feed, as of the next two."""
    feed_exposure: np.ndarray
    posted: np.ndarray
    """(T,) share of each bin in which posts were observed."""
    share: np.ndarray
    dispersion: float
    feed_dispersion: float
    slots: np.ndarray
    extra: np.ndarray
    contrast: np.ndarray
    common: np.ndarray
    loading: np.ndarray
    first: np.ndarray
    decay: np.ndarray
    step: np.ndarray
    band: np.ndarray
    prior_mean: np.ndarray
    prior_sd: np.ndarray
    kernel: np.ndarray
    misfit: np.ndarray
    owner: np.ndarray
    splitter: np.ndarray
    turn: np.ndarray
    seen: np.ndarray
    kinds: np.ndarray
    """(R [+ 1], 5) paths that the observations of a bin read, -1: none; regions, then the feed."""
    place: np.ndarray
    """(P,) column of each effect, -1: none."""
    targets: np.ndarray
    """(J',) airings whose basis is asked for."""
    basis: np.ndarray
    begun: int
    """Column at which the basis begins."""
    size: int
    """Number of columns."""
    reach: np.ndarray
    """(T,) columns that may be anything but 0."""
    begin: int
    """First bin that any response touches."""


class Expected(NamedTuple):
    """Expected counts at a state, (R, T) and (T,), with the split (J, R) and the shapes (J, T) of the responses."""

    base: np.ndarray
    ad: np.ndarray
    feed: np.ndarray
    growth: np.ndarray
    split: np.ndarray
    shape: np.ndarray
    brought: np.ndarray
    """(T,) conversions of the ads by the kernel alone: what brings posts."""


def given(design: Design, noise: Noise, layout: Frame, mask: np.ndarray, targets: np.ndarray | None) -> Given:
    """Gather what a climb reads.

    Parameters
    ----------
    mask
        (P,) effects that get a column.
    targets
        (J',) airings whose kernels are asked about; None for none.
    """
    targets = np.empty(0, dtype=np.int64) if targets is None else targets
    none = np.empty(0)
    feed, seen = (design.feed[layout.lead], design.feed_exposure[layout.lead]) if design.fed else (none, none)
    begun, size, bins = 1 + int(mask.sum()), design.basis.shape[1], len(design.start)
    begins = _begins(design)
    reach = np.full(bins, 1 + int(mask[: layout.names["mediator"].start].sum()))
    begin = int(begins.min(initial=bins))
    reach[begin:] = begun
    for number, airing in enumerate(targets):
        late = reach[begins[airing] :]
        late[:] = np.maximum(late, begun + (number + 1) * size)
    chains = layout.chains
    return Given(
        y=design.y, exposure=design.exposure, feed=feed, feed_exposure=seen,
        posted=seen / design.width if design.fed else none, share=design.share, dispersion=noise.dispersion,
        feed_dispersion=noise.feed_dispersion, slots=layout.slots, extra=layout.extra, contrast=layout.contrast,
        common=layout.columns, loading=layout.loading, first=chains.first, decay=chains.decay, step=chains.step,
        band=chains.band, prior_mean=layout.prior_mean, prior_sd=layout.prior_sd, kernel=layout.kernel,
        misfit=layout.misfit, owner=layout.owner, splitter=layout.splitter, turn=layout.turn, seen=layout.seen,
        kinds=_kinds(design, layout), place=np.where(mask, np.cumsum(mask), -1), targets=targets, basis=design.basis,
        begun=begun, size=begun + len(targets) * size, reach=reach, begin=begin,
    )  # fmt: skip


@remembered
def _begins(design: Design) -> np.ndarray:
    """Return (J,) the first bin that each response may touch; the number of bins where it touches none."""
    touched = np.any(design.mass > 0, axis=0)
    return np.where(np.any(touched, axis=1), np.argmax(touched, axis=1), touched.shape[1])


def _kinds(design: Design, layout: Frame) -> np.ndarray:
    """Return (R [+ 1], 5) the paths that the observations of a bin read, -1: none: regions, then the feed."""
    shared, shock, surge, own, first = layout.slots[:5].tolist()
    kinds = np.full((len(design.regions) + design.fed, 5), -1, dtype=np.int64)
    kinds[: len(design.regions), 0] = first + np.arange(len(design.regions))
    kinds[: len(design.regions), 1:4] = shared, shock, surge
    kinds[: len(design.regions), 4] = layout.extra
    if design.fed:
        kinds[-1, :2] = own, surge
    return kinds


@njit(cache=True, nogil=True)
def expect(own: Given, paths: np.ndarray, effects: np.ndarray) -> Expected:
    """Return the expected counts at a state: :func:`attribution.model.mean.predict`, compiled."""
    regions, bins = own.y.shape
    slots, airings = own.slots, len(own.share)
    base, growth, ad = np.empty((regions, bins)), np.empty((regions, bins)), np.zeros((regions, bins))
    feed, brought = np.empty(len(own.feed)), np.zeros(bins)
    split, shape = own.share.copy(), own.kernel.copy()
    if len(own.splitter):
        change = np.ones(split.shape)
        spread_out(change, own.splitter, effects[slots[11] : slots[11] + len(own.splitter)], own.turn)
        split *= change
    if len(own.owner):
        spread_out(shape, own.owner, effects[slots[12] : slots[12] + len(own.owner)], own.misfit)
    for j in range(airings):
        amount = effects[slots[13] + j]
        if amount == 0.0:
            continue
        for t in range(own.begin, bins):
            brought[t] += amount * own.kernel[j, t]
        for r in range(regions):
            level = amount * split[j, r]
            for t in range(own.begin, bins):
                ad[r, t] += level * shape[j, t] * own.seen[r, t]
    fill_expected(
        own.exposure, own.feed_exposure, slots, own.extra, own.contrast, own.common, own.loading, paths, effects, base,
        growth, feed,
    )  # fmt: skip
    if slots[10] >= 0:
        for t in range(len(feed)):
            feed[t] += effects[slots[10]] * brought[t] * own.posted[t]
    return Expected(base, ad, feed, growth, split, shape, brought)


@njit(cache=True, nogil=True)
def _put(rows, n, column, value):
    """Put a derivative into its column, where it has one."""
    if column > 0:
        rows[n, column] = value


@njit(cache=True, nogil=True)
def rows_of_regions(own, paths, effects, mean, coefficient, rows):
    """Fill what counts depend on beside the ads; the response at column 0.

    Column 5 of the coefficients is what a surge of 1 would add at gain 1, column 6 the root of the weight.
    """
    regions, bins = own.y.shape
    each, place, loading = len(own.kinds), own.place, own.loading
    shared, shock, surge, first = own.slots[0], own.slots[1], own.slots[2], own.slots[4]
    level, common, gain, scale = own.slots[5], own.slots[6], own.slots[8], own.slots[9]
    felt = np.ones(regions)
    if scale >= 0:
        felt = np.exp(np.dot(own.contrast, effects[scale : scale + own.contrast.shape[1]]))
    for t in range(bins):
        for r in range(regions):
            if own.exposure[r, t] <= 0.0:
                continue
            n, mu = t * each + r, mean.base[r, t]
            plain = mu / mean.growth[r, t] * felt[r]
            total = own.y[r, t] - mu - mean.ad[r, t] + effects[level + r] * mu
            coefficient[n, 0] = mu * loading[first + r, t]
            total += coefficient[n, 0] * paths[t, first + r]
            if shared >= 0:
                coefficient[n, 1] = mu * loading[shared, t]
                total += coefficient[n, 1] * paths[t, shared]
            if shock >= 0:
                coefficient[n, 2] = plain * loading[shock, t]
                total += coefficient[n, 2] * paths[t, shock]
            if surge >= 0:
                coefficient[n, 3] = plain * effects[gain]
                total += 2.0 * coefficient[n, 3] * paths[t, surge]  # by the path and by the gain
                _put(rows, n, place[gain], plain * paths[t, surge])
            if own.extra[r] >= 0:
                coefficient[n, 4] = mu * loading[own.extra[r], t]
                total += coefficient[n, 4] * paths[t, own.extra[r]]
            _put(rows, n, place[level + r], mu)
            for c in range(own.common.shape[0]):
                value = mu * own.common[c, t]
                total += effects[common + c] * value
                _put(rows, n, place[common + c], value)
            if scale >= 0:
                surged = mu / mean.growth[r, t] * (mean.growth[r, t] - 1.0)
                for c in range(own.contrast.shape[1]):
                    value = surged * own.contrast[r, c]
                    total += effects[scale + c] * value
                    _put(rows, n, place[scale + c], value)
            rows[n, 0] = total
            coefficient[n, 5] = plain
            coefficient[n, 6] = 1.0 / np.sqrt(own.dispersion * max(mu + mean.ad[r, t], 0.02 * mu, 1e-9))


@njit(cache=True, nogil=True)
def rows_of_responses(own, effects, mean, rows):
    """Add what counts depend on through the ads."""
    regions, bins = own.y.shape
    each, place, share = len(own.kinds), own.place, own.share
    deviation, bent, incremental = own.slots[11], own.slots[12], own.slots[13]
    for t in range(own.begin, bins):
        for r in range(regions):
            n, known, total = t * each + r, own.seen[r, t], 0.0
            if known <= 0.0:
                continue
            for j in range(len(share)):
                value = mean.split[j, r] * mean.shape[j, t] * known
                total += effects[incremental + j] * value
                _put(rows, n, place[incremental + j], value)
            for v in range(len(own.splitter)):
                j, p = own.splitter[v], deviation + v
                value = effects[incremental + j] * share[j, r] * own.turn[v, r] * mean.shape[j, t] * known
                total += effects[p] * value
                _put(rows, n, place[p], value)
            for v in range(len(own.owner)):
                j, p = own.owner[v], bent + v
                value = effects[incremental + j] * share[j, r] * own.misfit[v, t] * known
                total += effects[p] * value
                _put(rows, n, place[p], value)
            rows[n, 0] += total
            for number in range(len(own.targets)):
                j, at = own.targets[number], own.begun + number * own.basis.shape[1]
                for q in range(own.basis.shape[1]):
                    rows[n, at + q] = mean.split[j, r] * own.basis[j, q, t] * known


@njit(cache=True, nogil=True)
def rows_of_feed(own, paths, effects, mean, coefficient, rows):
    """Fill the rows of the feed, whose posts are those of the surge and, with a mediator, the ads' own."""
    each, place = len(own.kinds), own.place
    surge, wandering, level, mediator, incremental = (
        own.slots[2], own.slots[3], own.slots[7], own.slots[10], own.slots[13],
    )  # fmt: skip
    rate = effects[mediator] if mediator >= 0 else 0.0
    for t in range(len(own.feed)):
        if own.feed_exposure[t] <= 0.0:
            continue
        n, known = t * each + each - 1, own.posted[t]
        plain = mean.feed[t] - rate * mean.brought[t] * known
        coefficient[n, 0] = plain * own.loading[wandering, t]
        coefficient[n, 1] = plain / max(1.0 + paths[t, surge], LEAST_FACTOR)
        total = own.feed[t] - mean.feed[t] + effects[level] * plain
        total += coefficient[n, 0] * paths[t, wandering] + coefficient[n, 1] * paths[t, surge]
        _put(rows, n, place[level], plain)
        if mediator >= 0:
            total += rate * mean.brought[t] * known
            _put(rows, n, place[mediator], mean.brought[t] * known)
        for j in range(len(own.share)):
            value = rate * mean.shape[j, t] * known
            total += effects[incremental + j] * value
            _put(rows, n, place[incremental + j], value)
        for number in range(len(own.targets)):
            j, at = own.targets[number], own.begun + number * own.basis.shape[1]
            for q in range(own.basis.shape[1]):
                rows[n, at + q] = rate * own.basis[j, q, t] * known
        rows[n, 0] = total
        coefficient[n, 6] = 1.0 / np.sqrt(own.feed_dispersion * max(mean.feed[t], 1e-9))
