"""The durable state of one member: log, snapshots, backend, and the owner of the data.

    lock            locked while the member runs
    incarnation     the number of times that the member has started with this data
    member/wal/     the write-ahead log
    member/seal     with `seal_log`: the durable end of the log
    member/snap/    snapshots; member/snap/db is the backend

Recovery first reads the newest complete snapshot that has a mark in the log, then the log after
this snapshot, and then the backend. If the member crashed before it installed a leader's snapshot,
that snapshot replaces the backend. Entries up to the backend's consistent index are not applied
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.node.backend import Backend
from splitbrain.node.config import Config
from splitbrain.node.raft.message import Entry, HardState, Index, Snapshot, SnapshotMetadata
from splitbrain.node.storage.pair_check import BackendDamaged
from splitbrain.node.storage.seal import SealFile
from splitbrain.node.storage.snapshot_file import SnapshotFiles
from splitbrain.node.storage.wal import Wal, WalCorrupt, WalMetadata, snapshot_marks, wal_exists
from splitbrain.node.world import Disk

WAL = "member/wal"
SEAL = "member/seal"
SNAPSHOTS = "member/snap"
BACKEND = "member/snap/db"
INCARNATION = "incarnation"

REPLACE = (
    "Replace the disk, and start a new member with an empty data directory, or restore the "
    "directory from a backup"
)
"""What to do about a damaged data directory."""

NO_SNAPSHOT = SnapshotMetadata()


class DataRefused(Exception):
    """The member must not serve its data directory.

    The directory belongs to another member or cluster, or is damaged. The message contains the
    found and the expected value, and the action to take.
    """


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state with which Raft is restarted."""

    hard_state: HardState
    snapshot: SnapshotMetadata
    entries: Sequence[Entry]


class MemberStorage:
    """The storage of a running member, created by `open`. Calls that use the log do not overlap."""

    def __init__(
        self,
        *,
        wal: Wal,
        snapshots: SnapshotFiles,
        backend: Backend,
        recovered: Recovered,
        incarnation: int,
        snapshots_kept: int,
    ) -> None:
        self._wal = wal
        self._snapshots = snapshots
        self._snapshots_kept = snapshots_kept
        self._turn = asyncio.Lock()
        self.backend = backend
        self.recovered = recovered
        self.incarnation = incarnation
        self.snapshot = recovered.snapshot
        """The newest snapshot."""

    @classmethod
    async def open(cls, disk: Disk, config: Config) -> MemberStorage:
        """Open the data of a member, or create it. Raises DataRefused, DiskError."""
        disk.make_directory(SNAPSHOTS)
        metadata = WalMetadata(config.cluster_id, config.member_id)
        snapshots = SnapshotFiles(disk, SNAPSHOTS)
        seal = SealFile(disk, SEAL) if config.seal_log else None
        try:
            if not wal_exists(disk, WAL):
                _refuse_leftovers(disk)
                wal = await Wal.create(
                    disk, WAL, metadata, segment_bytes=config.wal_segment_bytes, seal=seal
                )
                newest, recovered = None, Recovered(HardState(), NO_SNAPSHOT, ())
            else:
                sealed = seal.read() if seal is not None else None
                newest = snapshots.load_newest(snapshot_marks(disk, WAL, sealed))
                start = newest.metadata if newest else NO_SNAPSHOT
                wal, found, hard_state, entries = await Wal.open(
                    disk, WAL, start, segment_bytes=config.wal_segment_bytes, seal=seal
                )
                _check_owner(found, metadata, config)
                recovered = Recovered(hard_state, start, consistent_tail(start, entries))
        except WalCorrupt as problem:
            raise DataRefused(str(problem)) from problem
        backend = disk.open_backend(BACKEND)
        incarnation = await _count_start(disk)
        storage = cls(
            wal=wal, snapshots=snapshots, backend=backend, recovered=recovered,
            incarnation=incarnation, snapshots_kept=config.snapshots_kept,
        )
        if newest is not None and newest.data:
            await backend.replace_with(newest.data)
            await storage.snapshot_installed(newest)
        try:
            backend.check()
        except BackendDamaged as problem:
            raise DataRefused(f"{problem}. {REPLACE}") from problem
        return storage

    def check_applied(self, consistent_index: Index) -> None:
        """Raise DataRefused if the backend is ahead of the log, or older than the newest snapshot.
        """
        last = self.recovered.snapshot.index + len(self.recovered.entries)
        if consistent_index > last:
            raise DataRefused(
                f"the backend has applied entry {consistent_index}, but the log ends at {last}: "
                "the log has lost entries; restore this member from the data of another member"
            )
        if consistent_index < self.recovered.snapshot.index:
            raise DataRefused(
                f"the backend has applied entry {consistent_index}, but the newest snapshot is at "
                f"entry {self.recovered.snapshot.index}: the backend's file is older than the log; "
                "restore this member from the data of another member"
            )

    @property
    def last_index(self) -> Index:
        return self._wal.last_index

    @property
    def hard_state(self) -> HardState:
        return self._wal.hard_state

    @property
    def unsynced_bytes(self) -> int:
        """The bytes of the log that are not synced, as the disk reports it."""
        return self._wal.unsynced_bytes

    async def save(
        self, hard_state: HardState | None, entries: Sequence[Entry], *, sync: bool
    ) -> None:
        """Append to the log, and sync it if `sync` is true. Raises DiskError."""
        async with self._turn:
            await self._wal.save(hard_state, entries, sync=sync)

    async def save_snapshot(self, metadata: SnapshotMetadata) -> None:
        """Record that the backend is durable up to `metadata.index`.

        Removes the segments and snapshots that are no longer needed. Raises DiskError.
        """
        async with self._turn:
            await self._snapshots.save(Snapshot(metadata))
            # Entries can be applied before the hard state with their commit index is written. The
            # mark is therefore written together with its commit index. Otherwise recovery might
            # ignore the mark, although the older snapshots have been removed.
            await self._wal.save_snapshot_mark(metadata, committed=True)
            await self._snapshots.remove_old(self._snapshots_kept)
            await self._wal.release(self._snapshots.metadata_kept()[0].index)
            self.snapshot = max(self.snapshot, metadata, key=lambda known: known.index)

    async def receive_snapshot(self, snapshot: Snapshot) -> None:
        """Save a leader's snapshot durably in a file, and write its mark to the log."""
        async with self._turn:
            await self._snapshots.save(snapshot)
            await self._wal.save_snapshot_mark(snapshot.metadata)
        self.snapshot = snapshot.metadata

    async def snapshot_installed(self, snapshot: Snapshot) -> None:
        """Remove the data of a received snapshot from its file. The backend now contains it."""
        async with self._turn:
            await self._snapshots.save(Snapshot(snapshot.metadata))

    def trim(self) -> None:
        """Free the disk space that the log preallocated and does not use.

        The tasks that write to the log must have ended. Raises DiskError.
        """
        self._wal.trim()

    def close(self) -> None:
        self._wal.close()
        self.backend.close()


