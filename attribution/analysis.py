"""From counts to an answer: the whole pipeline, readable in one screen.

Live is this same function on a growing log: nothing here remembers an earlier call.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController

import attribution
from attribution.airings import normalise
from attribution.answers import TABLE, Answer, answer, detected, silent
from attribution.checks import preflight
from attribution.counts import masked
from attribution.crowds import GROUPS, answer_schedule, crowded, pieces, with_whole
from attribution.faults import clock_sd
from attribution.frames import REGIONAL, bins, regional_frame, together_frame
from attribution.jobs import Given, job
from attribution.model import design as designs
from attribution.model import fit as fast
from attribution.model import windows
from attribution.model.decompose import centre, draw
from attribution.planning import draft, kept
from attribution.posteriors import run
from attribution.settings import Settings
from attribution.single import Alone, overlaid
from attribution.verdict import Verdict, annotated, signed, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attribution.counts import Counts
    from attribution.planning import Plan
    from attribution.tables import Finding

DRAWS = 200
"""Posterior draws behind the bands of the series; the table's figures are exact mixtures, not draws."""

TOGETHER = ""
"""Stands for all exposed regions together where a bin's row names its region."""

BINS = (
    "group time width_s observed counterfactual counterfactual_lower counterfactual_upper ad ad_lower ad_upper "
    "organic break"
)
FRAMES = {
    "evidence": "airing time log_e anytime_p log_plain joint_log_e incremental lower upper sd explained word",
    "shares": "airing dimension category share lower upper raw",
    "kernel": "airing lag_s density lower upper",
    "worlds": "airing world weight",
    "gap": "airing what seconds lower upper",
    "money": "airing what value lower upper status",
    "bounds": "airing loss lower upper",
    "together": "airing other correlation incremental lower upper",
    "regional": REGIONAL,
}
"""Columns of the tables beside the answer, also where they hold no row."""

