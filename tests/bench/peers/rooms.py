"""An environment for each package, so that none bends another's versions, nor ours."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Room(NamedTuple):
    """An interpreter in which a package is installed, or the reason why there is none."""

    python: Path
    refusal: str = ""


def furnish(package: str, folder: Path) -> Room:
    """Make the environment of a pinned package (and what it needs beside it) in ``folder``, or find it there.

    A package that cannot be installed is an answer too: its last line of complaint is the reason.
    """
    place = folder / package.split(maxsplit=1)[0].replace("==", "-").lower()
    python = place / "bin" / "python"
    ready = place / ".ready"
    if ready.exists():
        return Room(python)
    uv = [sys.executable, "-m", "uv"]
    for step in (
        [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
        [*uv, "pip", "install", "--quiet", "--python", str(python), *package.split()],
    ):
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return Room(python, reason(done.stderr))
    ready.touch()
    return Room(python)


def reason(complaint: str) -> str:
    """Return what an installer said, in one line and without the drawing of its tree."""
    words = [line.strip(" ×╰─▶├│hint:") for line in complaint.splitlines() if line.strip()]
    return " ".join(words)[:200] or "the installer said nothing"
