"""What the app's server answers beside its pages, the beat of a feed as server-sent events; how it dresses them."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from attribution.workbench.analyst import analyst
from attribution.workbench.head import Dressed
from attribution.workbench.matrix import land_svg
from attribution.workbench.pulse import PULSES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


def below(path: str) -> str:
    """Return a path below the one at which the app is served."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/{path}" if base else f"/{path}"


def address(token: str) -> str:
    """Return the path at which a feed is heard."""
    return below(f"live/beat/{token}")


def routes() -> list[Route]:
    """Return the routes of the app's server."""
    return [
        Route(address("{token}"), listen, methods=["GET"]),
        Route(below("live/land.svg"), drawn, methods=["GET"]),
    ]


def middleware() -> list[Middleware]:
    """Return what stands before the app's server."""
    return [Middleware(Dressed)]


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
