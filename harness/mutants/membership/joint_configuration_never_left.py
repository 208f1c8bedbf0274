"""Bug: a leader does not leave a joint configuration by itself."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the leader never leaves an implicit joint configuration",
    source="etcd-io/raft, ConfChangeTransitionJointImplicit: the leader leaves it automatically",
    found_by=("invariants",),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    def leave_joint_when_due(raft: RaftState) -> None:
        return

    leader.leave_joint_when_due = leave_joint_when_due
