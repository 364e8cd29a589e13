"""One run of the sampler as arrays of a padded shape: data, priors, and the coordinates it is sampled in.

A compiled model serves every data set of its shape. What pads it is never observed and moves nothing: bins without
exposure, regions without a level to learn, effects held at their prior. Sampling goes on in coordinates z in which the
fast fit's normal posterior is a standard normal (methods, section 2.5):

    effects = m + C z_e,    paths = p + L^-T (z_p - W (effects - m)),

with L the banded Cholesky of the paths' precision, W what an effect takes from them, and C the inverse transposed
Cholesky of the effects' marginal precision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from attribution.model import mean as means
from attribution.model.layout import MISFIT
from attribution.model.linear import linearise, marginal, pull
from attribution.settings import seconds

if TYPE_CHECKING:
    from attribution.model.design import Design
    from attribution.model.families import Family
    from attribution.model.layout import Frame
    from attribution.settings import Settings

HELD = 1e-6
"""Sd of an effect that this run does not have: at its prior mean, for all that matters."""

SHAPE_SD = 2.0
"""Sd of the log odds of a response's shape: one shape mostly takes all, as where they are averaged one by one."""

WIDE = 0.55
"""Width of the weights on the grid of modes, in its steps: smooth between two modes, sharp to less than one step."""

SPARE = -30.0
"""Log weight of what pads the shapes and modes."""

MODES, COLUMNS = 25, 24
"""Most modes in a bank of kernels, and columns that its masses are read through."""

MANY = 4
"""More airings than this have neither deviations by region nor misfits of shape (layout.py)."""

NAMES = (
    "level", "common", "feed_level", "gain", "scale", "mediator", "deviation", "misfit", "amount", "lag", "shape",
)  # fmt: skip
"""The effects, in the order in which they stand beside the paths."""

PATHS = 4
"""Paths before those of the regions: D, X, G, e."""


