"""The coordinates that a run is sampled in: those in which the fast fit's normal posterior is a standard normal.

    effects = m + C z_e,    paths = p + L^-T (z_p - W (effects - m)),

with L the banded Cholesky of the paths' precision, W what an effect takes from them, and C the inverse transposed
Cholesky of the effects' marginal precision (methods, section 2.5). They only make sampling quick: the density is that
of the model, whatever m, p, L, W and C are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cholesky_banded, solve_triangular

from attribution.model import mean as means
from attribution.model.bending import back_solve, give_way, mediators, post
from attribution.model.linear import linearise, marginal
from attribution.model.padded import (
    COLUMNS,
    HELD,
    MODES,
    NAMES,
    SPARE,
    Problem,
    Size,
    fill,
    laid_out,
    places,
    size_of,
    slots,
)  # fmt: skip

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.families import Family
    from attribution.model.layout import Frame, State
    from attribution.settings import Settings


def kernel_weights(data: dict[str, np.ndarray], lag: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the modes (..., G) and of the shapes (..., S) at a lag (...) and log odds (..., S)."""
    away = (lag[..., None] - data["node"]) / data["node_width"]
    modes = np.exp(-0.5 * away**2 + data["node_weight"])
    odds = np.exp(shape - shape.max(axis=-1, keepdims=True))
    return modes / modes.sum(axis=-1, keepdims=True), odds / odds.sum(axis=-1, keepdims=True)


def effects_at(own: Problem, z: np.ndarray) -> dict[str, np.ndarray]:
    """Return each effect, padding included, at coordinates z (..., n)."""
    count = len(own.data["centre"])
    values = own.data["centre"] + z[..., :count] @ own.data["turned"].T
    found, at = {}, 0
    for name, shape in own.size.effects().items():
        length = int(np.prod(shape))
        found[name] = values[..., at : at + length].reshape((*z.shape[:-1], *shape))
        at += length
    rate, amounts = _mediator(own)
    amount, place = found["amount"].reshape(-1, own.size.airings), found["mediator"].ravel()
    middle, centre = own.data["centre"][rate], own.data["centre"][amounts]
    told = mediators(own.data["urge"], float(own.data["mediator_sd"]), middle, centre, amount, place)
    return found | {"mediator": told.reshape(z.shape[:-1])}


def _mediator(own: Problem) -> tuple[int, slice]:
    """Return where the mediator and the amounts stand among the effects."""
    last = len(own.data["centre"]) - own.size.shapes - 1
    return 2 * own.size.regions + own.size.columns + 1, slice(last - own.size.airings, last)


def paths_at(own: Problem, z: np.ndarray) -> np.ndarray:
    """Return the paths (T, K), padding included, at coordinates z (n,)."""
    effects, data = effects_at(own, z), own.data
    raw = z[len(data["centre"]) :] - data["lean"] @ (data["turned"] @ z[: len(data["centre"])])
    moved = float(effects["mediator"]) - data["centre"][_mediator(own)[0]]
    post(data["brought"], moved, np.ascontiguousarray(effects["amount"]), raw)
    back_solve(data["lower"], raw)
    paths = data["path_centre"] + raw.reshape(data["path_centre"].shape)
    away = float(effects["gain"]) - data["centre"][own.size.regions + own.size.columns + 1]
    give_way(data["yielding"], data["smooth"], away, paths[:, 2] - data["path_centre"][:, 2], paths)
    return paths


