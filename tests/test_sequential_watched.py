"""Sequential evidence watched at every bin: how often it errs when nothing happened, what it sees; refusals."""

from math import log

import numpy as np
import pytest
from scipy import stats

from attribution import sequential as sq

LIFTS = np.array([0.0, 0.2, 0.5, 1.1])
KERNEL = np.r_[np.zeros(5), np.exp(-np.arange(35) / 12.0)]
SEEDS, LIMIT = 1000, 20
TOLERATED = stats.binom.ppf(0.999, SEEDS, 1 / LIMIT)


def alarms(path_of):
    rng = np.random.default_rng(15)
    return sum(path_of(rng).max() >= log(LIMIT) for _ in range(SEEDS))


@pytest.mark.parametrize(
    "path_of",
    [
        lambda rng: sq.multinomial_log_e(rng.poisson([6, 3, 1], (200, 3)), [0.6, 0.3, 0.1]),
        lambda rng: sq.poisson_log_e(rng.poisson(5, 200).cumsum(), 5.0 * np.arange(1, 201), prior_shape=20.0),
        lambda rng: sq.fixed_baseline_log_e(rng.poisson(5, 40), KERNEL, LIFTS, baseline=5.0),
        lambda rng: sq.history_baseline_log_e(
            rng.poisson(5, 40), KERNEL, LIFTS, history_count=int(rng.poisson(100)), history_bins=20
        ),
        lambda rng: sq.control_log_e(rng.poisson(5, 40), KERNEL, LIFTS, control=rng.poisson(5, 40), share=0.5),
        lambda rng: sq.joint_filter_log_e(
            *rng.poisson(8 * np.exp(0.3 * np.sin(np.arange(140) / 9 + rng.uniform(0, 6))), (2, 140)),
            np.r_[np.zeros(100), KERNEL], LIFTS, ratio=1.0, history=100,
        ),
    ],
    ids=["multinomial", "poisson", "fixed", "history", "control", "joint"],
)  # fmt: skip
def test_no_effect_rarely_reaches_twenty(path_of):
    assert alarms(path_of) <= TOLERATED


def test_intervals_cover_at_all_times_together():
    rng = np.random.default_rng(16)
    misses = np.zeros(3, dtype=int)
    for _ in range(SEEDS):
        x, y = rng.poisson([6.0, 4.0], (150, 2)).T
        lower, upper = sq.share_interval(np.c_[x, y], [0.5, 0.5])
        misses[0] += not (lower[-1, 0] <= 0.6 <= upper[-1, 0])
        low, high = sq.intensity_interval(x.cumsum(), prior_shape=30.0)
        level = 6.0 * np.arange(1, 151)
        misses[1] += ((low > level) | (high < level)).any()
        low, high = sq.increment_interval(x[20:], y[20:], ratio=2 / 3, optimal_variance=1000.0)
        misses[2] += ((low > 0) | (high < 0)).any()
    assert (misses <= TOLERATED).all(), misses


def test_joint_filter_sees_a_lift():
    rng = np.random.default_rng(17)
    kernel = np.r_[np.zeros(100), np.ones(60)]
    found = 0
    for _ in range(40):
        x, y = rng.poisson(30 * (1 + 0.4 * kernel)), rng.poisson(30.0, 160)
        found += sq.joint_filter_log_e(x, y, kernel, LIFTS, ratio=1.0, history=100)[-1] > log(20)
    assert found >= 36


# ---- refusals --------------------------------------------------------------------------------------------------------

