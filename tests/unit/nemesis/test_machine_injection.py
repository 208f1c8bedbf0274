"""Faults of machines that overlap with others."""

from __future__ import annotations

import asyncio
from random import Random

from splitbrain.nemesis.fault import DiskFault, Kill
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.machine import inject


class Machine:
    """One member that keeps what was done to it."""

    name = "machine"
    members = ("n1",)

    def __init__(self) -> None:
        self.done: list[str] = []

    async def leader(self) -> str:
        return "n1"

    async def kill(self, member: str) -> None:
        self.done.append("kill")

    async def restart(self, member: str) -> None:
        self.done.append("restart")

    async def set_disk(self, member: str, state: object) -> None:
        self.done.append("disk")

    async def rot(self, member: str) -> str:
        return "nowhere"

    async def revive(self, member: str) -> None:
        self.done.append("revive")


async def overlapping(machine: Machine, *, kill_ends_first: bool) -> None:
    in_force = FaultsInForce(machine)
    disk = await inject(DiskFault("all", full=True), in_force, Random(1))
    kill = await inject(Kill("all"), in_force, Random(1))
    for inflicted in (kill, disk) if kill_ends_first else (disk, kill):
        await inflicted.undo()


def test_a_disk_that_heals_starts_nobody_whom_a_kill_keeps_down() -> None:
    machine = Machine()
    asyncio.run(overlapping(machine, kill_ends_first=False))
    assert machine.done == ["disk", "kill", "disk", "restart"]


def test_a_disk_that_heals_last_starts_a_member_that_stopped_for_it() -> None:
    machine = Machine()
    asyncio.run(overlapping(machine, kill_ends_first=True))
    assert machine.done == ["disk", "kill", "restart", "disk", "revive"]
