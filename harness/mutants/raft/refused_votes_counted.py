"""Bug: a candidate counts every vote response as a granted vote."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="rejected votes elect a leader",
    source="jgroups-extras/jgroups-raft pull request 65 (the result in a vote response was"
    " ignored)",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    def on_vote_response(raft: RaftState, message: Message) -> None:
        election.record_vote(raft, message.from_, granted=True)

    HANDLERS[Role.CANDIDATE][MessageType.VOTE_RESP] = on_vote_response
