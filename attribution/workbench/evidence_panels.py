"""The panels of the evidence page as HTML: pure functions of what was found. All text from data is escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from attribution.figures import between, estimate, figure, html_table
from attribution.sentences import duration, odds, percent
from attribution.workbench import panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from attribution.exhibits import FeedView, Followed, Milestone
    from attribution.lab import Lab
    from attribution.verdict import Verdict

NAMES = {
    "baseline": ("Baseline", "what came anyway"),
    "break": ("Break", "what declared breaks do by themselves"),
    "organic": ("Organic", "the surge that the feed shows, and declared moments"),
    "ad": ("Ad", "what the airing added"),
}
"""What a second is made of, and what each part is."""
KINDS = {"baseline": "plain"}
"""How a part is written: what came anyway has no sign."""
WORLDS = 5
"""So many worlds are named."""


def case_html(verdict: Verdict) -> str:
    """Write one side after the other: for, against, and what would change the answer."""
    parts = (
        ("For", verdict.evidence_for, "Nothing speaks for an effect of the ad."),
        ("Against", verdict.evidence_against, "Nothing that was looked at speaks against it."),
        ("What would change it", verdict.would_change, "Nothing that the data could show."),
    )
    return '<div class="court">' + "".join(_side(*part) for part in parts) + "</div>"


def _side(name: str, sentences: Sequence[str], none: str) -> str:
    rows = "".join(f"<li>{escape(text)}</li>" for text in sentences)
    body = f"<ul>{rows}</ul>" if rows else f'<p class="said">{none}</p>'
    return f"<div>{panels.title(name, str(len(sentences)) if sentences else '')}{body}</div>"


def parts_html(told: pd.Series, window_s: float, *, known: bool) -> str:
    """Write what the conversions of the window are made of; ``known``: whether the window is whole."""
    without = float(told["expected"] - told["ad"])
    rows = [
        (f"{name}<small>{said}</small>", figure(told[part], KINDS.get(part, "count")), _share(told[part], without))
        for part, (name, said) in NAMES.items()
    ]
    rows.append(("Together<small>expected with the ad</small>", figure(told["expected"], "plain"), ""))
    rows.append(("Observed", figure(told["observed"], "plain"), ""))
    rows.append(("Left over", figure(told["left"], "count"), _share(told["left"], without)))
    said = f"In the {duration(window_s)} after the start, in the regions that saw it, at the middle of the posterior."
    foot = "" if known else " The window is not over."
    table = html_table(("Part", "Conversions", "Of all without the ad"), rows)
    return f'{table}<p class="said">{said}{foot}</p>'


def _share(value: float, whole: float) -> str:
    return figure(value / whole, "percent") if whole > 0 else panels.DASH


def dispersion_html(table: pd.DataFrame, learnt: float) -> str:
    """Say what the dispersion shows."""
    if table.empty:
        return '<p class="said">There are too few bins to say how far the counts lie from the model.</p>'
    last, first = table.iloc[-1], table.iloc[0]
    over = table[table["model"] > table["high"]]
    where = ", ".join(duration(scale) for scale in over["scale_s"])
    state = (
        '<b class="good">● nothing left over</b> at any scale'
        if over.empty
        else f'<b class="bad">▲ more is left over</b> at {where} than counting explains'
    )
    ends = [f"at {duration(row['scale_s'])}" for row in (first, last)]
    return (
        f'<p class="said">{state}. Around a straight line the variance is {first["line"]:.2g} × the mean {ends[0]} and '
        f"{last['line']:.3g} × {ends[1]}: the rate wanders. Around the model it is {first['model']:.2g} × and "
        f"{last['model']:.2g} ×; a bin's own noise was learnt as {learnt:.2f} ×. Below the band the path of the model "
        "follows the counts themselves.</p>"
    )


def controls_html(found: Followed) -> str:
    """Say whether the controls followed the exposed regions."""
    trust = found.trust
    names = escape(", ".join(found.controls))
    if not math.isfinite(trust.ratio):
        return f'<p class="said">○ {names}: too few conversions before the airing to test whether they follow.</p>'
    state = '<b class="good">● credible</b>' if trust.credible else '<b class="bad">▲ not credible</b>'
    rows = [
        (f"{block_s:g} s", f"{ratio:.2f}", figure(p, "probability"), f"{steps:,.0f}")
        for block_s, ratio, p, steps in found.blocks.itertuples(index=False)
    ]
    table = html_table(("Blocks of", "Dispersion", "p", "Steps"), rows)
    said = (
        f"{names}: {state}. Dispersion is what the share of the exposed regions did before the airing over what counts "
        f"and the regions' learnt wandering explain; 1 is expected. The worst, {trust.ratio:.2f} in blocks of "
        f"{duration(trust.block_s)}, has p {figure(trust.p, 'probability')} among {len(rows)} lengths."
    )
    return f'<p class="said">{said}</p>{table}'


def milestones_html(sentence: str, told: Sequence[Milestone]) -> str:
    """Write when what could have been known."""
    rows = "".join(f"<li><b>+{one.lag_s:.0f} s</b> {escape(one.what)}</li>" for one in told)
    return f'<p class="lead">{escape(sentence)}</p><ul class="steps">{rows}</ul>'


def feed_html(found: FeedView | None, why: str, *, decided_s: float) -> str:
    """Say what the feed showed; ``decided_s`` is when the test had passed, NaN if it never did."""
    if found is None:
        return f'<p class="said">{escape(why)}</p>'
    if math.isfinite(found.rise_s):
        side = "after" if found.rise_s >= 0 else "before"
        rise = f"The feed rose beyond its own history {abs(found.rise_s):.0f} s {side} the start of the airing"
    else:
        rise = "The feed never rose beyond its own history"
    peak = f", at most {percent(found.peak)} over its usual level" if math.isfinite(found.peak) else ""
    first = ""
    if math.isfinite(decided_s) and math.isfinite(found.rise_s):
        first = (
            " The test had passed before the feed rose."
            if decided_s < found.rise_s
            else " The feed had risen when the test passed."
        )
    return (
        f'<p class="said">{rise}{peak}.{first} The model reads <b>{figure(found.explained, "count")}</b> organic '
        "conversions of the window off it: they are not the ad's.</p>"
    )


def worlds_html(worlds: pd.DataFrame, explained: str, log_e: float) -> str:
    """Write what else the model thought may have moved the counts, and the strongest story without the ad."""
    rows = worlds.sort_values("weight", ascending=False, kind="stable").head(WORLDS)
    body = "".join(
        f'<div class="bar1"><span>{escape(str(row["world"]))}</span><i><u style="width:{row["weight"]:.1%}"></u></i>'
        f"<b>{figure(row['weight'], 'share')}</b></div>"
        for row in rows.to_dict("records")
    )
    told = (
        f'<p class="said">The strongest story without the ad is {escape(explained)}; the data favour one with the ad '
        f"by {odds(log_e)} to 1 over it.</p>"
        if explained
        else ""
    )
    return f'<p class="label">What else may have moved the counts, by its weight</p>{body}{told}'


def lab_html(lab: Lab, regions: bool) -> str:
    """Say how the airing ranks among its placebos."""
    if not lab.n or lab.own is None:
        return f'<p class="said">{escape(lab.sentence)}</p>'
    how = "the same regions spared" if regions else "ranked in its one series"
    own = figure(lab.own["estimate"], "count")
    return (
        f'<p class="lead">{escape(lab.sentence)}</p><p class="said">Every moment was judged as the airing was, {how}, '
        f"with the data ending where its window ends; the airing itself shows {own}. An interval left out zero at "
        f"<b>{lab.false:.0%}</b> of {lab.n} moments where there was nothing to find ({lab.false_lower:.0%} to "
        f"{lab.false_upper:.0%}; the moments overlap, so it is known less well than that).</p>"
    )


def left_out_html(table: pd.DataFrame, sentence: str) -> str:
    """Write the answer without each region."""
    rows = [
        (
            escape(str(row["region"]) or "all regions") + (f"<small>{row['role']}</small>" if row["role"] else ""),
            figure(row["share"], "share"),
            estimate(row, "lift", "percent"),
            escape(str(row["word"])),
        )
        if math.isfinite(row["lift"])
        else (escape(str(row["region"])), f"no answer: {escape(str(row['why']))}")
        for row in table.to_dict("records")
    ]
    heads = ("Left out", "Of the conversions", "Lift", "Word, last look")
    return f'<p class="lead">{escape(sentence)}</p>{html_table(heads, rows)}'


def spanned(row: pd.Series) -> str:
    """Write an estimate with its interval, and whether that leaves out zero."""
    apart = row["lower"] > 0 or row["upper"] < 0
    state = '<b class="bad">▲ a false claim</b>' if apart else '<b class="good">● zero lies inside</b>'
    span = between(row["lower"], row["upper"], "count")
    return f"<b>{figure(row['estimate'], 'count', (row['lower'], row['upper']))}</b> ({span}) {state}"
