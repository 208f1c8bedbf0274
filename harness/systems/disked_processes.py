"""A base class for a store whose members are processes with disks that can fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from splitbrain.harness.disk.faulty_volume import Areas
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.local_processes import LocalMember, LocalProcesses
from splitbrain.harness.systems.member_disks import MemberDisks
from splitbrain.nemesis.capabilities import DiskState
from splitbrain.nemesis.fault import DiskArea, MemberName


class DiskedProcesses(LocalProcesses):
    """As `LocalProcesses`; the folder `LocalMember.data` of each member is on a FUSE disk.

    It implements the faults `power`, `disk` and `storage`. The members must keep their data in this
    folder. They cannot run as another user, who cannot enter the disk. Derive from this class and
    `ProxiedProcesses` for faults of links as well.
    """

    areas: ClassVar[Areas] = {}
    """Patterns of files below `data` by the name of an area, such as "log"."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **more: object
    ) -> None:
        super().__init__(members=members, folder=folder, options=options, **more)
        self._disks = MemberDisks(self.areas, options.seed or 0)
        if self._user:
            raise SystemFailed(
                f"{self._shown_name()}: members with a disk of their own cannot run as the user "
                f"{self._user}; run the harness as this user, or use LocalProcesses"
            )

    async def stop(self) -> None:
        try:
            await super().stop()
        finally:
            await self._disks.unmount()

    async def _place(self, name: MemberName, number: int) -> LocalMember:
        place = await super()._place(name, number)
        await self._disks.mount(name, place.data)
        return place

    async def lose_power(self, members: Sequence[MemberName]) -> None:
        """Kill the members, and lose what their disks have not made durable."""
        await self._disks.lose_power(members, self.kill)

    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        await self._disks.of(member).set_state(state)

    async def revive(self, member: MemberName) -> None:
        await self.restart(member)

    async def rot(self, member: MemberName, area: DiskArea, bits: int) -> str:
        return await self._disks.of(member).rot(area, bits)

    async def lose_sectors(self, member: MemberName, area: DiskArea, sectors: int) -> str:
        return await self._disks.of(member).lose_sectors(area, sectors)
