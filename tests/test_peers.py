"""The bench of peers: it has teeth, it hides the truth, it scores rightly, and the README shows what it kept."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import attribution as at

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests" / "bench"))  # the bench is a package of scripts, run as `python -m peers`

from peers import __main__ as bench  # noqa: E402
from peers import arena, errand, rivals, rooms, score  # noqa: E402
from peers.samples import Answer, Sample  # noqa: E402

TEN = range(60_000, 60_010)  # other seeds than the bench's
DETECTORS = ("3 sigma (the brief's engine)", "plug-in mSPRT", "t-test before and after")


@pytest.fixture(scope="module")
def surges() -> list[Sample]:
    return [arena.sample(arena.world("surge without ad", seed)) for seed in TEN]


@pytest.fixture(scope="module")
def quiet() -> list[Sample]:
    """Nothing happens: no ad, no surge, and a rate that does not wander."""
    still = replace(arena.WORLDS["surge without ad"], surge="none", shared_sd=0.0, region_sd=0.0, daily=0.0)
    return [arena.sample(at.simulate(still, rng=seed)) for seed in TEN]


def claims(method: str, worlds: list[Sample]) -> int:
    return sum(bool(rivals.RIVALS[method](seen).claimed) for seen in worlds)


@pytest.mark.parametrize("method", DETECTORS)
def test_a_method_without_a_control_claims_the_surge(method, surges):
    assert claims(method, surges) >= 6


@pytest.mark.parametrize("method", ["plug-in mSPRT", "t-test before and after", "difference-in-differences"])
def test_the_same_method_is_mostly_quiet_where_nothing_happens(method, quiet):
    assert claims(method, quiet) <= 3


def test_the_holdout_saves_a_comparison_from_the_surge(surges):
    assert claims("difference-in-differences", surges) <= 5
    errors = {name: np.mean([rivals.RIVALS[name](seen).estimate for seen in surges]) for name in rivals.RIVALS}
    assert abs(errors["difference-in-differences"]) < 0.5 * errors["plug-in mSPRT"]


def test_a_sample_holds_the_counts_and_nothing_of_the_truth(tmp_path):
    made = arena.world("surge", 1)
    seen = arena.sample(made)
    assert seen.counts.sum() == made.counts.values.sum()
    assert not seen.exposed[made.counts.regions.index("eu-west")]
    assert seen.exposed.sum() == 3
    assert seen.onset == made.truth.starts[0]
    seen.save(tmp_path / "1.npz")
    again = Sample.load(tmp_path / "1.npz")
    assert arena.digest(again) == arena.digest(seen)
    assert set(np.load(tmp_path / "1.npz")) == {"counts", "social", "breaks", "exposed", "onset", "window"}
    other = replace(seen, social=seen.social + 1)
    assert arena.digest(other) != arena.digest(seen)


def test_bins_add_up_and_a_width_must_fit(surges):
    seen = surges[0]
    ten = seen.bins(10)
    window = seen.counts[seen.onset : seen.onset + seen.window]
    assert ten.exposed[ten.first : ten.last].sum() == window[:, seen.exposed].sum()
    assert ten.control[ten.first : ten.last].sum() == window[:, ~seen.exposed].sum()
    assert ten.units.sum() == seen.counts[:2700].sum()
    with pytest.raises(ValueError, match=r"width is 7 s; choose one that divides 2100 and 60 s"):
        seen.bins(7)


def test_covariates_are_those_that_the_time_before_the_ad_can_teach():
    pause = arena.sample(arena.world("break without ad", 1)).bins(10)
    assert set(pause.covariates) == {"control", "social", "breaks"}
    clean = arena.sample(arena.world("clean", 1)).bins(10)
    assert set(clean.covariates) == {"control", "social"}


def test_the_truth_is_the_issue_s_four_hundred():
    added, without = arena.truth(arena.world("surge", 1))
    assert added == pytest.approx(0.2 * 60 * 40 * 0.82, rel=0.02)  # the kernel keeps a little beyond the window
    assert arena.truth(arena.world("surge without ad", 1))[0] == 0
    assert arena.truth(arena.world("surge without ad", 1))[1] == pytest.approx(without)


def made_answers(n: int = 4, truth: float = 400.0, **columns: object) -> pd.DataFrame:
    exact = {"estimate": truth, "lower": truth - 50, "upper": truth + 50, "claimed": True, "caused": None}
    costs = {"truth": truth, "counterfactual": 2000.0, "cpu_s": 0.1, "peak_mb": 90.0, "failure": ""}
    return pd.DataFrame([exact | costs] * n).assign(**columns)


def test_an_exact_method_has_no_error_and_a_shifted_one_its_shift():
    right = score.scored(made_answers())
    assert (right["bias"], right["rmse"], right["coverage"], right["claimed"]) == (0, 0, 1, 1)
    assert np.isnan(right["caused"])
    shifted = score.scored(made_answers(estimate=[440.0, 440, 360, 520], lower=[380.0, 410, 380, 500]))
    assert shifted["bias"] == 0.1
    assert shifted["rmse"] == round(np.sqrt((40**2 * 3 + 120**2) / 4) / 400, 4)
    assert shifted["coverage"] == 0.5


def test_without_an_effect_the_error_is_a_share_of_the_counterfactual():
    assert score.scored(made_answers(truth=0.0, estimate=100.0))["bias"] == 0.05


def test_what_failed_is_counted_and_counts_nowhere_else():
    half = score.scored(made_answers(failure=["", "ValueError: no", "", ""], estimate=[400.0, 9e9, 400, 400]))
    assert (half["answers"], half["failed"], half["rmse"]) == (3, 1, 0)
    assert score.scored(made_answers(failure="ValueError: no"))["note"] == "failed: ValueError: no"
    mute = score.scored(made_answers(lower=np.nan, upper=np.nan, claimed=None))
    assert np.isnan(mute["coverage"])
    assert np.isnan(mute["claimed"])


def test_a_quick_look_does_not_undo_a_long_run(tmp_path):
    path = tmp_path / "peers.csv"

    def kept(bias: float, answers: int, failed: int = 0, method: str = "ours", events: str = "a") -> pd.DataFrame:
        row = {"world": "clean", "method": method, "answers": answers, "failed": failed, "bias": bias, "note": ""}
        row |= {"events": events}
        return score.keep([row], path, worlds=["surge", "clean"], methods=["ours", "other"])

    kept(0.1, 40, method="other")
    assert kept(0.1, 40)["method"].tolist() == ["ours", "other"]
    assert kept(0.9, 2)["bias"].tolist() == [0.1, 0.1]
    assert kept(0.2, 38, failed=2)["bias"].tolist() == [0.2, 0.1]
    assert kept(0.3, 1, events="b")["bias"].tolist() == [0.3]  # the others saw other events


@pytest.fixture
def jobs(tmp_path, monkeypatch) -> list[bench.Job]:
    monkeypatch.setattr(bench, "CACHE", tmp_path / "answers.jsonl")
    return bench.prepare("clean", range(2), tmp_path)


def test_a_child_answers_as_the_method_does_and_is_asked_once(jobs):
    table = bench.answers("plug-in mSPRT", Path(sys.executable), jobs)
    here = [rivals.RIVALS["plug-in mSPRT"](Sample.load(Path(job.file))) for job in jobs]
    assert table["estimate"].tolist() == [answer.estimate for answer in here]
    assert table["claimed"].tolist() == [answer.claimed for answer in here]
    assert (table["cpu_s"] > 0).all()
    assert table["peak_mb"].between(20, 2000).all()
    again = bench.answers("plug-in mSPRT", Path("/nowhere"), jobs)  # nobody is there to be asked
    pd.testing.assert_frame_equal(again, table)


def test_a_child_that_dies_has_failed_at_what_it_did_not_answer(jobs):
    table = bench.answers("spotlift", Path(sys.executable), jobs)  # which is not installed here
    assert table["failure"].str.contains("No package metadata was found for spotlift").all()
    assert score.scored(table)["failed"] == 2


def test_words_do_not_change_who_answers():
    def mark(text: str) -> str:
        return ast.dump(bench._wordless(ast.parse(text)))

    before = mark('"""A."""\ndef f():\n    """B."""\n    return 1')
    assert mark('"""C."""\ndef f():\n    # D\n    return 1') == before
    assert mark('"""A."""\ndef f():\n    """B."""\n    return 2') != before


def test_a_package_that_cannot_be_installed_is_named_with_the_reason(tmp_path):
    room = rooms.furnish("./nowhere", tmp_path)
    assert "nowhere" in room.refusal
    assert "\n" not in room.refusal


def test_an_answer_claims_what_lies_above_zero():
    assert Answer.of(10, 1, 19).claimed
    assert not Answer.of(10, -1, 21).claimed
    assert not Answer.of(-10, -19, -1).claimed


def test_what_was_kept_rests_on_the_events_of_today():
    kept = score.read(bench.KEPT)
    for name in arena.WORLDS:
        first = arena.digest(arena.sample(arena.world(name, arena.FIRST_SEED)))
        assert set(kept.loc[kept["world"] == name, "events"]) == {first}, f"{name} is another world now: run it again"


def test_the_readme_shows_what_the_bench_kept():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert score.shown(text, score.read(bench.KEPT)) == text


def test_an_errand_is_told_as_its_script_printed_it(tmp_path):
    assert errand.told("caused 580.6 367.7 898.2") == "caused: +581 (+368 to +898)"
    assert errand.told("not claimed -3.2 -10 5") == "not claimed: -3 (-10 to +5)"
    assert errand.told("- 914.0") == "+914, no interval, no test"
    for script, _ in errand.ERRANDS.values():
        assert errand.statements(errand.SCRIPTS / f"by_{script}.py") >= 3
    errand.written("surge", tmp_path)
    spent, line = errand.ran(Path(sys.executable), errand.SCRIPTS / "by_t_test.py", tmp_path)
    assert spent > 0
    assert errand.told(line).startswith(("claimed: +", "not claimed: "))
    (tmp_path / "spots.csv").unlink()
    with pytest.raises(RuntimeError, match=r"by_t_test\.py failed: FileNotFoundError"):
        errand.ran(Path(sys.executable), errand.SCRIPTS / "by_t_test.py", tmp_path)


def test_the_readme_shows_an_errand_of_every_method():
    shown = (ROOT / "README.md").read_text(encoding="utf-8").split(errand.BEGIN, 1)[1].split(errand.END, 1)[0]
    assert [row.split(" | ")[0].strip("| ") for row in shown.strip().splitlines()[2:]] == list(errand.ERRANDS)
