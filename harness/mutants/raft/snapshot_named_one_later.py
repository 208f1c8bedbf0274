"""A snapshot that is sent says an index one beyond what is in it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import Snapshot
from splitbrain.node.raft_driver import RaftDriver

MUTANT = Mutant(
    what="a snapshot's index is off by one",
    source="etcd-io/etcd issue 20426 (consistent index and snapshot index differ); Raft paper,"
    " section 7: last included index",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    honest = RaftDriver._snapshot_of_now

    async def _snapshot_of_now(self: RaftDriver) -> Snapshot:
        later = self._store.consistent_index + 1
        snapshot = await honest(self)
        try:
            return Snapshot(self._raft.describe_snapshot(later), snapshot.data)
        except StateInvalid:
            return snapshot

    RaftDriver._snapshot_of_now = _snapshot_of_now  # type: ignore[method-assign]
