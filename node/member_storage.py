"""Opens and writes the durable state of one member: log, snapshots and backend.

    lock            locked while the member runs
    incarnation     the number of times that the member has started with this data
    member/wal/     the write-ahead log
    member/seal     with `seal_log`: the durable end of the log
    member/snap/    snapshots; member/snap/db is the backend

Recovery first reads the newest snapshot that is complete and recorded in the log, then the log
after this snapshot, and then the backend. A leader's snapshot that was received but not installed
before a crash replaces the backend. Entries up to the backend's consistent index are not applied
again.

A damaged directory
-------------------
If the disk has lost or changed a part of the data, the member recovers from the leader. It keeps
the backend if the backend is complete, and otherwise begins with an empty one. It then begins a new
log, whose first entry follows the last entry in the backend. The leader sends all later entries
(`splitbrain.node.raft.raft.Raft`, `floor`).

In three cases, the member refuses to start instead:

- It has no peers.
- Log and seal are both damaged or missing. Then the member does not know in which terms it has sent
  messages and which entries it has acknowledged.
- `incarnation` is damaged, and there is no seal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c

from splitbrain.node.backend import Backend
from splitbrain.node.config import Config
from splitbrain.node.messages.member_change import stored_record
from splitbrain.node.mvcc.store import applied_position
from splitbrain.node.raft.message import (
    NONE,
    START,
    ConfState,
    Entry,
    HardState,
    Index,
    Position,
    Snapshot,
    SnapshotMetadata,
)
from splitbrain.node.storage.content_checksums import BackendDamaged
from splitbrain.node.storage.durable_end import Seal, SealFile
from splitbrain.node.storage.snapshot_file import SnapshotFiles
from splitbrain.node.storage.wal import (
    NO_SNAPSHOT,
    Wal,
    WalCorrupt,
    WalMetadata,
    read_promises,
    snapshot_marks,
    wal_exists,
)
from splitbrain.node.world import Disk, DiskError

WAL = "member/wal"
SEAL = "member/seal"
SNAPSHOTS = "member/snap"
BACKEND = "member/snap/db"
INCARNATION = "incarnation"


FORGOTTEN = (
    "This member does not know what it has acknowledged to other members, so it must not start "
    "again, not even with an empty data directory, while it is a voter of the cluster: remove it "
    "from the cluster, and add a new member. With --seal-log it could have recovered from its peers"
)
ALONE = "There is no other member to recover from; restore the data directory from a backup"


class DataMissing(Exception):
    """A part of the data directory is missing, or is older than the rest."""


class DataRefused(Exception):
    """The member cannot be started with its data directory.

    The directory belongs to another member or cluster, or is damaged in a way from which the member
    cannot recover. The message contains the found and the expected value, and the action to take.
    """


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state from the disk with which Raft is restarted.

    `floor` is the position of the last entry that this member may have acknowledged before the disk
    lost it, as in `RaftState.floor`.
    """

    hard_state: HardState
    snapshot: SnapshotMetadata
    entries: Sequence[Entry]
    floor: Position = START


