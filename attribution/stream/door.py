"""The HTTP door: events come in as JSON lines or frames; what is wrong with them is counted and said, never thrown.

``POST /v1/events`` takes a body; ``GET /metrics`` tells how it goes, as Prometheus text, ``GET /health`` whether.
Behind the door stands a `Sink`: the in-memory inbox, or a node that keeps what it takes.
"""

from __future__ import annotations

import hmac
import json
import logging
import socket
import threading
import time
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attribution.stream.keeping import Refused
from attribution.stream.wire import LARGEST, Unreadable, decode, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from attribution.stream.inbox import Sink
    from attribution.stream.wire import Frame

LINES = frozenset({"application/x-ndjson", "application/jsonl", "application/json-lines", "application/json"})
FRAMES = frozenset({"application/vnd.event-command.frame", "application/octet-stream"})
LOCAL = ("127.0.0.1", "::1", "localhost")
"""Hosts that nobody else reaches: a door there needs no token."""
PATIENCE_S = 30.0
"""A body that takes longer is given up: a sender that dawdles must not hold a place."""
SMALL = 16_384
"""Bytes of JSON read at once; more is read in a thread, so that other senders are not held up."""


class TurnedAway(Exception):  # noqa: N818  becomes an answer
    """A request that is answered without being taken.

    Attributes
    ----------
    status
        Of HTTP.
    reason
        The name it is counted under.
    headers
        Of the answer.
    """

    def __init__(self, status: int, reason: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(remedy)
        self.status = status
        self.reason = reason
        self.headers = headers or {}


class Door:
    """What the requests have in common: the sink, the limits, the counters.

    Parameters
    ----------
    sink
        Takes the frames.
    token
        Senders show it as ``Authorization: Bearer TOKEN``; None lets everybody in.
    limit
        Bytes of a body, before and after it is unpacked.
    metrics
        Adds lines to ``/metrics``; those of a node, for instance.
    healthy
        Empty while all is well, else what is wrong: ``/health`` is then 503.

    Raises
    ------
    ValueError
        When the token is empty or the limit no positive number.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        token: str | None = None,
        limit: int = LARGEST,
        metrics: Callable[[], str] = str,
        healthy: Callable[[], str] = str,
    ) -> None:
        if token is not None and not token.strip():
            raise ValueError("token is empty; choose a long random one, or None to let everybody in")
        if limit <= 0:
            raise ValueError(f"limit is {limit}; choose a positive number of bytes")
        self._sink = sink
        self._token = None if token is None else token.encode()
        self._limit = limit
        self._metrics = metrics
        self._healthy = healthy
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        """Events that were not taken, by reason; a frame that cannot be read counts as one."""
        self.answers: Counter[int] = Counter()
        self.received_bytes = 0

    def app(self) -> Starlette:
        """Make the application, for any ASGI server."""
        return Starlette(
            routes=[
                Route("/v1/events", self.events, methods=["POST"]),
                Route("/metrics", self.metrics, methods=["GET"]),
                Route("/health", self.health, methods=["GET"]),
            ]
        )

    async def events(self, request: Request) -> Response:
        """Take the events of one body."""
        try:
            status, said, headers = await self._taken(request)
        except TurnedAway as error:
            self.rejected[error.reason] += 1
            status, said, headers = error.status, {"error": str(error), "reasons": {error.reason: 1}}, error.headers
        except ClientDisconnect:
            self.rejected["sender hung up"] += 1
            status, said, headers = 400, {"error": "the sender hung up"}, {}
        except Exception:  # whatever it is, it goes to our log and not to the sender
            logging.getLogger(__name__).exception("a request failed")
            self.rejected["our fault"] += 1
            status, said, headers = 500, {"error": "our fault; the events were not taken, send them again"}, {}
        self.answers[status] += 1
        return Response(json.dumps(said), status, headers, "application/json")

    async def metrics(self, _: Request) -> Response:
        """Tell the counters as Prometheus text."""
        told = [
            "# HELP door_events_accepted_total Events taken.",
            "# TYPE door_events_accepted_total counter",
            f"door_events_accepted_total {self.accepted}",
            "# HELP door_events_rejected_total Events not taken, by reason.",
            "# TYPE door_events_rejected_total counter",
            *(f'door_events_rejected_total{{reason="{name}"}} {n}' for name, n in sorted(self.rejected.items())),
            "# HELP door_answers_total Requests answered, by status.",
            "# TYPE door_answers_total counter",
            *(f'door_answers_total{{status="{status}"}} {n}' for status, n in sorted(self.answers.items())),
            "# HELP door_bytes_total Bytes of bodies, as they came.",
            "# TYPE door_bytes_total counter",
            f"door_bytes_total {self.received_bytes}",
        ]
        return PlainTextResponse("\n".join(told) + "\n" + self._metrics(), media_type="text/plain; version=0.0.4")

    async def health(self, _: Request) -> Response:
        """Tell whether events are taken."""
        wrong = self._healthy()
        said = {"status": "stopped", "error": wrong} if wrong else {"status": "ok"}
        return Response(json.dumps(said), 503 if wrong else 200, media_type="application/json")

    async def _taken(self, request: Request) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Return status, answer and headers; of a body with some good events, those are taken."""
        self._admit(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in LINES | FRAMES:
            known = "application/x-ndjson (a JSON object a line) or application/vnd.event-command.frame"
            raise TurnedAway(415, "content type", f"Content-Type is {kind[:60]!r}; send {known}")
        try:
            with anyio.fail_after(PATIENCE_S):
                body = await self._body(request)
        except TimeoutError:
            raise TurnedAway(
                408, "too slow", f"the body took longer than {PATIENCE_S:g} s; send less at once"
            ) from None
        if not body:
            raise TurnedAway(400, "empty", "the body is empty; send at least one event")
        frame, lost = await self._read(body, kind)
        self.rejected.update(lost)
        said: dict[str, Any] = {"accepted": len(frame), "rejected": sum(lost.values()), "reasons": dict(lost)}
        if not len(frame):
            return 422, {"error": "no event in the body could be read"} | said, {}
        said["position"] = self._offered(frame)
        self.accepted += len(frame)
        return 200, said, {}

    def _offered(self, frame: Frame) -> int:
        """Hand a frame to the sink; what it has no place for is the sender's to keep."""
        try:
            return self._sink.offer(frame)
        except Refused as error:
            busy = error.reason == "busy"
            after = {"Retry-After": "1" if busy else "10"}
            raise TurnedAway(429 if busy else 503, "queue is full" if busy else "not kept", str(error), after) from None

    def _admit(self, request: Request) -> None:
        """Refuse strangers, in the same time whatever they show, and bodies that say they are too large."""
        if self._token is not None:
            scheme, _, shown = request.headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), self._token)
            if scheme.lower() != "bearer" or not same:
                remedy = "show the token as Authorization: Bearer TOKEN"
                raise TurnedAway(401, "no token", remedy, {"WWW-Authenticate": "Bearer"})
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._limit:
            raise self._large()

    def _large(self) -> TurnedAway:
        return TurnedAway(
            413, "too large", f"a body holds at most {self._limit:,} bytes, also unpacked; send less at once"
        )

    async def _body(self, request: Request) -> bytes:
        """Receive the body, and unpack it on the way: it is never larger in memory than the limit."""
        packed = request.headers.get("content-encoding", "identity").strip().lower()
        if packed not in {"identity", "gzip", ""}:
            raise TurnedAway(415, "encoding", f"Content-Encoding is {packed[:60]!r}; send gzip, or none")
        unpack = _Gunzip(self._limit) if packed == "gzip" else None
        parts, size, came = [], 0, 0
        async for chunk in request.stream():
            came += len(chunk)
            self.received_bytes += len(chunk)
            part = chunk if unpack is None else unpack.feed(chunk)
            size += len(part)
            if came > self._limit or size > self._limit:
                raise self._large()
            parts.append(part)
        if unpack is not None and came and not unpack.whole:
            raise TurnedAway(400, "gzip is damaged", "the body is no whole gzip stream; send it again")
        return b"".join(parts)

    @staticmethod
    async def _read(body: bytes, kind: str) -> tuple[Frame, Counter[str]]:
        if kind in FRAMES:
            try:
                return decode(body), Counter()
            except Unreadable as error:
                raise TurnedAway(400, error.reason, str(error)) from None
        return lines(body) if len(body) <= SMALL else await run_sync(lines, body)


