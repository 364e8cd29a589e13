"""Tables of server-side ad insertion: one row a viewer's ad, as exposures per second and as airings.

Where each viewer gets the ad at a time of his own, the response is the exposures convolved with the lag, and nothing
need be known of stream delays: give them to ``analyze`` as ``exposures=``. :func:`airings_of` makes the airings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.aliases import INSERTION_ALIASES
from attribution.cells import labels, numbers
from attribution.exports import NOWHERE
from attribution.intake import drop, times
from attribution.layouts import normalise
from attribution.sources import load, open_source
from attribution.tables import SHOWN, Ledger, count_of, find_columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_ROWS = 20_000_000
FIRST = (
    "impression",
    "adimpression",
    "start",
    "adstart",
    "ad_start",
    "ad_impression",
    "insertion",
    "begin",
    "vast_start",
)
"""Beacons that say that an ad began; an ad is counted at the one of them that its file has most of."""
APART = 180.0
"""Seconds without an insertion of an ad, after which it is another airing: streams lag by up to two minutes."""
LATE = 900.0
"""Seconds after an airing's start in which an insertion can be of it."""
LENGTH = 30.0


def read_exposures(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    airings: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Read per-viewer insertions, or exposures that are counted by time.

    Parameters
    ----------
    data, columns, tz
        As in :func:`attribution.airings.read_airings`; roles are time, session, airing (the ad), region, event,
        length_s, exposures.
    airings
        The airings they belong to; then each insertion is put to the airing of its creative or name that began last
        before it. Without, insertions of an ad that lie together are an airing.

    Returns
    -------
    pd.DataFrame
        time (a second), region, exposures (viewers whose ad began in it), airing: ``exposures`` of ``analyze``.
        ``attrs`` hold ``findings`` and ``mapping``.

    Raises
    ------
    ReadError
        When the file cannot be read as insertions.

    Examples
    --------
    >>> rows = pd.DataFrame({"session_id": ["a", "b"], "ad_id": ["tea", "tea"], "region": ["north", "south"],
    ...                      "ad_start": ["2026-02-08T20:41:00.2Z", "2026-02-08T20:41:31Z"]})
    >>> read_exposures(rows)[["region", "exposures", "airing"]].values.tolist()
    [['north', 1.0, 'tea'], ['south', 1.0, 'tea']]
    """
    with open_source(data) as source:
        ledger = source.ledger
        found = find_columns(ledger, source.columns, INSERTION_ALIASES, columns, needed=("time",))
        rows, table = load(source, list(dict.fromkeys(found.values())), most=MAX_ROWS)
    moments, keep = times(table, found["time"], tz, ledger, rows)
    text = {role: labels(table[found[role]]) for role in ("session", "airing", "region", "event") if role in found}
    many = np.ones(len(rows))
    if "exposures" in found and "session" not in found:
        many, odd = numbers(table[found["exposures"]], name=found["exposures"], ledger=ledger)
        with np.errstate(invalid="ignore"):
            wrong = keep & (odd | ~np.isfinite(many) | (many < 0))
        drop(ledger, table, found["exposures"], rows, wrong, "is no number of viewers", "left out")
        keep &= ~wrong
    keep = _once(table, found, text, moments, keep, rows, ledger)
    ad = text.get("airing", np.full(len(rows), "", object))
    frame = pd.DataFrame(
        {
            "time": pd.DatetimeIndex((moments[keep] // 10**9 * 10**9).view("datetime64[ns]")).tz_localize("UTC"),
            "region": _regions(text.get("region"), keep, ledger),
            "exposures": many[keep],
            "airing": np.where(ad[keep] == "(none)", "", ad[keep]),
            "row": rows[keep],
        }
    )
    frame["airing"] = _clusters(frame, ledger) if airings is None else _belonging(frame, airings)
    lost = frame["airing"].isna()
    ledger.drop(
        frame["row"].to_numpy()[lost],
        column=found.get("airing", found["time"]),
        values=frame["time"][lost],
        reason="belongs to no airing",
        mend="left out",
        harm="these viewers' responses count as none",
    )
    summed = pd.DataFrame(frame[~lost].groupby(["time", "region", "airing"], as_index=False)["exposures"].sum())
    summed.attrs = {"findings": list(ledger.findings()), "mapping": dict(ledger.mapping)}
    return normalise(summed.sort_values(["time", "region", "airing"], ignore_index=True), "exposures")


def airings_of(exposures: pd.DataFrame, *, length_s: float = LENGTH) -> pd.DataFrame:
    """Make airings of exposures: each begins with the first hundredth of its viewers, in the regions that saw it.

    Examples
    --------
    >>> seconds = pd.date_range("2026-02-08T20:41:00Z", periods=3, freq="s")
    >>> shown = pd.DataFrame({"time": seconds, "region": "north", "exposures": [1.0, 9.0, 5.0], "airing": "tea"})
    >>> airings_of(shown)[["airing", "start", "regions", "impressions"]].values.tolist()
    [['tea', Timestamp('2026-02-08 20:41:00+0000', tz='UTC'), 'north', 15.0]]
    """
    rows = []
    for name, mine in exposures.groupby("airing", sort=False):
        ordered = mine.sort_values("time")
        share = ordered["exposures"].cumsum() / max(float(ordered["exposures"].sum()), 1e-9)
        regions = sorted(set(mine["region"]) - {"all"})
        rows.append(
            {
                "airing": str(name) or "airing-1",
                "start": ordered["time"].iloc[int(np.searchsorted(share.to_numpy(), 0.01))],
                "length_s": length_s,
                "regions": "|".join(regions),
                "impressions": float(mine["exposures"].sum()),
            }
        )
    frame = pd.DataFrame(rows, columns=["airing", "start", "length_s", "regions", "impressions"])
    frame.attrs = {"findings": [], "mapping": {"airing": "exposures"}}
    return normalise(frame.sort_values("start", ignore_index=True))


def _once(
    table: Any,
    found: dict[str, Any],
    text: dict[str, np.ndarray],
    moments: np.ndarray,
    keep: np.ndarray,
    rows: np.ndarray,
    ledger: Ledger,
) -> np.ndarray:
    """Count an ad of a viewer once: at the beacon of its start, and not again within the same minute."""
    if "event" in text:
        kinds = pd.Series([str(kind).lower().replace(" ", "") for kind in text["event"]])
        there = [kind for kind in FIRST if (kinds == kind).any()]
        if there:
            first = max(there, key=lambda kind: int((kinds == kind).sum()))
            later = keep & (kinds != first).to_numpy()
            drop(ledger, table, found["event"], rows, later, f"is another beacon than {first!r}", "counted by that one")
            keep = keep & ~later
    if "session" in text:
        ad = text.get("airing", np.full(len(rows), "", object))
        key = pd.DataFrame({"s": text["session"], "a": ad, "t": moments // (60 * 10**9)})
        again = np.zeros(len(rows), bool)
        again[keep] = key[keep].duplicated().to_numpy() & (text["session"][keep] != "(none)")
        drop(
            ledger, table, found["session"], rows, again, "repeats an ad of the same viewer and minute", "counted once"
        )
        keep = keep & ~again
    return keep


def _regions(region: np.ndarray | None, keep: np.ndarray, ledger: Ledger) -> np.ndarray:
    if region is None:
        return np.full(int(keep.sum()), "all", object)
    out = region[keep].copy()
    nowhere = np.array([str(name).lower() in NOWHERE for name in out], bool)
    if nowhere.any():
        out[nowhere] = "all"
        ledger.note("note", f"{count_of(int(nowhere.sum()), 'insertion')} without a region", mend="region 'all'")
    return out


def _clusters(frame: pd.DataFrame, ledger: Ledger) -> pd.Series:
    """Name airings: insertions of an ad with no pause between them are one; the next are ``ad (2)``, ``ad (3)``."""
    names = frame["airing"].copy()
    for ad, mine in frame.sort_values("time").groupby("airing", sort=False):
        part = (mine["time"].diff().dt.total_seconds() > APART).cumsum()
        names.loc[mine.index] = [f"{ad}" if k == 0 else f"{ad} ({k + 1})" for k in part]
    found = list(dict.fromkeys(names))
    ledger.note("note", f"{count_of(len(found), 'airing')} by pauses of {APART:g} s", rows=", ".join(found[:SHOWN]),
                mend="airings= puts insertions to the airings of a log")  # fmt: skip
    return names


def _belonging(frame: pd.DataFrame, airings: pd.DataFrame) -> pd.Series:
    """Put each insertion to the last airing before it of its creative or name; of any, where it names none."""
    names = pd.Series(None, index=frame.index, dtype=object)
    known = set(airings["airing"]) | set(airings["creative"]) - {""}
    for ad, mine in frame.groupby("airing"):
        log = airings[(airings["airing"] == ad) | (airings["creative"] == ad)] if ad in known else airings
        if ad not in known and ad != "" and len(known & set(frame["airing"])):
            continue
        start = pd.DatetimeIndex(log["start"]).as_unit("ns").asi8 / 1e9
        order = np.argsort(start, kind="stable")
        seconds = pd.DatetimeIndex(mine["time"]).as_unit("ns").asi8 / 1e9
        at = np.searchsorted(start[order], seconds, side="right") - 1
        good = (at >= 0) & (seconds - start[order][np.maximum(at, 0)] <= LATE)
        who = log["airing"].to_numpy()[order]
        names.loc[mine.index] = [who[i] if g else None for i, g in zip(at, good, strict=True)]
    return names
