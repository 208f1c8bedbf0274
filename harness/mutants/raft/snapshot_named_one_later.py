"""Bug: a sent snapshot has an index that is one higher than the index of its data."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import Snapshot
from splitbrain.node.raft_driver import RaftDriver

MUTANT = Mutant(
    what="the index of a snapshot is off by one",
    source="etcd-io/etcd issue 20426 (consistent index and snapshot index differ); Raft paper,"
    " section 7: last included index",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = RaftDriver._snapshot_of_now

    async def _snapshot_of_now(self: RaftDriver) -> Snapshot:
        index = self._store.consistent_index + 1
        snapshot = await original(self)
        try:
            return Snapshot(self._raft.describe_snapshot(index), snapshot.data)
        except StateInvalid:
            return snapshot

    RaftDriver._snapshot_of_now = _snapshot_of_now  # type: ignore[method-assign]
