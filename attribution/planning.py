"""The plan: what was decided before the airing, under a hash; and the smallest lift that such an airing can show."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy.special import ndtri

from attribution.model.monitor import AT_ONCE
from attribution.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.counts import Counts

STOPPING = (
    f"watched every second; decided when the e-value reached 1/alpha on two looks in a row, or {AT_ONCE:g}/alpha on one"
)
DATA_RULES = (
    "repeats are removed by their sequence numbers, and late events counted into their bin",
    "a missing count is unknown, never 0",
    "an outage and the rush after it are left out",
    "the share of lost events enters the expected count",
)
POWER = 0.8
"""Four times out of five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was decided before the data were seen.

    Attributes
    ----------
    outcome
        Kind of event that is counted.
    window
        After each start, where incremental conversions are summed, as in the settings.
    settings
        All choices and priors: (name, value) pairs in the order of :class:`attribution.Settings`.
    airings
        (name, start in UTC, length in seconds, regions, assignment) of each airing, by start.
    controls
        (airing, regions that are spared it): none named, none spared.
    family
        Names of the airings that are judged together.
    stopping
        When watching stops.
    data_rules
        What is done with faults of the data.
    locked_at
        UTC moment of the lock as ISO 8601; empty while it is a draft.
    late
        Whether the first airing had begun by then.
    sha256
        Over all of the above as canonical JSON; empty while it is a draft.
    """

    outcome: str
    window: str
    settings: tuple[tuple[str, Any], ...]
    airings: tuple[tuple[str, str, float, str, str], ...]
    controls: tuple[tuple[str, tuple[str, ...]], ...]
    family: tuple[str, ...]
    stopping: str = STOPPING
    data_rules: tuple[str, ...] = DATA_RULES
    locked_at: str = ""
    late: bool = False
    sha256: str = ""

    def to_json(self) -> str:
        """Return the plan as JSON, its hash included."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what :meth:`to_json` wrote; a plan that its hash does not fit is read too: see :func:`verify`."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"the plan is not JSON: {error}; give a file that `attribution plan lock` wrote"
            ) from error
        names = [field.name for field in fields(cls)]
        if not isinstance(data, dict) or sorted(data) != sorted(names):
            raise ValueError(
                f"the plan must have exactly {', '.join(names)}; give a file that `attribution plan lock` wrote"
            )
        return cls(**{name: _frozen(value) for name, value in data.items()})

    def save(self, path: str | Path) -> Path:
        """Write the plan; returns where."""
        Path(path).write_text(self.to_json(), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan from a file."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{path}: cannot be opened ({error.strerror}); check the path") from error


def draft(settings: Settings, airings: pd.DataFrame, counts: Counts, *, family: Sequence[str] | None = None) -> Plan:
    """Write down what an analysis would do: no data but the labels of the counts are looked at.

    Parameters
    ----------
    settings
        The choices and priors.
    airings
        As :func:`attribution.read_airings` returns them.
    counts
        Their kind and their regions.
    family
        Names of the airings that are judged together; all of them when absent.

    Raises
    ------
    ValueError
        When the family names an airing that is not there.
    """
    rows = airings.sort_values(["start", "airing"], kind="stable").to_dict("records")
    names = tuple(str(row["airing"]) for row in rows)
    chosen = names if family is None else tuple(family)
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        raise ValueError(f"family names {unknown}, the airings are {list(names)}; name airings of the log")
    seen = [str(row["regions"]) for row in rows]
    spared = (tuple(sorted(set(counts.regions) - set(text.split("|")))) if text else () for text in seen)
    return Plan(
        outcome=counts.kind,
        window=settings.window,
        settings=tuple(asdict(settings).items()),
        airings=tuple(
            (name, _iso(row["start"]), float(row["length_s"]), text, str(row.get("assignment", "")))
            for name, text, row in zip(names, seen, rows, strict=True)
        ),
        controls=tuple(zip(names, spared, strict=True)),
        family=chosen,
    )


def lock(
    settings: Settings,
    airings: pd.DataFrame,
    counts: Counts,
    *,
    at: pd.Timestamp,
    family: Sequence[str] | None = None,
    late: bool = False,
) -> Plan:
    """Lock a plan: what was decided, when, and a hash over both.

    The hash shows that a plan was not altered since the hash was seen by somebody else: send it to them, or publish it.
    The moment is the caller's word.

    Parameters
    ----------
    at
        The moment of the lock; with a zone.
    late
        Says that the first airing has begun and the plan is locked all the same; it is kept in the plan as late.

    Raises
    ------
    ValueError
        When the first airing had begun by then and ``late`` does not say so; or there is no airing, or no zone.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> plan = lock(at.Settings(), world.airings, world.counts, at=pd.Timestamp("2026-02-08T18:00Z"))
    >>> plan.controls, plan.late, verify(plan)
    ((('HALFTIME_PRIME', ('eu-west',)),), False, True)
    """
    moment = pd.Timestamp(at)
    if moment.tzinfo is None:
        raise ValueError(f"at is {at}, without a zone; write it in UTC, e.g. 2026-02-08T18:00:00Z")
    plan = draft(settings, airings, counts, family=family)
    if not plan.airings:
        raise ValueError("airings is empty; a plan needs at least one airing")
    first = pd.Timestamp(plan.airings[0][1])
    begun = moment >= first
    if begun and not late:
        raise ValueError(
            f"at is {_iso(moment)}, and {plan.airings[0][0]} began {_iso(first)}; lock before the first airing, or say "
            "late=True (on the command line --late) and the plan is kept as late"
        )
    plan = replace(plan, locked_at=_iso(moment), late=bool(begun))
    return replace(plan, sha256=_digest(plan))


