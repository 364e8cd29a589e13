"""The model linearised at a state: derivatives, weights, and every nuisance integrated out of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from attribution.model import mean as model
from attribution.model.field import Factor, accumulate, factorise

if TYPE_CHECKING:
    from attribution.model import layout as layouts
    from attribution.model.design import Design
    from attribution.model.history import Noise


class Mode(NamedTuple):
    """One world's posterior mode around one kernel, one lead of the feed and one set of learnt scales."""

    world: layouts.World
    noise: Noise
    kernel: int
    """Position in the bank of the kernel it was fitted at."""
    layout: layouts.Frame
    state: layouts.State
    evidence: float
    """Laplace log evidence, up to a constant shared by all worlds, leads and kernels of one design."""
    amount: np.ndarray
    """(J,) the incrementals at the mode."""


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
    if design.fed:
        nu, seen = np.maximum(mean.feed, 1e-9), design.feed_exposure[layout.lead] > 0
        weight = np.append(weight, np.where(seen, 1.0 / (noise.feed_dispersion * nu), 0.0))
        rest = np.append(rest, design.feed[layout.lead] - mean.feed)
    latent = np.append(state.paths.ravel(), 0.0)  # index -1 reads the zero
    response = rest + (jacobian.coefficient * latent[jacobian.index]).sum(axis=1)
    response += jacobian.effects[:, free] @ state.effects[free]
    return Linear(jacobian, weight, response)


def marginal(layout: layouts.Frame, linear: Linear, columns: np.ndarray) -> tuple[Factor, np.ndarray]:
    """Integrate the paths out: factor, and (p, p) marginal gram of the columns (N, p)."""
    band = layout.chains.band.copy()
    columns = np.ascontiguousarray(columns)
    cross = np.zeros((len(band), columns.shape[1]))
    jacobian = linear.jacobian
    accumulate(band, cross, jacobian.index, jacobian.coefficient, linear.weight, columns)
    factor = factorise(band, cross)
    gram = columns.T @ (linear.weight[:, None] * columns) - factor.white.T @ factor.white
    return factor, gram


class Bank(NamedTuple):
    """Every kernel of the bank at one mode: what the data say of the incrementals, the nuisances integrated out."""

    targets: np.ndarray
    """(J',) the airings asked about."""
    score: np.ndarray
    """(M, J') derivative of the log evidence by the incrementals, at zero."""
    information: np.ndarray
    """(M, J', J')."""
    nuisance: np.ndarray
    """(P,) mask of the effects that were integrated out."""
    factor: Factor
    """Its white columns: nuisances, the basis of the kernels for each airing, response."""
    lower: np.ndarray
    """(n, n) Cholesky of the nuisances' posterior precision."""
    target: np.ndarray
    """(n, J' q + 1): right-hand sides of the nuisances for each column of the basis and for the response."""
    coefficient: np.ndarray
    """(M, J', q): each kernel in the basis."""


def consider(design: Design, mode: Mode, *, targets: np.ndarray | None = None) -> Bank:
    """Linearise at a mode and read off every kernel there (methods, sections 2.1 and 4).

    The kernels of a bank resemble one another: they are read through a basis of a few columns (design.py).
    ``targets`` are the J' airings asked about (all by default); the others' incrementals are nuisances.
    """
    layout = mode.layout
    targets = np.arange(len(design.onset)) if targets is None else targets
    nuisance = nuisances(layout, targets)
    mean = model.predict(design, layout, mode.state)
    linear = linearise(design, mode.noise, layout, mode.state, mean, layout.prior_sd > 0)
    basis = basis_columns(design, layout, mode.state, targets)
    factor, gram = marginal(
        layout, linear, np.column_stack([linear.jacobian.effects[:, nuisance], basis, linear.response])
    )
    return read(design, layout, nuisance, targets, factor, gram)


def nuisances(layout: layouts.Frame, targets: np.ndarray) -> np.ndarray:
    """Return (P,) mask of the effects that are free and no incremental of the targets."""
    mask = layout.prior_sd > 0
    mask[layout.names["incremental"].start + targets] = False
    return mask


def basis_columns(design: Design, layout: layouts.Frame, state: layouts.State, targets: np.ndarray) -> np.ndarray:
    """Return (N, J' Q): derivatives of all expected counts by the basis of the kernels, airing after airing."""
    size = design.basis.shape[1]
    rows = [model.ad_columns(design, layout, state.effects, design.basis[:, q])[targets] for q in range(size)]
    return np.stack(rows, axis=1).reshape(len(targets) * size, -1).T


def read(
    design: Design, layout: layouts.Frame, nuisance: np.ndarray, targets: np.ndarray, factor: Factor, gram: np.ndarray
) -> Bank:
    """Return the bank from the marginal gram of [nuisances | basis | response]."""
    size = design.basis.shape[1]
    n = int(nuisance.sum())
    precision = 1.0 / layout.prior_sd[nuisance] ** 2
    lower = np.linalg.cholesky(gram[:n, :n] + np.diag(precision))
    target = gram[:n, n:].copy()
    target[:, -1] += precision * layout.prior_mean[nuisance]
    white = solve_triangular(lower, target, lower=True, check_finite=False)
    rest = gram[n:, n:] - white.T @ white
    coefficient = design.coefficient[:, targets]
    inner = rest[:-1, :-1].reshape(len(targets), size, len(targets), size)
    half = np.tensordot(coefficient, inner, axes=([2], [1])) if len(targets) == 1 else None
    if half is None:
        information = np.einsum("mjq,jqkp,mkp->mjk", coefficient, inner, coefficient, optimize=True)
    else:
        information = (half[:, 0, 0, 0] * coefficient[:, 0]).sum(axis=1)[:, None, None]
    return Bank(
        targets=targets,
        score=np.einsum("mjq,jq->mj", coefficient, rest[:-1, -1].reshape(len(targets), size)),
        information=information,
        nuisance=nuisance,
        factor=factor,
        lower=lower,
        target=target,
        coefficient=coefficient,
    )
