"""The live page in a browser: how soon a tick is painted, pushed, native and the naive way; steadiness; many sessions.

MINUTES (2) is how long the pushed page is watched for blank frames, layout shift and memory; SESSIONS (50) how many
sessions look at once. Times are walls of one machine that does all of it, browser and load included.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import websockets
from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MINUTES, SESSIONS = float(os.environ.get("MINUTES", "2")), int(os.environ.get("SESSIONS", "50"))
SOME_S = 30.0
"""So long each other way is watched, and the many sessions."""
NAIVE = """
import time
import streamlit as st
from attribution import charts
from attribution.workbench import cards, live, panels
from attribution.workbench.event import view

st.set_page_config(layout="wide")
now = live.watch(view({})).look()
st.html(f'<p data-taken="{time.time() * 1000}"></p>')
st.html(panels.verdict_bar(now) + panels.event_header(now))
for html in cards.cards(now).values():
    st.html(html)
if now.result is not None:
    st.altair_chart(charts.velocity(now.result, mode="dark", key=False))
time.sleep(1.0)
st.rerun()
"""
"""The whole page again and again, a chart compiled each time."""
WATCHING = """
window.bench = {delays: [], shift: 0, late: 0, moved: {}, blank: 0, frames: 0, whole: Infinity, first: null, own: null};
(() => {
  const b = window.bench;
  let last = null, full = 0;
  const look = () => {
    const taken = document.querySelector("[data-taken]")?.dataset.taken;
    if (!taken || taken === last) return;
    last = taken;
    requestAnimationFrame(() => b.delays.push(performance.timeOrigin + performance.now() - Number(taken)));
  };
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true,
    attributeFilter: ["data-taken"]});
  new PerformanceObserver((list) => list.getEntries().forEach((e) => {
    if (e.hadRecentInput) return;
    if (e.startTime < b.whole) { b.shift += e.value; return; }
    b.late += e.value;
    const name = (node) => node?.closest?.("[class*=st-key-]")?.className.match(/st-key-[\\w-]+/)?.[0] ?? "page";
    e.sources.forEach((source) => { b.moved[name(source.node)] = (b.moved[name(source.node)] ?? 0) + 1; });
  })).observe({type: "layout-shift", buffered: true});
  const frame = () => {
    if (b.whole === Infinity && document.querySelector(".protocol")) b.whole = performance.now() + 3000;
    const chart = document.querySelector(".velocity canvas");
    const others = document.querySelectorAll("[data-testid=stVegaLiteChart] .marks").length;
    if (chart && chart.width && chart.closest(".velocity").dataset.painted) {
      top.bench.first ??= top.performance.now();
      if (top === window) b.own ??= performance.now();
      b.frames += 1;
      const column = chart.getContext("2d").getImageData(Math.floor(chart.width / 2), 0, 1, chart.height).data;
      if (!column.some((value) => value)) b.blank += 1;
    } else if (b.frames) b.blank += 1;
    if (others < full) b.blank += 1;
    full = Math.max(others, 0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})();
"""


def told(name: str, value: str, goal: str = "") -> None:
    """Print one line."""
    sys.stdout.write(f"live  {name:<52} {value}{f'  (goal {goal})' if goal else ''}\n")
    sys.stdout.flush()


def spread(values: Any, unit: str = "ms") -> str:
    """Write median and 95th percentile."""
    if not len(values):
        return "nothing was measured"
    return f"p50 {np.percentile(values, 50):,.0f}, p95 {np.percentile(values, 95):,.0f} {unit}, n = {len(values):,}"


class Server:
    """A page of its own server, until it is left."""

    def __init__(self, script: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1", "--server.headless", "true"],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> Server:
        for _ in range(600):
            try:
                urlopen(f"{self.address}/_stcore/health", timeout=1).close()  # noqa: S310  our own server
            except OSError:
                time.sleep(0.1)
            else:
                return self
        raise RuntimeError("the server did not answer within a minute")

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Seconds of CPU that the server's own process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def opened(browser: Any, outside: list[str]) -> Any:
    """Open a page that is watched, and writes down what it asks of other machines."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page.set_default_timeout(240_000)
    page.add_init_script(WATCHING)
    away = lambda url: not url.startswith(("data:", "blob:")) and "//127.0.0.1" not in url  # noqa: E731
    page.on("request", lambda r: outside.append(r.url) if away(r.url) else None)
    page.on("websocket", lambda w: outside.append(w.url) if away(w.url) else None)
    return page


