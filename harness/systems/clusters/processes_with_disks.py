"""The base class of a user's store whose members are processes with disks that can fail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from splitbrain.harness.disk.faulty_disk import Areas
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.clusters.local_processes import LocalMember, LocalProcesses
from splitbrain.harness.systems.disks.disk_faults import DiskFaults
from splitbrain.harness.systems.disks.member_disks import MemberDisks
from splitbrain.nemesis.fault_target import MemberName


class DiskedProcesses(LocalProcesses, DiskFaults):
    """A store whose members are local processes. The folder `data` of each is on a FUSE disk.

    It implements the faults `power`, `disk` and `storage`. The members must keep their data in this
    folder (`LocalMember.data`). They cannot run as another user, because another user cannot enter
    the disk. To support faults of links, too, derive a class from this class and from
    `ProxiedProcesses`.
    """

    areas: ClassVar[Areas] = {}
    """Maps the name of an area, such as "log", to patterns of its files below `data`."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **more: object
    ) -> None:
        super().__init__(members=members, folder=folder, options=options, **more)
        self._disks = MemberDisks(self.areas, options.seed or 0)
        if self._user_name():
            raise SystemFailed(
                f"{self._shown_name()}: members with a disk of their own cannot run as the user "
                f"{self.user}; run the harness as this user, or use LocalProcesses"
            )

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            await self._disks.unmount()

    async def _place(self, name: MemberName, number: int) -> LocalMember:
        place = await super()._place(name, number)
        await self._disks.mount(name, place.data)
        return place
