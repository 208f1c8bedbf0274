"""Reads the list of revoked certificates (CRL) of `--client-crl-file` or `--peer-crl-file`.

As in etcd, the signature and the dates of the list are not checked.

Source: etcd's `checkCRL` (client/pkg/transport/listener_tls.go).
"""

from __future__ import annotations

from pathlib import Path

from splitbrain.node.api.member_interface import Log
from splitbrain.node.config import ConfigError


class RevokedCertificates:
    """The serial numbers in the list `file`, which is PEM or DER.

    A changed file is read again. If the new file cannot be used, the former numbers are kept, and
    the reason is logged once. Raises ConfigError if the file cannot be used at the start.
    """

    def __init__(self, file: str, log: Log) -> None:
        self._file = Path(file)
        self._log = log
        self._read = self._time()
        self._serials = _serials(self._file)

    def contains(self, serial: int) -> bool:
        """Return whether the certificate with the number `serial` is revoked."""
        now = self._time()
        if now != self._read:
            self._read = now
            try:
                self._serials = _serials(self._file)
            except ConfigError as problem:
                self._log("error", "cannot load the changed certificates", why=str(problem))
        return serial in self._serials

    def _time(self) -> int:
        return self._file.stat().st_mtime_ns if self._file.exists() else 0


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
