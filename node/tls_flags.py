"""Defines the flags of a member for TLS, under etcd's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from splitbrain.node.tls_settings import TlsSettings

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--cert-file", help="The certificate of this member at https URLs for clients."),
    click.option("--key-file", help="The key of --cert-file."),
    click.option(
        "--trusted-ca-file",
        help="The authorities that sign clients' certificates. If it is given, every client needs a"
        " certificate.",
    ),
    click.option(
        "--client-cert-auth",
        is_flag=True,
        help="Every client needs a certificate. The common name in it is the user of a gRPC request"
        " without a token.",
    ),
    click.option("--client-crl-file", help="The revoked certificates of clients."),
    click.option(
        "--client-cert-allowed-hostname", help="A DNS name that clients' certificates must contain."
    ),
    click.option("--auto-tls", is_flag=True, help="Create a certificate for the client URLs."),
    click.option(
        "--peer-cert-file",
        help="The certificate of this member for its peers, as a server and as a client.",
    ),
    click.option("--peer-key-file", help="The key of --peer-cert-file."),
    click.option(
        "--peer-trusted-ca-file",
        help="The authorities that sign peers' certificates. If it is given, every peer needs a"
        " certificate.",
    ),
    click.option("--peer-client-cert-auth", is_flag=True, help="Every peer needs a certificate."),
    click.option("--peer-crl-file", help="The revoked certificates of peers."),
    click.option(
        "--peer-cert-allowed-cn",
        help="The common name that connecting peers' certificates must have.",
    ),
    click.option(
        "--peer-cert-allowed-hostname",
        help="A DNS name that connecting peers' certificates must contain.",
    ),
    click.option(
        "--peer-auto-tls",
        is_flag=True,
        help="Create a certificate for the peer URLs. Certificates of peers are not checked.",
    ),
    click.option(
        "--self-signed-cert-validity",
        type=int,
        default=1,
        show_default=True,
        metavar="YEARS",
        help="How long a certificate that --auto-tls or --peer-auto-tls creates is valid.",
    ),
)


def with_tls_options(command: Any) -> Any:
    """Add the flags for TLS to a click command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def client_tls(flags: Mapping[str, object]) -> TlsSettings:
    """Return the TLS settings for client URLs, from the values of the flags."""
    return TlsSettings(
        cert_file=str(flags["cert_file"] or ""),
        key_file=str(flags["key_file"] or ""),
        trusted_ca_file=str(flags["trusted_ca_file"] or ""),
        client_cert_auth=bool(flags["client_cert_auth"]),
        crl_file=str(flags["client_crl_file"] or ""),
        allowed_hostname=str(flags["client_cert_allowed_hostname"] or ""),
        auto=bool(flags["auto_tls"]),
    )


def peer_tls(flags: Mapping[str, object]) -> TlsSettings:
    """Return the TLS settings for peer URLs, from the values of the flags."""
    return TlsSettings(
        flag_prefix="--peer-",
        cert_file=str(flags["peer_cert_file"] or ""),
        key_file=str(flags["peer_key_file"] or ""),
        trusted_ca_file=str(flags["peer_trusted_ca_file"] or ""),
        client_cert_auth=bool(flags["peer_client_cert_auth"]),
        crl_file=str(flags["peer_crl_file"] or ""),
        allowed_cn=str(flags["peer_cert_allowed_cn"] or ""),
        allowed_hostname=str(flags["peer_cert_allowed_hostname"] or ""),
        auto=bool(flags["peer_auto_tls"]),
    )