def spared(airings: pd.DataFrame, holdouts: Sequence[str], regions: Sequence[str]) -> pd.DataFrame:
    """Return the airings as they would run with some regions held out of all of them.

    Parameters
    ----------
    airings
        Canonical airings; empty regions stand for everywhere.
    holdouts
        Regions that get no ad; with none it runs everywhere.
    regions
        Every region of the counts.

    Raises
    ------
    ValueError
        When no region is left.

    Examples
    --------
    >>> spared(pd.DataFrame({"regions": ["", "a|b"]}), ["b"], ["a", "b", "c"])["regions"].tolist()
    ['a|c', 'a|c']
    """
    left = [name for name in regions if name not in set(holdouts)]
    if not left:
        raise ValueError(f"holdouts are {list(holdouts)}; leave a region for the ad, the counts have {list(regions)}")
    return airings.assign(regions="|".join(left) if holdouts else "")


def verify(plan: Plan) -> bool:
    """Return whether the plan is locked and its hash fits what it says."""
    return bool(plan.locked_at) and plan.sha256 == _digest(plan)


def difference(plan: Plan, other: Plan) -> tuple[str, ...]:
    """Say what differs between two plans, a line each: ``window: 60s -> 90s``; the moments of the locks are left out.

    Examples
    --------
    >>> import attribution as at
    >>> world = at.simulate(at.SCENARIOS["halftime"], rng=7)
    >>> one, two = (draft(at.Settings(window=w), world.airings, world.counts) for w in ("60s", "90s"))
    >>> difference(one, two), difference(one, one)
    (('window: 60s -> 90s',), ())
    """
    lines = []
    for name in ("outcome", "window", "family", "stopping", "data_rules"):
        lines += _line(name, getattr(plan, name), getattr(other, name))
    before, after = dict(plan.settings), dict(other.settings)
    for name in dict.fromkeys([*before, *after]):
        if name != "window":
            lines += _line(name, before.get(name, "(not there)"), after.get(name, "(not there)"))
    old, new = ({row[0]: row[1:] for row in one.airings} for one in (plan, other))
    lines += [f"airing {name}: left out" for name in old if name not in new]
    lines += [f"airing {name}: added, {new[name][0]}" for name in new if name not in old]
    for name in (name for name in old if name in new):
        for what, a, b in zip(("start", "length_s", "regions", "assignment"), old[name], new[name], strict=True):
            lines += _line(f"{what} of {name}", a, b)
    spared, now = dict(plan.controls), dict(other.controls)
    for name in (name for name in spared if name in now):
        lines += _line(f"controls of {name}", spared[name], now[name])
    return tuple(lines)


def kept(plan: Plan, now: Plan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say how a locked plan speaks for and against what was done: sentences for a verdict.

    Parameters
    ----------
    plan
        The locked plan.
    now
        The draft of the analysis at hand.

    Returns
    -------
    tuple, tuple
        Sentences for, sentences against.
    """
    if not plan.locked_at:
        return (), ("the plan is a draft: nothing was locked before the airing.",)
    if not verify(plan):
        return (), (f"the plan locked {plan.locked_at} was altered after it was locked: its hash does not fit.",)
    when = f"the plan was locked {plan.locked_at} (SHA-256 {plan.sha256[:12]})"
    changes = difference(plan, now)
    since = "" if changes else ", and nothing was changed since"
    against = [f"{when}, after the first airing had begun."] if plan.late else []
    if changes:
        against.append(f"the analysis is not the one of the locked plan: {'; '.join(changes)}.")
    return (() if plan.late else (f"{when}, before the first airing{since}.",)), tuple(against)


def minimum_detectable_lift(sd: float, counterfactual: float, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the smallest lift whose interval excludes zero in ``power`` of all cases.

    (z_{1 - alpha/2} + z_power) sd / counterfactual: the usual formula of a two-sided test with a normal estimate whose
    sd does not change with the lift (Cohen 1988). A watched interval is wider, and its lift larger.

    Parameters
    ----------
    sd
        Sd of the incremental, from a fit without (or with little) effect.
    counterfactual
        Conversions expected without the ad in the same window.
    alpha, power
        In (0, 1).

    Returns
    -------
    float
        A share of the counterfactual; NaN when that is not positive.

    Examples
    --------
    >>> round(minimum_detectable_lift(80.0, 2400.0), 3)
    0.093
    """
    if not counterfactual > 0:
        return float("nan")
    return float((ndtri(1 - alpha / 2) + ndtri(power)) * sd / counterfactual)


def _digest(plan: Plan) -> str:
    """Return the SHA-256 over the plan without its hash: JSON with sorted keys and no spaces."""
    content = {name: value for name, value in asdict(plan).items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _iso(moment: pd.Timestamp) -> str:
    stamp = pd.Timestamp(moment).tz_convert("UTC")
    return stamp.isoformat().replace("+00:00", "Z")


def _frozen(value: Any) -> Any:
    """Turn the lists of a JSON document into tuples."""
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def _line(name: str, before: Any, after: Any) -> list[str]:
    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return ", ".join(map(str, value)) or "none"
        return "not set" if value in {None, ""} else str(value)

    return [] if before == after else [f"{name}: {text(before)} -> {text(after)}"]
