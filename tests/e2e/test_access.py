"""Everybody can use the pages: by keyboard, by ear, in any colours; and nothing that a feed says is ever run."""

from __future__ import annotations

import re

import pytest

STORY = ("What happened", "What would have happened", "The difference", "How sure", "What it is worth")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
EXCEPTIONS: dict[str, tuple[str, str]] = {}
"""Rule -> the element that breaks it, and why it cannot be mended here. There is none."""
DEPTHS = ("operate", "analyse", "present")
OTHERS = {"tune": ".verdict", "evidence": ".verdict", "airings": ".verdict", "plan": ".st-key-panel-lock"}
"""Pages that take the live event apart, whose names are hostile here, and what each shows once it has an answer."""
PATIENT = 120_000

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hostile(serve, tmp_path_factory):
    """A world whose every name is markup that would run."""
    log = tmp_path_factory.mktemp("hostile") / "log"
    with serve("hostile", log) as address:
        yield address
    assert "Traceback" not in log.read_text()


@pytest.fixture
def page(browser, dress):
    """A page of its own, as wide as a laptop."""
    context = dress(browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce"))
    yield context.new_page()
    context.close()


def opened(page, address: str, shown: str = ".verdict") -> None:
    page.goto(address)
    page.locator(shown, has_not_text=re.compile("analysing", re.IGNORECASE)).first.wait_for(timeout=PATIENT)
    page.locator("iframe.first").wait_for(state="detached")


def test_the_keyboard_goes_through_the_story_and_back(still, page):
    opened(page, still)
    page.locator(".st-key-panel-protocol").wait_for()
    page.keyboard.press("3")
    for number, heading in enumerate(STORY, 1):
        page.locator(".story .cap", has_text=f"{number} of 5 · {heading}").wait_for()
        page.keyboard.press("ArrowRight")
    page.locator(".story .cap", has_text="5 of 5").wait_for()
    page.keyboard.press("ArrowLeft")
    page.locator(".story .cap", has_text="4 of 5").wait_for()
    page.wait_for_url("**depth=present**")
    page.keyboard.press("2")
    page.get_by_text("The answer, figure by figure").wait_for()
    page.keyboard.press("1")
    page.locator(".st-key-panel-deployment").wait_for()
    page.keyboard.press("?")
    page.get_by_text("stop time, play, stop again").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("stop time, play, stop again").wait_for(state="hidden")


def test_tab_reaches_every_control_in_sight_and_shows_where_it_is(still, page):
    opened(page, still)
    page.locator(".st-key-panel-protocol").wait_for()
    seen = []
    for _ in range(70):
        page.keyboard.press("Tab")
        name, outlined, at = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();"
            "const said = e.innerText || e.ariaLabel || e.getAttribute('aria-labelledby') || e.tagName;"
            "return [e === document.body ? 'BODY' : said,"
            " s.outlineStyle !== 'none' || s.boxShadow !== 'none', r.width * r.height > 0]; })()"
        )
        assert name == "BODY" or (outlined and at), f"{name!r} takes the focus and does not show it"
        seen.append(name.strip())
    reached = " ".join(seen)
    for name in ("Live", "Record", "Operate", "Analyse", "Present", "Stop time", "Keys", "Filter", "Export report"):
        assert name in reached, f"Tab never reaches {name}"


@pytest.mark.parametrize("mode", ["Dark", "Light"])
def test_axe_finds_nothing_on_the_live_page(still, browser, dress, mode):
    context = dress(browser.new_context(viewport={"width": 1280, "height": 900}), mode)
    page = context.new_page()
    for depth in DEPTHS if mode == "Dark" else DEPTHS[:1]:
        opened(page, f"{still}/?depth={depth}")
        assert found(page) == []
        assert dumb(page) == []
    context.close()


@pytest.mark.parametrize("name", ["data", "stream", "record"])
def test_axe_finds_nothing_on_the_pages_about_files_stream_and_record(still, page, name):
    opened(page, f"{still}/{name}")
    assert found(page) == []
    assert dumb(page) == []


def test_hostile_names_are_shown_as_they_are_and_never_run(hostile, page):
    paths = {f"?depth={depth}": ".verdict" for depth in DEPTHS}
    for path, there in (paths | {f"{name}?data=live": there for name, there in OTHERS.items()}).items():
        opened(page, f"{hostile}/{path}", there)
        page.get_by_text("<img src=x onerror").first.wait_for()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x], a[href^=javascript]").count() == 0
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than its window"
        assert found(page) == []
        assert dumb(page) == []


def found(page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA, but for the exceptions; once more where the page was being drawn."""
    axe = pytest.importorskip("axe_playwright_python.base", reason="axe comes with the development packages")
    page.evaluate(axe.AXE_SCRIPT)
    left: list[str] = []
    for _ in range(3):
        told = page.evaluate(
            "tags => axe.run({runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", WCAG
        )
        left = [
            f"{rule['id']}: {node['html'][:160]}"
            for rule in told["violations"]
            for node in rule["nodes"]
            if EXCEPTIONS.get(rule["id"], ("\0", ""))[0] not in node["html"]
        ]
        if not left:
            break
        page.wait_for_timeout(2000)
    return left


def dumb(page) -> list[str]:
    """Return the charts that say nothing to those who hear the page: neither a name nor words beside them."""
    return page.evaluate(
        """() => [...document.querySelectorAll("[data-testid=stVegaLiteChart]")].filter((chart) => {
          const drawn = chart.querySelector("[role=graphics-document], svg, canvas");
          if (!drawn) return false;
          const named = chart.querySelector("[aria-label]:not([aria-label=''])");
          const near = chart.closest(".stVerticalBlock");
          return !named && !near.querySelector(".heard, .sr");
        }).map((chart) => chart.closest("[class*=st-key-]").className)"""
    )


HEARD = """
window.rung = [];
window.Notification = class { constructor(title, more) { window.rung.push(more.body); } };
window.Notification.permission = "granted";
window.AudioContext = class {
  constructor() { window.rung.push("sound"); this.currentTime = 0; }
  createOscillator() { return {frequency: {}, connect: (next) => next, start() {}, stop() {}}; }
  createGain() { return {gain: {setValueAtTime() {}, exponentialRampToValueAtTime() {}}, connect: (next) => next}; }
};
"""
"""Notes what the browser would have shown and played."""


def test_a_decision_rings_only_in_a_session_that_asked_for_it(hostile, browser, dress):
    contexts = [dress(browser.new_context()) for _ in range(2)]
    asking, silent = (context.new_page() for context in contexts)
    for page in (asking, silent):
        page.add_init_script(HEARD)
        opened(page, hostile)
        page.locator(".st-key-panel-protocol").wait_for()
        page.locator("[data-bell]").wait_for(state="attached")
    for words in ("Sound on a decision", "Desktop notification on a decision"):
        assert not asking.get_by_label(words).is_checked()
        asking.get_by_text(words).click()
    asking.locator("[data-bell*=sound][data-bell*=desktop]").wait_for(state="attached")
    asking.get_by_role("button", name="Refresh data").click()  # here that brings a new word
    asking.wait_for_function("window.rung.length >= 2")
    told = asking.evaluate("window.rung")
    assert told[0] == "sound"
    assert told[1].startswith("<img src=x")
    assert "undecided → caused, e-value" in told[1]
    silent.locator("[data-bell]", has_text="undecided → caused").wait_for(state="attached")
    silent.wait_for_timeout(1200)
    assert silent.evaluate("window.rung") == []
    for context in contexts:
        context.close()
