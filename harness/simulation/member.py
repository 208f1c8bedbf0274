"""One machine of a simulated cluster, and the member that lives on it."""

from __future__ import annotations

from splitbrain.harness.simulation.clock import MachineClock
from splitbrain.harness.simulation.disk import MachineDisk
from splitbrain.harness.simulation.process import Process
from splitbrain.harness.simulation.world import SimulatedWorld
from splitbrain.node.server import Server


class Member:
    """One machine: its clock and disk outlive the member's process."""

    def __init__(self, name: str, clock: MachineClock, disk: MachineDisk) -> None:
        self.name = name
        self.clock = clock
        self.disk = disk
        self.lives = 0
        self.process: Process | None = None
        self.world: SimulatedWorld | None = None
        self.server: Server | None = None
        """Of the present life, once it serves."""
        self.trace_lines: list[bytes] = []
        self.log_lines: list[bytes] = []
        self.stopped_why = ""
        """Why its last life ended by itself, if it did."""

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.process.ended

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.runs
