"""What a second of watching costs: a warm refit, a look, the joint filter; and their growth over regions and airings.

The peer of the same run is one plain least-squares difference-in-differences on the same seconds. CPU time, as the
machine may be shared.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd

import attribution as at
from attribution.model import control, monitor
from attribution.model.design import Design, build
from attribution.model.fit import fit, middle
from attribution.model.history import learn
from attribution.trials import ONE_SPOT, trial

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def taken(call, repeats: int) -> np.ndarray:
    """Milliseconds of CPU of each of some calls; a first one, that compiles, is not counted."""
    call()
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        found.append(1e3 * (time.process_time() - begun))
    return np.array(found)


def designed(world: at.World, settings: at.Settings, seconds: float) -> Design:
    """Return the design of all airings, as it was some seconds after the last began."""
    cut = world.airings["start"].max() + pd.Timedelta(seconds=seconds)
    built = build(
        world.counts.between(end=cut), world.airings, settings, members=np.arange(len(world.airings)),
        others=np.empty(0, dtype=int), social=world.social[world.social["time"] < cut],
    )  # fmt: skip
    assert built is not None
    return built


def watched(design: Design, settings: at.Settings, airing: int = 0, most: int = 30) -> np.ndarray:
    """Milliseconds of CPU of each of the first looks at an airing, each going on from the one before."""
    noise, before, found = middle(learn(design)), None, []
    pooled = design.pooled(12)
    for turn, count in enumerate(monitor.ticks(pooled, airing)[:most]):
        begun = time.process_time()
        now = pooled.first(int(count))
        position = int(pooled.begun(int(count))[:airing].sum())
        before = monitor.look(now, noise, position, before, turn, settings)
        found.append(1e3 * (time.process_time() - begun))
    return np.array(found)


def difference_in_differences(design: Design) -> float:
    """Exposed against control before and after, by least squares on the data's own bins."""
    start, _, y = design.fine
    columns = np.column_stack([np.ones(len(start)), y[~design.exposed].sum(axis=0), start >= design.onset[0]])
    return float(np.linalg.lstsq(columns, y[design.exposed].sum(axis=0), rcond=None)[0][2])


def spots(number: int) -> at.Scenario:
    """Return the one-spot event with so many spots, 30 s apart, the last where the one is."""
    spot = ONE_SPOT.airings[0]
    apart = [replace(spot, airing=f"SPOT{i}", at_s=spot.at_s - 30.0 * i) for i in reversed(range(number))]
    return replace(ONE_SPOT, airings=tuple(apart))


def regions(number: int) -> at.Scenario:
    """Return the one-spot event in so many equal regions, a quarter of them spared, 10 conversions a second each."""
    names = tuple((f"region-{i:02d}", 1.0 / number) for i in range(number))
    spared = tuple(name for name, _ in names[: number // 4 if number > 1 else 0] or names[: number - 1])
    return replace(ONE_SPOT, regions=names, holdouts=spared, conversion_rate=10.0 * number)


def main() -> None:
    """Print the figures."""
    for name, settings in (("shared_surge", BRIEF), ("blind", at.Settings())):
        world = trial(name, 6)
        design = designed(world, settings, 60.0)
        peer = np.median(taken(lambda d=design: difference_in_differences(d), 50))
        before = fit(designed(world, settings, 59.0), settings)
        cold = taken(lambda d=design, s=settings: fit(replace(d, memory={}), s), 15)
        second = taken(lambda d=design, s=settings, b=before: fit(replace(d, memory={}), s, start=b), 15)
        here, moved = fit(design, settings), settings.replace(lift_sd=0.7)
        prior = taken(lambda d=design, s=moved, h=here: fit(replace(d, memory={}), s, start=h), 15)
        watched(design, settings, most=2)
        looks = watched(design, settings)
        for what, cost in (
            ("first fit, the history learnt", cold), ("warm refit, a second later", second),
            ("warm refit, a prior moved", prior), ("a look", looks),
        ):  # fmt: skip
            print(f"{name}: {what} {np.median(cost):.0f} ms p50, {np.quantile(cost, 0.95):.0f} ms p95, "
                  f"{cost.mean() / peer:.0f} x a least-squares difference-in-differences of {peer:.2f} ms")  # fmt: skip
        seconds = len(design.fine[0])
        filtered = np.median(taken(lambda d=design: control.joint(d, 0, np.inf), 15)) / seconds
        print(f"{name}: the joint filter {1e3 * filtered:.1f} us a second of data")
    for what, make, numbers in (("regions", regions, (1, 4, 12, 60)), ("airings", spots, (1, 4, 12, 24))):
        for number in numbers:
            design = designed(at.simulate(make(number), rng=6), BRIEF, 60.0)
            learnt, last = learn(design), len(design.onset) - 1
            refit = taken(lambda d=design: fit(replace(d, memory={}), BRIEF), 1 if number == 60 else 3)
            looks = watched(design, BRIEF, last, 10)
            print(f"{number} {what}: refit {np.median(refit):.0f} ms, a look {looks.mean():.0f} ms "
                  f"({len(learnt)} strata, {len(design.start)} bins)")  # fmt: skip


if __name__ == "__main__":
    main()
