"""What a world assumes, and where each of its latent paths and global effects stands, with its prior."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model.field import Chain, averaging, driven, ou

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.history import Noise

LEAD_S = (-4.0, 10.0)
"""Range of the feed's lead over the regions, seconds."""

MISFIT = (0.3, 12.0, 6)
"""Misfit of the kernel's shape: OU sd, time constant (s), and the number of its directions that are kept."""

REGION_SD = 0.2
"""Prior sd of a region's own deviation from the common lift, as a share of it."""


class World(NamedTuple):
    """One set of assumptions about what else may move the counts (methods, section 2)."""

    name: str
    weight: float
    region_scale: float
    """Sd of the log scale with which regions feel a surge."""
    mediator: float
    """Prior sd of the posts an ad's conversion brings."""
    shock: float
    """Sd of a shock common to all regions that no feed shows."""
    step: float = 0.0
    """Sd of a lasting change of level that begins with the airing, log scale: an undeclared break."""


WORLDS = (
    World("shared surge", 0.24, 0.06, 0.0, 0.0),
    World("surge felt differently", 0.30, 0.15, 0.0, 0.0),
    World("surge felt very differently", 0.13, 0.40, 0.0, 0.0),
    World("ad makes people post", 0.16, 0.15, 3.0, 0.0),
    World("hidden shock", 0.09, 0.15, 0.0, 0.35),
    World("hidden shock felt differently", 0.08, 0.40, 0.0, 0.35),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where each latent path and each global effect stands, with its prior: fixed during one fit."""

    paths: tuple[str, ...]
    """(K,) names: D, G, e, X, then one d a region."""
    chains: tuple[Chain, ...]
    loading: np.ndarray
    """(K, T) loadings that average a path over wide bins."""
    names: dict[str, slice]
    """Global effects: level, trend, breaks, feed, gain, lead, scale, mediator, deviation, misfit, incremental."""
    prior_mean: np.ndarray
    prior_sd: np.ndarray
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
    depth: int
    """Band of the precision."""

    def path(self, name: str) -> int | None:
        """Return the position of a path, None when this world has none."""
        return self.paths.index(name) if name in self.paths else None


class State(NamedTuple):
    """Values of all paths (T, K) and global effects (P,)."""

    paths: np.ndarray
    effects: np.ndarray


def frame(design: Design, noise: Noise, world: World, kernel: int, *, lift_sd: float) -> Frame:
    """Lay out the parameters of one world around one kernel of the bank."""
    mid, regions, fed = design.mid, len(design.regions), len(design.feed) > 0
    paths: dict[str, tuple[Chain, np.ndarray]] = {}
    if regions > 1:
        paths["D"] = (ou(mid, *noise.shared), averaging(design.width, noise.shared[1]))
    if fed:
        # At rest .03^2 a second; more where the feed jumps and where it stands high.
        push = 0.03**2 + design.feed_variance + (0.05 * _rough_surge(design)) ** 2
        paths["G"] = (driven(mid, push, 120.0, 0.05), np.ones(len(mid)))
        paths["e"] = (ou(mid, *noise.feed), averaging(design.width, noise.feed[1]))
    if world.shock > 0:
        last = (design.onset + design.window).max() + 30.0
        shock = np.where((mid >= design.onset.min() - 60.0) & (mid <= last), world.shock, 0.01)
        path = ou(mid, 1.0, 30.0)
        paths["X"] = (Chain(shock[0] ** 2, path.decay, path.step * shock[1:] ** 2), averaging(design.width, 30.0))
    for r in range(regions):
        paths[f"d{r}"] = (ou(mid, *noise.regional), averaging(design.width, noise.regional[1]))
    mass = design.mass[kernel]
    misfit, owner = _misfit(design, mass)
    turns = deviations(design)
    names, mean, sd = _effects(design, world, fed, (len(turns), len(misfit)), lift_sd)
    lag = 0
    if fed:
        shift = [np.searchsorted(mid, mid - lead) - np.arange(len(mid)) for lead in LEAD_S]
        lag = int(min(max(np.abs(shift[0]).max(), np.abs(shift[1]).max()) + 1, len(mid) - 1))
    return Frame(
        paths=tuple(paths),
        chains=tuple(chain for chain, _ in paths.values()),
        loading=np.array([load for _, load in paths.values()]),
        names=names,
        prior_mean=mean,
        prior_sd=sd,
        kernel=mass,
        misfit=misfit,
        owner=owner,
        splitter=np.array([j for j, _ in turns], dtype=int),
        turn=np.array([row for _, row in turns]).reshape(-1, regions),
        seen=design.exposure / design.width,
        depth=len(paths) * (1 + lag) + len(paths) - 1,
    )


def _rough_surge(design: Design) -> np.ndarray:
    """Return (T,) how far the feed stands above its history, smoothed: only scales the surge's prior."""
    rate = design.feed / np.maximum(design.feed_exposure, 1e-9)
    level = design.feed[design.history].sum() / max(design.feed_exposure[design.history].sum(), 1e-9)
    smooth = np.convolve(np.pad(rate, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    return np.maximum(smooth / max(level, 1e-9) - 1.0, 0.0)


def _effects(
    design: Design,
    world: World,
    fed: bool,
    directions: tuple[int, int],
    lift_sd: float,
) -> tuple[dict[str, slice], np.ndarray, np.ndarray]:
    """Lay out the global effects with prior means and sds."""
    regions = len(design.regions)
    scale = lift_sd * baseline(design)
    breaks = [0.5] * (("break" in design.break_kind) * 1) + [
        {"break": 0.15, "organic": 1.0}[kind] for kind in design.break_kind
    ]
    spans: list[tuple[str, list[float], float]] = [
        ("level", [10.0] * regions, 0.0),
        ("trend", [0.5, 0.5], 0.0),
        ("breaks", breaks, 0.0),
        ("step", [world.step] if world.step else [], 0.0),
        ("feed", [10.0] if fed else [], 0.0),
        ("gain", [0.4] if fed else [], 0.15),
        ("lead", [2.0] if fed else [], 2.0),
        ("scale", [world.region_scale] * regions if fed or world.shock else [], 0.0),
        ("mediator", [world.mediator] if fed and world.mediator else [], 0.0),
        ("deviation", [1.0] * directions[0], 0.0),
        ("misfit", [1.0] * directions[1], 0.0),
        ("incremental", list(scale), 0.0),
    ]
    names, mean, sd, at = {}, [], [], 0
    for name, sds, middle in spans:
        names[name] = slice(at, at + len(sds))
        mean += [middle] * len(sds)
        sd += sds
        at += len(sds)
    return names, np.array(mean), np.array(sd)


def baseline(design: Design) -> np.ndarray:
    """Return (J,) rough conversions of each window without the ad: the history's level times the window."""
    before = design.history
    level = design.y[:, before].sum(axis=1) / np.maximum(design.exposure[:, before].sum(axis=1), 1e-9)
    reached = design.share > 0
    return np.maximum((reached * level).sum(axis=1) * np.maximum(design.window, design.width.min()), 1.0)


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
        for v in np.flatnonzero(value > 1e-9):
            row = np.zeros(len(share))
            row[live] = vector[:, v] * np.sqrt(value[v])
            found.append((j, row))
    return found


def _misfit(design: Design, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (V, T) and the owners (V,): K_j times the leading directions of an OU path of K-weighted mean 0."""
    sd, tau, most = MISFIT
    if len(design.onset) > 4:
        return np.empty((0, len(design.mid))), np.empty(0, dtype=int)
    rows, owner = [], []
    for j, share in enumerate(mass):
        live = share > 1e-4 * max(share.max(), 1e-12)
        if live.sum() < 3:
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
    return np.array(rows).reshape(-1, len(design.mid)), np.array(owner, dtype=int)


def initial(design: Design, layout: Frame) -> State:
    """Start: levels of the history, no surge, no wandering, no effect."""
    effects = layout.prior_mean.copy()
    before = design.history
    rate = (design.y[:, before].sum(axis=1) + 0.5) / np.maximum(design.exposure[:, before].sum(axis=1), 1e-9)
    effects[layout.names["level"]] = np.log(rate)
    if len(design.feed):
        posts = (design.feed[before].sum() + 0.5) / max(design.feed_exposure[before].sum(), 1e-9)
        effects[layout.names["feed"]] = np.log(posts)
    return State(np.zeros((len(design.mid), len(layout.paths))), effects)


def transfer(state: State, old: Frame, new: Frame) -> State:
    """Carry a state into another world's layout: what both have keeps its value, the rest starts at its prior mean."""
    paths = np.zeros((len(state.paths), len(new.paths)))
    for k, name in enumerate(new.paths):
        if name in old.paths:
            paths[:, k] = state.paths[:, old.paths.index(name)]
    effects = new.prior_mean.copy()
    for name, place in new.names.items():
        if place.stop - place.start == old.names[name].stop - old.names[name].start:
            effects[place] = state.effects[old.names[name]]
    return State(paths, effects)


def without_ad(layout: Frame, airing: int) -> Frame:
    """Return the layout of the null: the airing has no incremental, and its shape nothing to misfit."""
    sd = layout.prior_sd.copy()
    sd[layout.names["incremental"].start + airing] = 0.0
    sd[layout.names["misfit"]][layout.owner == airing] = 0.0
    sd[layout.names["deviation"]][layout.splitter == airing] = 0.0
    return replace(layout, prior_sd=sd)
