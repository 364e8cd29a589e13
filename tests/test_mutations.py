"""Files damaged in 512 ways: read or refused in a sentence, never a traceback, and every row accounted for."""

import csv
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from attribution.airings import read_airings
from attribution.insertions import read_exposures
from attribution.kinds import what_is
from attribution.logs import read_events
from attribution.readers import read_counts
from attribution.tables import ReadError

GOLDEN = Path(__file__).parent / "golden" / "files"
TIMES = 64
INSERTIONS = """session_id,ad_id,region,ad_start,ad_event
v1,tea,north,2026-02-08T20:41:00.2Z,impression
v1,tea,north,2026-02-08T20:41:08Z,complete
v2,tea,(not set),2026-02-08T20:41:31Z,impression
v3,tea,south,never,impression
"""
READ = {
    "as_run_worst.csv": lambda p: read_airings(p, tz="America/New_York", broadcast_day_start="06:00"),
    "ga4_minutes.csv": lambda p: read_counts(p, tz="America/New_York"),
    "adobe_minutes.csv": lambda p: read_counts(p, tz="UTC"),
    "snowplow.jsonl": read_events,
    "segment.jsonl": read_events,
    "shopify_orders.csv": read_events,
    "appsflyer_installs.csv": read_events,
    "insertions.csv": read_exposures,
}
JUNK = [
    "",
    "NaN",
    "-1",
    "1e400",
    "２０",
    "=SUM(A1:A9)",
    '"',
    "\x00",
    "é",
    "2026-02-30",
    "24:61",
    "9" * 30,
    "null",
    "{}",
    "\u202e",
]


def mutated(text: str, rng: np.random.Generator) -> bytes:
    """One to three damages: bytes, cells, lines, ends, encodings."""
    for _ in range(rng.integers(1, 4)):
        lines = text.split("\n")
        i, how = int(rng.integers(len(lines))), int(rng.integers(9))
        if how == 0:
            del lines[i]
        elif how == 1:
            lines.insert(int(rng.integers(len(lines))), lines[i])
        elif how in {2, 3}:
            mark = ";" if lines[i].count(";") > lines[i].count(",") else ","
            cells = lines[i].split(mark)
            cells[int(rng.integers(len(cells)))] = JUNK[int(rng.integers(len(JUNK)))]
            lines[i] = mark.join(cells)
        elif how == 4:
            j = int(rng.integers(len(lines)))
            lines[i], lines[j] = lines[j], lines[i]
        elif how == 5:
            lines[i] = lines[i][: int(rng.integers(len(lines[i]) + 1))]
        elif how == 6:
            place = int(rng.integers(len(text) + 1))
            lines = (text[:place] + JUNK[int(rng.integers(len(JUNK)))] + text[place:]).split("\n")
        elif how == 7:
            lines = lines[: i + 1]
        else:
            lines[i] = lines[i].replace(",", "\t") if rng.random() < 0.5 else lines[i].upper()
        text = "\n".join(lines)
    coding = ("utf-8", "utf-8-sig", "utf-16", "cp1252")[int(rng.choice(4, p=[0.85, 0.05, 0.05, 0.05]))]
    return text.encode(coding, "replace")


def account(findings) -> tuple[int, int, int]:
    """(read, kept, reported) of a reading."""
    words = findings[-1].what.replace(",", "").split()
    return int(words[0]), int(words[3]), int(words[5])


@pytest.mark.parametrize("name", list(READ))
def test_no_damage_is_a_traceback_and_every_row_is_accounted_for(tmp_path, name):
    text = INSERTIONS if name == "insertions.csv" else (GOLDEN / name).read_text(encoding="utf-8")
    done, refused = 0, []
    for seed in range(TIMES):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(mutated(text, np.random.default_rng([seed, zlib.crc32(name.encode())])))
        try:
            what_is(path)
            table = READ[name](path)
        except ReadError as error:
            refused.append(str(error))
            continue
        done += 1
        findings = table.findings if hasattr(table, "findings") else table.attrs["findings"]
        read, kept, reported = account(findings)
        assert read == kept + reported, seed
        if name == "as_run_worst.csv":
            assert kept == len(table), seed
        elif READ[name] is read_events:
            assert kept == table.values.sum(), seed
        elif name == "insertions.csv":
            assert kept == table["exposures"].sum(), seed
    assert done > TIMES / 4
    assert all(len(why.split()) > 4 for why in refused)


def test_rows_that_are_whole_are_all_read(tmp_path):
    """What the account calls read is what lies in the file, counted by another reader."""
    rng = np.random.default_rng(7)
    for name in ("appsflyer_installs.csv", "shopify_orders.csv", "snowplow.jsonl"):
        head, *lines = (GOLDEN / name).read_text(encoding="utf-8").strip().split("\n")
        lines = [head, *lines] if name.endswith("jsonl") else lines
        for trial in range(8):
            picked = [lines[i] for i in rng.integers(len(lines), size=12)]
            path = tmp_path / f"{trial}-{name}"
            path.write_text("\n".join(picked if name.endswith("jsonl") else [head, *picked]), encoding="utf-8")
            there = len(picked)
            if not name.endswith("jsonl"):
                there = sum(1 for _ in csv.reader(io.StringIO("\n".join(picked))))
            try:
                counts = read_events(path)
            except ReadError:
                continue
            assert account(counts.findings)[0] == there
            assert account(counts.findings)[1] == counts.values.sum()
    assert json.loads(lines[0])
