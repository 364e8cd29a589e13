"""The full posterior of an analysis: its runs sampled one by one, and put together by their weights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.inference import Drawn, Posterior, outcome
from attribution.model.coordinates import effects_at, kernel_weights, log_priors
from attribution.model.diagnosis import Health, ebfmi, health, split_rhat

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.jobs import Group, Job
    from attribution.model.padded import Problem
    from attribution.model.posterior import Chains

WARM_UP, LONG_WARM_UP = 150, 400
"""Draws of each chain that only tune the sampler; of a longer run."""

LONGER = 3
"""A longer run has so many times as many draws; beside other groups, which had no need of one, a third is kept."""

TELLING = 0.05
"""Runs of less weight are not asked how their parameters and their energy mix."""

LEAST_DRAWS = 100, 200
"""Each chain of a run has at least so many draws, however little it weighs: of one that is not asked how it mixes, of
one that is."""


def run(
    work: Job,
    *,
    draws: int = 1000,
    chains: int = 4,
    rng: int = 0,
    watch: Callable[[str, int, int, int], bool] | None = None,
) -> Posterior:
    """Sample every group; a posterior that is not optimal is sampled once more, longer.

    Parameters
    ----------
    draws, chains
        Kept draws of each chain, and chains (at least 2).
    rng
        Seed.
    watch
        Told the state (``compiling``, ``sampling``, ``longer``), draws so far, draws in all and divergences; sampling
        ends with :class:`attribution.model.posterior.Cancelled` when it returns False.

    Raises
    ------
    ValueError
        When ``draws`` or ``chains`` cannot be judged by R-hat.
    """
    if chains < 2 or draws < 50:
        raise ValueError(
            f"draws is {draws} and chains {chains}; ask for at least 50 draws in each of at least 2 chains"
        )
    from attribution.model import posterior  # noqa: PLC0415  PyMC takes seconds to import: only when asked for

    tell = watch or (lambda *_: True)
    began = time.monotonic()
    for size in work.sizes:
        tell("compiling", 0, 0, 0)
        posterior.compiled(size)
    ready = time.monotonic()
    seeds = np.random.SeedSequence(rng).spawn(len(work.groups))
    total = sum(_planned(group, draws) for group in work.groups) * chains
    found, before = [], 0
    for group, seed in zip(work.groups, seeds, strict=True):
        drawn = _sample(group, draws, WARM_UP, chains, seed, _counter(tell, "sampling", before, total))
        before += _planned(group, draws) * chains
        if not all(h.optimal for h in drawn.health):
            keep, times = (LONGER * draws, 1) if len(work.groups) == 1 else (draws, LONGER)
            extra = _planned(group, keep, LONG_WARM_UP, times) * chains
            total += extra
            often = _counter(tell, "longer", before, total)
            drawn = _sample(group, keep, LONG_WARM_UP, chains, seed.spawn(1)[0], often, times)._replace(longer=True)
            before += extra
        found.append(drawn)
    spent = {"compile": ready - began, "sample": time.monotonic() - ready}
    return outcome(work, found, spent, np.random.default_rng(rng))


def _planned(group: Group, draws: int, tune: int = WARM_UP, times: int = 1) -> int:
    """Return the draws of each chain of all runs, warm-up included."""
    weight = np.array([p.weight for p in group.problems])
    return sum(times * count + tune for count in _taken(weight, _split(weight, draws)))


def _taken(weight: np.ndarray, wanted: list[int]) -> list[int]:
    """Return how often each run is drawn from: as often as its weight wants, or a little more."""
    return [max(count, LEAST_DRAWS[int(w >= TELLING)]) for w, count in zip(weight, wanted, strict=True)]


def _counter(tell: Any, state: str, before: int, total: int) -> Any:
    """Return a watch for the sampler: adds what earlier runs have drawn."""
    seen = [0, 0]

    def watch(base: int, count: int, diverged: int) -> bool:
        if count >= 0:
            seen[:] = [base + count, diverged]
        return tell(state, before + seen[0], total, seen[1])

    return watch


def _sample(
    group: Group, draws: int, tune: int, chains: int, seed: np.random.SeedSequence, watch: Any, times: int = 1
) -> Drawn:
    """Sample the runs of a group and put them together by their weights; of ``times`` draws the last is kept."""
    from attribution.model import posterior  # noqa: PLC0415

    weight = np.array([p.weight for p in group.problems])
    wanted = _split(weight, draws)
    parts, energies, done = [], [], 0
    seeds = seed.generate_state(len(weight))
    for own, taken, entropy in zip(group.problems, _taken(weight, wanted), seeds, strict=True):
        base = done
        chain = posterior.sample(
            own, draws=times * taken, tune=tune, chains=chains, seed=int(entropy),
            watch=lambda n, d, b=base: watch(b, n, d),
        )  # fmt: skip
        done += (times * taken + tune) * chains
        energies.append(chain.stats["energy"])
        parts.append((own, _thinned(chain, times)))
    values = [_values(own, chain.z) for own, chain in parts]
    mixed = _interleaved(wanted)
    found = {name: _mix([v[name] for v in values], wanted, mixed) for name in values[0]}
    heavy = [i for i, w in enumerate(weight) if w >= TELLING] or [0]
    return Drawn(
        values=found,
        stats={name: _mix([chain.stats[name] for _, chain in parts], wanted, mixed) for name in parts[0][1].stats},
        run=_mix([np.full(chain.z.shape[:2], i) for i, (_, chain) in enumerate(parts)], wanted, mixed),
        health=_healths(found["incremental"], [v["incremental"] for v in values], weight, np.array(wanted)),
        worst=float(max((split_rhat(parts[i][1].z) > 1.05).mean() for i in heavy)),
        ebfmi=min(ebfmi(energies[i]) for i in heavy),
    )


def _thinned(chain: Chains, times: int) -> Chains:
    """Keep the last of so many draws; that any of them diverged is not forgotten."""
    if times == 1:
        return chain
    kept = {name: value[:, times - 1 :: times] for name, value in chain.stats.items()}
    went = chain.stats["diverging"]
    kept["diverging"] = np.any(went.reshape(len(went), -1, times), axis=2)
    return chain._replace(z=chain.z[:, times - 1 :: times], stats=kept)


def _split(weight: np.ndarray, draws: int) -> list[int]:
    """Split draws in proportion to weights, the largest remainders rounded up."""
    exact = weight / weight.sum() * draws
    whole = np.floor(exact).astype(int)
    for i in np.argsort(whole - exact, kind="stable")[: draws - whole.sum()]:
        whole[i] += 1
    return [int(n) for n in whole]


def _interleaved(wanted: list[int]) -> np.ndarray:
    """Return the order in which the draws of all runs, one run behind the other, are mixed evenly."""
    place = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in wanted])
    return np.argsort(place, kind="stable")


def _mix(arrays: list[np.ndarray], wanted: list[int], order: np.ndarray) -> np.ndarray:
    """Mix the runs' arrays (chains, draws, ...), so many draws of each, evenly spread over what was drawn."""
    kept = [
        a[:, np.linspace(0, a.shape[1] - 1, n).round().astype(int)] if n else a[:, :0]
        for a, n in zip(arrays, wanted, strict=True)
    ]
    return np.concatenate(kept, axis=1)[:, order]