TWO = np.ones((3, 2))
X = np.ones(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sq.multinomial_log_e(TWO - 2, [0.5, 0.5]), "counts holds -1.0; counts are whole"),
        (lambda: sq.multinomial_log_e(TWO / 2, [0.5, 0.5]), "counts holds 0.5"),
        (lambda: sq.multinomial_log_e(TWO * np.nan, [0.5, 0.5]), "counts holds nan"),
        (lambda: sq.multinomial_log_e(TWO * np.inf, [0.5, 0.5]), "counts holds inf"),
        (lambda: sq.multinomial_log_e(TWO, [0.5, 0.6]), "shares is .* that sum to 1"),
        (lambda: sq.multinomial_log_e(TWO, [1.0, 0.0]), "shares is .* positive"),
        (lambda: sq.multinomial_log_e(TWO, [0.2, 0.3, 0.5]), "counts has shape"),
        (lambda: sq.multinomial_log_e(TWO, [0.5, 0.5], concentration=0), "concentration is 0; choose"),
        (lambda: sq.share_interval(TWO, [0.5, 0.5], alpha=5), "alpha is 5; choose a value between 0 and 1"),
        (lambda: sq.rate_ratio_interval(np.ones((3, 3)), [0.2, 0.3, 0.5]), "shares has shape"),
        (lambda: sq.always_valid_p([0.0, np.nan]), "log_e holds nan"),
        (lambda: sq.poisson_log_e(3.5, 1.0, prior_shape=1.0), "total holds 3.5"),
        (lambda: sq.poisson_log_e(3, -1.0, prior_shape=1.0), "expected is -1.0"),
        (lambda: sq.poisson_log_e(3, 1.0, prior_shape=-1.0), "prior_shape is -1.0"),
        (lambda: sq.poisson_log_e(3, 1.0, prior_shape=1.0, alternative="less"), "alternative is 'less'; choose"),
        (lambda: sq.intensity_interval(-1, prior_shape=1.0), "total holds -1.0"),
        (lambda: sq.intensity_interval(1, prior_shape=1.0, alpha=0), "alpha is 0"),
        (lambda: sq.fixed_baseline_log_e(X, np.ones(3), [0.1], baseline=1.0), "kernel has shape"),
        (lambda: sq.fixed_baseline_log_e(X, 2 * X, [0.1], baseline=1.0), "kernel holds 2.0; divide"),
        (lambda: sq.fixed_baseline_log_e(X, X, [-1.0], baseline=1.0), "lifts is"),
        (lambda: sq.fixed_baseline_log_e(X, X, [], baseline=1.0), "lifts is"),
        (lambda: sq.fixed_baseline_log_e(X, X, [0.1], baseline=0.0), "baseline is 0.0"),
        (lambda: sq.fixed_baseline_log_e(TWO, X, [0.1], baseline=1.0), "counts has shape"),
        (lambda: sq.history_baseline_log_e(X, X, [0.1], history_count=-1, history_bins=3), "history_count holds -1"),
        (lambda: sq.history_baseline_log_e(X, X, [0.1], history_count=1, history_bins=0), "history_bins is 0"),
        (lambda: sq.control_log_e(X, X, [0.1], control=X[:3], share=0.5), "control has 3 bins"),
        (lambda: sq.control_log_e(X, X, [0.1], control=X, share=1.0), "share is 1.0"),
        (lambda: sq.drifting_baseline_log_e(X, X, [0.1], prior_count=1, prior_bins=1, discount=1.2), "discount is 1.2"),
        (lambda: sq.drifting_baseline_log_e(X, X, [0.1], prior_count=0, prior_bins=1, discount=1), "prior_count is 0"),
        (lambda: sq.joint_filter_log_e(X, X, X, [0.1], ratio=1.0, history=2), "kernel is 1.0 in the history"),
        (lambda: sq.joint_filter_log_e(X, X, 0 * X, [0.1], ratio=1.0), "history is 300; give"),
        (lambda: sq.joint_filter_log_e(X, X[:3], 0 * X, [0.1], ratio=1.0, history=2), "control has 3 bins"),
        (lambda: sq.joint_filter_log_e(X, X, 0 * X, [0.1], ratio=0.0, history=2), "ratio is 0.0"),
        (lambda: sq.joint_filter_log_e(X, X, 0 * X, [0.1], ratio=1.0, history=2, dispersion=0.5), "dispersion is 0.5"),
        (lambda: sq.joint_filter_log_e(X, X, 0 * X, [0.1], ratio=1.0, history=2, discounts=(0.0,)), "discounts is 0.0"),
        (lambda: sq.joint_filter_log_e(X, X, 0 * X, [0.1], ratio=1.0, history=2, discounts=()), "discounts is empty"),
        (lambda: sq.increment_interval(1.5, 1, ratio=1.0, optimal_variance=1.0), "exposed holds 1.5"),
        (lambda: sq.increment_interval(X, 1, ratio=1.0, optimal_variance=1.0), "exposed has shape"),
        (lambda: sq.increment_interval(1, 1, ratio=1.0, optimal_variance=0.0), "optimal_variance is 0.0"),
        (lambda: sq.increment_interval(1, 1, ratio=1.0, dispersion=0.1, optimal_variance=1.0), "dispersion is 0.1"),
        (lambda: sq.placebo_p([1.0], [np.nan]), "placebos holds nan"),
        (lambda: sq.placebo_p(TWO, [1.0]), "path has shape"),
        (lambda: sq.soft_rank_e([np.inf], [1.0]), "reach inf"),
        (lambda: sq.e_bh([-1.0]), "e_values holds -1.0"),
        (lambda: sq.e_bh([np.nan]), "e_values holds nan"),
        (lambda: sq.e_bh([1.0], alpha=1.0), "alpha is 1.0"),
        (lambda: sq.maxsprt_threshold(0.0), "expected is 0.0"),
        (lambda: sq.maxsprt_threshold(1e6), "expected is 1000000.0; choose a horizon"),
        (lambda: sq.maxsprt_threshold(1.0, min_events=0), "min_events is 0"),
        (lambda: sq.maxsprt_threshold(1.0, min_events=9), "min_events is 9: within 1.0 expected"),
    ],
)  # fmt: skip
def test_refusals_name_argument_value_and_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()


