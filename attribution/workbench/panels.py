"""The panels of the live page as HTML: pure functions of what is known at a moment. All feed text is escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution import __version__
from attribution.figures import figure, html_table, interval
from attribution.plotted import SMOOTHED_S
from attribution.reports import mark
from attribution.verdict import CLAIMS, RUNGS

if TYPE_CHECKING:
    from attribution.stream.engine import Metrics
    from attribution.verdict import Verdict
    from attribution.workbench.look import Look, Revealed

DASH = "—"
STATES = {"LIVE": ("●", "good"), "WAITING": ("○", "muted"), "ENDED": ("■", "muted")}
"""Mark and colour of the feed's states; any other is a trouble."""
LINES = 60
"""So many lines of the log are shown."""


def verdict_bar(look: Look) -> str:
    """Write the verdict: word, one sentence with its numbers, rung, when it last changed, what would change it."""
    if look.verdict is None:
        return bar("waiting", "The first answer needs a few seconds of data.", [], claims=False)
    facts = []
    if look.changed is not None:
        facts = [f"last changed <b>{look.changed:%H:%M:%S}</b> ({ago(look.now - look.changed)})"]
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


def event_header(look: Look) -> str:
    """Write the event, the engine's version, the measured lag of the stream, the state and the clock."""
    event = look.event
    model = f"CAUSAL_ANALYSIS::<b>{look.model_state}</b>"
    return (
        f'<header class="ec event"><h1>{escape(event.advertiser)} · {escape(event.title)}'
        f"<span>LIVE_ENGINE v{__version__}</span></h1>"
        f'<div class="status"><span>{_state(look.state)}</span><span>{_sync(look.metrics)}</span>'
        f"<span>{model}</span><span><b>{look.now:%H:%M:%S}</b> UTC</span></div></header>"
    )


def _state(state: str) -> str:
    sign, colour = STATES.get(state, ("▲", "bad"))
    return f'<b class="{colour}">{sign} {escape(state)}</b>'


def _sync(metrics: Metrics) -> str:
    if not math.isfinite(metrics.latency_p50_ms):
        return f'STREAM_SYNC <b title="no event has arrived yet">{DASH}</b>'
    lag = f"{metrics.latency_p50_ms:,.0f} / {metrics.latency_p95_ms:,.0f} ms"
    rate = f"{short(metrics.events_per_s)} eps" if math.isfinite(metrics.events_per_s) else DASH
    return (
        f'STREAM_SYNC <b title="from an event to its count, median / 95th percentile of the last 10 s">{lag}</b>'
        f'</span><span>INGEST <b title="events a second over the last 10 s">{rate}</b>'
    )


def kpis(look: Look) -> str:
    """Write the five figures of the top row; each unknown one is a dash with its reason."""
    cards = [_countdown(look), _audience(look), _roi(look), _gap(look), _evidence(look)]
    return f'<div class="ec kpis">{"".join(cards)}</div>'


def _card(name: str, value: str, note: str, *, state: str = "", extra: str = "", colour: str = "") -> str:
    return (
        f'<div class="kpi"><div class="cap"><span>{name}</span><em>{state}</em></div>'
        f'<div class="value {colour}">{value}</div><div class="note">{note}</div>{extra}</div>'
    )


def _countdown(look: Look) -> str:
    upcoming = look.upcoming
    if upcoming is None:
        return _card("Next_commercial_spike", "unscheduled", "no further airing is on the schedule")
    left = (upcoming.start - look.now).total_seconds()
    share = np.clip((look.now - upcoming.since) / (upcoming.start - upcoming.since), 0, 1)
    track = f'<div class="track"><i style="width:{share:.0%}"></i></div>'
    note = f"<b>{escape(upcoming.name)}</b>, {upcoming.length_s:g} s, scheduled {upcoming.start:%H:%M:%S}"
    return _card("Next_commercial_spike", clock(left), note, extra=track, colour="effect")


def _audience(look: Look) -> str:
    viewers, change, since = look.viewers
    if not math.isfinite(viewers):
        return _card("Live audience", DASH, "there is no audience feed, or it has not spoken yet")
    if not math.isfinite(change):
        return _card("Live audience", short(viewers), f"no figure {since} min ago to compare with")
    colour, sign = ("good", "▲") if change >= 0 else ("bad", "▼")
    moved = f'<b class="{colour}">{sign} {figure(change, "percent")}</b>'
    return _card("Live audience", short(viewers), f"{moved} against {since} min ago")


def _roi(look: Look) -> str:
    row = look.row
    if row is None or not math.isfinite(row["iroas"]):
        return _card("Incremental ROI", DASH, escape(look.why("iroas")))
    state = _steadiness(look, "iroas")
    word = "interval contains break-even"
    if look.counting:
        word = f"so far: {look.counting}"
    elif row["roi_lower"] > 0:
        word = '<b class="good">● OPTIMAL</b> ROI above 0 in the whole interval'
    elif row["roi_upper"] < 0:
        word = '<b class="bad">▲ LOSS</b> ROI below 0 in the whole interval'
    note = f"iROAS, {level(look)} {interval(row, 'iroas', 'ratio')}<br>{word}"
    return _card("Incremental ROI", figure(row["iroas"], "ratio"), note, state=state)


def _gap(look: Look) -> str:
    row = look.row
    if row is None or not math.isfinite(row["response_peak"]):
        return _card("Causal gap", DASH, escape(look.why("response_peak")))
    note = f"delivered airing to peak response, {level(look)} {interval(row, 'response_peak', 'seconds')}"
    return _card("Causal gap", figure(row["response_peak"], "seconds"), note, state=_steadiness(look, "response_peak"))


