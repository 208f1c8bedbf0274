"""Creates the certificates of a cluster with TLS: an authority, and certificates that it signs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from splitbrain.harness.clients.tls import ClientTls

VALID = timedelta(days=30)
MARGIN = timedelta(days=1)
"""How long before the present time a certificate becomes valid. Faults can set the members' clocks
back."""
LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The paths of a certificate and of its private key."""

    cert: Path
    key: Path


class ClusterCertificates:
    """The certificates of one cluster, in `folder`: of an authority, the members and the clients.

    The members' certificate is valid for the addresses in `hosts` and for the loopback addresses.
    """

    def __init__(self, folder: Path, hosts: Iterable[str] = ()) -> None:
        authority = Authority(folder)
        self.authority = authority.cert
        self.member = authority.issue("member", dict.fromkeys((*LOOPBACK, *hosts)))
        self.client_pair = pair = authority.issue("client")
        self.client = ClientTls(authority.cert, pair.cert, pair.key)
        self.stranger = Authority(folder, "stranger_ca").issue("stranger")
        """A certificate that another authority has signed. The members must refuse it."""

    def flags(self) -> tuple[str, ...]:
        """Return the command-line flags for TLS, which etcd and this project's member share."""
        authority, cert, key = str(self.authority), str(self.member.cert), str(self.member.key)
        return (
            "--client-cert-auth", "--trusted-ca-file", authority,
            "--cert-file", cert, "--key-file", key,
            "--peer-client-cert-auth", "--peer-trusted-ca-file", authority,
            "--peer-cert-file", cert, "--peer-key-file", key,
        )  # fmt: skip


class Authority:
    """A certificate authority, which signs other certificates.

    Its own certificate is the file NAME.pem in `folder`, for example `ca.pem`. Therefore several
    authorities with different names can share a folder. The attribute `cert` is the path of this
    file.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.cert = folder / f"{name}.pem"
        own = _builder(self._name, self._name, self._key, VALID).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.cert.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, hosts: Iterable[str] = LOOPBACK) -> KeyPair:
        """Create a key and a certificate with the common name `name`, for servers and for clients.

        As a server's certificate it is valid for `hosts`. The files are `name`.pem and `name`.key;
        existing files are replaced.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(_name(name), self._name, key, VALID)
            .add_extension(
                x509.SubjectAlternativeName([_alternative_name(host) for host in hosts]),
                critical=False,
            )
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
        )
        pair = KeyPair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pair.cert.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        return pair


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - MARGIN)
        .not_valid_after(now + valid)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