MOST_TOGETHER = 24
"""At most so many overlapping airings are fitted at once; a longer chain is cut, or, where no region was spared, all
airings are answered as one dense schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """One answer with everything it stands on.

    Attributes
    ----------
    table
        One row an airing; the columns are ``TABLE``. Counts are conversions inside the window so far; ``lift`` is
        incremental / counterfactual over that window; ``response_peak`` is in seconds; NaN where unknown, see
        ``reasons``.
    total
        The exposed regions together, a row a bin: group, time, width_s, observed, counterfactual with its interval,
        ad with its interval, organic, break. Conversions a bin; organic and break are parts of the counterfactual.
    series
        The same for each region; one region, ``all``, where no region was spared: its parts cannot be told apart.
    evidence
        A row a look: airing, time, log_e (E*), anytime_p, log_plain (against the average null world), joint_log_e (the
        joint filter), incremental so far with lower and upper (they hold at all looks at once) and sd, explained (the
        null world that fits best), word (what that look would have said).
    shares
        airing, dimension, category, share, lower, upper, raw: of the incremental, by channel and device.
    kernel
        airing, lag_s, density, lower, upper: the response, averaged over the kernels by their evidence.
    worlds
        airing, world, weight: what else the model thought may have moved the counts.
    gap
        airing, what (onset, mode, mean), seconds, lower, upper: from having seen the ad to the response.
    money
        airing, what (iroas, roi, cost per incremental), value, lower, upper, status: why a figure is unknown.
    bounds
        airing, loss, lower, upper: the incremental if a loss that nobody counted were that large; no row without one.
    together
        airing, other, correlation, incremental, lower, upper: pairs that cannot be told apart, and their sum.
    regional
        airing, region, exposed, counterfactual, incremental and lift with their intervals: each region in the airing's
        window; no row where no region was spared, for its parts cannot be told apart.
    groups
        dimension, category, airings, incremental, lower, upper, p, verdict: the sums of a dense schedule, the whole
        first, then by creative, network, daypart and spend band, each against shifted placebo schedules; no rows where
        the airings were few enough to be fitted together.
    verdicts, verdict
        One an airing, and the answer as a whole.
    reasons
        airing, column, reason: why a figure of the table is unknown.
    findings
        What preflight and the readers found.
    plan_notes
        What the locked plan says for this analysis, and against it; empty without a plan.
    airings, settings, fingerprint, version, as_of
        The airings as analysed, the choices, a hash over data, settings and version, the version, the end of the data.
    given
        What it was made from: data, feeds, the locked plan, and the fast fits.
    """

    table: pd.DataFrame
    total: pd.DataFrame
    series: pd.DataFrame
    evidence: pd.DataFrame
    shares: pd.DataFrame
    kernel: pd.DataFrame
    worlds: pd.DataFrame
    gap: pd.DataFrame
    money: pd.DataFrame
    bounds: pd.DataFrame
    together: pd.DataFrame
    regional: pd.DataFrame
    groups: pd.DataFrame
    verdicts: tuple[Verdict, ...]
    verdict: Verdict
    reasons: pd.DataFrame
    findings: tuple[Finding, ...]
    plan_notes: tuple[str, ...]
    airings: pd.DataFrame
    settings: Settings
    fingerprint: str
    version: str
    as_of: pd.Timestamp
    given: Given = field(repr=False, compare=False)

    @property
    def alpha(self) -> float:
        """Level of the tests; 1 - alpha is the level of the intervals."""
        return self.settings.alpha

    def sample_posterior(
        self, *, draws: int = 1000, chains: int = 4, rng: int = 0, progress: Callable[..., bool] | None = None
    ) -> Any:
        """Sample the full posterior of the same model (PyMC, nutpie), here and now.

        Parameters
        ----------
        draws, chains
            Kept draws of each chain, and chains.
        rng
            Seed.
        progress
            Told the state, draws so far, draws in all and divergences; sampling ends when it returns False.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            What ArviZ of the version installed works with. Its ``posterior`` has ``incremental``, ``response_peak``
            (s), ``surge_gain``, ``iroas`` and ``roi`` by airing, ``channel_share`` and ``device_share``; its attributes
            say whether it is optimal, what to do if not, and what was left out. The first call compiles for a minute.

        Raises
        ------
        ValueError
            When there is nothing a posterior could be sampled around.
        """
        return run(job(self.given, self.airings), draws=draws, chains=chains, rng=rng, watch=progress).idata


def analyze(
    counts: Counts,
    airings: pd.DataFrame,
    settings: Settings | None = None,
    *,
    social: pd.DataFrame | None = None,
    audience: pd.DataFrame | None = None,
    context: pd.DataFrame | None = None,
    exposures: pd.DataFrame | None = None,
    plan: Plan | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Answer for every airing whether it caused these conversions.

    Parameters
    ----------
    counts
        Conversions in bins of time and region.
    airings
        One row an airing, as :func:`attribution.read_airings` returns it; ``regions`` empty = everywhere.
    settings
        The choices; the defaults when absent.
    social, audience, context, exposures
        The feeds and declared moments, as their readers return them; each may be absent.
    plan
        What was locked before the airing; the verdicts say whether it was kept, and its family is judged together.
    progress
        Told how many groups of overlapping airings (of a dense schedule: placebo schedules) are done, and of how many.

    Returns
    -------
    Analysis
        A pure function of the arguments: the same input gives the same output, to the byte.

    Raises
    ------
    ValueError
        When an argument is not what it should be; the message names it, the value and the remedy.
    """
    settings = settings or Settings()
    airings = normalise(airings, "airings")
    given = {"social": social, "audience": audience, "context": context, "exposures": exposures}
    feeds = {name: None if frame is None else normalise(frame, name) for name, frame in given.items()}
    known_regions(airings, counts)
    known = len(counts.start) > 0
    choices = settings if settings.clock_sd is not None else settings.replace(clock_sd=clock_sd(counts, airings))
    checked = preflight(counts, airings, context=feeds["context"]) if known else []
    left_out = masked(counts) if known else None
    answers, bands, lines, fits = _modelled(counts, airings, choices, feeds, left_out, progress)
    ordered = [answers.get(a) or silent(counts, airings.iloc[a]) for a in range(len(airings))]
    notes = _notes(plan, settings, airings, counts)
    verdicts = tuple(annotated(answer.verdict, speaks_for=notes[0], against=notes[1]) for answer in ordered)
    return Analysis(
        table=pd.DataFrame([answer.row for answer in ordered], columns=TABLE),
        total=_stack([frame.drop(columns="region") for frame in bands if frame["region"].iloc[0] == TOGETHER], BINS),
        series=_stack([frame for frame in bands if frame["region"].iloc[0] != TOGETHER], f"region {BINS}"),
        **{
            name: _stack([a.frames[name] for a in ordered if name in a.frames], columns)
            for name, columns in FRAMES.items()
        },
        groups=lines,
        verdicts=verdicts,
        verdict=with_whole(
            summarise(verdicts, alpha=settings.alpha, family=None if plan is None else plan.family),
            lines,
            alpha=settings.alpha,
        ),
        reasons=pd.DataFrame(
            [(a.row["airing"], column, reason) for a in ordered for column, reason in a.reasons.items()],
            columns=["airing", "column", "reason"],
        ),
        plan_notes=(*notes[0], *notes[1]),
        findings=(*counts.findings, *airings.attrs["findings"], *checked),
        airings=airings,
        settings=settings,
        fingerprint=fingerprint(counts, airings, settings, feeds),
        version=attribution.__version__,
        as_of=counts.end if known else cast("pd.Timestamp", pd.NaT),
        given=Given(counts=counts, feeds=feeds, choices=choices, plan=plan, fitted=partial(tuple, fits)),
    )


