"""What stands over the live page until that has run: of what is open, for those who may see it, as text."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from starlette.requests import Request

import attribution as at
from attribution.workbench import first, moving, routes, strokes, watch
from attribution.workbench.event import view
from attribution.workbench.look import Answer, look
from attribution.workbench.pulse import Pulse

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Stands:
    """A watch that shows one look."""

    def __init__(self, shown):
        self.shown, self.pulse, self.forgotten = shown, Pulse(), False

    def look(self):
        return self.shown

    def drawing(self, shown):
        return strokes.drawing(shown)

    def parts(self, shown):
        return moving.parts(shown)


@pytest.fixture
def stands(made, monkeypatch):
    """The usual event, open and answered; a hostile title and airing."""
    airings = made.airings.assign(airing=HOSTILE)
    snapshot = watch.nothing_yet({"airings": airings, "context": at.simulate(at.SCENARIOS["halftime"], rng=7).context})
    snapshot = replace(snapshot, now=made.as_of + pd.Timedelta("1s"), state="LIVE")
    event = replace(at.SCENARIOS["halftime"], title=HOSTILE)
    feed = Stands(look(event, at.Settings(), snapshot, Answer(words={}, changed={}, result=made)))
    monkeypatch.setattr(first, "OPEN", {view({}): feed})
    return feed


def asked(query=""):
    """Return status, head and text of what is answered."""
    scope = {"type": "http", "method": "GET", "path": "/live/first", "query_string": query.encode(), "headers": []}
    answer = routes.known(Request({**scope, "server": ("localhost", 80), "scheme": "http"}))
    return answer.status_code, answer.headers, bytes(answer.body).decode()


def over(path="/", query=""):
    """Return what stands over a page."""
    return routes.before({"path": path, "query_string": query.encode()})


def test_the_frame_shows_verdict_figures_and_chart_of_one_look_and_hears_the_same_beat(stands):
    status, head, page = asked()
    assert status == 200
    assert head["cache-control"] == "no-store"
    assert stands.shown.verdict.word in page
    assert f"/live/beat/{stands.pulse.token}" in page
    assert page.count('class="ec kpi"') == 5


def test_what_a_feed_types_ends_no_script_and_is_no_markup(stands):
    page = asked()[2]
    assert "<img" not in page
    assert page.count("</script>") == 2


@pytest.mark.parametrize("query", ["event=clean", "seed=8", "depth=present", "at=20:41:00", "alpha=2", "event=no"])
def test_another_page_another_moment_or_what_is_not_open_has_no_frame(stands, query):
    assert asked(query)[0] == 404
    assert over(query=query) == ""


def test_an_event_that_is_over_and_left_has_no_frame(stands):
    assert over().startswith("<iframe")
    stands.forgotten = True
    assert over() == ""
    assert asked()[0] == 404


def test_other_pages_have_no_frame_and_an_address_is_no_markup(stands):
    assert over("/tune") == ""
    assert over(query="seed=7") != ""
    assert "<img" not in over(query='seed=7&tz="><img>')


def test_who_has_to_sign_in_sees_nothing_before(stands, monkeypatch):
    assert asked()[0] == 200
    monkeypatch.setattr(first, "get_secrets_auth_section", lambda: {"cookie_secret": "x"})
    assert asked()[0] == 404
    assert over() == ""


def test_a_watch_is_open_from_its_first_moment_to_its_last():
    wanted = view({"seed": "90210"})
    feed = watch.Watch(wanted)
    try:
        assert first.opened("seed=90210") is feed
    finally:
        feed.close()
    assert first.opened("seed=90210") is None
