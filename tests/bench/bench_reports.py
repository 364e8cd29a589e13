"""What a report costs: seconds and bytes of each form, against its limit, and against a floor of the same run.

The floor is the compiled renderer alone, drawing the same figures from specifications that are ready: what no report
with figures can go below. CPU seconds stand beside the clock's, which other processes share.
"""

from __future__ import annotations

import time
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import vl_convert

import attribution as at
from attribution import charts
from attribution.saved import opened

if TYPE_CHECKING:
    from collections.abc import Callable

CHOICES = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")
LIMITS = {".html": (2.0, 1_500_000), ".pdf": (0.5, None), ".md": (2.0, None), ".json": (2.0, None), ".zip": (2.0, None)}
"""Seconds and bytes that a form may take."""
DRAWN = (charts.velocity, charts.evidence, charts.amount, charts.response)


def timed(call: Callable[[], object], repeats: int = 5) -> tuple[float, float]:
    """Median seconds of a call: of the clock, and of this process' CPU."""
    taken = []
    for _ in range(repeats):
        begun, cpu = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - begun, time.process_time() - cpu))
    clock, used = np.median(taken, axis=0)
    return float(clock), float(used)


def main() -> None:
    """Print the figures."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    result = at.analyze(
        world.counts, world.airings, CHOICES, social=world.social, audience=world.audience, context=world.context
    )
    specs = [draw(result).to_dict(validate=False) for draw in DRAWN]
    begun = time.perf_counter()
    at.report(result).made(".pdf")  # the first one loads renderer and fonts
    print(f"reports   the first of a process: {time.perf_counter() - begun:.2f} s, with what it loads")
    _, floor = timed(lambda: [vl_convert.vegalite_to_svg(spec) for spec in specs])
    for ending, (seconds, size) in LIMITS.items():
        clock, used = timed(lambda form=ending: at.report(result).made(form))
        made = at.report(result).made(ending)
        held = len(made.encode() if isinstance(made, str) else made)
        room = f", {held / size:.2f} of {size / 1e6:g} MB" if size else ""
        print(
            f"reports   {ending}: {clock:.2f} s ({clock / seconds:.2f} of the {seconds:g} s it may take), "
            f"CPU {used:.2f} s ({used / floor:.1f} x drawing alone, {floor:.2f} s), {held / 1e3:,.0f} kB{room}"
        )
    clock, used = timed(lambda: at.report(result, parts=["business"]).made(".pdf"))
    print(f"reports   one page for the business: {clock:.2f} s, CPU {used:.2f} s")
    with TemporaryDirectory() as folder:
        path = at.report(result).save(f"{folder}/answer.json")
        data = path.read_bytes()
        clock, used = timed(lambda: opened(data))
    print(f"reports   read back: {clock:.2f} s, CPU {used:.2f} s, {len(data) / 1e3:,.0f} kB")
    clock, used = timed(lambda: opened(data).given.fits, 3)
    print(f"reports   read back with its fit made anew: {clock:.2f} s, CPU {used:.2f} s")


if __name__ == "__main__":
    main()
