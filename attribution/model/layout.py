"""What a world assumes, and where each of its latent paths and global effects stands, with its prior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model.design import remembered
from attribution.model.field import Chain, Chains, averaging, driven, ou, stack, switched

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise

MISFIT = (0.3, 12.0, 6)
"""Misfit of the kernel's shape: OU sd, time constant (s), and the number of its directions that are kept."""

REST, BEGINS = 0.001, 0.02
"""Push of the surge a second while the feed does nothing unusual, and its sd at the first bin.

Nearly nothing: it must not stand in for the feed's own wandering, which no region feels."""

LOUD = 0.25
"""Share above its history at which the feed's height begins to push the surge."""

REGION_SD = 0.2
"""Prior sd of a region's own deviation from the common lift, as a share of it."""


class World(NamedTuple):
    """One set of assumptions about what else may move the counts (methods, section 2)."""

    name: str
    weight: float
    region_scale: float = 0.15
    """Sd of the log scale with which regions feel a surge."""
    mediator: float = 0.0
    """Prior sd of the posts an ad's conversion brings."""
    shock: float = 0.0
    """Sd of a shock common to all regions that no feed shows."""
    shock_from: float = -60.0
    """Seconds from the airing at which that shock may begin."""
    noise: float = 0.0
    """Sd of each region's own noise around the airing, log scale, beyond what the history showed."""
    noise_tau: float = 20.0
    struck: int = -1
    """The only region with that noise; -1: every region has its own."""
    step: float = 0.0
    """Sd of a lasting change of level that begins with the airing, log scale: an undeclared break."""
    kind: str = ""
    """What the world is, to an abstention: ``shock``, ``noise``, ``one region`` or ``step``; empty: a plain one."""


