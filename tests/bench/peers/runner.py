"""The child process in which one method answers, so that its time and memory are its own.

``python -m peers.runner METHOD`` reads from its input one JSON line a world, ``{"file": ..., "world": ...,
"seed": ...}``, and writes one JSON line an answer, with the CPU seconds it took and the peak memory of the process so
far.
"""

# ruff: noqa: PLC0415 - ours is not there in the environments of others
from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from .guests import GUESTS, quietly
from .samples import Answer, Sample

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu() -> float:
    """CPU seconds of this process and of its children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def peak_mb() -> float:
    """Peak resident memory of this process; Linux's own book where there is one, as `getrusage` there begins with the
    parent's."""
    book = Path("/proc/self/status")
    if book.exists():
        held = next(line for line in book.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(held.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024**2 if sys.platform == "darwin" else 1024)


def prepared(method: str, job: dict) -> tuple[Callable[[], Answer], str]:
    """Return what answers a job, its input read, and the version of what answers."""
    if method in GUESTS:
        guest, seen = GUESTS[method], Sample.load(Path(job["file"]))
        return lambda: quietly(guest.answer, seen), version(guest.package.split("==")[0])
    import attribution

    from . import arena, rivals

    if method == "ours":
        made = arena.world(job["world"], job["seed"])
        return lambda: rivals.ours(made), attribution.__version__
    seen = Sample.load(Path(job["file"]))
    return lambda: rivals.RIVALS[method](seen), attribution.__version__


def main(method: str) -> None:
    """Answer every line of the input."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what compiled code prints must not mix with the answers
    for line in sys.stdin:
        job = json.loads(line)
        answer, release = prepared(method, job)
        began, failure, found = cpu(), "", Answer(float("nan"))
        try:
            found = answer()
        except Exception as error:  # a method that fails has failed at this world, and no more
            failure = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        spent = cpu() - began
        told = found._asdict() | {"cpu_s": spent, "peak_mb": peak_mb(), "version": release, "failure": failure}
        out.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
