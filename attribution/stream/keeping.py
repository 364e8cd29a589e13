"""What a node is told: its clocks, what it keeps and how much may wait; and its answer when it takes nothing in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Refused(RuntimeError):  # noqa: N818  the node's answer, not its failure
    """What was offered is not taken in: send it again later.

    Attributes
    ----------
    reason
        ``busy`` (more waits than may) or ``disk``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Moments(Protocol):
    """Two clocks: the time of day, which may be set, and seconds that only rise."""

    def wall(self) -> int:
        """Nanoseconds since 1970, UTC."""
        ...

    def now(self) -> float:
        """Seconds from any fixed moment."""
        ...


class SystemMoments:
    """The machine's clocks."""

    def wall(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()

    def now(self) -> float:
        """Seconds since some moment before this process."""
        return time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is kept, how often it is, and how much may wait.

    Attributes
    ----------
    queue
        Frames that may wait to be counted.
    sync_s, save_s
        Between two waits for the disk; between two transactions.
    log_bytes, log_s
        Of the log, beyond what recovery needs.
    history_bytes, history_s
        Of the hours in Parquet.
    segment
        Bytes of a file of the log.
    """

    queue: int = 512
    sync_s: float = 0.05
    save_s: float = 0.5
    log_bytes: int = 4 * 2**30
    log_s: float = 86_400.0
    history_bytes: int = 64 * 2**30
    history_s: float = 366 * 86_400.0
    segment: int = 64 * 2**20

    def __post_init__(self) -> None:
        for name in ("queue", "save_s", "log_bytes", "log_s", "history_bytes", "history_s", "segment"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; choose a number above 0")
        if not self.sync_s >= 0:
            raise ValueError(f"sync_s is {self.sync_s}; choose 0 (each time) or seconds")
