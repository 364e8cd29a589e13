"""A verdict in plain English: every sentence is made of the case's own numbers."""

from __future__ import annotations

import numpy as np

from attribution.figures import Ends, between, evidence, figure
from attribution.ladder import CLAIMS, ONE_REGION, Case, obstacle, standing
from attribution.model.monitor import AT_ONCE

INCOMPLETE = 0.98
"""Below this share of the window observed, the sentences say so."""

APART = {
    "blurred": "several airings judged together, or an airing in a quieter hour.",
    "explained": "the same ad at another moment, when nothing else happens.",
    "one region": "naming what happened in that region (--context), or leaving it out of the exposed ones.",
    "surge": "declaring breaks and organic moments (--context), so that they are not taken for the ad.",
    "loss": "sequence numbers on the events, so that the losses are counted and not guessed.",
    "drift": "control regions that follow the exposed ones while no ad runs, or enough breaks to compare with.",
}
"""What would separate the ad from what stands in the way, by the name of the obstacle."""


def number(value: float, ends: Ends | None = None) -> str:
    """Write a count with thousands and no more digits than it deserves; a dash where unknown.

    Examples
    --------
    >>> number(1234.56), number(3.14159), number(float("nan")), number(1234.56, (1000.0, 1500.0))
    ('1,235', '3.1', '—', '1,230')
    """
    return figure(value, "plain", ends)


def signed(value: float, ends: Ends | None = None) -> str:
    """Write a signed count.

    Examples
    --------
    >>> signed(1234.5), signed(-3.0)
    ('+1,234', '−3')
    """
    return figure(value, "count", ends)


def percent(value: float, ends: Ends | None = None) -> str:
    """Write a signed share as a percentage.

    Examples
    --------
    >>> percent(0.123), percent(-0.004), percent(0.123, (0.04, 0.2))
    ('+12%', '−0.4%', '+12%')
    """
    return figure(value, "percent", ends)


def needed(alpha: float) -> str:
    """Write what an e-value has to reach for a decision: :func:`attribution.model.monitor.decision`.

    Examples
    --------
    >>> needed(0.05)
    '20 on two consecutive looks or 30 on one'
    """
    return f"{1 / alpha:g} on two consecutive looks or {AT_ONCE / alpha:g} on one"


def odds(log_e: float) -> str:
    """Write an e-value, given its logarithm.

    Examples
    --------
    >>> odds(3.0), odds(30.0), odds(-40.0)
    ('20', '1e13', '4e-18')
    """
    return evidence(log_e)


def chance(probability: float) -> str:
    """Write a probability with its sign of equality; never a certainty.

    Examples
    --------
    >>> chance(0.975), chance(0.99997), chance(0.0)
    ('= 0.975', '> 0.999', '< 0.001')
    """
    text = figure(probability, "probability")
    return text if text[0] in "<>" else f"= {text}"


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


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _ends(low: float, high: float) -> str:
    return between(low, high, "count")


def _amount(case: Case) -> str:
    lift = f"; lift {percent(case.lift, (case.lift_lower, case.lift_upper))}" if np.isfinite(case.lift) else ""
    return (
        f"{signed(case.incremental, (case.lower, case.upper))} conversions "
        f"({100 * (1 - case.alpha):g}% interval {_ends(case.lower, case.upper)}{lift})"
    )


def _without(case: Case) -> str:
    """Write what was expected without the ad: it is known as well as what the ad added."""
    return number(case.counterfactual, (case.lower, case.upper))


def answered(case: Case, word: str) -> str:
    """Return the answer in one or two sentences with its numbers."""
    if word == "no data":
        return case.status or (
            f"The clocks of the airings and of the conversions may differ by {duration(case.timing_sd_s)} (one sd), "
            f"so the {duration(case.window_s)} after the start of {case.airing} cannot be found in the data."
        )
    where = f"in the {duration(case.window_s)} after the start of {case.airing}"
    amount, ends = _amount(case), (case.lift_lower, case.lift_upper)
    if word == "caused":
        return f"The ad caused {amount} {where}, beyond the {_without(case)} expected without it."
    if word == "suggestive":
        return f"Probably an effect of the ad: {amount} {where}. {_short_of_caused(case)}"
    if word == "association":
        return f"A jump at this time: {amount} {where}. Nothing here can tell the ad from whatever else happened then."
    if word == "no effect":
        return (
            f"No effect worth knowing {where}: the lift lies between {percent(case.lift_lower, ends)} and "
            f"{percent(case.lift_upper, ends)}, inside ±{case.smallest_lift:.0%} ({case.smallest_why})."
        )
    if word == "not separable":
        return f"The ad cannot be told apart from what else moved {where}: {amount}. {_in_the_way(case)}"
    seen = (
        f" One airing here shows a lift of {percent(case.detectable)} or more four times out of five."
        if np.isfinite(case.detectable)
        else ""
    )
    return f"Undecided {where}: {amount}.{seen}"


