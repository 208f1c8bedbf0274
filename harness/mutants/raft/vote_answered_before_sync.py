"""Bug: a member sends its vote before the vote is synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message, MessageType, Term
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a vote is granted before it is durable",
    source="bakwc/PySyncObj issue 84; Raft paper, figure 2: state is updated on stable storage"
    " before responding",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    def _answer_vote(raft: RaftState, request: Message, term: Term, *, granted: bool) -> None:
        answer = (
            MessageType.VOTE_RESP if request.type is MessageType.VOTE else MessageType.PRE_VOTE_RESP
        )
        raft.send(Message(answer, request.from_, raft.id, term, reject=not granted))

    election._answer_vote = _answer_vote
