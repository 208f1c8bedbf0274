"""Defines how connections are encrypted: etcd's flags for TLS, for client or peer URLs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """The TLS flags for client URLs or for peer URLs.

    Files are in PEM; an empty path means none. `flag_prefix` is the prefix of the flags: "--" for
    clients, "--peer-" for peers.
    """

    flag_prefix: str = "--"
    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    """The file of the authorities whose certificates are accepted."""
    client_cert_auth: bool = False
    crl_file: str = ""
    """The file of the revoked certificates."""
    allowed_cn: str = ""
    """The common name that a connecting member's certificate must have, or ""."""
    allowed_hostname: str = ""
    """The DNS name that a connecting client's or member's certificate must contain, or ""."""
    auto: bool = False
    """Whether the member creates a certificate for itself."""

    @property
    def serves(self) -> bool:
        """Whether the member has a certificate, so that it can serve https URLs."""
        return bool(self.cert_file or self.auto)

    @property
    def requires_client_cert(self) -> bool:
        """Whether a connecting client or member must have a certificate.

        This is the case if `client_cert_auth` is set. As in etcd, `trusted_ca_file` alone has the
        same effect.
        """
        return self.client_cert_auth or bool(self.trusted_ca_file)

    def problem(self) -> str:
        """Return what is wrong with the combination of flags, or "" if it is valid."""
        flag = self.flag_prefix
        if bool(self.cert_file) != bool(self.key_file):
            given, missing = ("cert", "key") if self.cert_file else ("key", "cert")
            return f"{flag}{given}-file is given without {flag}{missing}-file; expected both"
        if self.auto and self.cert_file:
            return f"{flag}auto-tls and {flag}cert-file are given; expected one of them"
        if self.allowed_cn and self.allowed_hostname:
            return (
                f"{flag}cert-allowed-cn and {flag}cert-allowed-hostname are given; expected one"
                " of them"
            )
        if (self.allowed_cn or self.allowed_hostname) and not self.requires_client_cert:
            return (
                f"an allowed name in certificates has no effect without {flag}trusted-ca-file or"
                f" {flag}client-cert-auth; expected one of them"
            )
        return ""


NO_CLIENT_TLS = TlsSettings()
NO_PEER_TLS = TlsSettings(flag_prefix="--peer-")
