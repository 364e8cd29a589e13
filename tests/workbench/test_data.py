"""The data page with files that are right, wrong, empty and huge: told in words, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

GOLDEN = Path(__file__).parents[1] / "golden" / "files"
COUNTS = "time,count\n" + "".join(f"2026-02-09T0{4 + m // 60}:{m % 60:02d}:00,{9 + m % 3}\n" for m in range(180))


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page on which the named files were dropped."""
    monkeypatch.setenv("EVENT_COMMAND_HOME", str(tmp_path / "home"))

    def dropped(*files: Path) -> AppTest:
        script = f"""
from pathlib import Path
from attribution.workbench import brought, data
brought.uploads = lambda: tuple(Path(p) for p in {[str(f) for f in files]!r})
data.show()
"""
        app = AppTest.from_string(script, default_timeout=120)
        app.query_params["sample"] = "My own files"
        return app.run()

    return dropped


def words(app: AppTest) -> str:
    assert not app.exception
    return " ".join(
        [*(e.proto.body for e in app.get("html")), *(e.value for e in app.error), *(e.value for e in app.caption)]
    )


def test_a_messy_log_is_mended_by_presses_and_written_down(page, tmp_path):
    counts = tmp_path / "counts.csv"
    counts.write_text(COUNTS)
    app = page(counts, GOLDEN / "as_run_worst.csv")
    text = words(app)
    assert "counts: column &#x27;count&#x27; holds them" in text
    assert "give tz=" in text
    next(box for box in app.selectbox if box.key and box.key.startswith("mend-")).select("America/New_York").run()
    assert "180 bins of 60 s" in words(app)
    assert "12 rows read: 6 kept, 6 reported" in words(app)
    next(button for button in app.button if button.label == "Begin days at 06:00").click().run()
    text = words(app)
    assert "cannot be told" in text
    code = app.code[0].value
    assert 'tz={"counts.csv": "America/New_York"}, broadcast_day_start="06:00"' in code
    assert app.code[1].value.endswith("--tz counts.csv=America/New_York --broadcast-day-start 06:00")
    again = page(counts, GOLDEN / "as_run_worst.csv")
    assert "180 bins of 60 s" in words(again)  # the zone was kept with the header


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("head.csv", b"time,count\n", "no rows"),
        ("picture.csv", b"\x89PNG\r\n" + b"\x00" * 99, "a PNG picture"),
        ("binary.csv", bytes(range(256)) * 9, "binary"),
        ("prose.txt", b"Dear colleague,\nplease find attached\nnothing\n", "Still needed"),
    ],
    ids=["empty", "header", "picture", "binary", "prose"],
)
def test_a_wrong_file_is_told_in_words(page, tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    assert told in words(page(tmp_path / name))


def test_too_many_airings_are_refused_in_words(page, tmp_path):
    counts, log = tmp_path / "counts.csv", tmp_path / "airings.csv"
    counts.write_text(COUNTS.replace(":00,", ":00Z,"))
    log.write_text("airing,start,length_s\n" + "a,2026-02-09T05:00:00Z,30\n" * 100_001)
    assert "more than 100,000 rows" in words(page(counts, log))


def test_what_a_file_is_can_be_said(page, tmp_path):
    counts = tmp_path / "counts.csv"
    counts.write_text(COUNTS.replace(":00,", ":00Z,"))
    app = page(counts)
    assert "Still needed: the airings." in words(app)
    next(box for box in app.selectbox if box.label == "counts.csv is").select("airings").run()
    assert "Still needed: the conversions." in words(app)
