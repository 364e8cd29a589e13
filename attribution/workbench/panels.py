"""The panels of the live page as HTML: pure functions of what is known at a moment. All feed text is escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from attribution import __version__
from attribution.figures import between, estimate, figure, interval, lag
from attribution.plotted import SMOOTHED_S
from attribution.sheets import mark
from attribution.verdict import CLAIMS, RUNGS

if TYPE_CHECKING:
    import pandas as pd

    from attribution.stream.engine import Metrics
    from attribution.stream.notices import LogEntry
    from attribution.verdict import Verdict
    from attribution.workbench.look import Look, Revealed

DASH = "—"
STATES = {"LIVE": ("●", "good"), "WAITING": ("○", "muted"), "ENDED": ("■", "muted"), "SILENT": ("▲", "bad")}
"""Mark and colour of the feed's states; any other is a trouble."""
OLD = ("SILENT", "STOPPED", "STALE")
"""States of feed or model in which figures are older than they should be."""
LINES = 60
"""So many lines of the log are shown."""


def verdict_bar(look: Look) -> str:
    """Write the verdict: word, one sentence with its numbers, rung, when it last changed, what would change it."""
    if look.verdict is None:
        stopped = bool(look.trouble) or look.state == "SILENT"
        return bar("waiting", look.waiting, [], claims=False, sign="▲" if stopped else "○")
    facts = []
    if look.changed is not None:
        why = f": {escape(look.change)}" if look.change else ""
        facts = [f"last changed <b>{look.changed:%H:%M:%S}</b> ({ago(look.now - look.changed)}){why}"]
    elif look.first is not None:
        facts = [f"unchanged since the first look at <b>{look.first:%H:%M:%S}</b>"]
    return answer_bar(look.verdict, facts)


def answer_bar(verdict: Verdict, facts: list[str]) -> str:
    """Write a verdict with some more facts (HTML) about it."""
    rung = [f"<b>RUNG {verdict.rung}/5</b> {escape(RUNGS[verdict.rung])}"] if verdict.rung else []
    change = [f"what would change it: {escape(verdict.would_change[0])}"] if verdict.would_change else []
    return bar(verdict.word, verdict.sentence, [*rung, *facts, *change], claims=verdict.word in CLAIMS)


def bar(word: str, sentence: str, facts: list[str], *, claims: bool, sign: str = "") -> str:
    """Write the bar itself: a word with its mark, a sentence, facts (HTML); yellow at its side where it claims.

    ``sign`` stands in the place of the word's own mark where the word is no verdict.
    """
    return (
        f'<section class="ec panel verdict{" claims" if claims else ""}" aria-label="Verdict">'
        f'<div class="word"><i aria-hidden="true">{sign or mark(word)}</i>{escape(word)}</div><div>'
        f'<p class="sentence">{escape(sentence)}</p><p class="facts">{" · ".join(facts)}</p></div></section>'
    )


def event_header(look: Look, *, waiting: int = 0, past: bool = False) -> str:
    """Write the event, the engine's version, the measured lag of the stream, the clocks, the state and the time.

    Parameters
    ----------
    waiting
        Alerts that nobody has acknowledged.
    past
        Whether a moment of the past is shown.
    """
    event = look.event
    model = f"CAUSAL_ANALYSIS::<b>{look.model_state}</b>"
    locked = '<b class="good">■ LOCKED</b>' if look.plan is not None else "○ OPEN"
    calls = (
        f'<b class="{"bad" if waiting else "muted"}">{"▲ " * bool(waiting)}{waiting} ALERT{"S" * (waiting != 1)}</b>'
    )
    stale = ' data-old="yes"' if old(look) else ""
    state = '<b class="effect">◀ PAST</b>' if past else _state(look.state)
    return (
        f'<header class="ec event"{stale}><h1>{escape(event.advertiser)} · {escape(event.title)}'
        f"<span>LIVE_ENGINE v{__version__}</span></h1>"
        "<div "
        f'class="status"><span>{state}</span><span>{_sync(look.metrics)}</span><span>{_clock(look.clock_sd)}</span>'
        f'<span>{model}</span><span>{locked} · <span data-own="calls">{calls}</span></span>'
        f"<span><b>{look.now:%H:%M:%S}</b> UTC</span></div></header>"
    )


def old(look: Look) -> bool:
    """Say whether the figures are older than they should be: the feed or the model stands still, against its plan."""
    return look.state in OLD or look.model_state in OLD


def _clock(sd: float) -> str:
    told = "the clock of the airings against that of the conversions: offset 0 ± one sd, which the lag takes in"
    value = f"0 ± {sd:.1f} s" if math.isfinite(sd) else DASH
    return f'CLOCK <b title="{told}">{value}</b>'


def _state(state: str) -> str:
    sign, colour = STATES.get(state, ("▲", "bad"))
    return f'<b class="{colour}">{sign} {escape(state)}</b>'


def _sync(metrics: Metrics) -> str:
    if not math.isfinite(metrics.latency_p50_ms):
        return f'STREAM_SYNC <b title="no event has arrived yet">{DASH}</b>'
    told = lag(metrics.latency_p50_ms, metrics.latency_p95_ms)
    return f'STREAM_SYNC <b title="from an event to its count, median / 95th percentile of the last 10 s">{told}</b>'


def chart_key(*, smoothed: bool = True) -> str:
    """Write the key of the velocity chart with the lines and areas that it explains."""
    observed = f"observed, {SMOOTHED_S}-s mean" if smoothed else "observed"
    return (
        f'<div class="ec key"><span><i class="line"></i>{observed}</span>'
        '<span><i class="dash"></i>counterfactual, its band</span><span><i class="area"></i>incremental</span></div>'
    )