def _short_of_caused(case: Case) -> str:
    """Return why a suggestive answer is no more than that."""
    if standing(case) < 3 or not case.trusted:
        return (
            f"Of {case.placebos:,} {_kin(case)}, few moved as much (placebo p = {case.placebo_p:.2g}); "
            "without regions that were spared the ad, that is as far as it goes."
        )
    if case.like_placebos:
        return f"But {case.placebos:,} {_kin(case)} often moved as much (placebo p = {case.placebo_p:.2g})."
    if case.passed:
        return "The test has passed, but the amount over the whole window is not clear of zero."
    if case.explained:
        return f"But {case.explained} explains the counts as well without any ad, so the strict test has not passed."
    return "The strict test, which has to hold against every other explanation, has not passed."


def _kin(case: Case) -> str:
    return "declared breaks without the ad" if case.placebo_kind == "breaks" else "like moments without the ad"


def _in_the_way(case: Case) -> str:
    """Return what makes an answer inseparable."""
    why = obstacle(case)
    if why == "blurred":
        return f"Counting alone would leave ±{number(1.96 * case.floor)}; what else may have moved leaves far more."
    if why == "explained":
        return f"Without any ad, {case.explained} explains the counts as well."
    if why == "one region":
        return f"One region moving by itself is favoured by {odds(case.one_region)} to 1 over all moving together."
    if why == "surge":
        what = (
            f"What began with the ad outlasts a response (probability {case.lasting:.2f}), as a surge or a break does"
            if case.outlasts
            else "A surge or a break that nobody declared overlaps the window"
        )
        return f"{what}, and there is neither a region without the ad nor a social feed to measure it by."
    if why == "loss":
        return (
            f"If {case.worst_loss:.1%} of the events were lost where nobody counted the losses, there may be no effect "
            f"at all ({_ends(case.worst_lower, case.worst_upper)})."
        )
    if np.isfinite(case.credible_ratio):
        return (
            f"{_listed(case.controls)} did not follow the exposed regions before the ad, so what happened there now "
            "does not tell what would have happened without it."
        )
    return f"Whether {_listed(case.controls)} followed the exposed regions before the ad could not be tested."


def speaking_for(case: Case) -> tuple[str, ...]:
    """Return the evidence for an effect of the ad, and for the answer's footing."""
    rows = []
    if case.passed:
        rows.append(
            f"the e-value passed its line, {needed(case.alpha)}, {duration(case.decided_s)} after the "
            f"start, at {odds(case.log_e)}; it may be watched at every second."
        )
    elif case.log_plain >= case.line:
        rows.append(f"averaged over everything that may have moved, the ad is favoured by {odds(case.log_plain)} to 1.")
    if case.lower > 0:
        rows.append(
            f"the interval of the incremental lies above zero: {_ends(case.lower, case.upper)}, "
            f"P(lift > 0 given the model) {chance(case.probability_positive)}."
        )
    if case.lower > 0 and case.robust_lower > 0:
        ends = _ends(case.robust_lower, case.robust_upper) if np.isfinite(case.robust_upper) else ""
        rows.append(
            "it stays above zero when a shock that no feed shows is allowed for: "
            f"{ends or f'from {signed(case.robust_lower)} on'}."
        )
    if case.unlike_placebos:
        rows.append(
            f"{case.placebos:,} {_kin(case)} were judged in the same way, and few moved as much "
            f"(placebo p = {case.placebo_p:.2g})."
        )
    if case.trusted:
        ratio = (
            f" (dispersion {case.credible_ratio:.2f} of what counts and regional wandering explain)"
            if np.isfinite(case.credible_ratio)
            else ""
        )
        rows.append(f"{_listed(case.controls)} saw no ad and followed the exposed regions before it{ratio}.")
    if case.fed and np.isfinite(case.surge):
        rows.append(
            f"the social feed was taken into account: it explains {signed(case.surge)} conversions of the window."
        )
    return tuple(rows)


def speaking_against(case: Case) -> tuple[str, ...]:
    """Return the evidence against an effect, and the weaknesses of the answer."""
    return (*_tests_against(case), *_footing(case), *_faults(case))