def _modelled(
    counts: Counts,
    airings: pd.DataFrame,
    settings: Settings,
    feeds: dict,
    left_out: np.ndarray | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[int, Answer], list[pd.DataFrame], pd.DataFrame, tuple[fast.Fit, ...]]:
    """Answer every airing that has begun.

    Returns
    -------
    The answers by position, the bins of each group, the sums of a dense schedule, and the fit of each group.
    """
    answers: dict[int, Answer] = {}
    bands: list[pd.DataFrame] = []
    fits: list[fast.Fit] = []
    lines = pd.DataFrame(columns=GROUPS.split())
    started, groups = overlapping(counts, airings, settings)
    if settings.baseline == "brief":
        return {int(a): detected(counts, airings.iloc[a], settings) for a in started}, bands, lines, ()
    one = Alone(counts, airings, settings, started=started, context=feeds["context"], masked=left_out)
    with one_thread().limit(limits=1, user_api="blas"):  # small matrices: more threads only wait for one another
        if crowded(counts, airings, groups, MOST_TOGETHER):
            whole = answer_schedule(counts, airings, settings, started, masked=left_out, progress=progress)
            return whole.answers, whole.bins, whole.groups, ()
        together = pieces(groups, MOST_TOGETHER)
        for number, members in enumerate(together):
            if progress:
                progress(number, len(together))
            others = np.setdiff1d(started, members)
            design = designs.build(counts, airings, settings, members=members, others=others, masked=left_out, **feeds)
            if design is None:
                continue
            try:
                fits.append(fast.fit(design, settings))
            except FloatingPointError as error:
                answers |= {int(a): silent(counts, airings.iloc[a], why=str(error)) for a in design.airings}
                continue
            found = _fitted(counts, airings, settings, fits[-1], number, one)
            answers |= found[0]
            bands += found[1]
    return answers, bands, lines, tuple(fits)


@lru_cache(maxsize=1)
def one_thread() -> ThreadpoolController:
    """Return the control over the threads of the linear algebra libraries."""
    return ThreadpoolController()


