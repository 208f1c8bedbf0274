"""Heartbeats carry the leader's whole commit index, and followers take what they can of it."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower, replication
from splitbrain.node.raft.message import Message, MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.ready import Role
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a heartbeat commits what the follower's log holds, matching or not",
    source="eBay/NuRaft pull request 57; etcd-io/raft issue 138 on why a leader cuts the commit"
    " index of heartbeats at the follower's match",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    honest = follower.on_heartbeat

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
        honest(raft, msgspec.structs.replace(message, commit=commit))

    replication.broadcast_heartbeat = broadcast_heartbeat
    follower.on_heartbeat = on_heartbeat
    HANDLERS[Role.FOLLOWER][MessageType.HEARTBEAT] = on_heartbeat
