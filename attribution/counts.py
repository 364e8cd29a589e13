"""Counts: how many conversions fell into each bin of time, region, channel and device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from attribution.silence import fading, rush, silences

if TYPE_CHECKING:
    from attribution.tables import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts of one kind of event in bins of time x region x channel x device.

    Attributes
    ----------
    start
        (T,) datetime64[ns], UTC: where each bin begins; strictly increasing. Half-open: ``[start, start + width)``.
    width
        (T,) float, seconds; positive; bins do not overlap, but may leave gaps.
    values
        (T, R, C, K) float: non-negative whole numbers; NaN where the count is unknown (never 0 for missing).
    regions, channels, devices
        Labels of the axes R, C, K; a dimension the data does not have is one label, ``"all"``.
    completeness
        (T, R) float in [0, 1]: share of the sent events that were counted; NaN where that is unknown.
    kind
        What was counted.
    findings
        What the reader met on the way: nothing is lost silently.
    mapping
        (role, column) pairs: which column of the file was read as what.
    """

    start: np.ndarray
    width: np.ndarray
    values: np.ndarray
    regions: tuple[str, ...] = ("all",)
    channels: tuple[str, ...] = ("all",)
    devices: tuple[str, ...] = ("all",)
    completeness: np.ndarray
    kind: str = "conversion"
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    mapping: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        shape = (len(self.start), len(self.regions), len(self.channels), len(self.devices))
        if self.values.shape != shape:
            raise ValueError(f"values have shape {self.values.shape}; bins x regions x channels x devices is {shape}")
        if self.width.shape != shape[:1] or self.completeness.shape != shape[:2]:
            raise ValueError(
                f"width has shape {self.width.shape} and completeness {self.completeness.shape}; "
                f"give {shape[:1]} and {shape[:2]}"
            )
        if self.start.dtype != np.dtype("datetime64[ns]"):
            raise ValueError(f"start is {self.start.dtype}; give datetime64[ns] in UTC")
        step = np.diff(self.start.astype("int64"))
        if (step <= 0).any() or (self.width <= 0).any():
            raise ValueError("bins are out of order or without width; sort them by start, each start once")
        if (step + 1 < self.width[:-1] * 1e9).any():
            raise ValueError("bins overlap; each bin must end before the next begins")
        if (self.values < 0).any():
            raise ValueError("values hold a negative count; counts are 0 or more, NaN where unknown")
        for name in ("regions", "channels", "devices"):
            labels = getattr(self, name)
            if len(set(labels)) != len(labels):
                raise ValueError(f"{name} holds a label twice; give each label once")

    @property
    def seconds(self) -> np.ndarray:
        """(T,) float: bin starts as seconds since 1970, UTC."""
        return self.start.astype("int64") / 1e9

    @property
    def end(self) -> pd.Timestamp:
        """End of the last bin (UTC)."""
        return pd.Timestamp(self.start[-1], tz="UTC") + pd.Timedelta(seconds=float(self.width[-1]))

    @property
    def total(self) -> np.ndarray:
        """(T, R) float: counts summed over channels and devices; NaN where any part is unknown."""
        return self.values.sum(axis=(2, 3))

    def by(self, dimension: str) -> np.ndarray:
        """Sum out all but time and one dimension: ``region``, ``channel`` or ``device``; (T, n)."""
        axes = {"region": (2, 3), "channel": (1, 3), "device": (1, 2)}
        if dimension not in axes:
            raise ValueError(f"dimension is {dimension!r}; choose one of {', '.join(axes)}")
        return self.values.sum(axis=axes[dimension])

    def between(self, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None) -> Counts:
        """Keep the bins that lie wholly in ``[start, end)``; views, nothing is copied."""
        low = 0 if start is None else int(np.searchsorted(self.start, _ns(start), side="left"))
        high = len(self.start)
        if end is not None:
            ends = self.start.astype("int64") + np.round(self.width * 1e9).astype("int64")
            high = int(np.searchsorted(ends, _ns(end).astype("int64"), side="right"))
        keep = slice(low, max(low, high))
        return replace(
            self,
            start=self.start[keep],
            width=self.width[keep],
            values=self.values[keep],
            completeness=self.completeness[keep],
        )

    def __add__(self, other: Counts) -> Counts:
        """Add counts of the same bins and labels (two partitions of one feed)."""
        same = np.array_equal(self.start, other.start) and np.array_equal(self.width, other.width)
        if not same or (self.regions, self.channels, self.devices, self.kind) != (
            other.regions,
            other.channels,
            other.devices,
            other.kind,
        ):
            raise ValueError("counts differ in bins, labels or kind; count both into the same bins first")
        a, b = self.values.sum(axis=(2, 3)), other.values.sum(axis=(2, 3))
        known = np.where(a + b > 0, a + b, 1.0)
        mean = (self.completeness * a + other.completeness * b) / known
        completeness = np.where(a + b > 0, mean, (self.completeness + other.completeness) / 2)
        return replace(self, values=self.values + other.values, completeness=completeness)

    def to_frame(self) -> pd.DataFrame:
        """Long table: time, width_s, region, channel, device, count (NaN where unknown)."""
        t, r, c, k = self.values.shape
        return pd.DataFrame(
            {
                "time": pd.DatetimeIndex(np.repeat(self.start, r * c * k)).tz_localize("UTC"),
                "width_s": np.repeat(self.width, r * c * k),
                "region": np.tile(np.repeat(np.array(self.regions, dtype=object), c * k), t),
                "channel": np.tile(np.repeat(np.array(self.channels, dtype=object), k), t * r),
                "device": np.tile(np.array(self.devices, dtype=object), t * r * c),
                "count": self.values.ravel(),
            }
        )

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 over everything these counts hold."""
        digest = hashlib.sha256(repr((self.regions, self.channels, self.devices, self.kind)).encode())
        for array in (self.start, self.width, self.values, self.completeness):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def outages(counts: Counts, *, near: int = 60) -> np.ndarray:
    """Find stretches of zeros that the local level makes incredible: the feed was out, the count is unknown.

    See :func:`attribution.silence.silences`.

    Returns
    -------
    (T, R) bool
        True where a count is to be treated as unknown.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.full(300, 9.0)
    >>> y[100:112] = 0
    >>> feed = Counts(start=np.arange(300).astype("datetime64[s]").astype("datetime64[ns]"), width=np.ones(300),
    ...               values=y[:, None, None, None], completeness=np.ones((300, 1)))
    >>> int(outages(feed).sum())
    12
    """
    return np.stack([silences(y, near=near) for y in counts.total.T], axis=1)


def masked(counts: Counts) -> np.ndarray:
    """Find the bins no model should read: outages, what fades before one, and the rush after it; none is an effect.

    Returns
    -------
    (T, R) bool
        True where a count is left out.
    """
    out = outages(counts)
    around = [fading(dark, counts.width) | rush(y, dark) for y, dark in zip(counts.total.T, out.T, strict=True)]
    return out | np.stack(around, axis=1)


def _ns(moment: pd.Timestamp) -> np.datetime64:
    """UTC moment as datetime64[ns]; a naive moment is refused."""
    stamp = pd.Timestamp(moment)
    if stamp.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; write it in UTC, e.g. 2026-02-08T20:41:00Z")
    return np.datetime64(stamp.tz_convert("UTC").tz_localize(None).as_unit("ns").value, "ns")
