"""The figures of the live page as HTML: five cards, and those above the velocity chart."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from attribution.figures import estimate, figure, interval
from attribution.health import worst
from attribution.workbench.panels import DASH, clock, level, short
from attribution.workbench.sight import AGO_MIN

if TYPE_CHECKING:
    from attribution.workbench.look import Look

SOUND, FAIR = 90.0, 60.0
"""A health of 90 and more is OPTIMAL, of 60 and more FAIR, below that DEGRADED."""


NAMES = ("countdown", "audience", "roi", "gap", "health")
"""The five figures of the top row, in their order."""


def cards(look: Look) -> dict[str, str]:
    """Write the five figures of the top row by name; each unknown one is a dash with its reason."""
    return {
        "countdown": _countdown(look),
        "audience": _audience(look),
        "roi": _roi(look),
        "gap": _gap(look),
        "health": _health(look),
    }


def card(name: str, value: str, note: str, *, state: str = "", extra: str = "", colour: str = "") -> str:
    """Write one figure (HTML): its name, its value, what it means."""
    steady = f'<em title="whether it has settled over the last 30 s">{state}</em>' if state else ""
    return (
        f'<div class="ec kpi" role="group" aria-label="{name.replace("_", " ")}"><div class="cap"><span>{name}</span>'
        f'{steady}</div><div class="value {colour}">{value}</div><div class="note">{note}</div>{extra}</div>'
    )


def _countdown(look: Look) -> str:
    name, upcoming = "Next_commercial_spike", look.upcoming
    if upcoming is not None:
        left = (upcoming.start - look.now).total_seconds()
        share = np.clip((look.now - upcoming.since) / (upcoming.start - upcoming.since), 0, 1)
        track = f'<div class="track"><i style="width:{share:.0%}"></i></div>'
        note = f"<b>{escape(upcoming.name)}</b>, {upcoming.length_s:g} s, scheduled {upcoming.start:%H:%M:%S}"
        return card(name, clock(left), note, extra=track, colour="effect")
    ahead = look.forecast
    if ahead is None or look.state == "ENDED":
        over = (
            "the event is over" if look.state == "ENDED" else "nothing is on the schedule, too few breaks to foretell"
        )
        return card(name, "unscheduled", over)
    record = f"held {ahead.inside} of {ahead.tried} times so far" if ahead.tried else "none to check it by yet"
    note = f"<b>predicted</b>, 80% between {clock(ahead.lower)} and {clock(ahead.upper)}; {record}"
    return card(name, f"~{clock(ahead.seconds)}", note, colour="effect")


def _audience(look: Look) -> str:
    viewers, change, since = look.viewers
    if not math.isfinite(viewers):
        return card("Live audience", DASH, "there is no audience feed, or it has not spoken yet")
    line = _line(look.audience)
    if not math.isfinite(change):
        return card("Live audience", short(viewers), f"no figure {since} min ago to compare with", extra=line)
    colour, sign = ("good", "▲") if change >= 0 else ("bad", "▼")
    moved = f'<b class="{colour}">{sign} {figure(change, "percent")}</b>'
    return card("Live audience", short(viewers), f"{moved} against {since} min ago", extra=line)


def _line(values: tuple[float, ...]) -> str:
    """Draw a small line (an image, for the page strips drawings); its text says where it begins and ends."""
    known = np.array([v for v in values if math.isfinite(v)])
    if len(known) < 3:
        return ""
    span = max(float(np.ptp(known)), 1e-9)
    x = np.linspace(0, 300, len(known))
    y = 26 - 24 * (known - known.min()) / span
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 28" preserveAspectRatio="none">'
        f'<polyline points="{points}" fill="none" stroke="#8A96A3" stroke-width="1.5" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )
    told = f"over {AGO_MIN} minutes from {short(known[0])} to {short(known[-1])} viewers"
    return f'<img class="spark" alt="{told}" src="data:image/svg+xml,{quote(drawing)}">'


def _roi(look: Look) -> str:
    row = look.row
    if row is None or not math.isfinite(row["iroas"]):
        return card("Incremental ROI", DASH, escape(look.why("iroas")))
    state = _steadiness(look, "iroas")
    word = "interval contains break-even"
    if look.counting:
        word = f"so far: {look.counting}"
    elif row["roi_lower"] > 0:
        word = '<b class="good">● OPTIMAL</b> ROI above 0 in the whole interval'
    elif row["roi_upper"] < 0:
        word = '<b class="bad">▲ LOSS</b> ROI below 0 in the whole interval'
    chance = f"P(ROI &gt; 0) <b>{figure(look.chance, 'probability')}</b>" if math.isfinite(look.chance) else ""
    note = f"iROAS, {level(look)} {interval(row, 'iroas', 'ratio')}<br>{word}{'<br>' * bool(chance)}{chance}"
    return card("Incremental ROI", estimate(row, "iroas", "ratio"), note, state=state)


def _gap(look: Look) -> str:
    row = look.row
    if row is None or not math.isfinite(row["response_peak"]):
        return card("Causal gap", DASH, escape(look.why("response_peak")))
    onset = f"<br>first responses {figure(look.gap['onset'], 'seconds')}" if "onset" in look.gap else ""
    onset += f", mean {figure(look.gap['mean'], 'seconds')}" if "mean" in look.gap else ""
    note = f"delivered airing to peak response, {level(look)} {interval(row, 'response_peak', 'seconds')}{onset}"
    return card("Causal gap", estimate(row, "response_peak", "seconds"), note, state=_steadiness(look, "response_peak"))


def _health(look: Look) -> str:
    low = worst(look.health)
    if low is None:
        return card("Model health", DASH, "no part of it has been measured yet")
    word = '<b class="good">● OPTIMAL</b>' if low.score >= SOUND else '<b class="bad">▲ DEGRADED</b>'
    word = "<b>◐ FAIR</b>" if FAIR <= low.score < SOUND else word
    known = [part for part in look.health if math.isfinite(part.score)]
    bars = "".join(f'<i title="{part.name} {part.score:.1f}" style="width:{part.score:.0f}%"></i>' for part in known)
    rank = f"worst of {len(known)} known parts" if len(known) > 1 else "the one known part"
    note = f"{word} {rank}: {low.name}"
    return card("Model health", f"{low.score:.1f}%", note, extra=f'<div class="parts">{bars}</div>')


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
    row = look.row
    cells = [
        ("Now", _rate(look.rate_now), ""),
        ("Peak conv/sec", _rate(look.rate_peak), ""),
        ("Counterfactual", _rate(look.expected_now), "blue"),
    ]
    if row is not None and math.isfinite(row["incremental"]):
        span = f"<small>{level(look)} {interval(row, 'incremental', 'count')}</small>"
        span += f"<small>{look.counting}</small>" if look.counting else ""
        cells.append(("Incremental conv", f"{estimate(row, 'incremental', 'count')} {span}", "effect"))
        cells.append(("P(lift &gt; 0 | model)", figure(row["probability_positive"], "probability"), ""))
        cells.append(("e-value", figure(row["e_value"], "evidence"), ""))
        cells.append(("Always-valid p", figure(row["anytime_p"], "probability"), ""))
    else:
        cells.append(("Incremental conv", f"{DASH} <small>{escape(look.why('incremental'))}</small>", ""))
    body = "".join(
        f'<div role="group" aria-label="{n}"><div class="cap">{n}</div><div class="value {c}">{v}</div></div>'
        for n, v, c in cells
    )
    return f'<div class="ec figures">{body}</div>'


PARTS = {"baseline": "baseline", "break": "break", "organic": "organic surge", "ad": "the ad"}
"""Part of a window's conversions -> how it is called."""


def split(look: Look) -> str:
    """Write what the conversions of the current window come from: a bar, and its parts in words."""
    if not look.split:
        return '<div class="ec split"></div>'
    whole = sum(max(value, 0.0) for value in look.split.values())
    bars, words = "", []
    ends = None if look.row is None else (look.row["incremental_lower"], look.row["incremental_upper"])
    for name, value in look.split.items():
        share = max(value, 0.0) / whole if whole > 0 else 0.0
        bars += f'<i class="{name}" style="width:{share:.1%}"></i>'
        kind = "plain" if name == "baseline" else "count"
        written = figure(value, kind, ends)
        words.append(f'<span><i class="{name}"></i>{PARTS[name]} <b>{written}</b></span>')
    head = '<span class="cap">This window\'s conversions come from</span>'
    body = f'<div class="bar" aria-hidden="true">{bars}</div><div class="of">{"".join(words)}</div>'
    return f'<div class="ec split" role="group" aria-label="What the conversions come from">{head}{body}</div>'


def _rate(value: float) -> str:
    return f"{value:,.1f} <small class='unit'>/s</small>" if math.isfinite(value) else DASH