def _healths(mixed: np.ndarray, runs: list[np.ndarray], weight: np.ndarray, used: np.ndarray) -> list[Health]:
    """Return the health of each airing's incremental: mixed (chains, draws, J), and each run's own.

    R-hat is that of the mixture: do the chains tell the same answer? Effective draws are those of the runs (mixing
    them hides how one draw depends on the last): the variance of the mixture's mean is sum w^2 sd^2 / ESS.
    """
    found = []
    for j in range(mixed.shape[2]):
        own = [health(run[..., j]) for run in runs]
        # What was drawn beyond a run's share is not in the answer.
        part = np.minimum(used / [run.shape[1] for run in runs], 1.0)
        spread, total = np.array([run[..., j].std() for run in runs]), float(mixed[..., j].std())
        bulk, tail = (
            total**2 / sum((w * s) ** 2 / max(p * e, 1.0) for w, s, p, e in zip(weight, spread, part, ess, strict=True))
            for ess in ([h.ess_bulk for h in own], [h.ess_tail for h in own])
        )
        found.append(Health(health(mixed[..., j]).rhat, float(bulk), float(tail)))
    return found


def _values(own: Problem, z: np.ndarray) -> dict[str, np.ndarray]:
    """Turn coordinates (chains, draws, n) into the quantities that are reported, padding left out."""
    effects = effects_at(own, z)
    modes, shapes = kernel_weights(own.data, effects["lag"], effects["shape"])
    inside = own.data["within"].reshape(modes.shape[-1], shapes.shape[-1], -1)
    within = np.einsum("...g,...s,gsj->...j", modes, shapes, inside, optimize=True)
    airings, regions = len(own.airings), len(own.regions)
    found = {
        "incremental": (effects["amount"] * within)[..., :airings],
        "response_peak": np.repeat(np.exp(modes @ own.data["node_log"])[..., None], airings, axis=-1),
        "surge_gain": effects["gain"],
        "mediator": effects["mediator"],
        "level": effects["level"][..., :regions],
        "felt": np.exp(effects["scale"] @ own.data["contrast"].T)[..., :regions],
    }
    return found | {f"log_prior_{name}": value for name, value in log_priors(own, effects).items()}
