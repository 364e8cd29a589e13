"""A simulated event whose truth is known: what would have happened without the ads, and what each ad added."""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.airings import normalise
from attribution.archive import write_events, write_table
from attribution.counts import Counts
from attribution.emission import KINDS, Traffic, emit, mixes
from attribution.kernels import bin_mass, delayed
from attribution.rates import broken, bursts, felt, surge, wander
from attribution.scenarios import SCENARIOS, Faults, Pause, Scenario, Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.events import EventBatch

__all__ = ["SCENARIOS", "Faults", "Pause", "Scenario", "Spot", "Truth", "World", "simulate", "write_world"]

STREAMS = (
    *("shared", "regional", "breaks", "surge", "counts", "ad", "social", "posts", "visits", "faults", "audience"),
    *("events", "bursts"),
)
"""Each part of a world has its own random stream: changing the lift leaves all other noise as it was."""
AUDIENCE_STEP_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Expected conversions, exactly, of everything that was sent (faults of the feed come after).

    Attributes
    ----------
    start
        (T,) datetime64[ns], UTC: where each second begins.
    airings, starts
        (J,) names, and seconds from the first bin to each start.
    regions
        (R,) names.
    counterfactual
        (T, R) without any airing; given this world's wandering.
    ad
        (J, T, R) what each airing adds; 0 where it is not seen.
    organic, breaks
        (T, R) parts of the counterfactual: what the surge and what the breaks add.
    channel_share, device_share
        Label -> its share of what the airings add.
    """

    start: np.ndarray
    airings: tuple[str, ...]
    starts: tuple[float, ...]
    regions: tuple[str, ...]
    counterfactual: np.ndarray
    ad: np.ndarray
    organic: np.ndarray
    breaks: np.ndarray
    channel_share: dict[str, float]
    device_share: dict[str, float]

    def incremental(self, airing: str, window_s: float | None = None) -> float:
        """Return the conversions an airing is expected to add in ``[start, start + window_s)``, or in all.

        A bin that is cut by the window counts by the share that lies inside.

        Raises
        ------
        ValueError
            When there is no such airing.
        """
        if airing not in self.airings:
            raise ValueError(f"airing is {airing!r}; this world has {', '.join(map(repr, self.airings)) or 'none'}")
        j = self.airings.index(airing)
        per_bin = self.ad[j].sum(axis=1)
        if window_s is None:
            return float(per_bin.sum())
        second = np.arange(len(per_bin), dtype=float)
        low, high = self.starts[j], self.starts[j] + window_s
        return float(per_bin @ np.clip(np.minimum(second + 1, high) - np.maximum(second, low), 0.0, 1.0))

    def to_json(self) -> str:
        """Write ``{"airings": {"<airing>": {"incremental": ...}}}``."""
        rows = {airing: {"incremental": round(self.incremental(airing), 6)} for airing in self.airings}
        return json.dumps({"airings": rows}, indent=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One simulated event: what an analyst would have, and the truth.

    Attributes
    ----------
    counts
        Conversions that arrived, in bins of 1 s; NaN where nothing arrived, with the completeness of every bin.
    airings, audience, social, context
        Canonical tables; audience and social are empty where the scenario has no such feed.
    truth
        What is expected of every second, and what each airing adds.
    traffic
        What the sources sent and what was lost.
    scenario, seed
        Equal ones give equal worlds, to the byte.
    """

    counts: Counts
    airings: pd.DataFrame
    audience: pd.DataFrame
    social: pd.DataFrame
    context: pd.DataFrame
    truth: Truth
    traffic: Traffic
    scenario: Scenario
    seed: int

    def events(self, *, start_s: int = 0, kinds: tuple[str, ...] = KINDS) -> Iterator[EventBatch]:
        """Yield the events as they arrive, one batch a second; the conversions in them are those of ``counts``.

        Only one second of events is in memory (and the late ones). A second's events do not depend on ``start_s``.

        Parameters
        ----------
        start_s
            Second to start at.
        kinds
            ``visit``, ``conversion``, ``heartbeat``; each source numbers the events of the chosen kinds.
        """
        return emit(self.traffic, self.scenario, self.seed, start_s=start_s, kinds=kinds)


