"""Bug: a received snapshot is saved, but no record of it is written to the log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.raft.message import Snapshot

MUTANT = Mutant(
    what="no record of a received snapshot is written to the log",
    source="etcd's raft.go: SaveSnap writes the snapshot and its record (walpb.Snapshot)",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    async def receive_snapshot(self: MemberStorage, snapshot: Snapshot) -> None:
        async with self._turn:
            await self._snapshots.save(snapshot)
        self.snapshot = snapshot.metadata

    MemberStorage.receive_snapshot = receive_snapshot  # type: ignore[method-assign]
