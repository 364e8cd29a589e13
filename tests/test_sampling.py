"""The worker: a run that ends, one that is cancelled, one whose process is killed."""

import os
import signal
import time

import pytest

import attribution as at
from attribution import sampling
from attribution.sampling import OVER, Worker

BRIEF = at.Settings(response_peak="10s", response_peak_logsd=0.2, window="60s")


def until(run, states, seconds=240.0):
    end = time.monotonic() + seconds
    while run.progress().state not in states:
        assert time.monotonic() < end, run.progress()
        time.sleep(0.02)
    return run.progress()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no process can be killed here")
def test_a_run_ends_is_cancelled_and_outlives_its_process(monkeypatch):
    monkeypatch.setattr(sampling, "_worker", [Worker()])
    world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    result = at.analyze(world.counts, world.airings, BRIEF, social=world.social, context=world.context)
    assert sampling.state() == "cold"
    sampling.warm(result)
    assert sampling.state() == "compiling"
    try:
        run = sampling.start(result, draws=100, chains=2)
        with pytest.raises(RuntimeError, match="not there"):
            run.posterior()
        assert until(run, OVER).state == "done"
        assert sampling.state() == "ready"
        found = run.posterior()
        assert list(found.incremental["airing"]) == list(result.table["airing"])
        assert os.path.exists(found.idata_path)  # noqa: PTH110
        assert found.draws.shape == found.peak_draws.shape

        begun = time.monotonic()
        run = sampling.start(result, draws=20_000, chains=2)
        assert time.monotonic() - begun < 1.0
        until(run, {"sampling"})
        begun = time.monotonic()
        run.cancel()
        assert until(run, OVER).state == "cancelled"
        assert time.monotonic() - begun < sampling.PATIENCE_S + 2.0

        run = sampling.start(result, draws=20_000, chains=2)
        until(run, {"sampling"})
        os.kill(sampling.worker().pid, signal.SIGKILL)
        ended = until(run, OVER)
        assert ended.state == "failed"
        assert "its process ended" in ended.message
        with pytest.raises(RuntimeError, match="its process ended"):
            run.posterior()
        assert sampling.state() == "cold"
    finally:
        sampling.worker().close()
