"""The process that analyses for the live pages: it shares the machine with them, but not the interpreter."""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NamedTuple

import attribution as at
from attribution import health
from attribution.processes import beside
from attribution.workbench.sight import current

if TYPE_CHECKING:
    import pandas as pd

    from attribution.planning import Plan


BEHIND = 5
"""Where all cores are busy, pages that people look at go first: so much nicer is this process."""


class Question(NamedTuple):
    """What is analysed: arguments of :func:`attribution.analyze`."""

    counts: at.Counts
    airings: pd.DataFrame
    settings: at.Settings
    plan: Plan | None
    tables: dict[str, Any]


class Found(NamedTuple):
    """An analysis, and how sound its model is."""

    result: at.Analysis
    parts: tuple[health.Part, ...]


def answer(asked: Question) -> Found:
    """Analyse, in whatever process this is."""
    result = at.analyze(asked.counts, asked.airings, asked.settings, plan=asked.plan, **asked.tables)
    row = current(result)
    return Found(result, health.parts(result, asked.counts, None if row is None else row["airing"]))


class Analyst:
    """A process that is begun when it is needed, and once more after it was lost; it answers one question at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._pipe: Connection | None = None

    def begin(self) -> None:
        """Start the process, so that it is ready when it is asked."""
        with self._lock:
            self._ready()

    def ask(self, asked: Question) -> Found:
        """Analyse in the process.

        Raises
        ------
        ValueError
            With the message of whatever stopped the analysis.
        RuntimeError
            When the process has ended.
        """
        with self._lock:
            pipe = self._ready()
            try:
                pipe.send(asked)
                told = pipe.recv()
            except (EOFError, OSError) as error:
                self._end()
                raise RuntimeError("the process that analyses has ended; the next look begins another") from error
        if isinstance(told, str):
            raise ValueError(told)
        return told

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ready(self) -> Connection:
        if self._pipe is None or self._process is None or self._process.poll() is not None:
            self._end()
            self._process, self._pipe = beside("attribution.workbench.analyst")
        return self._pipe

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            atexit.unregister(self._process.kill)
        self._process = self._pipe = None


def serve(descriptor: int) -> None:
    """Answer what is asked through a pipe until it closes; the body of the process.

    Parameters
    ----------
    descriptor
        Of this end of the pipe.
    """
    os.nice(BEHIND)
    pipe = Connection(descriptor)
    import_module("attribution.analysis")  # loaded while nobody waits for it
    while True:
        try:
            asked = pipe.recv()
        except (EOFError, OSError):  # whoever asked is gone
            return
        told: Any
        try:
            told = answer(asked)
        except Exception as error:  # whatever stops the model must reach the page, not end the process
            told = str(error) or type(error).__name__
        pipe.send(told)


@cache
def analyst() -> Analyst:
    """Return the one analyst of this process."""
    return Analyst()
