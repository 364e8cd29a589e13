"""An answer as PDF, made for paper: A4, the first page for the business, then the annex; figures stay lines."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from attribution.details import WHOLE, details, provenance
from attribution.flowing import LIGHT, MOST, flowed, style, words
from attribution.sheets import PARTS, cases_html, findings_html, leading_html, settings_html, understanding_html
from attribution.typefaces import face, printable
from attribution.vectors import Drawing
from attribution.verdict import RUNGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attribution.analysis import Analysis
    from attribution.briefing import Briefing
    from attribution.pictures import Picture

MARGIN, FOOT = 17 * mm, 20 * mm
WIDTH = A4[0] - 2 * MARGIN
GAP = 8 * mm
"""Between two columns."""
BESIDE = TableStyle([
    ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (0, -1), GAP), ("RIGHTPADDING", (1, 0), (1, -1), 0),
])  # fmt: skip
"""Two columns."""
ROOM = 45 * mm
"""A heading begins a new page where less is left below it."""
SHARES = {"caused": 1.0, "suggestive": 0.5, "association": 0.5, "no effect": 0.0}
"""How much of the mark beside a word is filled; a word that is not named here has a triangle."""


def document(result: Analysis, title: str, parts: Sequence[str], told: Briefing, drawn: Iterable[Picture]) -> bytes:
    """Write the whole document.

    Parameters
    ----------
    result
        What :func:`attribution.analyze` returned.
    title
        The heading.
    parts
        Keys of :data:`attribution.sheets.PARTS`.
    told
        The page for the business.
    drawn
        The figures.

    Returns
    -------
    bytes
        A PDF; the same answer makes the same bytes.
    """
    figures = {picture.name: picture for picture in drawn}
    flow = _head(result, title)
    shown = figures.pop("velocity", None) if "business" in parts else None  # one figure stands in one place
    annex = [flowable for name in parts if name != "business" for flowable in _annex(result, name, figures)]
    if "business" in parts:
        flow += _business(told, shown)
    if annex and "business" in parts:
        flow += [PageBreak(), Paragraph("DIAGNOSTIC ANNEX", style(8, family="mono", textColor=HexColor(LIGHT.muted)))]
    flow += annex
    flow += _again(result, short=not annex)
    held = io.BytesIO()
    document = BaseDocTemplate(
        held, pagesize=A4, title=printable(title), author=f"Event Command {result.version}",
        subject=printable(result.verdict.sentence), invariant=True,
    )  # fmt: skip
    frame = Frame(MARGIN, FOOT, WIDTH, A4[1] - MARGIN - FOOT, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate("page", [frame]))
    foot = f"{printable(title)[:80]}  ·  answer {result.fingerprint}  ·  version {result.version}"
    document.build(flow, canvasmaker=lambda *given, **named: _Numbered(foot, *given, **named))
    return held.getvalue()


class _Numbered(Canvas):
    """A canvas that knows how many pages there are before it writes their feet."""

    def __init__(self, foot: str, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._foot = foot
        self._sheets: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802  reportlab's name
        self._sheets.append(dict(self.__dict__))
        self._startPage()  # pyright: ignore[reportAttributeAccessIssue]  reportlab has no types

    def save(self) -> None:
        sheets = self._sheets
        for number, sheet in enumerate(sheets, 1):
            self.__dict__.update(sheet)
            self.setFont(face("mono"), 6.5)
            self.setFillColor(HexColor(LIGHT.muted))
            self.drawString(MARGIN, 11 * mm, self._foot)
            self.drawRightString(A4[0] - MARGIN, 11 * mm, f"{number} / {len(sheets)}")
            super().showPage()
        super().save()


class _Mark(Flowable):
    """The mark beside a verdict's word: a circle, full, half or empty, or a triangle."""

    def __init__(self, word: str, size: float) -> None:
        super().__init__()
        self.share, self.width, self.height = SHARES.get(word), size, size

    def draw(self) -> None:
        canvas: Any = self.canv
        canvas.setFillColor(HexColor(LIGHT.ink))
        canvas.setStrokeColor(HexColor(LIGHT.ink))
        canvas.setLineWidth(1.4)
        middle, radius = self.width / 2, self.width / 2 - 1
        if self.share is None:
            path = canvas.beginPath()
            path.moveTo(middle, self.height)
            path.lineTo(0, 0)
            path.lineTo(self.width, 0)
            path.close()
            canvas.drawPath(path, stroke=0, fill=1)
            return
        canvas.circle(middle, middle, radius, fill=int(self.share == 1.0))
        if self.share == 0.5:
            canvas.wedge(1, 1, self.width - 1, self.height - 1, 90, 180, fill=1)


