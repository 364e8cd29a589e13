"""A figure's SVG on a page of PDF: its lines stay lines, and its words stay words. Only what our charts are made of."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from reportlab.lib.colors import HexColor
from reportlab.platypus import Flowable

from attribution.typefaces import face, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reportlab.pdfgen.canvas import Canvas

MOVE = re.compile(r"(translate|rotate|scale)\(([^)]*)\)")
STEP = re.compile(r"([MLHVCAZhvlcmaz])|(-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?)")
TAKES = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "A": 7}
"""Numbers that a letter of a path takes; a small letter takes as many, from where it stands."""
SVG = "{http://www.w3.org/2000/svg}"


class Drawing(Flowable):
    """A figure that takes its place in the flow of a document, as wide as it is told.

    Parameters
    ----------
    svg
        What :meth:`attribution.pictures.Picture.svg` returned.
    width
        Points.
    """

    def __init__(self, svg: str, width: float) -> None:
        super().__init__()
        self.root = ET.fromstring(svg)  # noqa: S314  our own renderer wrote it
        self.wide, self.tall = (float(self.root.attrib[name]) for name in ("width", "height"))
        self.width, self.scale = width, width / self.wide
        self.height = self.tall * self.scale

    def wrap(self, *_: float) -> tuple[float, float]:
        """Return how much room it takes, points."""
        return self.width, self.height

    def draw(self) -> None:
        """Draw it: SVG counts from the top, PDF from the bottom."""
        canvas: Any = self.canv
        canvas.saveState()
        canvas.translate(0, self.height)
        canvas.scale(self.scale, -self.scale)
        clips = {clip.attrib["id"]: clip[0] for clip in self.root.iter(f"{SVG}clipPath")}
        for child in self.root:
            _draw(canvas, child, clips)
        canvas.restoreState()


def _draw(canvas: Canvas, node: ET.Element, clips: dict[str, ET.Element]) -> None:
    """Draw an element with all that it holds."""
    name, own = node.tag.removeprefix(SVG), node.attrib
    if name == "defs" or own.get("display") == "none" or own.get("opacity") == "0":
        return
    canvas.saveState()
    for kind, numbers in MOVE.findall(own.get("transform", "")):
        getattr(canvas, kind)(*(float(x) for x in re.split(r"[ ,]+", numbers.strip())))
    if clip := clips.get(own.get("clip-path", "").removeprefix("url(#").removesuffix(")")):
        path = canvas.beginPath()
        path.rect(*(float(clip.attrib[side]) for side in ("x", "y", "width", "height")))
        canvas.clipPath(path, stroke=0, fill=0)
    if name in {"path", "line"}:
        _stroke(canvas, _path(own["d"]) if name == "path" else _line(own), own)
    elif name == "text" and node.text:
        _write(canvas, node.text, own)
    for child in node:
        _draw(canvas, child, clips)
    canvas.restoreState()


def _line(own: dict[str, str]) -> list[tuple[str, list[float]]]:
    x, y, to_x, to_y = (float(own.get(end, 0)) for end in ("x1", "y1", "x2", "y2"))
    return [("M", [x, y]), ("L", [to_x, to_y])]


def _stroke(canvas: Canvas, steps: Iterable[tuple[str, list[float]]], own: dict[str, str]) -> None:
    """Draw a path with the line and the area that its element asks for."""
    fill, line = own.get("fill", "none"), own.get("stroke", "none")
    fill, line = (value if value.startswith("#") else "" for value in (fill, line))
    if not fill and not line:
        return
    opacity = float(own.get("opacity", 1))
    if fill:
        canvas.setFillColor(HexColor(fill), alpha=opacity * float(own.get("fill-opacity", 1)))
    if line:
        canvas.setStrokeColor(HexColor(line), alpha=opacity * float(own.get("stroke-opacity", 1)))
        canvas.setLineWidth(float(own.get("stroke-width", 1)))
        canvas.setDash([float(x) for x in own.get("stroke-dasharray", "").split(",") if x])
        canvas.setLineJoin(1 if own.get("stroke-linejoin") == "round" else 0)
    path: Any = canvas.beginPath()
    for letter, numbers in steps:
        {"M": path.moveTo, "L": path.lineTo, "C": path.curveTo, "Z": path.close}[letter](*numbers)
    canvas.drawPath(path, stroke=int(bool(line)), fill=int(bool(fill)))


def _path(text: str) -> Iterable[tuple[str, list[float]]]:
    """Read a path as moves, lines, curves and closings, each with where it goes."""
    letter, numbers = "", []
    x = y = 0.0
    first = (0.0, 0.0)
    for word, value in STEP.findall(text):
        if word:
            letter = word
            if word in "Zz":
                x, y = first
                yield "Z", []
            continue
        numbers.append(float(value))
        if len(numbers) < TAKES[letter.upper()]:
            continue
        goes, numbers = _absolute(letter, numbers, x, y), []
        if letter.upper() == "A":
            yield from _arc(x, y, goes)
        else:
            yield {"H": "L", "V": "L"}.get(letter.upper(), letter.upper()), goes
        x, y = goes[-2:]
        if letter in "Mm":
            first, letter = (x, y), "L" if letter == "M" else "l"


def _absolute(letter: str, numbers: list[float], x: float, y: float) -> list[float]:
    """Return where a step goes, counted from the origin; of a level or upright one both ends."""
    here = (x, y) if letter.islower() else (0.0, 0.0)
    kind = letter.upper()
    if kind == "H":
        return [numbers[0] + here[0], y]
    if kind == "V":
        return [x, numbers[0] + here[1]]
    if kind == "A":
        return [*numbers[:5], numbers[5] + here[0], numbers[6] + here[1]]
    return [value + here[n % 2] for n, value in enumerate(numbers)]


def _arc(x: float, y: float, numbers: list[float]) -> Iterable[tuple[str, list[float]]]:
    """Draw an arc of a circle by curves of at most a quarter (SVG 1.1, appendix F.6; a curve's 4/3 tan(angle/4))."""
    radius, _, _, large, sweep, to_x, to_y = numbers
    apart = math.hypot(to_x - x, to_y - y)
    if not apart or not radius:
        return
    radius = max(radius, apart / 2)
    off = math.sqrt(max(radius**2 - (apart / 2) ** 2, 0.0)) / apart * (1 if large != sweep else -1)
    middle_x, middle_y = (x + to_x) / 2 - off * (to_y - y), (y + to_y) / 2 + off * (to_x - x)
    start, end = (math.atan2(b - middle_y, a - middle_x) for a, b in ((x, y), (to_x, to_y)))
    turn = (end - start) % (2 * math.pi) - (0 if sweep else 2 * math.pi)
    pieces = max(math.ceil(abs(turn) / (math.pi / 2) - 1e-9), 1)
    step = turn / pieces
    pull = 4 / 3 * math.tan(step / 4) * radius
    for n in range(pieces):
        a, b = start + n * step, start + (n + 1) * step
        from_x, from_y = middle_x + radius * math.cos(a), middle_y + radius * math.sin(a)
        on_x, on_y = middle_x + radius * math.cos(b), middle_y + radius * math.sin(b)
        yield "C", [
            from_x - pull * math.sin(a), from_y + pull * math.cos(a),
            on_x + pull * math.sin(b), on_y - pull * math.cos(b), on_x, on_y,
        ]  # fmt: skip


def _write(canvas: Canvas, text: str, own: dict[str, str]) -> None:
    """Write a word upright, where its element anchors it."""
    if not own.get("fill", "none").startswith("#"):
        return
    bold = own.get("font-weight", "normal") not in {"normal", "400"}
    canvas.scale(1, -1)
    canvas.setFillColor(HexColor(own["fill"]), alpha=float(own.get("opacity", 1)))
    canvas.setFont(face("mono", bold=bold), float(own.get("font-size", "10").removesuffix("px")))
    place = {"middle": canvas.drawCentredString, "end": canvas.drawRightString}
    place.get(own.get("text-anchor", "start"), canvas.drawString)(0, 0, printable(text))
