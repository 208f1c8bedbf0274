"""Tests whether members with TLS refuse connections that they must refuse.

A probe is one connection. The harness observes whether the handshake succeeds. A probe offers at
most TLS 1.2, because in this version the handshake ends only after the member has checked the
client's certificate.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from splitbrain.harness.systems.tls.certificates import ClusterCertificates, KeyPair

TRIES = 3
TIMEOUT_S = 5.0

VALID_IDENTITY = "a certificate of the authority"
UrlKind = Literal["client", "peer"]
Identity = Literal[
    "a certificate of the authority", "no certificate", "a certificate of another authority",
    "plain text",
]  # fmt: skip


class TlsProbe(msgspec.Struct, frozen=True):
    """One connection that the harness tried to make to a member with TLS, and its result."""

    member: str
    url: UrlKind
    """Whether the connection was made to the member's URL for clients or for peers."""
    identity: Identity
    """The certificate that the harness showed to the member. A member must accept only
    `VALID_IDENTITY`."""
    accepted: bool | None
    """Whether the member accepted the connection. None: it neither accepted nor refused it in
    time."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    member: str
    url: UrlKind
    address: str
    identity: Identity
    context: ssl.SSLContext | None


async def probe_tls(
    certificates: ClusterCertificates, urls: Mapping[str, Mapping[UrlKind, str]]
) -> tuple[TlsProbe, ...]:
    """Try all connections to the URLs of all members at the same time, and return the results."""
    attempts = tuple(_attempts(certificates, urls))
    accepted = await asyncio.gather(*map(_accepted, attempts))
    return tuple(
        TlsProbe(one.member, one.url, one.identity, found)
        for one, found in zip(attempts, accepted, strict=True)
    )


def _attempts(
    certificates: ClusterCertificates, urls: Mapping[str, Mapping[UrlKind, str]]
) -> Iterator[_Attempt]:
    stranger = certificates.stranger
    contexts: dict[Identity, ssl.SSLContext | None] = {
        "a certificate of the authority": _context(certificates, certificates.client_pair),
        "no certificate": _context(certificates, None),
        "a certificate of another authority": _context(certificates, stranger),
        "plain text": None,
    }
    for member, by_kind in urls.items():
        for kind, url in by_kind.items():
            for identity, context in contexts.items():
                if context is not None or kind == "client":
                    yield _Attempt(
                        member=member, url=kind, address=url, identity=identity, context=context
                    )


def _context(certificates: ClusterCertificates, pair: KeyPair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if pair is not None:
        context.load_cert_chain(pair.cert, pair.key)
    return context


async def _accepted(attempt: _Attempt) -> bool | None:
    for _ in range(TRIES):
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await _connects(attempt)
        except TimeoutError:
            continue
        except OSError:  # ssl.SSLError is a subclass of OSError
            return False
    return None


async def _connects(attempt: _Attempt) -> bool:
    parts = urlsplit(attempt.address)
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port, ssl=attempt.context
    )
    try:
        if attempt.context is not None:
            return True
        writer.write(b"GET /health HTTP/1.1\r\nHost: member\r\n\r\n")
        return (await reader.read(12)).startswith(b"HTTP/1.1 200")
    finally:
        writer.transport.abort()
