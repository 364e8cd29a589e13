"""What moved the answer: each choice moved by itself, what changed since, how many settings were looked at, a grade."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from attribution.figures import estimate, figure
from attribution.settings import PRESETS, Settings, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.finger import Finger

MOVES: dict[str, tuple[Any, Any]] = {
    "response_peak": ("10s", "60s"),
    "response_peak_logsd": (0.3, 1.0),
    "kernel": ("lognormal", "biexponential"),
    "window": ("60s", "5min"),
    "stream_delay": ("none", "antenna"),
    "clock_sd": (0.0, 2.0),
    "history": ("15min", "60min"),
    "social": (False, True),
    "dispersion": (1.2, 3.0),
    "lift_sd": (0.3, 3.0),
}
"""Each choice that the amount depends on, with two values that can be defended: the brief's and the published peak, a
lag that is nearly known and one that is not, families with a long and a short tail, delivery at once and by antenna,
clocks that agree and clocks that do not, a short and a long history, without and with the feed, nearly Poisson and
noisy counts, a sceptical and an open prior."""

NAMES = {
    "kernel": "Kernel family",
    "response_peak": "Lag, mode",
    "response_peak_logsd": "Lag, sd of its log",
    "stream_delay": "Stream delay",
    "stream_delay_sd": "Stream delay, sd",
    "window": "Decay window",
    "history": "History",
    "baseline": "Baseline",
    "social": "Social feed",
    "placebos": "Placebos",
    "alpha": "Alpha",
    "lift_sd": "Lift prior, sd",
    "dispersion": "Dispersion",
    "smallest_lift": "Smallest lift",
    "value": "Value",
    "margin": "Margin",
    "clock_sd": "Clock, sd",
    "channel_concentration": "Channel prior",
    "device_concentration": "Device prior",
}
"""What a reader calls each field of the settings."""


def shown(name: str, value: Any) -> str:
    """Write the value of a setting as a reader wants it.

    Examples
    --------
    >>> shown("lift_sd", 0.3), shown("window", "300s"), shown("dispersion", None), shown("social", False)
    ('30%', '5 min', 'learnt', 'off')
    """
    if value is None:
        return {
            "smallest_lift": "break-even",
            "clock_sd": "as found",
            "dispersion": "learnt",
            "stream_delay_sd": "preset's",
        }.get(name, "not set")
    if isinstance(value, bool):
        return "on" if value else "off"
    if name in {"lift_sd", "smallest_lift", "margin"}:
        return f"{value * 100:.3g}%"
    if name in {"clock_sd", "stream_delay_sd"}:
        return f"{value:g} s"
    if isinstance(value, str):
        try:
            length = seconds(value)
        except ValueError:
            return value
        return f"{length:g} s" if length < 120 else f"{length / 60:g} min"
    return f"{value:g}"


def tornado(
    ask: Callable[[Settings], tuple[float, float, float]], settings: Settings, *, stale: Callable[[], bool]
) -> pd.DataFrame | None:
    """Move one choice at a time to its two values and ask again.

    Parameters
    ----------
    ask
        Settings -> lower end, middle, upper end of the incremental.
    settings
        Where every other choice stays.
    stale
        Whether nobody waits any more: then there is no table.

    Returns
    -------
    name, low_value, high_value, low, base, high, least, most, why; a row a choice, the widest first. ``low`` and
    ``high`` are the incrementals at the two values, ``least`` and ``most`` the ends of the bar, which holds ``base``.
    A value that cannot be is NaN, with the reason.
    """
    base = ask(settings)[1]
    rows = []
    for name, values in MOVES.items():
        found, why = [], ""
        for value in values:
            if stale():
                return None
            try:
                found.append(ask(settings.replace(**{name: value}))[1])
            except ValueError as error:
                found.append(math.nan)
                why = str(error)
        known = [x for x in (*found, base) if math.isfinite(x)]
        ends = (min(known), max(known)) if known else (math.nan, math.nan)
        rows.append((name, *(shown(name, v) for v in values), found[0], base, found[1], *ends, why))
    columns = ["name", "low_value", "high_value", "low", "base", "high", "least", "most", "why"]
    table = pd.DataFrame(rows, columns=columns)
    order = (table["most"] - table["least"]).fillna(-1.0).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


def differing(before: Settings, now: Settings) -> list[str]:
    """Name the choices in which two settings differ.

    Examples
    --------
    >>> differing(Settings(), Settings(window="60s", alpha=0.01))
    ['window', 'alpha']
    """
    return [f.name for f in fields(Settings) if getattr(before, f.name) != getattr(now, f.name)]


def changed(before: Finger, now: Finger) -> tuple[str, ...]:
    """Say what a setting did to the answer: what was moved, and how amount, interval, evidence and word followed."""
    moved = [
        f"{NAMES[n]}: {shown(n, getattr(before.settings, n))} → {shown(n, getattr(now.settings, n))}"
        for n in differing(before.settings, now.settings)
    ]
    if not moved:
        return ()
    said = ["; ".join(moved) + "."]
    a, b = before.row, now.row
    old, new = float(a["incremental"]), float(b["incremental"])
    if math.isfinite(old) and math.isfinite(new):
        share = f" ({figure((new - old) / abs(old), 'percent')})" if abs(old) >= 1 else ""
        said.append(
            f"Incremental: {estimate(a, 'incremental', 'count')} → {estimate(b, 'incremental', 'count')}{share}."
        )
    widths = [float(r["incremental_upper"]) - float(r["incremental_lower"]) for r in (a, b)]
    if all(w > 0 for w in widths):
        ratio = widths[1] / widths[0]
        if abs(ratio - 1) >= 0.01:
            said.append(f"Its interval became {abs(ratio - 1):.0%} {'narrower' if ratio < 1 else 'wider'}.")
    evidence = [float(r["e_value"]) for r in (a, b)]
    if all(map(math.isfinite, evidence)) and evidence[0] != evidence[1]:
        said.append(f"E-value at the last look: {figure(evidence[0], 'evidence')} → {figure(evidence[1], 'evidence')}.")
    words = before.verdict.word, now.verdict.word
    said.append(f"The word stays “{words[1]}”." if words[0] == words[1] else f"The word: {words[0]} → {words[1]}.")
    return tuple(said)


class Trail:
    """The distinct settings that were looked at since the data came in, in their order."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Settings, str], None] = {}

    def look(self, settings: Settings, airing: str) -> int:
        """Note that these settings were looked at; returns how many distinct ones were, of this airing or another."""
        self._seen.setdefault((settings, airing))
        return len(self._seen)

    def __len__(self) -> int:
        return len(self._seen)


