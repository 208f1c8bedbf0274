"""Reads the content of a snapshot that a client has downloaded from a member.

Snapshots of this project's own member are read completely. The snapshots of etcd are bbolt files.
In these, only the hash and the sizes of the messages are checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from splitbrain.harness.clients.json_messages import SnapshotAnswer, to_text
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.maintenance import HASH_BYTES, SnapshotResult
from splitbrain.node.mvcc.key_value import decode_key_value
from splitbrain.node.mvcc.revision import main_of, packed_from
from splitbrain.node.mvcc.store import FIRST_REVISION, KEYS, META, SCHEDULED_COMPACTION
from splitbrain.node.storage.backup_file import BackupCorrupt, decode_backup
from splitbrain.node.storage.snapshot_encoding import decode_copy

BBOLT_MAGIC = (0xED0CDAED).to_bytes(4, "little")
"""The bytes from 16 on of a bbolt file."""


def snapshot_result(answers: Sequence[SnapshotAnswer]) -> SnapshotResult:
    """Return the result of a `Snapshot` from the messages of its stream."""
    backup = b"".join(one.blob for one in answers)
    blocks = tuple((len(one.blob), one.remaining_bytes) for one in answers)
    content, found = backup[:-HASH_BYTES], backup[-HASH_BYTES:]
    hash_matches = hashlib.sha256(content).digest() == found
    if backup[16:20] == BBOLT_MAGIC:
        return SnapshotResult(blocks=blocks, hash_matches=hash_matches)
    try:
        copy = decode_backup(backup)
    except BackupCorrupt as problem:
        return SnapshotResult(
            blocks=blocks, hash_matches=hash_matches, unread=str(problem)[:200]
        )
    present: dict[bytes, KeyValue] = {}
    revision = FIRST_REVISION
    for bucket, key, value in decode_copy(copy):
        if (bucket, key) == (META, SCHEDULED_COMPACTION):
            revision = max(revision, int.from_bytes(value, "big"))
        if bucket != KEYS:
            continue
        packed, kv = packed_from(key), decode_key_value(value)
        revision = max(revision, main_of(packed))
        if not kv.create_revision:  # a tombstone
            present.pop(kv.key, None)
            continue
        present[kv.key] = KeyValue(
            key=to_text(kv.key), value=to_text(kv.value), create_revision=kv.create_revision,
            mod_revision=kv.mod_revision, version=kv.version, lease=kv.lease,
        )
    kvs = tuple(kv for _, kv in sorted(present.items()))
    return SnapshotResult(blocks=blocks, hash_matches=hash_matches, revision=revision, kvs=kvs)
