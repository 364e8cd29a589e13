"""How do we know: formula, inputs and time of every figure of the live page; and the texts of the protocol."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from attribution.figures import estimate, figure, interval, lag
from attribution.health import worst
from attribution.moves import shown
from attribution.sentences import needed
from attribution.stream.lags import GOOD_MS, OPTIMAL_MS
from attribution.workbench.panels import DASH, level

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.workbench.look import Look


class Why(NamedTuple):
    """What stands behind a figure."""

    name: str
    formula: str
    """In words and signs."""
    inputs: tuple[tuple[str, str], ...]
    """Name and value, as they stood when the figure was worked out."""
    model: bool = True
    """Whether the model said it (else the engine counted it)."""


def why_html(why: Why, look: Look) -> str:
    """Write it: formula, inputs, and when it was worked out."""
    as_of = look.now if not why.model or look.result is None else look.result.as_of
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in why.inputs)
    by = "the model, on everything received by" if why.model else "the engine, as of"
    return (
        f'<div class="ec why"><p class="label">How do we know · {escape(why.name)}</p><p>{escape(why.formula)}</p>'
        f'<dl>{rows}</dl><p class="from">{by} {as_of:%H:%M:%S} UTC</p></div>'
    )


def reasons(look: Look) -> dict[str, Why]:
    """Return what stands behind each figure and panel, by name."""
    return {**_engine(look), **_model(look), **_parts(look), **_evidence(look)}


def _engine(look: Look) -> dict[str, Why]:
    m, upcoming, ahead = look.metrics, look.upcoming, look.forecast
    if upcoming is not None:
        due = (("next airing", f"{upcoming.name}, {upcoming.start:%H:%M:%S} UTC"), ("now", f"{look.now:%H:%M:%S} UTC"))
        told = "Start of the next airing on the schedule less the time of the feed. It is also the deadline for a plan."
    else:
        held = DASH if ahead is None else f"{ahead.inside} of {ahead.tried}"
        due = (("breaks foretold inside their 80%", held),)
        told = (
            "No airing is left on the schedule. The log of the gaps between this broadcast's breaks gives a Student "
            "t for "
            "the next one, cut to what is longer than the time since the last."
        )
    viewers = figure(look.viewers[0], "plain")
    return {
        "countdown": Why("next commercial spike", told, due, model=False),
        "audience": Why(
            "live audience",
            "Sum over regions of the latest figures of the audience feed; the change is against the same sum "
            f"{look.viewers[2]} minutes earlier. It is the exposure of the regions, not a result.",
            (("viewers", viewers), ("change", figure(look.viewers[1], "percent"))),
            model=False,
        ),
        "integrity": Why(
            "stream integrity",
            "Accuracy = events counted once / (counted once + missing by their numbers). Load = share of the last 10 "
            "s in "
            "which the engine was busy; what it could take = events a second / load. Latency = event's time to its "
            "count.",
            (
                ("counted once", f"{m.received:,}"),
                ("missing by their numbers", f"{m.dropped:,}"),
                ("repeated", f"{m.duplicate:,}"),
                ("counted late", f"{m.late:,}"),
                ("load", figure(m.load, "probability")),
            ),
            model=False,
        ),
        "deployment": Why(
            "deployment",
            "Lag of a region = time of the feed when an event is taken in less the event's own time, over the last "
            "100 "
            f"deliveries. OPTIMAL up to {OPTIMAL_MS:g} ms, GOOD up to {GOOD_MS:g} ms, else ELEVATED.",
            (("events a second", figure(m.events_per_s, "plain")), ("uptime", f"{m.uptime_s:,.0f} s")),
            model=False,
        ),
    }


def _model(look: Look) -> dict[str, Why]:
    row = look.row
    said = _value(row)
    spend, value, margin = _cash(look)
    return {
        "roi": Why(
            "incremental ROI",
            "iROAS = incremental x value / spend. ROI = iROAS x margin - 1. Interval: that of the incremental, carried "
            "through. OPTIMAL when the whole interval of the ROI lies above 0.",
            (
                ("incremental", said("incremental", "count")),
                ("value of a conversion", value),
                ("spend", spend),
                ("margin", margin),
                ("ROI", said("roi", "ratio")),
            ),
        ),
        "gap": Why(
            "causal gap",
            "Mode of the response kernel: the lag from the delivered airing to the fastest response, averaged over the "
            "kernels by their evidence. The stream's delay to the screen is not in it.",
            (
                ("peak", said("response_peak", "seconds")),
                *((name, figure(seconds, "seconds")) for name, seconds in look.gap.items()),
            ),
        ),
    }


def _parts(look: Look) -> dict[str, Why]:
    low = worst(look.health)
    named = tuple(
        (part.name, f"{part.score:.1f}: {part.said}" if math.isfinite(part.score) else f"unknown: {part.said}")
        for part in look.health
    )
    return {
        "health": Why(
            "model health",
            "The worst of its parts, each on 0 to 100: completeness (100 at 99.9%, 0 at 95%), dispersion of the "
            "residuals "
            "over the fitted one (100 within 10%, 0 at a factor 2), placebos, posterior. Unknown parts are left out.",
            (("worst", low.name if low else DASH), *named),
        ),
        "regions": Why(
            "regional matrix",
            "The ad's part of each region's window, from draws of the fitted model: the sums' mean and quantiles. "
            "Regions "
            "that were spared the ad show what would have happened in the others.",
            (("exposed", str(int(look.regions["exposed"].sum()))), ("interval", level(look))),
        ),
        "shares": Why(
            "shares of the incremental",
            "The window's counts mix the baseline's mix, known from the history, and the ad's own: a Dirichlet prior "
            "on "
            "the ad's mix, Gibbs draws given the incremental. Not the share of everything counted: that is the raw "
            "mix.",
            (
                ("prior of each channel", f"{look.settings.channel_concentration:g}"),
                ("prior of each device", f"{look.settings.device_concentration:g}"),
            ),
        ),
    }


def _evidence(look: Look) -> dict[str, Why]:
    row = look.row
    said = _value(row)
    line = f"{1 / look.settings.alpha:g}"
    return {
        "velocity": Why(
            "conversion velocity",
            "Incremental = sum over the window of what the model gives to the ad: observed less the counterfactual, "
            "which "
            "is learnt from the time before, from regions without the ad, and from the social feed. Split: the model's "
            "own parts, which add up to what it expects.",
            (
                ("counterfactual of the window", DASH if row is None else estimate(row, "counterfactual", "plain")),
                ("incremental", said("incremental", "count")),
                ("lift", said("lift", "percent")),
            ),
        ),
        "path": Why(
            "sequential evidence",
            "e-value = how many times likelier the counts are with the ad than under the best world without it. It "
            "may be "
            f"watched: reaching {line} (1/alpha) by chance has a probability of at most {look.settings.alpha:g}, "
            f"however often one looks. It is read where it decided ({needed(look.settings.alpha)}), else at the last. "
            "Always-valid p = 1 / the largest e-value so far.",
            (
                ("e-value", said("e_value", "evidence")),
                ("always-valid p", said("anytime_p", "probability")),
                ("first passed", "not yet" if look.passed_s is None else f"+{look.passed_s:.0f} s"),
            ),
        ),
    }


def _value(row: dict | None) -> Callable[[str, str], str]:
    def write(name: str, kind: str) -> str:
        if row is None:
            return DASH
        span = interval(row, name, kind) if f"{name}_lower" in row else ""
        return f"{estimate(row, name, kind)}{f' ({span})' if span else ''}"

    return write


def _cash(look: Look) -> tuple[str, str, str]:
    """Write spend, value and margin of the current airing."""
    if look.row is None or look.result is None:
        return DASH, DASH, DASH
    airing = look.result.airings[look.result.airings["airing"] == look.row["airing"]].iloc[0].to_dict()
    given = {"value": look.settings.value, "margin": look.settings.margin, "spend": None}
    found = []
    for name in ("spend", "value", "margin"):
        own = float(airing.get(name, math.nan))
        used = own if math.isfinite(own) or given[name] is None else float(given[name])
        found.append(figure(used, "amount"))
    return found[0], found[1], found[2]


PROTOCOL = {
    "Live correlation protocol": (
        "Watches conversions while an event is on the air and answers one question: did this TV ad actually cause "
        "these conversions? It may be read at every second; the evidence is built so that looking does not make "
        "it wrong."
    ),
    "Operational logic": (
        "A viewer who responds does so some seconds after the ad reaches the screen. That lag is learnt, with a "
        "weak prior whose peak is {peak}; a preset (brief) holds the classic choice instead: a window of 15 "
        "seconds with its peak at 10. Published response curves peak later, from 13 s after an ad ends to a "
        "minute after it starts."
    ),
    "Use case context": (
        "Not all traffic during an ad is caused by the ad: breaks change behaviour by themselves, and a goal or a "
        "trend rises in the same shape. Every second is taken apart into baseline, break, organic surge and ad. "
        "“This ad did nothing” and “cannot be separated” are answers too."
    ),
    "Technical engine": (
        "A latent dynamic count model of all regions at once, averaged over kernels and over worlds in which "
        "something else moved the counts; an mSPRT in the form of an e-value, held against every one of those "
        "worlds; Dirichlet priors on the shares of the incremental. Events are counted {lag} after they happened "
        "(median)."
    ),
}
"""Heading and text of the protocol; the figures are filled in."""


def protocol(look: Look) -> str:
    """Write the four texts, true to what runs."""
    late = look.metrics.latency_p50_ms
    filled = {
        "peak": f"{shown('response_peak', look.settings.response_peak)} after delivery",
        "lag": lag(late) if math.isfinite(late) else "some milliseconds",
    }
    return (
        '<div class="ec protocol">'
        + "".join(
            f"<div><h3>{escape(head)}</h3><p>{escape(text.format(**filled))}</p></div>"
            for head, text in PROTOCOL.items()
        )
        + "</div>"
    )