def forks(count: int, *, locked: bool) -> str:
    """Say what looking at several settings does to an answer; empty after one.

    Examples
    --------
    >>> forks(1, locked=False)
    ''
    >>> forks(3, locked=True).startswith("3 settings were looked at")
    True
    """
    if count < 2:
        return ""
    said = f"{count} settings were looked at since these data came in"
    if locked:
        return f"{said}: the answer of the locked plan is the one that was promised"
    return f"{said}: an answer chosen among them proves less than its figures say"


class Grade(NamedTuple):
    """An estimate against a known truth."""

    truth: float
    estimate: float
    lower: float
    upper: float
    counterfactual: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds the truth; without an interval it does not."""
        return self.lower <= self.truth <= self.upper

    @property
    def error(self) -> float:
        """Estimate less truth, as a share of the truth; of the counterfactual where the truth is below 10% of it."""
        whole = self.truth if self.of_truth else self.counterfactual
        return (self.estimate - self.truth) / whole if whole else math.nan

    @property
    def of_truth(self) -> bool:
        """Whether the error is a share of the truth (methods, section 10)."""
        return abs(self.truth) >= 0.1 * self.counterfactual


def grade(said: Finger, truth: float) -> Grade:
    """Grade an answer.

    Parameters
    ----------
    truth
        Conversions that the airing added inside the answer's window.
    """
    row = said.row
    return Grade(
        truth=truth,
        estimate=float(row["incremental"]),
        lower=float(row["incremental_lower"]),
        upper=float(row["incremental_upper"]),
        counterfactual=float(row["counterfactual"]),
    )


def preset_of(settings: Settings) -> str:
    """Name the preset that these settings are; empty when they are none.

    Examples
    --------
    >>> preset_of(Settings.preset("published")), preset_of(Settings(alpha=0.01))
    ('published', '')
    """
    return next((name for name in PRESETS if Settings.preset(name) == settings), "")
