"""Reads the list of revoked certificates (CRL) of `--client-crl-file` or `--peer-crl-file`.

As in etcd, the signature and the dates of the list are not checked.

Source: etcd's `checkCRL` (client/pkg/transport/listener_tls.go).
"""

from __future__ import annotations

from pathlib import Path

from splitbrain.node.api.member_interface import Log
from splitbrain.node.config import ConfigError
from splitbrain.node.real.reloaded import Reloaded


def revoked_certificates(file: str, log: Log) -> Reloaded[frozenset[int]]:
    """Return the serial numbers in the list `file`, which is PEM or DER.

    Raises ConfigError if the file cannot be used.
    """
    return Reloaded(lambda: _serials(Path(file)), (file,), log)


def _serials(file: Path) -> frozenset[int]:
    # The import takes some time, and few members need it.
    from cryptography import x509

    try:
        data = file.read_bytes()
        is_pem = data.startswith(b"-----BEGIN")
        found = x509.load_pem_x509_crl(data) if is_pem else x509.load_der_x509_crl(data)
    except OSError as problem:
        why = problem.strerror
    except ValueError:
        why = "expected a CRL in PEM or DER"
    else:
        return frozenset(one.serial_number for one in found)
    raise ConfigError(f"the list of revoked certificates {file} cannot be used: {why}")
