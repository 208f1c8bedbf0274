"""Bug: a member sends a snapshot without the SHA-256 at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import SNAPSHOTS_HUNT, SNAPSHOTS_RUN, Mutant
from splitbrain.histories.maintenance import HASH_BYTES
from splitbrain.node.api.maintenance_service import MaintenanceHandlers
from splitbrain.node.messages.rpc import SnapshotRequest, SnapshotResponse

MUTANT = Mutant(
    what="the stream of a snapshot ends before the message with its hash",
    source="etcd's Maintenance.Snapshot sends the SHA-256 of the snapshot as its last message",
    found_by=("snapshot",),
    run=SNAPSHOTS_RUN,
    hunt=SNAPSHOTS_HUNT,
)


def plant() -> None:
    original = MaintenanceHandlers.snapshot

    async def snapshot(
        self: MaintenanceHandlers, request: SnapshotRequest
    ) -> AsyncGenerator[SnapshotResponse, None]:
        async for response in original(self, request):
            if len(response.blob) != HASH_BYTES:
                yield response

    MaintenanceHandlers.snapshot = snapshot  # type: ignore[method-assign, assignment]
