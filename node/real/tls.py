"""Provides TLS for a member's connections: SSL contexts from files, and checks of certificates.

Source: etcd's `TLSInfo` (client/pkg/transport/listener.go).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from splitbrain.node.api.member_interface import Log
from splitbrain.node.config import ConfigError
from splitbrain.node.real.reloaded import Reloaded
from splitbrain.node.real.revoked_certificates import revoked_certificates
from splitbrain.node.tls_settings import TlsSettings

ALPN = ("http/1.1", "h2")
"""The protocols that ALPN selects from, in the order of preference.

A client that offers both gets HTTP/1.1. Clients of gRPC offer only h2.
"""


class Tls:
    """The SSL contexts for client URLs or for peer URLs, created from the files in `settings`.

    Raises ConfigError if a file cannot be used.
    """

    def __init__(self, settings: TlsSettings, log: Log) -> None:
        self.settings = settings
        files = (settings.cert_file, settings.key_file, settings.trusted_ca_file)
        self._revoked = revoked_certificates(settings.crl_file, log) if settings.crl_file else None
        self.server = Reloaded(self._server_context, files, log)
        self.client = Reloaded(self._client_context, files, log)

    def refusal(self, certificate: dict[str, Any] | None) -> str:
        """Return the reason why a client or peer with this certificate is refused, or "".

        `certificate` is the result of `SSLObject.getpeercert`. Its signature is known to be valid.
        """
        if self._revoked is not None and serial_number(certificate) in self._revoked.current():
            return "the certificate is revoked"
        wanted_cn, wanted_host = self.settings.allowed_cn, self.settings.allowed_hostname
        if wanted_cn and common_name(certificate) != wanted_cn:
            return f"the common name is {common_name(certificate)!r}; expected {wanted_cn!r}"
        if wanted_host and not _names_host(certificate, wanted_host):
            return f"the certificate does not contain the DNS name {wanted_host!r}"
        return ""

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(ALPN)
        self._load_certificate(context)
        if self.settings.requires_client_cert:
            context.verify_mode = ssl.CERT_REQUIRED
            self._load_authorities(context, ssl.Purpose.CLIENT_AUTH)
        return context

    def _client_context(self) -> ssl.SSLContext:
        """Return the context with which this member connects to a peer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load_certificate(context)
        if self.settings.auto:
            # The peer has created its own certificate, too, so no authority has signed it.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            self._load_authorities(context, ssl.Purpose.SERVER_AUTH)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        tls = self.settings
        if tls.cert_file:
            with _naming(f"{tls.flag_prefix}cert-file {tls.cert_file} with {tls.key_file}"):
                context.load_cert_chain(tls.cert_file, tls.key_file)

    def _load_authorities(self, context: ssl.SSLContext, purpose: ssl.Purpose) -> None:
        tls = self.settings
        if not tls.trusted_ca_file:
            context.load_default_certs(purpose)
            return
        with _naming(f"{tls.flag_prefix}trusted-ca-file {tls.trusted_ca_file}"):
            context.load_verify_locations(tls.trusted_ca_file)


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Convert an error about a file inside the `with` block to a ConfigError that names `what`."""
    try:
        yield
    except OSError as problem:  # ssl.SSLError is a subclass of OSError
        raise ConfigError(f"{what} cannot be used: {problem.strerror or problem}") from problem


def common_name(certificate: dict[str, Any] | None) -> str:
    """Return the common name in a certificate, or "" if there is none.

    `certificate` is the result of `SSLObject.getpeercert`.
    """
    for name in (certificate or {}).get("subject", ()):
        for kind, value in name:
            if kind == "commonName":
                return str(value)
    return ""


def serial_number(certificate: dict[str, Any] | None) -> int:
    """Return the serial number of a certificate, or -1 if there is no certificate."""
    return int((certificate or {}).get("serialNumber", "-1"), 16)


def _names_host(certificate: dict[str, Any] | None, host: str) -> bool:
    """Return whether a DNS name in the certificate is `host`.

    A name can begin with "*", which matches any first label.
    """
    patterns = [
        value.lower()
        for kind, value in (certificate or {}).get("subjectAltName", ())
        if kind == "DNS"
    ]
    _, _, parent = host.lower().partition(".")
    return host.lower() in patterns or f"*.{parent}" in patterns
