"""Bug: a leader answers a read index without a round of heartbeats."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.read_index import PendingRead

MUTANT = Mutant(
    what="a leader answers reads without confirming its leadership with a majority",
    source="etcd-io/etcd issue 20418 (stale reads of a leader that was paused); Jepsen's analysis"
    " of Redis-Raft 1b3fbf6; Raft thesis, 6.4",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    def confirmed_reads(raft: RaftState) -> list[PendingRead]:
        reads = list(raft.reads._pending)
        raft.reads._pending.clear()
        return reads

    leader.confirmed_reads = confirmed_reads
