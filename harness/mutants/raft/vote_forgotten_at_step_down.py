"""Whoever becomes a follower forgets its vote, also when the term is the same one."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import NONE, MemberId, Term
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a candidate that steps down within its term may vote again in it",
    source="microsoft/CCF issue 5891 and pull request 8094; eliben/raft pull request 27",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    honest = election.become_follower

    def become_follower(raft: RaftState, term: Term, leader: MemberId) -> None:
        honest(raft, term, leader)
        raft.vote = NONE

    election.become_follower = become_follower