def log_priors(own: Problem, effects: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the log prior density (...) of the lift, the lag (its mode and its shape) and the surge's gain.

    Up to constants; what this run does not have counts for nothing.
    """
    parts = {"lift": ("amount",), "lag": ("lag", "shape"), "gain": ("gain",)}
    found = {}
    for name, members in parts.items():
        total = 0.0
        for member in members:
            mean, sd = own.data[f"{member}_mean"], own.data[f"{member}_sd"]
            away = np.where(sd > HELD, (effects[member] - mean) / sd, 0.0)
            if member == "shape":
                away = np.where(own.data["shape_mean"] > SPARE, away, 0.0)
            total = total - 0.5 * (away**2).reshape(*effects["lag"].shape, -1).sum(axis=-1)
        found[name] = total
    return found


def problem(design: Design, settings: Settings, family: Family, size: Size | None = None) -> Problem:
    """Lay one run out in padded arrays.

    Parameters
    ----------
    design, settings
        What the fast fit was made of.
    family
        The run (:func:`attribution.model.families.families`).
    size
        The padded shape; the smallest that holds the design when absent.
    """
    size = size or size_of(design)
    data = laid_out(design, settings, family, size)
    data |= _coordinates(design, family.mode.layout, family, size, data)
    return Problem(
        size=size,
        data={name: np.array(value, dtype=float, order="C") for name, value in data.items()},
        weight=family.weight,
        name=family.name,
        regions=design.regions,
        airings=tuple(int(a) for a in design.airings),
        bins=len(design.start),
    )


def _coordinates(
    design: Design, layout: Frame, family: Family, size: Size, data: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return centre and scales of the sampler's coordinates, from the run's mode and its bank of kernels."""
    shape = size.effects()
    length = {name: int(np.prod(shape[name])) for name in NAMES}
    start = dict(zip(NAMES, np.cumsum([0, *length.values()])[:-1], strict=True))
    total = sum(length.values())
    centre = np.concatenate([np.ravel(data[f"{n}_mean"]) if n != "scale" else np.zeros(length[n]) for n in NAMES])
    world = np.exp(data["scale_weight"])
    scales = {"scale_sd": np.sqrt(world @ data["scale_sd"] ** 2 / world.sum())}
    spread = np.concatenate([np.ravel((data | scales)[f"{name}_sd"]) for name in NAMES])
    state, effects = family.mode.state, family.mode.state.effects.copy()
    effects[layout.names["incremental"]] = family.parts @ np.array([c.mean for c in family.components])
    where = np.full(len(effects), -1)
    for name, own in places(layout, size).items():
        for source, target in own:
            where[source] = start[name] + (np.ravel_multi_index(target, shape[name]) if target else 0)
    free = layout.prior_sd > 0
    centre[where[free]] = effects[free]
    odds, place = _kernel_centre(design, family, data, size)
    centre[start["lag"]] = place
    centre[start["shape"] : start["shape"] + size.shapes] = odds
    weights = kernel_weights(data, np.array(place), odds)
    mass, slopes = _kernel_slopes(design, data, weights, size)
    here = replace(layout, kernel=mass)
    state = state._replace(effects=effects)
    expected = means.predict(design, here, state)
    linear = linearise(design, family.mode.noise, here, state, expected)
    extra = [effects[layout.names["incremental"]] @ means.ad_columns(design, here, effects, row) for row in slopes]
    posts = means.post_columns(design, here)
    told = np.concatenate([linear.jacobian.effects[:, free], np.array(extra).T], axis=1)
    factor, gram = marginal(here, linear, np.concatenate([told, posts, linear.response[:, None]], axis=1))
    own = np.concatenate([where[free], [start["lag"]], start["shape"] + np.arange(size.shapes)])
    bent = _urged(gram, np.append(linear.effects[free], np.zeros(len(own) - free.sum())), here, state, size)
    precision = np.diag(1.0 / spread**2)
    precision[np.ix_(own, own)] += gram[: len(own), : len(own)]
    rate = start["mediator"]
    precision[rate], precision[:, rate] = 0.0, 0.0
    amount = fill((size.airings,), effects[layout.names["incremental"]])
    variance = 1.0 / (spread[rate] ** -2.0 + amount @ bent["urge"][:-1] @ amount)
    precision[rate, rate], centre[rate] = 1.0 / variance, variance * (bent["urge"][-1] @ amount)
    white = factor.white[:, : len(own)].copy()
    white[:, own == rate] = 0.0
    bent |= {"turned": solve_triangular(np.linalg.cholesky(precision), np.eye(total), lower=True).T, "centre": centre}
    bent |= _yielding(expected, family, data)
    return bent | _banded(here, state, factor.lower, white, factor.white[:, len(own) : -1], own, size)


def _urged(gram: np.ndarray, effects: np.ndarray, layout: Frame, state: State, size: Size) -> dict[str, np.ndarray]:
    """Return what the feed says of the posts that each airing brings, the paths integrated out (bending.py)."""
    count, airings = len(effects), len(gram) - len(effects) - 1
    posts = slice(count, count + airings)
    precision = gram[posts, posts]
    rate = state.effects[layout.names["mediator"]]
    brought = (rate[0] if len(rate) else 0.0) * state.effects[layout.names["incremental"]]
    said = gram[posts, -1] - gram[posts, :count] @ effects + precision @ brought
    urge = np.zeros((size.airings + 1, size.airings))
    urge[:airings, :airings], urge[-1, :airings] = precision, said
    return {"urge": urge}


def _yielding(expected: means.Mean, family: Family, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return how D gives way to a surge (bending.py): what the counts weigh (T,), and the Cholesky of its precision."""
    phi = family.mode.noise.dispersion
    felt = means.felt_at_gain_one(family.mode.layout, family.mode.state.effects, expected)
    decay, rate, loading = (data[name][:, 0] for name in ("path_decay", "path_rate", "loading"))
    weight = fill((len(loading),), expected.base.sum(axis=0) / phi)
    pushed = fill((len(loading),), felt.reshape(expected.base.shape).sum(axis=0) / phi)
    middle = rate**2 + loading**2 * weight
    middle[:-1] += (decay * rate)[1:] ** 2
    beside = np.append(-decay[1:] * rate[1:] ** 2, 0.0)
    band = cholesky_banded(np.stack([middle, beside]), lower=True)
    smooth = np.stack([band[0], np.append(0.0, band[1, :-1])], axis=1)
    return {"yielding": loading * data["loading"][:, 2] * pushed, "smooth": smooth}


def _kernel_centre(design: Design, family: Family, data: dict[str, np.ndarray], size: Size) -> tuple[np.ndarray, float]:
    """Return the log odds of the shapes (S,) and the lag of the run's components at their mean."""
    shapes = len(design.kernels) // len(np.unique(design.peak))
    kernel = np.array([c.kernel for c in family.components])
    weight = np.bincount(kernel % shapes, weights=family.parts, minlength=shapes)
    gained = np.log(np.maximum(weight, 0.02)) - data["shape_mean"][:shapes]
    return fill((size.shapes,), data["shape_mean"][:shapes] + gained - gained.mean(), SPARE), float(
        family.parts @ data["node"][kernel // shapes]
    )


def _kernel_slopes(
    design: Design, data: dict[str, np.ndarray], weights: tuple[np.ndarray, np.ndarray], size: Size
) -> tuple[np.ndarray, np.ndarray]:
    """Return the response (J, T) at some weights of modes and shapes, and its slopes (1 + S, J, T) by lag and odds."""
    modes, shapes = weights
    count = (len(design.onset), len(design.start))
    bank = data["coefficient"].reshape(MODES, size.shapes, size.airings, COLUMNS)
    of = lambda c: np.einsum("jq,jqt->jt", c, data["basis"])[: count[0], : count[1]]  # noqa: E731
    away = (data["node"] - modes @ data["node"]) / data["node_width"] ** 2
    by_shape = np.einsum("g,gsjq->sjq", modes, bank)
    middle = np.einsum("s,sjq->jq", shapes, by_shape)
    slopes = [of(np.einsum("g,s,gsjq->jq", modes * away, shapes, bank))]
    slopes += [of(w * (own - middle)) for w, own in zip(shapes, by_shape, strict=True)]
    return of(middle), np.array(slopes)


def _banded(
    layout: Frame,
    state: State,
    lower: np.ndarray,
    white: np.ndarray,
    posts: np.ndarray,
    own: np.ndarray,
    size: Size,
) -> dict[str, np.ndarray]:
    """Spread the paths' Cholesky and its columns over the padded paths; padding is white noise of its own."""
    bins, k = state.paths.shape
    slot, wide = slots(layout), size.paths
    row = (np.arange(bins)[:, None] * wide + slot).ravel()
    band = np.zeros((size.bins * wide, wide + 1))
    band[:, 0] = 1.0
    for back in range(k + 1):
        at = np.arange(back, len(row))
        band[row[at], row[at] - row[at - back]] = lower[at, back]
    lean = np.zeros((len(band), sum(int(np.prod(s)) for s in size.effects().values())))
    lean[np.ix_(row, own)] = white
    brought = np.zeros((len(band), size.airings))
    brought[row, : posts.shape[1]] = posts
    paths = np.zeros((size.bins, wide))
    paths[:bins, slot] = state.paths
    return {"lower": band, "lean": lean, "brought": brought, "path_centre": paths}
