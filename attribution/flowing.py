"""The parts of a page, which are HTML of our own, as what flows over printed pages: one set of words for both."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Paragraph, Table, TableStyle

from attribution.theme import palette
from attribution.typefaces import face, printable

if TYPE_CHECKING:
    from reportlab.platypus import Flowable

LIGHT = palette("light")
MOST = 60
"""So many rows of a table are printed; the files hold them all."""
WIDEST = 34
"""Characters of a cell beyond which its column is not made wider."""
LONGEST = 18
"""Characters of a word that is not broken."""
LEFT_OUT = frozenset({"pre", "summary", "style"})
"""What stands between these is for a screen."""


def style(size: float = 9, *, family: str = "prose", bold: bool = False, **more: Any) -> ParagraphStyle:
    """Return how a paragraph looks; sizes in points."""
    chosen = {"leading": size * 1.42, "textColor": HexColor(LIGHT.ink), "splitLongWords": True} | more
    name = f"{family} {bold} {size} {sorted(more.items(), key=str)}"
    return ParagraphStyle(name, fontName=face(family, bold=bold), fontSize=size, **chosen)


def words(text: str) -> str:
    """Write plain text as the markup of a paragraph: nothing in it is read as markup."""
    return escape(printable(text))


def flowed(html: str, width: float) -> list[Flowable]:
    """Turn a part of a page into paragraphs, lists and tables.

    Parameters
    ----------
    html
        What :mod:`attribution.sheets` or :mod:`attribution.details` wrote.
    width
        Points from margin to margin.

    Examples
    --------
    >>> [type(part).__name__ for part in flowed("<p>One</p><ul><li>two</li></ul>", 400)]
    ['Paragraph', 'Paragraph']
    """
    reader = _Reader(width)
    reader.feed(html)
    reader.close()
    return reader.made


class _Reader(HTMLParser):
    """Reads our own HTML, which is small: paragraphs, lists, tables, pairs of names and values."""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.made: list[Flowable] = []
        self.width = width
        muted = HexColor(LIGHT.muted)
        self.styles = {
            "p": style(),
            "muted": style(8, textColor=muted),
            "label": style(7, family="mono", textColor=muted, spaceBefore=6, keepWithNext=True),
            "h3": style(9, family="mono", bold=True, spaceBefore=8, keepWithNext=True),
            "li": style(leftIndent=13, bulletIndent=1, bulletFontSize=9, spaceAfter=1.5),
        }
        self.text: list[str] | None = None
        self.kind = "p"
        self.skipped = 0
        self.numbers: list[int | None] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.heads = 0
        self.wordy = False
        self.pairs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if tag in LEFT_OUT:
            self.skipped += 1
        elif tag in {"p", "h3", "li"}:
            known = next((name for name in ("label", "muted", "said") if name in classes), "")
            self._open({"": tag, "said": "muted"}.get(known, known))
        elif tag in {"ul", "ol"}:
            self.numbers.append(0 if tag == "ol" else None)
        elif tag == "table":
            self.rows, self.heads, self.wordy = [], 0, "words" in classes
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th", "dt", "dd"}:
            self._open(tag)
        elif self.text is not None:
            opening = {
                "br": "<br/>",
                "b": "<b>",
                "sup": "<super>",
                "small": f'<br/><font size="-1" color="{LIGHT.muted}">',
            }
            self.text.append(opening.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in LEFT_OUT:
            self.skipped -= 1
        elif tag in {"p", "h3", "li"}:
            self._paragraph()
        elif tag in {"ul", "ol"}:
            self.numbers.pop()
        elif tag in {"td", "th"}:
            self.rows[-1].append((tag, self._close()))
        elif tag == "thead":
            self.heads = len(self.rows)
        elif tag == "table":
            self._table()
        elif tag in {"dt", "dd"}:
            self.pairs.append(self._close())
        elif tag == "dl":
            self._pairs()
        elif self.text is not None:
            self.text.append({"b": "</b>", "sup": "</super>", "small": "</font>"}.get(tag, ""))

    def handle_data(self, data: str) -> None:
        if self.text is not None and not self.skipped:
            self.text.append(words(data))

    def _open(self, kind: str) -> None:
        self.kind, self.text = kind, []

    def _close(self) -> str:
        made, self.text = "".join(self.text or ()), None
        return made

    def _paragraph(self) -> None:
        text = self._close()
        if not text.strip():
            return
        bullet = None
        if self.kind == "li" and self.numbers:
            count = self.numbers[-1]
            bullet = "–" if count is None else f"{count + 1}"
            self.numbers[-1] = None if count is None else count + 1
        self.made.append(Paragraph(text, self.styles[self.kind], bulletText=bullet))

    def _table(self) -> None:
        """Lay a table out: heads on every page, columns as wide as their words."""
        rows = self.rows[: MOST + self.heads]
        across = max(map(len, rows), default=0)
        if not across:
            return
        size = 8 if across <= 6 else 6.2 if across <= 9 else 5.2
        muted = HexColor(LIGHT.muted)
        family = "prose" if self.wordy else "mono"
        looks = {
            (head, left): style(size, family="mono" if head else family, alignment=0 if left or self.wordy else 2,
                                textColor=muted if head else HexColor(LIGHT.ink))
            for head in (True, False) for left in (True, False)
        }  # fmt: skip
        laid = [
            [Paragraph(text, looks[tag == "th", n == 0]) for n, (tag, text) in enumerate(row)]
            + [""] * (across - len(row))
            for row in rows
        ]
        rules = TableStyle([
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(LIGHT.line)), ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 2), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ])  # fmt: skip
        wide = _widths(rows, across, size, self.width)
        self.made.append(
            Table(laid, wide, repeatRows=self.heads, style=rules, spaceBefore=4, spaceAfter=4, hAlign="LEFT")
        )
        left = len(self.rows) - len(rows)
        if left:
            self.made.append(Paragraph(f"The first {MOST}; {left:,} more stand in the files.", self.styles["muted"]))

    def _pairs(self) -> None:
        """Lay names and values out in three columns."""
        cells = [
            Paragraph(f'<font size="-1" color="{LIGHT.muted}">{name}</font><br/>{value}', style(7.5, family="mono"))
            for name, value in zip(self.pairs[::2], self.pairs[1::2], strict=False)
        ]
        cells += [""] * (-len(cells) % 3)
        rows = [cells[n : n + 3] for n in range(0, len(cells), 3)]
        if rows:
            top = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
            self.made.append(Table(rows, [self.width / 3] * 3, style=top, hAlign="LEFT"))
        self.pairs = []


def _widths(rows: list[list[tuple[str, str]]], across: int, size: float, width: float) -> list[float]:
    """Return the width of each column: its longest line where there is room, at least its longest word."""
    asked, least = [4] * across, [4] * across
    for row in rows:
        for n, (_, text) in enumerate(row[:across]):
            lines = _plain(text).split("\n")
            asked[n] = max(asked[n], *(min(len(line), WIDEST) for line in lines))
            least[n] = max(least[n], *(min(len(word), LONGEST) for line in lines for word in line.split() or [""]))
    points, floor = ([chars * size * 0.61 + 8 for chars in column] for column in (asked, least))
    if sum(points) <= width:
        return points
    spare, wish = width - sum(floor), sum(points) - sum(floor)
    if spare <= 0:
        return [low * width / sum(floor) for low in floor]
    return [low + (high - low) * spare / wish for low, high in zip(floor, points, strict=True)]


def _plain(markup: str) -> str:
    """Return the characters of a paragraph's markup, a line each."""
    out, inside = [], False
    for c in markup.replace("<br/>", "\n"):
        inside = c == "<" or (inside and c != ">")
        if not inside and c != ">":
            out.append(c)
    return "".join(out)
