"""The ladder: which numbers earn which word, and sentences that hold those numbers."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution.ladder import decide, obstacle, standing
from attribution.model.monitor import AT_ONCE
from attribution.sentences import chance, duration, number, odds, percent, signed
from attribution.verdict import CLAIMS, WORDS, Case, Verdict, annotated, judge, summarise, survivors

STRONG = Case(
    airing="HALFTIME",
    status="",
    rung=3,
    window_s=60.0,
    counterfactual=2400.0,
    incremental=800.0,
    lower=620.0,
    upper=980.0,
    robust_lower=560.0,
    lift=0.333,
    lift_lower=0.24,
    lift_upper=0.44,
    probability_positive=0.9999,
    sd=92.0,
    floor=80.0,
    log_e=8.0,
    explained="",
    decided_s=14.0,
    credible=True,
    credible_ratio=1.05,
    controls=("eu-west",),
    fed=True,
    surge=120.0,
    smallest_lift=0.10,
    smallest_why="the default",
    detectable=0.11,
    alpha=0.05,
    in_break=True,
    complete=1.0,
    arrived=0.97,
)
NOTHING = STRONG._replace(
    incremental=20.0, lower=-150.0, upper=190.0, lift=0.008, lift_lower=-0.06, lift_upper=0.08, log_e=-2.0,
    decided_s=np.nan, probability_positive=0.6,
)  # fmt: skip
ALONE = STRONG._replace(rung=1, controls=(), credible=False, credible_ratio=np.nan)
NOISE = STRONG._replace(
    decided_s=np.nan, log_e=1.2, log_plain=5.0, watched_lower=-20.0, watched_upper=1620.0,
    explained="regional wandering of 20 s", explained_kind="noise", one_region=-2.0,
)  # fmt: skip
PLACEBOS = {"placebos": 120, "placebos_needed": 39, "placebo_kind": "breaks"}
MOMENTS = {"placebos": 199, "placebos_needed": 79, "placebo_kind": "moments"}


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (STRONG, "caused"),
        (STRONG._replace(rung=5), "caused"),
        (STRONG._replace(decided_s=np.nan), "suggestive"),
        (STRONG._replace(lower=-5.0), "suggestive"),
        (STRONG._replace(robust_lower=-5.0), "caused"),
        (STRONG._replace(decided_s=np.nan, robust_lower=-5.0), "undecided"),
        (STRONG._replace(decided_s=np.nan, watched_lower=-5.0), "undecided"),
        (STRONG._replace(decided_s=np.nan, watched_lower=5.0), "suggestive"),
        (STRONG._replace(decided_s=np.nan, watched_lower=-5.0, log_plain=4.0), "suggestive"),
        (NOISE, "suggestive"),
        (NOISE._replace(explained="a break", explained_kind="break"), "not separable"),
        (NOISE._replace(explained="a hidden shock", explained_kind="shock"), "not separable"),
        (NOISE._replace(explained="a shock in us-east", explained_kind="one region"), "not separable"),
        (NOISE._replace(one_region=3.1), "not separable"),
        (NOISE._replace(one_region=2.9), "suggestive"),
        (NOTHING._replace(explained="a hidden shock", explained_kind="shock", log_plain=1.0), "no effect"),
        (STRONG._replace(**PLACEBOS, placebo_p=0.4), "suggestive"),
        (STRONG._replace(**PLACEBOS, placebo_p=0.1), "caused"),
        (STRONG._replace(**(PLACEBOS | {"placebos": 30}), placebo_p=0.4), "caused"),
        (STRONG._replace(worst_lower=-10.0, worst_upper=1500.0, worst_loss=0.2), "not separable"),
        (STRONG._replace(timing_sd_s=40.0), "no data"),
        (STRONG._replace(timing_sd_s=5.0), "caused"),
        (STRONG._replace(robust_lower=np.nan), "caused"),
        (NOTHING._replace(lower=5.0, robust_lower=-20.0), "no effect"),
        (STRONG._replace(credible=False), "not separable"),
        (STRONG._replace(credible=False, decided_s=np.nan), "not separable"),
        (NOTHING._replace(credible=False), "not separable"),
        (NOTHING._replace(credible=False, credible_ratio=np.nan), "undecided"),
        (STRONG._replace(credible=False, credible_ratio=np.nan), "not separable"),
        (STRONG._replace(credible=False, **PLACEBOS, placebo_p=0.01), "suggestive"),
        (STRONG._replace(credible=False, **MOMENTS, placebo_p=0.01), "association"),
        (STRONG._replace(credible=False, **MOMENTS, placebo_p=0.3), "undecided"),
        (STRONG._replace(sd=900.0), "caused"),
        (STRONG._replace(sd=900.0, decided_s=np.nan), "not separable"),
        (ALONE, "association"),
        (ALONE._replace(**MOMENTS, placebo_p=0.01, decided_s=np.nan, worst_lower=-9.0, arrived=0.1), "not separable"),
        (ALONE._replace(explained="a lasting change of level"), "not separable"),
        (ALONE._replace(decided_s=np.nan), "undecided"),
        (ALONE._replace(fed=False, surge_overlaps=True), "not separable"),
        (ALONE._replace(surge_overlaps=True), "association"),
        (ALONE._replace(fed=False, lasting=0.05), "association"),
        (ALONE._replace(fed=False, lasting=0.15), "not separable"),
        (ALONE._replace(fed=False, lasting=0.6, **MOMENTS, placebo_p=0.02), "association"),
        (ALONE._replace(**PLACEBOS, placebo_p=0.02), "suggestive"),
        (ALONE._replace(**PLACEBOS, placebo_p=0.02, explained="a step", explained_kind="step"), "suggestive"),
        (ALONE._replace(**PLACEBOS, placebo_p=0.02, explained="a shock", explained_kind="shock"), "not separable"),
        (ALONE._replace(**PLACEBOS, placebo_p=0.06), "undecided"),
        (ALONE._replace(**MOMENTS, placebo_p=0.02), "association"),
        (ALONE._replace(**MOMENTS, placebo_p=0.06), "undecided"),
        (ALONE._replace(rung=4, **MOMENTS, placebo_p=0.02), "suggestive"),
        (ALONE._replace(rung=4), "association"),
        (ALONE._replace(lower=-5.0), "undecided"),
        (NOTHING, "no effect"),
        (NOTHING._replace(arrived=0.2), "undecided"),
        (STRONG._replace(decided_s=np.nan, arrived=0.2), "undecided"),
        (STRONG._replace(arrived=0.2), "caused"),
        (NOTHING._replace(lift_upper=0.3), "undecided"),
        (NOTHING._replace(lift_lower=-0.3), "undecided"),
        (NOTHING._replace(status="only 12% of the window of HALFTIME was observed."), "no data"),
    ],
)
def test_each_word_is_earned(case, word):
    assert judge(case).word == word


def test_a_series_without_control_never_says_caused():
    for rung in (1, 2):
        assert judge(ALONE._replace(rung=rung, log_e=50.0, credible=True)).word != "caused"


def test_sentences_hold_the_numbers():
    text = str(judge(STRONG))
    for part in ("CAUSED", "+800", "+620", "+980", "2,400", "+33%", "Rung 3 of 5", "eu-west", "14 s", "+120", "1.05"):
        assert part in text, part
    assert "20" in str(judge(NOTHING))
    assert "±10%" in judge(NOTHING).sentence


def test_no_sentence_claims_more_than_its_rung():
    assert "caused" not in judge(ALONE).sentence.lower()
    for case in (NOTHING, ALONE._replace(decided_s=np.nan), STRONG._replace(credible=False)):
        assert "caused" not in judge(case).sentence.lower()


def test_every_answer_says_what_would_change_it():
    for case in (STRONG, ALONE, NOTHING._replace(lift_upper=0.3), STRONG._replace(status="gone")):
        assert judge(case).would_change


def test_the_summary_takes_the_strongest_word_and_counts_the_looks():
    verdicts = tuple(judge(case) for case in (NOTHING, STRONG, NOTHING))
    told = summarise(verdicts, alpha=0.05)
    assert told.word == "caused"
    assert "1 caused, 2 no effect" in told.sentence
    assert "1 of 3 survives" in told.sentence
    assert "up to 0.2 pass by chance" in told.evidence_against[0]
    assert summarise((), alpha=0.05).word == "no data"
    assert summarise(verdicts[:1], alpha=0.05) == verdicts[0]


def test_judged_together_an_e_value_of_20_is_not_enough_for_one_of_three():
    """e-BH: one discovery of three needs 3 / alpha; the plan's family decides how many are judged together."""
    verdicts = tuple(judge(STRONG._replace(airing=name, log_e=e)) for name, e in (("A", 3.1), ("B", 0.0), ("C", -1.0)))
    assert survivors(verdicts, alpha=0.05).tolist() == [False, False, False]
    assert survivors(verdicts, alpha=0.05, family=["A"]).tolist() == [True, False, False]
    assert "1 of 1 survives" in summarise(verdicts, alpha=0.05, family=["A"]).sentence
    assert "none of 3 survives" in summarise(verdicts, alpha=0.05).sentence
    silent = judge(STRONG._replace(status="gone"))
    assert not survivors((silent, silent), alpha=0.05).any()


