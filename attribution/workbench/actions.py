"""What can be done on the live page: filter and save the log, lock a plan, acknowledge, export, refresh."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from attribution.figures import html_table
from attribution.reports import Report, report
from attribution.tabled import csv_text, tables_csv
from attribution.workbench import integrity, panels, seat
from attribution.workbench.roles import barred

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.stream.notices import LogEntry
    from attribution.workbench.look import Look
    from attribution.workbench.watch import Watch

KINDS = ("TV_DETECTION", "INGEST_SPIKE", "ATTR_LINK", "MODEL_UPDATE", "ALERT", "PLAN_LOCK")
"""Kinds of lines in the log."""
LOG = "live-log"


def waiting(now: Look) -> list[integrity.Alert]:
    """Return the alerts that this session has not acknowledged."""
    return [alert for alert in integrity.alerts(now) if alert.key not in seat.acknowledged()]


def matching(log: list[LogEntry], kinds: list[str], text: str) -> list[LogEntry]:
    """Return the lines of these kinds (none named: all) that hold a text, whatever its case.

    Examples
    --------
    >>> from attribution.stream.notices import LogEntry
    >>> log = [LogEntry(pd.Timestamp(0, tz="UTC"), *told) for told in (("ALERT", "data: Lost"), ("X", "b"))]
    >>> [entry.kind for entry in matching(log, [], "lost")], [entry.kind for entry in matching(log, ["X"], "")]
    (['ALERT'], ['X'])
    """
    wanted = text.casefold().strip()
    return [e for e in log if (not kinds or e.kind in kinds) and wanted in f"{e.kind} {e.text}".casefold()]


def log_csv(log: list[LogEntry]) -> str:
    """Write lines of the log as CSV; no cell begins like a formula."""
    rows = [(e.time.isoformat(), e.kind, e.text) for e in log]
    return csv_text(pd.DataFrame(rows, columns=["time", "kind", "text"]))


def telemetry(feed: Watch) -> None:
    """Draw the log with what filters it; the filter stands still, the lines move."""
    st.html(f'<div class="ec">{panels.title("Telemetry_stream", "state changes")}</div>')
    with st.container(key="logtools", horizontal=True, gap="small"):
        with st.popover("Filter"):
            st.pills("Kinds", KINDS, selection_mode="multi", key="log-kinds")
            st.text_input("Search", key="log-text", placeholder="text of a line")
        st.toggle("Follow", value=True, key="log-follow", on_change=_hold, args=(feed,))
        st.download_button(
            "Save", lambda: log_csv(_lines(feed)), "telemetry.csv", "text/csv", key="log-save", on_click="ignore"
        )


def log(feed: Watch, now: Look) -> str:
    """Write the lines that the filter lets through, of a look or of the moment at which they were held."""
    return panels.log(_lines(feed), len(st.session_state.get(LOG) or now.log))


def _hold(feed: Watch) -> None:
    """Keep the lines as they are, or let them move again."""
    if st.session_state["log-follow"]:
        st.session_state.pop(LOG, None)
    else:
        st.session_state[LOG] = seat.seen(feed).log


def _lines(feed: Watch) -> list[LogEntry]:
    log = st.session_state.get(LOG) or seat.seen(feed).log
    return matching(log, st.session_state.get("log-kinds") or [], st.session_state.get("log-text") or "")


def locking(feed: Watch, now: Look) -> None:
    """Offer to lock the plan while nothing is locked and it is not too late."""
    if now.plan is not None or seat.seat() is not None or integrity.begun(now):
        return
    if why := barred():
        st.html(panels.lead(why))
        return
    with st.container(key="lockplan"):
        if st.button("Lock the plan", key="press-lock"):
            try:
                feed.lock_plan()
            except ValueError as error:
                st.session_state["live-refused"] = str(error)
            st.rerun()
    if "live-refused" in st.session_state:
        st.html(panels.lead(f"▲ {st.session_state['live-refused']}"))


def acknowledging(alerts: list[integrity.Alert], *, place: str = "panel") -> None:
    """Offer to acknowledge what waits; ``place`` tells two such buttons apart."""
    if alerts and not barred() and st.button(f"Acknowledge {len(alerts)}", key=f"press-acknowledge-{place}"):
        seat.acknowledged().update(alert.key for alert in alerts)
        st.rerun()


def quick(feed: Watch) -> None:
    """Draw the quick actions."""
    with st.container(key="quick"):
        if st.button("Refresh data", key="press-refresh", width="stretch"):
            feed.refresh()
            st.rerun()
        _save("Export CSV", feed, bundle, "conversions.zip", "application/zip", "csv")
        with st.container(key="calllog"):
            if st.button("View logs", key="press-log", width="stretch"):
                _whole_log(feed)
        with st.container(key="callalerts"):
            if st.button("Alerts", key="press-alerts", width="stretch"):
                _all_alerts(feed)
        _save("Notebook", feed, notebook, "answer.zip", "application/zip", "notebook")
        with st.container(key="export"):
            _save("Export report", feed, document, "report.html", "text/html", "report", kind="primary")
        st.page_link("pages/report.py", label="Choose parts and form", query_params={"data": "live"})


def _save(
    label: str, feed: Watch, make: Callable[[Look], bytes], name: str, mime: str, key: str, kind: str = "secondary"
) -> None:
    """Offer a file that is made when it is asked for, of the moment that is shown."""
    now = seat.seen(feed)
    off = now.result is None or (key == "notebook" and now.result.given is None)
    st.download_button(
        label, lambda: make(now), name, mime, key=f"save-{key}", on_click="ignore", width="stretch", disabled=off,
        type="primary" if kind == "primary" else "secondary",
    )  # fmt: skip


def document(now: Look) -> bytes:
    """Make the report of a moment."""
    return b"" if now.result is None else _reported(now).html.encode()


def notebook(now: Look) -> bytes:
    """Make the archive with the data and a notebook that reproduces the answer; empty without them."""
    return b"" if now.result is None or now.result.given is None else _reported(now).zip


def _reported(now: Look) -> Report:
    return report(now.result, title=f"{now.event.advertiser} · {now.event.title}")  # pyright: ignore[reportArgumentType]


def bundle(now: Look) -> bytes:
    """Make a zip of the answer's tables, a CSV each with a data dictionary, and of the log."""
    files = {"telemetry.csv": log_csv(now.log), "regions.csv": csv_text(now.regions)}
    files |= {} if now.result is None else tables_csv(now.result)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return held.getvalue()


@st.dialog("Log of state changes", width="large")
def _whole_log(feed: Watch) -> None:
    lines = _lines(feed)
    rows = [(f"{e.time:%H:%M:%S}", panels.escape(e.kind), panels.escape(e.text)) for e in lines]
    st.html(f'<div class="ec">{html_table(("Time", "Kind", "What"), rows, words=True)}</div>')


@st.dialog("Alerts", width="large")
def _all_alerts(feed: Watch) -> None:
    every, left = integrity.alerts(seat.seen(feed)), {alert.key for alert in waiting(seat.seen(feed))}
    rows = [
        (
            f"{alert.entry.time:%H:%M:%S}",
            alert.kind,
            panels.escape(alert.entry.text),
            "▲ waiting" if alert.key in left else "● acknowledged",
        )
        for alert in every
    ]
    told = html_table(("Time", "Kind", "What", "State"), rows, words=True) if rows else "<p>No alert so far.</p>"
    st.html(f'<div class="ec">{told}</div>')
    acknowledging([alert for alert in every if alert.key in left], place="dialog")
