"""SCTE-35 markers, from a transport stream or a log of cue messages, as declared breaks with their uncertainty.

A marker says on the stream's own clock (PTS, 90 kHz, 33 bits) when the network is left and joined again (ANSI/SCTE 35,
splice_insert, time_signal with a segmentation_descriptor). The clock of the day comes from the log's time of each
message, or from ``start``, when the first picture of a transport stream was on air.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.aliases import MARKER_ALIASES
from attribution.cells import labels, numbers
from attribution.intake import times
from attribution.sources import load, open_source
from attribution.tables import Ledger, find_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

STARTS = {0x10, 0x22, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3A, 0x44, 0x46}
"""Segmentation types that begin something; the next number ends it (ANSI/SCTE 35, segmentation_type_id)."""
ADS = {0x22, 0x30, 0x32, 0x34, 0x36, 0x38, 0x3A, 0x44, 0x46}
"""Of them those that hold advertising."""
WRAP = 2**33 / 90_000
"""Seconds after which PTS begins anew."""
FRAME = 1 / 25
"""Seconds: a splice falls on a picture."""
AT_ONCE = 2.0
"""Sd in seconds of a splice without a time (immediate): it happens with a later picture that may begin a group."""
AHEAD = 4.0
"""Seconds a marker with a time comes before it at least; without PTS the marker's own time is this early."""
MAX_ROWS = 100_000
PACKET = 188
COLUMNS = ("kind", "start", "end", "label", "uncertainty_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One message.

    Attributes
    ----------
    row
        Its number in the file.
    moment
        Seconds since 1970 at which it applies; NaN where nothing says so.
    sd
        Seconds: how well that is known.
    key
        Event and type: what begins and what ends belong together by it.
    opens
        It leaves the programme; else it joins it again.
    length
        Seconds it announces; NaN where it announces none.
    label
        Its name in words.
    """

    row: int
    moment: float
    sd: float
    key: tuple[str, int]
    opens: bool
    length: float
    label: str


def read_scte35(
    data: str | Path | pd.DataFrame,
    *,
    columns: Mapping[str, Any] | None = None,
    tz: str | None = None,
    start: str | pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Read breaks from SCTE-35 markers; needs the extra ``tv``.

    Parameters
    ----------
    data
        A transport stream (.ts), or a log of messages: a table with the message (base64 or hex), the time it was seen,
        and the PTS of that moment where the log has it.
    columns, tz
        As in :func:`attribution.airings.read_context`; roles are cue, time and pts.
    start
        For a transport stream: when its first picture was on air, with its zone.

    Returns
    -------
    pd.DataFrame
        kind ("break"), start, end, label, uncertainty_s (sd of the start in seconds): ``context`` of ``analyze``.
        ``attrs`` hold ``findings`` and ``mapping``: every message made a break, ended one, or is reported.

    Raises
    ------
    ReadError
        When there is no marker that can be read, or no clock of the day.

    Examples
    --------
    >>> cue = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="
    >>> log = pd.DataFrame({"time": ["2026-02-08T20:41:00Z"], "pts": [21506.56], "cue": [cue]})
    >>> read_scte35(log)[["start", "uncertainty_s"]].iloc[0].tolist()
    [Timestamp('2026-02-08 20:41:07.999089+0000', tz='UTC'), np.float64(0.04)]
    """
    if not isinstance(data, pd.DataFrame) and is_stream(Path(data)):
        ledger = Ledger(Path(data).name, "marker")
        found = _from_stream(Path(data), start, ledger)
    else:
        with open_source(data) as source:
            ledger = source.ledger
            roles = find_columns(ledger, source.columns, MARKER_ALIASES, columns, needed=("cue", "time"))
            rows, table = load(source, most=MAX_ROWS)
        moments, keep = times(table, roles["time"], tz, ledger, rows)
        pts = np.full(len(rows), np.nan)
        if "pts" in roles:
            pts, _ = numbers(table[roles["pts"]], name=roles["pts"], ledger=ledger)
            pts = np.where(pts > WRAP + 1, pts / 90_000, pts)  # ticks of 90 kHz
        texts = labels(table[roles["cue"]])
        found = [(int(rows[i]), moments[i] / 1e9, float(pts[i]), _cue(str(texts[i]))) for i in np.flatnonzero(keep)]
    return _frame(_breaks(_markers(found, ledger), ledger), ledger)


def is_stream(path: Path) -> bool:
    """Whether a file is a transport stream: its packets of 188 bytes begin with 0x47."""
    try:
        with path.open("rb") as file:
            head = file.read(3 * PACKET + 1)
    except OSError:
        return False
    return len(head) > PACKET and all(head[i] == 0x47 for i in range(0, len(head), PACKET))


def _threefive(ledger: Ledger) -> Any:
    try:
        import threefive  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ledger.fail("reading SCTE-35 needs the extra tv: pip install 'event-command[tv]'") from error
    return threefive


def _from_stream(
    path: Path, start: str | pd.Timestamp | None, ledger: Ledger
) -> list[tuple[int, float, float, bytes | None]]:
    """Messages of a transport stream: (number, seconds since 1970 of its moment, that moment's PTS, message)."""
    if start is None:
        raise ledger.fail(
            "a transport stream holds no clock of the day; give start=, when its first picture was on air, "
            'e.g. start="2026-02-08T20:00:00Z"'
        )
    zero = pd.Timestamp(start)
    if zero.tzinfo is None:
        raise ledger.fail(f"start is {start}; write its zone too, e.g. 2026-02-08T20:00:00Z")
    module, cues = _threefive(ledger), []
    with path.open("rb") as file, contextlib.redirect_stderr(io.StringIO()):
        stream = module.Stream(file)
        try:
            stream.decode(func=cues.append)
        except Exception as error:  # a damaged stream raises what its parser trips over
            raise ledger.fail(f"the stream cannot be read: {type(error).__name__} {error}") from error
        first = [float(ticks) / 90_000 for ticks in stream.start.values()]
    if not first:
        raise ledger.fail("no picture with a time stamp in the stream")
    ledger.read, out = len(cues), []
    for number, cue in enumerate(cues, 1):
        pts = float(getattr(cue.packet_data, "pts", None) or np.nan)
        pts = pts if np.isfinite(pts) else first[0]
        out.append((number, zero.timestamp() + (pts - first[0]) % WRAP, pts, _whole(bytes(cue.bites or b""))))
    ledger.mapping["time"] = f"PTS, from {zero}"
    return out


def _whole(raw: bytes) -> bytes | None:
    """Give a message without what follows it; None where its length or its CRC-32 do not fit."""
    if len(raw) <= 14 or raw[0] != 0xFC:
        return None
    size = ((raw[1] & 0x0F) << 8 | raw[2]) + 3
    return raw[:size] if size <= len(raw) and _crc(raw[:size]) == 0 else None


def _cue(text: str) -> bytes | None:
    """Read a message in base64 or hex; None where it is not whole (section length, CRC-32)."""
    text = text.strip().strip('"').replace("0x", "", 1) if text[:2].lower() == "0x" else text.strip().strip('"')
    for decode in (bytes.fromhex, lambda t: base64.b64decode(t, validate=True)):
        try:
            raw = decode(text)
        except (ValueError, binascii.Error):
            continue
        whole = _whole(raw)
        if whole is not None:
            return whole
    return None


def _crc(data: bytes) -> int:
    """CRC-32 of MPEG-2 systems (ISO/IEC 13818-1, annex A): 0 over a whole section."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def _markers(found: list[tuple[int, float, float, bytes | None]], ledger: Ledger) -> list[Marker]:
    """Read each message; what is none, says nothing of breaks or cancels one is reported."""
    module, out, cancelled = _threefive(ledger), [], set()
    for row, seen, pts, raw in found:
        cue = None if raw is None else _decoded(module, raw)
        if cue is None:
            ledger.drop([row], column="", values=[""], reason="no whole SCTE-35 message", mend="left out",
                        harm="a break may be missing")  # fmt: skip
            continue
        parts = _parts(cue)
        if parts == "cancel":
            cancelled |= _named(cue)
        if not isinstance(parts, list) or not parts:
            reason = "cancels a break" if parts == "cancel" else f"{cue.command.name}: says nothing of breaks"
            ledger.drop([row], column="", values=[""], reason=reason, mend="left out")
            continue
        moment, sd = _when(cue, seen, pts)
        key, opens, length, label = parts[0]
        out.append(Marker(row=row, moment=moment, sd=sd, key=key, opens=opens, length=length, label=label))
    gone = [m for m in out if m.key[0] in cancelled]
    ledger.drop(
        [m.row for m in gone], column="", values=[m.label for m in gone], reason="was cancelled", mend="left out"
    )
    return [m for m in out if m.key[0] not in cancelled]


def _decoded(module: Any, raw: bytes) -> Any:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            cue = module.Cue(raw)
        except Exception:
            return None
    return cue if cue.command is not None and cue.command.name else None


def _parts(cue: Any) -> list[tuple[tuple[str, int], bool, float, str]] | str:
    """Say what a message tells of breaks: (event and type, opens, seconds, words)."""
    command, out = cue.command, []
    for part in cue.descriptors:
        kind = getattr(part, "segmentation_type_id", None)
        if getattr(part, "segmentation_event_cancel_indicator", False):
            return "cancel"
        base = None if kind is None else kind if kind in STARTS else kind - 1
        if base in ADS:
            length = getattr(part, "segmentation_duration", None)
            words = str(part.segmentation_message).removesuffix(" Start").removesuffix(" End")
            out.append(((str(part.segmentation_event_id), base), kind == base, _seconds(length), words))
    if not out and command.command_type == 5:
        if command.splice_event_cancel_indicator:
            return "cancel"
        length = _seconds(command.break_duration)
        out.append(((str(command.splice_event_id), 0), bool(command.out_of_network_indicator), length, "Splice"))
    return out


def _named(cue: Any) -> set[str]:
    named = {str(part.segmentation_event_id) for part in cue.descriptors if hasattr(part, "segmentation_event_id")}
    return named | ({str(cue.command.splice_event_id)} if cue.command.command_type == 5 else set())


def _seconds(length: Any) -> float:
    return float(length) if length else np.nan


def _when(cue: Any, seen: float, pts: float) -> tuple[float, float]:
    """Moment at which a message applies, and its sd."""
    at = getattr(cue.command, "pts_time", None)
    if at is None:
        return seen, AT_ONCE
    at = (float(at) + float(cue.info_section.pts_adjustment or 0.0)) % WRAP
    if np.isnan(pts):
        return seen + AHEAD, AHEAD / 2
    ahead = (at - pts) % WRAP
    ahead = ahead - WRAP if ahead > WRAP / 2 else ahead
    return seen + ahead, FRAME


def _breaks(markers: list[Marker], ledger: Ledger) -> list[tuple[float, float, str, float]]:
    """Put beginnings and ends together: (start, end, label, sd), in order."""
    out: list[tuple[float, float, str, float]] = []
    waiting: dict[tuple[str, int], Marker] = {}
    repeats: list[Marker] = []
    lonely: list[Marker] = []
    for marker in sorted(markers, key=lambda m: (m.moment, m.row)):
        opened = waiting.get(marker.key)
        if marker.opens:
            if opened is not None and marker.moment - opened.moment < max(AHEAD * 3, _known(opened.length)):
                repeats.append(marker)
                # a message that is sent again and again tells its moment the better the later it comes
                waiting[marker.key] = opened if opened.sd <= marker.sd else marker
                continue
            if opened is not None:
                _close(opened, None, out, lonely)
            waiting[marker.key] = marker
        elif opened is not None:
            _close(waiting.pop(marker.key), marker, out, lonely)
        else:
            lonely.append(marker)
    for opened in waiting.values():
        _close(opened, None, out, lonely)
    for reason, group in (("repeats a marker", repeats), ("begins or ends a break that nothing completes", lonely)):
        harm = "a break may be missing" if group is lonely else ""
        ledger.drop([m.row for m in group], column="", values=[m.label for m in group], reason=reason, mend="left out",
                    harm=harm)  # fmt: skip
    return sorted(out)


def _known(length: float) -> float:
    return 0.0 if np.isnan(length) else length


def _close(
    opened: Marker, ended: Marker | None, out: list[tuple[float, float, str, float]], lonely: list[Marker]
) -> None:
    """End a break where its end marker says, else after the length it announced."""
    end = opened.moment + opened.length if ended is None else ended.moment
    if not end > opened.moment:
        lonely += [m for m in (opened, ended) if m is not None]
        return
    out.append((opened.moment, end, opened.label, opened.sd))


def _frame(breaks: list[tuple[float, float, str, float]], ledger: Ledger) -> pd.DataFrame:
    inner = [b for b in breaks if any(a is not b and a[0] <= b[0] and b[1] <= a[1] and a[:2] != b[:2] for a in breaks)]
    outer = [b for b in breaks if b not in inner]
    if inner:
        ledger.note(
            "note", f"{len(inner):,} markers of ads lie within a break", mend="the break that holds them is kept"
        )
    unsure = [b for b in outer if b[3] > 1]
    if unsure:
        ledger.note(
            "warning", f"{len(unsure):,} of {len(outer):,} breaks start by the clock of the log, not of the stream",
            harm=f"good to {max(b[3] for b in unsure):g} s", mend="log the PTS beside each message (pts)",
        )  # fmt: skip
    sides = ([b[0] for b in outer], [b[1] for b in outer])
    moments = [pd.to_datetime([round(m * 1e6) for m in side], unit="us", utc=True).as_unit("ns") for side in sides]
    frame = pd.DataFrame(
        {
            "kind": ["break"] * len(outer),
            "start": moments[0],
            "end": moments[1],
            "label": [b[2] for b in outer],
            "uncertainty_s": [b[3] for b in outer],
        }
    )
    frame.attrs = {"findings": list(ledger.findings()), "mapping": dict(ledger.mapping)}
    return frame
