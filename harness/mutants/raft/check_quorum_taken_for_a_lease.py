"""Bug: a leader answers reads without a heartbeat round because check-quorum is on."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.read_index import PendingRead

MUTANT = Mutant(
    what="check-quorum is used as a lease, although it detects a lost majority up to two timeouts"
    " late",
    source="Raft thesis, 6.4.1: a lease begins when the heartbeat is sent and ends with the"
    " election timeout; etcd-io/raft, ReadOnlyLeaseBased",
    found_by=("mvcc", "linearizable", "set_full", "invariants"),
)


def plant() -> None:
    original = leader.confirmed_reads

    def confirmed_reads(raft: RaftState) -> list[PendingRead]:
        if not raft.config.check_quorum:
            return original(raft)
        reads = list(raft.reads._pending)
        raft.reads._pending.clear()
        return reads

    leader.confirmed_reads = confirmed_reads
