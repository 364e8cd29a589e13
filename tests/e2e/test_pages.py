"""Every page in a browser: some as a server's first visit, most on a server that others have visited too."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# Streamlit looks for its own routes below a deep link first, and takes the root where that answers 404.
PROBES = re.compile(r"/(?:data|record|stream|tune|evidence|airings|compare|plan|report)/_stcore/(health|host-config)$")

PATIENT = 240_000
"""Milliseconds for what a page works out in the background, also on a busy machine."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: neither chromium nor google-chrome is installed"),
]


@pytest.fixture
def cold(tmp_path):
    """Start a server that nobody has visited yet."""
    with serving(tmp_path) as (url, _):
        yield url


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Start a server whose live page nobody opens, so that nothing runs beside the page that is looked at."""
    with serving(tmp_path_factory.mktemp("pages")) as (url, _):
        yield url


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Start a server for the live page, whose event goes on from test to test."""
    with serving(tmp_path_factory.mktemp("live")) as (url, _):
        yield url


def without_hang_ups(log: str) -> str:
    """Leave out what Streamlit's own socket writes when a browser goes in the middle of a message."""
    return re.sub(
        r"Traceback(?:(?!Traceback).)*?_websocket_endpoint.*?(?:been sent|disconnect)[^\n]*", "", log, flags=re.DOTALL
    )


@contextmanager
def serving(folder: Path):
    """Yield the address of a server and its process, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1"],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(folder)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}", server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    assert "Traceback" not in without_hang_ups((folder / "log").read_text())


def wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
        except OSError:
            server_is_slow(0.1, server)
        else:
            return
    pytest.fail("the server did not answer within a minute")


def server_is_slow(seconds: float, server: subprocess.Popen) -> None:
    """Wait a moment, or until the server ends."""
    try:
        server.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture(scope="module")
def browser():
    """One browser for the tests of this file."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """Open a page of its own context, whose every request and complaint is written down."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    context.set_default_timeout(60_000)
    opened = context.new_page()
    heard: dict[str, list[str]] = {"outside": [], "errors": []}
    opened.on("request", lambda r: heard["outside"].append(r.url) if outside(r.url) else None)
    opened.on("websocket", lambda w: heard["outside"].append(w.url) if outside(w.url) else None)
    opened.on("pageerror", lambda e: heard["errors"].append(str(e)))
    opened.on("console", lambda m: heard["errors"].append(m.text) if complaint(m) else None)
    opened.heard = heard
    yield opened
    context.close()


def outside(url: str) -> bool:
    return urlsplit(url).scheme not in {"data", "blob"} and urlsplit(url).hostname != "127.0.0.1"


def complaint(message) -> bool:
    return message.type == "error" and not PROBES.search(message.location.get("url", ""))


def quiet(page) -> None:
    assert page.heard == {"outside": [], "errors": []}
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"


JUMPS = """window.jumps = [];
const called = (node) => node?.closest?.("[class*=st-key-]")?.className.match(/st-key-[\\w-]+/)?.[0] ?? "page";
const from = (source) => [called(source.node), source.previousRect.y, source.currentRect.y];
new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
  if (!entry.hadRecentInput) jumps.push({at: entry.startTime, value: entry.value, what: entry.sources.map(from)});
})).observe({type: "layout-shift", buffered: true});"""
"""Write down what is moved by what comes later, and how far (layout shift as browsers define it)."""


def test_the_live_page_counts_down_and_answers(cold, page):
    page.add_init_script(JUMPS)
    page.goto(cold)
    bar = page.locator(".verdict")
    bar.wait_for()
    page.get_by_text("CAUSAL_ANALYSIS::ACTIVE").wait_for(timeout=PATIENT)
    assert "is not yet on air" in bar.inner_text()
    assert re.search(r"\d:\d\d", page.locator(".kpi").first.inner_text())
    assert "STREAM_SYNC" in page.locator(".event").inner_text()
    page.wait_for_function("document.querySelector('.velocity').dataset.painted > 0")
    clock = page.locator(".event .status b").last
    before = clock.inner_text()
    page.wait_for_function("b => [...document.querySelectorAll('.event .status b')].pop().innerText !== b", arg=before)
    jumps = page.evaluate("jumps")
    assert sum(jump["value"] for jump in jumps) < 0.05, [jump for jump in jumps if jump["value"] > 0.005]
    page.get_by_text("Understanding this chart").click()
    page.get_by_test_id("stPopoverBody").wait_for()
    quiet(page)


