"""Bug: a leader never forgets that its followers were active, so check-quorum never fails."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader whose followers do not respond any more keeps leading in spite of check-quorum",
    source="Raft thesis, 6.2; etcd-io/raft, MsgCheckQuorum: recent_active is reset at each check",
    found_by=("invariants",),
    hunt={"nemesis": ("partition",)},
)


def plant() -> None:
    original = leader.check_quorum

    def check_quorum(raft: RaftState) -> None:
        active = [progress for progress in raft.peers if progress.recent_active]
        original(raft)
        for progress in active:
            progress.recent_active = True

    leader.check_quorum = check_quorum
