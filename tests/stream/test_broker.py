"""A broker that lets in only whom it knows, over TLS: everything works over it, and who is not let in reads why."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import shutil
import subprocess
import time

import pytest

from attribution.stream import wire
from attribution.stream.book import Rules
from attribution.stream.broker import Broker
from attribution.stream.partitions import Plan

nats = pytest.importorskip("nats", reason="nats-py is not installed: the extra `nats` brings it")

from attribution.stream.gateway import Gateway  # noqa: E402
from attribution.stream.nats import Stream  # noqa: E402
from attribution.stream.owners import Worker  # noqa: E402
from attribution.stream.reader import Reader  # noqa: E402
from attribution.stream.servers import prepared, program, start  # noqa: E402

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def certificates(folder) -> None:
    """Two authorities, and of the first one a certificate for the broker and one for us."""

    def openssl(*told: str) -> None:
        subprocess.run(["openssl", *told], cwd=folder, check=True, capture_output=True)

    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("ca", "other"):
        openssl("req", "-x509", *EC, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "1", "-subj", "/CN=a")
    for name in ("broker", "us"):
        openssl("req", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "ext")
        openssl("x509", "-req", "-in", f"{name}.csr", *by, "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A broker that wants a certificate, a user and a password; how to be let in."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    try:
        program()
    except ValueError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("guarded")
    certificates(folder)
    url, config = prepared(folder)[0]
    files = ", ".join(f'{name}: "{folder / of}"' for name, of in FILES.items())
    users = 'authorization { user: feed, password: "a secret" }'
    config.write_text(f"{config.read_text()}tls {{ {files}, verify: true }}\n{users}\n")
    (folder / "good").write_text("feed:a secret\n")
    server = start(url, config)
    yield folder, {
        "servers": (url.replace("nats", "tls"),), "credentials": folder / "good", "ca": folder / "ca.pem",
        "certificate": folder / "us.pem", "key": folder / "us.key",
    }  # fmt: skip
    server.process.end()


FILES = {"cert_file": "broker.pem", "key_file": "broker.key", "ca_file": "ca.pem"}


def test_everything_works_over_tls_with_a_certificate_a_user_and_a_password(guarded):
    _, known = guarded
    counted(known)


def counted(known) -> None:
    """Send, count and read over a broker to which this much is known."""
    plan = Plan(partitions=2, save_s=0.05, rules=Rules(past_s=3600))

    async def run() -> None:
        stream = await Stream(Broker(**known)).open()
        await stream.make(plan)
        gateway, stop = await Gateway(stream, plan).open(), asyncio.Event()
        working = asyncio.create_task(Worker(stream, plan).run(stop))
        reader = Reader(stream, plan)
        for source in "abc":
            lines = [{"time": time.time(), "seq": i, "epoch": 1, "source": source} for i in (1, 2, 4)]
            await gateway.put(wire.lines("\n".join(map(json.dumps, lines)).encode())[0])
        until = time.monotonic() + 15
        while (found := await reader.read()).book.totals["received"] < 9:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        assert found.book.gaps.dropped == 3
        stop.set()
        await working
        await gateway.close()
        await stream.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"credentials": "wrong"}, r"does not let us in \(Authorization Violation\); check --credentials"),
        ({"credentials": None}, r"does not let us in \(Authorization Violation\); check --credentials"),
        ({"ca": "other.pem"}, r"is not trusted \(unable to get local issuer certificate\); name its authority"),
        ({"ca": None}, r"is not trusted \(.*\); name its authority with --ca"),
        ({"certificate": None, "key": None}, "do not agree on TLS .*check --ca, --certificate and --key"),
    ],
    ids=["wrong password", "no password", "another authority", "no authority", "no certificate"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # asyncio leaves what TLS refused open
def test_who_is_not_let_in_is_told_why_at_once(guarded, change, said, caplog):
    folder, known = guarded
    (folder / "wrong").write_text("feed:wrong")
    given = known | {name: None if of is None else folder / of for name, of in change.items()}
    begun = time.monotonic()
    with pytest.raises(OSError, match=said) as told:
        asyncio.run(Stream(Broker(**given)).open())
    assert time.monotonic() - begun < 5, "it is not tried again and again"
    assert "secret" not in str(told.value)
    assert "127.0.0.1" in str(told.value)


CORE = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
STORE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Signed:
    """A key of NATS' own kind, and the claims that it signs for others (JWT, as ``nsc`` writes them)."""

    def __init__(self, prefix: str) -> None:
        nkeys = pytest.importorskip("nkeys", reason="nkeys is not installed: the extra `nats` brings it")
        self.seed = nkeys.encode_seed(os.urandom(32), getattr(nkeys, f"PREFIX_BYTE_{prefix}"))
        self.key = nkeys.from_seed(self.seed)
        self.name = self.key.public_key.decode()

    def claims(self, subject: Signed, kind: str, **more) -> str:
        told = {"jti": subject.name, "iat": int(time.time()), "iss": self.name, "sub": subject.name, "name": kind}
        told["nats"] = {"type": kind, "version": 2, **more}
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, told]
        text = ".".join(flat(json.dumps(part).encode()) for part in parts)
        return f"{text}.{flat(self.key.sign(text.encode()))}"