def test_what_is_known_is_seen_and_moves_before_the_page_has_run(live, page):
    page.goto(live)
    page.get_by_text("CAUSAL_ANALYSIS::ACTIVE").wait_for(timeout=PATIENT)
    page.reload()
    page.locator(".velocity[data-painted]").wait_for()
    page.locator("iframe.first").wait_for(state="detached")
    quiet(page)
    page.route_web_socket("**/_stcore/stream", lambda _: None)  # from now on the page itself gets nothing
    page.reload()
    early = page.frame_locator("iframe.first")
    early.locator(".verdict .sentence").wait_for()
    seen = early.locator(".velocity[data-painted]").get_attribute("data-painted")
    early.locator(f".velocity[data-painted]:not([data-painted='{seen}'])").wait_for()
    assert page.locator(".velocity").count() == 0


def test_time_is_stopped_and_the_same_moment_is_found_again_in_another_depth(live, page):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(live)
    page.get_by_text("CAUSAL_ANALYSIS::ACTIVE").wait_for(timeout=PATIENT)
    page.get_by_text("Live correlation protocol").first.wait_for()
    page.locator(".kpi").first.wait_for()
    page.keyboard.press(" ")
    page.get_by_text("what we knew at").wait_for()
    page.get_by_text("◀ PAST").wait_for()
    moment = page.locator(".when b").inner_text()
    cards = page.locator(".st-key-kpis").inner_text()
    page.keyboard.press("l")
    page.get_by_text("● LIVE").wait_for()
    page.goto(f"{live}/?at={moment}&depth=analyse")
    page.get_by_text("◀ PAST").wait_for()
    assert page.locator(".when b").inner_text() == moment
    assert page.locator(".st-key-kpis").inner_text() == cards
    page.set_viewport_size({"width": 420, "height": 900})
    quiet(page)


PAINTS = """() => {
  const chart = document.querySelector(".velocity");
  window.seen = {beats: new Set(), frames: 0};
  new MutationObserver(() => seen.beats.add(chart.dataset.beat)).observe(chart, {attributes: true});
  const frame = () => { seen.frames += 1; requestAnimationFrame(frame); };
  frame();
}"""
ENOUGH = """() => {
  const at = Number(document.querySelector(".velocity").dataset.at);
  const now = {at, beats: seen.beats.size, frames: seen.frames};
  const last = (window.begun ??= now), seconds = (now.at - last.at) / 1000;
  if (seconds < 5) return false;
  window.begun = now;
  const [beats, frames] = [(now.beats - last.beats) / seconds, (now.frames - last.frames) / seconds];
  return beats > Math.min(5, frames / 3);
}"""
"""Whether in some five seconds of the event more than five ticks a second were painted, each of them another.

A browser that has no time draws few frames at all: then in more than a third of them.
"""


def test_the_velocity_chart_is_pushed_and_stands_still_in_the_past(live, page):
    page.goto(live)
    page.wait_for_function("document.querySelector('.velocity')?.dataset.beat > 0")
    page.evaluate(PAINTS)
    page.wait_for_function(ENOUGH, timeout=PATIENT)
    chart = page.locator(".velocity")
    page.locator(".cursor").focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".velocity .tip", has_text="observed").wait_for()
    assert "observed" in (page.locator(".cursor").get_attribute("aria-valuetext") or "")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Stop time").click()
    page.get_by_text("◀ PAST").wait_for()
    page.locator(".velocity[data-stands]").wait_for()
    stood = chart.get_attribute("data-at")
    words = page.locator(".velocity .told").inner_text()
    page.wait_for_timeout(2500)
    assert chart.get_attribute("data-at") == stood
    assert page.locator(".velocity .told").inner_text() == words
    page.get_by_role("button", name="Back to live").click()
    page.wait_for_function("at => document.querySelector('.velocity').dataset.at > at", arg=stood)
    page.get_by_role("button", name="Present").click()
    page.wait_for_function("document.querySelectorAll('.st-key-story .velocity[data-painted]').length == 1")
    quiet(page)


