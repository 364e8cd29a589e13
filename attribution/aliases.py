"""The names that columns of airings, moments, insertions and markers go by, and every name a header may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.tables import CHANNEL, COUNT, DEVICE, END, KIND, MENTIONS, REGION, TIME, VIEWERS, WIDTH, bare, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

ACTUAL = (
    *("actualstart", "actualstarttime", "actualtime", "actualairtime", "actualairdatetime", "actualdatetime"),
    *("actual", "timeaired", "airedtime", "airedat", "aired", "actualin", "asruntime", "asrunstart"),
)
"""When an airing began, by the log's own word."""
PLANNED = (
    *("scheduledstart", "scheduledstarttime", "scheduledtime", "scheduledairtime", "scheduleddatetime", "scheduled"),
    *("schedtime", "schedstart", "plannedstart", "plannedtime", "plannedairtime", "planned", "bookedtime"),
    *("orderedtime", "sollzeit", "geplant"),
)
START = (
    *ACTUAL,
    *("start", "starttime", "startutc", "starttimeutc", "airtime", "airdatetime", "spottime", "timein", "tcin"),
    *("kickoffutc", "istzeit", "uhrzeit", "sendezeit", "heure", "hora"),
    *TIME,
)
LENGTH = ("lengths", "length", "durations", "duration", "spotlength", "len", "seconds", "dur", "sec", "secs", "lange")
DATES = (
    *("date", "airdate", "broadcastdate", "broadcastday", "logdate", "day", "actualdate", "dateaired", "aireddate"),
    *("scheduleddate", "scheddate", "planneddate", "datum", "sendetag", "fecha"),
)
AIRING_ALIASES: dict[str, tuple[str, ...]] = {
    "airing": ("airing", "airingid", "spot", "spotid", "id", "name", "eventid", "spotnumber", "lineid"),
    "planned": PLANNED,
    "start": START,
    "date": DATES,
    "length_s": LENGTH,
    "end": (*END, "actualend", "actualendtime", "timeout", "tcout"),
    "regions": ("regions", "region", "markets", "market", "dma", "geo"),
    "feed": ("feed", "feedname", "networkfeed"),
    "break_id": ("breakid", "break", "pod", "podid", "breakcode"),
    "creative": (
        *("creative", "creativeid", "isci", "iscicode", "adid", "adidcode", "isciadid", "adidisci", "iso"),
        *("creativename", "copy", "copycode", "housenumber", "title", "product", "motiv"),
    ),
    "network": ("network", "station", "channel", "broadcaster", "publisher", "callletters", "sender", "chaine"),
    "spend": (
        *("spend", "cost", "price", "netcost", "mediacost", "budget", "grosscost", "spotcost", "rate", "spotrate"),
        *("netrate", "grossrate", "amount", "preis", "kosten", "cout", "costusd", "costeur", "costgbp", "spendusd"),
    ),
    "impressions": ("impressions", "imps", "contacts", "deliveredimpressions", "kontakte"),
    "value": ("value", "conversionvalue", "ordervalue"),
    "margin": ("margin", "marginrate"),
    "assignment": ("assignment", "randomisation", "randomization"),
    "status": ("status", "spotstatus", "airstatus", "disposition"),
    "zone": ("zone", "timezone", "tz"),
}
"""Role -> plain names, the surest first."""
CONTEXT_ALIASES: dict[str, tuple[str, ...]] = {
    "kind": KIND,
    "start": START,
    "end": END,
    "length_s": LENGTH,
    "label": ("label", "name", "note", "title", "what"),
}
INSERTION_ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        *("adstart", "adstarttime", "insertiontime", "insertedat", "impressiontime", "adimpressiontime"),
        *("starttime", "start", *TIME),
    ),
    "session": (
        *("sessionid", "session", "viewerid", "viewer", "playbacksessionid", "streamid", "deviceid", "clientid"),
        *("householdid", "avsessionid"),
    ),
    "airing": ("airing", "airingid", "adid", "creativeid", "creative", "isci", "adtitle", "spot", "spotid"),
    "region": REGION,
    "event": ("adevent", "event", "eventtype", "beacon", "trackingevent", "type"),
    "length_s": LENGTH,
    "exposures": ("exposures", "viewers", "insertions", "impressions", "count"),
}
"""Tables of server-side insertion: one row a viewer's ad, or exposures that are counted already."""
MARKER_ALIASES: dict[str, tuple[str, ...]] = {
    "cue": ("scte35", "cue", "cuemessage", "message", "payload", "base64", "hex", "scte35base64", "splice", "marker"),
    "time": TIME,
    "pts": ("pts", "streampts", "packetpts", "ptss"),
}
KNOWN = frozenset(
    name
    for group in (
        *AIRING_ALIASES.values(), *CONTEXT_ALIASES.values(), *INSERTION_ALIASES.values(), *MARKER_ALIASES.values(),
        TIME, REGION, CHANNEL, DEVICE, KIND, COUNT, MENTIONS, VIEWERS, WIDTH,
    )
    for name in group
)  # fmt: skip
"""Every plain name that some reader knows: how a header is told from the title above it."""


def known(names: Iterable[str]) -> int:
    """How many of the names are names of columns."""
    return sum(plain(name) in KNOWN or bare(name) in KNOWN for name in names)
