"""The answer in words: the rung it stands on, the evidence for and against, what would change it.

One ladder (methods, section 6), used by tables, tests, pages and reports. Every sentence is made of the case's numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

RUNGS = {
    5: "randomised holdout",
    4: "randomised timing",
    3: "regions without the ad",
    2: "placebo breaks or a control series",
    1: "a jump in one series",
}
"""How an answer is identified, strongest first."""

WORDS = ("caused", "suggestive", "association", "no effect", "not separable", "undecided", "no data")
CLAIMS = frozenset(WORDS[:3])
"""The verdicts that claim an effect."""

FLOOR_RATIO, FLOOR_SHARE = 4.0, 0.15
"""Not separable: the posterior's sd is over 4 times the count noise and over 15% of the window's baseline."""


ARRIVED = 0.8
"""Before this share of the response has had time to arrive, an interval by itself neither claims nor excludes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One answer.

    Attributes
    ----------
    airing
        The airing it is about; of a summary, the number of airings in words.
    word
        One of ``WORDS``.
    rung
        1 to 5; 0 when there is no answer to stand anywhere.
    sentence
        The answer with its numbers.
    evidence_for, evidence_against, would_change
        Sentences.
    """

    airing: str
    word: str
    rung: int
    sentence: str
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.word.upper()}: {self.sentence}"]
        if self.rung:
            lines.append(f"Rung {self.rung} of 5: {RUNGS[self.rung]}.")
        for title, rows in (
            ("For", self.evidence_for),
            ("Against", self.evidence_against),
            ("What would change this answer", self.would_change),
        ):
            lines += [f"{title}: {row}" for row in rows]
        return "\n".join(lines)


class Case(NamedTuple):
    """The numbers a verdict is made of; NaN where unknown. Rates and sums are over the airing's window so far."""

    airing: str
    status: str
    """Empty, or why there is no answer: the data's fault in words."""
    rung: int
    window_s: float
    counterfactual: float
    incremental: float
    lower: float
    upper: float
    robust_lower: float
    """Lower end when a hidden shock common to all regions is allowed for; NaN where that is unknown."""
    lift: float
    lift_lower: float
    lift_upper: float
    probability_positive: float
    sd: float
    """Posterior sd of the incremental."""
    floor: float
    """Sd of the incremental were everything but the count noise known."""
    log_e: float
    explained: str
    """The world that explains the data as well without the ad; empty when none does."""
    decided_s: float
    """Seconds after the start at which the e-value had passed on two consecutive looks; NaN if it never did."""
    credible: bool
    credible_ratio: float
    controls: tuple[str, ...]
    fed: bool
    surge: float
    """Organic conversions the feed explains inside the window; NaN without a feed."""
    smallest_lift: float
    smallest_why: str
    detectable: float
    alpha: float
    in_break: bool
    complete: float
    """Share of the window that was observed."""
    arrived: float
    """Share of the response that is expected to have arrived in the window so far."""


def judge(case: Case) -> Verdict:
    """Return the verdict of one airing: methods, section 6, from the strongest claim down."""
    if case.status:
        return Verdict(
            airing=case.airing, word="no data", rung=0, sentence=case.status, would_change=(_data_mend(case),)
        )
    word = _word(case)
    return Verdict(
        airing=case.airing,
        word=word,
        rung=case.rung,
        sentence=_sentence(case, word),
        evidence_for=_for(case),
        evidence_against=_against(case, word),
        would_change=_change(case, word),
    )


def _word(case: Case) -> str:
    passed, early = np.isfinite(case.decided_s), case.arrived < ARRIVED
    positive = case.lower > 0 and not case.robust_lower <= 0  # an unknown second opinion does not object
    blurred = case.sd > FLOOR_RATIO * case.floor and case.sd > FLOOR_SHARE * case.counterfactual
    if case.rung >= 3:
        if passed and positive and case.credible and not blurred:
            return "caused"
        if (passed or (positive and not early)) and case.credible and not blurred:
            return "suggestive"
        if blurred or ((passed or (positive and not early)) and not case.credible):
            return "not separable"
    else:
        if blurred or case.explained:
            return "not separable"
        if passed and positive:
            return "association"
    if not early and case.lift_upper < case.smallest_lift and case.lift_lower > -case.smallest_lift:
        return "no effect"
    return "undecided"


