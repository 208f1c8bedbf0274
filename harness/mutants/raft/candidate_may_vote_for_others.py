"""A candidate that is asked by another one of its term gives it the vote that is its own."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a candidate's vote for itself does not keep it from voting for another",
    source="Raft paper, figure 2: a candidate votes for itself, and votes once a term",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    honest = election.vote_is_free

    def vote_is_free(raft: RaftState, message: Message) -> bool:
        return raft.role is Role.CANDIDATE or honest(raft, message)

    election.vote_is_free = vote_is_free
