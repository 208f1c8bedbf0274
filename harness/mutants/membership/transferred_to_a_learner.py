"""A leader hands over its leadership to a learner."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a learner is accepted as the target of a transfer",
    source="etcd-io/raft, raft.go: a transfer to a learner is ignored",
    found_by=("invariants",),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    original = leader.transfer

    def transfer(raft: RaftState, to: MemberId) -> None:
        for learner in raft.learners:
            if raft.progress[learner].match == raft.log.last_index:
                leader.send_timeout_now(raft, learner)
        original(raft, to)

    leader.transfer = transfer
