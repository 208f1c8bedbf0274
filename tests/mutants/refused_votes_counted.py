"""A candidate counts every answer to its request as a vote."""

from __future__ import annotations

from node.raft import election
from node.raft.message import Message, MessageType
from node.raft.raft import HANDLERS, Raft
from node.raft.ready import Role
from tests.mutants import Mutant

MUTANT = Mutant(
    what="votes that were refused elect a leader",
    source="jgroups-extras/jgroups-raft pull request 65 (the result of a vote response was not"
    " looked at)",
    found_by=("invariants", "promises"),
)


def spoil() -> None:
    def on_vote_response(raft: Raft, message: Message) -> None:
        election.record_vote(raft, message.from_, granted=True)

    HANDLERS[Role.CANDIDATE][MessageType.VOTE_RESP] = on_vote_response
