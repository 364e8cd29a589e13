"""The draws of all groups become one answer: an ArviZ object, a row an airing, shares, money, what it leans on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from attribution.model.diagnosis import advice
from attribution.model.sensitivity import index, sentence
from attribution.money import money
from attribution.shares import share_draws

if TYPE_CHECKING:
    from attribution.jobs import Job
    from attribution.model.diagnosis import Health


class Drawn(NamedTuple):
    """One group's runs put together: every array begins with (chains, draws)."""

    values: dict[str, np.ndarray]
    """incremental and response_peak (.., J), the effects of the model, ``log_prior_...`` (..)."""
    stats: dict[str, np.ndarray]
    run: np.ndarray
    """(chains, draws) which run each draw is of."""
    health: list[Health]
    """Of each airing's incremental."""
    worst: float
    """Share of all parameters with R-hat above 1.05, in the worst run."""
    ebfmi: float
    """Energy fraction of missing information, of the worst chain of the worst run."""
    longer: bool = False
    """Whether it is of the second, longer run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """A sampled posterior.

    Attributes
    ----------
    incremental
        airing, mean, sd, lower, upper, rhat, ess_bulk, ess_tail.
    draws, peak_draws
        (D, J) incremental inside each window; mode of the lag in seconds.
    divergences, ebfmi
        Draws that diverged; energy fraction of missing information, of the worst chain of the worst run.
    optimal, advice
        Whether every incremental has converged; what to do where one has not.
    left_out
        Which worlds were not sampled, and their weight, in words.
    sensitivity
        prior, airing, index, sentence: how far the answer leans on each prior.
    seconds
        Of compiling and of sampling.
    idata
        ArviZ's InferenceData, or DataTree from its version 1 on; None where it lies in the file.
    idata_path
        The NetCDF file of a run in a process of its own: ``arviz.from_netcdf`` opens it.
    """

    incremental: pd.DataFrame
    draws: np.ndarray
    peak_draws: np.ndarray
    divergences: int
    ebfmi: float
    optimal: bool
    advice: str
    left_out: str
    sensitivity: pd.DataFrame
    seconds: dict[str, float]
    idata: Any = None
    idata_path: str = ""


def outcome(work: Job, found: list[Drawn], spent: dict[str, float], rng: np.random.Generator) -> Posterior:
    """Put the groups together: a row an airing, in the order of the airings' table.

    Parameters
    ----------
    found
        One for each group of ``work``.
    spent
        Seconds of compiling and sampling.
    rng
        For the shares, which are drawn given each draw of the incremental.
    """
    position = np.concatenate([group.problems[0].airings for group in work.groups])
    order = np.argsort(position, kind="stable")
    names = [str(work.airings["airing"].iloc[a]) for a in position[order]]
    values = _by_airing(work, found, order) | _shares(work, found, order, rng)
    values |= _money(work, position[order], values["incremental"])
    own = [h for drawn in found for h in drawn.health]
    checked = {name: own[i] for name, i in zip(names, order, strict=True)}
    stats = {name: np.concatenate([d.stats[name][None] for d in found]) for name in found[0].stats}
    diverged, energy = int(stats["diverging"].sum()), min(d.ebfmi for d in found)
    optimal = all(h.optimal for h in checked.values())
    said = advice(checked, diverged, energy)
    left_out = " ".join(dict.fromkeys(group.left_out for group in work.groups if group.left_out))
    flat = {name: value.reshape(-1, value.shape[-1]) for name, value in values.items() if value.ndim == 3}
    return Posterior(
        idata=_idata(work, found, names, values, stats, {
            "optimal": int(optimal), "advice": said, "left_out": left_out, "divergences": diverged, "ebfmi": energy,
            "longer": int(any(d.longer for d in found)),
            "parameters_above_1.05": max(d.worst for d in found), **{f"seconds_{k}": v for k, v in spent.items()},
        }),
        incremental=_table(names, checked, flat["incremental"], work.settings.alpha),
        draws=flat["incremental"],
        peak_draws=flat["response_peak"],
        divergences=diverged,
        ebfmi=energy,
        optimal=optimal,
        advice=said,
        left_out=left_out,
        sensitivity=_sensitivity(names, flat, values, work),
        seconds=spent,
    )  # fmt: skip


EACH = ("incremental", "response_peak", "surge_gain", "log_prior_lift", "log_prior_lag", "log_prior_gain")
"""What is reported of every airing; the gain is its group's, NaN without a feed."""


def _by_airing(work: Job, found: list[Drawn], order: np.ndarray) -> dict[str, np.ndarray]:
    """Return :data:`EACH` as (chains, draws, J)."""
    values = {}
    for name in EACH:
        parts = []
        for group, drawn in zip(work.groups, found, strict=True):
            part = drawn.values[name]
            if part.ndim == 2:
                part = np.repeat(part[..., None], len(group.onset), axis=-1)
            if name.endswith("gain") and not group.fed:
                part = np.full(part.shape, np.nan)
            parts.append(part)
        values[name] = np.concatenate(parts, axis=-1)[..., order]
    return values


