"""Exports of analytics and shops, told by their columns: what counts twice in them, is no place, or has a wrong clock.

An export is a :class:`attribution.sources.Source` like any other once this module has been over it: rows that are no
event are left out and reported, times that need correcting stand in a column of their own, and the roles of the columns
are known. What follows is taken from the makers' documentation, named there.

=========== ========================================================================================================
export      columns read, and what is done
=========== ========================================================================================================
GA4         dateHourMinute (YYYYMMDDHHMM, property's zone: give ``tz``), region, sessionDefaultChannelGroup,
            deviceCategory, eventName, eventCount or keyEvents. Rows without events are not exported: absent is 0.
            "(not set)" and "(other)" are no regions. Remarks (#) and "Grand total" are skipped.
            Google Analytics Data API, "API dimensions & metrics"; Analytics Help, "(not set)".
Adobe       an unnamed first column: "HH:MM YYYY-MM-DD" (report suite's zone: give ``tz``), below it the dimension's
            name with the total; then one column a metric. Absent is 0. developer.adobe.com, Analytics 2.0 APIs,
            "Reports"; Experience League, "Download PDF or CSV files".
Snowplow    derived_tstamp, else collector_tstamp - (dvce_sent_tstamp - dvce_created_tstamp), UTC; event_id (repeats
            count once), event_name, geo_region, mkt_medium, platform. docs.snowplow.io, "Timestamps".
Segment     receivedAt - (sentAt - originalTimestamp); messageId (repeats count once), event, context.location.region,
            context.campaign.medium, context.device.type. Segment, "Spec: Common fields".
Shopify     Created at (with its offset), Name: an order has a row a line item and counts once; voided and cancelled
            orders are left out; Total less Refunded Amount is what an order is worth. Shopify Help, "Exporting orders".
AppsFlyer   Event Time (UTC unless the report was asked for in the app's zone), Event Name, Media Source, State,
            Platform; the same AppsFlyer ID, event and second again is a repeat. AppsFlyer, "Raw data field dictionary".
=========== ========================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from attribution.cells import labels
from attribution.prices import read_prices
from attribution.tables import COUNT, SHOWN, TIME, Ledger, bare, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from attribution.sources import Source

NOWHERE = ("(not set)", "(other)", "(none)", "unspecified", "n/a", "unknown")
"""What exports write for a region that is none."""
CORRECTED = "time, corrected"
"""The column of times that were worked out from several."""
VOID = ("voided", "cancelled", "canceled")
Cells = dict[str, np.ndarray]


@dataclass(slots=True)
class Sweep:
    """What an export remembers from batch to batch."""

    ledger: Ledger
    seen: set[Any] = field(default_factory=set)
    skew: list[np.ndarray] = field(default_factory=list)
    worth: list[float] = field(default_factory=list)
    currency: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One kind of export.

    Attributes
    ----------
    name, form
        What it is called; ``counts`` or ``events``.
    roles
        Role -> column, of those it has.
    reads
        Columns that are looked at beside those that are wanted.
    clean
        ``clean(cells, rows, sweep)``: reasons and the rows (bool) to leave out; may add :data:`CORRECTED`.
    close
        Says at the end what only all rows show.
    zeros
        Rows that would hold 0 are not written: what is absent is 0.
    width
        Seconds of a bin, where the kind of export settles it.
    tz
        Zone of its times where they carry none; None: the export does not say.
    """

    name: str
    form: str
    roles: dict[str, str]
    reads: tuple[str, ...] = ()
    clean: Callable[[Cells, np.ndarray, Sweep], dict[tuple[str, str, str], np.ndarray]] | None = None
    close: Callable[[Sweep], None] | None = None
    zeros: bool = False
    width: float | None = None
    tz: str | None = None


def find_export(columns: Sequence[str]) -> Export | None:
    """Tell an export by its columns.

    Examples
    --------
    >>> find_export(["dateHourMinute", "region", "eventCount"]).name
    'GA4'
    >>> find_export(["time", "count"]) is None
    True
    """
    names: dict[str, str] = {}
    for of in (plain, bare):
        for column in columns:
            names.setdefault(of(column), column)
    for maker in (_ga4, _snowplow, _segment, _shopify, _appsflyer, _adobe):
        export = maker(names, columns)
        if export is not None:
            return export
    return None