def _evidence(look: Look) -> str:
    row = look.row
    if row is None or not math.isfinite(row["e_value"]):
        return _card("Evidence, e-value", DASH, escape(look.why("e_value")))
    needed = 1 / look.settings.alpha
    passed = look.passed_s
    state = f"{needed:g} is needed" if passed is None else f'<b class="good">● passed {needed:g}</b> at +{passed:.0f} s'
    note = f"{state}, always-valid p {figure(row['anytime_p'], 'probability')}<br>valid however often you look"
    return _card("Evidence, e-value", figure(row["e_value"], "evidence"), note)


def _steadiness(look: Look, name: str) -> str:
    return steadiness([past[name] for past in look.past])


def steadiness(past: list[tuple[float, float, float]]) -> str:
    """Say whether a figure has settled over the last 30 seconds; empty without a finite interval.

    Parameters
    ----------
    past
        (estimate, lower, upper) at looks of the last 30 seconds, oldest first.

    Examples
    --------
    >>> steadiness([(10, 8, 12), (10.2, 8.1, 12.1)]), steadiness([(10, 8, 12), (14, 12, 16)]), steadiness([])
    ('METRIC_STABLE', 'SETTLING', '')
    """
    known = np.array([p for p in past if all(map(math.isfinite, p))], dtype=float)
    if not len(known) or not all(map(math.isfinite, past[-1])):
        return ""
    width = known[:, 2] - known[:, 1]
    moved = np.ptp(known[:, 0]) < 0.25 * width[-1]
    steady = np.ptp(width) < 0.1 * width[-1]
    return "METRIC_STABLE" if len(known) > 1 and moved and steady else "SETTLING"


def hero_figures(look: Look) -> str:
    """Write the figures above the velocity chart."""
    now, peak = look.rate_now, look.rate_peak
    row = look.row
    expected = look.expected_now
    cells = [
        ("Now", _rate(now), ""),
        ("Peak conv/sec", _rate(peak), ""),
        ("Counterfactual", _rate(expected), "blue"),
    ]
    if row is not None and math.isfinite(row["incremental"]):
        span = f"<small>{level(look)} {interval(row, 'incremental', 'count')}</small>"
        span += f"<small>, {look.counting}</small>" if look.counting else ""
        cells.append(("Incremental conv", f"{figure(row['incremental'], 'count')} {span}", "effect"))
        chance = f"{figure(row['probability_positive'], 'probability')} <small>given the model</small>"
        cells.append(("P(lift &gt; 0)", chance, ""))
    else:
        cells.append(("Incremental conv", f"{DASH} <small>{escape(look.why('incremental'))}</small>", ""))
    body = "".join(f'<div><div class="cap">{n}</div><div class="value {c}">{v}</div></div>' for n, v, c in cells)
    return f'<div class="ec figures">{body}</div>'


def chart_key(*, smoothed: bool = True) -> str:
    """Write the key of the velocity chart with the lines and areas that it explains."""
    observed = f"observed, {SMOOTHED_S}-s mean" if smoothed else "observed"
    return (
        f'<div class="ec key"><span><i class="line"></i>{observed}</span>'
        '<span><i class="dash"></i>counterfactual, its band</span><span><i class="area"></i>incremental</span></div>'
    )


def _rate(value: float) -> str:
    return f"{value:,.1f} <small>/s</small>" if math.isfinite(value) else DASH


def regions(look: Look) -> str:
    """Write the regional matrix: share of traffic, role, observed against counterfactual since the airing began."""
    head = title("Regional matrix", look.span_words)
    heads = ("Region", "Role", "Traffic", "Observed", "Counterfactual", "Difference")
    return f'<div class="ec">{head}{html_table(heads, map(_region, look.regions.to_dict("records")))}</div>'


def _region(row: dict) -> list[str]:
    """Write the cells of a region."""
    span = interval(row, "counterfactual", "plain")
    return [
        escape(row["region"]),
        "● exposed" if row["exposed"] else "○ control",
        _share(row["traffic"]),
        figure(row["observed"], "plain"),
        f'<span class="blue">{figure(row["counterfactual"], "plain")}</span><small>{span}</small>',
        figure(row["difference"], "count"),
    ]


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else DASH


def log(look: Look) -> str:
    """Write the log of state changes, newest first."""
    rows = "".join(
        f"<li><time>{entry.time:%H:%M:%S}</time><span class='kind'>{escape(entry.kind)}</span>"
        f"<span>{escape(entry.text)}</span></li>"
        for entry in look.log[:LINES]
    )
    head = title("Telemetry_stream", f"{len(look.log)} state change{'s' * (len(look.log) != 1)}")
    return f'<div class="ec">{head}<ul class="log" tabindex="0" aria-label="Log of state changes">{rows}</ul></div>'


def truth(look: Look) -> str:
    """Reveal the simulator's truth beside the estimate, once the airing's window is over."""
    rows = []
    for item in look.finished:
        told = (
            f"true incremental <b>{figure(item.truth, 'count')}</b>, estimated <b>{figure(item.estimate, 'count')}</b>"
        )
        rows.append(f"<b>{escape(item.airing)}</b>: {told} {_inside(item)}")
    if not rows:
        rows = ["this event is simulated, so its truth is known: it is shown here when an airing's window is over"]
    return f'<div class="ec truth">REVEALED TRUTH · {"<br>".join(rows)}</div>'


def _inside(item: Revealed) -> str:
    if not math.isfinite(item.lower + item.upper):
        return "without an interval"
    span = f"{figure(item.lower, 'count')} to {figure(item.upper, 'count')}"
    if item.lower <= item.truth <= item.upper:
        return f'({span}) <b class="good">● inside the interval</b>'
    return f'({span}) <b class="bad">▲ outside the interval</b>'


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
