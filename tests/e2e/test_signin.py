"""Sign-in by OpenID Connect, at a provider of our own on this machine: operators act, viewers look."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

jwt = pytest.importorskip("joserfc.jwt", reason="sign-in comes with the extra signin")
jwk = pytest.importorskip("joserfc.jwk")
pytest.importorskip("authlib")

ANNA, GUEST = "anna@example.com", "guest@example.com"
CLIENT = "event-command"

pytestmark = pytest.mark.browser


class Provider(ThreadingHTTPServer):
    """An OpenID provider that signs in whoever is set, without asking."""

    def __init__(self, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, auto_kid=False)
        self.secret, self.who, self.asked = secret, ANNA, {}
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    """The four answers of a provider: what it can do, its keys, a code for a visit, a token for a code."""

    server: Provider

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        at, given = urlsplit(self.path), self.server
        if at.path.endswith("openid-configuration"):
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            known = {name: f"{given.issuer}/{path}" for name, path in places.items()}
            self._say(
                {"issuer": given.issuer, "response_types_supported": ["code"], **known}
                | {"id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"]}
            )
        elif at.path == "/keys":
            self._say({"keys": [given.key.as_dict(private=False)]})
        else:
            asked = {name: values[0] for name, values in parse_qs(at.query).items()}
            assert asked["client_id"] == CLIENT
            assert "openid" in asked["scope"].split()
            code = secrets.token_urlsafe(8)
            given.asked[code] = asked | {"email": given.who}
            self.send_response(302)
            self.send_header(
                "Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            )
            self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.server.asked.pop(given["code"])
        digest = hashlib.sha256(given["code_verifier"].encode()).digest()
        assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
        now = int(time.time())
        claims = {"iss": self.server.issuer, "aud": CLIENT, "sub": asked["email"], "iat": now, "exp": now + 600}
        claims |= {"email": asked["email"], "email_verified": True}
        claims |= {"nonce": asked["nonce"]} if "nonce" in asked else {}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.server.key)
        self._say({"access_token": "none", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _say(self, what: dict) -> None:
        data = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def provider():
    """A provider that runs."""
    made = Provider(secrets.token_hex(16))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def address(serve, free, provider, tmp_path_factory):
    """The app with sign-in, as the README says it is set up."""
    folder, port = tmp_path_factory.mktemp("signin"), free()
    (folder / "secrets.toml").write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "{CLIENT}"
client_secret = "{provider.secret}"
server_metadata_url = "{provider.issuer}/.well-known/openid-configuration"

[roles]
operators = ["{ANNA}"]
"""
    )
    with serve("waiting", folder / "log", "--secrets.files", str(folder / "secrets.toml"), port=port) as at:
        yield at


def entered(context, address: str, provider: Provider, who: str):
    """Sign in as somebody."""
    provider.who = who
    page = context.new_page()
    page.goto(address)
    page.get_by_text("These pages are for those who sign in.").wait_for()
    assert page.locator(".verdict, .kpi, .st-key-quick, iframe").count() == 0
    assert page.request.get(f"{address}/live/first").status == 404
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text(who).wait_for()
    page.locator(".st-key-panel-protocol").wait_for()
    return page


def test_an_operator_acts_and_a_viewer_looks(address, provider, browser, dress):
    anna, guest = (dress(browser.new_context()) for _ in range(2))
    page = entered(anna, address, provider, ANNA)
    assert "operator" in page.locator(".st-key-who").inner_text()
    page.get_by_role("button", name="Lock the plan").wait_for()
    page.get_by_role("button", name="Acknowledge 1").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("These pages are for those who sign in.").wait_for()
    page = entered(guest, address, provider, GUEST)
    assert "viewer" in page.locator(".st-key-who").inner_text()
    page.get_by_text("You look as a viewer").wait_for()
    assert page.get_by_role("button", name="Lock the plan").count() == 0
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    page.goto(f"{address}/tune?data=live")
    page.locator(".st-key-panel-plan", has_text="You look as a viewer").wait_for()
    assert page.get_by_role("button", name="Lock these settings").count() == 0
    for context in (anna, guest):
        context.close()
