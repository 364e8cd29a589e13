"""Without each region in turn: what is left is analysed as it is, and what cannot be answered says why."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import leftout
from attribution.leftout import hangs_on, leave_one_out, narrowed, without
from attribution.plates import left_out_rows
from attribution.tuning import Tuner


@pytest.fixture(scope="module")
def world():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


def test_a_region_is_left_out_of_the_counts_and_nothing_else(world):
    less = without(world.counts, "us-west")
    kept = [i for i, name in enumerate(world.counts.regions) if name != "us-west"]
    assert less.regions == ("us-east", "eu-west", "apac")
    assert np.array_equal(less.values, world.counts.values[:, kept])
    with pytest.raises(ValueError, match="choose one of us-east"):
        without(world.counts, "nowhere")


def test_every_region_is_left_out_in_turn(world, monkeypatch):
    asked = []

    def finger(self, settings, airing):
        seen = str(self.airings["regions"].iloc[0])
        asked.append((self.counts.regions, seen))
        row = {"incremental": 10.0, "lift": 0.1, "lift_lower": 0.05, "lift_upper": 0.15}
        return SimpleNamespace(row=row, verdict=SimpleNamespace(word="caused", sentence=""))

    monkeypatch.setattr(leftout.Tuner, "finger", finger)
    tuner = Tuner(world.counts, world.airings, {"social": world.social, "audience": world.audience})
    table = leave_one_out(tuner, at.Settings(), "HALFTIME_PRIME")
    assert table["region"].tolist() == ["", "us-east", "us-west", "eu-west", "apac"]
    assert table.set_index("region")["role"]["eu-west"] == "control"
    assert table["share"].sum() == pytest.approx(1.0)
    assert asked[0] == (world.counts.regions, "us-east|us-west|apac")
    assert (("us-west", "eu-west", "apac"), "us-west|apac") in asked
    assert (("us-east", "us-west", "apac"), "us-east|us-west|apac") in asked


def test_an_airing_of_one_region_has_no_answer_without_it(world):
    only = narrowed(world.airings.assign(regions="apac"), "apac")
    assert only.empty
    tuner = Tuner(world.counts, world.airings.assign(regions="apac"), {})
    row = leftout._left(tuner, at.Settings(), "HALFTIME_PRIME", "apac", "exposed", 0.1)
    assert np.isnan(row["lift"])
    assert row["why"] == "it ran in no other region"


def table(*words: str) -> pd.DataFrame:
    names = ["", "north", "south"][: len(words)]
    return pd.DataFrame({"region": names, "lift": [0.2, 0.1, 0.3][: len(words)], "word": words}).assign(
        lower=0.0, upper=0.4
    )


def test_it_is_said_whether_the_word_hangs_on_a_region():
    assert "stays “caused”" in hangs_on(table("caused", "caused", "caused"))
    told = hangs_on(table("caused", "association", "caused"))
    assert "without north it is “association”" in told
    assert "+10% and +30%" in told
    assert hangs_on(table("caused")) == "No region could be left out."


def test_a_region_that_changes_the_word_stands_out():
    assert left_out_rows(table("caused", "association", "caused"))["kind"].tolist() == ["own", "apart", ""]
