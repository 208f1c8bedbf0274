"""Reads and writes snapshot files, named `{term:016x}-{index:016x}.snap`.

There are two kinds of snapshots. A snapshot that the member makes itself contains only metadata,
because its data is the backend. A snapshot from a leader also contains a copy of the leader's
backend. The member first records this snapshot and its commit index in the log, and then replaces
its backend. If it crashes in between, the next start installs the snapshot from the file. After the
installation the copy is removed.

The *mark* of a snapshot is the record of the write-ahead log that names the snapshot.

The order on disk
-----------------
1. For a snapshot that the member makes itself, the backend is flushed up to the index.
2. The snapshot file becomes durable under its name.
3. The mark of the snapshot in the log becomes durable.
4. For a snapshot from a leader, the hard state with the snapshot's commit index becomes durable,
   and then the backend is replaced.
5. After a snapshot that the member makes itself, older snapshots and segments are removed.

At its start the member uses the newest complete file that has a valid mark. A mark is valid if its
index is not above the commit index of the log.

- If the member crashes before the hard state of step 4 is durable, the mark is not valid. The file
  is not used, because the log may lack the entries after the snapshot.
- If the disk has lost the file of the newest valid mark, the member uses an older snapshot with a
  valid mark. The log must reach back to this snapshot.

The format of a file, with sizes in bytes, is

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
    """Return the file name of a snapshot."""
    return f"{metadata.term:016x}-{metadata.index:016x}{SUFFIX}"


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the bytes of a snapshot's file."""
    content = _encode(snapshot)
    return b"".join((MAGIC, _CRC.pack(google_crc32c.value(content)), content))


def decode_snapshot(data: bytes) -> Snapshot:
    """Decode the content of a snapshot file. Raises SnapshotCorrupt with the reason."""
    begin = len(MAGIC) + _CRC.size
    if len(data) < begin or not data.startswith(MAGIC):
        raise SnapshotCorrupt(f"begins with {data[:8]!r}; expected {MAGIC!r}")
    (expected,) = _CRC.unpack_from(data, len(MAGIC))
    found = google_crc32c.value(data[begin:])
    if found != expected:
        raise SnapshotCorrupt(f"has CRC32C {found:#010x}; expected {expected:#010x}")
    return _decode(data[begin:])


class SnapshotFiles:
    """The snapshot files in one directory of the disk. The first `save` creates the directory."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory

    async def save(self, snapshot: Snapshot) -> None:
        """Save a snapshot. It is durable when this method returns. Raises DiskError."""
        if not self._disk.exists(self._directory):
            self._disk.make_directory(self._directory)
            await self._disk.sync_directory(self._directory.rpartition("/")[0] or ".")
        await self._disk.replace(self._path(snapshot.metadata), encode_snapshot(snapshot))

    def load_newest(self, marks: Sequence[SnapshotMetadata]) -> Snapshot | None:
        """Return the newest complete snapshot whose mark is in `marks`, or None if there is none.

        A damaged file is renamed to `*.snap.broken`, and the next older file is tried. Raises
        DiskError.
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
        """Return the metadata of the complete snapshots, oldest first.

        The log must keep the entries from the first of these snapshots on.
        """
        found = []
        for name in self._names():
            try:
                found.append(decode_snapshot(self._disk.read(f"{self._directory}/{name}")).metadata)
            except SnapshotCorrupt:
                continue
        return found

    async def remove_old(self, newest: SnapshotMetadata, keep: int) -> list[str]:
        """Remove the snapshots before `newest`, except the last `keep - 1` of them.

        A snapshot after `newest` is kept. Such a file can remain from a leader's snapshot that was
        never installed. It does not count towards `keep`, because otherwise `newest` itself could
        be removed. Returns the names of the removed files.
        """
        assert keep >= 1, "the newest snapshot is always kept"
        last = snapshot_name(newest)
        removed = [name for name in self._names() if name <= last][:-keep]
        for name in removed:
            self._disk.remove(f"{self._directory}/{name}")
        if removed:
            await self._disk.sync_directory(self._directory)
        return removed

    async def begin_anew(self, base: SnapshotMetadata) -> None:
        """Remove all snapshots, and save the snapshot `base`, after which a new log begins."""
        for name in self._disk.list(self._directory):
            if name.endswith((SUFFIX, SUFFIX + ".tmp")):
                self._disk.remove(f"{self._directory}/{name}")
        if base.index:
            await self.save(Snapshot(base))
        await self._disk.sync_directory(self._directory)

    def _names(self) -> list[str]:
        """Return the file names of the snapshots, oldest first.

        The names sort by age, because terms and indexes in them have a fixed width.
        """
        return [name for name in self._disk.list(self._directory) if name.endswith(SUFFIX)]

    def _path(self, metadata: SnapshotMetadata) -> str:
        return f"{self._directory}/{snapshot_name(metadata)}"
