"""Error rates on real data: false claims at moments without an ad, known responses added, published answers.

``make calibrate-real`` runs it: resumable (rows are kept under ``data/calibration/.real/``), two processes, with
progress; it writes ``data/calibration/real.csv`` and ``published.csv``. FAKES=n in the environment chooses how many
moments a group gets, ARGS="gdq nab" which groups. What was run before the code changed has to be removed by hand.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom, poisson, ttest_ind

import attribution as at
from attribution.counts import masked
from attribution.kernels import Kernel, bin_mass
from attribution.matching import breaks, pool
from attribution.model.series import Series, lay, look
from attribution.placebos import compare

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
KEPT = Path(__file__).resolve().parents[2] / "data" / "calibration" / "real.csv"
PARTS = KEPT.parent / ".real"
FAKES = int(os.environ.get("FAKES", "200"))
PART = 20
SEED = 4_000
SIZES = (0.0, 0.2, 0.5, 1.0)
ADDED = ("wc98 without matches", "nasa", "gdq ordinary", "nab")
"""Added events as a share of the level over two minutes, at every third part of a group; 0 is a fake."""


class Fake(NamedTuple):
    """A moment at which no ad ran."""

    series: str
    moment: float
    declared: tuple[tuple[float, float], ...] = ()
    """Breaks that are declared, (start, end) in seconds."""


@cache
def counted(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Start, width, counts and observed share of one real series; its outages are unknown."""
    file, _, column = name.partition(":")
    options = {"tz": "UTC"} if file == NAB else {}
    counts = at.read_counts(next(p for p in DATA.glob(f"*/{file}*") if p.suffix in {".gz", ".parquet"}), **options)
    total = np.where(masked(counts), np.nan, counts.total)
    y = total.sum(axis=1) if not column else total[:, counts.regions.index(column)]
    return counts.seconds, counts.width, y, np.isfinite(y) * 1.0


@cache
def laid(name: str) -> Series:
    """One real series on the even grid; its bins begin on full minutes."""
    return lay(*counted(name), anchor=np.floor(counted(name)[0][-1] / 60.0) * 60.0)


GDQ = [f"{kind}gdq{year}" for year in range(2017, 2023) for kind in "as" if f"{kind}gdq{year}" != "sgdq2022"]
BRANDS = ["AAPL", "AMZN", "CRM", "CVS", "FB", "GOOG", "IBM", "KO", "PFE", "UPS"]
WC98, NASA, NAB, NSW = "requests_per_minute", "requests_per_second", "mentions_per_5min", "nsw_election"


def known_moments(name: str, history_s: float, *, step: float = 60.0) -> np.ndarray:
    """Moments on full minutes with data around them, at least ``history_s`` after the start."""
    start, _, y, _ = counted(name)
    minute = np.arange(np.ceil((start[0] + history_s) / step) * step, start[-1] - 3600.0, step)
    place = np.searchsorted(start, minute)
    return minute[np.isfinite(y[np.minimum(place, len(y) - 1)])]


