"""Make a simulated event and stream it: how many times faster than the event itself happens; exit 1 below 50 x.

Run: python tests/bench/bench_worlds.py [seconds of the event, default 300].
"""

import resource
import sys
import time

from attribution.scenarios import SCENARIOS
from attribution.stream.engine import Engine, ManualClock
from attribution.stream.feeds import SimulatedFeed
from attribution.worlds import simulate

NEEDED = 50
"""Times real time, for the generation of events."""
TICK_S = 0.1


def main(seconds: int) -> int:
    scenario = SCENARIOS["halftime"]
    simulate(scenario, rng=1)
    began = time.perf_counter()
    world = simulate(scenario, rng=7)
    print(f"simulate: {(time.perf_counter() - began) * 1e3:.0f} ms for {scenario.minutes:g} min of counts")

    began, cpu, events = time.perf_counter(), time.process_time(), 0
    for _, batch in zip(range(seconds), world.events(), strict=False):
        events += len(batch)
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"events: {events:,} in {spent:.2f} s, {cpu / events * 1e9:.0f} ns of CPU an event")
    print(f"generation: {seconds / spent:,.0f} x real time (needed: {NEEDED} x), {events / spent / 1e6:.1f} M events/s")

    clock = ManualClock()
    engine = Engine(SimulatedFeed(world), clock=clock)
    began = time.perf_counter()
    for _ in range(round(seconds / TICK_S)):
        clock.advance(TICK_S)
        engine.step()
    both = time.perf_counter() - began
    print(f"generation and engine, a tick every {TICK_S * 1e3:.0f} ms: {seconds / both:,.0f} x real time")

    began = time.perf_counter()
    engine = Engine(SimulatedFeed(world, start=world.airings["start"].iloc[0]))
    print(f"start after 35 min of history: {(time.perf_counter() - began) * 1e3:.0f} ms to the first counts")
    print(f"this process peaked at {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB")
    return int(seconds / spent < NEEDED)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
