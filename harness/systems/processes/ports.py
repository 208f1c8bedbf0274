"""Ports for members to listen on, reserved so that concurrent runs do not share a port.

Each member binds its ports in its own process, and again at each restart. Therefore a port must
stay reserved while no process listens on it. Two measures reserve it. First, ports are outside the
range from which the kernel serves `bind(0)` and outgoing connections. Second, each port is locked
by flock on a file whose path is the same for every run on this machine. The kernel releases the
lock when the run ends, for whatever reason.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from splitbrain.harness.errors import SystemFailed

HOST = "127.0.0.1"
PORT_MIN = 15_000
PORT_MAX = 65_535
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES_MAX = 4_000


class Ports:
    """The ports of one cluster, reserved until `release`."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def take(self) -> int:
        """Reserve a port of 127.0.0.1 that is free and that no other run has reserved.

        Raises SystemFailed if there is no such port.
        """
        candidates = _candidates()
        # Ports are drawn from the operating system's randomness, because they are not part of a
        # schedule.
        spread = random.Random(os.urandom(8))
        for _ in range(_TRIES_MAX):
            port = candidates[spread.randrange(len(candidates))]
            lock = _lock(port)
            if lock is None:
                continue
            if is_free(port):
                self._locks.append(lock)
                return port
            os.close(lock)
        raise SystemFailed(
            f"no free port found on {HOST} in {_TRIES_MAX} tries between {candidates[0]} and "
            f"{candidates[-1]}; end other runs, or list the programs that listen (ss -ltn)"
        )

    def release(self) -> None:
        """Release all ports. A second call has no effect."""
        while self._locks:
            os.close(self._locks.pop())


def _candidates() -> range:
    """Return the ports below or above the kernel's range for outgoing connections.

    Returns all ports if too few are outside that range.
    """
    try:
        low, high = (int(word) for word in _KERNEL_RANGE.read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999  # Linux's default
    below, above = range(PORT_MIN, min(low, PORT_MAX)), range(high + 1, PORT_MAX + 1)
    widest = max(below, above, key=len)
    return widest if len(widest) >= 1_000 else range(PORT_MIN, PORT_MAX + 1)


def _lock(port: int) -> int | None:
    """Lock `port`.

    Returns the file descriptor of the lock, or None if another run has locked it.
    """
    folder = Path(tempfile.gettempdir()) / f"splitbrain-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def is_free(port: int) -> bool:
    """Return whether no process listens on `port` of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this option. With it, connections of an earlier run in TIME_WAIT do not
        # matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
