"""A member votes for the target of a transfer although it has voted in the term."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import TRANSFER_HUNT, Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a vote that the leader has caused is granted a second time in a term",
    source="Raft thesis, 3.10: a transfer skips only the election timeout",
    found_by=("invariants", "raft_safety"),
    hunt=TRANSFER_HUNT,
)


def plant() -> None:
    original = election.vote_is_free

    def vote_is_free(raft: RaftState, message: Message) -> bool:
        return election.is_transfer(message) or original(raft, message)

    election.vote_is_free = vote_is_free
