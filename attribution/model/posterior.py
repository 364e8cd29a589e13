"""The model of the fast fit in PyMC, sampled in full: the reference that the fast fit is checked against.

    mu_rt = E_rt exp(a_r + trend + breaks + D(t) + d_r(t)) [1 + exp(u_r) (b G(t) + X(t))] + sum_j A_j s_jr K_jt
    nu_t  = F_t exp(c + e(t)) (1 + G(t)) + m sum_j A_j K_jt

with counts of variance phi mu (negative binomial). Here the lag's mode is a parameter, and a response's shape a mixture
of the bank's. Everything that changes is ``pm.Data``: one compilation serves every data set of a padded shape
(padded.py). The only module that imports PyMC and nutpie.
"""

# pyright: reportPrivateImportUsage=false, reportIndexIssue=false, reportCallIssue=false, reportArgumentType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportAttributeAccessIssue=false
# PyTensor builds its functions and types when it is imported: what they are cannot be read from its text.

from __future__ import annotations

import hashlib
import time
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from attribution.model import bending, density, packing, padded
from attribution.model.density import log_density
from attribution.model.mean import LEAST_FACTOR
from attribution.model.packing import lengths, packed, shapes
from attribution.model.padded import COLUMNS, MODES, Size

with warnings.catch_warnings():  # ArviZ, which both import, says once a day what it will become
    warnings.simplefilter("ignore", FutureWarning)
    import nutpie
    import pymc as pm

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.model.padded import Problem


WRITTEN = (bending, density, packing, padded)
"""What the density is written in."""


