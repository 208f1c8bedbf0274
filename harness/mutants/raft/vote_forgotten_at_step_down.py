"""Bug: a member that becomes a follower forgets its vote, even within the same term."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import NONE, MemberId, Term
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a candidate that steps down within its term can vote again in that term",
    source="microsoft/CCF issue 5891 and pull request 8094; eliben/raft pull request 27",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    original = election.become_follower

    def become_follower(raft: RaftState, term: Term, leader: MemberId) -> None:
        original(raft, term, leader)
        raft.vote = NONE

    election.become_follower = become_follower
