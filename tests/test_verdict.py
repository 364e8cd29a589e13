"""The ladder: which numbers earn which word, and sentences that hold those numbers."""

import numpy as np
import pytest

from attribution.verdict import CLAIMS, WORDS, Case, Verdict, judge, summarise

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


@pytest.mark.parametrize(
    ("case", "word"),
    [
        (STRONG, "caused"),
        (STRONG._replace(rung=5), "caused"),
        (STRONG._replace(decided_s=np.nan), "suggestive"),
        (STRONG._replace(lower=-5.0), "suggestive"),
        (STRONG._replace(robust_lower=-5.0), "suggestive"),
        (STRONG._replace(robust_lower=np.nan), "caused"),
        (NOTHING._replace(lower=5.0, robust_lower=-20.0), "no effect"),
        (STRONG._replace(credible=False), "not separable"),
        (STRONG._replace(sd=900.0), "not separable"),
        (ALONE, "association"),
        (ALONE._replace(explained="a lasting change of level"), "not separable"),
        (ALONE._replace(decided_s=np.nan), "undecided"),
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
    assert "0.1" in told.evidence_against[0] or "0.2" in told.evidence_against[0]
    assert summarise((), alpha=0.05).word == "no data"
    assert summarise(verdicts[:1], alpha=0.05) == verdicts[0]


def test_claims_are_the_first_three_words():
    assert set(WORDS[:3]) == set(CLAIMS)
    assert isinstance(judge(STRONG), Verdict)
