"""Colours and fonts, once: for charts, reports and pages, dark and light."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FONTS = Path(__file__).parent / "fonts"
MONO = "'JetBrains Mono', ui-monospace, 'DejaVu Sans Mono', monospace"
PROSE = "Inter, system-ui, 'DejaVu Sans', sans-serif"
FACES = (
    ("JetBrains Mono", 400, "jetbrains-mono-latin-400-normal.woff2"),
    ("JetBrains Mono", 600, "jetbrains-mono-latin-600-normal.woff2"),
    ("Inter", 400, "inter-latin-400-normal.woff2"),
    ("Inter", 600, "inter-latin-600-normal.woff2"),
)
"""Family, weight, file: the latin subsets that lie in :data:`FONTS` beside their licences."""
TYPEFACES = {
    ("mono", False): "jetbrains-mono-400-normal.ttf",
    ("mono", True): "jetbrains-mono-600-normal.ttf",
    ("prose", False): "inter-400-normal.ttf",
    ("prose", True): "inter-600-normal.ttf",
}
"""(Family, bold) -> the same faces as TrueType, for print: latin, greek, cyrillic, vietnamese; no hints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """The colours of one mode, each with one meaning.

    Attributes
    ----------
    background, panel, line
        The page, a panel on it, and every border and grid line.
    ink, muted
        Text, and text of the second rank; both stand out from page and panel by at least 5.3 to 1.
    observed
        The line of what was counted.
    effect
        The area of what the ad did, the countdown and the primary action; never a status.
    effect_text
        The same meaning as text: readable on page and panel.
    counterfactual
        What the count would have been; always drawn dashed.
    good, bad
        A status, always beside a mark and a word.
    """

    background: str
    panel: str
    line: str
    ink: str
    muted: str
    observed: str
    effect: str
    effect_text: str
    counterfactual: str
    good: str
    bad: str


PALETTES = {
    "dark": Palette(
        background="#0A0C0F",
        panel="#11151A",
        line="#252C35",
        ink="#E8EBEF",
        muted="#9BA6B3",
        observed="#FFD21F",
        effect="#FFD21F",
        effect_text="#FFD21F",
        counterfactual="#7CC4FF",
        good="#3DD6A3",
        bad="#FF8A65",
    ),
    "light": Palette(
        background="#FFFFFF",
        panel="#FFFFFF",
        line="#D5DAE1",
        ink="#14181D",
        muted="#56606C",
        observed="#14181D",
        effect="#FFD21F",
        effect_text="#14181D",
        counterfactual="#0B62C4",
        good="#0B7A55",
        bad="#B8401A",
    ),
}


DRAWN = Palette(
    background="#F00001",
    panel="#F00002",
    line="#F00003",
    ink="#F00004",
    muted="#F00005",
    observed="#F00006",
    effect="#F00007",
    effect_text="#F00008",
    counterfactual="#F00009",
    good="#F0000A",
    bad="#F0000B",
)
"""No colours but names of them: what is drawn in these is coloured afterwards, by :func:`coloured`."""


def coloured(drawing: str, mode: str) -> str:
    """Give a drawing that was made in ``"drawn"`` the colours of a mode; ``"adaptive"`` takes the page's own.

    Examples
    --------
    >>> [coloured('fill="#F00004"', mode) for mode in ("light", "adaptive")]
    ['fill="#14181D"', 'fill="var(--ink)"']
    """
    for name in Palette.__dataclass_fields__:
        colour = f"var(--{name.replace('_', '-')})" if mode == "adaptive" else getattr(palette(mode), name)
        drawing = drawing.replace(getattr(DRAWN, name), colour)
    return drawing


def palette(mode: str) -> Palette:
    """Return the colours of ``"dark"`` or ``"light"``; of ``"drawn"``, what stands in their places.

    Examples
    --------
    >>> palette("dark").effect
    '#FFD21F'
    """
    if mode == "drawn":
        return DRAWN
    if mode not in PALETTES:
        raise ValueError(f"mode is {mode!r}; choose one of {', '.join(PALETTES)}")
    return PALETTES[mode]


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two ``#RRGGBB`` colours (WCAG 2.2, 1 to 21).

    Examples
    --------
    >>> round(contrast("#000000", "#FFFFFF"), 1)
    21.0
    """
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, definition)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@cache
def font_css() -> str:
    """``@font-face`` rules that hold the fonts themselves, so that no page and no report asks another machine.

    Examples
    --------
    >>> font_css().count("@font-face") == len(FACES)
    True
    """
    rules = []
    for family, weight, name in FACES:
        data = base64.b64encode((FONTS / name).read_bytes()).decode()
        rules.append(
            f"@font-face{{font-family:'{family}';font-weight:{weight};font-style:normal;font-display:swap;"
            f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
        )
    return "".join(rules)


def variables(mode: str) -> str:
    """CSS custom properties of one mode: ``--background``, ``--effect-text``, ...

    Examples
    --------
    >>> variables("light").split(";")[0]
    '--background:#FFFFFF'
    """
    colours = palette(mode)
    names = Palette.__dataclass_fields__
    pairs = [f"--{name.replace('_', '-')}:{getattr(colours, name)}" for name in names]
    return ";".join([*pairs, f"--mono:{MONO}", f"--prose:{PROSE}"])


def adaptive_variables() -> str:
    """CSS custom properties that take the colours of the mode their element is shown in (``color-scheme``).

    Examples
    --------
    >>> adaptive_variables().split(";")[0]
    '--background:light-dark(#FFFFFF,#0A0C0F)'
    """
    light, dark = palette("light"), palette("dark")
    names = Palette.__dataclass_fields__
    pairs = [f"--{n.replace('_', '-')}:light-dark({getattr(light, n)},{getattr(dark, n)})" for n in names]
    return ";".join([*pairs, f"--mono:{MONO}", f"--prose:{PROSE}"])


def chart_config(mode: str) -> dict[str, Any]:
    """Vega-Lite ``config`` of one mode: fonts, dotted horizontal grid, no frame."""
    colours = palette(mode)
    axis = {
        "labelColor": colours.muted,
        "titleColor": colours.muted,
        "labelFont": MONO,
        "titleFont": MONO,
        "labelFontSize": 10.5,
        "titleFontSize": 10.5,
        "titleFontWeight": "normal",
        "domainColor": colours.line,
        "gridColor": colours.line,
        "gridDash": [1, 3],
        "ticks": False,
        "labelPadding": 6,
    }
    return {
        "background": "transparent",
        "font": MONO,
        "view": {"stroke": None},
        "mark": {"aria": False},  # a chart is told in words as a whole, not mark by mark
        "axis": axis,
        "axisX": {"grid": False},
        "axisY": {"domain": False, "titlePadding": 10},
        "text": {"font": MONO, "fontSize": 10.5, "color": colours.ink},
        "title": {"font": MONO, "color": colours.muted, "fontSize": 10.5, "fontWeight": "normal", "anchor": "start"},
        "header": {"labelFont": MONO, "labelColor": colours.muted, "labelFontSize": 10.5, "labelAnchor": "start"},
    }
