"""A replay is the batch analysis on a growing log, on a clock that the test turns."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import attribution as at
from attribution.cli import app
from attribution.console import look_json
from attribution.replay import looks, rate
from attribution.stream.addresses import entry
from attribution.stream.engine import ManualClock
from attribution.stream.feeds import ReplayFeed
from attribution.worlds import write_world


@pytest.fixture(scope="module")
def world():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture(scope="module")
def watched(world):
    """Looks at a replay that ends two minutes after the airing began, 40 s of the event apart."""
    clock = ManualClock()
    end = world.airings["start"].min() + pd.Timedelta("2min")
    feed = ReplayFeed(
        world.counts.between(end=end), airings=world.airings, social=world.social, start=entry(world.airings), speed=40
    )
    return list(looks(feed, clock=clock, wait=clock.advance))


def test_live_equals_batch_on_everything_received(world, watched):
    seen = [look for look in watched if look.result is not None]
    assert len(seen) > 2
    for look in seen:
        counts = world.counts.between(end=look.now)
        social = world.social[world.social["time"] + pd.to_timedelta(world.social["width_s"], unit="s") <= look.now]
        batch = at.analyze(counts, world.airings, social=social)
        assert look.result.as_of == counts.end
        pd.testing.assert_frame_equal(look.result.total, batch.total, rtol=1e-6)
        pd.testing.assert_frame_equal(look.result.table, batch.table, rtol=1e-6)


def test_looks_are_evenly_spaced_and_the_last_has_everything(watched):
    moments = [look.now for look in watched]
    assert set(np.diff(moments[:-1])) == {np.timedelta64(40, "s")}
    assert [look.ended for look in watched] == [False] * (len(watched) - 1) + [True]


def test_a_change_is_told_once(watched):
    words, told = {}, [change for look in watched for change in look.changes]
    for change in told:
        assert change.before != change.after
        assert words.get(change.airing, change.before) == change.before
        words[change.airing] = change.after
    final = dict(zip(watched[-1].result.table["airing"], watched[-1].result.table["verdict"], strict=True))
    assert words.items() <= final.items()


def test_the_last_line_of_json_holds_the_answer(watched):
    lines = [json.loads(json.dumps(look_json(look), allow_nan=False)) for look in watched]
    assert ["answer" in line for line in lines] == [look.ended for look in watched]
    assert lines[-1]["answer"]["fingerprint"] == watched[-1].result.fingerprint
    assert [row["airing"] for row in lines[-1]["airings"]] == ["HALFTIME_PRIME"]


def test_the_rate_leaves_out_what_is_unknown(world):
    values = world.counts.values.copy()
    values[-3:, 0] = np.nan
    gapped = at.Counts(
        start=world.counts.start,
        width=world.counts.width,
        values=values,
        regions=world.counts.regions,
        channels=world.counts.channels,
        devices=world.counts.devices,
        completeness=world.counts.completeness,
    )
    assert rate(gapped) == pytest.approx(world.counts.total[-10:-3].sum() / 7)
    assert math.isnan(rate(gapped.between(gapped.end - pd.Timedelta("2s"))))
    assert math.isnan(rate(gapped.between(gapped.end)))


def test_the_command_plays_files_to_the_end(world, tmp_path):
    place = write_world(world, tmp_path)
    run = [
        *("replay", str(place / "counts.csv"), str(place / "airings.csv"), "--speed", "1e9"),
        *("--start", "2026-02-08T20:40:00Z", "--until", "2026-02-08T20:42:00Z"),
    ]
    text = CliRunner().invoke(app, run)
    assert text.exit_code == 0, text.output
    assert text.stdout.splitlines()[-1].startswith("as of 2026-02-08 20:42:00 UTC")
    lines = CliRunner().invoke(app, [*run, "--json"]).stdout.splitlines()
    last = json.loads(lines[-1])
    assert last["ended"]
    assert last["answer"]["as_of"] == "2026-02-08T20:42:00Z"
    assert last["answer"]["fingerprint"] in text.stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--until", "2026-02-08 20:42"), ("--start", "soon"), ("--speed", "fast")]
)
def test_a_moment_without_a_zone_is_refused(tmp_path, option, value):
    (tmp_path / "c.csv").write_text("time,count\n2026-02-08T20:41:00Z,3\n2026-02-08T20:41:01Z,3\n")
    (tmp_path / "a.csv").write_text("airing,start\na,2026-02-08T20:41:00Z\n")
    result = CliRunner().invoke(app, ["replay", str(tmp_path / "c.csv"), str(tmp_path / "a.csv"), option, value])
    assert result.exit_code == 2
