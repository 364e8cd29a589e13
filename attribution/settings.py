"""Every choice an analyst can make: one frozen value that travels as JSON and as a URL."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

KERNELS = ("learnt", "gamma", "lognormal", "weibull", "biexponential", "window")
BASELINES = ("latent", "brief")
DELAYS = {"none": (0.0, 0.0), "antenna": (17.0, 5.0), "cable": (43.0, 12.0), "stream": (50.0, 20.0)}
"""Stream delay in seconds, (mean, sd): Phenix, Super Bowl LIX latency study, 2025 (methods, section 3)."""


def seconds(value: str | float | pd.Timedelta, *, name: str = "duration") -> float:
    """Read a duration as seconds.

    Parameters
    ----------
    value
        ``"90s"``, ``"5min"``, a Timedelta, or a number of seconds.
    name
        The argument's name, for the error.

    Raises
    ------
    ValueError
        When the value is no finite duration.

    Examples
    --------
    >>> seconds("5min")
    300.0
    """
    try:
        number = float(value) if isinstance(value, (int, float)) else pd.Timedelta(value).total_seconds()
    except (ValueError, TypeError) as error:
        raise ValueError(f'{name} is {value!r}; write a duration such as "90s" or "5min"') from error
    if not math.isfinite(number):
        raise ValueError(f'{name} is {value!r}; write a finite duration such as "90s" or "5min"')
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices behind one answer. Frozen; equal settings and equal data give equal answers.

    Attributes
    ----------
    kernel
        Shape of the lag from exposure to response: ``"learnt"`` averages the families by evidence; or one of
        ``gamma``, ``lognormal``, ``weibull``, ``biexponential``, ``window`` (15 s, as the brief has it).
    response_peak
        Prior mode of that lag, after the delivered start of the airing.
    response_peak_logsd
        Sd of the log of that mode: 0 holds the mode fixed. The defaults, 30 s and 0.7, are vague: they hold the
        brief's 10 s and the published 45 s to 90 s alike.
    stream_delay
        Lag from transmission to the viewer's screen: a duration, or ``none``, ``antenna``, ``cable``, ``stream``.
    stream_delay_sd
        Spread of that lag between viewers; empty takes the preset's (0 for a plain duration).
    window
        After each airing's start, where its incremental conversions are summed; ``"auto"`` holds 95% of the response.
    history
        How much data before an airing the counterfactual learns from; ``"auto"`` goes by the width of the bins.
    baseline
        ``"latent"`` (the model) or ``"brief"`` (rolling 5-min mean, outliers rejected; a detector, never a verdict).
    social
        Use the social feed, where there is one, as a noisy measurement of the organic surge.
    placebos
        Compare an airing that every region saw with moments (in declared breaks: breaks) of the series without it.
    alpha
        Level of tests and 1 - level of intervals, in (0, 1).
    lift_sd
        Prior sd of a window's incremental, as a share of its counterfactual. Signed: zero and below are possible.
    dispersion
        Variance of a bin over its mean; empty learns it from the history.
    smallest_lift
        Smallest lift worth knowing; empty takes break-even from spend and value where both are known, else 10%.
    value, margin
        Money a conversion brings, and the share of it that is kept; an airing's own ``value`` and ``margin`` win.
    clock_sd
        Sd, in seconds, of the offset between the airings' clock and the conversions'; empty takes what preflight finds.
    channel_concentration, device_concentration
        Dirichlet prior of each category of the incremental.
    """

    kernel: str = "learnt"
    response_peak: str = "30s"
    response_peak_logsd: float = 0.7
    stream_delay: str = "none"
    stream_delay_sd: float | None = None
    window: str = "auto"
    history: str = "auto"
    baseline: str = "latent"
    social: bool = True
    placebos: bool = True
    alpha: float = 0.05
    lift_sd: float = 1.0
    dispersion: float | None = None
    smallest_lift: float | None = None
    value: float | None = None
    margin: float | None = None
    clock_sd: float | None = None
    channel_concentration: float = 1.0
    device_concentration: float = 1.0

    def __post_init__(self) -> None:
        _one_of("kernel", self.kernel, KERNELS)
        _one_of("baseline", self.baseline, BASELINES)
        _between("alpha", self.alpha, 0, 1)
        _between("margin", self.margin, 0, 1, closed=True)
        for name in ("lift_sd", "channel_concentration", "device_concentration"):
            _between(name, getattr(self, name), 0, math.inf)
        for name in ("response_peak_logsd", "stream_delay_sd", "smallest_lift", "value", "clock_sd"):
            _between(name, getattr(self, name), 0, math.inf, closed=True)
        _between("dispersion", self.dispersion, 0.2, 1000, closed=True)
        _between("response_peak", seconds(self.response_peak, name="response_peak"), 0, 30 * 86400)
        for name in ("window", "history"):
            if getattr(self, name) != "auto":
                _between(name, seconds(getattr(self, name), name=name), 0, 400 * 86400)
        if self.stream_delay not in DELAYS:
            _between("stream_delay", seconds(self.stream_delay, name="stream_delay"), 0, 3600, closed=True)
        if self.window != "auto" and seconds(self.response_peak) >= seconds(self.window) + self.delay[0]:
            raise ValueError(
                f"response_peak is {self.response_peak}, outside the window of {self.window}; "
                "choose a longer window or an earlier peak"
            )

    @property
    def delay(self) -> tuple[float, float]:
        """Mean and sd of the stream delay, in seconds."""
        mean, sd = DELAYS.get(self.stream_delay) or (seconds(self.stream_delay), 0.0)
        return mean, sd if self.stream_delay_sd is None else self.stream_delay_sd

    def replace(self, **changes: Any) -> Settings:
        """Return these settings with some choices changed; unknown names raise ValueError and list the valid ones."""
        _known(changes)
        return replace(self, **changes)

    def to_json(self) -> str:
        """All choices as JSON, keys in the order of the class."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what :meth:`to_json` wrote; missing keys take their defaults, unknown ones raise ValueError."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"settings are not JSON: {error}") from error
        if not isinstance(data, dict):
            raise ValueError(f"settings are a JSON {type(data).__name__}; write an object of names and values")
        _known(data)
        return cls(**{name: _typed(name, value) for name, value in data.items()})

    def to_url(self) -> str:
        """Return the choices that differ from the defaults, as a query string.

        Examples
        --------
        >>> Settings(window="60s", response_peak="10s").to_url()
        'response_peak=10s&window=60s'
        """
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return urlencode({name: "" if value is None else value for name, value in changed.items()})

    @classmethod
    def from_url(cls, query: str | Mapping[str, str]) -> Settings:
        """Read a query string or a mapping of its parameters; an empty value is the default."""
        pairs = dict(parse_qsl(query.lstrip("?"), keep_blank_values=True)) if isinstance(query, str) else dict(query)
        _known(pairs)
        return cls(**{name: _typed(name, value) for name, value in pairs.items() if value != ""})

    @classmethod
    def preset(cls, name: str) -> Settings:
        """Return the named preset: ``learnt`` (default), ``published`` or ``brief``."""
        _one_of("preset", name, tuple(PRESETS))
        return cls(**PRESETS[name])


PRESETS: dict[str, dict[str, Any]] = {
    "learnt": {},
    "published": {"kernel": "lognormal", "response_peak": "45s", "response_peak_logsd": 0.5},
    "brief": {
        "kernel": "window",
        "response_peak": "10s",
        "response_peak_logsd": 0.0,
        "window": "15s",
        "baseline": "brief",
    },
}


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        near = get_close_matches(str(value), valid, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(valid)}{hint}")


def _between(name: str, value: float | None, low: float, high: float, *, closed: bool = False) -> None:
    if value is None:
        return
    inside = isinstance(value, (int, float)) and (low <= value <= high if closed else low < value < high)
    if not inside or not math.isfinite(value):
        span = f"a number between {low:g} and {high:g}" if math.isfinite(high) else f"a finite number above {low:g}"
        raise ValueError(f"{name} is {value}; choose {span}" + (" (or equal)" if closed else ""))


def _known(given: Mapping[str, Any]) -> None:
    valid = [f.name for f in fields(Settings)]
    for name in given:
        if name not in valid:
            near = get_close_matches(name, valid, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown setting {name!r}; {hint}valid are {', '.join(valid)}")


def _typed(name: str, value: Any) -> Any:
    """Turn a URL's or a JSON's value into the field's type."""
    kind = next(str(f.type) for f in fields(Settings) if f.name == name)
    if value is None or not isinstance(value, str):
        return value
    if "float" in kind:
        try:
            return float(value)
        except ValueError as error:
            raise ValueError(f"{name} is {value!r}; write a number") from error
    if kind == "bool":
        if value.lower() not in {"true", "false", "1", "0"}:
            raise ValueError(f"{name} is {value!r}; write true or false")
        return value.lower() in {"true", "1"}
    return value
