"""Bug: a follower's election timer is reset by appends only, and not by heartbeats."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a follower campaigns although it gets heartbeats, whenever there are no writes",
    source="redpanda pull request 31547 (a follower rejects heartbeats without refreshing its"
    " election timer); Raft paper, 5.2",
    found_by=("invariants",),
)


def plant() -> None:
    original = HANDLERS[Role.FOLLOWER][MessageType.HEARTBEAT]

    def on_heartbeat(raft: RaftState, message: Message) -> None:
        elapsed = raft.election_elapsed
        original(raft, message)
        raft.election_elapsed = elapsed

    HANDLERS[Role.FOLLOWER][MessageType.HEARTBEAT] = on_heartbeat
