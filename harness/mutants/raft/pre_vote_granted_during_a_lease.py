"""Bug: a member grants a pre-vote although it has just heard from its leader."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a member that lost only its leader disrupts a leader that a majority can reach",
    source="etcd-io/etcd pull request 8334 and tikv/raft-rs pull request 84 (pre-vote and"
    " check-quorum together); Raft thesis, 9.6",
    found_by=("invariants",),
)


def plant() -> None:
    original = election.accept_higher_term

    def accept_higher_term(raft: RaftState, message: Message) -> bool:
        return message.type is MessageType.PRE_VOTE or original(raft, message)

    election.accept_higher_term = accept_higher_term
