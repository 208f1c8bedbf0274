"""Makes a FUSE file system from a `FaultyVolume`, by the callbacks of mfusepy."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from typing import Any

from splitbrain.harness.disk.faulty_disk import FaultyVolume
from splitbrain.harness.disk.simulated_disk import SECTOR_BYTES, Volume

DISK_BYTES = 16 << 30
BLOCK_BYTES = 4096


class FuseOperations:
    """The callbacks of one mounted disk. A raised OSError becomes the error of the system call."""

    use_ns = True

    def __init__(self, volume: FaultyVolume) -> None:
        self._volume = volume
        self._owner = os.geteuid(), os.getegid()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = self._volume.at(path)
        now = time.time_ns()
        common = {
            "st_uid": self._owner[0], "st_gid": self._owner[1],
            "st_atime": now, "st_mtime": now, "st_ctime": now,
        }
        if isinstance(found, Volume):
            return {**common, "st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2, "st_size": 0}
        return {
            **common, "st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": found.size,
            "st_blocks": -(-len(found.cached) // SECTOR_BYTES),
        }

    def readdir(self, path: str, fh: int) -> Iterator[str]:
        yield from (".", "..", *self._volume.names(path))

    def statfs(self, path: str) -> dict[str, int]:
        blocks = DISK_BYTES // BLOCK_BYTES
        free = 0 if self._volume.state.full else blocks
        return {
            "f_bsize": BLOCK_BYTES, "f_frsize": BLOCK_BYTES, "f_blocks": blocks, "f_bfree": free,
            "f_bavail": free, "f_files": blocks, "f_ffree": free, "f_namemax": 255,
        }

    # --- files ---------------------------------------------------------------------------

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        self._volume.create(path)
        return 0

    def mknod(self, path: str, mode: int, dev: int) -> int:
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "only files and directories")
        self._volume.create(path)
        return 0

    def open(self, path: str, flags: int) -> int:
        self._volume.at(path)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return self._volume.read(path, offset, size)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return self._volume.write(path, offset, data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._volume.resize(path, length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._volume.sync(path)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._volume.sync_directory(path)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        return 0

    # --- names ---------------------------------------------------------------------------

    def mkdir(self, path: str, mode: int) -> int:
        self._volume.make_directory(path)
        return 0

    def rmdir(self, path: str) -> int:
        self._volume.remove_directory(path)
        return 0

    def unlink(self, path: str) -> int:
        self._volume.remove(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._volume.rename(old, new)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        return 0

    def access(self, path: str, amode: int) -> int:
        return 0
