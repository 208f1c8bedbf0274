"""Bug: a leader that receives a message of a later term adopts the term and stays leader."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import NONE, Message, MessageType
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a deposed leader remains leader in a term in which it was not elected",
    source="Raft paper, 5.1: a leader that finds its term out of date becomes a follower at once;"
    " ktoso/akka-raft issue 56 (pull request 55: all members except the leader step down)",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    original = election.accept_higher_term

    def accept_higher_term(raft: RaftState, message: Message) -> bool:
        leads = raft.role is Role.LEADER
        if not leads or message.type in (MessageType.PRE_VOTE, MessageType.PRE_VOTE_RESP):
            return original(raft, message)
        raft.term = message.term
        raft.vote = NONE
        return True

    election.accept_higher_term = accept_higher_term
