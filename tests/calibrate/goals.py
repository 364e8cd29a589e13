"""What the figures are held to: goals and floors, each met or not by a test that a run's size decides.

A rate or coverage fails when a binomial test rejects its goal at .01; a mean, a root mean square, a median and a ratio
when 99 of 100 bootstrap samples of the rows lie beyond it. It is met when it does not fail with 1,000 rows or more;
with fewer it is ``open``. A floor over many worlds is held at .01 for all of them together (Bonferroni).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binom

from calibrate.plan import FOILS, INSEPARABLE, NULLS, NULLS_WITH_CONTROL, SEPARABLE
from calibrate.summary import middle, quarters, ratio, rms, scored

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH, LEVEL = 1000, 0.01
SAMPLES, LEAST = 400, 20
"""Bootstrap samples, and the rows below which they say nothing."""
COLUMNS = ("figure", "where", "goal", "measured", "n", "met")
KNOWN = "lag known"


def state(failed: bool, n: int) -> str:
    """``no``, ``yes``, or ``open`` where the run is too small to say."""
    return "no" if failed else "yes" if n >= ENOUGH else "open"


def line(figure: str, where: str, goal: str, measured: float, n: int, met: str) -> dict:
    """One goal as a row."""
    known = np.isfinite(measured)
    return {
        "figure": figure,
        "where": where,
        "goal": goal,
        "measured": float(f"{measured:.4g}") if known else np.nan,
        "n": n,
        "met": met if known else "not measured",
    }


def rate(
    figure: str, where: str, hits: pd.Series, *, most: float = 1.0, least: float = 0.0, level: float = LEVEL
) -> dict:
    """Hold the share of hits (0, 1; NaN is no trial) between two bounds by binomial tests."""
    hits = hits.dropna()
    n, k = len(hits), round(float(hits.sum()))
    failed = n > 0 and min(float(binom.sf(k - 1, n, most)), float(binom.cdf(k, n, least))) < level
    parts = [f">= {least * 100:.3g}%"] * (least > 0) + [f"<= {most * 100:.3g}%"] * (most < 1)
    return line(figure, where, " and ".join(parts), k / n if n else np.nan, n, state(failed, n))


def figure(
    name: str, where: str, rows: pd.DataFrame, of: Callable[[pd.DataFrame], float], *, most: float, unit: str = "%"
) -> dict:
    """Hold a figure of rows under a bound by the bootstrap."""
    goal = f"<= {most:.0%}" if unit == "%" else f"<= {most:g} {unit}".strip()
    value = of(rows) if len(rows) else np.nan
    failed = False
    if np.isfinite(value) and value > most and len(rows) >= LEAST:
        rng = np.random.default_rng(0)
        tried = [of(rows.iloc[rng.integers(0, len(rows), len(rows))]) for _ in range(SAMPLES)]
        failed = float(np.nanquantile(tried, LEVEL)) > most
    return line(name, where, goal, value, len(rows), state(failed, len(rows)))


def worst(
    figure_name: str,
    parts: list[tuple[str, pd.Series]],
    *,
    most: float = 1.0,
    least: float = 0.0,
    together: bool = False,
) -> dict:
    """Hold every part to a bound, each at the level or all ``together``; the one least compatible with it is named."""
    parts = [(where, hits) for where, hits in parts if hits.notna().any()]
    level = LEVEL / len(parts) if together and parts else LEVEL
    lines = [rate(figure_name, where, hits, most=most, least=least, level=level) for where, hits in parts]
    if not lines:
        return rate(figure_name, "", pd.Series(dtype=float), most=most, least=least)

    def doubt(found: dict) -> float:
        k, n = round(found["measured"] * found["n"]), found["n"]
        return min(float(binom.sf(k - 1, n, most)), float(binom.cdf(k, n, least) if least else 1.0))

    found = min(lines, key=doubt)
    return found | {"where": f"worst of {len(lines)}: {found['where']}"}


class Rows:
    """Scored rows, asked by world and setting."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.all = scored(rows)
        self.own = self.all[~self.all["settings"].isin(FOILS)]

    def of(self, world: str, label: str = "") -> pd.DataFrame:
        chosen = self.own["world"] == world
        return self.own[chosen & (self.own["settings"] == label)] if label else self.own[chosen]

    def parts(self, names: tuple[str, ...], column: str) -> list[tuple[str, pd.Series]]:
        """(world, setting) and the column, of every part of these worlds; blind events without effect are a world."""
        found = [
            (f"{world} ({label})", part[column])
            for (world, label), part in self.own[self.own["world"].isin(names)].groupby(["world", "settings"])
        ]
        null = self.of("blind")
        null = null[null["truth"] == 0]
        return found + ([("blind, no effect", null[column])] if len(null) and "clean_null" in names else [])


