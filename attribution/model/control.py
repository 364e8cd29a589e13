"""Whether the controls followed the exposed regions before the ad, and the fast mSPRT of the two beside the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import chi2

from attribution.sequential import joint_filter_log_e

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise

LIFTS = np.concatenate([[0.0], np.linspace(0.1, 2.2, 11)])
"""The lifts the joint filter mixes over: 0 and .1 ... 2.2, twelve values (methods, section 4)."""

BLOCKS = (1, 5, 15, 30, 60)
"""Lengths, in data bins, of the blocks in which the exposed share of the history is tested."""


class Credibility(NamedTuple):
    """Whether the controls followed the exposed regions in the history."""

    credible: bool
    ratio: float
    """Worst dispersion of the exposed share over what counts and the learnt regional wandering explain."""
    block_s: float
    """Length of the blocks in which it is worst, seconds."""
    p: float
    """P of the worst, times the number of block lengths (Bonferroni)."""


def _streams(design: Design, airing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return start and width of the data's bins with both streams known, exposed, control, mask of the history."""
    start, width, y = design.fine
    seen, known = design.share[airing] > 0, _known(design)
    exposed, control = y[seen].sum(axis=0), y[~seen].sum(axis=0)
    return start[known], width[known], exposed[known], control[known], start[known] < design.onset[airing] - 1e-9


def _known(design: Design) -> np.ndarray:
    """Return (T',) mask of the data's bins in which every region is known."""
    return np.isfinite(design.fine[2].sum(axis=0))


def joint(design: Design, airing: int, close: float) -> tuple[np.ndarray, np.ndarray]:
    """Run the joint filter of methods, section 4, to ``close``: (L,) end of each bin, seconds since 1970, and log e."""
    start, width, exposed, control, before = _streams(design, airing)
    history = int(before.sum())
    live = start < close - 1e-9
    after = live & ~before
    if history < 10 or not after.any() or control[before].sum() < 1 or exposed[before].sum() < 1:
        return np.empty(0), np.empty(0)
    kernel = np.where(before, 0.0, design.pulse[airing][_known(design)])[live]
    log_e = joint_filter_log_e(
        exposed[live],
        control[live],
        kernel,
        LIFTS,
        ratio=float(control[before].sum() / exposed[before].sum()),
        dispersion=share_dispersion(exposed[before], control[before]),
        history=history,
    )[history:]
    return (start + width)[after], log_e


def share_dispersion(exposed: np.ndarray, control: np.ndarray) -> float:
    """Return the largest dispersion of the exposed share over blocks of the history, at least 1: (T,), (T,) counts."""
    share = exposed.sum() / max(exposed.sum() + control.sum(), 1.0)
    worst = 1.0
    for block in BLOCKS:
        n = len(exposed) // block
        if n < 10:
            continue
        x = exposed[: n * block].reshape(n, block).sum(axis=1)
        total = x + control[: n * block].reshape(n, block).sum(axis=1)
        worst = max(worst, float(((x - share * total) ** 2).sum() / max((share * (1 - share) * total).sum(), 1e-9)))
    return worst


class Block(NamedTuple):
    """How far the exposed share of the history wandered in blocks of one length."""

    span_s: float
    ratio: float
    """Mean square of the steps of the log ratio over what counts and the learnt regional wandering explain."""
    p: float
    """P of so much or more; not corrected for the number of lengths."""
    steps: int


def by_block(design: Design, noise: Noise, airing: int) -> list[Block]:
    """Return the test of the exposed share in blocks of every length that the history allows.

    In blocks the log ratio of exposed to control has variance phi (1/X + 1/Y) + the variance of the block mean of the
    regional OU paths (weights as the regions' levels). The sum of squares over that is compared with chi-square;
    differences of neighbouring blocks are used, so that a slow trend of the mix does not count.
    """
    _start, width, exposed, control, before = _streams(design, airing)
    exposed, control = exposed[before], control[before]
    step = float(np.median(width)) if len(width) else 1.0
    found = []
    for block in BLOCKS:
        x, y = _summed(exposed, block), _summed(control, block)
        if len(x) < 12 or min(x.mean(), y.mean()) < 5:
            continue
        span = block * step
        own, cover = _wandering(design, noise, airing, span)
        noise_var = noise.dispersion * (1 / (x + 0.5) + 1 / (y + 0.5))
        expected = noise_var[1:] + noise_var[:-1] + 2 * (own - cover)
        log = np.log((x + 0.5) / (y + 0.5))
        square = (np.diff(log) ** 2 / expected)[::2]  # every other difference: independent but for the wandering
        found.append(Block(span, float(square.mean()), float(chi2.sf(square.sum(), len(square))), len(square)))
    return found


def followed(design: Design, noise: Noise, airing: int, *, span_s: float) -> tuple[np.ndarray, ...]:
    """Return how the exposed regions stood to the controls before the airing, in blocks of about ``span_s`` seconds.

    Returns
    -------
    (N,) middles of the blocks, seconds since 1970; (N,) log ratio about its mean; (N,) the sd of that which counts and
    the learnt wandering of the regions explain. Empty where there are no controls.
    """
    start, width, exposed, control, before = _streams(design, airing)
    block = max(1, round(span_s / float(np.median(width)))) if len(width) else 1
    x, y = _summed(exposed[before], block), _summed(control[before], block)
    if not len(x) or not y.any():
        return np.empty(0), np.empty(0), np.empty(0)
    log = np.log((x + 0.5) / (y + 0.5))
    span = block * float(np.median(width))
    own, _ = _wandering(design, noise, airing, span)
    sd = np.sqrt(noise.dispersion * (1 / (x + 0.5) + 1 / (y + 0.5)) + own)
    weight = sd**-2.0
    middle = start[before][: len(x) * block : block] + span / 2
    return middle, log - weight @ log / weight.sum(), sd


def _summed(counts: np.ndarray, block: int) -> np.ndarray:
    """Return (N,) sums of whole blocks."""
    n = len(counts) // block
    return counts[: n * block].reshape(n, block).sum(axis=1)


def _wandering(design: Design, noise: Noise, airing: int, span: float) -> tuple[float, float]:
    """Return variance of a block mean of the regions' own OU paths, and covariance of neighbouring ones.

    Of the log ratio: exposed and control regions weigh as their levels before the airing.
    """
    seen = design.share[airing] > 0
    past = design.fine[0] < design.onset[airing] - 1e-9
    level = np.maximum(np.nansum(design.fine[2][:, past], axis=1), 1e-9)
    weight = float(sum((part / part.sum()) @ (part / part.sum()) for part in (level[seen], level[~seen]) if len(part)))
    sd, tau = noise.regional
    u = span / tau
    return sd**2 * weight * 2 * (u + np.expm1(-u)) / u**2, sd**2 * weight * (np.expm1(-u) / u) ** 2


def credibility(design: Design, noise: Noise, airing: int) -> Credibility:
    """Test whether the exposed share of the history wanders no more than counts and the learnt wandering explain.

    The length of blocks in which it is worst decides; see :func:`by_block`.
    """
    found = by_block(design, noise, airing)
    if not found:
        return Credibility(credible=False, ratio=np.nan, block_s=np.nan, p=np.nan)
    worst = min(found, key=lambda block: block.p)
    p = min(1.0, worst.p * len(found))
    return Credibility(credible=p > 0.001 or worst.ratio < 1.25, ratio=worst.ratio, block_s=worst.span_s, p=p)
