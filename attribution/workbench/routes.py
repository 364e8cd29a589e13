"""What the app's server answers beside its pages, the beat of a feed as server-sent events; how it dresses them."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from attribution.workbench import paths
from attribution.workbench.analyst import analyst
from attribution.workbench.head import Dressed
from attribution.workbench.matrix import land_svg
from attribution.workbench.pulse import PULSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import Scope


def routes() -> list[Route]:
    """Return the routes of the app's server."""
    return [
        Route(paths.beat("{token}"), listen, methods=["GET"]),
        Route(paths.land(), drawn, methods=["GET"]),
        Route(paths.first(), known, methods=["GET"]),
    ]


def middleware() -> list[Middleware]:
    """Return what stands before the app's server."""
    return [Middleware(Dressed, before=before)]


def before(scope: Scope) -> str:
    """Return the frame that stands over the live page until it has run; empty where there is nothing to show yet."""
    query = scope["query_string"].decode("latin-1")
    if scope["path"].rstrip("/") != paths.below("").rstrip("/") or not PULSES:
        return ""
    from attribution.workbench import first  # noqa: PLC0415  loaded with the first watch, not with the server

    return "" if first.opened(query) is None else first.frame(query)


def known(request: Request) -> Response:
    """Answer with what is known at this moment, as a document; runs in a thread of its own."""
    from attribution.workbench import first  # noqa: PLC0415

    feed = first.opened(request.url.query) if PULSES else None
    if feed is None:
        return PlainTextResponse("nothing is open here", status_code=404)
    return HTMLResponse(first.document(feed), headers={"Cache-Control": "no-store"})


async def drawn(_: Request) -> Response:
    """Answer with the outline of the land."""
    return Response(land_svg(), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


async def listen(request: Request) -> Response:
    """Answer with the events of a feed, from its newest state on; a browser that comes back says what it has."""
    pulse = PULSES.get(request.path_params["token"])
    if pulse is None:
        return PlainTextResponse("nothing is heard here", status_code=404)
    last = request.headers.get("last-event-id", "")
    seen = int(last) if re.fullmatch(r"[0-9]{1,15}", last) else -1
    told = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pulse.read(seen), media_type="text/event-stream", headers=told)


@asynccontextmanager
async def served(_: Any) -> AsyncIterator[None]:
    """Load model and live page before the first visitor; let listeners go when the server is to stop: it would wait."""
    analyst().begin()
    threading.Thread(target=import_module, args=("attribution.workbench.live",), daemon=True).start()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            _before(number)
    yield


def _before(number: int) -> None:
    """End every pulse before the handler of a signal does its work."""
    handler = signal.getsignal(number)

    def stop(*given: Any) -> None:
        for pulse in list(PULSES.values()):
            pulse.end()
        if callable(handler):
            handler(*given)

    if callable(handler):
        signal.signal(number, stop)
