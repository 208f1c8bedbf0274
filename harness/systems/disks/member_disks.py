"""The mounted disks of the members of one cluster, which lose, change and refuse data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from splitbrain.harness.disk.faulty_disk import Areas
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.disks.mounted_disk import MountedDisk
from splitbrain.histories.random_stream import subseed
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.linux.undo_journal import Journal


class MemberDisks:
    """The mounted disks of the members. There are none if the members use the machine's disk."""

    def __init__(self, areas: Areas, seed: int) -> None:
        self._areas = areas
        self._seed = seed
        self._journal = Journal()
        self._disks: dict[MemberName, MountedDisk] = {}

    async def mount(self, member: MemberName, folder: Path) -> None:
        """Mount an empty disk on the member's data folder. Raises SystemFailed."""
        seed = subseed(self._seed, "disk", member)
        disk = self._disks[member] = MountedDisk(folder, self._areas, seed, self._journal)
        await disk.mount()

    def of(self, member: MemberName) -> MountedDisk:
        """Return the mounted disk of the member.

        Raises SystemFailed if the cluster runs without mounted disks.
        """
        if member not in self._disks:
            raise SystemFailed(
                f"the disk of {member} cannot fail: the cluster was started without mounted disks "
                "(ClusterSettings.mounted_disks)"
            )
        return self._disks[member]

    async def lose_power(
        self, members: Sequence[MemberName], kill: Callable[[MemberName], Awaitable[None]]
    ) -> None:
        """Cut the power of the members' disks at one moment, and call `kill` for each member."""
        disks = [self._disks[member] for member in members if member in self._disks]
        await asyncio.gather(*(disk.lose_power() for disk in disks))
        try:
            await asyncio.gather(*(kill(member) for member in members))
        finally:
            await asyncio.gather(*(disk.power_on() for disk in disks))

    async def unmount(self) -> None:
        """Unmount every disk, and put its files into the member's data folder."""
        disks, self._disks = self._disks, {}
        await asyncio.gather(*(disk.unmount() for disk in disks.values()))
