"""What a second of evidence costs: time per event, per bin and per call, beside a cumulative sum in the same run.

Run with ``python tests/bench/bench_sequential.py``. Machines differ; the ratio to the peer travels better.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from attribution import sequential as sq
from attribution.kernels import Kernel, bank, delayed

if TYPE_CHECKING:
    from collections.abc import Callable

BINS, RATE = 3600, 500  # an hour of seconds at 500 events each
LIFTS = np.r_[0.0, np.linspace(0.1, 2.2, 11)]


def seconds(call: Callable[[], object]) -> float:
    """Return the best of seven timings of one call, each repeated to last 20 ms or more."""
    began = time.perf_counter()
    call()
    repeats = max(1, int(0.02 / (time.perf_counter() - began)))
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(repeats):
            call()
        best = min(best, (time.perf_counter() - began) / repeats)
    return best


def main() -> None:
    """Print one line a function."""
    rng = np.random.default_rng(1)
    x, y = rng.poisson(RATE / 2, (2, BINS))
    table = rng.poisson(RATE / 4, (BINS, 4))
    single = np.eye(4)[rng.integers(0, 4, 100_000)]
    kernel = np.r_[np.zeros(300), np.exp(-np.arange(BINS - 300) / 60)]
    shares, running = np.full(4, 0.25), x.cumsum()
    peer = seconds(lambda: np.cumsum(x))
    batches: list[tuple[str, Callable[[], object], int]] = [
        ("multinomial_log_e, 4 streams", lambda: sq.multinomial_log_e(table, shares), BINS),
        ("multinomial_log_e, an event a row", lambda: sq.multinomial_log_e(single, shares), len(single)),
        ("share_interval, 4 streams", lambda: sq.share_interval(table, shares), BINS),
        ("poisson_log_e", lambda: sq.poisson_log_e(running, x.mean() * np.arange(1, BINS + 1), prior_shape=50.0), BINS),
        ("intensity_interval", lambda: sq.intensity_interval(running, prior_shape=50.0), BINS),
        ("fixed_baseline_log_e", lambda: sq.fixed_baseline_log_e(x, kernel, LIFTS, baseline=RATE / 2), BINS),
        (
            "history_baseline_log_e",
            lambda: sq.history_baseline_log_e(x, kernel, LIFTS, history_count=75_000, history_bins=300),
            BINS,
        ),
        ("control_log_e", lambda: sq.control_log_e(x, kernel, LIFTS, control=y, share=0.5), BINS),
        (
            "drifting_baseline_log_e",
            lambda: sq.drifting_baseline_log_e(x, kernel, LIFTS, prior_count=250.0, prior_bins=1.0, discount=0.98),
            BINS,
        ),
        ("joint_filter_log_e, 12 lifts x 4", lambda: sq.joint_filter_log_e(x, y, kernel, LIFTS, ratio=1.0), BINS),
        ("increment_interval, series", lambda: sq.increment_interval(x, y, ratio=1.0, optimal_variance=1e5), BINS),
    ]
    print(f"{'batch':36}{'ns/event':>10}{'us/bin':>10}{'x cumsum':>10}   (cumsum {1e9 * peer / BINS:.1f} ns/bin)")
    for name, call, bins in batches:
        took = seconds(call)
        events = len(single) if bins == len(single) else BINS * RATE
        ratio = took / bins / (peer / BINS)
        print(f"{name:36}{1e9 * took / events:10.2f}{1e6 * took / bins:10.2f}{ratio:10.0f}")
    calls: list[tuple[str, Callable[[], object]]] = [
        ("increment_interval, totals", lambda: sq.increment_interval(52_000, 50_000, ratio=1.0, optimal_variance=1e5)),
        ("intensity_interval, a total", lambda: sq.intensity_interval(52_000, prior_shape=50.0)),
        ("poisson_log_e, a total", lambda: sq.poisson_log_e(52_000, 50_000.0, prior_shape=50.0)),
        ("placebo_p, 199 placebos, 90 looks", lambda: sq.placebo_p(x[:90] / 9, y[:199] / 9)),
        ("maxsprt_threshold(10)", lambda: sq.maxsprt_threshold(10.0)),
    ]
    members = [Kernel(mode=m, shape=s, tail=t) for m in (9.0, 12.0, 15.0, 20.0) for s in (2, 3, 5) for t in (0.0, 0.2)]
    members += [Kernel(family=f, mode=m) for f in ("lognormal", "weibull", "window") for m in np.linspace(9, 20, 12)]
    start, width = np.arange(150.0), np.ones(150)
    behind = [delayed(k, 43.0, 12.0) for k in members]
    calls += [
        (f"bank, {len(members)} kernels x 150 bins", lambda: bank(members, start, width, 20.0)),
        (f"bank, {len(members)} delayed", lambda: bank(behind, start, width, 20.0)),
        ("delayed, not cached", lambda: delayed.__wrapped__(members[0], 43.0, 12.0)),
    ]
    print(f"\n{'call':36}{'us/call':>10}{'x cumsum of an hour':>22}")
    for name, call in calls:
        took = seconds(call)
        print(f"{name:36}{1e6 * took:10.1f}{took / peer:22.1f}")


if __name__ == "__main__":
    main()
