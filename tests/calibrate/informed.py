"""An oracle for the blind family: it knows the kernel and every hyper-parameter, but not the paths.

Generalised least squares of counts and posts under the true covariance of wandering and surge, linear around the
level that the scenario states: what a model could reach that was told all that it has to learn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from attribution.kernels import bin_mass, delayed
from attribution.worlds import simulate
from calibrate.oracle import HORIZON_S, Estimate

if TYPE_CHECKING:
    from attribution.worlds import World

SURGE_TAU_S = 120.0
"""Time constant of the surge's path, of which the oracle knows the size alone."""


def informed(world: World, window_s: float) -> Estimate:
    """Estimate the windowed incremental of the only airing; (1,) with its sd.

    With m the stated level of a bin, y/m - 1 = D + d_r + felt_r gain G + a_r + A k/m + noise, and the feed's
    posts/level - 1 = e + c + G + noise: D, d_r, e Ornstein-Uhlenbeck with their true sd and time constants; G the same
    with time constant 120 s and the sd of the true surge; levels a_r, c and the amount A flat.

    Raises
    ------
    ValueError
        When the scenario has several airings, or the bins are not seconds: neither is worked out.
    """
    scenario = world.scenario
    if len(scenario.airings) != 1 or world.counts.width[0] != 1:
        raise ValueError(f"{len(scenario.airings)} airings, bins of {world.counts.width[0]} s; give one, in seconds")
    spot = scenario.airings[0]
    edges = _edges(spot.at_s, min(spot.at_s + HORIZON_S, scenario.seconds))
    n = len(edges) - 1
    stated = simulate(replace(scenario, shared_sd=0.0, region_sd=0.0), rng=world.seed).truth
    level, organic = _binned(stated.counterfactual - stated.organic, edges), _binned(stated.organic, edges)
    kernel, reach = _response(world, edges)
    cover = _cover(world, edges, level, organic)
    fed = len(cover) > level.size
    target = [_binned(world.counts.total, edges) / level - 1]
    response = [kernel[:, None] * reach / level]
    if fed:
        posts = _binned(world.social["count"].to_numpy(float), edges) / (scenario.social_rate * np.diff(edges)) - 1
        target.append(posts[:, None])
        response.append(np.zeros((n, 1)))
    y, x = (np.hstack(part).T.ravel() for part in (target, response))
    levels = np.kron(np.eye(len(y) // n), np.ones((n, 1)))
    columns = np.column_stack([x, levels])
    solved = cho_solve(cho_factor(cover, lower=True, overwrite_a=True), columns)
    precision = np.linalg.inv(columns.T @ solved)
    amount = float((precision @ (solved.T @ y))[0])
    middle = (edges[1:] + edges[:-1]) / 2
    window = float(kernel[(middle >= spot.at_s) & (middle < spot.at_s + window_s)].sum())
    return Estimate(np.array([amount * window]), np.array([np.sqrt(precision[0, 0]) * window]))


def _cover(world: World, edges: np.ndarray, level: np.ndarray, organic: np.ndarray) -> np.ndarray:
    """Covariance of all relative deviations, region by region and then the feed: (n (R + 1), same)."""
    scenario = world.scenario
    share = organic.sum(axis=0) / level.sum(axis=0)
    size = float(np.sqrt(np.mean((organic.sum(axis=1) / level.sum(axis=1)) ** 2)))
    felt = share / max(share @ level.sum(axis=0) / level.sum(), 1e-12)
    shared, alone = _ou(edges, scenario.shared_sd, scenario.shared_tau_s), np.ones_like(felt)
    surge = _ou(edges, size, SURGE_TAU_S)
    own = [_ou(edges, scenario.region_sd, scenario.region_tau_s)] * len(felt)
    noise = [scenario.dispersion * (level + organic).T / level.T**2]
    if len(world.social) and scenario.surge != "hidden":
        felt, alone = np.append(felt, 1 / max(scenario.surge_gain, 1e-6)), np.append(alone, 0.0)
        own = [*own, _ou(edges, scenario.social_sd, scenario.social_tau_s)]
        posts = _binned(world.social["count"].to_numpy(float), edges)
        noise.append(posts[None] / (scenario.social_rate * np.diff(edges)) ** 2)
    cover = np.kron(np.outer(alone, alone), shared) + np.kron(np.outer(felt, felt), surge)
    n = len(edges) - 1
    for i, block in enumerate(own):
        cover[i * n : (i + 1) * n, i * n : (i + 1) * n] += block
    cover[np.diag_indices(len(cover))] += np.vstack(noise).ravel()
    return cover


def _response(world: World, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the response in each bin (n,), and of each region in it (R,)."""
    scenario, spot = world.scenario, world.scenario.airings[0]
    kernel = delayed(scenario.kernel, scenario.stream_delay_s, scenario.stream_delay_sd)
    reach = np.array([share if name in scenario.exposed(spot) else 0.0 for name, share in scenario.regions])
    return bin_mass(kernel, edges[:-1].astype(float), np.diff(edges).astype(float), spot.at_s), reach / reach.sum()


def _edges(at_s: float, end_s: float) -> np.ndarray:
    """Edges of bins in whole seconds: 2 s after the airing, up to 20 s far from it."""
    spans = ((-900, -180, 20), (-180, -60, 10), (-60, 0, 4), (0, 60, 2), (60, 120, 4), (120, 240, 10), (240, 601, 20))
    all_of = np.unique(np.concatenate([np.arange(low, high, step) for low, high, step in spans])) + int(at_s)
    return all_of[(all_of >= 0) & (all_of <= end_s)]


def _binned(path: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Sums of a path (T, ...) of seconds between the edges; (n, ...)."""
    total = np.concatenate([np.zeros((1, *path.shape[1:])), np.cumsum(path, axis=0)])
    return np.diff(total[edges], axis=0)


def _ou(edges: np.ndarray, sd: float, tau: float) -> np.ndarray:
    """Covariance of an Ornstein-Uhlenbeck path's means over the bins: exact variances, mid-points for the rest."""
    middle, x = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / tau
    cover = sd**2 * np.exp(-np.abs(middle[:, None] - middle) / tau)
    # var of a mean over x time constants: 2 (x - 1 + exp(-x)) / x^2
    cover[np.diag_indices(len(middle))] = sd**2 * 2 * (x + np.expm1(-x)) / x**2
    return cover
