"""The ladder: which numbers earn which word (methods, section 6). One definition, used everywhere."""

from __future__ import annotations

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

ONE_REGION = float(np.log(20.0))
"""Log evidence of the one-region worlds over the others at which one region alone is named (methods, section 4)."""

AGAINST = 0.2
"""A placebo p above this, with enough placebos, speaks against an effect."""

LASTING = 0.1
"""A change that outlasts the response, likelier than this to have begun with it, cannot be told from an effect."""

COMPARED = frozenset({"break", "step"})
"""Explanations that a comparison with breaks of the same kind has already taken into account."""


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
    """Seconds after the start at which the e-value had passed its line; NaN if it never did."""
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
    log_plain: float = np.nan
    """Log of the mixture over all worlds with the ad over the same mixture without it, where ``log_e`` was read."""
    explained_kind: str = ""
    """What ``explained`` is: ``shock``, ``noise``, ``break``, ``one region`` or ``step``."""
    one_region: float = np.nan
    """Log evidence of the worlds in which one region moves alone, over the others."""
    robust_upper: float = np.nan
    watched_lower: float = np.nan
    """Interval over time at the last look: it holds however often one looks. NaN when there was one look only."""
    watched_upper: float = np.nan
    placebo_p: float = np.nan
    placebos: int = 0
    placebos_needed: int = 0
    placebo_kind: str = ""
    """What the placebos are: ``breaks``, ``moments``, or empty when there are none."""
    surge_overlaps: bool = False
    """Whether an organic surge or a break that nobody declared overlaps the window."""
    lasting: float = np.nan
    """Probability that a change which outlasts the response began with it; NaN with a control or a feed."""
    timing_sd_s: float = np.nan
    """Sd of the offset between the airings' clock and the conversions', seconds."""
    worst_lower: float = np.nan
    """Interval if the bins of unknown completeness had lost ``worst_loss`` of their events; NaN without such bins."""
    worst_upper: float = np.nan
    worst_loss: float = np.nan

    @property
    def line(self) -> float:
        """Log of 1/alpha, which an e-value has to reach."""
        return -float(np.log(self.alpha))

    @property
    def passed(self) -> bool:
        """Whether E* decided: :func:`attribution.model.monitor.decision`."""
        return bool(np.isfinite(self.decided_s))

    @property
    def early(self) -> bool:
        """Whether too little of a response can have arrived for an interval to speak."""
        return self.arrived < ARRIVED

    @property
    def plain(self) -> bool:
        """Whether the plain mixture claims an effect, E* or not; a named explanation was named because it does."""
        return self.log_plain >= self.line or (bool(np.isnan(self.log_plain)) and bool(self.explained))

    @property
    def stands_clear(self) -> bool:
        """Whether the interval, and that of the second opinion, lie above zero: over time where that is known."""
        low = self.lower if np.isnan(self.watched_lower) else self.watched_lower
        # An unknown second opinion does not object; a known one does.
        return not self.early and low > 0 and self.lower > 0 and not self.robust_lower <= 0

    @property
    def compared(self) -> bool:
        """Whether there are enough placebos for a placebo verdict."""
        return self.placebos >= max(self.placebos_needed, 1) and bool(np.isfinite(self.placebo_p))

    @property
    def unlike_placebos(self) -> bool:
        """Whether enough placebos were compared, and few of them looked as strong."""
        return self.compared and self.placebo_p <= self.alpha

    @property
    def like_placebos(self) -> bool:
        """Whether enough placebos were compared, and many of them looked as strong."""
        return self.compared and self.placebo_p > AGAINST

    @property
    def blurred(self) -> bool:
        """Whether the uncertainty is far beyond the counts' own, and large beside the baseline."""
        return self.sd > FLOOR_RATIO * self.floor and self.sd > FLOOR_SHARE * self.counterfactual

    @property
    def outlasts(self) -> bool:
        """Whether a surge or a break may well have begun with the airing, and no placebos say how often one does."""
        return self.lasting > LASTING and not self.compared

    @property
    def trusted(self) -> bool:
        """Whether regions without the ad followed the exposed ones before it."""
        return bool(self.controls) and self.credible

    @property
    def clock_failed(self) -> bool:
        """Whether the window cannot be placed: the clocks may differ by half of it or more."""
        return self.timing_sd_s > self.window_s / 2

    @property
    def lossy(self) -> bool:
        """Whether an unknown loss of events could hide or make the whole effect."""
        return self.lower > 0 >= self.worst_lower


def standing(case: Case) -> int:
    """Return the rung an answer stands on, 1 to 5.

    Controls that cannot be relied on fall back on placebos where there are enough of them; a drawn timing without
    controls is used only through the placebos it makes comparable.
    """
    if case.rung >= 3 and case.controls and (case.credible or not case.compared):
        return case.rung
    if case.rung == 4 and case.compared:
        return 4
    return 2 if case.compared and (case.rung == 2 or case.placebo_kind == "breaks") else 1


def decide(case: Case) -> str:
    """Return the one word a case earns, from the strongest claim down (methods, section 6).

    Parameters
    ----------
    case
        The numbers of one airing.

    Returns
    -------
    str
        One of ``WORDS``.
    """
    if case.status or case.clock_failed:
        return "no data"
    # An amount is part of the claim, so its interval must leave zero out; a placebo verdict may object.
    if case.rung >= 3 and case.trusted and case.passed and case.lower > 0 and not (case.like_placebos or case.lossy):
        return "caused"
    if obstacle(case):
        return "not separable"
    if _claimed(case):
        return "association" if standing(case) == 1 else "suggestive"
    excluded = case.lift_upper < case.smallest_lift and case.lift_lower > -case.smallest_lift
    untested = bool(case.controls) and not case.credible and not case.compared
    return "no effect" if excluded and not case.early and not untested else "undecided"


def _claimed(case: Case) -> bool:
    """Return whether an effect is claimed short of ``caused``."""
    rung = standing(case)
    if rung >= 3 and case.trusted:
        return case.passed or case.plain or case.stands_clear
    return case.lower > 0 and (case.unlike_placebos if case.compared else case.passed)


def obstacle(case: Case) -> str:
    """Return why no answer separates the ad from what else moved; empty when one does.

    Returns
    -------
    str
        ``blurred``, ``explained``, ``one region``, ``surge``, ``loss``, ``drift`` or empty.
    """
    fires = case.passed or case.plain or case.stands_clear or _claimed(case)
    found = {
        "blurred": case.blurred and not case.unlike_placebos,
        "explained": fires and _other_world(case) and not (standing(case) == 2 and case.explained_kind in COMPARED),
        "one region": fires and not case.passed and case.one_region >= ONE_REGION,
        "surge": not case.controls and not case.fed and (case.surge_overlaps or case.outlasts),
        "loss": fires and case.lossy,
        # Controls that failed their test say nothing; untested ones matter only where a claim would rest on them.
        "drift": bool(case.controls)
        and not case.credible
        and not case.compared
        and (fires or bool(np.isfinite(case.credible_ratio))),
    }
    return next((name for name, holds in found.items() if holds), "")


def _other_world(case: Case) -> bool:
    """Return whether a world with a cause of its own, not just noise, explains the data as well without the ad."""
    return bool(case.explained) and case.explained_kind != "noise"
