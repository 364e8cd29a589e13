"""Which worlds are tried under which settings, and which of them speak for which goal."""

from __future__ import annotations

from attribution.scenarios import SCENARIOS
from attribution.settings import Settings
from attribution.trials import TRIALS

ALPHA = 0.05
_KNOWN = Settings(response_peak="10s", response_peak_logsd=0.2, window="60s", alpha=ALPHA)
SETTINGS: dict[str, Settings] = {
    "lag known": _KNOWN,
    "lag vague": _KNOWN.replace(response_peak_logsd=0.5),
    "defaults": Settings(window="60s", alpha=ALPHA),
    "blind": Settings(response_peak="15s", response_peak_logsd=0.7, window="60s", alpha=ALPHA),
    "late": Settings(response_peak="45s", response_peak_logsd=0.5, window="210s", alpha=ALPHA),
    "minutes": _KNOWN.replace(window="120s"),
    "assumes gamma": _KNOWN.replace(kernel="gamma"),
    "assumes lognormal": _KNOWN.replace(kernel="lognormal"),
}
FOILS = ("brief engine", "plug-in mSPRT")
"""Methods that a harness with teeth must find wrong: the brief's detector, and a baseline taken for known."""
FOILED = ("shared_surge_null", "noise_shared_null", "break_common_null", "bursts_null")
TWICE = ("shared_surge", "shared_surge_null", "clean", "clean_null", "surge_late", "surge_early", "surge_before")
"""Worlds tried with a vague lag as well."""


def settings_of(world: str) -> tuple[str, ...]:
    """Return the labels of the settings under which a world is tried."""
    own = {
        "blind": "blind",
        "late_response": "late",
        "minutes": "minutes",
        "lognormal_as_gamma": "assumes gamma",
        "gamma_as_lognormal": "assumes lognormal",
    }.get(world.removesuffix("_null"))
    if own:
        return (own,)
    if world in SCENARIOS:
        return ("defaults", "lag known")
    return ("lag known", "lag vague") if world in TWICE else ("lag known",)


def cells(worlds: tuple[str, ...] = (), *, foils: bool = True) -> list[tuple[str, str]]:
    """Return every (world, settings) of the calibration, the blind family first; of the named worlds, if any are."""
    chosen = worlds or tuple(TRIALS)
    unknown = sorted(set(chosen) - set(TRIALS))
    if unknown:
        raise ValueError(f"worlds are {unknown}; choose from {', '.join(TRIALS)}")
    plain = [(world, label) for world in chosen for label in settings_of(world)]
    return plain + [(world, foil) for world in FOILED if foils and world in chosen for foil in FOILS]


def without_effect(world: str) -> bool:
    """Whether no airing of the world has an effect (the blind family is mixed: False)."""
    return TRIALS[world].scenario.lift == 0


NULLS_WITH_CONTROL = tuple(name for name in TRIALS if without_effect(name) and TRIALS[name].control)
NULLS = tuple(name for name in TRIALS if without_effect(name))
SEPARABLE, INSEPARABLE = (
    tuple(n for n in TRIALS if TRIALS[n].separable is kind and not without_effect(n) and n != "blind")
    for kind in (True, False)
)