def number(value: float) -> str:
    """Write a count with thousands and no more digits than it deserves; a dash where unknown.

    Examples
    --------
    >>> number(1234.56), number(3.14159), number(float("nan"))
    ('1,235', '3.1', '–')
    """
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:,.1f}"


def signed(value: float) -> str:
    """Write a signed count.

    Examples
    --------
    >>> signed(1234.5), signed(-3.0)
    ('+1,234', '−3.0')
    """
    return ("+" if value >= 0 else "−") + number(abs(value))


def percent(value: float) -> str:
    """Write a signed share as a percentage.

    Examples
    --------
    >>> percent(0.123), percent(-0.004)
    ('+12%', '−0.4%')
    """
    if not np.isfinite(value):
        return "–"
    size = abs(value) * 100
    return ("+" if value >= 0 else "−") + (f"{size:,.0f}%" if size >= 10 else f"{size:.1f}%")


def odds(log_e: float) -> str:
    """Write an e-value: its number, or a power of ten where it is beyond reading.

    Examples
    --------
    >>> odds(3.0), odds(30.0)
    ('20', '10^13')
    """
    if not np.isfinite(log_e):
        return "–"
    return (
        f"10^{int(log_e / np.log(10))}"
        if log_e > np.log(1e6)
        else f"{np.exp(log_e):,.2g}"
        if log_e < np.log(10)
        else f"{np.exp(log_e):,.0f}"
    )


def chance(probability: float) -> str:
    """Write a probability with its sign of equality; never a certainty.

    Examples
    --------
    >>> chance(0.975), chance(0.99997), chance(0.0)
    ('= 97.5%', '> 99.9%', '< 0.1%')
    """
    if probability > 0.999:
        return "> 99.9%"
    return "< 0.1%" if probability < 0.001 else f"= {probability:.1%}"


