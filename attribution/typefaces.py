"""The typefaces of print, and what they can write."""

from __future__ import annotations

from functools import cache

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from attribution.theme import FONTS, TYPEFACES

LACKING = "·"
"""Stands for a character that the typefaces lack."""
WRITTEN = {"≤": "<=", "≥": ">=", "→": "->", "●": "", "◐": "", "○": "", "▲": "", "\t": " "}
"""What is written in another way; marks are drawn."""


@cache
def face(family: str, *, bold: bool = False) -> str:
    """Return the name under which a face is known to the PDF, loaded when it is first asked for.

    Examples
    --------
    >>> face("mono"), face("prose", bold=True)
    ('mono', 'prose-bold')
    """
    for thick in (False, True):
        pdfmetrics.registerFont(TTFont(f"{family}{'-bold' * thick}", FONTS / TYPEFACES[family, thick]))
    pdfmetrics.registerFontFamily(family, family, f"{family}-bold", family, f"{family}-bold")
    return f"{family}-bold" if bold else family


def printable(text: str) -> str:
    r"""Write a text with the characters that the faces have.

    Examples
    --------
    >>> printable("α ≤ 5%, Łódź, Київ"), printable("ハーフ"), printable("a\x07b")
    ('α <= 5%, Łódź, Київ', '···', 'a·b')
    """
    known = _known()
    return "".join(c if c in known else WRITTEN.get(c, LACKING) for c in text)


@cache
def _known() -> frozenset[str]:
    """Return the characters that every face has."""
    maps = []
    for family, bold in TYPEFACES:
        made = pdfmetrics.getFont(face(family, bold=bold))
        maps.append({chr(code) for code in getattr(made, "face").charToGlyph if code >= 32})  # noqa: B009  no types
    return frozenset.intersection(*map(frozenset, maps))