class MemberStorage:
    """The durable state of a running member. `open` creates it.

    The caller must not make two calls at the same time if both use the log.
    """

    def __init__(
        self,
        *,
        wal: Wal,
        snapshots: SnapshotFiles,
        backend: Backend,
        recovered: Recovered,
        incarnation: int,
        snapshots_kept: int,
        damage: str = "",
    ) -> None:
        self._wal = wal
        self._snapshots = snapshots
        self._snapshots_kept = snapshots_kept
        self._turn = asyncio.Lock()
        self.backend = backend
        self.recovered = recovered
        self.incarnation = incarnation
        self.snapshot = recovered.snapshot
        """The metadata of the newest snapshot."""
        self.damage = damage
        """The damage because of which this start has begun a new log, or None."""

    @classmethod
    async def open(cls, disk: Disk, config: Config) -> MemberStorage:
        """Open the data directory of a member, or create it. Raises DataRefused, DiskError."""
        disk.make_directory(SNAPSHOTS)
        seal = SealFile(disk, SEAL) if config.seal_log else None
        starts = _next_start(disk, seal)
        try:
            return await cls._open_complete(disk, config, seal, starts)
        except (WalCorrupt, BackendDamaged, DataMissing) as damage:
            return await cls._begin_anew(disk, config, seal, starts, damage)

    @classmethod
    async def _open_complete(
        cls, disk: Disk, config: Config, seal: SealFile | None, starts: int
    ) -> MemberStorage:
        """Open a data directory that the disk has not damaged, or create it.

        `starts` is the number of starts with this directory. Raises WalCorrupt, BackendDamaged or
        DataMissing if the disk has damaged the data.
        """
        wal, newest, recovered = await _open_log(disk, config, seal)
        backend = None
        try:
            backend = disk.open_backend(BACKEND)
            await disk.replace(INCARNATION, _encode_starts(starts))
            storage = cls(
                wal=wal, snapshots=SnapshotFiles(disk, SNAPSHOTS), backend=backend,
                recovered=recovered, incarnation=starts, snapshots_kept=config.snapshots_kept,
            )
            if newest is not None and newest.data:
                await backend.replace_with(newest.data)
                await storage.snapshot_installed(newest)
            backend.check()
            check_applied(applied_position(backend)[1], recovered)
            _check_committed(disk, seal, recovered)
        except (DiskError, DataMissing):
            wal.close()
            if backend is not None:
                backend.close()
            raise
        return storage

    @classmethod
    async def _begin_anew(
        cls,
        disk: Disk,
        config: Config,
        seal: SealFile | None,
        starts: int,
        damage: Exception,
    ) -> MemberStorage:
        """Begin a new log because of `damage`. Its first entry follows the backend's last entry.

        A complete backend is kept. Otherwise the member begins with an empty one.
        """
        promised = _promises(disk, seal)
        if promised is None or len(config.peers) == 1:
            raise DataRefused(f"{damage}. {ALONE if len(config.peers) == 1 else FORGOTTEN}")
        owner = WalMetadata(config.cluster_id, config.member_id)
        _check_owner(WalMetadata(promised.cluster_id, promised.member_id), owner, config)
        backend = await _complete_backend(disk)
        term, index = applied_position(backend)
        record = stored_record(backend)
        voters = ConfState(tuple(sorted(peer.id for peer in config.peers)))
        conf_state = voters if record is None else record.conf_state
        base = SnapshotMetadata(index, term, conf_state) if index else NO_SNAPSHOT
        snapshots = SnapshotFiles(disk, SNAPSHOTS)
        await snapshots.begin_anew(base)
        await disk.replace(INCARNATION, _encode_starts(starts))
        hard_state = HardState(promised.hard_state.term + 1, NONE, index)
        wal = await Wal.begin_anew(
            disk, WAL, owner, base=base, hard_state=hard_state,
            floor=(promised.last_term, promised.last_index),
            segment_bytes=config.wal_segment_bytes, seal=seal,
        )
        return cls(
            wal=wal, snapshots=snapshots, backend=backend,
            recovered=Recovered(hard_state, base, (), wal.floor),
            incarnation=starts, snapshots_kept=config.snapshots_kept, damage=str(damage),
        )

    @property
    def last_index(self) -> Index:
        return self._wal.last_index

    @property
    def hard_state(self) -> HardState:
        return self._wal.hard_state

    @property
    def unsynced_bytes(self) -> int:
        """The number of bytes of the log that are not synced. The disk reports it."""
        return self._wal.unsynced_bytes

    async def save(
        self, hard_state: HardState | None, entries: Sequence[Entry], *, sync: bool
    ) -> None:
        """Append to the log. If `sync` is True, make the log durable. Raises DiskError."""
        async with self._turn:
            await self._wal.save(hard_state, entries, sync=sync)

    async def save_snapshot(self, metadata: SnapshotMetadata) -> None:
        """Record a snapshot of the backend at `metadata.index`.

        The caller has made the backend durable up to this index. This method also removes the
        segments and snapshots that are no longer needed. Raises DiskError.
        """
        async with self._turn:
            await self._snapshots.save(Snapshot(metadata))
            # Recovery uses only snapshots whose mark in the log is committed. An entry can be
            # applied before the hard state with its commit index is written, so the mark is written
            # together with a commit index. Otherwise recovery might ignore this snapshot, although
            # the older ones have been removed.
            await self._wal.save_snapshot_mark(metadata, committed=True)
            await self._snapshots.remove_old(metadata, self._snapshots_kept)
            kept = self._snapshots.metadata_kept()
            if kept:
                await self._wal.release(kept[0].index)
            self.snapshot = max(self.snapshot, metadata, key=lambda known: known.index)

    async def receive_snapshot(self, snapshot: Snapshot) -> None:
        """Save a leader's snapshot in a file, and write its mark to the log.

        Both are then durable.
        """
        async with self._turn:
            await self._snapshots.save(snapshot)
            await self._wal.save_snapshot_mark(snapshot.metadata)
        self.snapshot = snapshot.metadata

    async def snapshot_installed(self, snapshot: Snapshot) -> None:
        """Remove the data of a received snapshot from its file, because the backend contains it."""
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
    """Return the part of `entries` that can follow the snapshot `after` in a log.

    Terms never decrease along a log. If an entry has a lower term than the snapshot or the entry
    before it, this entry and all later ones are dropped.
    """
    # Such entries exist if a member had entries of a deposed leader when it received a snapshot.
    # Raft dropped these entries when it restored the snapshot, but the log on the disk still
    # contains them. If they came back after a restart, the member would vote as if its log ended in
    # their older term, and could help to elect a member that lacks committed entries.
    term = after.term
    for position, entry in enumerate(entries):
        if entry.term < term:
            return entries[:position]
        term = entry.term
    return entries