def test_claims_are_the_first_three_words():
    assert set(WORDS[:3]) == set(CLAIMS)
    assert isinstance(judge(STRONG), Verdict)


def test_a_note_adds_a_sentence_and_leaves_the_word():
    told = annotated(judge(STRONG), speaks_for=["the plan was locked."], against=["it changed."])
    assert (told.word, told.evidence_for[-1], told.evidence_against[-1]) == (
        "caused",
        "the plan was locked.",
        "it changed.",
    )


GOLDEN = {
    "caused": (
        STRONG,
        (
            "The ad caused +800 conversions (95% interval +620 to +980; lift +33%) in the 60 s after the start of "
            "HALFTIME, beyond the 2,400 expected without it."
        ),
    ),
    "suggestive": (
        NOISE,
        (
            "Probably an effect of the ad: +800 conversions (95% interval +620 to +980; lift +33%) in the 60 s "
            "after the "
            "start of HALFTIME. But regional wandering of 20 s explains the counts as well without any ad, so "
            "the strict "
            "test has not passed."
        ),
    ),
    "association": (
        ALONE,
        (
            "A jump at this time: +800 conversions (95% interval +620 to +980; lift +33%) in the 60 s after the "
            "start of "
            "HALFTIME. Nothing here can tell the ad from whatever else happened then."
        ),
    ),
    "no effect": (
        NOTHING,
        (
            "No effect worth knowing in the 60 s after the start of HALFTIME: the lift lies between −6% and +8%, "
            "inside ±10% (the default)."
        ),
    ),
    "not separable": (
        STRONG._replace(decided_s=np.nan, log_plain=4.0, explained="a hidden shock", explained_kind="shock"),
        (
            "The ad cannot be told apart from what else moved in the 60 s after the start of HALFTIME: +800 "
            "conversions "
            "(95% interval +620 to +980; lift +33%). Without any ad, a hidden shock explains the counts as well."
        ),
    ),
    "undecided": (
        NOTHING._replace(lift_upper=0.3),
        (
            "Undecided in the 60 s after the start of HALFTIME: +20 conversions (95% interval −150 to +190; lift "
            "+1%). "
            "One airing here shows a lift of +11% or more four times out of five."
        ),
    ),
    "no data": (
        STRONG._replace(timing_sd_s=45.0),
        (
            "The clocks of the airings and of the conversions may differ by 45 s (one sd), so the 60 s after the "
            "start of "
            "HALFTIME cannot be found in the data."
        ),
    ),
}


