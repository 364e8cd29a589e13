"""The model linearised at a state: derivatives, weights, and every nuisance integrated out of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from attribution.model import mean as model
from attribution.model.field import Factor, accumulate, factorise, prior_band

if TYPE_CHECKING:
    from attribution.model import layout as layouts
    from attribution.model.design import Design
    from attribution.model.history import Noise


class Mode(NamedTuple):
    """One world's posterior mode around one kernel."""

    world: layouts.World
    layout: layouts.Frame
    state: layouts.State
    evidence: float
    """Laplace log evidence, up to a constant shared by all worlds and kernels of one design."""
    factor: Factor
    gram: np.ndarray
    """(P + 1, P + 1): marginal information of the global effects and the working response, the paths integrated out."""


class Linear(NamedTuple):
    """The model linearised at a state: weights, derivatives and the working response, in counts."""

    jacobian: model.Jacobian
    weight: np.ndarray
    response: np.ndarray


def linearise(
    design: Design, noise: Noise, layout: layouts.Frame, state: layouts.State, mean: model.Mean, free: np.ndarray
) -> Linear:
    """Return derivatives, Fisher weights 1/(phi mu) and y - mu + J theta."""
    jacobian = model.differentiate(design, layout, state, mean)
    mu = np.maximum(mean.base + mean.ad, 0.02 * mean.base)
    weight = np.where(design.exposure > 0, 1.0 / (noise.dispersion * np.maximum(mu, 1e-9)), 0.0).ravel()
    rest = (design.y - mean.base - mean.ad).ravel()
    if len(design.feed):
        nu = np.maximum(mean.feed, 1e-9)
        weight = np.append(weight, np.where(design.feed_exposure > 0, 1.0 / (noise.feed_dispersion * nu), 0.0))
        rest = np.append(rest, design.feed - mean.feed)
    latent = np.append(state.paths.ravel(), 0.0)  # index -1 reads the zero
    response = rest + (jacobian.coefficient * latent[jacobian.index]).sum(axis=1)
    response += jacobian.effects[:, free] @ state.effects[free]
    return Linear(jacobian, weight, response)


def marginal(layout: layouts.Frame, linear: Linear, columns: np.ndarray) -> tuple[Factor, np.ndarray, float]:
    """Integrate the paths out: factor, (p, p) marginal gram of the columns (N, p), log det of the paths' prior."""
    band, log_det = prior_band(list(layout.chains), layout.depth)
    cross = np.zeros((band.shape[1], columns.shape[1]))
    jacobian = linear.jacobian
    accumulate(band, cross, jacobian.index, jacobian.coefficient, linear.weight, columns)
    factor = factorise(band, cross)
    gram = columns.T @ (linear.weight[:, None] * columns) - factor.white.T @ factor.white
    return factor, gram, log_det


class Bank(NamedTuple):
    """Several kernels at one mode: what the data say of the incrementals, every nuisance integrated out."""

    kernels: np.ndarray
    """(M,) positions in the design's bank."""
    score: np.ndarray
    """(M, J) derivative of the log evidence by the incrementals, at zero."""
    information: np.ndarray
    """(M, J, J)."""
    nuisance: np.ndarray
    """(P,) mask of the effects that were integrated out."""
    factor: Factor
    gram: np.ndarray
    """Marginal gram of [nuisances | kernels x airings | response]."""
    lower: np.ndarray
    """Cholesky of the nuisances' posterior precision."""
    target: np.ndarray
    """(n, M J + 1): right-hand sides of the nuisances for each kernel column and for the response."""


def consider(
    design: Design, noise: Noise, mode: Mode, kernels: np.ndarray, *, targets: np.ndarray | None = None
) -> Bank:
    """Linearise at a mode and read off every kernel there (methods, sections 2.1 and 4).

    ``targets`` are the J airings asked about (all by default); the others' incrementals are nuisances.
    """
    layout = mode.layout
    targets = np.arange(len(design.onset)) if targets is None else targets
    airings = len(targets)
    nuisance = layout.prior_sd > 0
    nuisance[layout.names["incremental"].start + targets] = False
    mean = model.predict(design, layout, mode.state)
    linear = linearise(design, noise, layout, mode.state, mean, layout.prior_sd > 0)
    bank = np.concatenate(
        [model.ad_columns(design, layout, mode.state.effects, design.mass[m])[targets] for m in kernels]
    )
    columns = np.column_stack([linear.jacobian.effects[:, nuisance], bank.T, linear.response])
    factor, gram, _ = marginal(layout, linear, columns)
    n, count = int(nuisance.sum()), len(kernels)
    precision = 1.0 / layout.prior_sd[nuisance] ** 2
    lower = np.linalg.cholesky(gram[:n, :n] + np.diag(precision))
    target = gram[:n, n:].copy()
    target[:, -1] += precision * layout.prior_mean[nuisance]
    white = solve_triangular(lower, target, lower=True)
    rest = gram[n:, n:] - white.T @ white
    own = np.arange(count * airings).reshape(count, airings)
    return Bank(
        kernels=kernels,
        score=rest[:-1, -1].reshape(count, airings),
        information=rest[own[:, :, None], own[:, None, :]],
        nuisance=nuisance,
        factor=factor,
        gram=gram,
        lower=lower,
        target=target,
    )
