"""Bug: the index of a snapshot is read after its data was copied."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Snapshot
from splitbrain.node.raft_driver import RaftDriver

MUTANT = Mutant(
    what="the data and the index of a snapshot are from different moments",
    source="etcd-io/etcd issue 20426; Raft paper, section 7",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    async def _snapshot_of_now(self: RaftDriver) -> Snapshot:
        data = await self._storage.backend.snapshot()
        return Snapshot(self._raft.describe_snapshot(self._store.consistent_index), data)

    RaftDriver._snapshot_of_now = _snapshot_of_now  # type: ignore[method-assign]
