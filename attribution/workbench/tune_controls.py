"""The rail of controls: every choice with its value, its prior's little density and a mark where the preset stands."""

from __future__ import annotations

import math
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import streamlit as st

from attribution.moves import NAMES, shown
from attribution.settings import BASELINES, DELAYS, KERNELS, Settings, seconds
from attribution.workbench import panels

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "tune-"
SHARES = 24
"""Points from 0 to 1 at which the density of a share is drawn."""
GROUPS = ("Response", "Baseline", "Priors", "Decision")


class Control(NamedTuple):
    """One choice of the rail."""

    name: str
    """Field of the settings."""
    group: str
    options: tuple[Any, ...]
    words: str
    slides: bool = True


def _durations(*lengths: int) -> tuple[str, ...]:
    return tuple(f"{length}s" for length in lengths)


CONTROLS = (
    Control(
        "window",
        "Response",
        ("auto", *_durations(15, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 480, 600)),
        "Seconds after the start over which conversions are summed; auto holds 95% of the response.",
    ),
    Control("kernel", "Response", KERNELS, "Shape of the lag; learnt averages the families by evidence.", slides=False),
    Control(
        "response_peak",
        "Response",
        _durations(3, 5, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 60, 75, 90, 120, 180),
        "Prior mode of the lag from seeing the ad to converting.",
    ),
    Control(
        "response_peak_logsd",
        "Response",
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5),
        "How unsure that mode is: sd of its log; 0 holds it fixed.",
    ),
    Control(
        "stream_delay",
        "Response",
        (*DELAYS, *_durations(5, 10, 20, 30, 60)),
        "Lag from transmission to the viewer's screen.",
        slides=False,
    ),
    Control(
        "stream_delay_sd",
        "Response",
        (None, 0.0, 2.0, 5.0, 10.0, 20.0, 30.0),
        "Spread of that lag between viewers; unset takes the preset's.",
    ),
    Control("baseline", "Baseline", BASELINES, "The model, or the brief's rolling mean: a detector.", slides=False),
    Control(
        "history",
        "Baseline",
        ("auto", *_durations(600, 900, 1200, 1800, 2700, 3600, 7200)),
        "How much before the airing the counterfactual learns from.",
    ),
    Control("social", "Baseline", (True, False), "Use the social feed as a measurement of the surge.", slides=False),
    Control(
        "dispersion",
        "Baseline",
        (None, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0),
        "Variance of a bin over its mean; learnt takes it from the history.",
    ),
    Control(
        "lift_sd",
        "Priors",
        (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0),
        "Prior sd of the incremental, as a share of the counterfactual; zero and below are possible.",
    ),
    Control(
        "channel_concentration",
        "Priors",
        (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
        "Dirichlet prior of each channel's share of the incremental: large pulls towards equal shares.",
    ),
    Control(
        "device_concentration",
        "Priors",
        (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
        "Dirichlet prior of each device's share of the incremental.",
    ),
    Control(
        "clock_sd",
        "Priors",
        (None, 0.0, 0.5, 1.0, 2.0, 5.0),
        "Prior sd of the offset between the airings' clock and the conversions'; as found takes what the data show.",
    ),
    Control(
        "smallest_lift",
        "Decision",
        (None, 0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5),
        "Smallest lift worth knowing; break-even takes it from spend and value, else 10%.",
    ),
    Control(
        "alpha",
        "Decision",
        (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2),
        "Level of the test; 1 − alpha is the level of the intervals.",
    ),
)
"""Every choice of the rail, in its order."""
BY_NAME = {control.name: control for control in CONTROLS}


def options(control: Control, value: Any) -> list[Any]:
    """Return the options of a control with the value among them, where it would stand.

    Examples
    --------
    >>> options(BY_NAME["alpha"], 0.03)[4], options(BY_NAME["window"], "1min")[4]
    (0.03, '1min')
    """
    offered = list(control.options)
    if value in offered:
        return offered
    size = _size(value)
    same = next((i for i, option in enumerate(offered) if size is not None and _size(option) == size), None)
    if same is not None:
        offered[same] = value
        return offered
    after = (i for i, option in enumerate(offered) if size is not None and (_size(option) or -math.inf) > size)
    offered.insert(next(after, len(offered)), value)
    return offered


def _size(value: Any) -> float | None:
    """Return the place of a value on its scale; None for a word."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return seconds(value)
    except ValueError:
        return None


def put(settings: Settings) -> None:
    """Set every control to these settings; the choices without a control are kept beside them."""
    for name, value in asdict(settings).items():
        st.session_state[PREFIX + name] = value


def chosen() -> dict[str, Any]:
    """Return what the controls say: field -> value."""
    return {name: st.session_state[PREFIX + name] for name in asdict(Settings())}


def rail(settings: Settings, preset: Settings, told: Mapping[str, str]) -> None:
    """Draw the controls.

    Parameters
    ----------
    settings
        What is shown now.
    preset
        Where the marks stand.
    told
        Field -> what is wrong with it, shown beneath its control.
    """
    for group in GROUPS:
        st.html(f'<div class="ec railgroup">{panels.title(group)}</div>')
        mine = [control for control in CONTROLS if control.group == group]
        for pair in (mine[i : i + 2] for i in range(0, len(mine), 2)):
            for control, place in zip(pair, st.columns(2, gap="small"), strict=False):
                with place:
                    _control(control, settings, preset, told.get(control.name, ""))


def _control(control: Control, settings: Settings, preset: Settings, wrong: str) -> None:
    key = PREFIX + control.name
    value = st.session_state[key]
    offered = options(control, value)
    label, told = NAMES[control.name], shown(control.name, value)
    st.html(
        f'<div class="ec dial" title="{escape(control.words)}"><span>{escape(label)}</span>'
        f"<b>{escape(told)}</b>{strip(control, offered, settings, preset)}</div>"
    )
    format_ = lambda option: shown(control.name, option)  # noqa: E731
    aria = f"{label}. {control.words}"
    if control.slides:
        st.select_slider(aria, offered, key=key, format_func=format_, label_visibility="collapsed")
    else:
        st.selectbox(aria, offered, key=key, format_func=format_, label_visibility="collapsed")
    if wrong:
        st.html(f'<p class="ec wrong" role="alert">▲ {escape(wrong)}</p>')


def strip(control: Control, offered: list[Any], settings: Settings, preset: Settings) -> str:
    """Draw the little density of a prior over its slider, and a mark where the preset stands (HTML)."""
    mark = getattr(preset, control.name)
    if not control.slides:
        return ""
    weights = density(control.name, offered, settings)
    most = max(weights, default=0.0)
    bars = "".join(f'<i style="height:{100 * w / most:.0f}%"></i>' for w in weights) if most > 0 else ""
    at = next((i for i, option in enumerate(offered) if option == mark), None)
    tick = "" if at is None else f'<u style="left:{100 * at / (len(offered) - 1):.1f}%"></u>'
    told = f"{'prior density; ' * bool(bars)}preset at {shown(control.name, mark)}"
    return f'<div class="strip2" role="img" aria-label="{escape(told)}">{bars}{tick}</div>'


def density(name: str, offered: list[Any], settings: Settings) -> list[float]:
    """Return the prior that a control sets, at its options; empty where it sets none.

    The lag's mode is log-normal; a lift of the size of each option is normal around zero; a share under a Dirichlet of
    three categories is a Beta(c, 2c) (its marginal), from 0 to 1.
    """
    if name == "response_peak" and settings.response_peak_logsd > 0:
        middle = seconds(settings.response_peak)
        return [math.exp(-0.5 * (math.log(seconds(o) / middle) / settings.response_peak_logsd) ** 2) for o in offered]
    if name == "lift_sd":
        return [math.exp(-0.5 * (o / settings.lift_sd) ** 2) for o in offered]
    if name in {"channel_concentration", "device_concentration"}:
        c = float(getattr(settings, name))
        grid = [(i + 0.5) / SHARES for i in range(SHARES)]
        return [math.exp((c - 1) * math.log(x) + (2 * c - 1) * math.log(1 - x)) for x in grid]
    return []