def _head(result: Analysis, title: str) -> list[Flowable]:
    """Write the verdict: the word, its sentence, its rung."""
    verdict = result.verdict
    muted = HexColor(LIGHT.muted)
    rung = f"rung {verdict.rung} of 5: {RUNGS[verdict.rung]}" if verdict.rung else "no rung"
    names = ", ".join(map(str, result.table["airing"][:4])) + (" …" if len(result.table) > 4 else "")
    word = Paragraph(words(verdict.word.upper()), style(22, family="mono", bold=True))
    inner = WIDTH - 14
    close = TableStyle([
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ])  # fmt: skip
    line = Table([[_Mark(verdict.word, 15), word]], [24, inner - 24], style=close)
    about = f"{rung}  ·  {names}  ·  data to {provenance(result)['Data to']}"
    told = [
        Paragraph(words(title.upper()), style(7, family="mono", textColor=muted)), Spacer(0, 3), line,
        Paragraph(words(verdict.sentence), style(11.5)), Spacer(0, 3),
        Paragraph(words(about), style(7.5, family="mono", textColor=muted)),
    ]  # fmt: skip
    side = TableStyle([
        ("LINEBEFORE", (0, 0), (0, -1), 4, HexColor(LIGHT.effect)), ("LEFTPADDING", (0, 0), (-1, -1), 12),
        ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ])  # fmt: skip
    return [Table([[told]], [WIDTH], style=side), Spacer(0, 10)]


def _heading(text: str) -> list[Flowable]:
    look = style(8.5, family="mono", bold=True, spaceBefore=13, spaceAfter=4, keepWithNext=True)
    return [CondPageBreak(ROOM), Paragraph(words(text.upper()), look)]


def _business(told: Briefing, shown: Picture | None) -> list[Flowable]:
    """Write the page for the business in two columns, the chart below."""
    half = (WIDTH - GAP) / 2
    blocks = []
    for heading, sentences in told.sections.items():
        listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        blocks.append(flowed(f'<p class="label">{heading.upper()}</p><ul>{listed}</ul>', half) if sentences else "")
    rows = [blocks[:2], blocks[2:]]
    chart = [KeepTogether(_figure(shown, WIDTH))] if shown else []
    return [Table(rows, [half + GAP, half], style=BESIDE), Spacer(0, 6), *chart]


def _annex(result: Analysis, name: str, figures: dict[str, Picture]) -> list[Flowable]:
    """Write one part of the annex."""
    if name == "details":
        told = {heading: html for heading, html in details(result).items() if heading != WHOLE}
        return [part for heading, html in told.items() for part in _part(heading, flowed(html, WIDTH))]
    if name == "velocity":
        drawn = [KeepTogether(_figure(figures["velocity"], WIDTH))] if "velocity" in figures else []
        return _part(PARTS[name], [*drawn, *flowed(understanding_html(result), WIDTH)])
    if name == "evidence":
        whole = details(result).get(WHOLE, "")
        first = _part(WHOLE, flowed(whole, WIDTH)) if whole else []
        return first + _part(PARTS[name], [*flowed(cases_html(result), WIDTH), *_small(figures)])
    if name == "airings":
        forest = [KeepTogether(_figure(figures["airings"], WIDTH * 0.85))] if "airings" in figures else []
        return _part(PARTS[name], [*forest, *flowed(leading_html(result, MOST), WIDTH)])
    made = {"findings": lambda: findings_html(result.findings), "settings": lambda: settings_html(result)}
    return _part(PARTS[name], flowed(made[name](), WIDTH))


def _again(result: Analysis, *, short: bool) -> list[Flowable]:
    """Say where the answer comes from; shortly, where it shares the one page for the business."""
    told = provenance(result)
    if short:
        line = "  ·  ".join(f"{name}: {text}" for name, text in told.items())
        return [Spacer(0, 4), Paragraph(words(line), style(6.5, family="mono", textColor=HexColor(LIGHT.muted)))]
    again = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told.items())
    return [KeepTogether([*_heading("To have the same answer again"), *flowed(f"<dl>{again}</dl>", WIDTH)])]


def _part(heading: str, flow: list[Flowable]) -> list[Flowable]:
    """Put a heading above what it is about; it never stands alone at the foot of a page."""
    return [*_heading(heading), *flow]


def _figure(picture: Picture, width: float) -> list[Flowable]:
    said = Paragraph(words(picture.said), style(7.5, textColor=HexColor(LIGHT.muted)))
    return [Drawing(picture.svg(), width), Spacer(0, 2), said, Spacer(0, 4)]


def _small(figures: dict[str, Picture]) -> list[Flowable]:
    """Set the smaller figures two beside each other."""
    half = (WIDTH - GAP) / 2
    cells = [_figure(picture, half) for picture in figures.values() if not picture.wide]
    cells += [[]] * (len(cells) % 2)
    rows = [cells[n : n + 2] for n in range(0, len(cells), 2)]
    return [Spacer(0, 6), Table(rows, [half + GAP, half], style=BESIDE)] if rows else []