def duration(seconds: float) -> str:
    """Write a duration in its natural unit.

    Examples
    --------
    >>> duration(45), duration(300), duration(1296000)
    ('45 s', '5 min', '15 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 172800 else f"{seconds / 86400:.3g} days"


def _span(case: Case) -> str:
    level = f"{100 * (1 - case.alpha):g}%"
    return f"{level} interval {signed(case.lower)} to {signed(case.upper)}"


def _sentence(case: Case, word: str) -> str:
    where = f"in the {duration(case.window_s)} after the start of {case.airing}"
    amount = f"{signed(case.incremental)} conversions ({_span(case)}; lift {percent(case.lift)})"
    if word == "caused":
        return f"The ad caused {amount} {where}, beyond the {number(case.counterfactual)} expected without it."
    if word == "suggestive":
        return f"Probably an effect of the ad: {amount} {where}; one of the two tests has not passed."
    if word == "association":
        return f"A jump at this time: {amount} {where}. Nothing here can tell the ad from whatever else happened then."
    if word == "no effect":
        return (
            f"No effect worth knowing {where}: the lift lies between {percent(case.lift_lower)} and "
            f"{percent(case.lift_upper)}, inside ±{case.smallest_lift:.0%} ({case.smallest_why})."
        )
    if word == "not separable":
        return (
            f"What happened {where} cannot be separated from what else moved then: {amount}, "
            f"where counting noise alone would leave ±{number(1.96 * case.floor)}."
        )
    return (
        f"Undecided {where}: {amount}. One airing here shows a lift of {percent(case.detectable)} or more "
        "four times out of five."
    )


def _for(case: Case) -> tuple[str, ...]:
    rows = []
    if np.isfinite(case.decided_s):
        rows.append(
            f"the e-value passed {1 / case.alpha:g} on two consecutive looks, {duration(case.decided_s)} after the "
            f"start, at {odds(case.log_e)}; it may be watched at every second."
        )
    if case.lower > 0:
        rows.append(
            f"the interval of the incremental lies above zero: {signed(case.lower)} to {signed(case.upper)}, "
            f"P(lift > 0 given the model) {chance(case.probability_positive)}."
        )
    if case.controls and case.credible:
        rows.append(
            f"{', '.join(case.controls)} saw no ad and followed the exposed regions before it "
            f"(dispersion {case.credible_ratio:.2f} of what counts and regional wandering explain)."
        )
    if case.fed and np.isfinite(case.surge):
        rows.append(f"the social feed was taken into account: {signed(case.surge)} conversions are organic surge.")
    return tuple(rows)


def _against(case: Case, word: str) -> tuple[str, ...]:
    rows = []
    if not np.isfinite(case.decided_s):
        rows.append(f"the e-value stands at {odds(case.log_e)}; {1 / case.alpha:g} on two consecutive looks is needed.")
    if case.explained:
        rows.append(f"{case.explained} that began just then explains the data as well without any ad.")
    if case.lower > 0 >= case.robust_lower:
        rows.append(f"allowing for a shock that no feed shows, the interval begins at {signed(case.robust_lower)}.")
    if case.lower <= 0 <= case.upper:
        rows.append(f"the interval contains zero: {signed(case.lower)} to {signed(case.upper)}.")
    if case.upper < 0:
        rows.append(f"fewer conversions than expected: the interval ends at {signed(case.upper)}.")
    if not case.controls:
        rows.append("every region saw the ad: nothing shows what would have happened at this moment without it.")
    elif not case.credible:
        ratio = "could not be tested" if not np.isfinite(case.credible_ratio) else f"{case.credible_ratio:.2f}"
        rows.append(
            f"the control regions did not follow the exposed ones before the ad (dispersion {ratio}, 1 expected)."
        )
    if not case.fed:
        rows.append("there is no social feed: an organic surge would not be seen coming.")
    if case.in_break and case.rung < 3:
        rows.append("the airing ran in a declared break, and breaks change behaviour even where an ad does nothing.")
    if case.arrived < ARRIVED:
        rows.append(f"it is early: about {case.arrived:.0%} of a response would have arrived by now.")
    if case.complete < 0.98:
        rows.append(f"only {case.complete:.0%} of the window was observed.")
    return tuple(rows)


def _change(case: Case, word: str) -> tuple[str, ...]:
    rows = []
    if not case.controls:
        rows.append(
            "a region that does not get the ad, named in the airings' regions column, would lift this to rung 3."
        )
    if case.rung == 3 and word in CLAIMS:
        rows.append("drawing the holdout regions by lot, and saying so in the assignment column, would make it rung 5.")
    if word in {"undecided", "not separable"}:
        rows.append(f"a lift of {percent(case.detectable)} or more, or several airings judged together.")
    if not case.fed:
        rows.append("a feed of social mentions would show an organic surge for what it is.")
    if word in {"caused", "suggestive"}:
        rows.append("a shock in the exposed regions alone at this very moment, if you know of one, would take it back.")
    return tuple(rows)


def _data_mend(case: Case) -> str:
    if "not yet on air" in case.status:
        return "the airing itself."
    return "data that cover at least half an hour before the airing and the minutes after it, without a gap."


def summarise(verdicts: tuple[Verdict, ...], *, alpha: float) -> Verdict:
    """Return the verdict on all airings: the one itself, or their strongest word and a count of each."""
    if len(verdicts) == 1:
        return verdicts[0]
    if not verdicts:
        return Verdict(airing="no airing", word="no data", rung=0, sentence="There is no airing to judge.")
    tally = {word: [v for v in verdicts if v.word == word] for word in WORDS}
    word = next(w for w in WORDS if tally[w])
    counts = ", ".join(f"{len(found)} {w}" for w, found in tally.items() if found)
    named = [v.airing for v in tally[word]]
    shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    return Verdict(
        airing=f"{len(verdicts)} airings",
        word=word,
        rung=max(v.rung for v in tally[word]),
        sentence=f"Of {len(verdicts)} airings: {counts}. Strongest word for {shown}.",
        evidence_against=(
            (
                f"{len(verdicts)} airings were looked at: at a level of {alpha:g}, up to {alpha * len(verdicts):.1f} "
                "pass by chance."
            ),
        )
        if word in CLAIMS
        else (),
    )
