"""The process that samples: the messages it exchanges, and the loop that answers them. Here PyMC is imported."""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attribution.jobs import Job

if TYPE_CHECKING:
    from attribution.inference import Posterior
    from attribution.model.padded import Size


BEHIND = 10
"""Where all cores are busy, pages and what follows a slider go first: so much nicer is this process."""


class Told(NamedTuple):
    """A message of the worker: which run it is about, and a state with its figures, a Posterior, or an error."""

    number: int
    state: str
    figures: tuple[int, int, int] = (0, 0, 0)
    result: Posterior | None = None
    message: str = ""


class Asked(NamedTuple):
    """A message to the worker: a run; without a job, shapes to compile ahead; without either, the run to stop."""

    number: int
    job: Job | None = None
    draws: int = 0
    chains: int = 0
    rng: int = 0
    sizes: tuple[Size, ...] | None = None


def serve(descriptor: int, folder: str) -> None:
    """Answer what is asked through a pipe, one run after another, until it closes; the body of the process.

    Parameters
    ----------
    descriptor
        Of this end of the pipe.
    folder
        Where the NetCDF files go.
    """
    os.nice(BEHIND)
    pipe, stopped, waiting = Connection(descriptor), set(), queue.Queue()
    threading.Thread(target=_hear, args=(pipe, stopped, waiting), daemon=True).start()
    while (asked := waiting.get()) is not None:
        try:
            if asked.job is None:
                from attribution.model import posterior  # noqa: PLC0415  here PyMC is imported

                for size in asked.sizes:
                    posterior.compiled(size)
                pipe.send(Told(asked.number, "ready"))
            else:
                pipe.send(_answer(pipe, stopped, asked, asked.job, folder))
        except Exception as error:  # whatever goes wrong is told; the process serves on
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"The sampler failed: {type(error).__name__} in {where.name}: {error}"
            pipe.send(Told(asked.number, "unready" if asked.job is None else "failed", message=said))


def _hear(pipe: Connection, stopped: set[int], waiting: queue.Queue) -> None:
    """Queue what is asked; note which runs are to stop, also while one goes on."""
    while True:
        try:
            asked = pipe.recv()
        except (EOFError, OSError):
            # Whoever asked is gone: so is any use of what is being sampled.
            os._exit(0)
        if asked.job is None and asked.sizes is None:
            stopped.add(asked.number)
        else:
            waiting.put(asked)


def _answer(pipe: Connection, stopped: set[int], asked: Asked, work: Job, folder: str) -> Told:
    """Sample one run, telling how far it is; return its last message."""
    from attribution.model.posterior import Cancelled  # noqa: PLC0415
    from attribution.posteriors import run  # noqa: PLC0415

    said = [0.0, ""]

    def watch(state: str, done: int, total: int, diverged: int) -> bool:
        if state != said[1] or time.monotonic() - said[0] > 0.2:
            said[:] = [time.monotonic(), state]
            pipe.send(Told(asked.number, state, (done, total, diverged)))
        return asked.number not in stopped

    try:
        found = run(work, draws=asked.draws, chains=asked.chains, rng=asked.rng, watch=watch)
    except Cancelled:
        return Told(asked.number, "cancelled")
    path = Path(folder) / f"{asked.number}.nc"
    found.idata.to_netcdf(str(path), engine="h5netcdf")
    return Told(asked.number, "done", result=replace(found, idata=None, idata_path=str(path)))
