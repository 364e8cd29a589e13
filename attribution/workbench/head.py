"""What a page's document brings before its script has run: the look, dark first, and nothing shown half laid out.

It stands first in the body: after the rules of Streamlit, which are added to the head, and before those of a page.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from attribution.workbench.style import style

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

DARK_FIRST = """<script>
(() => {
  const path = location.pathname, seen = `eventCommandTheme-${path}`;
  if (localStorage.getItem(seen)) return;
  localStorage.setItem(seen, "chosen");
  localStorage.setItem(`stActiveTheme-${path}-v2`, JSON.stringify("Dark"));
})();
</script>"""
"""Dark is the default of a control room, whatever the system prefers; the menu's switch is kept from then on."""
OURS = b"<title>Streamlit</title>"
"""What only the document of a page holds: a report that is saved is HTML too, and must stay as it is."""
READY = '<i class="ready"></i>'
"""Written by a page that is laid out."""
VEIL = """<style>
[data-testid=stMain]:not(:has(.ready)){visibility:hidden;animation:unveil 0s 20s forwards!important}
@keyframes unveil{to{visibility:visible}}
body:not(:has(.ready))::after{content:"EVENT_COMMAND";position:fixed;left:0;right:0;top:45%;text-align:center;
 font:600 .85rem var(--mono);letter-spacing:.14em;color:var(--muted);animation:veil 0s 20s forwards!important}
@keyframes veil{to{visibility:hidden}}
</style>"""
"""A page is seen once it is laid out, so that nothing jumps; one that never says so, after twenty seconds."""


@cache
def dress() -> bytes:
    """Return what is put at the beginning of the document's body."""
    return (style() + VEIL + DARK_FIRST).encode()


class Dressed:
    """The app's server, whose documents carry :func:`dress`, and what ``before`` says of a request to stand over it."""

    def __init__(self, app: ASGIApp, before: Callable[[Scope], str] = lambda _: "") -> None:
        self.app, self.before = app, before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; all but documents pass as they are."""
        asked = Headers(scope=scope) if scope["type"] == "http" else {}
        if "text/html" not in asked.get("accept", ""):
            await self.app(scope, receive, send)
            return
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        begun: Message | None = None
        body = b""

        async def dressing(message: Message) -> None:
            nonlocal begun, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if headers.get("content-type", "").startswith("text/html"):
                    begun = message
                    return
            elif begun is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                if OURS in body:
                    body = body.replace(b"<body>", b"<body>" + dress() + self.before(scope).encode(), 1)
                    headers = MutableHeaders(raw=begun["headers"])
                    headers["content-length"] = str(len(body))
                    for name in ("etag", "last-modified"):  # they are those of the document as it was
                        del headers[name]
                await send(begun)
                message, begun = {"type": "http.response.body", "body": body}, None
            await send(message)

        await self.app({**scope, "headers": plain}, receive, dressing)