def _tests_against(case: Case) -> list[str]:
    rows = []
    if not case.passed and np.isfinite(case.log_e):
        rows.append(f"the e-value stands at {odds(case.log_e)}; {needed(case.alpha)} is needed.")
    if case.explained:
        rows.append(f"without any ad, {case.explained} explains the counts as well.")
    if case.one_region >= ONE_REGION:
        rows.append(
            f"one region moving by itself is favoured by {odds(case.one_region)} to 1 over all moving together."
        )
    if case.lower > 0 >= case.robust_lower:
        rows.append(f"allowing for a shock that no feed shows, the interval begins at {signed(case.robust_lower)}.")
    if case.lower > 0 >= case.watched_lower:
        rows.append(
            "the interval that holds however often one looks contains zero: "
            f"{_ends(case.watched_lower, case.watched_upper)}."
        )
    if case.lower <= 0 <= case.upper:
        rows.append(f"the interval contains zero: {_ends(case.lower, case.upper)}.")
    if case.upper < 0:
        rows.append(f"fewer conversions than expected: the interval ends at {signed(case.upper)}.")
    if case.compared and not case.unlike_placebos:
        rows.append(
            f"{case.placebos:,} {_kin(case)} were judged in the same way, and moving as much is not rare among them "
            f"(placebo p = {case.placebo_p:.2g})."
        )
    return rows


def _footing(case: Case) -> list[str]:
    rows = []
    if not case.controls:
        rows.append("every region saw the ad: nothing shows what would have happened at this moment without it.")
    elif not case.credible:
        ratio = "could not be tested" if not np.isfinite(case.credible_ratio) else f"{case.credible_ratio:.2f}"
        rows.append(
            f"the control regions did not follow the exposed ones before the ad (dispersion {ratio}, 1 expected)."
            if np.isfinite(case.credible_ratio)
            else "whether the control regions follow the exposed ones could not be tested: too few conversions before."
        )
    if not case.fed:
        rows.append("there is no social feed: an organic surge would not be seen coming.")
    if case.surge_overlaps:
        rows.append("an organic surge, or a break that nobody declared, overlaps the window.")
    if case.outlasts:
        rows.append(
            f"what began with the ad outlasts a response (probability {case.lasting:.2f}), as a surge or a break does."
        )
    if case.in_break and standing(case) < 3:
        rows.append("the airing ran in a declared break, and breaks change behaviour even where an ad does nothing.")
    if not case.compared and case.placebos_needed > 0:
        what = "breaks" if case.placebo_kind == "breaks" else "like moments"
        rows.append(f"not enough {what} to compare with: {case.placebos:,} of {case.placebos_needed:,}.")
    return rows


def _faults(case: Case) -> list[str]:
    rows = []
    if case.early:
        rows.append(f"it is early: about {case.arrived:.0%} of a response would have arrived by now.")
    if case.complete < INCOMPLETE:
        rows.append(f"only {case.complete:.0%} of the window was observed.")
    if np.isfinite(case.worst_loss):
        rows.append(
            f"how much was lost is unknown for part of the data; with {case.worst_loss:.1%} lost there, the interval "
            f"may lie anywhere within {_ends(case.worst_lower, case.worst_upper)}."
        )
    if case.timing_sd_s >= 1:
        rows.append(
            f"the clocks of airings and conversions are certain to ±{duration(case.timing_sd_s)} only (one sd)."
        )
    return rows


def changing(case: Case, word: str) -> tuple[str, ...]:
    """Return what would change the answer."""
    if word == "no data":
        return (_mend(case),)
    rows = []
    if not case.controls:
        rows.append(
            "a region that does not get the ad, named in the airings' regions column, would lift this to rung 3."
        )
    elif word == "association":
        rows.append("regions without the ad that follow the exposed ones before it would lift this to rung 3.")
    if standing(case) == 3 and word in CLAIMS:
        rows.append("drawing the holdout regions by lot, and saying so in the assignment column, would make it rung 5.")
    if word == "undecided" and np.isfinite(case.detectable):
        rows.append(f"a lift of {percent(case.detectable)} or more, or several airings judged together.")
    if word == "not separable":
        rows.append(APART[obstacle(case)])
    if word == "no effect":
        rows.append(f"caring about lifts smaller than {case.smallest_lift:.0%}: set smallest_lift lower.")
    if not case.fed:
        rows.append("a feed of social mentions would show an organic surge for what it is.")
    if not case.compared and case.placebos_needed > 0 and not case.trusted:
        rows.append(f"{case.placebos_needed - case.placebos:,} more comparable moments without the ad.")
    if word in {"caused", "suggestive"}:
        rows.append("a shock in the exposed regions alone at this very moment, if you know of one, would take it back.")
    return tuple(rows)


def _mend(case: Case) -> str:
    if not case.status:
        return "starts of the airings to the second, from the as-run log, and one moment compared in both clocks."
    if "not yet on air" in case.status:
        return "the airing itself."
    return "data that cover at least half an hour before the airing and the minutes after it, without a gap."
