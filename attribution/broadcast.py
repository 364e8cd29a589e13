"""Clock times as stations write them: hours past midnight, broadcast days, frame codes, Excel's numbers, zones.

A frame code counts frames, not time (SMPTE ST 12-1). With 29.97 frames a second, drop-frame codes (``;``) leave out the
numbers 0 and 1 of every minute but each tenth, and so stay with the clock to .1 s a day; codes without that fall behind
it by 3.6 s an hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
LAST_HOUR = 29
"""A broadcast day that starts at 6 a.m. ends at 29:59:59."""
CLOCK = re.compile(
    r"(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2})(?:(?P<sep>[;:.,])(?P<f>\d{1,6}))?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?\s*(?P<zone>[A-Z]{2,4})?"
)
"""``20:41:13;12``, ``8:41 PM ET``, ``25:10``."""
ZONES = {
    "ET": "America/New_York", "EST": "America/New_York", "EDT": "America/New_York",
    "CT": "America/Chicago", "CST": "America/Chicago", "CDT": "America/Chicago",
    "MT": "America/Denver", "MST": "America/Denver", "MDT": "America/Denver",
    "PT": "America/Los_Angeles", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
    "EASTERN": "America/New_York", "CENTRAL": "America/Chicago", "MOUNTAIN": "America/Denver",
    "PACIFIC": "America/Los_Angeles", "AKT": "America/Anchorage", "HT": "Pacific/Honolulu",
    "UTC": "UTC", "GMT": "UTC", "Z": "UTC", "BST": "Europe/London", "WET": "Europe/Lisbon", "CET": "Europe/Paris",
    "CEST": "Europe/Paris", "MEZ": "Europe/Berlin", "MESZ": "Europe/Berlin", "EET": "Europe/Athens",
    "EEST": "Europe/Athens", "JST": "Asia/Tokyo", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
}  # fmt: skip
"""What logs call zones. EST in summer is read as the clock on New York's wall: that is what logs mean by it."""
RATES = {23.976: (24, 1001, 24_000), 24.0: (24, 1, 24), 25.0: (25, 1, 25), 29.97: (30, 1001, 30_000), 30.0: (30, 1, 30),
         50.0: (50, 1, 50), 59.94: (60, 1001, 60_000), 60.0: (60, 1, 60)}  # fmt: skip
"""Frames a second -> (numbers a second of the code, seconds of a frame as a fraction)."""
DROPS = 2
"""Frame numbers left out of a minute by a drop-frame code at 29.97."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Times of the day of one column.

    Attributes
    ----------
    ns
        (n,) int: nanoseconds since midnight of the date that stands beside them; may pass 24 hours.
    good
        (n,) bool: a time was read.
    late
        (n,) bool: written with an hour from 24 on.
    frames
        (n,) str: ``drop``, ``non-drop`` or empty.
    absent
        (n,) bool: a drop-frame code that does not exist, ``20:41:00;01``.
    zones
        (n,) object: the zone written behind the time, or empty.
    """

    ns: np.ndarray
    good: np.ndarray
    late: np.ndarray
    frames: np.ndarray
    absent: np.ndarray
    zones: np.ndarray


def read_clocks(texts: list[str], *, frame_rate: float | None = None) -> Clocks:
    """Read times of the day.

    Parameters
    ----------
    texts
        As written; empty where there is none.
    frame_rate
        Frames a second of codes with a colon before the frames; 29.97 counts them since midnight, so that they are set
        right by 3.6 s an hour. By default the code is the clock, and frames are parts of its second.

    Raises
    ------
    ValueError
        When ``frame_rate`` is none of :data:`RATES`.

    Examples
    --------
    >>> (read_clocks(["25:10:00", "8:41 PM", "00:01:00;02"]).ns / 1e9).round(3).tolist()
    [90600.0, 74460.0, 60.06]
    """
    if frame_rate is not None and frame_rate not in RATES:
        raise ValueError(f"frame_rate is {frame_rate!r}; choose one of {', '.join(f'{r:g}' for r in RATES)}")
    n = len(texts)
    ns, good, late, absent = np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    frames, zones = np.full(n, "", object), np.full(n, "", object)
    numbers = [int(found["f"]) for text in texts if (found := CLOCK.fullmatch(text)) and found["sep"] == ":"]
    usual = 25.0 if numbers and max(numbers) < 25 else 30.0
    for i, text in enumerate(texts):
        found = CLOCK.fullmatch(text)
        if found is None or (found["zone"] and found["zone"] not in ZONES):
            continue
        hour, minute, second = int(found["h"]), int(found["m"]), int(found["s"] or 0)
        if found["half"]:
            if not 1 <= hour <= 12:
                continue
            hour = hour % 12 + 12 * (found["half"] in "Pp")
        if hour > LAST_HOUR or minute > 59 or second > 59:
            continue
        whole = (hour * 60 + minute) * 60 + second
        if found["sep"] in {";", ","} and len(found["f"]) == 2:
            if int(found["f"]) > 29:
                continue
            frames[i], absent[i] = "drop", _left_out(minute, second, int(found["f"]))
            ns[i] = drop_frame_ns(hour, minute, second, int(found["f"]))
        elif found["sep"] == ":":
            count, top, bottom = RATES[frame_rate or usual]
            if int(found["f"]) >= count:
                continue
            frames[i] = "non-drop"
            total = (whole * count + int(found["f"])) * top
            ns[i] = total * SECOND // bottom if frame_rate else whole * SECOND + int(found["f"]) * SECOND // count
        else:
            part = found["f"] or "0"
            ns[i] = whole * SECOND + int(part) * SECOND // 10 ** len(part)
        good[i], late[i], zones[i] = True, hour >= 24, ZONES.get(found["zone"] or "", "")
    return Clocks(ns=ns, good=good, late=late, frames=frames, absent=absent, zones=zones)


def drop_frame_ns(hour: int, minute: int, second: int, frame: int) -> int:
    """Nanoseconds since midnight of a drop-frame code at 29.97 (SMPTE ST 12-1).

    Examples
    --------
    >>> drop_frame_ns(1, 0, 0, 0) / 1e9  # an hour of the code is 3.6 ms short of an hour
    3599.9964
    """
    minutes = 60 * hour + minute
    count = 30 * (60 * minutes + second) + frame - DROPS * (minutes - minutes // 10)
    return count * 1001 * SECOND // 30_000


def _left_out(minute: int, second: int, frame: int) -> bool:
    """Whether a drop-frame code names a frame that is never counted."""
    return frame < DROPS and second == 0 and minute % 10 != 0


def day_start_ns(written: str | None) -> int:
    """Nanoseconds from midnight to the start of the broadcast day; 0 where days are the calendar's.

    Raises
    ------
    ValueError
        When it is no time of the day from 00:00 to 12:00.

    Examples
    --------
    >>> day_start_ns("06:00") // 3_600_000_000_000
    6
    """
    if written is None:
        return 0
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", str(written).strip())
    hour, minute = (int(found[1]), int(found[2])) if found else (99, 0)
    if hour > 12 or minute > 59:
        raise ValueError(f"broadcast_day_start is {written!r}; write the hour the day begins, e.g. '06:00'")
    return (hour * 60 + minute) * 60 * SECOND


def zone_named(written: str) -> str:
    """Give the zone that a log means by a word: ``ET`` is New York; what is no word of ours stays as it is.

    Examples
    --------
    >>> zone_named("PT"), zone_named("Europe/Berlin")
    ('America/Los_Angeles', 'Europe/Berlin')
    """
    return ZONES.get(written.strip().upper(), written.strip())
