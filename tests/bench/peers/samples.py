"""What a method sees of a world, and what it answers; numpy alone, because it is read in every environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


class Answer(NamedTuple):
    """What a method says of the window: NaN and None are what it cannot say."""

    estimate: float
    lower: float = float("nan")
    upper: float = float("nan")
    claimed: bool | None = None
    caused: bool | None = None

    @classmethod
    def of(cls, estimate: float, lower: float, upper: float) -> Answer:
        """An answer whose claim is that its 95% interval lies above zero."""
        return cls(float(estimate), float(lower), float(upper), claimed=bool(lower > 0))


class Bins(NamedTuple):
    """Counts in bins of one width; the window of the response starts at bin ``first``."""

    width: int
    first: int
    inside: int
    exposed: np.ndarray
    control: np.ndarray
    social: np.ndarray
    breaks: np.ndarray
    units: np.ndarray
    treated: np.ndarray

    @property
    def last(self) -> int:
        """The first bin after the window."""
        return self.first + self.inside

    @property
    def covariates(self) -> dict[str, np.ndarray]:
        """Series that explain the exposed regions without the ad: the holdout, the feed, and breaks already seen."""
        found = {"control": self.control, "social": self.social, "breaks": self.breaks}
        return {name: x for name, x in found.items() if np.ptp(x[: self.first]) > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One world without its truth: counts (T, R, C) a second, region and channel; posts (T,); share of a second in a
    declared break (T,); which regions saw the ad (R,); when it began and how long its response is counted, seconds."""

    counts: np.ndarray
    social: np.ndarray
    breaks: np.ndarray
    exposed: np.ndarray
    onset: int
    window: int

    def bins(self, width: int) -> Bins:
        """Add up to bins of ``width`` seconds, which must divide the onset and the window."""
        if self.onset % width or self.window % width:
            raise ValueError(f"width is {width} s; choose one that divides {self.onset} and {self.window} s")
        size = len(self.counts) // width

        def binned(x: np.ndarray) -> np.ndarray:
            return x[: size * width].reshape(size, width, *x.shape[1:]).sum(axis=1)

        units = self.counts.reshape(len(self.counts), -1)
        treated = np.repeat(self.exposed, self.counts.shape[2])
        return Bins(
            width=width,
            first=self.onset // width,
            inside=self.window // width,
            exposed=binned(units[:, treated].sum(axis=1)),
            control=binned(units[:, ~treated].sum(axis=1)),
            social=binned(self.social),
            breaks=binned(self.breaks) / width,
            units=binned(units),
            treated=treated,
        )

    def save(self, path: Path) -> None:
        """Write a file that `load` reads."""
        np.savez_compressed(path, **{name: np.asarray(getattr(self, name)) for name in Sample.__slots__})

    @classmethod
    def load(cls, path: Path) -> Sample:
        """Read a file of `save`."""
        with np.load(path) as held:
            found = {name: held[name] for name in Sample.__slots__}
        return cls(**found | {"onset": int(found["onset"]), "window": int(found["window"])})
