"""Bug: a learner campaigns when it hears from no leader."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a learner can become leader",
    source="Raft thesis, 4.2.1; etcd-io/raft, promotable",
    found_by=("invariants",),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    def is_promotable(raft: RaftState) -> bool:
        return raft.id in raft.conf_state.members and raft.log.pending_snapshot is None

    election.is_promotable = is_promotable
