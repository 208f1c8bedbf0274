"""Creates the certificate of a member that is started with --auto-tls or --peer-auto-tls.

Source: etcd's `SelfCert` (client/pkg/transport), which also keeps the files in `fixtures/`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOT_BEFORE_MARGIN = timedelta(hours=1)
"""The period before its creation for which a certificate is also valid, because clocks differ."""


def self_signed(folder: Path, hosts: Iterable[str], years: int) -> tuple[Path, Path]:
    """Return the paths of a certificate for `hosts`, and of its key, in `folder`.

    If the files do not exist, they are created. The certificate is then valid for `years`. Raises
    OSError.
    """
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    if cert_file.exists() and key_file.exists():
        return cert_file, key_file
    key = ec.generate_private_key(ec.SECP256R1())
    folder.mkdir(parents=True, exist_ok=True)
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    made = _certificate(key, hosts, years)
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return cert_file, key_file


def _certificate(
    key: ec.EllipticCurvePrivateKey, hosts: Iterable[str], years: int
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "splitbrain")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - NOT_BEFORE_MARGIN)
        .not_valid_after(now + timedelta(days=365 * years))
        .add_extension(
            x509.SubjectAlternativeName([_alternative_name(host) for host in sorted(set(hosts))]),
            critical=False,
        )
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
