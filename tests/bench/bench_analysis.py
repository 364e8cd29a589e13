"""What an answer costs: one analysis of the halftime event, and its growth over regions, history and airings.

Ratios stand beside a peer of the same run: one plain least-squares difference-in-differences on the same bins.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

import attribution as at
from attribution.model.design import build
from attribution.model.fit import fit

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def best(call, repeats: int = 5) -> float:
    """Median seconds of a call."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return float(np.median(taken))


def difference_in_differences(world: at.World) -> float:
    """Exposed against control, five minutes before against a minute after, by least squares on seconds."""
    start = world.airings["start"].iloc[0].value / 1e9
    at_s = world.counts.seconds
    used = (at_s >= start - 300) & (at_s < start + 60)
    exposed = np.array([r not in world.scenario.holdouts for r in world.counts.regions])
    y = world.counts.total[used]
    after = (at_s[used] >= start).astype(float)
    x, z = y[:, exposed].sum(axis=1), y[:, ~exposed].sum(axis=1)
    columns = np.column_stack([np.ones_like(x), z, after])
    return float(np.linalg.lstsq(columns, x, rcond=None)[0][2] * 60)


def main() -> None:
    """Print the figures."""
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    feeds = {"social": world.social, "audience": world.audience, "context": world.context}
    at.analyze(world.counts, world.airings, BRIEF, **feeds)  # compiles
    peer = best(lambda: difference_in_differences(world), 20)
    whole = best(lambda: at.analyze(world.counts, world.airings, BRIEF, **feeds))
    design = build(
        world.counts, world.airings, BRIEF, members=np.array([0]), others=np.empty(0, dtype=int),
        social=world.social, context=world.context,
    )  # fmt: skip
    assert design is not None
    alone = best(lambda: fit(design, BRIEF))
    print(f"analysis  halftime, 4 regions, feed: {whole * 1e3:.0f} ms whole, {alone * 1e3:.0f} ms the fit "
          f"({whole / peer:.0f} x a least-squares difference-in-differences of {peer * 1e3:.2f} ms)")  # fmt: skip
    for regions in (2, 8, 24):
        names = tuple((f"r{i}", 1.0 / regions) for i in range(regions))
        grown = at.simulate(
            replace(world.scenario, regions=names, holdouts=("r0",), conversion_rate=10.0 * regions), rng=7
        )
        taken = best(lambda w=grown: at.analyze(w.counts, w.airings, BRIEF, social=w.social, context=w.context), 3)
        print(f"analysis  {regions} regions: {taken * 1e3:.0f} ms ({taken / whole:.2f} x halftime)")
    for window in ("10min", "60min"):
        chosen = BRIEF.replace(history=window)
        taken = best(lambda s=chosen: at.analyze(world.counts, world.airings, s, **feeds), 3)
        print(f"analysis  history {window}: {taken * 1e3:.0f} ms ({taken / whole:.2f} x halftime)")


if __name__ == "__main__":
    main()
