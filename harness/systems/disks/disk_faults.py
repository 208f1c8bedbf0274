"""The methods for faults of disks, in a cluster whose members can have mounted disks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from splitbrain.harness.systems.disks.member_disks import MemberDisks
from splitbrain.nemesis.disk_fault import DiskArea, DiskState
from splitbrain.nemesis.fault_target import MemberName


class DiskFaults:
    """Cuts the power of members, and makes their mounted disks fail.

    Implements `Powered`, `Disked` and `Corruptible`. A cluster must name this class last among its
    base classes, because the others define `kill` and `restart`.
    """

    _disks: MemberDisks

    async def kill(self, member: MemberName) -> None:
        raise NotImplementedError

    async def restart(self, member: MemberName) -> None:
        raise NotImplementedError

    def start_lock(self, member: MemberName) -> asyncio.Lock:
        raise NotImplementedError

    async def lose_power(self, members: Sequence[MemberName]) -> None:
        """Kill the members, and lose the data that their mounted disks have not made durable.

        Without mounted disks, no written data is lost.
        """
        async with AsyncExitStack() as stack:
            # A process that started now would find a disk that fails.
            for member in sorted(members):
                await stack.enter_async_context(self.start_lock(member))
            await self._disks.lose_power(members, self.kill)

    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        await self._disks.of(member).set_state(state)

    async def revive(self, member: MemberName) -> None:
        await self.restart(member)

    async def rot(self, member: MemberName, area: DiskArea, bits: int) -> str:
        return await self._disks.of(member).rot(area, bits)

    async def lose_sectors(self, member: MemberName, area: DiskArea, sectors: int) -> str:
        return await self._disks.of(member).lose_sectors(area, sectors)