async def _open_log(
    disk: Disk, config: Config, seal: SealFile | None
) -> tuple[Wal, Snapshot | None, Recovered]:
    """Open the log, or create it. Return the log, the newest snapshot, and the recovered state."""
    metadata = WalMetadata(config.cluster_id, config.member_id)
    segment_bytes = config.wal_segment_bytes
    if not wal_exists(disk, WAL):
        _check_leftovers(disk, seal)
        wal = await Wal.create(disk, WAL, metadata, segment_bytes=segment_bytes, seal=seal)
        return wal, None, Recovered(HardState(), NO_SNAPSHOT, ())
    sealed = seal.read() if seal is not None else None
    newest = SnapshotFiles(disk, SNAPSHOTS).load_newest(snapshot_marks(disk, WAL, sealed))
    start = newest.metadata if newest else NO_SNAPSHOT
    wal, found, hard_state, entries = await Wal.open(
        disk, WAL, start, segment_bytes=segment_bytes, seal=seal
    )
    _check_owner(found, metadata, config)
    return wal, newest, Recovered(hard_state, start, consistent_tail(start, entries), wal.floor)


def _check_leftovers(disk: Disk, seal: SealFile | None) -> None:
    """Check that a member without a log has no other data. Raises DataMissing, DataRefused."""
    if seal is not None and seal.read() is not None:
        raise DataMissing(f"there is a seal ({SEAL}), but no write-ahead log ({WAL})")
    if disk.exists(f"{BACKEND}/data.mdb"):
        raise DataRefused(
            f"there is a backend ({BACKEND}) but no write-ahead log ({WAL}): part of the data "
            f"directory is missing. {FORGOTTEN}"
        )


def check_applied(consistent_index: Index, recovered: Recovered) -> None:
    """Raise DataMissing if the backend is ahead of the log, or older than the newest snapshot."""
    last = recovered.snapshot.index + len(recovered.entries)
    if consistent_index > last:
        raise DataMissing(
            f"the backend has applied entry {consistent_index}, but the log ends at {last}: the "
            "log has lost entries"
        )
    if consistent_index < recovered.snapshot.index:
        raise DataMissing(
            f"the backend has applied entry {consistent_index}, but the newest snapshot is at "
            f"entry {recovered.snapshot.index}: the backend's file is older than the log"
        )


def _check_committed(disk: Disk, seal: SealFile | None, recovered: Recovered) -> None:
    """Raise DataMissing if the disk has lost the snapshot that contains the last committed entry.

    The committed entry is then neither in the log nor in a snapshot, although the log or the seal
    shows that this member had it. If nothing shows this, the function returns. Raft then refuses
    the state, because the log has lost entries.
    """
    last, commit = recovered.snapshot.index + len(recovered.entries), recovered.hard_state.commit
    if commit <= last:
        return
    promised = _promises(disk, seal)
    if promised is not None and promised.last_index >= commit:
        raise DataMissing(
            f"entry {commit} is committed, but the log ends at {last}: the disk has lost the "
            "snapshot that contains the entries between them"
        )


def _promises(disk: Disk, seal: SealFile | None) -> Seal | None:
    """Return a seal that contains what this member may have acknowledged.

    The result is None if neither the log nor the seal can be read.
    """
    sealed = seal.read() if seal is not None else None
    try:
        return read_promises(disk, WAL, sealed)
    except (WalCorrupt, FileNotFoundError):
        return sealed


async def _complete_backend(disk: Disk) -> Backend:
    """Return the backend if its file is complete. Otherwise return a new, empty one."""
    backend = None
    try:
        backend = disk.open_backend(BACKEND)
        backend.check()
    except BackendDamaged:
        if backend is not None:
            backend.close()
        disk.remove(BACKEND)
        await disk.sync_directory(SNAPSHOTS)
        return disk.open_backend(BACKEND)
    return backend


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


def _next_start(disk: Disk, seal: SealFile | None) -> int:
    """Count this start, and return the number of starts so far. Raises DataRefused.

    If the log has a seal, the number becomes part of every later seal.
    """
    sealed = seal.read() if seal is not None else None
    content = disk.read(INCARNATION) if disk.exists(INCARNATION) else None
    before = _decode_starts(content) if content is not None else 0
    if before is None and sealed is None:
        found = (content or b"").strip()[:40]
        raise DataRefused(
            f"{INCARNATION} in the data directory contains {found!r}; expected the number of "
            "starts of the member and its CRC32C: the directory is damaged, and there is no seal "
            "that contains the number"
        )
    starts = max(before or 0, sealed.starts if sealed is not None else 0) + 1
    if seal is not None:
        seal.starts = starts
    return starts


def _encode_starts(starts: int) -> bytes:
    number = str(starts).encode()
    return b"%s %08x\n" % (number, google_crc32c.value(number))


def _decode_starts(content: bytes) -> int | None:
    number, _, crc = content.strip().partition(b" ")
    if not number.isdigit() or crc != b"%08x" % google_crc32c.value(number):
        return None
    return int(number)
