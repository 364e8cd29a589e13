"""What follows a slider when it rests: the whole analysis with every look, then what moved the answer; latest wins."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from attribution.moves import tornado

if TYPE_CHECKING:
    import pandas as pd

    from attribution.analysis import Analysis
    from attribution.settings import Settings
    from attribution.tuning import Tuner

REST_S = 0.5
"""A slider that has not moved for so long rests."""
KEPT = 24
"""So many answers are kept."""
TURN = threading.Lock()
"""One whole analysis at a time on this server: sliders come first."""

Key = tuple["Settings", str]


class Checker:
    """A thread that answers the latest question in full, and drops it when a newer one comes.

    Parameters
    ----------
    tuner
        The data.
    """

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner
        self._found: OrderedDict[Key, Analysis] = OrderedDict()
        self._moves: OrderedDict[Key, pd.DataFrame] = OrderedDict()
        self._trouble: dict[Key, str] = {}
        self._wanted: Key | None = None
        self._ahead: tuple[Settings, ...] = ()
        self._since = 0.0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def want(self, settings: Settings, airing: str, ahead: tuple[Settings, ...] = ()) -> None:
        """Ask for these settings; what was asked before and is not answered yet is dropped.

        ``ahead`` are settings that a next move may lead to: they are fitted last, so that they are at hand.
        """
        with self._lock:
            self._ahead = ahead
            if self._wanted != (settings, airing):
                self._wanted, self._since = (settings, airing), time.monotonic()
            if not self.done(settings, airing) and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._work, name="tune-check", daemon=True)
                self._thread.start()

    def analysis(self, settings: Settings, airing: str) -> Analysis | None:
        """Return the whole analysis; None while it is not there."""
        return self._found.get((settings, airing))

    def moves(self, settings: Settings, airing: str) -> pd.DataFrame | None:
        """Return what moved the answer; None while it is not there."""
        return self._moves.get((settings, airing))

    def trouble(self, settings: Settings, airing: str) -> str:
        """Say why there is no analysis; empty while there may be one."""
        return self._trouble.get((settings, airing), "")

    def done(self, settings: Settings, airing: str) -> bool:
        """Whether everything about these settings is known, or cannot be."""
        return (settings, airing) in self._moves or bool(self.trouble(settings, airing))

    def close(self) -> None:
        """Want nothing any more: the thread ends."""
        with self._lock:
            self._wanted = None

    def _work(self) -> None:
        while True:
            with self._lock:
                key, rested = self._wanted, time.monotonic() - self._since
                if key is None or self.done(*key):
                    self._thread = None
                    return
            if rested < REST_S:
                time.sleep(REST_S - rested + 0.01)
                continue
            with TURN:
                self._answer(key)

    def _answer(self, key: Key) -> None:
        settings, airing = key

        def stale() -> bool:
            time.sleep(0.001)  # a slider that waits for the interpreter gets it here
            return self._wanted != key

        try:
            if key not in self._found:
                found = self.tuner.watched(settings, airing, stale)
                if found is None:
                    return
                _keep(self._found, key, found)
            moved = tornado(lambda changed: self.tuner.amount(changed, airing), settings, stale=stale)
            if moved is not None:
                _keep(self._moves, key, moved)
            for settings_ahead in self._ahead:
                if stale():
                    return
                self.tuner.finger(settings_ahead, airing)
        except Exception as error:  # whatever stops the model must reach the page, not end the thread
            self._trouble[key] = str(error)


def _keep(store: OrderedDict, key: Key, value: object) -> None:
    store[key] = value
    while len(store) > KEPT:
        store.popitem(last=False)
