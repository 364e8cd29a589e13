"""What the browser tests of one world share: a server of it, and a browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(state: str, log: Path, *more: str, port: int | None = None):
    """Serve a world that stands still; what the server says goes into a file."""
    port = port or free_port()
    command = [sys.executable, str(Path(__file__).parent / "frozen.py"), state, str(port), *more]
    with log.open("w") as written:
        server = subprocess.Popen(command, cwd=ROOT, stdout=written, stderr=subprocess.STDOUT)
        try:
            for patience in range(3000, -1, -1):
                assert server.poll() is None, log.read_text()
                assert patience, "the server did not answer within five minutes"
                try:
                    urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                except OSError:
                    _pause(server)
                else:
                    break
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _pause(server: subprocess.Popen) -> None:
    try:
        server.wait(timeout=0.1)
    except subprocess.TimeoutExpired:
        return


def dressed(context, mode: str = "Dark"):
    context.add_init_script(
        "for (const p of ['/', '/tune', '/evidence', '/airings', '/compare', '/plan', '/data', '/stream', '/record']) {"
        f"localStorage.setItem(`stActiveTheme-${{p}}-v2`, JSON.stringify('{mode}'));"
        "localStorage.setItem(`eventCommandTheme-${p}`, 'chosen')}"
    )
    context.set_default_timeout(90_000)
    return context


@pytest.fixture(scope="session")
def serve():
    """Serve a world that stands still: (state, file of the log, options of Streamlit)."""
    return serving


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    """An answered world that stands still; nobody changes it."""
    with serving("answered", tmp_path_factory.mktemp("still") / "log") as address:
        yield address


@pytest.fixture(scope="session")
def free():
    """Find a port that nobody listens on."""
    return free_port


@pytest.fixture(scope="session")
def dress():
    """Choose dark or light before any page of a context opens."""
    return dressed


@pytest.fixture(scope="module")
def browser():
    """One browser for the tests of a file; each takes a context of its own."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: neither chromium nor google-chrome is installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()
