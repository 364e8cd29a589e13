"""The tune page: an address is the state, controls answer, what cannot be is told beside the control."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from attribution.finger import Finger
from attribution.moves import tornado
from attribution.settings import Settings
from attribution.verdict import Verdict
from attribution.workbench import tune_checker, tune_controls, tune_more, tune_panels, tune_run
from attribution.workbench.tune_checker import Checker
from attribution.workbench.tune_view import TuneView, lenient, tune_view

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "<img src=x onerror=alert(1)>"


# -------------------- the address


def read(view: TuneView) -> TuneView:
    """Send a view through its own address."""
    return tune_view({n: v if isinstance(v, list) else [v] for n, v in view.query().items()}, ["halftime"])


@pytest.mark.parametrize(
    "view",
    [
        TuneView(),
        TuneView(world="blind", seed=41, until=90, airing="SPOT", settings=Settings(window="60s", alpha=0.01)),
        TuneView(data="halftime", saved=(("a & b", Settings(kernel="gamma")), ("plain", Settings()))),
    ],
)
def test_an_address_is_the_view(view):
    assert read(view) == view


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ({"response_peak_logsd": ["-1"]}, "response_peak_logsd", "choose a finite number above 0"),
        ({"window": ["20s"], "response_peak": ["60s"]}, "response_peak", "outside the window"),
        ({"colour": ["red"]}, "colour", "unknown setting"),
        ({"seed": ["-4"]}, "seed", "write a whole number"),
        ({"world": ["blnd"]}, "world", "did you mean 'blind'"),
        ({"saved": ["mine|alpha=7"]}, "saved", "alpha is 7"),
    ],
)
def test_what_an_address_cannot_mean_is_told_and_its_default_kept(query, name, words):
    view = tune_view(query)
    assert words in dict(view.complaints)[name]
    assert replace(view, complaints=(), settings=Settings()) == TuneView()


def test_one_wrong_parameter_does_not_take_the_others_with_it():
    settings, told = lenient({"alpha": "0.01", "lift_sd": "none", "kernel": "gama", "history": "10min"})
    assert settings == Settings(alpha=0.01, history="10min")
    assert set(told) == {"lift_sd", "kernel"}


# -------------------- the controls


@pytest.mark.parametrize("control", tune_controls.CONTROLS, ids=lambda control: control.name)
def test_every_option_of_every_control_is_a_setting(control):
    for option in control.options:
        wide = {} if control.name in {"window", "response_peak"} else {"window": "auto"}
        changed = {control.name: option} | ({"response_peak": "3s"} if control.name == "window" else {})
        assert getattr(Settings(**(wide | changed)), control.name) == option
    assert getattr(Settings(), control.name) in control.options


def test_the_issue_names_these_controls():
    assert {
        *("window", "response_peak", "response_peak_logsd", "kernel", "stream_delay", "history", "baseline", "social"),
        *("lift_sd", "dispersion", "channel_concentration", "device_concentration", "smallest_lift", "alpha"),
    } <= set(tune_controls.BY_NAME)


def test_a_strip_draws_the_prior_and_marks_the_preset():
    control = tune_controls.BY_NAME["response_peak"]
    html = tune_controls.strip(control, list(control.options), Settings(), Settings.preset("published"))
    assert html.count("<i ") == len(control.options)
    assert "preset at 45 s" in html
    assert tune_controls.strip(tune_controls.BY_NAME["kernel"], [], Settings(), Settings()) == ""


# -------------------- the panels


def said(**row: object) -> Finger:
    figures = {
        "counterfactual": 1000.0, "incremental": 200.0, "incremental_lower": 100.0, "incremental_upper": 300.0,
        "lift": 0.2, "lift_lower": 0.1, "lift_upper": 0.3, "e_value": 50.0, "probability_positive": 0.999,
        "response_peak": 12.0, "response_peak_lower": 9.0, "response_peak_upper": 15.0, **row,
    }  # fmt: skip
    grid = np.linspace(0.0, 400.0, 201)
    density = np.exp(-0.5 * ((grid - 200) / 51) ** 2) / (51 * np.sqrt(2 * np.pi))
    return Finger(
        settings=Settings(),
        airing=HOSTILE,
        row=figures,
        verdict=Verdict(airing=HOSTILE, word="caused", rung=3, sentence=f"{HOSTILE} caused it."),
        window_s=60.0,
        bins=pd.DataFrame(),
        kernel=pd.DataFrame(),
        amount=pd.DataFrame({"incremental": grid, "posterior": density, "prior": density}),
        took_ms=1.0,
    )


def bar(**given: object) -> str:
    plain = {"count": 1, "locked": False, "old": "", "trouble": ""}
    return tune_panels.verdict_bar(said(), None, **(plain | given))


def test_the_word_of_the_last_look_is_named_so_and_text_is_escaped():
    html = bar()
    assert "CHECKING" in html
    assert HOSTILE not in html
    assert "FORKING" not in html


def test_the_verdict_says_how_many_settings_were_looked_at_and_what_is_old():
    html = bar(count=9, old="of other settings", trouble="no memory")
    assert "9 settings were looked at" in html
    assert "OLD" in html
    assert "no memory" in html


def test_what_changed_waits_for_a_change():
    assert "Move a control" in tune_panels.changed_html(None, said())


# -------------------- the full posterior


class FakeRun:
    """A run of the sampler, turned by hand."""

    def __init__(self, result: object, **options: object) -> None:
        self.result, self.options, self.state = result, options, "sampling"

    def progress(self) -> SimpleNamespace:
        return SimpleNamespace(
            state=self.state, draws=900, total=4000, divergences=2, seconds_left=7.4, message="chain 2 is slow"
        )

    def cancel(self) -> None:
        self.state = "cancelled"

    def posterior(self, mean: float = 210.0, sd: float = 52.0, *, optimal: bool = True) -> SimpleNamespace:
        name = HOSTILE if self.result is None else self.result.table["airing"].iloc[0]
        row = {
            "airing": name, "mean": mean, "sd": sd, "lower": 110.0, "upper": 310.0, "rhat": 1.004, "ess_bulk": 900.0,
            "ess_tail": 800.0,
        }  # fmt: skip
        sentences = pd.DataFrame({"prior": ["lag"], "airing": [name], "index": [0.2], "sentence": ["leans on the lag"]})
        rng = np.random.default_rng(0)
        return SimpleNamespace(
            incremental=pd.DataFrame([row]), draws=rng.normal(mean, sd, (400, 1)),
            divergences=2, ebfmi=0.8, optimal=optimal, advice="draw more", left_out="One run of eight was left out.",
            sensitivity=sentences, seconds={"sampling": 8.0},
            peak_draws=np.r_[np.full(300, 9.0), np.full(100, 41.0)][:, None] * rng.lognormal(0.0, 0.05, (400, 1)),
        )  # fmt: skip


@pytest.fixture(autouse=True)
def sampler(monkeypatch):
    """Put a sampler in the place of the one that needs PyMC; returns the runs it started."""
    runs: list[FakeRun] = []
    fake = ModuleType("sampling")

    def start(result: object, **options: object) -> FakeRun:
        runs.append(FakeRun(result, **options))
        return runs[-1]

    def warm(result: object) -> None:
        fake.warmed = result  # pyright: ignore[reportAttributeAccessIssue]

    fake.start, fake.warm = start, warm  # pyright: ignore[reportAttributeAccessIssue]
    fake.state = lambda: "compiling" if hasattr(fake, "warmed") else "cold"  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(tune_run, "sampling", fake)
    return runs


def test_a_run_says_draws_divergences_and_time_left():
    html = tune_run.progress_html(FakeRun(None).progress())
    assert "900 of 4,000 draws, 2 divergences, about 7 s left" in html


def test_the_posterior_stands_beside_the_fast_answer_and_says_whether_they_part():
    run = FakeRun(None)
    agreed = tune_run.posterior_html(run.posterior(202.0, 51.0), HOSTILE, said(), old=False)
    parted = tune_run.posterior_html(run.posterior(300.0, 90.0, optimal=False), HOSTILE, said(), old=False)
    assert "They agree" in agreed
    assert "OPTIMAL" in agreed
    assert "R-hat 1.004" in agreed
    assert "They part" in parted
    assert "OPTIMAL" not in parted
    assert "draw more" in parted
    assert "leans on the lag" in parted
    assert "The lag has 2 modes: 9 s (75% of the draws) and 41 s (25%)." in parted
    assert "One run of eight was left out." in parted


# -------------------- the checker


class Slow:
    """A tuner whose whole analysis of one setting ends only when nobody waits for it."""

    def __init__(self) -> None:
        self.begun, self.dropped = threading.Event(), threading.Event()

    def watched(self, settings: Settings, airing: str, stale: Callable[[], bool]) -> object:
        if settings == Settings():
            self.begun.set()
            for _ in range(2000):
                if stale():
                    self.dropped.set()
                    return None
        return f"the analysis of {airing}"

    def amount(self, *_: object) -> tuple[float, float, float]:
        return 0.0, 1.0, 2.0

    def finger(self, settings: Settings, _: str) -> None:
        self.ahead = settings


def test_the_latest_question_is_answered_and_the_one_before_is_dropped():
    tuner, last, next_ = Slow(), Settings(alpha=0.01), Settings(alpha=0.02)
    checker = Checker(tuner)  # pyright: ignore[reportArgumentType]
    checker.want(Settings(), "A")
    assert tuner.begun.wait(20)
    checker.want(last, "A", (next_,))
    assert tuner.dropped.wait(20)
    for _ in range(400):
        if checker.done(last, "A") and hasattr(tuner, "ahead"):
            break
        time.sleep(0.02)
    assert checker.analysis(last, "A") == "the analysis of A"
    assert checker.moves(last, "A") is not None
    assert checker.analysis(Settings(), "A") is None
    assert tuner.ahead == next_


def test_what_stops_the_model_is_told_and_does_not_end_the_thread():
    class Broken:
        def watched(self, *_: object) -> None:
            raise MemoryError("no memory left")

    checker = Checker(Broken())  # pyright: ignore[reportArgumentType]
    checker.want(Settings(), "A")
    for _ in range(200):
        if checker.done(Settings(), "A"):
            break
        time.sleep(0.02)
    assert checker.trouble(Settings(), "A") == "no memory left"


# -------------------- the page


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Leave out the twenty fits of a tornado: test_tuning holds it to its laws."""

    def moved(ask: object, settings: Settings, **_: object) -> pd.DataFrame | None:
        return tornado(lambda changed: (0.0, 1.0 + changed.lift_sd, 9.0), settings, stale=lambda: False)

    monkeypatch.setattr(tune_checker, "tornado", moved)


