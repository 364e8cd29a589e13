"""One feed, one engine and one model loop, shared by every session that looks at the same event."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

import attribution as at
from attribution.figures import figure, interval
from attribution.stream.engine import Engine
from attribution.stream.feeds import SimulatedFeed
from attribution.stream.notices import LogEntry
from attribution.stream.vault import Vault
from attribution.workbench.look import Answer, Look, Past, Revealed, look, windows

if TYPE_CHECKING:
    from attribution.workbench.event import View

LEAD_S = 75.0
"""A viewer enters so long before the first airing; what lies before is history."""
TICK_S = 2.0
"""The model looks this often, while there is something new: every two seconds, as its evidence does."""
IDLE_S = 90.0
"""Nobody has looked for so long: the model rests until somebody does."""
MOMENT_S = 0.4
"""Pages that ask within so many seconds share one look."""
KEPT_S = 30.0
"""Past figures are kept so long, for METRIC_STABLE."""
FOLLOWED = ("iroas", "response_peak", "incremental")


class Watch:
    """A feed that runs, an engine that counts it, and a thread that asks the model again and again.

    Parameters
    ----------
    view
        Event, seed and settings.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.world = at.simulate(view.scenario, rng=view.seed)
        entered = self.world.airings["start"].min() - pd.Timedelta(seconds=LEAD_S)
        self.vault = Vault()
        self.engine = Engine(SimulatedFeed(self.world, start=entered), keep=self.vault.keep)
        self.answer = Answer(words={}, changed={})
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._seen = time.monotonic()
        self._lock = threading.Lock()
        self._shown: Look | None = None
        self._shown_at = 0.0
        self.engine.start()
        threading.Thread(target=self._loop, name=f"model-{view.event}-{view.seed}", daemon=True).start()

    def look(self) -> Look:
        """Return what a page shows now, and keep the model awake; made once for all who look within a moment."""
        with self._lock:
            self._seen = time.monotonic()
            self._wanted.set()
            if self._shown is None or self._seen - self._shown_at > MOMENT_S:
                self._shown = look(self.view.scenario, self.view.settings, self.engine.snapshot(), self.answer)
                self._shown_at = self._seen
            return self._shown

    @property
    def forgotten(self) -> bool:
        """Whether the event is over and nobody has looked for a while: the next visitor deserves a live one."""
        return time.monotonic() - self._seen > IDLE_S and self.engine.snapshot().state == "ENDED"

    def close(self) -> None:
        """Stop the feed and the model."""
        self._closed.set()
        self._wanted.set()
        self.engine.close()
        self.vault.close()

    def _loop(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            if time.monotonic() - self._seen > IDLE_S:
                self._wanted.clear()
                continue
            begun = time.monotonic()
            self._look()
            self._closed.wait(max(0.1, TICK_S - (time.monotonic() - begun)))

    def _look(self) -> None:
        now = self.engine.snapshot()
        last = self.answer.result
        if not len(now.counts.start) or (last is not None and last.as_of >= now.counts.end):
            return
        try:
            result = at.analyze(
                now.counts,
                now.airings,
                self.view.settings,
                social=now.social,
                audience=now.audience,
                context=now.context,
            )
        except Exception as error:  # whatever stops the model must reach the page, not end the thread
            self.answer = stopped(self.answer, now.now, str(error))
            return
        self.answer = follow(self.answer, result, self.world)
        if last is None:
            freeze()  # the model is loaded now, and warm


def freeze() -> None:
    """Put what is loaded out of the garbage collector's sight.

    Streamlit collects garbage after every run of a fragment, and holds everybody up while it walks over all modules.
    """
    gc.collect()
    gc.freeze()


def follow(before: Answer, result: at.Analysis, world: at.World) -> Answer:
    """Return what is known after one more analysis: verdicts that changed, windows that ended, figures to compare."""
    now = result.as_of
    words, changed, log = dict(before.words), dict(before.changed), list(before.log)
    for verdict, row in zip(result.verdicts, result.table.to_dict("records"), strict=True):
        name, word = verdict.airing, verdict.word
        if words.get(name) == word:
            continue
        if name in words:
            told = f"{name}: {words[name]} → {word}, e-value {figure(row['e_value'], 'evidence')}"
            log.append(LogEntry(now, "MODEL_UPDATE", told))
            changed[name] = now
        words[name] = word
    finished = list(before.finished)
    for row in ended(result)[len(finished) :]:
        estimate = [float(row[f"incremental{end}"]) for end in ("", "_lower", "_upper")]
        finished.append(Revealed(row["airing"], world.truth.incremental(row["airing"], row["window_s"]), *estimate))
        span = interval(row, "incremental", "count")
        told = f"Resolved {figure(row['incremental'], 'count')} conversions" + (f" ({span})" if span else "")
        told += f" to {row['airing']}: {row['verdict']}"
        log.append(LogEntry(row["over"], "ATTR_LINK", told))
    recent = [p for p in before.past if now - p.time <= pd.Timedelta(seconds=KEPT_S)]
    for row in result.table.to_dict("records"):
        figures = {n: (float(row[n]), float(row[f"{n}_lower"]), float(row[f"{n}_upper"])) for n in FOLLOWED}
        recent.append(Past(now, row["airing"], figures))
    return Answer(
        result=result,
        first=before.first or now,
        words=words,
        changed=changed,
        past=tuple(recent),
        log=tuple(log),
        finished=tuple(finished),
    )


def stopped(before: Answer, now: pd.Timestamp, why: str) -> Answer:
    """Return what is known after the model failed: the last answer, and why there is no newer one."""
    log = before.log if before.trouble == why else (*before.log, LogEntry(now, "ALERT", f"model: {why}"))
    return replace(before, log=log, trouble=why)


def ended(result: at.Analysis) -> list[dict]:
    """Return the rows of the airings whose window is over, in the order in which they ended, with ``window_s``."""
    table = result.table.assign(window_s=windows(result))
    over = table["start"] + pd.to_timedelta(table["window_s"], unit="s")
    done = table.assign(over=over)[(over <= result.as_of) & table["incremental"].notna()]
    return done.sort_values("over").to_dict("records")
