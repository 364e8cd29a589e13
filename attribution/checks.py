"""Counts and airings together: what an analyst should know and mend before asking for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.counts import outages
from attribution.faults import early_rises, too_early
from attribution.tables import SHOWN, Finding, count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from attribution.counts import Counts

RESPONSE = 300.0
"""Seconds after an airing in which most of a response comes: airings nearer than that share it."""
HISTORY = 600.0
"""Seconds before an airing without which a baseline is a guess (and at least HISTORY_BINS bins)."""
HISTORY_BINS = 20
FEW = 20.0
"""Conversions expected in the response window below which only a doubling can be seen."""


def preflight(counts: Counts, airings: pd.DataFrame, *, context: pd.DataFrame | None = None) -> list[Finding]:
    """Look for what would harm the answer.

    Parameters
    ----------
    counts
        From a reader or the simulator.
    airings
        Canonical airings (:func:`attribution.airings.read_airings`).
    context
        Declared breaks and organic moments.

    Returns
    -------
    list of Finding
        What the readers met (warnings), then what the two show together: errors first.

    Examples
    --------
    >>> import numpy as np
    >>> from attribution.counts import Counts
    >>> feed = Counts(start=np.arange(60).astype("datetime64[s]").astype("datetime64[ns]"), width=np.ones(60),
    ...               values=np.ones((60, 1, 1, 1)), completeness=np.ones((60, 1)))
    >>> log = pd.DataFrame(
    ...     {"airing": ["a"], "start": pd.to_datetime(["2026-02-08T20:41Z"]), "length_s": [30.0], "regions": [""]}
    ... )
    >>> preflight(feed, log)[0].what
    '1 airing outside the data'
    """
    checks: Iterable[Callable[[Counts, pd.DataFrame], list[Finding]]] = (
        _outside, _regions, _windows, _history, _overlaps, _twins, _widths, _clock, _low, _untold
    )  # fmt: skip
    read = [f for f in (*counts.findings, *airings.attrs.get("findings", ())) if f.level != "note"]
    found = (
        [finding for check in checks for finding in check(counts, airings)]
        if len(airings)
        else [Finding("error", "no airings", "", "there is nothing to judge", "give at least one airing")]
    )
    if context is not None and len(airings):
        found += _breaks(airings, context)
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted([*read, *found], key=lambda finding: rank.get(finding.level, 2))


def _listed(names: Iterable[object]) -> str:
    every = [str(name) for name in names]
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")


def _starts(airings: pd.DataFrame) -> np.ndarray:
    """(J,) float: starts in seconds since 1970."""
    return pd.DatetimeIndex(airings["start"]).as_unit("ns").asi8 / 1e9


def _outside(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    start, first, last = _starts(airings), counts.seconds[0], counts.seconds[-1] + counts.width[-1]
    out = (start < first) | (start >= last)
    if not out.any():
        return []
    mend = "check dates and zones: tz= gives the zone of times that carry none"
    if out.all():
        for hours in (h for n in range(1, 15) for h in (n, -n)):
            if ((start + 3600 * hours >= first) & (start + 3600 * hours < last)).all():
                mend = (
                    f"all of them would fit {abs(hours)} h {'later' if hours > 0 else 'earlier'}: is it the zone (tz=)?"
                )
                break
    span = f"data {pd.Timestamp(first, unit='s')}Z to {pd.Timestamp(last, unit='s')}Z; airings " + _listed(
        airings["airing"][out]
    )
    return [
        Finding("error", f"{count_of(int(out.sum()), 'airing')} outside the data", span, "no answer for them", mend)
    ]


def _regions(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    named = {part for text in airings["regions"] for part in str(text).split("|") if part}
    out = []
    unknown = sorted(named - set(counts.regions))
    if unknown:
        out.append(
            Finding(
                "error",
                f"{count_of(len(unknown), 'region')} of the airings not in the counts",
                _listed(unknown),
                "their exposure cannot be placed",
                f"the counts have {_listed(counts.regions)}",
            )
        )
    bare = [
        str(a)
        for a, text in zip(airings["airing"], airings["regions"], strict=True)
        if not str(text) or set(counts.regions) <= set(str(text).split("|"))
    ]
    if bare:
        out.append(
            Finding(
                "warning",
                "no controls: every region saw the ad",
                f"airings {_listed(bare)}",
                "a surge from elsewhere cannot be told from the ad; at best an association",
                "hold out a region next time, or add counts of regions without the ad",
            )
        )
    return out


def _untold(counts: Counts, _: pd.DataFrame) -> list[Finding]:
    """Tell counts of which nobody knows how complete they are."""
    hidden = np.asarray((np.isnan(counts.completeness) & np.isfinite(counts.total)).any(axis=0))
    if not hidden.any():
        return []
    where = [name for name, untold in zip(counts.regions, hidden, strict=True) if untold]
    return [
        Finding(
            "note",
            "completeness unknown",
            f"{count_of(len(where), 'region')}: {_listed(where)}",
            "lost events would not show; what was received is taken as complete",
            "let each source number its events (seq)",
        )
    ]


def _windows(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    """Unknown bins and outages in the response windows."""
    silent = np.asarray(np.isnan(counts.total).any(axis=1))
    dead = np.asarray(outages(counts).any(axis=1))
    begins, ends = counts.seconds, counts.seconds + counts.width
    hit: dict[str, list[str]] = {"gap": [], "outage": [], "short": []}
    for name, start in zip(airings["airing"], _starts(airings), strict=True):
        if not begins[0] <= start < ends[-1]:
            continue
        window = slice(int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(begins, start + RESPONSE)))
        covered = float(counts.width[window].sum())
        hole = window.stop - window.start > 1 and (begins[window][1:] > ends[window][:-1] + 1e-3).any()
        if silent[window].any() or hole:
            hit["gap"].append(name)
        if dead[window].any():
            hit["outage"].append(name)
        if not hole and start + RESPONSE > ends[-1] and covered < RESPONSE:
            hit["short"].append(name)
    out = []
    if hit["gap"]:
        out.append(
            Finding(
                "warning",
                f"gaps within {RESPONSE:g} s after {count_of(len(hit['gap']), 'airing')}",
                _listed(hit["gap"]),
                "part of the response is not seen; the interval grows",
                "fill the gap from another source",
            )
        )
    if hit["outage"]:
        out.append(
            Finding(
                "warning",
                f"an outage within {RESPONSE:g} s after {count_of(len(hit['outage']), 'airing')}",
                _listed(hit["outage"]),
                "an outage and its rebound look like effects",
                "its bins are treated as unknown",
            )
        )
    if hit["short"]:
        out.append(
            Finding(
                "warning",
                f"the data end within {RESPONSE:g} s after {count_of(len(hit['short']), 'airing')}",
                _listed(hit["short"]),
                "the late part of the response is missing",
                "wait, or give counts that reach further",
            )
        )
    return out


def _history(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    known = ~np.isnan(counts.total).all(axis=1)
    seconds = np.concatenate([[0.0], np.cumsum(counts.width * known)])
    bins = np.concatenate([[0], np.cumsum(known)])
    at = np.searchsorted(counts.seconds, _starts(airings), side="right") - 1
    inside = (at >= 0) & (_starts(airings) < counts.seconds[-1] + counts.width[-1])
    at = np.maximum(at, 0)
    short = inside & ((seconds[at] < HISTORY) | (bins[at] < HISTORY_BINS))
    if not short.any():
        return []
    names = [
        f"{a} ({seconds[i]:.0f} s, {count_of(int(bins[i]), 'bin')})"
        for a, i in zip(airings["airing"][short], at[short], strict=True)
    ]
    return [
        Finding(
            "warning",
            f"too little history before {count_of(int(short.sum()), 'airing')}",
            _listed(names),
            "the counterfactual is a guess",
            f"give at least {HISTORY:g} s and {HISTORY_BINS} bins of counts before",
        )
    ]


def _overlaps(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    order = np.argsort(_starts(airings), kind="stable")
    start = _starts(airings)[order]
    reach = max(RESPONSE, float(np.median(counts.width)))
    near = np.flatnonzero(np.diff(start) < reach)
    if len(near) == 0:
        return []
    names = airings["airing"].to_numpy()[order]
    pairs = [f"{names[i]} and {names[i + 1]} ({start[i + 1] - start[i]:.0f} s apart)" for i in near]
    return [
        Finding(
            "warning",
            f"{count_of(len(pairs), 'pair')} of airings with overlapping responses",
            _listed(pairs),
            "their credit is shared and less certain than their sum",
            "read them together; space them out next time",
        )
    ]


def _twins(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    del counts
    twin = airings.duplicated(["start", "regions"], keep=False) | airings.duplicated(["airing"], keep=False)
    if not twin.any():
        return []
    return [
        Finding(
            "warning",
            f"{count_of(int(twin.sum()), 'airing')} with the same name, or the same start and regions",
            _listed(airings["airing"][twin]),
            "the same ad may be counted twice; credit cannot be split",
            "keep one row an airing; name the regions of feeds that air at the same time",
        )
    ]


def _widths(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    width = float(np.median(counts.width))
    length = float(np.nanmedian(airings["length_s"])) if "length_s" in airings and len(airings) else 30.0
    if width <= 60:
        return []
    level = "warning" if width > 60 else "note"
    return [
        Finding(
            level,
            f"bins of {width:g} s are wide beside a spot of {length:g} s",
            "all bins",
            "a response of a minute or two is diluted, and its lag cannot be read",
            "export narrower bins, 1 s to 60 s",
        )
    ]


def _clock(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    """Suspicions that the two clocks differ: rises before the start, starts on whole minutes only."""
    start, width = _starts(airings), float(np.median(counts.width))
    out = []
    if width < 30 and len(start) > 1 and not (start % 60).any():
        out.append(
            Finding(
                "warning",
                f"all {len(start)} airings start on a whole minute",
                _listed(airings["airing"]),
                "planned times are minutes off; the response is then sought in the wrong place",
                "use delivered times (as-run to the second)",
            )
        )
    scores, near = early_rises(counts, airings)
    if too_early(scores):
        early = [name for name, score in scores.items() if score > 2]
        out.append(
            Finding(
                "warning",
                f"counts rise in the {near:g} s before airings start",
                _listed(early or scores),
                "the clocks may differ, or something else starts first (a break, a goal)",
                "compare one known moment in both clocks; declare breaks in the context",
            )
        )
    return out


def _low(counts: Counts, airings: pd.DataFrame) -> list[Finding]:
    rate = float(np.nansum(counts.total)) / max(float(counts.width[~np.isnan(counts.total).any(axis=1)].sum()), 1e-9)
    expected = rate * RESPONSE
    if expected >= FEW:
        return []
    return [
        Finding(
            "warning",
            f"low counts: {expected:.1f} expected in {RESPONSE:g} s",
            f"{count_of(len(airings), 'airing')}",
            "only a doubling or more could be seen after one airing",
            "judge several airings together, or use an outcome that is more frequent",
        )
    ]


def _breaks(airings: pd.DataFrame, context: pd.DataFrame) -> list[Finding]:
    start = airings["start"]
    out = []
    for kind, level, what, harm, mend in (
        ("break", "note", "in a declared break", "breaks change behaviour even without the ad; placebos must be breaks",
         "declare the other breaks too, so that they can be compared"),
        ("organic", "warning", "in a declared organic moment", "the surge and the ad overlap and may not be separable",
         "controls or a social feed help"),
    ):  # fmt: skip
        inside = np.zeros(len(airings), bool)
        declared = context[context["kind"] == kind]
        for begin, end in zip(declared["start"], declared["end"], strict=True):
            inside |= np.asarray((start >= begin) & (start < end))
        if inside.any():
            out.append(
                Finding(
                    level,
                    f"{count_of(int(inside.sum()), 'airing')} {what}",
                    _listed(airings["airing"][inside]),
                    harm,
                    mend,
                )
            )
    return out