def delays(page: Any, seconds: float) -> list[float]:
    """Return the delays of what was painted in so many seconds."""
    page.evaluate("bench.delays.length = 0")
    page.wait_for_timeout(seconds * 1000)
    return page.evaluate("bench.delays")


def loaded(browser: Any, server: Server) -> tuple[float, float, float]:
    """Seconds until the chart is seen, until the page has its own, and until the last panel is there."""
    page = opened(browser, [])
    page.goto(server.address, wait_until="commit")
    page.wait_for_function("bench.own !== null")
    page.locator(".protocol").wait_for()
    page.wait_for_function(
        "document.querySelectorAll('[data-testid=stVegaLiteChart] .marks, .st-key-in-path .lead').length > 0"
    )
    found = page.evaluate("[bench.first, bench.own, performance.now()]")
    page.close()
    return tuple(1e-3 * ms for ms in found)


def steady(page: Any) -> None:
    """Watch the pushed page: blank frames, layout shift, memory."""
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def heap() -> float:
        client.send("HeapProfiler.collectGarbage")
        return {m["name"]: m["value"] for m in client.send("Performance.getMetrics")["metrics"]}["JSHeapUsedSize"]

    page.wait_for_timeout(15_000)
    held, begun = [heap()], time.perf_counter()
    painted = int(page.evaluate("document.querySelector('.velocity').dataset.painted"))
    found: list[float] = []
    while time.perf_counter() - begun < MINUTES * 60:
        found += delays(page, min(5.0, MINUTES * 60))
        if time.perf_counter() - begun > len(held) * MINUTES * 10:
            held.append(heap())
        again = page.get_by_role("button", name="Run again with a new seed")
        if again.count():
            again.click()
    hours = (time.perf_counter() - begun) / 3600
    grown = (held[-1] - held[1]) / 1e6 / ((len(held) - 2) * MINUTES / 6)
    seen = page.evaluate("({...bench, painted: Number(document.querySelector('.velocity').dataset.painted)})")
    told("tick to paint, pushed at 10 Hz", spread(found), "<= 50 ms")
    told("paints a second, pushed", f"{(seen['painted'] - painted) / hours / 3600:.1f}", "> 5")
    told(f"blank frames in {hours * 60:.1f} min", f"{seen['blank']:,} of {seen['frames']:,}", "0")
    told("layout shift until all is there; after that", f"{seen['shift']:.4f}; {seen['late']:.4f}", "< 0.01")
    if seen["moved"]:
        told("what moved then, and how often", ", ".join(f"{name} {count}" for name, count in seen["moved"].items()))
    told("heap at every sixth of it", ", ".join(f"{size / 1e6:.1f}" for size in held) + " MB")
    if MINUTES >= 60:  # what is loaded in the first minutes is no growth
        told("heap growth after the first sixth, extrapolated to 8 h", f"{grown * 480:+.0f} MB", "<= 50 MB")


