"""Blocks of 256 IPv4 addresses for networks on this machine, each reserved by one run.

The blocks are in 198.18.0.0/15, which is set aside for tests of network devices. A run reserves a
block by flock, as it reserves ports.

Source: RFC 2544, RFC 6890.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from splitbrain.harness.errors import SystemFailed

BLOCKS = tuple(f"198.{second}.{third}" for second in (18, 19) for third in range(256))
MEMBERS_MAX = 200
_ROUTES = Path("/proc/net/route")


class AddressBlock:
    """The addresses `prefix`.0 to `prefix`.255, reserved until `release`."""

    def __init__(self) -> None:
        used = _prefixes_with_a_route()
        for prefix in BLOCKS:
            if prefix not in used and (lock := _lock(prefix)) is not None:
                self.prefix = prefix
                self._lock: int | None = lock
                return
        raise SystemFailed("no block of addresses in 198.18.0.0/15 is free: end other runs")

    @property
    def network(self) -> str:
        return f"{self.prefix}.0/24"

    @property
    def harness(self) -> str:
        """Return the address of the harness, from which clients connect."""
        return f"{self.prefix}.1"

    @property
    def router(self) -> str:
        return f"{self.prefix}.254"

    def member(self, number: int) -> str:
        """Return the address of the member with this number, from 1."""
        if not 1 <= number <= MEMBERS_MAX:
            raise SystemFailed(f"member number {number}: expected 1 to {MEMBERS_MAX}")
        return f"{self.prefix}.{10 + number}"

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock(prefix: str) -> int | None:
    folder = Path(tempfile.gettempdir()) / f"splitbrain-networks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / prefix, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _prefixes_with_a_route() -> set[str]:
    """Return the prefixes of the blocks to which this machine already has a route."""
    try:
        lines = _ROUTES.read_text().splitlines()[1:]
    except OSError:
        return set()
    found = set()
    for line in lines:
        octets = bytes.fromhex(line.split()[1])[::-1]
        found.add(".".join(str(octet) for octet in octets[:3]))
    return found
