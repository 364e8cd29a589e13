"""The full posterior in a process of its own: an interface never waits for it, may cancel it, and outlives its crash.

One worker is kept: what it compiled once serves every later run of the same shape. The process that asks never imports
PyMC.
"""

from __future__ import annotations

import atexit
import math
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from attribution.jobs import Job, job
from attribution.processes import beside
from attribution.sampler import Asked, Told

if TYPE_CHECKING:
    from attribution.analysis import Analysis
    from attribution.inference import Posterior
    from attribution.model.padded import Size

OVER = ("done", "failed", "cancelled")
"""States that a run does not leave."""

PATIENCE_S = 2.0
"""A run that does not stop within this time is stopped with its process; another process is started for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    state
        ``starting``, ``compiling``, ``sampling``, ``longer`` (the automatic second run), ``done``, ``failed`` or
        ``cancelled``.
    draws, total
        Draws so far and in all, over all chains and runs, warm-up included.
    divergences
        Draws that diverged in the run that goes on.
    seconds_left
        NaN while unknown.
    message
        What happened, or what is being done, in words.
    """

    state: str
    draws: int = 0
    total: int = 0
    divergences: int = 0
    seconds_left: float = math.nan
    message: str = ""


@dataclass(slots=True)
class Run:
    """One run; ask :meth:`progress` as often as you like."""

    number: int
    _worker: Worker
    _began: float = field(default_factory=time.monotonic)
    _told: Told = field(default_factory=lambda: Told(0, "starting"))
    _sampling: float = math.nan

    def progress(self) -> Progress:
        """Return how far the run is."""
        told = self._told
        done, total, diverged = told.figures
        spent = time.monotonic() - self._sampling
        left = spent * (total - done) / done if told.state not in OVER and done and total >= done else math.nan
        return Progress(
            state=told.state, draws=done, total=total, divergences=diverged,
            seconds_left=0.0 if told.state == "done" else left, message=told.message or WORDS.get(told.state, ""),
        )  # fmt: skip

    def cancel(self) -> None:
        """Ask the run to stop; it does within a second or two, or its process is ended."""
        self._worker.cancel(self)

    def posterior(self) -> Posterior:
        """Return the answer.

        Raises
        ------
        RuntimeError
            When there is none: not yet, or no longer to come.
        """
        told = self._told
        if told.result is None:
            raise RuntimeError(f"the posterior is not there: {self.progress().message}")
        return told.result

    def hear(self, told: Told) -> None:
        """Take in a message of the worker; what is over stays over."""
        if self._told.state in OVER:
            return
        if told.state in {"sampling", "longer"} and math.isnan(self._sampling):
            self._sampling = time.monotonic()
        self._told = told


WORDS = {
    "starting": "The sampler is starting.",
    "compiling": "The model is being compiled for data of this shape: once, for about a minute.",
    "sampling": "The posterior is being sampled.",
    "longer": "The chains were not long enough: a longer run is being sampled.",
    "done": "Done.",
    "cancelled": "The run was cancelled.",
}


class Worker:
    """The process that samples, and what it has been asked."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[int, Run] = {}
        self._count = 0
        self._process: subprocess.Popen | None = None
        self._pipe: Connection | None = None
        self._stopped: set[int] = set()
        self._folder = tempfile.mkdtemp(prefix="posterior-")
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        self.state = "cold"

    def ask(self, work: Job | None, sizes: tuple[Size, ...], draws: int = 0, chains: int = 0, rng: int = 0) -> Run:
        """Send a run, or shapes to compile, to the process; starts it when it is not there."""
        with self._lock:
            self._ensure()
            self._count += 1
            run = Run(self._count, self)
            self._runs[run.number] = run
            if work is None:
                self.state = "compiling"
            self._send(Asked(run.number, work, draws, chains, rng, sizes))
            return run

    def _send(self, asked: Asked) -> None:
        try:
            if self._pipe is not None:
                self._pipe.send(asked)
        except OSError as error:
            self._lost(f"{type(error).__name__}: {error}")

    def cancel(self, run: Run) -> None:
        """Stop a run; end its process when that takes too long."""
        with self._lock:
            if run.progress().state in OVER or self._process is None:
                return
            self._stopped.add(run.number)
            self._send(Asked(run.number))
        threading.Thread(target=self._enforce, args=(run, self._process), daemon=True).start()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                process.wait()
            self.state = "cold"

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    def _ensure(self) -> None:
        """Start the process where there is none."""
        if self._process is not None and self._process.poll() is None:
            return
        self._process, self._pipe = beside("attribution.sampler", self._folder)
        threading.Thread(target=self._listen, args=(self._pipe, self._process), daemon=True).start()

    def _listen(self, pipe: Connection, process: subprocess.Popen) -> None:
        """Hand the messages of a process to its runs until it ends."""
        while True:
            try:
                told = pipe.recv()
            except (EOFError, OSError):
                break
            with self._lock:
                if told.state in {"ready", "unready"}:
                    self.state = "ready" if told.state == "ready" else f"failed: {told.message}"
                run = self._runs.get(told.number)
                if run is not None:
                    run.hear(told)
                    if told.state in OVER:
                        self._runs.pop(told.number, None)
        pipe.close()
        process.wait()
        atexit.unregister(process.kill)
        with self._lock:
            if self._process in {process, None}:
                self._process = None
                self._lost(f"its process ended (exit code {process.returncode})")

    def _lost(self, why: str) -> None:
        """Say of every run that is not over that its process is gone."""
        for run in self._runs.values():
            cancelled = run.number in self._stopped
            message = "" if cancelled else f"The sampler stopped: {why}. Run it again; the fast answer stands."
            run.hear(Told(run.number, "cancelled" if cancelled else "failed", message=message))
        self._runs.clear()
        self.state = "cold"

    def _enforce(self, run: Run, process: subprocess.Popen) -> None:
        """End the process of a run that does not stop by itself."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if run.progress().state in OVER:
                return
            time.sleep(0.05)
        with self._lock:
            if run.progress().state not in OVER and process.poll() is None:
                process.kill()


_worker: list[Worker] = []
_starting = threading.Lock()


def worker() -> Worker:
    """Return the one worker of this process."""
    with _starting:
        if not _worker:
            _worker.append(Worker())
        return _worker[0]


def start(result: Analysis, *, draws: int = 1000, chains: int = 4, rng: int = 0) -> Run:
    """Begin to sample the posterior of an analysis in the worker; returns at once.

    Parameters
    ----------
    result
        The analysis.
    draws, chains
        Kept draws of each chain, and chains.
    rng
        Seed.

    Raises
    ------
    ValueError
        When there is nothing a posterior could be sampled around.
    """
    work = job(result.given, result.airings)
    return worker().ask(work, work.sizes, draws, chains, rng)


def warm(result: Analysis | None = None) -> None:
    """Start the worker and compile ahead for the shape of an analysis; without one, only start it."""
    sizes = job(result.given, result.airings).sizes if result is not None and result.given.fits else ()
    worker().ask(None, sizes)


def state() -> str:
    """Return ``cold``, ``compiling``, ``ready`` or ``failed: ...``: whether the next run must wait."""
    return worker().state
