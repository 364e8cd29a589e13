"""The tables beside the answer as HTML, where they have rows: regions, shares, gap, money, pairs, bounds, the plan."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attribution.figures import between, estimate, figure, html_table, interval
from attribution.frames import ONSET
from attribution.money import DOUBT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from attribution.analysis import Analysis

WHOLE = "The schedule as a whole"
"""Heading of the sums of a dense schedule, which stand before its airings."""
MOST = 12
"""So many airings or pairs are written out; the tables of the analysis hold them all."""


def details(result: Analysis) -> dict[str, str]:
    """Write what stands beside the table of airings.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.

    Returns
    -------
    dict
        Heading -> HTML, in the order of reading; what has no rows is left out.
    """
    written = {
        WHOLE: _groups(result.groups),
        "Regions": _regional(result.regional),
        "Shares of the incremental": _shares(result.shares),
        "Causal gap": _gap(result.gap),
        "Money": _money(result.money, result.airings),
        "Airings that cannot be told apart": _together(result.together),
        "If more was lost than was counted": _bounds(result.bounds),
        "The locked plan": _plan(result.plan_notes),
    }
    return {name: html for name, html in written.items() if html}


def _groups(groups: pd.DataFrame) -> str:
    """Write the sums of a dense schedule: the whole first, then by what airings have in common."""
    if groups.empty:
        return ""
    rows = [
        (
            f"{escape(str(row['category'] or row['dimension']))}<small>{escape(str(row['dimension']))}</small>",
            f"{row['airings']:,.0f}",
            _banded(row, "incremental", "count", low="lower", high="upper"),
            figure(row["p"], "probability"),
            escape(str(row["verdict"])),
        )
        for row in groups.to_dict("records")
    ]
    said = "Each sum against the same schedule shifted to where it did not run: p is the share of shifts that reach it."
    return _table(("Group", "Airings", "Incremental", "Placebo p", "Verdict"), rows, said, most=len(rows))


def _regional(regional: pd.DataFrame) -> str:
    """Write what each region added in the airing's window."""
    rows = [
        (
            f"{escape(str(row['region']))}<small>{escape(str(row['airing']))}</small>",
            "ran there" if row["exposed"] else "spared",
            figure(row["counterfactual"], "plain"),
            *(
                f"{figure(row[name], kind)}<small>{interval(row, name, kind)}</small>" if row["exposed"] else "—"
                for name, kind in (("incremental", "count"), ("lift", "percent"))
            ),
        )
        for row in regional.to_dict("records")
    ]
    said = "The regions share one response; a region that was spared shows what would have come anyway."
    return _table(("Region", "The ad", "Without the ad", "Incremental", "Lift"), rows, said)


def _shares(shares: pd.DataFrame) -> str:
    """Write who brought the incremental, beside the mix of everything counted."""
    if shares.empty:
        return ""
    known = shares[shares["category"] != "all"]
    rows = [
        (
            escape(str(row["category"])) + f"<small>{escape(', '.join((row['dimension'], row['airing'])))}</small>",
            f"{row['share']:.0%}<small>{row['lower']:.0%} to {row['upper']:.0%}</small>",
            f"{row['raw']:.0%}",
        )
        for row in known.dropna(subset="share").to_dict("records")
    ]
    said = "Of what came beyond the counterfactual; beside it the mix of everything counted in the window."
    return _table(("Category", "Share of the incremental", "Raw mix"), rows, said)


def _gap(gap: pd.DataFrame) -> str:
    """Write the seconds from having seen the ad to the response."""
    if gap.empty:
        return ""
    names = ("onset", "mode", "mean")
    rows = []
    for airing, part in gap.groupby("airing", sort=False):
        known = {row["what"]: row for row in part.to_dict("records")}
        cells = (_banded(known[name], "seconds", "seconds", low="lower", high="upper") for name in names)
        rows.append((escape(str(airing)), *cells))
    said = (
        f"From having seen the ad to the response: at the onset the first {ONSET:.0%} of the responses have come, at "
        "the mode they come fastest."
    )
    return _table(("Airing", "Onset", "Mode", "Mean"), rows, said)


