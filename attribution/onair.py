"""``attribution live``: a feed counted and analysed as it happens, in a terminal or for a machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attribution.console import look_json, remark, show, show_look
from attribution.options import (
    Audience,
    Columns,
    Context,
    Kind,
    SettingsFile,
    Social,
    Zone,
    moment,
    one_sentence,
    pairs,
    read_settings,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.replay import Look, Remote

FEED = "simulated[:SCENARIO[:SEED]], replay:PATH (a file or a folder), tail:PATH (a file that grows), http:HOST:PORT"
STEERING = "pause, play, seek 2026-02-08T20:41:00Z, speed 20"


def live(
    *,
    feed: Annotated[str, typer.Option(help=FEED, metavar="FEED")] = "simulated",
    airings: Annotated[Path | None, typer.Option(help="The schedule or as-run log.")] = None,
    social: Social = None,
    audience: Audience = None,
    context: Context = None,
    settings: SettingsFile = None,
    tz: Zone = None,
    column: Columns = None,
    kind: Kind = None,
    speed: Annotated[float, typer.Option(help="Of a simulated or recorded event: its seconds in one second.")] = 1.0,
    start: Annotated[
        str | None, typer.Option(help="Moment at which such an event is entered. Default: 75 s before an airing.")
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="Holds the token that senders to http: must show.")] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write down what comes over http:; started again, it goes on.")
    ] = None,
    event: Annotated[
        Path | None, typer.Option(help="A described event (TOML, see data/event.toml): opens the live page on it.")
    ] = None,
    port: Annotated[int, typer.Option(help="Where the live page of a described event listens.")] = 8501,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON document a line, for machines.")] = False,
) -> None:
    """Watch a feed: a line a second, every change of a verdict, and at the end (or at Ctrl-C) the answer.

    A simulated or recorded event can be steered from the terminal: pause, play, seek MOMENT, speed NUMBER.
    """
    from attribution.replay import Remote, looks
    from attribution.stream.addresses import Given, open_feed

    if event is not None:
        with one_sentence():
            open_page(event, port)
        return
    with one_sentence(), interrupted() as stop:
        given = Given(
            airings=airings, context=context, social=social, audience=audience, columns=pairs(column) or None,
            kind=kind, tz=tz, speed=speed, start=None if start is None else moment(start, tz, "--start"),
            token=None if token_file is None else token(token_file), log=keep,
        )  # fmt: skip
        opened = open_feed(feed, given)
        try:
            remark(f"{opened.told}; Ctrl-C ends it")
            remote = None if opened.feed.met else Remote()
            if remote is not None and sys.stdin.isatty():
                remark(f"type {STEERING}")
                threading.Thread(target=steer, args=(remote, tz), daemon=True).start()
            for look in looks(opened.feed, read_settings(settings), wait=stop.wait, stopped=stop.is_set, remote=remote):
                tell(look, json_lines=json_lines)
        finally:
            opened.close()


def open_page(event: Path, port: int) -> None:
    """Check the description of an event, then open the live page on it, in this process' place until Ctrl-C.

    Raises
    ------
    ValueError
        When the description is wrong, or the pages do not lie beside the package.
    """
    from attribution.described import described

    told = described(event)
    app = Path(__file__).parents[1] / "app.py"
    if not app.is_file():
        raise ValueError(f"{app} is not there; run this from the project's own folder, where its pages lie")
    remark(f"{told.advertiser}, {told.title}: http://localhost:{port}; Ctrl-C ends it")
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    own = os.environ | {"ATTRIBUTION_EVENT": str(event.resolve())}
    with suppress(KeyboardInterrupt):
        subprocess.run(command, cwd=app.parent, env=own, check=False)  # noqa: S603  this interpreter, and our own page


def tell(look: Look, *, json_lines: bool) -> None:
    """Print one look; the last one with the whole answer."""
    if json_lines:
        sys.stdout.write(json.dumps(look_json(look), allow_nan=False, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    show_look(look)
    if look.ended and look.result is not None:
        show(look.result)


def token(path: Path) -> str:
    """Read a token from a file, so that no list of processes shows it."""
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise ValueError(f"{path} is empty; write a long random token into it, e.g. of: openssl rand -hex 32")
    return text


@contextmanager
def interrupted() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; a second one ends the process at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def steer(remote: Remote, tz: str | None) -> None:
    """Obey the lines of the terminal."""
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        try:
            obey(remote, word, rest.strip(), tz)
        except (ValueError, typer.BadParameter) as error:
            remark(f"{line.strip()!r} is not understood ({error}); type {STEERING}")


def obey(remote: Remote, word: str, rest: str, tz: str | None) -> None:
    """Do what one line asks for; an empty one does nothing."""
    if word in {"pause", "p"}:
        remote.pause()
    elif word == "play":
        remote.play()
    elif word == "seek":
        remote.seek(moment(rest, tz, "seek"))
    elif word == "speed":
        pace = float(rest)
        if not 0 < pace < float("inf"):
            raise ValueError("a speed is a positive number")
        remote.seek(speed=pace)
    elif word:
        raise ValueError("no such word")
