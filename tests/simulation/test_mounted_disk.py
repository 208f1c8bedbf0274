"""The simulated disk and the disk that is mounted by FUSE have the same behaviour."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from splitbrain.harness.simulation.machine_disk import MachineDisk, SimulatedDisk
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.harness.systems.disks.folder_content import delete_content, replace_content
from splitbrain.harness.systems.disks.mounted_disk import MountedDisk
from splitbrain.harness.systems.processes.member_process import python_env
from splitbrain.nemesis.disk_fault import HEALTHY, DiskState
from splitbrain.nemesis.linux.mounts import fuse_missing, mounted_folders
from splitbrain.nemesis.linux.undo_journal import Journal, undo_leftovers
from splitbrain.node.world import DiskError

SECTORS = 16
OLD, NEW = b"o" * 512 * SECTORS, b"n" * 512 * SECTORS
FILE = "member/wal/1.wal"


class Disk(Protocol):
    """A disk as both kinds can be used. Calls raise OSError or DiskError."""

    async def write(self, data: bytes) -> None: ...
    async def sync(self) -> None: ...
    async def read(self) -> bytes: ...
    async def set_state(self, state: DiskState) -> None: ...
    async def lose_power(self) -> None: ...
    async def rot(self) -> str: ...
    async def lose_sectors(self, count: int) -> str: ...


class Simulated:
    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self._loop = loop
        self._machine = MachineDisk(loop, Random(seed))
        self._machine.remembers = True
        self._lives = 0
        self._disk = self._life()

    def _life(self) -> SimulatedDisk:
        self._lives += 1
        return SimulatedDisk(self._loop, self._machine, Process("n1", self._lives))

    async def create(self) -> None:
        self._disk.make_directory("member/wal")
        file = self._disk.create(FILE)
        for directory in (".", "member", "member/wal"):
            await self._disk.sync_directory(directory)
        file.close()

    async def write(self, data: bytes) -> None:
        self._disk.open(FILE).write(0, data)

    async def sync(self) -> None:
        await self._disk.open(FILE).sync()

    async def read(self) -> bytes:
        return self._disk.read(FILE)

    async def set_state(self, state: DiskState) -> None:
        self._machine.state = state

    async def lose_power(self) -> None:
        self._machine.lose_power()
        self._disk = self._life()

    async def rot(self) -> str:
        return self._machine.rot("log", 1)

    async def lose_sectors(self, count: int) -> str:
        return self._machine.lose_sectors("log", count)


class Mounted:
    def __init__(self, disk: MountedDisk) -> None:
        self._disk = disk
        self._file = disk.folder / FILE

    async def create(self) -> None:
        await asyncio.to_thread(self._file.parent.mkdir, parents=True)
        await asyncio.to_thread(self._file.touch)
        await self.sync()

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._pwrite, data)

    def _pwrite(self, data: bytes) -> None:
        handle = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(handle, data, 0)
        finally:
            os.close(handle)

    async def sync(self) -> None:
        await asyncio.to_thread(self._fdatasync)

    def _fdatasync(self) -> None:
        handle = os.open(self._file, os.O_WRONLY)
        try:
            os.fdatasync(handle)
        finally:
            os.close(handle)

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._file.read_bytes)

    async def set_state(self, state: DiskState) -> None:
        await self._disk.set_state(state)

    async def lose_power(self) -> None:
        await self._disk.lose_power()
        await self._disk.power_on()

    async def rot(self) -> str:
        return await self._disk.rot("log", 1)

    async def lose_sectors(self, count: int) -> str:
        return await self._disk.lose_sectors("log", count)


@asynccontextmanager
async def mounted(folder: Path, seed: int) -> AsyncIterator[Disk]:
    disk = MountedDisk(
        folder / "data", {"log": ("member/wal/*.wal",)}, seed, Journal(folder / "journal")
    )
    try:
        await disk.mount()
        adapter = Mounted(disk)
        await adapter.create()
        yield adapter
    finally:
        await disk.unmount()
    assert str(disk.folder) not in mounted_folders()
    assert list((folder / "journal").iterdir()) == []
    assert (disk.folder / FILE).exists(), "the files stay in the folder"


async def synced_data_survives_and_the_rest_survives_by_sectors(disk: Disk) -> None:
    await disk.write(OLD)
    await disk.sync()
    await disk.write(NEW)
    assert await disk.read() == NEW
    await disk.lose_power()
    left = await disk.read()
    assert len(left) == len(OLD)
    assert all(
        left[at : at + 512] in (OLD[:512], NEW[:512]) for at in range(0, len(left), 512)
    )
    await disk.write(NEW)
    await disk.sync()
    await disk.lose_power()
    assert await disk.read() == NEW


async def a_lying_sync_makes_nothing_durable(disk: Disk) -> None:
    await disk.write(OLD)
    await disk.sync()
    await disk.set_state(DiskState(lying=True))
    seen = set()
    for _ in range(20):
        await disk.write(NEW)
        await disk.sync()
        await disk.lose_power()
        seen.add(await disk.read())
        await disk.set_state(HEALTHY)
        await disk.write(OLD)
        await disk.sync()
        await disk.set_state(DiskState(lying=True))
    assert OLD in seen
    assert len(seen) > 2


async def a_lie_of_another_area_is_none(disk: Disk) -> None:
    await disk.set_state(DiskState(lying=True, area="backend"))
    await disk.write(OLD)
    await disk.sync()
    await disk.lose_power()
    assert await disk.read() == OLD


async def a_full_disk_and_failing_writes_refuse_writes_and_change_nothing(disk: Disk) -> None:
    await disk.write(OLD)
    for state in (DiskState(full=True), DiskState(write_error_percent=100)):
        await disk.set_state(state)
        with pytest.raises((OSError, DiskError)):
            await disk.write(NEW)
    await disk.set_state(HEALTHY)
    assert await disk.read() == OLD


async def after_a_failed_sync_a_later_one_does_not_help(disk: Disk) -> None:
    lost = 0
    for _ in range(20):
        await disk.write(OLD)
        await disk.sync()
        await disk.write(NEW)
        await disk.set_state(DiskState(sync_error_percent=100))
        with pytest.raises((OSError, DiskError)):
            await disk.sync()
        await disk.set_state(HEALTHY)
        await disk.sync()
        assert await disk.read() == NEW
        await disk.lose_power()
        lost += await disk.read() != NEW
    assert lost > 5


async def a_torn_write_shows_after_a_power_loss(disk: Disk) -> None:
    await disk.write(OLD)
    await disk.sync()
    await disk.set_state(DiskState(torn_percent=100))
    await disk.write(NEW)
    await disk.sync()
    assert await disk.read() == NEW
    await disk.lose_power()
    left = await disk.read()
    assert {left[at : at + 512] for at in range(0, len(left), 512)} == {OLD[:512], NEW[:512]}


async def a_misdirected_write_is_somewhere_else_in_the_file(disk: Disk) -> None:
    await disk.write(OLD)
    await disk.sync()
    await disk.set_state(DiskState(misdirect_percent=100))
    await disk.write(b"x")
    left = await disk.read()
    assert left.count(b"x") == 1
    assert left.index(b"x") % 512 == 0


async def a_rotten_bit_and_lost_sectors_change_durable_data(disk: Disk) -> None:
    await disk.write(OLD)
    await disk.sync()
    assert FILE in await disk.rot()
    rotten = await disk.read()
    assert sum((a ^ b).bit_count() for a, b in zip(rotten, OLD, strict=True)) == 1
    await disk.write(OLD)
    await disk.sync()
    await disk.write(NEW)
    await disk.sync()
    await disk.lose_sectors(2)
    assert await disk.read() == NEW, "the page cache still contains the newer sectors"
    await disk.lose_power()
    left = await disk.read()
    assert sum(left[at : at + 512] != NEW[:512] for at in range(0, len(left), 512)) in (1, 2)


SUITE = (
    synced_data_survives_and_the_rest_survives_by_sectors,
    a_lying_sync_makes_nothing_durable,
    a_lie_of_another_area_is_none,
    a_full_disk_and_failing_writes_refuse_writes_and_change_nothing,
    after_a_failed_sync_a_later_one_does_not_help,
    a_torn_write_shows_after_a_power_loss,
    a_misdirected_write_is_somewhere_else_in_the_file,
    a_rotten_bit_and_lost_sectors_change_durable_data,
)


@pytest.mark.parametrize("test", SUITE, ids=lambda test: test.__name__)
def test_the_simulated_disk(test: Callable[[Disk], object]) -> None:
    loop = VirtualLoop()

    async def main() -> None:
        disk = Simulated(loop, 1)
        await disk.create()
        await test(disk)  # type: ignore[misc]

    loop.run_until_complete(main())


@pytest.mark.cluster
@pytest.mark.skipif(bool(fuse_missing()), reason=fuse_missing() or "-")
@pytest.mark.parametrize("test", SUITE, ids=lambda test: test.__name__)
def test_the_mounted_disk(test: Callable[[Disk], object], tmp_path: Path) -> None:
    make: Callable[[Path, int], AbstractAsyncContextManager[Disk]] = mounted

    async def main() -> None:
        async with make(tmp_path, 1) as disk:
            await test(disk)  # type: ignore[misc]

    asyncio.run(main())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from splitbrain.harness.systems.disks.folder_content import delete_content, replace_content
from splitbrain.harness.systems.disks.mounted_disk import MountedDisk
from splitbrain.harness.systems.processes.member_process import python_env
from splitbrain.nemesis.linux.undo_journal import Journal, undo_leftovers

async def main():
    folder = Path(sys.argv[1])
    await MountedDisk(folder / "data", {}, 1, Journal(folder / "journal")).mount()
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.cluster
@pytest.mark.skipif(bool(fuse_missing()), reason=fuse_missing() or "-")
def test_a_disk_that_a_killed_run_has_left_mounted_is_unmounted_by_the_next(tmp_path: Path) -> None:
    run = subprocess.run(
        (sys.executable, "-c", KILLED, str(tmp_path)), env=python_env(), check=False
    )
    assert run.returncode == -signal.SIGKILL
    assert str(tmp_path / "data") in mounted_folders()
    assert undo_leftovers(tmp_path / "journal") == 1
    assert str(tmp_path / "data") not in mounted_folders()


@pytest.mark.skipif(bool(fuse_missing()), reason=fuse_missing() or "-")
def test_a_power_loss_undoes_no_deletion_and_no_replacement_of_the_content(tmp_path: Path) -> None:
    async def main() -> None:
        journal = Journal(tmp_path / "journal")
        disk = MountedDisk(tmp_path / "data", {"log": ("member/wal/*.wal",)}, 1, journal)
        restored = tmp_path / "restored" / "member" / "wal"
        restored.mkdir(parents=True)
        (restored / "1.wal").write_bytes(NEW)
        try:
            await disk.mount()
            adapter = Mounted(disk)
            await adapter.create()
            await adapter.write(OLD)
            await adapter.sync()
            await asyncio.to_thread(delete_content, disk.folder)
            await adapter.lose_power()
            assert list(disk.folder.iterdir()) == []
            await adapter.create()
            await adapter.write(OLD)
            await adapter.sync()
            await asyncio.to_thread(replace_content, disk.folder, tmp_path / "restored")
            await adapter.lose_power()
            assert await adapter.read() == NEW
        finally:
            await disk.unmount()
        assert not (tmp_path / "restored").exists()

    asyncio.run(main())
