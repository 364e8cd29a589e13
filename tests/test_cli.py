"""The command line: files in, an answer out, one sentence for what is wrong."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import attribution as at
from attribution.cli import app
from attribution.console import clean, plain_value
from attribution.options import pairs

FILES = ["airings.csv", "audience.csv", "context.csv", "counts.csv", "events.parquet", "social.csv", "truth.json"]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    """The files of a simulated event."""
    place = tmp_path_factory.mktemp("event") / "halftime"
    result = run("simulate", place, "--scenario", "halftime", "--seed", 7)
    assert result.exit_code == 0, result.output
    assert "next: attribution analyze" in result.stdout
    return place


@pytest.fixture(scope="module")
def answer(event, tmp_path_factory):
    """The analysis of its events, as JSON, as a report and as a notebook with its data."""
    place = tmp_path_factory.mktemp("answer")
    feeds = [part for name in ("social", "audience", "context") for part in (f"--{name}", event / f"{name}.csv")]
    result = run(
        *("analyze", event / "events.parquet", event / "airings.csv", *feeds),
        *("--json", place / "out.json", "--report", place / "out.html", "--report", place / "out.zip"),
    )
    assert result.exit_code == 0, result.output
    zipfile.ZipFile(place / "out.zip").extractall(place / "out")
    return result, json.loads((place / "out.json").read_text()), (place / "out.html").read_text(), place / "out"


def test_simulate_writes_the_files_and_the_truth(event):
    assert sorted(path.name for path in event.iterdir()) == FILES
    truth = json.loads((event / "truth.json").read_text())
    names = pd.read_csv(event / "airings.csv")["airing"].tolist()
    assert list(truth["airings"]) == names
    assert all(math.isfinite(truth["airings"][name]["incremental"]) for name in names)


def test_events_and_counts_of_one_event_are_the_same_counts(event):
    counts, events = at.read_counts(event / "counts.csv"), at.read_events(event / "events.parquet")
    assert counts.total.sum() == events.total.sum() == len(pd.read_parquet(event / "events.parquet"))


def test_json_holds_the_table_and_says_why_a_figure_is_unknown(event, answer):
    _, data, *_ = answer
    assert {"version", "verdict", "settings", "airings"} <= set(data)
    assert data["version"] == at.__version__
    assert at.Settings.from_json(json.dumps(data["settings"])) == at.Settings()
    (row,) = data["airings"]
    assert row["start"] == pd.read_csv(event / "airings.csv")["start"][0]
    assert row["incremental_lower"] <= row["incremental"] <= row["incremental_upper"]
    assert row["verdict"] == data["verdict"]
    for name, value in row.items():
        if value is None:
            assert row["reasons"][name], f"{name} is unknown without a reason"


def test_the_answer_is_on_standard_output_and_remarks_are_not(answer):
    result, data, *_ = answer
    assert result.stdout.startswith(data["verdict"].upper())
    assert data["airings"][0]["airing"] in result.stdout
    assert data["fingerprint"] in result.stdout
    assert "read as events" in result.stderr
    assert "read as events" not in result.stdout


def test_the_report_comes_from_the_same_answer(answer):
    _, data, html, _ = answer
    assert data["fingerprint"] in html


def test_the_notebook_holds_the_same_answer_and_what_the_files_held(event, answer):
    _, data, _, folder = answer
    back = at.load(folder / "answer.json")
    assert back.fingerprint == data["fingerprint"]
    assert back.given.counts.fingerprint == at.read_events(event / "events.parquet").fingerprint
    assert [name for name, feed in back.given.feeds.items() if feed is not None] == ["social", "audience", "context"]


def test_json_alone_goes_to_standard_output_for_a_dash(event):
    result = run(
        "preflight", event / "counts.csv", event / "airings.csv", "--context", event / "context.csv", "--json", "-"
    )
    assert result.exit_code == 0
    assert "findings" in json.loads(result.stdout)
    assert "read as counts" in result.stderr


def test_an_error_of_preflight_is_exit_code_1(event, tmp_path):
    log = tmp_path / "late.csv"
    log.write_text("airing,start,length_s\nlate,2031-01-01T00:00:00Z,30\n")
    result = run("preflight", event / "counts.csv", log)
    assert result.exit_code == 1
    assert result.stdout.startswith("error: ")


@pytest.mark.parametrize(
    ("counts", "log", "options", "sentence"),
    [
        (None, "airing,start\na,2026-02-08T20:41:00Z\n", [], "cannot be opened"),
        ("", "airing,start\na,2026-02-08T20:41:00Z\n", [], "the file is empty"),
        ("time,count\n2026-02-08 20:41,3\n", "", [], "--tz ZONE"),
        ("time,count\n2026-02-08T20:41Z,3\n", "", [], "--width 60s"),
        ("time,count\n2026-02-08T20:41Z,3\n", "airing,begin_of_it\na,b\n", ["--width", "60s"], "start"),
        ("time,count\n2026-02-08T20:41Z,3\n", "airing,start\na,b\n", ["--settings", "absent.json"], "absent.json"),
        ("time,count\n2026-02-08T20:41Z,3\n", "airing,start\na,b\n", ["--column", "count=orders"], "'orders'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_1(tmp_path, counts, log, options, sentence):
    paths = tmp_path / "counts.csv", tmp_path / "airings.csv"
    for path, text in zip(paths, (counts, log), strict=True):
        if text is not None:
            path.write_text(text)
    result = run("analyze", *paths, *options)
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert sentence in line
    assert "Traceback" not in result.output


def test_an_unknown_scenario_lists_the_valid_ones(tmp_path):
    result = run("simulate", tmp_path / "x", "--scenario", "halftme")
    assert result.exit_code == 1
    assert all(name in result.stderr for name in at.SCENARIOS)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("arguments", [["analyze"], ["analyze", "a", "b", "--column", "count"], ["nonsense"]])
def test_a_wrong_command_line_is_exit_code_2(arguments):
    assert run(*arguments).exit_code == 2


def test_columns_are_named_by_pairs():
    assert pairs(None) == {}
    assert pairs(["count=a=b"]) == {"count": "a=b"}
    assert pairs(["count=a", "count=b", "count=c"]) == {"count": ["a", "b", "c"]}


def test_text_of_files_cannot_command_the_terminal():
    assert clean("a\x1b]0;b\x07\r\nü") == "a\ufffd]0;b\ufffd\ufffd\ufffdü"


def test_json_has_no_value_that_json_lacks():
    assert plain_value(float("inf")) is None
    assert plain_value(pd.NaT) is None
    assert plain_value(pd.Series([3])[0]) == 3
    assert plain_value(pd.Timestamp("2026-02-08T20:41:00.5Z")) == "2026-02-08T20:41:00.500000Z"


def test_help_is_quick_and_documents_the_exit_codes():
    code = (
        "import sys, time; begun = time.process_time(); import attribution.cli; cpu = time.process_time() - begun;"
        "print(cpu, *sorted({'pandas', 'scipy', 'streamlit', 'pymc'} & set(sys.modules)))"
    )
    cpu, *loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert float(cpu) < 1
    assert not loaded
    for command in ([], ["analyze"], ["preflight"], ["simulate"]):
        assert "Exit codes: 0 answered" in " ".join(run(*command, "--help").stdout.split())


DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MOMENTS = {
    "au_events_multi_collector/airings_fake_nsw.csv": ("nsw_election_2019-03-23.csv.gz",),
    "au_events_multi_collector/airings_fake_qanda.csv": ("qanda_2018-11-08.csv.gz",),
    "gdq_donations_per_minute/airings_sgdq2019_run_starts.csv": ("sgdq2019.csv.gz", "--column", "count=donors_cum"),
    "nab_realtweets_5min/airings_fake.csv": ("mentions_per_5min.csv.gz", "--tz", "UTC"),
    "nasa1995_per_second/airings_fake.csv": ("requests_per_second.parquet",),
    "wc98_per_minute/airings_half_times.csv": ("requests_per_minute.csv.gz",),
}
"""Moments in real series at which no ad ran, and the series with what its names leave open."""
MOST = 4
"""Of a longer list, so many moments are judged: the suite stays short."""


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
def test_every_list_of_real_moments_is_known_here():
    assert sorted(p.relative_to(DATA).as_posix() for p in DATA.glob("*/airings_*.csv")) == sorted(MOMENTS)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
@pytest.mark.parametrize("moments", MOMENTS)
def test_every_real_folder_is_answered_and_no_moment_is_called_caused(moments, tmp_path):
    series, *options = MOMENTS[moments]
    log = pd.read_csv(DATA / moments).head(MOST)
    log.to_csv(tmp_path / "airings.csv", index=False)
    result = run("analyze", (DATA / moments).parent / series, tmp_path / "airings.csv", *options, "--json", "-")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["airings"]
    assert {row["airing"] for row in rows} == set(log["airing"])
    assert all(row["sentence"] for row in rows)
    assert not [row["airing"] for row in rows if row["verdict"] == "caused"]


def test_a_plan_is_locked_shown_compared_and_held_against_the_answer(event, tmp_path):
    files = (event / "counts.csv", event / "airings.csv")
    wider = tmp_path / "settings.json"
    wider.write_text('{"window": "90s"}')
    told = run("plan", "lock", *files, tmp_path / "a.json", "--at", "2026-02-08T18:00:00Z")
    assert told.exit_code == 0, told.output
    assert "locked: 2026-02-08T18:00:00Z" in told.stdout
    again = run("plan", "lock", *files, tmp_path / "a.json", "--at", "2026-02-08T18:00:00Z")
    assert again.exit_code == 1
    assert "not replaced" in again.stderr
    assert run("plan", "lock", *files, tmp_path / "b.json", "--at", "2026-02-09T18:00:00Z").exit_code == 1
    late = ("--at", "2026-02-09T18:00:00Z", "--late", "--settings", wider)
    assert "after the first airing had begun" in run("plan", "lock", *files, tmp_path / "b.json", *late).stdout
    assert run("plan", "diff", tmp_path / "a.json", tmp_path / "b.json").stdout.splitlines() == ["window: auto -> 90s"]
    assert run("plan", "show", tmp_path / "a.json").exit_code == 0
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace("auto", "30s"))
    altered = run("plan", "show", tmp_path / "a.json")
    assert altered.exit_code == 1
    assert "hash does not fit" in altered.stderr
    answered = run("analyze", *files, "--plan", tmp_path / "b.json", "--settings", wider)
    assert "after the first airing had begun" in answered.stdout


def test_messy_files_take_the_arguments_of_read_files(tmp_path):
    golden = Path(__file__).parent / "golden" / "files" / "as_run_worst.csv"
    minutes = "".join(f"2026-02-09T0{4 + m // 60}:{m % 60:02d}:00,{9 + m % 3}\n" for m in range(180))
    (tmp_path / "n.csv").write_text("time,count\n" + minutes)
    (tmp_path / "breaks.csv").write_text("kind,start,end\nbreak,2026-02-09T04:59Z,2026-02-09T05:03Z\n")
    given = ("--tz", "America/New_York", "--broadcast-day-start", "06:00", "--clock-offset", "-10s")
    result = run("preflight", tmp_path / "n.csv", golden, tmp_path / "breaks.csv", *given, "--json", "-")
    assert "breaks.csv: read as context" in result.stderr
    assert "as_run_worst.csv: read as airings (airing = Spot ID" in result.stderr
    found = [finding["what"] for finding in json.loads(result.stdout)["findings"]]
    assert "airings moved by -10 s" in found
    wrong = run("preflight", tmp_path / "n.csv", golden, "--map", "nonsense")
    assert wrong.exit_code == 2
