"""Bug: a leader counts a sent snapshot as durable on the follower."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader counts a snapshot that the follower has not acknowledged",
    source="etcd-io/raft, ReportSnapshot: the transport's report ends the snapshot state, but does"
    " not change Match",
    found_by=("invariants",),
)


def plant() -> None:
    original = leader.on_snapshot_status

    def on_snapshot_status(raft: RaftState, member: MemberId, *, delivered: bool) -> None:
        progress = raft.progress.get(member)
        if progress is not None and delivered:
            progress.acknowledge(progress.pending_snapshot)
        original(raft, member, delivered=delivered)

    leader.on_snapshot_status = on_snapshot_status
