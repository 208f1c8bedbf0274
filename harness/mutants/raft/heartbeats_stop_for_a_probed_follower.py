"""Bug: a leader sends no heartbeats to a follower whose log it probes."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import replication
from splitbrain.node.raft.progress import ProgressState
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a follower that lost an append hears nothing of its leader, and campaigns",
    source="nats-io/nats-server issue 8320 and redpanda pull request 31547 (a follower that"
    " catches up gets no heartbeat in time)",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    original = replication.broadcast_heartbeat

    def broadcast_heartbeat(raft: RaftState) -> None:
        peers = raft.peers
        raft.peers = tuple(one for one in peers if one.state is not ProgressState.PROBE)
        try:
            original(raft)
        finally:
            raft.peers = peers

    replication.broadcast_heartbeat = broadcast_heartbeat
