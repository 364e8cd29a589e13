"""A Python process of its own, with a pipe to it."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def beside(module: str, *given: str) -> tuple[subprocess.Popen, Connection]:
    """Start ``module.serve`` in a process beside this one: plain Python, so that no page is run in it a second time.

    Parameters
    ----------
    module
        Full name of a module with a function ``serve``; it gets the pipe's file number, then what is given.
    given
        Further texts for it.

    Returns
    -------
    tuple of subprocess.Popen and Connection
        The process, killed when this one ends, and our end of the pipe.
    """
    here, there = multiprocessing.Pipe()
    begin = f"from {module} import serve; serve({', '.join([str(there.fileno()), *map(repr, given)])})"
    # One thread each for linear algebra: what runs in parallel are processes.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    process = subprocess.Popen(  # noqa: S603  this interpreter, and a text of our own
        [sys.executable, "-c", begin], pass_fds=[there.fileno()], stdin=subprocess.DEVNULL,
        env=os.environ | threads | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    there.close()
    atexit.register(process.kill)
    return process, here
