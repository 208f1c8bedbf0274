"""Counts the TCP connections that programs of this machine open to some ports."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"


class NewConnections:
    """Counts new TCP connections by reading the kernel's table of connections.

    A connection that is open only for a short time may be missed.
    """

    def __init__(self) -> None:
        self._present: frozenset[tuple[str, str]] | None = None
        self._count = 0

    def count(self, ports: Collection[int]) -> int:
        """Return how many connections to `ports` have appeared since the first call."""
        now = frozenset(_established(ports))
        if self._present is not None:
            self._count += len(now - self._present)
        self._present = now
        return self._count


def _established(ports: Collection[int]) -> Iterator[tuple[str, str]]:
    """Yield the local and the remote end of each connection that one of `ports` has accepted."""
    wanted = {f"{port:04X}" for port in ports}
    for line in TABLE.read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if state == _ESTABLISHED and local.rpartition(":")[2] in wanted:
            yield local, remote
