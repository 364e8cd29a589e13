"""What moves the rate of a simulated event: wandering, bursts, breaks and the organic surge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from attribution.scenarios import Scenario

BREAK_RISE_S, BREAK_FALL_S = 8.0, 20.0
"""Time constants with which viewers pick up their phones in a break, and put them away after it."""
BURST_INDEX = 2.0
"""Index of the Pareto tail of the bursts: their mean is finite, their variance is not."""


def wander(rng: np.random.Generator, n: int, sd: float, tau: float, columns: int = 1) -> np.ndarray:
    """Log-normal factor of mean 1 whose log is an OU process in equilibrium; (n, columns)."""
    decay = np.exp(-1 / tau)
    noise = rng.standard_normal((n, columns)) * np.sqrt(1 - decay**2)
    noise[0] /= np.sqrt(1 - decay**2)
    path = np.asarray(lfilter([1.0], [1.0, -decay], noise, axis=0))
    return np.exp(sd * path - sd**2 / 2)


def surge(scenario: Scenario, second: np.ndarray) -> np.ndarray:
    """G, the surge as it is at the times ``second``: a smooth rise to its peak, then halving; any shape."""
    if scenario.surge == "none":
        return np.zeros_like(second)
    onset = min(spot.at_s for spot in scenario.airings) + scenario.surge_after_s
    lag = second + 0.5 - onset
    rising = np.sin(np.pi / 2 * np.clip(lag / scenario.surge_rise_s, 0, 1)) ** 2
    falling = np.exp2(-np.maximum(lag - scenario.surge_rise_s, 0) / scenario.surge_half_s)
    return scenario.surge_size * rising * falling


def felt(scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    """Factor with which each region feels the surge; (R,)."""
    scale = np.exp(scenario.surge_region_sd * rng.standard_normal(len(scenario.regions)))
    if scenario.surge == "regional":
        struck = scenario.exposed(scenario.airings[0])[0]
        scale *= [name == struck for name, _ in scenario.regions]
    return scale


def broken(scenario: Scenario, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Relative rise of traffic in breaks, whatever is aired; (T,)."""
    rise = np.zeros_like(second)
    sd = scenario.break_step_sd
    for pause, z in zip(scenario.breaks, rng.standard_normal(len(scenario.breaks)), strict=True):
        lag = second + 0.5 - pause.at_s
        shape = -np.expm1(-np.clip(lag, 0, pause.length_s) / BREAK_RISE_S)
        shape *= np.exp(-np.maximum(lag - pause.length_s, 0) / BREAK_FALL_S)
        rise += scenario.break_step * np.exp(sd * z - sd**2 / 2) * shape
    return rise


def bursts(scenario: Scenario, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Relative rise by bursts: they come at random, jump to a heavy-tailed height and decay; (T,)."""
    rise = np.zeros_like(second)
    if scenario.burst_every_s == 0:
        return rise
    number = rng.poisson(len(second) / scenario.burst_every_s)
    onset = rng.uniform(0, len(second), number)
    height = scenario.burst_size * (1 + rng.pareto(BURST_INDEX, number))
    lag = second[:, None] + 0.5 - onset
    return (np.where(lag > 0, np.exp(-np.maximum(lag, 0) / scenario.burst_s), 0.0) * height).sum(axis=1)