def page(**query: str) -> AppTest:
    app = AppTest.from_string("from attribution.workbench import tune\ntune.show()", default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def put(app: AppTest, name: str, value: object) -> AppTest:
    control = next(w for w in (*app.select_slider, *app.selectbox) if w.key == f"tune-{name}")
    return control.set_value(value).run()


@pytest.fixture(scope="module")
def opened():
    app = page(window="60s", response_peak="10s", response_peak_logsd="0.2")
    assert not app.exception
    return app


def test_a_control_moves_the_answer_and_the_address_keeps_it(opened):
    before = html(opened)
    put(opened, "kernel", "lognormal")
    now = html(opened)
    assert not opened.exception
    assert "Kernel family: learnt → lognormal." in now
    assert now != before
    assert opened.query_params["kernel"] == "lognormal"
    assert "2 settings were looked at" in now
    again = page(**opened.query_params)
    assert [w.value for w in again.select_slider] == [w.value for w in opened.select_slider]


def test_an_impossible_choice_is_told_and_the_last_answer_is_kept_and_marked_old(opened):
    good = dict(opened.query_params)
    put(opened, "response_peak", "90s")
    said_ = html(opened)
    assert "response_peak is 90s, outside the window of 60s" in said_
    assert "OLD" in said_
    assert "caused" in said_
    assert dict(opened.query_params) == good
    put(opened, "response_peak", "10s")
    assert "OLD" not in html(opened)


def test_saved_settings_stand_side_by_side_and_travel_in_the_address(opened):
    opened.text_input(key="save-name").set_value("mine | & yours")
    opened.button(key="save").click().run()
    assert "mine / &amp; yours" in html(opened)
    assert opened.query_params["saved"].startswith("mine / & yours|")


def test_truth_is_revealed_and_graded_on_a_simulated_world(opened):
    assert "true incremental" not in html(opened)
    opened.toggle(key="tune-revealed").set_value(True).run()
    told = html(opened)
    assert "true incremental" in told
    assert "● covered" in told or "▲ not covered" in told


def test_another_world_is_dealt_under_the_same_settings(opened):
    opened.button(key="deal").click().run()
    assert not opened.exception
    assert opened.query_params["seed"] != "7"
    assert opened.query_params["window"] == "60s"
    assert "true incremental" not in html(opened)


def test_locked_and_tuned_answers_stand_side_by_side():
    app = page(window="60s", response_peak="10s", response_peak_logsd="0.2")
    app.button(key="tune-lock").click().run()
    put(app, "alpha", 0.01)
    told = html(app)
    assert "locked" in told
    assert "alpha: 0.05 -&gt; 0.01" in told
    assert "the answer of the locked plan is the one that was promised" in told


def test_a_wrong_address_is_told_and_the_page_answers_all_the_same():
    app = page(alpha="5", nonsense="1", window="60s", response_peak="10s", response_peak_logsd="0.2")
    told = html(app)
    assert "alpha is 5" in told
    assert "unknown setting" in told
    assert "caused" in told


def test_data_that_are_not_there_are_told_in_words():
    app = page(data="files")
    assert not app.exception
    assert "the data page holds no files in this session" in html(app)


def test_a_replay_stands_before_the_airing():
    app = page(until="0")
    assert not app.exception
    assert "is not yet on air" in html(app)


def test_the_full_posterior_runs_with_these_settings_and_can_be_cancelled(sampler):
    app = page(window="60s", response_peak="10s", response_peak_logsd="0.2")
    for _ in range(60):
        if not app.button(key="tune-sample").disabled:
            break
        time.sleep(0.5)
        app.run()
    for _ in range(40):
        if "compiling" in html(app):
            break
        time.sleep(0.3)
        app.run()
    assert "compiling" in html(app)
    app.button(key="tune-sample").click().run()
    assert sampler[0].options == {"draws": 1000, "chains": 4, "rng": 0}
    assert sampler[0].result.settings.window == "60s"
    assert "900 of 4,000 draws" in html(app)
    sampler[0].state = "done"
    app.run()
    assert "full posterior" in html(app)
    assert "R-hat 1.004" in html(app)
    put(app, "alpha", 0.01)
    assert "of the settings before" in html(app)


def test_the_answer_is_handed_on_with_its_data_and_only_packed_when_it_is_asked_for(monkeypatch):
    offered = {}
    monkeypatch.setattr(
        tune_more.st,
        "download_button",
        lambda label, data, name, *_, **options: offered.update({options["key"]: (data, name)}),
    )
    app = page(window="60s", response_peak="10s", response_peak_logsd="0.2")
    for _ in range(60):
        if "tune-handover" in offered:
            break
        time.sleep(0.3)
        app.run()
    assert not app.exception
    made, name = offered["tune-handover"]
    files = zipfile.ZipFile(io.BytesIO(made())).namelist()
    assert {"answer.ipynb", "answer.json", "tables/table.csv"} <= set(files)
    assert name.endswith(".zip")


def test_a_sampler_that_cannot_run_is_a_sentence(monkeypatch):
    app = page(window="60s", response_peak="10s", response_peak_logsd="0.2")

    def refused(*_: object, **__: object) -> None:
        raise ValueError("there is nothing a posterior could be sampled around")

    monkeypatch.setattr(tune_run.sampling, "start", refused)
    for _ in range(60):
        if not app.button(key="tune-sample").disabled:
            break
        time.sleep(0.3)
        app.run()
    app.button(key="tune-sample").click().run()
    assert not app.exception
    assert "The full posterior cannot run: there is nothing" in html(app)
