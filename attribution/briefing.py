"""One page for the business: what happened, how sure, what to do, what not to conclude. Words made of the numbers.

A sentence never claims more than the answer's rung: only ``caused`` says that the ad did it, ``suggestive`` says
probably, and nothing else speaks of an effect as if there were one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.figures import figure, interval
from attribution.sentences import chance, percent
from attribution.verdict import CLAIMS, RUNGS, WORDS, Verdict, signed

if TYPE_CHECKING:
    from attribution.analysis import Analysis

SECTIONS = ("What happened", "How sure", "What to do", "What not to conclude")
NAMED = 3
"""So many airings are named of several that share the strongest word."""
MOST = 6
"""So many regions are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """The page for the business, section by section: sentences."""

    happened: tuple[str, ...]
    sure: tuple[str, ...]
    do: tuple[str, ...]
    dont: tuple[str, ...]

    @property
    def sections(self) -> dict[str, tuple[str, ...]]:
        """Heading -> sentences, in the order of reading."""
        return dict(zip(SECTIONS, (self.happened, self.sure, self.do, self.dont), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """One airing as the page tells it."""

    row: dict[Any, Any]
    verdict: Verdict
    money: dict[str, dict[Any, Any]]
    spend: float
    alpha: float

    @property
    def word(self) -> str:
        return self.verdict.word

    @property
    def name(self) -> str:
        return self.verdict.airing


def briefing(result: Analysis, *, posterior: Any = None) -> Briefing:
    """Write the page for the business.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    posterior
        What its ``sample_posterior`` returned, where the full posterior was sampled too.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> page = briefing(at.analyze(world.counts, world.airings, at.Settings.preset("brief")))
    >>> page.dont[0]
    'Do not read it as “no effect”: the data were too few to say either.'
    """
    if not result.verdicts:
        said = "There is no airing to judge."
        return Briefing(happened=(said,), sure=(), do=("Give a log of airings.",), dont=DONT["no data"])
    leading = _leading(result)
    many = len(result.verdicts) > 1
    return Briefing(
        happened=(
            *(
                (result.verdict.sentence, *(v.sentence for v in _strongest(result)))
                if many
                else (_setting(result, leading),)
            ),
            *_earned(leading),
        ),
        sure=(*_footing(result, leading), *_plan(result), *_sampled(posterior, leading)),
        do=_advice(leading, len(result.verdicts)),
        dont=(*DONT[leading.word], *_beyond(result, leading)),
    )


def _strongest(result: Analysis) -> list[Verdict]:
    """Return the verdicts with the strongest word, those with the most evidence first."""
    word = min((verdict.word for verdict in result.verdicts), key=WORDS.index)
    found = [verdict for verdict in result.verdicts if verdict.word == word]
    return sorted(found, key=lambda v: -v.log_e if math.isfinite(v.log_e) else math.inf)[:NAMED]


def _leading(result: Analysis) -> _Told:
    """Return the airing that the page is written about: the strongest."""
    verdict = _strongest(result)[0]
    at = result.verdicts.index(verdict)
    mine = result.money[result.money["airing"] == verdict.airing].to_dict("records") if len(result.money) else []
    return _Told(
        row=result.table.iloc[at].to_dict(), verdict=verdict, money={str(row["what"]): row for row in mine},
        spend=float(result.airings["spend"].iloc[at]), alpha=result.alpha,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- what happened


def _setting(result: Analysis, told: _Told) -> str:
    """Say what ran, when and where."""
    start, ran = told.row["start"], [name for name in str(told.row["regions"]).split("|") if name]
    spared = sorted(set(result.series["region"]) - set(ran) - {"all"}) if len(result.series) else []
    where = f" in {_listed(ran)}" if ran and ran != ["all"] else ""
    other = f"; {_listed(spared)} did not see it" if spared else ""
    return f"{told.name} ran {start:%Y-%m-%d} at {start:%H:%M:%S} UTC{where}{other}."


def _listed(names: list[str]) -> str:
    """Write names one after the other; of many the first ones."""
    if len(names) > MOST:
        return f"{', '.join(names[:MOST])} and {len(names) - MOST} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _earned(told: _Told) -> tuple[str, ...]:
    """Say what came back for the spend, no more surely than that the ad brought it."""
    roas, roi = (told.money.get(name) for name in ("iroas", "roi"))
    if roas is None or not math.isfinite(float(roas["value"])) or told.word not in CLAIMS:
        return ()
    if told.word == "association":
        return ("What a jump is worth is no return on the ad's spend, so none is given.",)
    value, low, high = (f"{float(roas[end]):,.2f}".replace("-", "−") for end in ("value", "lower", "upper"))
    lead = "For each unit of money spent" if told.word == "caused" else "If that was the ad, for each unit spent"
    words = f"{lead}, {value} came back in revenue ({low} to {high})"
    if roi is not None and math.isfinite(float(roi["value"])):
        kept = f"{figure(roi['value'], 'percent')} ({interval(_ends(roi), 'value', 'percent')})"
        words += f"; after margin and spend that is a return of {kept}"
    return (f"{words}.",)


def _ends(row: dict[Any, Any]) -> dict[str, Any]:
    return {"value_lower": row["lower"], "value_upper": row["upper"]}


# ------------------------------------------------------------------------------------------------------------ how sure


def _footing(result: Analysis, told: _Told) -> tuple[str, ...]:
    """Say what the answer stands on, and the first thing that speaks for it and against it."""
    verdict, rows = told.verdict, []
    if verdict.rung:
        rows.append(f"The answer stands on rung {verdict.rung} of 5: {RUNGS[verdict.rung]}.")
    if told.word == "caused":
        rows.append(
            f"Where an ad adds nothing, an answer this strong is meant to come in at most {told.alpha:.0%} of cases, "
            "however often one looked; the record page shows how often it did."
        )
    positive = float(told.row["probability_positive"])
    if told.word in {"suggestive", "undecided"} and math.isfinite(positive):
        rows.append(f"Given the model, the chance that the number is above zero is {chance(positive).lstrip('= ')}.")
    for lead, said in (("For it", verdict.evidence_for), ("Against it", verdict.evidence_against)):
        if said:
            plain = next((row for row in said if not row.startswith("the e-value")), said[0])
            more = f" ({len(said) - 1} more in the annex)" if len(said) > 1 else ""
            rows.append(f"{lead}: {plain.rstrip('.')}{more}.")
    troubles = sum(finding.level != "note" for finding in result.findings)
    if troubles:
        rows.append(f"{troubles} finding{'s' * (troubles > 1)} in the data may harm the answer; the annex names each.")
    return tuple(rows)


def _plan(result: Analysis) -> tuple[str, ...]:
    """Say whether the answer was planned or explored."""
    if not result.plan_notes:
        return ("No plan was locked before the airing: this answer was explored, not planned.",)
    return tuple(f"{note[0].upper()}{note[1:]}" for note in result.plan_notes)


def _sampled(posterior: Any, told: _Told) -> tuple[str, ...]:
    """Say what the full posterior has, beside the fast answer."""
    if posterior is None:
        return ()
    held = posterior.posterior["incremental"]
    if told.name not in [str(name) for name in held["airing"].values]:
        return ("The full posterior has no figure of this airing.",)
    drawn = np.asarray(held.sel(airing=told.name).values, dtype=float)
    low, middle, high = np.quantile(drawn, (told.alpha / 2, 0.5, 1 - told.alpha / 2))
    chains, draws = drawn.shape
    state = "its chains agree" if bool(posterior.posterior.attrs.get("optimal")) else "its chains do not agree yet"
    drawn_of = f"({chains} × {draws:,} draws) has {signed(middle)} conversions ({signed(low)} to {signed(high)})"
    return (f"The full posterior of the same model {drawn_of}; {state}.",)


# ---------------------------------------------------------------------------------------------------------- what to do


def _advice(told: _Told, airings: int) -> tuple[str, ...]:
    """Say what follows from the answer."""
    detectable = float(told.row["minimum_detectable_lift"])
    change = told.verdict.would_change
    rows = list(_budget(told)) if told.word == "caused" else []
    if told.word == "suggestive":
        rows.append("Repeat it with regions held out by lot before the budget follows it.")
    if told.word == "association":
        rows.append("Run it again where some regions are spared the ad: then the answer can say more than that.")
    if told.word == "no effect":
        rows.append(
            f"Do not pay for more than a lift of {percent(float(told.row['lift_upper']))}, the upper end of the "
            "interval; change the creative, the moment or the audience first."
        )
    if told.word == "undecided" and math.isfinite(detectable):
        four = detectable / math.sqrt(
            4
        )  # independent airings of one lift: their sd falls with the root of their number
        rows.append(
            f"Run more airings: one shows a lift of {percent(detectable)} or more, four of the same lift judged "
            f"together {percent(four)}."
        )
    if told.word in {"not separable", "no data"} and not change:
        rows.append("Run it again at a moment when nothing else happens.")
    if change:
        rows.append(f"What would change the answer: {change[0].rstrip('.')}.")
    if airings > 1 and told.word in CLAIMS:
        rows.append("Act on the airings that survive when all are judged together; the others may be chance.")
    return tuple(rows)


def _budget(told: _Told) -> tuple[str, ...]:
    """Say whether what was caused pays, at this price."""
    roi = told.money.get("roi")
    if roi is None or not math.isfinite(float(roi["value"])):
        status = str(roi["status"]) if roi is not None and roi["status"] else "spend, value and margin unknown"
        return (f"Whether it pays cannot be said ({status}): give what it cost and what a conversion brings.",)
    low, high = float(roi["lower"]), float(roi["upper"])
    most = told.spend * (1 + float(roi["value"]))
    price = f"It pays at a spend below {figure(most, 'plain')}, and this one cost {figure(told.spend, 'plain')}."
    if low > 0:
        return (f"Book it again at this price: even the lower end of the interval returns {percent(low)}.", price)
    if high < 0:
        return (f"Do not book it again at this price: even the upper end of the interval loses {-high:.0%}.", price)
    return (f"Whether it pays is open: the return lies between {percent(low)} and {percent(high)}.", price)


# ------------------------------------------------------------------------------------------------ what not to conclude

DONT = {
    "caused": ("Do not conclude that another creative, network or evening would do the same: this is about what ran.",),
    "suggestive": ("Do not call it proven: what could explain it without the ad is named above, and not excluded.",),
    "association": (
        "Do not say that the ad did it: a break, a goal or a trend at the same moment looks the same here.",
        "Do not compute a return from it.",
    ),
    "no effect": (
        "Do not conclude that advertising does nothing: smaller, later and lasting effects are not seen here.",
    ),
    "not separable": (
        "Do not take the number for the ad's: something else moved at the same time, and the data cannot share it out.",
    ),
    "undecided": ("Do not read it as “no effect”: the data were too few to say either.",),
    "no data": ("Do not read it as “no effect”: nothing could be measured.",),
}
"""What a word does not say."""


def _beyond(result: Analysis, told: _Told) -> tuple[str, ...]:
    """Say what any such answer leaves out."""
    rows = []
    low, high = (float(told.row[name]) for name in ("lift_lower", "lift_upper"))
    if told.word == "undecided" and low <= 0 <= high:
        rows.append(f"The lift may be anywhere between {percent(low)} and {percent(high)}, so zero too.")
    if told.word in CLAIMS:
        rows.append("Do not extend it beyond the window: what came later was not counted.")
    if told.word == "caused" and told.verdict.rung == 3:
        rows.append(
            "Do not call it an experiment: the regions without the ad were not drawn by lot, so a shock in the others "
            "alone at that moment would look the same."
        )
    if len(result.verdicts) > 1:
        rows.append("Do not pick the best airing and forget the rest: of many, some look good by chance.")
    return tuple(rows)