def drawn(names: list[str], count: int, seed: int, history_s: float, keep=None) -> list[Fake]:
    """Draw moments evenly over several series."""
    rng = np.random.default_rng(seed)
    fakes = []
    for i, name in enumerate(names):
        found = known_moments(name, history_s)
        found = found if keep is None else found[keep(found)]
        n = min(
            len(found),
            -(-count // len(names)) if i < count % len(names) or not count % len(names) else count // len(names),
        )
        fakes += [Fake(name, float(m)) for m in np.sort(rng.choice(found, n, replace=False))]
    return fakes


def utc(column: pd.Series) -> np.ndarray:
    return pd.to_datetime(column, utc=True).to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9


def near(moments: np.ndarray, low: float, high: float):
    """Whether a moment lies between ``low`` and ``high`` seconds after one of ``moments``."""
    return lambda at_: ((at_[:, None] - moments > low) & (at_[:, None] - moments < high)).any(axis=1)


def half_times() -> tuple[tuple[float, float], ...]:
    """Half-times of the wc98 matches, (start, end) in seconds."""
    table = pd.read_csv(DATA / "wc98_per_minute" / "context_half_times.csv")
    return tuple(zip(utc(table["start"]), utc(table["end"]), strict=True))


def in_half_times(declared: bool) -> list[Fake]:
    """Every minute 1-8 of the half-times that have 39 before them."""
    half = half_times()
    later = [b for b in half[39:] if b[0] < counted(WC98)[0][-1] - 3600]
    return [Fake(WC98, b[0] + 60.0 * o, half if declared else ()) for b in later for o in range(1, 9)]


def run_starts(name: str) -> np.ndarray:
    return utc(pd.read_csv(DATA / "gdq_donations_per_minute" / f"{name}_schedule.csv")["start_time"])


def quiet_times() -> list[Fake]:
    """Moments of wc98 from 1 h before to 2.5 h after no kick-off."""
    kick = utc(pd.read_csv(DATA / "wc98_per_minute" / "matches.csv")["kickoff_utc"])
    return drawn([WC98], FAKES, SEED, 5 * DAY, lambda m: ~near(kick, -3600, 9000)(m))


def at_outages() -> list[Fake]:
    start, _, y, _ = counted(NASA)
    out = ~np.isfinite(y)
    return drawn([NASA], FAKES, SEED + 2, 2 * DAY, near(start[1:][out[1:] & ~out[:-1]], -600, 1200))


def between_runs() -> list[Fake]:
    """Moments of each marathon at least 15 min from the start of a run."""
    return [
        fake
        for name in GDQ
        for fake in drawn([name], EACH, SEED + 3, 0.6 * DAY, lambda m, n=name: ~near(run_starts(n), -900, 900)(m))
    ]


def at_run_starts() -> list[Fake]:
    rng = np.random.default_rng(SEED + 9)
    found = []
    for name in GDQ:
        starts = np.intersect1d(run_starts(name), known_moments(name, 0.6 * DAY))
        found += [Fake(name, float(m)) for m in np.sort(rng.permutation(starts)[:EACH])]
    return found


DAY = 86400.0
EACH = -(-FAKES // len(GDQ))
GROUPS = {
    "wc98 without matches": quiet_times,
    "wc98 half-times, declared": lambda: in_half_times(declared=True),
    "wc98 half-times, not declared": lambda: in_half_times(declared=False),
    "nasa": lambda: drawn([NASA], FAKES, SEED + 1, 2 * DAY),
    "nasa at outages": at_outages,
    "gdq ordinary": between_runs,
    "gdq run starts": at_run_starts,
    "nab": lambda: drawn([f"{NAB}:{b}" for b in BRANDS], FAKES, SEED + 4, 5 * DAY),
    "au_events": lambda: (
        drawn([NSW], FAKES * 3 // 4, SEED + 5, 0.2 * DAY) + drawn(["qanda"], FAKES // 4, SEED + 6, 4000.0)
    ),
}
"""Every group of fake airings; seeds and moments are fixed."""


@cache
def fakes(group: str) -> list[Fake]:
    return GROUPS[group]()


def added(series: Series, fake: Fake, size: float, rng: np.random.Generator) -> tuple[Series, float, float]:
    """Add events: ``size`` of the level over two minutes, a log-normal lag with its mode between 20 and 60 s."""
    place = series.place(fake.moment)
    level = np.nanmean(series.y[max(place - 30, 0) : place]) / series.step * 120.0
    mode = rng.uniform(20.0, 60.0)
    total = rng.poisson(size * level) if size else 0
    bins = min(len(series.y) - place, int(900 / series.step) + 1)
    begin = series.at(place + np.arange(bins)) - fake.moment
    mass = bin_mass(Kernel(family="lognormal", mode=mode, shape=0.5), begin, np.full(bins, series.step), 0.0)
    extra = rng.multinomial(total, np.append(mass, max(0.0, 1.0 - mass.sum())))[:-1]
    y = series.y.copy()
    y[place : place + bins] += extra
    window = look(series, fake.moment, at.Settings())
    changed = Series(
        start=series.start, step=series.step, y=y, share=series.share, covariates=series.covariates, busy=series.busy
    )
    return changed, float(extra[: window.response].sum()), float(level)


def rivals(series: Series, place: int, window) -> dict[str, bool]:
    """What three usual tests say: any bin beyond 3 sigma; t-test of 5 bins against 10; Poisson of 5 bins against 30."""
    before = series.y[place - window.before : place]
    response = series.y[place : place + window.response]
    mean, sd = np.nanmean(before), np.nanstd(before)
    five, ten = series.y[place : place + 5], series.y[place - 10 : place]
    five, ten = five[np.isfinite(five)], ten[np.isfinite(ten)]
    past = series.y[place - 30 : place]
    expected, seen = np.nanmean(past) * len(five), five.sum()
    tail = 2 * min(poisson.sf(seen - 1, expected), poisson.cdf(seen, expected))
    flat = len(five) < 2 or len(ten) < 2 or np.ptp(five) == 0 or np.ptp(ten) == 0  # no spread to test against
    return {
        "three_sigma": bool((np.abs(response - mean) > 3 * sd).any()),
        "t_test": False if flat else bool(ttest_ind(five, ten, equal_var=False).pvalue < 0.05),
        "poisson": bool(tail < 0.05),
    }


def row(group: str, fake: Fake, number: int, size: float) -> dict[str, object] | None:
    """Judge one fake airing, with so much added."""
    series = laid(fake.series)
    rng = np.random.default_rng([SEED, number, int(size * 100)])
    series, truth, level = added(series, fake, size, rng)
    place, window = series.place(fake.moment), look(series, fake.moment, at.Settings())
    if fake.declared:
        busy = np.zeros(len(series.y), dtype=bool)
        for start, end in fake.declared:
            busy[max(series.place(start), 0) : max(series.place(end), 0)] = True
        series = Series(
            start=series.start,
            step=series.step,
            y=series.y,
            share=series.share,
            covariates=series.covariates,
            busy=busy,
        )
        comparison = breaks(series, window, place, list(fake.declared), np.array([fake.moment]))
    else:
        comparison = pool(series, window, place)
    with np.errstate(invalid="ignore"):
        told = compare(series, window, place, comparison)
    if told is None:
        return None
    return {
        "group": group, "number": number, "size": size, "level": level, "truth": truth, "amount": told.amount,
        "lower": told.lower, "upper": told.upper, "sd": told.sd, "z": told.z, "p": told.p, "watched_p": told.watched_p,
        "n": told.n, "factor": told.factor, "claimed": told.claimed,
        "watched": bool(told.watched_p <= 0.05), "enough": told.n >= told.needed,
        **rivals(series, place, window),
    }  # fmt: skip


def part(group: str, first: int, size: float) -> pd.DataFrame:
    """Judge some fakes of a group."""
    rows = [row(group, fake, first + i, size) for i, fake in enumerate(fakes(group)[first : first + PART])]
    return pd.DataFrame([r for r in rows if r])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a group and size: rates, bias, coverage, power, and the rivals on the same moments."""
    out = []
    for (group, size), own in rows.groupby(["group", "size"], sort=False):
        error = own["amount"] - own["truth"]
        told = own[own["enough"]]
        out.append(
            {
                "group": group,
                "added": size,
                "moments": len(own),
                "compared": len(told),
                "claimed": round(own["claimed"].mean(), 4),
                "claimed_watched": round(own["watched"].mean(), 4),
                "coverage": round(own["truth"].between(own["lower"], own["upper"]).mean(), 4),
                "bias_of_level": round(error.mean() / own["level"].mean(), 4),
                "three_sigma": round(own["three_sigma"].mean(), 4),
                "t_test": round(own["t_test"].mean(), 4),
                "poisson": round(own["poisson"].mean(), 4),
                "seed": SEED,
                "version": at.__version__,
                "date": datetime.now(UTC).date().isoformat(),
            }
        )
    return pd.DataFrame(out)


def published() -> pd.DataFrame:
    """Daily tables with published answers through the public function, as they are."""
    folder = DATA / "published_benchmarks"
    geo = at.read_counts(folder / "GeoLift_Test.csv")
    google = pd.read_csv(folder / "google_data.csv").melt(
        id_vars="date", value_vars=["y", "x1", "x2"], var_name="region", value_name="count"
    )
    campaigns = {
        # markets x days: the published 155.6 is a day and market
        "GeoLift_Test": (geo, geo.start[90], 15, "chicago|portland", 2, (155.556, 155.556)),
        "google_data": (at.read_counts(google), np.datetime64("2020-03-02", "ns"), 30, "y", 1, (18.0, 36.0)),
    }
    rows = []
    for name, (counts, start, days, regions, markets, known) in campaigns.items():
        airing = {"airing": name, "start": pd.Timestamp(start, tz="UTC"), "length_s": days * DAY, "regions": regions}
        told = at.analyze(counts, pd.DataFrame([airing])).table.iloc[0]
        low, middle, high = (told[f"incremental{end}"] / days / markets for end in ("_lower", "", "_upper"))
        inside = known[0] <= middle <= known[1] if known[0] < known[1] else low <= known[0] <= high
        rows.append(
            {
                "table": name, "a_day": round(middle, 2), "lower": round(low, 2), "upper": round(high, 2),
                "published_lower": known[0], "published_upper": known[1], "agrees": inside,
                "excludes_0": low > 0 or high < 0, "rung": told["rung"], "verdict": told["verdict"],
                "version": at.__version__, "date": datetime.now(UTC).date().isoformat(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def main(chosen: list[str]) -> None:
    """Run what is missing, two processes at a time, and write the table."""
    if not DATA.is_dir():
        print("needs ../shared/data beside the project")
        return
    known = published()
    print(known.to_string(index=False))
    known.to_csv(KEPT.parent / "published.csv", index=False)
    PARTS.mkdir(parents=True, exist_ok=True)
    plan = [
        (group, first, size)
        for size in SIZES
        for group in GROUPS
        if size == 0 or group in ADDED
        for first in range(0, len(fakes(group)), PART if size == 0 else 3 * PART)
    ]
    wanted = [job for job in plan if not chosen or any(word in job[0] for word in chosen)]
    todo = [job for job in wanted if not named(job).exists()]
    began = time.time()
    with ProcessPoolExecutor(int(os.environ.get("PROCESSES", "2"))) as run:
        jobs = {run.submit(part, *job): job for job in todo}
        for done, job in enumerate(as_completed(jobs), 1):
            job.result().to_csv(named(jobs[job]), index=False)
            left = (time.time() - began) / done * (len(todo) - done)
            print(f"\r{done} of {len(todo)} parts, {left:.0f} s left", end="", file=sys.stderr, flush=True)
    report(plan)


def report(plan: list[tuple[str, int, float]]) -> None:
    """Print and keep what has been run so far; name the groups above their level."""
    done = [named(job) for job in plan if named(job).exists() and named(job).stat().st_size > 5]
    if not done:
        print("nothing has been run yet")
        return
    table = summary(pd.concat([pd.read_csv(path) for path in done], ignore_index=True))
    print()
    print(table.drop(columns=["seed", "version", "date"]).to_string(index=False))
    table.to_csv(KEPT, index=False)
    limit = {g: binom.ppf(0.99, n, 0.05) / n for g, n in zip(table["group"], table["moments"], strict=True)}
    for g in table[table["added"] == 0].itertuples():
        if max(g.claimed, g.claimed_watched) > limit[g.group]:
            print(f"above 5%: {g.group}: {g.claimed:.1%} fixed, {g.claimed_watched:.1%} watched")


def named(job: tuple[str, int, float]) -> Path:
    group, first, size = job
    return PARTS / f"{group.replace(' ', '-').replace(',', '')}-{first}-{round(size * 100)}-{FAKES}.csv"


if __name__ == "__main__":
    main(sys.argv[1:])
