"""A leader reads without a round, for it would step down if it had lost its majority."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.read_index import PendingRead
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="the check of the quorum is taken for a lease, and is up to two timeouts late",
    source="Raft thesis, 6.4.1: a lease begins when the heartbeat is sent and ends with the"
    " election timeout; etcd-io/raft, ReadOnlyLeaseBased",
    found_by=("mvcc", "linearizable", "set_full", "invariants"),
)


def plant() -> None:
    honest = leader.confirmed_reads

    def confirmed_reads(raft: RaftState) -> list[PendingRead]:
        if not raft.config.check_quorum:
            return honest(raft)
        reads = list(raft.reads._pending)
        raft.reads._pending.clear()
        return reads

    leader.confirmed_reads = confirmed_reads
