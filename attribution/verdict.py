"""The answer in words: the rung it stands on, the evidence for and against, what would change it.

The ladder decides (ladder.py), the sentences tell (sentences.py); tables, tests, pages and reports take both from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from attribution.ladder import CLAIMS, RUNGS, WORDS, Case, decide, standing
from attribution.sentences import (
    answered,
    chance,
    changing,
    duration,
    number,
    odds,
    percent,
    signed,
    speaking_against,
    speaking_for,
)
from attribution.sequential import e_bh

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CLAIMS",
    "RUNGS",
    "WORDS",
    "Case",
    "Verdict",
    "annotated",
    "chance",
    "duration",
    "judge",
    "number",
    "odds",
    "percent",
    "signed",
    "summarise",
    "survivors",
]

LARGEST = 700.0
"""Logs of e-values are cut here: exp of more overflows."""


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
    log_e
        Natural log of the e-value where watching stopped; NaN where there is none.
    """

    airing: str
    word: str
    rung: int
    sentence: str
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    log_e: float = field(default=np.nan, compare=False)

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


def judge(case: Case) -> Verdict:
    """Return the verdict of one airing: its word, its rung and its sentences (methods, section 6).

    Parameters
    ----------
    case
        The numbers of one airing.

    Returns
    -------
    Verdict
        Of every case exactly one word; every number in its sentences is one of the case's.
    """
    word = decide(case)
    if word == "no data":
        return Verdict(
            airing=case.airing, word=word, rung=0, sentence=answered(case, word), would_change=changing(case, word)
        )
    return Verdict(
        airing=case.airing,
        word=word,
        rung=standing(case),
        sentence=answered(case, word),
        evidence_for=speaking_for(case),
        evidence_against=speaking_against(case),
        would_change=changing(case, word),
        log_e=case.log_e,
    )


def annotated(verdict: Verdict, *, speaks_for: Iterable[str] = (), against: Iterable[str] = ()) -> Verdict:
    """Return the verdict with further sentences; its word stays.

    Examples
    --------
    >>> told = Verdict(airing="A", word="undecided", rung=1, sentence="Undecided.")
    >>> annotated(told, against=["the plan changed."]).evidence_against
    ('the plan changed.',)
    """
    return replace(
        verdict,
        evidence_for=(*verdict.evidence_for, *speaks_for),
        evidence_against=(*verdict.evidence_against, *against),
    )


def survivors(verdicts: Sequence[Verdict], *, alpha: float, family: Sequence[str] | None = None) -> np.ndarray:
    """Tell which airings stay discoveries when all of a family are judged at once: e-BH on their e-values.

    Parameters
    ----------
    verdicts
        One an airing.
    alpha
        Level of the false discovery rate, in (0, 1).
    family
        Names of the airings that the plan judges together; all of them when absent.

    Returns
    -------
    (J,) bool
        True where the airing survives; False outside the family and where there is no e-value.

    References
    ----------
    Wang and Ramdas 2022, "False discovery rate control with e-values"; valid however the airings depend on each other.

    Examples
    --------
    >>> some = [Verdict(airing=a, word="caused", rung=3, sentence="", log_e=e) for a, e in (("A", 6.0), ("B", 3.2))]
    >>> survivors(some, alpha=0.05), survivors(some, alpha=0.05, family=["B"])
    (array([ True,  True]), array([False,  True]))
    """
    log_e = np.array([verdict.log_e for verdict in verdicts], dtype=float)
    member = np.isfinite(log_e)
    if family is not None:
        member &= np.isin([verdict.airing for verdict in verdicts], list(family))
    mask = np.zeros(len(verdicts), dtype=bool)
    if member.any():
        mask[member] = e_bh(np.exp(np.minimum(log_e[member], LARGEST)), alpha=alpha)
    return mask


def summarise(verdicts: tuple[Verdict, ...], *, alpha: float, family: Sequence[str] | None = None) -> Verdict:
    """Return the verdict on all airings: the one itself, or the strongest word, a count of each, and how many survive.

    Parameters
    ----------
    verdicts
        One an airing.
    alpha
        Level of the tests and of the false discovery rate.
    family
        Names of the airings that the plan judges together; all of them when absent.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    if not verdicts:
        return Verdict(airing="no airing", word="no data", rung=0, sentence="There is no airing to judge.")
    tally = {word: [v for v in verdicts if v.word == word] for word in WORDS}
    word = next(w for w in WORDS if tally[w])
    counts = ", ".join(f"{len(found)} {w}" for w, found in tally.items() if found)
    named = [v.airing for v in tally[word]]
    shown = ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    kept = survivors(verdicts, alpha=alpha, family=family)
    together = len(verdicts) if family is None else sum(v.airing in set(family) for v in verdicts)
    stay = [v.airing for v, keep in zip(verdicts, kept, strict=True) if keep]
    judged = any(np.isfinite(v.log_e) for v in verdicts)  # a dense schedule has no e-values: it is judged whole
    survival = f" {_survival(stay, together, alpha)}" if judged else ""
    strongest = f" Strongest word for {shown}." if len(named) < len(verdicts) else ""
    return Verdict(
        airing=f"{len(verdicts)} airings",
        word=word,
        rung=max(v.rung for v in tally[word]),
        sentence=f"Of {len(verdicts)} airings: {counts}.{strongest}{survival}",
        evidence_against=(
            (
                f"{len(verdicts)} airings were looked at: at a level of {alpha:g}, up to {alpha * len(verdicts):.1f} "
                "pass by chance."
            ),
        )
        if word in CLAIMS
        else (),
    )


def _survival(stay: list[str], together: int, alpha: float) -> str:
    """Return how many airings survive when the whole family is judged at once."""
    if not together:
        return "None of them belongs to the family that the plan judges together."
    if not stay:
        return f"Judged together, none of {together} survives (e-BH, false discoveries at most {alpha:.0%})."
    verb = "survives" if len(stay) == 1 else "survive"
    return f"Judged together, {len(stay)} of {together} {verb} (e-BH, false discoveries at most {alpha:.0%})."
