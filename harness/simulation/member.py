"""One machine of a simulated cluster, and the member that runs on it."""

from __future__ import annotations

from splitbrain.harness.simulation.clock import MachineClock
from splitbrain.harness.simulation.machine_disk import MachineDisk
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.world import SimulatedWorld
from splitbrain.node.server import Server


class Member:
    """One machine, with its clock and disk, and the present process of its member.

    Clock and disk outlive the process.
    """

    def __init__(self, name: str, clock: MachineClock, disk: MachineDisk) -> None:
        self.name = name
        self.clock = clock
        self.disk = disk
        self.lives = 0
        self.disks = 1
        """The number of disks that the machine has had."""
        self.vacant = False
        """Whether the member was removed from the cluster. While this is True, no process starts
        here."""
        self.process: Process | None = None
        self.world: SimulatedWorld | None = None
        self.server: Server | None = None
        """The server of the present process; None before it serves."""
        self.trace_lines: list[bytes] = []
        self.log_lines: list[bytes] = []
        self.stop_reason = ""
        """Why the last process ended, if it ended by itself; otherwise ""."""

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.process.ended

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.runs
