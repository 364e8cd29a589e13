"""What is handed on gives the same answer again, to the last digit, and says so where it does not."""

from __future__ import annotations

import csv
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
from attribution.handover import ALL_DIGITS, DIGITS, compared, pack
from attribution.saved import dump
from attribution.tabled import csv_text

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
    said = run(unpacked(pack(result), tmp_path))
    assert f"fingerprint {result.fingerprint}: every figure agrees in at least {ALL_DIGITS} digits" in said
    assert str(result.verdict) in said


def test_the_notebook_stops_at_a_figure_that_is_not_what_it_was(world, tmp_path, monkeypatch):
    made = at.analyze(world.counts, world.airings, at.Settings.preset("brief"))
    folder = unpacked(pack(made), tmp_path)
    monkeypatch.chdir(folder)
    cells = json.loads((folder / "answer.ipynb").read_text(encoding="utf-8"))["cells"]
    until_held = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][:3]
    exec("\n".join(until_held), {})  # noqa: S102  the cells themselves, without the seconds a kernel takes to start
    other = made.table.assign(incremental=made.table["incremental"] * (1 + 10.0 ** (1 - DIGITS)))
    (folder / "answer.json").write_text(dump(replace(made, table=other)), encoding="utf-8")
    with pytest.raises(AssertionError, match="a figure is not what it was"):
        exec("\n".join(until_held), {})  # noqa: S102  as above


def test_nothing_in_the_notebook_was_computed_before_it_runs(world, result, tmp_path):
    folder = unpacked(pack(result), tmp_path)
    cells = json.loads((folder / "answer.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    prose = "".join(part for cell in cells if cell["cell_type"] == "markdown" for part in cell["source"])
    assert not re.search(r"\d", prose)


def test_the_same_answer_makes_the_same_zip(world, result):
    assert pack(result) == pack(result)


def test_the_zip_holds_every_table_with_what_its_columns_mean(result, tmp_path):
    place = unpacked(at.report(result).zip, tmp_path)
    tables = {path.name: path.read_text(encoding="utf-8").splitlines() for path in (place / "tables").iterdir()}
    told = list(csv.DictReader(tables.pop("dictionary.csv")))
    for name, lines in tables.items():
        assert lines[0].split(",") == [row["column"] for row in told if row["file"] == name], name
    (row,) = csv.DictReader(tables["table.csv"])
    assert float(row["incremental"]) == result.table["incremental"][0]
    drawn = {path.name for path in (place / "figures").iterdir()}
    assert {"velocity.svg", "velocity.png", "evidence.svg", "response.png"} <= drawn
    assert (place / "figures" / "velocity.png").read_bytes()[:4] == b"\x89PNG"
    assert at.load(tmp_path / "answer.json").fingerprint == result.fingerprint


def test_no_cell_begins_like_a_formula():
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "safe", "a\r=1", None]
    text = csv_text(pd.DataFrame({"airing": hostile, "lift": np.arange(-5.0, 5.0)}))
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert len(rows) == len(hostile)  # a line break in a name begins no row
    assert all(row[0].lstrip()[:1] not in {"=", "+", "-", "@", "\t"} for row in rows)
    assert [row[0] for row in rows][:2] == ["'=1+1", "'+1"]
    assert [float(row[1]) for row in rows] == list(np.arange(-5.0, 5.0))  # a number may be negative


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
    before = replace(result, gap=pd.DataFrame({"seconds": [1.0, 200.0, np.nan]}))
    held = compared(before, replace(result, gap=pd.DataFrame({"seconds": now}))).set_index("table")["digits"]
    assert held["gap"] == digits
    assert (held.drop("gap") == ALL_DIGITS).all()


def test_a_word_that_differs_agrees_in_no_digit(result):
    gap = pd.DataFrame({"what": ["onset", "mode"], "seconds": [1.0, 2.0]})
    now = replace(result, gap=gap.assign(what=["onset", "mean"]))
    assert compared(replace(result, gap=gap), now).set_index("table")["digits"]["gap"] == 0
    assert (compared(now, now)["digits"] == ALL_DIGITS).all()
