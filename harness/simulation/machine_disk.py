"""The disk of a machine, and the view that one process has of it (`splitbrain.node.world.Disk`).

A process that crashes loses nothing that it wrote, because the page cache belongs to the machine. A
power loss (`MachineDisk.lose_power`) loses data; `harness/disk/simulated_disk.py` describes the
data that remains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from splitbrain.harness.disk.simulated_disk import (
    Inode,
    Volume,
    drop_entry,
    move_entry,
    parent_and_name,
    parts,
    put_entry,
)
from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_DISK, DiskConditions
from splitbrain.harness.simulation.crash_point import CrashPoint
from splitbrain.harness.simulation.disk_area import is_in_area
from splitbrain.harness.simulation.simulated_backend import SimulatedBackend, StoredBackend
from splitbrain.harness.simulation.simulated_process import Ended, Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.disk_fault import HEALTHY, DiskArea, DiskCall, DiskState, Edge
from splitbrain.node.member_storage import BACKEND
from splitbrain.node.world import DirectoryInUse, DiskError

T = TypeVar("T")

SYNC_US = (60, 600)
"""The shortest and the longest time of a sync on a healthy disk. The values are typical of an NVMe
drive."""
BACKEND_FILE = "data.mdb"


class MachineDisk:
    """A machine's disk, which outlives processes and power losses. `state` describes its faults."""

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        reached: Callable[[str], None] = lambda _: None,
        conditions: DiskConditions = IDEAL_DISK,
    ) -> None:
        self._loop = loop
        self.random = random
        self.reached = reached
        self.conditions = conditions
        self.volume = Volume()
        self.state: DiskState = HEALTHY
        self.held_by: Process | None = None
        self.backends: list[StoredBackend] = []
        self.syncs = 0
        self.synced: Callable[[], None] = lambda: None
        """Called after a file was synced, before the caller of the sync continues."""
        self.awaited: list[asyncio.Future[None]] = []
        """Futures that are completed when the disk next begins a sync."""
        self.crash_points: list[CrashPoint] = []
        self.crash: Callable[[CrashPoint], None] = lambda _: None
        """Called with the point that the process has reached. It ends the process."""
        self.effects = 0
        """How many reads, writes and syncs the faults in `state` have changed so far."""
        self.slow_until_ns = 0
        """The end of the last sync that a fault has prolonged. It can be later than the end of the
        fault."""
        self.lost_durable_data = False
        """Whether the disk has ever lost or changed data that it had reported as durable."""
        self.remembers = False
        """Whether files keep the earlier contents of their sectors, which the fault `LostSectors`
        needs."""

    def begins_to_sync(self) -> None:
        """Complete the futures of the tasks that wait for a sync to begin."""
        for future in self.awaited:
            self._loop.soon(None, _complete, future)
        self.awaited.clear()

    def lose_power(self) -> None:
        """Lose all data that is not durable."""
        self.held_by = None
        if any(inode.writes for _, inode in self.volume.files()):
            self.reached("power was lost with unsynced writes in a file")
        if self.volume.unsynced_below():
            self.reached("power was lost with unsynced changes in a directory")
        self.volume.lose_power(self.random)

    def stop_backends(self) -> None:
        """Interrupt the running commits to the backends, because the process has ended."""
        for backend in self.backends:
            took_effect = backend.stop_at_once(self.random)
            if took_effect is not None:
                effect = "took effect" if took_effect else "did not take effect"
                self.reached(f"a commit to the backend was interrupted, and {effect}")

    # --- faults that lose durable data -----------------------------------------------------

    def rot(self, area: DiskArea = "", bits: int = 1) -> str:
        """Flip `bits` bits of one file in `area`, chosen at random.

        Returns the file and the offset as text, or "" if the area contains no data.
        """
        if area == "backend":
            places = [f"{BACKEND} at {place}" for place in self._rot_backend(bits)]
        else:
            files = [
                (path, inode) for path, inode in self.volume.files()
                if inode.cached and is_in_area(path, area)
            ]
            path, inode = self.random.choice(files) if files else ("", Inode())
            places = [f"{path} at {inode.rot(self.random, bits)}"] if files else []
        return self._lost("a bit flipped on a disk", places)

    def _rot_backend(self, bits: int) -> list[str]:
        stored = self.volume.at(f"{BACKEND}/{BACKEND_FILE}")
        return stored.rot(self.random, bits) if isinstance(stored, StoredBackend) else []

    def lose_sectors(self, area: DiskArea, sectors: int) -> str:
        """Replace up to `sectors` durable sectors in `area` by their earlier content.

        Returns the places as text, or "" if no earlier content is remembered.
        """
        if area == "backend":
            stored = self.volume.at(f"{BACKEND}/{BACKEND_FILE}")
            found = stored.lose_pairs(self.random, sectors) if stored is not None else []
            places = [f"{BACKEND} at {place}" for place in found]
        else:
            files = [
                (path, inode) for path, inode in self.volume.files()
                if any(inode.history or ()) and is_in_area(path, area)
            ]
            path, inode = self.random.choice(files) if files else ("", Inode())
            lost = inode.lose_sectors(self.random, sectors) if files else []
            places = [f"{path} at sector {sector}" for sector in lost]
        return self._lost("a disk lost synced sectors", places)

    def _lost(self, condition: str, places: Sequence[str]) -> str:
        if places:
            self.reached(condition)
            self.lost_durable_data = True
        return ", ".join(places)

    def lies(self, path: str) -> bool:
        """Return whether a sync of `path` now reports success but makes nothing durable."""
        if not (self.state.lying and is_in_area(path, self.state.area)):
            return False
        self.effects += 1
        self._lost("a sync reported success without an effect", (path,))
        return True

    def misdirected(self, path: str, offset: int, size: int) -> int:
        """Return the offset at which a write takes effect.

        It is `offset`, unless the disk misdirects the write to another offset.
        """
        if not (is_in_area(path, self.state.area) and self.happens(self.state.misdirect_percent)):
            return offset
        self.effects += 1
        self._lost("a write went to a wrong place", (path,))
        return self.random.randrange(0, max(offset + size, 4096), 512)

    def torn(self, path: str) -> Callable[[int], bool] | None:
        """Return which sectors of a write never become durable; None if the write is not torn.

        The result is a function from the number of a sector to a bool.
        """
        if not (is_in_area(path, self.state.area) and self.happens(self.state.torn_percent)):
            return None
        self.effects += 1
        self._lost("a write was torn", (path,))
        return lambda _: self.random.random() < 0.5

    # --- faults --------------------------------------------------------------------------

    def reach(self, edge: Edge, call: DiskCall, path: str) -> None:
        """Count an operation of the process. Raises Ended if a crash point ends the process."""
        for point in self.crash_points:
            if point.is_at(edge, call, path):
                self.reached(f"a member crashed at a disk operation: {call}")
                self.crash(point)
                raise Ended

    def happens(self, percent: float) -> bool:
        """Return True with a probability of `percent` percent."""
        return percent > 0 and self.random.random() * 100 < percent

    def check_write(self, what: str) -> None:
        """Raise the OSError of a failed write, if the disk is full or a random draw decides so."""
        if self.state.full:
            self.effects += 1
            self.reached("a disk was full")
            raise DiskError(f"{what}: No space left on device")
        if self.happens(self.state.write_error_percent):
            self.effects += 1
            self.reached("a write failed")
            raise DiskError(f"{what}: Input/output error")

    def check_read(self, what: str) -> None:
        """Raise the OSError of a failed read, if a random draw decides so."""
        if self.happens(self.state.read_error_percent):
            self.effects += 1
            raise DiskError(f"{what}: Input/output error")

    def sync_fails(self) -> bool:
        """Decide at random whether a sync fails. Counts a failed sync as an effect of the fault."""
        fails = self.happens(self.state.sync_error_percent)
        self.effects += fails
        return fails

    def sync_ns(self, more_ms: float) -> int:
        """Return how long a sync takes, in ns. `more_ms` is added to its mean duration."""
        # The square makes most syncs fast and a few slow.
        least, most = SYNC_US
        pause_us = least + (most - least) * self.random.random() ** 2
        self.effects += self.state.slow_ms > 0
        slow_ms = self.state.slow_ms + more_ms
        return int((pause_us + 1000 * slow_ms * self.random.random() * 2) * 1000)


