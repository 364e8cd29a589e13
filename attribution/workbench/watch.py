"""One feed, one engine and one model loop, shared by every session that looks at the same event."""

from __future__ import annotations

import gc
import math
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import pandas as pd

import attribution as at
from attribution import planning
from attribution.figures import estimate, figure, interval
from attribution.stream.engine import Engine, Metrics, Snapshot
from attribution.stream.feeds import no_table
from attribution.stream.lags import Timed
from attribution.stream.notices import LogEntry
from attribution.stream.vault import Vault
from attribution.workbench import moving, strokes
from attribution.workbench.analyst import Question, analyst
from attribution.workbench.look import Answer, Look, Past, Revealed, look
from attribution.workbench.pulse import Pulse
from attribution.workbench.sight import windows
from attribution.workbench.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.workbench.event import View

Made = TypeVar("Made")

TICK_S = 2.0
"""The model looks this often, while there is something new: every two seconds, as its evidence does."""
IDLE_S = 90.0
"""Nobody has looked for so long: the model rests until somebody does."""
APART_S, REST_S = 0.5, 5.0
"""Looks are made at least so many seconds apart; and of an event that is over, no oftener than that."""
FRESH_S = 2.0
"""A look that is younger is shown as it is: no page waits for one."""
KEPT_S = 30.0
"""Past figures are kept so long, for METRIC_STABLE."""
HELD = 96
"""So much of what was made for all sessions is kept."""
SILENT_S = 10.0
"""A live feed from which nothing has come for so long is called SILENT."""
CLOCK_S = 1.0
"""Clocks that are known no better than this are an alert."""
OPEN: WeakValueDictionary[View, Watch] = WeakValueDictionary()
"""View -> its watch, while that is open."""
FOLLOWED = ("iroas", "response_peak", "incremental")


