"""Bug: a candidate grants its vote to another candidate of the same term."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a candidate that voted for itself also votes for another candidate",
    source="Raft paper, figure 2: a candidate votes for itself, and votes once a term",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    original = election.vote_is_free

    def vote_is_free(raft: RaftState, message: Message) -> bool:
        return raft.role is Role.CANDIDATE or original(raft, message)

    election.vote_is_free = vote_is_free