CLOCK = "[...document.querySelectorAll('.event .status b')].pop().innerText"


def test_what_moves_around_the_chart_is_pushed_with_it(live, page):
    deaf = []

    def between(line):
        server = line.connect_to_server()
        line.on_message(server.send)
        server.on_message(lambda message: None if deaf else line.send(message))

    page.route_web_socket("**/_stcore/stream", between)
    page.goto(live)
    page.wait_for_function("document.querySelector('.velocity')?.dataset.beat > 0")
    page.locator(".protocol").wait_for()
    deaf.append("the page itself gets nothing more")
    page.evaluate("document.querySelectorAll('[data-moves]').forEach((place) => { place.innerHTML = ''; })")
    for _ in range(2):
        page.wait_for_function("document.querySelector('.event .status b')")
        page.wait_for_function(f"before => {CLOCK} !== before", arg=page.evaluate(CLOCK))
    quiet(page)


STEPS = """() => {
  const at = Number(document.querySelector(".velocity").dataset.at), step = at - (window.before ?? at);
  window.before = at;
  return step > 0 && step < 4000;
}"""
"""Whether the chart has moved on by less than four seconds of the event: oftener than what is only read."""


def test_without_the_push_the_chart_moves_with_its_page_every_second(live, page):
    page.route("**/live/beat/**", lambda route: route.fulfill(status=404))
    page.goto(live)
    chart = page.locator(".velocity[data-painted]")
    chart.wait_for()
    before = chart.get_attribute("data-at")
    page.wait_for_function("at => document.querySelector('.velocity').dataset.at > at", arg=before)
    page.wait_for_function(STEPS)
    assert chart.get_attribute("data-beat") is None
    page.heard["errors"] = [said for said in page.heard["errors"] if "404" not in said]
    quiet(page)


def test_a_server_stops_at_once_while_charts_listen(page, tmp_path):
    with serving(tmp_path) as (url, server):
        page.goto(url)
        page.wait_for_function("document.querySelector('.velocity')?.dataset.beat > 0")
        os.kill(server.pid, signal.SIGINT)
        server.wait(timeout=60)
        page.locator(".velocity[data-old] .late", has_text="as of").wait_for()