class Many:
    """Sessions that follow the page as a browser does, without one: refreshes, and what is pushed beside them."""

    def __init__(self, server: Server, *, pushed: bool = True) -> None:
        self.server, self.pushed = server, pushed
        self.took: dict[float, list[float]] = defaultdict(list)
        self.behind: list[float] = []
        self.moved: list[float] = []
        self.whole: list[float] = []
        self.measuring = False

    async def run(self, count: int) -> None:
        """Let so many sessions look; the first seconds are not measured."""
        sessions = []
        for _ in range(count):
            sessions.append(asyncio.ensure_future(self.session()))
            await asyncio.sleep(0.3)
        await asyncio.sleep(10.0)
        self.measuring, cpu = True, self.server.cpu_s()
        await asyncio.sleep(SOME_S)
        self.measuring, self.cpu = False, (self.server.cpu_s() - cpu) / SOME_S
        for one in sessions:
            one.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def session(self) -> None:
        """Ask for the page, then for each fragment as often as it wants."""
        url = f"ws://127.0.0.1:{self.server.port}/_stcore/stream"
        async with websockets.connect(
            url, subprotocols=["streamlit"], max_size=None, compression=None, open_timeout=240, ping_timeout=None
        ) as line:
            chart, begun = {"id": "", "address": ""}, time.perf_counter()
            every = await self.asked(line, chart)
            self.whole.append(time.perf_counter() - begun)
            every = await self.asked(line, chart)  # it has said by now whether it hears
            listening = asyncio.ensure_future(self.listen(chart["address"]) if self.pushed else asyncio.sleep(0))
            due = {name: time.perf_counter() + wait for name, wait in every.items()}
            try:
                while True:
                    name = min(due, key=lambda n: due[n])
                    await asyncio.sleep(max(0.0, due[name] - time.perf_counter()))
                    asked = due[name]
                    await self.asked(line, chart, name)
                    now = time.perf_counter()
                    if self.measuring:
                        self.took[every[name]].append(1e3 * (now - asked))
                    due[name] = max(asked + every[name], now)
            finally:
                listening.cancel()

    async def asked(self, line: Any, chart: dict[str, str], fragment: str = "") -> dict[str, float]:
        """Run the page or one fragment; return the fragments that want to be run again, and how often."""
        message, found = BackMsg(), {}
        message.rerun_script.query_string = ""
        message.rerun_script.context_info.timezone = "UTC"
        if fragment:
            message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
        if chart["id"]:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.json_value = chart["id"], json.dumps({"pushed": self.pushed})
        await line.send(message.SerializeToString())
        while True:
            told_ = ForwardMsg()
            told_.ParseFromString(await line.recv())
            kind = told_.WhichOneof("type")
            if kind == "auto_rerun":
                found[told_.auto_rerun.fragment_id] = told_.auto_rerun.interval
            elif kind == "delta" and told_.delta.new_element.WhichOneof("type") == "bidi_component":
                part = told_.delta.new_element.bidi_component
                chart.update(id=part.id, address=json.loads(part.json)["address"])
            elif kind == "script_finished":
                return found

    async def listen(self, address: str) -> None:
        """Hear the beat, and write down how long after a tick it was heard."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1 << 22)
            writer.write(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            while event := await reader.readline():
                if self.measuring and event.startswith(b"data: "):
                    taken = float(event.rsplit(b'"taken":', 1)[1].split(b"}")[0])
                    found = self.moved if b'"panels":' in event else self.behind
                    found.append(time.time() * 1e3 - taken)
                if event == b"0\r\n":
                    break
            writer.close()


def main() -> None:
    """Print the figures."""
    if CHROMIUM is None:
        told("skipped", "there is no Chromium")
        return
    told("load of the machine (1, 5, 15 min), cores", f"{os.getloadavg()}, {os.cpu_count()}")
    outside: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with Server(ROOT / "app.py") as server:
            page = opened(browser, outside)
            page.goto(server.address)
            page.get_by_text("CAUSAL_ANALYSIS::ACTIVE").wait_for()
            steady(page)
            page.close()
            first, own, every = np.median([loaded(browser, server) for _ in range(5)], axis=0)
            told("first paint of the chart, warm (median)", f"{first:.2f} s; the page's own {own:.2f} s", "0.6 s")
            told("all panels, warm (median)", f"{every:.2f} s", "1.5 s")
            page = opened(browser, outside)
            page.route("**/live/beat/**", lambda route: route.abort())
            page.goto(server.address)
            page.wait_for_function("document.querySelector('.velocity')?.dataset.painted > 3")
            told("refresh to paint, native at 1 Hz (nothing pushed)", spread(delays(page, SOME_S)), "<= 150 ms")
            page.close()
            many = Many(server)
            with ThreadPoolExecutor(1) as apart:  # Playwright's own loop runs in this thread
                apart.submit(asyncio.run, many.run(SESSIONS)).result()
            told(f"{SESSIONS} sessions: what moves, at 1 Hz, tick to heard", spread(many.moved), "<= 250 ms")
            told(f"{SESSIONS} sessions: the chart, at 10 Hz, tick to heard", spread(many.behind))
            told(f"{SESSIONS} sessions: a refresh at 0.2 Hz, due to done", spread(many.took[5.0]), "<= 250 ms")
            told(f"{SESSIONS} sessions: cores that the server used", f"{many.cpu:.2f}")
            deaf = Many(server, pushed=False)
            with ThreadPoolExecutor(1) as apart:
                apart.submit(asyncio.run, deaf.run(SESSIONS)).result()
            told(f"{SESSIONS} sessions that hear nothing: a refresh at 1 Hz", spread(deaf.took[1.0]), "<= 250 ms")
            told(f"{SESSIONS} sessions that hear nothing: cores", f"{deaf.cpu:.2f}")
        script = Path(folder) / "naive.py"
        script.write_text(NAIVE, encoding="utf-8")
        with Server(script) as server:
            page = opened(browser, [])
            page.goto(server.address)
            page.locator("[data-taken]").first.wait_for(state="attached")
            told("refresh to paint, naive (its chart may be later)", spread(delays(page, SOME_S)))
            page.close()
        browser.close()
    told("requests that left the machine", str(len(outside)), "0")
    told("load of the machine at the end", f"{os.getloadavg()}")


if __name__ == "__main__":
    main()
