"""Bug: a pre-candidate whose pre-vote had no result begins a real election next time."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="an isolated member raises its term, and disrupts the leader when it returns",
    source="etcd-io/etcd issue 9333 (a rejoining member disrupts the cluster); Raft thesis, 9.6",
    found_by=("invariants",),
)


def plant() -> None:
    original = election.run_for_pre_vote

    def run_for_pre_vote(raft: RaftState) -> None:
        if raft.role is Role.PRE_CANDIDATE:
            election.run_for_vote(raft)
        else:
            original(raft)

    election.run_for_pre_vote = run_for_pre_vote
