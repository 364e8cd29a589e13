"""SCTE-35 from a log of messages and from a transport stream to the same breaks."""

import base64

import pandas as pd
import pytest

from attribution.markers import _crc, read_scte35
from attribution.tables import ReadError

threefive = pytest.importorskip("threefive")
TICKS = 90_000


def insert(event, *, out=True, pts=None, length=None, cancel=False):
    """A splice_insert, put together bit by bit (ANSI/SCTE 35, 9.7.3)."""
    command = event.to_bytes(4, "big") + bytes([0xFF if cancel else 0x7F])
    if not cancel:
        flags = (0x80 if out else 0) | 0x40 | (0x20 if length else 0) | (0x10 if pts is None else 0) | 0x0F
        command += bytes([flags])
        if pts is not None:
            command += (0xFE << 32 | round(pts * TICKS)).to_bytes(5, "big")
        if length:
            command += (0xFE << 32 | round(length * TICKS)).to_bytes(5, "big")
        command += bytes([0, 1, 0, 0])
    return section(5, command)


def section(kind, command):
    body = bytes([0, 0, 0, 0, 0, 0, 0]) + (0xFFF << 12 | len(command)).to_bytes(3, "big") + bytes([kind]) + command
    head = bytes([0xFC]) + (0x3000 | len(body) + 2 + 4).to_bytes(2, "big")
    raw = head + body + b"\x00\x00"
    return raw + _crc(raw).to_bytes(4, "big")


def row(second, pts, raw, *, hexed=False):
    text = "0x" + raw.hex() if hexed else base64.b64encode(raw).decode()
    return {"time": f"2026-02-08T20:{41 + second // 60}:{second % 60:02d}Z", "pts": pts, "cue": text}


def said(frame):
    return " | ".join(" ".join(f) for f in frame.attrs["findings"])


def test_a_log_becomes_breaks_and_every_message_is_accounted_for():
    log = pd.DataFrame(
        [
            row(0, 1000.0, insert(7, pts=1008.0, length=60)),
            row(3, 1003.0, insert(7, pts=1008.0, length=60), hexed=True),  # sent again
            row(5, 1005.0, section(0, b"")),  # splice_null, a heartbeat
            row(50, 1050.0, insert(7, out=False, pts=1058.0)),  # joined again ten seconds early
            row(100, 1100.0, insert(8, pts=1108.0, length=30)),
            row(101, 1101.0, insert(8, cancel=True)),
            row(150, 1150.0, insert(9, length=30)),  # at once
            row(170, 1170.0, insert(10, pts=1172.0)),  # never ended, no length
            {"time": "2026-02-08T20:45:00Z", "pts": 1.0, "cue": "FC not a message"},
            {"time": "soon", "pts": 1.0, "cue": "x"},
        ]
    )
    breaks = read_scte35(log)
    assert breaks["start"].dt.strftime("%H:%M:%S").tolist() == ["20:41:08", "20:43:30"]
    assert (breaks["end"] - breaks["start"]).dt.total_seconds().tolist() == [50.0, 30.0]
    assert breaks["uncertainty_s"].tolist() == [0.04, 2.0]
    text = said(breaks)
    for words in ("10 rows read: 3 kept, 7 reported", "repeats a marker", "was cancelled", "cancels a break",
                  "no whole SCTE-35 message", "nothing completes", "says nothing of breaks"):  # fmt: skip
        assert words in text, words


def test_without_pts_the_start_is_unsure():
    breaks = read_scte35(pd.DataFrame([row(0, 0, insert(7, pts=1008.0, length=60))]).drop(columns="pts"))
    assert breaks["uncertainty_s"].tolist() == [2.0]
    assert "log the PTS beside each message" in said(breaks)


def test_pts_begins_anew():
    wrap = 2**33 / TICKS
    breaks = read_scte35(pd.DataFrame([row(0, wrap - 2, insert(7, pts=6.0, length=60))]))
    assert breaks["start"].dt.strftime("%H:%M:%S").tolist() == ["20:41:08"]


def packet(pid, payload, counter, *, start=True):
    head = bytes([0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF])
    room = 184 - len(payload)
    if room == 0:
        return head + bytes([0x10 | counter % 16]) + payload
    pad = bytes([room - 1]) + (b"\x00" + b"\xff" * (room - 2) if room > 1 else b"")
    return head + bytes([0x30 | counter % 16]) + pad + payload


def table(raw):
    return b"\x00" + raw + _crc(raw).to_bytes(4, "big")


def picture(pts, counter):
    ticks = round(pts * TICKS)
    stamp = bytes(
        [
            0x21 | ticks >> 29 & 0x0E,
            ticks >> 22 & 0xFF,
            1 | ticks >> 14 & 0xFE,
            ticks >> 7 & 0xFF,
            1 | ticks << 1 & 0xFE,
        ]
    )
    pes = b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + stamp
    return packet(0x101, pes + b"\x00" * (184 - len(pes)), counter)


def stream():
    """PAT, PMT with a SCTE-35 stream (0x86), pictures every 2 s, and two messages (ISO/IEC 13818-1)."""
    pat = table(bytes.fromhex("00b00d0001c100000001e100"))
    pmt = table(bytes.fromhex("02b0170001c10000e101f0001be101f00086e102f000"))
    out = packet(0, pat + b"\xff" * (184 - len(pat)), 0) + packet(0x100, pmt + b"\xff" * (184 - len(pmt)), 0)
    for i in range(40):
        out += picture(100.0 + 2 * i, i)
        if i == 5:
            raw = b"\x00" + insert(7, pts=118.0, length=30)
            out += packet(0x102, raw + b"\xff" * (184 - len(raw)), 0)
        if i == 20:
            raw = b"\x00" + insert(7, out=False, pts=144.0)
            out += packet(0x102, raw + b"\xff" * (184 - len(raw)), 1)
    return out


def test_a_transport_stream_needs_the_moment_of_its_first_picture(tmp_path):
    path = tmp_path / "recorded.ts"
    path.write_bytes(stream())
    with pytest.raises(ReadError, match="give start="):
        read_scte35(path)
    breaks = read_scte35(path, start="2026-02-08T20:00:00Z")
    assert breaks["start"].dt.strftime("%H:%M:%S").tolist() == ["20:00:18"]
    assert (breaks["end"] - breaks["start"]).dt.total_seconds().tolist() == [26.0]
    assert "2 markers read: 2 kept, 0 reported" in said(breaks)
    path.write_bytes(stream()[: 188 * 20 + 70])
    assert len(read_scte35(path, start="2026-02-08T20:00:00Z")) == 1