def flat(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture(scope="module")
def chartered(tmp_path_factory):
    """A broker of an operator, who lets in users of one account by their credentials; a good file, and another's."""
    folder = tmp_path_factory.mktemp("chartered")
    operator, system, account, user, stranger = (
        Signed(kind) for kind in ("OPERATOR", "ACCOUNT", "ACCOUNT", "USER", "USER")
    )
    allowed = {system: CORE, account: CORE | STORE}  # no system account may store
    accounts = {one.name: operator.claims(one, "account", limits=limits) for one, limits in allowed.items()}
    try:
        url, config = prepared(folder)[0]
    except ValueError as error:
        pytest.skip(str(error))
    preload = ", ".join(f"{name}: {jwt}" for name, jwt in accounts.items())
    config.write_text(
        f"{config.read_text()}\noperator: {operator.claims(operator, 'operator')}\nsystem_account: {system.name}\n"
        f"resolver: MEMORY\nresolver_preload: {{ {preload} }}\n"
    )
    for name, signer in (("good", account), ("other", stranger)):
        jwt = signer.claims(user, "user", subs=-1, data=-1, payload=-1)
        (folder / f"{name}.creds").write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
    server = start(url, config)
    yield folder, url
    server.process.end()


def test_everything_works_with_credentials_that_an_account_has_signed(chartered):
    folder, url = chartered
    counted({"servers": (url,), "credentials": folder / "good.creds"})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
def test_credentials_that_nobody_known_has_signed_are_told_so(chartered):
    folder, url = chartered
    with pytest.raises(OSError, match=r"does not let us in \(Authorization Violation\); check --credentials"):
        asyncio.run(Stream(Broker(servers=(url,), credentials=folder / "other.creds")).open())
    gc.collect()  # here, where it is expected


def test_a_password_in_an_address_is_not_shown():
    broker = Broker(servers=("nats://feed:secret@127.0.0.1:9", "nats://127.0.0.1:10"))
    assert broker.where == "nats://127.0.0.1:9, nats://127.0.0.1:10"
    with pytest.raises(OSError, match=r"no broker at nats://127\.0\.0\.1:9, nats://127\.0\.0\.1:10") as told:
        asyncio.run(Stream(broker).open(wait_s=0.2))
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("credentials", None, "cannot be read .FileNotFoundError.; name another"),
        ("credentials", "nonsense", "give a .creds file, or one with user:password"),
        ("ca", None, "No such file or directory; give the certificate of the authority"),
        ("ca", "nonsense", "holds no certificate; give the certificate of the authority"),
        ("key", "nonsense", "do not fit together; give a certificate and its key"),
    ],
)
def test_files_that_do_not_hold_what_they_should_are_named(guarded, tmp_path, name, text, said):
    _, known = guarded
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=f"{name} is .*{said}"):
        Broker(**known | {name: path}).options()


def test_creds_without_the_package_that_reads_them_say_so(tmp_path, monkeypatch):
    path = tmp_path / "ev.creds"
    path.write_text("-----BEGIN NATS USER JWT-----\nxxx\n------END NATS USER JWT------\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'nats-py\[nkeys\]'"):
        Broker(credentials=path).options()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    assert Broker(credentials=path).options()["user_credentials"] == str(path)
