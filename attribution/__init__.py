"""Did this TV ad actually cause these conversions? The public names; each is loaded when it is first used.

Examples
--------
>>> import attribution as at
>>> at.Settings(window="60s").window
'60s'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attribution import charts
    from attribution.airings import read_airings, read_context
    from attribution.analysis import Analysis, analyze
    from attribution.checks import preflight
    from attribution.counts import Counts
    from attribution.events import EventBatch
    from attribution.files import Files, read_files
    from attribution.insertions import read_exposures
    from attribution.kernels import Kernel
    from attribution.logs import read_events
    from attribution.markers import read_scte35
    from attribution.readers import read_audience, read_counts, read_social
    from attribution.reports import Report, report
    from attribution.saved import load
    from attribution.settings import Settings
    from attribution.tables import Finding, ReadError
    from attribution.verdict import Verdict
    from attribution.worlds import SCENARIOS, Scenario, Truth, World, simulate

__version__ = "0.1.0"

__all__ = [
    "SCENARIOS",
    "Analysis",
    "Counts",
    "EventBatch",
    "Files",
    "Finding",
    "Kernel",
    "ReadError",
    "Report",
    "Scenario",
    "Settings",
    "Truth",
    "Verdict",
    "World",
    "analyze",
    "charts",
    "load",
    "preflight",
    "read_airings",
    "read_audience",
    "read_context",
    "read_counts",
    "read_events",
    "read_exposures",
    "read_files",
    "read_scte35",
    "read_social",
    "report",
    "simulate",
]

_HOMES = {
    "airings": ("read_airings", "read_context"),
    "analysis": ("Analysis", "analyze"),
    "checks": ("preflight",),
    "counts": ("Counts",),
    "events": ("EventBatch",),
    "files": ("Files", "read_files"),
    "insertions": ("read_exposures",),
    "kernels": ("Kernel",),
    "logs": ("read_events",),
    "markers": ("read_scte35",),
    "readers": ("read_audience", "read_counts", "read_social"),
    "reports": ("Report", "report"),
    "saved": ("load",),
    "settings": ("Settings",),
    "tables": ("Finding", "ReadError"),
    "verdict": ("Verdict",),
    "worlds": ("SCENARIOS", "Scenario", "Truth", "World", "simulate"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its module the first time it is asked for."""
    if name == "charts":
        return import_module("attribution.charts")
    if name not in _HOME:
        raise AttributeError(f"module 'attribution' has no name {name!r}; its names are {', '.join(__all__)}")
    value = getattr(import_module(f"attribution.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
