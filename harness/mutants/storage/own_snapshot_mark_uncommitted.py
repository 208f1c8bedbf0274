"""Bug: the mark of a member's own snapshot is written without the commit index."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import SnapshotMetadata
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="a crash just after a snapshot makes the start ignore it, although older ones are removed",
    source="etcd, wal.ValidSnapshotEntries: a start uses a snapshot only if"
    " its index is committed in the log",
    found_by=("invariants",),
    hunt={"nemesis": ("disk_crash",), "fault_pace": 6.0, "nodes": (3,)},
)


def plant() -> None:
    original = Wal.save_snapshot_mark

    async def save_snapshot_mark(
        self: Wal, metadata: SnapshotMetadata, *, committed: bool = False
    ) -> None:
        await original(self, metadata, committed=False)

    Wal.save_snapshot_mark = save_snapshot_mark  # type: ignore[method-assign]
