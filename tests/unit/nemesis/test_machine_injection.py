"""Faults of simulated machines that overlap with other faults are injected and healed correctly."""

from __future__ import annotations

import asyncio
from random import Random

from splitbrain.nemesis.disk_fault import DiskFault
from splitbrain.nemesis.fault import Kill
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.power_and_disks import inject


class Machine:
    """A cluster of one member that lists the actions on it."""

    name = "machine"
    members = ("n1",)

    def __init__(self) -> None:
        self.actions: list[str] = []

    async def leader(self) -> str:
        return "n1"

    async def kill(self, member: str) -> None:
        self.actions.append("kill")

    async def restart(self, member: str) -> None:
        self.actions.append("restart")

    async def set_disk(self, member: str, state: object) -> None:
        self.actions.append("disk")

    async def rot(self, member: str) -> str:
        return "nowhere"

    async def revive(self, member: str) -> None:
        self.actions.append("revive")


async def overlapping(machine: Machine, *, kill_ends_first: bool) -> None:
    in_force = FaultsInForce(machine)
    disk = await inject(DiskFault("all", full=True), in_force, Random(1))
    kill = await inject(Kill("all"), in_force, Random(1))
    for injected in (kill, disk) if kill_ends_first else (disk, kill):
        await injected.undo()


def test_healing_a_disk_does_not_start_a_member_that_another_fault_keeps_killed() -> None:
    machine = Machine()
    asyncio.run(overlapping(machine, kill_ends_first=False))
    assert machine.actions == ["disk", "kill", "disk", "restart"]


def test_healing_a_disk_after_a_kill_starts_a_member_that_stopped_because_of_the_disk() -> None:
    machine = Machine()
    asyncio.run(overlapping(machine, kill_ends_first=True))
    assert machine.actions == ["disk", "kill", "restart", "disk", "revive"]
