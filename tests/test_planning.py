"""The plan lock: what was decided before the airing, and what is said when it was not kept."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

import attribution as at
from attribution.kernels import Kernel, bin_mass
from attribution.planning import Plan, difference, draft, kept, lock, minimum_detectable_lift, verify

BEFORE = pd.Timestamp("2026-02-08T18:00:00Z")
START = pd.Timestamp("2026-02-08T20:41:00Z")


@pytest.fixture(scope="module")
def counts():
    start = (np.datetime64("2026-02-08T20:00:00") + np.arange(60)).astype("datetime64[ns]")
    return at.Counts(
        start=start, width=np.ones(60), values=np.ones((60, 3, 1, 1)), regions=("north", "south", "west"),
        completeness=np.ones((60, 3)),
    )  # fmt: skip


@pytest.fixture
def airings():
    return pd.DataFrame(
        {
            "airing": ["A", "B"],
            "start": [START, START + pd.Timedelta("10min")],
            "length_s": 30.0,
            "regions": ["north|south", ""],
            "assignment": ["randomised holdout", ""],
        }
    )


def test_a_plan_says_what_will_be_done(counts, airings):
    plan = lock(at.Settings(window="60s"), airings, counts, at=BEFORE, family=["A"])
    assert (plan.outcome, plan.window, plan.family) == ("conversion", "60s", ("A",))
    assert plan.controls == (("A", ("west",)), ("B", ()))
    assert plan.airings[0] == ("A", "2026-02-08T20:41:00Z", 30.0, "north|south", "randomised holdout")
    assert dict(plan.settings)["alpha"] == 0.05
    assert plan.locked_at == "2026-02-08T18:00:00Z"
    assert not plan.late


def test_the_same_decisions_have_the_same_hash_and_the_order_of_rows_does_not_matter(counts, airings):
    one = lock(at.Settings(), airings, counts, at=BEFORE)
    assert one == lock(at.Settings(), airings.iloc[::-1], counts, at=BEFORE)
    assert one.sha256 != lock(at.Settings(), airings, counts, at=BEFORE + pd.Timedelta("1s")).sha256


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "visit"}, {"window": "61s"}, {"family": ("A",)}, {"stopping": "whenever it suits"}, {"late": True},
        {"data_rules": ()}, {"locked_at": "2026-02-08T17:00:00Z"}, {"controls": ()}, {"airings": ()}, {"settings": ()},
    ],
)  # fmt: skip
def test_any_change_after_the_lock_is_seen(counts, airings, change):
    plan = lock(at.Settings(), airings, counts, at=BEFORE)
    assert verify(plan)
    assert not verify(replace(plan, **change))
    assert "altered" in kept(replace(plan, **change), draft(at.Settings(), airings, counts))[1][0]


def test_a_draft_is_no_lock(counts, airings):
    plan = draft(at.Settings(), airings, counts)
    assert not verify(plan)
    assert "draft" in kept(plan, plan)[1][0]


def test_a_file_gives_back_the_plan(tmp_path, counts, airings):
    plan = lock(at.Settings(value=64.0), airings, counts, at=BEFORE)
    path = plan.save(tmp_path / "plan.json")
    assert Plan.load(path) == plan
    assert verify(Plan.load(path))
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"window": "90s"}))
    assert not verify(Plan.load(path))
    path.write_text(json.dumps({"window": "90s"}))
    with pytest.raises(ValueError, match="the plan must have exactly outcome, window"):
        Plan.load(path)
    path.write_text("60s")
    with pytest.raises(ValueError, match="not JSON"):
        Plan.load(path)
    with pytest.raises(ValueError, match="cannot be opened"):
        Plan.load(tmp_path / "nowhere.json")


def test_a_lock_after_the_first_airing_began_says_so_or_is_refused(counts, airings):
    with pytest.raises(ValueError, match=r"A began 2026-02-08T20:41:00Z; lock before .* --late"):
        lock(at.Settings(), airings, counts, at=START)
    late = lock(at.Settings(), airings, counts, at=START, late=True)
    assert late.late
    assert verify(late)
    speaks_for, against = kept(late, draft(at.Settings(), airings, counts))
    assert not speaks_for
    assert "after the first airing had begun" in against[0]
    early = lock(at.Settings(), airings, counts, at=BEFORE, late=True)
    assert not early.late
    with pytest.raises(ValueError, match="without a zone"):
        lock(at.Settings(), airings, counts, at=pd.Timestamp("2026-02-08T18:00:00"))
    with pytest.raises(ValueError, match="airings is empty"):
        lock(at.Settings(), airings.iloc[:0], counts, at=BEFORE)
    with pytest.raises(ValueError, match=r"family names \['C'\]"):
        lock(at.Settings(), airings, counts, at=BEFORE, family=["A", "C"])


def test_differences_are_told_in_lines(counts, airings):
    one = draft(at.Settings(window="60s", value=64.0), airings, counts)
    moved = airings.assign(start=airings["start"] + pd.Timedelta("7s"), regions=["north", ""]).iloc[:1]
    two = draft(at.Settings(window="90s", alpha=0.1), moved, counts)
    assert difference(one, two) == (
        "window: 60s -> 90s",
        "family: A, B -> A",
        "alpha: 0.05 -> 0.1",
        "value: 64.0 -> not set",
        "airing B: left out",
        "start of A: 2026-02-08T20:41:00Z -> 2026-02-08T20:41:07Z",
        "regions of A: north|south -> north",
        "controls of A: west -> south, west",
    )
    assert difference(two, one)[4] == "airing B: added, 2026-02-08T20:51:00Z"
    assert difference(one, one) == ()


def test_the_answer_says_whether_the_plan_was_kept():
    """Locked before and kept: evidence for. Another window than planned: against, with the difference."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    settings = at.Settings(window="60s", response_peak_logsd=0.0, kernel="gamma")
    plan = lock(settings, world.airings, world.counts, at=BEFORE)
    kept_to = at.analyze(world.counts, world.airings, settings, plan=plan)
    assert any("nothing was changed since" in row for row in kept_to.verdict.evidence_for)
    assert kept_to.plan_notes
    other = at.analyze(world.counts, world.airings, settings.replace(window="90s"), plan=plan)
    assert any("window: 60s -> 90s" in row for row in other.verdict.evidence_against)
    without = at.analyze(world.counts, world.airings, settings)
    assert without.plan_notes == ()
    pd.testing.assert_frame_equal(without.table, kept_to.table)