@pytest.mark.parametrize("word", GOLDEN)
def test_the_answer_reads_as_it_was_written(word):
    case, sentence = GOLDEN[word]
    told = judge(case)
    assert (told.word, told.sentence) == (word, sentence)


def test_what_is_missing_for_a_placebo_verdict_is_counted():
    told = judge(ALONE._replace(placebos=7, placebos_needed=39, placebo_kind="breaks"))
    assert "not enough breaks to compare with: 7 of 39." in told.evidence_against
    assert any(row.startswith("32 more") for row in told.would_change)


unknown = st.just(np.nan)
share = st.floats(0.0, 1.0)
amounts = st.floats(-5e4, 5e4)


@st.composite
def cases(draw):
    """Any case whose interval holds its estimate: what is optional may be unknown."""
    maybe = lambda values: draw(values | unknown)  # noqa: E731  one line for eleven fields
    low, middle, high = sorted(draw(st.tuples(amounts, amounts, amounts)))
    expected, sd = draw(st.floats(1.0, 1e5)), (high - low) / 3.92 + 1e-6
    controls = draw(st.sampled_from([(), ("eu-west",), ("eu-west", "us-east", "north")]))
    kind = draw(st.sampled_from(["", "breaks", "moments"]))
    explained = draw(st.sampled_from(["", "shock", "noise", "break", "one region", "step"]))
    loss = maybe(st.floats(0.01, 0.5))
    fed = draw(st.booleans())
    return Case(
        airing="HALFTIME", status=draw(st.sampled_from(["", "", "", "The window is missing."])),
        rung=draw(st.sampled_from([3, 4, 5] if controls else [1, 2, 4])), window_s=draw(st.floats(1.0, 1e6)),
        counterfactual=expected, incremental=middle, lower=low, upper=high, robust_lower=maybe(amounts),
        lift=middle / expected, lift_lower=low / expected, lift_upper=high / expected, probability_positive=draw(share),
        sd=sd, floor=draw(st.floats(0.1, 1e3)), log_e=draw(st.floats(-800.0, 800.0)),
        explained=f"a {explained}" if explained else "", decided_s=maybe(st.floats(0.0, 1e4)),
        credible=draw(st.booleans()) and bool(controls), credible_ratio=maybe(st.floats(0.1, 50.0)), controls=controls,
        fed=fed, surge=draw(amounts) if fed else np.nan, smallest_lift=draw(st.floats(0.001, 1.0)),
        smallest_why="the default", detectable=draw(st.floats(0.001, 10.0)),
        alpha=draw(st.sampled_from([0.01, 0.05, 0.1])), log_plain=maybe(st.floats(-50.0, 50.0)),
        in_break=draw(st.booleans()), complete=draw(share), arrived=draw(share),
        explained_kind=explained, one_region=maybe(st.floats(-20.0, 20.0)), robust_upper=maybe(amounts),
        watched_lower=low - (high - low) / 3, watched_upper=high + (high - low) / 3, placebo_p=maybe(share),
        placebos=draw(st.integers(0, 400)), placebos_needed=draw(st.sampled_from([0, 39, 79])), placebo_kind=kind,
        surge_overlaps=draw(st.booleans()), lasting=maybe(share), timing_sd_s=maybe(st.floats(0.0, 100.0)),
        worst_lower=low if np.isnan(loss) else low - 100, worst_upper=high + 100, worst_loss=loss,
    )  # fmt: skip


