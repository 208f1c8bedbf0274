"""Implements a member's `Disk` with the file system, below the member's data directory."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from splitbrain.node.storage.lmdb_backend import LmdbBackend
from splitbrain.node.world import DirectoryInUse, DiskError

if TYPE_CHECKING:
    from splitbrain.node.backend import Backend

T = TypeVar("T")

MAP_RESERVE_BYTES = 1024**3
MAP_WITHOUT_QUOTA_BYTES = 256 * 1024**3

SLOW_S = 0.005
"""A sync that takes longer is slow, in seconds."""
QUICK_SYNCS = 8
"""After this many quick syncs in succession, syncs run in the event loop."""


@contextlib.contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise DiskError(f"{what}: {problem.strerror or problem}") from problem


class Syncer:
    """Syncs files: in the event loop while the disk is quick, and otherwise in a thread.

    The change to another thread and back takes longer than a quick sync. A slow sync must not stop
    the event loop, so that heartbeats continue. After a sync of more than SLOW_S, all syncs run in
    the thread, until QUICK_SYNCS of them in succession were quick.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "disk-sync")
        self._quick_syncs = 0

    async def sync(self, descriptor: int) -> None:
        """Make the data of an open file durable. Raises OSError."""
        if self._quick_syncs < QUICK_SYNCS:
            await self.run(self._sync, descriptor)
            return
        # The bytes that were written to connections are sent before the next callbacks run. The
        # followers then sync at the same time as the leader.
        await asyncio.sleep(0)
        self._sync(descriptor)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work` in the syncer's thread, and return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    def _sync(self, descriptor: int) -> None:
        began_s = time.perf_counter()
        os.fdatasync(descriptor)
        quick = time.perf_counter() - began_s < SLOW_S
        self._quick_syncs = self._quick_syncs + 1 if quick else 0

    def end_work(self) -> None:
        self._thread.shutdown(wait=True)


class RealFile:
    """A file of the operating system.

    With `hold`, unsynced data stays in the memory of this process, so a kill loses the data as a
    power loss would. Without `hold`, the data is in the page cache, which survives a kill.
    """

    def __init__(
        self, path: Path, descriptor: int, syncer: Syncer, *, hold: bool
    ) -> None:
        self._path = path
        self._descriptor = descriptor
        self._syncer = syncer
        self._hold = hold
        self._held: list[tuple[int, bytes]] = []
        self.unsynced_bytes = 0

    def write(self, offset: int, data: bytes) -> None:
        self.unsynced_bytes += len(data)
        if self._hold:
            self._held.append((offset, bytes(data)))
        else:
            self._write_through(offset, data)

    def _write_through(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        with _disk_errors(f"write {self._path}"):
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                view = view[written:]
                offset += written

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for offset, data in held:
            self._write_through(offset, data)

    def truncate(self, size: int) -> None:
        self._release_held()
        with _disk_errors(f"truncate {self._path}"):
            os.ftruncate(self._descriptor, size)

    async def sync(self) -> None:
        self._release_held()
        covered = self.unsynced_bytes
        with _disk_errors(f"sync {self._path}"):
            await self._syncer.sync(self._descriptor)
        self.unsynced_bytes -= covered

    def close(self) -> None:
        if self._descriptor >= 0:
            self._release_held()
            os.close(self._descriptor)
            self._descriptor = -1


class RealDisk:
    """A directory of the operating system's file system. Paths are relative to `root`.

    The WAL is synced by a `Syncer`, and the backend is flushed in a thread of its own. A slow flush
    of the backend therefore does not delay a sync of the WAL.
    """

    def __init__(
        self, root: Path, *, backend_quota_bytes: int, hold_unsynced: bool = False
    ) -> None:
        self._root = root
        self._hold_unsynced = hold_unsynced
        self._quota_bytes = backend_quota_bytes
        self._syncer = Syncer()
        self._backend_worker = ThreadPoolExecutor(1, "backend")
        self._lock: int | None = None

    def exists(self, path: str) -> bool:
        with _disk_errors(f"stat {self._root / path}"):
            return (self._root / path).exists()

    def list(self, path: str) -> list[str]:
        place = self._root / path
        with _disk_errors(f"list {place}"):
            return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []

    def read(self, path: str) -> bytes:
        with _disk_errors(f"read {self._root / path}"):
            return (self._root / path).read_bytes()

    def size(self, path: str) -> int:
        with _disk_errors(f"stat {self._root / path}"):
            return (self._root / path).stat().st_size

    def make_directory(self, path: str) -> None:
        place = self._root / path
        with _disk_errors(f"make {place}"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, path: str, *, preallocate_bytes: int = 0) -> RealFile:
        place = self._root / path
        with _disk_errors(f"create {place}"):
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            if preallocate_bytes:
                try:
                    os.posix_fallocate(descriptor, 0, preallocate_bytes)
                except OSError:
                    os.close(descriptor)
                    raise
        return RealFile(place, descriptor, self._syncer, hold=self._hold_unsynced)

    def open(self, path: str) -> RealFile:
        place = self._root / path
        with _disk_errors(f"open {place}"):
            descriptor = os.open(place, os.O_RDWR | os.O_CLOEXEC)
        return RealFile(place, descriptor, self._syncer, hold=self._hold_unsynced)

    async def replace(self, path: str, data: bytes) -> None:
        aside = path + ".tmp"
        file = self.create(aside)
        try:
            file.write(0, data)
            await file.sync()
        finally:
            file.close()
        self.rename(aside, path)
        await self.sync_directory(str(Path(path).parent))

    def rename(self, source: str, target: str) -> None:
        with _disk_errors(f"rename {self._root / source}"):
            (self._root / source).rename(self._root / target)

    def remove(self, path: str) -> None:
        place = self._root / path
        with _disk_errors(f"remove {place}"):
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    async def sync_directory(self, path: str) -> None:
        place = self._root / path
        with _disk_errors(f"sync {place}"):
            await self._syncer.run(_sync_directory, place)

    def lock(self) -> None:
        self.make_directory(".")
        place = self._root / "lock"
        with _disk_errors(f"open {place}"):
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DirectoryInUse(
                f"the data directory {self._root} is in use by another process; "
                "stop that member, or give --data-dir another one"
            ) from None
        self._lock = descriptor

    async def run_for_backend(self, work: Callable[[], T]) -> T:
        """Run the function `work` in the backend's thread, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._backend_worker, work)

    def open_backend(self, path: str) -> Backend:
        backend = LmdbBackend(
            self._root / path,
            run=self.run_for_backend,
            sync_directory=_sync_directory,
            map_size_bytes=map_size_bytes(self._quota_bytes),
        )
        # LMDB syncs its file, but not the directory that contains a new file.
        for place in (self._root / path, (self._root / path).parent):
            with _disk_errors(f"sync {place}"):
                _sync_directory(place)
        return backend

    def end_work(self) -> None:
        """Wait until the threads of the syncer and of the backend have ended their work."""
        self._syncer.end_work()
        self._backend_worker.shutdown(wait=True)

    def close(self) -> None:
        """Release the lock on the data directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def map_size_bytes(quota_bytes: int) -> int:
    """Return the maximal size of the backend's file, in bytes, for a given space quota.

    The size is well above the quota. The quota stops new writes, but committed entries, and the
    copy-on-write of deletions and compactions, still need space. A negative quota means that there
    is no quota.
    """
    return 2 * quota_bytes + MAP_RESERVE_BYTES if quota_bytes >= 0 else MAP_WITHOUT_QUOTA_BYTES


def _sync_directory(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