def test_the_data_page_opens_on_a_deep_link(cold, page):
    page.goto(f"{cold}/data")
    page.locator(".verdict").wait_for()
    assert page.locator(".verdict .word").inner_text().endswith("NO DATA")
    for width in (420, 900, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        quiet(page)


@pytest.mark.parametrize("width", [420, 1600])
def test_the_record_page_shows_every_method_in_the_chosen_world(address, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/record")
    page.get_by_role("cell", name="ours").first.wait_for()
    page.get_by_role("button", name="A break, no effect").or_(page.get_by_text("A break, no effect")).first.click()
    page.get_by_text("the ad adds nothing").wait_for()
    assert page.locator(".verdict .word").inner_text().endswith("NOT MET")
    page.get_by_text("No effect to find").first.click()
    page.get_by_role("cell", name="break common").first.wait_for()
    page.get_by_role("link", name="what fell short").click()
    page.wait_for_function("document.querySelector('#short').getBoundingClientRect().top < innerHeight")
    quiet(page)


@pytest.mark.parametrize("width", [420, 1600])
def test_the_stream_page_tells_how_the_engine_does(address, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/stream")
    page.locator(".verdict .sentence", has_text="events a second").wait_for()
    assert page.locator(".verdict .word").inner_text().endswith("COUNTING")
    assert page.locator(".kpi").count() == 10
    assert page.evaluate("[...document.querySelectorAll('.kpi .value')].every(v => v.scrollWidth <= v.clientWidth)")
    page.get_by_role("link", name="the last drill").click()
    page.wait_for_function("document.querySelector('#drill').getBoundingClientRect().top < innerHeight")
    page.get_by_role("cell", name="killed -9").wait_for()
    quiet(page)


def test_the_tune_page_fits_a_narrow_screen(address, page):
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{address}/tune?world=null&window=60s&response_peak=10s&response_peak_logsd=0.2&colour=red")
    page.locator(".verdict .word").wait_for()
    page.get_by_text("unknown setting 'colour'").wait_for()
    page.get_by_role("slider", name="Alpha").wait_for()
    quiet(page)


KNOWN = "window=60s&response_peak=10s&response_peak_logsd=0.2"


def test_an_answer_is_taken_apart_and_compared(address, page):
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}/evidence?{KNOWN}")
    page.locator(".verdict .word", has_text="caused").wait_for(timeout=PATIENT)
    page.get_by_text("Nothing that was looked at speaks against it.").wait_for()
    page.get_by_role("cell", name="Together").wait_for()
    page.get_by_text("from then on stopping would have been right").wait_for()
    page.get_by_text("Placebo lab").wait_for()
    page.get_by_role("link", name="Compare").click()
    page.get_by_text("claims an effect at 100% of").wait_for()
    page.set_viewport_size({"width": 420, "height": 900})
    quiet(page)


def test_airings_are_sorted_and_one_is_taken_apart(address, page):
    page.goto(f"{address}/airings?world=overlap&{KNOWN}")
    page.get_by_text("HALFTIME_FIRST, HALFTIME_SECOND").wait_for(timeout=PATIENT)
    page.get_by_text("By effect", exact=True).click()
    page.get_by_role("button", name="Take HALFTIME_FIRST apart").click()
    page.get_by_text("Every second, taken apart").wait_for()
    assert page.locator(".verdict .sentence", has_text="HALFTIME_FIRST").count() == 1
    page.wait_for_url("**/evidence?**airing=HALFTIME_FIRST**")
    page.get_by_role("link", name="Airings").click()
    page.get_by_text("Overlaps and joint credit").wait_for()
    page.set_viewport_size({"width": 420, "height": 900})
    quiet(page)


def test_a_plan_is_made_locked_saved_and_brought_back(address, page, tmp_path):
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{address}/plan?until=0&{KNOWN}")
    page.get_by_role("button", name="Lock this plan").click(timeout=PATIENT)
    page.get_by_text("LOCKED LATE").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the plan").click()
    plan = tmp_path / "plan.json"
    plan.write_bytes(Path(download.value.path()).read_bytes())
    page.goto(f"{address}/plan?until=0&{KNOWN}&hold=apac&alpha=0.01")
    inputs = page.locator("input[type=file]")
    inputs.first.wait_for(state="attached", timeout=PATIENT)
    inputs.first.set_input_files(plan)
    page.get_by_text("alpha: 0.05 -> 0.01", exact=True).wait_for()
    page.get_by_text("controls of HALFTIME_PRIME: eu-west -> apac", exact=True).wait_for()
    page.set_viewport_size({"width": 420, "height": 900})
    quiet(page)


def test_the_files_of_the_data_page_are_tuned(address, page):
    page.goto(f"{address}/data?sample=null")
    page.get_by_role("button", name="Analyse").wait_for()
    page.get_by_role("link", name="Tune").click()
    page.locator(".verdict .word", has_text="caused").wait_for()
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name="Files of the data page").click()
    page.get_by_text("the files of the data page").wait_for()
    page.wait_for_url("**/tune?data=files")
    assert not page.locator(".verdict .word").inner_text().endswith("CAUSED")
    quiet(page)


def test_a_choice_is_moved_saved_and_found_again_by_its_address(address, page):
    page.set_viewport_size({"width": 1600, "height": 900})
    page.goto(f"{address}/tune?window=60s&response_peak=10s&response_peak_logsd=0.2")
    word = page.locator(".verdict .word")
    page.locator(".verdict .word", has_text="caused").wait_for()
    page.get_by_role("button", name="brief").click()
    page.locator(".verdict .word", has_text="undecided").wait_for()
    assert "detector" in page.locator(".verdict").inner_text()
    page.get_by_role("button", name="learnt").click()
    page.locator(".verdict .word", has_text="caused").wait_for()
    slider = page.get_by_role("slider", name="Lift prior, sd")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".changed", has_text="Lift prior, sd: 100% → 70%.").wait_for()
    assert "lift_sd=0.7" in page.url
    page.get_by_role("button", name="Save · share").click()
    page.get_by_role("textbox", name="Name").fill("sceptical")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save these settings").click()
    page.get_by_role("link", name="sceptical").wait_for()
    page.locator(".verdict", has_text="CHECKED").wait_for()
    told = page.locator(".verdict .sentence").inner_text()
    page.goto(page.url)
    page.get_by_role("link", name="sceptical").wait_for()
    page.locator(".verdict", has_text="CHECKED").wait_for()
    assert word.inner_text().endswith("CAUSED")
    assert page.locator(".verdict .sentence").inner_text() == told
    quiet(page)


