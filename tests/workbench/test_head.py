"""What every document brings: the look before the script has run, whatever the browser would take it packed as."""

import asyncio
import gzip

import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

from attribution.workbench.head import READY, Dressed, dress

DOCUMENT = "<!DOCTYPE html><html><head><title>Streamlit</title></head><body><p>" + 2000 * "a" + "</p></body></html>"
REPORT = "<!DOCTYPE html><html><head><title>WWE · Halftime</title></head><body><p>caused</p></body></html>"
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def asked(path, accept, packed="gzip"):
    """Return head and body of what a dressed app answers."""

    def document(_):
        return HTMLResponse(DOCUMENT, headers={"etag": '"1"', "last-modified": "Sun, 08 Feb 2026 20:41:00 GMT"})

    def words(_):
        return PlainTextResponse(2000 * "<body>")

    def report(_):
        return HTMLResponse(REPORT, headers={"etag": '"1"', "content-disposition": "attachment"})

    routes = [Route("/", document), Route("/words", words), Route("/media/report.html", report)]
    app = Starlette(routes=routes, middleware=[Middleware(Dressed), Middleware(GZipMiddleware)])
    headers = [(b"accept", accept.encode()), (b"accept-encoding", packed.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    told = []

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        told.append(message)

    asyncio.run(app(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return head, b"".join(message.get("body", b"") for message in told[1:])


def test_a_document_is_dressed_once_and_whole():
    head, body = asked("/", BROWSER)
    assert body == DOCUMENT.encode().replace(b"<body>", b"<body>" + dress())
    assert int(head["content-length"]) == len(body)
    assert not {"etag", "last-modified", "content-encoding"} & set(head)


def test_what_is_no_document_passes_as_it_is():
    head, body = asked("/words", "*/*")
    assert head["content-encoding"] == "gzip"
    assert gzip.decompress(body) == 2000 * b"<body>"
    assert asked("/words", BROWSER)[1] == 2000 * b"<body>"
    assert asked("/", "*/*", packed="identity")[1] == DOCUMENT.encode()


def test_a_report_that_is_saved_stays_as_it_is():
    head, body = asked("/media/report.html", BROWSER)
    assert body == REPORT.encode()
    assert head["etag"] == '"1"'


def test_a_page_is_veiled_until_it_says_that_it_is_laid_out():
    assert 'class="ready"' in READY
    assert b":not(:has(.ready)){visibility:hidden" in dress()


def test_no_run_of_a_fragment_ends_in_a_collection_of_all_that_the_server_holds():
    assert st.get_option("runner.postScriptGC") is False