def consistent_tail(after: SnapshotMetadata, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries that can follow the snapshot `after`.

    Terms never decrease along a log. So if an entry has a lower term than the snapshot or the entry
    before it, this entry and all later ones are dropped.
    """
    # Such entries exist if a member had entries of a deposed leader when it received a snapshot.
    # Raft dropped these entries when it restored the snapshot, but the log on the disk still
    # contains them. If they came back after a restart, the member would vote as if its log ended
    # in their older term, and could help to elect a member that lacks committed entries.
    term = after.term
    for position, entry in enumerate(entries):
        if entry.term < term:
            return entries[:position]
        term = entry.term
    return entries


def _refuse_leftovers(disk: Disk) -> None:
    for what, path in (("a backend", f"{BACKEND}/data.mdb"), ("a seal", SEAL)):
        if disk.exists(path):
            raise DataRefused(
                f"there is {what} ({path}) but no write-ahead log ({WAL}): part of the data "
                "directory is missing; restore the whole directory, or use an empty --data-dir"
            )


def _check_owner(found: WalMetadata, expected: WalMetadata, config: Config) -> None:
    for what, theirs, ours in (
        ("cluster", found.cluster_id, expected.cluster_id),
        ("member", found.member_id, expected.member_id),
    ):
        if theirs != ours:
            raise DataRefused(
                f"the data directory {config.data_dir} belongs to {what} {theirs:x}, and this is "
                f"{what} {ours:x}: --initial-cluster, --initial-cluster-token or --name has "
                "changed; use the old values, or another --data-dir"
            )


async def _count_start(disk: Disk) -> int:
    found = disk.read(INCARNATION).strip() if disk.exists(INCARNATION) else b""
    if found and not found.isdigit():
        raise DataRefused(
            f"{INCARNATION} in the data directory contains {found[:40]!r}; expected the number of "
            "starts of the member: the directory is damaged; restore the whole directory"
        )
    before = int(found or b"0")
    await disk.replace(INCARNATION, str(before + 1).encode())
    return before + 1
