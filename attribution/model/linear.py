"""The model linearised at a state: derivatives, weights, and every nuisance integrated out of what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit
from scipy.linalg import lapack

from attribution.model import mean as model
from attribution.model.field import Factor, accumulate, covariances, factorise

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


class Pull(NamedTuple):
    """What integrating the surge's path adds to the equations of its gain and scales; zeros without a surge.

    The path G and the gain b enter as their product. A joint mode shrinks G and lets b run away; with the paths
    integrated out, -1/2 log det of their precision Q(b) holds b back. Its slope is
    ``-sum_n w_n c_n Cov(G, eta_n)``, with eta_n the latent part of observation n and c_n what G adds to it at gain 1;
    the part of it by G itself, ``-b sum w c^2 Var(G)``, is kept as a quadratic. Likewise for the scales.
    """

    gain: float
    """sum w c^2 Var(G)."""
    tilt: float
    """The rest of the slope by the gain."""
    slope: np.ndarray
    """(R - 1,) slopes by the scales."""

    def of(self, layout: layouts.Frame, effects: np.ndarray) -> float:
        """Return the penalty at some effects (P,)."""
        names, total = layout.names, 0.0
        if names["gain"].stop > names["gain"].start:
            b = float(effects[names["gain"].start])
            total += 0.5 * self.gain * b**2 + self.tilt * b
        return total + float(self.slope @ effects[names["scale"]])

    def into(self, layout: layouts.Frame, gram: np.ndarray, mask: np.ndarray) -> None:
        """Add to the gram of the effects in ``mask``, then other columns, the response last; in place."""
        place = np.cumsum(mask) - 1
        gain, scale = layout.names["gain"], layout.names["scale"]
        if gain.stop > gain.start and mask[gain.start]:
            gram[place[gain.start], place[gain.start]] += self.gain
            gram[place[gain.start], -1] -= self.tilt
        for c in range(scale.start, scale.stop):
            if mask[c]:
                gram[place[c], -1] -= self.slope[c - scale.start]


@njit(cache=True)
def _pull(cover, weight, index, coefficient, felt, regions, k, surge, shock):
    """Return sum w c^2 Var(G), the rest of the slope by the gain, and the slopes by each region's log scale."""
    bins = cover.shape[0]
    quadratic, tilt, slope = 0.0, 0.0, np.zeros(regions)
    for r in range(regions):
        for t in range(bins):
            n = r * bins + t
            w = weight[n]
            if w == 0.0:
                continue
            along_surge, along_shock = 0.0, 0.0
            for a in range(index.shape[1]):
                if index[n, a] < 0:
                    continue
                other = index[n, a] - t * k
                if surge >= 0:
                    along_surge += coefficient[n, a] * cover[t, surge, other]
                if shock >= 0:
                    along_shock += coefficient[n, a] * cover[t, shock, other]
            if surge >= 0:
                c, own = felt[n], coefficient[n, 3] * cover[t, surge, surge]
                quadratic += w * c * c * cover[t, surge, surge]
                tilt += w * c * (along_surge - own)
                slope[r] += w * coefficient[n, 3] * along_surge
            if shock >= 0:
                slope[r] += w * coefficient[n, 2] * along_shock
    return quadratic, tilt, slope


def pull(design: Design, layout: layouts.Frame, mean: model.Mean, linear: Linear, factor: Factor) -> Pull:
    """Return what integrating the paths adds at a linearisation (see :class:`Pull`)."""
    surge, shock = int(layout.slots[2]), int(layout.slots[1])
    scales = layout.names["scale"].stop - layout.names["scale"].start
    if surge < 0 and not (shock >= 0 and scales):
        return Pull(0.0, 0.0, np.zeros(scales))
    k, regions = len(layout.paths), len(design.regions)
    felt = model.felt_at_gain_one(layout, linear.effects, mean)
    quadratic, tilt, slope = _pull(
        covariances(factor.lower, k), linear.weight, linear.jacobian.index, linear.jacobian.coefficient, felt, regions,
        k, surge, shock,
    )  # fmt: skip
    return Pull(quadratic, tilt, slope @ layout.contrast if scales else np.zeros(0))


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
    linear = linearise(design, mode.noise, layout, mode.state, mean)
    basis = basis_columns(design, layout, mode.state, targets)
    factor, gram = marginal(
        layout, linear, np.column_stack([linear.jacobian.effects[:, nuisance], basis, linear.response])
    )
    pull(design, layout, mean, linear, factor).into(layout, gram, nuisance)
    return read(design, layout, nuisance, targets, factor, gram)


def nuisances(layout: layouts.Frame, targets: np.ndarray) -> np.ndarray:
    """Return (P,) mask of the effects that are free and no incremental of the targets."""
    mask = layout.prior_sd > 0
    mask[layout.names["incremental"].start + targets] = False
    return mask


def basis_columns(design: Design, layout: layouts.Frame, state: layouts.State, targets: np.ndarray) -> np.ndarray:
    """Return (N, J' Q): derivatives of all expected counts by the basis of the kernels, airing after airing."""
    size = design.basis.shape[1]
    split = model.split(design, layout, state.effects)[targets]
    basis = design.basis[targets]
    columns = split[:, None, :, None] * basis[:, :, None, :] * layout.seen
    columns = columns.reshape(len(targets) * size, -1)
    if not design.fed:
        return columns.T
    rate = state.effects[layout.names["mediator"]]
    posts = (rate[0] if len(rate) else 0.0) * basis * design.feed_exposure[layout.lead] / design.width
    return np.concatenate([columns, posts.reshape(len(targets) * size, -1)], axis=1).T


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
    white = lapack.dtrtrs(lower, target, lower=1)[0]  # type: ignore[attr-defined]  made at build time
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