def simulate(scenario: Scenario, *, rng: int | np.random.Generator = 7) -> World:
    """Make the world of a scenario and a seed.

    Parameters
    ----------
    scenario
        What it is made of; see :data:`SCENARIOS`.
    rng
        Seed; a generator is asked for one.

    Raises
    ------
    ValueError
        When an airing would take away more conversions than there are.

    Examples
    --------
    >>> world = simulate(SCENARIOS["halftime"], rng=7)
    >>> round(world.truth.incremental("HALFTIME_PRIME"))
    787
    >>> world.counts.values.shape
    (2700, 4, 3, 4)
    """
    seed = int(rng.integers(2**63)) if isinstance(rng, np.random.Generator) else operator.index(rng)
    if seed < 0:
        raise ValueError(f"rng is {seed}; choose a seed of 0 or more")
    streams = {
        name: np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))) for i, name in enumerate(STREAMS)
    }
    second = np.arange(scenario.seconds, dtype=float)
    truth = _expected(scenario, second, streams)
    traffic = _traffic(scenario, truth, streams)
    values = (traffic.conversions - traffic.lost_conversions).astype(float)
    values[traffic.out] = np.nan
    counts = Counts(
        start=truth.start,
        width=np.ones(len(second)),
        values=values,
        regions=truth.regions,
        channels=tuple(truth.channel_share),
        devices=tuple(truth.device_share),
        completeness=traffic.completeness,
    )
    audience = _audience(scenario, streams["audience"])
    return World(
        counts=counts,
        airings=_airings(scenario),
        audience=audience,
        social=_social(scenario, truth, surge(scenario, second), streams),
        context=_context(scenario),
        truth=truth,
        traffic=traffic,
        scenario=scenario,
        seed=seed,
    )


def _expected(scenario: Scenario, second: np.ndarray, streams: dict[str, np.random.Generator]) -> Truth:
    """Work out the expected conversions of every second and region, part by part."""
    n, regions = len(second), tuple(name for name, _ in scenario.regions)
    shares = np.array([share for _, share in scenario.regions])
    hour = (scenario.begin.hour * 3600 + scenario.begin.minute * 60 + second) / 3600
    daily = np.exp(scenario.daily * np.cos(2 * np.pi * (hour - 21) / 24))
    plain = scenario.conversion_rate * shares * (daily / daily.mean())[:, None]
    plain = plain * wander(streams["shared"], n, scenario.shared_sd, scenario.shared_tau_s)
    plain = plain * wander(streams["regional"], n, scenario.region_sd, scenario.region_tau_s, len(regions))
    plain = plain * (1 + bursts(scenario, second, streams["bursts"]))[:, None]
    breaks = plain * broken(scenario, second, streams["breaks"])[:, None]
    scale = felt(scenario, streams["surge"])
    organic = (plain + breaks) * scenario.surge_gain * surge(scenario, second - scenario.lead_s)[:, None] * scale
    counterfactual = plain + breaks + organic
    ad = np.zeros((len(scenario.airings), n, len(regions)))
    kernel = delayed(scenario.kernel, scenario.stream_delay_s, scenario.stream_delay_sd)
    for j, spot in enumerate(scenario.airings):
        reach = shares * [name in scenario.exposed(spot) for name in regions]
        mass = bin_mass(kernel, second, np.ones(n), spot.at_s)
        ad[j] = mass[:, None] * (scenario.incremental(spot) * reach / reach.sum())
    if (counterfactual + ad.sum(axis=0) < 0).any():
        raise ValueError(f"lift is {scenario.lift}; an airing takes away more than there is: choose one nearer to 0")
    column = 2 if scenario.lift >= 0 else 1
    return Truth(
        start=np.datetime64(scenario.begin.value, "ns") + np.arange(n) * np.timedelta64(1_000_000_000, "ns"),
        airings=tuple(spot.airing for spot in scenario.airings),
        starts=tuple(float(spot.at_s) for spot in scenario.airings),
        regions=regions,
        counterfactual=counterfactual,
        ad=ad,
        organic=organic,
        breaks=breaks,
        channel_share={row[0]: float(row[column]) for row in scenario.channels},
        device_share={row[0]: float(row[column]) for row in scenario.devices},
    )


def _scattered(rng: np.random.Generator, mean: np.ndarray, dispersion: float) -> np.ndarray:
    """Draw counts of this mean whose variance is ``dispersion`` times it (NB1): sums of such counts are such counts."""
    if dispersion > 1:
        mean = rng.gamma(mean / (dispersion - 1), dispersion - 1)
    return rng.poisson(mean)


def _traffic(scenario: Scenario, truth: Truth, streams: dict[str, np.random.Generator]) -> Traffic:
    """Draw what is sent and what of it is lost.

    What an airing adds is drawn apart from the rest, so that the rest stays as it is when the lift changes. What it
    takes away is thinned out of the rest, which keeps the mean exact.
    """
    added = truth.ad.sum(axis=0)
    base, extra = mixes(scenario)
    sent = _scattered(streams["counts"], truth.counterfactual[:, :, None, None] * base, scenario.dispersion)
    more = np.maximum(added, 0)[:, :, None, None] * extra
    more = _scattered(streams["ad"], more, scenario.dispersion)
    kept = 1 + np.minimum(added, 0) / truth.counterfactual
    if (kept < 1).any():
        sent = streams["ad"].binomial(sent, kept[:, :, None, None])
    sent = sent + more
    beats = len(scenario.regions)
    per_conversion = max(scenario.event_rate - scenario.conversion_rate - beats, 0) / scenario.conversion_rate
    visits = streams["visits"].poisson((truth.counterfactual + added) * per_conversion)
    out = np.zeros(len(visits), bool)
    out[slice(*scenario.faults.outage) if scenario.faults.outage else slice(0)] = True
    loss = scenario.faults.loss
    lost, lost_visits = streams["faults"].binomial(sent, loss), streams["faults"].binomial(visits, loss)
    lost[out], lost_visits[out] = sent[out], visits[out]
    return Traffic(conversions=sent, visits=visits, lost_conversions=lost, lost_visits=lost_visits, out=out)