def log(entries: list[LogEntry], known: int) -> str:
    """Write lines of the log, newest first; ``known`` is how many there are in all."""
    rows = "".join(
        f"<li><time>{entry.time:%H:%M:%S}</time><span class='kind'>{escape(entry.kind)}</span>"
        f"<span>{escape(entry.text)}</span></li>"
        for entry in entries[:LINES]
    )
    shown = "" if len(entries) == known else f"<p class='said'>{len(entries)} of {known} lines match.</p>"
    empty = "" if known else '<p class="said">Nothing has changed its state yet.</p>'
    lines = f'<ul class="log" tabindex="0" aria-label="Log of state changes">{rows}</ul>' if rows else ""
    return f'<div class="ec">{lines}{shown}{empty}</div>'


def truth(look: Look) -> str:
    """Reveal the simulator's truth beside the estimate, once the airing's window is over."""
    rows = []
    for item in (one for one in look.finished if math.isfinite(one.truth)):
        ends = (item.lower, item.upper)
        told = (
            f"true incremental <b>{figure(item.truth, 'count', ends)}</b>, estimated "
            f"<b>{figure(item.estimate, 'count', ends)}</b>"
        )
        rows.append(f"<b>{escape(item.airing)}</b>: {told} {_inside(item)}")
    if not rows:
        rows = ["this event is simulated, so its truth is known: it is shown here when an airing's window is over"]
    return f'<div class="ec truth">REVEALED TRUTH · {"<br>".join(rows)}</div>'


def _inside(item: Revealed) -> str:
    if not math.isfinite(item.lower + item.upper):
        return "without an interval"
    span = between(item.lower, item.upper, "count")
    if item.lower <= item.truth <= item.upper:
        return f'({span}) <b class="good">● inside the interval</b>'
    return f'({span}) <b class="bad">▲ outside the interval</b>'


def lead(text: str) -> str:
    """Write a sentence that stands where a panel has nothing to show yet."""
    return f'<div class="ec"><p class="lead muted">{escape(text)}</p></div>'


def chart_words(look: Look) -> str:
    """Say what the velocity chart shows, for those who hear it."""
    span = f"{look.span[0]:%H:%M:%S} to {look.span[1]:%H:%M:%S} UTC"
    seen = f"Conversions a second from {span}: {_said(look.rate_now)} now, at most {_said(look.rate_peak)}."
    if not math.isfinite(look.expected_now):
        return escape(f"{seen} There is no counterfactual yet.")
    told = f"{seen} Without the ad {_said(look.expected_now)} are expected now."
    if look.row is not None and math.isfinite(look.row["incremental"]):
        amount = estimate(look.row, "incremental", "count")
        told += f" Between them lie {amount} conversions since {look.row['airing']} began."
    return escape(told)


def path_words(look: Look) -> str:
    """Say what the path of the e-value shows."""
    row = look.row
    if row is None:
        return "There is no e-value yet."
    crossed = "has not crossed" if look.passed_s is None else f"first crossed at +{look.passed_s:.0f} s"
    value = figure(row["e_value"], "evidence")
    return escape(
        f"The e-value of {row['airing']} stands at {value}; it {crossed} the line of {1 / look.settings.alpha:g}."
    )


def path_note(look: Look) -> str:
    """Write when the path crossed, and where convergence of chains would be told."""
    row = look.row
    passed = "not crossed yet" if look.passed_s is None else f"crossed at +{look.passed_s:.0f} s"
    value = "" if row is None else f"e-value {figure(row['e_value'], 'evidence')}, {passed}. "
    rest = "R-hat belongs to a sampled posterior, which this test has none of: see Tune."
    return f'<div class="ec"><p class="said">{value}{rest}</p></div>'


def amount_words(look: Look) -> str:
    """Say what the amount over time shows."""
    if look.row is None:
        return "There is no amount yet."
    ends = interval(look.row, "incremental", "count")
    return escape(
        f"Incremental so far {estimate(look.row, 'incremental', 'count')}, now {ends}; its band holds at all looks."
    )


def response_words(look: Look) -> str:
    """Say what the response chart shows."""
    if look.row is None:
        return "There is no response yet."
    ends = interval(look.row, "response_peak", "seconds")
    return escape(f"Responses come fastest {estimate(look.row, 'response_peak', 'seconds')} after delivery ({ends}).")


def _said(rate: float) -> str:
    return f"{rate:,.1f}" if math.isfinite(rate) else "an unknown number"


def title(name: str, right: str = "") -> str:
    """Write a panel's title with a word on the right."""
    return f'<div class="head"><h2>{escape(name)}</h2><span class="muted">{escape(right)}</span></div>'


def level(look: Look) -> str:
    """Write the level of the intervals."""
    return f"{1 - look.settings.alpha:.0%}"


def clock(seconds: float) -> str:
    """Write seconds as a countdown.

    Examples
    --------
    >>> clock(209.4), clock(3675)
    ('3:29', '1:01:15')
    """
    whole = max(0, math.floor(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def ago(span: pd.Timedelta) -> str:
    """Write how long ago something was.

    Examples
    --------
    >>> import pandas as pd
    >>> ago(pd.Timedelta("43s")), ago(pd.Timedelta("7min"))
    ('43 s ago', '7 min ago')
    """
    seconds = max(0.0, span.total_seconds())
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"


def short(value: float) -> str:
    """Write a large number shortly.

    Examples
    --------
    >>> short(18_400_000), short(12_300), short(950)
    ('18.4M', '12.3K', '950')
    """
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:,.0f}"
