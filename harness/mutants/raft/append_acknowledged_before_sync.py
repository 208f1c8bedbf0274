"""Bug: a follower acknowledges an append before its disk write is synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.message import Index, MemberId, Message, MessageType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a follower acknowledges entries that are not durable",
    source="bakwc/PySyncObj issue 84; robustmq/robustmq pull request 2039; Raft paper, figure 2",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def acknowledge(raft: RaftState, leader: MemberId, index: Index) -> None:
        raft.send(Message(MessageType.APP_RESP, leader, raft.id, raft.term, index=index))

    follower.acknowledge = acknowledge
