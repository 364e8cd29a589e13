"""Weeks of minutes with a dense schedule whose truth is known. Shares nothing with the model: every draw is its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

DAY = 1440
START = pd.Timestamp("2026-03-02T00:00:00Z")


class World(NamedTuple):
    """One simulated or borrowed series with a schedule."""

    y: np.ndarray
    """(T,) counts a minute; NaN where unknown."""
    airings: pd.DataFrame
    truth: np.ndarray
    """(J,) conversions each airing added inside the horizon; 0 without effect."""
    mass: np.ndarray
    """(240,) share of a response in each step of 15/240 min."""


def schedule(rng: np.random.Generator, minutes: int, airings: int, *, pods: float = 0.3) -> pd.DataFrame:
    """Airings in dayparts with random gaps; some share a break with another."""
    hours = np.array([0.3] * 6 + [0.6] * 3 + [1.0] * 8 + [1.6] * 2 + [2.6] * 4 + [1.0])
    days = -(-minutes // DAY)
    weight = np.tile(np.repeat(hours, 60), days)[: minutes - 20].copy()
    weight *= np.exp(0.6 * rng.standard_normal(len(weight) // 60 + 1))[np.arange(len(weight)) // 60]
    at = rng.choice(len(weight), size=airings, p=weight / weight.sum()) + rng.random(airings)
    follows = np.flatnonzero(rng.random(airings) < pods)
    at[follows] = np.clip(
        at[rng.integers(0, airings, len(follows))] + rng.choice([0.5, 1.0, 2.0, 5.0], len(follows)), 0, minutes - 20
    )
    at = np.sort(at)
    network = rng.choice(8, airings, p=np.array([5, 4, 3, 2, 2, 1, 1, 1]) / 19)
    spend = np.exp(rng.normal(0, 0.7, airings) + 0.5 * rng.normal(size=8)[network]) * 1000
    return pd.DataFrame(
        {
            "airing": [f"a{i}" for i in range(airings)],
            "start": START + pd.to_timedelta(at * 60, unit="s"),
            "length_s": rng.choice([15.0, 30.0, 60.0], airings, p=[0.3, 0.6, 0.1]),
            "creative": np.array(list("ABCDE"))[rng.choice(5, airings)],
            "network": np.array([f"n{i}" for i in range(8)])[network],
            "spend": spend.round(2),
        }
    )


def _matern(rng, minutes, sd, span):
    """A Matern-3/2 path by its own recursion: two equal first-order lags, scaled to the sd."""
    burn = int(6 * span) + 10
    decay = np.exp(-np.sqrt(3.0) / span)
    x = rng.standard_normal(minutes + burn)
    for _ in range(2):
        out, last = np.empty_like(x), 0.0
        for i, v in enumerate(x):
            last = decay * last + v
            out[i] = last
        x = out
    x = x[burn:]
    variance = (1 + decay**2) / (1 - decay**2) ** 3
    return sd * x / np.sqrt(variance)


def baseline(rng: np.random.Generator, minutes: int, rate: float) -> np.ndarray:
    """Expected conversions a minute: a daily cycle, weekday levels, slow and fast wandering, bursts."""
    t = np.arange(minutes)
    log = np.full(minutes, np.log(rate))
    depth = rng.uniform(0.2, 0.6)
    for k in (1, 2, 3, 5, 7):
        phase = rng.uniform(0, 2 * np.pi)
        log += depth / k * rng.uniform(0.5, 1.2) * np.cos(2 * np.pi * k * t / DAY + phase)
    log += np.interp(t, np.arange(0, minutes + DAY, DAY) + 700, rng.normal(0, 0.12, -(-(minutes + DAY) // DAY)))
    log += _matern(rng, minutes, rng.uniform(0.1, 0.35), rng.uniform(120, 500))
    log += _matern(rng, minutes, rng.uniform(0.03, 0.14), rng.uniform(1.5, 8.0))
    for _ in range(rng.poisson(minutes / DAY * rng.uniform(0, 1.5))):
        begin = rng.integers(minutes)
        lag = t[begin:] - begin
        log[begin:] += rng.uniform(0.2, 1.0) * np.exp(-lag / rng.uniform(3, 25))
    return np.exp(log)


def kernel(rng: np.random.Generator, tail: float, fine: int = 240) -> np.ndarray:
    """Mass in each of ``fine`` steps of 15/240 min; ``tail`` of it lies in minutes 4 to 15, exponential."""
    lag = (np.arange(fine) + 0.5) * 15.0 / fine
    mode, sd = np.exp(rng.uniform(np.log(0.3), np.log(1.3))), rng.uniform(0.4, 0.8)
    body = np.exp(-0.5 * ((np.log(lag / mode) - sd**2) / sd) ** 2) / lag
    body *= lag < 15
    body /= body.sum()
    if tail > 0:
        body[lag >= 4] = 0
        body /= body.sum()
        far = np.where(lag >= 4, np.exp(-(lag - 4) / rng.uniform(4, 10)), 0)
        body = (1 - tail) * body + tail * far / far.sum()
    return body


def amplitudes(rng: np.random.Generator, airings: pd.DataFrame, mean: float) -> np.ndarray:
    """Heavy-tailed responses by creative, network, hour and spend."""
    spend = airings["spend"].to_numpy()
    hour = (airings["start"].dt.hour.to_numpy() // 6).astype(int)
    a = (spend / np.median(spend)) ** rng.uniform(0.4, 1.0)
    for codes in (
        airings["creative"].astype("category").cat.codes,
        airings["network"].astype("category").cat.codes,
        pd.Series(hour),
    ):
        a = a * np.exp(rng.normal(0, rng.uniform(0.1, 0.4), 30))[codes.to_numpy()]
    a = a * np.exp(rng.normal(0, rng.uniform(0.2, 0.7), len(a)))
    return mean * a / a.mean()


def add(minutes, airings, amount, mass):
    """Expected responses (J, T') laid on minutes: (T,) their sum."""
    out = np.zeros(minutes)
    at = (airings["start"] - START).dt.total_seconds().to_numpy() / 60
    lag = (np.arange(len(mass)) + 0.5) * 15.0 / len(mass)
    for a, o in zip(amount, at, strict=True):
        minute = np.floor(o + lag).astype(int)
        inside = minute < len(out)
        np.add.at(out, minute[inside], a * mass[inside])
    return out


def counts(rng, mean, dispersion):
    """Counts with variance dispersion x mean."""
    if dispersion <= 1.001:
        return rng.poisson(mean).astype(float)
    return rng.negative_binomial(np.maximum(mean, 1e-9) / (dispersion - 1), 1 / dispersion).astype(float)


def simulate(
    seed: int,
    *,
    days: int = 7,
    airings: int = 300,
    lift: float = 0.0,
    tail: float | None = None,
    rate: float | None = None,
) -> World:
    """One world. ``lift``: mean response of an airing in minutes of baseline; tail None: drawn from 0 to .15."""
    rng = np.random.default_rng([seed, 77])
    minutes = days * DAY
    rate = float(np.exp(rng.uniform(np.log(8), np.log(300)))) if rate is None else rate
    base = baseline(rng, minutes, rate)
    plan = schedule(rng, minutes, airings)
    mass = kernel(rng, rng.uniform(0, 0.15) if tail is None else tail)
    truth = amplitudes(rng, plan, lift * base.mean()) if lift else np.zeros(airings)
    y = counts(rng, base + add(minutes, plan, truth, mass), rng.uniform(1.0, 1.8))
    if rng.random() < 0.5:
        gap = rng.integers(0, minutes - 200)
        y[gap : gap + rng.integers(5, 120)] = np.nan
    return World(y, plan, truth, mass)
