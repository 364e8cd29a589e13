"""How a node does: rates and latencies over the last seconds, totals, and the same as text for Prometheus."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

RECENT_S = 10.0


class Flow:
    """What was counted in the last 10 s, and how long it had waited.

    Parameters
    ----------
    begun
        Seconds of the rising clock.

    Examples
    --------
    >>> flow = Flow(0.0)
    >>> flow.counted(100, since=1.0, now=1.002)
    >>> seen = flow.seen(2.0)
    >>> seen["events_per_s"], round(seen["latency_p99_ms"], 6)
    (50.0, 2.0)
    """

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._recent: deque[tuple[float, float, int]] = deque(maxlen=100_000)

    def counted(self, events: int, since: float, now: float) -> None:
        """Note a frame that was taken in at ``since`` and is counted at ``now``, s."""
        self._recent.append((now, now - since, events))
        self._forget(now)

    def seen(self, now: float) -> dict[str, float]:
        """Events a second, quantiles of the wait (ms) and uptime."""
        self._forget(now)
        span = min(RECENT_S, now - self._begun)
        rate = sum(events for _, _, events in self._recent) / span if span > 0 else nan
        p50 = p99 = nan
        if self._recent:
            _, wait, events = np.array(self._recent).T
            order = np.argsort(wait)
            share = np.cumsum(events[order]) / max(events.sum(), 1)
            p50, p99 = (1000 * wait[order][min(np.searchsorted(share, q), len(order) - 1)] for q in (0.5, 0.99))
        return {
            "events_per_s": float(rate),
            "latency_p50_ms": float(p50),
            "latency_p99_ms": float(p99),
            "uptime_s": now - self._begun,
        }

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] > RECENT_S:
            self._recent.popleft()


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a node does at a moment; NaN where nothing was measured yet.

    Attributes
    ----------
    events_per_s
        Counted, over the last 10 s.
    latency_p50_ms, latency_p99_ms
        From taking a frame in to its count being readable, over the last 10 s.
    uptime_s
        Since it was opened.
    waiting, waiting_events, waiting_ms
        Frames and events not counted yet, and since when the oldest waits.
    received, dropped, repeated, late
        Events counted once; missing by their numbers; seen before; counted into a second that was closed.
    held, aside
        Events whose time has not come; frames and events set aside, by reason.
    skew
        Seconds the clock of a source (and epoch) is ahead, at least.
    position, unsynced_bytes, sync_age_s, save_age_s
        Of the log: what is counted; what a loss of power would take; how long ago the disk was waited for, and the
        state was saved.
    stopped
        Why intake has stopped; empty while it has not.
    """

    events_per_s: float = nan
    latency_p50_ms: float = nan
    latency_p99_ms: float = nan
    uptime_s: float = 0.0
    waiting: int = 0
    waiting_events: int = 0
    waiting_ms: float = 0.0
    received: int = 0
    dropped: int = 0
    repeated: int = 0
    late: int = 0
    held: int = 0
    aside: Mapping[str, int] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)
    position: int = 0
    unsynced_bytes: int = 0
    sync_age_s: float = 0.0
    save_age_s: float = 0.0
    stopped: str = ""

    def metrics_text(self) -> str:
        r"""Return it in the text format of Prometheus.

        Examples
        --------
        >>> text = Health(received=5, aside={"checksum": 2}).metrics_text()
        >>> print("\n".join(line for line in text.splitlines() if "received" in line or "aside" in line))
        # TYPE attribution_received_total counter
        attribution_received_total 5
        # TYPE attribution_aside_total counter
        attribution_aside_total{reason="checksum"} 2
        """
        lines = []
        for each in fields(self):
            value = getattr(self, each.name)
            counter = each.name in {"received", "dropped", "repeated", "late", "aside"}
            # What is missing may come after all: that one can fall.
            kind = "counter" if counter and each.name != "dropped" else "gauge"
            name = f"attribution_{each.name}" + ("_total" if kind == "counter" else "")
            label = {"aside": "reason", "skew": "source"}.get(each.name)
            lines.append(f"# TYPE {name} {kind}")
            if label:
                lines += [f'{name}{{{label}="{_escaped(key)}"}} {value[key]:g}' for key in sorted(value)]
            elif each.name == "stopped":
                lines.append(f"{name} {int(bool(value))}")
            else:
                lines.append(f"{name} {'NaN' if isnan(value) else repr(value)}")
        return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
