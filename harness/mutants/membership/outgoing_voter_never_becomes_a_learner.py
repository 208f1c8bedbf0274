"""Bug: a voter that becomes a learner is forgotten when the joint configuration is left."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import confchange
from splitbrain.node.raft.message import ConfState

MUTANT = Mutant(
    what="the learners that wait for the end of a joint configuration are lost at its end",
    source="etcd-io/raft, LearnersNext: learners_next must move to learners",
    found_by=("invariants",),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    original = confchange.leave_joint

    def leave_joint(before: ConfState) -> ConfState:
        original(before)
        return ConfState(before.voters, before.learners)

    confchange.leave_joint = leave_joint