def _viewers(scenario: Scenario, second: np.ndarray) -> np.ndarray:
    """Return the expected viewers: they grow until the first airing begins (or half-way, without one), then stay."""
    turn = min((spot.at_s for spot in scenario.airings), default=scenario.seconds / 2)
    return scenario.audience * (1 + scenario.audience_growth) ** (np.minimum(second - turn, 0) / 900)


def _audience(scenario: Scenario, rng: np.random.Generator) -> pd.DataFrame:
    second = np.arange(0, scenario.seconds if scenario.audience else 0, AUDIENCE_STEP_S, dtype=float)
    shares = np.array([share for _, share in scenario.regions])
    viewers = _viewers(scenario, second)[:, None] * shares
    if len(second):
        viewers = viewers * wander(rng, len(second), 0.003, 8.0, len(shares))
    rows = {
        "time": np.repeat(scenario.begin + pd.to_timedelta(second, unit="s"), len(shares)),
        "region": [name for name, _ in scenario.regions] * len(second),
        "viewers": np.round(viewers).ravel(),
    }
    return normalise(pd.DataFrame(rows), "audience")


def _social(
    scenario: Scenario, truth: Truth, shown: np.ndarray, streams: dict[str, np.random.Generator]
) -> pd.DataFrame:
    """Draw the posts of each second: the surge on a wandering level, and those the ad's conversions bring."""
    n = len(shown) if scenario.social_rate else 0
    if scenario.surge == "regional":
        struck = scenario.exposed(scenario.airings[0])[0]
        shown = shown * dict(scenario.regions)[struck]
    if scenario.surge == "hidden":
        shown = np.zeros_like(shown)
    level = wander(streams["social"], len(shown), scenario.social_sd, scenario.social_tau_s)[:, 0]
    posts = streams["social"].poisson(scenario.social_rate * level * (1 + shown))
    posts = posts + streams["posts"].poisson(scenario.mediator * np.maximum(truth.ad.sum(axis=(0, 2)), 0))
    rows = {"time": pd.DatetimeIndex(truth.start[:n]).tz_localize("UTC"), "width_s": 1.0, "count": posts[:n]}
    return normalise(pd.DataFrame(rows), "social")


def _airings(scenario: Scenario) -> pd.DataFrame:
    names = ("airing", "length_s", "break_id", "creative", "network", "spend", "value", "margin")
    shares = dict(scenario.regions)
    rows = []
    for spot in scenario.airings:
        seen = scenario.exposed(spot)
        viewers = float(_viewers(scenario, np.array(spot.at_s)) * sum(shares[name] for name in seen))
        known = viewers if np.isnan(spot.impressions) else spot.impressions
        rows.append(
            {name: getattr(spot, name) for name in names}
            | {
                "start": scenario.begin + pd.Timedelta(seconds=spot.at_s + scenario.clock_off_s),
                "regions": "|".join(seen) if len(seen) < len(shares) else "",
                "impressions": round(known) if known else np.nan,
                "assignment": scenario.assignment,
            }
        )
    return _table(rows, "airings")


def _context(scenario: Scenario) -> pd.DataFrame:
    known = [pause for pause in scenario.breaks if pause.declared]
    moments = [(pause, scenario.begin + pd.Timedelta(seconds=pause.at_s)) for pause in known]
    return _table(
        [
            {"kind": "break", "start": at, "end": at + pd.Timedelta(seconds=pause.length_s), "label": pause.break_id}
            for pause, at in moments
        ],
        "context",
    )


def _table(rows: list[dict], table: str) -> pd.DataFrame:
    """Canonical table from rows in any order."""
    times = pd.DataFrame({"start": pd.DatetimeIndex([], tz="UTC"), "end": pd.DatetimeIndex([], tz="UTC")})
    frame = normalise(pd.DataFrame(rows) if rows else times, table)
    return frame.sort_values("start", kind="stable", ignore_index=True)


def write_world(world: World, directory: str | Path) -> Path:
    """Write a world as files an analyst would have, and the truth beside them; files of their names are replaced.

    ``events.parquet`` (the conversions, one a row), ``counts.csv`` (a second, region, channel and device a row; empty
    where the count is unknown), ``airings.csv``, ``social.csv``, ``audience.csv``, ``context.csv`` and ``truth.json``.
    """
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    write_events(world.events(kinds=("conversion",)), place / "events.parquet")
    write_table(world.counts.to_frame(), place / "counts.csv", whole="count")
    write_table(world.social, place / "social.csv", whole="count")
    write_table(world.audience, place / "audience.csv", whole="viewers")
    write_table(world.airings, place / "airings.csv")
    write_table(world.context, place / "context.csv")
    (place / "truth.json").write_text(world.truth.to_json() + "\n", encoding="utf-8")
    return place