def _money(money: pd.DataFrame, airings: pd.DataFrame) -> str:
    """Write what an airing brought for what it cost; nothing where nobody said what any of them cost."""
    if money.empty or money["status"].str.startswith("spend").all():
        return ""
    kinds = {"cost per incremental": "amount", "iroas": "ratio", "roi": "ratio"}
    spend = airings.drop_duplicates("airing").set_index("airing")["spend"]
    rows = []
    for airing, part in money.groupby("airing", sort=False):
        known = {row["what"]: row for row in part.to_dict("records")}
        cells = [_banded(known[what], "value", kind, low="lower", high="upper") for what, kind in kinds.items()]
        rows.append((escape(str(airing)), figure(spend[airing], "amount"), *cells))
    said = (
        "Cost per incremental = spend / incremental, not estimable while P(incremental ≤ 0) is over "
        f"{DOUBT:.0%}; iROAS = incremental × value / spend; ROI = iROAS × margin − 1."
    )
    return _table(("Airing", "Spend", "Cost per incremental", "iROAS", "ROI"), rows, said)


def _together(together: pd.DataFrame) -> str:
    """Write the pairs that the data cannot tell apart, with their sum."""
    pairs = together.drop_duplicates(["airing", "other"]) if len(together) else together
    rows = [
        (
            f"{escape(str(row['airing']))}<br>{escape(str(row['other']))}",
            f"{row['correlation']:.2f}".replace("-", "−"),
            _banded(row, "incremental", "count", low="lower", high="upper"),
        )
        for row in pairs.to_dict("records")
    ]
    said = "What one of them gains the other loses: the sum is known better than either."
    return _table(("Pair", "Correlation", "Together"), rows, said)


def _bounds(bounds: pd.DataFrame) -> str:
    """Write how far an interval may move where nobody counted what was lost."""
    rows = [
        (
            escape(str(row["airing"])),
            f"{row['loss']:.1%}",
            between(row["lower"], row["upper"], "count"),
        )
        for row in bounds.to_dict("records")
    ]
    said = "What part of the data lost is unknown; had it lost so much, the interval would lie within these ends."
    return _table(("Airing", "Lost", "Incremental within"), rows, said)


def _plan(notes: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(note)}</li>' for note in notes)}</ul>" if notes else ""


def _banded(row: dict, name: str, kind: str, *, low: str, high: str) -> str:
    """Write a figure with its interval in small; an unknown one with the reason that the row gives."""
    ends = {name: row[name], f"{name}_lower": row[low], f"{name}_upper": row[high]}
    text, span = estimate(ends, name, kind), interval(ends, name, kind)
    small = span or escape(str(row.get("status", "")))
    return f"{text}<small>{small}</small>" if small else text


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], said: str, *, most: int = MOST) -> str:
    """Write a table and what it says; nothing without rows, the first of too many."""
    if not rows:
        return ""
    left = f" The first {most} of {len(rows):,} stand here." if len(rows) > most else ""
    return f'{html_table(heads, rows[:most])}<p class="said muted">{escape(said)}{left}</p>'


def provenance(result: Analysis) -> dict[str, str]:
    """Say what an answer was made of, so that it can be made again: versions, hashes, seeds.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.

    Returns
    -------
    dict
        Name -> text, in the order of reading.
    """
    given = result.given
    plan = None if given is None else given.plan
    groups = max(int(result.total["group"].nunique()) if len(result.total) else 0, 1)
    seeds = "0" if groups == 1 else f"0 to {groups - 1}"
    hashed = {
        "Answer": f"{result.fingerprint} (data, settings and version)",
        "Data": "not kept" if given is None else f"{given.counts.fingerprint} (counts)",
        "Plan": "none was locked" if plan is None else f"SHA-256 {plan.sha256 or 'none, a draft'}, {plan.locked_at}",
        "Version": f"Event Command {result.version}",
        "Seeds": f"{seeds} of the bands' draws, one a group of airings; everything else is exact",
        "Data to": "no data" if result.as_of != result.as_of else f"{result.as_of:%Y-%m-%d %H:%M:%S} UTC",
        "Intervals": f"{1 - result.alpha:.0%}",
    }
    return {name: text.removesuffix(", ") for name, text in hashed.items()}