class SimulatedFile:
    """One open file of a process; implements `splitbrain.node.world.File`."""

    def __init__(self, disk: SimulatedDisk, path: str, inode: Inode) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._open = True
        self.unsynced_bytes = inode.unsynced_bytes
        """The number of unsynced bytes of the file, including those that earlier processes
        wrote."""
        self._lost_bytes = int(inode.dropped)
        """The number of bytes that failed syncs dropped. A later sync does not make them durable,
        unless all of them are written again."""

    def write(self, offset: int, data: bytes) -> None:
        self._disk.check_alive()
        assert self._open, f"a write to {self._path}, which is closed"
        machine = self._disk.machine
        machine.reach("before", "write", self._path)
        machine.check_write(f"write {self._path}")
        self.unsynced_bytes += len(data)
        at = machine.misdirected(self._path, offset, len(data))
        self._inode.write(at, data, machine.torn(self._path))
        machine.reach("after", "write", self._path)

    def truncate(self, size: int) -> None:
        self._disk.check_alive()
        machine = self._disk.machine
        machine.reach("before", "write", self._path)
        machine.check_write(f"truncate {self._path}")
        self._inode.resize(size)
        machine.reach("after", "write", self._path)

    async def sync(self) -> None:
        inode, machine = self._inode, self._disk.machine
        unsynced, covered = self.unsynced_bytes - self._lost_bytes, inode.mark()
        self._disk.check_alive()
        machine.reach("before", "sync", self._path)
        await self._disk.wait_for_disk()
        if machine.sync_fails():
            machine.reached("a sync failed")
            inode.fail_sync(covered, machine.random)
            self._lost_bytes += unsynced
            raise DiskError(f"sync {self._path}: Input/output error")
        self.unsynced_bytes -= unsynced
        if not machine.lies(self._path):
            inode.sync(covered)
            if self._lost_bytes and not inode.dropped:
                self.unsynced_bytes -= self._lost_bytes
                self._lost_bytes = 0
        machine.synced()
        machine.reach("after", "sync", self._path)

    def close(self) -> None:
        self._open = False