def clean(seed, lift):
    """Two regions at 30 a second for ten minutes, the ad in one of them; what the fit says of it."""
    bins, onset = 690, 600
    start = (np.datetime64("2026-02-08T20:31:00") + np.arange(bins)).astype("datetime64[ns]")
    mass = bin_mass(Kernel(family="gamma", mode=10.0, shape=3.0), np.arange(float(bins)), np.ones(bins), float(onset))
    expected = np.full((bins, 2), 30.0)
    expected[:, 0] += lift * 30 * 60 * mass / mass[onset : onset + 60].sum()
    counts = at.Counts(
        start=start, width=np.ones(bins), regions=("north", "south"), completeness=np.ones((bins, 2)),
        values=np.random.default_rng(seed).poisson(expected).astype(float)[:, :, None, None],
    )  # fmt: skip
    airing = pd.DataFrame({"airing": ["A"], "start": [START], "length_s": [30.0], "regions": ["north"]})
    settings = at.Settings(window="60s", kernel="gamma", response_peak="10s", response_peak_logsd=0.0, history="10min")
    return at.analyze(counts, airing, settings).table.iloc[0]


def test_the_minimum_detectable_lift_is_found_four_times_out_of_five():
    """The lift that fits without an ad promise, put into 24 other seeds: the power is 80%, within binomial spread."""
    promised = float(np.mean([clean(seed, 0.0)["minimum_detectable_lift"] for seed in range(3)]))
    seeds = 24
    found = sum(clean(100 + seed, promised)["incremental_lower"] > 0 for seed in range(seeds))
    assert binom.ppf(0.001, seeds, 0.8) <= found <= binom.ppf(0.999, seeds, 0.8)


def test_the_minimum_detectable_lift_is_the_formula():
    lift = minimum_detectable_lift(64.0, 2400.0)
    assert norm.sf(norm.ppf(0.975) - lift * 2400 / 64) == pytest.approx(0.8, abs=1e-9)
    assert np.isnan(minimum_detectable_lift(64.0, 0.0))
    assert minimum_detectable_lift(64.0, 2400.0, power=0.9) > lift > minimum_detectable_lift(64.0, 2400.0, alpha=0.1)
