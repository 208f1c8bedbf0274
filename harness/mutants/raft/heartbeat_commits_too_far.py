"""Bug: a leader sends its whole commit index in heartbeats, and followers commit up to it.

A correct leader sends at most the index up to which the follower's log is known to match.
"""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower, replication
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.raft_state import RaftState
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a heartbeat commits entries of a follower that do not match the leader's log",
    source="eBay/NuRaft pull request 57; etcd-io/raft issue 138 on why a leader limits the commit"
    " index of heartbeats to the follower's match",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = follower.on_heartbeat

    def broadcast_heartbeat(raft: RaftState) -> None:
        raft.reads.round_due = False
        context = raft.reads.heartbeat_context()
        commit = raft.log.committed
        for progress in raft.peers:
            raft.send(
                Message(
                    MessageType.HEARTBEAT, progress.id, raft.id, raft.term,
                    commit=commit, context=context,
                )
            )

    def on_heartbeat(raft: RaftState, message: Message) -> None:
        commit = min(message.commit, raft.log.last_index)
        original(raft, msgspec.structs.replace(message, commit=commit))

    replication.broadcast_heartbeat = broadcast_heartbeat
    follower.on_heartbeat = on_heartbeat
    HANDLERS[Role.FOLLOWER][MessageType.HEARTBEAT] = on_heartbeat
