"""Bug: a member sends a snapshot without the SHA-256 at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.maintenance_service import MaintenanceHandlers
from splitbrain.node.messages.rpc import SnapshotRequest, SnapshotResponse

HASH_BYTES = 32

MUTANT = Mutant(
    what="the stream of a snapshot ends before the message with its hash",
    source="etcd's Maintenance.Snapshot sends the SHA-256 of the snapshot as its last message",
    found_by=("snapshot",),
    run={
        "workload": "limits", "workload_options": {"snapshots": 1}, "nemesis": (),
        "nodes": (3,), "time_limit_s": 5.0,
    },
    hunt={"workload": "limits", "workload_options": {"snapshots": 1}},
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
