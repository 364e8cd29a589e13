"""Where brokers of NATS are, how one proves who one is, and what it means when they do not have us."""

from __future__ import annotations

import importlib.util
import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class NotLetIn(Exception):  # noqa: N818  becomes an OSError with what to do
    """Every broker says that it will not have us, or is one that we do not trust: trying again does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the brokers are, and how one proves who one is.

    Attributes
    ----------
    servers
        Addresses: ``nats://host:4222``, or ``tls://``; of a cluster, several.
    name
        Of the stream; its subjects are ``NAME.0`` and so on, its bucket is ``NAME-state``, and what cannot be read is
        kept in ``NAME-aside``.
    credentials
        A file of NATS credentials (``.creds``), or with ``user:password`` in its first line.
    ca, certificate, key
        Files of TLS: who is trusted; who we are, where the broker asks.
    """

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    name: str = "ev"
    credentials: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if not self.servers or not all(s.startswith(("nats://", "tls://")) for s in self.servers):
            raise ValueError(f"servers is {self.servers}; give addresses such as nats://127.0.0.1:4222")
        if not self.name.isidentifier():
            raise ValueError(f"name is {self.name!r}; choose letters, digits and _")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; give both, or none")

    @property
    def where(self) -> str:
        """The addresses, without what is secret in them."""
        return ", ".join(re.sub("//[^/@]*@", "//", server) for server in self.servers)

    def options(self) -> dict[str, Any]:
        """Return what ``nats.connect`` takes.

        Raises
        ------
        ValueError
            When a file is missing, or does not hold what it should.
        """
        found: dict[str, Any] = {"servers": list(self.servers)}
        if self.credentials is not None:
            found |= _shown(self.credentials)
        if self.ca is not None or self.certificate is not None or any(s.startswith("tls") for s in self.servers):
            found["tls"] = self._tls()
        return found

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except OSError as error:
            said = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"ca is {self.ca}: {said}; give the certificate of the authority, as PEM") from error
        if self.certificate is not None and self.key is not None:
            try:
                context.load_cert_chain(str(self.certificate), str(self.key))
            except OSError as error:
                said = "they do not fit together" if isinstance(error, ssl.SSLError) else error.strerror
                both = f"certificate is {self.certificate}, key is {self.key}"
                raise ValueError(f"{both}: {said}; give a certificate and its key, as PEM") from error
        return context


def _shown(path: Path) -> dict[str, Any]:
    """Return what a file of credentials holds, as ``nats.connect`` takes it."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"credentials is {path}, which cannot be read ({type(error).__name__}); name another"
        ) from error
    if "BEGIN NATS USER JWT" in text:
        if importlib.util.find_spec("nkeys") is None:
            raise ValueError(f"credentials is {path}, which needs nkeys: pip install 'nats-py[nkeys]'")
        return {"user_credentials": str(path)}
    user, colon, password = text.partition("\n")[0].partition(":")
    if not (user and colon and password):
        raise ValueError(f"credentials is {path}; give a .creds file, or one with user:password in its first line")
    return {"user": user, "password": password}


def refusal(error: Exception) -> str:
    """Say why a broker refuses, and what to do; empty where it may be better the next time."""
    said = str(error).removeprefix("nats: ").strip("'")
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"is not trusted ({error.verify_message}); name its authority with --ca FILE, or its right address"
    if isinstance(error, ssl.SSLError):
        return f"and we do not agree on TLS ({error.reason or said}); check --ca, --certificate and --key"
    if "authorization" in said.lower() or "authentication" in said.lower():
        return f"does not let us in ({said}); check --credentials FILE"
    return ""
