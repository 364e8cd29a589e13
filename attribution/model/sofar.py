"""How much the ad has brought so far, at one look: over worlds and kernels, warm from the look before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model import fit as fast
from attribution.model.climb import climb_and_read
from attribution.model.layout import baseline
from attribution.model.mean import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.model.design import Design
    from attribution.model.history import Noise
    from attribution.model.layout import World
    from attribution.model.linear import Bank, Mode
    from attribution.settings import Settings

MANY = 4
"""Over so many airings at once, the kernel of a look's estimate is each airing's own."""

LOOSE = 0.1
"""Tolerance of the climbs of a look, nats."""

AWAKE_EVERY = 5
"""A world far behind is fitted at every fifth look only."""

SLIGHT = 4.0
"""With the ad, a world so many nats behind (2% of the weight) is fitted at every fifth look only."""


class Estimate(NamedTuple):
    """The incremental inside the window so far, at one look; NaN where no world could be fitted."""

    mean: float = np.nan
    sd: float = np.nan
    floor: float = np.nan
    """Sd were only the count noise unknown: weighted least squares of the counts on the kernel."""
    expected: float = np.nan
    """Conversions without the ad."""
    robust: float = np.nan
    robust_sd: float = np.nan
    """Mean and sd where a shock that no feed shows is allowed for; NaN without a control."""
    lasting: float = np.nan
    """Probability that a lasting change of level began with the airing; NaN with a control or a feed beside it."""


def log_sum(values: Sequence[float] | np.ndarray) -> float:
    """Return the log of a sum of exponentials."""
    array = np.asarray(values, dtype=float)
    top = float(array.max())
    return top + float(np.log(np.exp(array - top).sum()))


def so_far(
    design: Design,
    noise: Noise,
    airing: int,
    anchor: int,
    lead: int,
    starts: dict[str, Mode],
    known: dict[str, tuple[float, float]],
    turn: int,
    settings: Settings,
) -> Estimate:
    """Return the incremental inside the window so far, over worlds and kernels, at one lead."""
    rows: list[tuple[str, np.ndarray, np.ndarray, np.ndarray]] = []
    found: dict[str, float] = {}
    # Beside many airings only this one's amount is asked for; the others' keep the likeliest kernel.
    targets = np.arange(len(design.onset)) if len(design.onset) <= MANY else np.array([airing])
    prior, place = (settings.lift_sd * baseline(design)[targets]) ** 2, int(np.flatnonzero(targets == airing)[0])
    within = design.window_mass[:, airing]
    second: list[tuple[float, float]] = []
    for world in alternatives(design):
        name = f"with {world.name}"
        doubted = world.kind == "shock" and not second  # the second opinion is asked at every look
        if known.get(name, (0.0,))[0] < -SLIGHT and turn % AWAKE_EVERY and not doubted:
            continue
        start = starts.get(name) or starts.get("with surge felt differently")
        amount = None if start else fast.rough(design)
        reached = climb_and_read(
            design, noise, world, anchor, targets, lift_sd=settings.lift_sd, lead=lead,
            start=start, amount=amount, tolerance=LOOSE,
        )  # fmt: skip
        if reached is None:
            continue
        mode, bank = reached
        starts[name] = mode
        mean, var, gain = _posterior(bank, prior, place)
        if doubted:
            share = _normal(gain + np.log(design.kernel_weight))
            second = [_moments(share, mean * within, var * within**2)]
        found[name] = mode.evidence
        weight = mode.evidence - gain[mode.kernel] + np.log(world.weight) + gain + np.log(design.kernel_weight)
        rows.append((world.kind, weight, mean * within, var * within**2))
    if not rows:
        return Estimate()
    heavy = {f"with {w.name}": float(np.log(w.weight)) for w in alternatives(design)}
    first = max(value + heavy[name] for name, value in found.items())
    known |= {name: (value + heavy[name] - first, 0.0) for name, value in found.items()}
    weight = _normal(np.concatenate([row[1] for row in rows]))
    step = np.concatenate([np.full(len(row[1]), row[0] == "step") for row in rows])
    lasting = np.nan if design.fed or (~design.exposed).any() else float(weight[step].sum())
    mean, var = np.concatenate([row[2] for row in rows]), np.concatenate([row[3] for row in rows])
    centre, spread = _moments(weight, mean, var)
    leader = starts[f"with {max(found, key=lambda name: found[name]).removeprefix('with ')}"]
    base = predict(design, leader.layout, leader.state).base
    robust = second[0] if second else (np.nan, np.nan)
    least = floor(design, noise, airing, anchor, base)
    return Estimate(centre, spread, least, expected(design, airing, base), *robust, lasting)


def _normal(log: np.ndarray) -> np.ndarray:
    """Return weights that sum to 1 from their logs."""
    return np.exp(log - log_sum(log))


def _moments(weight: np.ndarray, mean: np.ndarray, var: np.ndarray) -> tuple[float, float]:
    """Return mean and sd of a mixture of normals."""
    centre = float(weight @ mean)
    return centre, float(np.sqrt(weight @ (var + (mean - centre) ** 2)))


def floor(design: Design, noise: Noise, airing: int, kernel: int, base: np.ndarray) -> float:
    """Return the sd of the windowed incremental were only the count noise unknown, by weighted least squares.

    ``base`` (R, T) are the counts expected without the ad, of the seconds observed.
    """
    shape = design.share[airing][:, None] * design.mass[kernel, airing] * design.exposure / design.width
    known = float((shape**2 / (noise.dispersion * np.maximum(base, 1e-9))).sum())
    return float(design.window_mass[kernel, airing] / np.sqrt(known)) if known > 0 else np.inf


def expected(design: Design, airing: int, base: np.ndarray) -> float:
    """Return the conversions expected without the ad inside the window, where it was seen."""
    return float(base[design.share[airing] > 0].sum(axis=0) @ design.inside(airing))


def alternatives(design: Design) -> list[World]:
    """Return the worlds of an estimate at a look: those of the fit, the first two, which hardly differ, as one."""
    first, *rest = fast.worlds(design)
    if rest and not first.kind and not rest[0].kind:
        rest[0] = rest[0]._replace(weight=first.weight + rest[0].weight)
        return rest
    return [first, *rest]


def _posterior(bank: Bank, prior: np.ndarray, airing: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (M,) mean and variance of one airing's incremental for each kernel, and the log evidence it gains."""
    precision = bank.information + np.diag(1.0 / prior)
    cov = np.linalg.inv(precision)
    mean = np.einsum("mjk,mk->mj", cov, bank.score)
    gain = 0.5 * (bank.score * mean).sum(axis=1) - 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * np.log(prior).sum()
    return mean[:, airing], cov[:, airing, airing], gain