def error(rows: pd.DataFrame) -> float:
    return rms(rows["incremental_error"])


def slant(rows: pd.DataFrame) -> float:
    return abs(float(rows["incremental_error"].mean()))


def against(column: str) -> Callable[[pd.DataFrame], float]:
    return lambda rows: ratio(error(rows), rms(rows[column]))


def boast(rows: pd.DataFrame) -> float:
    """Return how far the power that is said lies from the share of intervals that exclude zero."""
    return abs(float(rows["power_said"].mean() - rows["excludes_zero"].mean()))


def slowness(rows: pd.DataFrame) -> float:
    """Median seconds to a decision over the oracle's; infinite if most never decide."""
    value = ratio(middle(rows["decided_s"]), middle(rows["oracle_decided_s"]))
    return value if np.isfinite(value) else 1e3


def goals(rows: pd.DataFrame) -> pd.DataFrame:
    """Return every goal with what was measured."""
    have = Rows(rows)
    found = [*_errors(have), *_blind(have), *_claims(have), *_power(have), *_intervals(have), *_words(have)]
    return pd.DataFrame(found, columns=COLUMNS)


def _errors(have: Rows) -> list[dict]:
    lines = []
    for label, bias, size, low, high in ((KNOWN, 0.05, 0.20, 0.93, 0.97), ("lag vague", 0.10, 0.28, 0.90, 1.0)):
        part, where = have.of("shared_surge", label), f"shared_surge ({label})"
        lines += [
            figure("bias", where, part, slant, most=bias),
            figure("RMSE", where, part, error, most=size),
            rate("coverage", where, part["covered"], least=low, most=high),
        ]
    clean = have.of("clean", KNOWN)
    scales = have.of("surge_scales", KNOWN)
    return [
        *lines,
        figure("RMSE against the oracle", "clean", clean, against("oracle_error"), most=1.15, unit="x"),
        rate("coverage when it answers", "surge_scales", scales["covered"].where(scales["answered"] == 1), least=0.90),
        rate("coverage of the robust answer", "surge_hidden", have.of("surge_hidden")["robust_covered"], least=0.93),
    ]


def _blind(have: Rows) -> list[dict]:
    family = have.of("blind")
    parts = [(f"{name} {what}", part["covered"]) for name, what, part in quarters(family)] if len(family) else []
    return [
        rate("coverage", "blind", family["covered"], least=0.92, most=0.98),
        worst("coverage in the worst quarter", parts, least=0.90),
        figure("RMSE against the informed oracle", "blind", family, against("informed_error"), most=1.3, unit="x"),
    ]


def _claims(have: Rows) -> list[dict]:
    return [
        worst("caused without an ad", have.parts(NULLS, "caused"), most=0.05),
        worst("claimed without an ad, at the end", have.parts(NULLS_WITH_CONTROL, "claimed"), most=0.05),
        worst("claimed without an ad, watched", have.parts(NULLS_WITH_CONTROL, "claimed_watched"), most=0.05),
        rate("caused without an ad", "surge_hidden_null", have.of("surge_hidden_null")["caused"], most=0.05),
        rate("caused without an ad", "surge_one_region_null", have.of("surge_one_region_null")["caused"], most=0.05),
    ]


