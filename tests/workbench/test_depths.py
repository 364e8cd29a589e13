"""Every depth of the live page stands before the first answer, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attribution.workbench import live

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="module", autouse=True)
def _afterwards():
    yield
    live.watch.clear()


@pytest.mark.parametrize("depth", ["operate", "analyse", "present"])
def test_a_page_without_an_answer_shows_no_error(depth):
    app = AppTest.from_file(str(APP), default_timeout=120)
    app.query_params["depth"] = depth
    app.run()
    assert not app.exception
    assert not app.error
