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
from scipy.linalg import solve_triangular

from attribution.model import mean as means
from attribution.model.density import back_solve
from attribution.model.linear import linearise, marginal, pull
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
    return found


def paths_at(own: Problem, z: np.ndarray) -> np.ndarray:
    """Return the paths (T, K), padding included, at coordinates z (n,)."""
    count = len(own.data["centre"])
    raw = z[count:] - own.data["lean"] @ (own.data["turned"] @ z[:count])
    back_solve(own.data["lower"], raw)
    return own.data["path_centre"] + raw.reshape(own.data["path_centre"].shape)


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
    spread = np.concatenate([np.ravel(data[f"{n}_sd"][0] if n == "scale" else data[f"{n}_sd"]) for n in NAMES])
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
    columns = np.concatenate([linear.jacobian.effects[:, free], np.array(extra).T, linear.response[:, None]], axis=1)
    factor, gram = marginal(here, linear, columns)
    pull(design, here, expected, linear, factor).into(here, gram, free)
    own = np.concatenate([where[free], [start["lag"]], start["shape"] + np.arange(size.shapes)])
    precision = np.diag(1.0 / spread**2)
    precision[np.ix_(own, own)] += gram[:-1, :-1]
    turned = solve_triangular(np.linalg.cholesky(precision), np.eye(total), lower=True).T
    return _banded(here, state, factor.lower, factor.white[:, :-1], own, size) | {"centre": centre, "turned": turned}


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
    layout: Frame, state: State, lower: np.ndarray, white: np.ndarray, own: np.ndarray, size: Size
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
    paths = np.zeros((size.bins, wide))
    paths[:bins, slot] = state.paths
    return {"lower": band, "lean": lean, "path_centre": paths}
