"""The full posterior: the density by hand against PyMC's, padding, sampling, and the words about it."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import posteriors
from attribution.jobs import job
from attribution.model import coordinates, families, packing, padded
from attribution.model.density import log_density
from attribution.model.diagnosis import Health, health
from attribution.model.padded import NAMES, Size

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


@pytest.fixture(scope="session")
def result(halftime):
    return at.analyze(
        halftime.counts, halftime.airings, BRIEF, social=halftime.social, audience=halftime.audience,
        context=halftime.context,
    )  # fmt: skip


@pytest.fixture(scope="session")
def fit(result):
    return result.given.fits[0]


@pytest.fixture(scope="session")
def own(fit):
    return coordinates.problem(fit.design, BRIEF, families.families(fit)[0][0])


def evaluated(problem, z):
    return log_density(z, packing.packed(problem), packing.lengths(problem.size))


def length(problem):
    return len(problem.data["centre"]) + problem.size.bins * problem.size.paths


def test_the_runs_hold_nearly_all_weight_and_the_rest_is_named(fit):
    found, left_out = families.families(fit)
    assert sum(f.weight for f in found) == pytest.approx(1.0)
    assert all(f.parts.sum() == pytest.approx(1.0) for f in found)
    held = sum(fit.weight[fit.components.index(c)] for f in found for c in f.components)
    assert held >= families.ENOUGH or len(found) == families.MOST
    assert bool(left_out) == (1 - held >= 0.0005)
    if left_out:
        assert f"{1 - held:.1%}" in left_out


@pytest.fixture
def runs(fit, monkeypatch):
    """Return a run with a surge alone, and one in which the ad makes people post."""
    monkeypatch.setattr(families, "MOST", 99)
    monkeypatch.setattr(families, "ENOUGH", 1.0)
    found = families.families(fit)[0]
    chosen = (next(f for f in found if (f.worlds[0].mediator > 0) is posts) for posts in (False, True))
    return [coordinates.problem(fit.design, BRIEF, family) for family in chosen]


def test_the_density_by_hand_is_pymcs_and_so_is_its_gradient(runs):
    posterior = pytest.importorskip("attribution.model.posterior")
    built = posterior.model(runs[0])
    value = built.compile_logp(mode="FAST_COMPILE")
    rng = np.random.default_rng(3)
    for own in runs:
        at_z, at_x = [], []
        for name in set(own.data) - set(posterior.WHITENING):
            built[name].set_value(own.data[name])
        for _ in range(4):
            z, step = 0.5 * rng.standard_normal((2, length(own)))
            density, gradient = evaluated(own, z)
            at_z.append(density)
            at_x.append(float(value(point(own, built, z))) + stretched(own, z))
            near = [evaluated(own, z + h * step)[0] for h in (-2e-4, -1e-4, 1e-4, 2e-4)]
            slope = (near[0] - 8 * near[1] + 8 * near[2] - near[3]) / 12e-4
            assert gradient @ step == pytest.approx(slope, rel=1e-6, abs=1e-4)
        np.testing.assert_allclose(np.diff(at_z), np.diff(at_x), rtol=1e-9, atol=1e-6)


def stretched(own, z):
    """Return the log of how far the mediator moves with its place: of all bends, the only one that keeps no volume."""
    rate = coordinates._mediator(own)[0]
    far = np.zeros((2, len(z)))
    far[:, : len(own.data["centre"])] = np.linalg.solve(own.data["turned"], np.eye(len(own.data["centre"]))[rate])
    low, high = coordinates.effects_at(own, z + np.array([-0.5, 0.5])[:, None] * far)["mediator"]
    return np.log(high - low)


def point(own, built, z):
    values = coordinates.effects_at(own, z) | {"paths": coordinates.paths_at(own, z)}
    return {built.rvs_to_values[rv].name: np.asarray(values[str(rv.name)]) for rv in built.free_RVs}


def test_padding_moves_nothing(own, fit):
    tight = own.size
    wide = Size(regions=8, bins=tight.bins + 64, airings=2, columns=16, shapes=15)
    padding = coordinates.problem(fit.design, BRIEF, families.families(fit)[0][0], wide)
    where = np.concatenate([*_corners(tight, wide), (_paths(wide)[: tight.bins, : tight.paths] + _count(wide)).ravel()])
    rng, slopes, values = np.random.default_rng(5), [], []
    for _ in range(2):
        z = 0.5 * rng.standard_normal(length(own))
        big = np.zeros(length(padding))
        big[where] = z
        small, large = evaluated(own, z), evaluated(padding, big)
        values.append((small[0], large[0]))
        slopes.append((small[1], large[1][where]))
    assert values[0][0] - values[1][0] == pytest.approx(values[0][1] - values[1][1], abs=1e-6)
    for small, large in slopes:
        np.testing.assert_allclose(large, small, atol=1e-6 * np.abs(small).max())


def _count(size):
    return sum(int(np.prod(shape)) for shape in size.effects().values())


def _paths(size):
    return np.arange(size.bins * size.paths).reshape(size.bins, size.paths)


def _corners(tight, wide):
    """Yield where each effect of a tight size stands among those of a wide one."""
    start = 0
    for name in NAMES:
        inner, outer = tight.effects()[name], wide.effects()[name]
        index = np.arange(int(np.prod(outer))).reshape(outer)
        yield start + np.ravel(index[tuple(slice(n) for n in inner)] if inner else index)
        start += int(np.prod(outer))


def test_what_pads_a_problem_is_never_observed(own, fit):
    beyond = len(fit.design.start)
    assert not own.data["exposure"][:, beyond:].any()
    assert not own.data["loading"][beyond:].any()
    assert own.data["exposure"][: len(own.regions), :beyond].any()


def test_the_posterior_agrees_with_the_fast_fit_and_is_kept_by_netcdf(result, fit, tmp_path):
    arviz = pytest.importorskip("arviz")
    posterior = pytest.importorskip("attribution.model.posterior")
    idata = result.sample_posterior(draws=300, chains=4, rng=1)
    drawn = idata["posterior"]["incremental"].to_numpy()[..., 0]
    mean = float(fit.weight @ fit.window_mean[:, 0])
    each = fit.window_sd[:, 0] / fit.wider[:, 0]
    sd = float(np.sqrt(fit.weight @ (each**2 + fit.window_mean[:, 0] ** 2) - mean**2))
    assert drawn.mean() == pytest.approx(mean, abs=0.35 * sd)
    assert drawn.std() == pytest.approx(sd, rel=0.25)
    assert idata["posterior"].attrs["optimal"] == 1
    assert idata["posterior"].attrs["advice"] == ""
    for name in ("channel_share", "device_share"):
        np.testing.assert_allclose(idata["posterior"][name].to_numpy().sum(axis=-1), 1.0)
    spend, value = result.airings["spend"].iloc[0], result.airings["value"].iloc[0]
    np.testing.assert_allclose(idata["posterior"]["iroas"].to_numpy()[..., 0], drawn * value / spend)
    path = str(tmp_path / "posterior.nc")
    idata.to_netcdf(path, engine="h5netcdf")
    again = arviz.from_netcdf(path)
    np.testing.assert_array_equal(again["posterior"]["incremental"].to_numpy()[..., 0], drawn)
    assert list(again["posterior"]["airing"].to_numpy()) == list(result.table["airing"])
    before = posterior.compiled.cache_info().misses
    other = at.simulate(at.SCENARIOS["halftime"], rng=11)
    moved = BRIEF.replace(response_peak_logsd=0.5, lift_sd=0.7)
    second = at.analyze(other.counts, other.airings, moved, social=other.social, context=other.context)
    posteriors.run(job(second.given, second.airings), draws=50, chains=2)
    assert posterior.compiled.cache_info().misses == before


def faked(monkeypatch, made):
    """Let ``made(problem, draws, chains)`` stand for the sampler."""
    posterior = pytest.importorskip("attribution.model.posterior")
    monkeypatch.setattr(posterior, "compiled", lambda size: size)

    def sample(problem, *, draws, tune, chains, seed, watch=None):
        z, diverging = made(problem, draws, chains)
        energy = np.random.default_rng(seed).standard_normal((chains, draws))
        steps = np.ones((chains, draws))
        stats = {"diverging": diverging, "energy": energy, "n_steps": steps, "step_size": steps, "depth": steps}
        return posterior.Chains(z, stats)

    monkeypatch.setattr(posterior, "sample", sample)


def test_chains_that_do_not_agree_are_sampled_longer_and_then_explained(result, monkeypatch):
    asked = []

    def stuck(problem, draws, chains):
        asked.append(draws)
        z = 0.1 * np.random.default_rng(1).standard_normal((chains, draws, length(problem)))
        return z + 3.0 * np.arange(chains)[:, None, None], np.zeros((chains, draws), dtype=bool)

    faked(monkeypatch, stuck)
    found = posteriors.run(job(result.given, result.airings), draws=600, chains=4)
    assert max(asked) >= posteriors.LONGER * min(asked)
    assert not found.optimal
    assert found.idata["posterior"].attrs["longer"] == 1
    assert "do not agree" in found.advice
    assert result.table["airing"].iloc[0] in found.advice


def test_of_separate_airings_the_one_that_needs_a_longer_run_keeps_as_many_draws_as_the_others(result, monkeypatch):
    work = job(result.given, result.airings)
    second = tuple(a + len(work.airings) for a in work.groups[0].problems[0].airings)
    other = work.groups[0]._replace(problems=tuple(replace(p, airings=second) for p in work.groups[0].problems))
    names = work.airings["airing"].tolist()
    airings = pd.concat([work.airings, work.airings.assign(airing=[f"{name}, later" for name in names])])
    pair = work._replace(airings=airings.reset_index(drop=True), groups=(work.groups[0], other))
    asked = []

    def stuck(problem, draws, chains):
        asked.append(draws)
        z = 0.1 * np.random.default_rng(len(asked)).standard_normal((chains, draws, length(problem)))
        bad = problem.airings == second
        went = np.zeros((chains, draws), dtype=bool)
        went[0, 0] = bad
        return z + bad * 3.0 * np.arange(chains)[:, None, None], went

    faked(monkeypatch, stuck)
    found = posteriors.run(pair, draws=200, chains=4)
    assert max(asked) >= posteriors.LONGER * posteriors.LEAST_DRAWS[0]
    assert found.draws.shape == (800, 2 * len(names))
    assert found.divergences >= 1
    rhat = found.incremental["rhat"].to_numpy()
    assert (rhat[: len(names)] < 1.01).all()
    assert (rhat[len(names) :] > 1.01).all()


def test_divergences_are_counted_and_told(result, monkeypatch):
    def split(problem, draws, chains):
        z = 0.1 * np.random.default_rng(1).standard_normal((chains, draws, length(problem)))
        return z + 3.0 * np.arange(chains)[:, None, None], np.ones((chains, draws), dtype=bool)

    faked(monkeypatch, split)
    found = posteriors.run(job(result.given, result.airings), draws=100, chains=2)
    assert found.divergences == found.draws.shape[0]
    assert f"{found.divergences} draws diverged" in found.advice


def test_too_few_draws_and_analyses_without_a_fit_are_refused_in_words(result):
    work = job(result.given, result.airings)
    with pytest.raises(ValueError, match="draws is 10"):
        posteriors.run(work, draws=10)
    literal = at.analyze(result.given.counts, result.airings, at.Settings.preset("brief"))
    with pytest.raises(ValueError, match="no fit that a posterior"):
        literal.sample_posterior()


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_health_is_what_arviz_says(memory):
    arviz = pytest.importorskip("arviz")
    draws = np.random.default_rng(2).standard_normal((4, 400))
    for t in range(1, 400):
        draws[:, t] += memory * draws[:, t - 1]
    tree = arviz.from_dict({"posterior": {"x": draws}}) if arviz.__version__ >= "1" else arviz.from_dict({"x": draws})
    said = health(draws)
    assert said.rhat == pytest.approx(float(arviz.rhat(tree)["x"]), abs=1e-3)
    assert said.ess_bulk == pytest.approx(float(arviz.ess(tree, method="bulk")["x"]), rel=0.02)
    assert said.ess_tail == pytest.approx(
        float(arviz.ess(tree, method="tail")["x"]), rel=0.1
    )  # its quantiles differ by a draw


def test_a_posterior_without_spread_is_not_optimal():
    assert not health(np.zeros((4, 100))).optimal
    assert not Health(1.0, 399.0, 500.0).optimal


def test_nothing_but_a_posterior_imports_pymc(tmp_path):
    """Nor does anybody hear, on the first import of a day, what ArviZ will become."""
    code = (
        "import sys, attribution as at; at.analyze; import attribution.sampling; "
        "print([m for m in ('pymc', 'nutpie', 'arviz') if m in sys.modules]); import attribution.model.posterior"
    )
    first = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    loud = [sys.executable, "-W", "error::FutureWarning", "-c", code]
    said = subprocess.run(loud, capture_output=True, text=True, check=True, env=first)
    assert said.stdout.strip() == "[]"


def test_the_prior_predictive_has_the_models_dims(own):
    pm = pytest.importorskip("pymc")
    posterior = pytest.importorskip("attribution.model.posterior")
    drawn = pm.sample_prior_predictive(
        draws=3, model=posterior.model(own), random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"}
    )
    counted = drawn["prior_predictive"]["conversions"].to_numpy()[0]
    assert counted.shape == (3, own.size.regions, own.size.bins)
    assert not counted[:, own.data["exposure"] == 0].any()
    assert drawn["prior"]["paths"].dims[2:] == ("bin", "path")
    spread = drawn["prior"]["amount"].to_numpy().std()
    assert 0.1 * own.data["amount_sd"][0] < spread < 4 * own.data["amount_sd"][0]


def test_a_bigger_design_takes_the_next_rung(fit):
    size = padded.size_of(fit.design)
    assert size.regions >= len(fit.design.regions)
    assert size.bins % 64 == 0
    assert size.bins >= len(fit.design.start)
