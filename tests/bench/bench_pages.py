"""What an analyst waits for, each figure beside its limit, and the growth over airings, regions and history.

CPU seconds beside those of the clock: where the machine is shared, the clock tells how busy it is. What runs on
several cores at a time may take less of the clock than of the cores. A ratio is the CPU over the limit.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parents[1] / "calibrate"))
import schedules
from bench_model import BRIEF, designed, regions, spots, watched

import attribution as at
from attribution.lab import placebo_lab
from attribution.model.fit import fit
from attribution.single import OneSeries
from attribution.specs import spec_curve
from attribution.tuning import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable

KNOWN = {"window": "60s", "response_peak": "10s", "response_peak_logsd": "0.2"}
PAGES = ("evidence", "airings", "compare", "plan", "tune")


def taken(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of a call, CPU and clock, and what it returned."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = call()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def told(what: str, cpu: float, wall: float, limit: float, more: str = "") -> None:
    """Print one figure beside its limit."""
    print(f"pages  {what:<52} CPU {cpu:7.2f} s, clock {wall:7.2f} s; limit {limit:g} s, ratio {cpu / limit:.2f}{more}")


def season(days: int, airings: int, places: int) -> tuple[at.Counts, pd.DataFrame]:
    """Return a simulated schedule over so many days of minutes, its counts dealt out to so many regions."""
    world = schedules.simulate(80_000, days=days, airings=airings, lift=1.0, rate=600.0)
    known = np.isfinite(world.y)
    rng = np.random.default_rng(1)
    dealt = rng.multinomial(np.where(known, world.y, 0).astype(int), rng.dirichlet(np.full(places, 5.0))).astype(float)
    dealt[~known] = np.nan
    begin = schedules.START.tz_localize(None).to_datetime64().astype("datetime64[ns]")
    counts = at.Counts(
        start=begin + np.arange(len(dealt)) * np.timedelta64(60, "s"), width=np.full(len(dealt), 60.0),
        values=dealt[:, :, None, None], regions=tuple(f"region-{i:02d}" for i in range(places)),
        completeness=np.ones((len(dealt), places)),
    )  # fmt: skip
    return counts, world.airings.assign(regions="")


def at_once() -> None:
    """Print what a season at once costs, and how it grows over airings and regions."""
    at.analyze(*season(3, 80, 2), at.Settings())  # compiles
    for days, airings, places, limit in ((28, 500, 60, 60.0), (28, 2000, 4, 60.0), (28, 2000, 60, 60.0)):
        counts, aired = season(days, airings, places)
        steps: list[tuple[int, int]] = []
        tell = lambda done, of, steps=steps: steps.append((done, of))  # noqa: E731
        cpu, wall, _ = taken(partial(at.analyze, counts, aired, at.Settings(), progress=tell))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        bins = days * 1440 * places / 1e6
        told(f"season: {airings:,} airings, {bins:.1f} M bins", cpu, wall, limit,
             f"; {peak:.2f} GB at most so far (limit 2), {len(steps)} steps told")  # fmt: skip


def curve_and_lab() -> None:
    """Print what a curve of specifications and the placebo labs cost."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    feeds = {"social": world.social, "audience": world.audience, "context": world.context}
    airing = str(world.airings["airing"].iloc[0])
    spec_curve(Tuner(world.counts, world.airings, feeds), BRIEF.replace(alpha=0.04), airing)  # compiles
    cpu, wall, table = taken(lambda: spec_curve(Tuner(world.counts, world.airings, feeds), BRIEF, airing))
    told(f"curve of {len(table)} specifications, as of 200", cpu * 200 / len(table), wall * 200 / len(table), 5.0)
    cpu, wall, lab = taken(lambda: placebo_lab(Tuner(world.counts, world.airings, feeds), BRIEF, airing))
    told(f"lab of {lab.n} moments, regions spared", cpu, wall, 10.0 * lab.n / 500, " (limit in proportion to 500)")
    counts, airings = season(14, 40, 1)
    apart = airings.iloc[np.flatnonzero(np.diff(airings["start"], append=pd.NaT) > pd.Timedelta("2h"))][-10:]
    one = OneSeries(counts, apart, at.Settings(), started=np.arange(len(apart)))
    cpu, wall, found = taken(lambda: [one.judge(j) for j in range(len(apart))])
    asked = sum(answer.n for answer in found if answer)
    told(f"{len(apart)} airings among {asked:,} moments of one series, as of 500", cpu * 500 / asked,
         wall * 500 / asked, 10.0)  # fmt: skip


def settled(name: str) -> AppTest:
    """Open a page of the workbench, and wait until it waits for nothing."""
    app = AppTest.from_string(f"from attribution.workbench import {name}\n{name}.show()", default_timeout=300)
    for key, value in KNOWN.items():
        app.query_params[key] = value
    for _ in range(120):
        html = "".join(element.proto.body for element in app.run().get("html"))
        if 'class="ec waiting"' not in html and "being tried" not in html:
            break
        time.sleep(2.0)
    return app


def pages() -> None:
    """Print what a page that is there already costs to answer again."""
    for name in PAGES:
        with redirect_stderr(StringIO()):  # a page outside its server says so
            app = settled(name)
            found = [taken(app.run)[:2] for _ in range(5)]
        told(f"the {name} page, warm", *np.median(found, axis=0), 1.0)


def growth() -> None:
    """Print how a refit and a look grow over regions, airings and history."""
    first: dict[str, float] = {}

    def grown(what: str, number: float, world: at.World, settings: at.Settings) -> None:
        design = designed(world, settings, 60.0)
        fit(replace(design, memory={}), settings)
        cpu = taken(lambda: fit(replace(design, memory={}), settings))[0]
        before = fit(designed(world, settings, 59.0), settings)
        warm = taken(lambda: fit(replace(design, memory={}), settings, start=before))[0]
        looks = watched(design, settings, len(design.onset) - 1, 6)
        base = first.setdefault(what, warm / number)
        print(f"pages  growth: {number:g} {what}: refit {cpu * 1e3:.0f} ms, warm {warm * 1e3:.0f} ms "
              f"({warm / number / base:.2f} x as much for each as with the fewest), a look {np.median(looks):.0f} ms, "
              f"{len(design.start)} bins")  # fmt: skip

    for number in (4, 12, 24, 60):
        grown("regions", number, at.simulate(regions(number), rng=6), BRIEF)
    for number in (1, 4, 12, 24):
        grown("airings", number, at.simulate(spots(number), rng=6), BRIEF)
    for minutes in (10, 20, 30):
        world = at.simulate(at.SCENARIOS["halftime"], rng=7)
        grown("minutes of history", minutes, world, BRIEF.replace(history=f"{minutes}min"))


def main() -> None:
    """Print the figures."""
    growth()
    curve_and_lab()
    at_once()
    pages()
    print(f"pages  load of the machine while this ran: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