class _Gunzip:
    """A gzip stream, unpacked piece by piece and never beyond the limit; members may follow one another."""

    def __init__(self, limit: int) -> None:
        self._left = limit + 1
        self._stream = zlib.decompressobj(31)

    @property
    def whole(self) -> bool:
        """Whether the last member has ended."""
        return self._stream.eof

    def feed(self, data: bytes) -> bytes:
        """Unpack what came; at most one byte more than the limit comes out in all."""
        parts = []
        while data and self._left > 0:
            if self._stream.eof:
                self._stream = zlib.decompressobj(31)
            try:
                part = self._stream.decompress(data, self._left)
            except zlib.error:
                raise TurnedAway(400, "gzip is damaged", "the body is no gzip stream; send it again") from None
            self._left -= len(part)
            parts.append(part)
            data = self._stream.unconsumed_tail or self._stream.unused_data
        return b"".join(parts)


class Server:
    """A door on a port, in a thread of its own.

    Parameters
    ----------
    door
        What it serves.
    host, port
        Where; port 0 takes a free one.

    Raises
    ------
    OSError
        From `start`, when the port is taken.
    """

    def __init__(self, door: Door, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.door = door
        self._where = host, port
        self._socket: socket.socket | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                door.app(),
                log_level="critical",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_keep_alive=30,
                limit_concurrency=256,
                timeout_graceful_shutdown=2,
            )
        )
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Where it listens: ``http://127.0.0.1:8080``."""
        host, port = self._where if self._socket is None else self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Listen; requests are answered when this returns."""
        host, port = self._where
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # asyncio sends without delay only where the socket names its protocol; else an answer waits 40 ms for an ACK.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen(128)
        except OSError as error:
            self._socket.close()
            raise OSError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another port") from error
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="door", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)

    def close(self) -> None:
        """Answer what was begun, and stop listening."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._socket is not None:
            self._socket.close()
