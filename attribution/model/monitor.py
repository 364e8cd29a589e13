"""Evidence that survives watching: one e-value a look, the credibility of the controls, the interval's floor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import log_ndtr, logsumexp
from scipy.stats import chi2

from attribution.model import fit as fast
from attribution.model.layout import baseline
from attribution.model.linear import consider
from attribution.sequential import joint_filter_log_e

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise
    from attribution.model.linear import Mode

LIFTS = np.concatenate([[0.0], np.linspace(0.1, 2.2, 11)])
"""The lifts the joint filter mixes over: 0 and .1 ... 2.2, twelve values (methods, section 4)."""

BLOCKS = (1, 5, 15, 30)
"""Lengths, in data bins, of the blocks in which the exposed share of the history is tested."""

LOOKS = 16
"""Looks over a window when each of them refits the model (series without a control)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The path of the e-process of one airing.

    Attributes
    ----------
    time
        (L,) seconds since 1970: end of the data at each look.
    log_e
        (L,) natural log of the e-value at each look.
    method
        ``joint filter`` (exposed against control regions) or ``one series`` (the model's own mixture).
    """

    time: np.ndarray
    log_e: np.ndarray
    method: str
    explained: str = ""
    """The world that explains the data as well without the ad, where the plain mixture would have claimed it."""

    def stopped(self, alpha: float) -> float:
        """Log e-value where watching stops: at the decision if there was one, else at the last look; 0 before any.

        A decision is a stopping time, so the value there is an e-value whatever the path does afterwards.
        """
        if not len(self.log_e):
            return 0.0
        decided = self.decided(alpha)
        return float(self.log_e[-1] if decided is None else self.log_e[self.time == decided][0])

    @property
    def anytime_p(self) -> np.ndarray:
        """(L,) always-valid p at each look: the running minimum of 1/E, at most 1 (Johari et al. 2022)."""
        return np.exp(-np.maximum.accumulate(np.maximum(self.log_e, 0.0)))

    def decided(self, alpha: float) -> float | None:
        """Second after 1970 at which E had reached 1/alpha on two consecutive looks; None if it never did."""
        above = self.log_e >= -np.log(alpha)
        both = np.flatnonzero(above[1:] & above[:-1])
        return float(self.time[both[0] + 1]) if len(both) else None


class Credibility(NamedTuple):
    """Whether the controls followed the exposed regions in the history."""

    credible: bool
    ratio: float
    """Worst dispersion of the exposed share over what counts and the learnt regional wandering explain."""
    block_s: float
    """Length of the blocks in which it is worst, seconds."""
    p: float
    """P of the worst, times the number of block lengths (Bonferroni)."""


def evidence(design: Design, noise: Noise, airing: int, *, lift_sd: float, alpha: float) -> Evidence:
    """Return the e-process of one airing of the design, at every look so far.

    With controls, the joint filter on the data's own bins; without, the model's mixture at ``LOOKS`` looks.
    """
    if (design.share[airing] == 0).any() and (design.share[airing] > 0).any():
        return _joint(design, airing)
    return _one_series(design, noise, airing, lift_sd=lift_sd, alpha=alpha)


def _streams(design: Design, airing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return start and width of the data's bins with both streams known, exposed, control, mask of the history."""
    start, width, y = design.fine
    seen = design.share[airing] > 0
    exposed, control = y[seen].sum(axis=0), y[~seen].sum(axis=0)
    known = np.isfinite(exposed) & np.isfinite(control)
    return start[known], width[known], exposed[known], control[known], start[known] < design.onset[airing] - 1e-9


def _joint(design: Design, airing: int) -> Evidence:
    """Run the joint filter of methods, section 4, over history and window."""
    start, width, exposed, control, before = _streams(design, airing)
    end = design.onset[airing] + design.window[airing]
    history = int(before.sum())
    live = start < end - 1e-9
    after = live & ~before
    if history < 10 or not after.any() or control[before].sum() < 1 or exposed[before].sum() < 1:
        return Evidence(time=np.empty(0), log_e=np.empty(0), method="joint filter")
    kernel = np.zeros(int(live.sum()))
    best = int(np.argmax(design.kernel_weight))
    rate = np.interp(start[after] + width[after] / 2, design.mid, design.mass[best, airing] / design.width)
    kernel[history:] = rate / max(rate.max(), 1e-12) if rate.max() > 0 else 0.0
    log_e = joint_filter_log_e(
        exposed[live],
        control[live],
        kernel,
        LIFTS,
        ratio=float(control[before].sum() / exposed[before].sum()),
        dispersion=share_dispersion(exposed[before], control[before]),
        history=history,
    )[history:]
    return Evidence(time=(start + width)[after], log_e=log_e, method="joint filter")


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


def credibility(design: Design, noise: Noise, airing: int) -> Credibility:
    """Test whether the exposed share of the history wanders no more than counts and the learnt wandering explain.

    In blocks of several lengths the log ratio of exposed to control has variance phi (1/X + 1/Y) + the variance of the
    block mean of the regional OU paths (weights as the regions' levels). The sum of squares over that is compared with
    chi-square; differences of neighbouring blocks are used, so that a slow trend of the mix does not count.
    """
    _start, width, exposed, control, before = _streams(design, airing)
    exposed, control = exposed[before], control[before]
    seen = design.share[airing] > 0
    level = np.maximum(np.nansum(design.fine[2], axis=1), 1e-9)
    weight = (level[seen] / level[seen].sum()) @ (level[seen] / level[seen].sum())
    weight += (level[~seen] / level[~seen].sum()) @ (level[~seen] / level[~seen].sum())
    step = float(np.median(width)) if len(width) else 1.0
    sd, tau = noise.regional
    found = []
    for block in BLOCKS:
        n = len(exposed) // block
        if n < 12:
            continue
        x = exposed[: n * block].reshape(n, block).sum(axis=1)
        y = control[: n * block].reshape(n, block).sum(axis=1)
        if min(x.mean(), y.mean()) < 5:
            continue
        log = np.log((x + 0.5) / (y + 0.5))
        span = block * step
        u = span / tau
        mean_var = sd**2 * weight * 2 * (u + np.expm1(-u)) / u**2
        cover = sd**2 * weight * (np.expm1(-u) / u) ** 2  # neighbouring block means of an OU path
        noise_var = noise.dispersion * (1 / (x + 0.5) + 1 / (y + 0.5))
        expected = noise_var[1:] + noise_var[:-1] + 2 * (mean_var - cover)
        square = (np.diff(log) ** 2 / expected)[::2]  # every other difference: independent but for the wandering
        found.append((square.mean(), span, float(chi2.sf(square.sum(), len(square)))))
    if not found:
        return Credibility(credible=False, ratio=np.nan, block_s=np.nan, p=np.nan)
    ratio, span, p = min(found, key=lambda row: row[2])
    p = min(1.0, p * len(found))
    return Credibility(credible=p > 0.001 or ratio < 1.25, ratio=float(ratio), block_s=float(span), p=p)


def log_bayes(score: np.ndarray, information: np.ndarray, scale: float) -> np.ndarray:
    """Log evidence for a half-normal A > 0 of sd ``scale`` against A = 0, from score and information (methods, 4)."""
    precision = information + scale**-2
    z = score / np.sqrt(precision)
    return np.log(2.0) - 0.5 * np.log1p(scale**2 * information) + 0.5 * z**2 + log_ndtr(z)


def _one_series(design: Design, noise: Noise, airing: int, *, lift_sd: float, alpha: float) -> Evidence:
    """E* at a few looks: the mixture over worlds and kernels against the best null world (methods, section 4)."""
    begin, end = design.onset[airing], design.onset[airing] + design.window[airing]
    close = design.start + design.width
    inside = np.flatnonzero((close > begin + 1e-9) & (design.start < end - 1e-9))
    chosen = (
        inside[np.unique(np.linspace(0, len(inside) - 1, min(LOOKS, len(inside))).round().astype(int))]
        if len(inside)
        else inside
    )
    times, path, explained = [], [], ""
    start: dict[str, Mode] = {}
    for last in chosen:
        seen = replace(design, exposure=np.where(np.arange(len(close)) <= last, design.exposure, 0.0))
        if len(design.feed):
            seen = replace(seen, feed_exposure=np.where(np.arange(len(close)) <= last, design.feed_exposure, 0.0))
        found = _log_e(seen, noise, airing, start, lift_sd=lift_sd, alpha=alpha)
        if found is not None:
            times.append(close[last])
            path.append(found[0])
            explained = found[1]
    return Evidence(time=np.array(times), log_e=np.array(path), method="one series", explained=explained)


def _log_e(
    design: Design, noise: Noise, airing: int, start: dict[str, Mode], *, lift_sd: float, alpha: float
) -> tuple[float, str] | None:
    """Return log E* of one look and the world that takes the claim away, if one does.

    ``start`` carries each world's last null mode to the next look.
    """
    kernels = np.arange(len(design.kernels))
    anchor = int(np.argmax(design.kernel_weight))
    scale = 0.2 * float(baseline(design)[airing])
    null, mixed, steps = {}, [], []
    for world in fast.worlds(design):
        mode = fast.climb(design, noise, world, anchor, lift_sd=lift_sd, start=start.get(world.name), null=airing)
        if mode is None:
            continue
        start[world.name] = mode
        bank = consider(design, noise, mode, kernels, targets=np.array([airing]))
        gain = log_bayes(bank.score[:, 0], bank.information[:, 0, 0], scale)
        null[world.name] = mode.evidence
        steps.append(world.step > 0)
        mixed.append(np.log(world.weight) + mode.evidence + logsumexp(gain, b=design.kernel_weight))
    if not null:
        return None
    values, plain = np.array(list(null.values())), ~np.array(steps)
    log_e = float(logsumexp(mixed) - values.max())
    alone = float(logsumexp(np.array(mixed)[plain]) - values[plain].max()) if plain.any() else log_e
    best = list(null)[int(values.argmax())]
    return log_e, best if alone >= -np.log(alpha) > log_e and steps[int(values.argmax())] else ""
