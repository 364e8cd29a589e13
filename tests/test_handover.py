"""What is handed on gives the same answer again, to the last digit, and says so where it does not."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
from execute import execute

import attribution as at
from attribution.analysis import Analysis
from attribution.handover import ALL_DIGITS, ANSWER, DIGITS, TABLES, compared, pack, reopen
from attribution.planning import lock
from attribution.tables import Finding
from attribution.trials import trial

CHOICES = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
FEEDS = ("social", "audience", "context")


def feeds(world: at.World) -> dict[str, pd.DataFrame]:
    return {name: getattr(world, name) for name in FEEDS}


@pytest.fixture(scope="module")
def world() -> at.World:
    return at.simulate(at.SCENARIOS["halftime"], rng=7)


@pytest.fixture(scope="module")
def result(world) -> Analysis:
    return at.analyze(world.counts, world.airings, CHOICES, **feeds(world))


def unpacked(data: bytes, folder):
    zipfile.ZipFile(io.BytesIO(data)).extractall(folder)
    return folder


def run(folder) -> str:
    """Execute the notebook in its folder; what its cells printed."""
    notebook = nbformat.read(folder / "answer.ipynb", as_version=4)
    nbformat.validate(notebook)
    return execute(notebook, folder)


def test_the_notebook_gives_every_digit_again(world, result, tmp_path):
    said = run(unpacked(pack(result, world.counts, **feeds(world)), tmp_path))
    assert f"fingerprint {result.fingerprint}: every figure agrees in at least {ALL_DIGITS} digits" in said
    assert str(result.verdict) in said


def test_the_notebook_stops_at_a_figure_that_is_not_what_it_was(world, tmp_path, monkeypatch):
    made = at.analyze(world.counts, world.airings, at.Settings.preset("brief"))
    folder = unpacked(pack(made, world.counts), tmp_path)
    monkeypatch.chdir(folder)
    cells = json.loads((folder / "answer.ipynb").read_text(encoding="utf-8"))["cells"]
    until_held = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][:3]
    exec("\n".join(until_held), {})  # noqa: S102  the cells themselves, without the seconds a kernel takes to start
    kept = made.table.assign(incremental=made.table["incremental"] * (1 + 10.0 ** (1 - DIGITS)))
    kept.to_parquet(folder / ANSWER / "table.parquet")
    with pytest.raises(AssertionError, match="a figure is not what it was"):
        exec("\n".join(until_held), {})  # noqa: S102  as above


def test_nothing_in_the_notebook_was_computed_before_it_runs(world, result, tmp_path):
    folder = unpacked(pack(result, world.counts, **feeds(world)), tmp_path)
    cells = json.loads((folder / "answer.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    prose = "".join(part for cell in cells if cell["cell_type"] == "markdown" for part in cell["source"])
    assert not re.search(r"\d", prose)


def other_case(case: str) -> tuple:
    """Arguments of an analysis that answers in another way than the one of the fixture."""
    if case == "one region":
        world = trial("one_region", 3)
        return world.counts, world.airings, CHOICES.replace(placebos=False), {}
    world = trial("outage" if case == "unknown counts" else "minutes", 3)
    airings = world.airings
    if case == "not yet on air":
        airings = airings.assign(start=world.counts.end + pd.Timedelta("1h"))
    return world.counts, airings, CHOICES, feeds(world)


@pytest.mark.parametrize("case", ["minutes", "one region", "unknown counts", "not yet on air"])
def test_every_kind_of_answer_comes_back(case, tmp_path):
    counts, airings, settings, given = other_case(case)
    made = at.analyze(counts, airings, settings, **given)
    back = reopen(unpacked(pack(made, counts, **given), tmp_path))
    again = at.analyze(back.counts, back.airings, back.settings, **back.feeds, plan=back.plan)
    held = compared(back.answer, again)
    assert list(held["table"]) == list(TABLES)
    assert (held["digits"] == ALL_DIGITS).all()
    assert again.fingerprint == back.fingerprint == made.fingerprint
    assert back.counts.fingerprint == counts.fingerprint
    assert str(again.verdict) == str(made.verdict)


def test_findings_and_the_locked_plan_travel_along(world, tmp_path):
    found = (Finding("warning", "a row was left out", "7", "less data", "look at it"),)
    counts, airings = replace(world.counts, findings=found, mapping=(("time", "ts"),)), world.airings.copy()
    airings.attrs = {"findings": list(found), "mapping": {"start": "when"}}
    brief = at.Settings.preset("brief")
    plan = lock(brief, airings, counts, at=pd.Timestamp("2026-02-08T18:00Z"))
    made = at.analyze(counts, airings, brief, plan=plan)
    back = reopen(unpacked(pack(made, counts, plan=plan), tmp_path))
    assert back.plan == plan
    assert (back.counts.findings, back.counts.mapping) == (found, (("time", "ts"),))
    again = at.analyze(back.counts, back.airings, back.settings, plan=back.plan)
    assert again.findings == made.findings
    assert again.plan_notes == made.plan_notes != ()


def test_other_data_than_the_answer_was_made_from_are_refused(world, result):
    with pytest.raises(ValueError, match=f"fingerprint of the result, {result.fingerprint}"):
        pack(result, world.counts, social=world.social)
    values = world.counts.values.copy()
    values[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match="the very counts"):
        pack(result, replace(world.counts, values=values), **feeds(world))


def test_the_same_answer_makes_the_same_zip(world, result):
    assert pack(result, world.counts, **feeds(world)) == pack(result, world.counts, **feeds(world))


def test_a_part_that_is_missing_is_named(world, result, tmp_path):
    folder = unpacked(pack(result, world.counts, **feeds(world)), tmp_path)
    (folder / ANSWER / "money.parquet").unlink()
    with pytest.raises(ValueError, match=r"money.*unpack the whole zip"):
        reopen(folder)


@pytest.mark.parametrize(
    ("now", "digits"),
    [
        ([1.0, 200.0, np.nan], ALL_DIGITS),
        ([1.0, 200.0 + 2e-4, np.nan], 6),
        ([1.0, 200.0, 3.0], 0),
        ([1.0, -200.0, np.nan], 0),
        ([1.0, 200.0], 0),
    ],
)
def test_digits_are_counted_in_the_figure_that_differs_most(result, now, digits):
    before = {"gap": pd.DataFrame({"seconds": [1.0, 200.0, np.nan]})}
    assert compared(before, replace(result, gap=pd.DataFrame({"seconds": now})))["digits"].tolist() == [digits]


def test_a_word_that_differs_agrees_in_no_digit(result):
    before = {"gap": pd.DataFrame({"what": ["onset", "mode"], "seconds": [1.0, 2.0]})}
    now = before["gap"].assign(what=["onset", "mean"])
    assert compared(before, replace(result, gap=now))["digits"].tolist() == [0]
    assert compared(before, replace(result, gap=before["gap"]))["digits"].tolist() == [ALL_DIGITS]
