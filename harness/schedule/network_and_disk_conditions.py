"""How the healthy links and disks of a simulated cluster behave."""

from __future__ import annotations

import msgspec


class NetworkConditions(msgspec.Struct, frozen=True):
    """How a healthy link of a simulated cluster behaves.

    By default a connection behaves like TCP: frames arrive whole, in order and once. With `loose`,
    each frame may be lost, duplicated or overtaken, independent of the other frames.
    """

    delay_us: tuple[int, int] = (80, 120)
    """The shortest delay of a frame, and the mean of the random delay that is added to it."""
    slow_percent: float = 0.02
    """The percentage of frames that wait for a retransmission, which takes 200, 400 or 800 ms."""
    loose: bool = False
    loss_percent: float = 0.0
    duplicate_percent: float = 0.0
    reorder_percent: float = 0.0


class DiskConditions(msgspec.Struct, frozen=True):
    """How a healthy disk of a simulated cluster behaves."""

    sync_ms: float = 0.0
    """The mean time by which a sync of a file or folder takes longer than on a fast drive."""
    commit_ms: float = 0.0
    """The mean time by which a commit of the backend takes longer than on a fast drive."""


IDEAL_NETWORK = NetworkConditions()
IDEAL_DISK = DiskConditions()
