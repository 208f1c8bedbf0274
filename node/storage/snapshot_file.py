"""Snapshot files: `{term:016x}-{index:016x}.snap`, each with a CRC32C.

A member's own snapshot contains only metadata: its data is the backend, which must be durable up
to `metadata.index` before the file is written. A snapshot from a leader also contains a copy of
the leader's backend, until it is installed: the log takes the snapshot first, and the backend is
replaced afterwards. If the member crashes in between, the next start installs the snapshot from
this file.

The order on disk
-----------------
1. own snapshot: the backend is flushed up to the index
2. the snapshot file is durable under its name
3. its mark in the log is durable
4. snapshot from a leader: the hard state with its commit index; then the backend is replaced
5. older segments and snapshots are removed

A crash after step 2 leaves a file without a mark. The member does not use it, because the log may
lack the entries after it. A mark without a file is possible only if the disk has lost the file;
then an older snapshot with a mark is used, if the log reaches back to it. At its start the member
uses the newest file that is complete and has a mark.

    magic (8) | CRC32C of the rest (4) | msgpack of (metadata, data)

Source: etcd's api/snap and storage (SaveSnap before the mark in the WAL, LoadNewestAvailable).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c
import msgspec

from splitbrain.node.raft.message import Snapshot, SnapshotMetadata
from splitbrain.node.world import Disk

MAGIC = b"SBSNAP\x00\x01"
SUFFIX = ".snap"
BROKEN = ".broken"
_CRC = struct.Struct("<I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode


class SnapshotCorrupt(Exception):
    """The file is not a complete snapshot."""


def snapshot_name(metadata: SnapshotMetadata) -> str:
    return f"{metadata.term:016x}-{metadata.index:016x}{SUFFIX}"


def encode_snapshot(snapshot: Snapshot) -> bytes:
    content = _encode(snapshot)
    return b"".join((MAGIC, _CRC.pack(google_crc32c.value(content)), content))


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises SnapshotCorrupt with the given and the expected value."""
    begin = len(MAGIC) + _CRC.size
    if len(data) < begin or not data.startswith(MAGIC):
        raise SnapshotCorrupt(f"begins with {data[:8]!r}; expected {MAGIC!r}")
    (expected,) = _CRC.unpack_from(data, len(MAGIC))
    found = google_crc32c.value(data[begin:])
    if found != expected:
        raise SnapshotCorrupt(f"has CRC32C {found:#010x}; expected {expected:#010x}")
    return _decode(data[begin:])


class SnapshotFiles:
    """The snapshots in one directory of the disk, which the first save creates."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory

    async def save(self, snapshot: Snapshot) -> None:
        """Save a snapshot; it is durable when this returns. Raises DiskError."""
        if not self._disk.exists(self._directory):
            self._disk.make_directory(self._directory)
            await self._disk.sync_directory(self._directory.rpartition("/")[0] or ".")
        await self._disk.replace(self._path(snapshot.metadata), encode_snapshot(snapshot))

    def load_newest(self, marks: Sequence[SnapshotMetadata]) -> Snapshot | None:
        """The newest complete snapshot with a mark in `marks`; None if there is none.

        A damaged file is renamed to `*.snap.broken`, and an older one is used. Raises DiskError.
        """
        marked = {snapshot_name(mark) for mark in marks}
        for name in reversed(self._names()):
            if name not in marked:
                continue
            path = f"{self._directory}/{name}"
            try:
                return decode_snapshot(self._disk.read(path))
            except SnapshotCorrupt:
                self._disk.rename(path, path + BROKEN)
        return None

    def metadata_kept(self) -> list[SnapshotMetadata]:
        """The metadata of the complete snapshots, oldest first. The log is needed from the first
        of them on."""
        found = []
        for name in self._names():
            try:
                found.append(decode_snapshot(self._disk.read(f"{self._directory}/{name}")).metadata)
            except SnapshotCorrupt:
                continue
        return found

    async def remove_old(self, keep: int) -> list[str]:
        """Remove all snapshots except the newest `keep`. Returns the removed names."""
        assert keep >= 1, "the newest snapshot is always kept"
        removed = self._names()[:-keep]
        for name in removed:
            self._disk.remove(f"{self._directory}/{name}")
        if removed:
            await self._disk.sync_directory(self._directory)
        return removed

    def _names(self) -> list[str]:
        """The names of the files, oldest first, because terms and indexes have a fixed width."""
        return [name for name in self._disk.list(self._directory) if name.endswith(SUFFIX)]

    def _path(self, metadata: SnapshotMetadata) -> str:
        return f"{self._directory}/{snapshot_name(metadata)}"
