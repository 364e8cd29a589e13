"""A saved answer: one JSON document that holds all of an Analysis, its data too, and reads back to the last digit.

The document is described by ``answer.schema.json`` beside this module. Numbers are written as Python writes them, which
is exact; an unknown one is null. Only JSON is read: a file can say wrong things, but never run any.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

import attribution
from attribution.analysis import MOST_TOGETHER, Analysis, fingerprint, one_thread, overlapping, pieces
from attribution.columnar import (
    array,
    columns_of,
    feed_of,
    feed_parts,
    finding_of,
    frame_of,
    numbers,
    plain,
    text_of,
)
from attribution.counts import Counts, masked
from attribution.crowds import crowded
from attribution.dictionary import TABLES
from attribution.jobs import Given
from attribution.model import design as designs
from attribution.model import fit as fast
from attribution.planning import Plan
from attribution.settings import Settings
from attribution.verdict import WORDS, Verdict

FORMAT, EDITION = "event-command answer", 1
"""What the document says it is; its edition rises when an older reader could not read it."""
INSIDE = "answer.json"
"""Its name in a zip."""
LARGEST = 1_000_000_000
"""Bytes of a document, unpacked: four weeks of minutes in 60 regions take 40 MB."""
SCHEMA = Path(__file__).parent / "answer.schema.json"
"""The published description of the document (JSON Schema 2020-12)."""
ANSWERED = tuple(name for name in TABLES if name != "airings")
"""Tables of the answer itself."""
FEEDS = ("social", "audience", "context", "exposures")
WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)
"""What goes wrong when a document does not hold what it should."""


def dump(result: Analysis) -> str:
    """Write an analysis, with the data it was made from, as one JSON document.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.

    Returns
    -------
    str
        The same analysis makes the same text.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> text = dump(at.analyze(world.counts, world.airings, at.Settings.preset("brief")))
    >>> opened(text.encode()).table["verdict"].tolist()
    ['undecided']
    """
    given = result.given
    content = {
        "format": FORMAT,
        "edition": EDITION,
        "version": result.version,
        "fingerprint": result.fingerprint,
        "as_of": None if pd.isna(result.as_of) else int(result.as_of.as_unit("ns").value),
        "settings": asdict(result.settings),
        "choices": asdict(given.choices),
        "plan": None if given.plan is None else asdict(given.plan),
        "plan_notes": list(result.plan_notes),
        "verdict": _told(result.verdict),
        "verdicts": [_told(verdict) for verdict in result.verdicts],
        "findings": [finding._asdict() for finding in result.findings],
        "tables": {name: columns_of(getattr(result, name)) for name in ANSWERED},
        "counts": _counted(given.counts),
        "airings": feed_parts(result.airings),
        "feeds": {name: None if (f := given.feeds.get(name)) is None else feed_parts(f) for name in FEEDS},
    }
    return json.dumps({"checksum": _checksum(content)} | content, allow_nan=False, ensure_ascii=False) + "\n"


def load(path: str | Path) -> Analysis:
    """Read a saved answer back: the same tables, verdicts and settings, to the last digit.

    What an analysis can do, the one that was read can do too: its data are in the file. What needs the fit (a full
    posterior, the parts of each second) makes it anew, when it is first asked for, by the version that answered.

    Parameters
    ----------
    path
        The JSON document that ``at.report(result).save("answer.json")`` wrote, or the zip of ``save("answer.zip")``.

    Returns
    -------
    Analysis

    Raises
    ------
    ValueError
        When the file cannot be opened, is no saved answer, or is not what was saved; one sentence says which.
    """
    name = Path(path).name
    try:
        size = Path(path).stat().st_size
        if size > LARGEST:
            raise ValueError(f"{name} has {size / 1e9:.1f} GB, and a saved answer at most {LARGEST / 1e9:g}")
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{name} cannot be opened ({error.strerror}); check the path") from error
    return opened(data, name)


def opened(data: bytes, name: str = "the file") -> Analysis:
    """Read a saved answer from its bytes; see :func:`load`."""
    if data[:2] == b"PK":
        data = _unzipped(data, name)
    content = _parsed(data, name)
    try:
        return _analysis(content)
    except WRONG as error:
        told = f"{type(error).__name__} {error}" if not isinstance(error, ValueError) else str(error)
        raise ValueError(f"{name} is no saved answer: {' '.join(told.split())[:200]}; save it anew") from error


def _unzipped(data: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(INSIDE) as inside:
            held = inside.read(LARGEST + 1)
    except KeyError as error:
        raise ValueError(f"{name} is a zip without {INSIDE}; give the zip that a report saved") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{name} is a damaged zip ({error}); save it anew") from error
    if len(held) > LARGEST:
        raise ValueError(f"{name} holds over {LARGEST / 1e9:g} GB, more than any saved answer; save it anew")
    return held


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    """Read the JSON, and hold it against its checksum."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number of JSON")

    try:
        content = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not whole, or no JSON ({error}); save it anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{name} is no saved answer; give the JSON or the zip that a report saved")
    if content.get("edition") != EDITION:
        raise ValueError(
            f"{name} is of edition {content.get('edition')!r}, and this version reads {EDITION}; "
            f"open it with version {content.get('version')!r}"
        )
    checksum = content.pop("checksum", None)
    try:
        fits = checksum == _checksum(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is no saved answer: {error}; save it anew") from error
    if not fits:
        raise ValueError(f"{name} was changed or damaged after it was saved: its checksum does not fit; save it anew")
    return content


def _analysis(content: dict[str, Any]) -> Analysis:
    settings, choices = (Settings.from_json(json.dumps(content[name])) for name in ("settings", "choices"))
    counts, airings = _counts(content["counts"]), feed_of(content["airings"], "airings")
    feeds = {name: None if (f := content["feeds"][name]) is None else feed_of(f, name) for name in FEEDS}
    version = text_of(content["version"])
    if version == attribution.__version__ and fingerprint(counts, airings, settings, feeds) != content["fingerprint"]:
        raise ValueError("its data and settings do not have the fingerprint that it names")
    tables = {name: frame_of(content["tables"][name], name) for name in ANSWERED}
    verdicts = tuple(map(_verdict, content["verdicts"]))
    if [v.airing for v in verdicts] != tables["table"]["airing"].tolist() or len(verdicts) != len(airings):
        raise ValueError("its verdicts are not about its airings")
    as_of = content["as_of"]
    if not isinstance(as_of, int | None):
        raise TypeError("the end of its data is no whole number of nanoseconds")
    return Analysis(
        **tables,
        verdicts=verdicts,
        verdict=_verdict(content["verdict"]),
        findings=tuple(map(finding_of, content["findings"])),
        plan_notes=tuple(map(text_of, content["plan_notes"])),
        airings=airings,
        settings=settings,
        fingerprint=text_of(content["fingerprint"]),
        version=version,
        as_of=cast("pd.Timestamp", pd.NaT) if as_of is None else pd.Timestamp(as_of, unit="ns", tz="UTC"),
        given=Given(
            counts=counts,
            feeds=feeds,
            choices=choices,
            plan=None if content["plan"] is None else Plan.from_json(json.dumps(content["plan"])),
            fitted=partial(refitted, counts, airings, choices, feeds, version),
        ),
    )


def refitted(
    counts: Counts, airings: pd.DataFrame, choices: Settings, feeds: Mapping[str, pd.DataFrame | None], version: str
) -> tuple[fast.Fit, ...]:
    """Make the fast fits of a saved answer anew, without its looks and verdicts.

    Raises
    ------
    ValueError
        When another version answered: its fits would not be these.
    """
    if version != attribution.__version__:
        raise ValueError(
            f"version {version} answered and this is {attribution.__version__}: the fit is not in the saved file, and "
            f"another version may fit otherwise; analyse the data anew, or install version {version}"
        )
    started, groups = overlapping(counts, airings, choices)
    if choices.baseline == "brief" or crowded(counts, airings, groups, MOST_TOGETHER):
        return ()
    left_out, fits = masked(counts) if len(counts.start) else None, []
    with one_thread().limit(limits=1, user_api="blas"):
        for members in pieces(groups, MOST_TOGETHER):
            others = np.setdiff1d(started, members)
            design = designs.build(counts, airings, choices, members=members, others=others, masked=left_out, **feeds)
            with suppress(FloatingPointError):
                fits += [] if design is None else [fast.fit(design, choices)]
    return tuple(fits)


def _checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the document without its checksum: sorted keys, no spaces."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _counted(counts: Counts) -> dict[str, Any]:
    start = counts.start.astype("int64")
    return {
        **{name: list(getattr(counts, name)) for name in ("regions", "channels", "devices")},
        "kind": counts.kind,
        "start": start.tolist(),
        **{name: numbers(getattr(counts, name)) for name in ("width", "values", "completeness")},
        "findings": [finding._asdict() for finding in counts.findings],
        "mapping": [[role, plain(column)] for role, column in counts.mapping],
    }


def _counts(content: dict[str, Any]) -> Counts:
    labels = {name: tuple(map(text_of, content[name])) for name in ("regions", "channels", "devices")}
    bins, shape = len(content["start"]), tuple(map(len, labels.values()))
    return Counts(
        start=np.array(content["start"], dtype="int64").astype("datetime64[ns]"),
        width=array(content["width"]),
        values=array(content["values"]).reshape(bins, *shape),
        completeness=array(content["completeness"]).reshape(bins, shape[0]),
        **labels,
        kind=text_of(content["kind"]),
        findings=tuple(map(finding_of, content["findings"])),
        mapping=tuple((text_of(role), column) for role, column in content["mapping"]),
    )


def _told(verdict: Verdict) -> dict[str, Any]:
    return asdict(verdict) | {"log_e": numbers(np.array([verdict.log_e]))[0]}


def _verdict(content: dict[str, Any]) -> Verdict:
    if sorted(content) != sorted(f.name for f in fields(Verdict)):
        raise ValueError(f"a verdict has {', '.join(content)}")
    if content["word"] not in WORDS or content["rung"] not in range(6):
        raise ValueError(f"a verdict says {content['word']!r} on rung {content['rung']!r}")
    lists = {name: tuple(map(text_of, content[name])) for name in ("evidence_for", "evidence_against", "would_change")}
    airing, word, sentence = (text_of(content[name]) for name in ("airing", "word", "sentence"))
    odds = float(array([content["log_e"]])[0])
    return Verdict(airing=airing, word=word, sentence=sentence, **lists, rung=int(content["rung"]), log_e=odds)