class SimulatedDisk:
    """The disk as one process of a member uses it; implements `splitbrain.node.world.Disk`.

    Paths are relative to the member's data folder.
    """

    def __init__(self, loop: VirtualLoop, machine: MachineDisk, process: Process) -> None:
        self._loop = loop
        self._process = process
        self.machine = machine
        self._volume = machine.volume
        process.at_end.append(machine.stop_backends)

    def check_alive(self) -> None:
        if self._process.ended:
            raise Ended

    async def wait_for_disk(self) -> None:
        await self._wait(self.machine.conditions.sync_ms)

    async def wait_for_commit(self) -> None:
        await self._wait(self.machine.conditions.commit_ms)

    async def _wait(self, more_ms: float) -> None:
        self.check_alive()
        self.machine.syncs += 1
        self.machine.begins_to_sync()
        loop = self._loop
        future = loop.create_future()
        end_ns = loop.now_ns + self.machine.sync_ns(more_ms)
        if self.machine.state.slow_ms:
            self.machine.slow_until_ns = max(self.machine.slow_until_ns, end_ns)
        loop.at_ns(end_ns, self._process, _complete, future)
        await future

    # --- reading -------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        return self._volume.at(path) is not None

    def list(self, path: str) -> list[str]:
        found = self._volume.at(path)
        return sorted(found.entries) if isinstance(found, Volume) else []

    def read(self, path: str) -> bytes:
        self.machine.check_read(f"read {path}")
        return self._file(path).read()

    def size(self, path: str) -> int:
        return self._file(path).size

    def _file(self, path: str) -> Inode:
        found = self._volume.at(path)
        if not isinstance(found, Inode):
            raise DiskError(f"open {path}: No such file or directory")
        return found

    # --- directories ----------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        self.check_alive()
        at = self._volume
        for part in parts(path):
            if part not in at.entries:
                self.machine.reach("before", "create", path)
                self.machine.check_write(f"make {path}")
                at.change(put_entry(part, Volume()))
                self.machine.reach("after", "create", path)
            at = at.directory(part)

    def rename(self, source: str, target: str) -> None:
        self.check_alive()
        directory, old = parent_and_name(source)
        other, new = parent_and_name(target)
        if directory != other:
            raise DiskError(f"rename {source} to {target}: only within a directory")
        self._file(source)
        self.machine.reach("before", "rename", target)
        self.machine.check_write(f"rename {source}")
        if new.endswith(".wal") and any(one.endswith(".wal") for one in self.list(directory)):
            self.machine.reached("a log continued in another segment")
        self._volume.directory(directory).change(move_entry(old, new))
        self.machine.reach("after", "rename", target)

    def remove(self, path: str) -> None:
        self.check_alive()
        directory, name = parent_and_name(path)
        if self._volume.at(path) is not None:
            self.machine.reach("before", "remove", path)
            if name.endswith(".wal"):
                self.machine.reached("a segment of a log was removed")
            self._volume.directory(directory).change(drop_entry(name))
            self.machine.reach("after", "remove", path)

    async def sync_directory(self, path: str) -> None:
        directory = self._volume.directory(path)
        self.check_alive()
        self.machine.reach("before", "sync_directory", path)
        await self.wait_for_disk()
        if self.machine.sync_fails():
            raise DiskError(f"sync {path}: Input/output error")
        if not self.machine.lies(path):
            directory.sync()
        self.machine.reach("after", "sync_directory", path)

    # --- files ------------------------------------------------------------------------------

    def create(self, path: str, *, preallocate_bytes: int = 0) -> SimulatedFile:
        self.check_alive()
        self.machine.reach("before", "create", path)
        self.machine.check_write(f"create {path}")
        directory, name = parent_and_name(path)
        inode = self._volume.at(path)
        if isinstance(inode, Inode):
            inode.resize(0)
        else:
            inode = Inode(remembers=self.machine.remembers)
            self._parent(directory, path).change(put_entry(name, inode))
        if preallocate_bytes:
            inode.resize(preallocate_bytes)
        self.machine.reach("after", "create", path)
        return SimulatedFile(self, path, inode)

    def _parent(self, directory: str, path: str) -> Volume:
        try:
            return self._volume.directory(directory)
        except FileNotFoundError:
            raise DiskError(f"create {path}: No such file or directory") from None

    def open(self, path: str) -> SimulatedFile:
        self.check_alive()
        return SimulatedFile(self, path, self._file(path))

    async def replace(self, path: str, data: bytes) -> None:
        temporary = path + ".tmp"
        file = self.create(temporary)
        try:
            file.write(0, data)
            await file.sync()
        finally:
            file.close()
        self.rename(temporary, path)
        await self.sync_directory(parent_and_name(path)[0])

    def lock(self) -> None:
        holder = self.machine.held_by
        if holder is not None and not holder.ended and holder is not self._process:
            raise DirectoryInUse(f"the data directory of {holder.name} is in use by its process "
                                 f"number {holder.life}; stop that member first")
        self.machine.held_by = self._process

    # --- the backend --------------------------------------------------------------------------

    def open_backend(self, path: str) -> SimulatedBackend:
        self.make_directory(path)
        directory = self._volume.directory(path)
        stored = directory.entries.get(BACKEND_FILE)
        if stored is None:
            stored = StoredBackend(self.machine, f"{path}/{BACKEND_FILE}")
            directory.change(put_entry(BACKEND_FILE, stored))
            # LmdbBackend also makes the names of the file and of its directory durable.
            directory.sync()
            self._volume.directory(parent_and_name(path)[0]).sync()
            self.machine.backends.append(stored)
        return SimulatedBackend(stored, run=_BackendWorker(self, stored).run)


class _BackendWorker:
    """Executes commits to the backend.

    A commit takes as long as the disk needs for it, and fails if a fault of the disk hits it.
    """

    def __init__(self, disk: SimulatedDisk, stored: StoredBackend) -> None:
        self._disk = disk
        self._stored = stored

    async def run(self, work: Callable[[], T]) -> T:
        machine = self._disk.machine
        machine.check_write("commit to the backend")
        self._disk.check_alive()
        self._stored.running_commit = work
        machine.reach("before", "commit", BACKEND)
        await self._disk.wait_for_commit()
        self._stored.running_commit = None
        if machine.sync_fails():
            raise DiskError("commit to the backend: Input/output error")
        result = work()
        machine.reach("after", "commit", BACKEND)
        return result


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
