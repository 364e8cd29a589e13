"""One run of the sampler as arrays of a padded shape: data, priors, and what they multiply.

A compiled model serves every data set of its shape. What pads it is never observed and moves nothing: bins without
exposure, regions without a level to learn, effects held at their prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attribution.model.layout import MISFIT
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

NAMES: tuple[str, ...] = (
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


def laid_out(design: Design, settings: Settings, family: Family, size: Size) -> dict[str, np.ndarray]:
    """Return data and priors of one run by name, padded to a size."""
    layout = family.mode.layout
    data = _observed(design, family, size) | _paths(layout, size) | _responses(design, settings, size)
    return data | _priors(design, layout, family, size)


def fill(shape: tuple[int, ...], values: np.ndarray, rest: float = 0.0) -> np.ndarray:
    """Return ``values`` in the first corner of an array of ``rest``."""
    out = np.full(shape, rest)
    out[tuple(slice(n) for n in np.shape(values))] = values
    return out


def _observed(design: Design, family: Family, size: Size) -> dict[str, np.ndarray]:
    """Lay out the counts and the seconds in which they were observed."""
    wide, mode = (size.regions, size.bins), family.mode
    lead = mode.layout.lead
    none = np.zeros(len(design.width))
    feed, seen = (design.feed[lead], design.feed_exposure[lead]) if design.fed else (none, none)
    return {
        "y": fill(wide, design.y),
        "exposure": fill(wide, design.exposure),
        "seen": fill(wide, design.exposure / design.width),
        "feed": fill((size.bins,), feed),
        "feed_exposure": fill((size.bins,), seen),
        "posting": fill((size.bins,), seen / design.width),
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
    """Lay out the priors and loadings of the latent paths; one that is absent is white noise that nothing reads."""
    own, bins = slots(layout), layout.loading.shape[1]
    rate, decay, loading = (np.full((size.bins, size.paths), x) for x in (1.0, 0.0, 0.0))
    rate[0, own] = layout.chains.first**-0.5
    rate[1:bins, own] = layout.chains.step.T**-0.5
    decay[1:bins, own] = layout.chains.decay.T
    loading[:bins, own] = layout.loading.T
    return {"path_decay": decay, "path_rate": rate, "loading": loading}


def _responses(design: Design, settings: Settings, size: Size) -> dict[str, np.ndarray]:
    """Lay out the bank of kernels: its modes, its shapes, its masses read through a few columns."""
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
        "node": fill((MODES,), node),
        "node_weight": fill((MODES,), np.zeros(len(node)), SPARE),
        "node_log": fill((MODES,), np.log(modes)),
        "node_width": np.array(WIDE * gap),
        "coefficient": fill((*wide, COLUMNS), coefficient).reshape(-1, size.airings * COLUMNS),
        "basis": fill((size.airings, COLUMNS, size.bins), design.basis[:, :kept]),
        "within": fill(wide, design.window_mass.reshape(len(modes), shapes, -1)).reshape(-1, size.airings),
        "shape_mean": fill((size.shapes,), np.log(weight / weight.sum()), SPARE),
        "shape_sd": np.full(size.shapes, SHAPE_SD if shapes > 1 else HELD),
        "lag_mean": np.array(0.0),
        "lag_sd": np.array(1.0 if len(modes) > 1 else HELD),
    }


def _owned(owner: np.ndarray, rows: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return rows sorted under the airings that own them, (J, n, ...), and where each of them stands."""
    out, places, count = np.zeros(shape), [], dict.fromkeys(range(shape[0]), 0)
    for j, row in zip(owner, rows, strict=True):
        out[j, count[j], : len(row)] = row
        places.append((int(j), count[j]))
        count[j] += 1
    return out, places


def _priors(design: Design, layout: Frame, family: Family, size: Size) -> dict[str, np.ndarray]:
    """Lay out the priors of the effects, and what they multiply."""
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
        "scale_weight": fill((SCALES,), np.log(weight / weight.sum()), SPARE),
        "columns": fill((size.columns, size.bins), layout.columns),
        "share": fill((size.airings, size.regions), design.share),
        "turn": turns,
        "bend": bends,
        "contrast": fill((size.regions, size.regions - 1), layout.contrast),
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
