"""Creates the data directory for a member of a new cluster from a backup.

Each member of the new cluster is restored from the same backup, with the flags with which the
member is started afterwards. The new cluster keeps keys, revisions, leases and alarms. It has new
ids, new members and a new log. Instead of entry 1, this log has a snapshot, which contains the data
of the backup. The first entry of the log is therefore entry 2.

Source: etcd's `etcdutl snapshot restore`.
"""

from __future__ import annotations

from splitbrain.node.config import Config
from splitbrain.node.member_storage import BACKEND, SEAL, SNAPSHOTS, WAL, DataRefused
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.message import START, ConfState, HardState, SnapshotMetadata
from splitbrain.node.storage.backup_file import decode_backup
from splitbrain.node.storage.durable_end import SealFile
from splitbrain.node.storage.snapshot_file import SnapshotFiles
from splitbrain.node.storage.wal import Wal, WalMetadata, wal_exists
from splitbrain.node.world import Disk

FIRST_INDEX, FIRST_TERM = 1, 1
"""The position of the snapshot with which the new log begins."""
_MEMBERS = b"members"


async def restore(disk: Disk, config: Config, backup: bytes) -> int:
    """Write the data directory of the member that `config` describes.

    Return the store's revision. The log is written last, so that a member cannot start from the
    data of an incomplete call. Raises DataRefused if the data directory contains data,
    BackupCorrupt, or DiskError.
    """
    copy = decode_backup(backup)
    if wal_exists(disk, WAL) or disk.list(BACKEND):
        raise DataRefused(
            f"the data directory {config.data_dir} contains data; restore into another one"
        )
    disk.make_directory(SNAPSHOTS)
    revision = await _restore_backend(disk, copy)
    voters = ConfState(tuple(sorted(peer.id for peer in config.peers)))
    base = SnapshotMetadata(FIRST_INDEX, FIRST_TERM, voters)
    await SnapshotFiles(disk, SNAPSHOTS).begin_anew(base)
    wal = await Wal.begin_anew(
        disk,
        WAL,
        WalMetadata(config.cluster_id, config.member_id),
        base=base,
        hard_state=HardState(FIRST_TERM, 0, FIRST_INDEX),
        floor=START,
        segment_bytes=config.wal_segment_bytes,
        seal=SealFile(disk, SEAL) if config.seal_log else None,
    )
    wal.trim()
    wal.close()
    return revision


async def _restore_backend(disk: Disk, copy: bytes) -> int:
    backend = disk.open_backend(BACKEND)
    try:
        await backend.replace_with(copy)
        for key, _ in list(backend.range(_MEMBERS, b"")):
            backend.delete(_MEMBERS, key)
        store = Store(backend)
        store.set_consistent_index(FIRST_INDEX, FIRST_TERM)
        await backend.flush()
        return store.revision
    finally:
        backend.close()
