"""Bug: a snapshot does not contain the writes that are not flushed to the backend's file yet."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import SNAPSHOTS_HUNT, Mutant
from splitbrain.node.api.maintenance_service import BLOCK_BYTES, MaintenanceHandlers
from splitbrain.node.backend import BUCKETS
from splitbrain.node.messages.rpc import SnapshotRequest, SnapshotResponse
from splitbrain.node.storage.backup_file import blocks, encode_backup
from splitbrain.node.storage.content_checksums import value_of
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.storage.snapshot_encoding import encode_copy

MUTANT = Mutant(
    what="a snapshot lacks the newest acknowledged writes, which are still in memory",
    source="etcd's Backend.Snapshot commits the batch transaction first",
    found_by=("snapshot",),
    hunt=SNAPSHOTS_HUNT,
)


def plant() -> None:
    async def snapshot(
        self: MaintenanceHandlers, _request: SnapshotRequest
    ) -> AsyncGenerator[SnapshotResponse, None]:
        backend = self._member.backend
        assert isinstance(backend, MemoryBackend)
        copy = encode_copy(
            (bucket, [
                (key, value_of(bucket, key, stored))
                for key, stored in backend._committed.buckets[bucket].items()
            ])
            for bucket in BUCKETS
        )
        for blob, remaining in blocks(encode_backup(copy), BLOCK_BYTES):
            yield SnapshotResponse(remaining_bytes=remaining, blob=blob)

    MaintenanceHandlers.snapshot = snapshot  # type: ignore[method-assign]
