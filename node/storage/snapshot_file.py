"""Snapshots on disk: `{term:016x}-{index:016x}.snap`, each a frame with its CRC32C.

A member's own snapshot is metadata alone, without data: its state is the backend,
which must be durable up to `metadata.index` before the file is written. A snapshot
that came from a leader holds the backend's copy too, until it has been applied: the
backend is replaced after the log has taken the snapshot, and a crash between the two
is healed at the next start from this file.

The order on disk
-----------------
1. (own: the backend is flushed up to the index)
2. the snapshot's file, durable under its name
3. its mark in the log, durable
4. (from a leader: the hard state with its commit; then the backend is replaced)
5. segments and snapshots that are older are removed

A crash after 2 leaves a file that no mark names: it is not used, for the log may lack
what comes after it. A mark without a file cannot come about, but by a disk's fault:
then an older snapshot, with its mark, still serves if the log reaches back to it. So
at a start the newest file is taken that is whole and has a mark.

    magic (8) | CRC32C of the rest (4) | msgpack of (metadata, data)

Source: etcd's api/snap and storage (SaveSnap before the WAL's mark, LoadNewestAvailable).
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
    """A file that is no whole snapshot."""


def snapshot_name(metadata: SnapshotMetadata) -> str:
    return f"{metadata.term:016x}-{metadata.index:016x}{SUFFIX}"


def encode_snapshot(snapshot: Snapshot) -> bytes:
    content = _encode(snapshot)
    return b"".join((MAGIC, _CRC.pack(google_crc32c.value(content)), content))


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises SnapshotCorrupt: what was given, what was expected."""
    begin = len(MAGIC) + _CRC.size
    if len(data) < begin or not data.startswith(MAGIC):
        raise SnapshotCorrupt(f"begins with {data[:8]!r}; expected {MAGIC!r}")
    (expected,) = _CRC.unpack_from(data, len(MAGIC))
    found = google_crc32c.value(data[begin:])
    if found != expected:
        raise SnapshotCorrupt(f"has CRC32C {found:#010x}; expected {expected:#010x}")
    return _decode(data[begin:])


class SnapshotFiles:
    """The snapshots in one directory of the disk, which is made at the first save."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory

    async def save(self, snapshot: Snapshot) -> None:
        """Durable when it returns. Raises DiskError."""
        if not self._disk.exists(self._directory):
            self._disk.make_directory(self._directory)
            await self._disk.sync_directory(self._directory.rpartition("/")[0] or ".")
        await self._disk.replace(self._path(snapshot.metadata), encode_snapshot(snapshot))

    def load_newest(self, marks: Sequence[SnapshotMetadata]) -> Snapshot | None:
        """The newest whole snapshot that one of `marks` names; None: there is none.

        A file that is damaged is set aside as `*.snap.broken`, and an older one taken.
        Raises DiskError.
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
        """Of the whole snapshots, oldest first. The log is needed from the first on."""
        found = []
        for name in self._names():
            try:
                found.append(decode_snapshot(self._disk.read(f"{self._directory}/{name}")).metadata)
            except SnapshotCorrupt:
                continue
        return found

    async def remove_old(self, keep: int) -> list[str]:
        """Remove all but the newest `keep`. Returns the names removed."""
        assert keep >= 1, "the newest snapshot is always kept"
        removed = self._names()[:-keep]
        for name in removed:
            self._disk.remove(f"{self._directory}/{name}")
        if removed:
            await self._disk.sync_directory(self._directory)
        return removed

    def _names(self) -> list[str]:
        """Oldest first: terms and indexes have a fixed width."""
        return [name for name in self._disk.list(self._directory) if name.endswith(SUFFIX)]

    def _path(self, metadata: SnapshotMetadata) -> str:
        return f"{self._directory}/{snapshot_name(metadata)}"
