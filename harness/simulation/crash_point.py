"""A point at which the process of a member ends: an exact operation of its machine's disk."""

from __future__ import annotations

import asyncio

from splitbrain.harness.simulation.disk_area import is_in_area
from splitbrain.nemesis.disk_fault import DiskCall, DiskCrash, Edge


class CrashPoint:
    """Counts the disk operations of a process, up to the operation at which the process ends.

    `crash` describes which operations count, and the number of the last one. `reached` is completed
    when the process has ended at that operation.
    """

    def __init__(self, crash: DiskCrash, reached: asyncio.Future[None]) -> None:
        self.loses_power = crash.do == "power"
        self.reached = reached
        self._crash = crash
        self._left = crash.nth

    def is_at(self, edge: Edge, call: DiskCall, path: str) -> bool:
        """Count the operation `call` on `path`. Return whether the process must end there."""
        crash = self._crash
        if edge != crash.edge or crash.call not in ("", call) or not is_in_area(path, crash.area):
            return False
        self._left -= 1
        return self._left == 0