class Density(Op):
    """The log density of :func:`model` and its gradient, worked out by hand (density.py).

    What is compiled is kept on disk under its properties: the text of the density is one of them, so that another
    version of it is never answered by the last.
    """

    __props__ = ("text",)
    text = hashlib.sha256(b"".join(Path(str(m.__file__)).read_bytes() for m in WRITTEN)).hexdigest()

    def make_node(self, z: Any, pack: Any, lengths: Any) -> Apply:
        """Take coordinates (n,), a packed problem and its lengths; return log density and gradient (n,)."""
        return Apply(self, [pt.as_tensor_variable(x) for x in (z, pack, lengths)], [pt.dscalar(), pt.dvector()])

    def perform(self, node: Any, inputs: Any, output_storage: Any) -> None:
        """Evaluate without compiling the graph."""
        value, slope = log_density(*inputs)
        output_storage[0][0], output_storage[1][0] = np.asarray(value), slope

    def infer_shape(self, fgraph: Any, node: Any, shapes: Any) -> list:
        """Return the shapes of log density and gradient."""
        return [(), shapes[0]]

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        """Say that data have no gradient, and the gradient none of its own."""
        return [[True, False], [False, False], [False, False]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list:
        """Return the gradient by the coordinates."""
        return [cotangents[0] * self(*inputs)[1], DisconnectedType()(), DisconnectedType()()]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list:  # noqa: N802
        """Return the gradient, as PyTensor 2 asks for it."""
        return self.pullback(inputs, outputs, output_grads)


@register_funcify_default_op_cache_key(Density)
def _numba_density(op: Density, node: Any, **_: Any) -> Any:
    @numba_njit
    def evaluate(z, pack, lengths):
        value, slope = log_density(z, pack, lengths)
        return np.asarray(value), slope

    return evaluate


def wandering_logp(value: Any, decay: Any, rate: Any) -> Any:
    """Log density of Ornstein-Uhlenbeck paths (T, K), up to a constant: what each bin adds is normal.

    ``rate`` (T, K) is one over the sd of what a bin adds to ``decay`` (T, K) times the bin before it.
    """
    added = (value[1:] - decay[1:] * value[:-1]) * rate[1:]
    return -0.5 * ((value[0] * rate[0]) ** 2).sum() - 0.5 * (added**2).sum()


def wandering_draw(decay: np.ndarray, rate: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
    """Draw the paths from their prior."""
    added = rng.standard_normal((*(() if size is None else tuple(size)), *decay.shape[-2:])) / rate
    for t in range(1, decay.shape[-2]):
        added[..., t, :] += decay[..., t, :] * added[..., t - 1, :]
    return added


def scales_logp(value: Any, sds: Any, weight: Any) -> Any:
    """Log density of the scales (n,) with which regions feel a surge: a mixture of normals of sds (W, n)."""
    each = -0.5 * (value[None, :] / sds) ** 2 - pt.log(sds)
    return pt.logsumexp(each.sum(axis=1) + weight)


def scales_draw(sds: np.ndarray, weight: np.ndarray, rng: Any = None, size: Any = None) -> Any:
    """Draw a world, then its scales."""
    shape = () if size is None else tuple(size)
    chance = np.exp(weight - weight.max())
    world = rng.choice(len(weight), size=shape, p=chance / chance.sum())
    return rng.standard_normal((*shape, sds.shape[-1])) * sds[world]


def counts_logp(value: Any, mean: Any, dispersion: Any, seen: Any) -> Any:
    """Log probability of counts of variance phi mu, up to a constant; what was not observed says nothing.

    A negative binomial of size r = mu/(phi - 1) and chance 1/phi: Gamma(y + r) / Gamma(r) phi^-r (1 - 1/phi)^y.
    """
    size = pt.switch(pt.gt(seen, 0), mean, 1.0) / (dispersion - 1.0)
    log = pt.gammaln(value + size) - pt.gammaln(size) - size * pt.log(dispersion)
    return pt.switch(pt.gt(seen, 0), log, 0.0)


def counts_draw(mean: np.ndarray, dispersion: np.ndarray, seen: np.ndarray, rng: Any = None, size: Any = None) -> Any:
    """Draw counts; 0 where nothing was observed."""
    shape = np.broadcast_shapes(np.shape(mean), () if size is None else tuple(size))
    rate = rng.gamma(np.maximum(np.broadcast_to(mean, shape), 1e-9) / (dispersion - 1.0)) * (dispersion - 1.0)
    return np.where(seen > 0, rng.poisson(rate), 0).astype(float)


def _coords(size: Size) -> dict[str, range]:
    effects = size.effects()
    return {
        "region": range(size.regions),
        "bin": range(size.bins),
        "path": range(size.paths),
        "airing": range(size.airings),
        "column": range(size.columns),
        "difference": range(size.regions - 1),
        "direction": range(effects["deviation"][1]),
        "bending": range(effects["misfit"][1]),
        "form": range(size.shapes),
    }


def model(problem: Problem) -> pm.Model:
    """Write the model of one run in PyMC: its priors, its expected counts, its likelihood.

    Parameters
    ----------
    problem
        The run; its arrays become ``pm.Data`` of the same names.

    Returns
    -------
    pm.Model
        With ``paths`` and one variable an effect; observed are ``conversions`` and ``posts``. Prior and posterior
        predictive draws come from :func:`pymc.sample_prior_predictive` and :func:`pymc.sample_posterior_predictive`.
    """
    with pm.Model(coords=_coords(problem.size), check_bounds=False) as built:
        given = {name: pm.Data(name, value) for name, value in problem.data.items() if name not in WHITENING}
        paths = pm.CustomDist(
            "paths", given["path_decay"], given["path_rate"],
            logp=wandering_logp, random=wandering_draw, signature="(t,k),(t,k)->(t,k)", dims=("bin", "path"),
        )  # fmt: skip
        effects = {name: _effect(name, given, dims) for name, dims in DIMS.items()}
        kernel, within, peak = _response(given, effects, problem.size)
        expected, posts = _expected(given, paths, effects, kernel)
        pm.CustomDist(
            "conversions", expected, given["dispersion"], given["exposure"],
            logp=counts_logp, random=counts_draw, observed=given["y"], dims=("region", "bin"),
        )  # fmt: skip
        pm.CustomDist(
            "posts", posts, given["feed_dispersion"], given["feed_exposure"],
            logp=counts_logp, random=counts_draw, observed=given["feed"], dims="bin",
        )  # fmt: skip
        pm.Deterministic("incremental", effects["amount"] * within, dims="airing")
        pm.Deterministic("response_peak", peak)
    return built


WHITENING = ("lower", "lean", "path_centre", "centre", "turned", "yielding", "smooth", "urge", "brought")
"""The arrays that are no part of the model: the coordinates that it is sampled in."""

DIMS: dict[str, tuple[str, ...]] = {
    "level": ("region",), "common": ("column",), "feed_level": (), "gain": (), "scale": ("difference",), "mediator": (),
    "deviation": ("airing", "direction"), "misfit": ("airing", "bending"), "amount": ("airing",), "lag": (),
    "shape": ("form",),
}  # fmt: skip
"""Dims of each effect, in the order of :data:`attribution.model.padded.NAMES`."""


def _effect(name: str, given: dict[str, Any], dims: tuple[str, ...]) -> Any:
    """Return an effect with its prior: normal, but for the regions' scales."""
    if name == "scale":
        return pm.CustomDist(
            name, given["scale_sd"], given["scale_weight"],
            logp=scales_logp, random=scales_draw, signature="(w,n),(w)->(n)", dims=dims,
        )  # fmt: skip
    return pm.Normal(name, mu=given[f"{name}_mean"], sigma=given[f"{name}_sd"], dims=dims or None)


def _response(given: dict[str, Any], effects: dict[str, Any], size: Size) -> tuple[Any, Any, Any]:
    """Return the response (J, T), its share inside each window (J,), and the lag's mode in seconds."""
    away = (effects["lag"] - given["node"]) / given["node_width"]
    modes = pm.math.softmax(-0.5 * away**2 + given["node_weight"])
    shapes = pm.math.softmax(effects["shape"])
    weight = (modes[:, None] * shapes[None, :]).reshape((MODES * size.shapes,))
    reading = (weight @ given["coefficient"]).reshape((size.airings, COLUMNS))
    kernel = (reading[:, :, None] * given["basis"]).sum(axis=1)
    return kernel, weight @ given["within"], pt.exp(modes @ given["node_log"])


def _expected(given: dict[str, Any], paths: Any, effects: dict[str, Any], kernel: Any) -> tuple[Any, Any]:
    """Return the expected conversions (R, T) and posts (T,)."""
    loaded = (paths * given["loading"]).T
    common, shock, surge, own_feed, own = loaded[0], loaded[1], loaded[2], loaded[3], loaded[4:]
    felt = pt.exp(given["contrast"] @ effects["scale"])
    moved = effects["gain"] * surge + shock
    growth = pt.maximum(1.0 + felt[:, None] * moved[None, :], LEAST_FACTOR)
    shared = effects["common"] @ given["columns"] + common
    log = effects["level"][:, None] + shared[None, :] + own
    base = given["exposure"] * pt.exp(pt.clip(log, -40.0, 40.0)) * growth
    split = given["share"] * (1.0 + (effects["deviation"][:, :, None] * given["turn"]).sum(axis=1))
    shape = kernel + (effects["misfit"][:, :, None] * given["bend"]).sum(axis=1)
    ad = (effects["amount"][:, None] * split).T @ shape
    expected = pt.maximum(base + ad * given["seen"], 1e-3 * base + 1e-12)
    rise = pt.maximum(1.0 + surge, LEAST_FACTOR)
    posts = given["feed_exposure"] * pt.exp(pt.clip(effects["feed_level"] + own_feed, -40.0, 40.0)) * rise
    posts += effects["mediator"] * (effects["amount"] @ kernel) * given["posting"]
    return expected, pt.maximum(posts, 1e-12)


def whitened(size: Size) -> pm.Model:
    """Return the density of :func:`model` in the coordinates of the fast fit's normal posterior (padded.py).

    Its only free variable is ``z``, flat; its only data a packed problem, so that what is compiled for one problem
    serves all of its size. The change of variables is linear: its Jacobian is a constant.
    """
    shape = sum(int(np.prod(own)) for own in size.effects().values()) + size.bins * size.paths
    pack = np.zeros(sum(int(np.prod(own)) for own in shapes(size).values()))
    with pm.Model(check_bounds=False) as white:
        z = pm.Flat("z", shape=shape)
        pm.Potential("density", Density()(z, pm.Data("pack", pack), pm.Data("lengths", lengths(size)))[0])
    return white


@lru_cache(maxsize=16)
def compiled(size: Size) -> Any:
    """Compile the density of a padded shape for nutpie, once in a process."""
    return nutpie.compile_pymc_model(whitened(size), backend="numba", var_names=[])


class Cancelled(Exception):  # noqa: N818  nothing went wrong
    """The run was cancelled before it was done."""


class Chains(NamedTuple):
    """What a sampler returned for one run: (chains, draws, n) coordinates, and statistics of each draw."""

    z: np.ndarray
    stats: dict[str, np.ndarray]


STATS = ("diverging", "energy", "n_steps", "step_size", "depth")
"""Statistics of a draw that are kept."""

POLL_S, COUNT_S = 0.05, 1.0
"""How often the sampler is asked whether it is done, and how far it is, seconds."""


def sample(
    problem: Problem,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    watch: Callable[[int, int], bool] | None = None,
) -> Chains:
    """Sample one run.

    Parameters
    ----------
    draws, tune, chains
        Kept draws and warm-up of each chain, and the number of chains.
    watch
        Told now and then how many draws (warm-up included) there are over all chains, and how many of them diverged;
        sampling ends when it returns False.

    Raises
    ------
    Cancelled
        When ``watch`` asked for it.
    """
    ready = compiled(problem.size).with_data(pack=packed(problem))
    sampler = nutpie.sample(
        ready, draws=draws, tune=tune, chains=chains, seed=seed, blocking=False, progress_bar=False,
        return_raw_trace=True,
    )  # fmt: skip
    told = time.monotonic()
    while not _finished(sampler):
        time.sleep(POLL_S)
        count = None
        if watch is not None and time.monotonic() - told > COUNT_S:
            told = time.monotonic()
            count = _counted(sampler.inspect().get_arrow_trace()[1])
        if watch is not None and not watch(*(count or (-1, 0))):
            sampler.cancel()
            raise Cancelled("the run was cancelled")
    drawn, stats = sampler.wait().get_arrow_trace()
    kept = [~_column(table, "tuning") for table in stats]
    z = [_column(table, "z").reshape(len(own), -1)[own] for table, own in zip(drawn, kept, strict=True)]
    columns = {
        name: np.array([_column(table, name)[own] for table, own in zip(stats, kept, strict=True)]) for name in STATS
    }
    return Chains(np.array(z), columns)


def _finished(sampler: Any) -> bool:
    """Return whether a sampler is done; one too busy to say is not."""
    try:
        return bool(sampler.is_finished)
    except TimeoutError:
        return False


def _counted(stats: list) -> tuple[int, int]:
    """Return how many draws there are, and how many after the warm-up diverged."""
    diverged = sum(int((_column(table, "diverging") & ~_column(table, "tuning")).sum()) for table in stats)
    return sum(table.num_rows for table in stats), diverged


def _column(table: Any, name: str) -> np.ndarray:
    """Return a column of a trace; one of lists as the lists one after another."""
    column = pa.array(table.column(name))
    return (column.flatten() if hasattr(column, "flatten") else column).to_numpy(zero_copy_only=False)
