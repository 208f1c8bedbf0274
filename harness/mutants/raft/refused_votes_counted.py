"""A candidate counts every answer to its request as a vote."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="votes that were refused elect a leader",
    source="jgroups-extras/jgroups-raft pull request 65 (the result of a vote response was not"
    " looked at)",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    def on_vote_response(raft: RaftState, message: Message) -> None:
        election.record_vote(raft, message.from_, granted=True)

    HANDLERS[Role.CANDIDATE][MessageType.VOTE_RESP] = on_vote_response
