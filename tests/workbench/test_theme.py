"""Streamlit's configuration repeats the theme's colours, and serves the fonts without another machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from attribution import theme
from attribution.workbench.style import style

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_configuration_repeats_the_palette(mode):
    given, colours = CONFIG["theme"][mode], theme.palette(mode)
    assert given["backgroundColor"] == colours.background
    assert given["textColor"] == colours.ink
    assert given["borderColor"] == colours.line
    assert given["linkColor"] == colours.counterfactual
    assert given["greenColor"] == colours.good
    assert given["orangeColor"] == colours.bad


def test_nothing_is_sent_and_nothing_is_fetched():
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["address"] == "localhost"
    addresses = re.findall(r"url\(['\"]?([^)'\"]+)", style())
    assert addresses
    assert all(address.startswith("data:") for address in addresses)


def test_every_font_has_its_licence_beside_it():
    assert all((theme.FONTS / name).stat().st_size < 100_000 for _, _, name in theme.FACES)
    for family in ("inter", "jetbrains-mono"):
        assert "SIL Open Font License" in (theme.FONTS / f"LICENSE-{family}.txt").read_text(encoding="utf-8")
