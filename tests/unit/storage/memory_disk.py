"""Implements a disk in memory that keeps synced content apart from the page cache.

`power_loss` returns the disk that the next start finds. Each file has its synced content, in which
any of the sectors that were written since may be new. Each directory has the entries of its last
sync, and a prefix of the later changes.
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.node.backend import Backend
from splitbrain.node.storage.memory_backend import Committed, MemoryBackend
from splitbrain.node.world import DiskError

SECTOR_BYTES = 512
Choose = Callable[[], bool]


class Inode:
    def __init__(self) -> None:
        self.cached = bytearray()
        self.synced = b""
        self.fail_sync = False

    def after_power_loss(self, choose: Choose) -> Inode:
        lost = Inode()
        cached, synced = bytes(self.cached), self.synced
        size = len(cached) if len(cached) == len(synced) or choose() else len(synced)
        content = bytearray()
        for at in range(0, size, SECTOR_BYTES):
            new, old = (
                content_of[at : at + SECTOR_BYTES].ljust(SECTOR_BYTES, b"\0")
                for content_of in (cached, synced)
            )
            content += new if new == old or choose() else old
        del content[size:]
        lost.cached, lost.synced = content, bytes(content)
        return lost


class MemoryFile:
    def __init__(self, inode: Inode) -> None:
        self.inode = inode
        self.open = True
        self.unsynced_bytes = 0

    def write(self, offset: int, data: bytes) -> None:
        assert self.open, "write to a closed file"
        self.unsynced_bytes += len(data)
        cached = self.inode.cached
        if len(cached) < offset:
            cached.extend(bytes(offset - len(cached)))
        cached[offset : offset + len(data)] = data

    def truncate(self, size: int) -> None:
        del self.inode.cached[size:]
        self.inode.cached.extend(bytes(size - len(self.inode.cached)))

    async def sync(self) -> None:
        if self.inode.fail_sync:
            raise DiskError("sync: Input/output error")
        self.inode.synced = bytes(self.inode.cached)
        self.unsynced_bytes = 0

    def close(self) -> None:
        self.open = False


class MemoryDisk:
    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.unsynced_changes: list[tuple[str, Callable[[dict[str, Inode]], None]]] = []
        self.directories = {"."}
        self.backends: dict[str, Committed] = {}

    def _change_names(self, directory: str, change: Callable[[dict[str, Inode]], None]) -> None:
        change(self.names)
        self.unsynced_changes.append((directory, change))

    def exists(self, path: str) -> bool:
        backend = path.removesuffix("/data.mdb")
        return path in self.names or path in self.directories or backend in self.backends

    def list(self, path: str) -> list[str]:
        return sorted(name.rpartition("/")[2] for name in self.names if _parent(name) == path)

    def read(self, path: str) -> bytes:
        if path not in self.names:
            raise DiskError(f"read {path}: No such file or directory")
        return bytes(self.names[path].cached)

    def size(self, path: str) -> int:
        return len(self.names[path].cached)

    def make_directory(self, path: str) -> None:
        self.directories.add(path)

    def create(self, path: str, *, preallocate_bytes: int = 0) -> MemoryFile:
        inode = Inode()
        inode.cached.extend(bytes(preallocate_bytes))
        self._change_names(_parent(path), lambda names: names.__setitem__(path, inode))
        return MemoryFile(inode)

    def open(self, path: str) -> MemoryFile:
        return MemoryFile(self.names[path])

    async def replace(self, path: str, data: bytes) -> None:
        file = self.create(path + ".tmp")
        file.write(0, data)
        await file.sync()
        self.rename(path + ".tmp", path)
        await self.sync_directory(_parent(path))

    def rename(self, source: str, target: str) -> None:
        def change(names: dict[str, Inode]) -> None:
            if source in names:
                names[target] = names.pop(source)

        self._change_names(_parent(target), change)

    def remove(self, path: str) -> None:
        self.backends.pop(path, None)

        def change(names: dict[str, Inode]) -> None:
            names.pop(path, None)

        self._change_names(_parent(path), change)

    async def sync_directory(self, path: str) -> None:
        rest = []
        for directory, change in self.unsynced_changes:
            if directory == path:
                change(self.durable_names)
            else:
                rest.append((directory, change))
        self.unsynced_changes = rest

    def lock(self) -> None:
        return

    def open_backend(self, path: str) -> Backend:
        backend = MemoryBackend()
        backend._committed = self.backends.setdefault(path, backend._committed)
        return backend

    def power_loss(self, choose: Choose) -> MemoryDisk:
        after = MemoryDisk()
        after.directories = set(self.directories)
        names = dict(self.durable_names)
        for _, change in self.unsynced_changes:
            if not choose():
                break
            change(names)
        after.names = {path: inode.after_power_loss(choose) for path, inode in names.items()}
        after.durable_names = dict(after.names)
        after.backends = {path: one.copy() for path, one in self.backends.items()}
        return after

    def copy(self) -> MemoryDisk:
        """A disk with the same content, completely synced."""
        after = MemoryDisk()
        after.directories = set(self.directories)
        for path, inode in self.names.items():
            copied = Inode()
            copied.cached, copied.synced = bytearray(inode.cached), bytes(inode.cached)
            after.names[path] = copied
        after.durable_names = dict(after.names)
        after.backends = {path: one.copy() for path, one in self.backends.items()}
        return after


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."
