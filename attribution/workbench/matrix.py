"""Regions on a map and in a table, and what the incremental conversions came through, as HTML."""

from __future__ import annotations

import math
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from attribution.figures import estimate, figure, html_table, interval, lag
from attribution.places import NORTH, SOURCE, SOUTH, STEP, land, place
from attribution.stream.lags import GOOD_MS, OPTIMAL_MS
from attribution.theme import palette
from attribution.workbench.panels import DASH, level

if TYPE_CHECKING:
    import pandas as pd

    from attribution.places import Place
    from attribution.workbench.look import Look

LAG_STATES = {"OPTIMAL": ("●", "good"), "GOOD": ("●", "good"), "ELEVATED": ("▲", "bad")}
"""Mark and colour of a feed's latency."""


@cache
def land_svg() -> str:
    """Draw the land, once; the page colours it."""
    width, height = 360.0 / STEP, (NORTH - SOUTH) / STEP + 1
    dots = "".join(
        f'<circle cx="{(dot.longitude + 180) / STEP + 0.5:g}" cy="{(NORTH - dot.latitude) / STEP + 0.5:g}" r=".36"/>'
        for dot in land()
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">{dots}</svg>'


def land_style(address: str) -> str:
    """Write how the land lies below the marks, drawn at an address: loaded once, and not with every move of a mark."""
    shape = f"{360 / STEP:g}/{(NORTH - SOUTH) / STEP + 1:g}"
    return (
        f".world{{aspect-ratio:{shape}}}"
        '.world::before{content:"";position:absolute;inset:0;'
        f"background:light-dark({palette('light').line},#3A4450);mask:url({address}) center/100% no-repeat}}"
    )


def world(look: Look) -> str:
    """Write the map: a mark for every region whose name says where it lies, its size by traffic."""
    known = [(row, place(str(row["region"]))) for row in look.regions.to_dict("records")]
    there = sorted(((at, row) for row, at in known if at is not None), key=lambda pair: pair[0].longitude)
    unknown = [str(row["region"]) for row, at in known if at is None]
    # Names stand above and below their marks in turn, so that neighbours do not cover each other.
    marks = [_mark(row, at, "below" if number % 2 else "above") for number, (at, row) in enumerate(there)]
    away = f"<br>not on the map, for their names do not say where: {escape(', '.join(unknown))}" if unknown else ""
    alt = "; ".join(_said(row) for row in look.regions.to_dict("records")).replace("<", "‹").replace(">", "›")
    return (
        f'<div class="ec world" role="img" aria-label="{escape(alt)}">'
        f'{"".join(marks)}</div><div class="ec"><p class="from">● exposed ○ control, size by traffic · '
        f"{SOURCE}{away}</p></div>"
    )


def _mark(row: dict, at: Place, side: str) -> str:
    """Write the mark of one region."""
    left, top = (at.longitude + 180 + STEP / 2) / 360, (NORTH - at.latitude + STEP / 2) / (NORTH - SOUTH + STEP)
    size = 10 + 34 * math.sqrt(row["traffic"]) if math.isfinite(row["traffic"]) else 10
    kind = "exposed" if row["exposed"] else "control"
    return (
        f'<span class="mark {kind} {side}" style="left:{left:.1%};top:{top:.1%};--size:{size:.0f}px"><i></i>'
        f"<b>{escape(str(row['region']))}</b></span>"
    )


def _said(row: dict) -> str:
    role = "exposed" if row["exposed"] else "control"
    return f"{row['region']}: {_share(row['traffic'])} of the traffic, {role}"


def regions(look: Look) -> str:
    """Write the regional matrix: share of traffic, role, what the ad added there, how late the feed is."""
    heads = ("Region", "Role", "Traffic", "Incremental", "Lift", "Feed latency")
    rows = [_region(row) for row in look.regions.to_dict("records")]
    exposed = int(look.regions["exposed"].sum())
    total = f"{len(rows)} region{'s' * (len(rows) != 1)}, {exposed} exposed, {len(rows) - exposed} control"
    said = (
        f"{total}. Traffic: of the last 5 min. Lift: in the window of {_name(look)}, {level(look)} intervals. Latency, "
    )
    said += f"median: OPTIMAL up to {OPTIMAL_MS:g} ms, GOOD up to {GOOD_MS / 1000:g} s, else ELEVATED."
    if exposed == len(rows):
        said += " Every region saw the ad: no part of a lift can be told region by region."
    return f'<div class="ec">{html_table(heads, rows)}<p class="said">{escape(said)}</p></div>'


def _name(look: Look) -> str:
    return "the airing" if look.row is None else str(look.row["airing"])


def _region(row: dict) -> list[str]:
    """Write the cells of a region."""
    sign, colour = LAG_STATES.get(row["lag_state"], ("", "muted"))
    late = f"{lag(row['lag_ms'])}<small class='{colour}'>{sign} {row['lag_state']}</small>"
    if not row["exposed"]:
        added = lift = "0<small>saw no ad</small>"
    else:
        added = f"{estimate(row, 'incremental', 'count')}<small>{interval(row, 'incremental', 'count')}</small>"
        lift = f"{estimate(row, 'lift', 'percent')}<small>{interval(row, 'lift', 'percent')}</small>"
    return [
        escape(str(row["region"])),
        "● exposed" if row["exposed"] else "○ control",
        _share(row["traffic"]),
        added if math.isfinite(row["incremental"]) else DASH,
        lift if math.isfinite(row["lift"]) else DASH,
        late if math.isfinite(row["lag_ms"]) else DASH,
    ]


def _share(value: float) -> str:
    return figure(value, "share")


def shares(look: Look, dimension: str) -> str:
    """Write the shares of the incremental by ``channel`` or ``device``: interval, mean, and the raw mix beside it."""
    table = _shares(look, dimension)
    if table is None or table.empty:
        why = look.why("incremental") if look.row is None else f"the feed does not tell {dimension}s apart"
        return f'<div class="ec"><p class="lead muted">No shares: {escape(why)}.</p></div>'
    rows = "".join(_bar(row) for row in table.to_dict("records"))
    said = (
        f"Bar: {level(look)} interval of the share of the INCREMENTAL, ● its mean. │ is the raw mix of the window: "
        "what "
        "a count of everything would credit."
    )
    return f'<div class="ec shares">{rows}<p class="said">{said}</p></div>'


def _shares(look: Look, dimension: str) -> pd.DataFrame | None:
    if look.result is None or look.row is None:
        return None
    table = look.result.shares
    own = table[(table["airing"] == look.row["airing"]) & (table["dimension"] == dimension)]
    return own.sort_values("share", ascending=False)


def _bar(row: dict) -> str:
    """Write one category: its name, its bar, its figures."""
    ends = f"{_share(row['lower'])} to {_share(row['upper'])}"
    raw = f'<u style="left:{row["raw"]:.1%}"></u>' if math.isfinite(row["raw"]) else ""
    track = (
        f'<span class="track" aria-hidden="true"><i style="left:{row["lower"]:.1%};'
        f'width:{row["upper"] - row["lower"]:.1%}"></i><b style="left:{row["share"]:.1%}"></b>{raw}</span>'
    )
    return (
        f'<div class="share"><span>{escape(str(row["category"]))}</span>{track}'
        f"<span><b>{_share(row['share'])}</b><small>{ends} · raw {_share(row['raw'])}</small></span></div>"
    )