def shown(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text))


ENDS = ("", "lift_", "robust_", "watched_", "worst_")


def written(case: Case) -> set[str]:
    """Every number that may stand in a sentence: the case's own in every way of writing, and the words' constants."""
    values = [v for v in case if isinstance(v, (int, float)) and not isinstance(v, bool) and np.isfinite(v)]
    values += [1 / case.alpha, AT_ONCE / case.alpha, 100 * (1 - case.alpha), 1.96 * case.floor]
    values += [case.placebos_needed - case.placebos]
    text = [case.airing, *case.controls, case.status, "rung 1 2 3 4 5, P(lift > 0), 1 expected, 1 to 1"]
    for value in values:
        text += [number(value), signed(value), percent(value), odds(value), chance(value), duration(abs(value))]
        text += [f"{value:g} {value:.2f} {value:.2g} {value:.0%} {value:.1%} {value:,.0f} {value:,}"]
    own = {name: (getattr(case, f"{name}lower"), getattr(case, f"{name}upper")) for name in ENDS}
    for name, ends in own.items():
        middle = {"": case.incremental, "lift_": case.lift}.get(name, ends[0])
        text += [write(value, ends) for value in (*ends, middle, case.counterfactual) for write in (number, percent)]
    return shown(" ".join(text))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_any_case_gets_one_word_and_only_its_own_numbers(case):
    told = judge(case)
    text = str(told)
    assert WORDS.count(told.word) == 1
    assert told.would_change
    assert "nan" not in re.findall(r"[a-z]+", text.lower())
    assert "—" not in text
    assert "inf" not in re.findall(r"[a-z]+", text.lower())
    assert shown(text) <= written(case), shown(text) - written(case)
    assert (told.rung == 0) == (told.word == "no data")
    if told.word == "caused":
        assert told.rung >= 3
        assert case.lower > 0
    if told.word == "not separable":
        assert obstacle(case)


STRENGTH = {word: rank for rank, word in enumerate(reversed(WORDS[:3]))}


@given(cases(), st.floats(0.0, 50.0), st.floats(0.0, 1e4), st.floats(0.1, 1.0))
@settings(max_examples=150, deadline=None)
def test_stronger_evidence_never_weakens_a_claim(case, gain, more, fewer):
    """With all else as it is: a larger e-value, a passed test, an amount further from zero, rarer placebos."""
    before = decide(case)
    if before not in CLAIMS:
        return
    for stronger in (
        case._replace(log_e=case.log_e + gain),
        case._replace(log_plain=case.log_plain + gain),
        case._replace(decided_s=10.0),
        case._replace(placebo_p=case.placebo_p * fewer),
        case._replace(
            **{
                name: getattr(case, name) + more
                for name in ("incremental", "lower", "upper", "robust_lower", "watched_lower", "worst_lower")
            }
        ),
    ):
        after = decide(stronger)
        assert after in CLAIMS, (before, after)
        assert STRENGTH[after] >= STRENGTH[before]


@given(cases())
@settings(max_examples=80, deadline=None)
def test_an_interval_watched_over_time_does_not_claim_while_it_contains_zero(case):
    silent = case._replace(decided_s=np.nan, log_plain=-1.0, placebo_p=np.nan, watched_lower=-1.0, explained="")
    assert decide(silent) not in CLAIMS
    assert standing(silent) in {1, 2, 3, 4, 5}
