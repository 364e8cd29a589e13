"""The states of the pages, a picture each, dark and light: ``make gallery`` writes them, with a page to look at.

Every state is a described event of its own, an address, or a world that stands still, opened by a server of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "halftime"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HEAD = '[event]\ntitle = "{title}"\nadvertiser = "WWE"\n[feed]\n'
REPLAY = (
    f'address = "replay:{SAMPLE}/counts.csv.gz"\nsocial = "{SAMPLE}/social.csv"\ncontext = "{SAMPLE}/context.csv"\n'
)
SPOT = '[[airings]]\nairing = "HALFTIME_PRIME"\nstart = "2026-02-08T20:41:00Z"\nlength_s = 30\nspend = 16000\n'
MONEY = "[money]\nvalue = 64.0\nmargin = 0.45\n"
SOME = 'regions = ["us-east", "us-west", "apac"]\n'
LATER = 'start = "2026-02-08T20:42:30Z"\n'
EVENT = '{"time": "2026-02-08T20:40:00Z", "kind": "conversion", "region": "us-east"}\n'


class State(NamedTuple):
    """A state: what it shows, the event that is opened, the address, and what is done before the picture."""

    said: str
    event: str = ""
    query: str = ""
    wait_s: float = 8.0
    act: Callable[[Any], None] | None = None
    until: str = ""
    """Words that the page shows before it is taken."""
    still: str = ""
    """A state of ``tests/e2e/frozen.py``; its server is taken instead."""
    page: str = ""
    """Another page than the live one."""


def _press(key: str, times: int = 1) -> Callable[[Any], None]:
    def act(page: Any) -> None:
        for _ in range(times):
            page.keyboard.press(key)
            time.sleep(2.0)

    return act


def _lock(page: Any) -> None:
    page.get_by_role("button", name="Lock the plan").click()
    page.get_by_text("LOCKED").first.wait_for(timeout=60_000)


def _sample(page: Any) -> None:
    page.get_by_role("button", name="Run the full posterior").click()
    page.get_by_role("button", name="Cancel").wait_for(timeout=120_000)


NONE, TAIL = HEAD + 'address = "tail:nothing.jsonl"\n', HEAD + 'address = "tail:one.jsonl"\n'
AIRED = HEAD + REPLAY + LATER + MONEY + SPOT
COUNTED = "Resolved"
STATES = {
    "no-feed": State("No feed yet", NONE + SPOT + SOME),
    "first-event": State("The first event has come", TAIL + SPOT + SOME, wait_s=3.0),
    "feed-stopped": State("The feed has gone quiet", TAIL + SPOT + SOME, until="SILENT"),
    "no-airings": State("No airing is on the schedule", HEAD + REPLAY + 'start = "2026-02-08T20:35:00Z"\n'),
    "before": State("Before the airing", HEAD + REPLAY + MONEY + SPOT + SOME, until="is not yet on air"),
    "plan-locked": State("The plan is locked", HEAD + REPLAY + MONEY + SPOT + SOME, act=_lock),
    "answered": State("Answered", AIRED + SOME, until=COUNTED),
    "all-exposed": State("Every region saw the ad", AIRED, until="CAUSAL_ANALYSIS::ACTIVE"),
    "analyse": State("For an analyst", AIRED + SOME, "depth=analyse", until=COUNTED),
    "past": State("A moment of the past", AIRED + SOME, act=_press("ArrowLeft"), until=COUNTED),
    "present": State("The story", AIRED + SOME, "depth=present", act=_press("ArrowRight", 2), until="1 of 5"),
    "first-look": State("The model looks for the first time", still="waiting", wait_s=2.0),
    "stale": State("The answer is older than it should be", still="stale", wait_s=2.0),
    "model-stopped": State("The model has stopped", still="stopped", wait_s=2.0),
    "still-locked": State("A locked plan, kept", still="locked", wait_s=2.0),
    "hostile": State("Names that are markup", still="hostile", wait_s=2.0),
    "nobody-speaks": State("Nothing comes any more", still="silent", wait_s=2.0),
    "analysing": State("An answer is being worked out", page="evidence", query="world=overlap", wait_s=0.5),
    "posterior-running": State("The full posterior is sampled", page="tune", act=_sample, until="CHECKED"),
    "wrong-address": State("An address that names no event", query="event=nope", wait_s=3.0),
}


def main() -> None:
    """Make the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="states, comma between them")
    parser.add_argument("--out", type=Path, default=ROOT / "gallery")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=1100)
    parser.add_argument("--vision", default="none", help="as who sees it: none, deuteranopia, achromatopsia, ...")
    asked = parser.parse_args()
    asked.out.mkdir(exist_ok=True)
    chosen = asked.only.split(",") if asked.only else list(STATES)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        (Path(folder) / "one.jsonl").write_text(EVENT, encoding="utf-8")
        for name in chosen:
            _pictures(browser, name, STATES[name], Path(folder), asked)
        browser.close()
    (asked.out / "index.html").write_text(_index(), encoding="utf-8")
    sys.stdout.write(f"-> {asked.out / 'index.html'}\n")


