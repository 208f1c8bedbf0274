"""Ports for members to listen on, which many runs at once do not take from each other.

A member binds its ports itself, again at each restart, so that a port must stay
ours while nobody listens on it. Two things see to that: ports lie outside the range
from which the kernel serves `bind(0)` and outgoing connections, and each is held by
an flock on a file that every run on this machine agrees on. The kernel lets go of
the lock when the run ends, however it ends.
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
    """Ports held for one cluster, until `release`."""

    def __init__(self) -> None:
        self._locks: list[int] = []

    def take(self) -> int:
        """A port of 127.0.0.1 that nobody listens on and no other run holds.

        Raises SystemFailed when there is none.
        """
        candidates = _candidates()
        # Where to look first is no part of a run that anyone repeats: ports are not chance.
        spread = random.Random(os.urandom(8))
        for _ in range(_TRIES_MAX):
            port = candidates[spread.randrange(len(candidates))]
            lock = _lock(port)
            if lock is None:
                continue
            if _bindable(port):
                self._locks.append(lock)
                return port
            os.close(lock)
        raise SystemFailed(
            f"no free port found on {HOST} in {_TRIES_MAX} tries between {candidates[0]} and "
            f"{candidates[-1]}: end other runs, or look for what listens there (ss -ltn)"
        )

    def release(self) -> None:
        """Let go of all ports; safe to call twice."""
        while self._locks:
            os.close(self._locks.pop())


def _candidates() -> range:
    """Ports below the kernel's own range, or above it, or, if it takes all, any."""
    try:
        low, high = (int(word) for word in _KERNEL_RANGE.read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999  # Linux's default
    below, above = range(PORT_MIN, min(low, PORT_MAX)), range(high + 1, PORT_MAX + 1)
    widest = max(below, above, key=len)
    return widest if len(widest) >= 1_000 else range(PORT_MIN, PORT_MAX + 1)


def _lock(port: int) -> int | None:
    """A file descriptor that holds the lock of `port`, or None if someone else does."""
    folder = Path(tempfile.gettempdir()) / f"splitbrain-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
