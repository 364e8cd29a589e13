"""The model linearised at a state: derivatives, weights, and every nuisance integrated out of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import lapack

from attribution.model import mean as model
from attribution.model.equations import equations
from attribution.model.field import Factor, accumulate, factorise
from attribution.model.rows import expect, given

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
    effects: np.ndarray
    """(P,) where it was linearised; 0 where an effect is held."""


@njit(cache=True)
def _working(y, exposure, base, ad, phi, row, index, coefficient, latent, matrix, effects, weight, response):
    """Fill weights 1/(phi mu) and y - mu + J theta of observations (R, T), from ``row`` on."""
    for r in range(y.shape[0]):
        for t in range(y.shape[1]):
            n = row + r * y.shape[1] + t
            if exposure[r, t] <= 0.0:
                continue
            mu = base[r, t] + ad[r, t]
            weight[n] = 1.0 / (phi * max(mu, 0.02 * base[r, t], 1e-9))
            total = y[r, t] - mu
            for a in range(index.shape[1]):
                if index[n, a] >= 0:
                    total += coefficient[n, a] * latent[index[n, a]]
            for p in range(matrix.shape[1]):
                total += matrix[n, p] * effects[p]
            response[n] = total


def linearise(design: Design, noise: Noise, layout: layouts.Frame, state: layouts.State, mean: model.Mean) -> Linear:
    """Return derivatives, Fisher weights 1/(phi mu) and y - mu + J theta; what was not observed weighs nothing."""
    jacobian = model.differentiate(design, layout, state, mean)
    index, coefficient, matrix = jacobian
    weight, response = np.zeros(len(index)), np.zeros(len(index))
    effects = np.where(layout.prior_sd > 0, state.effects, 0.0)
    latent = np.ascontiguousarray(state.paths).ravel()
    _working(
        design.y, design.exposure, mean.base, mean.ad, noise.dispersion, 0, index, coefficient, latent, matrix, effects,
        weight, response,
    )  # fmt: skip
    if design.fed:
        feed, seen = design.feed[layout.lead][None], design.feed_exposure[layout.lead][None]
        _working(
            feed, seen, mean.feed[None], np.zeros_like(feed), noise.feed_dispersion, design.y.size, index, coefficient,
            latent, matrix, effects, weight, response,
        )  # fmt: skip
    return Linear(jacobian, weight, response, effects)


def marginal(layout: layouts.Frame, linear: Linear, columns: np.ndarray) -> tuple[Factor, np.ndarray]:
    """Integrate the paths out: factor, and (p, p) marginal gram of the columns (N, p)."""
    band = layout.chains.band.copy()
    columns = np.ascontiguousarray(columns)
    cross = np.zeros((len(band), columns.shape[1]))
    jacobian = linear.jacobian
    accumulate(band, cross, jacobian.index, jacobian.coefficient, linear.weight, columns)
    factor = factorise(band, cross)
    scaled = np.sqrt(linear.weight)[:, None] * columns  # a matrix times its own transpose costs half
    gram = scaled.T @ scaled - factor.white.T @ factor.white
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
    """Its white columns: response, nuisances, the basis of the kernels for each airing."""
    lower: np.ndarray
    """(n, n) Cholesky of the nuisances' posterior precision."""
    target: np.ndarray
    """(n, 1 + J' q): right-hand sides of the nuisances for the response and for each column of the basis."""
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
    own = given(design, mode.noise, layout, nuisance, targets)
    mean = expect(own, mode.state.paths, mode.state.effects)
    lower, white, log_det, gram, _ = equations(own, mode.state.paths, mode.state.effects, mean)
    if not np.isfinite(log_det):
        raise FloatingPointError("precision not positive definite")
    return read(design, layout, nuisance, targets, Factor(lower, white, log_det), gram)


def nuisances(layout: layouts.Frame, targets: np.ndarray) -> np.ndarray:
    """Return (P,) mask of the effects that are free and no incremental of the targets."""
    mask = layout.prior_sd > 0
    mask[layout.names["incremental"].start + targets] = False
    return mask


def read(
    design: Design, layout: layouts.Frame, nuisance: np.ndarray, targets: np.ndarray, factor: Factor, gram: np.ndarray
) -> Bank:
    """Return the bank from the marginal gram of [response | nuisances | basis]."""
    size = design.basis.shape[1]
    n = int(nuisance.sum())
    precision = 1.0 / layout.prior_sd[nuisance] ** 2
    own, rest = slice(1, n + 1), slice(n + 1, None)
    lower = np.linalg.cholesky(gram[own, own] + np.diag(precision))
    target = np.concatenate([gram[own, :1], gram[own, rest]], axis=1)
    target[:, 0] += precision * layout.prior_mean[nuisance]
    white = lapack.dtrtrs(lower, target, lower=1)[0]  # type: ignore[attr-defined]  made at build time
    score = gram[rest, 0] - white[:, 1:].T @ white[:, 0]
    inner = (gram[rest, rest] - white[:, 1:].T @ white[:, 1:]).reshape(len(targets), size, len(targets), size)
    coefficient = design.coefficient[:, targets]
    half = np.tensordot(coefficient, inner, axes=([2], [1])) if len(targets) == 1 else None
    if half is None:
        information = np.einsum("mjq,jqkp,mkp->mjk", coefficient, inner, coefficient, optimize=True)
    else:
        information = (half[:, 0, 0, 0] * coefficient[:, 0]).sum(axis=1)[:, None, None]
    return Bank(
        targets=targets,
        score=np.einsum("mjq,jq->mj", coefficient, score.reshape(len(targets), size)),
        information=information,
        nuisance=nuisance,
        factor=factor,
        lower=lower,
        target=target,
        coefficient=coefficient,
    )
