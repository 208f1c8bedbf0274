"""Bug: a leader sends nothing more to a follower whose snapshot was lost."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader waits forever for a snapshot that was lost",
    source="etcd-io/raft, Progress: only ReportSnapshot ends StateSnapshot, so a lost report"
    " blocks the follower; tikv/tikv issue 9859",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def on_snapshot_status(raft: RaftState, member: MemberId, *, delivered: bool) -> None:
        """Do nothing. The correct function notes whether the snapshot was delivered."""

    leader.on_snapshot_status = on_snapshot_status
