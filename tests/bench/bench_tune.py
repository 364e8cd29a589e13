"""From a moved slider to the new answer: p50 and p95, CPU and wall, beside a whole analysis of the same run.

Three kinds of moves: a number of a prior (the fit begins at the one before), a choice that makes another design (it
begins anew), and a step that was worked out ahead or was there before. All of one event of 45 minutes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

import attribution as at
from attribution import dials
from attribution.tuning import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMIT_MS = 150.0
START = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
NUMBERS = [START.replace(lift_sd=round(float(x), 3)) for x in np.geomspace(0.1, 3.0, 20)]
DESIGNS = [
    START.replace(**{name: value})
    for name, values in {
        "response_peak": ("5s", "8s", "12s", "15s", "20s", "25s", "30s"),
        "kernel": ("gamma", "lognormal", "weibull", "biexponential"),
        "history": ("10min", "15min", "45min"),
        "stream_delay": ("antenna", "5s", "10s"),
        "window": ("45s", "90s", "2min"),
    }.items()
    for value in values
]


def taken(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a call: CPU, wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3


def told(name: str, times: Sequence[tuple[float, float]], peer: tuple[float, float]) -> None:
    """Print one line: p50 and p95 of CPU and wall, the limit, and the whole analysis over the median."""
    cpu, wall = np.array(times).T
    (c50, c95), (w50, w95) = (np.percentile(x, [50, 95]) for x in (cpu, wall))
    print(f"tune  {name:<34} CPU {c50:5.0f} / {c95:5.0f} ms, wall {w50:5.0f} / {w95:5.0f} ms (p50 / p95, limit "
          f"{LIMIT_MS:.0f}); {peer[0] / c50:5.1f} x faster than a whole analysis")  # fmt: skip


def main() -> None:
    """Print the figures."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    feeds = {"social": world.social, "audience": world.audience, "context": world.context}
    tuner = Tuner(world.counts, world.airings, feeds)
    before = tuner.finger(START)  # compiles
    at.analyze(world.counts, world.airings, START.replace(alpha=0.04), **feeds)
    whole = [
        taken(lambda a=a: at.analyze(world.counts, world.airings, START.replace(alpha=a), **feeds))
        for a in (0.011, 0.012, 0.013)
    ]
    peer = (float(np.median([c for c, _ in whole])), float(np.median([w for _, w in whole])))
    print(f"tune  whole analysis, every look       CPU {peer[0]:5.0f} ms, wall {peer[1]:5.0f} ms")

    def moved(settings: at.Settings) -> None:
        nonlocal before
        now = tuner.finger(settings)
        dials.hero_frames(now, before, tuner.airings)
        dials.kernel_frames(now, before)
        dials.amount_frames(now, before)
        before = now

    told("a number of a prior", [taken(lambda s=s: moved(s)) for s in NUMBERS], peer)
    told("another design", [taken(lambda s=s: moved(s)) for s in DESIGNS], peer)
    told("a step worked out ahead", [taken(lambda s=s: moved(s)) for s in DESIGNS[-10:]], peer)
    moved(START)
    told("alpha, smallest lift", [taken(lambda a=a: moved(START.replace(alpha=a))) for a in (0.01, 0.02, 0.1)], peer)


if __name__ == "__main__":
    main()