ROW = np.arange(1.0, 7.0)
OVER = {"counts": ROW, "kernel": np.r_[0.0, 0, 0, 1, 0.5, 0.2], "lifts": [0.1, 0.5]}
PAIR = {"counts": TWO, "shares": [0.5, 0.5], "concentration": 100.0}
RANKED = {"path": [1.0, 2.0], "placebos": [0.0, 1.0]}
RIGHT = {
    "multinomial_log_e": PAIR,
    "always_valid_p": {"log_e": [0.0, 1.0]},
    "share_interval": PAIR | {"alpha": 0.05},
    "rate_ratio_interval": PAIR | {"alpha": 0.05},
    "poisson_log_e": {"total": 3, "expected": 2.0, "prior_shape": 1.0, "alternative": "greater"},
    "intensity_interval": {"total": 3, "prior_shape": 1.0, "alpha": 0.05},
    "fixed_baseline_log_e": OVER | {"baseline": 2.0},
    "history_baseline_log_e": OVER | {"history_count": 5, "history_bins": 3.0},
    "control_log_e": OVER | {"control": ROW, "share": 0.5},
    "drifting_baseline_log_e": OVER | {"prior_count": 3.0, "prior_bins": 1.0, "discount": 0.9},
    "joint_filter_log_e": {
        "exposed": ROW, "control": ROW, "kernel": OVER["kernel"], "lifts": [0.1], "ratio": 1.0, "discounts": (0.9,),
        "dispersion": 1.0, "history": 3,
    },
    "increment_interval": {
        "exposed": ROW, "control": ROW, "ratio": 1.0, "dispersion": 1.0, "alpha": 0.05, "optimal_variance": 10.0,
    },
    "placebo_p": RANKED,
    "soft_rank_e": RANKED,
    "maxsprt_threshold": {"expected": 5.0, "alpha": 0.05, "min_events": 1},
    "e_bh": {"e_values": [1.0, 30.0], "alpha": 0.05},
}  # fmt: skip
WRONG = [np.nan, None, "x", 1j, [1.0, 1j], ["a", "b"], [[1, 2], [3]], object(), {}]


def test_every_public_function_is_held_to_this():
    assert set(RIGHT) == set(sq.__all__)


@pytest.mark.parametrize(
    ("function", "argument"), [(function, argument) for function, given in RIGHT.items() for argument in given]
)
def test_what_is_no_number_is_refused_by_name(function, argument):
    getattr(sq, function)(**RIGHT[function])
    for wrong in WRONG:
        with pytest.raises(ValueError, match=rf"\b{argument}\b"):
            getattr(sq, function)(**RIGHT[function] | {argument: wrong})
