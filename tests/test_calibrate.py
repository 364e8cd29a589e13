"""The harness of `make calibrate`: its oracles are right, its figures are what they say, and it has teeth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from calibrate import goals, informed, oracle, plan, run, summary
from calibrate.rows import _watched as watched
from calibrate.rows import failed, rows, table
from scipy.stats import nbinom

from attribution.scenarios import SCENARIOS
from attribution.trials import TRIALS, nuisances, trial
from attribution.worlds import simulate

AT = 2100
ROW = {
    **dict.fromkeys(table([]).columns, np.nan),
    "world": "clean",
    "settings": "lag known",
    "seed": 1,
    "airing": "SPOT",
    "truth": 400.0,
    "baseline": 2000.0,
    "incremental": 400.0,
    "lower": 300.0,
    "upper": 500.0,
    "verdict": "caused",
    "rung": 3,
    "caused_watched": 1.0,
    "decided_s": 12.0,
    "oracle": 400.0,
    "oracle_decided_s": 6.0,
    "shares": 3.0,
    "shares_in": 3.0,
    "cpu_s": 0.1,
    "peak": 10.0,
    "peak_lower": 8.0,
    "peak_upper": 12.0,
    "true_peak": 10.0,
}


def hand(*changes: dict) -> pd.DataFrame:
    """Return rows by hand: the same good answer but for the changes, a seed each."""
    return table([ROW | {"seed": i} | change for i, change in enumerate(changes)])


def many(n: int, **columns) -> pd.DataFrame:
    return hand(
        *({name: value[i] if isinstance(value, list) else value for name, value in columns.items()} for i in range(n))
    )


def test_a_hand_made_table_gives_the_figures_it_was_made_for():
    found = summary.figures(
        summary.scored(
            hand(
                {"incremental": 440.0, "oracle": 420.0},
                {"incremental": 380.0, "oracle": 380.0, "decided_s": np.nan, "verdict": "no effect"}
                | {"caused_watched": 0.0},
                {"incremental": 400.0, "lower": 410.0, "decided_s": 96.0, "peak_upper": 9.0, "shares_in": 2.0},
                {"incremental": 300.0, "oracle": 400.0, "verdict": "not separable", "lower": np.nan, "upper": np.nan},
            )
        )
    )  # fmt: skip
    assert found["bias"] == pytest.approx((0.1 - 0.05 + 0 - 0.25) / 4)
    assert found["rmse"] == pytest.approx(np.sqrt((0.01 + 0.0025 + 0.0625) / 4))
    assert found["rmse_ratio"] == pytest.approx(np.sqrt(0.075 / 0.005))
    assert found["coverage"] == found["coverage_answered"] == pytest.approx(2 / 3)
    assert (found["caused"], found["claimed"], found["no_effect"], found["not_separable"]) == (0.5, 0.5, 0.25, 0.25)
    assert found["claimed_watched"] == 0.75  # the e-value had passed before the last word was "not separable"
    assert found["caused_by_90"] == 0.5
    assert found["decided_s"] == 54.0  # of 12, 12, 96 and never
    assert found["decided_ratio"] == 9.0
    assert found["share_coverage"] == pytest.approx(11 / 12)
    assert found["peak_coverage"] == 0.75
    assert np.isnan(found["uniform_coverage"])


def test_errors_are_of_the_truth_where_it_is_large_and_of_the_counterfactual_elsewhere():
    large, small = (summary.scored(many(2, truth=t, incremental=t + 20.0)) for t in (200.0, 199.0))
    assert large["incremental_error"].tolist() == pytest.approx([0.1, 0.1])
    assert small["incremental_error"].tolist() == pytest.approx([0.01, 0.01])
    mixed = summary.scored(many(2, world="blind", truth=[0.0, 1000.0], incremental=[100.0, 1100.0]))
    assert mixed["incremental_error"].tolist() == pytest.approx([0.05, 0.05])


def test_the_oracles_own_interval_is_counted_on_the_same_events():
    told = many(4, truth=400.0, informed=[400.0, 429.0, 430.0, np.nan], informed_sd=15.0)  # 1.96 sd are 29.4
    assert summary.figures(summary.scored(told))["informed_coverage"] == pytest.approx(2 / 3)


def test_most_never_decide_is_no_median():
    scored = summary.scored(many(3, decided_s=[10.0, np.nan, np.nan]))
    assert np.isnan(summary.figures(scored)["decided_s"])
    assert goals.slowness(scored) > 100


def test_a_word_at_a_look_counts_over_the_e_value():
    scored = summary.scored(many(2, watched=[0.0, 1.0], verdict="undecided", caused_watched=[1.0, 0.0]))
    assert scored["claimed_watched"].tolist() == [0.0, 1.0]


def test_a_goal_is_met_by_the_binomial_definition():
    # 5% of 1,000: P(X >= 67) is .0106 and P(X >= 68) .0074; of 100, P(X >= 11) is .0115 and P(X >= 12) .0043
    hits = [pd.Series([1.0] * k + [0.0] * (n - k)) for k, n in ((67, 1000), (68, 1000), (11, 100), (12, 100), (0, 0))]
    assert [goals.rate("", "", h, most=0.05)["met"] for h in hits] == ["yes", "no", "open", "no", "not measured"]
    assert goals.rate("", "", 1 - hits[1], least=0.95)["met"] == "no"
    both = goals.worst("f", [("a", hits[0]), ("b", hits[2]), ("c", hits[4])], most=0.05)
    assert both["where"] == "worst of 2: a"
    assert goals.worst("f", [("a", hits[1]), ("b", hits[2])], most=0.05, together=True)["met"] == "yes"


def test_a_figure_fails_when_chance_does_not_explain_it():
    rng = np.random.default_rng(1)
    near, far = (
        summary.scored(many(200, incremental=list(400 + sd * rng.standard_normal(200)))) for sd in (82.0, 110.0)
    )
    assert goals.figure("RMSE", "", near, goals.error, most=0.20)["met"] == "open"
    assert goals.figure("RMSE", "", far, goals.error, most=0.20)["met"] == "no"
    assert goals.slant(far) < 0.05


def test_every_quarter_of_a_nuisance_is_a_quarter():
    drawn = [nuisances(TRIALS["blind"].drawn(seed)) for seed in range(101)]
    family = summary.scored(hand(*({"world": "blind", "settings": "blind"} | d for d in drawn)))
    sizes = pd.DataFrame([(name, len(part)) for name, _, part in summary.quarters(family)], columns=["name", "n"])
    assert (sizes.groupby("name")["n"].sum() == 101).all()
    assert set(sizes["name"]) == set(summary.DRAWN)
    assert sizes[sizes["name"] == "mode"]["n"].between(25, 26).all()
    found = summary.blind(family, date="2026-01-01", version="0")
    assert found["n"].iloc[0] == 101
    assert found["coverage"].iloc[0] == 1.0


def test_a_good_table_passes_and_a_claim_without_an_ad_is_flagged():
    null = {
        "truth": 0.0,
        "incremental": 0.0,
        "lower": -80.0,
        "upper": 80.0,
        "verdict": "no effect",
        "caused_watched": 0.0,
    }
    good = many(60, world="clean_null", **null)
    bad = many(60, world="clean_null", **(null | {"verdict": ["caused"] * 10 + ["no effect"] * 50}))
    for found, met in ((good, "open"), (bad, "no")):
        held = goals.floors(found).set_index("figure")
        assert held.loc["caused without an ad", "met"] == met
        assert "clean_null" in held.loc["caused without an ad", "where"]
    broken = many(60, verdict=["failed: ValueError"] * 3 + ["caused"] * 57)
    assert goals.floors(broken).set_index("figure").loc["analyses that failed", "met"] == "no"


def test_the_harness_has_teeth():
    seeds, worlds = range(7000, 7012), ("break_common_null", "null")
    found = table([row for foil in plan.FOILS for world in worlds for seed in seeds for row in rows(world, foil, seed)])
    floors = goals.floors(found)
    teeth = floors[floors["figure"].str.contains("must fail")]
    assert len(teeth) == len(plan.FOILS)
    assert all(foil in where for foil, where in zip(plan.FOILS, teeth["where"], strict=True))
    blunt = found.assign(verdict="undecided")
    quiet = goals.teeth(summary.scored(pd.concat([blunt] * 3)), plan.FOILS[0])
    assert quiet["met"] == "no"
    sharp = goals.teeth(summary.scored(pd.concat([found] * 2)), plan.FOILS[0])
    assert sharp["met"] == "yes"
    claimed = (found["verdict"] == "caused").groupby([found["settings"], found["world"]]).mean()
    assert (claimed.groupby("settings").max() >= 0.5).all()


def test_every_row_of_an_answer_is_filled():
    found = table(rows("overlap", "lag known", 3))
    world = trial("overlap", 3)
    assert found["airing"].tolist() == world.airings["airing"].tolist()
    truth = [world.truth.incremental(name, 60.0) for name in found["airing"]]
    np.testing.assert_allclose(found["truth"].astype(float), truth)
    assert found["lower"].le(found["incremental"]).all()
    assert found["cpu_s"].gt(0).all()
    assert found["looks"].ge(45).all()  # every 2 s to 90 s, then on until the response is over
    worth = np.array([spot.value / spot.spend for spot in world.scenario.airings])
    np.testing.assert_allclose(found["iroas_true"].astype(float), worth * truth)


def test_truth_is_asked_where_the_log_says_the_airing_is():
    world = trial("clock", 1)
    off = world.scenario.clock_off_s
    row = rows("clock", "lag known", 1)[0]
    per_second = world.truth.ad[0].sum(axis=1)
    at_s = int(2100 + off)
    assert row["truth"] == pytest.approx(per_second[at_s : at_s + 60].sum())
    assert row["true_peak"] == pytest.approx(10 - off)


def test_a_failure_is_a_row_that_counts(monkeypatch):
    def broken(*_args):
        raise ZeroDivisionError("no bins")

    monkeypatch.setattr(run, "rows", broken)
    row = run.attempt(("clean", "lag known", 4))[0]
    assert row == failed("clean", "lag known", 4, "ZeroDivisionError in broken: no bins")
    scored = summary.scored(table([row]))
    assert scored["failed"].tolist() == [1.0]
    assert scored["answered"].tolist() == [0.0]


def test_tasks_are_worked_off_in_any_executor(monkeypatch, tmp_path):
    monkeypatch.setattr(run, "attempt", lambda task: [ROW | {"world": task[0], "seed": task[2]}])
    cache = run.Cache(tmp_path / "rows.csv")
    todo = list(run.tasks([("blind", "blind"), ("clean", "lag known")], 5, 100, {}))
    with ThreadPoolExecutor(2) as pool:
        run.run(todo, cache, pool, workers=2, minutes=1.0)
    found = cache.read()
    assert sorted(zip(found["world"], found["seed"], strict=True)) == sorted((w, seed) for w, _, seed in todo)


def test_worlds_advance_together_and_every_task_is_unique():
    cells = [("blind", "blind"), ("clean", "lag known")]
    found = list(run.tasks(cells, 5, 100, {"blind": 2}))
    assert found[:3] == [("blind", "blind", 100), ("blind", "blind", 101), ("clean", "lag known", 100)]
    assert len(set(found)) == len(found) == 10


def test_a_cut_row_is_done_again(tmp_path):
    cache = run.Cache(tmp_path / "rows.csv")
    cache.append([ROW])
    cache.append([ROW | {"seed": 2}])
    text = cache.path.read_text()
    cache.path.write_text(text[: text.rindex("caused")])
    assert cache.read()["seed"].tolist() == [1]
    assert cache.read()["lower"].tolist() == [300.0]
    assert run.Cache(tmp_path / "none.csv").read().empty


def test_every_cell_names_a_world_and_settings():
    cells = plan.cells()
    assert len(set(cells)) == len(cells)
    assert {world for world, _ in cells} == set(TRIALS)
    assert {label for _, label in cells} == {*plan.SETTINGS, *plan.FOILS}
    assert set(plan.quick_cells()) <= set(cells)
    assert set(plan.SHOWN) <= set(cells)
    assert set(SCENARIOS) <= set(TRIALS)
    with pytest.raises(ValueError, match="worlds are"):
        plan.cells(("nowhere",))


def test_the_hash_follows_the_model_and_not_the_pages(monkeypatch, tmp_path):
    before = run.code_hash()
    assert before == run.code_hash()
    for folder in ("attribution", "tests"):
        (tmp_path / folder).symlink_to(run.readme.ROOT / folder)
    monkeypatch.setattr(run.readme, "ROOT", tmp_path)
    assert run.code_hash() == before
    (tmp_path / "attribution").unlink()
    (tmp_path / "attribution").mkdir()
    for path in (Path(__file__).parents[1] / "attribution").rglob("*.py"):
        place = tmp_path / path.relative_to(Path(__file__).parents[1])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    (tmp_path / "attribution" / "charts.py").write_text("changed = True\n")
    assert run.code_hash() == before
    with (tmp_path / "attribution" / "model" / "fit.py").open("a") as file:
        file.write("# changed\n")
    assert run.code_hash() != before


def test_looks_are_those_of_the_definition():
    assert oracle.looks(600.0)[:3].tolist() == [2.0, 4.0, 6.0]
    assert len(oracle.looks(600.0)) == 45 + 51
    assert oracle.looks(60.0)[-1] == 60.0


def test_the_oracle_is_right_on_average_and_as_sure_as_it_says():
    scenario = replace(TRIALS["shared_surge"].scenario, minutes=38.0)
    found = []
    for seed in range(7100, 7160):
        world = simulate(scenario, rng=seed)
        best = oracle.count_noise(oracle.laid_out(world, 60.0, 0.0))
        found.append((best.incremental[0] - world.truth.incremental("SPOT", 60.0)) / best.sd[0])
    assert abs(np.mean(found)) < 4 / np.sqrt(60)
    assert np.var(found) == pytest.approx(1, abs=4 * np.sqrt(2 / 60))


def test_the_oracle_splits_two_airings():
    worlds = [trial("two_45", seed) for seed in range(7200, 7230)]
    found = np.array([oracle.count_noise(oracle.laid_out(w, 60.0, 0.0)).incremental for w in worlds])
    truth = [worlds[0].truth.incremental(name, 60.0) for name in ("SPOT", "SECOND")]
    np.testing.assert_allclose(found.mean(axis=0), truth, atol=4 * float(found.std(axis=0).max()) / np.sqrt(30))


def test_the_oracles_test_is_the_likelihood_ratio():
    world = trial("clean", 5)
    bins = oracle.laid_out(world, 60.0, 0.0)
    after = bins.start < 2100 + 30
    gain = [
        nbinom.logpmf(bins.y, mean / (phi - 1), 1 / phi) for mean, phi in
        ((bins.without + bins.ad, bins.dispersion), (bins.without, bins.dispersion))
    ]  # fmt: skip
    path = [float((gain[0] - gain[1])[bins.start + 1 <= 2100 + look].sum()) for look in oracle.looks(30.0)]
    assert after.any()
    first = next(look for look, value in zip(oracle.looks(30.0), path, strict=True) if value >= np.log(20))
    assert oracle.decided(world, bins, 0.05, 0.2) == first


def test_the_oracle_is_rarely_wrong_and_always_strong():
    when = []
    for seed in range(7300, 7340):
        world = trial("clean_null", seed)
        when.append(oracle.decided(world, oracle.laid_out(world, 60.0, 0.0), 0.05, 0.2))
    assert np.isfinite(when).sum() <= 7  # binom.ppf(.999, 40, .05)
    real = [trial("clean_40", seed) for seed in range(7300, 7310)]
    assert all(np.isfinite(oracle.decided(w, oracle.laid_out(w, 60.0, 0.0), 0.05, 0.2)) for w in real)


def test_the_informed_oracle_lies_between_count_noise_and_ignorance():
    z, wider = [], []
    for seed in range(7400, 7415):
        world = trial("blind", seed)
        told, best = informed.informed(world, 60.0), oracle.count_noise(oracle.laid_out(world, 60.0, 0.0))
        z.append((told.incremental[0] - world.truth.incremental("SPOT", 60.0)) / told.sd[0])
        wider.append(told.sd[0] / best.sd[0])
    assert min(wider) > 0.98  # it knows less
    assert np.mean(np.abs(z) < 1.96) >= 0.7  # binom.ppf(.001, 15, .95) of 15 is 11
    assert abs(np.mean(z)) < 4 * np.std(z) / np.sqrt(15)
    with pytest.raises(ValueError, match="2 airings"):
        informed.informed(trial("two_15", 1), 60.0)


def told(world, since, **columns) -> SimpleNamespace:
    """Return an analysis that says at each look what is given, and at last what is true."""
    time = world.scenario.begin + pd.to_timedelta(AT + np.asarray(since), unit="s")
    path = pd.DataFrame({"airing": "SPOT", "time": time, "log_e": 0.0} | columns)
    table = pd.DataFrame({"airing": ["SPOT"], "verdict": ["undecided"]})
    return SimpleNamespace(evidence=path, table=table.assign(incremental_lower=300.0, incremental_upper=500.0))


def test_an_interval_over_time_is_right_when_it_is_right_at_every_look():
    world, since = trial("clean", 1), np.array([2.0, 30.0, 60.0, 100.0])
    ad = world.truth.ad[0].sum(axis=1)
    true = np.array([ad[AT : AT + int(min(s, 60))].sum() for s in since])  # so far, and inside the window
    for off, held in ((np.zeros(4), 1.0), (np.array([0, 0, 0, 151.0]), 0.0), (np.array([-151.0, 0, 0, 0]), 0.0)):
        found = watched(world, told(world, since, lower=true + off - 150, upper=true + off + 150), 0, AT, 60.0)
        assert found["uniform"] == held
        assert found["uniform_width"] == 1.5
    early = watched(
        world, told(world, since, lower=[np.nan, *(true - 1)[1:]], upper=[np.nan, *(true + 1)[1:]]), 0, AT, 60
    )
    assert early["uniform"] == 1.0
    assert np.isnan(watched(world, told(world, since), 0, AT, 60.0)["uniform"])


def test_somebody_who_watches_sees_each_look_and_decides_at_the_second():
    world = trial("clean", 1)
    log_e = [0, 3.2, 0, 3.2, 3.2, 0]  # E = 25: above 20 and below 30
    slow = watched(world, told(world, np.arange(2, 14, 2.0), log_e=log_e), 0, AT, 60.0)
    assert (slow["decided_s"], slow["caused_watched"], slow["looks"], slow["log_e"]) == (10.0, 1.0, 6, 3.2)
    assert np.isnan(slow["watched"])
    each_second = watched(world, told(world, np.arange(1, 13.0), log_e=[3.2, 3.2, *[0] * 10]), 0, AT, 60.0)
    assert (each_second["looks"], each_second["caused_watched"]) == (6, 0.0)
    words = ["undecided", "suggestive", "undecided"]
    said = watched(world, told(world, [2.0, 4.0, 6.0], word=words), 0, AT, 60.0)
    assert (said["watched"], said["caused_watched"]) == (1.0, 0.0)
    said = watched(world, told(world, [2.0, 4.0, 6.0], word=["undecided", "caused", "caused"]), 0, AT, 60.0)
    assert (said["caused_watched"], said["decided_s"]) == (1.0, 4.0)


def test_what_is_reported_is_all_there_is_and_what_is_tuned_is_not():
    seeds = [run.FIRST - 1, run.FIRST, run.FIRST + 900]
    found = pd.concat([many(3, seed=seeds), many(1, seed=run.FIRST, settings="of old")])
    assert run.chosen(found, plan.cells(), run.FIRST, None)["seed"].tolist() == seeds[1:]
    assert run.chosen(found, [("clean", "lag known")], run.FIRST, 10)["seed"].tolist() == seeds[1:2]
    assert run.chosen(found, [("blind", "blind")], 0, None).empty


def test_a_detectable_lift_says_which_share_of_intervals_excludes_zero():
    sd, rng = 100.0, np.random.default_rng(3)
    said = sd * (1.959964 + 0.841621) / 2000
    for truth in (100.0, 280.0, 400.0):
        found = truth + sd * rng.standard_normal(2000)
        rows = many(2000, truth=truth, lower=list(found - 1.959964 * sd), detectable=said)
        assert goals.boast(summary.scored(rows)) < 4 * np.sqrt(0.25 / 2000)
    assert goals.boast(summary.scored(rows.assign(detectable=2 * said))) > 0.3


def test_a_goal_of_which_a_run_says_nothing_stays_as_it_was():
    before = pd.DataFrame({"figure": ["bias", "RMSE"], "measured": [0.1, 0.2], "n": [33, 33]})
    now = before.assign(measured=[np.nan, 0.3], n=[0, 12])
    assert run.standing(now, before)["measured"].tolist() == [0.1, 0.3]
    assert run.standing(now, before)["n"].tolist() == [33, 12]
    assert run.standing(now, before.iloc[::-1]).equals(now)