def _pictures(browser: Any, name: str, state: State, folder: Path, asked: argparse.Namespace) -> None:
    """Open a state in a server of its own, and take it dark and light."""
    described = folder / f"{name}.toml"
    described.write_text(state.event.format(title=state.said) if state.event else "", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = os.environ | ({"ATTRIBUTION_EVENT": str(described)} if state.event else {})
    command = ["-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    if state.still:
        command = [str(ROOT / "tests" / "e2e" / "frozen.py"), state.still, str(port)]
    server = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        _ready(port)
        for number, mode in enumerate(("Dark", "Light")):
            page = browser.new_page(viewport={"width": asked.width, "height": asked.height})
            seen = page.context.new_cdp_session(page)
            seen.send("Emulation.setEmulatedVisionDeficiency", {"type": asked.vision})
            page.add_init_script(
                f"localStorage.setItem('stActiveTheme-/{state.page}-v2', JSON.stringify('{mode}'));"
                f"localStorage.setItem('eventCommandTheme-/{state.page}', 'chosen')"
            )
            page.goto(f"http://127.0.0.1:{port}/{state.page}?{state.query}")
            page.locator(".verdict, [data-testid=stAlert]").first.wait_for(timeout=60_000)
            if state.until:
                page.get_by_text(state.until).first.wait_for(timeout=120_000)
            time.sleep(state.wait_s if number == 0 else 5.0)
            if state.act is not None and (number == 0 or name not in {"plan-locked", "posterior-running"}):
                state.act(page)
            shown = page.locator("[data-testid=stMain]").evaluate("main => main.scrollHeight")
            page.set_viewport_size({"width": asked.width, "height": max(asked.height, min(shown, 3000))})
            time.sleep(1.0)
            page.screenshot(path=str(asked.out / f"{name}-{mode.lower()}.png"))
            page.close()
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    sys.stdout.write(f"{name}\n")


def _ready(port: int) -> None:
    for _ in range(600):
        try:
            urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not answer within a minute")


def _index() -> str:
    """Write the page that shows every picture."""
    parts = "".join(
        f"<section><h2>{escape(state.said)}</h2>"
        + "".join(f'<img src="{name}-{mode}.png" alt="{escape(state.said)}, {mode}">' for mode in ("dark", "light"))
        + "</section>"
        for name, state in STATES.items()
    )
    style = "body{font:16px sans-serif;margin:24px;background:#222;color:#eee}img{width:49%;margin:0 .5% 24px 0}"
    head = f'<meta charset="utf-8"><title>States</title><style>{style}</style>'
    return f'<!doctype html><html lang="en">{head}{parts}</html>'


if __name__ == "__main__":
    main()