def _shares(work: Job, found: list[Drawn], order: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the shares by channel and device of every draw's incremental: (chains, draws, J, C)."""
    drawn: dict[str, list[np.ndarray]] = {}
    at = work.counts.seconds
    for group, own in zip(work.groups, found, strict=True):
        before = (at >= group.begin) & (at < group.onset.min())
        for j, (onset, window) in enumerate(zip(group.onset, group.window, strict=True)):
            amounts = own.values["incremental"][..., j]
            for dimension, _, mix, _ in share_draws(
                work.counts, group.reached[j], (at >= onset) & (at < onset + window), before, amounts.ravel(),
                work.settings, dispersion=group.dispersion, rng=rng,
            ):  # fmt: skip
                drawn.setdefault(f"{dimension}_share", []).append(mix.reshape(*amounts.shape, -1))
    return {name: np.stack(parts, axis=2)[:, :, order] for name, parts in drawn.items()}


def _money(work: Job, position: np.ndarray, incremental: np.ndarray) -> dict[str, np.ndarray]:
    """Carry every draw through what an airing cost and what a conversion brings; NaN where that is unknown."""
    found: dict[str, np.ndarray] = {}
    for j, a in enumerate(position):
        cash = money(work.airings.iloc[a], work.settings)
        for name, figure in (("iroas", cash.iroas), ("roi", cash.roi)):
            none = figure(0.0)  # both are linear in the incremental
            value = none + (figure(1.0) - none) * incremental[..., j]
            found.setdefault(name, np.full(incremental.shape, np.nan))[..., j] = value
    return {name: value for name, value in found.items() if np.isfinite(value).any()}


def _table(names: list[str], checked: dict[str, Health], draws: np.ndarray, alpha: float) -> pd.DataFrame:
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2], axis=0)
    health = pd.DataFrame([checked[name]._asdict() for name in names])
    columns = {"airing": names, "mean": draws.mean(axis=0), "sd": draws.std(axis=0), "lower": low, "upper": high}
    return pd.concat([pd.DataFrame(columns), health], axis=1)


def _sensitivity(names: list[str], flat: dict, values: dict, work: Job) -> pd.DataFrame:
    """Return prior, airing, index, sentence: what each answer leans on; priors of shares speak of their first share."""
    rows = []
    for j, name in enumerate(names):
        for prior in ("lift", "lag", "gain"):
            log = flat[f"log_prior_{prior}"][:, j]
            if np.isfinite(log).all():
                value = index(flat["incremental"][:, j], log)
                rows.append((prior, name, value, sentence(prior, name, value)))
        for what, concentration in (
            ("channel", work.settings.channel_concentration), ("device", work.settings.device_concentration),
        ):  # fmt: skip
            mix = values.get(f"{what}_share")
            if mix is not None:
                mine = mix[:, :, j].reshape(-1, mix.shape[-1])
                # A Dirichlet's log density; one of concentration 1 is flat whatever its power.
                log = (concentration - 1.0) * np.log(np.maximum(mine, 1e-300)).sum(axis=1)
                value = max(index(mine[:, c], log) for c in range(mine.shape[1]))
                rows.append((f"{what} shares", name, value, sentence(f"{what} shares", name, value)))
    return pd.DataFrame(rows, columns=["prior", "airing", "index", "sentence"])


def _idata(work: Job, found: list[Drawn], names: list[str], values: dict, stats: dict, attrs: dict[str, Any]) -> Any:
    """Return the ArviZ object: InferenceData before version 1, DataTree from then on."""
    with warnings.catch_warnings():  # it says once a day what it will become
        warnings.simplefilter("ignore", FutureWarning)
        arviz: Any = import_module("arviz")  # takes a second to import; two major versions are served

    coords: dict[str, Any] = {
        "airing": names, "channel": list(work.counts.channels), "device": list(work.counts.devices),
        "group": np.arange(len(found)),
    }  # fmt: skip
    dims = {name: ["airing"] for name, value in values.items() if value.ndim == 3}
    dims |= {"channel_share": ["airing", "channel"], "device_share": ["airing", "device"]}
    posterior = {name: value for name, value in values.items() if not name.startswith("log_prior")}
    for number, (group, drawn) in enumerate(zip(work.groups, found, strict=True)):
        end = f"_{number}" if len(found) > 1 else ""
        coords[f"region{end}"] = list(group.problems[0].regions)
        for name in ("level", "felt"):
            posterior[f"{name}{end}"], dims[f"{name}{end}"] = drawn.values[name], [f"region{end}"]
        posterior[f"run{end}"] = drawn.run
    priors = {name.removeprefix("log_prior_"): v for name, v in values.items() if name.startswith("log_prior")}
    statistics = {name: np.moveaxis(value, 0, -1) for name, value in stats.items()}
    if len(found) == 1:
        statistics = {name: value[..., 0] for name, value in statistics.items()}
    dims |= {name: ["airing"] for name in priors} | {name: ["group"] for name in statistics if len(found) > 1}
    groups = {"posterior": posterior, "sample_stats": statistics, "log_prior": priors}
    dims = {name: own for name, own in dims.items() if any(name in group for group in groups.values())}
    used = {name for own in dims.values() for name in own}
    coords = {name: own for name, own in coords.items() if name in used}
    if int(arviz.__version__.split(".")[0]) >= 1:
        built = arviz.from_dict(groups, coords=coords, dims=dims)
    else:
        built = arviz.from_dict(**groups, coords=coords, dims=dims)
    built.posterior.attrs.update(attrs)
    return built
