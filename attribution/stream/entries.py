"""One line of JSON as an event: what it must say, and the reason when it is not taken."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

LONGEST_LINE, LONGEST_LABEL = 65_536, 200
PLACES = ("all", "all", "all", "conversion")
"""Region, channel, device and kind of an event that does not name them; its source is then ``feed``."""
HEAVIEST = float(np.finfo(np.float32).max)


class Rejected(Exception):  # noqa: N818  a line that is counted, not an error that travels
    """Its text is the reason."""


class Entry(NamedTuple):
    """What a line says beside its labels; ``moment`` is a text, or nanoseconds since 1970."""

    moment: str | int
    seq: int
    weight: float


def parsed(line: bytes) -> tuple[Entry, tuple[Any, ...]]:
    r"""Read one line.

    Parameters
    ----------
    line
        A JSON object in UTF-8; :func:`attribution.stream.wire.lines` names what it may hold.

    Returns
    -------
    Entry, tuple
        And source, epoch, region, channel, device and kind as they stand there: for :func:`placed`.

    Raises
    ------
    Rejected
        With the reason, one of a dozen.

    Examples
    --------
    >>> entry, place = parsed(b'{"time": 1770583260, "seq": 7, "region": "us-east"}')
    >>> entry.moment, entry.seq, placed(place)
    (1770583260000000000, 7, ('feed', 0, 'us-east', 'all', 'all', 'conversion'))
    """
    get = _object(line).get
    moment, seq, weight = get("time"), get("seq"), get("weight")
    if moment is None:
        moment = get("timestamp", get("ts"))
        if moment is None:
            raise Rejected("no time")
    if seq is None:
        seq = get("sequence")
    if weight is None:
        weight = get("value", 1.0)
        weight = 1.0 if weight is None else weight
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) <= HEAVIEST:
        raise Rejected("weight is not a number")
    entry = Entry(
        moment if isinstance(moment, str) else _nanoseconds(moment),
        _whole(seq, 2**64, "seq is not a whole number"),
        float(weight),
    )
    return entry, (get("source"), get("epoch"), get("region"), get("channel"), get("device"), get("kind"))


def placed(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check the labels of a line and fill in those it does not name; raises ``Rejected``."""
    source, epoch, *rest = place
    return (
        _label(source, "feed"),
        _whole(epoch, 2**63, "epoch is not a whole number"),
        *(_label(value, default) for value, default in zip(rest, PLACES, strict=True)),
    )


def moments_of(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) nanoseconds since 1970 of ISO 8601 texts, and (n,) which of them are moments that 64 bits can hold."""
    found = pd.to_datetime(pd.Series(texts, dtype=object), utc=True, format="ISO8601", errors="coerce")
    good = found.dt.year.between(1678, 2261).to_numpy(dtype=bool)
    return found.where(good, pd.Timestamp(0, tz="UTC")).dt.as_unit("ns").astype("int64").to_numpy(), good


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise Rejected("line is too long")
    try:
        found = json.loads(line)
    except UnicodeDecodeError:
        raise Rejected("not UTF-8") from None
    except (ValueError, RecursionError):
        raise Rejected("not JSON") from None
    if not isinstance(found, dict):
        raise Rejected("not an object")
    return found


def _whole(value: object, high: int, reason: str) -> int:
    """Whole number in ``[0, high)``; 0 where there is none."""
    if value is None:
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < high:
        raise Rejected(reason)
    return value


def _label(value: object, default: str) -> str:
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Rejected("label is not a text")
    text = str(value)
    if len(text) > LONGEST_LABEL:
        raise Rejected("label is too long")
    if not text.isprintable():  # lone surrogates too, which no file could hold
        raise Rejected("label is not printable")
    return text


def _nanoseconds(value: object) -> int:
    """Nanoseconds since 1970 of a number of s, ms, us or ns: each is a thousand times the one before."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        raise Rejected("time is not a moment")
    size = abs(value)
    scale = 10**9 if size < 1e11 else 10**6 if size < 1e14 else 1000 if size < 1e17 else 1
    found = round(value * scale)
    if not abs(found) < 2**63:
        raise Rejected("time is not a moment")
    return found
