"""The figures of an answer as drawings: SVG in the colours of any page, PNG, and what stands under the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from attribution import charts, plotted
from attribution.figures import figure
from attribution.sentences import needed
from attribution.theme import FONTS, coloured, palette

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.analysis import Analysis

WIDTH, HALF = 860, 400
"""Pixels: a figure across the page, and one of two side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One figure, drawn.

    Attributes
    ----------
    name
        Its file's name, without an ending.
    title
        What it is called.
    said
        What it shows, in a sentence.
    drawing
        SVG, in the colours of :data:`attribution.theme.DRAWN`.
    wide
        Whether it takes the whole width of a page.
    heads, readings
        What can be read off at a moment: names, and (pixels from the left end of the plot, texts) from left to right.
    across
        Pixels from one end of the plot to the other.
    """

    name: str
    title: str
    said: str
    drawing: str
    wide: bool
    heads: tuple[str, ...] = ()
    readings: tuple[tuple[float, tuple[str, ...]], ...] = ()
    across: int = WIDTH

    def svg(self, mode: str = "light") -> str:
        """Return the drawing in the colours of ``light``, ``dark``, or (``adaptive``) of the page around it."""
        return coloured(self.drawing, mode)

    def file(self, mode: str = "light") -> str:
        """Return the drawing as a file of its own, on the ground of its mode."""
        head, _, rest = self.svg(mode).partition(">")
        return f'{head}><rect width="100%" height="100%" fill="{palette(mode).background}"/>{rest}'

    def png(self, mode: str = "light", *, scale: float = 2.0) -> bytes:
        """Return the drawing as PNG, ``scale`` pixels of it to one of the SVG."""
        return _renderer().svg_to_png(self.file(mode), scale=scale)


def pictures(result: Analysis) -> tuple[Picture, ...]:
    """Draw every figure that the answer has; what has no data is left out.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> pictures(at.analyze(world.counts, world.airings, at.Settings.preset("brief")))
    ()
    """
    makers: tuple[Callable[[Analysis], Picture | None], ...] = (_velocity, _forest, _evidence, _amount, _response)
    return tuple(picture for make in makers if (picture := make(result)) is not None)


def _velocity(result: Analysis) -> Picture | None:
    if plotted.drawn(result).empty:
        return None
    table = charts.shown_bins(result)
    unit = plotted.rate_unit(table["width_s"])
    frames = plotted.velocity_frames(table, result.airings, unit=unit)
    lines = frames["line"].dropna(subset="time").merge(frames["model"], on="time", how="left")
    clock = "%H:%M:%S" if unit[1] == 1 else "%b %d %H:%M"
    lines = lines[lines["each"].notna()]
    rates = lines[["each", "counterfactual", "with_ad"]].to_numpy(float)
    rows = [
        (time, (f"{time:{clock}}", *map(_rate, rate.tolist()))) for time, rate in zip(lines["time"], rates, strict=True)
    ]
    return Picture(
        name="velocity",
        title="Conversion velocity",
        said="What was counted, beside what the count would have been without the ad, and its band.",
        drawing=_draw(charts.velocity_spec("drawn", unit, key=True), frames, WIDTH, 300),
        wide=True,
        heads=("UTC", f"observed / {unit[0]}", "without the ad", "with it"),
        readings=_placed(rows, frames["window"]["time"], WIDTH),
    )


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value == value else "—"  # noqa: PLR0124  NaN


def _forest(result: Analysis) -> Picture | None:
    if len(result.table) < 2 or result.table["incremental"].isna().all():
        return None
    spec = charts.airings(result, mode="drawn").properties(width=520).to_dict(validate=False)
    return Picture(
        name="airings",
        title="Every airing",
        said="Incremental conversions of each airing with its interval, and its verdict.",
        drawing=_rendered(spec, spec["datasets"]),
        wide=True,
    )


def _evidence(result: Analysis) -> Picture | None:
    if not len(result.evidence):
        return None
    frames = plotted.evidence_frames(result)
    path = frames["path"][frames["path"]["leading"]]
    looks = path[["lag_s", "power"]].to_numpy(float).tolist()
    rows = [(lag, (f"+{lag:.0f} s", figure(10**power, "evidence"))) for lag, power in looks]
    return Picture(
        name="evidence",
        title="Evidence at every look",
        said=f"The e-value since the airing began; it decides at {needed(result.alpha)}.",
        drawing=_draw(charts.evidence_spec("drawn"), frames, HALF, 200),
        wide=False,
        heads=("after the start", "e-value"),
        readings=_placed(rows, frames["window"]["lag_s"], HALF),
        across=HALF,
    )


def _amount(result: Analysis) -> Picture | None:
    frames = plotted.amount_frames(result)
    if frames["amount"].empty:
        return None
    rows = [
        (
            r.lag_s,
            (f"+{r.lag_s:.0f} s", figure(r.incremental, "count"), *(figure(x, "count") for x in (r.lower, r.upper))),
        )
        for r in frames["amount"].itertuples()
    ]
    return Picture(
        name="amount",
        title="The number at every look",
        said=f"Incremental conversions so far, with the {1 - result.alpha:.0%} interval that holds at all looks.",
        drawing=_draw(charts.amount_spec("drawn"), frames, HALF, 200),
        wide=False,
        heads=("after the start", "so far", "at least", "at most"),
        readings=_placed(rows, frames["window"]["lag_s"], HALF),
        across=HALF,
    )


def _response(result: Analysis) -> Picture | None:
    if not len(result.kernel):
        return None
    frames = plotted.response_frames(result, plotted.leading_airing(result))
    rows = [(r.lag_s, (f"{r.lag_s:.0f} s", f"{r.density:.2f}%")) for r in frames["kernel"].itertuples()]
    return Picture(
        name="response",
        title="From exposure to conversion",
        said="How much of a response comes in each second after delivery, with its band.",
        drawing=_draw(charts.response_spec("drawn"), frames, HALF, 200),
        wide=False,
        heads=("after delivery", "of the response / s"),
        readings=_placed(rows, frames["kernel"]["lag_s"], HALF),
        across=HALF,
    )


def _placed(rows: list[tuple[Any, tuple[str, ...]]], axis: pd.Series, across: int) -> tuple:
    """Place what can be read off along the axis: pixels from its left end."""
    low, high = axis.min(), axis.max()
    span = (high - low) / pd.Timedelta(seconds=1) if isinstance(low, pd.Timestamp) else float(high - low)
    if not span:
        return ()
    ahead = ((at - low) / pd.Timedelta(seconds=1) if isinstance(low, pd.Timestamp) else at - low for at, _ in rows)
    return tuple((round(across * x / span, 1), texts) for x, (_, texts) in zip(ahead, rows, strict=True))


def _draw(spec: dict[str, Any], frames: dict[str, pd.DataFrame], width: int, height: int) -> str:
    """Draw a constant specification with its data."""
    data = {name: plotted.records(frame) for name, frame in {"key": plotted.KEY, **frames}.items()}
    return _rendered({**spec, "width": width, "height": height}, data)


def _rendered(spec: dict[str, Any], data: dict[str, list[dict[str, Any]]]) -> str:
    """Draw; names come from feeds, and a character that cannot be seen would end the renderer and this process."""
    shown = {
        name: [{key: _visible(v) if isinstance(v, str) else v for key, v in row.items()} for row in rows]
        for name, rows in data.items()
    }
    return _renderer().vegalite_to_svg({**spec, "datasets": shown})


def _visible(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


@cache
def _renderer() -> Any:
    """Return vl-convert, which knows the fonts: a compiled renderer that loads slowly, only when something is drawn."""
    import vl_convert  # noqa: PLC0415

    vl_convert.register_font_directory(str(FONTS))
    return vl_convert
