"""Bug: a leader counts a follower as active only when it acknowledges an append."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a leader without writes steps down although all followers answer its heartbeats",
    source="tikv/tikv issue 1697 (with check-quorum, a leader steps down before a heartbeat could"
    " show that its followers live); Raft thesis, 6.2",
    found_by=("invariants",),
)


def plant() -> None:
    original = leader.on_heartbeat_response

    def on_heartbeat_response(raft: RaftState, message: Message) -> None:
        progress = raft.progress.get(message.from_)
        active = progress is not None and progress.recent_active
        original(raft, message)
        if progress is not None:
            progress.recent_active = active

    HANDLERS[Role.LEADER][MessageType.HEARTBEAT_RESP] = on_heartbeat_response