WORLDS = (
    World("shared surge", 0.24, 0.06),
    World("surge felt differently", 0.30, 0.15),
    World("surge felt very differently", 0.13, 0.40),
    World("ad makes people post", 0.16, 0.15, mediator=3.0),
    World("hidden shock", 0.09, 0.15, shock=0.35, kind="shock"),
    World("hidden shock felt differently", 0.08, 0.40, shock=0.35, kind="shock"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where each latent path and each global effect stands, with its prior: fixed during one fit."""

    lead: int
    """Position of the feed's lead among the design's."""
    paths: tuple[str, ...]
    """(K,) names: D, X, G, e, then one d a region, then x of the regions with noise of their own."""
    chains: Chains
    loading: np.ndarray
    """(K, T) loadings that average a path over wide bins."""
    slots: np.ndarray
    """Positions of D, X, G, e, the first d; of the first of each group of effects; -1: none."""
    extra: np.ndarray
    """(R,) position of each region's x, -1: none."""
    contrast: np.ndarray
    """(R, R - 1) from scale effects to u_r, which sum to 0: their mean is the gain's business."""
    names: dict[str, slice]
    """Global effects: level, common, feed, gain, scale, mediator, deviation, misfit, incremental."""
    prior_mean: np.ndarray
    prior_sd: np.ndarray
    columns: np.ndarray
    """(C, T) of the common effects: trend, breaks, organic moments, a lasting step."""
    kernel: np.ndarray
    """(J, T) share of each response in each bin, of the kernel this fit is anchored at."""
    misfit: np.ndarray
    """(V, T) zero-sum directions in which a response's shape may differ, scaled to one prior sd."""
    owner: np.ndarray
    """(V,) the airing each direction belongs to."""
    splitter: np.ndarray
    """(U,) the airing each regional deviation belongs to."""
    turn: np.ndarray
    """(U, R) relative change of its regions by one prior sd of each deviation; the airing's total stays."""
    seen: np.ndarray
    """(R, T) share of each bin that was observed."""

    @property
    def free(self) -> np.ndarray:
        """(P,) mask of the effects that are not held at 0."""
        return self.prior_sd > 0


class State(NamedTuple):
    """Values of all paths (T, K) and global effects (P,)."""

    paths: np.ndarray
    effects: np.ndarray


def frame(
    design: Design,
    noise: Noise,
    world: World,
    kernel: int,
    *,
    lift_sd: float,
    lead: int = 0,
    null: int | None = None,
) -> Frame:
    """Lay out the parameters of one world around one kernel of the bank and one lead of the feed.

    ``null`` is the airing that is held to have no effect: no incremental, no shape to misfit.
    """
    paths, regions = _paths(design, noise, world, lead), range(len(design.regions))
    mass = design.mass[kernel]
    misfit, owner = _misfit(design, kernel, null)
    turns = [row for row in deviations(design) if row[0] != null]
    columns = common_columns(design, world)
    names, mean, sd = _effects(design, world, len(columns), (len(turns), len(misfit)), lift_sd)
    if null is not None:
        sd[names["incremental"].start + null] = 0.0
    labels = tuple(paths)
    first = [labels.index(name) if name in labels else -1 for name in ("D", "X", "G", "e", "d0")]
    order = ("level", "common", "feed", "gain", "scale", "mediator", "deviation", "misfit", "incremental")
    starts = [names[n].start if names[n].stop > names[n].start else -1 for n in order]
    return Frame(
        lead=lead,
        paths=labels,
        chains=stack([chain for chain, _ in paths.values()]),
        loading=np.array([load for _, load in paths.values()]),
        slots=np.array(first + starts, dtype=np.int64),
        extra=np.array([labels.index(f"x{r}") if f"x{r}" in labels else -1 for r in regions], dtype=np.int64),
        contrast=_contrast(len(design.regions)),
        names=names,
        prior_mean=mean,
        prior_sd=sd,
        columns=columns,
        kernel=np.ascontiguousarray(mass),
        misfit=misfit,
        owner=owner,
        splitter=np.array([j for j, _ in turns], dtype=np.int64),
        turn=np.array([row for _, row in turns]).reshape(-1, len(design.regions)),
        seen=design.exposure / design.width,
    )


def _paths(design: Design, noise: Noise, world: World, lead: int) -> dict[str, tuple[Chain, np.ndarray]]:
    """Return the latent paths of a world with their loadings."""
    regions = range(len(design.regions))
    paths: dict[str, tuple[Chain, np.ndarray]] = {}
    if len(regions) > 1:
        paths["D"] = _steady(design, *noise.shared)
    if world.shock > 0:
        paths["X"] = _sudden(design, world.shock, 0.01, 30.0, world.shock_from)
    if design.fed:
        paths["G"] = _surge(design, lead)
        paths["e"] = _steady(design, *noise.feed)
    for r in regions:
        paths[f"d{r}"] = _steady(design, *noise.regional)
    if world.noise > 0:
        own = _sudden(design, world.noise, 0.003, world.noise_tau, min(0.0, world.shock_from))
        for r in regions if world.struck < 0 else (world.struck,):
            paths[f"x{r}"] = own
    return paths


@remembered
def _steady(design: Design, sd: float, tau: float) -> tuple[Chain, np.ndarray]:
    """Return a stationary path and its loading."""
    return ou(design.mid, sd, tau), averaging(design.width, tau)


@remembered
def _sudden(design: Design, sd: float, calm: float, tau: float, begin: float) -> tuple[Chain, np.ndarray]:
    """Return a path that moves from ``begin`` seconds after the airing to half a minute after its window."""
    mid = design.mid
    live = (mid >= design.onset.min() + begin) & (mid <= (design.onset + design.full_window).max() + 30.0)
    return switched(mid, np.where(live, sd, calm), tau), averaging(design.width, tau)


@remembered
def _surge(design: Design, lead: int) -> tuple[Chain, np.ndarray]:
    """Return the path of the surge: REST^2 a second; more where the feed rises or falls, or stands high."""
    height = np.maximum(_rough_surge(design, lead) - LOUD, 0.0)
    push = REST**2 + design.feed_variance[lead] + (0.05 * height) ** 2
    return driven(design.mid, push, 120.0, BEGINS**2), np.ones(len(design.mid))


@remembered
def _rough_surge(design: Design, lead: int) -> np.ndarray:
    """Return (T,) how far the feed stands above its history, smoothed: only scales the surge's prior."""
    feed, seen = design.feed[lead], design.feed_exposure[lead]
    rate = np.where(seen > 0, feed / np.maximum(seen, 1e-9), 0.0)
    level = feed[design.history].sum() / max(seen[design.history].sum(), 1e-9)
    smooth = np.convolve(np.pad(rate, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    return np.maximum(smooth / max(level, 1e-9) - 1.0, 0.0)


@remembered
def break_columns(design: Design) -> np.ndarray:
    """Return (B', T): the common break effect first (where breaks are declared), then each moment's own deviation."""
    is_break = np.array([kind == "break" for kind in design.break_kind], dtype=bool)
    if not is_break.any():
        return design.breaks
    return np.concatenate([design.breaks[is_break].sum(axis=0, keepdims=True), design.breaks])


def break_sds(design: Design) -> list[float]:
    """Return the prior sd of each of :func:`break_columns`, log scale."""
    own = {"break": 0.15, "organic": 1.0}
    return [0.5] * ("break" in design.break_kind) + [own[kind] for kind in design.break_kind]


def common_columns(design: Design, world: World) -> np.ndarray:
    """Return (C, T): trend and curvature over the data, declared moments, and the step of a world that has one."""
    onset = design.onset.min()
    x = (design.mid - onset) / max(onset - design.mid[0], 1e-9)  # -1 at the first bin, 0 at the airing
    rows = [np.stack([x, x**2 - 1 / 3]), break_columns(design)]
    if world.step:
        rows.append((design.start >= design.onset.min() - 1e-9).astype(float)[None, :])
    return np.concatenate(rows)


@lru_cache(maxsize=64)
def _contrast(regions: int) -> np.ndarray:
    """Return (R, R - 1) orthonormal contrasts between regions (Helmert's)."""
    rows = np.array(
        [[1.0 if r <= c else -(c + 1.0) if r == c + 1 else 0.0 for c in range(regions - 1)] for r in range(regions)]
    ).reshape(regions, regions - 1)
    return rows / np.sqrt((rows**2).sum(axis=0))


def _effects(
    design: Design, world: World, common: int, directions: tuple[int, int], lift_sd: float
) -> tuple[dict[str, slice], np.ndarray, np.ndarray]:
    """Lay out the global effects with prior means and sds."""
    regions, fed = len(design.regions), design.fed
    shared = [0.5, 0.5, *break_sds(design), *([world.step] if world.step else [])]
    if len(shared) != common:
        raise AssertionError("each common column has one prior")
    spans: list[tuple[str, list[float], float]] = [
        ("level", [10.0] * regions, 0.0),
        ("common", shared, 0.0),
        ("feed", [10.0] if fed else [], 0.0),
        ("gain", [0.4] if fed else [], 0.15),
        ("scale", [world.region_scale] * (regions - 1) if fed or world.shock else [], 0.0),
        ("mediator", [world.mediator] if fed and world.mediator else [], 0.0),
        ("deviation", [1.0] * directions[0], 0.0),
        ("misfit", [1.0] * directions[1], 0.0),
        ("incremental", list(lift_sd * baseline(design)), 0.0),
    ]
    names, mean, sd, at = {}, [], [], 0
    for name, sds, middle in spans:
        names[name] = slice(at, at + len(sds))
        mean += [middle] * len(sds)
        sd += sds
        at += len(sds)
    return names, np.array(mean), np.array(sd)


@remembered
def baseline(design: Design) -> np.ndarray:
    """Return (J,) rough conversions of each window without the ad: the history's level times the window."""
    before = design.history
    level = design.y[:, before].sum(axis=1) / np.maximum(design.exposure[:, before].sum(axis=1), 1e-9)
    reached = design.share > 0
    return np.maximum((reached * level).sum(axis=1) * np.maximum(design.full_window, design.width.min()), 1.0)


@remembered
def deviations(design: Design) -> list[tuple[int, np.ndarray]]:
    """Return (airing, (R,) relative change of its regions) directions that leave the airing's total as it is.

    Regions deviate from the common lift by N(0, REGION_SD^2), projected so that the share-weighted sum is zero.
    """
    if len(design.onset) > 4:
        return []
    found = []
    for j, share in enumerate(design.share):
        live = np.flatnonzero(share > 0)
        if len(live) < 2:
            continue
        project = np.eye(len(live)) - share[live]
        value, vector = np.linalg.eigh(REGION_SD**2 * project @ project.T)
        for v in np.flatnonzero(value > 1e-9)[-12:]:
            row = np.zeros(len(share))
            row[live] = vector[:, v] * np.sqrt(value[v])
            found.append((j, row))
    return found


@remembered
def _misfit(design: Design, kernel: int, null: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (V, T) and the owners (V,): K_j times the leading directions of an OU path of K-weighted mean 0."""
    sd, tau, most = MISFIT
    if len(design.onset) > 4:
        return np.empty((0, len(design.mid))), np.empty(0, dtype=np.int64)
    rows, owner = [], []
    for j, share in enumerate(design.mass[kernel]):
        live = share > 1e-3 * max(share.max(), 1e-12)
        if live.sum() < 3 or j == null:
            continue
        at, part = design.mid[live], share[live] / share[live].sum()
        cover = sd**2 * np.exp(-np.abs(at[:, None] - at) / tau)
        project = np.eye(len(at)) - part[None, :]
        value, vector = np.linalg.eigh(project @ cover @ project.T)
        for v in np.argsort(value)[::-1][:most]:
            if value[v] > 1e-6:
                row = np.zeros(len(design.mid))
                row[live] = share[live] * vector[:, v] * np.sqrt(value[v])
                rows.append(row)
                owner.append(j)
    return np.array(rows).reshape(-1, len(design.mid)), np.array(owner, dtype=np.int64)


def initial(design: Design, layout: Frame) -> State:
    """Start: levels of the history, no surge, no wandering, no effect."""
    effects = layout.prior_mean.copy()
    before = design.history
    rate = (design.y[:, before].sum(axis=1) + 0.5) / np.maximum(design.exposure[:, before].sum(axis=1), 1e-9)
    effects[layout.names["level"]] = np.log(rate)
    if design.fed:
        seen = design.feed_exposure[layout.lead][before].sum()
        effects[layout.names["feed"]] = np.log((design.feed[layout.lead][before].sum() + 0.5) / max(seen, 1e-9))
    return State(np.zeros((len(design.mid), len(layout.paths))), effects)


def transfer(state: State, old: Frame, new: Frame) -> State:
    """Carry a state into another layout: what both have keeps its value, the rest starts at its prior mean.

    The new layout may have more bins at its end: a path goes on from its last value, fading as its prior does.
    """
    have, want = len(state.paths), new.loading.shape[1]
    paths = np.zeros((want, len(new.paths)))
    for k, name in enumerate(new.paths):
        if name in old.paths:
            source = state.paths[:, old.paths.index(name)]
            paths[: min(have, want), k] = source[:want]
            for t in range(have, want):
                paths[t, k] = new.chains.decay[k, t - 1] * paths[t - 1, k]
    effects = new.prior_mean.copy()
    for name, place in new.names.items():
        was = old.names[name]
        if place.stop - place.start == was.stop - was.start:
            effects[place] = state.effects[was]
        elif name == "common":
            shared = min(place.stop - place.start, was.stop - was.start)
            effects[place.start : place.start + shared] = state.effects[was.start : was.start + shared]
    return State(paths, effects)