def test_a_file_of_ones_own_becomes_a_verdict_and_a_report(address, page, tmp_path):
    minutes = [f"2026-02-08T{20 + m // 60}:{m % 60:02d}:00Z" for m in range(120)]
    rows = [
        f"{t},{r},{90 + (7 * i) % 13 + 40 * (r == 'a' and 80 <= i < 84)}" for i, t in enumerate(minutes) for r in "ab"
    ]
    counts, airings = tmp_path / "counts.csv", tmp_path / "airings.csv"
    counts.write_text("\n".join(["time,region,count", *rows]))
    airings.write_text(f"airing,start,length_s,regions\n<b>spot</b>,{minutes[80]},30,a\n")
    page.goto(f"{address}/data?sample=My+own+files")
    inputs = page.locator("input[type=file]")
    inputs.nth(0).wait_for(state="attached")
    inputs.nth(0).set_input_files(counts)
    page.get_by_text("Still needed: the airings.").wait_for()
    inputs.nth(0).set_input_files(airings)
    page.get_by_text("120 bins of 60 s, 2 regions").wait_for()
    page.get_by_role("button", name="Analyse").click()
    page.get_by_text("Causal gap").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the report").click()
    document = Path(download.value.path()).read_text(encoding="utf-8")
    assert "&lt;b&gt;spot&lt;/b&gt;" in document
    assert "<b>spot" not in document
    assert page.locator(".verdict .word").inner_text().splitlines()[-1] not in {"", "NO DATA"}
    quiet(page)


def test_a_wrong_address_is_told_in_words(live, page):
    page.goto(f"{live}/?alpha=5")
    page.get_by_text("alpha is 5").wait_for()
    quiet(page)


def test_dark_comes_first_whatever_the_system_prefers(address, page):
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/data")
    page.wait_for_function("getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark'")
    page.locator(".verdict").wait_for()
    quiet(page)


BRIEF = "kernel=window&response_peak=10s&response_peak_logsd=0.0&window=15s&baseline=brief"


def test_a_report_is_chosen_saved_in_every_form_and_opened_again(address, page, tmp_path):
    page.goto(f"{address}/report?{BRIEF}")
    document = page.frame_locator(".st-key-panel-preview iframe >> nth=-1")
    document.get_by_text("What not to conclude").wait_for(timeout=180_000)
    page.get_by_role("button", name="Settings", exact=True).click()
    page.wait_for_url("**parts=business*")
    expect_gone(document.get_by_text("response_peak_logsd").first)
    for name, head in (
        ("HTML", b"<!doctype"),
        ("PDF", b"%PDF-"),
        ("Markdown", b"# "),
        ("JSON", b"{"),
        ("Everything", b"PK"),
    ):
        with page.expect_download() as waited:
            page.get_by_role("button", name=name, exact=True).click()
        path = tmp_path / waited.value.suggested_filename
        waited.value.save_as(path)
        assert path.read_bytes().startswith(head), name
    (zipped,) = tmp_path.glob("report-*.zip")
    page.get_by_text("Open a saved answer").click()
    page.locator("input[type=file]").set_input_files(zipped)
    page.get_by_text(f"the saved answer {zipped.name}").wait_for()
    document.get_by_text("What not to conclude").wait_for()
    quiet(page)
    page.locator(".st-key-to-evidence button").click()
    page.wait_for_url("**/evidence?data=files*")
    page.get_by_text("Every second, taken apart").wait_for()
    quiet(page)


def expect_gone(place) -> None:
    """Wait until something is no longer on the page."""
    place.wait_for(state="detached")
