"""What the arguments of sequential tests must be; each refusal names the argument, its value and the remedy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray
Number = float | np.ndarray


def numbers(name: str, values: Any) -> Array:
    """Return an array of real numbers; NaN and infinity are not refused here."""
    reason = None
    try:
        if not np.iscomplexobj(values):
            return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        reason = error
    raise ValueError(f"{name} is {values!r}; give real numbers") from reason


def number(name: str, value: Any) -> float:
    """Return one real number; NaN and infinity are not refused here."""
    if isinstance(value, (float, int)):
        return float(value)
    array = numbers(name, value)
    if array.ndim:
        raise ValueError(f"{name} is {value!r}; give one number")
    return float(array)


def inside(name: str, value: float) -> float:
    """Return a number between 0 and 1, both left out."""
    share = number(name, value)
    if not 0 < share < 1:
        raise ValueError(f"{name} is {value}; choose a value between 0 and 1")
    return share


def level(alpha: float) -> float:
    """Return ``alpha`` when it lies in (0, 1)."""
    return inside("alpha", alpha)


def dispersed(dispersion: float) -> float:
    """Return a finite variance over mean of 1 or more."""
    phi = number("dispersion", dispersion)
    if not (math.isfinite(phi) and phi >= 1):
        raise ValueError(f"dispersion is {dispersion}; choose a variance over mean of 1 or more")
    return phi


def integer(name: str, value: float, *, remedy: str) -> int:
    """Return a whole number of 1 or more."""
    whole_number = number(name, value)
    if not (whole_number.is_integer() and whole_number >= 1):
        raise ValueError(f"{name} is {value}; {remedy}")
    return int(whole_number)


def positive(name: str, value: float) -> float:
    """Return a finite number above 0."""
    amount = number(name, value)
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(f"{name} is {value}; choose a finite number above 0")
    return amount


def whole(name: str, values: Number, *, shape: tuple[int, ...] | None = None) -> Array:
    """Return counts as floats: whole, not negative, at most 2^53; any shape unless one is given."""
    counts = numbers(name, values)
    if shape is not None and counts.shape != shape:
        raise ValueError(f"{name} has shape {counts.shape}; give shape {shape}")
    if counts.ndim == 0:
        count = float(counts)
        bad = None if 0 <= count < 2**53 and count.is_integer() else count
    else:
        wrong = ~((counts >= 0) & (counts < 2**53) & (np.trunc(counts) == counts))
        bad = counts[wrong][0] if wrong.any() else None
    if bad is not None:
        raise ValueError(f"{name} holds {bad}; counts are whole numbers of 0 or more (leave unknown bins out)")
    return counts


def table(counts: Array, shares: Array) -> tuple[Array, Array]:
    """Return counts (T, K) and the K shares of exposure, positive and summing to 1."""
    theta = numbers("shares", shares)
    if theta.ndim != 1 or len(theta) < 2 or not (theta > 0).all() or abs(theta.sum() - 1) > 1e-6:
        raise ValueError(f"shares is {theta.tolist()}; give two or more positive shares that sum to 1")
    rows = numbers("counts", counts)
    if rows.ndim != 2 or rows.shape[1] != len(theta):
        raise ValueError(f"counts has shape {rows.shape}; give one column for each of the {len(theta)} shares")
    return whole("counts", rows), theta / theta.sum()


def stream(name: str, counts: Array) -> Array:
    """Return counts of one stream, (T,)."""
    values = whole(name, counts)
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}; give one count a bin, shape (T,)")
    return values


def response(kernel: Array, lifts: Array, bins: int) -> tuple[Array, Array]:
    """Return the kernel (T,), from 0 to 1 at its peak, and the lifts (B,), each above -1."""
    shape = numbers("kernel", kernel)
    if shape.shape != (bins,):
        raise ValueError(f"kernel has shape {shape.shape}; give one value for each of the {bins} bins")
    if not ((shape >= 0) & (shape <= 1 + 1e-9)).all():
        wrong = shape[~((shape >= 0) & (shape <= 1 + 1e-9))][0]
        raise ValueError(f"kernel holds {wrong}; divide it by its peak, so that it lies between 0 and 1")
    rises = np.atleast_1d(numbers("lifts", lifts))
    if rises.ndim != 1 or not len(rises) or not (np.isfinite(rises) & (rises > -1)).all():
        raise ValueError(f"lifts is {rises.tolist()}; give one or more finite lifts above -1")
    return shape, rises


def finite_or_infinite(name: str, values: Number, *, ndim: int | None = 1) -> Array:
    """Return an array without NaN."""
    array = numbers(name, values)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}; give an array of {ndim} dimension")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds nan; leave out looks whose value is unknown")
    return array