def swept(source: Source, chosen: Mapping[str, Any] | None) -> tuple[Source, dict[str, Any], Export | None]:
    """Go over a source that is an export.

    Parameters
    ----------
    chosen
        The caller's roles; they win.

    Returns
    -------
    Source, dict, Export or None
        The rows that count, the roles of the columns, and what the file is.
    """
    export = find_export(source.columns)
    given = dict(chosen or {})
    if export is None:
        return source, given, None
    taken = {name for column in given.values() for name in ([column] if isinstance(column, str) else column)}
    roles = {role: column for role, column in export.roles.items() if role not in given and column not in taken} | given
    ledger = source.ledger
    ledger.note("note", f"a table of {export.name}, by its columns", mend="read as such; columns={...} overrides")
    sweep = Sweep(ledger)

    def batches(wanted: Sequence[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        inner = [name for name in dict.fromkeys((*wanted, *export.reads)) if name in source.columns]
        region = roles.get("region")
        if isinstance(region, str) and region not in inner:
            inner.append(region)
        for numbers, batch in source.batches(inner):
            yield _sweep(export, sweep, region, numbers, batch, wanted)
        if export.close is not None:
            export.close(sweep)

    extra = () if CORRECTED not in roles.values() or CORRECTED in source.columns else (CORRECTED,)
    return replace(source, columns=(*source.columns, *extra), batches=batches), roles, export


def zone_of(export: Export | None, tz: str | None, ledger: Ledger) -> str | None:
    """Return the caller's zone, else the one this kind of export writes in, and say so."""
    if tz is None and export is not None and export.tz is not None:
        ledger.note(
            "warning",
            f"{export.name} writes times without a zone",
            harm="a report asked for in another zone is hours off",
            mend=f"read as {export.tz}, its default; tz= says another",
        )
        return export.tz
    return tz


def _sweep(
    export: Export, sweep: Sweep, region: Any, numbers: np.ndarray, batch: pa.RecordBatch, wanted: Sequence[str]
) -> tuple[np.ndarray, pa.RecordBatch]:
    cells: Cells = {name: labels(batch.column(name)) for name in (*export.reads, region) if name in batch.schema.names}
    out = {} if export.clean is None else export.clean(cells, numbers, sweep)
    if isinstance(region, str) and region in cells:
        nowhere = np.array([str(name).lower() in NOWHERE for name in cells[region]], bool)
        reason = "names no region; as one of its own it would pass for a region without the ad"
        out[region, reason, "what these rows counted is missing"] = nowhere
    gone = np.zeros(len(numbers), bool)
    for (column, reason, harm), mask in out.items():
        mine = np.flatnonzero(mask & ~gone)
        values = cells[column][mine[:SHOWN]] if column in cells else []
        sweep.ledger.read += len(mine)
        sweep.ledger.drop(numbers[mine], column=column, values=values, reason=reason, mend="left out", harm=harm)
        gone |= mask
    arrays = [
        batch.column(name) if name in batch.schema.names else pa.array(cells[name].astype(object), pa.string())
        for name in wanted
    ]
    kept = pa.RecordBatch.from_arrays(arrays, names=list(wanted))
    return (numbers, kept) if not gone.any() else (numbers[~gone], kept.filter(pa.array(~gone)))


def _pick(names: Mapping[str, str], **roles: tuple[str, ...]) -> dict[str, str]:
    """Role -> the first of the plain names that the file has."""
    found = {role: next((names[n] for n in options if n in names), None) for role, options in roles.items()}
    return {role: column for role, column in found.items() if column is not None}


def _ga4(names: Mapping[str, str], _: Sequence[str]) -> Export | None:
    minutes = ("datehourminute", "datehourandminute", "dateandhourandminute", "datehour", "dateandhour")
    roles = _pick(
        names, time=minutes, region=("region", "city", "country"), device=("devicecategory", "device"),
        channel=("sessiondefaultchannelgroup", "sessionprimarychannelgroup", "defaultchannelgroup", "sessionmedium"),
        kind=("eventname",), count=("keyevents", "conversions", "transactions", "ecommercepurchases", "eventcount"),
    )  # fmt: skip
    if "time" not in roles or "count" not in roles:
        return None
    width = 60.0 if "minute" in plain(roles["time"]) else 3600.0
    return Export(name="GA4", form="counts", roles=roles, zeros=True, width=width)


def _adobe(names: Mapping[str, str], columns: Sequence[str]) -> Export | None:
    unnamed = [name for name in columns if name.startswith("column ")]
    counted = [names[n] for n in COUNT if n in names]
    if not unnamed or columns[0] != unnamed[0] or len(unnamed) > 2 or not counted or any(n in names for n in TIME):
        return None

    def clean(cells: Cells, _: np.ndarray, __: Sweep) -> dict[tuple[str, str, str], np.ndarray]:
        times = [_turned(cells[name]) for name in unnamed]
        pick = np.array(
            [next((i for i, t in enumerate(row) if t[:1].isdigit()), -1) for row in zip(*times, strict=True)]
        )
        cells[CORRECTED] = np.array(
            [row[max(i, 0)] for row, i in zip(zip(*times, strict=True), pick, strict=True)], object
        )
        return {(unnamed[0], "is a total of the other rows", ""): pick < 0}

    roles = {"time": CORRECTED, "count": counted[0]} | ({"channel": unnamed[0]} if len(unnamed) > 1 else {})
    return Export(name="Adobe Analytics", form="counts", roles=roles, reads=tuple(unnamed), clean=clean, zeros=True)


def _turned(cells: np.ndarray) -> list[str]:
    """``20:41 2026-02-08`` as ``2026-02-08 20:41``."""
    parts = [str(text).split(" ") for text in cells]
    return [f"{p[1]} {p[0]}" if len(p) == 2 and ":" in p[0] and "-" in p[1] else " ".join(p) for p in parts]


def _snowplow(names: Mapping[str, str], _: Sequence[str]) -> Export | None:
    if "collectortstamp" not in names or not {"eventid", "derivedtstamp"} & set(names):
        return None
    roles = _pick(
        names, id=("eventid",), kind=("eventname", "event"), region=("georegionname", "georegion"),
        channel=("mktmedium",), device=("dvcetype", "platform"),
    )  # fmt: skip
    return _clocked(
        "Snowplow", names, roles, ("derivedtstamp", "dvcecreatedtstamp", "dvcesenttstamp", "collectortstamp")
    )


def _segment(names: Mapping[str, str], _: Sequence[str]) -> Export | None:
    if "messageid" not in names or not {"originaltimestamp", "receivedat"} <= set(names):
        return None
    roles = _pick(
        names, id=("messageid",), kind=("event", "type"), region=("contextlocationregion", "contexttraitsaddressstate"),
        channel=("contextcampaignmedium",), device=("contextdevicetype", "contextosname"),
    )  # fmt: skip
    return _clocked("Segment", names, roles, ("", "originaltimestamp", "sentat", "receivedat"))


def _clocked(name: str, names: Mapping[str, str], roles: dict[str, str], stamps: tuple[str, str, str, str]) -> Export:
    """Describe an export whose devices write times by their own clocks: received - (sent - created) is right."""
    known = [names.get(stamp) for stamp in stamps]

    def clean(cells: Cells, _: np.ndarray, sweep: Sweep) -> dict[tuple[str, str, str], np.ndarray]:
        n = len(next(iter(cells.values())))
        done, created, sent, received = (_stamps(cells.get(column or ""), n) for column in known)
        corrected = received - (sent - created)
        time = done.where(done.notna(), corrected.where(corrected.notna(), received.where(received.notna(), created)))
        cells[CORRECTED] = time.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").astype(object).where(time.notna(), None).to_numpy()
        skew = (created - time).dt.total_seconds().to_numpy(dtype=float)
        sweep.skew.append(skew[np.isfinite(skew)])
        return {}

    def close(sweep: Sweep) -> None:
        skew = np.concatenate([*sweep.skew, np.zeros(0)])
        off = np.abs(skew) > 1
        if off.any():
            sweep.ledger.note(
                "note",
                f"the devices' own clocks are off by more than 1 s in {int(off.sum()):,} of {len(skew):,} rows",
                rows=f"from {skew.min():+,.0f} s to {skew.max():+,.0f} s",
                mend="set right by the times of sending and receipt",
            )

    reads = tuple(column for column in known if column)
    return Export(name=name, form="events", roles=roles | {"time": CORRECTED}, reads=reads, clean=clean, close=close)


def _stamps(cells: np.ndarray | None, n: int) -> pd.Series:
    if cells is None:
        return pd.Series(pd.NaT, index=range(n)).dt.tz_localize("UTC")
    return pd.Series(pd.to_datetime(pd.Series(cells), format="ISO8601", utc=True, errors="coerce"))


def _shopify(names: Mapping[str, str], _: Sequence[str]) -> Export | None:
    if not {"name", "createdat", "financialstatus"} <= set(names):
        return None
    columns = {
        key: names.get(key) for key in ("name", "financialstatus", "cancelledat", "total", "refundedamount", "currency")
    }

    def clean(cells: Cells, _: np.ndarray, sweep: Sweep) -> dict[tuple[str, str, str], np.ndarray]:
        order = cells[str(columns["name"])]
        nameless = order == "(none)"
        again = np.zeros(len(order), bool)
        for i, name in enumerate(order):
            again[i] = not nameless[i] and name in sweep.seen
            sweep.seen.add(name)
        status = np.array([str(s).lower() in VOID for s in cells[str(columns["financialstatus"])]], bool)
        if columns["cancelledat"] is not None:
            status |= cells[columns["cancelledat"]] != "(none)"
        _worth(cells, columns, ~(nameless | again | status), sweep)
        name, paid = str(columns["name"]), str(columns["financialstatus"])
        return {
            (name, "names no order", "an order without its number cannot be told from a line of another"): nameless,
            (name, "is a further line item: an order counts once", ""): again,
            (paid, "is voided or cancelled", ""): status & ~again,
        }

    def close(sweep: Sweep) -> None:
        if sweep.worth:
            mean, unit = float(np.mean(sweep.worth)), " and ".join(sorted(sweep.currency)) or "units of money"
            sweep.ledger.note(
                "note", f"{len(sweep.worth):,} orders are worth {mean:,.2f} {unit} on average, refunds taken off",
                mend=f"Settings(value={mean:.2f}) uses it",
            )  # fmt: skip

    reads = tuple(column for column in columns.values() if column)
    roles = _pick(names, time=("createdat",), channel=("source",))
    return Export(name="Shopify orders", form="events", roles=roles, reads=reads, clean=clean, close=close)


def _worth(cells: Cells, columns: Mapping[str, str | None], mine: np.ndarray, sweep: Sweep) -> None:
    """Take down what each order brought, less what was refunded."""
    money = {}
    for key in ("total", "refundedamount"):
        text = cells.get(columns[key] or "")
        quiet = Ledger("")
        money[key] = (
            np.zeros(len(mine)) if text is None else read_prices(pa.array(list(text)), name=key, ledger=quiet).value
        )
    if columns["total"] is not None:
        worth = money["total"] - np.nan_to_num(money["refundedamount"])
        sweep.worth += [float(w) for w in worth[mine] if np.isfinite(w)]
    if columns["currency"] is not None:
        sweep.currency |= {str(c) for c in cells[columns["currency"]][mine] if c != "(none)"}


def _appsflyer(names: Mapping[str, str], _: Sequence[str]) -> Export | None:
    if not {"mediasource", "installtime"} <= set(names) or not {"appsflyerid", "attributedtouchtime"} & set(names):
        return None
    keys = [names[n] for n in ("appsflyerid", "eventname", "eventtime", "installtime") if n in names]

    def clean(cells: Cells, _: np.ndarray, sweep: Sweep) -> dict[tuple[str, str, str], np.ndarray]:
        again = np.zeros(len(cells[keys[0]]), bool)
        if "appsflyerid" in names:
            for i, key in enumerate(zip(*(cells[name] for name in keys), strict=True)):
                again[i] = key[0] != "(none)" and key in sweep.seen
                sweep.seen.add(key)
        return {(keys[0], "repeats an event of the same device and second", ""): again}

    roles = _pick(
        names, time=("eventtime", "installtime"), kind=("eventname",), channel=("mediasource",),
        region=("state", "region", "countrycode"), device=("platform", "devicetype"),
    )  # fmt: skip
    return Export(name="AppsFlyer", form="events", roles=roles, reads=tuple(keys), clean=clean, tz="UTC")