def _power(have: Rows) -> list[dict]:
    lines = [
        rate("caused", "halftime (lag known)", have.of("halftime", KNOWN)["caused"], least=0.90),
        rate("caused", "halftime (defaults)", have.of("halftime", "defaults")["caused"], least=0.90),
        *(rate("caused", name, have.of(name)["caused"], least=0.90) for name in ("shared_surge_40", "shared_surge_60")),
    ]
    for base in ("shared_surge", "clean"):
        for name, least in ((f"{base}_10", 0.75), (base, 0.98), (f"{base}_40", 0.999)):
            lines.append(rate("decided by 90 s", name, have.of(name, KNOWN)["by_90"], least=least))
        part = have.of(base, KNOWN)
        lines.append(figure("median decision against the oracle", base, part, slowness, most=1.5, unit="x"))
    return lines


def _intervals(have: Rows) -> list[dict]:
    lines = []
    for name in ("shared_surge", "clean", "noise_independent"):
        part = have.of(name, KNOWN)
        width = figure(
            "width of the interval over time", name, part, lambda rows: float(rows["uniform_width"].median()),
            most=1.6, unit="x",
        )  # fmt: skip
        lines += [rate("uniform coverage", name, part["uniform"], least=0.95), width]
    part = pd.concat([have.of("shared_surge", KNOWN), have.of("clean", KNOWN)])
    where = "shared_surge and clean"
    one = part[part["shares"] > 0]
    hits = np.concatenate(
        [np.r_[np.ones(int(k)), np.zeros(int(n - k))] for k, n in zip(one["shares_in"], one["shares"], strict=True)]
        or [np.empty(0)]
    )
    return [
        *lines,
        *(
            figure("power, less what the detectable lift says", name, have.of(name, KNOWN), boast, most=0.10)
            for name in ("shared_surge_10", "clean_10", "rate_10")
        ),
        rate("mode of the lag: coverage", where, part["peak_covered"], least=0.90, most=0.98),
        rate("shares by channel: coverage", where, pd.Series(hits), least=0.90, most=0.98),
        rate("iROAS: coverage", where, part["iroas_covered"], least=0.90, most=0.98),
    ]


def _words(have: Rows) -> list[dict]:
    big = tuple(n for n in SEPARABLE if n in {"shared_surge", "clean", "surge_late", "surge_early", "surge_before"})
    return [
        worst("not separable where it is separable", have.parts(SEPARABLE, "not_separable"), most=0.10),
        worst("not separable where it is not", have.parts(INSEPARABLE, "not_separable"), least=0.80),
        worst("no effect at a true lift of 20%", have.parts(big, "no_effect"), most=0.05),
    ]


def floors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the floors below which the work is not done, and that the foils fail as they must."""
    have = Rows(rows)
    found = [
        worst("caused without an ad", have.parts(NULLS_WITH_CONTROL, "caused"), most=0.05, together=True),
        worst("claimed without an ad", have.parts(NULLS_WITH_CONTROL, "claimed"), most=0.08, together=True),
        rate("coverage", "blind", have.of("blind")["covered"], least=0.88),
        figure("RMSE", "shared_surge (lag known)", have.of("shared_surge", KNOWN), error, most=0.26),
        rate("caused", "halftime (lag known)", have.of("halftime", KNOWN)["caused"], least=0.75),
        rate("analyses that failed", "all worlds", have.own["failed"], most=0.001),
        *(teeth(have.all, foil) for foil in FOILS),
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def teeth(rows: pd.DataFrame, foil: str) -> dict:
    """Return whether a method that takes its baseline for known is found wrong: ``no`` when it is let pass."""
    parts = [(f"{foil} in {world}", part["caused"]) for world, part in rows[rows["settings"] == foil].groupby("world")]
    found = worst("caused without an ad, by a method that must fail", parts, most=0.05)
    passed = "open" if found["n"] < LEAST else "no"
    caught = {"no": "yes", "open": passed, "yes": "no"}
    return found | {"goal": "is found over 5%", "met": caught.get(found["met"], found["met"])}
