"""The same answer without each region in turn: whether it hangs on one of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from attribution.figures import figure
from attribution.tuning import Tuner

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.counts import Counts
    from attribution.settings import Settings

MOST = 12
"""So many regions, the largest, are left out in turn."""
COLUMNS = ["region", "role", "share", "incremental", "lift", "lower", "upper", "word", "why"]


def without(counts: Counts, region: str) -> Counts:
    """Return the counts without a region.

    Raises
    ------
    ValueError
        When there is no such region, or no other.
    """
    if region not in counts.regions or len(counts.regions) < 2:
        raise ValueError(f"region is {region!r}; choose one of {', '.join(counts.regions)}, and leave another")
    kept = np.array([name != region for name in counts.regions])
    return replace(
        counts,
        values=counts.values[:, kept],
        completeness=counts.completeness[:, kept],
        regions=tuple(name for name in counts.regions if name != region),
    )


def narrowed(airings: pd.DataFrame, region: str) -> pd.DataFrame:
    """Return the airings that are left where a region is left out: one that ran there alone is gone.

    Examples
    --------
    >>> narrowed(pd.DataFrame({"regions": ["a|b", "a", ""]}), "a")["regions"].tolist()
    ['b', '']
    """
    seen = [[name for name in str(text).split("|") if name] for text in airings["regions"]]
    rest = [[name for name in names if name != region] for names in seen]
    stays = [bool(kept) or not names for names, kept in zip(seen, rest, strict=True)]
    return airings.assign(regions=["|".join(kept) for kept in rest])[stays].reset_index(drop=True)


def leave_one_out(
    tuner: Tuner,
    settings: Settings,
    airing: str,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Answer again without each region in turn.

    Returns
    -------
    region (empty: none left out), role (exposed or control), share (of the conversions), incremental, lift, lower,
    upper (of the lift), word (of the last look), why (there is no answer). The amounts are those of the regions that
    are left; the lift can be compared.
    """
    counts = tuner.counts
    seen = str(tuner.airings.loc[tuner.airings["airing"].astype(str) == airing, "regions"].iloc[0])
    exposed = set(seen.split("|")) if seen else set(counts.regions)
    level = np.nansum(counts.total, axis=0)
    share = level / max(level.sum(), 1e-9)
    order = np.argsort(-level, kind="stable")[:MOST]
    rows = [_row(tuner, settings, airing, region="", role="", share=np.nan)]
    for number, r in enumerate(order, 1):
        name = counts.regions[r]
        role = "exposed" if name in exposed else "control"
        rows.append(_left(tuner, settings, airing, name, role, float(share[r])))
        if progress:
            progress(number, len(order))
    return pd.DataFrame(rows, columns=COLUMNS)


def _left(tuner: Tuner, settings: Settings, airing: str, region: str, role: str, share: float) -> dict[str, Any]:
    """Answer without one region."""
    where = {"region": region, "role": role, "share": share}
    if len(tuner.counts.regions) < 2:
        return _unknown("the counts have one region only") | where
    rest = narrowed(tuner.airings, region)
    if airing not in set(rest["airing"].astype(str)):
        return _unknown("it ran in no other region") | where
    feeds = {
        name: frame[frame["region"] != region] if frame is not None and "region" in frame else frame
        for name, frame in tuner.given.items()
    }
    return _row(Tuner(without(tuner.counts, region), rest, feeds), settings, airing, **where)


def _row(tuner: Tuner, settings: Settings, airing: str, **where: object) -> dict[str, Any]:
    try:
        said = tuner.finger(settings, airing)
    except ValueError as error:
        return _unknown(str(error)) | where
    row = said.row
    return {
        **where,
        "incremental": row["incremental"],
        "lift": row["lift"],
        "lower": row["lift_lower"],
        "upper": row["lift_upper"],
        "word": said.verdict.word,
        "why": "" if np.isfinite(row["lift"]) else said.verdict.sentence,
    }


def _unknown(why: str) -> dict[str, Any]:
    return dict.fromkeys(("incremental", "lift", "lower", "upper"), np.nan) | {"word": "no data", "why": why}


def hangs_on(table: pd.DataFrame) -> str:
    """Say whether the answer hangs on one region: the words without each, and how far the lift moves."""
    whole, parts = table.iloc[0], table.iloc[1:].dropna(subset="lift")
    if parts.empty or not np.isfinite(whole["lift"]):
        return "No region could be left out."
    other = parts[parts["word"] != whole["word"]]
    span = f"between {figure(parts['lift'].min(), 'percent')} and {figure(parts['lift'].max(), 'percent')}"
    if other.empty:
        return f"Whichever region is left out, the word stays “{whole['word']}”, and the lift lies {span}."
    named = "; ".join(f"without {row['region']} it is “{row['word']}”" for row in other.to_dict("records"))
    return f"The word is “{whole['word']}” with all regions; {named}. The lift lies {span}."