class Watch:
    """A feed that runs, an engine that counts it, and a thread that asks the model again and again.

    Parameters
    ----------
    view
        Event, seed and settings.

    Attributes
    ----------
    tape
        What was shown at every moment since the watch began.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.tape = Tape()
        self._source = view.open()
        self.vault = Vault()
        self._feed = Timed(self._source.feed)
        self._engine: Engine | None = None
        self.answer = begun(self._source.plan, pd.Timestamp.now("UTC"))
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._seen = time.monotonic()
        self._lock = threading.Lock()
        self._planning = threading.Lock()
        self._shown: Look | None = None
        self._shown_at = 0.0
        self._held: dict[tuple[str, int], tuple[object, Any]] = {}
        self.pulse = Pulse()
        self._version, self._moved = -1, time.monotonic()
        OPEN[view] = self
        analyst().begin()
        self._begin()
        threading.Thread(target=self._loop, name=f"model-{view.event}-{view.seed}", daemon=True).start()
        threading.Thread(target=self._beats, name=f"beat-{view.event}-{view.seed}", daemon=True).start()

    @property
    def simulated(self) -> bool:
        """Whether the truth is known."""
        return self._source.truth is not None

    @property
    def title(self) -> str:
        """What is on the air."""
        return str(self._source.event.title)

    def look(self) -> Look:
        """Return what a page shows now, and keep the model awake; made once a second for all who look."""
        self._seen = time.monotonic()
        self._wanted.set()
        shown = self._shown
        return shown if shown is not None and time.monotonic() - self._shown_at < FRESH_S else self._make(FRESH_S)

    def once(self, name: str, source: object, make: Callable[[], Made]) -> Made:
        """Return what is made of a look or of an analysis, made once for all sessions that see it.

        Parameters
        ----------
        name
            Of what is made.
        source
            Of what it is made; the same object is made something of but once, while it is among the latest.
        make
            Makes it.
        """
        held = self._held.get((name, id(source)))
        if held is None:
            held = self._held[name, id(source)] = source, make()
            while len(self._held) > HELD:
                self._held.pop(next(iter(self._held)), None)
        return held[1]

    def drawing(self, shown: Look) -> dict[str, Any]:
        """Return what the velocity chart draws of a look."""
        return self.once("velocity", shown, lambda: strokes.drawing(shown))

    def parts(self, shown: Look) -> dict[str, str]:
        """Return what moves of a look, as HTML by place."""
        return self.once("parts", shown, lambda: moving.parts(shown))

    def lock_plan(self) -> planning.Plan:
        """Lock settings and schedule as they stand; what is analysed later is held against it.

        Raises
        ------
        ValueError
            When a plan is locked already, or it is too late.
        """
        with self._planning:
            if self.answer.plan is not None:
                raise ValueError(f"a plan is locked already, since {self.answer.plan.locked_at}; it cannot be replaced")
            now = self.snapshot()
            plan = planning.lock(self.view.settings, now.airings, now.counts, at=now.now)
            self.answer = locked(self.answer, plan, now.now)
        return plan

    def refresh(self) -> None:
        """Take in everything that has arrived, and let the next look be a new one."""
        if self._engine is not None:
            self._engine.step()
        with self._lock:
            self._shown = None

    @property
    def forgotten(self) -> bool:
        """Whether the event is over and nobody has looked for a while: the next visitor deserves a live one."""
        return time.monotonic() - self._seen > IDLE_S and self.snapshot().state == "ENDED"

    def close(self) -> None:
        """Stop the feed and the model."""
        self._closed.set()
        if OPEN.get(self.view) is self:
            del OPEN[self.view]
        self.pulse.end()
        self._wanted.set()
        if self._engine is not None:
            self._engine.close()
        self._source.close()
        self.vault.close()

    def snapshot(self) -> Snapshot:
        """Return everything known now; a feed that has gone quiet is called so."""
        if self._engine is None:
            return nothing_yet(self._feed.tables)
        seen = self._engine.snapshot()
        if seen.version != self._version:
            self._version, self._moved = seen.version, time.monotonic()
        quiet = time.monotonic() - self._moved > SILENT_S
        return replace(seen, state="SILENT") if quiet and seen.state == "LIVE" else seen

    def _begin(self) -> None:
        """Start the engine once the feed has begun."""
        if self._engine is None and self._source.feed.begin():
            timed: Any = self._feed  # it has all that the feed has
            self._engine = Engine(timed, keep=self.vault.keep)
            self._engine.start()

    def _make(self, age_s: float) -> Look:
        """Make a look, unless there is one that is younger."""
        with self._lock:
            now = time.monotonic()
            if self._shown is None or now - self._shown_at >= age_s:
                settings, lags = self.view.settings, self._feed.lags()
                made = look(self._source.event, settings, self.snapshot(), self.answer, lags)
                self.tape.keep(made)  # first: who stops time at what is shown must find it there
                self._shown, self._shown_at = made, now
            return self._shown

    def _loop(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            if time.monotonic() - self._seen > IDLE_S:
                self._wanted.clear()
                continue
            begun_at = time.monotonic()
            self._begin()
            self._look()
            self._closed.wait(max(0.1, TICK_S - (time.monotonic() - begun_at)))

    def _beats(self) -> None:
        """Make a look of every second, and tell every tick of the engine to those who listen."""
        ticks, told = 0, None
        while not self._closed.is_set():
            self._wanted.wait()
            engine = self._engine
            if engine is None:
                self._closed.wait(1.0)
            else:
                ticks = engine.wait(ticks, 1.0)
            if self._due(told):
                told = self.answer
                self._make(APART_S)
            if self.pulse.readers:
                shown = self.look()
                drawing = self.once("pushed", shown, lambda s=shown: {**self.drawing(s), "panels": self.parts(s)})
                at = drawing["at"] if engine is None else engine.moment.value // 1_000_000
                self.pulse.strike(drawing, {"at": at})

    def _due(self, told: Answer | None) -> bool:
        """Whether there is something that the look which is shown does not say; ``told`` is the answer it was of."""
        shown, age = self._shown, time.monotonic() - self._shown_at
        if shown is None or age >= (REST_S if shown.state == "ENDED" else 1.0):
            return True
        later = self._engine is not None and self._engine.moment.floor("s") > shown.now
        return age >= APART_S and (later or told is not self.answer)

    def _look(self) -> None:
        now = self.snapshot()
        last = self.answer.result
        if not len(now.counts.start) or (last is not None and last.as_of >= now.counts.end):
            return
        if now.airings.empty:
            return
        asked = time.monotonic()
        tables = {name: getattr(now, name) for name in ("social", "audience", "context")}
        given = {name: None if table.empty else table for name, table in tables.items()}
        try:
            found = analyst().ask(Question(now.counts, now.airings, self.view.settings, self.answer.plan, given))
        except Exception as error:  # whatever stops the model must reach the page, not end the thread
            self.answer = stopped(self.answer, now.now, str(error))
            return
        with self._planning:
            known = follow(self.answer, found.result, self._source.truth)
            self.answer = replace(known, seconds=time.monotonic() - asked, health=found.parts)
        if last is None:
            freeze()  # the pages are loaded now


def nothing_yet(tables: dict[str, pd.DataFrame]) -> Snapshot:
    """Return what is known before a feed has begun: the schedule, and the time of day."""
    now = pd.Timestamp.now("UTC").floor("s")
    empty = at.Counts(
        start=pd.DatetimeIndex([]).to_numpy("datetime64[ns]"), width=pd.array([]).to_numpy(float),
        values=pd.array([]).to_numpy(float).reshape(0, 1, 1, 1),
        completeness=pd.array([]).to_numpy(float).reshape(0, 1),
    )  # fmt: skip
    return Snapshot(
        now=now, state="WAITING", error="", counts=empty, metrics=Metrics(), log=(), version=-1,
        social=no_table("social"), audience=no_table("audience"), airings=tables["airings"], context=tables["context"],
    )  # fmt: skip


def begun(plan: planning.Plan | None, now: pd.Timestamp) -> Answer:
    """Return what is known before the first look: the plan, where one was locked before."""
    nothing = Answer(words={}, changed={})
    return nothing if plan is None else locked(nothing, plan, now)


def locked(before: Answer, plan: planning.Plan, now: pd.Timestamp) -> Answer:
    """Return what is known once a plan is locked."""
    at_ = f"locked {plan.locked_at}" if plan.locked_at else "is a draft"
    told = f"the plan of {len(plan.airings)} airing{'s' * (len(plan.airings) != 1)} {at_}, SHA-256 {plan.sha256[:12]}"
    return replace(before, plan=plan, log=(*before.log, LogEntry(now, "PLAN_LOCK", told)))


def freeze() -> None:
    """Put what is loaded out of the garbage collector's sight.

    Streamlit collects garbage after every run of a fragment, and holds everybody up while it walks over all modules.
    """
    gc.collect()
    gc.freeze()


def follow(before: Answer, result: at.Analysis, truth: at.Truth | None) -> Answer:
    """Return what is known after one more analysis: verdicts that changed, windows that ended, figures to compare."""
    now = result.as_of
    words, changed, log = dict(before.words), dict(before.changed), [*before.log, *_clocks(before, result)]
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
        found = [float(row[f"incremental{end}"]) for end in ("", "_lower", "_upper")]
        known = math.nan if truth is None else truth.incremental(row["airing"], row["window_s"])
        finished.append(Revealed(row["airing"], known, *found))
        span = interval(row, "incremental", "count")
        told = f"Resolved {estimate(row, 'incremental', 'count')} conversions" + (f" ({span})" if span else "")
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
        plan=before.plan,
    )


def _clocks(before: Answer, result: at.Analysis) -> list[LogEntry]:
    """Say once that the clocks of airings and conversions are badly known."""
    sd = None if result.given is None else result.given.choices.clock_sd
    if sd is None or sd < CLOCK_S or any(entry.text.startswith("clock:") for entry in before.log):
        return []
    told = f"clock: airings and conversions agree to ±{sd:.1f} s (one sd); the lag takes it in, and the answer is wider"
    return [LogEntry(result.as_of, "ALERT", told)]


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
