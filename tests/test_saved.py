"""A saved answer comes back to the last digit; what is no saved answer is refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from functools import cache

import jsonschema
import numpy as np
import pandas as pd
import pytest

import attribution as at
from attribution import saved
from attribution.columnar import array, numbers
from attribution.dictionary import TABLES, columns
from attribution.planning import lock
from attribution.tables import Finding
from attribution.trials import trial

CHOICES = at.Settings(window="60s", response_peak="10s", response_peak_logsd=0.2)
KINDS = ("minutes", "one region", "unknown counts", "not yet on air", "planned")
ALIKE = ("verdicts", "verdict", "findings", "plan_notes", "settings", "fingerprint", "version", "as_of")


@cache
def answered(kind: str) -> at.Analysis:
    """An answer of each kind, so small that it is quick."""
    world = trial({"one region": "one_region", "unknown counts": "outage"}.get(kind, "minutes"), 3)
    airings, settings = world.airings, CHOICES
    if kind == "not yet on air":
        airings = airings.assign(start=world.counts.end + pd.Timedelta("1h"))
    if kind == "planned":
        found = (Finding("warning", "=a row was left out", "7", "less data", "look at it"),)
        counts = replace(world.counts, findings=found, mapping=(("time", "ts"), ("count", ["a", "b"])))
        settings = at.Settings.preset("brief")
        plan = lock(settings, airings, counts, at=airings["start"].min() - pd.Timedelta("1h"))
        return at.analyze(counts, airings, settings, context=world.context, plan=plan)
    return at.analyze(world.counts, airings, settings.replace(placebos=False), social=world.social)


def resealed(text: str, change) -> bytes:
    """The document after a change, under a checksum that fits."""
    content = json.loads(text)
    content.pop("checksum")
    change(content)
    return json.dumps({"checksum": saved._checksum(content)} | content).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_comes_back_to_the_last_digit(kind, tmp_path):
    result = answered(kind)
    back = at.load(at.report(result).save(tmp_path / "answer.json"))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(back, name), getattr(result, name), check_exact=True)
    assert [getattr(back, name) for name in ALIKE] == [getattr(result, name) for name in ALIKE]
    assert back.given.counts.fingerprint == result.given.counts.fingerprint
    assert (back.given.counts.findings, back.given.plan) == (result.given.counts.findings, result.given.plan)
    assert back.airings.attrs == result.airings.attrs
    assert saved.dump(back) == saved.dump(result)


def test_what_needs_the_fit_makes_it_anew():
    result = answered("minutes")
    back = saved.opened(saved.dump(result).encode())
    assert len(back.given.fits) == len(result.given.fits) == 1
    assert (back.given.fits[0].window_mean == result.given.fits[0].window_mean).all()
    other = saved.opened(resealed(saved.dump(result), lambda c: c.update(version="0.0.9")))
    assert other.version == "0.0.9"
    with pytest.raises(ValueError, match=r"version 0\.0\.9 answered.*analyse the data anew"):
        _ = other.given.fits


def test_the_columns_of_every_table_are_in_the_dictionary():
    result = answered("minutes")
    for name in TABLES:
        assert [column.name for column in columns(name)] == list(getattr(result, name).columns), name
    assert all(column.meaning and column.unit for name in TABLES for column in columns(name))


def test_the_document_is_what_its_schema_says():
    schema = json.loads(saved.SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    content = json.loads(saved.dump(answered("planned")))
    for name in ("start", "width", "values", "completeness"):  # thousands of numbers like the first ones
        content["counts"][name] = content["counts"][name][:40]
    assert list(validator.iter_errors(content)) == []
    for wrong in ({"edition": 2}, {"fingerprint": "x"}, {"more": 1}, {"verdicts": [{}]}):
        assert list(validator.iter_errors(content | wrong)), wrong
    del content["plan"]
    assert list(validator.iter_errors(content))


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1.0, 2.0], [1, 2]),
        ([0.1, float("nan")], [0.1, None]),
        ([float("inf"), -float("inf"), 1.0], ["Infinity", "-Infinity", 1.0]),
        ([-0.0, 1.0], [-0.0, 1.0]),
        ([1e300, 5e-324], [1e300, 5e-324]),
        ([], []),
    ],
)
def test_numbers_are_written_exactly(values, written):
    told = json.loads(json.dumps(numbers(np.array(values)), allow_nan=False))
    assert told == written
    assert array(told).tobytes() == np.array(values, dtype=float).tobytes()


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return held.getvalue()


def test_what_is_no_saved_answer_is_refused_in_a_sentence(tmp_path, monkeypatch):
    text = saved.dump(answered("planned"))
    whole = text.encode()
    archive = zipped(answer_json=whole)
    cases = [
        (whole[: len(whole) // 2], "is not whole, or no JSON"),
        (b"", "is not whole, or no JSON"),
        (b"\x80\x04K\x01.", "is not whole, or no JSON"),
        (b"[" * 100_000, "is not whole, or no JSON"),
        (b"[]", "is no saved answer"),
        (b'{"format": "event-command answer", "edition": 7, "version": "9"}', "is of edition 7"),
        (whole.replace(b'"alpha": 0.05', b'"alpha": 0.01'), "its checksum does not fit"),
        (whole.replace(b"null", b"NaN", 1), "is not whole, or no JSON"),
        (archive[: len(archive) // 2], "damaged zip"),
        (archive[:200] + bytes(50) + archive[250:], "damaged zip"),
        (zipped(other_json=whole), "zip without answer.json"),
    ]
    for data, sentence in cases:
        with pytest.raises(ValueError, match=sentence) as told:
            saved.opened(data, "x.json")
        assert str(told.value).startswith("x.json ")
        assert "\n" not in str(told.value)
    with pytest.raises(ValueError, match="cannot be opened"):
        at.load(tmp_path / "absent.json")
    monkeypatch.setattr(saved, "LARGEST", 1000)
    (tmp_path / "large.json").write_bytes(whole)
    with pytest.raises(ValueError, match="a saved answer at most"):
        at.load(tmp_path / "large.json")
    with pytest.raises(ValueError, match="more than any saved answer"):
        saved.opened(archive)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("counts"),
        lambda c: c["counts"].update(values=[1, 2, 3]),
        lambda c: c["counts"].update(start="1"),
        lambda c: c["counts"].update(regions=[{"a": 1}]),
        lambda c: c["settings"].update(alpha=5),
        lambda c: c["settings"].update(colour="red"),
        lambda c: c["tables"].pop("table"),
        lambda c: c["tables"]["table"].pop("lift"),
        lambda c: c["tables"]["table"]["lift"].update(values=[1, 2]),
        lambda c: c["tables"]["table"]["lift"].update(values=["<script>"]),
        lambda c: c["tables"]["table"]["lift"].update(type="pickle"),
        lambda c: c["tables"]["table"]["start"].update(values=[1e30]),
        lambda c: c["tables"]["table"]["airing"].update(values=["another"]),
        lambda c: c["verdicts"].append(c["verdicts"][0]),
        lambda c: c["verdict"].update(word="proven"),
        lambda c: c["verdict"].update(rung=9),
        lambda c: c["verdict"].update(evidence_for=[[1]]),
        lambda c: c["plan"].pop("sha256"),
        lambda c: c["findings"].append({"level": "fatal", "what": "", "rows": "", "harm": "", "mend": ""}),
        lambda c: c.update(fingerprint="0" * 16),
        lambda c: c.update(as_of="yesterday"),
        lambda c: c.update(feeds={}),
        lambda c: c.update(airings=None),
    ],
    ids=range(23),
)
def test_a_document_that_does_not_hold_what_it_should_is_refused_in_a_sentence(change):
    with pytest.raises(ValueError, match=r"^x\.json is no saved answer: ") as told:
        saved.opened(resealed(saved.dump(answered("planned")), change), "x.json")
    assert "\n" not in str(told.value)
