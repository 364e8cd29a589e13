"""The specification curve: every combination once, the analyst's own among them, without the spared regions too."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import curves, specs
from attribution.specs import CHOICES, DETECTOR, leaning, spec_curve, specifications, summary
from attribution.tuning import Tuner


def test_every_combination_stands_once_and_yours_is_the_first():
    settings = at.Settings(window="90s", alpha=0.1)
    found = specifications(settings, controlled=True, fed=True)
    models = [one for one in found if one.choices["baseline"] == "latent"]
    assert len(models) == 4 * 2 * 4 * 2 * 2
    assert len({tuple(one.choices.items()) for one in found}) == len(found)
    assert found[0].yours
    assert sum(one.yours for one in found) == 1
    assert found[0].settings == settings
    assert all(one.settings.alpha == 0.1 for one in found)
    assert all(one.settings.social == (one.choices["social"] == "on") for one in models)


def test_what_the_data_do_not_have_is_no_choice():
    bare = specifications(at.Settings(), controlled=False, fed=False)
    assert {one.choices["controls"] for one in bare} == {"off"}
    assert {one.choices["social"] for one in bare} == {"off"}
    assert sum(one.yours for one in bare) == 1


def test_a_window_that_ends_before_the_peak_is_left_out():
    found = specifications(at.Settings(response_peak="90s"), controlled=True, fed=True)
    assert {one.choices["window"] for one in found} == {"auto", "3min"}


@pytest.fixture(scope="module")
def world():
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


def test_controls_off_leaves_the_spared_regions_out_and_trouble_is_a_reason(world, monkeypatch):
    asked = []

    def answered(self, settings, airing, before):
        asked.append((len(self.counts.regions), str(self.airings["regions"].iloc[0]), settings))
        if settings.kernel == "gamma":
            raise ValueError("kernel is gamma; choose another")
        return (1.0, float(len(asked)), 9.0), before

    monkeypatch.setattr(specs.Tuner, "_asked", answered)
    told: list[tuple[int, int]] = []
    tuner = Tuner(world.counts, world.airings, {"social": world.social})
    table = spec_curve(tuner, at.Settings(), "HALFTIME_PRIME", progress=lambda *far: told.append(far))
    assert told[-1] == (len(table), len(table))
    assert {n for n, _, _ in asked} == {3, 4}
    assert {seen for _, seen, _ in asked} == {"us-east|us-west|apac"}
    assert table["amount"].dropna().is_monotonic_increasing
    bad = table[(table["kernel"] == "gamma") & (table["baseline"] == "latent")]
    assert set(bad["why"]) == {"kernel is gamma; choose another"}
    assert bad["amount"].isna().all()


def made() -> pd.DataFrame:
    rows = []
    for i, kernel in enumerate(("learnt", "gamma")):
        for k, controls in enumerate(("on", "off")):
            amount = 100.0 + 10 * i + 200 * k
            rows.append(
                ("auto", "auto", kernel, controls, "on", "latent", amount, amount - 150, amount + 150, i + k == 0, "")
            )
    rows.append(("auto", "auto", "learnt", "on", "on", DETECTOR, 50.0, np.nan, np.nan, False, ""))
    return pd.DataFrame(rows, columns=specs.COLUMNS).sort_values("amount", ignore_index=True)


def test_the_choice_that_moves_it_most_comes_first():
    table = leaning(made())
    assert table["choice"].drop_duplicates().tolist() == ["controls", "kernel"]
    medians = table.set_index(["choice", "value"])["median"]
    assert medians["controls", "off"] - medians["controls", "on"] == pytest.approx(200.0)
    assert table.set_index(["choice", "value"])["apart"]["controls", "on"] == 0.0
    assert table["specifications"].tolist() == [2, 2, 2, 2]


def test_the_summary_counts_what_leaves_out_zero_and_ranks_yours():
    said = summary(made())
    assert said.startswith("2 of 4 specifications leave out zero from above; the amounts reach from +100 to +310")
    assert "Yours, +100, is the 1st of 4" in said
    assert summary(made().assign(amount=np.nan)) == "No specification has an answer here."


def test_the_marks_stand_under_their_estimates():
    frames = curves.curve_frames(made())
    rows, marks = frames["rows"], frames["marks"]
    assert rows["amount"].is_monotonic_increasing
    detector = rows.loc[rows["detector"], "rank"].tolist()
    assert marks[marks["label"] == f"Baseline {DETECTOR}"]["rank"].tolist() == detector
    assert len(marks) == len(rows) * (len(CHOICES) + 1)
    assert len(set(marks.loc[marks["yours"], "rank"])) == 1
    for mode in ("dark", "light"):
        assert "datasets" not in curves.curve_spec(mode)
        assert "datasets" not in curves.choices_spec(mode, 10)
