"""The files and directories of one disk that can fail, and the file operations on them.

The content is in memory, in the simulated disk of `simulated_disk.py`. `DiskState` describes the
faults. The operations raise the errors of system calls. Each disk has a separate random stream,
which decides, for example, which operations a fault hits.

A sync of a file also makes all earlier changes of directories durable, as the journal of ext4, XFS
and Btrfs does. In simulation, each directory must be synced separately, which is stricter.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
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
from splitbrain.nemesis.disk_fault import HEALTHY, DiskArea, DiskState

T = TypeVar("T")
Areas = Mapping[DiskArea, Sequence[str]]
"""The path patterns of each area. An area that is not in the mapping is the whole disk."""


class FaultyVolume:
    """A disk in memory, whose faults are in `state`. Several threads may call it."""

    def __init__(self, random: Random, areas: Areas | None = None) -> None:
        self.state: DiskState = HEALTHY
        self.powered = True
        """Whether the disk has power. Without power, each call fails with EIO."""
        self._random = random
        self._areas = dict(areas or {})
        self._root = Volume()
        self._lock = threading.RLock()

    # --- reading -------------------------------------------------------------------------

    def at(self, path: str) -> Inode | Volume:
        """Return the file or directory at `path`. Raises FileNotFoundError."""
        with self._lock:
            self._check_power()
            found = self._root.at(path)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            assert isinstance(found, Inode | Volume)
            return found

    def names(self, path: str) -> list[str]:
        with self._lock:
            return sorted(self._directory(path).entries)

    def read(self, path: str, offset: int, size: int) -> bytes:
        with self._lock:
            inode = self._file(path)
            self._fail_sometimes(self.state.read_error_percent)
            end = min(offset + size, inode.size)
            return bytes(inode.cached[offset:end]).ljust(max(end - offset, 0), b"\0")

    # --- writing -------------------------------------------------------------------------

    def write(self, path: str, offset: int, data: bytes) -> int:
        with self._lock:
            inode = self._file(path)
            self._check_write()
            state, random = self.state, self._random
            in_area = self.is_in_area(path, state.area)
            if in_area and self._happens(state.misdirect_percent):
                offset = random.randrange(0, max(offset + len(data), 4096), 512)
            torn = in_area and self._happens(state.torn_percent)
            inode.write(offset, data, (lambda _: random.random() < 0.5) if torn else None)
            return len(data)

    def resize(self, path: str, size: int) -> None:
        with self._lock:
            inode = self._file(path)
            if size > inode.size:
                self._check_write()
            inode.resize(size)

    def sync(self, path: str) -> None:
        """Sync a file: its content and all earlier changes of directories become durable."""
        with self._lock:
            inode = self._file(path)
            covered, slow_s = inode.mark(), self._slow_s()
        time.sleep(slow_s)
        with self._lock:
            self._check_power()
            if self._happens(self.state.sync_error_percent):
                inode.fail_sync(covered, self._random)
                raise OSError(errno.EIO, "Input/output error", path)
            if not self._lies(path):
                inode.sync(covered)
                _sync_directories(self._root)

    def sync_directory(self, path: str) -> None:
        with self._lock:
            self._directory(path)
            slow_s = self._slow_s()
        time.sleep(slow_s)
        with self._lock:
            self._fail_sometimes(self.state.sync_error_percent)
            if not self._lies(path):
                _sync_directories(self._root)

    # --- names ---------------------------------------------------------------------------

    def create(self, path: str) -> None:
        self._add(path, Inode(remembers=True))

    def make_directory(self, path: str) -> None:
        self._add(path, Volume())

    def _add(self, path: str, entry: Inode | Volume) -> None:
        with self._lock:
            directory, name = self._parent(path)
            self._check_write()
            if name in directory.entries:
                raise FileExistsError(errno.EEXIST, "File exists", path)
            directory.change(put_entry(name, entry))

    def remove(self, path: str) -> None:
        with self._lock:
            self._file(path)
            directory, name = self._parent(path)
            directory.change(drop_entry(name))

    def remove_directory(self, path: str) -> None:
        with self._lock:
            if self._directory(path).entries:
                raise OSError(errno.ENOTEMPTY, "Directory not empty", path)
            directory, name = self._parent(path)
            directory.change(drop_entry(name))

    def rename(self, old: str, new: str) -> None:
        """Rename a file or directory. It replaces a file, or an empty directory, called `new`."""
        with self._lock:
            entry = self.at(old)
            source, name = self._parent(old)
            target, other = self._parent(new)
            replaced = target.entries.get(other)
            if isinstance(replaced, Volume) and replaced.entries:
                raise OSError(errno.ENOTEMPTY, "Directory not empty", new)
            if source is target:
                source.change(move_entry(name, other))
                return
            target.change(put_entry(other, entry))
            source.change(drop_entry(name))
            # Changes of two directories can be lost separately, but a rename is atomic.
            _sync_directories(self._root)

    # --- what the disk does to durable data ------------------------------------------------

    def lose_power(self) -> None:
        """Lose the data that is not durable. The disk has no power until `powered` is set."""
        with self._lock:
            self._root.lose_power(self._random)
            self.powered = False

    def rot(self, area: DiskArea, bits: int) -> str:
        """Flip `bits` bits in one sector of a random file in `area`.

        Returns the file and the offset as text, or `nothing to rot`.
        """
        with self._lock:
            files = [(path, one) for path, one in self._files(area) if one.cached]
            if not files:
                return "nothing to rot"
            path, inode = self._random.choice(files)
            return f"{path} at {inode.rot(self._random, bits)}"

    def lose_sectors(self, area: DiskArea, sectors: int) -> str:
        """Damage a random file in `area`: up to `sectors` durable sectors get back earlier content.

        Returns the file and the sectors as text, or `no sectors to lose`.
        """
        with self._lock:
            files = [(path, one) for path, one in self._files(area) if any(one.history or ())]
            if not files:
                return "no sectors to lose"
            path, inode = self._random.choice(files)
            lost = inode.lose_sectors(self._random, sectors)
            return ", ".join(f"{path} at sector {sector}" for sector in lost)

    def is_in_area(self, path: str, area: DiskArea) -> bool:
        plain = "/".join(parts(path))
        patterns = self._areas.get(area)
        return not patterns or any(fnmatchcase(plain, pattern) for pattern in patterns)

    def all_files(self) -> list[tuple[str, Inode]]:
        with self._lock:
            return self._root.files()

    def _files(self, area: DiskArea) -> list[tuple[str, Inode]]:
        return [one for one in self._root.files() if self.is_in_area(one[0], area)]

    # --- draws -----------------------------------------------------------------------------

    def _happens(self, percent: float) -> bool:
        return percent > 0 and self._random.random() * 100 < percent

    def _lies(self, path: str) -> bool:
        return self.state.lying and self.is_in_area(path, self.state.area)

    def _slow_s(self) -> float:
        return self.state.slow_ms * self._random.random() * 2 / 1000 if self.state.slow_ms else 0.0

    def _fail_sometimes(self, percent: float) -> None:
        self._check_power()
        if self._happens(percent):
            raise OSError(errno.EIO, "Input/output error")

    def _check_write(self) -> None:
        if self.state.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._fail_sometimes(self.state.write_error_percent)

    def _check_power(self) -> None:
        if not self.powered:
            raise OSError(errno.EIO, "Input/output error")

    def _file(self, path: str) -> Inode:
        found = self.at(path)
        if not isinstance(found, Inode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path)
        return found

    def _directory(self, path: str) -> Volume:
        found = self.at(path)
        if not isinstance(found, Volume):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", path)
        return found

    def _parent(self, path: str) -> tuple[Volume, str]:
        directory, name = parent_and_name(path)
        return self._directory(directory), name


def _sync_directories(directory: Volume) -> None:
    directory.sync()
    for entry in directory.entries.values():
        if isinstance(entry, Volume):
            _sync_directories(entry)
