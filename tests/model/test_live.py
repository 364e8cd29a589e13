"""Live is batch: what a look says does not change when more data arrive; and what is unknown is not read as zero."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution.model import fit as fast
from attribution.model import watching
from attribution.model.climb import climb
from attribution.model.control import credibility, joint
from attribution.model.design import build
from attribution.model.history import learn
from attribution.model.monitor import look, ticks
from attribution.model.posts import posts
from attribution.model.sofar import alternatives
from attribution.trials import trial

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def designed(world: at.World, settings: at.Settings, until_s: float | None = None, *, social: bool = True):
    """Return the design of what had arrived ``until_s`` seconds after the first airing; of everything by default."""
    begins = world.airings["start"]
    cut = world.counts.end if until_s is None else begins.iloc[0] + pd.Timedelta(seconds=until_s)
    here = np.flatnonzero(begins < cut)
    built = build(
        world.counts.between(end=cut), world.airings, settings, members=here, others=np.empty(0, dtype=int),
        social=world.social[world.social["time"] < cut] if social else None,
    )  # fmt: skip
    assert built is not None
    return built


def same_until(then, now, settings: at.Settings, airing: int = 0) -> None:
    """The looks of a shorter feed are the first looks of the longer one, to rounding."""
    noise = fast.middle(learn(now))
    assert fast.middle(learn(then)) == noise
    watching._kept.clear()
    short = watching.evidence(then, noise, airing, settings)
    watching._kept.clear()
    whole = watching.evidence(now, noise, airing, settings)
    assert len(short.time)
    for name in ("time", "log_e", "log_plain", "estimate", "lower", "upper", "sd", "joint"):
        np.testing.assert_allclose(
            getattr(short, name), getattr(whole, name)[: len(short.time)], rtol=1e-6, atol=1e-6, err_msg=name
        )


def test_an_airing_still_to_come_leaves_the_looks_of_the_one_before_alone():
    world = trial("two_15", 5)
    same_until(designed(world, BRIEF, 14.0), designed(world, BRIEF, 22.0), BRIEF)


def test_a_bin_that_still_grows_is_no_look():
    world, late = trial("late_response", 5), at.Settings()
    whole = designed(world, late)
    times = (whole.start + whole.width)[ticks(whole, 0) - 1]
    for seconds in (1.0, 3.0, 103.0, 127.0):
        part = designed(world, late, seconds)
        looks = (part.start + part.width)[ticks(part, 0) - 1]
        assert np.isin(looks, times).all(), f"{seconds} s after the airing"


def test_the_joint_filter_knows_the_peak_of_a_response_before_it_has_come():
    world = trial("shared_surge", 5)
    _, whole = joint(designed(world, BRIEF, social=False), 0, np.inf)
    for seconds in (3.0, 8.0, 60.0):
        _, part = joint(designed(world, BRIEF, seconds, social=False), 0, np.inf)
        np.testing.assert_allclose(part, whole[: len(part)], atol=1e-9)


def test_regions_that_are_missing_count_by_their_history_not_by_what_they_do_later():
    world = trial("no_holdout", 5)
    values, complete = world.counts.values.copy(), world.counts.completeness.copy()
    gone = np.random.default_rng(0).random(complete.shape) < 0.05
    values[gone], complete[gone] = np.nan, 0.0
    world = replace(world, counts=replace(world.counts, values=values, completeness=complete))
    then, now = designed(world, BRIEF, 10.0), designed(world, BRIEF)
    n = then.known
    np.testing.assert_allclose(then.exposure[:, :n], now.exposure[:, :n], rtol=1e-12)


def test_a_controls_credibility_is_the_historys_alone(design):
    noise = learn(design)[0][1]
    start, width, y = design.fine
    later = y.copy()
    later[0, start >= design.onset[0]] *= 30
    changed = replace(design, fine=(start, width, later))
    assert credibility(changed, noise, 0) == credibility(design, noise, 0)


def test_a_feed_that_is_out_is_unknown_and_no_slope():
    rng = np.random.default_rng(1)
    time = pd.date_range("2026-02-08T20:00", periods=600, freq="s", tz="UTC")
    count = rng.poisson(8, 600).astype(float)
    full = pd.DataFrame({"time": time, "width_s": 1.0, "region": "all", "count": count})
    gap = full.assign(count=np.where((full.index >= 300) & (full.index < 340), np.nan, count))
    found, whole = posts(gap, 1.0), posts(full, 1.0)
    assert found is not None
    assert whole is not None
    out = slice(300, 341)
    got, seen = found.between(found.edges[out][:-1], found.edges[out][1:])
    assert got.sum() == 0
    assert seen.sum() == 0
    moment, close, onset = found.edges[250:400], found.edges[-1], found.edges[300]
    assert found.push(moment, close, onset).max() <= whole.push(whole.edges, close, onset).max()
    # One of two regions unknown: their sum is unknown, not the other's count.
    two = pd.concat([full, gap.assign(region="other")])
    both = posts(two, 1.0)
    assert both is not None
    assert both.observed[-1] == pytest.approx(560.0)


def test_noise_of_a_feed_pushes_no_surge_and_a_surge_does():
    """A rise of the feed by half in ten seconds pushes; twenty minutes of counting noise before it hardly ever do."""
    rng = np.random.default_rng(5)
    second = np.arange(1500)
    rate = 8 * np.exp(0.05 * rng.normal(size=1500)) * (1 + 0.5 * np.clip((second - 1210) / 10, 0, 1))
    time = pd.date_range("2026-02-08T20:00", periods=1500, freq="s", tz="UTC")
    feed = posts(pd.DataFrame({"time": time, "width_s": 1.0, "region": "all", "count": rng.poisson(rate)}), 1.0)
    assert feed is not None
    push = feed.push(feed.edges, feed.edges[-1], feed.edges[1200])
    assert (push[:1000] > 0).mean() < 0.02
    assert push[1205:1225].max() > 0.01


def test_looks_of_a_feed_on_another_clock_are_not_remembered_as_this_ones(design):
    noise = fast.middle(learn(design))
    assert design.posts is not None
    moved = replace(design, posts=replace(design.posts, edges=design.posts.edges - 0.25), memory={})
    chosen = ticks(design, 0)[:3]
    ours, others = (watching._marks(d, noise, 0, BRIEF, chosen) for d in (design, moved))
    assert not set(ours) & set(others)
    part = design.first(int(ticks(design, 0)[2]))
    assert watching._marks(part, noise, 0, BRIEF, chosen) == ours


def test_a_kernel_of_which_nothing_can_have_come_still_has_quantiles():
    """Starts on whole quarter minutes: the clock may be off by more than the second airing has been on air."""
    world = trial("two_15", 5)
    cut = world.airings["start"].iloc[0] + pd.Timedelta(seconds=20)
    result = at.analyze(
        world.counts.between(end=cut), world.airings, BRIEF, social=world.social[world.social["time"] < cut]
    )
    second = result.table.iloc[1]
    assert np.isfinite(second[["incremental", "incremental_lower", "incremental_upper"]].astype(float)).all()
    assert 0.0 < second["probability_positive"] < 1.0


def test_looks_at_many_regions_pool_the_small_ones_and_lose_little(halftime):
    names = tuple((f"r{i:02d}", 0.2 if i in {0, 5} else 0.6 / 14) for i in range(16))
    scenario = replace(
        halftime.scenario, regions=names, holdouts=tuple(f"r{i:02d}" for i in range(10)), conversion_rate=40.0
    )
    full = designed(at.simulate(scenario, rng=3), BRIEF, 30.0)
    few = full.pooled(4)
    assert set(few.regions[:4]) >= {"r00", "r05"}
    assert len(few.regions) == 6
    np.testing.assert_allclose(few.y.sum(axis=0), full.y.sum(axis=0))
    np.testing.assert_allclose(few.share.sum(axis=1), full.share.sum(axis=1))
    assert len(set(few.regions)) == 6
    np.testing.assert_allclose(few.exposure[:, : full.known], np.broadcast_to(full.width, few.y.shape)[:, : full.known])
    assert full.pooled(16) is full
    # A region's gap takes from the sum what the region held before.
    gone = full.exposure.copy()
    gone[full.regions.index("r07"), full.known - 1] = 0.0
    level = full.y[:, full.history].sum(axis=1)
    with_gap = replace(full, exposure=gone).pooled(4)
    pool = next(g for g, name in enumerate(with_gap.regions) if name.startswith("smaller") and not with_gap.exposed[g])
    spared = [r for r in range(16) if not full.exposed[r] and full.regions[r] not in few.regions]
    lost = level[full.regions.index("r07")] / level[spared].sum() if "r07" not in few.regions else 0.0
    seen = with_gap.exposure[pool, full.known - 1] / full.width[full.known - 1]
    assert seen == pytest.approx(1 - lost, rel=1e-9)
    noise = fast.middle(learn(full))
    watched = watching.evidence(full, noise, 0, BRIEF)
    assert np.isfinite(watched.log_e).all()
    truth = at.simulate(scenario, rng=3)
    assert watched.lower[-1] < truth.truth.incremental("HALFTIME_PRIME", 30.0) < watched.upper[-1]


def test_no_world_runs_away_while_it_is_watched():
    """A look's climb ends where one from scratch ends: scales that ran away left a world hundreds of nats behind."""
    world = trial("shared_surge", 9103)
    full = designed(world, BRIEF, 22.0)  # at the eleventh look every world is fitted
    noise = fast.middle(learn(full))
    anchor, before = int(np.argmax(full.kernel_weight)), None
    for turn, count in enumerate(ticks(full, 0)):
        now = full.first(int(count))
        before = look(now, noise, 0, before, turn, BRIEF)
    assert before is not None
    now = full.first(int(ticks(full, 0)[-1]))
    for chosen in alternatives(now):
        found = climb(now, noise, chosen, anchor, lift_sd=BRIEF.lift_sd, lead=before.lead, amount=fast.rough(now))
        assert found is not None
        assert before.starts[f"with {chosen.name}"].evidence > found.evidence - 2.0, chosen.name