def _fitted(
    counts: Counts, airings: pd.DataFrame, settings: Settings, fit: fast.Fit, number: int, one: Alone
) -> tuple[dict[int, Answer], list[pd.DataFrame]]:
    """Read one group's fit: the answers of its airings by position, its bins for all exposed regions and each."""
    design, middle, parts = fit.design, centre(fit), draw(fit, DRAWS, seed=number)
    frames = [bins(design, middle, parts, settings, number, TOGETHER, design.exposed)]
    for r, region in enumerate(design.regions):
        frames.append(bins(design, middle, parts, settings, number, region, np.arange(len(design.regions)) == r))
    told, seen = one.answer(design)
    if told and not design.fed:
        shown = {TOGETHER, *seen}
        frames = [overlaid(frame, told) if frame["region"].iloc[0] in shown else frame for frame in frames]
    answers = {
        int(a): answer(counts, airings.iloc[a], settings, fit, middle, j, told) for j, a in enumerate(design.airings)
    }
    names = [str(airings["airing"].iloc[a]) for a in design.airings]
    pairs, regional = together_frame(names, fit, settings), regional_frame(names, design, parts, settings)
    return {a: _with_pairs(found, pairs, regional) for a, found in answers.items()}, frames


def _with_pairs(found: Answer, pairs: pd.DataFrame, regional: pd.DataFrame) -> Answer:
    """Add to an answer its regions, and the pairs that its airing cannot be told apart from; each pair stands once."""
    name = found.row["airing"]
    mine = pairs[(pairs["airing"] == name) | (pairs["other"] == name)]
    said = [
        f"{row.airing} and {row.other} cannot be told apart (correlation {row.correlation:.2f}); their sum is "
        f"{signed(row.incremental)} conversions ({signed(row.lower)} to {signed(row.upper)})."
        for row in mine.itertuples()
    ]
    return found._replace(
        verdict=annotated(found.verdict, against=said),
        frames=found.frames
        | {"together": mine[mine["airing"] == name], "regional": regional[regional["airing"] == name]},
    )


def known_regions(airings: pd.DataFrame, counts: Counts) -> None:
    """Refuse airings in regions that the counts do not have."""
    unknown = sorted({r for named in airings["regions"] for r in named.split("|") if r} - set(counts.regions))
    if unknown:
        raise ValueError(
            f"airings name regions {unknown}, the counts have {list(counts.regions)}; rename one of the two"
        )


def _notes(
    plan: Plan | None, settings: Settings, airings: pd.DataFrame, counts: Counts
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the locked plan says for and against this analysis; of its family, the airings that are here."""
    if plan is None:
        return (), ()
    here = set(airings["airing"])
    return kept(plan, draft(settings, airings, counts, family=[name for name in plan.family if name in here]))


def overlapping(counts: Counts, airings: pd.DataFrame, settings: Settings) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the airings that have begun, and the groups among them whose responses overlap."""
    onset = airings["start"].to_numpy(dtype="datetime64[ns]").astype("int64") / 1e9
    if not len(counts.start) or not len(onset):
        return np.empty(0, dtype=int), []
    end = counts.seconds[-1] + counts.width[-1]
    started = np.flatnonzero((onset < end) & (onset >= counts.seconds[0]))
    reach = windows.window_seconds(
        settings, airings["length_s"].to_numpy(float)[started], float(np.median(counts.width))
    )
    return started, [started[group] for group in windows.groups(onset[started], reach)]


def _stack(frames: list[pd.DataFrame], columns: str) -> pd.DataFrame:
    """Return the frames one below the other; without any, no rows under the named columns."""
    kept = [frame for frame in frames if len(frame)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns.split())


def fingerprint(
    counts: Counts, airings: pd.DataFrame, settings: Settings, feeds: Mapping[str, pd.DataFrame | None]
) -> str:
    """Return the first 16 hex digits of a SHA-256 over data, settings and version; all frames are canonical ones."""
    digest = hashlib.sha256(f"{attribution.__version__}{settings.to_json()}{counts.fingerprint}".encode())
    for frame in (airings, *feeds.values()):
        if frame is not None:
            digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
