"""A snapshot that the transport has handed on counts as what the follower holds durably."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a leader counts a snapshot that it has sent, unacknowledged",
    source="etcd-io/raft, ReportSnapshot: the state of the transport moves the probe, not Match",
    found_by=("invariants",),
)


def plant() -> None:
    honest = leader.on_snapshot_status

    def on_snapshot_status(raft: RaftState, member: MemberId, *, delivered: bool) -> None:
        progress = raft.progress.get(member)
        if progress is not None and delivered:
            progress.acknowledge(progress.pending_snapshot)
        honest(raft, member, delivered=delivered)

    leader.on_snapshot_status = on_snapshot_status