class Size(NamedTuple):
    """The shape that a model is compiled for."""

    regions: int
    bins: int
    airings: int
    columns: int
    shapes: int

    @property
    def paths(self) -> int:
        """Latent paths: four, and one a region."""
        return PATHS + self.regions

    def effects(self) -> dict[str, tuple[int, ...]]:
        """Shape of each of :data:`NAMES`."""
        few = self.airings <= MANY
        turns, bends = (min(self.regions - 1, 12), MISFIT[2]) if few else (1, 1)
        return {
            "level": (self.regions,), "common": (self.columns,), "feed_level": (), "gain": (),
            "scale": (self.regions - 1,), "mediator": (), "deviation": (self.airings, turns),
            "misfit": (self.airings, bends), "amount": (self.airings,), "lag": (), "shape": (self.shapes,),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One run, ready for a compiled model.

    Attributes
    ----------
    size
        The padded shape.
    data
        The arrays of the model by name, padded.
    weight, name
        Share of the run in the answer, and what it assumes.
    regions, airings
        Labels, and positions in the airings' table, of what is not padding.
    bins
        Bins that are not padding.
    """

    size: Size
    data: dict[str, np.ndarray]
    weight: float
    name: str
    regions: tuple[str, ...]
    airings: tuple[int, ...]
    bins: int


def size_of(design: Design) -> Size:
    """Return the padded shape of a design: the next of the rungs for each of its lengths."""
    shapes = len(design.kernels) // len(np.unique(design.peak))
    columns = 3 + len(design.breaks) + ("break" in design.break_kind)
    return Size(
        regions=_rung(len(design.regions), (2, 4, 8, 12, 16, 24, 32, 48, 64)),
        bins=-(-len(design.start) // 64) * 64,
        airings=_rung(len(design.onset), (1, 2, 4, 8, 16, 24)),
        columns=_rung(columns, (4, 8, 16, 32, 64)),
        shapes=_rung(shapes, (5, 15)),
    )


def _rung(length: int, rungs: tuple[int, ...]) -> int:
    return next((rung for rung in rungs if rung >= length), length)


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
    layout = family.mode.layout
    lagged = _responses(design, settings, size)
    data = _observed(design, family, size) | _paths(layout, size) | lagged
    data |= _priors(design, layout, family, size, lagged)
    data |= _coordinates(design, layout, family, size, data)
    return Problem(
        size=size,
        data={name: np.array(value, dtype=float, order="C") for name, value in data.items()},
        weight=family.weight,
        name=family.name,
        regions=design.regions,
        airings=tuple(int(a) for a in design.airings),
        bins=len(design.start),
    )


def effects_at(own: Problem, z: np.ndarray) -> dict[str, np.ndarray]:
    """Return each effect, padding included, at coordinates z (..., n)."""
    count = len(own.data["centre"])
    values = own.data["centre"] + z[..., :count] @ own.data["turned"].T
    found, at = {}, 0
    for name, shape in own.size.effects().items():
        length = int(np.prod(shape))
        found[name] = values[..., at : at + length].reshape(*z.shape[:-1], *shape)
        at += length
    return found


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


def _fill(shape: tuple[int, ...], values: np.ndarray, rest: float = 0.0) -> np.ndarray:
    """Return ``values`` in the first corner of an array of ``rest``."""
    out = np.full(shape, rest)
    out[tuple(slice(n) for n in np.shape(values))] = values
    return out


def _observed(design: Design, family: Family, size: Size) -> dict[str, np.ndarray]:
    """Counts and the seconds in which they were observed."""
    wide, mode = (size.regions, size.bins), family.mode
    lead = mode.layout.lead
    feed = (design.feed[lead], design.feed_exposure[lead]) if design.fed else (np.zeros(0), np.zeros(0))
    posting = feed[1] / design.width if design.fed else np.zeros(0)
    return {
        "y": _fill(wide, design.y),
        "exposure": _fill(wide, design.exposure),
        "seen": _fill(wide, design.exposure / design.width),
        "feed": _fill(size.bins, feed[0]) if design.fed else np.zeros(size.bins),
        "feed_exposure": _fill((size.bins,), feed[1]),
        "posting": _fill((size.bins,), posting),
        "dispersion": np.array(max(mode.noise.dispersion, LEAST_DISPERSION)),
        "feed_dispersion": np.array(max(mode.noise.feed_dispersion, LEAST_DISPERSION)),
    }


LEAST_DISPERSION = 1.02
"""A negative binomial cannot be less dispersed than a Poisson: below this it is one, for all that matters."""


def slots(layout: Frame) -> np.ndarray:
    """Return (K,) where each path of a frame stands among the padded paths."""
    first = {"D": 0, "X": 1, "G": 2, "e": 3}
    return np.array([first[name] if name in first else PATHS + int(name[1:]) for name in layout.paths])


def _paths(layout: Frame, size: Size) -> dict[str, np.ndarray]:
    """Priors and loadings of the latent paths; one that is absent is white noise that nothing reads."""
    own, bins = slots(layout), layout.loading.shape[1]
    rate, decay, loading = (np.full((size.bins, size.paths), x) for x in (1.0, 0.0, 0.0))
    rate[0, own] = layout.chains.first**-0.5
    rate[1:bins, own] = layout.chains.step.T ** -0.5
    decay[1:bins, own] = layout.chains.decay.T
    loading[:bins, own] = layout.loading.T
    return {"path_decay": decay, "path_rate": rate, "loading": loading}


def _responses(design: Design, settings: Settings, size: Size) -> dict[str, np.ndarray]:
    """The bank of kernels: its modes, its shapes, its masses read through a few columns."""
    modes = np.unique(design.peak)
    shapes = len(design.kernels) // len(modes)
    spread = settings.response_peak_logsd
    node = np.log(modes / seconds(settings.response_peak)) / spread if spread > 0 else np.zeros(1)
    gap = float(np.mean(np.diff(node))) if len(node) > 1 else 1.0
    kept = min(COLUMNS, design.basis.shape[1])
    wide = (MODES, size.shapes, size.airings)
    coefficient = design.coefficient.reshape(len(modes), shapes, len(design.onset), -1)[..., :kept]
    weight = design.kernel_weight.reshape(len(modes), shapes).sum(axis=0)
    return {
        "node": _fill((MODES,), node),
        "node_weight": _fill((MODES,), np.zeros(len(node)), SPARE),
        "node_log": _fill((MODES,), np.log(modes)),
        "node_width": np.array(WIDE * gap),
        "coefficient": _fill((*wide, COLUMNS), coefficient).reshape(-1, size.airings * COLUMNS),
        "basis": _fill((size.airings, COLUMNS, size.bins), design.basis[:, :kept]),
        "within": _fill(wide, design.window_mass.reshape(len(modes), shapes, -1)).reshape(-1, size.airings),
        "shape_mean": _fill((size.shapes,), np.log(weight / weight.sum()), SPARE),
        "shape_sd": np.full(size.shapes, SHAPE_SD if shapes > 1 else HELD),
        "lag_mean": np.array(0.0),
        "lag_sd": np.array(1.0 if len(modes) > 1 else HELD),
    }


def kernel_weights(data: dict[str, np.ndarray], lag: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the modes (..., G) and of the shapes (..., S) at a lag (...) and log odds (..., S)."""
    away = (lag[..., None] - data["node"]) / data["node_width"]
    modes = np.exp(-0.5 * away**2 + data["node_weight"])
    odds = np.exp(shape - shape.max(axis=-1, keepdims=True))
    return modes / modes.sum(axis=-1, keepdims=True), odds / odds.sum(axis=-1, keepdims=True)


def _owned(owner: np.ndarray, rows: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return rows sorted under the airings that own them, (J, n, ...), and where each of them stands."""
    out, places, count = np.zeros(shape), [], dict.fromkeys(range(shape[0]), 0)
    for j, row in zip(owner, rows, strict=True):
        out[j, count[j], : len(row)] = row
        places.append((int(j), count[j]))
        count[j] += 1
    return out, places


def _priors(
    design: Design, layout: Frame, family: Family, size: Size, lagged: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Priors of the effects, and what they multiply."""
    shape, found = size.effects(), {}
    turns = _owned(layout.splitter, layout.turn, (*shape["deviation"], size.regions))[0]
    bends = _owned(layout.owner, layout.misfit, (*shape["misfit"], size.bins))[0]
    for name, own in places(layout, size).items():
        mean, sd = np.zeros(shape[name]), np.full(shape[name], HELD)
        for source, target in own:
            free = layout.prior_sd[source] > 0
            mean[target] = layout.prior_mean[source] if free else 0.0
            sd[target] = layout.prior_sd[source] if free else HELD
        found |= {f"{name}_mean": mean, f"{name}_sd": sd}
    worlds = family.worlds
    scales = np.full((SCALES, *shape["scale"]), HELD)
    free = layout.names["scale"].stop - layout.names["scale"].start
    scales[: len(worlds), :free] = np.array([world.region_scale for world in worlds])[:, None]
    weight = np.array([world.weight for world in worlds])
    del found["scale_mean"], found["scale_sd"]
    return found | {
        "scale_sd": scales,
        "scale_weight": _fill((SCALES,), np.log(weight / weight.sum()), SPARE),
        "columns": _fill((size.columns, size.bins), layout.columns),
        "share": _fill((size.airings, size.regions), design.share),
        "turn": turns,
        "bend": bends,
        "contrast": _fill((size.regions, size.regions - 1), layout.contrast),
    }


SCALES = 3
"""Most worlds of one run: what the scales of the regions are mixed over."""


def places(layout: Frame, size: Size) -> dict[str, list[tuple[int, tuple[int, ...]]]]:
    """Return for each effect the pairs (position in the frame, place in the padded array)."""
    renamed = {"feed_level": "feed", "amount": "incremental"}
    found = {}
    for name, shape in size.effects().items():
        if name in {"lag", "shape"}:
            continue
        span = layout.names[renamed.get(name, name)]
        if name == "deviation":
            spots = _owned(layout.splitter, layout.turn, (*shape, size.regions))[1]
        elif name == "misfit":
            spots = _owned(layout.owner, layout.misfit, (*shape, size.bins))[1]
        else:
            spots = [(i,) if shape else () for i in range(span.stop - span.start)]
        found[name] = list(zip(range(span.start, span.stop), spots, strict=True))
    return found


def _coordinates(
    design: Design, layout: Frame, family: Family, size: Size, data: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Centre and scales of the sampler's coordinates, from the run's mode and its bank of kernels."""
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


def _kernel_centre(
    design: Design, family: Family, data: dict[str, np.ndarray], size: Size
) -> tuple[np.ndarray, float]:
    """Return the log odds of the shapes (S,) and the lag of the run's components at their mean."""
    shapes = len(design.kernels) // len(np.unique(design.peak))
    kernel = np.array([c.kernel for c in family.components])
    weight = np.bincount(kernel % shapes, weights=family.parts, minlength=shapes)
    gained = np.log(np.maximum(weight, 0.02)) - data["shape_mean"][:shapes]
    return _fill((size.shapes,), data["shape_mean"][:shapes] + gained - gained.mean(), SPARE), float(
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
    layout: Frame, state: object, lower: np.ndarray, white: np.ndarray, own: np.ndarray, size: Size
) -> dict[str, np.ndarray]:
    """Spread the paths' Cholesky and its columns over the padded paths; padding is white noise of its own."""
    bins, k = state.paths.shape  # pyright: ignore[reportAttributeAccessIssue]
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
    paths[:bins, slot] = state.paths  # pyright: ignore[reportAttributeAccessIssue]
    return {"lower": band, "lean": lean, "path_centre": paths}
