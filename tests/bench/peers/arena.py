"""The worlds: one spot in 45 minutes at 40 conversions a second, four regions, one of them without the ad."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

import attribution as at

from .samples import Sample

WINDOW_S = 60.0
FIRST_SEED = 70_000
"""Other seeds than those of the calibrations and of the tests."""

_HALFTIME = at.SCENARIOS["halftime"]
_SPOT = replace(_HALFTIME.airings[0], break_id="")
_ONE = replace(
    _HALFTIME, breaks=(), break_step=0.0, airings=(_SPOT,), shared_sd=0.04, surge_gain=0.3, lift=0.2
)  # fmt: skip

WORLDS: dict[str, at.Scenario] = {
    "surge": _ONE,
    "surge without ad": replace(_ONE, lift=0.0),
    "clean": replace(_ONE, surge="none"),
    "break without ad": replace(
        _ONE, surge="none", lift=0.0, breaks=_HALFTIME.breaks, break_step=0.3, airings=_HALFTIME.airings
    ),
}
"""An ad under a social surge that starts 10 s into it; the same without effect; the same without surge; and a break of
+30% in all regions, declared like three before it, without effect."""


def world(name: str, seed: int) -> at.World:
    """Make one world."""
    return at.simulate(WORLDS[name], rng=seed)


def sample(made: at.World) -> Sample:
    """Return what a method may see: nothing of the truth."""
    counts = made.counts
    seconds = counts.seconds - counts.seconds[0]
    airing = made.airings.iloc[0]
    exposed = set(str(airing["regions"]).split("|"))
    breaks = np.zeros(len(seconds))
    for pause in made.context.itertuples():
        start, end = (moment.value / 1e9 - counts.seconds[0] for moment in (pause.start, pause.end))
        breaks += (seconds >= start) & (seconds < end)
    return Sample(
        counts=counts.values.sum(axis=3),
        social=made.social["count"].to_numpy(float),
        breaks=breaks,
        exposed=np.array([region in exposed for region in counts.regions]),
        onset=round(airing["start"].value / 1e9 - counts.seconds[0]),
        window=round(WINDOW_S),
    )


def truth(made: at.World) -> tuple[float, float]:
    """Return what the ad adds in the window, and what its regions would have had without it."""
    held = made.truth
    start = round(held.starts[0])
    reached = held.ad[0].sum(axis=0) > 0
    if not reached.any():  # an ad without effect
        reached = sample(made).exposed
    counterfactual = held.counterfactual[start : start + round(WINDOW_S), reached].sum()
    return held.incremental(held.airings[0], WINDOW_S), float(counterfactual)


def digest(seen: Sample) -> str:
    """Return the first 12 hex digits of a SHA-256 over everything a method sees."""
    found = hashlib.sha256(f"{seen.onset} {seen.window}".encode())
    for part in (seen.counts, seen.social, seen.breaks, seen.exposed):
        found.update(np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:12]
