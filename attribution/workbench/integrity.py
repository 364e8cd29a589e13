"""How sound the feed is, where it runs, what is locked and what asks for attention, as HTML."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from attribution import __version__
from attribution.figures import between, html_table, lag
from attribution.workbench.panels import DASH, clock, short

if TYPE_CHECKING:
    from attribution.stream.notices import LogEntry
    from attribution.workbench.look import Look

KINDS = ("data", "clock", "model", "decision")
"""Kinds of alert: what was counted, which clock, the model itself, and a verdict that became another."""
BEGUN = ": no data → undecided"
"""The change of word that every airing makes when it begins."""
PARTITIONS = 1
"""This engine is one process with one partition."""
UNSOUND = 0.999
"""Fewer events counted exactly once than this, and the feed is not sound."""


class Alert(NamedTuple):
    """Something that asks for attention."""

    kind: str
    entry: LogEntry

    @property
    def key(self) -> str:
        """Tells it from every other one."""
        return f"{self.entry.time.value}-{self.entry.text}"


def alerts(look: Look) -> list[Alert]:
    """Return every alert so far, newest first.

    A verdict that became another is a decision; that an airing has begun is none.
    """
    found = []
    for entry in look.log:
        kind = entry.text.partition(":")[0]
        if entry.kind == "ALERT":
            found.append(Alert(kind if kind in KINDS else "data", entry))
        elif entry.kind == "MODEL_UPDATE" and BEGUN not in entry.text:
            found.append(Alert("decision", entry))
    return found


def alerts_html(waiting: list[Alert]) -> str:
    """Write the alerts that nobody has acknowledged, by kind."""
    count = {kind: sum(alert.kind == kind for alert in waiting) for kind in KINDS}
    kinds = "".join(f"<span><b>{n}</b> {kind}</span>" for kind, n in count.items())
    lines = "".join(
        f"<li><b class='bad'>▲ {alert.kind}</b> <time>{alert.entry.time:%H:%M:%S}</time> "
        f"{escape(alert.entry.text.removeprefix(f'{alert.kind}: '))}</li>"
        for alert in waiting[:3]
    )
    more = f"<li>and {len(waiting) - 3} more</li>" if len(waiting) > 3 else ""
    body = f"<ul class='calls'>{lines}{more}</ul>" if waiting else '<p class="said">Nothing asks for attention.</p>'
    return f'<div class="ec"><div class="kinds">{kinds}</div>{body}</div>'


def begun(look: Look) -> bool:
    """Whether an airing has begun: it is too late to lock a plan."""
    return bool((look.airings["start"] <= look.now).any())


def plan_html(look: Look) -> str:
    """Write whether the analysis plan is locked, with its hash, and whether it was kept."""
    plan = look.plan
    if plan is None and begun(look):
        return (
            '<div class="ec"><p class="lock"><b>○ OPEN</b> no plan was locked</p><p class="said">The first airing has '
            "begun: what is decided now was not decided before it, and no verdict will say so.</p></div>"
        )
    if plan is None:
        return (
            '<div class="ec"><p class="lock"><b>○ OPEN</b> no plan is locked</p><p class="said">Settings and schedule '
            "can be locked until the first airing begins: they are hashed, and every verdict then says whether what "
            "was "
            "planned is what was done.</p></div>"
        )
    late = " after the first airing had begun" if plan.late else " before the first airing"
    notes = () if look.result is None else look.result.plan_notes
    kept = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f'<div class="ec"><p class="lock"><b class="good">■ LOCKED</b> {escape(plan.locked_at)},{late}</p>'
        f'<p class="said">SHA-256 <code>{escape(plan.sha256[:16])}</code> over {len(plan.airings)} '
        f"airing{'s' * (len(plan.airings) != 1)}, window {escape(plan.window)}, all settings.</p><ul>{kept}</ul></div>"
    )


def integrity(look: Look) -> str:
    """Write how the stream does: load, throughput against capacity, latency, accuracy, uptime, buffer, losses."""
    metrics = look.metrics
    capacity = metrics.events_per_s / metrics.load if metrics.load > 0 and metrics.events_per_s > 0 else math.nan
    synced = PARTITIONS if look.state in {"LIVE", "ENDED"} else 0
    busy = metrics.load if math.isfinite(metrics.load) else 0.0
    cells = [
        ("System load", _percent(metrics.load, 0), "engine busy, last 10 s"),
        ("Latency", lag(metrics.latency_p50_ms, metrics.latency_p99_ms), "p50 / p99 to the count"),
        ("Accuracy", _percent(metrics.accuracy, 3), "counted exactly once"),
        ("Uptime", _percent(look.heard, 2), f"heard, of {clock(metrics.uptime_s)}"),
        ("Cluster sync", f"{synced / PARTITIONS:.0%}", f"{synced} of {PARTITIONS} partition{'s' * (PARTITIONS != 1)}"),
        ("Buffer depth", lag(metrics.buffer_ms), f"{metrics.buffer_events:,} events"),
    ]
    body = "".join(
        f'<div role="group" aria-label="{name}"><div class="cap">{name}</div><div class="value">{value}</div>'
        f"<small>{said}</small></div>"
        for name, value, said in cells
    )
    of = f"of {short(capacity)} it could take" if math.isfinite(capacity) else "capacity not measured yet"
    rate = f"{short(metrics.events_per_s)} eps" if math.isfinite(metrics.events_per_s) else DASH
    gauge = (
        f'<div class="gauge" role="group" aria-label="Throughput" style="--share:{min(busy, 1):.3f}"><div><b>{rate}</b>'
        f"<small>{of}</small></div></div>"
    )
    return f'<div class="ec integrity">{gauge}<div class="cells">{body}</div></div><div class="ec">{loss(look)}</div>'


def soundness(look: Look) -> str:
    """Say in a mark and a word how sound the feed is."""
    accuracy = look.metrics.accuracy
    if look.state in {"SILENT", "STOPPED"}:
        return f"▲ {look.state}"
    if look.state == "WAITING":
        return "○ WAITING"
    if not math.isfinite(accuracy):
        return "○ LOSSES UNKNOWN"
    return "● NOMINAL" if accuracy >= UNSOUND else "▲ LOSING"


def loss(look: Look) -> str:
    """Say what was lost, and what that does to the answer."""
    m = look.metrics
    sent = m.received + m.dropped
    told = (
        f"{m.dropped:,} dropped, {m.duplicate:,} duplicate, {m.late:,} late, {m.refused:,} refused of {sent:,} events. "
    )
    told = told if sent or m.refused else ""
    if not math.isfinite(m.accuracy) and not m.received:
        told += "This feed brings counts, not events: what it lost before is not known here."
    elif not math.isfinite(m.accuracy):
        told += (
            "The events carry no numbers: nobody knows how many are missing, and the answer gives worst-case bounds."
        )
    elif look.row is None:
        told += "No airing yet: a loss now would thin the baseline, not the effect."
    elif not math.isfinite(look.lost):
        told += "In the window the losses are not known; the answer gives worst-case bounds."
    elif look.lost < 0.5:
        told += "In this window nothing was lost, so nothing had to be put right."
    else:
        told += (
            f"In this window {look.lost:,.0f} conversions are missing from the count; the answer puts them back, "
            "uncorrected it would be too low by about as many."
        )
    bounds = None if look.result is None or look.row is None else look.result.bounds
    if bounds is not None and len(bounds):
        own = bounds[bounds["airing"] == look.row["airing"]]  # pyright: ignore[reportOptionalSubscript]
        for row in own.to_dict("records"):
            ends = between(row["lower"], row["upper"], "count")
            told += f" With {row['loss']:.1%} lost unseen the incremental lies within {ends}."
    return f'<p class="said">{escape(told)}</p>'


def deployment(look: Look) -> str:
    """Write the topology of the running engine, and each region's lag."""
    rows = [
        (
            escape(str(row["region"])),
            lag(row["lag_ms"]),
            lag(row["lag_p95_ms"]),
            escape(row["lag_state"] or "not measured"),
        )
        for row in look.regions.to_dict("records")
    ]
    spent = f"{look.seconds:.1f} s" if math.isfinite(look.seconds) else DASH
    said = (
        f"One process: the engine (partition 1 of {PARTITIONS}), the model loop (last look {spent}) and these pages; "
        "no "
        "broker, no other machine. The regions below are sources of the feed, not servers of ours."
    )
    table = html_table(("Source", "Lag p50", "Lag p95", "State"), rows)
    return f'<div class="ec"><p class="said">{said} LIVE_ENGINE v{__version__}.</p>{table}</div>'


def _percent(share: float, digits: int) -> str:
    return f"{share:.{digits}%}" if math.isfinite(share) else DASH
